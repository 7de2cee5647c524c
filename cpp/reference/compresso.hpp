// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"

namespace cvfast::reference {

/// Slow twin of compresso::decode_box for a whole chunk: its labels, x fastest, or nothing when the data are bad.
std::optional<std::vector<std::uint64_t>> decode_compresso(std::span<const std::byte> data, std::int64_t item_size,
                                                           const Int3& chunk_shape);

}  // namespace cvfast::reference
