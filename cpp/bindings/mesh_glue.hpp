// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/mesh/deduplicate.hpp"
#include "cvfast/mesh/manifest.hpp"
#include "cvfast/mesh/quantize.hpp"
#include "cython_glue.hpp"

/// As cython_glue.hpp: kernels on the calling thread, with exceptions as a Status.
namespace cvfast::glue {

inline Status consolidate_mesh(const mesh::TrianglesView& view, mesh::Triangles& out) noexcept {
  return catching([&] { return mesh::consolidate(view, mesh::serially, out); });
}

inline Status merge_mesh_pairs(const mesh::TrianglesView& view, const std::uint8_t* is_marked,
                               mesh::Triangles& out) noexcept {
  return catching([&] { return mesh::merge_marked_pairs(view, is_marked, mesh::serially, out); });
}

inline Status parse_mesh_manifest(std::span<const std::byte> data, std::uint64_t data_bytes,
                                  mesh::Manifest& out) noexcept {
  return catching([&] { return mesh::parse_manifest(data, data_bytes, out); });
}

inline Status encode_mesh_manifest(const mesh::Manifest& manifest, std::vector<std::byte>& out) noexcept {
  return catching([&] { return mesh::encode_manifest(manifest, out); });
}

inline Status cut_mesh(const float* vertices, std::uint64_t num_vertices, const std::uint32_t* faces,
                       std::uint64_t num_faces, const mesh::CellGrid& grid, std::vector<mesh::CellMesh>& out) noexcept {
  return catching([&] { return mesh::cut_into_cells(vertices, num_vertices, faces, num_faces, grid, out); });
}

}  // namespace cvfast::glue
