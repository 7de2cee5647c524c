// SPDX-License-Identifier: BSD-3-Clause
#include "chunk_writer.hpp"

#include <string>
#include <utility>

#include "cvfast/decode/gzip.hpp"
#include "cvfast/paint/copy_box.hpp"

namespace cvfast::runtime {

bool compress_chunk(const decode::ImageFormat& format, fetch::ContentEncoding compression, int level,
                    const RunOptions& options, std::span<const std::byte> encoded, std::span<const std::byte>& bytes,
                    ChunkError& error) {
  if (compression == fetch::ContentEncoding::kNone) {
    bytes = encoded;
    return true;
  }
  std::vector<std::byte>& compressed = thread_scratch().compressed;
  if (compression == fetch::ContentEncoding::kGzip) {
    error.kind = ErrorKind::kEncode;
    const bool is_segmentation = format.encoding == decode::Encoding::kCompressedSegmentation;
    error.status = decode::gzip::compress(
        encoded, level, compressed,
        is_segmentation ? decode::gzip::Content::kCompressedSegmentation : decode::gzip::Content::kAny);
    if (!error.status.ok()) return false;
  } else {
    error.kind = ErrorKind::kCompress;
    error.detail = options.compress(compression, encoded, level, compressed);
    if (!error.detail.empty()) return false;
  }
  bytes = compressed;
  return true;
}

// Tells the cache when a write has ended, whichever way: with the new bytes if it went well and they are at hand.
class ChunkWriter::CacheUpdate {
 public:
  CacheUpdate(const ChunkWriter& writer, const Box3& chunk) noexcept
      : writer_(writer),
        chunk_(chunk),
        cache_(writer.options_.cache.cache),
        // Until its object is replaced, a chunk is what it was.
        holds_(!writer.layout_.store->writes_in_groups() && !writer.layout_.store->is_remote()) {
    if (cache_ == nullptr) return;
    key_ = {writer.options_.cache.space, writer.layout_.grid.grid_point(chunk.min)};
    ticket_ = cache_->ticket(key_);
  }
  ~CacheUpdate() {
    if (cache_ != nullptr) cache_->written(key_, std::move(block_), ticket_);
  }
  CacheUpdate(const CacheUpdate&) = delete;
  CacheUpdate& operator=(const CacheUpdate&) = delete;

