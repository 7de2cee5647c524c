// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/mesh/fragment.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "cvfast/core/endian.hpp"

namespace cvfast::mesh {
namespace {

constexpr std::uint64_t kCountBytes = 4;
constexpr std::uint64_t kRowBytes = 12;
constexpr std::uint64_t kMostVertices = std::uint64_t{1} << 32;

/// No loop over values leaves early: the compiler turns both into vector code, and a bad value is looked for once it is
/// known that there is one.
bool all_finite(const float* values, std::uint64_t n) noexcept {
  constexpr std::uint32_t kExponent = 0x7f800000U;
  std::uint32_t bad = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof(bits));
    bad |= static_cast<std::uint32_t>((bits & kExponent) == kExponent);
  }
  return bad == 0;
}

std::uint64_t first_not_finite(const float* values, std::uint64_t n) noexcept {
  std::uint64_t i = 0;
  while (i < n && std::isfinite(values[i])) ++i;
  return i;
}

void apply(const Transform& transform, std::uint64_t n, float* vertices) noexcept {
  const double* const t = transform.rows;
  for (std::uint64_t i = 0; i < n; ++i) {
    float* const v = vertices + 3 * i;
    const double x = v[0];
    const double y = v[1];
    const double z = v[2];
    v[0] = static_cast<float>(t[0] * x + t[1] * y + t[2] * z + t[3]);
    v[1] = static_cast<float>(t[4] * x + t[5] * y + t[6] * z + t[7]);
    v[2] = static_cast<float>(t[8] * x + t[9] * y + t[10] * z + t[11]);
  }
}

Status bad_vertex_number(const std::byte* stored, std::uint64_t offset, std::uint64_t n, std::uint64_t num_vertices) {
  std::uint64_t i = 0;
  while (i < n && load_le<std::uint32_t>(stored + 4 * i) < num_vertices) ++i;
  const std::uint64_t found = i < n ? load_le<std::uint32_t>(stored + 4 * i) : 0;
  return {Code::kOffsetRange, offset + 4 * i, num_vertices, found};
}

}  // namespace

bool Transform::is_identity() const noexcept {
  const Transform identity;
  return std::equal(std::begin(rows), std::end(rows), std::begin(identity.rows));
}

Status parse_fragment(std::span<const std::byte> bytes, FragmentShape& out) noexcept {
  if (bytes.size() < kCountBytes) return {Code::kTruncated, 0, kCountBytes, bytes.size()};
  const std::uint64_t num_vertices = load_le<std::uint32_t>(bytes.data());
  const std::uint64_t faces_at = kCountBytes + kRowBytes * num_vertices;
  if (bytes.size() < faces_at) return {Code::kTruncated, 0, faces_at, bytes.size()};
  const std::uint64_t rest = bytes.size() - faces_at;
  if (rest % kRowBytes != 0) {
    const std::uint64_t whole = bytes.size() - rest % kRowBytes;
    return {Code::kTrailingBytes, whole, whole, bytes.size()};
  }
  out = {num_vertices, rest / kRowBytes};
  return {};
}

Status decode_fragment(std::span<const std::byte> bytes, const FragmentShape& shape, std::uint64_t first_vertex,
                       const Transform& transform, float* vertices, std::uint32_t* faces) noexcept {
  const std::uint64_t num_values = 3 * shape.num_vertices;
  const std::uint64_t num_numbers = 3 * shape.num_faces;
  if (num_values > 0) std::memcpy(vertices, bytes.data() + kCountBytes, 4 * num_values);
  if (!all_finite(vertices, num_values)) {
    return {Code::kBadValue, kCountBytes + 4 * first_not_finite(vertices, num_values), 0, 0};
  }
  if (!transform.is_identity()) {
    apply(transform, shape.num_vertices, vertices);
    if (!all_finite(vertices, num_values)) {
      return {Code::kBadValue, kCountBytes + 4 * first_not_finite(vertices, num_values), 0, 0};
    }
  }
  if (num_numbers == 0) return {};
  const std::uint64_t faces_at = kCountBytes + 4 * num_values;
  const std::byte* const stored = bytes.data() + faces_at;
  if (first_vertex + shape.num_vertices > kMostVertices) {
    return {Code::kOverflow, faces_at, kMostVertices, first_vertex + shape.num_vertices};
  }
  const auto shift = static_cast<std::uint32_t>(first_vertex);
  std::uint32_t largest = 0;
  for (std::uint64_t i = 0; i < num_numbers; ++i) {
    const auto number = load_le<std::uint32_t>(stored + 4 * i);
    largest = std::max(largest, number);
    faces[i] = number + shift;
  }
  if (largest >= shape.num_vertices) return bad_vertex_number(stored, faces_at, num_numbers, shape.num_vertices);
  return {};
}

