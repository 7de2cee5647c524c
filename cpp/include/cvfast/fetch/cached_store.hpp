// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cvfast/fetch/chunk_store.hpp"

namespace cvfast::fetch {

/// What a folder of copies may hold, where that is bounded: whoever owns the folder removes the least recently used.
struct CopyLimit {
  /// Of all copies.  One session keeps at most half of it, so that a large read does not fill the disk before somebody
  /// looks; and the last use of what is read is noted, at most once a minute.
  std::optional<std::uint64_t> bytes;
  /// Grows by what is kept; may be null.
  std::shared_ptr<std::atomic<std::uint64_t>> kept_bytes;
};

/// A store with a folder of this machine in front: chunks that are in the folder are taken from there, under upstream's
/// names.  What is fetched is put there by whoever has found it good (ChunkSession::keep_copy); that a chunk is absent
/// is noted as an empty file.  Entries get their names when they are complete, and what cannot be kept is no error.
///
/// @param name_of the name of the entry of a grid point's chunk.
[[nodiscard]] std::shared_ptr<const ChunkStore> make_cached_store(
    std::shared_ptr<const ChunkStore> source, std::string folder,
    std::function<std::string(const Int3& grid_point)> name_of, CopyLimit limit = {});

}  // namespace cvfast::fetch
