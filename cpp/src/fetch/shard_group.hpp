// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/fetch/shard_assembly.hpp"
#include "cvfast/locate/shard_index.hpp"
#include "sharded_scale.hpp"

namespace cvfast::fetch {

/// A shard that is there, at least as long as its index.
class ShardContents {
 public:
  ShardContents() = default;
  ShardContents(const ShardContents&) = delete;
  ShardContents& operator=(const ShardContents&) = delete;
  virtual ~ShardContents() = default;

  /// Bytes behind the shard index, to which all offsets refer.
  [[nodiscard]] virtual std::uint64_t payload_bytes() const = 0;
  /// What a minishard holds, good until the next call.
  [[nodiscard]] virtual bool entries(std::uint64_t minishard, std::span<const locate::ShardEntry>& out,
                                     StoreError& error) = 0;
  /// Copies the bytes of an entry, as they are stored.
  [[nodiscard]] virtual bool read(const locate::ShardEntry& entry, std::span<std::byte> to, StoreError& error) = 0;
};

/// One that was read as a whole, into one piece of memory or two.
class ShardInMemory final : public ShardContents {
 public:
  ShardInMemory(const ShardedScale& scale, std::uint64_t shard, std::span<const std::byte> index,
                std::span<const std::byte> payload)
      : scale_(scale),
        shard_(shard),
        index_(index),
        payload_(payload) {}

  [[nodiscard]] std::uint64_t payload_bytes() const override { return payload_.size(); }
  [[nodiscard]] bool entries(std::uint64_t minishard, std::span<const locate::ShardEntry>& out,
                             StoreError& error) override;
  [[nodiscard]] bool read(const locate::ShardEntry& entry, std::span<std::byte> to, StoreError& error) override;

 private:
  const ShardedScale& scale_;
  std::uint64_t shard_;
  std::span<const std::byte> index_;
  std::span<const std::byte> payload_;
  std::optional<std::uint64_t> page_;         // of the shard index, whose
  std::vector<locate::IndexExtent> extents_;  // minishards these are
  std::vector<locate::ShardEntry> entries_;
};

/// What one shard is to hold: the chunks of a group, as they are put, and what it holds besides.
class ShardGroup {
 public:
  ShardGroup(const ShardedScale& scale, const WriteGroup& group);

  [[nodiscard]] std::uint64_t shard() const noexcept { return shard_; }

  // Different chunks may be put and removed by different threads.
  [[nodiscard]] bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes,
                         StoreError& error);
  [[nodiscard]] bool remove(const ChunkAddress& chunk, StoreError& error);

  /// Takes over what the shard holds besides the chunks of the group, which is refused unless the write `merges`.
  [[nodiscard]] bool take_over(ShardContents& shard, bool merges, StoreError& error);

  /// The shard's file in pieces, good for as long as this is unchanged; none where it is to be removed.
  [[nodiscard]] bool assemble(std::vector<std::span<const std::byte>>& pieces, StoreError& error);
  /// The same as one, which is empty where the file is to be removed.
  [[nodiscard]] bool assemble(std::vector<std::byte>& whole, StoreError& error);

 private:
  [[nodiscard]] std::optional<std::size_t> index_of(const ChunkAddress& chunk) const noexcept;
  // Takes note of a minishard's chunks that do not belong to the group.
  [[nodiscard]] bool keep(std::uint64_t minishard, std::span<const locate::ShardEntry> entries,
                          std::uint64_t payload_bytes, StoreError& error);

  const ShardedScale& scale_;
  std::uint64_t shard_;
  std::vector<std::uint64_t> ids_;                           // ascending
  std::vector<std::optional<std::vector<std::byte>>> puts_;  // none: removed
  std::vector<locate::ShardEntry> kept_;                     // by offset
  std::uint64_t kept_total_ = 0;
  std::vector<std::vector<std::byte>> kept_bytes_;
  AssembledShard assembled_;
};

}  // namespace cvfast::fetch
