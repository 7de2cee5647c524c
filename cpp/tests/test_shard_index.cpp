// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/shard_index.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

#include "cvfast/core/endian.hpp"
#include "random_input.hpp"
#include "shard_index.hpp"

namespace cvfast::locate {
namespace {

using Bytes = std::vector<std::byte>;
constexpr std::uint64_t kUnknown = UINT64_MAX;

Bytes words(const std::vector<std::uint64_t>& values) {
  Bytes out(8 * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) store_le(out.data() + 8 * i, values[i]);
  return out;
}

void expect_status(const Status& status, Code code, std::uint64_t offset, std::uint64_t expected, std::uint64_t found) {
  EXPECT_EQ(status.code, code);
  EXPECT_EQ(status.offset, offset);
  EXPECT_EQ(status.expected, expected);
  EXPECT_EQ(status.found, found);
}

Status index_of(const std::vector<std::uint64_t>& values, std::uint64_t payload) {
  std::vector<IndexExtent> extents;
  return parse_shard_index(words(values), payload, extents);
}

Status minishard_of(const std::vector<std::uint64_t>& values, std::uint64_t payload, std::vector<ShardEntry>& entries) {
  return parse_minishard_index(words(values), payload, entries);
}

Status minishard_of(const std::vector<std::uint64_t>& values, std::uint64_t payload) {
  std::vector<ShardEntry> entries;
  return minishard_of(values, payload, entries);
}

TEST(ShardIndex, ReadsTheWorkedExampleOfTheFormat) {
  std::vector<IndexExtent> extents{{1, 2}};
  ASSERT_TRUE(parse_shard_index(words({9, 81, 81, 105}), 105, extents).ok());
  ASSERT_EQ(extents.size(), 2U);
  EXPECT_EQ(extents[0].begin, 9U);
  EXPECT_EQ(extents[0].end, 81U);
  EXPECT_EQ(extents[1].begin, 81U);
  EXPECT_EQ(extents[1].end, 105U);
  ASSERT_TRUE(parse_shard_index({}, 0, extents).ok());
  EXPECT_TRUE(extents.empty());
}

TEST(ShardIndex, TakesMinishardsInAnyOrderAndEmptyOnesAnywhere) {
  EXPECT_TRUE(index_of({50, 60, 10, 20, 0, 0, 20, 50, 15, 15, 60, 70}, 70).ok());
  EXPECT_TRUE(index_of({UINT64_MAX, UINT64_MAX, 0, 10}, 10).ok());
  EXPECT_TRUE(index_of({1, UINT64_MAX}, kUnknown).ok());
}

TEST(ShardIndex, RejectsEveryTruncation) {
  const Bytes whole = words({9, 81, 81, 105});
  std::vector<IndexExtent> extents;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Status status = parse_shard_index(std::span(whole).first(size), 105, extents);
    if (size % 16 == 0) {
      EXPECT_TRUE(status.ok());
    } else {
      expect_status(status, Code::kTrailingBytes, size / 16 * 16, size / 16 * 16, size);
    }
  }
}

TEST(ShardIndex, RejectsDecreasingExtents) { expect_status(index_of({0, 5, 9, 8}, 100), Code::kBadValue, 24, 9, 8); }

TEST(ShardIndex, RejectsExtentsPastTheEnd) {
  expect_status(index_of({0, 5, 9, 101}, 100), Code::kOffsetRange, 24, 100, 101);
  EXPECT_TRUE(index_of({0, 5, 9, 100}, 100).ok());
  expect_status(index_of({0, 1}, 0), Code::kOffsetRange, 8, 0, 1);
}

TEST(ShardIndex, RejectsOverlappingExtents) {
  expect_status(index_of({0, 10, 9, 20}, 100), Code::kBadValue, 16, 10, 9);
  expect_status(index_of({50, 60, 0, 10, 55, 58}, 100), Code::kBadValue, 32, 60, 55);
  expect_status(index_of({50, 60, 0, 0, 40, 51}, 100), Code::kBadValue, 0, 51, 50);
  EXPECT_EQ(index_of({5, 10, 5, 10}, 100).code, Code::kBadValue);
}

TEST(ShardIndex, EqualsReferenceOnRandomEntries) {
  testing::Random random(21);
  int accepted = 0;
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::uint64_t> values(2 * static_cast<std::size_t>(random.between(0, 5)));
    for (std::size_t i = 0; i < values.size(); i += 2) {
      values[i] = random.bits() % 40;
      values[i + 1] = random.one_in(20) ? random.bits() : values[i] + random.bits() % 8;
    }
    const std::uint64_t payload = random.one_in(4) ? kUnknown : 20 + random.bits() % 30;
    const Bytes bytes = words(values);
    std::vector<IndexExtent> extents;
    const Status status = parse_shard_index(bytes, payload, extents);
    const auto expected = reference::parse_shard_index(bytes, payload);
    ASSERT_EQ(status.ok(), expected.has_value());
    if (!expected) continue;
    ++accepted;
    ASSERT_EQ(extents.size(), expected->size());
    for (std::size_t i = 0; i < extents.size(); ++i) {
      EXPECT_EQ(extents[i].begin, (*expected)[i].begin);
      EXPECT_EQ(extents[i].end, (*expected)[i].end);
    }
  }
  EXPECT_GT(accepted, 500);
  EXPECT_LT(accepted, 4500);
}

