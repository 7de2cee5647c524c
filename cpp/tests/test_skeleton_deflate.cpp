// SPDX-License-Identifier: BSD-3-Clause
//
// What the encoder makes is inflated by libdeflate, and by the decoder of this project; zlib joins in where Python's
// gzip reads it, and in the fuzz target.
#include <gtest/gtest.h>
#include <libdeflate.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "../src/decode/deflate_blocks.hpp"
#include "../src/decode/inflate_prefix.hpp"
#include "../src/decode/skeleton_deflate.hpp"
#include "cvfast/core/endian.hpp"
#include "cvfast/decode/gzip.hpp"
#include "random_input.hpp"

namespace cvfast::decode {
namespace {

using testing::Random;
using Bytes = std::vector<std::byte>;

void append_word(Bytes& out, std::uint32_t word) {
  out.resize(out.size() + 4);
  store_le(out.data() + out.size() - 4, word);
}

void append_float(Bytes& out, double value) {
  const auto single = static_cast<float>(value);
  std::uint32_t word = 0;
  std::memcpy(&word, &single, sizeof(word));
  append_word(out, word);
}

/// A wiggly path with a branch now and then.
Bytes path(Random& random, std::uint32_t n, double step = 16) {
  Bytes out;
  append_word(out, n);
  append_word(out, n - 1);
  std::array<double, 3> at{1000, 250000, 777777};
  for (std::uint32_t i = 0; i < n; ++i) {
    for (double& x : at) append_float(out, x += step * static_cast<double>(random.between(-2, 2)));
  }
  for (std::uint32_t i = 1; i < n; ++i) {
    append_word(out, random.one_in(10) ? static_cast<std::uint32_t>(random.between(0, i - 1)) : i - 1);
    append_word(out, i);
  }
  for (std::uint32_t i = 0; i < n; ++i) append_float(out, 16 * std::sqrt(static_cast<double>(random.between(1, 400))));
  out.resize(out.size() + n);
  return out;
}

/// Any bytes, with counts in front that make a skeleton of them.
Bytes shaped(Bytes in, std::uint32_t vertices, std::uint32_t edges) {
  const std::size_t least = 8 + std::size_t{12} * vertices + std::size_t{8} * edges;
  if (in.size() < least) in.resize(least);
  in.resize(least + (in.size() - least) / vertices * vertices);
  store_le(in.data(), vertices);
  store_le(in.data() + 4, edges);
  return in;
}

Bytes inflated(const Bytes& stream, std::size_t size) {
  libdeflate_decompressor* const decompressor = libdeflate_alloc_decompressor();
  Bytes out(size + 1);
  std::size_t used = 0;
  std::size_t written = 0;
  EXPECT_EQ(libdeflate_deflate_decompress_ex(decompressor, stream.data(), stream.size(), out.data(), out.size(), &used,
                                             &written),
            LIBDEFLATE_SUCCESS);
  libdeflate_free_decompressor(decompressor);
  EXPECT_EQ(used, stream.size());
  out.resize(written);
  return out;
}

std::size_t stored_size(std::size_t n) { return n + 5 * (n / 65535 + 1); }

/// Whether it is a skeleton for the encoder; if so, it must come back.
bool round_trips(const Bytes& in) {
  Bytes out(3, std::byte{7});
  if (!skeleton_deflate(in, out)) {
    EXPECT_EQ(out, Bytes(3, std::byte{7}));
    return false;
  }
  EXPECT_EQ(Bytes(out.begin(), out.begin() + 3), Bytes(3, std::byte{7}));
  out.erase(out.begin(), out.begin() + 3);
  EXPECT_EQ(inflated(out, in.size()), in);
  EXPECT_LE(out.size(), stored_size(in.size()));
  Bytes again;
  EXPECT_TRUE(skeleton_deflate(in, again));
  EXPECT_EQ(again, out);
  return true;
}

std::size_t libdeflate_size(const Bytes& in) {
  libdeflate_compressor* const compressor = libdeflate_alloc_compressor(6);
  Bytes out(libdeflate_deflate_compress_bound(compressor, in.size()));
  const std::size_t size = libdeflate_deflate_compress(compressor, in.data(), in.size(), out.data(), out.size());
  libdeflate_free_compressor(compressor);
  return size;
}

TEST(SkeletonDeflate, RoundTripsPathsOfEveryLength) {
  Random random(1);
  int taken = 0;
  for (std::uint32_t n = 1; n < 1310; n += n < 120 ? 1 : 37) taken += round_trips(path(random, n)) ? 1 : 0;
  EXPECT_GT(taken, 60);
}

TEST(SkeletonDeflate, RoundTripsWhateverLooksLikeOne) {
  Random random(2);
  int taken = 0;
  for (int i = 0; i < 1500; ++i) {
    const auto n = static_cast<std::uint32_t>(random.between(1, 1400));
    const auto m = static_cast<std::uint32_t>(random.between(0, 1400));
    Bytes in;
    switch (random.between(0, 4)) {
      case 0:
        in = random.bytes(static_cast<std::size_t>(random.between(2048, 32768)));
        break;
      case 1:  // nothing but repetitions
        in.assign(static_cast<std::size_t>(random.between(2048, 32768)), static_cast<std::byte>(random.bits() & 255));
        break;
      case 2: {  // few words
        const auto kinds = static_cast<std::uint64_t>(random.between(1, 300));
        const std::uint64_t factor = random.bits() | 1;
        for (auto k = random.between(512, 8192); k > 0; --k) {
          append_word(in, static_cast<std::uint32_t>(random.bits() % kinds * factor));
        }
        break;
      }
      case 3: {  // noise with runs that end anywhere
        in = random.bytes(static_cast<std::size_t>(random.between(2048, 32768)));
        for (int k = 0; k < 60; ++k) {
          const auto distance = static_cast<std::size_t>(random.between(1, 40));
          const auto at = static_cast<std::size_t>(random.between(40, static_cast<std::int64_t>(in.size()) - 1));
          const auto end = std::min(in.size(), at + static_cast<std::size_t>(random.between(1, 600)));
          for (std::size_t b = at; b < end; ++b) in[b] = in[b - distance];
        }
        break;
      }
      default: {  // Fibonacci's frequencies make codes longer than deflate allows
        std::size_t count = 1;
        std::size_t before = 1;
        for (int value = 0; in.size() + count < 32000; ++value) {
          in.insert(in.end(), count, static_cast<std::byte>(value * 7));
          count += std::exchange(before, count);
        }
        for (std::size_t b = in.size(); b > 1; --b) std::swap(in[b - 1], in[random.bits() % b]);
        break;
      }
    }
    taken += round_trips(shaped(std::move(in), n, m)) ? 1 : 0;
    if (HasFailure()) FAIL() << "case " << i;
  }
  EXPECT_GT(taken, 800);
}

TEST(SkeletonDeflate, LeavesOthersAlone) {
  Random random(3);
  const Bytes good = path(random, 200);
  EXPECT_TRUE(round_trips(good));
  Bytes longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(round_trips(longer));  // not a multiple of the number of vertices
  EXPECT_FALSE(round_trips({}));
  EXPECT_FALSE(round_trips(Bytes(5000)));  // no vertex
  for (const std::uint32_t count : {0x7fffffffU, 0xffffffffU, 400U}) {
    Bytes bad = good;
    store_le(bad.data(), count);
    EXPECT_FALSE(round_trips(bad)) << count;
    bad = good;
    store_le(bad.data() + 4, count);
    if (count != 400) {
      EXPECT_FALSE(round_trips(bad)) << count;
    }
  }
  EXPECT_FALSE(round_trips(path(random, 5)));     // too small
  EXPECT_FALSE(round_trips(path(random, 1400)));  // too large
}

TEST(SkeletonDeflate, IsAboutAsSmallAsLibdeflate) {
  Random random(4);
  std::size_t ours = 0;
  std::size_t theirs = 0;
  for (int i = 0; i < 50; ++i) {
    const Bytes in = path(random, static_cast<std::uint32_t>(random.between(150, 400)));
    Bytes out;
    ASSERT_TRUE(skeleton_deflate(in, out));
    ours += out.size();
    theirs += libdeflate_size(in);
  }
  EXPECT_LT(static_cast<double>(ours), 1.02 * static_cast<double>(theirs));
}

TEST(SkeletonDeflate, IsWhatGzipTakesAtLevelSix) {
  Random random(5);
  const Bytes in = path(random, 200);
  Bytes stream;
  ASSERT_TRUE(skeleton_deflate(in, stream));
  Bytes member;
  ASSERT_TRUE(gzip::compress(in, 6, member).ok());
  ASSERT_EQ(member.size(), stream.size() + 18);
  EXPECT_TRUE(std::equal(stream.begin(), stream.end(), member.begin() + 10));
  Bytes out;
  ASSERT_TRUE(gzip::decompress(member, in.size(), out).ok());
  EXPECT_EQ(out, in);
  member.resize(member.size() + gzip::kInputPadding);
  out.assign(in.size() + gzip::kOutputPadding, std::byte{0});
  EXPECT_TRUE(gzip::decompress_padded(member.data(), member.size() - gzip::kInputPadding, out.data(), in.size()));
  out.resize(in.size());
  EXPECT_EQ(out, in);
}

TEST(DeflateBlocks, AreWrittenInTheShortestOfThreeWays) {
  Random random(6);
  for (std::size_t n = 0; n < 600; ++n) {
    for (const bool is_noise : {false, true}) {
      const Bytes in = is_noise ? random.bytes(n) : Bytes(n, std::byte{42});
      Bytes out;
      deflate::write_stream(in, {}, 1 << 14, out);
      ASSERT_EQ(inflated(out, n), in) << n;
      ASSERT_LE(out.size(), stored_size(n)) << n;
    }
  }
  // Larger than one stored block.
  const Bytes in = random.bytes(200000);
  Bytes out;
  deflate::write_stream(in, {}, 1 << 14, out);
  EXPECT_EQ(inflated(out, in.size()), in);
  EXPECT_LE(out.size(), stored_size(in.size()) + 8);
}

}  // namespace
}  // namespace cvfast::decode
