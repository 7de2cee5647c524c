// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cvfast::locate {

/// MurmurHash3_x86_128 (Austin Appleby, smhasher), all 16 bytes as two little-endian halves.
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};
[[nodiscard]] Hash128 murmurhash3_x86_128(std::span<const std::byte> data, std::uint32_t seed) noexcept;

/// The low 8 bytes of the hash of a little-endian uint64 with seed 0, as the sharded format uses it.
[[nodiscard]] std::uint64_t murmurhash3_uint64(std::uint64_t value) noexcept;

/// n hashes at once.
void murmurhash3_uint64s(const std::uint64_t* values, std::size_t n, std::uint64_t* hashes) noexcept;

}  // namespace cvfast::locate
