// SPDX-License-Identifier: BSD-3-Clause
#include "locate.hpp"

namespace cvfast::reference {
namespace {

/// Calls f(axis, bit of the axis, bit of the code) in the order of the code's bits.
template <typename F>
void for_each_bit(const Int3& grid_size, F&& f) {
  unsigned out = 0;
  for (unsigned bit = 0; bit < 63; ++bit) {
    for (unsigned axis = 0; axis < 3; ++axis) {
      if ((std::int64_t{1} << bit) < grid_size[axis] && out < 64) f(axis, bit, out++);
    }
  }
}

std::uint32_t rotate_left(std::uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }

std::uint32_t mix(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  x ^= x >> 16;
  return x;
}

}  // namespace

std::uint64_t compressed_morton_code(const Int3& grid_point, const Int3& grid_size) {
  std::uint64_t code = 0;
  for_each_bit(grid_size, [&](unsigned axis, unsigned bit, unsigned out) {
    code |= static_cast<std::uint64_t>((grid_point[axis] >> bit) & 1) << out;
  });
  return code;
}

Int3 morton_to_grid_point(std::uint64_t code, const Int3& grid_size) {
  Int3 point{};
  for_each_bit(grid_size, [&](unsigned axis, unsigned bit, unsigned out) {
    point[axis] |= static_cast<std::int64_t>((code >> out) & 1) << bit;
  });
  return point;
}

std::uint64_t murmurhash3_uint64(std::uint64_t value) {
  auto k1 = static_cast<std::uint32_t>(value);
  auto k2 = static_cast<std::uint32_t>(value >> 32);
  std::uint32_t h1 = 0;
  std::uint32_t h2 = 0;
  std::uint32_t h3 = 0;
  std::uint32_t h4 = 0;
  k2 *= 0xab0e9789U;
  k2 = rotate_left(k2, 16);
  k2 *= 0x38b34ae5U;
  h2 ^= k2;
  k1 *= 0x239b961bU;
  k1 = rotate_left(k1, 15);
  k1 *= 0xab0e9789U;
  h1 ^= k1;
  h1 ^= 8;
  h2 ^= 8;
  h3 ^= 8;
  h4 ^= 8;
  h1 += h2 + h3 + h4;
  h2 += h1;
  h3 += h1;
  h4 += h1;
  h1 = mix(h1);
  h2 = mix(h2);
  h3 = mix(h3);
  h4 = mix(h4);
  h1 += h2 + h3 + h4;
  h2 += h1;
  return h1 | static_cast<std::uint64_t>(h2) << 32;
}

}  // namespace cvfast::reference
