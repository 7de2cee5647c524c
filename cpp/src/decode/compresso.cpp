// SPDX-License-Identifier: BSD-3-Clause
//
// Windows are expanded into one bit per voxel, a layer of windows at a time.  Components are found on runs of voxels
// (slice_runs.hpp), labels are mapped once per component, and a row is filled run by run in a buffer that stays in the
// first-level cache; each run takes the boundary voxel behind it along, which by the format's rule has its label.  What
// is left of the boundary, mostly voxels below a component, is found by bit arithmetic on the masks of two rows.
//
// A location may refer to the slices above and below, and connectivity 6 joins components across slices; no encoder
// writes the former, few files have the latter.  Both take a second, plain way through the whole chunk.
#include "cvfast/decode/compresso.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "../paint/recent_labels.hpp"
#include "cvfast/core/endian.hpp"
#include "label_box.hpp"
#include "label_rows.hpp"
#include "slice_runs.hpp"

namespace cvfast::decode::compresso {
namespace {

using paint::VoxelMap;

constexpr std::uint64_t kHeaderBytes = 36;
constexpr std::uint64_t kFirstLabelCode = 7;  // a location from here on is a label plus this
constexpr std::uint64_t kLiteralCode = 6;     // the next location is a label

/// The file after its header and the sizes of its sections were checked.
struct File {
  std::span<const std::byte> data;
  unsigned item_size = 0;
  unsigned version = 0;
  unsigned connectivity = 0;
  std::array<std::size_t, 3> shape{};
  std::array<std::size_t, 3> steps{};
  std::array<std::size_t, 3> grid{};  // windows
  const std::byte* ids = nullptr;
  std::uint64_t num_ids = 0;
  const std::byte* values = nullptr;
  std::uint64_t num_values = 0;
  const std::byte* locations = nullptr;
  std::uint64_t num_locations = 0;
  const std::byte* windows = nullptr;
  std::uint64_t num_windows = 0;  // words of the run-length code
  unsigned window_width = 0;
  const std::byte* counts = nullptr;  // version 1: components of each slice
  const std::byte* starts = nullptr;  // version 1: difference of the first location from that of the slice before
  unsigned tail_width = 0;

  [[nodiscard]] std::uint64_t offset_of(const std::byte* p) const noexcept {
    return static_cast<std::uint64_t>(p - data.data());
  }
  [[nodiscard]] std::uint64_t id(std::uint64_t i) const noexcept { return load_uint(ids + i * item_size, item_size); }
  [[nodiscard]] std::uint64_t location(std::uint64_t i) const noexcept {
    return load_uint(locations + i * item_size, item_size);
  }
  [[nodiscard]] std::uint64_t count(std::size_t z) const noexcept {
    return load_uint(counts + z * tail_width, tail_width);
  }
  [[nodiscard]] std::uint64_t start_step(std::size_t z) const noexcept {
    return load_uint(starts + z * tail_width, tail_width);
  }
};

Status open(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, File& file) noexcept {
  const std::byte* const p = data.data();
  if (data.size() < kHeaderBytes) return {Code::kTruncated, data.size(), kHeaderBytes, data.size()};
  if (std::memcmp(p, "cpso", 4) != 0) return {Code::kBadMagic, 0, 0, 0};
  file.data = data;
  file.version = load_le<std::uint8_t>(p + 4);
  if (file.version > 1) return {Code::kUnsupported, 4, 1, file.version};
  file.item_size = load_le<std::uint8_t>(p + 5);
  if (file.item_size != item_size) {
    return {Code::kBadValue, 5, static_cast<std::uint64_t>(item_size), file.item_size};
  }
  std::size_t window_voxels = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::uint64_t found = load_le<std::uint16_t>(p + 6 + 2 * i);
    const auto expected = static_cast<std::uint64_t>(chunk_shape[i]);
    if (found != expected) return {Code::kBadValue, 6 + 2 * i, expected, found};
    file.shape[i] = found;
    file.steps[i] = load_le<std::uint8_t>(p + 12 + i);
    window_voxels *= file.steps[i];
    if (window_voxels == 0 || window_voxels > 64) return {Code::kBadValue, 12 + i, 64, window_voxels};
    file.grid[i] = (file.shape[i] + file.steps[i] - 1) / file.steps[i];
  }
  file.window_width = window_voxels <= 8 ? 1 : window_voxels <= 16 ? 2 : window_voxels <= 32 ? 4 : 8;
  file.num_ids = load_le<std::uint64_t>(p + 15);
  file.num_values = load_le<std::uint32_t>(p + 23);
  file.num_locations = load_le<std::uint64_t>(p + 27);
  file.connectivity = load_le<std::uint8_t>(p + 35);
  if (file.connectivity != 4 && file.connectivity != 6) return {Code::kBadValue, 35, 4, file.connectivity};

