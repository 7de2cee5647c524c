// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "chunk_io.hpp"
#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/runtime/image_request.hpp"

namespace cvfast::runtime {

/// Compresses bytes encoded in a format; `bytes` is `encoded` itself or lies in this thread's scratch.  On failure
/// `error` has everything but the chunk's name.
[[nodiscard]] bool compress_chunk(const decode::ImageFormat& format, fetch::ContentEncoding compression, int level,
                                  const RunOptions& options, std::span<const std::byte> encoded,
                                  std::span<const std::byte>& bytes, ChunkError& error);

/// Puts whole chunks into a layout's store, from any of the three forms that they pass through, and tells the cache.
class ChunkWriter {
 public:
  struct Settings {
    fetch::ContentEncoding compression = fetch::ContentEncoding::kNone;
    int level = 9;
    bool sync = false;
    bool merges_groups = true;  ///< chunks that share an object with the written ones stay
  };

  ChunkWriter(const ImageLayout& layout, const Settings& settings, const RunOptions& options)
      : layout_(layout),
        settings_(settings),
        options_(options),
        session_(layout.store->write(settings.merges_groups, fetch::Attention(options.poll, options.stopped))) {}

  /// `waits`: until the chunk is replaced, also where others may be replaced later.
  [[nodiscard]] bool put_voxels(const Box3& chunk, const fetch::ChunkAddress& at, const std::byte* src,
                                const Int4& strides, bool waits, ChunkError& error) const;
  [[nodiscard]] bool put_encoded(const Box3& chunk, const fetch::ChunkAddress& at, std::span<const std::byte> encoded,
                                 ChunkError& error) const;
  /// Bytes that are compressed already, in a way of their own.
  [[nodiscard]] bool put_stored(const Box3& chunk, const fetch::ChunkAddress& at, fetch::ContentEncoding compression,
                                std::span<const std::byte> stored, ChunkError& error) const;
  [[nodiscard]] bool remove(const Box3& chunk, const fetch::ChunkAddress& at, ChunkError& error) const;
  /// Flushes the folder's entries, after puts with sync.
  [[nodiscard]] bool sync_entries(ChunkError& error) const;

  /// Runs task(index, chunk, error) for the chunks of a box inside the volume: all at once, or where they share
  /// objects, object after object.  The task puts or removes its chunk; if it opens one of the same grid point first,
  /// that is by the session `source`.
  template <typename Task>
  RunResult run(const Box3& box, int threads, const Task& task, const LazySession* source = nullptr);

 private:
  class CacheUpdate;
  [[nodiscard]] bool compress_and_put(const fetch::ChunkAddress& at, std::span<const std::byte> encoded, bool waits,
                                      ChunkError& error) const;
  [[nodiscard]] bool put(const fetch::ChunkAddress& at, fetch::ContentEncoding compression,
                         std::span<const std::byte> bytes, bool waits, ChunkError& error) const;
  /// Waits for what was put and removed; chunks of `box` are no longer what they were.
  [[nodiscard]] RunResult finish(const Box3& box, RunResult result) const;

  const ImageLayout& layout_;
  Settings settings_;
  const RunOptions& options_;
  std::unique_ptr<fetch::ChunkSession> session_;

  [[nodiscard]] RunState begin(const fetch::WriteGroup& group, ChunkError& error);
  [[nodiscard]] bool commit(const fetch::WriteGroup& group, ChunkError& error);
};

template <typename Task>
RunResult ChunkWriter::run(const Box3& box, int threads, const Task& task, const LazySession* source) {
  if (!layout_.store->writes_in_groups()) {
    return finish(box, run_chunks(layout_.grid, box, threads, options_, task, source));
  }
  if (box.empty()) return {};
  try {
    std::int64_t first = 0;
    for (const fetch::WriteGroup& group : layout_.store->groups(layout_.grid.grid_range(box))) {
      ChunkError error;
      if (const RunState state = begin(group, error); state != RunState::kDone) {
        if (state == RunState::kCancelled) return {state, std::nullopt};
        return {state, std::move(error)};
      }
      RunResult result =
          run_tasks(group.grid_points.size(), threads, options_, [&](std::int64_t index, ChunkError& chunk_error) {
            chunk_error.index = first + index;
            return task(first + index, layout_.grid.chunk_box(group.grid_points[static_cast<std::size_t>(index)]),
                        chunk_error);
          });
      if (result.state != RunState::kDone) return result;
      if (!commit(group, error)) {
        if (error.kind == ErrorKind::kCancelled) return {RunState::kCancelled, std::nullopt};
        return {RunState::kFailed, std::move(error)};
      }
      first += static_cast<std::int64_t>(group.grid_points.size());
    }
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  return finish(box, {});
}

}  // namespace cvfast::runtime
