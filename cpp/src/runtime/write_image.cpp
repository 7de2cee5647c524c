// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/write_image.hpp"

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "chunk_io.hpp"
#include "cvfast/core/checked.hpp"
#include "cvfast/decode/gzip.hpp"
#include "cvfast/paint/copy_box.hpp"

namespace cvfast::runtime {
namespace {

using fetch::FetchState;

class Writer {
 public:
  Writer(const ImageLayout& layout, const WriteRequest& request, const RunOptions& options)
      : layout_(layout), request_(request), options_(options), folder_(layout.folder) {}

  [[nodiscard]] const fetch::Folder& folder() const noexcept { return folder_; }

  bool write(const Box3& chunk, const std::byte* src, const Int4& src_strides, ChunkError& error) const {
    char buffer[locate::kChunkNameBytes];
    const std::string_view name = locate::chunk_name(chunk, buffer);
    const Box3 part = intersect(chunk, request_.box);
    std::int64_t offset = 0;
    for (int i = 0; i < 3; ++i) offset += (part.min[i] - request_.box.min[i]) * src_strides[i];
    if (part == chunk) return put(name, chunk.shape(), src + offset, src_strides, error);

    // Two calls that each change a part of this chunk must not both start from the old one.
    std::optional<ObjectLock> lock;
    if (request_.partial == PartialChunks::kMerge) {
      lock.emplace(std::hash<std::string>{}(layout_.folder + '/' + std::string(name)));
    }
    const Int3 shape = chunk.shape();
    const auto bytes = checked_product(
        {shape[0], shape[1], shape[2], layout_.format.num_channels, layout_.format.item_size});
    Scratch whole;
    std::byte* const merged = bytes ? whole.get(static_cast<std::size_t>(*bytes)) : nullptr;
    if (merged == nullptr) {
      error.kind = ErrorKind::kNoMemory;
      error.name = std::string(name);
      error.status = {Code::kNoMemory, 0, static_cast<std::uint64_t>(bytes.value_or(0)), 0};
      return false;
    }
    const Int4 strides = fortran_strides(shape, layout_.format.item_size);
    if (!load(name, shape, merged, strides, error)) return false;
    const Int3 part_shape = part.shape();
    std::int64_t at = 0;
    for (int i = 0; i < 3; ++i) at += (part.min[i] - chunk.min[i]) * strides[i];
    paint::copy_box(src + offset, src_strides, merged + at, strides,
                    {part_shape[0], part_shape[1], part_shape[2], layout_.format.num_channels},
                    static_cast<std::size_t>(layout_.format.item_size));
    return put(name, shape, merged, strides, error);
  }

 private:
  // The chunk as it is stored, or background.
  bool load(std::string_view name, const Int3& shape, std::byte* out, const Int4& strides,
            ChunkError& error) const {
    const Int4 shape4{shape[0], shape[1], shape[2], layout_.format.num_channels};
    const auto item_size = static_cast<std::size_t>(layout_.format.item_size);
    if (request_.partial == PartialChunks::kMerge) {
      StoredChunk stored(layout_, folder_, options_);
      const FetchState state = stored.open(name, shape, error);
      if (state == FetchState::kError) return false;
      if (state == FetchState::kData) {
        std::span<const std::byte> data;
        if (!stored.load(std::nullopt, nullptr, data, error)) return false;
        if (decode_chunk(layout_, options_, data, std::nullopt, shape, {{0, 0, 0}, shape}, 0,
                         layout_.format.num_channels, {}, out, strides, error)) {
          return true;
        }
        error.name = std::string(name);
        return false;
      }
      if (!request_.fill_missing) {
        error.kind = ErrorKind::kMissing;
        error.name = std::string(name);
        return false;
      }
    }
    paint::fill_box(out, strides, shape4, item_size, request_.background.data());
    return true;
  }

  bool put(std::string_view name, const Int3& shape, const std::byte* src, const Int4& src_strides,
           ChunkError& error) const {
    error.name = std::string(name) + fetch::suffix(request_.compression);
    error.kind = ErrorKind::kIo;
    if (request_.delete_background) {
      const Int4 shape4{shape[0], shape[1], shape[2], layout_.format.num_channels};
      if (paint::box_equals(src, src_strides, shape4, static_cast<std::size_t>(layout_.format.item_size),
                            request_.background.data())) {
        return folder_.remove(name, error.io);
      }
    }
    ThreadScratch& scratch = thread_scratch();
    std::span<const std::byte> bytes;
    Status status;
    if (layout_.format.encoding == decode::Encoding::kExternal) {
      error.kind = ErrorKind::kEncode;
      error.detail = options_.codec.encode(src, src_strides, shape, scratch.encoded);
      if (!error.detail.empty()) return false;
      error.kind = ErrorKind::kIo;
      bytes = scratch.encoded;
    } else {
      status = decode::encode_chunk(layout_.format, src, src_strides, shape, scratch.encoded, bytes);
    }
    if (status.ok() && request_.compression == fetch::ContentEncoding::kGzip) {
      status = decode::gzip::compress(bytes, request_.compression_level, scratch.compressed);
      bytes = scratch.compressed;
    } else if (status.ok() && request_.compression != fetch::ContentEncoding::kNone) {
      error.detail = options_.compress(request_.compression, bytes, request_.compression_level,
                                       scratch.compressed);
      if (!error.detail.empty()) {
        error.kind = ErrorKind::kCompress;
        return false;
      }
      bytes = scratch.compressed;
    }
    if (!status.ok()) {
      error.kind = ErrorKind::kEncode;
      error.status = status;
      return false;
    }
    return folder_.put(name, request_.compression, bytes.data(), bytes.size(), request_.sync, error.io);
  }

  const ImageLayout& layout_;
  const WriteRequest& request_;
  const RunOptions& options_;
  fetch::Folder folder_;
};

}  // namespace

RunResult write_image(const ImageLayout& layout, const WriteRequest& request, const std::byte* src,
                      const Int4& src_strides, const RunOptions& options, Progress& progress) {
  const Writer writer(layout, request, options);
  RunResult result = run_chunks(
      layout.grid, request.box, bounded_threads(layout, options), options,
      [&](std::int64_t, const Box3& chunk, ChunkError& error) {
        const bool good = writer.write(chunk, src, src_strides, error);
        thread_scratch().trim();
        if (!good) return false;
        const Int3 shape = intersect(chunk, request.box).shape();
        progress.chunks.fetch_add(1, std::memory_order_relaxed);
        progress.bytes.fetch_add(
            static_cast<std::uint64_t>(shape[0] * shape[1] * shape[2] * layout.format.num_channels *
                                       layout.format.item_size),
            std::memory_order_relaxed);
        return true;
      });
  if (request.sync && result.state == RunState::kDone) {
    ChunkError error;
    if (!writer.folder().sync_entries(error.io)) {
      result = {RunState::kFailed, std::move(error)};
    }
  }
  return result;
}

RunResult delete_chunks(const ImageLayout& layout, const Box3& box, const RunOptions& options) {
  const fetch::Folder folder(layout.folder);
  const int threads = options.threads > 0 ? options.threads : default_threads();
  return run_chunks(layout.grid, intersect(box, layout.grid.bounds()), threads, options,
                    [&](std::int64_t, const Box3& chunk, ChunkError& error) {
                      char buffer[locate::kChunkNameBytes];
                      const std::string_view name = locate::chunk_name(chunk, buffer);
                      error.kind = ErrorKind::kIo;
                      error.name = std::string(name);
                      return folder.remove(name, error.io);
                    });
}

}  // namespace cvfast::runtime
