// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cvfast/mesh/manifest.hpp"

/// Slow twins of what reads and merges meshes.
namespace cvfast::reference {

using Vertex = std::array<float, 3>;
using Face = std::array<std::uint32_t, 3>;

struct Mesh {
  std::vector<Vertex> vertices;
  std::vector<Face> faces;

  [[nodiscard]] bool operator==(const Mesh&) const = default;
};

/// Nothing where the bytes are not a single-resolution fragment; read a number at a time.
[[nodiscard]] std::optional<Mesh> decode_fragment(std::span<const std::byte> bytes);

/// Sets of rows.
[[nodiscard]] Mesh consolidate(const Mesh& mesh);

/// Every vertex is compared with every other one.
[[nodiscard]] Mesh merge_marked_pairs(const Mesh& mesh, const std::vector<std::uint8_t>& is_marked);

/// Nothing where the bytes are not a multi-resolution manifest whose fragments have at most data_bytes.
[[nodiscard]] std::optional<mesh::Manifest> parse_manifest(std::span<const std::byte> bytes, std::uint64_t data_bytes);

/// Bits of z, y, x in turns, from the most significant on.
[[nodiscard]] bool is_before_on_z_curve(const std::array<std::uint32_t, 3>& a, const std::array<std::uint32_t, 3>& b);

}  // namespace cvfast::reference
