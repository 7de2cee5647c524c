// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/paint/side_by_side.hpp"

#include <algorithm>
#include <cstring>

#include "stream_copy.hpp"

namespace cvfast::paint {
namespace {

// kBytes: of each row; 0 where they differ.
template <std::size_t kBytes>
void copy_joined(std::span<const BoxRows> boxes, std::size_t row_bytes, std::int64_t y_extent, std::int64_t z_extent,
                 std::byte* dst, std::int64_t dst_y_stride, std::int64_t dst_z_stride) noexcept {
  alignas(64) std::byte row[kMaxJoinedRowBytes];
  for (std::int64_t z = 0; z < z_extent; ++z) {
    for (std::int64_t y = 0; y < y_extent; ++y) {
      std::byte* to = row;
      for (const BoxRows& box : boxes) {
        const std::size_t n = kBytes != 0 ? kBytes : box.row_bytes;
        std::memcpy(to, box.first + y * box.y_stride + z * box.z_stride, n);
        to += n;
      }
      stream_copy(dst + y * dst_y_stride + z * dst_z_stride, row, row_bytes);
    }
  }
}

}  // namespace

bool gains_from_joining(std::size_t row_bytes, std::int64_t destination_span) noexcept {
  return kCanStream && row_bytes < static_cast<std::size_t>(kStreamRowBytes) && destination_span >= kStreamSpanBytes;
}

void copy_side_by_side(std::span<const BoxRows> boxes, std::int64_t y_extent, std::int64_t z_extent, std::byte* dst,
                       std::int64_t dst_y_stride, std::int64_t dst_z_stride) noexcept {
  if (boxes.empty()) return;
  std::size_t row_bytes = 0;
  for (const BoxRows& box : boxes) row_bytes += box.row_bytes;
  const std::size_t first = boxes.front().row_bytes;
  const bool is_even = std::ranges::all_of(boxes, [&](const BoxRows& box) { return box.row_bytes == first; });
  const auto copy = [&]<std::size_t kBytes>() {
    copy_joined<kBytes>(boxes, row_bytes, y_extent, z_extent, dst, dst_y_stride, dst_z_stride);
  };
  // A call to memcpy costs as much as copying 64 bytes.
  if (is_even && first == 32) {
    copy.operator()<32>();
  } else if (is_even && first == 64) {
    copy.operator()<64>();
  } else {
    copy.operator()<0>();
  }
  stream_fence();
}

}  // namespace cvfast::paint