  std::uint64_t left = data.size() - kHeaderBytes;
  if (file.version == 1) {
    // No encoder writes an index of slices whose components leave them.
    if (file.connectivity != 4) return {Code::kUnsupported, 35, 4, file.connectivity};
    const std::uint64_t largest = 2 * std::uint64_t{file.shape[0]} * file.shape[1];
    file.tail_width = largest < 0xff ? 1 : largest < 0xffff ? 2 : largest < 0xffffffff ? 4 : 8;
    const std::uint64_t tail_bytes = 2 * std::uint64_t{file.shape[2]} * file.tail_width;
    if (tail_bytes > left) return {Code::kTruncated, kHeaderBytes, tail_bytes, left};
    left -= tail_bytes;
    file.counts = p + (data.size() - tail_bytes);
    file.starts = file.counts + tail_bytes / 2;
  }
  const std::byte* at = p + kHeaderBytes;
  const auto take = [&](std::uint64_t count, unsigned width, const std::byte*& section) {
    if (count > left / width) return Status{Code::kTruncated, file.offset_of(at), count, left / width};
    section = at;
    at += count * width;
    left -= count * width;
    return Status{};
  };
  Status status = take(file.num_ids, file.item_size, file.ids);
  if (status.ok()) status = take(file.num_values, file.window_width, file.values);
  if (status.ok()) status = take(file.num_locations, file.item_size, file.locations);
  if (!status.ok()) return status;
  file.windows = at;
  file.num_windows = left / file.window_width;
  if (left % file.window_width != 0) {
    return {Code::kTrailingBytes, file.offset_of(at) + file.num_windows * file.window_width,
            file.num_windows * file.window_width, left};
  }
  return {};
}

/// Expands layers of windows, one after the other.
class WindowReader {
 public:
  explicit WindowReader(const File& file) noexcept : file_(file), words_(row_words(file.shape[0])) {}

  [[nodiscard]] std::size_t row_words_of_slice() const noexcept { return words_; }

  /// Reads the next layer.  `boundary` receives the rows of its slices (zstep of them, or fewer at the end of the
  /// chunk), one bit per voxel; null skips the layer.
  Status read(std::uint64_t* boundary) noexcept {
    switch (file_.window_width) {
      case 1:
        return read_typed<std::uint8_t>(boundary);
      case 2:
        return read_typed<std::uint16_t>(boundary);
      case 4:
        return read_typed<std::uint32_t>(boundary);
      default:
        return read_typed<std::uint64_t>(boundary);
    }
  }

  /// Whether the code ends with the last layer.
  Status finish() const noexcept {
    std::uint64_t at = at_;
    const auto is_empty_run = [&] {
      return at != file_.num_windows && load_uint(file_.windows + at * file_.window_width, file_.window_width) == 1;
    };
    while (is_empty_run()) ++at;
    if (repeats_ != 0 || at != file_.num_windows) {
      return {Code::kTrailingBytes, file_.offset_of(file_.windows) + at * file_.window_width, at, file_.num_windows};
    }
    return {};
  }

