// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"

/// The compresso encoding ("cpso", versions 0 and 1, connectivity 4 and 6, any steps): decoding alone.
///
/// Header (36 bytes), the labels of the components, the distinct windows, the locations, and the run-length coded
/// windows: an even word is twice the index of a window, an odd word w is w / 2 times the first window.  A window is a
/// bit mask of xstep * ystep * zstep voxels, in which a one marks a voxel on a boundary.  The other voxels form
/// components, 4-connected in their slice or 6-connected in the chunk, numbered in raster order.  A voxel on a boundary
/// has the label of the voxel before it in x, else in y (else, with connectivity 6, in z), if that is in a component;
/// else the next location says what it is: 0 to 5 the neighbour left, right, above, below, in the slice before, in the
/// slice after; 6 that the next location is the label; others the label plus 7.  Version 1 ends with the number of
/// components of each slice and the first location of each, as differences.
namespace cvfast::decode::compresso {

/// Decodes a box (relative to the chunk, inside it) into dst, whose items have map.output_item_size(item_size) bytes.
///
/// Version 1 decodes the slices of the box alone, version 0 also those before it, connectivity 6 all of the chunk.
/// Where a map makes the same of every label that the file lists for them, nothing is decoded.
/// Memory is bounded by the size of the chunk, whatever the data claim.
/// @return kTruncated, kTrailingBytes, kBadMagic, kBadValue, kOffsetRange, kCorrupt or kUnsupported with the byte
/// offset.
Status decode_box(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                  const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept;

/// Adds the distinct labels of a box to `out` (ascending, no duplicates).  Those of whole slices of version 1, and of a
/// whole chunk, are read off the lists of labels and locations, and not decoded.  May throw std::bad_alloc.
Status unique_box(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                  std::vector<std::uint64_t>& out);

}  // namespace cvfast::decode::compresso
