// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/png.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "png.hpp"
#include "random_input.hpp"
#include "strided_box.hpp"

namespace cvfast::decode::png {
namespace {

using Bytes = std::vector<std::byte>;
using Samples = std::vector<std::uint64_t>;

Box3 whole(const Geometry& g) { return {{0, 0, 0}, g.chunk_shape}; }

std::int64_t voxels_of(const Int3& shape) { return shape[0] * shape[1] * shape[2]; }

/// Decodes a box of all channels to packed samples (x fastest, channels last).
Status decode(const Bytes& data, const Geometry& g, const Box3& box, Samples& out) {
  const Int3 shape = box.shape();
  Bytes items(static_cast<std::size_t>(voxels_of(shape) * g.num_channels * g.item_size));
  const Status status =
      decode_box(data, g, box, 0, g.num_channels, {}, items.data(), fortran_strides(shape, g.item_size));
  out.assign(items.size() / static_cast<std::size_t>(g.item_size), 0);
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::memcpy(&out[i], items.data() + i * static_cast<std::size_t>(g.item_size),
                static_cast<std::size_t>(g.item_size));
  }
  return status;
}

Code verdict(const Bytes& data, const Geometry& g) {
  Samples out;
  return decode(data, g, whole(g), out).code;
}

std::uint8_t colour_type(std::int64_t channels) {
  return std::array<std::uint8_t, 5>{0, 0, 4, 2, 6}[static_cast<std::size_t>(channels)];
}

/// An image with random rows under random filters, of a random factorisation of the chunk's voxels.
reference::PngParts random_parts(testing::Random& random, const Geometry& g, bool any_width = true) {
  reference::PngParts out;
  const std::int64_t voxels = voxels_of(g.chunk_shape);
  std::int64_t width = g.chunk_shape[0];
  if (any_width) {
    do {
      width = random.between(1, voxels);
    } while (voxels % width != 0);
  }
  out.width = static_cast<std::uint32_t>(width);
  out.height = static_cast<std::uint32_t>(voxels / width);
  out.bit_depth = static_cast<std::uint8_t>(8 * g.item_size);
  out.colour_type = colour_type(g.num_channels);
  const auto row_bytes = static_cast<std::size_t>(width * g.num_channels * g.item_size);
  const std::int64_t only = random.between(0, 9);
  for (std::uint32_t row = 0; row < out.height; ++row) {
    out.stream.push_back(static_cast<std::byte>(only < 5 ? only : random.between(0, 4)));
    const Bytes content = random.bytes(row_bytes);
    out.stream.insert(out.stream.end(), content.begin(), content.end());
  }
  return out;
}

Geometry random_geometry(testing::Random& random) {
  Geometry g{random.shape(1, 9), random.between(1, 4), random.between(1, 2)};
  if (random.one_in(2)) g.chunk_shape[0] = random.between(1, 90);
  if (random.one_in(2)) g.chunk_shape[1] = random.between(1, 40);
  return g;
}

TEST(Png, UndoesEveryFilterLikeTheReference) {
  testing::Random random(11);
  for (int i = 0; i < 600; ++i) {
    const Geometry g = random_geometry(random);
    reference::PngParts parts = random_parts(random, g);
    if (random.one_in(3)) parts.idat_bytes = static_cast<std::size_t>(random.between(1, 100));
    const Bytes file = reference::make_png(parts);
    const Box3 box = random.one_in(3) ? whole(g) : random.box_inside(g.chunk_shape);
    const auto expected = reference::decode_png(file, g, box, 0, g.num_channels);
    ASSERT_TRUE(expected.has_value());
    Samples found;
    ASSERT_TRUE(decode(file, g, box, found).ok());
    ASSERT_EQ(found, *expected) << i;
    std::vector<std::uint64_t> distinct;
    ASSERT_TRUE(unique_box(file, g, box, 0, g.num_channels, distinct).ok());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    ASSERT_EQ(distinct, found);
  }
}

TEST(Png, UndoesPaethForEveryTripleOfNeighbours) {
  // Rows of two pixels: c b / a x, where x is stored as 0 and becomes the prediction.
  const Geometry g{{2, 1 << 9, 1}, 1, 1};
  for (int c = 0; c < 256; ++c) {
    reference::PngParts parts{2, 1 << 9, 8, 0, 0, 0, 0, {}, SIZE_MAX};
    for (int a = 0; a < 256; ++a) {
      parts.stream.insert(parts.stream.end(),
                          {std::byte{0}, static_cast<std::byte>(c), static_cast<std::byte>((a * 7 + c * 3) & 255)});
      // Paeth adds c (above) to the first byte.
      parts.stream.insert(parts.stream.end(), {std::byte{4}, static_cast<std::byte>((a - c) & 255), std::byte{0}});
    }
    const Bytes file = reference::make_png(parts);
    const auto expected = reference::decode_png(file, g, whole(g), 0, 1);
    Samples found;
    ASSERT_TRUE(decode(file, g, whole(g), found).ok());
    ASSERT_EQ(found, *expected) << c;
  }
}

/// Voxels of many kinds: constant, noise, smooth with noise, runs of few values.
Samples random_samples(testing::Random& random, const Geometry& g) {
  const auto n = static_cast<std::size_t>(voxels_of(g.chunk_shape) * g.num_channels);
  const std::uint64_t mask = (std::uint64_t{1} << (8 * g.item_size)) - 1;
  switch (random.between(0, 3)) {
    case 0:
      return Samples(n, random.bits() & mask);
    case 1: {
      Samples out(n);
      for (std::uint64_t& value : out) value = random.bits() & mask;
      return out;
    }
    case 2: {
      Samples out(n);
      for (std::size_t i = 0; i < n; ++i) {
        out[i] =
            (static_cast<std::uint64_t>(100 + 60 * std::sin(static_cast<double>(i) * 0.05)) + random.bits() % 7) & mask;
      }
      return out;
    }
    default:
      return random.labels(n, 40, g.item_size);
  }
}

TEST(Png, RoundTripsThroughAnyStridesAtEveryLevel) {
  testing::Random random(12);
  for (int i = 0; i < 400; ++i) {
    const Geometry g = random_geometry(random);
    const Samples samples = random_samples(random, g);
    const Int4 shape{g.chunk_shape[0], g.chunk_shape[1], g.chunk_shape[2], g.num_channels};
    const auto item = static_cast<std::size_t>(g.item_size);
    testing::StridedBox src = testing::random_strided_box(random, shape, item, testing::Layout::kAny);
    const Bytes items = testing::to_items(samples, item);
    paint::VoxelMap copy;
    paint::map_box(items.data(), fortran_strides(g.chunk_shape, g.item_size), src.data(), src.strides, shape, item,
                   copy);
    const int level = static_cast<int>(random.between(0, 9));
    Bytes file;
    ASSERT_TRUE(encode(src.data(), src.strides, g, level, file).ok());
    ASSERT_LE(file.size(), max_encoded_bytes(g));
    Samples found;
    ASSERT_TRUE(decode(file, g, whole(g), found).ok());
    ASSERT_EQ(found, samples);
    const auto expected = reference::decode_png(file, g, whole(g), 0, g.num_channels);
    ASSERT_TRUE(expected.has_value());
    ASSERT_EQ(*expected, samples);
  }
}

TEST(Png, WritesLargeChunksThatTheReferenceReads) {
  // Several DEFLATE blocks, long matches, all kinds of data in one chunk.
  testing::Random random(13);
  for (const std::int64_t channels : {1, 3}) {
    const Geometry g{{128, 64, 24}, channels, 1};
    Samples samples(static_cast<std::size_t>(128 * 64 * 24 * channels));
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::size_t part = i * 6 / samples.size();
      samples[i] = part == 0   ? 7
                   : part == 1 ? random.bits() % 256
                   : part == 2 ? i / 128 % 256
                   : part == 3 ? i % 256 / 3
                   : part == 4 ? samples[i - 20000]
                               : 128 + random.bits() % 6;
    }
    const Bytes items = testing::to_items(samples, 1);
    for (const int level : {0, 1, 6, 9}) {
      Bytes file;
      ASSERT_TRUE(encode(items.data(), fortran_strides(g.chunk_shape, 1), g, level, file).ok());
      Samples found;
      ASSERT_TRUE(decode(file, g, whole(g), found).ok());
      ASSERT_EQ(found, samples) << level;
      const auto expected = reference::decode_png(file, g, whole(g), 0, channels);
      ASSERT_TRUE(expected.has_value()) << level;
      ASSERT_EQ(*expected, samples) << level;
    }
  }
}

