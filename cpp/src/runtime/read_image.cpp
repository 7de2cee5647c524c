// SPDX-License-Identifier: BSD-3-Clause
//
// A read is one parallel_for over the chunks that the box touches.  Each task fetches, decompresses, decodes and paints
// its chunk, decoding straight into the strided destination, so that a chunk's bytes stay in the cache of one core from
// the page cache to the destination and nothing is handed between threads.  A plain raw chunk is read only between the
// first and the last byte that the box needs, and without any scratch where it is contiguous in the destination.
#include "cvfast/runtime/read_image.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>

#include "chunk_beginning.hpp"
#include "chunk_io.hpp"
#include "chunk_row.hpp"
#include "cvfast/core/checked.hpp"
#include "cvfast/paint/copy_box.hpp"

namespace cvfast::runtime {
namespace {

using fetch::FetchState;

// One stored item of background after the map, in the destination's item size.
std::array<std::byte, 16> mapped_background(const ImageLayout& layout, const ReadRequest& request) noexcept {
  if (request.map.op == paint::VoxelOp::kCopy) return request.background;
  std::uint64_t value = 0;
  std::memcpy(&value, request.background.data(),
              std::min<std::size_t>(sizeof(value), static_cast<std::size_t>(layout.format.item_size)));
  value = paint::map_voxel(request.map, value);
  std::array<std::byte, 16> out{};
  std::memcpy(out.data(), &value, sizeof(value));
  return out;
}

ChunkError missing_chunk(std::string name, std::int64_t index) {
  ChunkError error;
  error.kind = ErrorKind::kMissing;
  error.name = std::move(name);
  error.index = index;
  return error;
}

Box3 relative(const Box3& part, const Box3& chunk) noexcept {
  Box3 out;
  for (int i = 0; i < 3; ++i) {
    out.min[i] = part.min[i] - chunk.min[i];
    out.max[i] = part.max[i] - chunk.min[i];
  }
  return out;
}

Box3 cover(const Box3& a, const Box3& b) noexcept {
  Box3 out;
  for (int i = 0; i < 3; ++i) {
    out.min[i] = std::min(a.min[i], b.min[i]);
    out.max[i] = std::max(a.max[i], b.max[i]);
  }
  return out;
}

// Whether a box of `shape` lies packed in Fortran order under these strides.
bool is_packed(const Int4& shape, const Int4& strides, std::int64_t item_size) noexcept {
  std::int64_t run = item_size;
  for (int i = 0; i < 4; ++i) {
    if (shape[i] != 1 && strides[i] != run) return false;
    run *= shape[i];
  }
  return true;
}

class Reader {
 public:
  Reader(const ImageLayout& layout, const ReadRequest& request, const RunOptions& options)
      : layout_(layout),
        request_(request),
        options_(options),
        session_(layout, options),
        background_(mapped_background(layout, request)),
        out_item_size_(request.map.output_item_size(static_cast<std::size_t>(layout.format.item_size))) {}

  [[nodiscard]] std::int64_t channels() const noexcept { return request_.channel_end - request_.channel_begin; }
  [[nodiscard]] std::size_t out_item_size() const noexcept { return out_item_size_; }
  [[nodiscard]] const LazySession& session() const noexcept { return session_; }

  void fill(std::byte* dst, const Int4& strides, const Int4& shape) const noexcept {
    paint::fill_box(dst, strides, shape, out_item_size_, background_.data());
  }

  // The voxels of `part` of one chunk, painted at dst.
  bool read(const Box3& chunk, const Box3& part, std::byte* dst, const Int4& strides, ChunkError& error) const {
    const Int3 shape = part.shape();
    const Int4 shape4{shape[0], shape[1], shape[2], channels()};
    return with_bytes(
        chunk, error, [&] { fill(dst, strides, shape4); },
        [&](ChunkBytes& bytes) {
          const Box3 box = relative(part, chunk);
          if (bytes.permits_beginning() &&
              ChunkBeginning::may_hold(layout_.format, chunk.shape(), shape[0] * shape[1] * shape[2])) {
            std::span<const std::byte> stored;
            if (!bytes.load_stored(stored, error)) return false;
            ChunkBeginning beginning(layout_.format, chunk.shape(), stored, thread_scratch().plain);
            if (beginning.decode(box, request_.channel_begin, request_.channel_end, request_.map, dst, strides)) {
              return true;
            }
          }
          const auto range = bytes.permits_ranges() ? byte_range(chunk, box) : std::nullopt;
          std::byte* const target =
              bytes.permits_target() ? direct_target(chunk, part, range, dst, strides, shape4) : nullptr;
          if (!bytes.load(range, target, error)) return false;
          return target != nullptr || decode(bytes, range, chunk, box, dst, strides, error);
        });
  }

