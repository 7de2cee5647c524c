// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/compressed_segmentation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <limits>

#include "compressed_segmentation.hpp"
#include "cvfast/paint/copy_box.hpp"
#include "paint.hpp"
#include "random_input.hpp"
#include "strided_box.hpp"

namespace cvfast::decode::compressed_segmentation {
namespace {

using paint::VoxelMap;
using paint::VoxelOp;
using testing::Random;
using Bytes = std::vector<std::byte>;
using Labels = std::vector<std::uint64_t>;

Bytes from_words(std::initializer_list<std::uint32_t> words) {
  Bytes out(words.size() * 4);
  std::memcpy(out.data(), words.begin(), out.size());
  return out;
}

std::size_t voxel_count(const Geometry& g) {
  return static_cast<std::size_t>(g.chunk_shape[0] * g.chunk_shape[1] * g.chunk_shape[2] * g.num_channels);
}

Bytes encoded(const Labels& labels, const Geometry& g) {
  const Bytes items = testing::to_items(labels, static_cast<std::size_t>(g.item_size));
  Bytes out;
  const Status status = encode(items.data(), fortran_strides(g.chunk_shape, g.item_size), g, out);
  EXPECT_TRUE(status.ok());
  return out;
}

Box3 whole(const Geometry& g) { return {{0, 0, 0}, g.chunk_shape}; }

/// Decodes a box, all channels, into a packed buffer of labels.
Status decode(const Bytes& data, const Geometry& g, const Box3& box, Labels& labels, const VoxelMap& map = {}) {
  const std::size_t item = map.output_item_size(static_cast<std::size_t>(g.item_size));
  const Int3 shape = box.shape();
  labels.assign(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * g.num_channels), 0);
  Bytes items(labels.size() * item);
  const Status status = decode_box(data, g, box, 0, g.num_channels, map, items.data(),
                                   fortran_strides(shape, static_cast<std::int64_t>(item)));
  for (std::size_t i = 0; i < labels.size(); ++i) std::memcpy(&labels[i], items.data() + i * item, item);
  return status;
}

Geometry random_geometry(Random& random) {
  Geometry g;
  g.chunk_shape = random.shape(1, 20);
  if (random.one_in(2)) {
    g.block_shape = {8, 8, 8};
  } else {
    g.block_shape = random.shape(1, 10);
    if (random.one_in(3)) g.block_shape[0] = 8;
    if (random.one_in(8)) g.block_shape = {40, 30, 3};
  }
  g.num_channels = random.one_in(3) ? random.between(2, 3) : 1;
  g.item_size = random.one_in(2) ? 4 : 8;
  return g;
}

Labels random_labels(Random& random, const Geometry& g) {
  const std::int64_t distinct = std::int64_t{1} << random.between(0, 11);
  return random.labels(voxel_count(g), distinct, g.item_size);
}

TEST(CompressedSegmentation, MatchesTheWorkedExamples) {
  struct Example {
    Geometry geometry;
    Labels labels;
    Bytes bytes;
  };
  const Labels rows{7, 7, 1, 3, 7, 7, 2, 2};
  const std::vector<Example> examples{
      {{{4, 2, 1}, {2, 2, 1}, 1, 4}, rows, from_words({1, 4, 4, 0x02000006, 5, 7, 88, 1, 2, 3})},
      {{{4, 2, 1}, {2, 2, 1}, 1, 8}, rows, from_words({1, 4, 4, 0x02000007, 6, 7, 0, 88, 1, 0, 2, 0, 3, 0})},
      {{{8, 1, 1}, {4, 1, 1}, 1, 4},
       {5, 3, 9, 1, 5, 3, 9, 1},
       from_words({1, 0x02000005, 4, 0x02000005, 9, 54, 1, 3, 5, 9, 54})},
  };
  for (const Example& example : examples) {
    EXPECT_EQ(encoded(example.labels, example.geometry), example.bytes);
    Labels labels;
    ASSERT_TRUE(decode(example.bytes, example.geometry, whole(example.geometry), labels).ok());
    EXPECT_EQ(labels, example.labels);
  }
}

TEST(CompressedSegmentation, StoresOneLabelInFourWords) {
  const Geometry g{{8, 8, 8}, {8, 8, 8}, 1, 4};
  EXPECT_EQ(encoded(Labels(512, 9), g), from_words({1, 2, 2, 9}));
  Labels two(512, 9);
  two[511] = 4;
  const Bytes bytes = encoded(two, g);
  ASSERT_EQ(bytes.size(), 4U * (1 + 2 + 16 + 2));
  std::uint32_t header = 0;
  std::memcpy(&header, bytes.data() + 4, 4);
  EXPECT_EQ(header, 18U | 1U << 24);
}

TEST(CompressedSegmentation, ChoosesTheNarrowestWidth) {
  const Geometry g{{64, 64, 17}, {64, 64, 17}, 1, 4};
  for (const auto& [distinct, bits] : std::initializer_list<std::pair<std::uint64_t, unsigned>>{
           {1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 4}, {16, 4}, {17, 8}, {256, 8}, {257, 16}, {65536, 16}, {65537, 32}}) {
    Labels labels(voxel_count(g));
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = (i * 7919) % distinct + 5;
    const Bytes bytes = encoded(labels, g);
    EXPECT_EQ(std::to_integer<unsigned>(bytes[7]), bits) << distinct;
    Labels back;
    ASSERT_TRUE(decode(bytes, g, whole(g), back).ok());
    EXPECT_EQ(back, labels);
  }
}

TEST(CompressedSegmentation, EncodesAsTheReferenceDoes) {
  Random random(9);
  for (int round = 0; round < 400; ++round) {
    const Geometry g = random_geometry(random);
    const Labels labels = random_labels(random, g);
    Bytes expected;
    ASSERT_TRUE(reference::encode_compressed_segmentation(labels, g, expected).ok());
    ASSERT_EQ(encoded(labels, g), expected) << "round " << round;
    ASSERT_LE(expected.size(), max_encoded_bytes(g));
  }
}

TEST(CompressedSegmentation, EncodesFromAnyStrides) {
  Random random(10);
  for (int round = 0; round < 200; ++round) {
    const Geometry g = random_geometry(random);
    const Labels labels = random_labels(random, g);
    const Bytes items = testing::to_items(labels, static_cast<std::size_t>(g.item_size));
    const Int4 shape{g.chunk_shape[0], g.chunk_shape[1], g.chunk_shape[2], g.num_channels};
    testing::StridedBox src =
        testing::random_strided_box(random, shape, static_cast<std::size_t>(g.item_size), testing::Layout::kAny);
    reference::copy_box(items.data(), fortran_strides(g.chunk_shape, g.item_size), src.data(), src.strides, shape,
                        static_cast<std::size_t>(g.item_size));
    Bytes out;
    ASSERT_TRUE(encode(src.data(), src.strides, g, out).ok());
    ASSERT_EQ(out, encoded(labels, g));
  }
}

TEST(CompressedSegmentation, DecodesAnyBoxThroughAnyMapIntoAnyStrides) {
  Random random(11);
  for (int round = 0; round < 600; ++round) {
    const Geometry g = random_geometry(random);
    const Bytes data = encoded(random_labels(random, g), g);
    const Box3 box = random.one_in(4) ? whole(g) : random.box_inside(g.chunk_shape);
    const std::int64_t channel_begin = random.between(0, g.num_channels - 1);
    const std::int64_t channel_end = random.between(channel_begin, g.num_channels);
    const Int3 extent = box.shape();
    const Int4 shape{extent[0], extent[1], extent[2], std::max<std::int64_t>(channel_end - channel_begin, 1)};
    const auto item = static_cast<std::size_t>(g.item_size);

    Labels labels;
    ASSERT_TRUE(reference::decode_compressed_segmentation(data, g, box, channel_begin, channel_end, labels).ok());
    const Bytes items = testing::to_items(labels, item);
    Labels keep(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(labels.size() / 3));
    std::sort(keep.begin(), keep.end());
    keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
    const std::uint64_t one = labels.empty() ? 0 : labels[labels.size() / 2];
    for (const VoxelMap& map :
         {VoxelMap{}, VoxelMap{VoxelOp::kEqualsLabel, one, {}, 0}, VoxelMap{VoxelOp::kKeepLabels, 0, keep, 3}}) {
      testing::StridedBox dst =
          testing::random_strided_box(random, shape, map.output_item_size(item), testing::Layout::kAny);
      testing::StridedBox expected = dst;
      ASSERT_TRUE(decode_box(data, g, box, channel_begin, channel_end, map, dst.data(), dst.strides).ok());
      const Int4 used{shape[0], shape[1], shape[2], channel_end - channel_begin};
      reference::map_box(items.data(), fortran_strides(extent, g.item_size), expected.data(), expected.strides, used,
                         item, map);
      ASSERT_EQ(dst.buffer, expected.buffer) << "round " << round;
    }
  }
}

TEST(CompressedSegmentation, TellsWhereWhatABoxNeedsEnds) {
  Random random(12);
  int partial = 0;
  for (int i = 0; i < 400; ++i) {
    Geometry g = random_geometry(random);
    g.num_channels = 1;
    const Bytes data = encoded(random_labels(random, g), g);
    const Box3 box = random.box_inside(g.chunk_shape);
    // As one finds out who has nothing yet.
    std::uint64_t end = 0;
    for (int step = 0; step < 3; ++step) {
      const std::uint64_t there = std::min<std::uint64_t>(end, data.size());
      end = box_end({data.data(), static_cast<std::size_t>(there)}, g, box);
    }
    ASSERT_EQ(end, box_end(data, g, box));
    // A table that is the last may be taken for longer than it is.
    const Bytes beginning(data.begin(),
                          data.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(end, data.size())));
    partial += end < data.size() ? 1 : 0;
    Labels expected;
    Labels found;
    ASSERT_TRUE(decode(data, g, box, expected).ok());
    ASSERT_TRUE(decode(beginning, g, box, found).ok());
    ASSERT_EQ(found, expected);
  }
  EXPECT_GT(partial, 50);
  const Geometry two{{8, 8, 8}, {8, 8, 8}, 2, 4};
  const Bytes data = encoded(Labels(1024, 5), two);
  EXPECT_GT(box_end(data, two, whole(two)), data.size());
  EXPECT_GT(box_end(from_words({1, 0x07000004, 4, 1, 1}), {{8, 8, 8}, {8, 8, 8}, 1, 4}, whole(two)), 16U);
}

