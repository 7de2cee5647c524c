// SPDX-License-Identifier: BSD-3-Clause
//
// Labels come in runs: in a segmentation about nine of ten voxels equal their neighbour.  Each loop below therefore
// compares with the previous voxel first and falls back on a hash only where the label changes, and there on a small
// direct-mapped cache before anything that allocates.
#include "cvfast/paint/labels.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "cvfast/core/endian.hpp"
#include "cvfast/paint/copy_box.hpp"
#include "recent_labels.hpp"
#include "strided_axes.hpp"

namespace cvfast::paint {
namespace {

template <typename T, typename U>
void map_typed(const Axes& axes, std::byte* dst, const std::byte* src, const VoxelMap& map) noexcept {
  const Axis inner = axes.axis[0];
  if (map.op == VoxelOp::kEqualsLabel) {
    // A label with bits beyond the item is found nowhere.
    const bool is_representable = map.label <= std::numeric_limits<T>::max();
    const T label = static_cast<T>(map.label);
    for_each_outer(axes, 1, dst, src, [=](std::byte* d, const std::byte* s) noexcept {
      for (std::int64_t i = 0; i < inner.extent; ++i) {
        store_le(d + i * inner.a, static_cast<U>(is_representable && load_le<T>(s + i * inner.b) == label));
      }
      return true;
    });
    return;
  }
  T last = load_le<T>(src);
  U mapped = static_cast<U>(map_voxel(map, last));
  for_each_outer(axes, 1, dst, src, [&](std::byte* d, const std::byte* s) noexcept {
    for (std::int64_t i = 0; i < inner.extent; ++i) {
      const T value = load_le<T>(s + i * inner.b);
      if (value != last) {
        last = value;
        mapped = static_cast<U>(map_voxel(map, value));
      }
      store_le(d + i * inner.a, mapped);
    }
    return true;
  });
}

template <typename T>
void map_dispatch(const Axes& axes, std::byte* dst, const std::byte* src, const VoxelMap& map) noexcept {
  if (map.op == VoxelOp::kEqualsLabel) {
    map_typed<T, std::uint8_t>(axes, dst, src, map);
  } else {
    map_typed<T, T>(axes, dst, src, map);
  }
}

/// Whether the eight items at p equal `label`: one branch for eight voxels, and nearly always predicted.
template <typename T>
bool eight_equal(const std::byte* p, T label) noexcept {
  T difference = 0;
  for (std::size_t x = 0; x < 8; ++x) difference |= static_cast<T>(load_le<T>(p + x * sizeof(T)) ^ label);
  return difference == 0;
}

template <typename T>
void collect_unique(const Axes& axes, const std::byte* src, UniqueCollector& collector) {
  const Axis inner = axes.axis[0];
  const bool is_packed = inner.a == static_cast<std::int64_t>(sizeof(T));
  T last = load_le<T>(src);
  collector.add(last);
  const Axis* const axis = axes.axis.data();
  for (std::int64_t l = 0; l < axis[3].extent; ++l) {
    for (std::int64_t k = 0; k < axis[2].extent; ++k) {
      for (std::int64_t j = 0; j < axis[1].extent; ++j) {
        const std::byte* const row = src + j * axis[1].a + k * axis[2].a + l * axis[3].a;
        for (std::int64_t i = 0; i < inner.extent;) {
          if (is_packed && inner.extent - i >= 8 && eight_equal(row + i * inner.a, last)) {
            i += 8;
            continue;
          }
          const std::int64_t end = std::min(inner.extent, i + 8);
          for (; i < end; ++i) {
            const T value = load_le<T>(row + i * inner.a);
            if (value != last) {
              last = value;
              collector.add(value);
            }
          }
        }
      }
    }
  }
}

std::uint64_t max_of(std::size_t item_size) noexcept {
  return item_size >= 8 ? std::numeric_limits<std::uint64_t>::max() : (std::uint64_t{1} << (8 * item_size)) - 1;
}

/// Numbers that this call has looked up: one cache line touched instead of a walk through the map's buckets.
struct NumberCache {
  static constexpr std::size_t kSlots = 512;
  std::array<std::uint64_t, kSlots> label;
  std::array<std::uint64_t, kSlots> number;
  std::array<bool, kSlots> is_set{};
};

template <typename T, typename U, typename Number>
std::size_t renumber_run(const std::byte* src, std::size_t count, std::byte* dst, Number&& number_of) {
  if (count == 0) return 0;
  std::uint64_t last_number = 0;
  T last = load_le<T>(src);
  if (!number_of(last, last_number)) return 0;
  for (std::size_t i = 0; i < count;) {
    if (count - i >= 8 && eight_equal(src + i * sizeof(T), last)) {
      for (std::size_t x = 0; x < 8; ++x) store_le(dst + (i + x) * sizeof(U), static_cast<U>(last_number));
      i += 8;
      continue;
    }
    const std::size_t end = std::min(count, i + 8);
    for (; i < end; ++i) {
      const T value = load_le<T>(src + i * sizeof(T));
      if (value != last) {
        if (!number_of(value, last_number)) return i;
        last = value;
      }
      store_le(dst + i * sizeof(U), static_cast<U>(last_number));
    }
  }
  return count;
}

template <typename T, typename Number>
std::size_t renumber_from(const std::byte* src, std::size_t count, std::byte* dst, std::size_t dst_item_size,
                          Number&& number_of) {
  switch (dst_item_size) {
    case 1:
      return renumber_run<T, std::uint8_t>(src, count, dst, number_of);
    case 2:
      return renumber_run<T, std::uint16_t>(src, count, dst, number_of);
    case 4:
      return renumber_run<T, std::uint32_t>(src, count, dst, number_of);
    case 8:
      return renumber_run<T, std::uint64_t>(src, count, dst, number_of);
    default:
      return 0;
  }
}

}  // namespace

std::uint64_t map_voxel(const VoxelMap& map, std::uint64_t value) noexcept {
  switch (map.op) {
    case VoxelOp::kCopy:
      return value;
    case VoxelOp::kEqualsLabel:
      return value == map.label ? 1 : 0;
    case VoxelOp::kKeepLabels:
      return std::binary_search(map.keep.begin(), map.keep.end(), value) ? value : map.other;
  }
  return value;
}

void map_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
             std::size_t item_size, const VoxelMap& map) noexcept {
  if (map.op == VoxelOp::kCopy) return copy_box(src, src_strides, dst, dst_strides, shape, item_size);
  const Axes axes = normalise(dst, dst_strides, src, src_strides, shape);
  if (axes.is_empty) return;
  switch (item_size) {
    case 1:
      return map_dispatch<std::uint8_t>(axes, dst, src, map);
    case 2:
      return map_dispatch<std::uint16_t>(axes, dst, src, map);
    case 4:
      return map_dispatch<std::uint32_t>(axes, dst, src, map);
    case 8:
      return map_dispatch<std::uint64_t>(axes, dst, src, map);
    default:
      return;
  }
}