  // Single voxels of one chunk: rows of `order` are (chunk, point) pairs.
  template <typename Order>
  bool read_voxels(const Box3& chunk, const Order* begin, const Order* end, const std::int64_t* points, std::byte* dst,
                   ChunkError& error) const {
    const auto item = static_cast<std::int64_t>(out_item_size_);
    const Int4 strides{item, item, item, item};
    const std::int64_t row = item * channels();
    const auto background = [&] {
      for (const Order* it = begin; it != end; ++it) fill(dst + it->second * row, strides, {1, 1, 1, channels()});
    };
    const auto voxel = [&](const Order* it) {
      const std::int64_t* p = points + 3 * it->second;
      return relative({{p[0], p[1], p[2]}, {p[0] + 1, p[1] + 1, p[2] + 1}}, chunk);
    };
    return with_bytes(chunk, error, background, [&](ChunkBytes& bytes) {
      // A system call costs about as much as copying a page out of the page cache, so few points are read one by one.
      constexpr std::uint64_t kPageBytes = 4096;
      const bool one_by_one = bytes.permits_ranges() && layout_.format.encoding == decode::Encoding::kRaw &&
                              static_cast<std::uint64_t>(end - begin) * kPageBytes < bytes.size_bytes();
      std::optional<decode::ByteRange> range;
      if (!one_by_one && !bytes.load(range, nullptr, error)) return false;
      if (decode::decodes_as_a_whole(bytes.format().encoding) && end - begin > 1) {
        // One call for all points.
        Box3 hull = voxel(begin);
        for (const Order* it = begin + 1; it != end; ++it) hull = cover(hull, voxel(it));
        const auto paint_points = [&](const std::byte* voxels, const Int4& box_strides) {
          for (const Order* it = begin; it != end; ++it) {
            const Box3 at = voxel(it);
            std::int64_t offset = 0;
            for (int i = 0; i < 3; ++i) offset += (at.min[i] - hull.min[i]) * box_strides[i];
            paint::map_box(voxels + offset, box_strides, dst + it->second * row, strides, {1, 1, 1, channels()},
                           static_cast<std::size_t>(layout_.format.item_size), request_.map);
          }
        };
        return decode_hull(bytes, chunk, hull, paint_points, error);
      }
      for (const Order* it = begin; it != end; ++it) {
        const Box3 box = voxel(it);
        if (one_by_one) {
          range = byte_range(chunk, box);
          if (!bytes.load(range, nullptr, error)) return false;
        }
        if (!decode(bytes, range, chunk, box, dst + it->second * row, strides, error)) return false;
      }
      return true;
    });
  }

  bool unique(const Box3& chunk, const Box3& part, std::vector<std::uint64_t>& labels, ChunkError& error) const {
    const auto background = [&] {
      std::uint64_t value = 0;
      std::memcpy(&value, request_.background.data(), static_cast<std::size_t>(layout_.format.item_size));
      labels.push_back(value);
    };
    return with_bytes(chunk, error, background, [&](ChunkBytes& bytes) {
      if (!bytes.load(std::nullopt, nullptr, error)) return false;
      labels.clear();
      error.kind = ErrorKind::kDecode;
      if (!decode::is_decoded_here(bytes.format().encoding)) {
        error.detail = bytes.codec().unique(bytes.data(), chunk.shape(), relative(part, chunk), labels);
        return error.detail.empty();
      }
      error.status = decode::unique_box(bytes.format(), bytes.data(), chunk.shape(), relative(part, chunk),
                                        request_.channel_begin, request_.channel_end, labels);
      return error.status.ok();
    });
  }