 private:
  template <typename W>
  Status read_typed(std::uint64_t* boundary) noexcept {
    const std::size_t slices = std::min(file_.steps[2], file_.shape[2] - layer_ * file_.steps[2]);
    if (boundary != nullptr) std::fill_n(boundary, slices * file_.shape[1] * words_, 0);
    const std::uint64_t total = std::uint64_t{file_.grid[0]} * file_.grid[1];
    // Values ascend, so that the first is the empty window wherever there is one.
    const std::uint64_t first = file_.num_values != 0 ? load_le<W>(file_.values) : 0;
    std::uint64_t window = 0;
    std::uint64_t row_start = 0;
    std::size_t row = 0;
    while (window < total) {
      if (repeats_ != 0) {
        const std::uint64_t end = window + std::min(repeats_, total - window);
        repeats_ -= end - window;
        if (boundary != nullptr && first != 0) {
          for (; window < end; ++window) {
            for (; window - row_start >= file_.grid[0]; row_start += file_.grid[0]) ++row;
            put(boundary, slices, window - row_start, row, first);
          }
        }
        window = end;
        continue;
      }
      const std::byte* const at = file_.windows + at_ * sizeof(W);
      if (at_ == file_.num_windows) return {Code::kTruncated, file_.offset_of(at), total, window};
      const std::uint64_t word = load_le<W>(at);
      ++at_;
      if ((word & 1) != 0) {
        repeats_ = word >> 1;
        continue;
      }
      const std::uint64_t index = word >> 1;
      if (index >= file_.num_values) return {Code::kOffsetRange, file_.offset_of(at), file_.num_values, index};
      if (boundary != nullptr) {
        for (; window - row_start >= file_.grid[0]; row_start += file_.grid[0]) ++row;
        put(boundary, slices, window - row_start, row, load_le<W>(file_.values + index * sizeof(W)));
      }
      ++window;
    }
    ++layer_;
    return {};
  }

  void put(std::uint64_t* boundary, std::size_t slices, std::size_t column, std::size_t row,
           std::uint64_t bits) noexcept {
    const std::size_t x = column * file_.steps[0];
    const std::size_t y = row * file_.steps[1];
    const std::size_t in_row = std::min(file_.steps[0], file_.shape[0] - x);
    const std::size_t rows = std::min(file_.steps[1], file_.shape[1] - y);
    const std::size_t shift = x % 64;
    for (std::size_t k = 0; k < slices; ++k) {
      std::uint64_t* const slice = boundary + (k * file_.shape[1] + y) * words_ + x / 64;
      for (std::size_t j = 0; j < rows; ++j) {
        // A product of steps of at most 64 keeps every shift below 64.
        const std::uint64_t part = (bits >> (file_.steps[0] * (j + file_.steps[1] * k))) & low_bits(in_row);
        slice[j * words_] |= part << shift;
        if (shift + in_row > 64) slice[j * words_ + 1] |= part >> (64 - shift);
      }
    }
  }

  const File& file_;
  std::size_t words_;
  std::size_t layer_ = 0;
  std::uint64_t at_ = 0;
  std::uint64_t repeats_ = 0;  // of the first value, still to come
};

/// Whether every label and every location was used: those listed are those that there are.
Status check_end(const File& file, std::uint64_t ids, std::uint64_t locations) noexcept {
  if (ids != file.num_ids) return {Code::kTrailingBytes, file.offset_of(file.ids), ids, file.num_ids};
  if (locations != file.num_locations) {
    return {Code::kTrailingBytes, file.offset_of(file.locations), locations, file.num_locations};
  }
  return {};
}

/// Adds a row of voxels that are not on a boundary.
void add_row(SliceRuns& runs, std::size_t extent, const std::uint64_t* boundary) {
  std::uint64_t carry = 0;
  runs.add_row_of_changes(extent, [&](std::size_t word) {
    const std::uint64_t valid = word == extent / 64 ? low_bits(extent % 64) : ~std::uint64_t{0};
    const std::uint64_t inside = ~boundary[word] & valid;
    const std::uint64_t changes = inside ^ (inside << 1 | carry);
    carry = inside >> 63;
    return changes;
  });
}

constexpr auto kOverlapConnects = [](std::uint32_t, std::uint32_t) { return true; };

enum class Outcome { kDone, kFailed, kLeavesSlice };

/// Decodes slices whose components do not cross them, in order.
template <typename U>
class SlicePainter {
 public:
  /// May throw std::bad_alloc.
  SlicePainter(const File& file, const VoxelMap& map)
      : file_(file),
        map_(map),
        words_(row_words(file.shape[0])),
        current_(file.shape[0] + kFillBytes / sizeof(U)),
        above_(current_.size()) {}

