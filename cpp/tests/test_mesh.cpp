// SPDX-License-Identifier: BSD-3-Clause
#include "mesh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cvfast/core/endian.hpp"
#include "cvfast/mesh/deduplicate.hpp"
#include "cvfast/mesh/fragment.hpp"
#include "cvfast/mesh/manifest.hpp"
#include "cvfast/mesh/quantize.hpp"
#include "cvfast/runtime/thread_pool.hpp"
#include "random_input.hpp"

namespace cvfast::mesh {
namespace {

using Bytes = std::vector<std::byte>;

void expect_status(const Status& status, Code code, std::uint64_t offset, std::uint64_t expected, std::uint64_t found) {
  EXPECT_EQ(status.code, code);
  EXPECT_EQ(status.offset, offset);
  EXPECT_EQ(status.expected, expected);
  EXPECT_EQ(status.found, found);
}

reference::Mesh random_mesh(testing::Random& random, std::int64_t most) {
  reference::Mesh out;
  out.vertices.resize(static_cast<std::size_t>(random.between(1, most)));
  for (reference::Vertex& vertex : out.vertices) {
    for (float& value : vertex) value = static_cast<float>(random.between(-3, 3)) / 2;
    if (random.one_in(8)) vertex[0] = -0.0F;
  }
  out.faces.resize(static_cast<std::size_t>(random.between(0, 2 * most)));
  for (reference::Face& face : out.faces) {
    for (std::uint32_t& number : face) number = static_cast<std::uint32_t>(random.bits() % out.vertices.size());
  }
  return out;
}

Bytes encoded(const reference::Mesh& mesh) {
  Bytes out(4 + 12 * (mesh.vertices.size() + mesh.faces.size()));
  const FragmentShape shape{mesh.vertices.size(), mesh.faces.size()};
  EXPECT_TRUE(encode_fragment(shape, mesh.vertices.empty() ? nullptr : mesh.vertices[0].data(),
                              mesh.faces.empty() ? nullptr : mesh.faces[0].data(), out.data())
                  .ok());
  return out;
}

TrianglesView view_of(const reference::Mesh& mesh) {
  return {mesh.vertices.empty() ? nullptr : mesh.vertices[0].data(), mesh.vertices.size(),
          mesh.faces.empty() ? nullptr : mesh.faces[0].data(), mesh.faces.size()};
}

reference::Mesh mesh_of(const float* vertices, std::uint64_t num_vertices, const std::uint32_t* faces,
                        std::uint64_t num_faces) {
  reference::Mesh out;
  for (std::uint64_t i = 0; i < num_vertices; ++i) {
    out.vertices.push_back({vertices[3 * i], vertices[3 * i + 1], vertices[3 * i + 2]});
  }
  for (std::uint64_t i = 0; i < num_faces; ++i) {
    out.faces.push_back({faces[3 * i], faces[3 * i + 1], faces[3 * i + 2]});
  }
  return out;
}

reference::Mesh mesh_of(const Triangles& mesh) {
  return mesh_of(mesh.vertices.data(), mesh.vertices.size() / 3, mesh.faces.data(), mesh.faces.size() / 3);
}

Status decode(const Bytes& bytes, reference::Mesh& out) {
  FragmentShape shape;
  Status status = parse_fragment(bytes, shape);
  if (!status.ok()) return status;
  std::vector<float> vertices(3 * shape.num_vertices);
  std::vector<std::uint32_t> faces(3 * shape.num_faces);
  status = decode_fragment(bytes, shape, 0, {}, vertices.data(), faces.data());
  if (status.ok()) out = mesh_of(vertices.data(), shape.num_vertices, faces.data(), shape.num_faces);
  return status;
}

/// Runs on the pool.
bool on_threads(std::size_t n, const std::function<bool(std::size_t)>& task) {
  return runtime::parallel_for(n, 4, task, [] { return true; });
}

TEST(MeshFragment, IsReadAsItWasWrittenAndAsItsTwinReadsIt) {
  testing::Random random(31);
  for (int round = 0; round < 300; ++round) {
    const reference::Mesh written = random_mesh(random, 20);
    const Bytes bytes = encoded(written);
    reference::Mesh read;
    ASSERT_TRUE(decode(bytes, read).ok());
    EXPECT_EQ(read, written);
    EXPECT_EQ(reference::decode_fragment(bytes), written);
  }
}

TEST(MeshFragment, RejectsEveryTruncation) {
  testing::Random random(32);
  const reference::Mesh written = random_mesh(random, 9);
  const Bytes whole = encoded(written);
  const std::size_t faces_at = 4 + 12 * written.vertices.size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    reference::Mesh read;
    const Status status = decode(part, read);
    EXPECT_EQ(status.ok(), reference::decode_fragment(part).has_value());
    if (size < 4) {
      expect_status(status, Code::kTruncated, 0, 4, size);
    } else if (size < faces_at) {
      expect_status(status, Code::kTruncated, 0, faces_at, size);
    } else if (const std::size_t rest = (size - faces_at) % 12; rest != 0) {
      expect_status(status, Code::kTrailingBytes, size - rest, size - rest, size);
    } else {
      EXPECT_TRUE(status.ok());
    }
  }
}

TEST(MeshFragment, RejectsHostileCounts) {
  Bytes bytes(76);
  FragmentShape shape;
  for (const std::uint32_t count : {7U, 1U << 31U, 0xffffffffU, 0xaaaaaaabU}) {
    store_le(bytes.data(), count);
    expect_status(parse_fragment(bytes, shape), Code::kTruncated, 0, 4 + 12 * std::uint64_t{count}, 76);
  }
}

TEST(MeshFragment, RejectsWhatIsNotFiniteAndVerticesThatAreNotThere) {
  const reference::Mesh good{{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}}, {{0, 1, 2}, {2, 1, 0}}};
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    Bytes bytes = encoded(good);
    store_le(bytes.data() + 20, bad);
    reference::Mesh read;
    expect_status(decode(bytes, read), Code::kBadValue, 20, 0, 0);
    EXPECT_FALSE(reference::decode_fragment(bytes).has_value());
  }
  Bytes bytes = encoded(good);
  store_le(bytes.data() + 40 + 16, std::uint32_t{3});
  reference::Mesh read;
  expect_status(decode(bytes, read), Code::kOffsetRange, 56, 3, 3);

  std::vector<std::byte> out(100);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float vertices[] = {0, 0, 0, 0, nan, 0};
  const std::uint32_t faces[] = {0, 1, 2};
  expect_status(encode_fragment({2, 0}, vertices, faces, out.data()), Code::kBadValue, 20, 0, 0);
  expect_status(encode_fragment({1, 1}, vertices, faces, out.data()), Code::kOffsetRange, 20, 1, 1);
  expect_status(encode_fragment({std::uint64_t{1} << 32U, 0}, vertices, faces, out.data()), Code::kOverflow, 0,
                0xffffffffU, std::uint64_t{1} << 32U);
}