 private:
  // Opens a chunk and lets `use` load and decode it, or fills with background where it is absent.  What proves good is
  // kept in memory; what was in memory and does not decode is looked for in the store.
  template <typename Fill, typename Use>
  bool with_bytes(const Box3& chunk, ChunkError& error, const Fill& fill_background, const Use& use) const {
    const NamedChunk named(layout_.grid, chunk);
    // Copies, in memory or on this machine, are not the chunk itself: one that proves bad is dropped.
    constexpr int kMaxCopies = 4;
    // What came over a network may have been spoilt there, and not every server states a digest.
    bool may_fetch_again = session_.is_remote();
    for (int dropped = 0;; ++dropped) {
      ChunkBytes bytes(layout_, session_, options_);
      const FetchState state = bytes.open(named.address(), chunk.shape(), error);
      if (state == FetchState::kMissing) return absent(bytes, error, fill_background);
      if (state == FetchState::kData && use(bytes)) {
        bytes.keep();
        return true;
      }
      if (error.name.empty()) error.name = std::string(named.address().name);
      if (dropped == kMaxCopies) return false;
      if (bytes.is_cached()) {
        bytes.forget();
      } else if (bytes.is_copy()) {
        bytes.discard_copy();
      } else if (may_fetch_again && (error.kind == ErrorKind::kDecompress || error.kind == ErrorKind::kDecode)) {
        may_fetch_again = false;
      } else {
        return false;
      }
      const std::int64_t index = error.index;
      error = {};
      error.index = index;
    }
  }

  // A box of the requested channels, unmapped, in this thread's scratch, for paint(voxels, strides).
  template <typename Paint>
  bool decode_hull(const ChunkBytes& bytes, const Box3& chunk, const Box3& hull, const Paint& paint,
                   ChunkError& error) const {
    const Int3 shape = hull.shape();
    const Int4 strides = fortran_strides(shape, layout_.format.item_size);
    // Part of a chunk, whose size was counted before.
    std::byte* const voxels = thread_scratch().plain.get(
        static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * channels() * layout_.format.item_size));
    if (voxels == nullptr) {
      error.kind = ErrorKind::kNoMemory;
      return false;
    }
    if (!decode_chunk(bytes.format(), bytes.codec(), bytes.data(), std::nullopt, chunk.shape(), hull,
                      request_.channel_begin, request_.channel_end, {}, voxels, strides, error)) {
      return false;
    }
    paint(voxels, strides);
    return true;
  }

  template <typename Fill>
  bool absent(const ChunkBytes& bytes, ChunkError& error, const Fill& fill_background) const {
    if (!request_.fill_missing) {
      error = missing_chunk(bytes.name(), error.index);
      return false;
    }
    fill_background();
    return true;
  }

  [[nodiscard]] std::optional<decode::ByteRange> byte_range(const Box3& chunk, const Box3& box) const noexcept {
    return decode::box_byte_range(layout_.format, chunk.shape(), box, request_.channel_begin, request_.channel_end);
  }

  // The destination itself where the chunk's raw bytes land there unchanged and in one piece; else null.
  [[nodiscard]] std::byte* direct_target(const Box3& chunk, const Box3& part,
                                         const std::optional<decode::ByteRange>& range, std::byte* dst,
                                         const Int4& strides, const Int4& shape) const noexcept {
    if (layout_.format.encoding != decode::Encoding::kRaw || request_.map.op != paint::VoxelOp::kCopy) return nullptr;
    if (!is_packed(shape, strides, layout_.format.item_size)) return nullptr;
    const bool whole = part == chunk && channels() == layout_.format.num_channels;
    const auto bytes = static_cast<std::uint64_t>(shape[0] * shape[1] * shape[2] * shape[3] * layout_.format.item_size);
    return whole || (range && range->size == bytes) ? dst : nullptr;
  }

