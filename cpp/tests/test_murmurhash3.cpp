// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/murmurhash3.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string_view>

#include "locate.hpp"
#include "random_input.hpp"

namespace cvfast::locate {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Digests of other implementations, as the description of the sharded format lists them.
TEST(Murmurhash3Uint64, MatchesPublishedDigests) {
  EXPECT_EQ(murmurhash3_uint64(0), 0x4772b084e028ae41U);
  EXPECT_EQ(murmurhash3_uint64(1), 0xe8bd67d616d4ce9aU);
  EXPECT_EQ(murmurhash3_uint64(2), 0xd62f9cd21b013f5aU);
  EXPECT_EQ(murmurhash3_uint64(42), 0xc20b94f95119f47aU);
  EXPECT_EQ(murmurhash3_uint64(123456789), 0x126576fc191a1827U);
  EXPECT_EQ(murmurhash3_uint64(std::uint64_t{1} << 32), 0xbbb12d133b78fd64U);
  EXPECT_EQ(murmurhash3_uint64((std::uint64_t{1} << 40) + 1), 0x9ffa9f1ab92a8499U);
  EXPECT_EQ(murmurhash3_uint64(std::uint64_t{1} << 63), 0x998a35e4316acfa8U);
  EXPECT_EQ(murmurhash3_uint64(~std::uint64_t{0}), 0x574f66bd212b5d1aU);
}

TEST(Murmurhash3Uint64, EqualsReferenceAndGeneralForm) {
  testing::Random random(1);
  std::vector<std::uint64_t> values(2000);
  for (std::uint64_t& value : values) value = random.bits() >> random.between(0, 63);
  std::vector<std::uint64_t> hashes(values.size());
  murmurhash3_uint64s(values.data(), values.size(), hashes.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(hashes[i], reference::murmurhash3_uint64(values[i]));
    EXPECT_EQ(hashes[i], murmurhash3_x86_128(std::as_bytes(std::span(&values[i], 1)), 0).low);
  }
}

// The digest that the author's own verification procedure (smhasher, VerificationTest) expects of this variant: hashes
// of the keys {}, {0}, {0,1}, ... with seed 256 - length, hashed once more.
TEST(Murmurhash3X86128, PassesTheVerificationOfItsAuthor) {
  std::array<std::uint8_t, 256> key{};
  std::array<std::byte, 256 * 16> digests{};
  for (unsigned length = 0; length < 256; ++length) {
    key[length] = static_cast<std::uint8_t>(length);
    const Hash128 hash = murmurhash3_x86_128(std::as_bytes(std::span(key)).first(length), 256 - length);
    std::memcpy(digests.data() + 16 * length, &hash.low, 8);
    std::memcpy(digests.data() + 16 * length + 8, &hash.high, 8);
  }
  EXPECT_EQ(static_cast<std::uint32_t>(murmurhash3_x86_128(digests, 0).low), 0xB3ECE62AU);
}

TEST(Murmurhash3X86128, HashesNothingWithSeedZeroToZero) {
  const Hash128 hash = murmurhash3_x86_128({}, 0);
  EXPECT_EQ(hash.low, 0U);
  EXPECT_EQ(hash.high, 0U);
}

TEST(Murmurhash3X86128, DependsOnEveryByteOfTheTail) {
  EXPECT_NE(murmurhash3_x86_128(bytes_of("0123456789abcdefX"), 0).high,
            murmurhash3_x86_128(bytes_of("0123456789abcdefY"), 0).high);
  EXPECT_NE(murmurhash3_x86_128(bytes_of("0123456789abcde"), 0).low,
            murmurhash3_x86_128(bytes_of("0123456789abcdf"), 0).low);
}

}  // namespace
}  // namespace cvfast::locate
