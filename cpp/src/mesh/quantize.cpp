// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/mesh/quantize.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "cvfast/mesh/manifest.hpp"

namespace cvfast::mesh {
namespace {

using Point = std::array<double, 3>;
using Polygon = std::vector<Point>;

double most_of(int bits) noexcept { return static_cast<double>((std::uint64_t{1} << static_cast<unsigned>(bits)) - 1); }

/// Where an edge meets a plane: the same point whichever of its ends comes first, and on the plane.
Point meet(const Point& p, const Point& q, std::size_t axis, double plane) {
  const Point& a = p < q ? p : q;
  const Point& b = p < q ? q : p;
  const double t = (plane - a[axis]) / (b[axis] - a[axis]);
  Point out;
  for (std::size_t i = 0; i < 3; ++i) out[i] = a[i] + t * (b[i] - a[i]);
  out[axis] = plane;
  return out;
}

/// What of a convex polygon is below a plane, and what is above.
void cut(const Polygon& polygon, std::size_t axis, double plane, Polygon& below, Polygon& above) {
  below.clear();
  above.clear();
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point& p = polygon[i];
    const Point& q = polygon[(i + 1) % polygon.size()];
    if (p[axis] <= plane) below.push_back(p);
    if (p[axis] >= plane) above.push_back(p);
    if ((p[axis] < plane && q[axis] > plane) || (p[axis] > plane && q[axis] < plane)) {
      const Point crossing = meet(p, q, axis, plane);
      below.push_back(crossing);
      above.push_back(crossing);
    }
  }
}

/// Calls visit for each part of a polygon that lies between two neighbouring planes of an axis, which are whole
/// numbers.
template <typename Visit>
void for_each_slab(Polygon polygon, std::size_t axis, std::uint32_t slabs, const Visit& visit) {
  double low = polygon[0][axis];
  double high = low;
  for (const Point& point : polygon) {
    low = std::min(low, point[axis]);
    high = std::max(high, point[axis]);
  }
  const double last = static_cast<double>(slabs) - 1;
  // What lies in a plane belongs to the slab above, and on the far rim to the last one.
  double slab = std::min(std::floor(low), last);
  Polygon below;
  Polygon above;
  while (slab < last && high > slab + 1) {
    cut(polygon, axis, slab + 1, below, above);
    if (below.size() >= 3) visit(below, static_cast<std::uint32_t>(slab));
    polygon.swap(above);
    if (polygon.size() < 3) return;
    slab += 1;
  }
  visit(polygon, static_cast<std::uint32_t>(slab));
}

struct CellHash {
  std::size_t operator()(const std::array<std::uint32_t, 3>& p) const noexcept {
    std::uint64_t h = p[0];
    h = (h ^ (h >> 29U)) * 0xbf58476d1ce4e5b9U + p[1];
    h = (h ^ (h >> 32U)) * 0x94d049bb133111ebU + p[2];
    return h ^ (h >> 31U);
  }
};

struct OpenCell {
  CellMesh mesh;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;

  std::uint32_t add(const std::array<std::uint32_t, 3>& q) {
    const std::uint64_t key =
        (static_cast<std::uint64_t>(q[2]) << 42U) | (static_cast<std::uint64_t>(q[1]) << 21U) | q[0];
    const auto [at, is_new] = numbers.try_emplace(key, static_cast<std::uint32_t>(mesh.vertices.size() / 3));
    if (is_new) mesh.vertices.insert(mesh.vertices.end(), q.begin(), q.end());
    return at->second;
  }
};

}  // namespace

Status dequantize(const Cell& cell, const std::uint32_t* quantized, std::uint64_t n, const Transform& transform,
                  float* vertices) noexcept {
  if (cell.bits < 1 || cell.bits > 32) return {Code::kInvalidArgument, 0, 32, static_cast<std::uint64_t>(cell.bits)};
  const double most = most_of(cell.bits);
  const auto limit = static_cast<std::uint32_t>(most);
  const double* const t = transform.rows;
  std::uint32_t largest = 0;
  bool is_finite = true;
  for (std::uint64_t i = 0; i < n; ++i) {
    double p[3];
    for (unsigned axis = 0; axis < 3; ++axis) {
      const std::uint32_t q = quantized[3 * i + axis];
      largest = std::max(largest, q);
      p[axis] = cell.base[axis] + cell.extent[axis] * (cell.number[axis] + static_cast<double>(q) / most);
    }
    for (unsigned axis = 0; axis < 3; ++axis) {
      const double* const row = t + 4 * axis;
      const auto value = static_cast<float>(row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3]);
      is_finite &= std::isfinite(value);
      vertices[3 * i + axis] = value;
    }
  }
  if (largest > limit) {
    std::uint64_t i = 0;
    while (quantized[i] <= limit) ++i;
    return {Code::kBadValue, i, limit, quantized[i]};
  }
  if (!is_finite) {
    std::uint64_t i = 0;
    while (std::isfinite(vertices[i])) ++i;
    return {Code::kBadValue, i, 0, 0};
  }
  return {};
}

