// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cvfast/core/box.hpp"

namespace cvfast::locate {

/// The regular grid of chunks of one scale, in absolute voxels; the last chunk of an axis is cut at the volume's end.
/// The constructor of a request has checked that sizes are positive and that offset + size stays in int64.
struct ChunkGrid {
  Int3 voxel_offset{};
  Int3 volume_size{};
  Int3 chunk_size{};

  [[nodiscard]] Box3 bounds() const noexcept;
  /// Number of chunks along each axis.
  [[nodiscard]] Int3 grid_size() const noexcept;
  /// The grid point of the chunk that a voxel inside bounds() lies in.
  [[nodiscard]] Int3 grid_point(const Int3& voxel) const noexcept;
  [[nodiscard]] Box3 chunk_box(const Int3& grid_point) const noexcept;
  /// Grid points whose chunks intersect a box that lies inside bounds().
  [[nodiscard]] Box3 grid_range(const Box3& box) const noexcept;
};

/// The i-th grid point of a range, x fastest.
[[nodiscard]] Int3 grid_point_at(const Box3& range, std::int64_t index) noexcept;

/// Room for any chunk name and its terminating zero.
inline constexpr std::size_t kChunkNameBytes = 6 * 20 + 5 + 1;

/// Writes "x0-x1_y0-y1_z0-z1" (Neuroglancer, volume.rst, "unsharded chunk storage") and returns a view of it.
std::string_view chunk_name(const Box3& chunk, char (&buffer)[kChunkNameBytes]) noexcept;

}  // namespace cvfast::locate
