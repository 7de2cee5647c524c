// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/runtime/image_request.hpp"

namespace cvfast::runtime {

/// What becomes of a chunk that the written box covers only in part.
enum class PartialChunks : std::uint8_t {
  kRefuse,     ///< the caller has checked that there is none
  kMerge,      ///< the stored chunk is read, painted over and replaced
  kOverwrite,  ///< the rest of the chunk becomes background
};

struct WriteRequest {
  Box3 box;  ///< absolute voxels inside the volume
  fetch::ContentEncoding compression = fetch::ContentEncoding::kNone;
  int compression_level = 9;
  PartialChunks partial = PartialChunks::kRefuse;
  bool merge_objects = true;       ///< where chunks share objects: keep those that the box does not touch, or refuse
  bool fill_missing = false;       ///< kMerge: an absent chunk counts as background
  bool delete_background = false;  ///< chunks that are all background are removed instead of written
  bool sync = false;               ///< fsync each file before its rename
  std::array<std::byte, 16> background{};
};

/// Writes all channels of a box from src (x, y, z, channel strides in bytes) as whole chunks, whose files (of their
/// own, or shared) are replaced atomically.  Partial chunks of one layout are merged by one thread at a time within
/// this process.
RunResult write_image(const ImageLayout& layout, const WriteRequest& request, const std::byte* src,
                      const Int4& src_strides, const RunOptions& options, Progress& progress);

/// A chunk as it would be stored.
struct EncodedChunk {
  Int3 grid_point{};
  bool is_background = false;  ///< and was to be left out
  std::vector<std::byte> bytes;
};

/// Encodes and compresses the chunks of a box of whole chunks, x fastest, without storing them; request.partial,
/// merge_objects and sync are not used.
RunResult encode_image(const ImageLayout& layout, const WriteRequest& request, const std::byte* src,
                       const Int4& src_strides, std::vector<EncodedChunk>& out, const RunOptions& options,
                       Progress& progress);

/// Removes the chunks that a box touches; absent ones are no error.
RunResult delete_chunks(const ImageLayout& layout, const Box3& box, const RunOptions& options);

}  // namespace cvfast::runtime
