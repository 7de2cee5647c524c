// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../paint/stream_copy.hpp"
#include "cvfast/core/box.hpp"
#include "cvfast/paint/copy_box.hpp"
#include "cvfast/paint/labels.hpp"

/// Rows of labels on their way to a strided destination (compresso, crackle).
namespace cvfast::decode {

/// Items that fill_run may write past the end of a run.
inline constexpr std::size_t kFillBytes = 64;

/// Sets items [begin, end), and up to kFillBytes more: runs are filled from left to right, so that the next one covers
/// what this one wrote too much.
template <typename U>
void fill_run(U* begin, const U* end, U value) noexcept {
  constexpr std::size_t kItems = kFillBytes / sizeof(U);
  std::array<U, kItems> block;
  block.fill(value);
  U* at = begin;
  do {
    std::memcpy(at, block.data(), kFillBytes);
    at += kItems;
  } while (at < end);
}

/// The bits of a stored label as a mapped item.
template <typename U>
U map_label(const paint::VoxelMap& map, std::uint64_t label) noexcept {
  return static_cast<U>(map.op == paint::VoxelOp::kCopy ? label : paint::map_voxel(map, label));
}

/// Writes whole rows of a box, in any order, to where they belong.
template <typename U>
class RowWriter {
 public:
  /// May throw std::bad_alloc.
  RowWriter(const Box3& box, std::byte* dst, const Int4& strides) : box_(box), dst_(dst), strides_(strides) {
    const Int3 shape = box.shape();
    row_bytes_ = static_cast<std::size_t>(shape[0]) * sizeof(U);
    if (shape[0] != 1 && strides[0] != static_cast<std::int64_t>(sizeof(U))) {
      // Rows are then columns of the destination: gathered here, and transposed at the end by blocks.
      packed_.resize(row_bytes_ * static_cast<std::size_t>(shape[1]) * static_cast<std::size_t>(shape[2]));
      dst_ = packed_.data();
      strides_ = fortran_strides(shape, sizeof(U));
      final_dst_ = dst;
      final_strides_ = strides;
    }
    const std::int64_t span = (shape[2] - 1) * (strides_[2] < 0 ? -strides_[2] : strides_[2]) +
                              (shape[1] - 1) * (strides_[1] < 0 ? -strides_[1] : strides_[1]);
    is_streamed_ = paint::kCanStream && static_cast<std::int64_t>(row_bytes_) >= paint::kStreamRowBytes &&
                   span >= paint::kStreamSpanBytes;
  }

  [[nodiscard]] bool wants(std::int64_t y) const noexcept { return y >= box_.min[1] && y < box_.max[1]; }

  /// `row` holds the voxels of a whole row of the chunk.
  void write(std::int64_t y, std::int64_t z, const U* row) noexcept {
    std::byte* const to = dst_ + (y - box_.min[1]) * strides_[1] + (z - box_.min[2]) * strides_[2];
    const auto* const from = reinterpret_cast<const std::byte*>(row + box_.min[0]);
    if (is_streamed_) {
      paint::stream_copy(to, from, row_bytes_);
    } else {
      std::memcpy(to, from, row_bytes_);
    }
  }

  void finish() noexcept {
    if (is_streamed_) paint::stream_fence();
    if (final_dst_ == nullptr) return;
    const Int3 shape = box_.shape();
    paint::copy_box(dst_, strides_, final_dst_, final_strides_, {shape[0], shape[1], shape[2], 1}, sizeof(U));
  }

 private:
  Box3 box_;
  std::byte* dst_;
  Int4 strides_;
  std::byte* final_dst_ = nullptr;
  Int4 final_strides_{};
  std::size_t row_bytes_ = 0;
  bool is_streamed_ = false;
  std::vector<std::byte> packed_;
};

/// Writes one item to all of a box.  `row_items` are those of a whole row of the chunk.  May throw std::bad_alloc.
template <typename U>
void fill_box(const Box3& box, std::size_t row_items, U value, std::byte* dst, const Int4& strides) {
  const std::vector<U> row(row_items, value);
  RowWriter<U> writer(box, dst, strides);
  for (std::int64_t z = box.min[2]; z < box.max[2]; ++z) {
    for (std::int64_t y = box.min[1]; y < box.max[1]; ++y) writer.write(y, z, row.data());
  }
  writer.finish();
}

/// Calls f.template operator()<U>() with the unsigned type of an output item.
template <typename F>
auto with_item(std::size_t size, F&& f) {
  switch (size) {
    case 1:
      return f.template operator()<std::uint8_t>();
    case 2:
      return f.template operator()<std::uint16_t>();
    case 4:
      return f.template operator()<std::uint32_t>();
    default:
      return f.template operator()<std::uint64_t>();
  }
}

}  // namespace cvfast::decode
