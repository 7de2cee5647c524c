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

}  // namespace cvfast::decode::compressed_segmentation
