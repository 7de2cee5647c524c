// SPDX-License-Identifier: BSD-3-Clause
// Chunks in shards: whole images through the pool, against a volume held in memory, and broken files.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cvfast/fetch/sharded.hpp"
#include "cvfast/locate/morton.hpp"
#include "cvfast/runtime/read_image.hpp"
#include "cvfast/runtime/write_image.hpp"
#include "temporary_folder.hpp"

namespace {

namespace rt = cvfast::runtime;
namespace fetch = cvfast::fetch;
namespace locate = cvfast::locate;
using cvfast::Box3;
using cvfast::Int3;
using cvfast::Int4;

rt::RunOptions options_for(int threads = 4) {
  rt::RunOptions options;
  options.threads = threads;
  return options;
}

struct Sharded {
  rt::ImageLayout layout;
  locate::ShardSpec spec;
  std::shared_ptr<fetch::ShardIndexCache> cache = std::make_shared<fetch::ShardIndexCache>();
  std::vector<std::uint32_t> voxels;
  TemporaryFolder where;

  explicit Sharded(const locate::ShardSpec& wanted,
                   const locate::ChunkGrid& grid = {{-5, 3, 100}, {41, 30, 17}, {16, 8, 8}})
      : spec(wanted) {
    layout.folder = where.path();
    layout.grid = grid;
    layout.format = {cvfast::decode::Encoding::kCompressedSegmentation, 4, 1, {8, 8, 8}};
    layout.store = fetch::make_sharded_store(layout.folder, spec, grid, cache);
    std::mt19937 random(7);
    const Int3& size = grid.volume_size;
    voxels.resize(static_cast<std::size_t>(size[0] * size[1] * size[2]));
    for (auto& voxel : voxels) voxel = static_cast<std::uint32_t>(random() % 5);
  }

  [[nodiscard]] Int4 strides() const { return cvfast::fortran_strides(layout.grid.volume_size, 4); }
  [[nodiscard]] std::size_t index(const Int3& p) const {
    const auto& grid = layout.grid;
    return static_cast<std::size_t>(
        (p[0] - grid.voxel_offset[0]) +
        grid.volume_size[0] * ((p[1] - grid.voxel_offset[1]) + grid.volume_size[1] * (p[2] - grid.voxel_offset[2])));
  }

  rt::RunResult write(const Box3& box, bool merges = true, bool delete_background = false) const {
    rt::WriteRequest request;
    request.box = box;
    request.compression = spec.gzip_data ? fetch::ContentEncoding::kGzip : fetch::ContentEncoding::kNone;
    request.merge_objects = merges;
    request.partial = rt::PartialChunks::kMerge;
    request.fill_missing = true;
    request.delete_background = delete_background;
    rt::Progress progress;
    const auto* const src = reinterpret_cast<const std::byte*>(voxels.data() + index(box.min));
    return rt::write_image(layout, request, src, strides(), options_for(), progress);
  }

  std::vector<std::uint32_t> read(rt::RunResult& result, bool fill_missing = false) const {
    std::vector<std::uint32_t> out(voxels.size(), 99);
    rt::ReadRequest request;
    request.box = layout.grid.bounds();
    request.fill_missing = fill_missing;
    rt::Progress progress;
    result =
        rt::read_image(layout, request, reinterpret_cast<std::byte*>(out.data()), strides(), options_for(), progress);
    return out;
  }

  void expect_all() const {
    rt::RunResult result;
    const auto found = read(result);
    ASSERT_EQ(result.state, rt::RunState::kDone) << (result.error ? result.error->name : "");
    ASSERT_EQ(found, voxels);
  }

