// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/status.hpp"
#include "cvfast/mesh/parallel.hpp"

/// Fragments of single-resolution meshes (Neuroglancer, mesh.rst, "legacy single-resolution mesh format"): a count of
/// vertices (u32), their x, y, z (f32), and three vertex numbers (u32) for each triangle, up to the end.
namespace cvfast::mesh {

/// What a fragment holds.
struct FragmentShape {
  std::uint64_t num_vertices = 0;
  std::uint64_t num_faces = 0;

  [[nodiscard]] bool operator==(const FragmentShape&) const noexcept = default;
};

/// Affine map of positions, three rows of four.
struct Transform {
  double rows[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};

  [[nodiscard]] bool is_identity() const noexcept;
};

/// Finds out what a fragment holds, from its length and its count of vertices alone.
/// @return kTruncated (expected and found are lengths in bytes), kTrailingBytes (what follows the vertices is no
/// multiple of 12 bytes; expected is the next shorter length that is).
Status parse_fragment(std::span<const std::byte> bytes, FragmentShape& out) noexcept;

/// Decodes a fragment that `parse_fragment` accepted, moving positions and adding `first_vertex` to vertex numbers.
/// @param vertices room for 3 * num_vertices; @param faces room for 3 * num_faces.
/// @return kBadValue (a position that is not finite, as stored or once moved), kOffsetRange (a vertex number; expected
/// is how many vertices there are), kOverflow (a vertex number that 32 bits cannot hold once shifted); the offset is
/// that of the field.
Status decode_fragment(std::span<const std::byte> bytes, const FragmentShape& shape, std::uint64_t first_vertex,
                       const Transform& transform, float* vertices, std::uint32_t* faces) noexcept;

/// Where the parts of a stitched mesh go: prefix sums over fragments, all of 64 bits.
struct StitchPlan {
  std::vector<FragmentShape> shapes;
  std::vector<FragmentShape> begins;
  FragmentShape total;
};

/// The outcome of what is done to many fragments: the first one that failed, if any.
struct FragmentStatus {
  Status status;
  std::uint64_t fragment = 0;
};

/// Plans the mesh that fragments make one after another.
/// @return as `parse_fragment`, or kOverflow where there are more vertices than 32 bits can number.
/// @throws std::bad_alloc
FragmentStatus plan_stitch(std::span<const std::span<const std::byte>> fragments, StitchPlan& out);

/// Fills in `begins` and `total` from `shapes`.
/// @return kOverflow where there are more vertices than 32 bits can number.
/// @throws std::bad_alloc
FragmentStatus place_fragments(StitchPlan& plan);

/// Decodes all fragments into one buffer of vertices and one of faces, each at its place.
/// @throws std::bad_alloc
FragmentStatus stitch(std::span<const std::span<const std::byte>> fragments, const StitchPlan& plan,
                      const Transform& transform, const Parallel& parallel, float* vertices, std::uint32_t* faces);

/// Writes a fragment; `out` has 4 + 12 * (num_vertices + num_faces) bytes.
/// @return kOverflow (more vertices than 32 bits can count), kBadValue (a position that is not finite; the offset is
/// that of the field), kOffsetRange (a vertex number; likewise).
Status encode_fragment(const FragmentShape& shape, const float* vertices, const std::uint32_t* faces,
                       std::byte* out) noexcept;

/// Moves positions in place.
/// @return kBadValue where one is not finite, before or after; the offset is its number.
Status transform_vertices(const Transform& transform, std::uint64_t n, float* vertices) noexcept;

}  // namespace cvfast::mesh