TEST(MeshFragment, IsMovedAndShifted) {
  const reference::Mesh given{{{1, 2, 3}}, {{0, 0, 0}}};
  const Bytes bytes = encoded(given);
  Transform transform;
  const double rows[] = {2, 0, 0, 1, 0, 3, 1, 0, 0, 0, 4, -1};
  std::copy(std::begin(rows), std::end(rows), std::begin(transform.rows));
  EXPECT_FALSE(transform.is_identity());
  float vertices[3];
  std::uint32_t faces[3];
  ASSERT_TRUE(decode_fragment(bytes, {1, 1}, 0xfffffff0U, transform, vertices, faces).ok());
  EXPECT_EQ(mesh_of(vertices, 1, faces, 1), (reference::Mesh{{{3, 9, 11}}, {{0xfffffff0U, 0xfffffff0U, 0xfffffff0U}}}));
  EXPECT_TRUE(decode_fragment(bytes, {1, 1}, 0xffffffffU, transform, vertices, faces).ok());
  expect_status(decode_fragment(bytes, {1, 1}, std::uint64_t{1} << 32U, transform, vertices, faces), Code::kOverflow,
                16, std::uint64_t{1} << 32U, (std::uint64_t{1} << 32U) + 1);
  transform.rows[0] = 1e300;
  expect_status(decode_fragment(bytes, {1, 1}, 0, transform, vertices, faces), Code::kBadValue, 4, 0, 0);
  vertices[0] = 1;
  expect_status(transform_vertices(transform, 1, vertices), Code::kBadValue, 0, 0, 0);
}

