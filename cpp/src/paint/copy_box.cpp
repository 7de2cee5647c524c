// SPDX-License-Identifier: BSD-3-Clause
//
// Every loop here first normalises its axes (strided_axes.hpp): extents of one vanish, reversed axes are turned, axes
// that continue each other in memory merge.  What remains is one of three cases:
//   rows       both arrays have their items side by side on the innermost axis: one memcpy per row, with the short row
//              lengths of chunks (8 to 512 bytes) as compile-time constants, because a call to memcpy costs as much as
//              copying 64 bytes; long rows into an array that no cache holds are streamed (stream_copy.hpp), which
//              halved the time of painting 64^3 uint64 chunks into a 512^3 volume;
//   transpose  each array is packed on another axis (C against Fortran order): square tiles, read through a small
//              buffer, so that each side meets whole cache lines;
//   strided    anything else, item by item.
#include "cvfast/paint/copy_box.hpp"

#include <array>
#include <cstring>

#include "cvfast/core/endian.hpp"
#include "stream_copy.hpp"
#include "strided_axes.hpp"

namespace cvfast::paint {
namespace {

struct Bytes16 {
  std::uint64_t low;
  std::uint64_t high;
  [[nodiscard]] bool operator==(const Bytes16&) const noexcept = default;
};

template <std::size_t kBytes>
void copy_fixed_rows(const Axes& axes, std::byte* dst, const std::byte* src) noexcept {
  const Axis rows = axes.axis[1];
  for_each_outer(axes, 2, dst, src, [rows](std::byte* d, const std::byte* s) noexcept {
    for (std::int64_t i = 0; i < rows.extent; ++i) std::memcpy(d + i * rows.a, s + i * rows.b, kBytes);
    return true;
  });
}

bool should_stream(const Axes& axes, std::size_t row_bytes) noexcept {
  // A single row is one memcpy, which decides for itself.
  if (!kCanStream || axes.count < 2 || row_bytes < static_cast<std::size_t>(kStreamRowBytes)) return false;
  std::int64_t span = 0;
  for (std::size_t i = 1; i < 4; ++i) span += (axes.axis[i].extent - 1) * axes.axis[i].a;
  return span >= kStreamSpanBytes;
}

void copy_rows(const Axes& axes, std::byte* dst, const std::byte* src, std::size_t row_bytes) noexcept {
  if (should_stream(axes, row_bytes)) {
    for_each_outer(axes, 1, dst, src, [row_bytes](std::byte* d, const std::byte* s) noexcept {
      stream_copy(d, s, row_bytes);
      return true;
    });
    stream_fence();
    return;
  }
  switch (row_bytes) {
    case 8:
      return copy_fixed_rows<8>(axes, dst, src);
    case 16:
      return copy_fixed_rows<16>(axes, dst, src);
    case 32:
      return copy_fixed_rows<32>(axes, dst, src);
    case 64:
      return copy_fixed_rows<64>(axes, dst, src);
    case 128:
      return copy_fixed_rows<128>(axes, dst, src);
    default:
      for_each_outer(axes, 1, dst, src, [row_bytes](std::byte* d, const std::byte* s) noexcept {
        std::memcpy(d, s, row_bytes);
        return true;
      });
  }
}

template <typename T>
void copy_strided(const Axes& axes, std::byte* dst, const std::byte* src) noexcept {
  const Axis inner = axes.axis[0];
  for_each_outer(axes, 1, dst, src, [inner](std::byte* d, const std::byte* s) noexcept {
    for (std::int64_t i = 0; i < inner.extent; ++i) store_le(d + i * inner.a, load_le<T>(s + i * inner.b));
    return true;
  });
}

/// One tile: dst is packed along i, src along j.  Whole cache lines of src are read into the buffer and whole lines of
/// dst written from it; with power of two strides, the lines of a side share few cache sets and would not survive
/// being visited once per item.
template <typename T, std::int64_t kTile>
void transpose_tile(std::byte* dst, std::int64_t dst_stride_j, const std::byte* src, std::int64_t src_stride_i,
                    std::int64_t extent_i, std::int64_t extent_j) noexcept {
  T tile[kTile][kTile];
  constexpr auto kItem = static_cast<std::int64_t>(sizeof(T));
  if (extent_i == kTile && extent_j == kTile) {
    for (std::int64_t i = 0; i < kTile; ++i) {
      T row[kTile];
      std::memcpy(row, src + i * src_stride_i, sizeof(row));
      for (std::int64_t j = 0; j < kTile; ++j) tile[j][i] = row[j];
    }
    for (std::int64_t j = 0; j < kTile; ++j) std::memcpy(dst + j * dst_stride_j, tile[j], sizeof(tile[j]));
    return;
  }
  for (std::int64_t i = 0; i < extent_i; ++i) {
    for (std::int64_t j = 0; j < extent_j; ++j) {
      store_le(dst + j * dst_stride_j + i * kItem, load_le<T>(src + i * src_stride_i + j * kItem));
    }
  }
}

/// axes.axis[0] is the axis on which dst is packed, axes.axis[packed] the one on which src is.
template <typename T>
void copy_transposed(Axes axes, std::size_t packed, std::byte* dst, const std::byte* src) noexcept {
  constexpr std::int64_t kTile = sizeof(T) == 1 ? 32 : sizeof(T) == 2 ? 32 : 64 / static_cast<std::int64_t>(sizeof(T));
  constexpr auto kItem = static_cast<std::int64_t>(sizeof(T));
  std::swap(axes.axis[1], axes.axis[packed]);
  const Axis along_dst = axes.axis[0];
  const Axis along_src = axes.axis[1];
  for_each_outer(axes, 2, dst, src, [&](std::byte* d, const std::byte* s) noexcept {
    for (std::int64_t j = 0; j < along_src.extent; j += kTile) {
      for (std::int64_t i = 0; i < along_dst.extent; i += kTile) {
        transpose_tile<T, kTile>(d + j * along_src.a + i * kItem, along_src.a, s + i * along_dst.b + j * kItem,
                                 along_dst.b, std::min(kTile, along_dst.extent - i),
                                 std::min(kTile, along_src.extent - j));
      }
    }
    return true;
  });
}

template <typename T>
void copy_items(const Axes& axes, std::byte* dst, const std::byte* src) noexcept {
  constexpr auto kItem = static_cast<std::int64_t>(sizeof(T));
  if (axes.axis[0].a == kItem) {
    for (std::size_t i = 1; i < 4; ++i) {
      if (axes.axis[i].b == kItem && axes.axis[i].extent > 1) return copy_transposed<T>(axes, i, dst, src);
    }
  }
  copy_strided<T>(axes, dst, src);
}

void copy_odd_items(const Axes& axes, std::byte* dst, const std::byte* src, std::size_t item_size) noexcept {
  for_each_outer(axes, 1, dst, src, [&axes, item_size](std::byte* d, const std::byte* s) noexcept {
    const Axis inner = axes.axis[0];
    for (std::int64_t i = 0; i < inner.extent; ++i) std::memcpy(d + i * inner.a, s + i * inner.b, item_size);
    return true;
  });
}

bool all_bytes_equal(const std::byte* value, std::size_t size) noexcept {
  for (std::size_t i = 1; i < size; ++i) {
    if (value[i] != value[0]) return false;
  }
  return true;
}

template <typename T>
void fill_items(const Axes& axes, std::byte* dst, const std::byte* value) noexcept {
  const T item = load_le<T>(value);
  const Axis inner = axes.axis[0];
  constexpr auto kItem = static_cast<std::int64_t>(sizeof(T));
  const std::byte* nothing = nullptr;
  if (inner.a == kItem || inner.extent == 1) {
    for_each_outer(axes, 1, dst, nothing, [item, inner](std::byte* d, const std::byte*) noexcept {
      for (std::int64_t i = 0; i < inner.extent; ++i) store_le(d + i * kItem, item);
      return true;
    });
    return;
  }
  for_each_outer(axes, 1, dst, nothing, [item, inner](std::byte* d, const std::byte*) noexcept {
    for (std::int64_t i = 0; i < inner.extent; ++i) store_le(d + i * inner.a, item);
    return true;
  });
}

/// Whether a packed run equals a repeated 8-byte pattern.  4 KiB per step: long enough for the compiler's vector loop,
/// short enough to leave soon after a difference.
bool run_equals(const std::byte* run, std::size_t bytes, std::uint64_t pattern) noexcept {
  constexpr std::size_t kStep = 4096;
  std::size_t pos = 0;
  // Labels differ early or not at all, so look at a few words before starting long steps.
  for (; pos + 8 <= bytes && pos < 64; pos += 8) {
    if (load_le<std::uint64_t>(run + pos) != pattern) return false;
  }
  for (; pos + kStep <= bytes; pos += kStep) {
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < kStep; i += 8) difference |= load_le<std::uint64_t>(run + pos + i) ^ pattern;
    if (difference != 0) return false;
  }
  std::uint64_t difference = 0;
  for (; pos + 8 <= bytes; pos += 8) difference |= load_le<std::uint64_t>(run + pos) ^ pattern;
  if (difference != 0) return false;
  return std::memcmp(run + pos, &pattern, bytes - pos) == 0;
}

std::uint64_t repeat_to_word(const std::byte* value, std::size_t item_size) noexcept {
  std::array<std::byte, 8> word{};
  for (std::size_t i = 0; i < 8; i += item_size) std::memcpy(word.data() + i, value, item_size);
  return load_le<std::uint64_t>(word.data());
}

}  // namespace

