// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/status.hpp"

/// Manifests of multi-resolution meshes (Neuroglancer, mesh.rst, "multi-resolution mesh manifest file format").
namespace cvfast::mesh {

/// Bytes of the fixed part, of what each level of detail adds to it, and of what each fragment adds.
inline constexpr std::uint64_t kManifestHeaderBytes = 28;
inline constexpr std::uint64_t kManifestLodBytes = 20;
inline constexpr std::uint64_t kManifestFragmentBytes = 16;

/// Levels are finer than 2^64 of one another nowhere: more would be a damaged count.
inline constexpr std::uint32_t kMostLods = 64;

/// One fragment: its cell, in units of the cells of its level, and where its bytes are.
struct ManifestFragment {
  std::array<std::uint32_t, 3> position{};
  std::uint64_t offset = 0;  ///< from the first byte of the first fragment of all levels
  std::uint32_t size = 0;

  [[nodiscard]] bool operator==(const ManifestFragment&) const noexcept = default;
};

/// One level of detail, 0 being the finest.
struct ManifestLod {
  float scale = 0;
  std::array<float, 3> vertex_offset{};
  std::vector<ManifestFragment> fragments;

  [[nodiscard]] bool operator==(const ManifestLod&) const noexcept = default;
};

struct Manifest {
  std::array<float, 3> chunk_shape{};
  std::array<float, 3> grid_origin{};
  std::vector<ManifestLod> lods;

  [[nodiscard]] bool operator==(const Manifest&) const noexcept = default;
};

/// Reads a manifest.
/// @param data_bytes how many bytes all fragments may have, UINT64_MAX where that is not known.
/// @return kTruncated or kTrailingBytes (expected and found are lengths in bytes), kTooLarge (levels), kBadValue (a
/// number that is not finite, an extent or a scale that is negative, an extent of 0), kOffsetRange (a fragment ends
/// behind data_bytes); the offset is that of the field.
/// @throws std::bad_alloc
Status parse_manifest(std::span<const std::byte> bytes, std::uint64_t data_bytes, Manifest& out);

/// Writes a manifest; positions and sizes are written in the order given, offsets follow from sizes.
/// @return kTooLarge (levels, or fragments of one), kBadValue as `parse_manifest`.
/// @throws std::bad_alloc
Status encode_manifest(const Manifest& manifest, std::vector<std::byte>& out);

/// Whether a cell comes before another one on the Z curve: that of the axis in which they differ most significantly
/// decides, z before y before x where several do at the same bit.
[[nodiscard]] bool is_before_on_z_curve(const std::array<std::uint32_t, 3>& a,
                                        const std::array<std::uint32_t, 3>& b) noexcept;

}  // namespace cvfast::mesh