TEST(Png, WritesCodesOfEveryShape) {
  // Fibonacci frequencies make the deepest codes; they must be cut to what DEFLATE allows.
  const Geometry g{{1 << 10, 1 << 8, 1}, 1, 1};
  Samples samples;
  std::uint64_t a = 1;
  std::uint64_t b = 1;
  for (std::uint64_t value = 0; samples.size() < std::size_t{1} << 18; ++value, b += a, a = b - a) {
    samples.insert(samples.end(), std::min<std::size_t>(a, (std::size_t{1} << 18) - samples.size()), value * 5);
  }
  testing::Random random(14);
  for (std::size_t i = samples.size() - 1; i > 0; --i) std::swap(samples[i], samples[random.bits() % (i + 1)]);
  const Bytes items = testing::to_items(samples, 1);
  Bytes file;
  ASSERT_TRUE(encode(items.data(), fortran_strides(g.chunk_shape, 1), g, 9, file).ok());
  const auto found = reference::decode_png(file, g, whole(g), 0, 1);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, samples);
}

TEST(Png, DecodesSomeChannelsThroughAMap) {
  testing::Random random(15);
  const Geometry g{{7, 6, 5}, 4, 2};
  const Samples samples = random.labels(static_cast<std::size_t>(voxels_of(g.chunk_shape) * 4), 9, 2);
  const Bytes items = testing::to_items(samples, 2);
  Bytes file;
  ASSERT_TRUE(encode(items.data(), fortran_strides(g.chunk_shape, 2), g, 9, file).ok());
  const Box3 box{{1, 2, 1}, {6, 5, 4}};
  const std::uint64_t label = samples[100];
  const paint::VoxelMap map{paint::VoxelOp::kEqualsLabel, label, {}, 0};
  Bytes mask(5 * 3 * 3 * 2);
  ASSERT_TRUE(decode_box(file, g, box, 1, 3, map, mask.data(), fortran_strides(box.shape(), 1)).ok());
  const auto expected = reference::decode_png(file, g, box, 1, 3);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    EXPECT_EQ(std::to_integer<int>(mask[i]), (*expected)[i] == label ? 1 : 0);
  }
}

