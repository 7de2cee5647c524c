// SPDX-License-Identifier: BSD-3-Clause
#include "../src/decode/inflate_prefix.hpp"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "random_input.hpp"

namespace cvfast::decode {
namespace {

using Bytes = std::vector<std::byte>;

Bytes deflate(const Bytes& in, int level) {
  libdeflate_compressor* const compressor = libdeflate_alloc_compressor(level);
  Bytes out(libdeflate_deflate_compress_bound(compressor, in.size()));
  out.resize(libdeflate_deflate_compress(compressor, in.data(), in.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

// Memory of exactly this size, so that sanitizers see a step beyond it.
struct Room {
  explicit Room(std::size_t wanted)
      : size(wanted + InflatePrefix::kSlackBytes),
        data(std::make_unique<std::byte[]>(size)) {}
  std::span<std::byte> span() { return {data.get(), size}; }
  std::size_t size;
  std::unique_ptr<std::byte[]> data;
};

// What an encoder can be made to write: literals of all lengths of code, near and far matches, runs, stored blocks.
std::vector<Bytes> contents(testing::Random& random) {
  std::vector<Bytes> out;
  out.emplace_back(70000);
  out.push_back(random.bytes(70001));
  for (const std::int64_t item_size : {1, 2, 4, 8}) {
    out.push_back(testing::to_items(random.labels(70000 / static_cast<std::size_t>(item_size), 300, item_size),
                                    static_cast<std::size_t>(item_size)));
  }
  Bytes skewed(120000);  // whose codes have up to 15 bits
  for (std::byte& value : skewed) {
    int n = 0;
    while (n < 60 && !random.one_in(3)) ++n;
    value = static_cast<std::byte>(n * 4 + static_cast<int>(random.bits() % 3));
  }
  out.push_back(skewed);
  Bytes runs;  // of periods from 1 to 40
  for (std::size_t period = 1; runs.size() < 100000; period = period % 40 + 1) {
    const Bytes unit = random.bytes(period);
    for (std::int64_t i = random.between(1, 300); i > 0; --i) {
      runs.push_back(unit[static_cast<std::size_t>(i) % period]);
    }
  }
  out.push_back(runs);
  Bytes far = random.bytes(32768);
  far.insert(far.end(), far.begin(), far.end());
  out.push_back(far);
  Bytes mixed = skewed;
  mixed.insert(mixed.end(), out[1].begin(), out[1].end());
  mixed.insert(mixed.end(), runs.begin(), runs.end());
  out.push_back(mixed);
  return out;
}

TEST(InflatePrefix, HoldsTheBeginningOfWhatWasCompressed) {
  testing::Random random(1);
  for (const Bytes& in : contents(random)) {
    for (int level = 0; level <= 12; ++level) {
      Bytes packed = deflate(in, level);
      Room room(in.size());
      InflatePrefix prefix(packed, room.span());
      // Where the input has ended but for its last few bytes, the rest is left to others.
      std::size_t reached = 0;
      for (std::size_t n = 0; n <= in.size(); n += 1 + static_cast<std::size_t>(random.between(0, 9000))) {
        if (!prefix.extend(n)) break;
        ASSERT_GE(prefix.size(), n);
        ASSERT_LE(prefix.size(), n + InflatePrefix::kSlackBytes);
        ASSERT_EQ(std::memcmp(room.data.get(), in.data(), std::min(prefix.size(), in.size())), 0) << level;
        reached = n;
      }
      // With bytes behind it, as a trailer and more are, the whole can be had.
      packed.resize(packed.size() + 64);
      InflatePrefix whole(packed, room.span());
      ASSERT_TRUE(whole.extend(in.size())) << level;
      ASSERT_EQ(whole.size(), in.size());
      ASSERT_EQ(std::memcmp(room.data.get(), in.data(), in.size()), 0) << level;
      if (packed.size() > 10000) {
        ASSERT_GT(reached, in.size() / 2) << level;
      }
    }
  }
}

TEST(InflatePrefix, ReadsFixedCodes) {
  Bytes text;
  for (const char letter : std::string_view("one two one three one two four, one two one three")) {
    text.push_back(static_cast<std::byte>(letter));
  }
  Bytes packed = deflate(text, 6);
  ASSERT_EQ(std::to_integer<int>(packed[0]) >> 1 & 3, 1);  // which short inputs get
  packed.resize(packed.size() + 64);
  Room room(text.size());
  InflatePrefix prefix(packed, room.span());
  ASSERT_TRUE(prefix.extend(text.size()));
  EXPECT_EQ(std::memcmp(room.data.get(), text.data(), text.size()), 0);
}

TEST(InflatePrefix, TellsWhereTheStreamEnds) {
  testing::Random random(7);
  std::vector<Bytes> all = contents(random);
  all.emplace_back();
  for (const Bytes& in : all) {
    for (int level = 0; level <= 12; level += 3) {
      Bytes packed = deflate(in, level);
      packed.resize(packed.size() + 77);
      Room room(in.size());
      InflatePrefix whole(packed, room.span());
      ASSERT_TRUE(whole.extend(in.size()));
      EXPECT_EQ(whole.end(), 77U) << level;
      EXPECT_EQ(whole.end(), 77U) << level;
      if (in.empty()) continue;
      InflatePrefix part(packed, room.span());
      ASSERT_TRUE(part.extend(in.size() / 3));
      EXPECT_EQ(part.end(), std::nullopt) << level;
    }
  }
}

TEST(InflatePrefix, TellsTheEndBehindEmptyBlocks) {
  // An empty stored block that is not the last one, then an empty last one of fixed codes.
  Bytes packed{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}, std::byte{3}, std::byte{0}};
  packed.resize(packed.size() + 64);
  Room room(0);
  InflatePrefix prefix(packed, room.span());
  EXPECT_EQ(prefix.end(), 64U);
}

TEST(InflatePrefix, GivesUpAtTheEndAndStaysSo) {
  testing::Random random(3);
  const Bytes in = testing::to_items(random.labels(5000, 40, 4), 4);
  Bytes packed = deflate(in, 6);
  packed.resize(packed.size() + 64);
  Room room(in.size() + 100);
  InflatePrefix prefix(packed, room.span());
  ASSERT_TRUE(prefix.extend(in.size()));
  EXPECT_FALSE(prefix.extend(in.size() + 1));
  EXPECT_FALSE(prefix.extend(in.size() + 1));
}

TEST(InflatePrefix, NeedsRoomForMoreThanItIsAskedFor) {
  const Bytes in(1000);
  Bytes packed = deflate(in, 6);
  packed.resize(packed.size() + 64);
  Room room(100);
  InflatePrefix prefix(packed, room.span());
  EXPECT_FALSE(prefix.extend(101));
  EXPECT_FALSE(prefix.extend(SIZE_MAX));
  EXPECT_TRUE(prefix.extend(100));
}

TEST(InflatePrefix, CutInputGivesTheBeginningOrNothing) {
  testing::Random random(4);
  const Bytes in = testing::to_items(random.labels(3000, 60, 4), 4);
  const Bytes packed = deflate(in, 9);
  for (std::size_t n = 0; n < packed.size(); ++n) {
    const Bytes cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(n));
    Room room(in.size());
    InflatePrefix prefix(cut, room.span());
    std::size_t reached = 0;
    while (prefix.extend(reached + 50)) reached += 50;
    ASSERT_LT(reached, in.size());
    ASSERT_EQ(std::memcmp(room.data.get(), in.data(), reached), 0) << n;
  }
}

TEST(InflatePrefix, FlippedBitsNeverLeaveTheMemory) {
  testing::Random random(5);
  for (const Bytes& in : contents(random)) {
    for (const int level : {0, 1, 6}) {
      const Bytes packed = deflate(in, level);
      for (int i = 0; i < 60; ++i) {
        Bytes damaged = packed;
        // The description of the first codes, or anywhere.
        const std::int64_t bits =
            static_cast<std::int64_t>(i % 2 == 0 ? std::min<std::size_t>(100, packed.size()) : packed.size()) * 8;
        const auto bit = static_cast<std::size_t>(random.between(0, bits - 1));
        damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        Room room(in.size() / 2);
        InflatePrefix prefix(damaged, room.span());
        (void)prefix.extend(in.size() / 4);
        (void)prefix.extend(in.size() / 2);
        ASSERT_LE(prefix.size(), room.size);
      }
    }
  }
}

TEST(InflatePrefix, RandomInputNeverLeavesTheMemory) {
  testing::Random random(6);
  for (int i = 0; i < 20000; ++i) {
    Bytes in = random.bytes(static_cast<std::size_t>(random.between(0, 600)));
    // A block of dynamic codes, as most inputs of random bits are refused at once.
    if (!in.empty()) in[0] = (in[0] & std::byte{0xf8}) | std::byte{4};
    Room room(2000);
    InflatePrefix prefix(in, room.span());
    (void)prefix.extend(1);
    (void)prefix.extend(2000);
    ASSERT_LE(prefix.size(), room.size);
  }
}

}  // namespace
}  // namespace cvfast::decode