TEST(MeshStitch, PutsFragmentsOneAfterAnother) {
  testing::Random random(33);
  for (int round = 0; round < 50; ++round) {
    std::vector<Bytes> stored;
    reference::Mesh expected;
    for (std::int64_t i = random.between(0, 30); i > 0; --i) {
      const reference::Mesh part = random_mesh(random, 12);
      const auto first = static_cast<std::uint32_t>(expected.vertices.size());
      expected.vertices.insert(expected.vertices.end(), part.vertices.begin(), part.vertices.end());
      for (const reference::Face& face : part.faces) {
        expected.faces.push_back({face[0] + first, face[1] + first, face[2] + first});
      }
      stored.push_back(encoded(part));
    }
    const std::vector<std::span<const std::byte>> fragments(stored.begin(), stored.end());
    StitchPlan plan;
    ASSERT_TRUE(plan_stitch(fragments, plan).status.ok());
    ASSERT_EQ(plan.total, (FragmentShape{expected.vertices.size(), expected.faces.size()}));
    std::vector<float> vertices(3 * plan.total.num_vertices);
    std::vector<std::uint32_t> faces(3 * plan.total.num_faces);
    ASSERT_TRUE(stitch(fragments, plan, {}, on_threads, vertices.data(), faces.data()).status.ok());
    EXPECT_EQ(mesh_of(vertices.data(), plan.total.num_vertices, faces.data(), plan.total.num_faces), expected);
  }
}

TEST(MeshStitch, NamesTheFragmentThatFails) {
  const reference::Mesh part{{{0, 0, 0}}, {{0, 0, 0}}};
  std::vector<Bytes> stored(5, encoded(part));
  store_le(stored[3].data() + 16, std::uint32_t{9});
  std::vector<std::span<const std::byte>> fragments(stored.begin(), stored.end());
  StitchPlan plan;
  ASSERT_TRUE(plan_stitch(fragments, plan).status.ok());
  std::vector<float> vertices(3 * plan.total.num_vertices);
  std::vector<std::uint32_t> faces(3 * plan.total.num_faces);
  const FragmentStatus outcome = stitch(fragments, plan, {}, serially, vertices.data(), faces.data());
  expect_status(outcome.status, Code::kOffsetRange, 16, 1, 9);
  EXPECT_EQ(outcome.fragment, 3U);
  fragments[2] = fragments[2].first(7);
  EXPECT_EQ(plan_stitch(fragments, plan).fragment, 2U);
}

TEST(MeshConsolidate, EqualsReference) {
  testing::Random random(34);
  for (int round = 0; round < 400; ++round) {
    const reference::Mesh given = random_mesh(random, round % 4 == 0 ? 2000 : 12);
    Triangles serial;
    ASSERT_TRUE(consolidate(view_of(given), serially, serial).ok());
    EXPECT_EQ(mesh_of(serial), reference::consolidate(given));
    Triangles threaded;
    ASSERT_TRUE(consolidate(view_of(given), on_threads, threaded).ok());
    EXPECT_EQ(mesh_of(threaded), mesh_of(serial));
  }
}

