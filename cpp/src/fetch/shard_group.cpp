// SPDX-License-Identifier: BSD-3-Clause
#include "shard_group.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

namespace cvfast::fetch {

using locate::ShardEntry;
using locate::ShardLocation;

ShardGroup::ShardGroup(const ShardedScale& scale, const WriteGroup& group) : scale_(scale), shard_(group.object) {
  ids_.reserve(group.grid_points.size());
  for (const Int3& point : group.grid_points) ids_.push_back(scale.id_of(point));
  puts_.resize(ids_.size());
}

std::optional<std::size_t> ShardGroup::index_of(const ChunkAddress& chunk) const noexcept {
  const std::uint64_t id = scale_.id_of(chunk.grid_point);
  const auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
  if (found == ids_.end() || *found != id) return std::nullopt;
  return static_cast<std::size_t>(found - ids_.begin());
}

bool ShardGroup::put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes,
                     StoreError& error) {
  const std::optional<std::size_t> at = index_of(chunk);
  if (!at || compression != scale_.compression()) {
    error.io = {"write", EINVAL};
    error.name = scale_.chunk_title(chunk);
    return false;
  }
  puts_[*at].emplace(bytes.begin(), bytes.end());
  return true;
}

bool ShardGroup::remove(const ChunkAddress& chunk, StoreError& error) {
  const std::optional<std::size_t> at = index_of(chunk);
  if (!at) {
    error.io = {"write", EINVAL};
    error.name = scale_.chunk_title(chunk);
    return false;
  }
  puts_[*at].reset();
  return true;
}

bool ShardGroup::keep(std::uint64_t minishard, std::span<const ShardEntry> entries, std::uint64_t payload_bytes,
                      StoreError& error) {
  const ShardLocation here{shard_, minishard};
  for (const ShardEntry& entry : entries) {
    if (std::binary_search(ids_.begin(), ids_.end(), entry.id)) continue;
    kept_total_ += entry.size;
    // Entries of one minishard do not overlap; those of two must not either, or a small file asks for much memory.
    if (!(shard_location(scale_.spec, entry.id) == here) || kept_total_ > payload_bytes) {
      error.name = scale_.minishard_index_name(here) + ", chunk " + std::to_string(entry.id);
      error.status = {Code::kBadValue, 0, payload_bytes, kept_total_};
      return false;
    }
    kept_.push_back(entry);
  }
  return true;
}

bool ShardGroup::check_merging(bool merges, StoreError& error) const {
  if (merges || kept_.empty()) return true;
  error.status = {Code::kInvalidArgument, 0, ids_.size(), ids_.size() + kept_.size()};
  error.name = scale_.shard_name(shard_);
  return false;
}

std::vector<ShardEntry>& ShardGroup::kept() {
  std::sort(kept_.begin(), kept_.end(), [](const ShardEntry& a, const ShardEntry& b) { return a.offset < b.offset; });
  kept_bytes_.resize(kept_.size());
  for (std::size_t i = 0; i < kept_.size(); ++i) kept_bytes_[i].resize(kept_[i].size);
  return kept_;
}

bool ShardGroup::assemble(std::vector<std::span<const std::byte>>& pieces, StoreError& error) {
  pieces.clear();
  std::vector<ShardDatum> data;
  data.reserve(ids_.size() + kept_.size());
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (puts_[i]) data.push_back({ids_[i], *puts_[i]});
  }
  for (std::size_t i = 0; i < kept_.size(); ++i) data.push_back({kept_[i].id, kept_bytes_[i]});
  if (data.empty()) return true;
  error.status = assemble_shard(scale_.spec, data, assembled_);
  if (!error.status.ok()) {
    error.name = scale_.shard_name(shard_);
    return false;
  }
  pieces.reserve(data.size() + 2);
  pieces.emplace_back(assembled_.index);
  for (const std::size_t i : assembled_.order) pieces.push_back(data[i].bytes);
  pieces.emplace_back(assembled_.minishard_indexes);
  return true;
}

}  // namespace cvfast::fetch
