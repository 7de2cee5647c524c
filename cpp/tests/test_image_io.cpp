// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing whole images through the pool, against a volume held in memory.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/runtime/read_image.hpp"
#include "cvfast/runtime/write_image.hpp"
#include "temporary_folder.hpp"

namespace {

namespace rt = cvfast::runtime;
using cvfast::Box3;
using cvfast::Int3;
using cvfast::Int4;

struct Volume {
  rt::ImageLayout layout;
  std::vector<std::uint32_t> voxels;
  TemporaryFolder where;

  explicit Volume(cvfast::decode::Encoding encoding) {
    layout.folder = where.path();
    layout.store = cvfast::fetch::make_folder_store(layout.folder);
    layout.grid = {{-5, 3, 100}, {41, 30, 17}, {16, 8, 8}};
    layout.format = {encoding, 4, 1, {8, 8, 8}};
    std::mt19937 random(7);
    voxels.resize(41 * 30 * 17);
    for (auto& voxel : voxels) voxel = static_cast<std::uint32_t>(random() % 5);
  }

  [[nodiscard]] Int4 strides() const { return cvfast::fortran_strides(layout.grid.volume_size, 4); }

  [[nodiscard]] std::uint32_t at(std::int64_t x, std::int64_t y, std::int64_t z) const {
    const auto& grid = layout.grid;
    return voxels[static_cast<std::size_t>(
        (x - grid.voxel_offset[0]) +
        grid.volume_size[0] * ((y - grid.voxel_offset[1]) + grid.volume_size[1] * (z - grid.voxel_offset[2])))];
  }

  rt::RunResult write(cvfast::fetch::ContentEncoding compression) const {
    rt::WriteRequest request;
    request.box = layout.grid.bounds();
    request.compression = compression;
    rt::RunOptions options;
    options.threads = 4;
    rt::Progress progress;
    return rt::write_image(layout, request, reinterpret_cast<const std::byte*>(voxels.data()), strides(), options,
                           progress);
  }

  std::vector<std::uint32_t> read(const Box3& box, rt::RunResult& result, bool fill_missing = false) const {
    const Int3 shape = box.shape();
    std::vector<std::uint32_t> out(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]), 99);
    rt::ReadRequest request;
    request.box = box;
    request.fill_missing = fill_missing;
    const std::uint32_t background = 77;
    std::memcpy(request.background.data(), &background, sizeof(background));
    rt::RunOptions options;
    options.threads = 4;
    rt::Progress progress;
    result = rt::read_image(layout, request, reinterpret_cast<std::byte*>(out.data()),
                            cvfast::fortran_strides(shape, 4), options, progress);
    return out;
  }

  void expect_box(const Box3& box, const std::vector<std::uint32_t>& found) const {
    const Box3 bounds = layout.grid.bounds();
    std::size_t i = 0;
    for (std::int64_t z = box.min[2]; z < box.max[2]; ++z) {
      for (std::int64_t y = box.min[1]; y < box.max[1]; ++y) {
        for (std::int64_t x = box.min[0]; x < box.max[0]; ++x, ++i) {
          const bool inside = contains(bounds, {{x, y, z}, {x + 1, y + 1, z + 1}});
          ASSERT_EQ(found[i], inside ? at(x, y, z) : 77u) << x << ' ' << y << ' ' << z;
        }
      }
    }
  }
};

class ImageIo : public testing::TestWithParam<std::tuple<cvfast::decode::Encoding, cvfast::fetch::ContentEncoding>> {};

TEST_P(ImageIo, BoxesReadBackAsWritten) {
  const Volume volume(std::get<0>(GetParam()));
  ASSERT_EQ(volume.write(std::get<1>(GetParam())).state, rt::RunState::kDone);
  const Box3 bounds = volume.layout.grid.bounds();
  for (const Box3& box : {bounds, Box3{{-5, 3, 100}, {11, 11, 108}}, Box3{{0, 5, 103}, {30, 29, 116}},
                          Box3{{7, 7, 107}, {8, 8, 108}}, Box3{{-9, 0, 98}, {50, 40, 120}}}) {
    rt::RunResult result;
    const auto found = volume.read(box, result);
    ASSERT_EQ(result.state, rt::RunState::kDone);
    volume.expect_box(box, found);
  }
}