  /// Where the next slice begins in the ids and the locations.
  std::uint64_t next_id = 0;
  std::uint64_t next_location = 0;
  Status status;

  /// Decodes a slice up to row `end_row` (all of it where the locations are to be counted), giving rows to `writer`.
  Outcome paint(const std::uint64_t* boundary, std::size_t z, RowWriter<U>* writer, std::size_t end_row) {
    const std::size_t sx = file_.shape[0];
    runs_.clear();
    for (std::size_t y = 0; y < file_.shape[1]; ++y) {
      add_row(runs_, sx, boundary + y * words_);
      if (y != 0) runs_.join_rows(y - 1, y, kOverlapConnects);
    }
    const std::uint64_t count = runs_.number();
    if (file_.version == 1 && count != file_.count(z)) {
      return fail({Code::kCorrupt, file_.offset_of(file_.counts) + z * file_.tail_width, file_.count(z), count});
    }
    if (count > file_.num_ids - next_id) {
      return fail({Code::kTruncated, file_.offset_of(file_.ids), next_id + count, file_.num_ids});
    }
    labels_.resize(count);
    for (std::uint64_t i = 0; i < count; ++i) labels_[i] = map_label<U>(map_, file_.id(next_id + i));
    next_id += count;
    for (std::size_t y = 0; y < end_row; ++y) {
      const Outcome outcome = paint_row(boundary, y);
      if (outcome != Outcome::kDone) return outcome;
      const auto row = static_cast<std::int64_t>(y);
      if (writer != nullptr && writer->wants(row)) writer->write(row, static_cast<std::int64_t>(z), current_.data());
      std::swap(current_, above_);
    }
    return Outcome::kDone;
  }

 private:
  Outcome fail(const Status& why) noexcept {
    status = why;
    return Outcome::kFailed;
  }

  Outcome paint_row(const std::uint64_t* slice, std::size_t y) noexcept {
    const std::size_t sx = file_.shape[0];
    const std::uint64_t* const boundary = slice + y * words_;
    const std::uint64_t* const boundary_above = y != 0 ? boundary - words_ : boundary;
    U* const row = current_.data();
    for (std::size_t i = runs_.row_begin(y); i < runs_.row_end(y); ++i) {
      const std::size_t end = std::min<std::size_t>(runs_.run_end(i) + 1, sx);
      fill_run(row + runs_.run_begin(i), row + end, labels_[runs_.component(i)]);
    }
    std::uint64_t inside_before = 0;
    for (std::size_t word = 0; word < words_; ++word) {
      const std::uint64_t on_boundary = boundary[word];
      const std::uint64_t inside = ~on_boundary;
      const std::uint64_t open = on_boundary & ~(inside << 1 | inside_before);
      inside_before = inside >> 63;
      const std::uint64_t below = y != 0 ? open & ~boundary_above[word] : 0;
      for (std::uint64_t bits = below; bits != 0; bits &= bits - 1) {
        const std::size_t x = 64 * word + static_cast<std::size_t>(std::countr_zero(bits));
        row[x] = above_[x];
      }
      for (std::uint64_t bits = open & ~below; bits != 0; bits &= bits - 1) {
        const std::size_t x = 64 * word + static_cast<std::size_t>(std::countr_zero(bits));
        const Outcome outcome = locate(boundary, x, y, row[x]);
        if (outcome != Outcome::kDone) return outcome;
      }
    }
    return Outcome::kDone;
  }

