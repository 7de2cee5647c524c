// SPDX-License-Identifier: BSD-3-Clause
#include "skeleton.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "cvfast/core/endian.hpp"
#include "random_input.hpp"

namespace cvfast::skeleton {
namespace {

using Bytes = std::vector<std::byte>;
using Formats = std::vector<AttributeFormat>;

// The example of the format: 4 vertices, 3 edges, a radius and a type for each.
struct Sample {
  std::vector<float> vertices{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  std::vector<std::uint32_t> edges{0, 1, 1, 2, 1, 3};
  std::vector<float> radii{1, 2, 3, 4};
  std::vector<std::uint8_t> types{1, 0, 2, 3};
  Formats formats{{4, 1}, {1, 1}};

  [[nodiscard]] std::vector<const std::byte*> attributes() const {
    return {reinterpret_cast<const std::byte*>(radii.data()), reinterpret_cast<const std::byte*>(types.data())};
  }
  [[nodiscard]] Status encode_to(Bytes& out, const Affine* transform = nullptr) const {
    std::size_t size = 0;
    const Status status = encoded_size(4, 3, formats, size);
    if (!status.ok()) return status;
    out.resize(size);
    return encode(4, 3, vertices.data(), edges.data(), formats, attributes(), transform, out.data());
  }
  [[nodiscard]] Bytes encoded() const {
    Bytes out;
    EXPECT_TRUE(encode_to(out).ok());
    return out;
  }
};

struct Decoded {
  Extents extents;
  std::vector<float> vertices;
  std::vector<std::uint32_t> edges;
  std::vector<Bytes> attributes;
};

Status decode_all(const Bytes& data, const Formats& formats, Decoded& out, const Affine* transform = nullptr) {
  const Status status = measure(data, formats, out.extents);
  if (!status.ok()) return status;
  out.vertices.resize(std::size_t{3} * out.extents.num_vertices);
  out.edges.resize(std::size_t{2} * out.extents.num_edges);
  out.attributes.resize(out.extents.num_attributes);
  std::vector<std::byte*> pointers;
  for (std::size_t i = 0; i < out.attributes.size(); ++i) {
    out.attributes[i].resize(std::size_t{formats[i].item_bytes} * formats[i].num_components * out.extents.num_vertices);
    pointers.push_back(out.attributes[i].data());
  }
  return decode(data, formats, out.extents, transform, out.vertices.data(), out.edges.data(), pointers);
}

void expect_status(const Status& status, Code code, std::uint64_t offset, std::uint64_t expected, std::uint64_t found) {
  EXPECT_EQ(status.code, code);
  EXPECT_EQ(status.offset, offset);
  EXPECT_EQ(status.expected, expected);
  EXPECT_EQ(status.found, found);
}

TEST(Skeleton, EncodesTheExampleOfTheFormatInItsBytes) {
  const Bytes data = Sample().encoded();
  ASSERT_EQ(data.size(), 100U);
  EXPECT_EQ(load_le<std::uint32_t>(data.data()), 4U);
  EXPECT_EQ(load_le<std::uint32_t>(data.data() + 4), 3U);
  EXPECT_EQ(load_le<float>(data.data() + 8 + 44), 11.0F);
  EXPECT_EQ(load_le<std::uint32_t>(data.data() + 56 + 20), 3U);
  EXPECT_EQ(load_le<float>(data.data() + 80 + 12), 4.0F);
  EXPECT_EQ(static_cast<int>(data[96]), 1);
}

TEST(Skeleton, ComesBackAsItWasEncoded) {
  const Sample sample;
  Decoded out;
  ASSERT_TRUE(decode_all(sample.encoded(), sample.formats, out).ok());
  EXPECT_EQ(out.vertices, sample.vertices);
  EXPECT_EQ(out.edges, sample.edges);
  ASSERT_EQ(out.attributes.size(), 2U);
  EXPECT_EQ(std::memcmp(out.attributes[0].data(), sample.radii.data(), 16), 0);
  EXPECT_EQ(std::memcmp(out.attributes[1].data(), sample.types.data(), 4), 0);
}

TEST(Skeleton, AttributesArePackedWithoutAlignment) {
  const Formats formats{{1, 1}, {4, 1}};
  std::size_t size = 0;
  ASSERT_TRUE(encoded_size(3, 1, formats, size).ok());
  EXPECT_EQ(size, 67U);
}

TEST(Skeleton, TransformsVerticesBothWays) {
  const Sample sample;
  const Affine doubled{2, 0, 0, 1, 0, 2, 0, 2, 0, 0, 2, 3};
  Decoded out;
  ASSERT_TRUE(decode_all(sample.encoded(), sample.formats, out, &doubled).ok());
  EXPECT_EQ(out.vertices[0], 1.0F);
  EXPECT_EQ(out.vertices[4], 10.0F);
  EXPECT_EQ(out.vertices[11], 25.0F);
  const Affine halved{0.5, 0, 0, -0.5, 0, 0.5, 0, -1, 0, 0, 0.5, -1.5};
  Sample stored;
  stored.vertices = out.vertices;
  Bytes back;
  ASSERT_TRUE(stored.encode_to(back, &halved).ok());
  EXPECT_EQ(back, sample.encoded());
}

TEST(Skeleton, IsCutShortAtEveryLengthButThoseBetweenAttributes) {
  const Sample sample;
  const Bytes whole = sample.encoded();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    Decoded out;
    const Status status =
        decode_all(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)), sample.formats, out);
    if (n == 80 || n == 96) {
      EXPECT_TRUE(status.ok()) << n;
      EXPECT_EQ(out.extents.num_attributes, n == 80 ? 0U : 1U);
    } else {
      EXPECT_EQ(status.code, Code::kTruncated) << n;
    }
  }
  Extents extents;
  const Bytes seven(7);
  expect_status(measure(seven, sample.formats, extents), Code::kTruncated, 0, 8, 7);
  const Bytes in_vertices(whole.begin(), whole.begin() + 79);
  expect_status(measure(in_vertices, sample.formats, extents), Code::kTruncated, 8, 80, 79);
  const Bytes in_radii(whole.begin(), whole.begin() + 92);
  expect_status(measure(in_radii, sample.formats, extents), Code::kTruncated, 80, 16, 12);
}

