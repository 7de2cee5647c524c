// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "cvfast/core/box.hpp"
#include "random_input.hpp"

namespace cvfast::testing {

/// A buffer with a box of items laid out in it: axes in any order, with gaps, some of them reversed.
struct StridedBox {
  std::vector<std::byte> buffer;
  std::size_t origin = 0;
  Int4 strides{};

  [[nodiscard]] std::byte* data() { return buffer.data() + origin; }
  [[nodiscard]] const std::byte* data() const { return buffer.data() + origin; }
};

enum class Layout { kAny, kWithZeroStrides };

inline StridedBox random_strided_box(Random& random, const Int4& shape, std::size_t item_size, Layout layout) {
  StridedBox out;
  std::array<std::size_t, 4> order{0, 1, 2, 3};
  for (std::size_t i = 3; i > 0; --i)
    std::swap(order[i], order[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(i)))]);
  if (random.one_in(3)) order = {0, 1, 2, 3};
  auto step = static_cast<std::int64_t>(item_size);
  std::int64_t low = 0;
  std::int64_t high = 0;
  for (const std::size_t axis : order) {
    if (random.one_in(5)) step += random.between(1, 3) * static_cast<std::int64_t>(item_size);
    std::int64_t stride = step;
    step *= shape[axis];
    if (random.one_in(5)) stride = -stride;
    if (layout == Layout::kWithZeroStrides && random.one_in(6)) stride = 0;
    out.strides[axis] = stride;
    (stride < 0 ? low : high) += stride * (shape[axis] - 1);
  }
  // Guard bytes on both sides: they must stay as they are.
  constexpr std::int64_t kGuard = 64;
  out.buffer = random.bytes(static_cast<std::size_t>(high - low) + item_size + 2 * kGuard);
  out.origin = static_cast<std::size_t>(kGuard - low);
  return out;
}

inline Int4 random_shape4(Random& random) {
  Int4 shape{random.between(1, 12), random.between(1, 12), random.between(1, 5), random.between(1, 3)};
  // Long enough for whole tiles of the transpose and for long runs.
  if (random.one_in(4)) shape[0] = random.between(30, 100);
  if (random.one_in(4)) shape[1] = random.between(30, 70);
  return shape;
}

}  // namespace cvfast::testing
