// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cvfast/locate/shard_index.hpp"
#include "cvfast/locate/shard_spec.hpp"

/// Slow twins of what finds a datum in a shard file, and of what lays such a file out.
namespace cvfast::reference {

/// Bit by bit.
[[nodiscard]] locate::ShardLocation shard_location(const locate::ShardSpec& spec, std::uint64_t id);

[[nodiscard]] std::string shard_name(const locate::ShardSpec& spec, std::uint64_t shard);

/// Nothing where the bytes are not entries of a shard index with this payload; every pair of extents is compared.
[[nodiscard]] std::optional<std::vector<locate::IndexExtent>> parse_shard_index(std::span<const std::byte> bytes,
                                                                                std::uint64_t payload_bytes);

/// Nothing where the bytes are not a minishard index with this payload; else id -> entry.
[[nodiscard]] std::optional<std::map<std::uint64_t, locate::ShardEntry>> parse_minishard_index(
    std::span<const std::byte> bytes, std::uint64_t payload_bytes);

/// A whole shard file with raw indexes, data as given: minishards ascending, ids ascending.
[[nodiscard]] std::vector<std::byte> shard_file(const locate::ShardSpec& spec,
                                                const std::map<std::uint64_t, std::vector<std::byte>>& data);

/// A datum of a whole shard file with raw indexes, following the format's description step by step; nothing if missing.
[[nodiscard]] std::optional<std::vector<std::byte>> find_in_shard_file(const locate::ShardSpec& spec,
                                                                       std::span<const std::byte> file,
                                                                       std::uint64_t id);

}  // namespace cvfast::reference
