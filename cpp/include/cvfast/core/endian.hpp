// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cvfast {

static_assert(std::endian::native == std::endian::little,
              "the kernels store and load little-endian voxels without swapping");

/// Loads a little-endian integer from unaligned bytes; the caller has checked the range.
template <typename T>
[[nodiscard]] inline T load_le(const std::byte* p) noexcept {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

template <typename T>
inline void store_le(std::byte* p, T value) noexcept {
  std::memcpy(p, &value, sizeof(T));
}

}  // namespace cvfast
