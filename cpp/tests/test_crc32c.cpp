// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/core/crc32c.hpp"

#include <gtest/gtest.h>

#include "crackle.hpp"
#include "random_input.hpp"

namespace cvfast {
namespace {

TEST(Crc32c, OfTheExamplesOfRfc3720) {
  std::vector<std::byte> data(32, std::byte{0});
  EXPECT_EQ(crc32c(data), 0x8a9136aaU);
  data.assign(32, std::byte{0xff});
  EXPECT_EQ(crc32c(data), 0x62a8ab43U);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(data), 0x46dd794eU);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, EqualsTheReferenceAtEveryLengthAndAlignment) {
  testing::Random random(1);
  const std::vector<std::byte> data = random.bytes(20000);
  for (int round = 0; round < 300; ++round) {
    const auto begin = static_cast<std::size_t>(random.between(0, 20));
    const auto size = static_cast<std::size_t>(random.one_in(3) ? random.between(0, 80) : random.between(4000, 19980));
    const std::span<const std::byte> part = std::span(data).subspan(begin, size);
    ASSERT_EQ(crc32c(part), reference::crc32c(part)) << begin << " " << size;
  }
}

}  // namespace
}  // namespace cvfast