Status quantize(const Cell& cell, const float* vertices, std::uint64_t n, std::uint32_t* quantized) noexcept {
  if (cell.bits < 1 || cell.bits > 32) return {Code::kInvalidArgument, 0, 32, static_cast<std::uint64_t>(cell.bits)};
  for (const double extent : cell.extent) {
    if (!(extent > 0)) return {Code::kInvalidArgument, 0, 0, 0};
  }
  const double most = most_of(cell.bits);
  for (std::uint64_t i = 0; i < 3 * n; ++i) {
    const std::uint64_t axis = i % 3;
    if (!std::isfinite(vertices[i])) return {Code::kBadValue, i, 0, 0};
    const double place = (static_cast<double>(vertices[i]) - cell.base[axis]) / cell.extent[axis] - cell.number[axis];
    quantized[i] = static_cast<std::uint32_t>(std::clamp(std::nearbyint(place * most), 0.0, most));
  }
  return {};
}

Status cut_into_cells(const float* vertices, std::uint64_t num_vertices, const std::uint32_t* faces,
                      std::uint64_t num_faces, const CellGrid& grid, std::vector<CellMesh>& out) {
  out.clear();
  if (grid.bits < 1 || grid.bits > 21) return {Code::kInvalidArgument, 0, 21, static_cast<std::uint64_t>(grid.bits)};
  const std::uint32_t parts = grid.is_halved ? 2 : 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (!(grid.extent[axis] > 0) || !std::isfinite(grid.extent[axis]) || !std::isfinite(grid.base[axis]) ||
        grid.shape[axis] == 0 || grid.shape[axis] > (1U << 30U)) {
      return {Code::kInvalidArgument, axis, 0, 0};
    }
  }
  // Positions in units of what is between two planes.
  std::vector<Point> points(num_vertices);
  for (std::uint64_t i = 0; i < num_vertices; ++i) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const float value = vertices[3 * i + axis];
      if (!std::isfinite(value)) return {Code::kBadValue, i, 0, 0};
      points[i][axis] = (static_cast<double>(value) - grid.base[axis]) * parts / grid.extent[axis];
    }
  }
  const double most = most_of(grid.bits);
  std::unordered_map<std::array<std::uint32_t, 3>, OpenCell, CellHash> cells;
  const auto add = [&](const Polygon& polygon, const std::array<std::uint32_t, 3>& slab) {
    const std::array<std::uint32_t, 3> position{slab[0] / parts, slab[1] / parts, slab[2] / parts};
    OpenCell& cell = cells[position];
    std::vector<std::uint32_t> numbers;
    numbers.reserve(polygon.size());
    for (const Point& point : polygon) {
      std::array<std::uint32_t, 3> q{};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const double place = point[axis] / parts - position[axis];
        q[axis] = static_cast<std::uint32_t>(std::clamp(std::nearbyint(place * most), 0.0, most));
      }
      numbers.push_back(cell.add(q));
    }
    for (std::size_t i = 2; i < numbers.size(); ++i) {
      const std::array<std::uint32_t, 3> face{numbers[0], numbers[i - 1], numbers[i]};
      if (face[0] == face[1] || face[1] == face[2] || face[0] == face[2]) continue;
      cell.mesh.faces.insert(cell.mesh.faces.end(), face.begin(), face.end());
    }
  };
  Polygon triangle(3);
  for (std::uint64_t f = 0; f < num_faces; ++f) {
    for (std::size_t corner = 0; corner < 3; ++corner) {
      const std::uint32_t number = faces[3 * f + corner];
      if (number >= num_vertices) return {Code::kOffsetRange, f, num_vertices, number};
      triangle[corner] = points[number];
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const double last = static_cast<double>(grid.shape[axis]) * parts;
        if (triangle[corner][axis] < 0 || triangle[corner][axis] > last) return {Code::kOffsetRange, f, 0, 0};
      }
    }
    for_each_slab(triangle, 0, grid.shape[0] * parts, [&](const Polygon& x_part, std::uint32_t x) {
      for_each_slab(x_part, 1, grid.shape[1] * parts, [&](const Polygon& y_part, std::uint32_t y) {
        for_each_slab(y_part, 2, grid.shape[2] * parts,
                      [&](const Polygon& z_part, std::uint32_t z) { add(z_part, {x, y, z}); });
      });
    });
  }
  for (auto& [position, cell] : cells) {
    if (cell.mesh.faces.empty()) continue;
    cell.mesh.position = position;
    out.push_back(std::move(cell.mesh));
  }
  std::sort(out.begin(), out.end(),
            [](const CellMesh& a, const CellMesh& b) { return is_before_on_z_curve(a.position, b.position); });
  return {};
}

}  // namespace cvfast::mesh
