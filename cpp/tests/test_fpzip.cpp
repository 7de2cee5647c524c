// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/fpzip.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "fpzip.hpp"
#include "golden_fpzip.hpp"
#include "random_input.hpp"

namespace cvfast::decode::fpzip {
namespace {

using Bytes = std::vector<std::byte>;
using Values = std::vector<std::uint64_t>;

Bytes from_hex(std::string_view hex) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

std::size_t count_of(const Int4& shape) { return static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]); }

/// Decodes into its own allocation of exactly the right size, so that a sanitizer sees a write past it.
Status decode_bytes(const Bytes& data, const Int4& shape, std::int64_t item_size, Bytes& out) {
  out.assign(count_of(shape) * static_cast<std::size_t>(item_size), std::byte{0xcd});
  return decode(data, shape, item_size, out.data());
}

Code verdict(const Bytes& data, const Int4& shape, std::int64_t item_size) {
  Bytes out;
  return decode_bytes(data, shape, item_size, out).code;
}

/// Smooth, noisy, special, constant or any bit patterns.
Values random_values(testing::Random& random, std::size_t n, std::int64_t item_size) {
  const std::int64_t kind = random.between(0, 4);
  const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1e-310, 1e-42, 3e38, 1e308, 1.0};
  double level = 0;
  Values out(n);
  for (std::uint64_t& value : out) {
    double x = 0;
    if (kind == 0) x = level += 0.01 * static_cast<double>(random.between(-100, 100));
    if (kind == 1) x = std::ldexp(static_cast<double>(random.bits()), static_cast<int>(random.between(-120, 60)));
    if (kind == 2) x = special[random.between(0, 9)];
    if (kind == 3) x = -2.5;
    value = item_size == 4 ? std::bit_cast<std::uint32_t>(static_cast<float>(x)) : std::bit_cast<std::uint64_t>(x);
    if (kind == 4) value = item_size == 4 ? random.bits() & 0xffffffff : random.bits();
  }
  return out;
}

Int4 random_shape(testing::Random& random) {
  return {random.between(1, 20), random.between(1, 6), random.between(1, 5), random.between(1, 3)};
}

std::int64_t random_precision(testing::Random& random, std::int64_t item_size) {
  return random.one_in(3) ? 0 : random.between(2, 32) * (item_size / 4);
}

Values truncated(Values values, std::int64_t item_size, std::int64_t precision) {
  const std::int64_t dropped = precision == 0 ? 0 : 8 * item_size - precision;
  for (std::uint64_t& value : values) value = value >> dropped << dropped;
  return values;
}

TEST(Fpzip, ReadsStreamsOfTheLibrary) {
  for (const testing::GoldenFpzip& golden : testing::kGoldenFpzip) {
    const Bytes stream = from_hex(golden.stream);
    Header header;
    ASSERT_TRUE(read_header(stream, header).ok()) << golden.name;
    EXPECT_EQ(header.shape, golden.shape) << golden.name;
    EXPECT_EQ(header.item_size, golden.item_size) << golden.name;
    EXPECT_EQ(header.precision, golden.precision == 0 ? 8 * golden.item_size : golden.precision) << golden.name;
    Bytes out;
    ASSERT_TRUE(decode_bytes(stream, golden.shape, golden.item_size, out).ok()) << golden.name;
    EXPECT_EQ(out, from_hex(golden.values)) << golden.name;
  }
}

TEST(Fpzip, WritesStreamsOfTheLibrary) {
  for (const testing::GoldenFpzip& golden : testing::kGoldenFpzip) {
    Bytes out;
    const Bytes values = from_hex(golden.values);
    ASSERT_TRUE(encode(values.data(), golden.shape, golden.item_size, golden.precision, out).ok()) << golden.name;
    EXPECT_EQ(out, from_hex(golden.stream)) << golden.name;
  }
}

TEST(Fpzip, AgreesWithTheReferenceBothWays) {
  testing::Random random(11);
  for (int round = 0; round < 300; ++round) {
    const std::int64_t item_size = random.one_in(2) ? 4 : 8;
    const Int4 shape = random_shape(random);
    const std::int64_t precision = random_precision(random, item_size);
    const Values values = random_values(random, count_of(shape), item_size);
    const Bytes items = testing::to_items(values, static_cast<std::size_t>(item_size));
    Bytes stream;
    ASSERT_TRUE(encode(items.data(), shape, item_size, precision, stream).ok());
    ASSERT_EQ(stream, reference::encode_fpzip(values, shape, item_size, precision));
    Bytes out;
    ASSERT_TRUE(decode_bytes(stream, shape, item_size, out).ok());
    const Values expected = truncated(values, item_size, precision);
    ASSERT_EQ(out, testing::to_items(expected, static_cast<std::size_t>(item_size)));
    ASSERT_EQ(reference::decode_fpzip(stream, shape, item_size), expected);
  }
}

TEST(Fpzip, LongRunsOutliveManyIntervalsOfTheModel) {
  testing::Random random(12);
  const Int4 shape{100, 50, 4, 1};
  const Values values = random_values(random, count_of(shape), 4);
  const Bytes items = testing::to_items(values, 4);
  for (const std::int64_t precision : {0, 8, 9}) {
    Bytes stream;
    ASSERT_TRUE(encode(items.data(), shape, 4, precision, stream).ok());
    Bytes out;
    ASSERT_TRUE(decode_bytes(stream, shape, 4, out).ok());
    EXPECT_EQ(out, testing::to_items(truncated(values, 4, precision), 4));
  }
}

