// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"

/// The compressed_segmentation encoding of Neuroglancer (src/sliceview/compressed_segmentation/README.md).
///
/// A file is a table of uint32 channel offsets, in 32-bit words, then per channel: one 8-byte header per sub-block
/// (word 0: lookup table offset in bits 0..23, bits per voxel in 24..31; word 1: offset of the packed values; both in
/// 32-bit words from the start of the channel), packed indices, and lookup tables that sub-blocks may share.
namespace cvfast::decode::compressed_segmentation {

struct Geometry {
  Int3 chunk_shape{};             ///< voxels, positive
  Int3 block_shape{8, 8, 8};      ///< voxels of a sub-block, positive
  std::int64_t num_channels = 1;  ///< positive
  std::int64_t item_size = 8;     ///< bytes of a label: 4 or 8
};

/// Decodes the voxels of `box` (relative to the chunk, inside it) of channels [channel_begin, channel_end) into dst.
///
/// Only the sub-blocks that intersect the box are touched, and only their words are checked.  dst points at the voxel
/// box.min of channel_begin; its items have map.output_item_size(item_size) bytes.
/// @return kTruncated, kOffsetRange or kBadValue with the byte offset of the offending word.
Status decode_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, const paint::VoxelMap& map, std::byte* dst,
                  const Int4& dst_strides) noexcept;

/// How many bytes from the beginning of a chunk of one channel decode_box may look at, as far as `beginning` tells:
/// where it ends before the sub-blocks' headers do, the end of those.  More than there are where a table is the last.
[[nodiscard]] std::uint64_t box_end(std::span<const std::byte> beginning, const Geometry& geometry,
                                    const Box3& box) noexcept;

/// Adds the distinct labels of a box to `out` (ascending, no duplicates) from the sub-blocks' tables and indices.
/// May throw std::bad_alloc.
Status unique_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, std::vector<std::uint64_t>& out);

/// Encodes a whole chunk, appending to `out` (cleared first).  Identical lookup tables of a channel are stored once;
/// table entries ascend; padding voxels of boundary sub-blocks have index 0.
/// @return kOverflow when a lookup table would start past word 2^24 - 1.  May throw std::bad_alloc.
Status encode(const std::byte* src, const Int4& src_strides, const Geometry& geometry, std::vector<std::byte>& out);

/// The size that no valid encoding of such a chunk exceeds, tables unshared; used as the limit of a gzip layer.
[[nodiscard]] std::uint64_t max_encoded_bytes(const Geometry& geometry) noexcept;

}  // namespace cvfast::decode::compressed_segmentation
