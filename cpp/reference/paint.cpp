// SPDX-License-Identifier: BSD-3-Clause
#include "paint.hpp"

#include <cstring>
#include <set>

namespace cvfast::reference {
namespace {

template <typename F>
void for_each_item(const Int4& shape, F&& f) {
  for (std::int64_t c = 0; c < shape[3]; ++c) {
    for (std::int64_t z = 0; z < shape[2]; ++z) {
      for (std::int64_t y = 0; y < shape[1]; ++y) {
        for (std::int64_t x = 0; x < shape[0]; ++x) f(Int4{x, y, z, c});
      }
    }
  }
}

std::int64_t offset_of(const Int4& at, const Int4& strides) {
  return at[0] * strides[0] + at[1] * strides[1] + at[2] * strides[2] + at[3] * strides[3];
}

std::uint64_t load(const std::byte* src, std::size_t item_size) {
  std::uint64_t value = 0;
  std::memcpy(&value, src, item_size);
  return value;
}

}  // namespace

void copy_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
              std::size_t item_size) {
  for_each_item(shape, [&](const Int4& at) {
    for (std::size_t i = 0; i < item_size; ++i) {
      dst[offset_of(at, dst_strides) + static_cast<std::int64_t>(i)] =
          src[offset_of(at, src_strides) + static_cast<std::int64_t>(i)];
    }
  });
}

std::uint64_t map_voxel(const paint::VoxelMap& map, std::uint64_t value) {
  if (map.op == paint::VoxelOp::kCopy) return value;
  if (map.op == paint::VoxelOp::kEqualsLabel) return value == map.label ? 1 : 0;
  for (const std::uint64_t label : map.keep) {
    if (label == value) return value;
  }
  return map.other;
}

void map_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
             std::size_t item_size, const paint::VoxelMap& map) {
  for_each_item(shape, [&](const Int4& at) {
    const std::uint64_t mapped = reference::map_voxel(map, load(src + offset_of(at, src_strides), item_size));
    std::memcpy(dst + offset_of(at, dst_strides), &mapped, map.output_item_size(item_size));
  });
}

std::vector<std::uint64_t> unique_box(const std::byte* src, const Int4& src_strides, const Int4& shape,
                                      std::size_t item_size) {
  std::set<std::uint64_t> labels;
  for_each_item(shape, [&](const Int4& at) { labels.insert(load(src + offset_of(at, src_strides), item_size)); });
  return {labels.begin(), labels.end()};
}

std::map<std::uint64_t, std::uint64_t> number_labels(const std::vector<std::uint64_t>& labels,
                                                     std::uint64_t background) {
  std::map<std::uint64_t, std::uint64_t> numbers;
  std::uint64_t next = 1;
  for (const std::uint64_t label : labels) {
    if (label == background || numbers.contains(label)) continue;
    if (next == background) ++next;
    numbers[label] = next++;
  }
  return numbers;
}

}  // namespace cvfast::reference
