// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cvfast::locate {

enum class ShardHash : std::uint8_t { kIdentity, kMurmurhash3 };

/// neuroglancer_uint64_sharded_v1 (Neuroglancer, sharded.rst): how 64-bit ids are spread over shards and minishards.
struct ShardSpec {
  int preshift_bits = 0;   ///< 0 to 64
  int minishard_bits = 0;  ///< 0 to 64; minishard_bits + shard_bits <= 64
  int shard_bits = 0;      ///< 0 to 64
  ShardHash hash = ShardHash::kIdentity;
  bool gzip_minishard_index = false;
  bool gzip_data = false;

  [[nodiscard]] bool operator==(const ShardSpec&) const noexcept = default;
  /// Whether every field is in its range.
  [[nodiscard]] bool valid() const noexcept;
};

struct ShardLocation {
  std::uint64_t shard = 0;
  std::uint64_t minishard = 0;

  [[nodiscard]] bool operator==(const ShardLocation&) const noexcept = default;
};

/// Where an id is stored; spec.valid().
[[nodiscard]] ShardLocation shard_location(const ShardSpec& spec, std::uint64_t id) noexcept;

/// n locations at once.
void shard_locations(const ShardSpec& spec, const std::uint64_t* ids, std::size_t n, std::uint64_t* shards,
                     std::uint64_t* minishards) noexcept;

/// Room for the 16 digits of any shard, ".shard" and its terminating zero.
inline constexpr std::size_t kShardNameBytes = 16 + 6 + 1;

/// Writes the number of a shard in lower-case hexadecimal, padded to ceil(shard_bits / 4) digits, and an ending
/// (".shard", ".index" or ".data"); returns a view of it.
std::string_view shard_name(const ShardSpec& spec, std::uint64_t shard, std::string_view ending,
                            char (&buffer)[kShardNameBytes]) noexcept;

}  // namespace cvfast::locate