TEST(Fpzip, RejectsEveryTruncationAndTrailingByte) {
  for (const testing::GoldenFpzip& golden : testing::kGoldenFpzip) {
    const Bytes stream = from_hex(golden.stream);
    for (std::size_t n = 0; n < stream.size(); ++n) {
      const Bytes cut(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(n));
      Bytes out;
      const Status status = decode_bytes(cut, golden.shape, golden.item_size, out);
      ASSERT_EQ(status.code, Code::kTruncated) << golden.name << " cut at " << n;
      ASSERT_EQ(status.offset, n);
    }
    Bytes longer = stream;
    longer.push_back(std::byte{0});
    EXPECT_EQ(verdict(longer, golden.shape, golden.item_size), Code::kTrailingBytes) << golden.name;
  }
}

TEST(Fpzip, AgreesWithTheReferenceAfterABitFlip) {
  testing::Random random(13);
  int accepted = 0;
  for (int round = 0; round < 6000; ++round) {
    const std::int64_t item_size = random.one_in(2) ? 4 : 8;
    const Int4 shape{random.between(1, 12), random.between(1, 4), random.between(1, 3), random.between(1, 2)};
    const Values values = random_values(random, count_of(shape), item_size);
    Bytes stream = reference::encode_fpzip(values, shape, item_size, random_precision(random, item_size));
    const auto bit = static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(8 * stream.size()) - 1));
    stream[bit / 8] ^= std::byte{1} << (bit % 8);
    const std::optional<Values> expected = reference::decode_fpzip(stream, shape, item_size);
    Bytes out;
    ASSERT_EQ(decode_bytes(stream, shape, item_size, out).ok(), expected.has_value());
    if (expected) {
      ++accepted;
      ASSERT_EQ(out, testing::to_items(*expected, static_cast<std::size_t>(item_size)));
    }
  }
  EXPECT_LT(accepted, 3000);
}

TEST(Fpzip, SurvivesAnyBytesAfterAHeader) {
  testing::Random random(14);
  for (int round = 0; round < 3000; ++round) {
    const std::int64_t item_size = random.one_in(2) ? 4 : 8;
    const Int4 shape{random.between(1, 30), random.between(1, 5), random.between(1, 5), 1};
    Bytes stream =
        reference::encode_fpzip(Values(count_of(shape)), shape, item_size, random_precision(random, item_size));
    stream.resize(25);
    const bool is_constant = random.one_in(3);
    const auto fill = static_cast<std::byte>(random.bits() & 0xff);
    for (const std::byte b : random.bytes(400)) stream.push_back(is_constant ? fill : b);
    const Code code = verdict(stream, shape, item_size);
    ASSERT_TRUE(code == Code::kOk || code == Code::kTruncated || code == Code::kCorrupt ||
                code == Code::kTrailingBytes);
    ASSERT_EQ(code == Code::kOk, reference::decode_fpzip(stream, shape, item_size).has_value());
  }
}

TEST(Fpzip, RejectsAnotherShapeOrType) {
  const Int4 shape{5, 4, 3, 2};
  const Bytes stream = reference::encode_fpzip(Values(count_of(shape)), shape, 4, 0);
  EXPECT_EQ(verdict(stream, shape, 4), Code::kOk);
  EXPECT_EQ(verdict(stream, shape, 8), Code::kBadValue);
  for (std::size_t axis = 0; axis < 4; ++axis) {
    Int4 other = shape;
    ++other[axis];
    Bytes out;
    const Status status = decode_bytes(stream, other, 4, out);
    EXPECT_EQ(status.code, Code::kBadValue);
    EXPECT_EQ(status.expected, static_cast<std::uint64_t>(other[axis]));
    EXPECT_EQ(status.found, static_cast<std::uint64_t>(shape[axis]));
  }
}

TEST(Fpzip, RejectsHeadersThatDoNotExist) {
  const Int4 one{1, 1, 1, 1};
  Header header;
  EXPECT_EQ(read_header({}, header).code, Code::kTruncated);
  EXPECT_EQ(read_header(Bytes(64), header).code, Code::kBadMagic);
  EXPECT_EQ(read_header(Bytes(64, std::byte{0xff}), header).code, Code::kCorrupt);
  for (const auto& [item_size, precision] : {std::pair{4, 1}, {4, 33}, {4, 127}, {8, 2}, {8, 5}, {8, 66}}) {
    const Bytes stream = reference::encode_fpzip({0}, one, item_size, precision);
    EXPECT_EQ(read_header(stream, header).code, Code::kBadValue) << item_size << ' ' << precision;
    EXPECT_EQ(verdict(stream, one, item_size), Code::kBadValue);
  }
}

TEST(Fpzip, RejectsArgumentsThatMakeNoSense) {
  const std::byte none{};
  std::byte out[8];
  Bytes stream;
  EXPECT_EQ(decode({}, {1, 1, 1, 1}, 2, out).code, Code::kInvalidArgument);
  EXPECT_EQ(decode({}, {1, 0, 1, 1}, 4, out).code, Code::kInvalidArgument);
  EXPECT_EQ(decode({}, {1, -1, 1, 1}, 4, out).code, Code::kInvalidArgument);
  constexpr std::int64_t kHuge = 0xffffffff;
  EXPECT_EQ(decode({}, {kHuge, kHuge, 4, 1}, 4, out).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(&none, {0, 1, 1, 1}, 4, 0, stream).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(&none, {1, 1, 1, 1}, 4, 1, stream).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(&none, {1, 1, 1, 1}, 4, 33, stream).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(&none, {1, 1, 1, 1}, 8, 7, stream).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace cvfast::decode::fpzip