TEST_P(ImageIo, PointsReadBackAsWritten) {
  const Volume volume(std::get<0>(GetParam()));
  ASSERT_EQ(volume.write(std::get<1>(GetParam())).state, rt::RunState::kDone);
  std::mt19937 random(11);
  std::vector<std::int64_t> points;
  for (int i = 0; i < 500; ++i) {
    points.push_back(-5 + static_cast<std::int64_t>(random() % 41));
    points.push_back(3 + static_cast<std::int64_t>(random() % 30));
    points.push_back(100 + static_cast<std::int64_t>(random() % 17));
  }
  std::vector<std::uint32_t> found(500);
  rt::RunOptions options;
  options.threads = 4;
  rt::Progress progress;
  const rt::RunResult result = rt::read_points(volume.layout, {}, points.data(), found.size(),
                                               reinterpret_cast<std::byte*>(found.data()), options, progress);
  ASSERT_EQ(result.state, rt::RunState::kDone);
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i], volume.at(points[3 * i], points[3 * i + 1], points[3 * i + 2]));
  }
}

TEST_P(ImageIo, ReadersBesideAWriterSeeWholeChunks) {
  const Volume volume(std::get<0>(GetParam()));
  ASSERT_EQ(volume.write(std::get<1>(GetParam())).state, rt::RunState::kDone);
  std::thread writer([&] {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(volume.write(std::get<1>(GetParam())).state, rt::RunState::kDone);
  });
  for (int i = 0; i < 20; ++i) {
    rt::RunResult result;
    const auto found = volume.read(volume.layout.grid.bounds(), result);
    ASSERT_EQ(result.state, rt::RunState::kDone);
    volume.expect_box(volume.layout.grid.bounds(), found);
  }
  writer.join();
}

INSTANTIATE_TEST_SUITE_P(
    Formats, ImageIo,
    testing::Combine(testing::Values(cvfast::decode::Encoding::kRaw, cvfast::decode::Encoding::kCompressedSegmentation),
                     testing::Values(cvfast::fetch::ContentEncoding::kNone, cvfast::fetch::ContentEncoding::kGzip)));

TEST(ImageIoMissing, AnAbsentChunkIsAnErrorOrBackground) {
  const Volume volume(cvfast::decode::Encoding::kRaw);
  rt::RunResult result;
  (void)volume.read({{0, 5, 103}, {1, 6, 104}}, result);
  ASSERT_EQ(result.state, rt::RunState::kFailed);
  EXPECT_EQ(result.error->kind, rt::ErrorKind::kMissing);
  EXPECT_EQ(result.error->name, "-5-11_3-11_100-108");
  const auto found = volume.read({{0, 5, 103}, {1, 6, 104}}, result, true);
  EXPECT_EQ(result.state, rt::RunState::kDone);
  EXPECT_EQ(found[0], 77u);
}

TEST(ImageIoMerge, PartialChunksKeepTheRest) {
  Volume volume(cvfast::decode::Encoding::kCompressedSegmentation);
  ASSERT_EQ(volume.write(cvfast::fetch::ContentEncoding::kGzip).state, rt::RunState::kDone);
  rt::WriteRequest request;
  request.box = {{0, 5, 103}, {30, 29, 116}};
  request.partial = rt::PartialChunks::kMerge;
  const Int3 shape = request.box.shape();
  const std::vector<std::uint32_t> part(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]), 1234);
  rt::RunOptions options;
  options.threads = 4;
  rt::Progress progress;
  ASSERT_EQ(rt::write_image(volume.layout, request, reinterpret_cast<const std::byte*>(part.data()),
                            cvfast::fortran_strides(shape, 4), options, progress)
                .state,
            rt::RunState::kDone);
  for (std::int64_t z = 103; z < 116; ++z) {
    for (std::int64_t y = 5; y < 29; ++y) {
      for (std::int64_t x = 0; x < 30; ++x) {
        volume.voxels[static_cast<std::size_t>((x + 5) + 41 * ((y - 3) + 30 * (z - 100)))] = 1234;
      }
    }
  }
  rt::RunResult result;
  const auto found = volume.read(volume.layout.grid.bounds(), result);
  ASSERT_EQ(result.state, rt::RunState::kDone);
  volume.expect_box(volume.layout.grid.bounds(), found);
}

}  // namespace
