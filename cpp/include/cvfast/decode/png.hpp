// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"

/// The png encoding: a chunk as one PNG image (ISO/IEC 15948) of 8 or 16 bits per sample, grey, grey with alpha, RGB or
/// RGBA for 1 to 4 channels.
///
/// The rows of the image, one after the other, are the voxels with x fastest, then y, then z; any width and height with
/// the right product are read, x by y * z is written.  The samples of a pixel are the channels.  Gamma, palettes
/// suggested for true colour, transparency and all else that ancillary chunks say is skipped: voxels are the stored
/// samples.  Palette images, 1 to 4 bits per sample and interlacing are not supported.
namespace cvfast::decode::png {

struct Geometry {
  Int3 chunk_shape{};             ///< voxels, positive
  std::int64_t num_channels = 1;  ///< 1 to 4
  std::int64_t item_size = 1;     ///< bytes of a sample: 1 or 2
};

inline constexpr int kDefaultLevel = 9;
inline constexpr int kMaxLevel = 9;

/// Whether the format can hold such voxels.
[[nodiscard]] bool supports(std::int64_t num_channels, std::int64_t item_size) noexcept;

/// Decodes the voxels of `box` (relative to the chunk, inside it) of channels [channel_begin, channel_end) into dst.
///
/// The checksums of all critical chunks and of the inflated data are checked whatever the box is; filters are undone up
/// to the last row that the box needs.  Nothing is allocated before the header agrees with the geometry.
/// dst points at the voxel box.min of channel_begin; its items have map.output_item_size(item_size) bytes.
/// @return kBadMagic, kTruncated, kTrailingBytes (behind the image or its DEFLATE stream), kChecksum, kCorrupt,
///         kBadValue (a field that no PNG of this shape, type and number of channels has), kUnsupported, kNoMemory or
///         kInvalidArgument, with the byte offset in the file.
Status decode_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, const paint::VoxelMap& map, std::byte* dst,
                  const Int4& dst_strides) noexcept;

/// Adds the distinct values of a box to `out` (ascending, no duplicates).  May throw std::bad_alloc.
Status unique_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, std::vector<std::uint64_t>& out);

/// Encodes a whole chunk as one image in `out` (cleared first).
/// @param level 0 (stored) to 9, zlib's numbers.
/// @return kInvalidArgument, or kOverflow when a side of the image or its data exceed 2^31 - 1.  May throw
///         std::bad_alloc.
Status encode(const std::byte* src, const Int4& src_strides, const Geometry& geometry, int level,
              std::vector<std::byte>& out);

/// The size that no sensible encoding of such a chunk exceeds.
[[nodiscard]] std::uint64_t max_encoded_bytes(const Geometry& geometry) noexcept;

}  // namespace cvfast::decode::png