TEST(MeshConsolidate, SortsManyBucketsOfSpreadPositions) {
  testing::Random random(35);
  for (const double spread : {1e-30, 1.0, 1e30}) {
    reference::Mesh given;
    for (int i = 0; i < 40000; ++i) {
      const auto value = [&] { return static_cast<float>(std::ldexp(random.between(-1000, 1000), -5) * spread); };
      given.vertices.push_back({value(), value(), value()});
      if (random.one_in(3)) given.vertices.push_back(given.vertices[random.bits() % given.vertices.size()]);
    }
    for (int i = 0; i < 60000; ++i) {
      const auto number = [&] { return static_cast<std::uint32_t>(random.bits() % given.vertices.size()); };
      given.faces.push_back({number(), number(), number()});
      if (random.one_in(4)) given.faces.push_back(given.faces[random.bits() % given.faces.size()]);
    }
    Triangles found;
    ASSERT_TRUE(consolidate(view_of(given), on_threads, found).ok());
    EXPECT_EQ(mesh_of(found), reference::consolidate(given));
  }
}

TEST(MeshConsolidate, TakesTheLargestAndTheSmallestNumbers) {
  constexpr float kMost = std::numeric_limits<float>::max();
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  reference::Mesh given;
  for (int i = 0; i < 6000; ++i) {
    given.vertices.insert(given.vertices.end(), {{kMost, 0, 0}, {-kMost, 1, 1}, {kLeast, -0.0F, 0}, {-kLeast, 0, 0}});
  }
  given.faces = {{0, 1, 2}, {4, 5, 6}, {3, 7, 0}};
  Triangles found;
  ASSERT_TRUE(consolidate(view_of(given), serially, found).ok());
  EXPECT_EQ(mesh_of(found), reference::consolidate(given));
}

TEST(MeshConsolidate, RejectsBadMeshes) {
  reference::Mesh given{{{0, 0, 0}, {1, 1, 1}}, {{0, 1, 0}, {0, 2, 0}}};
  Triangles out;
  expect_status(consolidate(view_of(given), serially, out), Code::kOffsetRange, 1, 2, 2);
  expect_status(merge_marked_pairs(view_of(given), std::vector<std::uint8_t>(2).data(), serially, out),
                Code::kOffsetRange, 1, 2, 2);
  given.faces.pop_back();
  given.vertices[1][2] = std::numeric_limits<float>::infinity();
  expect_status(consolidate(view_of(given), serially, out), Code::kBadValue, 1, 0, 0);
  EXPECT_FALSE(consolidate({nullptr, (std::uint64_t{1} << 32U) + 1, nullptr, 0}, serially, out).ok());
}

TEST(MeshConsolidate, EndsWhenItIsInterrupted) {
  testing::Random random(36);
  const reference::Mesh given = random_mesh(random, 5000);
  for (int patience = 0; patience < 8; ++patience) {
    int phase = 0;
    const Parallel impatient = [&](std::size_t n, const std::function<bool(std::size_t)>& task) {
      return phase++ < patience && serially(n, task);
    };
    Triangles out;
    EXPECT_EQ(consolidate(view_of(given), impatient, out).code, Code::kInvalidArgument);
  }
}

TEST(MeshMergePairs, EqualsReference) {
  testing::Random random(37);
  for (int round = 0; round < 400; ++round) {
    const reference::Mesh given = random_mesh(random, round % 8 == 0 ? 300 : 10);
    std::vector<std::uint8_t> marks(given.vertices.size());
    for (std::uint8_t& mark : marks) mark = random.one_in(3) ? 0 : 1;
    Triangles out;
    ASSERT_TRUE(merge_marked_pairs(view_of(given), marks.data(), on_threads, out).ok());
    EXPECT_EQ(mesh_of(out), reference::merge_marked_pairs(given, marks));
  }
}

