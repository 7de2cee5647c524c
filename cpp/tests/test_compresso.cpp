// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/compresso.hpp"

#include "compresso.hpp"
#include "label_codec_suite.hpp"

namespace cvfast::decode::compresso {
namespace {

using testing::decode_small;
using testing::LabelFile;
using testing::Labels;
using testing::Random;
using testing::whole;

struct Traits {
  static constexpr testing::LabelCodec kCodec{&decode_box, &unique_box, &reference::decode_compresso};
  static constexpr const char* kName = "compresso";
  static LabelFile small_file() {
    return {"small",
            {3, 3, 1},
            4,
            testing::from_hex(
                "6370736f01040300030001000404010300000000000000010000000100000000000000040100000002000000030000003202"
                "0800000003000300")};
  }
};

TEST(Compresso, ReadsEmptyRunsOfWindows) {
  // 1 x 1 x 1, version 0, one label; the windows are a run of one, and runs of none before and behind it.
  const LabelFile file{
      "empty runs",
      {1, 1, 1},
      1,
      testing::from_hex("6370736f0001010001000100040401010000000000000001000000000000000000000004050000010003000100")};
  Random random(5);
  testing::expect_as_reference(Traits::kCodec, file, random);
  const auto labels = testing::decode_labels(Traits::kCodec, file, {{0, 0, 0}, {1, 1, 1}}, {}, random);
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
  EXPECT_TRUE(testing::decode_labels(Traits::kCodec, file(1, 0), {{0, 0, 0}, {1, 1, 1}}, {}, random).has_value());
  for (const auto& [ids, locations] : {std::pair{2U, 0U}, std::pair{1U, 1U}}) {
    EXPECT_FALSE(
        testing::decode_labels(Traits::kCodec, file(ids, locations), {{0, 0, 0}, {1, 1, 1}}, {}, random).has_value());
    testing::expect_as_reference(Traits::kCodec, file(ids, locations), random);
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
    const auto labels = testing::decode_labels(Traits::kCodec, file(code), {{0, 0, 0}, {1, 1, 3}}, {}, random);
    ASSERT_TRUE(labels.has_value());
    EXPECT_EQ(*labels, (Labels{8, label, 9}));
    testing::expect_as_reference(Traits::kCodec, file(code), random);
  }
  for (const unsigned code : {0U, 1U, 2U, 3U, 6U}) testing::expect_as_reference(Traits::kCodec, file(code), random);
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
    LabelFile file = Traits::small_file();
    file.data[c.at] = static_cast<std::byte>(c.value);
    Labels labels;
    const Status status = decode_small(Traits::kCodec, file, whole(file), labels);
    EXPECT_EQ(status.code, c.code) << c.at;
    EXPECT_EQ(status.offset, c.at);
  }
}

}  // namespace
}  // namespace cvfast::decode::compresso

namespace cvfast::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Compresso, LabelCodecSuite, decode::compresso::Traits);
}
