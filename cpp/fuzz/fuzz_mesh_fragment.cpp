// SPDX-License-Identifier: BSD-3-Clause
//
// A byte that chooses a cut, then two fragments of a single-resolution mesh, one behind the other: read, stitched and
// merged against their twins; what is accepted is written and read once more.
#include <algorithm>

#include "cvfast/mesh/deduplicate.hpp"
#include "cvfast/mesh/fragment.hpp"
#include "fuzz_input.hpp"
#include "mesh.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  using namespace cvfast;
  using fuzz::require;
  if (size < 1 || size > 4096) return 0;
  const std::size_t cut = std::min<std::size_t>(4 * std::size_t{input[0]}, size - 1);
  const auto* const begin = reinterpret_cast<const std::byte*>(input + 1);
  const std::vector<std::byte> parts[2] = {{begin, begin + cut}, {begin + cut, begin + size - 1}};
  const std::vector<std::span<const std::byte>> fragments(parts, parts + 2);

  mesh::StitchPlan plan;
  mesh::FragmentStatus outcome = mesh::plan_stitch(fragments, plan);
  std::vector<float> vertices;
  std::vector<std::uint32_t> faces;
  if (outcome.status.ok()) {
    vertices.resize(3 * plan.total.num_vertices);
    faces.resize(3 * plan.total.num_faces);
    outcome = mesh::stitch(fragments, plan, {}, mesh::serially, vertices.data(), faces.data());
  }
  const auto first = reference::decode_fragment(parts[0]);
  const auto second = reference::decode_fragment(parts[1]);
  require(outcome.status.ok() == (first.has_value() && second.has_value()));
  if (!outcome.status.ok()) {
    require(outcome.fragment < 2 && outcome.status.offset <= parts[outcome.fragment].size());
    return 0;
  }
  reference::Mesh expected = *first;
  const auto shift = static_cast<std::uint32_t>(expected.vertices.size());
  expected.vertices.insert(expected.vertices.end(), second->vertices.begin(), second->vertices.end());
  for (const reference::Face& face : second->faces) {
    expected.faces.push_back({face[0] + shift, face[1] + shift, face[2] + shift});
  }
  require(3 * expected.vertices.size() == vertices.size() && 3 * expected.faces.size() == faces.size());
  for (std::size_t i = 0; i < vertices.size(); ++i) require(vertices[i] == expected.vertices[i / 3][i % 3]);
  for (std::size_t i = 0; i < faces.size(); ++i) require(faces[i] == expected.faces[i / 3][i % 3]);

  const mesh::TrianglesView view{vertices.data(), vertices.size() / 3, faces.data(), faces.size() / 3};
  const auto is_same = [](const mesh::Triangles& found, const reference::Mesh& wanted) {
    require(found.vertices.size() == 3 * wanted.vertices.size() && found.faces.size() == 3 * wanted.faces.size());
    for (std::size_t i = 0; i < found.vertices.size(); ++i) {
      require(found.vertices.data()[i] == wanted.vertices[i / 3][i % 3]);
    }
    for (std::size_t i = 0; i < found.faces.size(); ++i) require(found.faces.data()[i] == wanted.faces[i / 3][i % 3]);
  };
  mesh::Triangles found;
  require(mesh::consolidate(view, mesh::serially, found).ok());
  is_same(found, reference::consolidate(expected));
  std::vector<std::uint8_t> marks(view.num_vertices);
  for (std::size_t i = 0; i < marks.size(); ++i) marks[i] = static_cast<std::uint8_t>(input[i % size] & 1U);
  require(mesh::merge_marked_pairs(view, marks.data(), mesh::serially, found).ok());
  is_same(found, reference::merge_marked_pairs(expected, marks));

  std::vector<std::byte> written(4 + 4 * (vertices.size() + faces.size()));
  require(mesh::encode_fragment(plan.total, vertices.data(), faces.data(), written.data()).ok());
  require(reference::decode_fragment(written).has_value());
  return 0;
}
