// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/locate/grid.hpp"

#include <algorithm>
#include <charconv>

namespace cvfast::locate {

Box3 ChunkGrid::bounds() const noexcept {
  Box3 out{voxel_offset, voxel_offset};
  for (int i = 0; i < 3; ++i) out.max[i] += volume_size[i];
  return out;
}

Int3 ChunkGrid::grid_size() const noexcept {
  Int3 out;
  for (int i = 0; i < 3; ++i) out[i] = (volume_size[i] - 1) / chunk_size[i] + 1;
  return out;
}

Int3 ChunkGrid::grid_point(const Int3& voxel) const noexcept {
  Int3 out;
  for (int i = 0; i < 3; ++i) out[i] = (voxel[i] - voxel_offset[i]) / chunk_size[i];
  return out;
}

Box3 ChunkGrid::chunk_box(const Int3& grid_point) const noexcept {
  Box3 out;
  for (int i = 0; i < 3; ++i) {
    // The far end is measured from the volume's end, because the next chunk's start may lie outside int64.
    const std::int64_t start = grid_point[i] * chunk_size[i];
    out.min[i] = voxel_offset[i] + start;
    out.max[i] = out.min[i] + std::min(chunk_size[i], volume_size[i] - start);
  }
  return out;
}

Box3 ChunkGrid::grid_range(const Box3& box) const noexcept {
  Box3 out{grid_point(box.min), grid_point({box.max[0] - 1, box.max[1] - 1, box.max[2] - 1})};
  for (int i = 0; i < 3; ++i) ++out.max[i];
  return out;
}

Int3 grid_point_at(const Box3& range, std::int64_t index) noexcept {
  const Int3 shape = range.shape();
  return {range.min[0] + index % shape[0], range.min[1] + index / shape[0] % shape[1],
          range.min[2] + index / shape[0] / shape[1]};
}

std::string_view chunk_name(const Box3& chunk, char (&buffer)[kChunkNameBytes]) noexcept {
  char* end = buffer;
  for (int i = 0; i < 3; ++i) {
    if (i > 0) *end++ = '_';
    end = std::to_chars(end, buffer + kChunkNameBytes, chunk.min[i]).ptr;
    *end++ = '-';
    end = std::to_chars(end, buffer + kChunkNameBytes, chunk.max[i]).ptr;
  }
  *end = '\0';
  return {buffer, static_cast<std::size_t>(end - buffer)};
}

}  // namespace cvfast::locate