void copy_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
              std::size_t item_size) noexcept {
  const Axes axes = normalise(dst, dst_strides, src, src_strides, shape);
  if (axes.is_empty) return;
  const Axis inner = axes.axis[0];
  const auto item = static_cast<std::int64_t>(item_size);
  if (inner.extent == 1 || (inner.a == item && inner.b == item)) {
    return copy_rows(axes, dst, src, static_cast<std::size_t>(inner.extent) * item_size);
  }
  switch (item_size) {
    case 1:
      return copy_items<std::uint8_t>(axes, dst, src);
    case 2:
      return copy_items<std::uint16_t>(axes, dst, src);
    case 4:
      return copy_items<std::uint32_t>(axes, dst, src);
    case 8:
      return copy_items<std::uint64_t>(axes, dst, src);
    case 16:
      return copy_items<Bytes16>(axes, dst, src);
    default:
      return copy_odd_items(axes, dst, src, item_size);
  }
}

void fill_box(std::byte* dst, const Int4& dst_strides, const Int4& shape, std::size_t item_size,
              const std::byte* value) noexcept {
  const std::byte* nothing = nullptr;
  const Axes axes = normalise(dst, dst_strides, nothing, Int4{}, shape);
  if (axes.is_empty) return;
  const Axis inner = axes.axis[0];
  if ((inner.extent == 1 || inner.a == static_cast<std::int64_t>(item_size)) && all_bytes_equal(value, item_size)) {
    const std::size_t row_bytes = static_cast<std::size_t>(inner.extent) * item_size;
    const int byte = std::to_integer<int>(value[0]);
    for_each_outer(axes, 1, dst, nothing, [byte, row_bytes](std::byte* d, const std::byte*) noexcept {
      std::memset(d, byte, row_bytes);
      return true;
    });
    return;
  }
  switch (item_size) {
    case 1:
      return fill_items<std::uint8_t>(axes, dst, value);
    case 2:
      return fill_items<std::uint16_t>(axes, dst, value);
    case 4:
      return fill_items<std::uint32_t>(axes, dst, value);
    case 8:
      return fill_items<std::uint64_t>(axes, dst, value);
    case 16:
      return fill_items<Bytes16>(axes, dst, value);
    default:
      for_each_outer(axes, 1, dst, nothing, [inner, value, item_size](std::byte* d, const std::byte*) noexcept {
        for (std::int64_t i = 0; i < inner.extent; ++i) std::memcpy(d + i * inner.a, value, item_size);
        return true;
      });
  }
}