TEST(MeshChunkBorders, AreMarked) {
  const float vertices[] = {32, 1, 1, 1, -64, 1, 1, 1, 31.5F, 31.4F, 1, 1, 1, 32.4F, 1, 32.5F, 1, 1};
  const double chunk[] = {32, 32, 32};
  const double origin[] = {0, 0, 0};
  std::vector<std::uint8_t> marks(6);
  ASSERT_TRUE(mark_chunk_borders(vertices, 6, chunk, origin, 0, marks.data()).ok());
  EXPECT_EQ(marks, (std::vector<std::uint8_t>{1, 1, 0, 0, 0, 0}));
  ASSERT_TRUE(mark_chunk_borders(vertices, 6, chunk, origin, 1, marks.data()).ok());
  EXPECT_EQ(marks, (std::vector<std::uint8_t>{1, 1, 1, 0, 1, 0}));
  const double shifted[] = {-1, 0.4, 0};
  ASSERT_TRUE(mark_chunk_borders(vertices, 6, chunk, shifted, 0, marks.data()).ok());
  EXPECT_EQ(marks, (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0}));
  const double none[] = {32, 0, 32};
  EXPECT_EQ(mark_chunk_borders(vertices, 6, none, origin, 0, marks.data()).code, Code::kInvalidArgument);
}

Manifest random_manifest(testing::Random& random) {
  Manifest out;
  out.chunk_shape = {1.5F, 2, static_cast<float>(random.between(1, 9))};
  out.grid_origin = {-4, 5, static_cast<float>(random.between(-9, 9))};
  out.lods.resize(static_cast<std::size_t>(random.between(0, 4)));
  std::uint64_t offset = 0;
  for (ManifestLod& lod : out.lods) {
    lod.scale = static_cast<float>(random.between(0, 8));
    lod.vertex_offset = {static_cast<float>(random.between(-3, 3)), 0, 0.5F};
    lod.fragments.resize(static_cast<std::size_t>(random.between(0, 5)));
    for (ManifestFragment& fragment : lod.fragments) {
      for (std::uint32_t& p : fragment.position) p = static_cast<std::uint32_t>(random.bits());
      fragment.size = static_cast<std::uint32_t>(random.bits());
      fragment.offset = offset;
      offset += fragment.size;
    }
  }
  return out;
}

TEST(MeshManifest, IsReadAsItWasWrittenAndAsItsTwinReadsIt) {
  testing::Random random(38);
  for (int round = 0; round < 300; ++round) {
    const Manifest written = random_manifest(random);
    Bytes bytes;
    ASSERT_TRUE(encode_manifest(written, bytes).ok());
    Manifest read;
    ASSERT_TRUE(parse_manifest(bytes, UINT64_MAX, read).ok());
    EXPECT_EQ(read, written);
    EXPECT_EQ(reference::parse_manifest(bytes, UINT64_MAX), written);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(parse_manifest(std::span(bytes).first(size), UINT64_MAX, read).code, Code::kTruncated);
    }
    bytes.push_back(std::byte{0});
    EXPECT_EQ(parse_manifest(bytes, UINT64_MAX, read).code, Code::kTrailingBytes);
  }
}

TEST(MeshManifest, EqualsReferenceOnDamagedBytes) {
  testing::Random random(39);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes;
    ASSERT_TRUE(encode_manifest(random_manifest(random), bytes).ok());
    bytes[random.bits() % bytes.size()] ^= static_cast<std::byte>(1U << (random.bits() % 8));
    const std::uint64_t payload = random.one_in(2) ? UINT64_MAX : random.bits() >> 30U;
    Manifest read;
    const Status status = parse_manifest(bytes, payload, read);
    const auto expected = reference::parse_manifest(bytes, payload);
    ASSERT_EQ(status.ok(), expected.has_value());
    if (!expected) continue;
    ++accepted;
    EXPECT_EQ(read, *expected);
  }
  EXPECT_GT(accepted, 2000);
  EXPECT_LT(accepted, 18000);
}

