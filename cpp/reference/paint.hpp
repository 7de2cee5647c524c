// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/paint/labels.hpp"

/// Slow twins of the paint kernels: four nested loops.
namespace cvfast::reference {

void copy_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
              std::size_t item_size);

[[nodiscard]] std::uint64_t map_voxel(const paint::VoxelMap& map, std::uint64_t value);

void map_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
             std::size_t item_size, const paint::VoxelMap& map);

[[nodiscard]] std::vector<std::uint64_t> unique_box(const std::byte* src, const Int4& src_strides, const Int4& shape,
                                                    std::size_t item_size);

/// The numbers that labels get when they are met in this order, background excepted.
[[nodiscard]] std::map<std::uint64_t, std::uint64_t> number_labels(const std::vector<std::uint64_t>& labels,
                                                                   std::uint64_t background);

}  // namespace cvfast::reference
