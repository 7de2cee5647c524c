// SPDX-License-Identifier: BSD-3-Clause
#include "sharded_scale.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "cvfast/core/checked.hpp"
#include "cvfast/decode/gzip.hpp"
#include "cvfast/locate/morton.hpp"

namespace cvfast::fetch {

using locate::IndexExtent;
using locate::ShardEntry;
using locate::ShardLocation;

ShardedScale::ShardedScale(std::string where, const locate::ShardSpec& specification, const locate::ChunkGrid& chunks,
                           std::shared_ptr<ShardIndexCache> indexes)
    : folder(std::move(where)),
      spec(specification),
      grid(chunks),
      grid_size(chunks.grid_size()),
      num_chunks(static_cast<std::uint64_t>(
          checked_product({grid_size[0], grid_size[1], grid_size[2]})
              .value_or(INT64_MAX / static_cast<std::int64_t>(locate::kMinishardEntryBytes)))),
      cache(std::move(indexes)),
      number(cache->intern(folder, spec)) {}

std::uint64_t ShardedScale::id_of(const Int3& grid_point) const noexcept {
  return locate::compressed_morton_code(grid_point, grid_size);
}

std::uint64_t ShardedScale::index_bytes() const noexcept {
  return spec.minishard_bits >= 59 ? std::numeric_limits<std::uint64_t>::max()
                                   : locate::kShardIndexEntryBytes << spec.minishard_bits;
}

std::string ShardedScale::shard_name(std::uint64_t shard, std::string_view ending) const {
  char buffer[locate::kShardNameBytes];
  return std::string(locate::shard_name(spec, shard, ending, buffer));
}

std::string ShardedScale::minishard_index_name(const ShardLocation& at) const {
  return shard_name(at.shard) + ": minishard " + std::to_string(at.minishard) + " index";
}

std::string ShardedScale::chunk_title(const ChunkAddress& chunk) const {
  const std::uint64_t id = id_of(chunk.grid_point);
  const ShardLocation at = shard_location(spec, id);
  return shard_name(at.shard) + ": minishard " + std::to_string(at.minishard) + ", chunk " + std::to_string(id) + " (" +
         std::string(chunk.name) + ")";
}

ByteExtent ShardedScale::page_extent(std::uint64_t page) const noexcept {
  const std::uint64_t begin = page * kPageEntries * locate::kShardIndexEntryBytes;
  return {begin, begin + std::min(kPageEntries * locate::kShardIndexEntryBytes, index_bytes() - begin)};
}

Status ShardedScale::parse_page(std::uint64_t page, std::span<const std::byte> bytes, std::uint64_t payload_bytes,
                                std::vector<IndexExtent>& out) const {
  Status status = locate::parse_shard_index(bytes, payload_bytes, out);
  if (!status.ok()) status.offset += page_extent(page).begin;
  return status;
}

Status ShardedScale::check_minishard_index_size(std::uint64_t stored_bytes) const noexcept {
  const std::uint64_t limit = num_chunks * locate::kMinishardEntryBytes;
  const bool is_too_large = spec.gzip_minishard_index ? stored_bytes / 2 > limit + 64 : stored_bytes > limit;
  return is_too_large ? Status{Code::kTooLarge, 0, limit, stored_bytes} : Status{};
}

Status ShardedScale::parse_minishard(std::span<const std::byte> stored, std::uint64_t payload_bytes,
                                     std::vector<ShardEntry>& out) const {
  if (const Status status = check_minishard_index_size(stored.size()); !status.ok()) return status;
  if (!spec.gzip_minishard_index) return locate::parse_minishard_index(stored, payload_bytes, out);
  std::vector<std::byte> inflated;
  const Status status = decode::gzip::decompress(stored, num_chunks * locate::kMinishardEntryBytes, inflated);
  if (!status.ok()) return status;
  return locate::parse_minishard_index(inflated, payload_bytes, out);
}

std::vector<WriteGroup> ShardedScale::groups(const Box3& grid_range) const {
  struct Placed {
    std::uint64_t shard = 0;
    std::uint64_t id = 0;
    Int3 grid_point{};
  };
  const Int3 shape = grid_range.shape();
  const auto n = checked_product({shape[0], shape[1], shape[2]});
  if (!n || static_cast<std::uint64_t>(*n) > std::vector<Placed>().max_size()) throw std::bad_alloc();
  std::vector<Placed> placed(static_cast<std::size_t>(*n));
  for (std::size_t i = 0; i < placed.size(); ++i) {
    const Int3 point = locate::grid_point_at(grid_range, static_cast<std::int64_t>(i));
    const std::uint64_t id = id_of(point);
    placed[i] = {shard_location(spec, id).shard, id, point};
  }
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.shard != b.shard ? a.shard < b.shard : a.id < b.id; });
  std::vector<WriteGroup> out;
  for (const Placed& chunk : placed) {
    if (out.empty() || out.back().object != chunk.shard) out.push_back({chunk.shard, {}});
    out.back().grid_points.push_back(chunk.grid_point);
  }
  return out;
}

bool ShardedScale::covers_shard(const WriteGroup& group) const noexcept {
  const Box3 range = shard_grid_range(spec, grid_size, group.grid_points.front());
  if (range.empty()) return group.grid_points.size() == num_chunks;
  const Int3 shape = range.shape();
  const auto count = checked_product({shape[0], shape[1], shape[2]});
  return count && static_cast<std::uint64_t>(*count) == group.grid_points.size();
}

}  // namespace cvfast::fetch
