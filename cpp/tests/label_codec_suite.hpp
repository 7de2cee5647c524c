// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "label_files.hpp"

/// What holds of every codec of labels that is decoded here (compresso, crackle).
///
/// A traits class tells them apart: kCodec, kName (the folder of its seeds), and small_file(), four-byte labels whose
/// rows (y) of x are 1 1 2, 1 1 2, 3 3 2, as the package writes them.
namespace cvfast::testing {

using Labels = std::vector<std::uint64_t>;

inline const Labels kSmallLabels{1, 1, 2, 1, 1, 2, 3, 3, 2};

inline Box3 whole(const LabelFile& file) { return {{0, 0, 0}, file.shape}; }

/// Decodes a box of four-byte labels.
inline Status decode_small(const LabelCodec& codec, const LabelFile& file, const Box3& box, Labels& labels) {
  const Int3 shape = box.shape();
  std::vector<std::uint32_t> items(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]));
  const Status status = codec.decode(file.data, file.item_size, file.shape, box, {},
                                     reinterpret_cast<std::byte*>(items.data()), fortran_strides(shape, 4));
  labels.assign(items.begin(), items.end());
  return status;
}

template <typename Traits>
class LabelCodecSuite : public ::testing::Test {};

TYPED_TEST_SUITE_P(LabelCodecSuite);

TYPED_TEST_P(LabelCodecSuite, DecodesTheVectorOfTheFormat) {
  const LabelFile file = TypeParam::small_file();
  Labels labels;
  ASSERT_TRUE(decode_small(TypeParam::kCodec, file, whole(file), labels).ok());
  EXPECT_EQ(labels, kSmallLabels);
}

TYPED_TEST_P(LabelCodecSuite, DecodesBoxesOfFilesOfThePackageAsTheReferenceDoes) {
  const LabelCodec& codec = TypeParam::kCodec;
  Random random(1);
  const std::vector<LabelFile> files = label_files(TypeParam::kName);
  ASSERT_GT(files.size(), 20U);
  for (const LabelFile& file : files) {
    ASSERT_TRUE(codec.reference(file.data, file.item_size, file.shape).has_value()) << file.name;
    for (int round = 0; round < 30; ++round) expect_as_reference(codec, file, random);
  }
}

TYPED_TEST_P(LabelCodecSuite, JudgesEveryTruncationAsTheReferenceDoes) {
  Random random(2);
  for (LabelFile file : label_files(TypeParam::kName)) {
    const std::vector<std::byte> data = file.data;
    const std::size_t step = data.size() < 700 ? 1 : 7;
    for (std::size_t size = 0; size < data.size(); size += step) {
      file.data.assign(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
      expect_as_reference(TypeParam::kCodec, file, random);
    }
    file.data = data;
    file.data.push_back(std::byte{0});
    expect_as_reference(TypeParam::kCodec, file, random);
  }
}

TYPED_TEST_P(LabelCodecSuite, JudgesDamageAsTheReferenceDoes) {
  Random random(3);
  const std::vector<LabelFile> files = label_files(TypeParam::kName);
  for (int round = 0; round < 20000; ++round) {
    LabelFile file = files[static_cast<std::size_t>(random.bits()) % files.size()];
    for (std::int64_t flips = random.between(1, 3); flips > 0; --flips) {
      const std::size_t at = static_cast<std::size_t>(random.bits()) %
                             (random.one_in(3) ? std::min<std::size_t>(file.data.size(), 60) : file.data.size());
      file.data[at] ^= static_cast<std::byte>(random.one_in(2) ? 1U << (random.bits() % 8) : random.bits() & 0xff);
    }
    expect_as_reference(TypeParam::kCodec, file, random);
  }
}

TYPED_TEST_P(LabelCodecSuite, RefusesAShapeOrItemSizeThatTheHeaderContradicts) {
  const LabelCodec& codec = TypeParam::kCodec;
  const LabelFile file = TypeParam::small_file();
  Labels labels;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    LabelFile other = file;
    other.shape[axis] = 1 << 20;
    const Status status = decode_small(codec, other, {{0, 0, 0}, {1, 1, 1}}, labels);
    EXPECT_EQ(status.code, Code::kBadValue);
    EXPECT_EQ(status.expected, 1U << 20);
    Labels distinct;
    EXPECT_EQ(codec.unique(other.data, 4, other.shape, whole(other), distinct).code, Code::kBadValue);
  }
  // The header is read before memory is taken, or found wanting, for what the file contradicts.
  LabelFile vast = file;
  vast.shape = {INT64_MAX, INT64_MAX, INT64_MAX};
  EXPECT_EQ(codec.unique(vast.data, 4, vast.shape, whole(vast), labels).code, Code::kBadValue);
  std::uint64_t item = 0;
  EXPECT_EQ(
      codec.decode(file.data, 8, file.shape, {{0, 0, 0}, {1, 1, 1}}, {}, reinterpret_cast<std::byte*>(&item), {}).code,
      Code::kBadValue);
}

TYPED_TEST_P(LabelCodecSuite, RejectsAbsurdRequests) {
  const LabelCodec& codec = TypeParam::kCodec;
  const LabelFile file = TypeParam::small_file();
  Labels labels;
  EXPECT_EQ(decode_small(codec, file, {{-1, 0, 0}, {1, 1, 1}}, labels).code, Code::kInvalidArgument);
  EXPECT_EQ(decode_small(codec, file, {{0, 0, 0}, {4, 1, 1}}, labels).code, Code::kInvalidArgument);
  EXPECT_EQ(codec.decode(file.data, 3, file.shape, {}, {}, nullptr, {}).code, Code::kInvalidArgument);
  EXPECT_EQ(codec.unique(file.data, 3, file.shape, {}, labels).code, Code::kInvalidArgument);
  EXPECT_TRUE(codec.decode(file.data, 4, file.shape, {{1, 0, 0}, {1, 3, 1}}, {}, nullptr, {}).ok());
}

REGISTER_TYPED_TEST_SUITE_P(LabelCodecSuite, DecodesTheVectorOfTheFormat,
                            DecodesBoxesOfFilesOfThePackageAsTheReferenceDoes, JudgesEveryTruncationAsTheReferenceDoes,
                            JudgesDamageAsTheReferenceDoes, RefusesAShapeOrItemSizeThatTheHeaderContradicts,
                            RejectsAbsurdRequests);

}  // namespace cvfast::testing
