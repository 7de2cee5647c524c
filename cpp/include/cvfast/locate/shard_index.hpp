// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/status.hpp"

/// The two indexes of a shard file (Neuroglancer, sharded.rst, "shard index format" and "minishard index format").
/// Offsets count from the end of the shard index, as they are stored.
namespace cvfast::locate {

/// Bytes of one shard index entry and of one column of a minishard index.
inline constexpr std::uint64_t kShardIndexEntryBytes = 16;
inline constexpr std::uint64_t kMinishardEntryBytes = 24;

/// Where a minishard's encoded index lies; begin == end for a minishard without entries.
struct IndexExtent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// One datum of a shard.
struct ShardEntry {
  std::uint64_t id = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  [[nodiscard]] bool operator==(const ShardEntry&) const noexcept = default;
};

/// Reads consecutive entries of a shard index: 16 bytes each.  `payload_bytes` is the size of the file behind the shard
/// index, UINT64_MAX if it is not known.
/// @return kTrailingBytes (not a multiple of 16 bytes), kBadValue (end before begin), kOffsetRange (past the payload);
/// the status' offset is that of the entry.
Status parse_shard_index(std::span<const std::byte> bytes, std::uint64_t payload_bytes, std::vector<IndexExtent>& out);

/// Reads a decoded minishard index into entries sorted by id.
/// @return kTrailingBytes (not a multiple of 24 bytes), kOverflow (a running sum leaves 64 bits), kOffsetRange (a datum
/// reaches past the payload), kBadValue (an id occurs twice, or two data overlap); the status' offset is that of the
/// field that shows it, expected and found are its bound and value.
/// @throws std::bad_alloc
Status parse_minishard_index(std::span<const std::byte> bytes, std::uint64_t payload_bytes,
                             std::vector<ShardEntry>& out);

/// The entry of an id among entries sorted by id, or null.
[[nodiscard]] const ShardEntry* find_entry(std::span<const ShardEntry> entries, std::uint64_t id) noexcept;

/// Writes a minishard index, delta coded in the order given.  Data may be apart: what lies between is counted to the
/// next one's offset.
/// @throws std::bad_alloc
void encode_minishard_index(std::span<const ShardEntry> entries, std::vector<std::byte>& out);

}  // namespace cvfast::locate