bool box_equals(const std::byte* src, const Int4& src_strides, const Int4& shape, std::size_t item_size,
                const std::byte* value) noexcept {
  const std::byte* nothing = nullptr;
  const Axes axes = normalise(src, src_strides, nothing, Int4{}, shape);
  if (axes.is_empty) return true;
  const Axis inner = axes.axis[0];
  const bool divides_word = item_size == 1 || item_size == 2 || item_size == 4 || item_size == 8;
  if (divides_word && (inner.extent == 1 || inner.a == static_cast<std::int64_t>(item_size))) {
    const std::uint64_t pattern = repeat_to_word(value, item_size);
    const std::size_t row_bytes = static_cast<std::size_t>(inner.extent) * item_size;
    return for_each_outer(axes, 1, src, nothing, [pattern, row_bytes](const std::byte* s, const std::byte*) noexcept {
      return run_equals(s, row_bytes, pattern);
    });
  }
  return for_each_outer(axes, 1, src, nothing,
                        [inner, value, item_size](const std::byte* s, const std::byte*) noexcept {
                          for (std::int64_t i = 0; i < inner.extent; ++i) {
                            if (std::memcmp(s + i * inner.a, value, item_size) != 0) return false;
                          }
                          return true;
                        });
}

}  // namespace cvfast::paint