TEST(CompressedSegmentation, DecodesWholeChunksIntoAVolume) {
  // Long rows, aligned destination rows, all widths up to 16 bits: the paths that real chunks take.
  Random random(12);
  for (const std::int64_t item_size : {4, 8}) {
    for (int round = 0; round < 8; ++round) {
      const Geometry g{{64, 64, 16}, {8, 8, 8}, 1, item_size};
      const Labels labels = random.labels(voxel_count(g), std::int64_t{1} << (2 * round), item_size);
      const Bytes items = testing::to_items(labels, static_cast<std::size_t>(item_size));
      const Bytes data = encoded(labels, g);
      for (const bool is_fortran : {true, false}) {
        const Int4 strides = is_fortran ? Int4{item_size, item_size * 128, item_size * 128 * 64, 0}
                                        : Int4{item_size * 64 * 64, item_size * 64, item_size, 0};
        Bytes volume(static_cast<std::size_t>(item_size) * 128 * 64 * 64 + 64);
        std::byte* const dst = volume.data() + 64 - reinterpret_cast<std::uintptr_t>(volume.data()) % 64;
        ASSERT_TRUE(decode_box(data, g, whole(g), 0, 1, {}, dst, strides).ok());
        Bytes back(items.size());
        reference::copy_box(dst, strides, back.data(), fortran_strides(g.chunk_shape, item_size), {64, 64, 16, 1},
                            static_cast<std::size_t>(item_size));
        ASSERT_EQ(back, items) << "round " << round;
      }
    }
  }
}

