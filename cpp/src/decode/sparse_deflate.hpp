// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// DEFLATE (RFC 1951) for data in which repetitions are rare: filtered rows of recorded images, whose noise leaves
/// nothing to an encoder but the frequencies of the values.
namespace cvfast::decode {

struct SparseDeflate {
  std::size_t matched_bytes = 0;  ///< input bytes that a repetition stands for: how little sparse the data are
};

/// Appends one stream to `out`.  Only repetitions of 6 bytes and more are used: shorter ones cost a noisy image more
/// than their bytes do (zlib's Z_FILTERED has the same rule).  Where they stand for more than `most_matched` bytes,
/// nothing is appended.  May throw std::bad_alloc.
SparseDeflate sparse_deflate(std::span<const std::byte> in, std::vector<std::byte>& out,
                             std::size_t most_matched = SIZE_MAX);

}  // namespace cvfast::decode
