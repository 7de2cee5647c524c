// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "cvfast/core/box.hpp"

/// Slow twins of the locate kernels, written from the steps of the sharded format's description.
namespace cvfast::reference {

[[nodiscard]] std::uint64_t compressed_morton_code(const Int3& grid_point, const Int3& grid_size);
[[nodiscard]] Int3 morton_to_grid_point(std::uint64_t code, const Int3& grid_size);

/// The low half of MurmurHash3_x86_128 of eight bytes, seed 0.
[[nodiscard]] std::uint64_t murmurhash3_uint64(std::uint64_t value);

}  // namespace cvfast::reference
