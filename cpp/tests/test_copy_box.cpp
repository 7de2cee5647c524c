// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/paint/copy_box.hpp"

#include <gtest/gtest.h>

#include "paint.hpp"
#include "random_input.hpp"
#include "strided_box.hpp"

namespace cvfast::paint {
namespace {

using testing::Layout;
using testing::Random;
using testing::StridedBox;

class PaintItems : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(ItemSizes, PaintItems, ::testing::Values(1, 2, 3, 4, 8, 16, 24));

TEST_P(PaintItems, CopyBoxEqualsFourLoops) {
  Random random(3 + GetParam());
  for (int round = 0; round < 400; ++round) {
    const Int4 shape = testing::random_shape4(random);
    const StridedBox src = testing::random_strided_box(random, shape, GetParam(), Layout::kWithZeroStrides);
    StridedBox dst = testing::random_strided_box(random, shape, GetParam(), Layout::kAny);
    StridedBox expected = dst;
    copy_box(src.data(), src.strides, dst.data(), dst.strides, shape, GetParam());
    reference::copy_box(src.data(), src.strides, expected.data(), expected.strides, shape, GetParam());
    ASSERT_EQ(dst.buffer, expected.buffer) << "round " << round;
  }
}

TEST_P(PaintItems, FillBoxEqualsCopyingOneItem) {
  Random random(40 + GetParam());
  for (int round = 0; round < 200; ++round) {
    const Int4 shape = testing::random_shape4(random);
    StridedBox dst = testing::random_strided_box(random, shape, GetParam(), Layout::kAny);
    StridedBox expected = dst;
    const std::vector<std::byte> value =
        random.one_in(2) ? random.bytes(GetParam()) : std::vector<std::byte>(GetParam(), std::byte{7});
    fill_box(dst.data(), dst.strides, shape, GetParam(), value.data());
    reference::copy_box(value.data(), {0, 0, 0, 0}, expected.data(), expected.strides, shape, GetParam());
    ASSERT_EQ(dst.buffer, expected.buffer) << "round " << round;
  }
}

TEST_P(PaintItems, BoxEqualsSeesEverySingleItem) {
  Random random(80 + GetParam());
  for (int round = 0; round < 200; ++round) {
    const Int4 shape = testing::random_shape4(random);
    StridedBox box = testing::random_strided_box(random, shape, GetParam(), Layout::kAny);
    const std::vector<std::byte> value = random.bytes(GetParam());
    fill_box(box.data(), box.strides, shape, GetParam(), value.data());
    ASSERT_TRUE(box_equals(box.data(), box.strides, shape, GetParam(), value.data()));
    std::byte* changed = box.data();
    for (std::size_t i = 0; i < 4; ++i) changed += random.between(0, shape[i] - 1) * box.strides[i];
    changed[random.between(0, static_cast<std::int64_t>(GetParam()) - 1)] ^= std::byte{0x10};
    ASSERT_FALSE(box_equals(box.data(), box.strides, shape, GetParam(), value.data())) << "round " << round;
  }
}

TEST(BoxEquals, SeesADifferenceAnywhereInALongRun) {
  std::vector<std::byte> run(20001, std::byte{5});
  const std::byte value{5};
  const Int4 shape{20001, 1, 1, 1};
  EXPECT_TRUE(box_equals(run.data(), {1, 1, 1, 1}, shape, 1, &value));
  for (std::size_t i = 0; i < run.size(); i += 1 + i / 16) {
    run[i] = std::byte{6};
    EXPECT_FALSE(box_equals(run.data(), {1, 1, 1, 1}, shape, 1, &value)) << i;
    run[i] = value;
  }
  run.back() = std::byte{6};
  EXPECT_FALSE(box_equals(run.data(), {1, 1, 1, 1}, shape, 1, &value));
}

TEST(PaintBox, TouchesNothingWhenAnAxisIsEmpty) {
  std::byte item{1};
  const std::byte value{2};
  for (std::size_t axis = 0; axis < 4; ++axis) {
    Int4 shape{3, 3, 3, 3};
    shape[axis] = 0;
    copy_box(nullptr, {1, 3, 9, 27}, nullptr, {1, 3, 9, 27}, shape, 1);
    fill_box(&item, {1, 3, 9, 27}, shape, 1, &value);
    EXPECT_TRUE(box_equals(nullptr, {1, 3, 9, 27}, shape, 1, &value));
  }
  EXPECT_EQ(item, std::byte{1});
}

TEST(CopyBox, PaintsRowsIntoAnArrayBeyondTheCaches) {
  // Rows of 200 bytes, not aligned to cache lines, 3 MB apart: streamed, with neighbours that must survive.
  Random random(6);
  const std::int64_t pitch = 3000017;
  std::vector<std::byte> dst = random.bytes(1 << 20);
  dst.resize(static_cast<std::size_t>(pitch) * 13, std::byte{0x5a});
  std::vector<std::byte> expected = dst;
  const std::vector<std::byte> src = random.bytes(25 * 8 * 3 * 12);
  const Int4 shape{25, 3, 12, 1};
  const Int4 src_strides{8, 200, 600, 0};
  const Int4 dst_strides{8, 200 + 24, pitch, 0};
  copy_box(src.data(), src_strides, dst.data() + 5, dst_strides, shape, 8);
  reference::copy_box(src.data(), src_strides, expected.data() + 5, dst_strides, shape, 8);
  EXPECT_EQ(dst, expected);
}

TEST(CopyBox, TransposesWholeChunks) {
  Random random(5);
  for (const std::size_t item_size : {1, 2, 4, 8, 16}) {
    const Int4 shape{65, 64, 33, 2};
    const auto item = static_cast<std::int64_t>(item_size);
    const std::vector<std::byte> src = random.bytes(65 * 64 * 33 * 2 * item_size);
    std::vector<std::byte> dst(src.size());
    std::vector<std::byte> expected(src.size());
    const Int4 fortran{item, item * 65, item * 65 * 64, item * 65 * 64 * 33};
    const Int4 c{item * 64 * 33 * 2, item * 33 * 2, item * 2, item};
    copy_box(src.data(), fortran, dst.data(), c, shape, item_size);
    reference::copy_box(src.data(), fortran, expected.data(), c, shape, item_size);
    EXPECT_EQ(dst, expected);
    std::vector<std::byte> back(src.size());
    copy_box(dst.data(), c, back.data(), fortran, shape, item_size);
    EXPECT_EQ(back, src);
  }
}

}  // namespace
}  // namespace cvfast::paint
