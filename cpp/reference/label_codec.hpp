// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"

namespace cvfast::reference {

/// A codec of labels (compresso, crackle) and its slow twin, for tests and fuzz targets that hold of each.
struct LabelCodec {
  Status (*decode)(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                   const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept;
  Status (*unique)(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                   std::vector<std::uint64_t>& out);
  std::optional<std::vector<std::uint64_t>> (*reference)(std::span<const std::byte> data, std::int64_t item_size,
                                                         const Int3& chunk_shape);
};

}  // namespace cvfast::reference