TEST(MeshManifest, RejectsNumbersThatMakeNoSense) {
  Manifest manifest;
  manifest.chunk_shape = {1, 1, 1};
  manifest.lods.resize(1);
  Bytes bytes;
  ASSERT_TRUE(encode_manifest(manifest, bytes).ok());
  Manifest bad = manifest;
  bad.chunk_shape[1] = 0;
  expect_status(encode_manifest(bad, bytes), Code::kBadValue, 4, 0, 0);
  bad = manifest;
  bad.grid_origin[2] = std::numeric_limits<float>::quiet_NaN();
  expect_status(encode_manifest(bad, bytes), Code::kBadValue, 20, 0, 0);
  bad = manifest;
  bad.lods[0].scale = -1;
  expect_status(encode_manifest(bad, bytes), Code::kBadValue, 28, 0, 0);
  bad.lods.resize(65);
  expect_status(encode_manifest(bad, bytes), Code::kTooLarge, 24, 64, 65);
  bad = manifest;
  bad.lods[0].vertex_offset[0] = std::numeric_limits<float>::infinity();
  expect_status(encode_manifest(bad, bytes), Code::kBadValue, 32, 0, 0);
}

TEST(MeshZCurve, EqualsReference) {
  testing::Random random(40);
  for (int round = 0; round < 20000; ++round) {
    std::array<std::uint32_t, 3> a{};
    std::array<std::uint32_t, 3> b{};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto shift = static_cast<unsigned>(random.between(0, 31));
      a[i] = static_cast<std::uint32_t>(random.bits()) >> shift;
      b[i] = random.one_in(3) ? a[i] : static_cast<std::uint32_t>(random.bits()) >> shift;
    }
    EXPECT_EQ(is_before_on_z_curve(a, b), reference::is_before_on_z_curve(a, b));
  }
}

TEST(MeshQuantize, FollowsTheWorkedExample) {
  const Cell cell{{10, 20, 30}, {64, 64, 32}, {0, 0, 0}, 10};
  const float points[] = {42, 52, 46, 74, 20, 30, 1e9F, -1e9F, 30};
  std::uint32_t q[9];
  ASSERT_TRUE(quantize(cell, points, 3, q).ok());
  EXPECT_EQ(std::vector<std::uint32_t>(q, q + 9), (std::vector<std::uint32_t>{512, 512, 512, 1023, 0, 0, 1023, 0, 0}));
  float back[9];
  ASSERT_TRUE(dequantize(cell, q, 3, {}, back).ok());
  EXPECT_FLOAT_EQ(back[0], 42.03128F);
  EXPECT_FLOAT_EQ(back[2], 46.01564F);
  EXPECT_EQ(back[3], 74.0F);
}

TEST(MeshQuantize, RejectsWhatTheCellCannotHold) {
  Cell cell{{0, 0, 0}, {1, 1, 1}, {0, 0, 0}, 10};
  const std::uint32_t q[] = {0, 1023, 1024};
  float out[3];
  expect_status(dequantize(cell, q, 1, {}, out), Code::kBadValue, 2, 1023, 1024);
  cell.extent[1] = 1e300;
  const std::uint32_t far[] = {0, 1, 0};
  expect_status(dequantize(cell, far, 1, {}, out), Code::kBadValue, 1, 0, 0);
  std::uint32_t none[3];
  const float nan[] = {0, std::numeric_limits<float>::quiet_NaN(), 0};
  expect_status(quantize(cell, nan, 1, none), Code::kBadValue, 1, 0, 0);
  cell.extent[1] = 0;
  EXPECT_EQ(quantize(cell, out, 1, none).code, Code::kInvalidArgument);
  for (const int bits : {0, -1, 33}) {
    cell.bits = bits;
    EXPECT_EQ(dequantize(cell, q, 1, {}, out).code, Code::kInvalidArgument);
    EXPECT_EQ(quantize(cell, out, 1, none).code, Code::kInvalidArgument);
  }
}

