// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "cvfast/core/box.hpp"

namespace cvfast::locate {

/// Bits that the compressed Morton code of a grid has: the sum over axes of ceil(log2(grid_size)).
[[nodiscard]] int morton_bits(const Int3& grid_size) noexcept;

/// The compressed Morton code of a grid point (Neuroglancer, sharded.rst, "compressed Morton code"): bit i of an axis
/// takes part only while 2^i < grid_size of that axis.  Inside the grid and within 64 bits, else the result is
/// unspecified (never undefined).
[[nodiscard]] std::uint64_t compressed_morton_code(const Int3& grid_point, const Int3& grid_size) noexcept;

/// n codes at once; points are n rows of xyz.
void compressed_morton_codes(const std::int64_t* points, std::size_t n, const Int3& grid_size,
                             std::uint64_t* codes) noexcept;

/// The grid point of a code.
[[nodiscard]] Int3 morton_to_grid_point(std::uint64_t code, const Int3& grid_size) noexcept;

}  // namespace cvfast::locate
