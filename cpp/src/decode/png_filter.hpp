// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

/// The five row filters of PNG (specification, section 9), a whole image at a time.
///
/// Rows lie in a "stream" as they do under DEFLATE: a byte that names the filter, then row_bytes bytes.
namespace cvfast::decode::png {

enum Filter : std::uint8_t { kNone, kSub, kUp, kAverage, kPaeth };
inline constexpr unsigned kNumFilters = 5;

/// Bytes behind the last row that unfilter_rows may read, whatever they hold.
inline constexpr std::size_t kStreamSlack = 64;

/// Undoes the filters of the first `rows` rows in place; the filter bytes stay.
/// @param pixel_bytes 1, 2, 3, 4, 6 or 8, and a divisor of row_bytes.
/// @return `rows`, or the index of the first row whose filter does not exist.
[[nodiscard]] std::size_t unfilter_rows(std::byte* stream, std::size_t row_bytes, std::size_t pixel_bytes,
                                        std::size_t rows) noexcept;

/// Filters one row by the filter whose differences have the least sum of absolute values; on a tie, the one of the
/// lower number.
/// @param above the row before, or zeros.
/// @param scratch 4 * row_bytes.
/// @param out a byte for the filter's number, then row_bytes.
void filter_row(const std::byte* row, const std::byte* above, std::size_t row_bytes, std::size_t pixel_bytes,
                std::byte* scratch, std::byte* out) noexcept;

}  // namespace cvfast::decode::png
