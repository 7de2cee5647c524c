// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/murmurhash3.hpp"

#include <array>
#include <bit>

#include "cvfast/core/endian.hpp"

namespace cvfast::locate {
namespace {

constexpr std::array<std::uint32_t, 4> kMultiplier{0x239b961bU, 0xab0e9789U, 0x38b34ae5U, 0xa1e38b93U};
constexpr std::array<int, 4> kKeyRotation{15, 16, 17, 18};
constexpr std::array<int, 4> kStateRotation{19, 17, 15, 13};
constexpr std::array<std::uint32_t, 4> kStateAddend{0x561ccd1bU, 0x0bcaa747U, 0x96cd1c35U, 0x32ac3b17U};

constexpr std::uint32_t scramble(std::uint32_t key, unsigned lane) noexcept {
  key *= kMultiplier[lane];
  key = std::rotl(key, kKeyRotation[lane]);
  return key * kMultiplier[(lane + 1) % 4];
}

constexpr std::uint32_t avalanche(std::uint32_t h) noexcept {
  h ^= h >> 16;
  h *= 0x85ebca6bU;
  h ^= h >> 13;
  h *= 0xc2b2ae35U;
  return h ^ (h >> 16);
}

}  // namespace

Hash128 murmurhash3_x86_128(std::span<const std::byte> data, std::uint32_t seed) noexcept {
  std::array<std::uint32_t, 4> h{seed, seed, seed, seed};
  std::size_t pos = 0;
  for (; data.size() - pos >= 16; pos += 16) {
    for (unsigned lane = 0; lane < 4; ++lane) {
      h[lane] ^= scramble(load_le<std::uint32_t>(data.data() + pos + 4 * lane), lane);
      h[lane] = std::rotl(h[lane], kStateRotation[lane]) + h[(lane + 1) % 4];
      h[lane] = h[lane] * 5 + kStateAddend[lane];
    }
  }
  std::array<std::uint32_t, 4> tail{};
  for (std::size_t i = pos; i < data.size(); ++i) {
    const std::size_t at = i - pos;
    tail[at / 4] |= std::to_integer<std::uint32_t>(data[i]) << (8 * (at % 4));
  }
  // A lane without tail bytes holds 0, which scrambles to 0 and leaves the state as it is.
  for (unsigned lane = 0; lane < 4; ++lane) h[lane] ^= scramble(tail[lane], lane);

  for (std::uint32_t& lane : h) lane ^= static_cast<std::uint32_t>(data.size());
  for (const bool finished : {false, true}) {
    h[0] += h[1] + h[2] + h[3];
    for (unsigned lane = 1; lane < 4; ++lane) h[lane] += h[0];
    if (!finished) {
      for (std::uint32_t& lane : h) lane = avalanche(lane);
    }
  }
  return {h[0] | (static_cast<std::uint64_t>(h[1]) << 32), h[2] | (static_cast<std::uint64_t>(h[3]) << 32)};
}

std::uint64_t murmurhash3_uint64(std::uint64_t value) noexcept {
  // Eight bytes are all tail: lanes 2 and 3 enter the final mix as the length alone.
  constexpr std::uint32_t kLength = 8;
  std::uint32_t h0 = scramble(static_cast<std::uint32_t>(value), 0) ^ kLength;
  std::uint32_t h1 = scramble(static_cast<std::uint32_t>(value >> 32), 1) ^ kLength;
  h0 += h1 + 2 * kLength;
  h1 += h0;
  const std::uint32_t h2 = avalanche(kLength + h0);
  h0 = avalanche(h0);
  h1 = avalanche(h1);
  h0 += h1 + 2 * h2;
  h1 += h0;
  return h0 | (static_cast<std::uint64_t>(h1) << 32);
}

void murmurhash3_uint64s(const std::uint64_t* values, std::size_t n, std::uint64_t* hashes) noexcept {
  for (std::size_t i = 0; i < n; ++i) hashes[i] = murmurhash3_uint64(values[i]);
}

}  // namespace cvfast::locate