  [[nodiscard]] bool is_inside(const std::uint64_t* boundary, std::size_t x) const noexcept {
    return ((boundary[x / 64] >> (x % 64)) & 1) == 0;
  }

  Outcome locate(const std::uint64_t* boundary, std::size_t x, std::size_t y, U& out) noexcept {
    if (next_location >= file_.num_locations) {
      return fail({Code::kTruncated, file_.offset_of(file_.locations), next_location + 1, file_.num_locations});
    }
    const std::byte* const at = file_.locations + next_location * file_.item_size;
    const std::uint64_t code = file_.location(next_location++);
    const Status bad{Code::kBadValue, file_.offset_of(at), 0, code};
    if (code >= kFirstLabelCode) {
      out = map_label<U>(map_, code - kFirstLabelCode);
      return Outcome::kDone;
    }
    switch (code) {
      case kLiteralCode:
        if (next_location >= file_.num_locations) {
          return fail({Code::kTruncated, file_.offset_of(at), next_location + 1, file_.num_locations});
        }
        out = map_label<U>(map_, file_.location(next_location++));
        return Outcome::kDone;
      case 1:
        if (x + 1 == file_.shape[0] || !is_inside(boundary, x + 1)) return fail(bad);
        out = current_[x + 1];
        return Outcome::kDone;
      case 3:
        if (y + 1 == file_.shape[1] || !is_inside(boundary + words_, x)) return fail(bad);
        out = labels_[runs_.component_at(x, y + 1, 0)];
        return Outcome::kDone;
      case 4:
      case 5:
        return Outcome::kLeavesSlice;
      default:  // 0 and 2: those neighbours would have been copied without a location
        return fail(bad);
    }
  }

  const File& file_;
  const VoxelMap& map_;
  std::size_t words_;
  SliceRuns runs_;
  std::vector<U> labels_;
  std::vector<U> current_;
  std::vector<U> above_;
};

/// The plain way: the whole chunk, any connectivity, any location.
template <typename T>
class ChunkDecoder {
 public:
  explicit ChunkDecoder(const File& file) : file_(file), words_(row_words(file.shape[0])) {}

  /// May throw std::bad_alloc.
  Status decode() {
    const std::size_t sx = file_.shape[0];
    const std::size_t sy = file_.shape[1];
    const std::size_t sz = file_.shape[2];
    boundary_.resize(sy * sz * words_);
    WindowReader windows(file_);
    for (std::size_t layer = 0; layer < file_.grid[2]; ++layer) {
      const Status status = windows.read(boundary_.data() + layer * file_.steps[2] * sy * words_);
      if (!status.ok()) return status;
    }
    Status status = windows.finish();
    if (!status.ok()) return status;
    for (std::size_t row = 0; row < sy * sz; ++row) {
      add_row(runs_, sx, boundary_.data() + row * words_);
      if (row % sy != 0) runs_.join_rows(row - 1, row, kOverlapConnects);
      if (file_.connectivity == 6 && row >= sy) runs_.join_rows(row - sy, row, kOverlapConnects);
    }
    count_ = runs_.number();
    if (count_ > file_.num_ids) return {Code::kTruncated, file_.offset_of(file_.ids), count_, file_.num_ids};
    status = check_counts();
    if (!status.ok()) return status;
    voxels_.resize(sx * sy * sz + kFillBytes / sizeof(T));
    for (std::size_t row = 0; row < sy * sz; ++row) {
      for (std::size_t i = runs_.row_begin(row); i < runs_.row_end(row); ++i) {
        std::fill(voxels_.data() + row * sx + runs_.run_begin(i), voxels_.data() + row * sx + runs_.run_end(i),
                  static_cast<T>(file_.id(runs_.component(i))));
      }
    }
    return resolve_boundary();
  }

  [[nodiscard]] const std::byte* voxels() const noexcept { return reinterpret_cast<const std::byte*>(voxels_.data()); }