  void hold_encoded(std::span<const std::byte> encoded) noexcept {
    if (cache_ == nullptr || !holds_ || writer_.options_.cache.transcode || encoded.empty()) return;
    if (cache_->admits(encoded.size())) block_ = CacheBlock::copy(encoded);
  }
  // Voxels as they were given are voxels as they will be read only where the store's encoding is one of the core's,
  // which lose nothing.
  void hold_voxels(const std::byte* src, const Int4& strides) noexcept {
    const decode::ImageFormat& stored = writer_.layout_.format;
    const CacheUse& use = writer_.options_.cache;
    if (cache_ == nullptr || !holds_ || !use.transcode || use.format.encoding != decode::Encoding::kRaw ||
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
  bool holds_;
  CacheKey key_;
  std::uint64_t ticket_ = 0;
  CacheBlock block_;
};

bool ChunkWriter::put_voxels(const Box3& chunk, const fetch::ChunkAddress& at, const std::byte* src,
                             const Int4& strides, bool waits, ChunkError& error) const {
  std::span<const std::byte> encoded;
  if (!encode_chunk(layout_.format, options_.codec, src, strides, chunk.shape(), encoded, error)) {
    error.name = session_->name_of(at, settings_.compression);
    return false;
  }
  CacheUpdate update(*this, chunk);
  if (!compress_and_put(at, encoded, waits, error)) return false;
  update.hold_encoded(encoded);
  update.hold_voxels(src, strides);
  return true;
}

bool ChunkWriter::put_encoded(const Box3& chunk, const fetch::ChunkAddress& at, std::span<const std::byte> encoded,
                              ChunkError& error) const {
  CacheUpdate update(*this, chunk);
  if (!compress_and_put(at, encoded, false, error)) return false;
  update.hold_encoded(encoded);
  return true;
}

bool ChunkWriter::put_stored(const Box3& chunk, const fetch::ChunkAddress& at, fetch::ContentEncoding compression,
                             std::span<const std::byte> stored, ChunkError& error) const {
  CacheUpdate update(*this, chunk);
  return put(at, compression, stored, false, error);
}

bool ChunkWriter::remove(const Box3& chunk, const fetch::ChunkAddress& at, ChunkError& error) const {
  CacheUpdate update(*this, chunk);
  fetch::StoreError trouble;
  if (session_->remove(at, trouble)) return true;
  set_error(std::move(trouble), error);
  return false;
}

bool ChunkWriter::sync_entries(ChunkError& error) const {
  fetch::StoreError trouble;
  if (session_->sync_entries(trouble)) return true;
  set_error(std::move(trouble), error);
  return false;
}

bool ChunkWriter::compress_and_put(const fetch::ChunkAddress& at, std::span<const std::byte> encoded, bool waits,
                                   ChunkError& error) const {
  std::span<const std::byte> bytes;
  if (compress_chunk(layout_.format, settings_.compression, settings_.level, options_, encoded, bytes, error)) {
    return put(at, settings_.compression, bytes, waits, error);
  }
  error.name = session_->name_of(at, settings_.compression);
  return false;
}

bool ChunkWriter::put(const fetch::ChunkAddress& at, fetch::ContentEncoding compression,
                      std::span<const std::byte> bytes, bool waits, ChunkError& error) const {
  fetch::StoreError trouble;
  const bool sync = settings_.sync || (waits && layout_.store->is_remote());
  if (session_->put(at, compression, bytes, sync, trouble)) return true;
  set_error(std::move(trouble), error);
  return false;
}

RunResult ChunkWriter::finish(const Box3& box, RunResult result) const {
  if (!layout_.store->is_remote()) return result;
  fetch::StoreError trouble;
  if (!session_->finish(trouble) && result.state == RunState::kDone) {
    result.state = trouble.trouble == fetch::StoreTrouble::kCancelled ? RunState::kCancelled : RunState::kFailed;
    if (result.state == RunState::kFailed) set_error(std::move(trouble), result.error.emplace());
  }
  if (ChunkCache* const cache = active_cache(options_); cache != nullptr && !box.empty()) {
    // What was read meanwhile may be what the chunks were before.
    const Box3 range = layout_.grid.grid_range(box);
    const Int3 shape = range.shape();
    for (std::int64_t i = 0; i < shape[0] * shape[1] * shape[2]; ++i) {
      const CacheKey key{options_.cache.space, locate::grid_point_at(range, i)};
      cache->written(key, {}, cache->ticket(key));
    }
  }
  return result;
}

RunState ChunkWriter::begin(const fetch::WriteGroup& group, ChunkError& error) {
  fetch::StoreError trouble;
  switch (session_->begin_group(group, options_.poll, trouble)) {
    case fetch::GroupState::kReady:
      return RunState::kDone;
    case fetch::GroupState::kCancelled:
      return RunState::kCancelled;
    case fetch::GroupState::kFailed:
      break;
  }
  set_error(std::move(trouble), error);
  return RunState::kFailed;
}

bool ChunkWriter::commit(const fetch::WriteGroup& group, ChunkError& error) {
  fetch::StoreError trouble;
  const bool good = session_->commit_group(settings_.sync, trouble);
  if (!good) set_error(std::move(trouble), error);
  if (ChunkCache* const cache = options_.cache.cache; cache != nullptr) {
    // What was read since the chunks were put was read from the old object.
    for (const Int3& point : group.grid_points) {
      const CacheKey key{options_.cache.space, point};
      cache->written(key, {}, cache->ticket(key));
    }
  }
  return good;
}

}  // namespace cvfast::runtime
