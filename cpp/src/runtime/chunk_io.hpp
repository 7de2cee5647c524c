// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cvfast/core/checked.hpp"
#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/runtime/chunk_cache.hpp"
#include "cvfast/runtime/image_request.hpp"
#include "cvfast/runtime/memory.hpp"
#include "cvfast/runtime/thread_pool.hpp"

/// What reading and writing share: one chunk's bytes from the store, and the bookkeeping of a run.
namespace cvfast::runtime {

/// Buffers of one thread, reused from chunk to chunk and from call to call.
struct ThreadScratch {
  Scratch stored;                   ///< bytes as stored
  Scratch plain;                    ///< a raw chunk after decompression, or a merged chunk
  Scratch voxels;                   ///< a whole decoded chunk, on its way to another encoding
  std::vector<std::byte> inflated;  ///< bytes whose decompressed size is not known in advance
  std::vector<std::byte> encoded;
  std::vector<std::byte> compressed;

  /// Frees what a single huge chunk left behind.
  void trim() noexcept;
};
[[nodiscard]] ThreadScratch& thread_scratch() noexcept;

/// Keeps the failure of the earliest chunk among those that failed.
class FirstFailure {
 public:
  void report(ChunkError error);
  [[nodiscard]] RunResult result(bool completed);

 private:
  std::mutex mutex_;
  std::optional<ChunkError> error_;
};

/// A request too large to be counted.
[[nodiscard]] RunResult out_of_memory();

/// A request's session with a layout's store, begun when the first chunk is not found in memory.
class LazySession {
 public:
  /// @param direct never takes a copy on this machine for what is stored.
  LazySession(const ImageLayout& layout, const RunOptions& options, bool direct = false)
      : layout_(layout),
        store_(direct && layout.source ? *layout.source : *layout.store),
        attention_(options.poll, options.stopped) {}
  [[nodiscard]] fetch::ChunkSession& get() const {
    // std::call_once makes a system call even where nobody waits.
    fetch::ChunkSession* begun = begun_.load(std::memory_order_acquire);  // pairs with the store below
    if (begun != nullptr) return *begun;
    const std::lock_guard lock(mutex_);
    if (!session_) session_ = store_.read(attention_);
    begun_.store(session_.get(), std::memory_order_release);
    return *session_;
  }
  [[nodiscard]] bool is_remote() const noexcept { return store_.is_remote(); }
  [[nodiscard]] const ImageLayout& layout() const noexcept { return layout_; }

 private:
  const ImageLayout& layout_;
  const fetch::ChunkStore& store_;
  fetch::Attention attention_;
  mutable std::atomic<fetch::ChunkSession*> begun_{nullptr};
  mutable std::mutex mutex_;
  mutable std::unique_ptr<fetch::ChunkSession> session_;
};

/// A chunk of the grid with what stores and messages call it.
class NamedChunk {
 public:
  NamedChunk(const locate::ChunkGrid& grid, const Box3& chunk) noexcept
      : address_{locate::chunk_name(chunk, buffer_), grid.grid_point(chunk.min)} {}
  ~NamedChunk() = default;
  NamedChunk(const NamedChunk&) = delete;
  NamedChunk& operator=(const NamedChunk&) = delete;

  [[nodiscard]] const fetch::ChunkAddress& address() const noexcept { return address_; }

 private:
  char buffer_[locate::kChunkNameBytes];
  fetch::ChunkAddress address_;
};

/// Takes over what a store said.
void set_error(fetch::StoreError&& from, ChunkError& error);

/// One stored chunk, opened.
class StoredChunk {
 public:
  StoredChunk(const ImageLayout& layout, const LazySession& session, const RunOptions& options) noexcept
      : layout_(layout),
        session_(session),
        options_(options) {}

  /// kData, kMissing (absent, or empty without compression), or kError with `error` filled in.
  [[nodiscard]] fetch::FetchState open(const fetch::ChunkAddress& chunk, const Int3& chunk_shape, ChunkError& error);

  /// Whether part of the bytes can be had without the rest.
  [[nodiscard]] bool is_plain() const noexcept { return file_.encoding == fetch::ContentEncoding::kNone; }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return file_.size_bytes; }
  [[nodiscard]] fetch::ContentEncoding compression() const noexcept { return file_.encoding; }
  [[nodiscard]] bool is_remote() const noexcept { return session_.is_remote(); }
  /// What a message calls the chunk.
  [[nodiscard]] std::string name() const { return session_.get().name_of(chunk_, file_.encoding); }