double area(const CellMesh& mesh) {
  double out = 0;
  for (std::size_t i = 0; i < mesh.faces.size(); i += 3) {
    double p[3][3];
    for (std::size_t corner = 0; corner < 3; ++corner) {
      for (std::size_t axis = 0; axis < 3; ++axis) p[corner][axis] = mesh.vertices[3 * mesh.faces[i + corner] + axis];
    }
    double u[3];
    double v[3];
    for (std::size_t axis = 0; axis < 3; ++axis) {
      u[axis] = p[1][axis] - p[0][axis];
      v[axis] = p[2][axis] - p[0][axis];
    }
    out += std::hypot(u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]) / 2;
  }
  return out;
}

TEST(MeshCut, CoversTheTriangleAndKeepsWithinCells) {
  testing::Random random(41);
  for (int round = 0; round < 200; ++round) {
    CellGrid grid;
    grid.extent = {1, 1, 1};
    for (std::uint32_t& n : grid.shape) n = static_cast<std::uint32_t>(random.between(1, 6));
    grid.is_halved = random.one_in(2);
    grid.bits = 16;
    float corners[9];
    for (std::size_t i = 0; i < 9; ++i) {
      const auto cells = static_cast<float>(grid.shape[i % 3]);
      // Half of them on planes.
      corners[i] = random.one_in(2) ? static_cast<float>(random.between(0, grid.shape[i % 3]))
                                    : cells * static_cast<float>(random.between(0, 1000)) / 1000;
    }
    const std::uint32_t face[] = {0, 1, 2};
    std::vector<CellMesh> cells;
    ASSERT_TRUE(cut_into_cells(corners, 3, face, 1, grid, cells).ok());
    double covered = 0;
    for (const CellMesh& cell : cells) {
      for (std::size_t axis = 0; axis < 3; ++axis) EXPECT_LT(cell.position[axis], grid.shape[axis]);
      for (const std::uint32_t q : cell.vertices) EXPECT_LE(q, 65535U);
      for (const std::uint32_t number : cell.faces) EXPECT_LT(number, cell.vertices.size() / 3);
      covered += area(cell);
    }
    CellGrid whole;
    whole.shape = {1, 1, 1};
    whole.bits = 16;
    std::vector<CellMesh> one;
    for (std::size_t axis = 0; axis < 3; ++axis) whole.extent[axis] = 6;
    ASSERT_TRUE(cut_into_cells(corners, 3, face, 1, whole, one).ok());
    const double expected = one.empty() ? 0 : 36 * area(one[0]);
    EXPECT_NEAR(covered, expected, 1e-3 * expected + 65535.0 * 200);
  }
}

TEST(MeshCut, RejectsGridsThatMakeNoSense) {
  const float corners[] = {0, 0, 0, 1, 0, 0, 0, 1, 0};
  const std::uint32_t face[] = {0, 1, 2};
  CellGrid grid{{0, 0, 0}, {1, 1, 1}, {1, 1, 1}, false, 10};
  std::vector<CellMesh> out;
  ASSERT_TRUE(cut_into_cells(corners, 3, face, 1, grid, out).ok());
  ASSERT_EQ(out.size(), 1U);
  grid.bits = 22;
  EXPECT_EQ(cut_into_cells(corners, 3, face, 1, grid, out).code, Code::kInvalidArgument);
  grid.bits = 10;
  grid.shape[1] = 0;
  EXPECT_EQ(cut_into_cells(corners, 3, face, 1, grid, out).code, Code::kInvalidArgument);
  grid.shape[1] = 1;
  grid.base[0] = 0.5;
  expect_status(cut_into_cells(corners, 3, face, 1, grid, out), Code::kOffsetRange, 0, 0, 0);
  grid.base[0] = 0;
  expect_status(cut_into_cells(corners, 2, face, 1, grid, out), Code::kOffsetRange, 0, 2, 2);
}

}  // namespace
}  // namespace cvfast::mesh