TEST(CompressedSegmentation, DecodesChunksIntoAnArrayBeyondTheCaches) {
  // 40 MB between the first and the last voxel: rows are streamed, whatever their alignment and the map.
  Random random(16);
  const std::int64_t pitch_z = 3000017 * 8;
  for (const Int3& block : {Int3{8, 8, 8}, Int3{7, 9, 3}}) {
    const Geometry g{{70, 20, 3}, block, 1, 8};
    const Labels labels = random.labels(voxel_count(g), 20, 8);
    const Bytes items = testing::to_items(labels, 8);
    const Bytes data = encoded(labels, g);
    for (const VoxelMap& map : {VoxelMap{}, VoxelMap{VoxelOp::kEqualsLabel, labels[9], {}, 0}}) {
      for (const std::int64_t shift : {0, 8, 61}) {
        const auto item = static_cast<std::int64_t>(map.output_item_size(8));
        const Int4 strides{item, 70 * item + 5, pitch_z, 0};
        Bytes volume(static_cast<std::size_t>(2 * pitch_z) + 20000, std::byte{0x33});
        Bytes expected = volume;
        ASSERT_TRUE(decode_box(data, g, whole(g), 0, 1, map, volume.data() + shift, strides).ok());
        reference::map_box(items.data(), fortran_strides(g.chunk_shape, 8), expected.data() + shift, strides,
                           {70, 20, 3, 1}, 8, map);
        ASSERT_EQ(volume, expected);
      }
    }
  }
}

