// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/shard_index.hpp"

#include <algorithm>

#include "cvfast/core/endian.hpp"

namespace cvfast::locate {
namespace {

bool add(std::uint64_t& sum, std::uint64_t value) noexcept { return !__builtin_add_overflow(sum, value, &sum); }

}  // namespace

Status parse_shard_index(std::span<const std::byte> bytes, std::uint64_t payload_bytes, std::vector<IndexExtent>& out) {
  out.clear();
  if (bytes.size() % kShardIndexEntryBytes != 0) {
    const std::uint64_t whole = bytes.size() / kShardIndexEntryBytes * kShardIndexEntryBytes;
    return {Code::kTrailingBytes, whole, whole, bytes.size()};
  }
  out.reserve(bytes.size() / kShardIndexEntryBytes);
  for (std::size_t at = 0; at < bytes.size(); at += kShardIndexEntryBytes) {
    const IndexExtent extent{load_le<std::uint64_t>(bytes.data() + at), load_le<std::uint64_t>(bytes.data() + at + 8)};
    if (extent.end < extent.begin) return {Code::kBadValue, at + 8, extent.begin, extent.end};
    // Where there is nothing, the position means nothing either.
    if (extent.end != extent.begin && extent.end > payload_bytes) {
      return {Code::kOffsetRange, at + 8, payload_bytes, extent.end};
    }
    out.push_back(extent);
  }
  return {};
}

Status parse_minishard_index(std::span<const std::byte> bytes, std::uint64_t payload_bytes,
                             std::vector<ShardEntry>& out) {
  out.clear();
  if (bytes.size() % kMinishardEntryBytes != 0) {
    const std::uint64_t whole = bytes.size() / kMinishardEntryBytes * kMinishardEntryBytes;
    return {Code::kTrailingBytes, whole, whole, bytes.size()};
  }
  const std::size_t n = bytes.size() / kMinishardEntryBytes;
  const std::byte* const ids = bytes.data();
  const std::byte* const gaps = ids + 8 * n;
  const std::byte* const sizes = gaps + 8 * n;
  out.reserve(n);
  std::uint64_t id = 0;
  std::uint64_t end = 0;
  bool is_sorted = true;
  for (std::size_t i = 0; i < n; ++i) {
    // Ids may go down, hence wrap around; positions may not: a gap is what lies between two data.
    const std::uint64_t step = load_le<std::uint64_t>(ids + 8 * i);
    const std::uint64_t previous = id;
    id += step;
    const std::uint64_t gap = load_le<std::uint64_t>(gaps + 8 * i);
    const std::uint64_t size = load_le<std::uint64_t>(sizes + 8 * i);
    std::uint64_t begin = end;
    if (!add(begin, gap)) return {Code::kOverflow, 8 * (n + i), UINT64_MAX - end, gap};
    end = begin;
    if (!add(end, size)) return {Code::kOverflow, 8 * (2 * n + i), UINT64_MAX - begin, size};
    if (end > payload_bytes) return {Code::kOffsetRange, 8 * (2 * n + i), payload_bytes, end};
    if (i > 0 && step == 0) return {Code::kBadValue, 8 * i, previous + 1, id};
    if (i > 0 && id < previous) is_sorted = false;
    out.push_back({id, begin, size});
  }
  if (is_sorted) return {};
  std::sort(out.begin(), out.end(), [](const ShardEntry& a, const ShardEntry& b) { return a.id < b.id; });
  for (std::size_t i = 1; i < n; ++i) {
    if (out[i].id == out[i - 1].id) return {Code::kBadValue, 0, out[i].id + 1, out[i].id};
  }
  return {};
}

const ShardEntry* find_entry(std::span<const ShardEntry> entries, std::uint64_t id) noexcept {
  const auto found = std::lower_bound(entries.begin(), entries.end(), id,
                                      [](const ShardEntry& entry, std::uint64_t key) { return entry.id < key; });
  return found != entries.end() && found->id == id ? &*found : nullptr;
}

void encode_minishard_index(std::span<const ShardEntry> entries, std::vector<std::byte>& out) {
  const std::size_t n = entries.size();
  out.resize(n * kMinishardEntryBytes);
  std::uint64_t id = 0;
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < n; ++i) {
    store_le(out.data() + 8 * i, entries[i].id - id);
    store_le(out.data() + 8 * (n + i), entries[i].offset - end);
    store_le(out.data() + 8 * (2 * n + i), entries[i].size);
    id = entries[i].id;
    end = entries[i].offset + entries[i].size;
  }
}

}  // namespace cvfast::locate