TEST(MinishardIndex, ReadsTheWorkedExampleOfTheFormat) {
  std::vector<ShardEntry> entries{{1, 2, 3}};
  ASSERT_TRUE(minishard_of({0, 4, 4, 0, 0, 0, 3, 2, 0}, 105, entries).ok());
  EXPECT_EQ(entries, (std::vector<ShardEntry>{{0, 0, 3}, {4, 3, 2}, {8, 5, 0}}));
  ASSERT_TRUE(minishard_of({1, 5, 4}, 105, entries).ok());
  EXPECT_EQ(entries, (std::vector<ShardEntry>{{1, 5, 4}}));
  ASSERT_TRUE(parse_minishard_index({}, 0, entries).ok());
  EXPECT_TRUE(entries.empty());
}

TEST(MinishardIndex, ReadsDataThatLieApart) {
  std::vector<ShardEntry> entries;
  ASSERT_TRUE(minishard_of({7, 2, 6, 4, 3, 5}, 18, entries).ok());
  EXPECT_EQ(entries, (std::vector<ShardEntry>{{7, 6, 3}, {9, 13, 5}}));
}

TEST(MinishardIndex, SortsIdsThatAreNot) {
  std::vector<ShardEntry> entries;
  const std::uint64_t back = std::uint64_t{0} - 7;
  ASSERT_TRUE(minishard_of({10, back, 5, 0, 0, 0, 1, 2, 4}, 7, entries).ok());
  EXPECT_EQ(entries, (std::vector<ShardEntry>{{3, 1, 2}, {8, 3, 4}, {10, 0, 1}}));
  ASSERT_TRUE(minishard_of({UINT64_MAX, 1, 0, 0, 1, 1}, 2, entries).ok());
  EXPECT_EQ(entries, (std::vector<ShardEntry>{{0, 1, 1}, {UINT64_MAX, 0, 1}}));
}

TEST(MinishardIndex, RejectsEveryTruncation) {
  const Bytes whole = words({0, 4, 4, 0, 0, 0, 3, 2, 0});
  std::vector<ShardEntry> entries;
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const Status status = parse_minishard_index(std::span(whole).first(size), 5, entries);
    if (size % 24 == 0) {
      // Other rows, hence other entries: here ids 0, 4 with gaps 4, 0 and sizes 0, 0, or 0 with gap 4 and size 4.
      EXPECT_EQ(status.code, size == 24 ? Code::kOffsetRange : Code::kOk);
    } else {
      expect_status(status, Code::kTrailingBytes, size / 24 * 24, size / 24 * 24, size);
    }
  }
}

TEST(MinishardIndex, RejectsRepeatedIds) {
  expect_status(minishard_of({3, 5, 0, 0, 0, 0, 1, 1, 1}, 10), Code::kBadValue, 16, 8, 8);
  const std::uint64_t back = std::uint64_t{0} - 5;
  expect_status(minishard_of({3, 5, back, 0, 0, 0, 1, 1, 1}, 10), Code::kBadValue, 16, 3, 3);
  EXPECT_TRUE(minishard_of({0, 0, 0}, 10).ok());
}