struct Sample {
  Geometry g{{5, 4, 3}, 2, 1};
  Samples samples;
  Bytes file;

  explicit Sample(int level = 9) {
    testing::Random random(16);
    samples = random.labels(5 * 4 * 3 * 2, 20, 1);
    const Bytes items = testing::to_items(samples, 1);
    EXPECT_TRUE(encode(items.data(), fortran_strides(g.chunk_shape, 1), g, level, file).ok());
  }
};

TEST(Png, RejectsEveryTruncation) {
  for (const int level : {0, 9}) {
    const Sample sample(level);
    for (std::size_t size = 0; size < sample.file.size(); ++size) {
      const Bytes part(sample.file.begin(), sample.file.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(verdict(part, sample.g), Code::kTruncated) << size;
    }
  }
}

TEST(Png, NeverAcceptsOtherContentAfterABitFlip) {
  for (const int level : {0, 9}) {
    const Sample sample(level);
    for (std::size_t bit = 0; bit < 8 * sample.file.size(); ++bit) {
      Bytes flipped = sample.file;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      EXPECT_NE(verdict(flipped, sample.g), Code::kOk) << bit;
    }
  }
}

TEST(Png, RejectsTrailingBytes) {
  Sample sample;
  sample.file.push_back(std::byte{0});
  EXPECT_EQ(verdict(sample.file, sample.g), Code::kTrailingBytes);
}

TEST(Png, RejectsOtherMagic) {
  Sample sample;
  sample.file[1] = std::byte{'J'};
  EXPECT_EQ(verdict(sample.file, sample.g), Code::kBadMagic);
}

/// The verdict on an otherwise good file after a change of its parts.
Code verdict_after(const std::function<void(reference::PngParts&)>& change) {
  testing::Random random(17);
  const Geometry g{{6, 4, 2}, 3, 1};
  reference::PngParts parts = random_parts(random, g, false);
  EXPECT_EQ(verdict(reference::make_png(parts), g), Code::kOk);
  change(parts);
  return verdict(reference::make_png(parts), g);
}

TEST(Png, RejectsAHeaderThatLies) {
  using Parts = reference::PngParts;
  EXPECT_EQ(verdict_after([](Parts& p) { p.width = 5; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.height = 9; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.width = 0; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.width = 0x80000000; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.height = 0xffffffff; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.bit_depth = 16; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.bit_depth = 7; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.colour_type = 0; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.colour_type = 6; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.colour_type = 255; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.compression = 1; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.filter = 64; }), Code::kBadValue);
  EXPECT_EQ(verdict_after([](Parts& p) { p.interlace = 2; }), Code::kBadValue);
  // The same number of pixels in another shape has other rows.
  EXPECT_NE(verdict_after([](Parts& p) { std::swap(p.width, p.height); }), Code::kOk);
}

TEST(Png, NamesWhatItDoesNotSupport) {
  using Parts = reference::PngParts;
  EXPECT_EQ(verdict_after([](Parts& p) { p.colour_type = 3; }), Code::kUnsupported);
  EXPECT_EQ(verdict_after([](Parts& p) { p.bit_depth = 4; }), Code::kUnsupported);
  EXPECT_EQ(verdict_after([](Parts& p) { p.interlace = 1; }), Code::kUnsupported);
}

TEST(Png, RejectsRowsThatAreTooFewOrTooMany) {
  using Parts = reference::PngParts;
  EXPECT_EQ(verdict_after([](Parts& p) { p.stream.pop_back(); }), Code::kTruncated);
  EXPECT_EQ(verdict_after([](Parts& p) { p.stream.push_back(std::byte{0}); }), Code::kTooLarge);
  EXPECT_EQ(verdict_after([](Parts& p) { p.stream.clear(); }), Code::kTruncated);
}

TEST(Png, RejectsAFilterThatDoesNotExist) {
  EXPECT_EQ(verdict_after([](reference::PngParts& p) { p.stream[19 * 3] = std::byte{5}; }), Code::kBadValue);
}

TEST(Png, ReadsNoRowBehindTheBox) {
  testing::Random random(18);
  const Geometry g{{6, 4, 2}, 1, 1};
  reference::PngParts parts = random_parts(random, g, false);
  parts.stream[7 * 5] = std::byte{5};
  Samples out;
  EXPECT_TRUE(decode(reference::make_png(parts), g, {{0, 0, 0}, {6, 4, 1}}, out).ok());
  EXPECT_EQ(decode(reference::make_png(parts), g, {{0, 0, 0}, {6, 4, 2}}, out).code, Code::kBadValue);
}

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

/// A file of the given chunks, each a type and content.
Bytes with_chunks(const std::vector<std::pair<const char*, Bytes>>& chunks) {
  Bytes out = bytes_of({0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a});
  for (const auto& [type, content] : chunks) {
    char name[5] = {};
    std::copy_n(type, 4, name);
    reference::append_png_chunk(out, name, content);
  }
  return out;
}

TEST(Png, KnowsTheOrderOfChunks) {
  const Geometry g{{3, 1, 1}, 1, 1};
  const Bytes header = bytes_of({0, 0, 0, 3, 0, 0, 0, 1, 8, 0, 0, 0, 0});
  const Bytes zlib = reference::store_zlib(bytes_of({0, 1, 2, 3}));
  const Bytes first(zlib.begin(), zlib.begin() + 5);
  const Bytes second(zlib.begin() + 5, zlib.end());
  const Bytes text = bytes_of({'a', 0, 'b'});
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IDAT", zlib}, {"IEND", {}}}), g), Code::kOk);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header},
                                 {"tEXt", text},
                                 {"IDAT", {}},
                                 {"IDAT", first},
                                 {"IDAT", {}},
                                 {"IDAT", second},
                                 {"tIME", text},
                                 {"IEND", {}}}),
                    g),
            Code::kOk);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"PLTE", text}, {"IDAT", zlib}, {"IEND", {}}}), g), Code::kOk);
  EXPECT_EQ(verdict(with_chunks({{"IDAT", zlib}, {"IHDR", header}, {"IEND", {}}}), g), Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"tEXt", text}, {"IHDR", header}, {"IDAT", zlib}, {"IEND", {}}}), g), Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IHDR", header}, {"IDAT", zlib}, {"IEND", {}}}), g),
            Code::kBadValue);
  EXPECT_EQ(
      verdict(with_chunks({{"IHDR", header}, {"IDAT", first}, {"tEXt", text}, {"IDAT", second}, {"IEND", {}}}), g),
      Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IEND", {}}}), g), Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IDAT", zlib}}), g), Code::kTruncated);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IDAT", zlib}, {"IEND", text}}), g), Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IDAT", zlib}, {"WHAT", text}, {"IEND", {}}}), g), Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"ID T", zlib}, {"IEND", {}}}), g), Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", text}, {"IDAT", zlib}, {"IEND", {}}}), g), Code::kBadValue);
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IDAT", {}}, {"IEND", {}}}), g), Code::kCorrupt);
  Bytes longer = zlib;
  longer.push_back(std::byte{0});
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IDAT", longer}, {"IEND", {}}}), g), Code::kTrailingBytes);
  Bytes wrong = zlib;
  wrong.back() ^= std::byte{1};
  EXPECT_EQ(verdict(with_chunks({{"IHDR", header}, {"IDAT", wrong}, {"IEND", {}}}), g), Code::kCorrupt);
}

