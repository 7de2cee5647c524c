// SPDX-License-Identifier: BSD-3-Clause
#include "mesh.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace cvfast::reference {
namespace {

/// Takes numbers from the front of bytes.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  [[nodiscard]] std::optional<std::uint32_t> word() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < 4; ++i) out |= static_cast<std::uint32_t>(rest_[i]) << (8 * i);
    rest_ = rest_.subspan(4);
    return out;
  }
  [[nodiscard]] std::optional<float> real() {
    const auto bits = word();
    if (!bits || !std::isfinite(std::bit_cast<float>(*bits))) return std::nullopt;
    return std::bit_cast<float>(*bits);
  }

 private:
  std::span<const std::byte> rest_;
};

Vertex positive_zeros(Vertex vertex) {
  for (float& value : vertex) value += 0.0F;
  return vertex;
}

}  // namespace

std::optional<Mesh> decode_fragment(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  const auto count = reader.word();
  if (!count || reader.left() / 12 < *count) return std::nullopt;
  Mesh out;
  for (std::uint32_t i = 0; i < *count; ++i) {
    Vertex vertex{};
    for (float& value : vertex) {
      const auto read = reader.real();
      if (!read) return std::nullopt;
      value = *read;
    }
    out.vertices.push_back(vertex);
  }
  if (reader.left() % 12 != 0) return std::nullopt;
  while (reader.left() > 0) {
    Face face{};
    for (std::uint32_t& number : face) {
      number = *reader.word();
      if (number >= *count) return std::nullopt;
    }
    out.faces.push_back(face);
  }
  return out;
}

Mesh consolidate(const Mesh& mesh) {
  std::map<Vertex, std::uint32_t> numbers;
  for (const Vertex& vertex : mesh.vertices) numbers[positive_zeros(vertex)] = 0;
  Mesh out;
  for (auto& [vertex, number] : numbers) {
    number = static_cast<std::uint32_t>(out.vertices.size());
    out.vertices.push_back(vertex);
  }
  std::set<Face> faces;
  for (const Face& face : mesh.faces) {
    Face renumbered{};
    for (std::size_t i = 0; i < 3; ++i) renumbered[i] = numbers[positive_zeros(mesh.vertices[face[i]])];
    faces.insert(renumbered);
  }
  out.faces.assign(faces.begin(), faces.end());
  return out;
}

Mesh merge_marked_pairs(const Mesh& mesh, const std::vector<std::uint8_t>& is_marked) {
  const std::size_t n = mesh.vertices.size();
  std::vector<bool> is_used(n);
  for (const Face& face : mesh.faces) {
    for (const std::uint32_t number : face) is_used[number] = true;
  }
  // Position, whether it stays apart, and its number: 0 for what is merged.
  using Key = std::tuple<Vertex, bool, std::uint32_t>;
  std::vector<Key> keys(n);
  std::map<Key, std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (!is_used[i]) continue;
    int same = 0;
    for (std::uint32_t j = 0; j < n; ++j) same += is_used[j] && mesh.vertices[i] == mesh.vertices[j] ? 1 : 0;
    const bool is_merged = is_marked[i] != 0 && same == 2;
    keys[i] = {positive_zeros(mesh.vertices[i]), !is_merged, is_merged ? 0 : i};
    numbers[keys[i]] = 0;
  }
  Mesh out;
  for (auto& [key, number] : numbers) {
    number = static_cast<std::uint32_t>(out.vertices.size());
    out.vertices.push_back(std::get<0>(key));
  }
  for (const Face& face : mesh.faces) {
    out.faces.push_back({numbers[keys[face[0]]], numbers[keys[face[1]]], numbers[keys[face[2]]]});
  }
  return out;
}

std::optional<mesh::Manifest> parse_manifest(std::span<const std::byte> bytes, std::uint64_t data_bytes) {
  Reader reader(bytes);
  mesh::Manifest out;
  for (float& value : out.chunk_shape) {
    const auto read = reader.real();
    if (!read || *read <= 0) return std::nullopt;
    value = *read;
  }
  for (float& value : out.grid_origin) {
    const auto read = reader.real();
    if (!read) return std::nullopt;
    value = *read;
  }
  const auto lods = reader.word();
  if (!lods || *lods > 64) return std::nullopt;
  out.lods.resize(*lods);
  for (mesh::ManifestLod& lod : out.lods) {
    const auto read = reader.real();
    if (!read || *read < 0) return std::nullopt;
    lod.scale = *read;
  }
  for (mesh::ManifestLod& lod : out.lods) {
    for (float& value : lod.vertex_offset) {
      const auto read = reader.real();
      if (!read) return std::nullopt;
      value = *read;
    }
  }
  std::vector<std::uint32_t> counts;
  for (std::uint32_t i = 0; i < *lods; ++i) {
    const auto count = reader.word();
    if (!count) return std::nullopt;
    counts.push_back(*count);
  }
  std::uint64_t offset = 0;
  for (std::uint32_t i = 0; i < *lods; ++i) {
    if (reader.left() / 16 < counts[i]) return std::nullopt;
    out.lods[i].fragments.resize(counts[i]);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      for (mesh::ManifestFragment& fragment : out.lods[i].fragments) fragment.position[axis] = *reader.word();
    }
    for (mesh::ManifestFragment& fragment : out.lods[i].fragments) {
      fragment.size = *reader.word();
      fragment.offset = offset;
      offset += fragment.size;
      if (offset > data_bytes) return std::nullopt;
    }
  }
  if (reader.left() > 0) return std::nullopt;
  return out;
}

bool is_before_on_z_curve(const std::array<std::uint32_t, 3>& a, const std::array<std::uint32_t, 3>& b) {
  for (int bit = 31; bit >= 0; --bit) {
    for (int axis = 2; axis >= 0; --axis) {
      const auto at = static_cast<std::size_t>(axis);
      const std::uint32_t x = a[at] >> static_cast<unsigned>(bit) & 1U;
      const std::uint32_t y = b[at] >> static_cast<unsigned>(bit) & 1U;
      if (x != y) return x < y;
    }
  }
  return false;
}

}  // namespace cvfast::reference
