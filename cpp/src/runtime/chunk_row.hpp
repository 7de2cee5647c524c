// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "chunk_io.hpp"
#include "cvfast/runtime/read_image.hpp"

namespace cvfast::runtime {

/// Reads raw chunks that lie side by side along x together, a few layers of all of them at a time.
///
/// Painted one by one, chunks of 64^3 uint8 write 64 bytes to each of 4096 places: the processor reads every line that
/// it overwrites, and no page of memory stays open for long.  Eight of them together write rows of 512 bytes past the
/// caches.  Whole 512^3 volumes take 0.85 of the processor time.
class ChunkRows {
 public:
  /// `inside` is the part of the request's box within the volume; all outlive this.
  ChunkRows(const ImageLayout& layout, const LazySession& session, const ReadRequest& request, const Box3& inside,
            const RunOptions& options, const Int4& dst_strides) noexcept;

  /// Whether it pays: files on this machine, voxels as they are, short rows, a destination that no cache holds, and
  /// enough rows of chunks to keep so many threads busy.
  [[nodiscard]] bool suits(int threads) const noexcept;

  /// Rows of chunks, x fastest.
  [[nodiscard]] std::int64_t size() const noexcept { return groups_[0] * groups_[1] * groups_[2]; }
  /// The grid points of row `index`.
  [[nodiscard]] Box3 at(std::int64_t index) const noexcept;

  /// Paints the chunks of a row into dst, the place of the request's first voxel.  False where one of them is absent,
  /// compressed or in any trouble: then nothing counts as painted, and reading them one by one tells what it is.
  [[nodiscard]] bool read(const Box3& row, std::byte* dst) const;

 private:
  [[nodiscard]] std::int64_t item_size() const noexcept { return layout_.format.item_size; }

  const ImageLayout& layout_;
  const LazySession& session_;
  const ReadRequest& request_;
  const Box3& inside_;
  const RunOptions& options_;
  Int4 strides_;
  Box3 range_;
  std::int64_t per_row_ = 1;
  Int3 groups_{};
};

}  // namespace cvfast::runtime
