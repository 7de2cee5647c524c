// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

#include "cvfast/core/box.hpp"

namespace cvfast::paint {

/// Copies a 4-D box of items between two strided arrays that do not overlap.
///
/// Any strides are allowed, negative and zero source strides included; offsets are 64-bit.  When the fastest axes of
/// source and destination differ (C against Fortran order) the copy is blocked so that both sides stay in cache.
/// @param item_size bytes of one item: any positive number; 1, 2, 4, 8 and 16 have their own loops.
/// @pre shape is non-negative, and every touched item lies inside its array.
void copy_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
              std::size_t item_size) noexcept;

/// Sets every item of a 4-D box to the item_size bytes at value.
void fill_box(std::byte* dst, const Int4& dst_strides, const Int4& shape, std::size_t item_size,
              const std::byte* value) noexcept;

/// Whether every item of a 4-D box equals the item_size bytes at value (bitwise).
[[nodiscard]] bool box_equals(const std::byte* src, const Int4& src_strides, const Int4& shape, std::size_t item_size,
                              const std::byte* value) noexcept;

}  // namespace cvfast::paint