 private:
  // Components that begin in each slice, against the index of version 1.
  Status check_counts() const noexcept {
    if (file_.version != 1) return {};
    std::uint64_t next = 0;
    const std::size_t sy = file_.shape[1];
    for (std::size_t z = 0; z < file_.shape[2]; ++z) {
      std::uint64_t found = 0;
      for (std::size_t i = runs_.row_begin(z * sy); i < runs_.row_end(z * sy + sy - 1); ++i) {
        if (runs_.component(i) == next) {
          ++next;
          ++found;
        }
      }
      if (found != file_.count(z)) {
        return {Code::kCorrupt, file_.offset_of(file_.counts) + z * file_.tail_width, file_.count(z), found};
      }
    }
    return {};
  }

  [[nodiscard]] bool is_boundary(std::size_t x, std::size_t row) const noexcept {
    return ((boundary_[row * words_ + x / 64] >> (x % 64)) & 1) != 0;
  }

  Status resolve_boundary() noexcept {
    const std::size_t sx = file_.shape[0];
    const std::size_t sy = file_.shape[1];
    const std::size_t sz = file_.shape[2];
    std::uint64_t next = 0;
    std::uint64_t start = 0;
    for (std::size_t row = 0; row < sy * sz; ++row) {
      const std::size_t y = row % sy;
      const std::size_t z = row / sy;
      if (file_.version == 1 && y == 0) {
        start += file_.start_step(z);
        if (z == 0) next = start;
        if (next != start) {
          return {Code::kCorrupt, file_.offset_of(file_.starts) + z * file_.tail_width, start, next};
        }
      }
      T* const voxels = voxels_.data() + row * sx;
      // A neighbour's label, where the neighbour is in a component.
      const auto copy = [&](std::size_t x, bool exists, std::ptrdiff_t columns, std::ptrdiff_t rows) {
        if (!exists) return false;
        const auto to_x = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(x) + columns);
        const auto to_row = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(row) + rows);
        if (is_boundary(to_x, to_row)) return false;
        voxels[x] = voxels_[to_row * sx + to_x];
        return true;
      };
      const auto rows_per_slice = static_cast<std::ptrdiff_t>(sy);
      for (std::size_t x = 0; x < sx; ++x) {
        if (!is_boundary(x, row)) continue;
        if (copy(x, x > 0, -1, 0) || copy(x, y > 0, 0, -1)) continue;
        if (file_.connectivity == 6 && copy(x, z > 0, 0, -rows_per_slice)) continue;
        if (next >= file_.num_locations) {
          return {Code::kTruncated, file_.offset_of(file_.locations), next + 1, file_.num_locations};
        }
        const std::uint64_t at = file_.offset_of(file_.locations) + next * file_.item_size;
        const std::uint64_t code = file_.location(next++);
        bool is_good = true;
        switch (code) {
          case 1:
            is_good = copy(x, x + 1 < sx, 1, 0);
            break;
          case 3:
            is_good = copy(x, y + 1 < sy, 0, 1);
            break;
          case 4:
            is_good = copy(x, z > 0, 0, -rows_per_slice);
            break;
          case 5:
            is_good = copy(x, z + 1 < sz, 0, rows_per_slice);
            break;
          case kLiteralCode:
            is_good = next < file_.num_locations;
            if (is_good) voxels[x] = static_cast<T>(file_.location(next++));
            break;
          default:
            is_good = code >= kFirstLabelCode;
            voxels[x] = static_cast<T>(code - kFirstLabelCode);
            break;
        }
        if (!is_good) return {Code::kBadValue, at, 0, code};
      }
    }
    return check_end(file_, count_, next);
  }

  const File& file_;
  std::size_t words_;
  SliceRuns runs_;
  std::uint64_t count_ = 0;  // of components
  std::vector<std::uint64_t> boundary_;
  std::vector<T> voxels_;
};