TEST(Png, IgnoresTheChecksumsOfAncillaryChunksOnly) {
  const Geometry g{{3, 1, 1}, 1, 1};
  const Bytes header = bytes_of({0, 0, 0, 3, 0, 0, 0, 1, 8, 0, 0, 0, 0});
  const Bytes zlib = reference::store_zlib(bytes_of({0, 1, 2, 3}));
  Bytes file = with_chunks({{"IHDR", header}, {"tEXt", bytes_of({1})}, {"IDAT", zlib}, {"IEND", {}}});
  constexpr std::size_t kHeaderEnd = 8 + 25;
  file[kHeaderEnd + 9] ^= std::byte{1};
  EXPECT_EQ(verdict(file, g), Code::kOk);
  file[kHeaderEnd - 1] ^= std::byte{1};
  EXPECT_EQ(verdict(file, g), Code::kChecksum);
}

TEST(Png, AllocatesNoMoreThanTheStreamCanInflateTo) {
  // 2^40 voxels announced by chunk and header alike, and a few bytes to make them of.
  const Geometry g{{1 << 20, 1 << 20, 1}, 1, 1};
  const Bytes header = bytes_of({0, 16, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0});
  const Bytes file = with_chunks({{"IHDR", header}, {"IDAT", reference::store_zlib({})}, {"IEND", {}}});
  std::byte voxel{};
  const Status status = decode_box(file, g, {{0, 0, 0}, {1, 1, 1}}, 0, 1, {}, &voxel, {1, 1, 1, 1});
  EXPECT_EQ(status.code, Code::kTruncated);
}