TEST(MinishardIndex, RejectsDataPastTheEnd) {
  expect_status(minishard_of({1, 1, 0, 0, 5, 6}, 10), Code::kOffsetRange, 40, 10, 11);
  EXPECT_TRUE(minishard_of({1, 1, 0, 0, 5, 5}, 10).ok());
  expect_status(minishard_of({1, 11, 0}, 10), Code::kOffsetRange, 16, 10, 11);
}

TEST(MinishardIndex, RejectsPositionsThatGoBack) {
  // The second datum would begin inside of the first one, or before it.
  const std::uint64_t back = std::uint64_t{0} - 3;
  expect_status(minishard_of({1, 1, 0, back, 5, 5}, kUnknown), Code::kOverflow, 24, UINT64_MAX - 5, back);
  expect_status(minishard_of({1, 4, back}, kUnknown), Code::kOverflow, 16, UINT64_MAX - 4, back);
  EXPECT_TRUE(minishard_of({1, 4, UINT64_MAX - 4}, kUnknown).ok());
}

TEST(MinishardIndex, EqualsReferenceOnRandomEntries) {
  testing::Random random(22);
  int accepted = 0;
  for (int round = 0; round < 5000; ++round) {
    const auto n = static_cast<std::size_t>(random.between(0, 6));
    std::vector<std::uint64_t> values(3 * n);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = random.bits() % 6;
      if (i < n && random.one_in(3)) values[i] = std::uint64_t{0} - values[i];
      if (random.one_in(60)) values[i] = random.bits() | random.bits();
    }
    const std::uint64_t payload = random.one_in(4) ? kUnknown : random.bits() % 40;
    const Bytes bytes = words(values);
    std::vector<ShardEntry> entries;
    const Status status = parse_minishard_index(bytes, payload, entries);
    const auto expected = reference::parse_minishard_index(bytes, payload);
    ASSERT_EQ(status.ok(), expected.has_value());
    if (!expected) {
      EXPECT_LT(status.offset, bytes.size());
      continue;
    }
    ++accepted;
    ASSERT_EQ(entries.size(), expected->size());
    std::size_t i = 0;
    for (const auto& [id, entry] : *expected) EXPECT_EQ(entries[i++], entry);
  }
  EXPECT_GT(accepted, 500);
  EXPECT_LT(accepted, 4500);
}

TEST(MinishardIndex, IsReadAsItWasWritten) {
  testing::Random random(23);
  for (int round = 0; round < 500; ++round) {
    std::vector<ShardEntry> written(static_cast<std::size_t>(random.between(0, 20)));
    std::uint64_t position = 0;
    std::uint64_t id = random.one_in(3) ? UINT64_MAX - 1000 : 0;
    for (ShardEntry& entry : written) {
      id += 1 + random.bits() % 40;
      position += random.bits() % 30;
      entry = {id, position, random.bits() % 30};
      position += entry.size;
    }
    Bytes bytes(7, std::byte{1});
    encode_minishard_index(written, bytes);
    EXPECT_EQ(bytes.size(), 24 * written.size());
    std::vector<ShardEntry> read;
    ASSERT_TRUE(parse_minishard_index(bytes, position, read).ok());
    EXPECT_EQ(read, written);
  }
}

TEST(FindEntry, FindsEveryIdAndNoOther) {
  const std::vector<ShardEntry> entries{{0, 0, 1}, {5, 1, 1}, {7, 2, 1}, {UINT64_MAX, 3, 1}};
  for (const ShardEntry& entry : entries) EXPECT_EQ(find_entry(entries, entry.id), &entry);
  for (const std::uint64_t id : std::initializer_list<std::uint64_t>{1, 4, 6, 8, UINT64_MAX - 1}) {
    EXPECT_EQ(find_entry(entries, id), nullptr);
  }
  EXPECT_EQ(find_entry({}, 0), nullptr);
}

}  // namespace
}  // namespace cvfast::locate
