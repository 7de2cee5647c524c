// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"

/// The fpzip encoding of float arrays: Lindstrom and Isenburg, "Fast and Efficient Compression of Floating-Point Data",
/// IEEE TVCG 12(5), 2006.
///
/// A stream is one range code.  Its first numbers, each of a fixed width, are the header: the bytes "fpz\0", a version
/// (16 and 8 bits), the type (1 bit), the precision (7 bits) and four extents (32 bits each).  Then come the values, x
/// fastest, each as the difference of two integers: the leading bits of the value and those of its prediction from the
/// neighbours before it.  The fourth axis separates fields that share nothing but the range code.
namespace cvfast::decode::fpzip {

/// What a stream says about itself.
struct Header {
  Int4 shape{};                ///< extents x, y, z and field, each below 2^32
  std::int64_t item_size = 0;  ///< bytes of a value: 4 or 8
  std::int64_t precision = 0;  ///< leading bits that are stored: 2 to 32, or 4 to 64 and even; the others are zero
};

/// Reads the header.
/// @return kTruncated, kCorrupt, kBadMagic, or kBadValue for a version or precision that does not exist.
Status read_header(std::span<const std::byte> data, Header& header) noexcept;

/// Decodes a stream of exactly this shape and type into a packed array, x fastest.  Nothing is allocated but a row.
///
/// Bit by bit what the fpzip library returns on x86-64, NaNs included, on every processor.
/// @param item_size bytes of a value: 4 or 8.
/// @param dst shape[0] * shape[1] * shape[2] * shape[3] values.
/// @return as read_header; kBadValue for another shape or type (`expected` and `found` are the first number that
/// differs); kTruncated, kTrailingBytes or kCorrupt for a stream that no encoder wrote; kNoMemory; kInvalidArgument.
Status decode(std::span<const std::byte> data, const Int4& shape, std::int64_t item_size, std::byte* dst) noexcept;

/// Encodes a packed array, x fastest, into `out` (cleared first); byte by byte what the fpzip library writes.
/// @param precision leading bits to store, as in Header; 0 for all.
/// @return kInvalidArgument for a shape, type or precision that does not exist; kOverflow when the range code has no
/// room left (never seen); kNoMemory.
Status encode(const std::byte* src, const Int4& shape, std::int64_t item_size, std::int64_t precision,
              std::vector<std::byte>& out) noexcept;

}  // namespace cvfast::decode::fpzip
