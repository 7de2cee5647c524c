// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/compresso.hpp"

#include "compresso.hpp"
#include "label_files.hpp"

namespace cvfast::decode::compresso {
namespace {

using testing::LabelFile;
using testing::Random;
using Labels = std::vector<std::uint64_t>;

constexpr testing::LabelCodec kCodec{&decode_box, &unique_box, &reference::decode_compresso};

// Rows (y) of x: 1 1 2, 1 1 2, 3 3 2; written by the package.
LabelFile small_file() {
  return {"small",
          {3, 3, 1},
          4,
          testing::from_hex(
              "6370736f01040300030001000404010300000000000000010000000100000000000000040100000002000000030000003202"
              "0800000003000300")};
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

TEST(Compresso, DecodesTheVectorOfTheFormat) {
  Labels labels;
  ASSERT_TRUE(decode(small_file(), whole(small_file()), labels).ok());
  EXPECT_EQ(labels, (Labels{1, 1, 2, 1, 1, 2, 3, 3, 2}));
}

TEST(Compresso, DecodesBoxesOfFilesOfThePackageAsTheReferenceDoes) {
  Random random(1);
  const std::vector<LabelFile> files = testing::label_files("compresso");
  ASSERT_GT(files.size(), 20U);
  for (const LabelFile& file : files) {
    ASSERT_TRUE(kCodec.reference(file.data, file.item_size, file.shape).has_value()) << file.name;
    for (int round = 0; round < 30; ++round) testing::expect_as_reference(kCodec, file, random);
  }
}

TEST(Compresso, JudgesEveryTruncationAsTheReferenceDoes) {
  Random random(2);
  for (LabelFile file : testing::label_files("compresso")) {
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

TEST(Compresso, JudgesDamageAsTheReferenceDoes) {
  Random random(3);
  const std::vector<LabelFile> files = testing::label_files("compresso");
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

TEST(Compresso, RefusesAShapeOrItemSizeThatTheHeaderContradicts) {
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

TEST(Compresso, RejectsAbsurdRequests) {
  const LabelFile file = small_file();
  Labels labels;
  EXPECT_EQ(decode(file, {{-1, 0, 0}, {1, 1, 1}}, labels).code, Code::kInvalidArgument);
  EXPECT_EQ(decode(file, {{0, 0, 0}, {4, 1, 1}}, labels).code, Code::kInvalidArgument);
  EXPECT_EQ(decode_box(file.data, 3, file.shape, {}, {}, nullptr, {}).code, Code::kInvalidArgument);
  EXPECT_TRUE(decode_box(file.data, 4, file.shape, {{1, 0, 0}, {1, 3, 1}}, {}, nullptr, {}).ok());
}

TEST(Compresso, ReadsEmptyRunsOfWindows) {
  // 1 x 1 x 1, version 0, one label; the windows are a run of one, and runs of none before and behind it.
  const LabelFile file{
      "empty runs",
      {1, 1, 1},
      1,
      testing::from_hex("6370736f0001010001000100040401010000000000000001000000000000000000000004050000010003000100")};
  Random random(5);
  testing::expect_as_reference(kCodec, file, random);
  const auto labels = testing::decode_labels(kCodec, file, {{0, 0, 0}, {1, 1, 1}}, {}, random);
  ASSERT_TRUE(labels.has_value());
  EXPECT_EQ(*labels, (Labels{5}));
}

TEST(Compresso, RefusesLabelsAndLocationsThatAreNotUsed) {
  const auto file = [](unsigned ids, unsigned locations) {
    std::vector<std::byte> data = testing::from_hex("6370736f0001010001000100040401");
    const auto add = [&](std::uint64_t value, std::size_t width) {
      for (std::size_t i = 0; i < width; ++i) data.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xff));
    };
    add(ids, 8);
    add(1, 4);
    add(locations, 8);
    add(4, 1);
    for (unsigned i = 0; i < ids; ++i) add(5, 1);
    add(0, 2);
    for (unsigned i = 0; i < locations; ++i) add(9, 1);
    add(3, 2);
    return LabelFile{"unused", {1, 1, 1}, 1, data};
  };
  Random random(6);
  EXPECT_TRUE(testing::decode_labels(kCodec, file(1, 0), {{0, 0, 0}, {1, 1, 1}}, {}, random).has_value());
  for (const auto& [ids, locations] : {std::pair{2U, 0U}, std::pair{1U, 1U}}) {
    EXPECT_FALSE(testing::decode_labels(kCodec, file(ids, locations), {{0, 0, 0}, {1, 1, 1}}, {}, random).has_value());
    testing::expect_as_reference(kCodec, file(ids, locations), random);
  }
}

TEST(Compresso, ReadsLocationsThatLeaveTheSlice) {
  // 1 x 1 x 3, version 0: the middle voxel alone is on a boundary, and its location names a slice.
  const auto file = [](unsigned code) {
    std::vector<std::byte> data = testing::from_hex("6370736f0001010001000300010101");
    const auto add = [&](std::uint64_t value, std::size_t width) {
      for (std::size_t i = 0; i < width; ++i) data.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xff));
    };
    add(2, 8);
    add(2, 4);
    add(1, 8);
    add(4, 1);
    add(0x0908, 2);    // ids
    add(0x0100, 2);    // values
    add(code, 1);      // location
    add(0x030203, 3);  // one empty window, the other one, one empty window
    return LabelFile{"slices", {1, 1, 3}, 1, data};
  };
  Random random(4);
  for (const auto& [code, label] : {std::pair{4U, 8U}, std::pair{5U, 9U}, std::pair{7U + 30, 30U}}) {
    const auto labels = testing::decode_labels(kCodec, file(code), {{0, 0, 0}, {1, 1, 3}}, {}, random);
    ASSERT_TRUE(labels.has_value());
    EXPECT_EQ(*labels, (Labels{8, label, 9}));
    testing::expect_as_reference(kCodec, file(code), random);
  }
  for (const unsigned code : {0U, 1U, 2U, 3U, 6U}) testing::expect_as_reference(kCodec, file(code), random);
}

TEST(Compresso, NamesTheOffendingByte) {
  struct Case {
    std::size_t at;
    std::uint8_t value;
    Code code;
  };
  for (const Case& c : {Case{0, 'x', Code::kBadMagic}, Case{4, 2, Code::kUnsupported}, Case{5, 8, Code::kBadValue},
                        Case{6, 4, Code::kBadValue}, Case{12, 0, Code::kBadValue}, Case{14, 9, Code::kBadValue},
                        Case{35, 5, Code::kBadValue}, Case{35, 6, Code::kUnsupported}}) {
    LabelFile file = small_file();
    file.data[c.at] = static_cast<std::byte>(c.value);
    Labels labels;
    const Status status = decode(file, whole(file), labels);
    EXPECT_EQ(status.code, c.code) << c.at;
    EXPECT_EQ(status.offset, c.at);
  }
}
}  // namespace
}  // namespace cvfast::decode::compresso
