// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "cvfast/core/status.hpp"
#include "cvfast/mesh/parallel.hpp"

namespace cvfast::mesh {

/// Memory that is not initialised, large blocks on huge pages as far as the system has them: first touching a mesh's
/// worth of small ones took a third of what merging takes.  `std::free` gives it back.
/// @throws std::bad_alloc
[[nodiscard]] void* allocate_numbers(std::uint64_t n, std::size_t item_size);

/// Numbers in memory of their own, not initialised.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  /// @throws std::bad_alloc
  explicit Buffer(std::uint64_t size) : data_(static_cast<T*>(allocate_numbers(size, sizeof(T)))), size_(size) {}

  [[nodiscard]] T* data() noexcept { return data_.get(); }
  [[nodiscard]] const T* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// The memory, which `std::free` gives back.
  [[nodiscard]] T* release() noexcept { return data_.release(); }

 private:
  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<T[], Free> data_;
  std::uint64_t size_ = 0;
};

/// Vertices (x, y, z) and triangles, each a row of three.
struct Triangles {
  Buffer<float> vertices;
  Buffer<std::uint32_t> faces;
};

/// A view of the same.
struct TrianglesView {
  const float* vertices = nullptr;
  std::uint64_t num_vertices = 0;
  const std::uint32_t* faces = nullptr;
  std::uint64_t num_faces = 0;
};

/// Makes vertices and faces unique.  Vertices come out in ascending order of (x, y, z), whether a face uses them or
/// not, faces in ascending order of their vertices' new numbers, of which the order within a face is kept.  -0 is 0.
/// @return kBadValue (a coordinate that is not finite; the offset is its vertex), kOffsetRange (a face uses a vertex
/// that is not there; the offset is the face), kOverflow (more than 2^32 vertices), kInvalidArgument (interrupted).
/// @throws std::bad_alloc
Status consolidate(const TrianglesView& mesh, const Parallel& parallel, Triangles& out);

/// Makes those marked vertices one of which exactly two are at the same place.  Vertices that no face uses are left
/// out, others are in ascending order of (x, y, z), and of their numbers among equals.  Faces stay in order.
/// @param is_marked num_vertices bytes, 0 or not.
/// @return as `consolidate`.
/// @throws std::bad_alloc
Status merge_marked_pairs(const TrianglesView& mesh, const std::uint8_t* is_marked, const Parallel& parallel,
                          Triangles& out);

/// Marks vertices on the faces of a grid of chunks.
/// @param grid_size 0 marks what is exactly on a face; otherwise what is less than half of it behind one, or at most
/// half of it ahead of one, as quantised positions are.
/// @return kInvalidArgument for a chunk that is not positive and finite.
Status mark_chunk_borders(const float* vertices, std::uint64_t n, const double* chunk_size, const double* offset,
                          double grid_size, std::uint8_t* is_marked) noexcept;

}  // namespace cvfast::mesh
