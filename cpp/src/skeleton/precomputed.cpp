// SPDX-License-Identifier: BSD-3-Clause
//
// A skeleton is copied array by array; vertices are transformed and edges checked on the way, while they are in the
// processor's caches.  What a batch of small skeletons costs is the allocation of their arrays, not this.
#include "cvfast/skeleton/precomputed.hpp"

#include <algorithm>
#include <cstring>

#include "cvfast/core/endian.hpp"

namespace cvfast::skeleton {
namespace {

constexpr std::size_t kHeaderBytes = 8;

std::uint64_t bytes_of(const AttributeFormat& format, std::uint32_t num_vertices) noexcept {
  return std::uint64_t{format.item_bytes} * format.num_components * num_vertices;  // below 2^56
}

bool is_sane(std::span<const AttributeFormat> formats) noexcept {
  return std::ranges::all_of(formats, [](const AttributeFormat& f) {
    return f.item_bytes >= 1 && f.item_bytes <= 16 && f.num_components >= 1 && f.num_components <= kMaxComponents;
  });
}

void copy(std::byte* to, const void* from, std::size_t n) noexcept {
  if (n > 0) std::memcpy(to, from, n);  // neither pointer may be null otherwise
}

// Both sides are packed, and may be unaligned.
void copy_vertices(std::byte* to, const std::byte* from, std::uint32_t n, const Affine* transform) noexcept {
  if (transform == nullptr) return copy(to, from, std::size_t{12} * n);
  const Affine& m = *transform;
  for (std::uint32_t i = 0; i < n; ++i, from += 12, to += 12) {
    const double x = load_le<float>(from);
    const double y = load_le<float>(from + 4);
    const double z = load_le<float>(from + 8);
    for (std::size_t row = 0; row < 3; ++row) {
      const double* const r = m.data() + 4 * row;
      store_le(to + 4 * row, static_cast<float>(r[0] * x + r[1] * y + r[2] * z + r[3]));
    }
  }
}

// The greatest of many numbers is found without a branch for each; only where it is too great is its place looked for.
Status check_edges(const std::byte* edges, std::uint32_t num_edges, std::uint32_t num_vertices,
                   std::uint64_t offset) noexcept {
  const std::uint64_t n = std::uint64_t{2} * num_edges;
  std::uint32_t greatest = 0;
  for (std::uint64_t i = 0; i < n; ++i) greatest = std::max(greatest, load_le<std::uint32_t>(edges + 4 * i));
  if (n == 0 || greatest < num_vertices) return {};
  for (std::uint64_t i = 0;; ++i) {
    const auto vertex = load_le<std::uint32_t>(edges + 4 * i);
    if (vertex >= num_vertices) return {Code::kBadValue, offset + 4 * i, num_vertices, vertex};
  }
}

}  // namespace

Status measure(std::span<const std::byte> data, std::span<const AttributeFormat> attributes, Extents& out) noexcept {
  out = {};
  if (!is_sane(attributes)) return {Code::kInvalidArgument};
  if (data.size() < kHeaderBytes) return {Code::kTruncated, 0, kHeaderBytes, data.size()};
  Extents found;
  found.num_vertices = load_le<std::uint32_t>(data.data());
  found.num_edges = load_le<std::uint32_t>(data.data() + 4);
  const std::uint64_t least = found.attributes_offset();
  if (data.size() < least) return {Code::kTruncated, kHeaderBytes, least, data.size()};
  std::uint64_t offset = least;
  for (const AttributeFormat& format : attributes) {
    const std::uint64_t bytes = bytes_of(format, found.num_vertices);
    const std::uint64_t left = data.size() - offset;
    if (left == 0 && bytes > 0) break;
    if (left < bytes) return {Code::kTruncated, offset, bytes, left};
    offset += bytes;
    ++found.num_attributes;
  }
  out = found;
  return {};
}

Status decode(std::span<const std::byte> data, std::span<const AttributeFormat> formats, const Extents& extents,
              const Affine* transform, float* vertices, std::uint32_t* edges,
              std::span<std::byte* const> attributes) noexcept {
  const std::byte* const stored_edges = data.data() + extents.edges_offset();
  const Status status = check_edges(stored_edges, extents.num_edges, extents.num_vertices, extents.edges_offset());
  if (!status.ok()) return status;
  copy_vertices(reinterpret_cast<std::byte*>(vertices), data.data() + extents.vertices_offset(), extents.num_vertices,
                transform);
  copy(reinterpret_cast<std::byte*>(edges), stored_edges, std::size_t{8} * extents.num_edges);
  std::size_t offset = extents.attributes_offset();
  for (std::size_t i = 0; i < extents.num_attributes; ++i) {
    const std::size_t bytes = bytes_of(formats[i], extents.num_vertices);
    copy(attributes[i], data.data() + offset, bytes);
    offset += bytes;
  }
  return {};
}

Status encoded_size(std::uint32_t num_vertices, std::uint32_t num_edges, std::span<const AttributeFormat> attributes,
                    std::size_t& out) noexcept {
  out = 0;
  if (!is_sane(attributes)) return {Code::kInvalidArgument};
  constexpr std::uint64_t kLimit = PTRDIFF_MAX;
  std::uint64_t size = kHeaderBytes + std::uint64_t{12} * num_vertices + std::uint64_t{8} * num_edges;
  for (const AttributeFormat& format : attributes) {
    const std::uint64_t bytes = bytes_of(format, num_vertices);
    if (bytes > kLimit - size) return {Code::kOverflow, 0, kLimit, 0};
    size += bytes;
  }
  out = static_cast<std::size_t>(size);
  return {};
}

Status encode(std::uint32_t num_vertices, std::uint32_t num_edges, const float* vertices, const std::uint32_t* edges,
              std::span<const AttributeFormat> formats, std::span<const std::byte* const> attributes,
              const Affine* transform, std::byte* out) noexcept {
  const Extents extents{num_vertices, num_edges, formats.size()};
  const auto* const edge_bytes = reinterpret_cast<const std::byte*>(edges);
  const Status status = check_edges(edge_bytes, num_edges, num_vertices, extents.edges_offset());
  if (!status.ok()) return status;
  store_le(out, num_vertices);
  store_le(out + 4, num_edges);
  copy_vertices(out + extents.vertices_offset(), reinterpret_cast<const std::byte*>(vertices), num_vertices, transform);
  copy(out + extents.edges_offset(), edge_bytes, std::size_t{8} * num_edges);
  std::byte* to = out + extents.attributes_offset();
  for (std::size_t i = 0; i < formats.size(); ++i) {
    const std::size_t bytes = bytes_of(formats[i], num_vertices);
    copy(to, attributes[i], bytes);
    to += bytes;
  }
  return {};
}

}  // namespace cvfast::skeleton
