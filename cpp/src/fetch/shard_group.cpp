// SPDX-License-Identifier: BSD-3-Clause
#include "shard_group.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

namespace cvfast::fetch {

using locate::IndexExtent;
using locate::ShardEntry;
using locate::ShardLocation;

bool ShardInMemory::entries(std::uint64_t minishard, std::span<const ShardEntry>& out, StoreError& error) {
  out = {};
  const std::uint64_t page = minishard / ShardedScale::kPageEntries;
  if (page_ != page) {
    page_.reset();
    const ByteExtent where = scale_.page_extent(page);
    error.status =
        scale_.parse_page(page, index_.subspan(where.begin, where.end - where.begin), payload_.size(), extents_);
    if (!error.status.ok()) {
      error.name = scale_.shard_name(shard_) + ": shard index";
      return false;
    }
    page_ = page;
  }
  const IndexExtent extent = extents_[minishard % ShardedScale::kPageEntries];
  if (extent.begin == extent.end) return true;
  error.status =
      scale_.parse_minishard(payload_.subspan(extent.begin, extent.end - extent.begin), payload_.size(), entries_);
  if (!error.status.ok()) {
    error.name = scale_.minishard_index_name({shard_, minishard});
    return false;
  }
  out = entries_;
  return true;
}

bool ShardInMemory::read(const ShardEntry& entry, std::span<std::byte> to, StoreError&) {
  const auto from = payload_.subspan(entry.offset, entry.size);
  std::copy(from.begin(), from.end(), to.begin());
  return true;
}

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

bool ShardGroup::take_over(ShardContents& shard, bool merges, StoreError& error) {
  const std::uint64_t num_minishards = scale_.index_bytes() / locate::kShardIndexEntryBytes;
  for (std::uint64_t minishard = 0; minishard < num_minishards; ++minishard) {
    std::span<const ShardEntry> entries;
    if (!shard.entries(minishard, entries, error)) return false;
    if (!keep(minishard, entries, shard.payload_bytes(), error)) return false;
  }
  if (!merges && !kept_.empty()) {
    error.status = {Code::kInvalidArgument, 0, ids_.size(), ids_.size() + kept_.size()};
    error.name = scale_.shard_name(shard_);
    return false;
  }
  std::sort(kept_.begin(), kept_.end(), [](const ShardEntry& a, const ShardEntry& b) { return a.offset < b.offset; });
  kept_bytes_.reserve(kept_.size());
  for (const ShardEntry& entry : kept_) {
    if (!shard.read(entry, kept_bytes_.emplace_back(entry.size), error)) return false;
  }
  return true;
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

bool ShardGroup::assemble(std::vector<std::byte>& whole, StoreError& error) {
  whole.clear();
  std::vector<std::span<const std::byte>> pieces;
  if (!assemble(pieces, error)) return false;
  std::size_t size_bytes = 0;
  for (const auto& piece : pieces) size_bytes += piece.size();
  whole.reserve(size_bytes);
  for (const auto& piece : pieces) whole.insert(whole.end(), piece.begin(), piece.end());
  return true;
}

}  // namespace cvfast::fetch