  /// Loads the decompressed bytes, or a range of them when the chunk is_plain().  `target`, if given, has room for
  /// them and receives them (the range's or the encoding's fixed size); else they lie in this thread's scratch.
  [[nodiscard]] bool load(const std::optional<decode::ByteRange>& range, std::byte* target,
                          std::span<const std::byte>& data, ChunkError& error);

  /// Whether this was read from a copy on this machine, and how to get rid of one that does not decode.
  [[nodiscard]] bool is_copy() const noexcept { return file_.is_copy; }
  void discard_copy() const { session_.get().discard_copy(chunk_); }
  /// Whether the whole chunk should be loaded, to be offered as a copy.
  [[nodiscard]] bool wants_copy() const {
    return layout_.source != nullptr && !file_.is_copy && session_.get().keeps_copies();
  }
  /// Offers what was opened as a copy; it has proved good.  Overwrites this thread's scratch.
  void keep_copy();

  /// Loads the bytes as they are stored, into this thread's scratch.
  [[nodiscard]] bool load_stored(std::span<const std::byte>& data, ChunkError& error);

 private:
  [[nodiscard]] bool fail(ErrorKind kind, Status status, ChunkError& error) const;
  [[nodiscard]] bool fail_io(const fetch::IoError& io, ChunkError& error) const;
  [[nodiscard]] bool fail_too_long(std::uint64_t limit, ChunkError& error) const;
  [[nodiscard]] bool fail_gzip(std::span<const std::byte> in, std::uint64_t limit, Status status,
                               ChunkError& error) const;

  const ImageLayout& layout_;
  const LazySession& session_;
  const RunOptions& options_;
  fetch::OpenedFile file_;
  fetch::ChunkAddress chunk_;
  Int3 chunk_shape_{};
};

/// One chunk's bytes, out of memory where the cache has them, else from the store and on their way into the cache.
///
/// What is kept is what has proved good: the caller decodes what it needs, then calls keep().  Bytes from memory that
/// do not decode (another part of the chunk was looked at when they were kept) are dropped by forget(), and the store
/// is asked.
class ChunkBytes {
 public:
  ChunkBytes(const ImageLayout& layout, const LazySession& session, const RunOptions& options) noexcept;

  /// As StoredChunk::open; `chunk` outlives this.
  [[nodiscard]] fetch::FetchState open(const fetch::ChunkAddress& chunk, const Int3& chunk_shape, ChunkError& error);
  /// What a message calls the chunk.
  [[nodiscard]] std::string name() const { return stored_.name(); }

  [[nodiscard]] bool is_cached() const noexcept { return static_cast<bool>(hit_); }
  [[nodiscard]] bool is_copy() const noexcept { return !hit_ && stored_.is_copy(); }
  /// Whether part of the bytes can be had without the rest, and the rest is not wanted for the cache.
  [[nodiscard]] bool permits_ranges() const { return !hit_ && !keeps_ && stored_.is_plain() && !stored_.wants_copy(); }
  /// Whether load may be given a target.
  [[nodiscard]] bool permits_target() const noexcept { return !hit_ && !keeps_; }
  /// Whether the chunk is compressed by gzip and not wanted for the cache, so that its beginning may do.  What came
  /// over a network, or lies here as a copy of such, is checked as a whole.
  [[nodiscard]] bool permits_beginning() const {
    return !hit_ && !keeps_ && stored_.compression() == fetch::ContentEncoding::kGzip && !stored_.is_remote() &&
           !stored_.is_copy() && !stored_.wants_copy();
  }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return stored_.size_bytes(); }

  [[nodiscard]] bool load_stored(std::span<const std::byte>& data, ChunkError& error) {
    return stored_.load_stored(data, error);
  }
  /// As StoredChunk::load.  Afterwards data() is encoded as format() says.
  [[nodiscard]] bool load(const std::optional<decode::ByteRange>& range, std::byte* target, ChunkError& error);

  [[nodiscard]] std::span<const std::byte> data() const noexcept { return data_; }
  [[nodiscard]] const decode::ImageFormat& format() const noexcept { return *format_; }
  [[nodiscard]] const ExternalCodec& codec() const noexcept { return *codec_; }

  void keep();
  void forget() noexcept;
  void discard_copy() const { stored_.discard_copy(); }

 private:
  [[nodiscard]] bool transcode(std::span<const std::byte> stored, ChunkError& error);

  const ImageLayout& layout_;
  const RunOptions& options_;
  StoredChunk stored_;
  ChunkCache* cache_;  // null where nothing is to be kept
  CacheKey key_;
  std::uint64_t ticket_ = 0;
  bool keeps_ = false;
  CacheBlock hit_;
  CacheBlock fresh_;
  Int3 chunk_shape_{};
  std::span<const std::byte> data_;
  decode::ImageFormat raw_;
  const decode::ImageFormat* format_;
  const ExternalCodec* codec_;
};