TEST(Png, StopsABombAtTheSizeOfTheChunk) {
  // A million zeros in a kilobyte where 48 bytes belong.
  const Geometry big{{1000, 1000, 1}, 1, 1};
  const Bytes zeros(1000000);
  Bytes file;
  ASSERT_TRUE(encode(zeros.data(), fortran_strides(big.chunk_shape, 1), big, 9, file).ok());
  EXPECT_LT(file.size(), 3000U);
  std::size_t pos = 8 + 25;
  Bytes out(file.begin(), file.begin() + 8);
  reference::append_png_chunk(out, "IHDR", bytes_of({0, 0, 0, 6, 0, 0, 0, 8, 8, 0, 0, 0, 0}));
  out.insert(out.end(), file.begin() + static_cast<std::ptrdiff_t>(pos), file.end());
  EXPECT_EQ(verdict(out, {{6, 8, 1}, 1, 1}), Code::kTooLarge);
}

TEST(Png, RejectsGeometriesThatThereAreNone) {
  Bytes out;
  const Bytes src(64);
  const Int4 strides{1, 1, 1, 1};
  EXPECT_EQ(encode(src.data(), strides, {{2, 2, 2}, 5, 1}, 9, out).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(src.data(), strides, {{2, 2, 2}, 1, 4}, 9, out).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(src.data(), strides, {{2, 2, 0}, 1, 1}, 9, out).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(src.data(), strides, {{2, 2, 2}, 1, 1}, 10, out).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(src.data(), strides, {{2, 2, 2}, 1, 1}, -1, out).code, Code::kInvalidArgument);
  EXPECT_EQ(encode(src.data(), {0, 0, 0, 0}, {{1, 1, std::int64_t{1} << 31}, 1, 1}, 9, out).code, Code::kOverflow);
  EXPECT_EQ(verdict(Sample().file, {{5, 4, 3}, 5, 1}), Code::kInvalidArgument);
}

TEST(Png, WritesTheSameBytesForTheSameVoxels) { EXPECT_EQ(Sample().file, Sample().file); }

}  // namespace
}  // namespace cvfast::decode::png
