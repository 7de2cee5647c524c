// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace cvfast {

using Int3 = std::array<std::int64_t, 3>;
using Int4 = std::array<std::int64_t, 4>;

/// A half-open box [min, max) of voxels, xyz, signed 64-bit.
struct Box3 {
  Int3 min{};
  Int3 max{};

  [[nodiscard]] constexpr bool empty() const noexcept {
    return max[0] <= min[0] || max[1] <= min[1] || max[2] <= min[2];
  }
  [[nodiscard]] constexpr Int3 shape() const noexcept { return {max[0] - min[0], max[1] - min[1], max[2] - min[2]}; }
  [[nodiscard]] constexpr bool operator==(const Box3&) const noexcept = default;
};

[[nodiscard]] constexpr Box3 intersect(const Box3& a, const Box3& b) noexcept {
  Box3 out;
  for (int i = 0; i < 3; ++i) {
    out.min[i] = std::max(a.min[i], b.min[i]);
    out.max[i] = std::min(a.max[i], b.max[i]);
  }
  return out;
}

[[nodiscard]] constexpr bool contains(const Box3& outer, const Box3& inner) noexcept {
  for (int i = 0; i < 3; ++i) {
    if (inner.min[i] < outer.min[i] || inner.max[i] > outer.max[i]) return false;
  }
  return true;
}

/// Strides in bytes of a packed Fortran-order array (x fastest) of the given shape.
[[nodiscard]] constexpr Int4 fortran_strides(const Int3& shape, std::int64_t item_size) noexcept {
  return {item_size, item_size * shape[0], item_size * shape[0] * shape[1], item_size * shape[0] * shape[1] * shape[2]};
}

}  // namespace cvfast
