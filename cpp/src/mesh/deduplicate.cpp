// SPDX-License-Identifier: BSD-3-Clause
//
// Both ways of merging sort vertices by position, and merging whole meshes sorts faces by vertex numbers besides.  What
// is sorted is first dealt to buckets of about kPerBucket elements, so that each sort stays in the second-level cache
// and buckets are independent of each other, hence of threads:
//
// * Vertices go by x, which is mapped to buckets linearly: a mesh fills the space it is in.  Where all x are alike the
//   one bucket is sorted by comparisons, more slowly but no worse than n log n.
// * Faces go by their first vertex.  Within a bucket they are counted by that vertex; about two remain for each, and
//   are sorted by insertion.
//
// benchmarks/bench_meshes.py has the figures.
#include "cvfast/mesh/deduplicate.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

namespace cvfast::mesh {
namespace {

constexpr std::uint64_t kMostVertices = std::uint64_t{1} << 32;
constexpr std::uint64_t kPerBucket = 2048;
constexpr std::uint64_t kMostBuckets = 4096;
/// Elements dealt by one task.  Each task has counts of its own for every bucket.
constexpr std::uint64_t kPerTask = std::uint64_t{1} << 18;

const Status kInterrupted{Code::kInvalidArgument, 0, 0, 0};

std::uint64_t tasks_for(std::uint64_t n) { return std::clamp<std::uint64_t>((n + kPerTask - 1) / kPerTask, 1, 64); }

/// Elements [begin, end) of a task.
struct Part {
  std::uint64_t begin;
  std::uint64_t end;
};

Part part_of(std::uint64_t n, std::uint64_t task, std::uint64_t tasks) {
  return {n / tasks * task + std::min(n % tasks, task), n / tasks * (task + 1) + std::min(n % tasks, task + 1)};
}

/// Turns counts[task][bucket] into where each task writes its first element of each bucket, and returns where buckets
/// begin, with their end behind them.
std::vector<std::uint64_t> place(std::vector<std::uint64_t>& counts, std::uint64_t tasks, std::uint64_t buckets) {
  std::vector<std::uint64_t> begins(buckets + 1);
  std::uint64_t at = 0;
  for (std::uint64_t bucket = 0; bucket < buckets; ++bucket) {
    begins[bucket] = at;
    for (std::uint64_t task = 0; task < tasks; ++task) {
      std::uint64_t& count = counts[task * buckets + bucket];
      const std::uint64_t n = count;
      count = at;
      at += n;
    }
  }
  begins[buckets] = at;
  return begins;
}

/// An unsigned number in the order of the float, which is finite; both zeros are one.
std::uint32_t order_of(float value) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if ((bits << 1U) == 0) bits = 0;
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

float float_of(std::uint32_t order) noexcept {
  const std::uint32_t bits = (order & 0x80000000U) != 0 ? order & 0x7fffffffU : ~order;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

struct Position {
  std::uint64_t xy;
  std::uint32_t z;
  std::uint32_t number;

  [[nodiscard]] bool is_at(const Position& other) const noexcept { return xy == other.xy && z == other.z; }
  [[nodiscard]] bool operator<(const Position& other) const noexcept {
    if (xy != other.xy) return xy < other.xy;
    if (z != other.z) return z < other.z;
    return number < other.number;
  }
};

void store(const Position& position, float* vertex) noexcept {
  vertex[0] = float_of(static_cast<std::uint32_t>(position.xy >> 32U));
  vertex[1] = float_of(static_cast<std::uint32_t>(position.xy));
  vertex[2] = float_of(position.z);
}

/// Vertices sorted by position and number, in buckets that no two equal positions are in.
struct SortedPositions {
  Buffer<Position> positions;
  std::vector<std::uint64_t> begins;

  [[nodiscard]] std::uint64_t buckets() const { return begins.size() - 1; }
  [[nodiscard]] std::span<const Position> bucket(std::uint64_t i) const {
    return {positions.data() + begins[i], begins[i + 1] - begins[i]};
  }
};

/// @param is_used which vertices to take, or null for all of them.
Status sort_positions(const TrianglesView& mesh, const std::uint8_t* is_used, const Parallel& parallel,
                      SortedPositions& out) {
  const std::uint64_t n = mesh.num_vertices;
  const std::uint64_t tasks = tasks_for(n);
  struct Range {
    float low = std::numeric_limits<float>::max();
    float high = std::numeric_limits<float>::lowest();
    std::uint64_t bad = std::numeric_limits<std::uint64_t>::max();
  };
  std::vector<Range> ranges(tasks);
  bool done = parallel(tasks, [&](std::size_t task) {
    const Part part = part_of(n, task, tasks);
    Range range;
    for (std::uint64_t i = part.begin; i < part.end; ++i) {
      const float* const v = mesh.vertices + 3 * i;
      if (!std::isfinite(v[0]) || !std::isfinite(v[1]) || !std::isfinite(v[2])) {
        range.bad = i;
        break;
      }
      range.low = std::min(range.low, v[0]);
      range.high = std::max(range.high, v[0]);
    }
    ranges[task] = range;
    return true;
  });
  if (!done) return kInterrupted;
  Range all;
  for (const Range& range : ranges) {
    all.low = std::min(all.low, range.low);
    all.high = std::max(all.high, range.high);
    all.bad = std::min(all.bad, range.bad);
  }
  if (all.bad < n) return {Code::kBadValue, all.bad, 0, 0};

  const std::uint64_t buckets = std::clamp<std::uint64_t>(n / kPerBucket, 1, kMostBuckets);
  const double low = all.low;
  const double extent = static_cast<double>(all.high) - low;
  const double scale = extent > 0 ? static_cast<double>(buckets) / extent : 0;
  // Each step is monotonic, so that no vertex comes into a lower bucket than one with a smaller x.
  const auto bucket_of = [&](float x) {
    return std::min(static_cast<std::uint64_t>((static_cast<double>(x) - low) * scale), buckets - 1);
  };
  std::vector<std::uint64_t> counts(tasks * buckets);
  done = parallel(tasks, [&](std::size_t task) {
    const Part part = part_of(n, task, tasks);
    std::uint64_t* const count = counts.data() + task * buckets;
    for (std::uint64_t i = part.begin; i < part.end; ++i) {
      if (is_used == nullptr || is_used[i] != 0) ++count[bucket_of(mesh.vertices[3 * i])];
    }
    return true;
  });
  if (!done) return kInterrupted;
  out.begins = place(counts, tasks, buckets);
  out.positions = Buffer<Position>(out.begins[buckets]);
  Position* const positions = out.positions.data();
  done = parallel(tasks, [&](std::size_t task) {
    const Part part = part_of(n, task, tasks);
    std::uint64_t* const at = counts.data() + task * buckets;
    for (std::uint64_t i = part.begin; i < part.end; ++i) {
      if (is_used != nullptr && is_used[i] == 0) continue;
      const float* const v = mesh.vertices + 3 * i;
      positions[at[bucket_of(v[0])]++] = {(std::uint64_t{order_of(v[0])} << 32U) | order_of(v[1]), order_of(v[2]),
                                          static_cast<std::uint32_t>(i)};
    }
    return true;
  });
  if (!done) return kInterrupted;
  done = parallel(buckets, [&](std::size_t bucket) {
    std::sort(positions + out.begins[bucket], positions + out.begins[bucket + 1]);
    return true;
  });
  return done ? Status{} : kInterrupted;
}

/// Numbers vertices anew: `count` tells how many a bucket makes, `assign` numbers them from a number on.
template <typename Count, typename Assign>
bool number_vertices(const SortedPositions& sorted, const Parallel& parallel, const Count& count, const Assign& assign,
                     Buffer<float>& vertices) {
  std::vector<std::uint64_t> firsts(sorted.buckets() + 1);
  if (!parallel(sorted.buckets(), [&](std::size_t i) {
        firsts[i + 1] = count(sorted.bucket(i));
        return true;
      })) {
    return false;
  }
  for (std::uint64_t i = 0; i < sorted.buckets(); ++i) firsts[i + 1] += firsts[i];
  vertices = Buffer<float>(3 * firsts.back());
  return parallel(sorted.buckets(), [&](std::size_t i) {
    assign(sorted.bucket(i), firsts[i], vertices.data());
    return true;
  });
}

Status check_faces(const TrianglesView& mesh, const Parallel& parallel) {
  if (mesh.num_vertices > kMostVertices) return {Code::kOverflow, 0, kMostVertices, mesh.num_vertices};
  const std::uint64_t tasks = tasks_for(mesh.num_faces);
  std::vector<std::uint64_t> bad(tasks, mesh.num_faces);
  if (!parallel(tasks, [&](std::size_t task) {
        const Part part = part_of(mesh.num_faces, task, tasks);
        std::uint32_t largest = 0;
        for (std::uint64_t i = 3 * part.begin; i < 3 * part.end; ++i) largest = std::max(largest, mesh.faces[i]);
        if (part.begin == part.end || largest < mesh.num_vertices) return true;
        std::uint64_t i = 3 * part.begin;
        while (mesh.faces[i] < mesh.num_vertices) ++i;
        bad[task] = i / 3;
        return true;
      })) {
    return kInterrupted;
  }
  const std::uint64_t face = *std::min_element(bad.begin(), bad.end());
  if (face == mesh.num_faces) return {};
  const std::uint32_t* const f = mesh.faces + 3 * face;
  return {Code::kOffsetRange, face, mesh.num_vertices, std::max({f[0], f[1], f[2]})};
}

struct Face {
  std::uint32_t a;
  std::uint32_t b;
  std::uint32_t c;

  [[nodiscard]] bool operator==(const Face&) const noexcept = default;
  [[nodiscard]] bool operator<(const Face& other) const noexcept {
    if (a != other.a) return a < other.a;
    if (b != other.b) return b < other.b;
    return c < other.c;
  }
};

/// Sorts a bucket, whose faces begin with vertices of [first, first + counts.size()), into `out`.
void sort_faces(std::span<const Face> faces, std::uint32_t first, std::span<std::uint32_t> ends, Face* out) {
  std::fill(ends.begin(), ends.end(), 0U);
  for (const Face& face : faces) ++ends[face.a - first];
  std::uint32_t at = 0;
  for (std::uint32_t& end : ends) {
    const std::uint32_t n = end;
    end = at;
    at += n;
  }
  for (const Face& face : faces) out[ends[face.a - first]++] = face;
  std::uint32_t begin = 0;
  for (const std::uint32_t end : ends) {
    if (end - begin > 16) {
      std::sort(out + begin, out + end);
    } else {
      for (std::uint32_t i = begin + 1; i < end; ++i) {
        const Face face = out[i];
        std::uint32_t j = i;
        for (; j > begin && face < out[j - 1]; --j) out[j] = out[j - 1];
        out[j] = face;
      }
    }
    begin = end;
  }
}

/// Renumbers faces, sorts them and drops repetitions.
bool unique_faces(const TrianglesView& mesh, const std::uint32_t* numbers, std::uint64_t num_vertices,
                  const Parallel& parallel, Buffer<std::uint32_t>& out) {
  const std::uint64_t m = mesh.num_faces;
  const std::uint64_t tasks = tasks_for(m);
  // Buckets are runs of 2^shift vertices.
  const std::uint64_t wanted = std::clamp<std::uint64_t>(m / kPerBucket, 1, kMostBuckets);
  unsigned shift = 0;
  while ((num_vertices >> shift) + 1 > wanted) ++shift;
  const std::uint64_t buckets = (num_vertices >> shift) + 1;
  std::vector<std::uint64_t> counts(tasks * buckets);
  if (!parallel(tasks, [&](std::size_t task) {
        const Part part = part_of(m, task, tasks);
        std::uint64_t* const count = counts.data() + task * buckets;
        for (std::uint64_t i = part.begin; i < part.end; ++i) ++count[numbers[mesh.faces[3 * i]] >> shift];
        return true;
      })) {
    return false;
  }
  const std::vector<std::uint64_t> begins = place(counts, tasks, buckets);
  Buffer<Face> dealt(m);
  if (!parallel(tasks, [&](std::size_t task) {
        const Part part = part_of(m, task, tasks);
        std::uint64_t* const at = counts.data() + task * buckets;
        for (std::uint64_t i = part.begin; i < part.end; ++i) {
          const std::uint32_t* const f = mesh.faces + 3 * i;
          const Face face{numbers[f[0]], numbers[f[1]], numbers[f[2]]};
          dealt.data()[at[face.a >> shift]++] = face;
        }
        return true;
      })) {
    return false;
  }
  std::vector<std::uint64_t> firsts(buckets + 1);
  if (!parallel(buckets, [&](std::size_t i) {
        const std::span<Face> bucket(dealt.data() + begins[i], begins[i + 1] - begins[i]);
        if (bucket.empty()) return true;
        const std::uint64_t first = static_cast<std::uint64_t>(i) << shift;
        const std::uint64_t vertices = std::min(std::uint64_t{1} << shift, num_vertices - first);
        // Many vertices and few faces: counting would take longer than comparing.  32 bits number what one vertex has.
        if (vertices > 8 * bucket.size() || bucket.size() > std::numeric_limits<std::uint32_t>::max()) {
          std::sort(bucket.begin(), bucket.end());
        } else {
          std::vector<Face> sorted(bucket.size());
          std::vector<std::uint32_t> ends(vertices);
          sort_faces(bucket, static_cast<std::uint32_t>(first), ends, sorted.data());
          std::copy(sorted.begin(), sorted.end(), bucket.begin());
        }
        firsts[i + 1] = static_cast<std::uint64_t>(std::unique(bucket.begin(), bucket.end()) - bucket.begin());
        return true;
      })) {
    return false;
  }
  for (std::uint64_t i = 0; i < buckets; ++i) firsts[i + 1] += firsts[i];
  out = Buffer<std::uint32_t>(3 * firsts[buckets]);
  return parallel(buckets, [&](std::size_t i) {
    const std::uint64_t n = firsts[i + 1] - firsts[i];
    if (n > 0) std::memcpy(out.data() + 3 * firsts[i], dealt.data() + begins[i], n * sizeof(Face));
    return true;
  });
}

}  // namespace

void* allocate_numbers(std::uint64_t n, std::size_t item_size) {
  constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
  std::uint64_t size = 0;
  if (__builtin_mul_overflow(n, std::uint64_t{item_size}, &size) || size > SIZE_MAX / 2) throw std::bad_alloc();
  const bool is_large = size >= 4 * kHugePageBytes;
  // Of whole huge pages, as the last one would otherwise be of small ones.
  const std::size_t rounded =
      is_large ? (static_cast<std::size_t>(size) + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes
               : static_cast<std::size_t>(size);
  void* const memory =
      is_large ? std::aligned_alloc(kHugePageBytes, rounded) : std::malloc(std::max<std::size_t>(rounded, 1));
  if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (is_large) ::madvise(memory, rounded, MADV_HUGEPAGE);  // advice only: without huge pages small ones do
#endif
  return memory;
}

Status consolidate(const TrianglesView& mesh, const Parallel& parallel, Triangles& out) {
  Status status = check_faces(mesh, parallel);
  if (!status.ok()) return status;
  Buffer<std::uint32_t> numbers(mesh.num_vertices);
  {
    SortedPositions sorted;
    status = sort_positions(mesh, nullptr, parallel, sorted);
    if (!status.ok()) return status;
    const auto count = [](std::span<const Position> bucket) {
      std::uint64_t n = bucket.empty() ? 0 : 1;
      for (std::size_t i = 1; i < bucket.size(); ++i) n += bucket[i].is_at(bucket[i - 1]) ? 0U : 1U;
      return n;
    };
    const auto assign = [&](std::span<const Position> bucket, std::uint64_t number, float* vertices) {
      for (std::size_t i = 0; i < bucket.size(); ++i) {
        if (i == 0 || !bucket[i].is_at(bucket[i - 1])) store(bucket[i], vertices + 3 * number++);
        numbers.data()[bucket[i].number] = static_cast<std::uint32_t>(number - 1);
      }
    };
    if (!number_vertices(sorted, parallel, count, assign, out.vertices)) return kInterrupted;
  }
  return unique_faces(mesh, numbers.data(), out.vertices.size() / 3, parallel, out.faces) ? Status{} : kInterrupted;
}

Status merge_marked_pairs(const TrianglesView& mesh, const std::uint8_t* is_marked, const Parallel& parallel,
                          Triangles& out) {
  Status status = check_faces(mesh, parallel);
  if (!status.ok()) return status;
  std::vector<std::uint8_t> is_used(mesh.num_vertices);
  for (std::uint64_t i = 0; i < 3 * mesh.num_faces; ++i) is_used[mesh.faces[i]] = 1;
  SortedPositions sorted;
  status = sort_positions(mesh, is_used.data(), parallel, sorted);
  if (!status.ok()) return status;
  // Calls visit(group, whether its two vertices become one, and which of them comes first otherwise).
  const auto each_group = [&](std::span<const Position> bucket, const auto& visit) {
    for (std::size_t begin = 0; begin < bucket.size();) {
      std::size_t end = begin + 1;
      while (end < bucket.size() && bucket[end].is_at(bucket[begin])) ++end;
      visit(bucket.subspan(begin, end - begin));
      begin = end;
    }
  };
  const auto marked = [&](const Position& position) { return is_marked[position.number] != 0; };
  const auto is_pair = [&](std::span<const Position> group) {
    return group.size() == 2 && marked(group[0]) && marked(group[1]);
  };
  const auto count = [&](std::span<const Position> bucket) {
    std::uint64_t n = 0;
    each_group(bucket, [&](std::span<const Position> group) { n += is_pair(group) ? 1 : group.size(); });
    return n;
  };
  Buffer<std::uint32_t> numbers(mesh.num_vertices);
  const auto assign = [&](std::span<const Position> bucket, std::uint64_t number, float* vertices) {
    each_group(bucket, [&](std::span<const Position> group) {
      const bool is_merged = is_pair(group);
      // Of two the marked one comes first (upstream behaviour `Mesh.deduplicate_vertices`).
      const bool is_turned = group.size() == 2 && marked(group[1]) && !marked(group[0]);
      for (std::size_t i = 0; i < group.size(); ++i) {
        const Position& position = is_turned ? group[1 - i] : group[i];
        if (i == 0 || !is_merged) store(position, vertices + 3 * number++);
        numbers.data()[position.number] = static_cast<std::uint32_t>(number - 1);
      }
    });
  };
  if (!number_vertices(sorted, parallel, count, assign, out.vertices)) return kInterrupted;
  out.faces = Buffer<std::uint32_t>(3 * mesh.num_faces);
  const std::uint64_t tasks = tasks_for(mesh.num_faces);
  const bool done = parallel(tasks, [&](std::size_t task) {
    const Part part = part_of(mesh.num_faces, task, tasks);
    for (std::uint64_t i = 3 * part.begin; i < 3 * part.end; ++i) out.faces.data()[i] = numbers.data()[mesh.faces[i]];
    return true;
  });
  return done ? Status{} : kInterrupted;
}

Status mark_chunk_borders(const float* vertices, std::uint64_t n, const double* chunk_size, const double* offset,
                          double grid_size, std::uint8_t* is_marked) noexcept {
  for (int axis = 0; axis < 3; ++axis) {
    if (!(chunk_size[axis] > 0) || !std::isfinite(chunk_size[axis]) || !std::isfinite(offset[axis])) {
      return {Code::kInvalidArgument, static_cast<std::uint64_t>(axis), 0, 0};
    }
  }
  const double half = grid_size / 2;
  for (std::uint64_t i = 0; i < n; ++i) {
    bool is_on_face = false;
    for (int axis = 0; axis < 3; ++axis) {
      double behind = std::fmod(static_cast<double>(vertices[3 * i + static_cast<unsigned>(axis)]) - offset[axis],
                                chunk_size[axis]);
      if (behind < 0) behind += chunk_size[axis];
      is_on_face |= behind == 0 || (grid_size > 0 && (behind < half || chunk_size[axis] - behind <= half));
    }
    is_marked[i] = is_on_face ? 1 : 0;
  }
  return {};
}

}  // namespace cvfast::mesh