Status decode_chunk(const File& file, const Box3& box, const VoxelMap& map, std::byte* dst, const Int4& dst_strides) {
  return with_item(file.item_size, [&]<typename T>() {
    ChunkDecoder<T> decoder(file);
    const Status status = decoder.decode();
    if (!status.ok()) return status;
    const Int3 chunk{static_cast<std::int64_t>(file.shape[0]), static_cast<std::int64_t>(file.shape[1]),
                     static_cast<std::int64_t>(file.shape[2])};
    const Int4 strides = fortran_strides(chunk, sizeof(T));
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < 3; ++i) offset += box.min[i] * strides[i];
    const Int3 shape = box.shape();
    paint::map_box(decoder.voxels() + offset, strides, dst, dst_strides, {shape[0], shape[1], shape[2], 1}, sizeof(T),
                   map);
    return status;
  });
}

template <typename U>
Outcome decode_slices(const File& file, const Box3& box, const VoxelMap& map, std::byte* dst, const Int4& dst_strides,
                      Status& status) {
  const std::size_t sy = file.shape[1];
  const std::size_t sz = file.shape[2];
  const auto z_begin = static_cast<std::size_t>(box.min[2]);
  const auto z_end = static_cast<std::size_t>(box.max[2]);
  RowWriter<U> writer(box, dst, dst_strides);
  WindowReader windows(file);
  SlicePainter<U> painter(file, map);
  std::vector<std::uint64_t> boundary(std::min(file.steps[2], sz) * sy * windows.row_words_of_slice());
  const std::size_t first_needed = file.version == 1 ? z_begin : 0;
  std::uint64_t start = 0;  // of the slice's locations, by the index
  for (std::size_t layer = 0; layer * file.steps[2] < z_end; ++layer) {
    const std::size_t layer_begin = layer * file.steps[2];
    const std::size_t layer_end = std::min(layer_begin + file.steps[2], sz);
    status = windows.read(layer_end > first_needed ? boundary.data() : nullptr);
    if (!status.ok()) return Outcome::kFailed;
    for (std::size_t z = layer_begin; z < std::min(layer_end, z_end); ++z) {
      if (file.version == 1) start += file.start_step(z);
      if (z < first_needed) {
        painter.next_id = std::min(file.num_ids, painter.next_id + file.count(z));
        continue;
      }
      if (file.version == 1 && z == first_needed) painter.next_location = start;
      if (file.version == 1 && painter.next_location != start) {
        status = {Code::kCorrupt, file.offset_of(file.starts) + z * file.tail_width, start, painter.next_location};
        return Outcome::kFailed;
      }
      const bool is_last = z + 1 == z_end && z_end != sz;
      const Outcome outcome =
          painter.paint(boundary.data() + (z - layer_begin) * sy * windows.row_words_of_slice(), z,
                        z >= z_begin ? &writer : nullptr, is_last ? static_cast<std::size_t>(box.max[1]) : sy);
      if (outcome != Outcome::kDone) {
        status = painter.status;
        return outcome;
      }
    }
  }
  if (z_end == sz) {
    status = windows.finish();
    if (status.ok()) status = check_end(file, painter.next_id, painter.next_location);
  }
  writer.finish();
  return status.ok() ? Outcome::kDone : Outcome::kFailed;
}

/// What came of going through the labels of some slices.
enum class Listing : std::uint8_t {
  kAll,
  kStopped,   ///< the visitor has seen enough
  kNotKnown,  ///< the sections contradict each other, or a label is one of another slice
};

