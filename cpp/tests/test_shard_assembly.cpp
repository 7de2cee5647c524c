// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/shard_assembly.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

#include "cvfast/core/endian.hpp"
#include "cvfast/decode/gzip.hpp"
#include "cvfast/locate/shard_index.hpp"
#include "random_input.hpp"
#include "shard_cases.hpp"
#include "shard_index.hpp"

namespace cvfast::fetch {
namespace {

using Bytes = std::vector<std::byte>;
using locate::ShardSpec;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Bytes joined(std::span<const ShardDatum> data, const AssembledShard& shard) {
  Bytes out = shard.index;
  for (const std::size_t i : shard.order) out.insert(out.end(), data[i].bytes.begin(), data[i].bytes.end());
  out.insert(out.end(), shard.minishard_indexes.begin(), shard.minishard_indexes.end());
  return out;
}

std::string hex(const Bytes& bytes) {
  std::string out;
  for (const std::byte b : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned>(b) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned>(b) & 15];
  }
  return out;
}

/// Finds a datum of a file by the kernels that readers use.
std::optional<Bytes> find(const ShardSpec& spec, const Bytes& file, std::uint64_t id) {
  const std::size_t index_bytes = std::size_t{16} << spec.minishard_bits;
  const std::span<const std::byte> payload = std::span(file).subspan(index_bytes);
  std::vector<locate::IndexExtent> extents;
  EXPECT_TRUE(locate::parse_shard_index(std::span(file).first(index_bytes), payload.size(), extents).ok());
  const locate::IndexExtent extent = extents[locate::shard_location(spec, id).minishard];
  if (extent.begin == extent.end) return std::nullopt;
  const std::span<const std::byte> stored = payload.subspan(extent.begin, extent.end - extent.begin);
  Bytes index(stored.begin(), stored.end());
  if (spec.gzip_minishard_index) {
    EXPECT_TRUE(decode::gzip::decompress(stored, 1 << 24, index).ok());
  }
  std::vector<locate::ShardEntry> entries;
  EXPECT_TRUE(locate::parse_minishard_index(index, payload.size(), entries).ok());
  const locate::ShardEntry* entry = locate::find_entry(entries, id);
  if (entry == nullptr) return std::nullopt;
  const std::span<const std::byte> datum = payload.subspan(entry->offset, entry->size);
  return Bytes(datum.begin(), datum.end());
}

TEST(AssembleShard, WritesTheWorkedExampleOfTheFormat) {
  ShardSpec spec;
  spec.minishard_bits = 1;
  spec.shard_bits = 1;
  const std::vector<ShardDatum> data{
      {8, bytes_of("")}, {1, bytes_of("cccc")}, {4, bytes_of("bb")}, {0, bytes_of("aaa")}};
  AssembledShard shard;
  ASSERT_TRUE(assemble_shard(spec, data, shard).ok());
  EXPECT_EQ(shard.order, (std::vector<std::size_t>{3, 2, 0, 1}));
  EXPECT_EQ(
      hex(joined(data, shard)),
      "090000000000000051000000000000005100000000000000690000000000000061616162626363636300000000000000000400000000"
      "000000040000000000000000000000000000000000000000000000000000000000000003000000000000000200000000000000000000"
      "0000000000010000000000000005000000000000000400000000000000");
}

TEST(AssembleShard, LeavesSkippedBytesOutOfTheIndex) {
  const ShardSpec spec;
  const std::vector<ShardDatum> data{{7, bytes_of("FFFFFFmmm"), 6}, {9, bytes_of("GGGGnnnnn"), 4}};
  AssembledShard shard;
  ASSERT_TRUE(assemble_shard(spec, data, shard).ok());
  std::vector<std::uint64_t> words;
  for (std::size_t i = 0; i < shard.minishard_indexes.size(); i += 8) {
    words.push_back(load_le<std::uint64_t>(shard.minishard_indexes.data() + i));
  }
  EXPECT_EQ(words, (std::vector<std::uint64_t>{7, 2, 6, 4, 3, 5}));
  const Bytes file = joined(data, shard);
  const auto manifest = bytes_of("nnnnn");
  EXPECT_EQ(find(spec, file, 9), Bytes(manifest.begin(), manifest.end()));
}

TEST(AssembleShard, OfNothingIsAnIndexOfEmptyMinishards) {
  ShardSpec spec;
  spec.minishard_bits = 3;
  spec.gzip_minishard_index = true;
  AssembledShard shard;
  shard.order.push_back(9);
  ASSERT_TRUE(assemble_shard(spec, {}, shard).ok());
  EXPECT_EQ(shard.index, Bytes(128));
  EXPECT_TRUE(shard.order.empty());
  EXPECT_TRUE(shard.minishard_indexes.empty());
}

TEST(AssembleShard, EqualsReferenceAndIsReadBack) {
  testing::Random random(11);
  for (int round = 0; round < 300; ++round) {
    const ShardSpec spec = testing::random_shard_spec(random, 8);
    const std::uint64_t shard_number = locate::shard_location(spec, random.bits()).shard;
    std::map<std::uint64_t, Bytes> wanted;
    for (int i = 0; i < 400 && wanted.size() < 60; ++i) {
      const std::uint64_t id = random.bits() >> random.between(0, 63);
      if (locate::shard_location(spec, id).shard != shard_number) continue;
      wanted[id] = random.bytes(static_cast<std::size_t>(random.one_in(6) ? 0 : random.between(1, 40)));
    }
    std::vector<ShardDatum> data;
    for (const auto& [id, bytes] : wanted) data.push_back({id, bytes});
    for (std::size_t i = data.size(); i > 1; --i) std::swap(data[i - 1], data[random.bits() % i]);
    AssembledShard shard;
    ASSERT_TRUE(assemble_shard(spec, data, shard).ok());
    const Bytes file = joined(data, shard);
    if (!spec.gzip_minishard_index) {
      EXPECT_EQ(file, reference::shard_file(spec, wanted));
    }
    for (const auto& [id, bytes] : wanted) {
      ASSERT_EQ(find(spec, file, id), bytes) << id;
      if (!spec.gzip_minishard_index) {
        EXPECT_EQ(reference::find_in_shard_file(spec, file, id), bytes);
      }
      if (!wanted.contains(id + 1)) {
        EXPECT_EQ(find(spec, file, id + 1), std::nullopt);
      }
    }
  }
}

TEST(AssembleShard, RefusesAnIdThatComesTwice) {
  const std::vector<ShardDatum> data{{5, bytes_of("a")}, {3, bytes_of("b")}, {5, bytes_of("c")}};
  AssembledShard shard;
  const Status status = assemble_shard({}, data, shard);
  EXPECT_EQ(status.code, Code::kOverflow);
  EXPECT_EQ(status.offset, 2U);
  EXPECT_EQ(status.found, 5U);
}

TEST(AssembleShard, RefusesIdsOfSeveralShards) {
  ShardSpec spec;
  spec.shard_bits = 2;
  const std::vector<ShardDatum> data{{1, bytes_of("a")}, {5, bytes_of("b")}, {7, bytes_of("c")}};
  AssembledShard shard;
  const Status status = assemble_shard(spec, data, shard);
  EXPECT_EQ(status.code, Code::kBadValue);
  EXPECT_EQ(status.offset, 2U);
  EXPECT_EQ(status.expected, 1U);
  EXPECT_EQ(status.found, 3U);
}

TEST(AssembleShard, RefusesMoreSkippedThanThereIs) {
  const std::vector<ShardDatum> data{{1, bytes_of("abc"), 3}, {2, bytes_of("abc"), 4}};
  AssembledShard shard;
  const Status status = assemble_shard({}, data, shard);
  EXPECT_EQ(status.code, Code::kOffsetRange);
  EXPECT_EQ(status.offset, 1U);
  EXPECT_EQ(status.expected, 3U);
  EXPECT_EQ(status.found, 4U);
  EXPECT_TRUE(assemble_shard({}, std::span(data).first(1), shard).ok());
}

TEST(AssembleShard, RefusesSpecificationsThatCannotBeWritten) {
  AssembledShard shard;
  ShardSpec spec;
  spec.minishard_bits = 31;
  const Status status = assemble_shard(spec, {}, shard);
  EXPECT_EQ(status.code, Code::kTooLarge);
  EXPECT_EQ(status.expected, 30U);
  EXPECT_EQ(status.found, 31U);
  spec.minishard_bits = -1;
  EXPECT_EQ(assemble_shard(spec, {}, shard).code, Code::kInvalidArgument);
  spec.minishard_bits = 1;
  spec.shard_bits = 64;
  EXPECT_EQ(assemble_shard(spec, {}, shard).code, Code::kInvalidArgument);
}

TEST(AssembleShard, RefusesSizesThatLeave64Bits) {
  // Only sizes are looked at, so that these spans are never read.
  const std::byte byte{};
  const std::vector<ShardDatum> data{{1, {&byte, SIZE_MAX - 8}}, {2, {&byte, 8}}, {3, {&byte, 1}}};
  AssembledShard shard;
  Status status = assemble_shard({}, data, shard);
  EXPECT_EQ(status.code, Code::kTooLarge);
  EXPECT_EQ(status.offset, 2U);
  status = assemble_shard({}, std::span(data).first(2), shard);  // no room for the minishard index
  EXPECT_EQ(status.code, Code::kTooLarge);
}

}  // namespace
}  // namespace cvfast::fetch
