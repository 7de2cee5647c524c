// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

namespace cvfast::decode::compressed_segmentation {

/// Rows of eight voxels: where their packed indices and their labels are.
struct Rows {
  const std::byte* values = nullptr;
  std::int64_t values_stride_z = 0;  // bytes; rows of one z follow each other
  std::byte* dst = nullptr;
  std::int64_t dst_stride_y = 0;
  std::int64_t dst_stride_z = 0;
  std::int64_t count_y = 0;
  std::int64_t count_z = 0;
};

constexpr unsigned kShortTable = 16;

/// Unpacks rows of eight through a table of kShortTable entries.  bits is 1, 2 or 4; the table repeats after 2^bits
/// entries, so bits of the neighbouring index in a wider lane select the same entry.
template <typename U>
using UnpackRows = void (*)(const Rows& rows, unsigned bits, const U* table) noexcept;

void unpack_rows_avx512(const Rows& rows, unsigned bits, const std::uint64_t* table) noexcept;
void unpack_rows_avx512(const Rows& rows, unsigned bits, const std::uint32_t* table) noexcept;
void unpack_rows_avx512(const Rows& rows, unsigned bits, const std::uint8_t* table) noexcept;

/// Voxels of a sub-block of the usual shape, which has encoders of its own.
constexpr std::size_t kCubeVoxels = 8 * 8 * 8;

template <typename T>
struct CubeEncoder {
  /// Copies 8^3 voxels whose rows are packed; whether they are all the same.
  bool (*gather)(const std::byte* src, std::int64_t stride_y, std::int64_t stride_z, T* voxels) noexcept;
  /// Writes the distinct labels, ascending, and the indices, packed at the narrowest width, of voxels that are not all
  /// the same.  Returns the number of labels, or 0 where kShortTable labels are not enough.
  unsigned (*encode)(const T* voxels, T* labels, std::byte* packed) noexcept;
};

bool gather_cube_avx512(const std::byte* src, std::int64_t stride_y, std::int64_t stride_z,
                        std::uint64_t* voxels) noexcept;
bool gather_cube_avx512(const std::byte* src, std::int64_t stride_y, std::int64_t stride_z,
                        std::uint32_t* voxels) noexcept;
unsigned encode_cube_avx512(const std::uint64_t* voxels, std::uint64_t* labels, std::byte* packed) noexcept;
unsigned encode_cube_avx512(const std::uint32_t* voxels, std::uint32_t* labels, std::byte* packed) noexcept;

}  // namespace cvfast::decode::compressed_segmentation