TEST(CompressedSegmentation, ListsTheLabelsOfABox) {
  Random random(13);
  for (int round = 0; round < 300; ++round) {
    const Geometry g = random_geometry(random);
    const Bytes data = encoded(random_labels(random, g), g);
    const Box3 box = random.box_inside(g.chunk_shape);
    Labels expected;
    ASSERT_TRUE(reference::decode_compressed_segmentation(data, g, box, 0, g.num_channels, expected).ok());
    expected.push_back(31);
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    Labels labels{31};
    ASSERT_TRUE(unique_box(data, g, box, 0, g.num_channels, labels).ok());
    ASSERT_EQ(labels, expected);
  }
}

/// Decodes hostile bytes by the kernels and by the reference: same verdict, and same labels when they are accepted.
void expect_same_verdict(const Bytes& original, const Geometry& g, const Box3& box) {
  // A copy of the exact size, so that the address sanitizer sees a read past the end.
  const std::vector<std::byte> data(original.begin(), original.end());
  Labels expected;
  const Status wanted = reference::decode_compressed_segmentation(data, g, box, 0, g.num_channels, expected);
  Labels labels;
  const Status status = decode(data, g, box, labels);
  ASSERT_EQ(status.ok(), wanted.ok());
  Labels mapped;
  ASSERT_EQ(decode(data, g, box, mapped, VoxelMap{VoxelOp::kEqualsLabel, 5, {}, 0}).ok(), wanted.ok());
  Labels distinct;
  ASSERT_EQ(unique_box(data, g, box, 0, g.num_channels, distinct).ok(), wanted.ok());
  if (!wanted.ok()) {
    ASSERT_LE(status.offset, data.size());
    return;
  }
  ASSERT_EQ(labels, expected);
  std::sort(expected.begin(), expected.end());
  expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
  ASSERT_EQ(distinct, expected);
}

TEST(CompressedSegmentation, JudgesEveryTruncationAsTheReferenceDoes) {
  Random random(14);
  for (int round = 0; round < 12; ++round) {
    Geometry g = random_geometry(random);
    g.chunk_shape = random.shape(3, 12);
    const Bytes data = encoded(random.labels(voxel_count(g), 30, g.item_size), g);
    for (std::size_t size = 0; size <= data.size(); size += size < 200 ? 1 : 1 + size / 50) {
      expect_same_verdict(Bytes(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size)), g,
                          random.one_in(2) ? whole(g) : random.box_inside(g.chunk_shape));
    }
    expect_same_verdict(Bytes(data.begin(), data.end() - 1), g, whole(g));
  }
}

