// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cvfast/core/status.hpp"
#include "cvfast/mesh/fragment.hpp"

namespace cvfast::mesh {

/// The cell that a fragment's positions are quantised in (mesh.rst, "multi-resolution mesh fragment data file format").
struct Cell {
  std::array<double, 3> base{};    ///< grid origin and vertex offset of the level: the corner of cell (0, 0, 0)
  std::array<double, 3> extent{};  ///< of a cell of the level
  std::array<double, 3> number{};  ///< which cell it is
  int bits = 0;                    ///< 1 to 32 for each coordinate
};

/// Turns quantised positions into those of the model: base + extent * (number + q / (2^bits - 1)), then moved.  Faces
/// that two cells share come out the same from both.
/// @return kBadValue (a position above 2^bits - 1, or one that is not finite once moved; the offset is its number among
/// the 3 * n), kInvalidArgument (bits).
Status dequantize(const Cell& cell, const std::uint32_t* quantized, std::uint64_t n, const Transform& transform,
                  float* vertices) noexcept;

/// The inverse without the transform; what is outside of the cell is moved to its rim.
/// @return kBadValue (a position that is not finite; the offset is its number), kInvalidArgument (bits, extent).
Status quantize(const Cell& cell, const float* vertices, std::uint64_t n, std::uint32_t* quantized) noexcept;

/// Fragments of one level.
struct CellMesh {
  std::array<std::uint32_t, 3> position{};
  std::vector<std::uint32_t> vertices;  ///< 3 for each, quantised; each once
  std::vector<std::uint32_t> faces;     ///< 3 for each
};

/// How a mesh is cut into the fragments of one level.
struct CellGrid {
  std::array<double, 3> base{};          ///< corner of cell (0, 0, 0)
  std::array<double, 3> extent{};        ///< of a cell
  std::array<std::uint32_t, 3> shape{};  ///< cells; what lies on the far rim belongs to the last
  bool is_halved = false;                ///< no triangle may cross the planes through the middle of a cell either
  int bits = 0;                          ///< 1 to 21 for each coordinate
};

/// Cuts triangles at the planes between cells and quantises them within their cells, in the order of the Z curve.
/// Positions are the nearest that are representable, and neighbouring triangles are cut at the same ones.  Triangles
/// that quantisation makes shorter than a line are left out.
/// @return kBadValue (a coordinate that is not finite; the offset is the vertex), kOffsetRange (a face uses a vertex
/// that is not there, or one lies outside of the grid; the offset is the face), kInvalidArgument (the grid).
/// @throws std::bad_alloc
Status cut_into_cells(const float* vertices, std::uint64_t num_vertices, const std::uint32_t* faces,
                      std::uint64_t num_faces, const CellGrid& grid, std::vector<CellMesh>& out);

}  // namespace cvfast::mesh
