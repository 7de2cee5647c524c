// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/decode/png.hpp"

/// Slow twins of the png kernels, written from the specifications of PNG and DEFLATE byte by byte.
namespace cvfast::reference {

/// Inflates a DEFLATE stream of at most `limit` bytes; `used` is set to the bytes read.  Incomplete codes are accepted
/// as long as nothing undefined is met.
std::optional<std::vector<std::byte>> inflate(std::span<const std::byte> in, std::size_t limit, std::size_t& used);

/// The samples of a box (x fastest, channels last); nothing when the file is not a PNG of this geometry.
std::optional<std::vector<std::uint64_t>> decode_png(std::span<const std::byte> data,
                                                     const decode::png::Geometry& geometry, const Box3& box,
                                                     std::int64_t channel_begin, std::int64_t channel_end);

/// What a PNG file is made of, right or wrong.
struct PngParts {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint8_t bit_depth = 8;
  std::uint8_t colour_type = 0;
  std::uint8_t compression = 0;
  std::uint8_t filter = 0;
  std::uint8_t interlace = 0;
  std::vector<std::byte> stream;      ///< rows with their filter bytes; stored, not compressed
  std::size_t idat_bytes = SIZE_MAX;  ///< of one IDAT chunk
};

/// A file of these parts with right checksums.
std::vector<std::byte> make_png(const PngParts& parts);

/// Appends a chunk with its right checksum.
void append_png_chunk(std::vector<std::byte>& out, const char (&type)[5], std::span<const std::byte> content);

/// The zlib stream (RFC 1950) of stored blocks.
std::vector<std::byte> store_zlib(std::span<const std::byte> content);

}  // namespace cvfast::reference