void unique_box(const std::byte* src, const Int4& src_strides, const Int4& shape, std::size_t item_size,
                std::vector<std::uint64_t>& out) {
  UniqueCollector collector(out);
  const std::byte* nothing = nullptr;
  const Axes axes = normalise(src, src_strides, nothing, Int4{}, shape);
  if (!axes.is_empty) {
    switch (item_size) {
      case 1:
        collect_unique<std::uint8_t>(axes, src, collector);
        break;
      case 2:
        collect_unique<std::uint16_t>(axes, src, collector);
        break;
      case 4:
        collect_unique<std::uint32_t>(axes, src, collector);
        break;
      case 8:
        collect_unique<std::uint64_t>(axes, src, collector);
        break;
      default:
        break;
    }
  }
  collector.finish();
}

Renumberer::Renumberer(std::uint64_t background) : background_(background) {}

std::size_t Renumberer::apply(const std::byte* src, std::size_t src_item_size, std::size_t count, std::byte* dst,
                              std::size_t dst_item_size) {
  const std::uint64_t largest = max_of(dst_item_size);
  NumberCache cache;
  const auto number_of = [&](std::uint64_t label, std::uint64_t& number) {
    if (label == background_) {
      number = background_;
      return number <= largest;
    }
    const std::size_t slot = hash_label(label) % NumberCache::kSlots;
    if (cache.is_set[slot] && cache.label[slot] == label) {
      number = cache.number[slot];
      return true;
    }
    const auto found = map_.find(label);
    if (found != map_.end()) {
      number = found->second;
      if (number > largest) return false;
    } else {
      const std::uint64_t next = next_ == background_ ? next_ + 1 : next_;
      if (next > largest) return false;
      map_.emplace(label, next);
      next_ = next + 1;
      number = next;
    }
    cache.is_set[slot] = true;
    cache.label[slot] = label;
    cache.number[slot] = number;
    return true;
  };
  switch (src_item_size) {
    case 1:
      return renumber_from<std::uint8_t>(src, count, dst, dst_item_size, number_of);
    case 2:
      return renumber_from<std::uint16_t>(src, count, dst, dst_item_size, number_of);
    case 4:
      return renumber_from<std::uint32_t>(src, count, dst, dst_item_size, number_of);
    case 8:
      return renumber_from<std::uint64_t>(src, count, dst, dst_item_size, number_of);
    default:
      return 0;
  }
}

}  // namespace cvfast::paint
