// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/grid.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace {

using cvfast::Box3;
using cvfast::Int3;
using cvfast::locate::ChunkGrid;

std::string name_of(const Box3& box) {
  char buffer[cvfast::locate::kChunkNameBytes];
  return std::string(cvfast::locate::chunk_name(box, buffer));
}

TEST(Grid, ChunksAreCutAtTheVolumesEnd) {
  // The example of the format's description: size (10,6,5), chunks of 4, offset (-3,5,7).
  const ChunkGrid grid{{-3, 5, 7}, {10, 6, 5}, {4, 4, 4}};
  EXPECT_EQ(grid.grid_size(), (Int3{3, 2, 2}));
  EXPECT_EQ(name_of(grid.chunk_box({2, 1, 1})), "5-7_9-11_11-12");
  EXPECT_EQ(name_of(grid.chunk_box({0, 1, 0})), "-3-1_9-11_7-11");
  EXPECT_EQ(grid.bounds(), (Box3{{-3, 5, 7}, {7, 11, 12}}));
}

TEST(Grid, RangeCoversABoxAndNoMore) {
  const ChunkGrid grid{{-3, 5, 7}, {10, 6, 5}, {4, 4, 4}};
  EXPECT_EQ(grid.grid_range({{-3, 5, 7}, {1, 9, 11}}), (Box3{{0, 0, 0}, {1, 1, 1}}));
  EXPECT_EQ(grid.grid_range({{0, 8, 10}, {2, 10, 12}}), (Box3{{0, 0, 0}, {2, 2, 2}}));
  EXPECT_EQ(grid.grid_range(grid.bounds()), (Box3{{0, 0, 0}, {3, 2, 2}}));
}

TEST(Grid, EveryVoxelLiesInTheChunkOfItsRange) {
  const ChunkGrid grid{{-7, 0, 3}, {13, 5, 9}, {4, 3, 5}};
  const Box3 bounds = grid.bounds();
  for (std::int64_t z = bounds.min[2]; z < bounds.max[2]; ++z) {
    for (std::int64_t y = bounds.min[1]; y < bounds.max[1]; ++y) {
      for (std::int64_t x = bounds.min[0]; x < bounds.max[0]; ++x) {
        const Box3 voxel{{x, y, z}, {x + 1, y + 1, z + 1}};
        const Box3 range = grid.grid_range(voxel);
        ASSERT_EQ(range.shape(), (Int3{1, 1, 1}));
        ASSERT_TRUE(contains(grid.chunk_box(range.min), voxel));
      }
    }
  }
}

TEST(Grid, ExtremeCoordinatesDoNotOverflow) {
  const std::int64_t last = INT64_MAX;
  const ChunkGrid grid{{last - 10, INT64_MIN, 0}, {10, 100, 1}, {last, 64, last}};
  EXPECT_EQ(grid.grid_size(), (Int3{1, 2, 1}));
  const Box3 chunk = grid.chunk_box({0, 1, 0});
  EXPECT_EQ(chunk.max[0], last);
  EXPECT_EQ(chunk.min[1], INT64_MIN + 64);
  EXPECT_EQ(chunk.max[1], INT64_MIN + 100);
  EXPECT_LT(name_of(chunk).size(), cvfast::locate::kChunkNameBytes);
}

TEST(Grid, PointsOfARangeRunXFirst) {
  const Box3 range{{1, 2, 3}, {3, 5, 4}};
  EXPECT_EQ(cvfast::locate::grid_point_at(range, 0), (Int3{1, 2, 3}));
  EXPECT_EQ(cvfast::locate::grid_point_at(range, 1), (Int3{2, 2, 3}));
  EXPECT_EQ(cvfast::locate::grid_point_at(range, 2), (Int3{1, 3, 3}));
  EXPECT_EQ(cvfast::locate::grid_point_at(range, 5), (Int3{2, 4, 3}));
}

}  // namespace
