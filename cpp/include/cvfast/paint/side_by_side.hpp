// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cvfast::paint {

/// The rows of one channel of a box: bytes side by side along x, a stride along y and one along z.
struct BoxRows {
  const std::byte* first = nullptr;
  std::int64_t y_stride = 0;
  std::int64_t z_stride = 0;
  std::size_t row_bytes = 0;
};

/// What the rows of all boxes may come to together.
inline constexpr std::size_t kMaxJoinedRowBytes = 1024;

/// Whether boxes with rows of this many bytes, painted one by one into a destination that spans so many, would touch
/// each of its cache lines for a short piece only, while together they can be streamed past the caches.
[[nodiscard]] bool gains_from_joining(std::size_t row_bytes, std::int64_t destination_span) noexcept;

/// Copies boxes that continue each other along x, of y_extent rows and z_extent layers each: every row of the
/// destination is put together and written at once.
void copy_side_by_side(std::span<const BoxRows> boxes, std::int64_t y_extent, std::int64_t z_extent, std::byte* dst,
                       std::int64_t dst_y_stride, std::int64_t dst_z_stride) noexcept;

}  // namespace cvfast::paint