  [[nodiscard]] std::filesystem::path shard(const std::string& name) const { return where.path() / name; }
};

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

locate::ShardSpec spec_of(int preshift, int minishard, int shard, bool hashed = false, bool gzip = false) {
  return {preshift, minishard, shard, hashed ? locate::ShardHash::kMurmurhash3 : locate::ShardHash::kIdentity,
          gzip,     gzip};
}

TEST(Sharded, EverySplitOfBitsReadsBackAsWritten) {
  for (const int preshift : {0, 1, 5, 64}) {
    for (const int minishard : {0, 2, 6}) {
      for (const int shard : {0, 1, 4, 58}) {
        for (const bool hashed : {false, true}) {
          const Sharded volume(spec_of(preshift, minishard, shard, hashed, hashed));
          SCOPED_TRACE(testing::Message() << preshift << ' ' << minishard << ' ' << shard << ' ' << hashed);
          ASSERT_EQ(volume.write(volume.layout.grid.bounds()).state, rt::RunState::kDone);
          volume.expect_all();
          volume.cache->clear();
          volume.expect_all();
        }
      }
    }
  }
}

TEST(Sharded, PartsOfShardsAreMerged) {
  for (const bool hashed : {false, true}) {
    Sharded volume(spec_of(1, 1, 2, hashed, true));
    const Box3 all = volume.layout.grid.bounds();
    // Slabs of whole chunks, then a box that cuts chunks.
    for (std::int64_t z = 100; z < 117; z += 8) {
      const Box3 slab{{all.min[0], all.min[1], z}, {all.max[0], all.max[1], std::min<std::int64_t>(z + 8, 117)}};
      ASSERT_EQ(volume.write(slab).state, rt::RunState::kDone);
    }
    volume.expect_all();
    const Box3 odd{{0, 5, 103}, {30, 29, 116}};
    for (std::int64_t z = 103; z < 116; ++z) {
      for (std::int64_t y = 5; y < 29; ++y) {
        for (std::int64_t x = 0; x < 30; ++x) volume.voxels[volume.index({x, y, z})] = 1234;
      }
    }
    ASSERT_EQ(volume.write(odd).state, rt::RunState::kDone);
    volume.expect_all();
  }
}

TEST(Sharded, APartOfAShardIsRefusedOnDemandAndLeavesItAlone) {
  const Sharded volume(spec_of(0, 0, 0));
  const Box3 all = volume.layout.grid.bounds();
  ASSERT_EQ(volume.write(all).state, rt::RunState::kDone);
  const std::string before = bytes_of(volume.shard("0.shard"));
  const rt::RunResult result = volume.write({all.min, {all.min[0] + 16, all.min[1] + 8, all.min[2] + 8}}, false);
  ASSERT_EQ(result.state, rt::RunState::kFailed);
  EXPECT_EQ(result.error->kind, rt::ErrorKind::kPartialObject);
  EXPECT_EQ(result.error->name, "0.shard");
  EXPECT_EQ(bytes_of(volume.shard("0.shard")), before);
  EXPECT_EQ(volume.write(all, false).state, rt::RunState::kDone);  // all of it is no part
}

TEST(Sharded, BackgroundAndDeletedChunksLeaveTheShard) {
  Sharded volume(spec_of(0, 1, 0));
  const Box3 all = volume.layout.grid.bounds();
  ASSERT_EQ(volume.write(all).state, rt::RunState::kDone);
  const auto full = std::filesystem::file_size(volume.shard("0.shard"));
  const Box3 first{all.min, {all.min[0] + 16, all.min[1] + 8, all.min[2] + 8}};
  ASSERT_EQ(rt::delete_chunks(volume.layout, first, options_for()).state, rt::RunState::kDone);
  EXPECT_LT(std::filesystem::file_size(volume.shard("0.shard")), full);
  rt::RunResult result;
  (void)volume.read(result);
  ASSERT_EQ(result.state, rt::RunState::kFailed);
  EXPECT_EQ(result.error->kind, rt::ErrorKind::kMissing);
  EXPECT_EQ(result.error->name, "0.shard: minishard 0, chunk 0 (-5-11_3-11_100-108)");
  std::vector<std::string> names;
  std::vector<std::uint8_t> exists;
  ASSERT_EQ(rt::list_chunks(volume.layout, all, true, names, exists, options_for()).state, rt::RunState::kDone);
  EXPECT_EQ(names.size(), 3u * 4 * 3);
  EXPECT_EQ(std::count(exists.begin(), exists.end(), 0), 1);
  // All background: no file is left.
  std::fill(volume.voxels.begin(), volume.voxels.end(), 0);
  ASSERT_EQ(volume.write(all, true, true).state, rt::RunState::kDone);
  EXPECT_FALSE(std::filesystem::exists(volume.shard("0.shard")));
}

TEST(Sharded, TheOlderPairOfFilesIsRead) {
  const Sharded volume(spec_of(1, 2, 1, true, true));
  ASSERT_EQ(volume.write(volume.layout.grid.bounds()).state, rt::RunState::kDone);
  for (const std::string name : {"0", "1"}) {
    const std::string bytes = bytes_of(volume.shard(name + ".shard"));
    put_bytes(volume.shard(name + ".index"), bytes.substr(0, 64));
    put_bytes(volume.shard(name + ".data"), bytes.substr(64));
    std::filesystem::remove(volume.shard(name + ".shard"));
  }
  volume.expect_all();
  // A write leaves one file, and no stale pair.
  ASSERT_EQ(volume.write({{-5, 3, 100}, {11, 11, 108}}).state, rt::RunState::kDone);
  volume.expect_all();
  ASSERT_EQ(volume.write(volume.layout.grid.bounds()).state, rt::RunState::kDone);
  EXPECT_FALSE(std::filesystem::exists(volume.shard("0.index")) || std::filesystem::exists(volume.shard("1.data")));
  std::filesystem::remove(volume.shard("0.shard"));
  put_bytes(volume.shard("0.index"), std::string(64, '\0'));
  rt::RunResult result;
  (void)volume.read(result, true);
  ASSERT_EQ(result.state, rt::RunState::kFailed);  // an index without data is no absent shard
  EXPECT_EQ(result.error->kind, rt::ErrorKind::kIo);
}

TEST(Sharded, AReplacedShardIsSeenBehindTheCacheOfIndexes) {
  Sharded volume(spec_of(2, 2, 1));
  const Box3 all = volume.layout.grid.bounds();
  ASSERT_EQ(volume.write(all).state, rt::RunState::kDone);
  volume.expect_all();
  // Another volume object, with a cache of its own, as another process would be.
  rt::ImageLayout other = volume.layout;
  other.store =
      fetch::make_sharded_store(other.folder, volume.spec, other.grid, std::make_shared<fetch::ShardIndexCache>());
  std::swap(volume.layout, other);
  for (auto& voxel : volume.voxels) voxel *= 1000;
  ASSERT_EQ(volume.write(all).state, rt::RunState::kDone);
  std::swap(volume.layout, other);
  volume.expect_all();
}

TEST(Sharded, WritersOfOneShardInTwoProcessesLoseNothing) {
  const Sharded volume(spec_of(0, 1, 0, false, true));
  const Box3 all = volume.layout.grid.bounds();
  std::vector<pid_t> children;
  for (int part = 0; part < 2; ++part) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool good = true;
      int turn = 0;
      for (std::int64_t z = 100; z < 117; z += 8) {
        for (std::int64_t y = 3; y < 33; y += 8) {
          if (turn++ % 2 != part) continue;
          const Box3 row{{all.min[0], y, z},
                         {all.max[0], std::min<std::int64_t>(y + 8, 33), std::min<std::int64_t>(z + 8, 117)}};
          good = volume.write(row).state == rt::RunState::kDone && good;
        }
      }
      ::_exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  volume.expect_all();
}

TEST(Sharded, ThreadsThatWriteOneShardLoseNothing) {
  const Sharded volume(spec_of(1, 0, 1));
  const Box3 all = volume.layout.grid.bounds();
  std::vector<std::thread> threads;
  for (std::int64_t z = 100; z < 117; z += 8) {
    threads.emplace_back([&, z] {
      for (std::int64_t y = 3; y < 33; y += 8) {
        const Box3 row{{all.min[0], y, z},
                       {all.max[0], std::min<std::int64_t>(y + 8, 33), std::min<std::int64_t>(z + 8, 117)}};
        EXPECT_EQ(volume.write(row).state, rt::RunState::kDone);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  volume.expect_all();
}

// What a broken shard may do: give the right voxels, or an error that names it.  A flipped bit of gzip data is noticed
// by its checksum; one of an index either leads nowhere or to bytes that do not decode to a chunk of this shape.
TEST(Sharded, TruncationAtEveryLengthIsAnError) {
  const Sharded volume(spec_of(1, 1, 0, false, true), {{0, 0, 0}, {16, 16, 8}, {8, 8, 8}});
  ASSERT_EQ(volume.write(volume.layout.grid.bounds()).state, rt::RunState::kDone);
  const std::string bytes = bytes_of(volume.shard("0.shard"));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    put_bytes(volume.shard("0.shard"), bytes.substr(0, length));
    volume.cache->clear();
    rt::RunResult result;
    (void)volume.read(result, length > 0);
    ASSERT_EQ(result.state, rt::RunState::kFailed) << length;
    ASSERT_EQ(result.error->name.substr(0, 7), "0.shard") << length;
    ASSERT_EQ(result.error->kind, length == 0 ? rt::ErrorKind::kMissing : rt::ErrorKind::kIndex) << length;
  }
}

TEST(Sharded, NoFlippedBitGivesWrongVoxels) {
  const Sharded volume(spec_of(1, 1, 0, false, true), {{0, 0, 0}, {16, 16, 8}, {8, 8, 8}});
  ASSERT_EQ(volume.write(volume.layout.grid.bounds()).state, rt::RunState::kDone);
  const std::string bytes = bytes_of(volume.shard("0.shard"));
  int wrong = 0;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    put_bytes(volume.shard("0.shard"), flipped);
    volume.cache->clear();
    rt::RunResult result;
    const auto found = volume.read(result);
    if (result.state == rt::RunState::kDone && found != volume.voxels) ++wrong;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Sharded, AMergeWithABrokenShardIsRefusedAndLeavesIt) {
  const Sharded volume(spec_of(0, 1, 0), {{0, 0, 0}, {16, 16, 8}, {8, 8, 8}});
  const Box3 all = volume.layout.grid.bounds();
  ASSERT_EQ(volume.write(all).state, rt::RunState::kDone);
  std::string bytes = bytes_of(volume.shard("0.shard"));
  bytes.resize(bytes.size() - 1);
  put_bytes(volume.shard("0.shard"), bytes);
  const rt::RunResult result = volume.write({{0, 0, 0}, {8, 8, 8}});
  ASSERT_EQ(result.state, rt::RunState::kFailed);
  EXPECT_EQ(result.error->kind, rt::ErrorKind::kIndex);
  EXPECT_EQ(bytes_of(volume.shard("0.shard")), bytes);
  // All of it mends it.
  ASSERT_EQ(volume.write(all).state, rt::RunState::kDone);
  volume.expect_all();
}

TEST(Sharded, ShardsThatAreBoxesAreKnown) {
  // 8 x 4 x 2 chunks: codes have 6 bits, dealt x y z x y x.
  const Int3 grid{8, 4, 2};
  EXPECT_EQ(fetch::shard_grid_range(spec_of(2, 1, 3), grid, {3, 3, 1}), (Box3{{2, 2, 0}, {4, 4, 2}}));
  EXPECT_EQ(fetch::shard_grid_range(spec_of(1, 0, 5), grid, {3, 3, 1}), (Box3{{2, 3, 1}, {4, 4, 2}}));
  EXPECT_EQ(fetch::shard_grid_range(spec_of(6, 0, 0), grid, {3, 3, 1}), (Box3{{0, 0, 0}, {8, 4, 2}}));
  EXPECT_EQ(fetch::shard_grid_range(spec_of(60, 4, 0), grid, {3, 3, 1}), (Box3{{0, 0, 0}, {8, 4, 2}}));
  EXPECT_TRUE(fetch::shard_grid_range(spec_of(2, 1, 2), grid, {0, 0, 0}).empty());        // numbers wrap around
  EXPECT_TRUE(fetch::shard_grid_range(spec_of(2, 1, 3, true), grid, {0, 0, 0}).empty());  // hashed
  // Every shard of a clamped grid: the boxes and the locations say the same.
  const Int3 clamped{5, 3, 7};
  const locate::ShardSpec spec = spec_of(1, 2, 6);
  for (std::int64_t i = 0; i < 5 * 3 * 7; ++i) {
    const Int3 point = locate::grid_point_at({{0, 0, 0}, clamped}, i);
    const Box3 range = fetch::shard_grid_range(spec, clamped, point);
    const auto at = locate::shard_location(spec, locate::compressed_morton_code(point, clamped)).shard;
    for (std::int64_t j = 0; j < 5 * 3 * 7; ++j) {
      const Int3 other = locate::grid_point_at({{0, 0, 0}, clamped}, j);
      const bool inside = contains(range, {other, {other[0] + 1, other[1] + 1, other[2] + 1}});
      ASSERT_EQ(inside, locate::shard_location(spec, locate::compressed_morton_code(other, clamped)).shard == at);
    }
  }
}

TEST(ShardIndexCache, HoldsToItsLimitAndToStamps) {
  fetch::ShardIndexCache cache(10'000);
  const std::uint32_t store = cache.intern("/a", spec_of(0, 0, 0));
  EXPECT_EQ(cache.intern("/a", spec_of(0, 0, 0)), store);
  EXPECT_NE(cache.intern("/a", spec_of(0, 1, 0)), store);
  const fetch::FileStamp stamp{1, 2, 3, 4, 5};
  for (std::uint64_t i = 0; i < 100; ++i) {
    cache.insert({store, false, 0, i}, stamp,
                 std::make_shared<const std::vector<locate::ShardEntry>>(std::vector<locate::ShardEntry>(20)));
    EXPECT_LE(cache.held_bytes(), 10'000u);
  }
  EXPECT_EQ(cache.find_entries({store, false, 0, 0}, stamp), nullptr);
  EXPECT_NE(cache.find_entries({store, false, 0, 99}, stamp), nullptr);
  EXPECT_EQ(cache.find_entries({store, false, 0, 99}, {1, 2, 3, 4, 6}), nullptr);
  EXPECT_EQ(cache.find_extents({store, true, 0, 99}, stamp), nullptr);
  cache.clear();
  EXPECT_EQ(cache.held_bytes(), 0u);
}

}  // namespace
