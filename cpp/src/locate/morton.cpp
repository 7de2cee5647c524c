// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/morton.hpp"

#include <array>
#include <bit>

namespace cvfast::locate {
namespace {

int axis_bits(std::int64_t grid_size) noexcept {
  return grid_size <= 1 ? 0 : static_cast<int>(std::bit_width(static_cast<std::uint64_t>(grid_size) - 1));
}

/// Where the bits of each axis land in the code: bit i of the axis at the i-th set bit of its mask.
std::array<std::uint64_t, 3> axis_masks(const Int3& grid_size) noexcept {
  const std::array<int, 3> bits{axis_bits(grid_size[0]), axis_bits(grid_size[1]), axis_bits(grid_size[2])};
  std::array<std::uint64_t, 3> masks{};
  int position = 0;
  for (int i = 0; i < 64; ++i) {
    for (unsigned axis = 0; axis < 3; ++axis) {
      if (i >= bits[axis]) continue;
      if (position == 64) return masks;
      masks[axis] |= std::uint64_t{1} << position++;
    }
  }
  return masks;
}

std::uint64_t deposit(std::uint64_t value, std::uint64_t mask) noexcept {
  std::uint64_t out = 0;
  for (; mask != 0; mask &= mask - 1, value >>= 1) {
    out |= (std::uint64_t{0} - (value & 1)) & mask & (std::uint64_t{0} - mask);
  }
  return out;
}

std::uint64_t extract(std::uint64_t value, std::uint64_t mask) noexcept {
  std::uint64_t out = 0;
  for (int i = 0; mask != 0; mask &= mask - 1, ++i) {
    out |= ((value >> std::countr_zero(mask)) & 1) << i;
  }
  return out;
}

std::uint64_t code_of(const std::int64_t* point, const std::array<std::uint64_t, 3>& masks) noexcept {
  std::uint64_t code = 0;
  for (unsigned axis = 0; axis < 3; ++axis) code |= deposit(static_cast<std::uint64_t>(point[axis]), masks[axis]);
  return code;
}

}  // namespace

int morton_bits(const Int3& grid_size) noexcept {
  return axis_bits(grid_size[0]) + axis_bits(grid_size[1]) + axis_bits(grid_size[2]);
}

std::uint64_t compressed_morton_code(const Int3& grid_point, const Int3& grid_size) noexcept {
  return code_of(grid_point.data(), axis_masks(grid_size));
}

void compressed_morton_codes(const std::int64_t* points, std::size_t n, const Int3& grid_size,
                             std::uint64_t* codes) noexcept {
  const std::array<std::uint64_t, 3> masks = axis_masks(grid_size);
  for (std::size_t i = 0; i < n; ++i) codes[i] = code_of(points + 3 * i, masks);
}

Int3 morton_to_grid_point(std::uint64_t code, const Int3& grid_size) noexcept {
  const std::array<std::uint64_t, 3> masks = axis_masks(grid_size);
  Int3 point{};
  for (unsigned axis = 0; axis < 3; ++axis) point[axis] = static_cast<std::int64_t>(extract(code, masks[axis]));
  return point;
}

}  // namespace cvfast::locate
