// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/paint/labels.hpp"
#include "cvfast/runtime/image_request.hpp"

namespace cvfast::runtime {

struct ReadRequest {
  Box3 box;  ///< absolute voxels; may reach outside the volume, where the background is written
  std::int64_t channel_begin = 0;
  std::int64_t channel_end = 1;
  paint::VoxelMap map;
  bool fill_missing = false;
  std::array<std::byte, 16> background{};  ///< one stored item, before the map
};

/// Reads a box into dst (x, y, z, channel strides in bytes; the voxel box.min of channel_begin is at dst).
/// fetch -> decompress -> decode -> paint run chunk by chunk on the pool; decoding writes into dst itself.
RunResult read_image(const ImageLayout& layout, const ReadRequest& request, std::byte* dst, const Int4& dst_strides,
                     const RunOptions& options, Progress& progress);

/// Reads single voxels: points are n rows of absolute xyz inside the volume; dst gets n rows of the request's
/// channels, packed.  Points are grouped by chunk, each of which is fetched once; request.box is not used.
RunResult read_points(const ImageLayout& layout, const ReadRequest& request, const std::int64_t* points, std::size_t n,
                      std::byte* dst, const RunOptions& options, Progress& progress);

/// The distinct values (bits, zero extended) of a box of the request's channels; request.map is not used.
RunResult read_unique(const ImageLayout& layout, const ReadRequest& request, std::vector<std::uint64_t>& out,
                      const RunOptions& options, Progress& progress);

/// The names of the chunks that a box touches, x fastest, and whether each exists under any suffix.
RunResult list_chunks(const ImageLayout& layout, const Box3& box, bool check_exists, std::vector<std::string>& names,
                      std::vector<std::uint8_t>& exists, const RunOptions& options);

}  // namespace cvfast::runtime