/// Calls visit(label) with every label of slices [z_begin, z_end), repeatedly where it occurs so, until it returns
/// false.  Only version 1 tells slices apart: without it the labels are those of the chunk.  No window is read.
template <typename Visit>
Listing visit_labels(const File& file, std::size_t z_begin, std::size_t z_end, Visit&& visit) {
  std::uint64_t id = 0;
  std::uint64_t id_end = file.num_ids;
  std::uint64_t location = 0;
  std::uint64_t location_end = file.num_locations;
  if (file.version == 1) location = std::min(file.start_step(0), file.num_locations);
  const bool is_part = file.version == 1 && (z_begin != 0 || z_end != file.shape[2]);
  if (is_part) {
    std::uint64_t ids = 0;
    std::uint64_t start = 0;
    for (std::size_t z = 0; z <= z_end; ++z) {
      if (z == z_begin) id = ids;
      if (z == z_end) id_end = ids;
      if (z == file.shape[2]) break;
      if (file.count(z) > file.num_ids - ids || file.start_step(z) > file.num_locations - start) {
        return Listing::kNotKnown;
      }
      ids += file.count(z);
      start += file.start_step(z);
      if (z == z_begin) location = start;
      if (z == z_end) location_end = start;
    }
  }
  for (; id < id_end; ++id) {
    if (!visit(file.id(id))) return Listing::kStopped;
  }
  while (location < location_end) {
    const std::uint64_t code = file.location(location++);
    if (code >= kFirstLabelCode) {
      if (!visit(code - kFirstLabelCode)) return Listing::kStopped;
    } else if (code == kLiteralCode) {
      if (location == location_end) return Listing::kNotKnown;
      if (!visit(file.location(location++))) return Listing::kStopped;
    } else if (code == 4 || code == 5) {
      if (is_part) return Listing::kNotKnown;
    } else if (code != 1 && code != 3) {
      return Listing::kNotKnown;
    }
  }
  return Listing::kAll;
}

/// The item that all voxels of a box become, where that follows from the labels alone: mostly since none of them is
/// asked for.
template <typename U>
std::optional<U> constant_item(const File& file, const Box3& box, const VoxelMap& map) noexcept {
  std::optional<U> item;
  const Listing listing = visit_labels(file, static_cast<std::size_t>(box.min[2]), static_cast<std::size_t>(box.max[2]),
                                       [&](std::uint64_t label) {
                                         const U found = map_label<U>(map, label);
                                         if (!item) item = found;
                                         return *item == found;
                                       });
  return listing == Listing::kAll ? item : std::nullopt;
}

}  // namespace

Status decode_box(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                  const VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept {
  return answer_request(item_size, chunk_shape, box, [&] {
    File file;
    Status status = open(data, item_size, chunk_shape, file);
    if (!status.ok()) return status;
    if (map.op != paint::VoxelOp::kCopy) {
      const bool is_filled = with_item(map.output_item_size(static_cast<std::size_t>(item_size)), [&]<typename U>() {
        const std::optional<U> item = constant_item<U>(file, box, map);
        if (item) fill_box<U>(box, file.shape[0], *item, dst, dst_strides);
        return item.has_value();
      });
      if (is_filled) return status;
    }
    if (file.connectivity == 4) {
      const Outcome outcome = with_item(map.output_item_size(file.item_size), [&]<typename U>() {
        return decode_slices<U>(file, box, map, dst, dst_strides, status);
      });
      if (outcome != Outcome::kLeavesSlice) return status;
    }
    return decode_chunk(file, box, map, dst, dst_strides);
  });
}

Status unique_box(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                  std::vector<std::uint64_t>& out) {
  Status status = check_request(item_size, chunk_shape, box);
  if (!status.ok() || box.empty()) return status;
  File file;
  status = open(data, item_size, chunk_shape, file);
  if (!status.ok()) return status;
  const Int3 shape = box.shape();
  const bool has_whole_slices = shape[0] == chunk_shape[0] && shape[1] == chunk_shape[1];
  if (has_whole_slices && (file.version == 1 || shape[2] == chunk_shape[2])) {
    const auto z_begin = static_cast<std::size_t>(box.min[2]);
    const auto z_end = static_cast<std::size_t>(box.max[2]);
    if (visit_labels(file, z_begin, z_end, [](std::uint64_t) { return true; }) == Listing::kAll) {
      paint::UniqueCollector collector(out);
      visit_labels(file, z_begin, z_end, [&](std::uint64_t label) {
        collector.add(label);
        return true;
      });
      collector.finish();
      return status;
    }
  }
  return unique_of_decoded(&decode_box, data, item_size, chunk_shape, box, out);
}

}  // namespace cvfast::decode::compresso
