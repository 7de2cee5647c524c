// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/mesh/manifest.hpp"

#include <cmath>
#include <limits>

#include "cvfast/core/endian.hpp"

namespace cvfast::mesh {
namespace {

/// Reads three numbers; an extent is positive besides.
Status load_triple(const std::byte* bytes, std::uint64_t offset, bool is_extent, std::array<float, 3>& out) {
  for (std::size_t i = 0; i < 3; ++i) {
    out[i] = load_le<float>(bytes + offset + 4 * i);
    if (!std::isfinite(out[i]) || (is_extent && !(out[i] > 0))) return {Code::kBadValue, offset + 4 * i, 0, 0};
  }
  return {};
}

Status check(const Manifest& manifest) {
  for (std::size_t i = 0; i < 3; ++i) {
    if (!std::isfinite(manifest.chunk_shape[i]) || !(manifest.chunk_shape[i] > 0)) {
      return {Code::kBadValue, 4 * i, 0, 0};
    }
    if (!std::isfinite(manifest.grid_origin[i])) return {Code::kBadValue, 12 + 4 * i, 0, 0};
  }
  const std::uint64_t n = manifest.lods.size();
  if (n > kMostLods) return {Code::kTooLarge, 24, kMostLods, n};
  for (std::uint64_t lod = 0; lod < n; ++lod) {
    const ManifestLod& level = manifest.lods[lod];
    if (!std::isfinite(level.scale) || level.scale < 0) {
      return {Code::kBadValue, kManifestHeaderBytes + 4 * lod, 0, 0};
    }
    for (std::size_t i = 0; i < 3; ++i) {
      if (!std::isfinite(level.vertex_offset[i])) {
        return {Code::kBadValue, kManifestHeaderBytes + 4 * n + 12 * lod + 4 * i, 0, 0};
      }
    }
    if (level.fragments.size() > std::numeric_limits<std::uint32_t>::max()) {
      return {Code::kTooLarge, kManifestHeaderBytes + 16 * n + 4 * lod, std::numeric_limits<std::uint32_t>::max(),
              level.fragments.size()};
    }
  }
  return {};
}

}  // namespace

Status parse_manifest(std::span<const std::byte> bytes, std::uint64_t data_bytes, Manifest& out) {
  out = {};
  if (bytes.size() < kManifestHeaderBytes) return {Code::kTruncated, 0, kManifestHeaderBytes, bytes.size()};
  Status status = load_triple(bytes.data(), 0, true, out.chunk_shape);
  if (!status.ok()) return status;
  status = load_triple(bytes.data(), 12, false, out.grid_origin);
  if (!status.ok()) return status;
  const std::uint64_t n = load_le<std::uint32_t>(bytes.data() + 24);
  if (n > kMostLods) return {Code::kTooLarge, 24, kMostLods, n};
  const std::uint64_t header = kManifestHeaderBytes + kManifestLodBytes * n;
  if (bytes.size() < header) return {Code::kTruncated, 24, header, bytes.size()};
  // Both stay far below 64 bits: there are at most 64 counts of 32 bits.
  std::uint64_t length = header;
  for (std::uint64_t lod = 0; lod < n; ++lod) {
    length += kManifestFragmentBytes * load_le<std::uint32_t>(bytes.data() + kManifestHeaderBytes + 16 * n + 4 * lod);
  }
  if (bytes.size() < length) return {Code::kTruncated, kManifestHeaderBytes + 16 * n, length, bytes.size()};
  if (bytes.size() > length) return {Code::kTrailingBytes, length, length, bytes.size()};

  out.lods.resize(n);
  std::uint64_t at = header;
  std::uint64_t offset = 0;
  for (std::uint64_t lod = 0; lod < n; ++lod) {
    ManifestLod& level = out.lods[lod];
    const std::uint64_t scale_at = kManifestHeaderBytes + 4 * lod;
    level.scale = load_le<float>(bytes.data() + scale_at);
    if (!std::isfinite(level.scale) || level.scale < 0) return {Code::kBadValue, scale_at, 0, 0};
    status = load_triple(bytes.data(), kManifestHeaderBytes + 4 * n + 12 * lod, false, level.vertex_offset);
    if (!status.ok()) return status;
    const std::uint64_t count = load_le<std::uint32_t>(bytes.data() + kManifestHeaderBytes + 16 * n + 4 * lod);
    level.fragments.resize(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      ManifestFragment& fragment = level.fragments[i];
      for (std::uint64_t axis = 0; axis < 3; ++axis) {
        fragment.position[axis] = load_le<std::uint32_t>(bytes.data() + at + 4 * (axis * count + i));
      }
      fragment.offset = offset;
      fragment.size = load_le<std::uint32_t>(bytes.data() + at + 4 * (3 * count + i));
      offset += fragment.size;
      if (offset > data_bytes) return {Code::kOffsetRange, at + 4 * (3 * count + i), data_bytes, offset};
    }
    at += kManifestFragmentBytes * count;
  }
  return {};
}

Status encode_manifest(const Manifest& manifest, std::vector<std::byte>& out) {
  out.clear();
  const Status status = check(manifest);
  if (!status.ok()) return status;
  const std::uint64_t n = manifest.lods.size();
  std::uint64_t length = kManifestHeaderBytes + kManifestLodBytes * n;
  for (const ManifestLod& level : manifest.lods) length += kManifestFragmentBytes * level.fragments.size();
  out.resize(length);
  for (std::size_t i = 0; i < 3; ++i) {
    store_le(out.data() + 4 * i, manifest.chunk_shape[i]);
    store_le(out.data() + 12 + 4 * i, manifest.grid_origin[i]);
  }
  store_le(out.data() + 24, static_cast<std::uint32_t>(n));
  std::uint64_t at = kManifestHeaderBytes + kManifestLodBytes * n;
  for (std::uint64_t lod = 0; lod < n; ++lod) {
    const ManifestLod& level = manifest.lods[lod];
    const std::uint64_t count = level.fragments.size();
    store_le(out.data() + kManifestHeaderBytes + 4 * lod, level.scale);
    for (std::size_t i = 0; i < 3; ++i) {
      store_le(out.data() + kManifestHeaderBytes + 4 * n + 12 * lod + 4 * i, level.vertex_offset[i]);
    }
    store_le(out.data() + kManifestHeaderBytes + 16 * n + 4 * lod, static_cast<std::uint32_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        store_le(out.data() + at + 4 * (axis * count + i), level.fragments[i].position[axis]);
      }
      store_le(out.data() + at + 4 * (3 * count + i), level.fragments[i].size);
    }
    at += kManifestFragmentBytes * count;
  }
  return {};
}

bool is_before_on_z_curve(const std::array<std::uint32_t, 3>& a, const std::array<std::uint32_t, 3>& b) noexcept {
  std::size_t axis = 2;
  for (const std::size_t other : {std::size_t{1}, std::size_t{0}}) {
    const std::uint32_t most = a[axis] ^ b[axis];
    const std::uint32_t differs = a[other] ^ b[other];
    // Whether the highest bit of `differs` is above that of `most`.
    if (most < differs && most < (most ^ differs)) axis = other;
  }
  return a[axis] < b[axis];
}

}  // namespace cvfast::mesh
