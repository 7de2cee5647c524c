// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/shard_assembly.hpp"

#include <algorithm>
#include <tuple>

#include "cvfast/core/endian.hpp"
#include "cvfast/decode/gzip.hpp"
#include "cvfast/locate/shard_index.hpp"

namespace cvfast::fetch {
namespace {

using locate::ShardEntry;

/// What upstream compresses indexes with.
constexpr int kGzipLevel = 9;

struct Place {
  std::uint64_t minishard;
  std::uint64_t id;
  std::size_t datum;

  [[nodiscard]] bool operator<(const Place& other) const noexcept {
    return std::tie(minishard, id, datum) < std::tie(other.minishard, other.id, other.datum);
  }
};

Status place_data(const locate::ShardSpec& spec, std::span<const ShardDatum> data, std::vector<Place>& out) {
  out.reserve(data.size());
  std::uint64_t shard = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const ShardDatum& datum = data[i];
    const locate::ShardLocation location = locate::shard_location(spec, datum.id);
    if (i == 0) shard = location.shard;
    if (location.shard != shard) return {Code::kBadValue, i, shard, location.shard};
    if (datum.skip > datum.bytes.size()) return {Code::kOffsetRange, i, datum.bytes.size(), datum.skip};
    out.push_back({location.minishard, datum.id, i});
  }
  if (!std::is_sorted(out.begin(), out.end())) std::sort(out.begin(), out.end());
  for (std::size_t i = 1; i < out.size(); ++i) {
    if (out[i].id == out[i - 1].id) return {Code::kOverflow, out[i].datum, out[i].id, out[i].id};
  }
  return {};
}

/// Appends the index of one minishard as it is stored.
Status append_minishard_index(const locate::ShardSpec& spec, std::span<const ShardEntry> entries,
                              std::vector<std::byte>& scratch, std::vector<std::byte>& packed,
                              std::vector<std::byte>& out) {
  locate::encode_minishard_index(entries, scratch);
  if (!spec.gzip_minishard_index) {
    out.insert(out.end(), scratch.begin(), scratch.end());
    return {};
  }
  if (const Status status = decode::gzip::compress(scratch, kGzipLevel, packed); !status.ok()) return status;
  out.insert(out.end(), packed.begin(), packed.end());
  return {};
}

}  // namespace

Status assemble_shard(const locate::ShardSpec& spec, std::span<const ShardDatum> data, AssembledShard& out) {
  out.index.clear();
  out.order.clear();
  out.minishard_indexes.clear();
  if (!spec.valid()) return {Code::kInvalidArgument};
  if (spec.minishard_bits > kMaxWrittenMinishardBits) {
    return {Code::kTooLarge, 0, kMaxWrittenMinishardBits, static_cast<std::uint64_t>(spec.minishard_bits)};
  }
  std::vector<Place> places;
  if (const Status status = place_data(spec, data, places); !status.ok()) return status;

  std::uint64_t data_bytes = 0;
  out.order.reserve(places.size());
  for (const Place& place : places) {
    out.order.push_back(place.datum);
    const std::uint64_t size = data[place.datum].bytes.size();
    if (__builtin_add_overflow(data_bytes, size, &data_bytes)) {
      return {Code::kTooLarge, place.datum, UINT64_MAX - data_bytes, size};
    }
  }
  out.index.resize(static_cast<std::size_t>(locate::kShardIndexEntryBytes) << spec.minishard_bits);

  std::vector<ShardEntry> entries;
  std::vector<std::byte> scratch;
  std::vector<std::byte> packed;
  std::uint64_t offset = 0;
  for (std::size_t first = 0; first < places.size();) {
    const std::uint64_t minishard = places[first].minishard;
    entries.clear();
    for (; first < places.size() && places[first].minishard == minishard; ++first) {
      const ShardDatum& datum = data[places[first].datum];
      const std::uint64_t size = datum.bytes.size();
      entries.push_back({datum.id, offset + datum.skip, size - datum.skip});
      offset += size;
    }
    const std::uint64_t begin = data_bytes + out.minishard_indexes.size();
    if (const Status status = append_minishard_index(spec, entries, scratch, packed, out.minishard_indexes);
        !status.ok()) {
      return status;
    }
    const std::uint64_t end = data_bytes + out.minishard_indexes.size();
    if (end < data_bytes) return {Code::kTooLarge, 0, UINT64_MAX - data_bytes, out.minishard_indexes.size()};
    std::byte* const entry = out.index.data() + locate::kShardIndexEntryBytes * minishard;
    store_le(entry, begin);
    store_le(entry + 8, end);
  }
  return {};
}

}  // namespace cvfast::fetch