/// The cache that a layout's chunks are held in, or null where it holds nothing.
[[nodiscard]] ChunkCache* active_cache(const RunOptions& options) noexcept;

/// The same voxels without any encoding.
[[nodiscard]] decode::ImageFormat raw_format(const decode::ImageFormat& format) noexcept;

/// Runs task(index, error) for every index; a task that returns false has filled in `error`, and stops the run.
template <typename Task>
RunResult run_tasks(std::size_t n, int threads, const RunOptions& options, const Task& task) {
  FirstFailure failure;
  options.stopped->store(false, std::memory_order_relaxed);
  const bool completed = parallel_for(
      n, threads,
      [&](std::size_t index) {
        ChunkError error;
        error.index = static_cast<std::int64_t>(index);
        try {
          if (task(error.index, error)) return true;
        } catch (const std::bad_alloc&) {
          error.kind = ErrorKind::kNoMemory;
        }
        // Whoever waits for a server waits in vain.
        options.stopped->store(true, std::memory_order_relaxed);
        if (error.kind != ErrorKind::kCancelled) failure.report(std::move(error));
        return false;
      },
      options.poll);
  return failure.result(completed);
}

/// Whether a chunk of this grid point is held in memory.
[[nodiscard]] bool is_cached(const RunOptions& options, const Int3& grid_point) noexcept;

/// As run_tasks, for tasks that open one chunk each, point_of(index): where they come over a network, all are asked for
/// at once and taken in the order in which they arrive.
template <typename PointOf, typename Task>
RunResult run_fetching(const LazySession& session, std::size_t n, int threads, const RunOptions& options,
                       bool only_existence, const PointOf& point_of, const Task& task) {
  if (!session.is_remote() || n == 0) return run_tasks(n, threads, options, task);
  try {
    session.get().expect({n,
                          [&](std::size_t index, Int3& point) {
                            point = point_of(static_cast<std::int64_t>(index));
                            return only_existence || !is_cached(options, point);
                          },
                          only_existence});
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  return run_tasks(n, threads, options, [&](std::int64_t, ChunkError& error) {
    error.index = session.get().next();
    if (error.index >= 0) return task(error.index, error);
    error.kind = ErrorKind::kCancelled;
    return false;
  });
}

/// As run_tasks over the chunks that a box inside the volume touches, x fastest: task(index, chunk, error).  With a
/// session each task opens its chunk (or, with `only_existence`, looks for it), see run_fetching.
template <typename Task>
RunResult run_chunks(const locate::ChunkGrid& grid, const Box3& box, int threads, const RunOptions& options,
                     const Task& task, const LazySession* session = nullptr, bool only_existence = false) {
  if (box.empty()) return {};
  const Box3 range = grid.grid_range(box);
  const Int3 shape = range.shape();
  const auto n = checked_product({shape[0], shape[1], shape[2]});
  if (!n) return out_of_memory();
  const auto count = static_cast<std::size_t>(*n);
  const auto point_of = [&](std::int64_t index) { return locate::grid_point_at(range, index); };
  const auto one = [&](std::int64_t index, ChunkError& error) {
    return task(index, grid.chunk_box(point_of(index)), error);
  };
  if (session == nullptr) return run_tasks(count, threads, options, one);
  return run_fetching(*session, count, threads, options, only_existence, point_of, one);
}

/// Decodes a box (relative to the chunk) of channels [channel_begin, channel_end) through a map into dst, in the core
/// or by the external codec.  On failure `error` has everything but the chunk's name.
[[nodiscard]] bool decode_chunk(const decode::ImageFormat& format, const ExternalCodec& codec,
                                std::span<const std::byte> data, const std::optional<decode::ByteRange>& range,
                                const Int3& chunk_shape, const Box3& box, std::int64_t channel_begin,
                                std::int64_t channel_end, const paint::VoxelMap& map, std::byte* dst,
                                const Int4& dst_strides, ChunkError& error);

/// Encodes a whole chunk, in the core or by the external codec; `bytes` is the source itself or lies in this thread's
/// scratch.  On failure `error` has everything but the chunk's name.
[[nodiscard]] bool encode_chunk(const decode::ImageFormat& format, const ExternalCodec& codec, const std::byte* src,
                                const Int4& src_strides, const Int3& chunk_shape, std::span<const std::byte>& bytes,
                                ChunkError& error);

/// Threads such that what they hold at once stays within options.max_inflight_bytes.  More of them where each `waits`
/// for a server, one chunk after the other.
[[nodiscard]] int bounded_threads(const ImageLayout& layout, const RunOptions& options, bool waits = false) noexcept;

}  // namespace cvfast::runtime
