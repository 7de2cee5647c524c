// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/skeleton/precomputed.hpp"

/// Slow twin of what reads a binary skeleton.
namespace cvfast::reference {

struct Skeleton {
  std::vector<std::uint32_t> vertices;  ///< bits of the floats
  std::vector<std::uint32_t> edges;
  std::vector<std::vector<std::byte>> attributes;  ///< those that are there
};

/// Takes one number after the other off the front; nothing where the bytes are no skeleton.
[[nodiscard]] std::optional<Skeleton> decode_skeleton(std::span<const std::byte> data,
                                                      std::span<const skeleton::AttributeFormat> attributes);

}  // namespace cvfast::reference
