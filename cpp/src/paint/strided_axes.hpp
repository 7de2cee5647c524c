// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "cvfast/core/box.hpp"

namespace cvfast::paint {

/// One axis of a loop over two strided arrays (`b` is unused where there is only one array).
struct Axis {
  std::int64_t extent = 1;
  std::int64_t a = 0;
  std::int64_t b = 0;
};

/// The axes of a box in loop order, innermost first, after normalisation; unused ones have extent 1.
struct Axes {
  std::array<Axis, 4> axis{};
  int count = 0;
  bool is_empty = false;
};

/// Normalises a loop over `a` (the array that decides the order) and `b`: reversed axes of `a` are turned round, which
/// moves both pointers; axes are sorted by stride in `a`; axes that continue each other in both arrays are merged.
/// A packed box against a packed box so becomes one run.
template <typename A, typename B>
[[nodiscard]] inline Axes normalise(A*& a, const Int4& a_strides, B*& b, const Int4& b_strides,
                                    const Int4& shape) noexcept {
  Axes out;
  for (std::size_t i = 0; i < 4; ++i) {
    if (shape[i] <= 0) {
      out.is_empty = true;
      return out;
    }
    if (shape[i] == 1) continue;
    Axis axis{shape[i], a_strides[i], b_strides[i]};
    if (axis.a < 0) {
      a += (axis.extent - 1) * axis.a;
      b += (axis.extent - 1) * axis.b;
      axis.a = -axis.a;
      axis.b = -axis.b;
    }
    out.axis[static_cast<std::size_t>(out.count++)] = axis;
  }
  // Insertion sort: std::sort on four elements is more code than the loops it orders, and equal strides must keep
  // their order, x first.
  for (int i = 1; i < out.count; ++i) {
    for (int j = i; j > 0 && out.axis[static_cast<std::size_t>(j)].a < out.axis[static_cast<std::size_t>(j - 1)].a;
         --j) {
      std::swap(out.axis[static_cast<std::size_t>(j)], out.axis[static_cast<std::size_t>(j - 1)]);
    }
  }
  int kept = 0;
  for (int i = 0; i < out.count; ++i) {
    const Axis axis = out.axis[static_cast<std::size_t>(i)];
    if (kept > 0) {
      Axis& inner = out.axis[static_cast<std::size_t>(kept - 1)];
      if (axis.a == inner.a * inner.extent && axis.b == inner.b * inner.extent) {
        inner.extent *= axis.extent;
        continue;
      }
    }
    out.axis[static_cast<std::size_t>(kept++)] = axis;
  }
  for (int i = kept; i < 4; ++i) out.axis[static_cast<std::size_t>(i)] = Axis{};
  out.count = kept;
  return out;
}

/// Calls f(a, b) for each point of axes [first, 4): with everything that lies inside of those axes still to do.
/// Stops early, and returns false, when f does.
template <typename A, typename B, typename F>
inline bool for_each_outer(const Axes& axes, std::size_t first, A* a, B* b, F&& f) noexcept {
  const Axis outer[3] = {first <= 1 ? axes.axis[1] : Axis{}, first <= 2 ? axes.axis[2] : Axis{}, axes.axis[3]};
  for (std::int64_t k = 0; k < outer[2].extent; ++k) {
    for (std::int64_t j = 0; j < outer[1].extent; ++j) {
      for (std::int64_t i = 0; i < outer[0].extent; ++i) {
        if (!f(a + i * outer[0].a + j * outer[1].a + k * outer[2].a,
               b + i * outer[0].b + j * outer[1].b + k * outer[2].b)) {
          return false;
        }
      }
    }
  }
  return true;
}

}  // namespace cvfast::paint
