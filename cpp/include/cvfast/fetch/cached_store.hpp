// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cvfast/fetch/chunk_store.hpp"

namespace cvfast::fetch {

/// A store with a folder of this machine in front: chunks that are in the folder are taken from there, under upstream's
/// names.  What is fetched is put there by whoever has found it good (ChunkSession::keep_copy); that a chunk is absent
/// is noted as an empty file.  Entries get their names when they are complete, and what cannot be kept is no error.
///
/// @param name_of the name of the entry of a grid point's chunk.
[[nodiscard]] std::shared_ptr<const ChunkStore> make_cached_store(
    std::shared_ptr<const ChunkStore> source, std::string folder,
    std::function<std::string(const Int3& grid_point)> name_of);

}  // namespace cvfast::fetch
