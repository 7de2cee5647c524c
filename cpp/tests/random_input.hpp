// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "cvfast/core/box.hpp"

namespace cvfast::testing {

/// Seeded: a failing test fails again.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// An integer of [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
  }
  std::uint64_t bits() { return engine_(); }
  bool one_in(std::int64_t n) { return between(1, n) == 1; }
  Int3 shape(std::int64_t low, std::int64_t high) {
    return {between(low, high), between(low, high), between(low, high)};
  }
  Box3 box_inside(const Int3& shape) {
    Box3 box;
    for (std::size_t i = 0; i < 3; ++i) {
      box.min[i] = between(0, shape[i] - 1);
      box.max[i] = between(box.min[i] + 1, shape[i]);
    }
    return box;
  }
  std::vector<std::byte> bytes(std::size_t n) {
    std::vector<std::byte> out(n);
    for (std::byte& b : out) b = static_cast<std::byte>(bits() & 0xff);
    return out;
  }
  /// Runs of labels from a palette of a random size: single values, few and many labels all occur.
  std::vector<std::uint64_t> labels(std::size_t n, std::int64_t max_distinct, std::int64_t item_size) {
    std::vector<std::uint64_t> palette(static_cast<std::size_t>(between(1, max_distinct)));
    for (std::uint64_t& label : palette) {
      label = one_in(2) ? bits() : bits() % 1000;
      if (item_size < 8) label &= (std::uint64_t{1} << (8 * item_size)) - 1;
    }
    const std::int64_t mean_run = between(1, 400);
    std::vector<std::uint64_t> out(n);
    std::uint64_t current = palette[0];
    for (std::uint64_t& label : out) {
      if (one_in(mean_run)) current = palette[static_cast<std::size_t>(bits() % palette.size())];
      label = current;
    }
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

/// Stores zero-extended labels as items.
inline std::vector<std::byte> to_items(const std::vector<std::uint64_t>& labels, std::size_t item_size) {
  std::vector<std::byte> out;
  out.reserve(labels.size() * item_size);
  for (const std::uint64_t label : labels) {
    for (std::size_t i = 0; i < item_size; ++i) out.push_back(static_cast<std::byte>((label >> (8 * i)) & 0xff));
  }
  return out;
}

}  // namespace cvfast::testing
