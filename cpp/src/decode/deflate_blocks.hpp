// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/endian.hpp"

/// DEFLATE (RFC 1951) but for the search of repetitions: which symbols stand for what, Huffman codes, blocks, bits.
namespace cvfast::decode::deflate {

inline constexpr std::size_t kMaxMatch = 258;
inline constexpr std::size_t kWindow = 32768;
inline constexpr unsigned kEndOfBlock = 256;
inline constexpr unsigned kNumLitLen = 286;
inline constexpr unsigned kNumDistances = 30;

/// A repetition: bytes that stand `distance + 1` before, too.
struct Match {
  std::size_t position;
  std::uint16_t length;
  std::uint16_t distance;
};

inline std::uint64_t load_word(const std::byte* p) noexcept { return load_le<std::uint64_t>(p); }

/// How many bytes are the same, up to `limit`.
inline std::size_t match_length(const std::byte* a, const std::byte* b, std::size_t limit) noexcept {
  std::size_t n = 0;
  while (n + 8 <= limit) {
    const std::uint64_t difference = load_word(a + n) ^ load_word(b + n);
    if (difference != 0) return n + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
    n += 8;
  }
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

/// Appends the blocks of a whole stream, and fills up its last byte.
///
/// Segments of `segment_bytes` are merged to a block while one code for both takes no more bits than two codes and a
/// description; a block is written as it takes the least bits: with its own codes, the fixed ones, or as it is.
/// @param matches in the order of their positions, none overlapping.  May throw std::bad_alloc.
void write_stream(std::span<const std::byte> in, std::span<const Match> matches, std::size_t segment_bytes,
                  std::vector<std::byte>& out);

/// The same with blocks that end at `ends`, which ascend to the end of the input; empty ones are left out.
void write_blocks(std::span<const std::byte> in, std::span<const Match> matches, std::span<const std::size_t> ends,
                  std::vector<std::byte>& out);

}  // namespace cvfast::decode::deflate
