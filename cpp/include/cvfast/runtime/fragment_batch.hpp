// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cvfast/mesh/fragment.hpp"
#include "cvfast/runtime/object_batch.hpp"

/// Fragments of single-resolution meshes from the files of a local folder straight to their places in one mesh.
///
/// Two steps, since a fragment's place depends on those before it: `open_fragments` reads the files as they are stored,
/// and inflates of each only the count of vertices; then the caller allocates, and `decode_fragments` inflates each
/// fragment into a buffer that stays in the second-level cache, from where it is checked and copied once.
///
/// Whatever is not plainly as it should be (a file that is absent or damaged, one compressed otherwise, a Draco
/// fragment) makes the whole batch kOtherwise: the caller then reads objects one by one, and is told what is wrong
/// there.
namespace cvfast::runtime {

enum class FragmentOutcome : std::uint8_t { kDone, kOtherwise, kInterrupted };

/// A file as it is stored.
struct FragmentFile {
  std::unique_ptr<std::byte[]> bytes;  ///< with decode::gzip::kInputPadding more behind them
  std::size_t size_bytes = 0;
  std::uint64_t inflated_bytes = 0;  ///< as gzip states it; 0 where the file is not compressed
};

struct FragmentBatch {
  std::vector<FragmentFile> files;
  mesh::StitchPlan plan;
};

/// Reads files and plans the mesh that they make one after another.
/// @param limit_bytes what a compressed fragment may expand to.
/// @throws std::bad_alloc
FragmentOutcome open_fragments(const std::string& root, std::span<const std::string> keys, std::uint64_t limit_bytes,
                               FragmentBatch& out, const BatchOptions& options);

/// Decodes them; each file is let go once it is decoded.
/// @param vertices,faces room for what `batch.plan.total` says.
FragmentOutcome decode_fragments(FragmentBatch& batch, const mesh::Transform& transform, float* vertices,
                                 std::uint32_t* faces, const BatchOptions& options);

}  // namespace cvfast::runtime
