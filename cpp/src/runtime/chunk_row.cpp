// SPDX-License-Identifier: BSD-3-Clause
#include "chunk_row.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "cvfast/paint/side_by_side.hpp"

namespace cvfast::runtime {
namespace {

// Each holds a descriptor.
constexpr std::int64_t kMaxChunks = 16;
constexpr std::int64_t kJoinedRowBytes = 512;
static_assert(kJoinedRowBytes <= static_cast<std::int64_t>(paint::kMaxJoinedRowBytes));
// Read of one chunk at a time: more costs cache, less costs system calls.
constexpr std::int64_t kPieceBytes = std::int64_t{64} << 10;
constexpr std::int64_t kRowsPerThread = 8;

// The same place in two pieces must not fall into the same set of a cache.
constexpr std::size_t kPieceGap = 320;

struct OpenChunk {
  Box3 box;
  Box3 part;  // of it that is wanted, within it
  StoredChunk stored;
};

}  // namespace

ChunkRows::ChunkRows(const ImageLayout& layout, const LazySession& session, const ReadRequest& request,
                     const Box3& inside, const RunOptions& options, const Int4& dst_strides) noexcept
    : layout_(layout),
      session_(session),
      request_(request),
      inside_(inside),
      options_(options),
      strides_(dst_strides),
      range_(layout.grid.grid_range(inside)) {
  const std::int64_t row_items = kJoinedRowBytes / item_size();
  per_row_ = std::clamp<std::int64_t>(row_items / layout.grid.chunk_size[0], 1, kMaxChunks);
  groups_ = range_.shape();
  groups_[0] = (groups_[0] + per_row_ - 1) / per_row_;
}

bool ChunkRows::suits(int threads) const noexcept {
  if (layout_.format.encoding != decode::Encoding::kRaw || request_.map.op != paint::VoxelOp::kCopy) return false;
  if (session_.is_remote() || layout_.source != nullptr || active_cache(options_) != nullptr) return false;
  if (strides_[0] != item_size() || per_row_ < 2 || range_.shape()[0] < 2) return false;
  if (strides_[1] < 0 || strides_[2] < 0) return false;
  const Int3 shape = inside_.shape();
  const std::int64_t span = (shape[1] - 1) * strides_[1] + (shape[2] - 1) * strides_[2];
  if (!paint::gains_from_joining(static_cast<std::size_t>(layout_.grid.chunk_size[0] * item_size()), span)) {
    return false;
  }
  const auto n = checked_product({groups_[0], groups_[1], groups_[2]});
  return n && *n >= threads * kRowsPerThread;
}

Box3 ChunkRows::at(std::int64_t index) const noexcept {
  const Int3 group{index % groups_[0], index / groups_[0] % groups_[1], index / groups_[0] / groups_[1]};
  Box3 row;
  row.min = {range_.min[0] + group[0] * per_row_, range_.min[1] + group[1], range_.min[2] + group[2]};
  row.max = {std::min(row.min[0] + per_row_, range_.max[0]), row.min[1] + 1, row.min[2] + 1};
  return row;
}

bool ChunkRows::read(const Box3& row, std::byte* dst) const {
  std::array<std::optional<OpenChunk>, kMaxChunks> open;
  const auto count = static_cast<std::size_t>(row.max[0] - row.min[0]);
  ChunkError ignored;
  for (std::size_t i = 0; i < count; ++i) {
    const Box3 box = layout_.grid.chunk_box({row.min[0] + static_cast<std::int64_t>(i), row.min[1], row.min[2]});
    const Box3 wanted = intersect(box, inside_);
    OpenChunk& chunk = open[i].emplace(OpenChunk{box, wanted, StoredChunk(layout_, session_, options_)});
    const NamedChunk named(layout_.grid, box);
    if (chunk.stored.open(named.address(), box.shape(), ignored) != fetch::FetchState::kData) return false;
    if (!chunk.stored.is_plain()) return false;
  }

  const Int3 extent = open[0]->part.shape();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    dst += (open[0]->part.min[axis] - request_.box.min[axis]) * strides_[axis];
  }
  std::int64_t layer_bytes = 1;  // of the widest chunk; the stored ones are as long as their shapes say
  for (std::size_t i = 0; i < count; ++i) {
    const Int3 shape = open[i]->box.shape();
    layer_bytes = std::max(layer_bytes, shape[0] * shape[1] * item_size());
  }
  const std::int64_t layers = std::clamp<std::int64_t>(kPieceBytes / layer_bytes, 1, extent[2]);
  const std::size_t piece_bytes = static_cast<std::size_t>(layers * layer_bytes) + kPieceGap;
  std::byte* const pieces = thread_scratch().plain.get(count * piece_bytes);
  if (pieces == nullptr) return false;

  std::array<paint::BoxRows, kMaxChunks> rows;
  for (std::int64_t channel = request_.channel_begin; channel < request_.channel_end; ++channel) {
    for (std::int64_t z = 0; z < extent[2]; z += layers) {
      const std::int64_t depth = std::min(layers, extent[2] - z);
      for (std::size_t i = 0; i < count; ++i) {
        const OpenChunk& chunk = *open[i];
        const Int3 shape = chunk.box.shape();
        Box3 piece;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          piece.min[axis] = chunk.part.min[axis] - chunk.box.min[axis];
          piece.max[axis] = chunk.part.max[axis] - chunk.box.min[axis];
        }
        piece.min[2] += z;
        piece.max[2] = piece.min[2] + depth;
        const auto range = decode::box_byte_range(layout_.format, shape, piece, channel, channel + 1);
        std::span<const std::byte> bytes;
        if (!open[i]->stored.load(range, pieces + i * piece_bytes, bytes, ignored)) return false;
        rows[i] = {bytes.data(), shape[0] * item_size(), shape[0] * shape[1] * item_size(),
                   static_cast<std::size_t>((piece.max[0] - piece.min[0]) * item_size())};
      }
      paint::copy_side_by_side({rows.data(), count}, extent[1], depth,
                               dst + (channel - request_.channel_begin) * strides_[3] + z * strides_[2], strides_[1],
                               strides_[2]);
    }
  }
  return true;
}

}  // namespace cvfast::runtime
