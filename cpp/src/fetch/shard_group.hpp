// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/fetch/shard_assembly.hpp"
#include "sharded_scale.hpp"

namespace cvfast::fetch {

/// What one shard is to hold: the chunks of a group, as they are put, and what it holds besides.
class ShardGroup {
 public:
  ShardGroup(const ShardedScale& scale, const WriteGroup& group);

  [[nodiscard]] std::uint64_t shard() const noexcept { return shard_; }

  // Different chunks may be put and removed by different threads.
  [[nodiscard]] bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes,
                         StoreError& error);
  [[nodiscard]] bool remove(const ChunkAddress& chunk, StoreError& error);

  /// Takes note of a minishard's chunks that do not belong to the group.
  [[nodiscard]] bool keep(std::uint64_t minishard, std::span<const locate::ShardEntry> entries,
                          std::uint64_t payload_bytes, StoreError& error);
  /// Whether there are none, or the group may be `merged` with them.
  [[nodiscard]] bool check_merging(bool merges, StoreError& error) const;
  /// What was noted, by offset; memory for the bytes of each is there to be filled.
  [[nodiscard]] std::vector<locate::ShardEntry>& kept();
  [[nodiscard]] std::span<std::byte> kept_bytes(std::size_t index) { return kept_bytes_[index]; }

  /// The shard's file in pieces, good for as long as this is unchanged; none where it is to be removed.
  [[nodiscard]] bool assemble(std::vector<std::span<const std::byte>>& pieces, StoreError& error);

 private:
  [[nodiscard]] std::optional<std::size_t> index_of(const ChunkAddress& chunk) const noexcept;

  const ShardedScale& scale_;
  std::uint64_t shard_;
  std::vector<std::uint64_t> ids_;                           // ascending
  std::vector<std::optional<std::vector<std::byte>>> puts_;  // none: removed
  std::vector<locate::ShardEntry> kept_;
  std::uint64_t kept_total_ = 0;
  std::vector<std::vector<std::byte>> kept_bytes_;
  AssembledShard assembled_;
};

}  // namespace cvfast::fetch