TEST(CompressedSegmentation, JudgesEveryBitFlipAsTheReferenceDoes) {
  Random random(15);
  for (int round = 0; round < 3000; ++round) {
    Geometry g = random_geometry(random);
    g.chunk_shape = random.shape(1, 10);
    Bytes data = encoded(random.labels(voxel_count(g), 30, g.item_size), g);
    for (std::int64_t flips = random.between(1, 4); flips > 0; --flips) {
      const std::size_t at = static_cast<std::size_t>(random.bits()) %
                             (random.one_in(2) ? std::min<std::size_t>(data.size(), 40) : data.size());
      data[at] ^= static_cast<std::byte>(1U << (random.bits() % 8));
    }
    expect_same_verdict(data, g, whole(g));
  }
}

TEST(CompressedSegmentation, NamesTheOffendingWord) {
  const Geometry g{{4, 2, 1}, {2, 2, 1}, 1, 4};
  const Bytes good = from_words({1, 4, 4, 0x02000006, 5, 7, 88, 1, 2, 3});
  struct Case {
    std::size_t word;
    std::uint32_t value;
    Code code;
    std::uint64_t offset;
  };
  for (const Case& c : {Case{0, 11, Code::kOffsetRange, 0},            // channel past the end
                        Case{0, 7, Code::kTruncated, 40},              // no room for the block headers
                        Case{1, 9, Code::kOffsetRange, 4},             // table at the end
                        Case{1, 0x03000004, Code::kBadValue, 4},       // 3 bits
                        Case{1, 0x40000004, Code::kBadValue, 4},       // 64 bits
                        Case{1, 0xff000004, Code::kBadValue, 4},       // 255 bits
                        Case{3, 0x02ffffff, Code::kOffsetRange, 12},   // table far away
                        Case{4, 10, Code::kOffsetRange, 16},           // values past the end
                        Case{4, 9, Code::kTruncated, 16},              // values at the end
                        Case{4, 0xffffffff, Code::kOffsetRange, 16},   // values far away
                        Case{3, 0x02000007, Code::kTruncated, 12}}) {  // entry 2 past the end
    Bytes bad = good;
    std::memcpy(bad.data() + 4 * c.word, &c.value, 4);
    Labels labels;
    const Status status = decode(bad, g, whole(g), labels);
    EXPECT_EQ(status.code, c.code) << c.word << " " << c.value;
    EXPECT_EQ(status.offset, c.offset) << c.word << " " << c.value;
  }
}

TEST(CompressedSegmentation, ChecksOnlyTheSubBlocksOfTheBox) {
  const Geometry g{{4, 2, 1}, {2, 2, 1}, 1, 4};
  const Bytes bad = from_words({1, 4, 4, 0x03ffffff, 5, 7, 88, 1, 2, 3});
  Labels labels;
  EXPECT_TRUE(decode(bad, g, {{0, 0, 0}, {2, 2, 1}}, labels).ok());
  EXPECT_FALSE(decode(bad, g, whole(g), labels).ok());
}

TEST(CompressedSegmentation, RejectsAbsurdGeometry) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const Bytes data = from_words({1, 2, 2, 9});
  const Box3 voxel{{0, 0, 0}, {1, 1, 1}};
  std::uint64_t label = 0;
  const auto run = [&](const Geometry& g, const Box3& box, std::int64_t begin = 0, std::int64_t end = 1) {
    std::vector<std::uint64_t> out;
    const Code code = decode_box(data, g, box, begin, end, {}, reinterpret_cast<std::byte*>(&label), {8, 8, 8, 8}).code;
    EXPECT_EQ(unique_box(data, g, box, begin, end, out).code, code);
    return code;
  };
  EXPECT_EQ(run({{0, 1, 1}, {8, 8, 8}, 1, 4}, {}), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 0, 8}, 1, 4}, voxel), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 8, 8}, 0, 4}, voxel), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 8, 8}, 1, 2}, voxel), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 8, 8}, 1, 4}, {{0, 0, 0}, {2, 1, 1}}), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 8, 8}, 1, 4}, {{-1, 0, 0}, {1, 1, 1}}), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 8, 8}, 1, 4}, voxel, 0, 2), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 8, 8}, 1, 4}, voxel, -1, 1), Code::kInvalidArgument);
  EXPECT_EQ(run({{1, 1, 1}, {8, 8, 8}, kMax, 4}, voxel), Code::kTruncated);
  EXPECT_EQ(run({{kMax, kMax, kMax}, {8, 8, 8}, 1, 4}, voxel), Code::kTruncated);
  EXPECT_EQ(run({{kMax, kMax, kMax}, {1, 1, 1}, 1, 4}, voxel), Code::kTruncated);
  // One sub-block of 2^189 voxels with a single label is a legal, if useless, file.
  EXPECT_EQ(run({{kMax, kMax, kMax}, {kMax, kMax, kMax}, 1, 4}, {{kMax - 1, kMax - 1, kMax - 1}, {kMax, kMax, kMax}}),
            Code::kOk);
  EXPECT_EQ(run({{kMax, 1, 1}, {kMax - 1, kMax, kMax}, 1, 4}, voxel), Code::kTruncated);
}

