// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/paint/labels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "paint.hpp"
#include "random_input.hpp"
#include "strided_box.hpp"

namespace cvfast::paint {
namespace {

using testing::Layout;
using testing::Random;
using testing::StridedBox;

class LabelItems : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(ItemSizes, LabelItems, ::testing::Values(1, 2, 4, 8));

/// Overwrites the items of a box with a few labels.
void paint_labels(Random& random, StridedBox& box, const Int4& shape, std::size_t item_size) {
  const Int4 packed{static_cast<std::int64_t>(item_size), static_cast<std::int64_t>(item_size) * shape[0],
                    static_cast<std::int64_t>(item_size) * shape[0] * shape[1],
                    static_cast<std::int64_t>(item_size) * shape[0] * shape[1] * shape[2]};
  const std::vector<std::byte> items =
      testing::to_items(random.labels(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]), 40,
                                      static_cast<std::int64_t>(item_size)),
                        item_size);
  reference::copy_box(items.data(), packed, box.data(), box.strides, shape, item_size);
}

std::vector<VoxelMap> maps_for(Random& random, const std::vector<std::uint64_t>& labels,
                               std::vector<std::uint64_t>& keep) {
  keep.clear();
  for (const std::uint64_t label : labels) {
    if (random.one_in(2)) keep.push_back(label);
  }
  VoxelMap equals{VoxelOp::kEqualsLabel, labels[labels.size() / 2], {}, 0};
  VoxelMap too_wide = equals;
  too_wide.label |= std::uint64_t{1} << 63;
  return {VoxelMap{}, equals, too_wide, VoxelMap{VoxelOp::kKeepLabels, 0, keep, 77},
          VoxelMap{VoxelOp::kKeepLabels, 0, {}, 0}};
}

TEST_P(LabelItems, MapBoxEqualsReferenceForEveryMap) {
  Random random(6 + GetParam());
  for (int round = 0; round < 100; ++round) {
    const Int4 shape = testing::random_shape4(random);
    StridedBox src = testing::random_strided_box(random, shape, GetParam(), Layout::kAny);
    paint_labels(random, src, shape, GetParam());
    std::vector<std::uint64_t> keep;
    for (const VoxelMap& map :
         maps_for(random, reference::unique_box(src.data(), src.strides, shape, GetParam()), keep)) {
      const std::size_t dst_item = map.output_item_size(GetParam());
      StridedBox dst = testing::random_strided_box(random, shape, dst_item, Layout::kAny);
      StridedBox expected = dst;
      map_box(src.data(), src.strides, dst.data(), dst.strides, shape, GetParam(), map);
      reference::map_box(src.data(), src.strides, expected.data(), expected.strides, shape, GetParam(), map);
      ASSERT_EQ(dst.buffer, expected.buffer) << "round " << round;
    }
  }
}

TEST_P(LabelItems, UniqueBoxAddsToWhatIsThere) {
  Random random(16 + GetParam());
  for (int round = 0; round < 100; ++round) {
    const Int4 shape = testing::random_shape4(random);
    StridedBox src = testing::random_strided_box(random, shape, GetParam(), Layout::kWithZeroStrides);
    if (random.one_in(2)) paint_labels(random, src, shape, GetParam());
    std::vector<std::uint64_t> expected = reference::unique_box(src.data(), src.strides, shape, GetParam());
    std::vector<std::uint64_t> labels{expected.front(), 12345678};
    expected.push_back(12345678);
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    unique_box(src.data(), src.strides, shape, GetParam(), labels);
    ASSERT_EQ(labels, expected);
  }
}

TEST(UniqueBox, CopesWithMoreLabelsThanItsCacheHolds) {
  std::vector<std::uint64_t> labels(100000);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = (i % 30011) * 0x100000001U;
  std::vector<std::uint64_t> found;
  unique_box(reinterpret_cast<const std::byte*>(labels.data()), {8, 0, 0, 0}, {100000, 1, 1, 1}, 8, found);
  EXPECT_EQ(found.size(), 30011U);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
}

TEST(UniqueBox, OfAnEmptyBoxLeavesWhatIsThere) {
  std::vector<std::uint64_t> found{3, 9};
  unique_box(nullptr, {8, 8, 8, 8}, {0, 4, 4, 1}, 8, found);
  EXPECT_EQ(found, (std::vector<std::uint64_t>{3, 9}));
}

TEST_P(LabelItems, RenumbererEqualsReferenceOverSeveralRuns) {
  Random random(26 + GetParam());
  for (int round = 0; round < 30; ++round) {
    const std::vector<std::uint64_t> labels = random.labels(3000, 200, static_cast<std::int64_t>(GetParam()));
    const std::uint64_t background = random.one_in(2) ? static_cast<std::uint64_t>(random.between(0, 5)) : labels[0];
    const std::vector<std::byte> src = testing::to_items(labels, GetParam());
    Renumberer renumberer(background);
    std::vector<std::byte> dst(labels.size() * 8);
    for (std::size_t begin = 0; begin < labels.size();) {
      const std::size_t count = std::min(labels.size() - begin, static_cast<std::size_t>(random.between(1, 1000)));
      ASSERT_EQ(renumberer.apply(src.data() + begin * GetParam(), GetParam(), count, dst.data() + begin * 8, 8), count);
      begin += count;
    }
    const auto numbers = reference::number_labels(labels, background);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      std::uint64_t number = 0;
      std::memcpy(&number, dst.data() + 8 * i, 8);
      ASSERT_EQ(number, labels[i] == background ? background : numbers.at(labels[i]));
    }
    ASSERT_EQ((std::map<std::uint64_t, std::uint64_t>(renumberer.mapping().begin(), renumberer.mapping().end())),
              numbers);
  }
}

TEST(Renumberer, SkipsTheNumberOfTheBackground) {
  const std::vector<std::uint64_t> labels{50, 60, 2, 70};
  std::vector<std::uint8_t> out(4);
  Renumberer renumberer(2);
  EXPECT_EQ(renumberer.apply(reinterpret_cast<const std::byte*>(labels.data()), 8, 4,
                             reinterpret_cast<std::byte*>(out.data()), 1),
            4U);
  EXPECT_EQ(out, (std::vector<std::uint8_t>{1, 3, 2, 4}));
}

TEST(Renumberer, StopsBeforeANumberThatDoesNotFitAndGoesOnWider) {
  std::vector<std::uint64_t> labels(300);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 1000 + i;
  const auto* const src = reinterpret_cast<const std::byte*>(labels.data());
  std::vector<std::uint16_t> out(300);
  Renumberer renumberer(0);
  EXPECT_EQ(renumberer.apply(src, 8, 300, reinterpret_cast<std::byte*>(out.data()), 1), 255U);
  EXPECT_EQ(renumberer.mapping().size(), 255U);
  EXPECT_EQ(renumberer.apply(src, 8, 300, reinterpret_cast<std::byte*>(out.data()), 2), 300U);
  EXPECT_EQ(out[299], 300);
  EXPECT_EQ(renumberer.apply(src + 8 * 299, 8, 1, reinterpret_cast<std::byte*>(out.data()), 1), 0U);
}

TEST(Renumberer, StopsAtABackgroundThatDoesNotFit) {
  const std::vector<std::uint64_t> labels{5, 1000};
  std::vector<std::uint8_t> out(2);
  Renumberer renumberer(1000);
  EXPECT_EQ(renumberer.apply(reinterpret_cast<const std::byte*>(labels.data()), 8, 2,
                             reinterpret_cast<std::byte*>(out.data()), 1),
            1U);
}

}  // namespace
}  // namespace cvfast::paint
