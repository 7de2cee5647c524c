// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/decode/fpzip.hpp"

/// Slow twins of the fpzip decoder, and the encoder that it has no use for.  Values are bit patterns, zero-extended.
namespace cvfast::reference {

/// Encodes values, x fastest.
/// @param precision leading bits to store, as in decode::fpzip::Header; 0 stands for all.  More than a value has: a
/// header alone.
std::vector<std::byte> encode_fpzip(const std::vector<std::uint64_t>& values, const Int4& shape, std::int64_t item_size,
                                    std::int64_t precision);

/// Decodes a stream of a shape and type; nothing when no encoder wrote it.
std::optional<std::vector<std::uint64_t>> decode_fpzip(std::span<const std::byte> data, const Int4& shape,
                                                       std::int64_t item_size);

}  // namespace cvfast::reference
