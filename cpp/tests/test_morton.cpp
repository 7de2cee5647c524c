// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/morton.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "locate.hpp"
#include "random_input.hpp"

namespace cvfast::locate {
namespace {

std::vector<std::uint64_t> raster_codes(const Int3& grid) {
  std::vector<std::uint64_t> codes;
  for (std::int64_t z = 0; z < grid[2]; ++z) {
    for (std::int64_t y = 0; y < grid[1]; ++y) {
      for (std::int64_t x = 0; x < grid[0]; ++x) codes.push_back(compressed_morton_code({x, y, z}, grid));
    }
  }
  return codes;
}

TEST(CompressedMortonCode, MatchesPublishedCodes) {
  std::vector<std::uint64_t> codes = raster_codes({4, 4, 4});
  EXPECT_EQ(codes[63], 63U);
  codes.resize(18);
  EXPECT_EQ(codes, (std::vector<std::uint64_t>{0, 1, 8, 9, 2, 3, 10, 11, 16, 17, 24, 25, 18, 19, 26, 27, 4, 5}));
  EXPECT_EQ(raster_codes({5, 3, 1}), (std::vector<std::uint64_t>{0, 1, 4, 5, 16, 2, 3, 6, 7, 18, 8, 9, 12, 13, 24}));
  codes = raster_codes({8, 2, 2});
  codes.resize(8);
  EXPECT_EQ(codes, (std::vector<std::uint64_t>{0, 1, 8, 9, 16, 17, 24, 25}));
  codes = raster_codes({3, 1, 9});
  EXPECT_EQ(codes.back(), 36U);
  codes.resize(9);
  EXPECT_EQ(codes, (std::vector<std::uint64_t>{0, 1, 4, 2, 3, 6, 8, 9, 12}));
}

TEST(CompressedMortonCode, EqualsReferenceAndInverts) {
  testing::Random random(2);
  for (int round = 0; round < 2000; ++round) {
    Int3 grid{};
    for (std::int64_t& size : grid)
      size = std::int64_t{1} + (random.between(0, (1 << 21) - 1) >> random.between(0, 21));
    std::vector<std::int64_t> points;
    for (int i = 0; i < 5; ++i) {
      for (const std::int64_t size : grid) points.push_back(random.between(0, size - 1));
    }
    std::vector<std::uint64_t> codes(5);
    compressed_morton_codes(points.data(), 5, grid, codes.data());
    for (std::size_t i = 0; i < 5; ++i) {
      const Int3 point{points[3 * i], points[3 * i + 1], points[3 * i + 2]};
      EXPECT_EQ(codes[i], reference::compressed_morton_code(point, grid));
      EXPECT_EQ(codes[i], compressed_morton_code(point, grid));
      EXPECT_EQ(morton_to_grid_point(codes[i], grid), point);
      EXPECT_EQ(reference::morton_to_grid_point(codes[i], grid), point);
    }
  }
}

TEST(CompressedMortonCode, UsesAll64Bits) {
  const Int3 grid{std::int64_t{1} << 22, std::int64_t{1} << 21, std::int64_t{1} << 21};
  EXPECT_EQ(morton_bits(grid), 64);
  const Int3 last{grid[0] - 1, grid[1] - 1, grid[2] - 1};
  EXPECT_EQ(compressed_morton_code(last, grid), ~std::uint64_t{0});
  EXPECT_EQ(morton_to_grid_point(~std::uint64_t{0}, grid), last);
}

TEST(CompressedMortonCode, StaysDefinedBeyond64Bits) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const Int3 grid{kMax, kMax, kMax};
  EXPECT_EQ(morton_bits(grid), 189);
  (void)compressed_morton_code({-1, kMax, 0}, grid);
  (void)morton_to_grid_point(~std::uint64_t{0}, grid);
}

TEST(MortonBits, IgnoresAxesOfOneCell) {
  EXPECT_EQ(morton_bits({1, 1, 1}), 0);
  EXPECT_EQ(morton_bits({0, -5, 2}), 1);
  EXPECT_EQ(morton_bits({5, 3, 1}), 5);
  EXPECT_EQ(morton_bits({4, 5, 9}), 9);
}

}  // namespace
}  // namespace cvfast::locate
