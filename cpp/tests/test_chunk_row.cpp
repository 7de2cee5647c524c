// SPDX-License-Identifier: BSD-3-Clause
// Raw chunks that lie side by side are read together when the destination is large; here its strides make it so.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/paint/side_by_side.hpp"
#include "cvfast/runtime/read_image.hpp"
#include "cvfast/runtime/write_image.hpp"
#include "temporary_folder.hpp"

namespace {

namespace rt = cvfast::runtime;
using cvfast::Box3;
using cvfast::Int3;
using cvfast::Int4;

constexpr std::int64_t kChannels = 2;
constexpr std::byte kUntouched{0xEE};

// Chunks of 24 x 8 x 8 two-channel voxels, of which the last of each axis are cut.
struct Volume {
  rt::ImageLayout layout;
  std::vector<std::byte> voxels;
  TemporaryFolder where;

  explicit Volume(std::int64_t item_size = 2) {
    layout.folder = where.path();
    layout.store = cvfast::fetch::make_folder_store(layout.folder);
    layout.grid = {{-5, 3, 100}, {150, 41, 45}, {24, 8, 8}};
    layout.format = {cvfast::decode::Encoding::kRaw, static_cast<int>(item_size), kChannels, {8, 8, 8}};
    voxels.resize(static_cast<std::size_t>(150 * 41 * 45 * kChannels * item_size));
    std::mt19937 random(11);
    for (std::byte& byte : voxels) byte = static_cast<std::byte>(random() & 0x7F);
  }

  [[nodiscard]] std::int64_t item() const { return layout.format.item_size; }

  [[nodiscard]] rt::RunResult write(cvfast::fetch::ContentEncoding compression) const {
    rt::WriteRequest request;
    request.box = layout.grid.bounds();
    request.compression = compression;
    rt::RunOptions options;
    options.threads = 2;
    rt::Progress progress;
    return rt::write_image(layout, request, voxels.data(), cvfast::fortran_strides(layout.grid.volume_size, item()),
                           options, progress);
  }

  [[nodiscard]] std::string file(const Int3& point) const {
    char buffer[cvfast::locate::kChunkNameBytes];
    return layout.folder + "/" + std::string(cvfast::locate::chunk_name(layout.grid.chunk_box(point), buffer));
  }
};

// A destination whose y lines lie far apart, so that it spans what no cache holds, and whose rows begin anywhere.
struct Destination {
  Box3 box;
  Int4 strides;
  std::vector<std::byte> bytes;

  Destination(const Box3& wanted, std::int64_t item, std::int64_t lead) : box(wanted), lead_(lead) {
    const Int3 shape = box.shape();
    const std::int64_t row = shape[0] * item + 37;
    const std::int64_t apart =
        std::max<std::int64_t>(row, (std::int64_t{34} << 20) / (shape[1] * shape[2]) / row * row);
    strides = {item, apart, apart * shape[1], apart * shape[1] * shape[2]};
    bytes.assign(static_cast<std::size_t>(lead + strides[3] * kChannels), kUntouched);
  }

  [[nodiscard]] std::byte* first() { return bytes.data() + lead_; }

  void expect(const Volume& volume, const Box3& background, std::byte value) const {
    const Int3 shape = box.shape();
    const Int4 from = cvfast::fortran_strides(volume.layout.grid.volume_size, volume.item());
    const auto item = static_cast<std::size_t>(volume.item());
    std::size_t painted = 0;
    for (std::int64_t c = 0; c < kChannels; ++c) {
      for (std::int64_t z = 0; z < shape[2]; ++z) {
        for (std::int64_t y = 0; y < shape[1]; ++y) {
          for (std::int64_t x = 0; x < shape[0]; ++x) {
            const Int3 at{box.min[0] + x, box.min[1] + y, box.min[2] + z};
            const std::byte* found =
                bytes.data() + lead_ + x * strides[0] + y * strides[1] + z * strides[2] + c * strides[3];
            painted += item;
            if (contains(background, {at, {at[0] + 1, at[1] + 1, at[2] + 1}})) {
              for (std::size_t i = 0; i < item; ++i) ASSERT_EQ(found[i], i == 0 ? value : std::byte{0});
              continue;
            }
            std::int64_t offset = c * from[3];
            for (std::size_t i = 0; i < 3; ++i) offset += (at[i] - volume.layout.grid.voxel_offset[i]) * from[i];
            ASSERT_EQ(std::memcmp(found, volume.voxels.data() + offset, item), 0)
                << "voxel " << at[0] << " " << at[1] << " " << at[2] << " channel " << c;
          }
        }
      }
    }
    // Nothing beside the box.
    std::size_t untouched = 0;
    for (const std::byte byte : bytes) untouched += byte == kUntouched ? 1 : 0;
    ASSERT_EQ(untouched, bytes.size() - painted);
  }

 private:
  std::int64_t lead_;
};

rt::RunResult read(const Volume& volume, Destination& destination, rt::Progress& progress, bool fill_missing = false) {
  rt::ReadRequest request;
  request.box = destination.box;
  request.channel_end = kChannels;
  request.fill_missing = fill_missing;
  request.background[0] = std::byte{77};
  rt::RunOptions options;
  options.threads = 2;
  return rt::read_image(volume.layout, request, destination.first(), destination.strides, options, progress);
}

const std::vector<Box3> kBoxes = {
    {{-5, 3, 100}, {145, 44, 145}},  // the whole
    {{-5, 3, 100}, {145, 44, 137}},
    {{0, 7, 103}, {141, 42, 143}},  // cuts chunks on every side
    {{20, 5, 101}, {70, 41, 144}},
};

class ChunkRowOfItem : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, ChunkRowOfItem, testing::Values(1, 2, 4));

