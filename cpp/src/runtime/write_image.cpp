// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/write_image.hpp"

#include <functional>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "chunk_io.hpp"
#include "chunk_writer.hpp"
#include "cvfast/core/checked.hpp"
#include "cvfast/paint/copy_box.hpp"

namespace cvfast::runtime {
namespace {

using fetch::FetchState;

class Writer {
 public:
  Writer(const ImageLayout& layout, const WriteRequest& request, const RunOptions& options)
      : layout_(layout),
        request_(request),
        options_(options),
        session_(layout, options),
        chunks_(layout, {request.compression, request.compression_level, request.sync, request.merge_objects},
                options) {}

  [[nodiscard]] ChunkWriter& chunks() noexcept { return chunks_; }

  bool write(const Box3& chunk, const std::byte* src, const Int4& src_strides, ChunkError& error) const {
    const NamedChunk named(layout_.grid, chunk);
    const fetch::ChunkAddress& at = named.address();
    const Box3 part = intersect(chunk, request_.box);
    std::int64_t offset = 0;
    for (int i = 0; i < 3; ++i) offset += (part.min[i] - request_.box.min[i]) * src_strides[i];
    if (part == chunk) return put(chunk, at, src + offset, src_strides, false, error);

    // Two calls that each change a part of this chunk must not both start from the old one.
    std::optional<ObjectLock> lock;
    if (request_.partial == PartialChunks::kMerge) {
      lock.emplace(std::hash<std::string>{}(layout_.folder + '/' + std::string(at.name)));
    }
    const Int3 shape = chunk.shape();
    const auto bytes =
        checked_product({shape[0], shape[1], shape[2], layout_.format.num_channels, layout_.format.item_size});
    Scratch whole;
    std::byte* const merged = bytes ? whole.get(static_cast<std::size_t>(*bytes)) : nullptr;
    if (merged == nullptr) {
      error.kind = ErrorKind::kNoMemory;
      error.name = std::string(at.name);
      error.status = {Code::kNoMemory, 0, static_cast<std::uint64_t>(bytes.value_or(0)), 0};
      return false;
    }
    const Int4 strides = fortran_strides(shape, layout_.format.item_size);
    if (!load(at, shape, merged, strides, error)) return false;
    const Int3 part_shape = part.shape();
    std::int64_t start = 0;
    for (int i = 0; i < 3; ++i) start += (part.min[i] - chunk.min[i]) * strides[i];
    paint::copy_box(src + offset, src_strides, merged + start, strides,
                    {part_shape[0], part_shape[1], part_shape[2], layout_.format.num_channels},
                    static_cast<std::size_t>(layout_.format.item_size));
    return put(chunk, at, merged, strides, true, error);
  }

 private:
  // The chunk as it is stored, or background.
  bool load(const fetch::ChunkAddress& at, const Int3& shape, std::byte* out, const Int4& strides,
            ChunkError& error) const {
    const Int4 shape4{shape[0], shape[1], shape[2], layout_.format.num_channels};
    const auto item_size = static_cast<std::size_t>(layout_.format.item_size);
    if (request_.partial == PartialChunks::kMerge) {
      StoredChunk stored(layout_, session_, options_);
      const FetchState state = stored.open(at, shape, error);
      if (state == FetchState::kError) return false;
      if (state == FetchState::kData) {
        std::span<const std::byte> data;
        if (!stored.load(std::nullopt, nullptr, data, error)) return false;
        if (decode_chunk(layout_.format, options_.codec, data, std::nullopt, shape, {{0, 0, 0}, shape}, 0,
                         layout_.format.num_channels, {}, out, strides, error)) {
          return true;
        }
        error.name = stored.name();
        return false;
      }
      if (!request_.fill_missing) {
        error.kind = ErrorKind::kMissing;
        error.name = stored.name();
        return false;
      }
    }
    paint::fill_box(out, strides, shape4, item_size, request_.background.data());
    return true;
  }

  bool put(const Box3& chunk, const fetch::ChunkAddress& at, const std::byte* src, const Int4& src_strides, bool waits,
           ChunkError& error) const {
    if (request_.delete_background) {
      const Int3 shape = chunk.shape();
      const Int4 shape4{shape[0], shape[1], shape[2], layout_.format.num_channels};
      if (paint::box_equals(src, src_strides, shape4, static_cast<std::size_t>(layout_.format.item_size),
                            request_.background.data())) {
        return chunks_.remove(chunk, at, error);
      }
    }
    return chunks_.put_voxels(chunk, at, src, src_strides, waits, error);
  }

