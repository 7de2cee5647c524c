// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"

/// The crackle encoding ("crkl", versions 0 and 1): decoding alone.
///
/// Header (24 or 29 bytes), bytes of each slice's crack code, labels, Markov model (order > 0), crack codes, and from
/// version 1 on CRCs of the header, the index, the labels and each slice's components.  A crack code walks the corner
/// grid of its slice in moves of two bits and so draws the walls between voxels (or, with the format's C bit, opens
/// them); the 4-connected components that remain, in raster order, have the labels that the label section lists.
///
/// Flat labels of any width, signed ones included, both crack formats, all Markov orders.  The order of the array that
/// was encoded (the F bit) has no bearing on where a voxel lies.  Labels as pins, and grids smaller than a slice, are
/// kUnsupported.
namespace cvfast::decode::crackle {

/// Decodes a box (relative to the chunk, inside it) into dst, whose items have map.output_item_size(item_size) bytes.
///
/// Only the slices of the box are decoded, and only their checksums and those of the index and the labels are checked.
/// Where a map makes the same of every label of these slices in version 1, they are not decoded either.
/// Memory is bounded by the size of the box and of its slices, whatever the data claim.
/// @return kTruncated, kBadMagic, kBadValue, kOffsetRange, kChecksum, kCorrupt or kUnsupported with the byte offset.
Status decode_box(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                  const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept;

/// Adds the distinct labels of a box to `out` (ascending, no duplicates).  Whole slices of version 1, whose labels have
/// a checksum of their own, are not decoded for that.  May throw std::bad_alloc.
Status unique_box(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                  std::vector<std::uint64_t>& out);

}  // namespace cvfast::decode::crackle
