// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cvfast/core/checked.hpp"
#include "cvfast/fetch/file.hpp"
#include "cvfast/runtime/image_request.hpp"
#include "cvfast/runtime/memory.hpp"
#include "cvfast/runtime/thread_pool.hpp"

/// What reading and writing share: one chunk's bytes from the store, and the bookkeeping of a run.
namespace cvfast::runtime {

/// Buffers of one thread, reused from chunk to chunk and from call to call.
struct ThreadScratch {
  Scratch stored;                    ///< bytes as stored
  Scratch plain;                     ///< a raw chunk after decompression, or a merged chunk
  std::vector<std::byte> inflated;   ///< bytes whose decompressed size is not known in advance
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

/// One stored chunk, opened.
class StoredChunk {
 public:
  StoredChunk(const ImageLayout& layout, const fetch::Folder& folder, const RunOptions& options) noexcept
      : layout_(layout), folder_(folder), options_(options) {}

  /// kData, kMissing (absent, or empty without compression), or kError with `error` filled in.
  [[nodiscard]] fetch::FetchState open(std::string_view name, const Int3& chunk_shape, ChunkError& error);

  /// Whether part of the bytes can be had without the rest.
  [[nodiscard]] bool is_plain() const noexcept { return file_.encoding == fetch::ContentEncoding::kNone; }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return file_.size_bytes; }

  /// Loads the decompressed bytes, or a range of them when the chunk is_plain().  `target`, if given, has room for
  /// them and receives them (the range's or the encoding's fixed size); else they lie in this thread's scratch.
  [[nodiscard]] bool load(const std::optional<decode::ByteRange>& range, std::byte* target,
                          std::span<const std::byte>& data, ChunkError& error);

 private:
  [[nodiscard]] bool fail(ErrorKind kind, Status status, ChunkError& error) const;
  [[nodiscard]] bool fail_io(const fetch::IoError& io, ChunkError& error) const;

  const ImageLayout& layout_;
  const fetch::Folder& folder_;
  const RunOptions& options_;
  fetch::OpenedFile file_;
  std::string_view name_;
  Int3 chunk_shape_{};
};

/// Runs task(index, error) for every index; a task that returns false has filled in `error`, and stops the run.
template <typename Task>
RunResult run_tasks(std::size_t n, int threads, const RunOptions& options, const Task& task) {
  FirstFailure failure;
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
        failure.report(std::move(error));
        return false;
      },
      options.poll);
  return failure.result(completed);
}

/// As run_tasks over the chunks that a box inside the volume touches, x fastest: task(index, chunk, error).
template <typename Task>
RunResult run_chunks(const locate::ChunkGrid& grid, const Box3& box, int threads, const RunOptions& options,
                     const Task& task) {
  if (box.empty()) return {};
  const Box3 range = grid.grid_range(box);
  const Int3 shape = range.shape();
  const auto n = checked_product({shape[0], shape[1], shape[2]});
  if (!n) return out_of_memory();
  return run_tasks(static_cast<std::size_t>(*n), threads, options, [&](std::int64_t index, ChunkError& error) {
    return task(index, grid.chunk_box(locate::grid_point_at(range, index)), error);
  });
}

/// Decodes a box (relative to the chunk) of channels [channel_begin, channel_end) through a map into dst, in the core
/// or by the layout's external codec.  On failure `error` has everything but the chunk's name.
[[nodiscard]] bool decode_chunk(const ImageLayout& layout, const RunOptions& options, std::span<const std::byte> data,
                                const std::optional<decode::ByteRange>& range, const Int3& chunk_shape,
                                const Box3& box, std::int64_t channel_begin, std::int64_t channel_end,
                                const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides,
                                ChunkError& error);

/// Threads such that what they hold at once stays within options.max_inflight_bytes.
[[nodiscard]] int bounded_threads(const ImageLayout& layout, const RunOptions& options) noexcept;

}  // namespace cvfast::runtime
