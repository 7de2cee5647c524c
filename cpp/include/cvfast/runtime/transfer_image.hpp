// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/runtime/image_request.hpp"

namespace cvfast::runtime {

struct TransferRequest {
  Box3 box;                 ///< absolute voxels; whole chunks of both layouts, whose grids agree inside of it
  bool copy_bytes = false;  ///< both encodings mean the same bytes: no chunk is decoded
  /// Second-stage compression at the destination; none given: as stored at the source, which needs copy_bytes.
  std::optional<fetch::ContentEncoding> compression;
  int compression_level = 9;
  bool fill_missing = false;  ///< an absent chunk is removed at the destination instead of being an error
  bool sync = false;
};

/// Copies chunks between two layouts, chunk by chunk, each file replaced atomically.  Never holds more than what the
/// threads work on.  `options` and `destination_options` differ in codec and cache; the rest is taken from the first.
RunResult transfer_chunks(const ImageLayout& source, const ImageLayout& destination, const TransferRequest& request,
                          const RunOptions& options, const RunOptions& destination_options, Progress& progress);

/// One chunk's file as bytes.
struct ChunkFile {
  std::string name;  ///< with its suffix where the bytes are as stored
  bool exists = false;
  std::string bytes;
};

/// The files of the chunks that a box touches, x fastest, decompressed or as stored.
RunResult read_files(const ImageLayout& layout, const Box3& box, bool decompress, std::vector<ChunkFile>& out,
                     const RunOptions& options, Progress& progress);

}  // namespace cvfast::runtime
