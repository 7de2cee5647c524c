// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"

namespace cvfast::decode {

/// Encodings that the core decodes itself, and one for all others: for kExternal only the sizes below can be asked for.
enum class Encoding : std::uint8_t { kRaw, kCompressedSegmentation, kPng, kCompresso, kCrackle, kExternal };

/// Whether the core decodes an encoding.
[[nodiscard]] constexpr bool is_decoded_here(Encoding encoding) noexcept { return encoding != Encoding::kExternal; }

/// Whether the core encodes an encoding; if not, a package outside of it does.
[[nodiscard]] constexpr bool is_encoded_here(Encoding encoding) noexcept {
  return encoding == Encoding::kRaw || encoding == Encoding::kCompressedSegmentation || encoding == Encoding::kPng;
}

/// What the bytes of a chunk mean, apart from its shape.
struct ImageFormat {
  Encoding encoding = Encoding::kRaw;
  std::int64_t item_size = 1;  ///< bytes of a voxel's value
  std::int64_t num_channels = 1;
  Int3 block_shape{8, 8, 8};  ///< compressed_segmentation only
  int level = 9;              ///< png only, when writing: 0 to 9
};

/// A run of bytes of a stored chunk.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// The exact size of a chunk's bytes where the encoding fixes it (raw).
[[nodiscard]] std::optional<std::uint64_t> fixed_chunk_bytes(const ImageFormat& format,
                                                             const Int3& chunk_shape) noexcept;

/// The size that no valid chunk exceeds; the limit of whatever compresses it.
[[nodiscard]] std::uint64_t max_chunk_bytes(const ImageFormat& format, const Int3& chunk_shape) noexcept;

/// The bytes of a chunk that hold a box of it, where that can be told without reading (raw); else nothing.
[[nodiscard]] std::optional<ByteRange> box_byte_range(const ImageFormat& format, const Int3& chunk_shape,
                                                      const Box3& box, std::int64_t channel_begin,
                                                      std::int64_t channel_end) noexcept;

/// Whether decoding a single voxel takes about as long as decoding the whole chunk.
[[nodiscard]] constexpr bool decodes_as_a_whole(Encoding encoding) noexcept {
  return encoding != Encoding::kRaw && encoding != Encoding::kCompressedSegmentation;
}

/// Decodes a box (relative to the chunk) of some channels into a strided destination.
/// @param data the chunk's bytes, or those of box_byte_range when `range` is given.
Status decode_box(const ImageFormat& format, std::span<const std::byte> data, const std::optional<ByteRange>& range,
                  const Int3& chunk_shape, const Box3& box, std::int64_t channel_begin, std::int64_t channel_end,
                  const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept;

/// Adds the distinct values of a box to `out`, ascending, no duplicates.  May throw std::bad_alloc.
Status unique_box(const ImageFormat& format, std::span<const std::byte> data, const Int3& chunk_shape, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, std::vector<std::uint64_t>& out);

/// Encodes a whole chunk.  A packed Fortran-order raw chunk needs no copy: `out` then stays empty and `view` is the
/// source itself; else `view` shows `out`.  May throw std::bad_alloc.
Status encode_chunk(const ImageFormat& format, const std::byte* src, const Int4& src_strides, const Int3& chunk_shape,
                    std::vector<std::byte>& out, std::span<const std::byte>& view);

}  // namespace cvfast::decode