TEST(Skeleton, CountsThatNoFileCouldHoldAreRefusedBeforeAnythingIsAllocated) {
  Bytes data(64);
  store_le(data.data(), UINT32_MAX);
  store_le(data.data() + 4, UINT32_MAX);
  Extents extents;
  const Formats wide{{16, kMaxComponents}};
  expect_status(measure(data, wide, extents), Code::kTruncated, 8, 8 + std::uint64_t{20} * UINT32_MAX, 64);
  EXPECT_EQ(extents.num_vertices, 0U);
  const Formats mad{{0, 1}};
  EXPECT_EQ(measure(data, mad, extents).code, Code::kInvalidArgument);
  const Formats many(600, AttributeFormat{16, kMaxComponents});
  std::size_t size = 0;
  EXPECT_EQ(encoded_size(UINT32_MAX, 0, many, size).code, Code::kOverflow);
}

TEST(Skeleton, EdgesOfVerticesThatAreNotThereAreRefusedBothWays) {
  Sample sample;
  Bytes data = sample.encoded();
  store_le<std::uint32_t>(data.data() + 56 + 12, 4);
  Decoded out;
  expect_status(decode_all(data, sample.formats, out), Code::kBadValue, 68, 4, 4);
  sample.edges[5] = 99;
  expect_status(sample.encode_to(data), Code::kBadValue, 76, 4, 99);
}

TEST(Skeleton, MayBeEmpty) {
  const Formats formats{{4, 1}, {1, 3}};
  const Bytes data(8);
  Decoded out;
  ASSERT_TRUE(decode_all(data, formats, out).ok());
  EXPECT_EQ(out.extents.num_attributes, 2U);
  EXPECT_TRUE(out.vertices.empty());
}

TEST(Skeleton, BytesBehindTheLastAttributeAreLeftAlone) {
  const Sample sample;
  Bytes data = sample.encoded();
  data.resize(data.size() + 5);
  Decoded out;
  EXPECT_TRUE(decode_all(data, sample.formats, out).ok());
  EXPECT_EQ(out.edges, sample.edges);
}

TEST(Skeleton, AgreesWithTheTwinOnDamagedBytes) {
  testing::Random random(1);
  const Sample sample;
  for (int round = 0; round < 3000; ++round) {
    Bytes data = sample.encoded();
    for (std::int64_t i = random.between(1, 3); i > 0; --i) {
      data[static_cast<std::size_t>(random.between(0, 99))] = static_cast<std::byte>(random.bits() & 7);
    }
    data.resize(static_cast<std::size_t>(random.between(0, 110)));
    Decoded out;
    const Status status = decode_all(data, sample.formats, out);
    const auto expected = reference::decode_skeleton(data, sample.formats);
    ASSERT_EQ(status.ok(), expected.has_value());
    if (!expected) continue;
    ASSERT_EQ(out.edges, expected->edges);
    ASSERT_EQ(out.attributes, expected->attributes);
    ASSERT_EQ(3 * std::size_t{out.extents.num_vertices}, expected->vertices.size());
  }
}

}  // namespace
}  // namespace cvfast::skeleton
