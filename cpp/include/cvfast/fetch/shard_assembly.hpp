// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/status.hpp"
#include "cvfast/locate/shard_spec.hpp"

/// Lays out a shard file: its shard index, then the data, then the minishard indexes.
namespace cvfast::fetch {

/// A shard index of more minishards than 2^30 (16 GiB) is not written.
inline constexpr int kMaxWrittenMinishardBits = 30;

/// Bytes to be stored, as they are stored (data_encoding is the caller's).
struct ShardDatum {
  std::uint64_t id;
  std::span<const std::byte> bytes;
  std::uint64_t skip = 0;  ///< leading bytes that the index leaves out: the fragments of a multi-resolution mesh
};

/// A shard file is `index`, data[order[0]].bytes, data[order[1]].bytes, ..., `minishard_indexes`.
struct AssembledShard {
  std::vector<std::byte> index;
  std::vector<std::size_t> order;  ///< minishards ascending, ids ascending in each
  std::vector<std::byte> minishard_indexes;
};

/// Computes everything of a shard file that is not data; of the data only the sizes are looked at.
/// @return kInvalidArgument (the specification is not valid), kTooLarge (more minishards than are written, or offsets
/// that leave 64 bits); with the number of the datum as offset: kBadValue (it belongs to another shard than the first
/// one; expected and found are shards), kOverflow (its id, in found, occurs before), kOffsetRange (its skip, in found,
/// is more than its size).
/// @throws std::bad_alloc
Status assemble_shard(const locate::ShardSpec& spec, std::span<const ShardDatum> data, AssembledShard& out);

}  // namespace cvfast::fetch