TEST(CompressedSegmentation, RejectsWidthsWhoseIndicesCannotFit) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const Bytes data = from_words({1, 0x20000003, 2, 9, 9, 9});
  std::uint64_t label = 0;
  for (const Int3& block : {Int3{kMax, 1, 1}, Int3{kMax, kMax, kMax}, Int3{std::int64_t{1} << 59, 1, 1}}) {
    const Geometry g{block, block, 1, 4};
    EXPECT_EQ(decode_box(data, g, {{0, 0, 0}, {1, 1, 1}}, 0, 1, {}, reinterpret_cast<std::byte*>(&label), {}).code,
              Code::kTruncated);
  }
}

TEST(CompressedSegmentation, DecodesNothingForAnEmptyBox) {
  const Geometry g{{8, 8, 8}, {8, 8, 8}, 1, 4};
  EXPECT_TRUE(decode_box(Bytes{}, g, {{3, 0, 0}, {3, 8, 8}}, 0, 1, {}, nullptr, {}).ok());
}

TEST(CompressedSegmentation, RefusesTablesBeyond24Bits) {
  // Every voxel a label of its own: 2^24 words of tables are exceeded by 160^3 uint64.
  const Geometry g{{208, 208, 208}, {8, 8, 8}, 1, 8};
  Labels labels(voxel_count(g));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = i;
  Bytes out;
  EXPECT_EQ(encode(reinterpret_cast<const std::byte*>(labels.data()), fortran_strides(g.chunk_shape, 8), g, out).code,
            Code::kOverflow);
  const Geometry flat{{1, 1, 1}, {std::int64_t{1} << 40, 1, 1}, 1, 8};
  EXPECT_TRUE(encode(reinterpret_cast<const std::byte*>(labels.data()), fortran_strides({1, 1, 1}, 8), flat, out).ok());
  const Geometry wide{{2, 1, 1}, {std::int64_t{1} << 40, 1 << 20, 1 << 20}, 1, 8};
  EXPECT_EQ(encode(reinterpret_cast<const std::byte*>(labels.data()), fortran_strides({2, 1, 1}, 8), wide, out).code,
            Code::kOverflow);
  EXPECT_EQ(encode(nullptr, {}, {{0, 1, 1}, {8, 8, 8}, 1, 8}, out).code, Code::kInvalidArgument);
}

TEST(MaxEncodedBytes, SaturatesAndIsExactForOneSubBlock) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(max_encoded_bytes({{8, 8, 8}, {8, 8, 8}, 1, 8}), 4U + 8 + 512 * 12);
  EXPECT_EQ(max_encoded_bytes({{64, 64, 64}, {8, 8, 8}, 2, 4}), 2U * (4 + 512 * (8 + 512 * 8)));
  EXPECT_EQ(max_encoded_bytes({{kMax, kMax, kMax}, {1, 1, 1}, kMax, 8}), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(max_encoded_bytes({{1, 1, 1}, {kMax, kMax, kMax}, 1, 8}), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(max_encoded_bytes({{0, 1, 1}, {8, 8, 8}, 1, 8}), 0U);
}

}  // namespace
}  // namespace cvfast::decode::compressed_segmentation
