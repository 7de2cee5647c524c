// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/shard_spec.hpp"

#include <gtest/gtest.h>

#include "random_input.hpp"
#include "shard_cases.hpp"
#include "shard_index.hpp"

namespace cvfast::locate {
namespace {

std::string name_of(int shard_bits, std::uint64_t shard, std::string_view ending = "") {
  ShardSpec spec;
  spec.shard_bits = shard_bits;
  char buffer[kShardNameBytes];
  const std::string_view name = shard_name(spec, shard, ending, buffer);
  EXPECT_EQ(name.data()[name.size()], '\0');
  return std::string(name);
}

ShardSpec spec_of(int preshift, int minishard, int shard, ShardHash hash = ShardHash::kIdentity) {
  return {.preshift_bits = preshift, .minishard_bits = minishard, .shard_bits = shard, .hash = hash};
}

TEST(ShardSpec, KnowsWhichFieldsAreValid) {
  EXPECT_TRUE(spec_of(0, 0, 0).valid());
  EXPECT_TRUE(spec_of(64, 64, 0).valid());
  EXPECT_TRUE(spec_of(64, 0, 64).valid());
  EXPECT_TRUE(spec_of(0, 32, 32).valid());
  EXPECT_FALSE(spec_of(-1, 0, 0).valid());
  EXPECT_FALSE(spec_of(65, 0, 0).valid());
  EXPECT_FALSE(spec_of(0, -1, 0).valid());
  EXPECT_FALSE(spec_of(0, 65, 0).valid());
  EXPECT_FALSE(spec_of(0, 0, -1).valid());
  EXPECT_FALSE(spec_of(0, 0, 65).valid());
  EXPECT_FALSE(spec_of(0, 33, 32).valid());
  EXPECT_FALSE(spec_of(0, 65, -1).valid());
}

TEST(ShardName, IsPaddedToTheDigitsOfTheLargestShard) {
  EXPECT_EQ(name_of(0, 0), "0");
  EXPECT_EQ(name_of(1, 1), "1");
  EXPECT_EQ(name_of(4, 1), "1");
  EXPECT_EQ(name_of(4, 15), "f");
  EXPECT_EQ(name_of(5, 1), "01");
  EXPECT_EQ(name_of(5, 31), "1f");
  EXPECT_EQ(name_of(9, 1), "001");
  EXPECT_EQ(name_of(9, 511), "1ff");
  EXPECT_EQ(name_of(13, 1), "0001");
  EXPECT_EQ(name_of(13, 8191), "1fff");
  EXPECT_EQ(name_of(64, ~std::uint64_t{0}), "ffffffffffffffff");
}

TEST(ShardName, TakesTheEnding) {
  EXPECT_EQ(name_of(9, 10, ".shard"), "00a.shard");
  EXPECT_EQ(name_of(64, 0x123456789abcdef0U, ".shard"), "123456789abcdef0.shard");
  EXPECT_EQ(name_of(64, 0, ".index"), "0000000000000000.index");
  EXPECT_EQ(name_of(0, 0, ".data"), "0.data");
}

TEST(ShardLocation, MatchesTheExamplesOfTheFormat) {
  EXPECT_EQ(shard_location(spec_of(3, 2, 4), 0b10110110101), (ShardLocation{0xd, 2}));
  EXPECT_EQ(shard_location(spec_of(0, 0, 64), 0x123456789abcdef0U), (ShardLocation{0x123456789abcdef0U, 0}));
  EXPECT_EQ(shard_location(spec_of(0, 32, 32), 0x123456789abcdef0U), (ShardLocation{0x12345678, 0x9abcdef0}));
}

TEST(ShardLocation, HashesByMurmurhash) {
  const ShardSpec spec = spec_of(0, 2, 3, ShardHash::kMurmurhash3);
  EXPECT_EQ(shard_location(spec, 1), (ShardLocation{6, 2}));
  EXPECT_EQ(shard_location(spec, 2), (ShardLocation{6, 2}));
  EXPECT_EQ(shard_location(spec, 3), (ShardLocation{4, 1}));
  EXPECT_EQ(shard_location(spec, 10), (ShardLocation{5, 0}));
  EXPECT_EQ(shard_location(spec, 42), (ShardLocation{6, 2}));
  EXPECT_EQ(shard_location(spec, std::uint64_t{1} << 63), (ShardLocation{2, 0}));
}

TEST(ShardLocation, ShiftsBy64BitsToZero) {
  const std::uint64_t most = ~std::uint64_t{0};
  EXPECT_EQ(shard_location(spec_of(64, 64, 0), most), (ShardLocation{0, 0}));
  EXPECT_EQ(shard_location(spec_of(64, 0, 64), most), (ShardLocation{0, 0}));
  EXPECT_EQ(shard_location(spec_of(0, 64, 0), most), (ShardLocation{0, most}));
  EXPECT_EQ(shard_location(spec_of(0, 0, 0), most), (ShardLocation{0, 0}));
  EXPECT_EQ(shard_location(spec_of(63, 1, 63), most), (ShardLocation{0, 1}));
  EXPECT_EQ(shard_location(spec_of(64, 64, 0, ShardHash::kMurmurhash3), most), (ShardLocation{0, 0x4772b084e028ae41U}));
}

TEST(ShardLocation, EqualsReferenceOneByOneAndAtOnce) {
  testing::Random random(3);
  for (int round = 0; round < 300; ++round) {
    const ShardSpec spec = testing::random_shard_spec(random);
    ASSERT_TRUE(spec.valid());
    // Counts around the size of the blocks that are hashed together.
    const auto n = static_cast<std::size_t>(random.one_in(20) ? random.between(500, 1100) : random.between(0, 20));
    std::vector<std::uint64_t> ids(n);
    for (std::uint64_t& id : ids) id = random.bits() >> random.between(0, 63);
    std::vector<std::uint64_t> shards(n + 1, 77);
    std::vector<std::uint64_t> minishards(n + 1, 78);
    shard_locations(spec, ids.data(), n, shards.data(), minishards.data());
    EXPECT_EQ(shards[n], 77U);
    EXPECT_EQ(minishards[n], 78U);
    for (std::size_t i = 0; i < n; ++i) {
      const ShardLocation expected = reference::shard_location(spec, ids[i]);
      ASSERT_EQ(shard_location(spec, ids[i]), expected);
      ASSERT_EQ((ShardLocation{shards[i], minishards[i]}), expected);
      char buffer[kShardNameBytes];
      ASSERT_EQ(shard_name(spec, shards[i], "", buffer), reference::shard_name(spec, shards[i]));
    }
  }
}

}  // namespace
}  // namespace cvfast::locate