  bool decode(const ChunkBytes& bytes, const std::optional<decode::ByteRange>& range, const Box3& chunk,
              const Box3& box, std::byte* dst, const Int4& strides, ChunkError& error) const {
    return decode_chunk(bytes.format(), bytes.codec(), bytes.data(), range, chunk.shape(), box, request_.channel_begin,
                        request_.channel_end, request_.map, dst, strides, error);
  }

  const ImageLayout& layout_;
  const ReadRequest& request_;
  const RunOptions& options_;
  LazySession session_;
  std::array<std::byte, 16> background_;
  std::size_t out_item_size_;
};

std::uint64_t voxel_bytes(const Int3& shape, std::int64_t channels, std::int64_t item_size) noexcept {
  return static_cast<std::uint64_t>(shape[0] * shape[1] * shape[2] * channels * item_size);
}

// A small box out of few chunks that are all held in memory as voxels.  Such a box is copied in no time, and the
// chunks' parts in it differ much in size, so that threads which took a chunk each would wait for the one with the
// largest: 64^3 uint64 out of chunks of 128x128x64 took 0.15 ms on two threads and 0.17 on one.  Hence shares of equal
// size, each of which is one piece of a destination in Fortran order.
class HeldVoxels {
 public:
  static constexpr std::int64_t kMaxChunks = 64;
  // Below this one thread has copied everything before another is awake.
  static constexpr std::uint64_t kMinBytes = std::uint64_t{1} << 17;

  HeldVoxels(const ImageLayout& layout, const ReadRequest& request, const Box3& inside,
             const RunOptions& options) noexcept
      : layout_(layout),
        request_(request),
        inside_(inside),
        options_(options),
        format_(options.cache.transcode ? options.cache.format : layout.format) {}

  // Whether the box is such a one; then its chunks stay in memory as long as this does.  May throw std::bad_alloc.
  [[nodiscard]] bool find() {
    ChunkCache* const cache = active_cache(options_);
    if (cache == nullptr || format_.encoding != decode::Encoding::kRaw) return false;
    const Int3 shape = inside_.shape();
    const auto voxels = checked_product({shape[0], shape[1], shape[2], channels() * format_.item_size});
    const Box3 range = layout_.grid.grid_range(inside_);
    const Int3 grid = range.shape();
    const auto n = checked_product({grid[0], grid[1], grid[2]});
    if (!voxels || static_cast<std::uint64_t>(*voxels) < kMinBytes || !n || *n > kMaxChunks) return false;
    chunks_.reserve(static_cast<std::size_t>(*n));
    for (std::int64_t i = 0; i < *n; ++i) {
      const Int3 point = locate::grid_point_at(range, i);
      const Box3 box = layout_.grid.chunk_box(point);
      chunks_.push_back({box, cache->lookup({options_.cache.space, point}).block});
      const CacheBlock& block = chunks_.back().block;
      if (!block || block.bytes().size() != decode::fixed_chunk_bytes(format_, box.shape())) return false;
    }
    return true;
  }

  RunResult read(std::byte* dst, const Int4& strides, int threads, Progress& progress) const {
    constexpr std::int64_t kSharesPerThread = 4;  // for threads that come late
    const Int3 shape = inside_.shape();
    const std::size_t axis = shape[2] >= threads ? 2 : 1;
    const std::int64_t shares = std::min(shape[axis], threads * kSharesPerThread);
    RunResult result =
        run_tasks(static_cast<std::size_t>(shares), threads, options_, [&](std::int64_t index, ChunkError& error) {
          Box3 share = inside_;
          share.min[axis] = inside_.min[axis] + shape[axis] * index / shares;
          share.max[axis] = inside_.min[axis] + shape[axis] * (index + 1) / shares;
          return copy(share, dst, strides, error);
        });
    if (result.state == RunState::kDone) {
      progress.chunks.fetch_add(chunks_.size(), std::memory_order_relaxed);
      progress.bytes.fetch_add(voxel_bytes(shape, channels(), layout_.format.item_size), std::memory_order_relaxed);
    }
    return result;
  }

 private:
  struct Chunk {
    Box3 box;
    CacheBlock block;
  };

