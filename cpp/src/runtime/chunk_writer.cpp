// SPDX-License-Identifier: BSD-3-Clause
#include "chunk_writer.hpp"

#include <string>
#include <utility>

#include "cvfast/decode/gzip.hpp"
#include "cvfast/paint/copy_box.hpp"

namespace cvfast::runtime {

// Tells the cache when a write has ended, whichever way: with the new bytes if it went well and they are at hand.
class ChunkWriter::CacheUpdate {
 public:
  CacheUpdate(const ChunkWriter& writer, const Box3& chunk) noexcept
      : writer_(writer),
        chunk_(chunk),
        cache_(writer.options_.cache.cache) {
    if (cache_ == nullptr) return;
    key_ = {writer.options_.cache.space, grid_point_of(writer.layout_.grid, chunk)};
    ticket_ = cache_->ticket(key_);
  }
  ~CacheUpdate() {
    if (cache_ != nullptr) cache_->written(key_, std::move(block_), ticket_);
  }
  CacheUpdate(const CacheUpdate&) = delete;
  CacheUpdate& operator=(const CacheUpdate&) = delete;

  void hold_encoded(std::span<const std::byte> encoded) noexcept {
    if (cache_ == nullptr || writer_.options_.cache.transcode || encoded.empty()) return;
    if (cache_->admits(encoded.size())) block_ = CacheBlock::copy(encoded);
  }
  // Voxels as they were given are voxels as they will be read only where the store's encoding is one of the core's,
  // which lose nothing.
  void hold_voxels(const std::byte* src, const Int4& strides) noexcept {
    const decode::ImageFormat& stored = writer_.layout_.format;
    const CacheUse& use = writer_.options_.cache;
    if (cache_ == nullptr || !use.transcode || use.format.encoding != decode::Encoding::kRaw ||
        stored.encoding == decode::Encoding::kExternal) {
      return;
    }
    const Int3 shape = chunk_.shape();
    const auto size = decode::fixed_chunk_bytes(use.format, shape);
    if (!size || !cache_->admits(*size)) return;
    block_ = CacheBlock::make(*size);
    if (!block_) return;
    paint::copy_box(src, strides, block_.data(), fortran_strides(shape, stored.item_size),
                    {shape[0], shape[1], shape[2], stored.num_channels}, static_cast<std::size_t>(stored.item_size));
  }

 private:
  const ChunkWriter& writer_;
  const Box3& chunk_;
  ChunkCache* cache_;
  CacheKey key_;
  std::uint64_t ticket_ = 0;
  CacheBlock block_;
};

bool ChunkWriter::put_voxels(const Box3& chunk, std::string_view name, const std::byte* src, const Int4& strides,
                             ChunkError& error) const {
  std::span<const std::byte> encoded;
  error.name = std::string(name) + fetch::suffix(settings_.compression);
  if (!encode_chunk(layout_.format, options_.codec, src, strides, chunk.shape(), encoded, error)) return false;
  CacheUpdate update(*this, chunk);
  if (!compress_and_put(name, encoded, error)) return false;
  update.hold_encoded(encoded);
  update.hold_voxels(src, strides);
  return true;
}

bool ChunkWriter::put_encoded(const Box3& chunk, std::string_view name, std::span<const std::byte> encoded,
                              ChunkError& error) const {
  CacheUpdate update(*this, chunk);
  if (!compress_and_put(name, encoded, error)) return false;
  update.hold_encoded(encoded);
  return true;
}

bool ChunkWriter::put_stored(const Box3& chunk, std::string_view name, fetch::ContentEncoding compression,
                             std::span<const std::byte> stored, ChunkError& error) const {
  CacheUpdate update(*this, chunk);
  error.kind = ErrorKind::kIo;
  error.name = std::string(name) + fetch::suffix(compression);
  return folder_.put(name, compression, stored.data(), stored.size(), settings_.sync, error.io);
}

bool ChunkWriter::remove(const Box3& chunk, std::string_view name, ChunkError& error) const {
  CacheUpdate update(*this, chunk);
  error.kind = ErrorKind::kIo;
  error.name = std::string(name);
  return folder_.remove(name, error.io);
}

bool ChunkWriter::sync_entries(ChunkError& error) const {
  error.kind = ErrorKind::kIo;
  return folder_.sync_entries(error.io);
}

bool ChunkWriter::compress_and_put(std::string_view name, std::span<const std::byte> encoded, ChunkError& error) const {
  error.name = std::string(name) + fetch::suffix(settings_.compression);
  std::span<const std::byte> bytes = encoded;
  std::vector<std::byte>& compressed = thread_scratch().compressed;
  if (settings_.compression == fetch::ContentEncoding::kGzip) {
    error.status = decode::gzip::compress(encoded, settings_.level, compressed);
    if (!error.status.ok()) {
      error.kind = ErrorKind::kEncode;
      return false;
    }
    bytes = compressed;
  } else if (settings_.compression != fetch::ContentEncoding::kNone) {
    error.detail = options_.compress(settings_.compression, encoded, settings_.level, compressed);
    if (!error.detail.empty()) {
      error.kind = ErrorKind::kCompress;
      return false;
    }
    bytes = compressed;
  }
  error.kind = ErrorKind::kIo;
  return folder_.put(name, settings_.compression, bytes.data(), bytes.size(), settings_.sync, error.io);
}

}  // namespace cvfast::runtime
