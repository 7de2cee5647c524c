// SPDX-License-Identifier: BSD-3-Clause
//
// Chunks pass from folder to folder in the cheapest form that is right: as they are stored, where neither encoding nor
// compression changes; decompressed, where only the compression does; as voxels otherwise.
#include "cvfast/runtime/transfer_image.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

#include "chunk_io.hpp"
#include "chunk_writer.hpp"
#include "cvfast/core/checked.hpp"

namespace cvfast::runtime {
namespace {

using fetch::FetchState;

class Transfer {
 public:
  Transfer(const ImageLayout& source, const ImageLayout& destination, const TransferRequest& request,
           const RunOptions& options, const RunOptions& destination_options)
      : source_(source),
        request_(request),
        options_(options),
        session_(source, destination_options, true),
        destination_(destination),
        writer_(destination,
                {request.compression.value_or(fetch::ContentEncoding::kNone), request.compression_level, request.sync},
                destination_options) {}

  [[nodiscard]] ChunkWriter& writer() noexcept { return writer_; }
  [[nodiscard]] const LazySession& source_session() const noexcept { return session_; }

  bool operator()(const Box3& chunk, ChunkError& error) const {
    const NamedChunk from(source_.grid, chunk);
    const NamedChunk to(destination_.grid, chunk);
    StoredChunk stored(source_, session_, options_);
    const FetchState state = stored.open(from.address(), chunk.shape(), error);
    if (state == FetchState::kError) return false;
    if (state == FetchState::kMissing) {
      if (!request_.fill_missing) {
        error.kind = ErrorKind::kMissing;
        error.name = stored.name();
        return false;
      }
      error.in_destination = true;
      return writer_.remove(chunk, to.address(), error);
    }
    if (request_.copy_bytes && request_.compression.value_or(stored.compression()) == stored.compression()) {
      return copy(stored, chunk, to.address(), error);
    }
    std::span<const std::byte> data;
    if (!stored.load(std::nullopt, nullptr, data, error)) return false;
    if (request_.copy_bytes) {
      error.in_destination = true;
      return writer_.put_encoded(chunk, to.address(), data, error);
    }
    return transcode(stored, data, chunk, to.address(), error);
  }

  [[nodiscard]] bool sync_entries(ChunkError& error) const {
    error.in_destination = true;
    return writer_.sync_entries(error);
  }

 private:
  bool copy(StoredChunk& stored, const Box3& chunk, const fetch::ChunkAddress& to, ChunkError& error) const {
    std::span<const std::byte> data;
    if (!stored.load_stored(data, error)) return false;
    if (data.empty()) {
      // No compressor writes nothing: a file of an interrupted write, which is not passed on.
      error.kind = ErrorKind::kDecompress;
      error.name = stored.name();
      error.status = {Code::kTruncated, 0, 1, 0};
      return false;
    }
    error.in_destination = true;
    return writer_.put_stored(chunk, to, stored.compression(), data, error);
  }

  bool transcode(const StoredChunk& stored, std::span<const std::byte> data, const Box3& chunk,
                 const fetch::ChunkAddress& to, ChunkError& error) const {
    const Int3 shape = chunk.shape();
    const auto size = decode::fixed_chunk_bytes(raw_format(source_.format), shape);
    std::byte* const voxels = size ? thread_scratch().voxels.get(*size) : nullptr;
    if (voxels == nullptr) throw std::bad_alloc();
    const Int4 strides = fortran_strides(shape, source_.format.item_size);
    if (!decode_chunk(source_.format, options_.codec, data, std::nullopt, shape, {{0, 0, 0}, shape}, 0,
                      source_.format.num_channels, {}, voxels, strides, error)) {
      error.name = stored.name();
      return false;
    }
    error.in_destination = true;
    return writer_.put_voxels(chunk, to, voxels, strides, false, error);
  }

  const ImageLayout& source_;
  const TransferRequest& request_;
  const RunOptions& options_;
  LazySession session_;
  const ImageLayout& destination_;
  ChunkWriter writer_;
};

}  // namespace

RunResult transfer_chunks(const ImageLayout& source, const ImageLayout& destination, const TransferRequest& request,
                          const RunOptions& options, const RunOptions& destination_options, Progress& progress) {
  Transfer transfer(source, destination, request, options, destination_options);
  RunResult result = transfer.writer().run(
      request.box, bounded_threads(source, options), [&](std::int64_t, const Box3& chunk, ChunkError& error) {
        const bool good = transfer(chunk, error);
        thread_scratch().trim();
        if (!good) return false;
        const Int3 shape = chunk.shape();
        progress.chunks.fetch_add(1, std::memory_order_relaxed);
        progress.bytes.fetch_add(static_cast<std::uint64_t>(shape[0] * shape[1] * shape[2] *
                                                            source.format.num_channels * source.format.item_size),
                                 std::memory_order_relaxed);
        return true;
      });
  if (request.sync && result.state == RunState::kDone) {
    ChunkError error;
    if (!transfer.sync_entries(error)) result = {RunState::kFailed, std::move(error)};
  }
  return result;
}

RunResult read_files(const ImageLayout& layout, const Box3& box, bool decompress, std::vector<ChunkFile>& out,
                     const RunOptions& options, Progress& progress) {
  const Box3 inside = intersect(box, layout.grid.bounds());
  out.clear();
  if (inside.empty()) return {};
  const Int3 grid = layout.grid.grid_range(inside).shape();
  const auto n = checked_product({grid[0], grid[1], grid[2]});
  if (!n) return out_of_memory();
  try {
    out.resize(static_cast<std::size_t>(*n));
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::length_error&) {
    return out_of_memory();
  }
  const LazySession session(layout, options);
  return run_chunks(
      layout.grid, inside, bounded_threads(layout, options), options,
      [&](std::int64_t index, const Box3& chunk, ChunkError& error) {
        const NamedChunk named(layout.grid, chunk);
        ChunkFile& file = out[static_cast<std::size_t>(index)];
        file.name = std::string(named.address().name);
        StoredChunk stored(layout, session, options);
        std::span<const std::byte> data;
        const auto get = [&] {
          const FetchState state = stored.open(named.address(), chunk.shape(), error);
          if (state != FetchState::kData) return state;
          const bool good =
              decompress ? stored.load(std::nullopt, nullptr, data, error) : stored.load_stored(data, error);
          return good ? FetchState::kData : FetchState::kError;
        };
        FetchState state = get();
        if (state == FetchState::kError && stored.is_copy()) {
          stored.discard_copy();
          const std::int64_t number = error.index;
          error = {};
          error.index = number;
          state = get();
        }
        if (state != FetchState::kData) return state == FetchState::kMissing;
        if (!decompress) file.name += fetch::suffix(stored.compression());
        file.exists = true;
        file.bytes.assign(reinterpret_cast<const char*>(data.data()), data.size());
        if (stored.wants_copy()) stored.keep_copy();
        progress.chunks.fetch_add(1, std::memory_order_relaxed);
        progress.bytes.fetch_add(file.bytes.size(), std::memory_order_relaxed);
        thread_scratch().trim();
        return true;
      },
      &session);
}

}  // namespace cvfast::runtime
