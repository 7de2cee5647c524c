// SPDX-License-Identifier: BSD-3-Clause
#include "shard_index.hpp"

#include <cstdio>

#include "locate.hpp"

namespace cvfast::reference {
namespace {

std::uint64_t load(std::span<const std::byte> bytes, std::size_t word) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= static_cast<std::uint64_t>(bytes[8 * word + i]) << (8 * i);
  return value;
}

void append(std::vector<std::byte>& out, std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i) out.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xff));
}

}  // namespace

locate::ShardLocation shard_location(const locate::ShardSpec& spec, std::uint64_t id) {
  for (int i = 0; i < spec.preshift_bits; ++i) id /= 2;
  std::uint64_t hash = spec.hash == locate::ShardHash::kIdentity ? id : murmurhash3_uint64(id);
  locate::ShardLocation out;
  for (int i = 0; i < spec.minishard_bits; ++i, hash /= 2) out.minishard |= (hash % 2) << i;
  for (int i = 0; i < spec.shard_bits; ++i, hash /= 2) out.shard |= (hash % 2) << i;
  return out;
}

std::string shard_name(const locate::ShardSpec& spec, std::uint64_t shard) {
  int digits = 0;
  while (4 * digits < spec.shard_bits) ++digits;
  char text[32];
  std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(shard));
  return text;
}

std::optional<std::vector<locate::IndexExtent>> parse_shard_index(std::span<const std::byte> bytes,
                                                                  std::uint64_t payload_bytes) {
  if (bytes.size() % 16 != 0) return std::nullopt;
  std::vector<locate::IndexExtent> out;
  for (std::size_t i = 0; i < bytes.size() / 16; ++i) {
    const locate::IndexExtent extent{load(bytes, 2 * i), load(bytes, 2 * i + 1)};
    if (extent.begin > extent.end) return std::nullopt;
    if (extent.begin < extent.end) {
      if (extent.end > payload_bytes) return std::nullopt;
      for (const locate::IndexExtent& other : out) {
        if (other.begin < other.end && extent.begin < other.end && other.begin < extent.end) return std::nullopt;
      }
    }
    out.push_back(extent);
  }
  return out;
}

std::optional<std::map<std::uint64_t, locate::ShardEntry>> parse_minishard_index(std::span<const std::byte> bytes,
                                                                                 std::uint64_t payload_bytes) {
  if (bytes.size() % 24 != 0) return std::nullopt;
  const std::size_t n = bytes.size() / 24;
  std::map<std::uint64_t, locate::ShardEntry> out;
  std::uint64_t id = 0;
  std::uint64_t position = 0;
  for (std::size_t i = 0; i < n; ++i) {
    id += load(bytes, i);
    const std::uint64_t gap = load(bytes, n + i);
    const std::uint64_t size = load(bytes, 2 * n + i);
    if (gap > payload_bytes - position) return std::nullopt;
    position += gap;
    if (size > payload_bytes - position) return std::nullopt;
    if (!out.emplace(id, locate::ShardEntry{id, position, size}).second) return std::nullopt;
    position += size;
  }
  return out;
}

std::vector<std::byte> shard_file(const locate::ShardSpec& spec,
                                  const std::map<std::uint64_t, std::vector<std::byte>>& data) {
  std::map<std::uint64_t, std::vector<std::uint64_t>> minishards;  // maps keep both orders
  for (const auto& [id, bytes] : data) minishards[reference::shard_location(spec, id).minishard].push_back(id);

  std::vector<std::byte> payload;
  std::map<std::uint64_t, std::vector<std::byte>> indexes;
  for (const auto& [minishard, ids] : minishards) {
    std::vector<std::byte>& index = indexes[minishard];
    for (std::size_t i = 0; i < ids.size(); ++i) append(index, i == 0 ? ids[0] : ids[i] - ids[i - 1]);
    for (std::size_t i = 0; i < ids.size(); ++i) append(index, i == 0 ? payload.size() : 0);
    for (const std::uint64_t id : ids) {
      append(index, data.at(id).size());
      payload.insert(payload.end(), data.at(id).begin(), data.at(id).end());
    }
  }
  std::vector<std::byte> file;
  for (std::uint64_t minishard = 0; minishard < std::uint64_t{1} << spec.minishard_bits; ++minishard) {
    const auto found = indexes.find(minishard);
    append(file, found == indexes.end() ? 0 : payload.size());
    if (found != indexes.end()) payload.insert(payload.end(), found->second.begin(), found->second.end());
    append(file, found == indexes.end() ? 0 : payload.size());
  }
  file.insert(file.end(), payload.begin(), payload.end());
  return file;
}

std::optional<std::vector<std::byte>> find_in_shard_file(const locate::ShardSpec& spec, std::span<const std::byte> file,
                                                         std::uint64_t id) {
  const std::size_t index_bytes = std::size_t{16} << spec.minishard_bits;
  const std::span<const std::byte> payload = file.subspan(index_bytes);
  const std::uint64_t minishard = reference::shard_location(spec, id).minishard;
  const std::uint64_t begin = load(file, 2 * minishard);
  const std::uint64_t end = load(file, 2 * minishard + 1);
  if (begin == end) return std::nullopt;
  const auto entries = parse_minishard_index(payload.subspan(begin, end - begin), payload.size());
  if (!entries || !entries->contains(id)) return std::nullopt;
  const locate::ShardEntry& entry = entries->at(id);
  const std::span<const std::byte> bytes = payload.subspan(entry.offset, entry.size);
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

}  // namespace cvfast::reference
