// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/gzip.hpp"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "random_input.hpp"

namespace cvfast::decode::gzip {
namespace {

using Bytes = std::vector<std::byte>;
// More than deflate can make of the 323 bytes whose bits are flipped, or than any other member here holds.  Every call
// of inflate() clears a buffer of this size, which is what sanitizers are slow at.
constexpr std::uint64_t kLimit = 1 << 19;

Bytes bytes_of(std::string_view text) {
  const auto span = std::as_bytes(std::span(text.data(), text.size()));
  return {span.begin(), span.end()};
}

Bytes from_hex(std::string_view hex) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

Bytes compressed(const Bytes& in, int level = 6) {
  Bytes out;
  EXPECT_TRUE(compress(in, level, out).ok());
  return out;
}

/// Inflates by both entry points and checks that they agree.
Status inflate(const Bytes& in, Bytes& out, std::uint64_t limit = kLimit) {
  const Status status = decompress(in, limit, out);
  Bytes fixed(static_cast<std::size_t>(limit) + 1);
  std::size_t written = 0;
  const Status same = decompress(in, fixed.data(), static_cast<std::size_t>(limit), written);
  EXPECT_EQ(status.code, same.code);
  EXPECT_EQ(status.offset, same.offset);
  if (same.ok()) {
    fixed.resize(written);
    EXPECT_EQ(fixed, out);
  }
  return status;
}

Code verdict(const Bytes& in, std::uint64_t limit = kLimit) {
  Bytes out;
  return inflate(in, out, limit).code;
}

Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Written by CPython 3.11: gzip.compress(b"hello hello hello hello", mtime=0).
const std::string_view kPythonMember = "1f8b0800000000000203cb48cdc9c957c8402701e3513d8d17000000";

TEST(Gzip, RoundTripsAtEveryLevel) {
  testing::Random random(7);
  for (int level = 0; level <= 12; ++level) {
    for (const std::size_t size : {0, 1, 100, 70000}) {
      Bytes in = random.bytes(size);
      for (std::size_t i = 0; i < in.size(); i += 2) in[i] = std::byte{0};
      const Bytes packed = compressed(in, level);
      EXPECT_LE(packed.size(), compress_bound(in.size()));
      Bytes out;
      ASSERT_TRUE(inflate(packed, out).ok());
      EXPECT_EQ(out, in);
    }
  }
}

TEST(Gzip, RejectsLevelsThatDoNotExist) {
  Bytes out;
  EXPECT_EQ(compress({}, -1, out).code, Code::kInvalidArgument);
  EXPECT_EQ(compress({}, 13, out).code, Code::kInvalidArgument);
}

TEST(Gzip, WritesTheSameBytesForTheSameInput) {
  const Bytes in = bytes_of("the quick brown fox");
  EXPECT_EQ(compressed(in), compressed(in));
}

TEST(Gzip, ReadsAMemberOfCPython) {
  Bytes out;
  ASSERT_TRUE(inflate(from_hex(kPythonMember), out).ok());
  EXPECT_EQ(out, bytes_of("hello hello hello hello"));
}

/// A member with each optional header field: extra, name, comment, header checksum.
Bytes with_header_fields(unsigned flags, std::uint32_t header_crc) {
  const Bytes plain = from_hex(kPythonMember);
  Bytes out(plain.begin(), plain.begin() + 10);
  out[3] = static_cast<std::byte>(flags);
  if ((flags & 4) != 0) out = joined(out, from_hex("0300616263"));
  if ((flags & 8) != 0) out = joined(out, from_hex("6e616d6500"));
  if ((flags & 16) != 0) out = joined(out, from_hex("636f6d6d656e7400"));
  if ((flags & 2) != 0) {
    out.push_back(static_cast<std::byte>(header_crc & 0xff));
    out.push_back(static_cast<std::byte>((header_crc >> 8) & 0xff));
  }
  out.insert(out.end(), plain.begin() + 10, plain.end());
  return out;
}

TEST(Gzip, SkipsOptionalHeaderFields) {
  for (const unsigned flags : {0U, 1U, 4U, 8U, 16U, 28U, 29U}) {
    EXPECT_EQ(verdict(with_header_fields(flags, 0)), Code::kOk) << flags;
  }
}

TEST(Gzip, ChecksTheHeaderChecksum) {
  int accepted = 0;
  for (std::uint32_t crc = 0; crc < 0x10000; ++crc) {
    Bytes out;
    const Status status = decompress(with_header_fields(2, crc), kLimit, out);
    if (status.ok()) {
      ++accepted;
    } else {
      ASSERT_EQ(status.code, Code::kChecksum);
    }
  }
  EXPECT_EQ(accepted, 1);
}

TEST(Gzip, RejectsReservedFlagsAndOtherMethods) {
  EXPECT_EQ(verdict(with_header_fields(0x20, 0)), Code::kCorrupt);
  Bytes other = from_hex(kPythonMember);
  other[2] = std::byte{7};
  EXPECT_EQ(verdict(other), Code::kCorrupt);
}

TEST(Gzip, RejectsOtherMagic) {
  EXPECT_EQ(verdict(bytes_of("plain text")), Code::kBadMagic);
  EXPECT_EQ(verdict(bytes_of("x")), Code::kBadMagic);
  EXPECT_EQ(verdict(from_hex("1f8c0800000000000003")), Code::kBadMagic);
}

TEST(Gzip, ReportsEveryTruncation) {
  for (const Bytes& whole : {from_hex(kPythonMember), with_header_fields(28, 0)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Code code = verdict(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      EXPECT_TRUE(code == Code::kTruncated || code == Code::kCorrupt) << size;
    }
  }
  EXPECT_EQ(verdict({}), Code::kTruncated);
  EXPECT_EQ(verdict(from_hex("1f")), Code::kTruncated);
}

TEST(Gzip, NeverAcceptsOtherContentAfterABitFlip) {
  const Bytes in = testing::Random(8).bytes(300);
  const Bytes packed = compressed(in);
  ASSERT_LT(1032 * packed.size(), kLimit) << "a flip may only be refused for what it does, not for the limit";
  for (std::size_t bit = 0; bit < 8 * packed.size(); ++bit) {
    Bytes flipped = packed;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    Bytes out;
    // Flips in the time, the extra flags, the system and the text flag change nothing that is decoded.
    if (inflate(flipped, out).ok()) {
      EXPECT_EQ(out, in) << bit;
    }
  }
}

TEST(Gzip, ReportsWrongChecksumAndLength) {
  Bytes packed = from_hex(kPythonMember);
  packed[packed.size() - 8] ^= std::byte{1};
  EXPECT_EQ(verdict(packed), Code::kChecksum);
  packed = from_hex(kPythonMember);
  packed[packed.size() - 1] ^= std::byte{0x80};
  EXPECT_EQ(verdict(packed), Code::kChecksum);
}

TEST(Gzip, JoinsMembersAndSkipsZeroPadding) {
  const Bytes a = compressed(bytes_of("first "));
  const Bytes b = compressed(bytes_of("second"));
  const Bytes padding(1000, std::byte{0});
  for (const Bytes& whole : {joined(a, b), joined(joined(a, b), padding), joined(joined(a, padding), b)}) {
    Bytes out;
    ASSERT_TRUE(inflate(whole, out).ok());
    EXPECT_EQ(out, bytes_of("first second"));
  }
  Bytes out;
  ASSERT_TRUE(inflate(joined(compressed({}), compressed({})), out).ok());
  EXPECT_TRUE(out.empty());
}

TEST(Gzip, RejectsTrailingBytes) {
  const Bytes packed = compressed(bytes_of("content"));
  EXPECT_EQ(verdict(joined(packed, bytes_of("x"))), Code::kTrailingBytes);
  EXPECT_EQ(verdict(joined(joined(packed, Bytes(5)), bytes_of("x"))), Code::kTrailingBytes);
  EXPECT_EQ(verdict(joined(packed, from_hex("1f"))), Code::kTrailingBytes);
  EXPECT_EQ(verdict(joined(packed, from_hex("1f8b"))), Code::kTruncated);
}

TEST(Gzip, StopsAtTheLimit) {
  const Bytes bomb = compressed(Bytes(1 << 20), 9);
  EXPECT_LT(bomb.size(), 2000U);
  EXPECT_EQ(verdict(bomb, 1 << 20), Code::kOk);
  EXPECT_EQ(verdict(bomb, (1 << 20) - 1), Code::kTooLarge);
  EXPECT_EQ(verdict(bomb, 0), Code::kTooLarge);
  EXPECT_EQ(verdict(compressed({}), 0), Code::kOk);
  Bytes out;
  EXPECT_EQ(decompress(bomb, 1000, out).code, Code::kTooLarge);
  EXPECT_LE(out.size(), 1000U);
  EXPECT_EQ(verdict(joined(bomb, bomb), (1 << 21) - 1), Code::kTooLarge);
  EXPECT_EQ(verdict(joined(bomb, bomb), 1 << 21), Code::kOk);
}

TEST(Gzip, DoesNotTrustTheStatedLength) {
  // 4 GiB announced by 32 bytes: at most 1032 times the input is ever allocated.
  Bytes packed = compressed(bytes_of("small"));
  std::fill(packed.end() - 4, packed.end(), std::byte{0xff});
  Bytes out;
  EXPECT_EQ(decompress(packed, ~std::uint64_t{0}, out).code, Code::kChecksum);
  EXPECT_LE(out.capacity(), packed.size() * 1032);
}

TEST(Gzip, ReportsAStoredBlockThatEndsEarlyAsCorruptWhateverTheRoom) {
  // 65535 bytes announced, none there.
  EXPECT_EQ(verdict(from_hex("1f8b080000000000000300ffff0000000000000000"), 1 << 20), Code::kCorrupt);
}

// Grey values of a recorded image, nearly: noise.
Bytes image_like(std::size_t n, testing::Random& random) {
  Bytes out(n);
  for (std::byte& value : out) {
    value = static_cast<std::byte>(128 + random.between(-3, 3) + random.between(-3, 3));
  }
  return out;
}

// Words of a small set in any order: what repeats has 4 bytes.
Bytes words(std::size_t n, testing::Random& random) {
  std::vector<std::uint64_t> palette(2000);
  for (std::uint64_t& word : palette) word = random.bits() & 0xffffffffU;
  std::vector<std::uint64_t> out(n / 4);
  for (std::uint64_t& word : out) word = palette[static_cast<std::size_t>(random.bits() % palette.size())];
  return testing::to_items(out, 4);
}

std::size_t size_by_libdeflate(const Bytes& in) {
  libdeflate_compressor* const compressor = libdeflate_alloc_compressor(9);
  Bytes out(libdeflate_gzip_compress_bound(compressor, in.size()));
  const std::size_t size = libdeflate_gzip_compress(compressor, in.data(), in.size(), out.data(), out.size());
  libdeflate_free_compressor(compressor);
  return size;
}

std::size_t size_at_best(const Bytes& in, Content content = Content::kAny) {
  Bytes packed;
  EXPECT_TRUE(compress(in, 9, packed, content).ok());
  Bytes back;
  EXPECT_TRUE(decompress(packed, in.size(), back).ok());
  EXPECT_EQ(back, in);
  EXPECT_LE(packed.size(), compress_bound(in.size()));
  return packed.size();
}

TEST(GzipLevelNine, ReturnsWhatItWasGivenAtEverySizeAtWhichItDecidesOtherwise) {
  testing::Random random(5);
  for (const std::size_t n : {0, 1, 4095, 4096, 32767, 32768, 65535, 65536, 262143, 262144, 300001}) {
    Bytes half = image_like(n, random);
    std::fill_n(half.begin(), n / 2, std::byte{0});
    Bytes tenth = image_like(n, random);
    std::fill_n(tenth.begin() + static_cast<std::ptrdiff_t>(n / 3), n / 10, std::byte{7});
    for (const Bytes& in : {image_like(n, random), half, tenth, words(n, random), random.bytes(n), Bytes(n),
                            testing::to_items(random.labels(n / 8, 40, 8), 8)}) {
      const std::size_t bound = size_by_libdeflate(in) + size_by_libdeflate(in) / 200;
      EXPECT_LE(size_at_best(in), bound) << n;
      EXPECT_LE(size_at_best(in, Content::kCompressedSegmentation), bound + bound / 50) << n;
    }
  }
}

TEST(GzipLevelNine, StoresImagesInLessThanLibdeflateDoes) {
  testing::Random random(6);
  const Bytes in = image_like(1 << 18, random);
  EXPECT_LT(size_at_best(in), size_by_libdeflate(in) * 995 / 1000);
}

TEST(GzipLevelNine, FindsShortRepetitions) {
  testing::Random random(7);
  const Bytes in = words(1 << 18, random);
  ASSERT_LT(size_by_libdeflate(in), in.size() * 3 / 4);
  EXPECT_LE(size_at_best(in), size_by_libdeflate(in));
}

TEST(GzipLevelNine, SearchesLongInSegmentationsThatRepeatFromAfar) {
  testing::Random random(8);
  // A table of labels that are seldom side by side twice, as of noise; and chunks that shrink to a few percent.
  std::vector<std::uint64_t> table(1 << 16);
  for (std::uint64_t& label : table) label = 1000 * (random.bits() % 1000);
  const Bytes labels = testing::to_items(table, 8);
  EXPECT_LE(size_at_best(labels, Content::kCompressedSegmentation), size_by_libdeflate(labels) * 1005 / 1000);
  const Bytes runs = testing::to_items(random.labels(1 << 14, 4, 8), 8);
  ASSERT_LT(size_by_libdeflate(runs), runs.size() / 10);
  EXPECT_LE(size_at_best(runs, Content::kCompressedSegmentation), size_by_libdeflate(runs));
}

TEST(Gzip, ReusesTheVectorItIsGiven) {
  Bytes out(100000, std::byte{9});
  ASSERT_TRUE(decompress(compressed(bytes_of("short")), kLimit, out).ok());
  EXPECT_EQ(out, bytes_of("short"));
}

/// Inflates to a size by `decompress_padded`; what does not succeed is empty.
Bytes padded(Bytes in, std::size_t size) {
  const std::size_t stored = in.size();
  in.resize(stored + kInputPadding);
  Bytes out(size + kOutputPadding);
  if (!decompress_padded(in.data(), stored, out.data(), size)) return {};
  out.resize(size);
  return out;
}

TEST(GzipPadded, InflatesOneMemberOfAKnownSize) {
  testing::Random random(11);
  for (const std::size_t n : {1U, 2U, 60U, 5000U, 200000U}) {
    const Bytes in = testing::to_items(random.labels((n + 3) / 4, 50, 4), 4);
    for (const int level : {0, 1, 6, 9, 12}) EXPECT_EQ(padded(compressed(in, level), in.size()), in) << n << level;
  }
}

TEST(GzipPadded, RefusesWhatIsNotExactlyThat) {
  testing::Random random(12);
  const Bytes in = testing::to_items(random.labels(2000, 50, 4), 4);
  const Bytes member = compressed(in);
  ASSERT_EQ(padded(member, in.size()), in);
  EXPECT_TRUE(padded(member, in.size() - 1).empty());
  EXPECT_TRUE(padded(member, in.size() + 1).empty());
  EXPECT_TRUE(padded(joined(member, member), in.size()).empty());
  EXPECT_TRUE(padded(joined(member, Bytes(1)), in.size()).empty());
  EXPECT_TRUE(padded({}, 0).empty());
  for (std::size_t n = 0; n < member.size(); ++n) {
    ASSERT_TRUE(padded(Bytes(member.begin(), member.begin() + static_cast<std::ptrdiff_t>(n)), in.size()).empty()) << n;
  }
  // A bit that stands for nothing (padding, the length of a code that no symbol of the data has) may be any.
  std::size_t accepted = 0;
  for (std::size_t bit = 80; bit < member.size() * 8; ++bit) {
    Bytes damaged = member;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const Bytes found = padded(damaged, in.size());
    if (found.empty()) continue;
    ASSERT_EQ(found, in) << bit;
    Bytes out;
    ASSERT_TRUE(decompress(damaged, kLimit, out).ok()) << bit;
    ++accepted;
  }
  EXPECT_LT(accepted, 100U);
}

}  // namespace
}  // namespace cvfast::decode::gzip