TEST_P(ChunkRowOfItem, BoxesReadBackAsWritten) {
  const Volume volume(GetParam());
  ASSERT_EQ(volume.write(cvfast::fetch::ContentEncoding::kNone).state, rt::RunState::kDone);
  for (const Box3& box : kBoxes) {
    for (const std::int64_t lead : {0, 1, 32}) {
      Destination destination(box, volume.item(), lead);
      rt::Progress progress;
#if defined(__SSE2__)
      const Int3 rows = box.shape();
      ASSERT_TRUE(cvfast::paint::gains_from_joining(
          static_cast<std::size_t>(24 * volume.item()),
          (rows[1] - 1) * destination.strides[1] + (rows[2] - 1) * destination.strides[2]));
#endif
      ASSERT_EQ(read(volume, destination, progress).state, rt::RunState::kDone);
      destination.expect(volume, {}, {});
      const Int3 grid = volume.layout.grid.grid_range(box).shape();
      const Int3 shape = box.shape();
      EXPECT_EQ(progress.chunks.load(), static_cast<std::uint64_t>(grid[0] * grid[1] * grid[2]));
      EXPECT_EQ(progress.bytes.load(),
                static_cast<std::uint64_t>(shape[0] * shape[1] * shape[2] * kChannels * volume.item()));
    }
  }
}

TEST(ChunkRow, CompressedOnesAmongThemAreReadToo) {
  const Volume volume;
  ASSERT_EQ(volume.write(cvfast::fetch::ContentEncoding::kNone).state, rt::RunState::kDone);
  const Volume compressed;
  ASSERT_EQ(compressed.write(cvfast::fetch::ContentEncoding::kGzip).state, rt::RunState::kDone);
  const Int3 point{2, 1, 3};
  std::filesystem::remove(volume.file(point));
  std::filesystem::copy_file(compressed.file(point) + ".gz", volume.file(point) + ".gz");
  Destination destination(kBoxes[0], volume.item(), 0);
  rt::Progress progress;
  ASSERT_EQ(read(volume, destination, progress).state, rt::RunState::kDone);
  destination.expect(volume, {}, {});
}

TEST(ChunkRow, AnAbsentOneIsAnErrorOrBackground) {
  const Volume volume;
  ASSERT_EQ(volume.write(cvfast::fetch::ContentEncoding::kNone).state, rt::RunState::kDone);
  const Int3 point{3, 2, 1};
  std::filesystem::remove(volume.file(point));
  Destination destination(kBoxes[0], volume.item(), 0);
  rt::Progress progress;
  const rt::RunResult result = read(volume, destination, progress);
  ASSERT_EQ(result.state, rt::RunState::kFailed);
  EXPECT_EQ(result.error->kind, rt::ErrorKind::kMissing);
  EXPECT_EQ(result.error->name, std::filesystem::path(volume.file(point)).filename());
  rt::Progress again;
  ASSERT_EQ(read(volume, destination, again, true).state, rt::RunState::kDone);
  destination.expect(volume, volume.layout.grid.chunk_box(point), std::byte{77});
}

TEST(ChunkRow, AShortOneIsAnErrorThatNamesIt) {
  const Volume volume;
  ASSERT_EQ(volume.write(cvfast::fetch::ContentEncoding::kNone).state, rt::RunState::kDone);
  const std::string file = volume.file({0, 0, 4});
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  Destination destination(kBoxes[0], volume.item(), 0);
  rt::Progress progress;
  const rt::RunResult result = read(volume, destination, progress);
  ASSERT_EQ(result.state, rt::RunState::kFailed);
  EXPECT_EQ(result.error->kind, rt::ErrorKind::kDecode);
  EXPECT_EQ(result.error->status.code, cvfast::Code::kTruncated);
  EXPECT_EQ(result.error->name, std::filesystem::path(file).filename());
}

TEST(SideBySide, RowsOfDifferentLengthsAreJoined) {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    const std::int64_t y_extent = 1 + static_cast<std::int64_t>(random() % 5);
    const std::int64_t z_extent = 1 + static_cast<std::int64_t>(random() % 4);
    std::vector<std::vector<std::byte>> sources(1 + random() % 9);
    std::vector<cvfast::paint::BoxRows> boxes;
    std::size_t row = 0;
    const std::size_t even = round % 3 == 0 ? 32 : round % 3 == 1 ? 64 : 0;
    for (auto& source : sources) {
      const std::size_t n = even != 0 ? even : 1 + random() % 100;
      const auto y_stride = static_cast<std::int64_t>(n + random() % 7);
      const std::int64_t z_stride = y_stride * y_extent + static_cast<std::int64_t>(random() % 7);
      source.resize(static_cast<std::size_t>(z_stride * z_extent));
      for (std::byte& byte : source) byte = static_cast<std::byte>(random() & 0x7F);
      boxes.push_back({source.data(), y_stride, z_stride, n});
      row += n;
    }
    const auto apart = static_cast<std::int64_t>(row + random() % 70);
    const std::size_t lead = random() % 70;
    std::vector<std::byte> out(lead + static_cast<std::size_t>(apart * y_extent * z_extent), kUntouched);
    std::vector<std::byte> expected = out;
    for (std::int64_t z = 0; z < z_extent; ++z) {
      for (std::int64_t y = 0; y < y_extent; ++y) {
        std::byte* to = expected.data() + lead + (y + z * y_extent) * apart;
        for (const auto& box : boxes) {
          std::memcpy(to, box.first + y * box.y_stride + z * box.z_stride, box.row_bytes);
          to += box.row_bytes;
        }
      }
    }
    cvfast::paint::copy_side_by_side(boxes, y_extent, z_extent, out.data() + lead, apart, apart * y_extent);
    ASSERT_EQ(out, expected);
  }
}

}  // namespace
