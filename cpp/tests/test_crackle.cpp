// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/crackle.hpp"

#include "crackle.hpp"
#include "label_codec_suite.hpp"

namespace cvfast::decode::crackle {
namespace {

using testing::decode_small;
using testing::LabelFile;
using testing::Labels;
using testing::whole;

struct Traits {
  static constexpr testing::LabelCodec kCodec{&decode_box, &unique_box, &reference::decode_crackle};
  static constexpr const char* kName = "crackle";
  static LabelFile small_file() {
    return {"small",
            {3, 3, 1},
            4,
            testing::from_hex("63726b6c0192000300000003000000010000001f0f000000000000000f10000000fafa03a103"
                              "000000000000000102030300010207000000020001010201022624b68225558e9a908e58e187")};
  }
};

TEST(Crackle, RefusesEveryFlippedBitOfVersion1) {
  const LabelFile good = Traits::small_file();
  for (std::size_t bit = 8 * 4; bit < 8 * good.data.size(); ++bit) {
    LabelFile file = good;
    file.data[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    if (bit / 8 == 4) continue;  // version 0 has another layout
    Labels labels;
    const Status status = decode_small(Traits::kCodec, file, whole(file), labels);
    // The codes have no checksum of their own: what does not change the components is harmless.
    if (status.ok()) {
      EXPECT_EQ(labels, testing::kSmallLabels) << bit;
    }
  }
}

TEST(Crackle, RefusesPinsAndGridsByName) {
  // The same file as version 0, which has no checksum of the header.
  LabelFile file = Traits::small_file();
  std::vector<std::byte> data(file.data.begin(), file.data.begin() + 24);
  data[4] = std::byte{0};
  data.insert(data.end(), file.data.begin() + 29, file.data.begin() + 33);
  data.insert(data.end(), file.data.begin() + 37, file.data.end() - 8);
  file.data = data;
  Labels labels;
  ASSERT_TRUE(decode_small(Traits::kCodec, file, whole(file), labels).ok());
  EXPECT_EQ(labels, testing::kSmallLabels);
  file.data[5] |= std::byte{0x20};
  EXPECT_EQ(decode_small(Traits::kCodec, file, whole(file), labels).code, Code::kUnsupported);
  file.data = data;
  file.data[19] = std::byte{1};
  const Status status = decode_small(Traits::kCodec, file, whole(file), labels);
  EXPECT_EQ(status.code, Code::kUnsupported);
  EXPECT_EQ(status.offset, 19U);
}

}  // namespace
}  // namespace cvfast::decode::crackle

namespace cvfast::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Crackle, LabelCodecSuite, decode::crackle::Traits);
}
