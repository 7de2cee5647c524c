// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/shard_spec.hpp"

#include <algorithm>

#include "cvfast/locate/murmurhash3.hpp"

namespace cvfast::locate {
namespace {

// Shifting by the width of a type is undefined; the format allows 64.
constexpr std::uint64_t shift_right(std::uint64_t value, int bits) noexcept { return bits >= 64 ? 0 : value >> bits; }
constexpr std::uint64_t low_mask(int bits) noexcept {
  return bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

constexpr ShardLocation split(const ShardSpec& spec, std::uint64_t hash) noexcept {
  return {shift_right(hash, spec.minishard_bits) & low_mask(spec.shard_bits), hash & low_mask(spec.minishard_bits)};
}

}  // namespace

bool ShardSpec::valid() const noexcept {
  const auto in_range = [](int bits) { return bits >= 0 && bits <= 64; };
  return in_range(preshift_bits) && in_range(minishard_bits) && in_range(shard_bits) &&
         minishard_bits + shard_bits <= 64;
}

ShardLocation shard_location(const ShardSpec& spec, std::uint64_t id) noexcept {
  const std::uint64_t shifted = shift_right(id, spec.preshift_bits);
  return split(spec, spec.hash == ShardHash::kIdentity ? shifted : murmurhash3_uint64(shifted));
}

void shard_locations(const ShardSpec& spec, const std::uint64_t* ids, std::size_t n, std::uint64_t* shards,
                     std::uint64_t* minishards) noexcept {
  // A block of hashes stays in the first-level cache between the two passes, each of which is a plain loop.
  constexpr std::size_t kBlock = 512;
  std::uint64_t hashes[kBlock];
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t count = std::min(kBlock, n - begin);
    for (std::size_t i = 0; i < count; ++i) hashes[i] = shift_right(ids[begin + i], spec.preshift_bits);
    if (spec.hash != ShardHash::kIdentity) murmurhash3_uint64s(hashes, count, hashes);
    for (std::size_t i = 0; i < count; ++i) {
      const ShardLocation location = split(spec, hashes[i]);
      shards[begin + i] = location.shard;
      minishards[begin + i] = location.minishard;
    }
  }
}

std::string_view shard_name(const ShardSpec& spec, std::uint64_t shard, std::string_view ending,
                            char (&buffer)[kShardNameBytes]) noexcept {
  const int digits = std::max(1, (spec.shard_bits + 3) / 4);
  for (int i = digits - 1; i >= 0; --i) {
    buffer[i] = "0123456789abcdef"[shard & 15U];
    shard >>= 4;
  }
  const std::size_t size = std::min(ending.size(), kShardNameBytes - 1 - static_cast<std::size_t>(digits));
  std::copy_n(ending.data(), size, buffer + digits);
  buffer[static_cast<std::size_t>(digits) + size] = '\0';
  return {buffer, static_cast<std::size_t>(digits) + size};
}

}  // namespace cvfast::locate