FragmentStatus place_fragments(StitchPlan& plan) {
  plan.begins.resize(plan.shapes.size());
  plan.total = {};
  for (std::size_t i = 0; i < plan.shapes.size(); ++i) {
    plan.begins[i] = plan.total;
    // Each is bounded by the bytes of its fragment, so that the sums stay far from 64 bits.
    plan.total.num_vertices += plan.shapes[i].num_vertices;
    plan.total.num_faces += plan.shapes[i].num_faces;
    if (plan.total.num_vertices > kMostVertices) {
      return {{Code::kOverflow, 0, kMostVertices, plan.total.num_vertices}, i};
    }
  }
  return {};
}

FragmentStatus plan_stitch(std::span<const std::span<const std::byte>> fragments, StitchPlan& out) {
  out = {};
  out.shapes.resize(fragments.size());
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const Status status = parse_fragment(fragments[i], out.shapes[i]);
    if (!status.ok()) return {status, i};
  }
  return place_fragments(out);
}

FragmentStatus stitch(std::span<const std::span<const std::byte>> fragments, const StitchPlan& plan,
                      const Transform& transform, const Parallel& parallel, float* vertices, std::uint32_t* faces) {
  std::vector<Status> statuses(fragments.size());
  parallel(fragments.size(), [&](std::size_t i) {
    statuses[i] = decode_fragment(fragments[i], plan.shapes[i], plan.begins[i].num_vertices, transform,
                                  vertices + 3 * plan.begins[i].num_vertices, faces + 3 * plan.begins[i].num_faces);
    return statuses[i].ok();
  });
  // Not the first that was noticed, which depends on threads, but the first of those that were.
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    if (!statuses[i].ok()) return {statuses[i], i};
  }
  return {};
}

Status encode_fragment(const FragmentShape& shape, const float* vertices, const std::uint32_t* faces,
                       std::byte* out) noexcept {
  if (shape.num_vertices >= kMostVertices) return {Code::kOverflow, 0, kMostVertices - 1, shape.num_vertices};
  const std::uint64_t num_values = 3 * shape.num_vertices;
  const std::uint64_t num_numbers = 3 * shape.num_faces;
  if (!all_finite(vertices, num_values)) {
    return {Code::kBadValue, kCountBytes + 4 * first_not_finite(vertices, num_values), 0, 0};
  }
  store_le(out, static_cast<std::uint32_t>(shape.num_vertices));
  if (num_values > 0) std::memcpy(out + kCountBytes, vertices, 4 * num_values);
  const std::uint64_t faces_at = kCountBytes + 4 * num_values;
  if (num_numbers == 0) return {};
  std::memcpy(out + faces_at, faces, 4 * num_numbers);
  if (*std::max_element(faces, faces + num_numbers) >= shape.num_vertices) {
    return bad_vertex_number(out + faces_at, faces_at, num_numbers, shape.num_vertices);
  }
  return {};
}

Status transform_vertices(const Transform& transform, std::uint64_t n, float* vertices) noexcept {
  if (!all_finite(vertices, 3 * n)) return {Code::kBadValue, first_not_finite(vertices, 3 * n) / 3, 0, 0};
  if (transform.is_identity()) return {};
  apply(transform, n, vertices);
  if (!all_finite(vertices, 3 * n)) return {Code::kBadValue, first_not_finite(vertices, 3 * n) / 3, 0, 0};
  return {};
}

}  // namespace cvfast::mesh