  [[nodiscard]] std::int64_t channels() const noexcept { return request_.channel_end - request_.channel_begin; }

  bool copy(const Box3& share, std::byte* dst, const Int4& strides, ChunkError& error) const {
    for (const Chunk& chunk : chunks_) {
      const Box3 part = intersect(chunk.box, share);
      if (part.empty()) continue;
      std::int64_t offset = 0;
      for (int i = 0; i < 3; ++i) offset += (part.min[i] - request_.box.min[i]) * strides[i];
      if (!decode_chunk(format_, options_.codec, chunk.block.bytes(), std::nullopt, chunk.box.shape(),
                        relative(part, chunk.box), request_.channel_begin, request_.channel_end, request_.map,
                        dst + offset, strides, error)) {
        return false;
      }
    }
    return true;
  }

  const ImageLayout& layout_;
  const ReadRequest& request_;
  const Box3& inside_;
  const RunOptions& options_;
  const decode::ImageFormat& format_;
  std::vector<Chunk> chunks_;
};

}  // namespace

RunResult read_image(const ImageLayout& layout, const ReadRequest& request, std::byte* dst, const Int4& dst_strides,
                     const RunOptions& options, Progress& progress) {
  const Box3 inside = intersect(request.box, layout.grid.bounds());
  const Reader reader(layout, request, options);
  const Int3 shape = request.box.shape();
  if (request.box.empty() || reader.channels() <= 0) return {};
  if (inside.empty() || !contains(layout.grid.bounds(), request.box)) {
    reader.fill(dst, dst_strides, {shape[0], shape[1], shape[2], reader.channels()});
  }
  if (inside.empty()) return {};
  const int threads = bounded_threads(layout, options);
  if (threads > 1) {
    try {
      HeldVoxels held(layout, request, inside, options);
      if (held.find()) return held.read(dst, dst_strides, threads, progress);
    } catch (const std::bad_alloc&) {
      return out_of_memory();
    }
  }
  const auto count = [&](const Box3& part) {
    progress.chunks.fetch_add(1, std::memory_order_relaxed);
    progress.bytes.fetch_add(voxel_bytes(part.shape(), reader.channels(), layout.format.item_size),
                             std::memory_order_relaxed);
  };
  const auto read_chunk = [&](const Box3& chunk, ChunkError& error) {
    const Box3 part = intersect(chunk, inside);
    std::int64_t offset = 0;
    for (int i = 0; i < 3; ++i) offset += (part.min[i] - request.box.min[i]) * dst_strides[i];
    const bool good = reader.read(chunk, part, dst + offset, dst_strides, error);
    thread_scratch().trim();
    if (good) count(part);
    return good;
  };
  const ChunkRows rows(layout, reader.session(), request, inside, options, dst_strides);
  if (rows.suits(threads)) {
    return run_tasks(static_cast<std::size_t>(rows.size()), threads, options,
                     [&](std::int64_t index, ChunkError& error) {
                       const Box3 row = rows.at(index);
                       const bool is_read = rows.read(row, dst);
                       for (Int3 point = row.min; point[0] < row.max[0]; ++point[0]) {
                         const Box3 chunk = layout.grid.chunk_box(point);
                         if (is_read) {
                           count(intersect(chunk, inside));
                         } else if (!read_chunk(chunk, error)) {
                           return false;
                         }
                       }
                       return true;
                     });
  }
  return run_chunks(
      layout.grid, inside, threads, options,
      [&](std::int64_t, const Box3& chunk, ChunkError& error) { return read_chunk(chunk, error); }, &reader.session());
}

