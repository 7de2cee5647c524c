// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"
#include "label_codec.hpp"
#include "random_input.hpp"
#include "strided_box.hpp"

/// What the tests of compresso and crackle share: files that the packages wrote (the seeds of the fuzz targets), and
/// the comparison with a reference.
namespace cvfast::testing {

struct LabelFile {
  std::string name;
  Int3 shape{};
  std::int64_t item_size = 1;
  std::vector<std::byte> data;
};

inline std::vector<LabelFile> label_files(const std::string& encoding) {
  constexpr std::size_t kPrefix =
      16;  // of a fuzz input: extents less one, the power of two that is the item size, options
  std::vector<LabelFile> out;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CVFAST_CORPUS) + "/" + encoding)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    LabelFile file;
    file.name = entry.path().filename().string();
    for (std::size_t i = 0; i < 3; ++i) file.shape[i] = bytes[i] + 1;
    file.item_size = std::int64_t{1} << bytes[3];
    file.data.resize(bytes.size() - kPrefix);
    std::memcpy(file.data.data(), bytes.data() + kPrefix, file.data.size());
    out.push_back(std::move(file));
  }
  std::sort(out.begin(), out.end(), [](const LabelFile& a, const LabelFile& b) { return a.name < b.name; });
  return out;
}

inline std::vector<std::byte> from_hex(const std::string& text) {
  std::vector<std::byte> out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return out;
}

using reference::LabelCodec;

inline std::vector<std::uint64_t> part_of(const std::vector<std::uint64_t>& labels, const Int3& shape,
                                          const Box3& box) {
  std::vector<std::uint64_t> out;
  for (std::int64_t z = box.min[2]; z < box.max[2]; ++z) {
    for (std::int64_t y = box.min[1]; y < box.max[1]; ++y) {
      for (std::int64_t x = box.min[0]; x < box.max[0]; ++x) {
        out.push_back(labels[static_cast<std::size_t>(x + shape[0] * (y + shape[1] * z))]);
      }
    }
  }
  return out;
}

/// Decodes a box into some layout of the destination; nothing where the decoder refuses the data.
inline std::optional<std::vector<std::uint64_t>> decode_labels(const LabelCodec& codec, const LabelFile& file,
                                                               const Box3& box, const paint::VoxelMap& map,
                                                               Random& random) {
  const std::size_t item = map.output_item_size(static_cast<std::size_t>(file.item_size));
  const Int3 shape = box.shape();
  StridedBox dst = random_strided_box(random, {shape[0], shape[1], shape[2], 1}, item, Layout::kAny);
  const std::vector<std::byte> before = dst.buffer;
  const Status status = codec.decode(file.data, file.item_size, file.shape, box, map, dst.data(), dst.strides);
  EXPECT_LE(status.offset, file.data.size()) << file.name;
  std::vector<bool> is_item(before.size());
  std::vector<std::uint64_t> out;
  for (std::int64_t z = 0; z < shape[2]; ++z) {
    for (std::int64_t y = 0; y < shape[1]; ++y) {
      for (std::int64_t x = 0; x < shape[0]; ++x) {
        const std::byte* const at = dst.data() + x * dst.strides[0] + y * dst.strides[1] + z * dst.strides[2];
        std::uint64_t label = 0;
        std::memcpy(&label, at, item);
        out.push_back(label);
        std::fill_n(is_item.begin() + (at - dst.buffer.data()), item, true);
      }
    }
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!is_item[i]) {
      EXPECT_EQ(before[i], dst.buffer[i]) << file.name;
    }
  }
  if (!status.ok()) return std::nullopt;
  return out;
}

/// The decoder must judge a whole chunk as the reference does, and read parts of a good one right.
inline void expect_as_reference(const LabelCodec& codec, const LabelFile& file, Random& random) {
  const auto expected = codec.reference(file.data, file.item_size, file.shape);
  const Box3 whole{{0, 0, 0}, file.shape};
  const auto labels = decode_labels(codec, file, whole, {}, random);
  ASSERT_EQ(labels.has_value(), expected.has_value()) << file.name;
  Box3 box = random.box_inside(file.shape);
  if (random.one_in(3)) {  // whole slices, whose labels are listed
    box.min[0] = box.min[1] = 0;
    box.max[0] = file.shape[0];
    box.max[1] = file.shape[1];
  }
  const auto part = decode_labels(codec, file, box, {}, random);
  std::vector<std::uint64_t> distinct;
  const Status status = codec.unique(file.data, file.item_size, file.shape, box, distinct);
  if (!expected) return;
  ASSERT_EQ(*labels, *expected) << file.name;
  std::vector<std::uint64_t> wanted = part_of(*expected, file.shape, box);
  ASSERT_TRUE(part.has_value()) << file.name;
  ASSERT_EQ(*part, wanted) << file.name;
  // One that is there, or one of the chunk that need not be in the box, or one that is nowhere.
  const std::uint64_t label = random.one_in(3)   ? 200
                              : random.one_in(2) ? (*expected)[expected->size() - 1]
                                                 : wanted[wanted.size() / 2];
  const auto mask = decode_labels(codec, file, box, {paint::VoxelOp::kEqualsLabel, label, {}, 0}, random);
  ASSERT_TRUE(mask.has_value()) << file.name;
  for (std::size_t i = 0; i < wanted.size(); ++i) ASSERT_EQ((*mask)[i], wanted[i] == label ? 1U : 0U) << file.name;
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  ASSERT_TRUE(status.ok()) << file.name;
  ASSERT_EQ(distinct, wanted) << file.name;
}

}  // namespace cvfast::testing
