// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/crackle.hpp"

#include "crackle.hpp"
#include "label_files.hpp"

namespace cvfast::decode::crackle {
namespace {

using testing::LabelFile;
using testing::Random;
using Labels = std::vector<std::uint64_t>;

constexpr testing::LabelCodec kCodec{&decode_box, &unique_box, &reference::decode_crackle};

// Rows (y) of x: 1 1 2, 1 1 2, 3 3 2; written by the package.
LabelFile small_file() {
  return {"small",
          {3, 3, 1},
          4,
          testing::from_hex("63726b6c0192000300000003000000010000001f0f000000000000000f10000000fafa03a103"
                            "000000000000000102030300010207000000020001010201022624b68225558e9a908e58e187")};
}

Status decode(const LabelFile& file, const Box3& box, Labels& labels) {
  const Int3 shape = box.shape();
  std::vector<std::uint32_t> items(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]));
  const Status status = decode_box(file.data, file.item_size, file.shape, box, {},
                                   reinterpret_cast<std::byte*>(items.data()), fortran_strides(shape, 4));
  labels.assign(items.begin(), items.end());
  return status;
}

Box3 whole(const LabelFile& file) { return {{0, 0, 0}, file.shape}; }

TEST(Crackle, DecodesTheVectorOfTheFormat) {
  Labels labels;
  ASSERT_TRUE(decode(small_file(), whole(small_file()), labels).ok());
  EXPECT_EQ(labels, (Labels{1, 1, 2, 1, 1, 2, 3, 3, 2}));
}

TEST(Crackle, DecodesBoxesOfFilesOfThePackageAsTheReferenceDoes) {
  Random random(1);
  const std::vector<LabelFile> files = testing::label_files("crackle");
  ASSERT_GT(files.size(), 20U);
  for (const LabelFile& file : files) {
    ASSERT_TRUE(kCodec.reference(file.data, file.item_size, file.shape).has_value()) << file.name;
    for (int round = 0; round < 30; ++round) testing::expect_as_reference(kCodec, file, random);
  }
}

TEST(Crackle, JudgesEveryTruncationAsTheReferenceDoes) {
  Random random(2);
  for (LabelFile file : testing::label_files("crackle")) {
    const std::vector<std::byte> data = file.data;
    const std::size_t step = data.size() < 700 ? 1 : 7;
    for (std::size_t size = 0; size < data.size(); size += step) {
      file.data.assign(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
      testing::expect_as_reference(kCodec, file, random);
    }
    file.data = data;
    file.data.push_back(std::byte{0});
    testing::expect_as_reference(kCodec, file, random);
  }
}

TEST(Crackle, JudgesDamageAsTheReferenceDoes) {
  Random random(3);
  const std::vector<LabelFile> files = testing::label_files("crackle");
  for (int round = 0; round < 20000; ++round) {
    LabelFile file = files[static_cast<std::size_t>(random.bits()) % files.size()];
    for (std::int64_t flips = random.between(1, 3); flips > 0; --flips) {
      const std::size_t at = static_cast<std::size_t>(random.bits()) %
                             (random.one_in(3) ? std::min<std::size_t>(file.data.size(), 60) : file.data.size());
      file.data[at] ^= static_cast<std::byte>(random.one_in(2) ? 1U << (random.bits() % 8) : random.bits() & 0xff);
    }
    testing::expect_as_reference(kCodec, file, random);
  }
}

TEST(Crackle, RefusesAShapeOrItemSizeThatTheHeaderContradicts) {
  LabelFile file = small_file();
  Labels labels;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    LabelFile other = file;
    other.shape[axis] = 1 << 20;
    const Status status = decode(other, {{0, 0, 0}, {1, 1, 1}}, labels);
    EXPECT_EQ(status.code, Code::kBadValue);
    EXPECT_EQ(status.expected, 1U << 20);
    std::vector<std::uint64_t> distinct;
    EXPECT_EQ(unique_box(other.data, 4, other.shape, whole(other), distinct).code, Code::kBadValue);
  }
  std::uint64_t item = 0;
  EXPECT_EQ(
      decode_box(file.data, 8, file.shape, {{0, 0, 0}, {1, 1, 1}}, {}, reinterpret_cast<std::byte*>(&item), {}).code,
      Code::kBadValue);
}

TEST(Crackle, RejectsAbsurdRequests) {
  const LabelFile file = small_file();
  Labels labels;
  EXPECT_EQ(decode(file, {{-1, 0, 0}, {1, 1, 1}}, labels).code, Code::kInvalidArgument);
  EXPECT_EQ(decode(file, {{0, 0, 0}, {4, 1, 1}}, labels).code, Code::kInvalidArgument);
  EXPECT_EQ(decode_box(file.data, 3, file.shape, {}, {}, nullptr, {}).code, Code::kInvalidArgument);
  EXPECT_TRUE(decode_box(file.data, 4, file.shape, {{1, 0, 0}, {1, 3, 1}}, {}, nullptr, {}).ok());
}

TEST(Crackle, RefusesEveryFlippedBitOfVersion1) {
  const LabelFile good = small_file();
  for (std::size_t bit = 8 * 4; bit < 8 * good.data.size(); ++bit) {
    LabelFile file = good;
    file.data[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    if (bit / 8 == 4) continue;  // version 0 has another layout
    Labels labels;
    const Status status = decode(file, whole(file), labels);
    // The codes have no checksum of their own: what does not change the components is harmless.
    if (status.ok()) {
      EXPECT_EQ(labels, (Labels{1, 1, 2, 1, 1, 2, 3, 3, 2})) << bit;
    }
  }
}

TEST(Crackle, RefusesPinsAndGridsByName) {
  // The same file as version 0, which has no checksum of the header.
  LabelFile file = small_file();
  std::vector<std::byte> data(file.data.begin(), file.data.begin() + 24);
  data[4] = std::byte{0};
  data.insert(data.end(), file.data.begin() + 29, file.data.begin() + 33);
  data.insert(data.end(), file.data.begin() + 37, file.data.end() - 8);
  file.data = data;
  Labels labels;
  ASSERT_TRUE(decode(file, whole(file), labels).ok());
  EXPECT_EQ(labels, (Labels{1, 1, 2, 1, 1, 2, 3, 3, 2}));
  file.data[5] |= std::byte{0x20};
  EXPECT_EQ(decode(file, whole(file), labels).code, Code::kUnsupported);
  file.data = data;
  file.data[19] = std::byte{1};
  const Status status = decode(file, whole(file), labels);
  EXPECT_EQ(status.code, Code::kUnsupported);
  EXPECT_EQ(status.offset, 19U);
}
}  // namespace
}  // namespace cvfast::decode::crackle
