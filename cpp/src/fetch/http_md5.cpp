// SPDX-License-Identifier: BSD-3-Clause
//
// Every step waits for the one before it, so there is nothing to vectorise within one message: about 1.6 ns a byte.
// That is why whole bodies are hashed away from the reactor's thread.
#include "http_md5.hpp"

#include <bit>
#include <cstring>

#include "cvfast/core/endian.hpp"

namespace cvfast::fetch {
namespace {

// floor(2^32 * abs(sin(i + 1))), RFC 1321 section 3.4.
constexpr std::array<std::uint32_t, 64> kSines{
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
constexpr std::array<std::array<int, 4>, 4> kTurns{{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};

template <int kRound>
std::uint32_t mix(std::uint32_t b, std::uint32_t c, std::uint32_t d) noexcept {
  if constexpr (kRound == 0) return d ^ (b & (c ^ d));
  if constexpr (kRound == 1) return c ^ (d & (b ^ c));
  if constexpr (kRound == 2) return b ^ c ^ d;
  if constexpr (kRound == 3) return c ^ (b | ~d);
}

template <int kRound>
void round(std::array<std::uint32_t, 4>& v, const std::array<std::uint32_t, 16>& words) noexcept {
  constexpr std::array<int, 4> kFactors{1, 5, 3, 7};
  constexpr std::array<int, 4> kStarts{0, 1, 5, 0};
  for (int i = 0; i < 16; ++i) {
    const auto word = static_cast<std::size_t>((kFactors[kRound] * i + kStarts[kRound]) & 15);
    const std::uint32_t sum = v[0] + mix<kRound>(v[1], v[2], v[3]) + words[word] + kSines[kRound * 16 + i];
    v = {v[3], v[1] + std::rotl(sum, kTurns[kRound][i & 3]), v[1], v[2]};
  }
}

void update_blocks(std::array<std::uint32_t, 4>& state, const std::byte* p, std::size_t blocks) noexcept {
  for (; blocks != 0; --blocks, p += 64) {
    std::array<std::uint32_t, 16> words;
    std::memcpy(words.data(), p, 64);
    std::array<std::uint32_t, 4> v = state;
    round<0>(v, words);
    round<1>(v, words);
    round<2>(v, words);
    round<3>(v, words);
    for (std::size_t i = 0; i < 4; ++i) state[i] += v[i];
  }
}

}  // namespace

void Md5::update(std::span<const std::byte> data) noexcept {
  blocks_.update(data, [&](const std::byte* p, std::size_t blocks) { update_blocks(state_, p, blocks); });
}

Md5Digest Md5::finish() noexcept {
  blocks_.finish([](std::byte* p, std::uint64_t bits) { store_le(p, bits); },
                 [&](const std::byte* p, std::size_t blocks) { update_blocks(state_, p, blocks); });
  Md5Digest digest{};
  std::memcpy(digest.data(), state_.data(), digest.size());
  return digest;
}

}  // namespace cvfast::fetch
