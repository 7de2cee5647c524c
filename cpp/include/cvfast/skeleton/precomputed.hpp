// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cvfast/core/status.hpp"

/// The binary skeleton of Neuroglancer's Precomputed format (skeleton.rst), little-endian and without padding:
///
///     uint32   number of vertices, number of edges
///     float32  vertices, [n][3]
///     uint32   edges, [m][2]: pairs of vertices
///     ...      each vertex attribute of the info in turn, [n][components] of its type
namespace cvfast::skeleton {

/// A vertex attribute, as far as its bytes go.
struct AttributeFormat {
  std::uint32_t item_bytes = 0;      ///< 1 to 16
  std::uint32_t num_components = 0;  ///< 1 to kMaxComponents
};
inline constexpr std::uint32_t kMaxComponents = 1U << 20;

/// What a binary skeleton holds, and where.
struct Extents {
  std::uint32_t num_vertices = 0;
  std::uint32_t num_edges = 0;
  /// Leading attributes that are there; writers may leave out the last ones.
  std::size_t num_attributes = 0;

  [[nodiscard]] std::size_t vertices_offset() const noexcept { return 8; }
  [[nodiscard]] std::size_t edges_offset() const noexcept { return 8 + std::size_t{12} * num_vertices; }
  [[nodiscard]] std::size_t attributes_offset() const noexcept { return edges_offset() + std::size_t{8} * num_edges; }
};

/// x' = matrix * (x, y, z, 1), rows of 4.
using Affine = std::array<double, 12>;

/// Reads the header and compares it with the length, so that nothing is allocated for what is not there.  Bytes behind
/// the last attribute are not looked at: a file may hold attributes that the info does not list.
/// @return kTruncated where vertices, edges, or an attribute that has begun are cut short.
Status measure(std::span<const std::byte> data, std::span<const AttributeFormat> attributes, Extents& out) noexcept;

/// Copies what measure() found.
/// @param transform applied to vertices in double precision; null for none.
/// @param attributes one destination for each attribute of `extents`.
/// @return kBadValue at the first edge that names a vertex which is not there.
Status decode(std::span<const std::byte> data, std::span<const AttributeFormat> formats, const Extents& extents,
              const Affine* transform, float* vertices, std::uint32_t* edges,
              std::span<std::byte* const> attributes) noexcept;

/// Bytes that encode() writes; kOverflow where memory has no such size.
Status encoded_size(std::uint32_t num_vertices, std::uint32_t num_edges, std::span<const AttributeFormat> attributes,
                    std::size_t& out) noexcept;

/// Writes a skeleton into encoded_size() bytes.
/// @return kBadValue (offset: its byte in `out`) at the first edge that names a vertex which is not there.
Status encode(std::uint32_t num_vertices, std::uint32_t num_edges, const float* vertices, const std::uint32_t* edges,
              std::span<const AttributeFormat> formats, std::span<const std::byte* const> attributes,
              const Affine* transform, std::byte* out) noexcept;

}  // namespace cvfast::skeleton
