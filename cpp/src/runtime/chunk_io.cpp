// SPDX-License-Identifier: BSD-3-Clause
#include "chunk_io.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "chunk_writer.hpp"
#include "cvfast/decode/gzip.hpp"

namespace cvfast::runtime {
namespace {

constexpr std::size_t kKeepScratchBytes = std::size_t{16} << 20;

void trim_vector(std::vector<std::byte>& bytes) noexcept {
  if (bytes.capacity() > kKeepScratchBytes) std::vector<std::byte>().swap(bytes);
}

}  // namespace

void ThreadScratch::trim() noexcept {
  stored.trim(kKeepScratchBytes);
  plain.trim(kKeepScratchBytes);
  voxels.trim(kKeepScratchBytes);
  trim_vector(inflated);
  trim_vector(encoded);
  trim_vector(compressed);
}

ThreadScratch& thread_scratch() noexcept {
  thread_local ThreadScratch scratch;
  return scratch;
}

void FirstFailure::report(ChunkError error) {
  const std::lock_guard lock(mutex_);
  if (!error_ || error.index < error_->index) error_ = std::move(error);
}

RunResult FirstFailure::result(bool completed) {
  if (error_) return {RunState::kFailed, std::move(error_)};
  return {completed ? RunState::kDone : RunState::kCancelled, std::nullopt};
}

RunResult out_of_memory() {
  ChunkError error;
  error.kind = ErrorKind::kNoMemory;
  return {RunState::kFailed, std::move(error)};
}

void set_error(fetch::StoreError&& from, ChunkError& error) {
  error.kind = from.trouble == fetch::StoreTrouble::kServer      ? ErrorKind::kServer
               : from.trouble == fetch::StoreTrouble::kCancelled ? ErrorKind::kCancelled
               : from.status.ok()                                ? ErrorKind::kIo
               : from.status.code == Code::kInvalidArgument      ? ErrorKind::kPartialObject
                                                                 : ErrorKind::kIndex;
  error.detail = std::move(from.detail);
  error.io = from.io;
  error.status = from.status;
  error.name = std::move(from.name);
}

bool StoredChunk::fail(ErrorKind kind, Status status, ChunkError& error) const {
  error.kind = kind;
  error.status = status;
  error.name = name();
  return false;
}

bool StoredChunk::fail_io(const fetch::IoError& io, ChunkError& error) const {
  error.kind = ErrorKind::kIo;
  error.io = io;
  error.name = name();
  return false;
}

bool StoredChunk::fail_too_long(std::uint64_t limit, ChunkError& error) const {
  // As of a file that is not compressed: its content is wrong, not the stream around it.
  error.detail = "expected at most " + std::to_string(limit) + " bytes, found more";
  return fail(ErrorKind::kDecode, {Code::kTooLarge, limit, limit, limit + 1}, error);
}

bool StoredChunk::fail_gzip(std::span<const std::byte> in, std::uint64_t limit, Status status,
                            ChunkError& error) const {
  // libdeflate takes what is behind a cut stream for 8 bytes of zeros, which can stand for 16 KiB of output.  With room
  // for that a cut stream shows as one, and what is still too much is so without them.
  constexpr std::uint64_t kRoomBytes = 1 << 16;
  if (status.code == Code::kTooLarge) {
    status = decode::gzip::decompress(in, limit + kRoomBytes, thread_scratch().inflated);
    if (status.ok() || status.code == Code::kTooLarge) return fail_too_long(limit, error);
  }
  return fail(ErrorKind::kDecompress, status, error);
}

fetch::FetchState StoredChunk::open(const fetch::ChunkAddress& chunk, const Int3& chunk_shape, ChunkError& error) {
  chunk_ = chunk;
  chunk_shape_ = chunk_shape;
  file_ = {};
  fetch::StoreError trouble;
  const fetch::FetchState state = session_.get().open(chunk, file_, trouble);
  if (state == fetch::FetchState::kError) {
    set_error(std::move(trouble), error);
    return state;
  }
  if (state == fetch::FetchState::kMissing) return state;
  const std::uint64_t limit = decode::max_chunk_bytes(layout_.format, chunk_shape);
  if (is_plain()) {
    if (file_.size_bytes == 0) return fetch::FetchState::kMissing;
    const auto fixed = decode::fixed_chunk_bytes(layout_.format, chunk_shape);
    if (fixed && file_.size_bytes != *fixed) {
      const Code code = file_.size_bytes < *fixed ? Code::kTruncated : Code::kTrailingBytes;
      (void)fail(ErrorKind::kDecode, {code, std::min(file_.size_bytes, *fixed), *fixed, file_.size_bytes}, error);
      return fetch::FetchState::kError;
    }
    if (file_.size_bytes > limit) {
      (void)fail(ErrorKind::kDecode, {Code::kTooLarge, 0, limit, file_.size_bytes}, error);
      return fetch::FetchState::kError;
    }
  } else if (file_.size_bytes / 2 > limit + (std::uint64_t{1} << 16)) {
    // No compressor doubles its input; do not read such a file into memory to find out.
    (void)fail(ErrorKind::kDecode, {Code::kTooLarge, 0, limit, file_.size_bytes}, error);
    return fetch::FetchState::kError;
  }
  return fetch::FetchState::kData;
}

bool StoredChunk::load(const std::optional<decode::ByteRange>& range, std::byte* target,
                       std::span<const std::byte>& data, ChunkError& error) {
  ThreadScratch& scratch = thread_scratch();
  const auto no_memory = [&](std::uint64_t needed) {
    return fail(ErrorKind::kNoMemory, {Code::kNoMemory, 0, needed, 0}, error);
  };
  fetch::IoError io;
  if (is_plain()) {
    const decode::ByteRange want = range.value_or(decode::ByteRange{0, file_.size_bytes});
    if (file_.memory != nullptr && target == nullptr) {
      data = {file_.memory + want.offset, want.size};
      return true;
    }
    std::byte* const out = target != nullptr ? target : scratch.stored.get(want.size);
    if (out == nullptr) return no_memory(want.size);
    if (!fetch::read_exact(file_, out, want.size, want.offset, io)) return fail_io(io, error);
    data = {out, want.size};
    return true;
  }
  std::span<const std::byte> in;
  if (!load_stored(in, error)) return false;
  const std::uint64_t limit = decode::max_chunk_bytes(layout_.format, chunk_shape_);
  const auto fixed = decode::fixed_chunk_bytes(layout_.format, chunk_shape_);

  if (file_.encoding == fetch::ContentEncoding::kGzip && fixed) {
    std::byte* const out = target != nullptr ? target : scratch.plain.get(*fixed);
    if (out == nullptr) return no_memory(*fixed);
    std::size_t written = 0;
    const Status status = decode::gzip::decompress(in, out, *fixed, written);
    if (!status.ok()) return fail_gzip(in, *fixed, status, error);
    if (written != *fixed) {
      return fail(ErrorKind::kDecode, {Code::kTruncated, written, *fixed, written}, error);
    }
    data = {out, written};
    return true;
  }

  std::vector<std::byte>& inflated = scratch.inflated;
  if (file_.encoding == fetch::ContentEncoding::kGzip) {
    const Status status = decode::gzip::decompress(in, limit, inflated);
    if (!status.ok()) return fail_gzip(in, limit, status, error);
  } else {
    const auto bound = static_cast<std::int64_t>(std::min<std::uint64_t>(limit, INT64_MAX));
    error.detail = options_.decompress(file_.encoding, in, bound, inflated);
    if (!error.detail.empty()) return fail(ErrorKind::kDecompress, {Code::kCorrupt, 0, 0, 0}, error);
    if (inflated.size() > limit) return fail_too_long(limit, error);
  }
  if (fixed && inflated.size() != *fixed) {
    const Code code = inflated.size() < *fixed ? Code::kTruncated : Code::kTrailingBytes;
    return fail(ErrorKind::kDecode, {code, std::min<std::uint64_t>(inflated.size(), *fixed), *fixed, inflated.size()},
                error);
  }
  data = inflated;
  if (target != nullptr) {
    std::copy(inflated.begin(), inflated.end(), target);
    data = {target, inflated.size()};
  }
  return true;
}

bool StoredChunk::load_stored(std::span<const std::byte>& data, ChunkError& error) {
  if (file_.memory != nullptr) {
    data = {file_.memory, file_.size_bytes};
    return true;
  }
  std::byte* const stored = thread_scratch().stored.get(file_.size_bytes);
  if (stored == nullptr) return fail(ErrorKind::kNoMemory, {Code::kNoMemory, 0, file_.size_bytes, 0}, error);
  fetch::IoError io;
  if (!fetch::read_exact(file_, stored, file_.size_bytes, 0, io)) return fail_io(io, error);
  data = {stored, file_.size_bytes};
  return true;
}

void StoredChunk::keep_copy() {
  ChunkError ignored;
  std::span<const std::byte> bytes;
  if (file_.encoding == layout_.copy_compression) {
    if (!load_stored(bytes, ignored)) return;
  } else {
    std::span<const std::byte> plain;
    if (!load(std::nullopt, nullptr, plain, ignored) ||
        !compress_chunk(layout_.format, layout_.copy_compression, layout_.copy_compression_level, options_, plain,
                        bytes, ignored)) {
      return;
    }
  }
  session_.get().keep_copy(chunk_, layout_.copy_compression, bytes);
}

bool is_cached(const RunOptions& options, const Int3& grid_point) noexcept {
  ChunkCache* const cache = active_cache(options);
  return cache != nullptr && cache->lookup({options.cache.space, grid_point}).block;
}

ChunkCache* active_cache(const RunOptions& options) noexcept {
  ChunkCache* const cache = options.cache.cache;
  return cache != nullptr && cache->limit_bytes() > 0 ? cache : nullptr;
}

decode::ImageFormat raw_format(const decode::ImageFormat& format) noexcept {
  decode::ImageFormat raw = format;
  raw.encoding = decode::Encoding::kRaw;
  return raw;
}

ChunkBytes::ChunkBytes(const ImageLayout& layout, const LazySession& session, const RunOptions& options) noexcept
    : layout_(layout),
      options_(options),
      stored_(layout, session, options),
      cache_(active_cache(options)),
      format_(&layout.format),
      codec_(&options.codec) {}

fetch::FetchState ChunkBytes::open(const fetch::ChunkAddress& chunk, const Int3& chunk_shape, ChunkError& error) {
  chunk_shape_ = chunk_shape;
  if (cache_ != nullptr) {
    key_ = {options_.cache.space, chunk.grid_point};
    ChunkCache::Lookup found = cache_->lookup(key_);
    ticket_ = found.ticket;
    if (found.block) {
      hit_ = std::move(found.block);
      data_ = hit_.bytes();
      if (options_.cache.transcode) {
        format_ = &options_.cache.format;
        codec_ = &options_.cache.codec;
      }
      return fetch::FetchState::kData;
    }
    // A raw entry whose size is known beforehand to exceed the limit is not worth a whole chunk's reading.
    const decode::ImageFormat& entry = options_.cache.transcode ? options_.cache.format : layout_.format;
    keeps_ = cache_->admits(decode::fixed_chunk_bytes(entry, chunk_shape_).value_or(0));
  }
  return stored_.open(chunk, chunk_shape_, error);
}

bool ChunkBytes::load(const std::optional<decode::ByteRange>& range, std::byte* target, ChunkError& error) {
  if (hit_) return true;
  if (!keeps_) return stored_.load(range, target, data_, error);
  if (options_.cache.transcode) {
    std::span<const std::byte> stored;
    return stored_.load(std::nullopt, nullptr, stored, error) && transcode(stored, error);
  }
  const auto fixed = decode::fixed_chunk_bytes(layout_.format, chunk_shape_);
  if (fixed) fresh_ = CacheBlock::make(*fixed);
  // Where there is no memory for an entry there may still be some for the read.
  return stored_.load(std::nullopt, fresh_ ? fresh_.data() : nullptr, data_, error);
}

// The whole chunk as voxels, from which the caller is served, and as an entry.
bool ChunkBytes::transcode(std::span<const std::byte> stored, ChunkError& error) {
  raw_ = raw_format(layout_.format);
  const auto size = decode::fixed_chunk_bytes(raw_, chunk_shape_);
  const bool is_raw = options_.cache.format.encoding == decode::Encoding::kRaw;
  if (is_raw && size) fresh_ = CacheBlock::make(*size);
  std::byte* const voxels = !size ? nullptr : fresh_ ? fresh_.data() : thread_scratch().voxels.get(*size);
  if (voxels == nullptr) {
    error.kind = ErrorKind::kNoMemory;
    return false;
  }
  const Int4 strides = fortran_strides(chunk_shape_, layout_.format.item_size);
  if (!decode_chunk(layout_.format, options_.codec, stored, std::nullopt, chunk_shape_, {{0, 0, 0}, chunk_shape_}, 0,
                    layout_.format.num_channels, {}, voxels, strides, error)) {
    return false;
  }
  if (!is_raw) {
    // What the entry's encoding refuses is read all the same, and not kept.
    ChunkError refused;
    std::span<const std::byte> encoded;
    if (encode_chunk(options_.cache.format, options_.cache.codec, voxels, strides, chunk_shape_, encoded, refused)) {
      fresh_ = CacheBlock::copy(encoded);
    }
  }
  data_ = {voxels, static_cast<std::size_t>(*size)};
  format_ = &raw_;
  return true;
}

void ChunkBytes::keep() {
  if (keeps_) {
    if (!fresh_ && !options_.cache.transcode && cache_->admits(data_.size())) fresh_ = CacheBlock::copy(data_);
    if (fresh_) (void)cache_->insert(key_, fresh_, ticket_);
  }
  if (!hit_ && stored_.wants_copy()) stored_.keep_copy();
}

void ChunkBytes::forget() noexcept { (void)cache_->take(key_); }

bool decode_chunk(const decode::ImageFormat& format, const ExternalCodec& codec, std::span<const std::byte> data,
                  const std::optional<decode::ByteRange>& range, const Int3& chunk_shape, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, const paint::VoxelMap& map, std::byte* dst,
                  const Int4& dst_strides, ChunkError& error) {
  error.kind = ErrorKind::kDecode;
  if (decode::is_decoded_here(format.encoding)) {
    error.status =
        decode::decode_box(format, data, range, chunk_shape, box, channel_begin, channel_end, map, dst, dst_strides);
    if (error.status.code == Code::kNoMemory) error.kind = ErrorKind::kNoMemory;
    return error.status.ok();
  }
  const Int3 shape = box.shape();
  const Int4 shape4{shape[0], shape[1], shape[2], channel_end - channel_begin};
  error.detail = codec.decode(data, chunk_shape, box, [&](const std::byte* voxels, const Int4& strides) {
    paint::map_box(voxels + channel_begin * strides[3], strides, dst, dst_strides, shape4,
                   static_cast<std::size_t>(format.item_size), map);
  });
  return error.detail.empty();
}

bool encode_chunk(const decode::ImageFormat& format, const ExternalCodec& codec, const std::byte* src,
                  const Int4& src_strides, const Int3& chunk_shape, std::span<const std::byte>& bytes,
                  ChunkError& error) {
  error.kind = ErrorKind::kEncode;
  std::vector<std::byte>& encoded = thread_scratch().encoded;
  if (!decode::is_encoded_here(format.encoding)) {
    error.detail = codec.encode(src, src_strides, chunk_shape, encoded);
    bytes = encoded;
    return error.detail.empty();
  }
  error.status = decode::encode_chunk(format, src, src_strides, chunk_shape, encoded, bytes);
  return error.status.ok();
}

int bounded_threads(const ImageLayout& layout, const RunOptions& options, bool waits) noexcept {
  constexpr int kWaitingThreads = 32;
  int wanted = options.threads > 0 ? options.threads : default_threads();
  if (waits) wanted = std::max(wanted, kWaitingThreads);
  const Int3& size = layout.grid.chunk_size;
  const auto voxels = checked_product(
      {std::min(size[0], layout.grid.volume_size[0]), std::min(size[1], layout.grid.volume_size[1]),
       std::min(size[2], layout.grid.volume_size[2]), layout.format.num_channels, layout.format.item_size});
  // Stored and decompressed bytes at once; in a png, also the parts of its stream, joined.
  const std::uint64_t copies = layout.format.encoding == decode::Encoding::kPng ? 3 : 2;
  const std::uint64_t per_thread = copies * static_cast<std::uint64_t>(voxels.value_or(INT64_MAX / 4)) + 1;
  return static_cast<int>(
      std::clamp<std::uint64_t>(options.max_inflight_bytes / per_thread, 1, static_cast<std::uint64_t>(wanted)));
}

}  // namespace cvfast::runtime