RunResult read_points(const ImageLayout& layout, const ReadRequest& request, const std::int64_t* points, std::size_t n,
                      std::byte* dst, const RunOptions& options, Progress& progress) {
  const Reader reader(layout, request, options);
  // (grid point of the chunk, index of the point); a volume may have more chunks than an integer can count
  using Order = std::pair<Int3, std::int64_t>;
  std::vector<Order> order;
  std::vector<std::size_t> starts;
  try {
    order.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const Int3 point{points[3 * i], points[3 * i + 1], points[3 * i + 2]};
      const Box3 voxel{point, {point[0] + 1, point[1] + 1, point[2] + 1}};
      order[i] = {layout.grid.grid_range(voxel).min, static_cast<std::int64_t>(i)};
    }
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < n; ++i) {
      if (i == 0 || order[i].first != order[i - 1].first) starts.push_back(i);
    }
    starts.push_back(n);
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  const auto first_of = [&](std::int64_t index) { return order.data() + starts[static_cast<std::size_t>(index)]; };
  return run_fetching(
      reader.session(), starts.size() - 1, bounded_threads(layout, options), options, false,
      [&](std::int64_t index) { return first_of(index)->first; },
      [&](std::int64_t index, ChunkError& error) {
        const Order* const begin = first_of(index);
        const Order* const end = first_of(index + 1);
        const Box3 chunk = layout.grid.chunk_box(begin->first);
        const bool good = reader.read_voxels(chunk, begin, end, points, dst, error);
        thread_scratch().trim();
        progress.chunks.fetch_add(1, std::memory_order_relaxed);
        return good;
      });
}

RunResult read_unique(const ImageLayout& layout, const ReadRequest& request, std::vector<std::uint64_t>& out,
                      const RunOptions& options, Progress& progress) {
  const Reader reader(layout, request, options);
  const Box3 inside = intersect(request.box, layout.grid.bounds());
  std::unordered_set<std::uint64_t> found;
  if (!(inside == request.box)) {
    std::uint64_t value = 0;
    std::memcpy(&value, request.background.data(), static_cast<std::size_t>(layout.format.item_size));
    found.insert(value);
  }
  std::mutex mutex;
  RunResult result = run_chunks(
      layout.grid, inside, bounded_threads(layout, options), options,
      [&](std::int64_t, const Box3& chunk, ChunkError& error) {
        const Box3 part = intersect(chunk, inside);
        std::vector<std::uint64_t> labels;
        const bool good = reader.unique(chunk, part, labels, error);
        thread_scratch().trim();
        if (!good) return false;
        {
          const std::lock_guard lock(mutex);
          found.insert(labels.begin(), labels.end());
        }
        progress.chunks.fetch_add(1, std::memory_order_relaxed);
        progress.bytes.fetch_add(voxel_bytes(part.shape(), reader.channels(), layout.format.item_size),
                                 std::memory_order_relaxed);
        return true;
      },
      &reader.session());
  out.assign(found.begin(), found.end());
  std::sort(out.begin(), out.end());
  return result;
}

RunResult list_chunks(const ImageLayout& layout, const Box3& box, bool check_exists, std::vector<std::string>& names,
                      std::vector<std::uint8_t>& exists, const RunOptions& options) {
  const Box3 inside = intersect(box, layout.grid.bounds());
  names.clear();
  exists.clear();
  if (inside.empty()) return {};
  const Int3 grid = layout.grid.grid_range(inside).shape();
  const auto n = checked_product({grid[0], grid[1], grid[2]});
  if (!n) return out_of_memory();
  try {
    names.resize(static_cast<std::size_t>(*n));
    exists.resize(names.size());
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::length_error&) {
    return out_of_memory();
  }
  const LazySession session(layout, options);
  const int threads = options.threads > 0 ? options.threads : default_threads();
  return run_chunks(
      layout.grid, inside, threads, options,
      [&](std::int64_t index, const Box3& chunk, ChunkError& error) {
        const NamedChunk named(layout.grid, chunk);
        const auto i = static_cast<std::size_t>(index);
        names[i] = std::string(named.address().name);
        if (!check_exists) return true;
        fetch::StoreError trouble;
        const FetchState state = session.get().exists(named.address(), trouble);
        if (state == FetchState::kError) set_error(std::move(trouble), error);
        exists[i] = state == FetchState::kData ? 1 : 0;
        if (ChunkCache* const cache = active_cache(options); cache != nullptr && exists[i] == 0) {
          (void)cache->take({options.cache.space, named.address().grid_point});
        }
        return state != FetchState::kError;
      },
      check_exists ? &session : nullptr, true);
}

}  // namespace cvfast::runtime
