// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "cvfast/core/box.hpp"

namespace cvfast::paint {

/// What happens to a voxel between its chunk and the destination.
enum class VoxelOp : std::uint8_t {
  kCopy,         ///< unchanged
  kEqualsLabel,  ///< 1 byte: 1 where the voxel is `label`, else 0
  kKeepLabels,   ///< unchanged where the voxel is one of `keep`, `other` elsewhere
};

struct VoxelMap {
  VoxelOp op = VoxelOp::kCopy;
  std::uint64_t label = 0;                ///< kEqualsLabel: the label's bits, zero extended from the item
  std::span<const std::uint64_t> keep{};  ///< kKeepLabels: ascending, without duplicates
  std::uint64_t other = 0;                ///< kKeepLabels: written where the voxel is not kept

  [[nodiscard]] std::size_t output_item_size(std::size_t item_size) const noexcept {
    return op == VoxelOp::kEqualsLabel ? 1 : item_size;
  }
};

/// The value of the map for one voxel's bits.
[[nodiscard]] std::uint64_t map_voxel(const VoxelMap& map, std::uint64_t value) noexcept;

/// As copy_box, through a map.  item_size 1, 2, 4 or 8 unless the map is kCopy.
void map_box(const std::byte* src, const Int4& src_strides, std::byte* dst, const Int4& dst_strides, const Int4& shape,
             std::size_t item_size, const VoxelMap& map) noexcept;

/// Adds the distinct values of a 4-D box (items of 1, 2, 4 or 8 bytes, zero extended) to `out`, ascending, no
/// duplicates.
void unique_box(const std::byte* src, const Int4& src_strides, const Int4& shape, std::size_t item_size,
                std::vector<std::uint64_t>& out);

/// Numbers labels in the order in which they are met: the first new label becomes `next`, the one after it `next + 1`.
class Renumberer {
 public:
  /// `background` keeps its value and takes no number; a new number that would collide with it is skipped.
  explicit Renumberer(std::uint64_t background);

  /// Rewrites a packed run of items (src 1, 2, 4 or 8 bytes wide) as dst items of dst_item_size bytes.
  /// Stops before the first label whose number does not fit dst and returns how many items were written.
  [[nodiscard]] std::size_t apply(const std::byte* src, std::size_t src_item_size, std::size_t count, std::byte* dst,
                                  std::size_t dst_item_size);

  [[nodiscard]] const std::unordered_map<std::uint64_t, std::uint64_t>& mapping() const noexcept { return map_; }

 private:
  std::uint64_t background_;
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, std::uint64_t> map_;
};

}  // namespace cvfast::paint