  const ImageLayout& layout_;
  const WriteRequest& request_;
  const RunOptions& options_;
  LazySession session_;
  ChunkWriter chunks_;
};

}  // namespace

RunResult write_image(const ImageLayout& layout, const WriteRequest& request, const std::byte* src,
                      const Int4& src_strides, const RunOptions& options, Progress& progress) {
  Writer writer(layout, request, options);
  // Partial chunks are read before they are written, each by its thread.
  const bool waits = layout.store->is_remote() && request.partial == PartialChunks::kMerge;
  RunResult result = writer.chunks().run(
      request.box, bounded_threads(layout, options, waits), [&](std::int64_t, const Box3& chunk, ChunkError& error) {
        const bool good = writer.write(chunk, src, src_strides, error);
        thread_scratch().trim();
        if (!good) return false;
        const Int3 shape = intersect(chunk, request.box).shape();
        progress.chunks.fetch_add(1, std::memory_order_relaxed);
        progress.bytes.fetch_add(static_cast<std::uint64_t>(shape[0] * shape[1] * shape[2] *
                                                            layout.format.num_channels * layout.format.item_size),
                                 std::memory_order_relaxed);
        return true;
      });
  if (request.sync && result.state == RunState::kDone) {
    ChunkError error;
    if (!writer.chunks().sync_entries(error)) {
      result = {RunState::kFailed, std::move(error)};
    }
  }
  return result;
}

RunResult encode_image(const ImageLayout& layout, const WriteRequest& request, const std::byte* src,
                       const Int4& src_strides, std::vector<EncodedChunk>& out, const RunOptions& options,
                       Progress& progress) {
  out.clear();
  if (request.box.empty()) return {};
  const Int3 grid = layout.grid.grid_range(request.box).shape();
  const auto n = checked_product({grid[0], grid[1], grid[2]});
  if (!n || static_cast<std::uint64_t>(*n) > out.max_size()) return out_of_memory();
  try {
    out.resize(static_cast<std::size_t>(*n));
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  return run_chunks(layout.grid, request.box, bounded_threads(layout, options), options,
                    [&](std::int64_t index, const Box3& chunk, ChunkError& error) {
                      EncodedChunk& encoded = out[static_cast<std::size_t>(index)];
                      encoded.grid_point = layout.grid.grid_point(chunk.min);
                      std::int64_t offset = 0;
                      for (int i = 0; i < 3; ++i) offset += (chunk.min[i] - request.box.min[i]) * src_strides[i];
                      const Int3 shape = chunk.shape();
                      const Int4 shape4{shape[0], shape[1], shape[2], layout.format.num_channels};
                      progress.chunks.fetch_add(1, std::memory_order_relaxed);
                      progress.bytes.fetch_add(static_cast<std::uint64_t>(shape4[0] * shape4[1] * shape4[2] *
                                                                          shape4[3] * layout.format.item_size),
                                               std::memory_order_relaxed);
                      encoded.is_background = request.delete_background &&
                                              paint::box_equals(src + offset, src_strides, shape4,
                                                                static_cast<std::size_t>(layout.format.item_size),
                                                                request.background.data());
                      if (encoded.is_background) return true;
                      std::span<const std::byte> plain;
                      std::span<const std::byte> bytes;
                      const int level = request.compression_level;
                      if (!encode_chunk(layout.format, options.codec, src + offset, src_strides, shape, plain, error) ||
                          !compress_chunk(layout.format, request.compression, level, options, plain, bytes, error)) {
                        error.name = std::string(NamedChunk(layout.grid, chunk).address().name);
                        return false;
                      }
                      encoded.bytes.assign(bytes.begin(), bytes.end());
                      thread_scratch().trim();
                      return true;
                    });
}

RunResult delete_chunks(const ImageLayout& layout, const Box3& box, const RunOptions& options) {
  ChunkWriter writer(layout, {}, options);
  const int threads = options.threads > 0 ? options.threads : default_threads();
  return writer.run(intersect(box, layout.grid.bounds()), threads,
                    [&](std::int64_t, const Box3& chunk, ChunkError& error) {
                      return writer.remove(chunk, NamedChunk(layout.grid, chunk).address(), error);
                    });
}

}  // namespace cvfast::runtime
