// SPDX-License-Identifier: BSD-3-Clause
//
// The walls of a slice are two bit masks, one bit per voxel and direction: a move of the crack code sets (or clears)
// one bit at a place found without branches.  Components are then found on runs of voxels (slice_runs.hpp), labels are
// mapped once per component, and rows are filled run by run in a buffer that stays in the first-level cache, from where
// they go to the destination.  The component image that the slice's checksum is about is filled in the same way.
#include "cvfast/decode/crackle.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "../paint/recent_labels.hpp"
#include "cvfast/core/crc32c.hpp"
#include "cvfast/core/endian.hpp"
#include "label_box.hpp"
#include "label_rows.hpp"
#include "slice_runs.hpp"

namespace cvfast::decode::crackle {
namespace {

using paint::VoxelMap;

/// The narrowest integer of the format that holds a value.
unsigned width_of(std::uint64_t value) noexcept {
  if (value <= 0xff) return 1;
  if (value <= 0xffff) return 2;
  return value <= 0xffffffff ? 4 : 8;
}

std::uint8_t crc8(std::span<const std::byte> data) noexcept {
  unsigned crc = 0xff;
  for (const std::byte b : data) {
    crc ^= std::to_integer<unsigned>(b);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xe7U : 0U);
  }
  return static_cast<std::uint8_t>(crc);
}

/// The file after its header, index and label section were checked.
struct File {
  std::span<const std::byte> data;
  std::size_t sx = 0;
  std::size_t sy = 0;
  std::size_t sz = 0;
  unsigned item_size = 0;
  unsigned stored_width = 0;
  bool has_checksums = false;
  bool opens_walls = false;
  bool is_signed = false;
  unsigned markov_order = 0;

  const std::byte* index = nullptr;  // uint32 per slice
  std::uint64_t labels_at = 0;       // the label section
  std::uint64_t num_labels = 0;
  const std::byte* labels = nullptr;
  const std::byte* counts = nullptr;  // components of each slice
  unsigned count_width = 0;
  const std::byte* keys = nullptr;  // for each component, the index of its label
  unsigned key_width = 0;
  const std::byte* model = nullptr;
  std::uint64_t model_bytes = 0;
  std::uint64_t codes_at = 0;
  std::uint64_t codes_bytes = 0;
  const std::byte* slice_checksums = nullptr;

  [[nodiscard]] std::uint64_t offset_of(const std::byte* p) const noexcept {
    return static_cast<std::uint64_t>(p - data.data());
  }
  [[nodiscard]] std::uint64_t code_bytes(std::size_t z) const noexcept { return load_le<std::uint32_t>(index + 4 * z); }
  [[nodiscard]] std::uint64_t count(std::size_t z) const noexcept {
    return load_uint(counts + z * count_width, count_width);
  }
  /// Of a component, counted through all slices.
  [[nodiscard]] std::uint64_t key(std::uint64_t component) const noexcept {
    return load_uint(keys + component * key_width, key_width);
  }
  [[nodiscard]] Status bad_key(std::uint64_t component) const noexcept {
    return {Code::kOffsetRange, offset_of(keys + component * key_width), num_labels, key(component)};
  }
  [[nodiscard]] std::uint64_t label(std::uint64_t key) const noexcept {
    const std::uint64_t value = load_uint(labels + key * stored_width, stored_width);
    if (!is_signed || stored_width == 8) return value;
    const std::uint64_t sign = std::uint64_t{1} << (8 * stored_width - 1);
    const std::uint64_t extended = (value ^ sign) - sign;
    return item_size == 8 ? extended : extended & low_bits(8 * item_size);
  }
};

Status parse_header(const Int3& chunk_shape, std::int64_t item_size, File& file, std::uint64_t& label_bytes,
                    std::uint64_t& header_bytes) noexcept {
  const std::byte* const p = file.data.data();
  const std::uint64_t size = file.data.size();
  constexpr std::uint64_t kHeaderV0 = 24;
  constexpr std::uint64_t kHeaderV1 = 29;
  if (size < kHeaderV0) return {Code::kTruncated, size, kHeaderV0, size};
  if (std::memcmp(p, "crkl", 4) != 0) return {Code::kBadMagic, 0, 0, 0};
  const auto version = load_le<std::uint8_t>(p + 4);
  if (version > 1) return {Code::kUnsupported, 4, 1, version};
  file.has_checksums = version == 1;
  header_bytes = version == 1 ? kHeaderV1 : kHeaderV0;
  if (size < header_bytes) return {Code::kTruncated, size, header_bytes, size};
  if (file.has_checksums) {
    const std::uint8_t computed = crc8(file.data.subspan(5, 23));
    const auto stored = load_le<std::uint8_t>(p + 28);
    if (computed != stored) return {Code::kChecksum, 28, stored, computed};
  }
  const unsigned format = load_le<std::uint16_t>(p + 5);
  file.item_size = 1U << (format & 3);
  file.stored_width = 1U << ((format >> 2) & 3);
  file.opens_walls = ((format >> 4) & 1) != 0;
  const unsigned label_format = (format >> 5) & 3;
  file.is_signed = ((format >> 8) & 1) != 0;
  file.markov_order = (format >> 9) & 15;
  if (file.item_size != item_size) {
    return {Code::kBadValue, 5, static_cast<std::uint64_t>(item_size), file.item_size};
  }
  if (label_format != 0) return {Code::kUnsupported, 5, 0, label_format};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::uint64_t found = load_le<std::uint32_t>(p + 7 + 4 * i);
    const auto expected = static_cast<std::uint64_t>(chunk_shape[i]);
    if (found != expected) return {Code::kBadValue, 7 + 4 * i, expected, found};
  }
  file.sx = static_cast<std::size_t>(chunk_shape[0]);
  file.sy = static_cast<std::size_t>(chunk_shape[1]);
  file.sz = static_cast<std::size_t>(chunk_shape[2]);
  const auto log2_grid = load_le<std::uint8_t>(p + 19);
  if (log2_grid < 32 && std::uint64_t{1} << log2_grid < std::max(file.sx, file.sy)) {
    return {Code::kUnsupported, 19, std::max(file.sx, file.sy), std::uint64_t{1} << log2_grid};
  }
  label_bytes = version == 1 ? load_le<std::uint64_t>(p + 20) : load_le<std::uint32_t>(p + 20);
  return {};
}

// A run of bytes that the file announces: checked against what is left, then skipped.
Status take(const File& file, std::uint64_t& at, std::uint64_t bytes) noexcept {
  const std::uint64_t left = file.data.size() - at;
  if (bytes > left) return {Code::kTruncated, at, bytes, left};
  at += bytes;
  return {};
}

Status check_crc32c(const File& file, std::uint64_t begin, std::uint64_t bytes, std::uint64_t stored_at) noexcept {
  const auto stored = load_le<std::uint32_t>(file.data.data() + stored_at);
  const std::uint32_t computed = crc32c(file.data.subspan(begin, bytes));
  if (stored != computed) return {Code::kChecksum, stored_at, stored, computed};
  return {};
}

Status parse_labels(std::uint64_t bytes, File& file) noexcept {
  const std::byte* const section = file.data.data() + file.labels_at;
  std::uint64_t left = bytes;
  if (left < 8) return {Code::kTruncated, file.labels_at, 8, left};
  left -= 8;
  file.num_labels = load_le<std::uint64_t>(section);
  if (file.num_labels > left / file.stored_width) {
    return {Code::kTruncated, file.labels_at, file.num_labels, left / file.stored_width};
  }
  file.labels = section + 8;
  left -= file.num_labels * file.stored_width;
  file.counts = file.labels + file.num_labels * file.stored_width;
  file.count_width = width_of(std::uint64_t{file.sx} * file.sy);
  if (file.sz > left / file.count_width) {
    return {Code::kTruncated, file.offset_of(file.counts), file.sz, left / file.count_width};
  }
  left -= file.sz * file.count_width;
  file.keys = file.counts + file.sz * file.count_width;
  file.key_width = width_of(file.num_labels);
  const std::uint64_t room = left / file.key_width;
  std::uint64_t components = 0;
  for (std::size_t z = 0; z < file.sz; ++z) {
    const std::uint64_t count = file.count(z);
    if (count > room - components) {
      return {Code::kTruncated, file.offset_of(file.counts) + z * file.count_width, room - components, count};
    }
    components += count;
  }
  return {};
}

Status open(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, File& file) noexcept {
  file.data = data;
  std::uint64_t label_bytes = 0;
  std::uint64_t at = 0;
  Status status = parse_header(chunk_shape, item_size, file, label_bytes, at);
  if (!status.ok()) return status;

  file.index = data.data() + at;
  const std::uint64_t index_at = at;
  status = take(file, at, 4 * std::uint64_t{file.sz});
  if (!status.ok()) return status;
  if (file.has_checksums) {
    const std::uint64_t stored_at = at;
    status = take(file, at, 4);
    if (status.ok()) status = check_crc32c(file, index_at, stored_at - index_at, stored_at);
    if (!status.ok()) return status;
  }
  file.labels_at = at;
  status = take(file, at, label_bytes);
  if (!status.ok()) return status;
  if (file.markov_order > 0) {
    file.model = data.data() + at;
    file.model_bytes = ((std::uint64_t{1} << (2 * file.markov_order)) * 5 + 7) / 8;
    status = take(file, at, file.model_bytes);
    if (!status.ok()) return status;
  }
  file.codes_at = at;
  std::uint64_t codes_bytes = 0;
  for (std::size_t z = 0; z < file.sz; ++z) codes_bytes += file.code_bytes(z);
  status = take(file, at, codes_bytes);
  if (!status.ok()) return status;
  file.codes_bytes = codes_bytes;
  if (file.has_checksums) {
    const std::uint64_t stored_at = at;
    status = take(file, at, 4 + 4 * std::uint64_t{file.sz});
    if (status.ok()) status = check_crc32c(file, file.labels_at, label_bytes, stored_at);
    if (!status.ok()) return status;
    file.slice_checksums = data.data() + stored_at + 4;
  }
  if (at != data.size()) return {Code::kTrailingBytes, at, at, data.size()};
  return parse_labels(label_bytes, file);
}

constexpr int kNoMove = -1;

/// Moves of two bits, differences modulo 4 from the move before.
class PlainMoves {
 public:
  PlainMoves(std::span<const std::byte> code, const File&) noexcept : code_(code) {}

  /// The next move: 0 up, 1 right, 2 down, 3 left.  kNoMove at the end.
  int next() noexcept {
    if (left_ == 0 && !refill()) return kNoMove;
    move_ = (move_ + static_cast<unsigned>(word_)) & 3U;
    word_ >>= 2;
    --left_;
    return static_cast<int>(move_);
  }

 private:
  bool refill() noexcept {
    const std::size_t bytes = std::min<std::size_t>(8, code_.size() - at_);
    if (bytes == 0) return false;
    word_ = 0;
    std::memcpy(&word_, code_.data() + at_, bytes);
    at_ += bytes;
    left_ = static_cast<unsigned>(4 * bytes);
    return true;
  }

  std::span<const std::byte> code_;
  std::size_t at_ = 0;
  std::uint64_t word_ = 0;
  unsigned left_ = 0;
  unsigned move_ = 0;
};

/// The permutations of (0, 1, 2, 3) in lexicographic order, two bits each from the lowest up.
constexpr std::array<std::uint8_t, 24> make_permutations() noexcept {
  std::array<std::uint8_t, 24> out{};
  std::size_t n = 0;
  for (unsigned a = 0; a < 4; ++a) {
    for (unsigned b = 0; b < 4; ++b) {
      for (unsigned c = 0; c < 4; ++c) {
        if (a == b || a == c || b == c) continue;
        out[n++] = static_cast<std::uint8_t>(a | b << 2 | c << 4 | (6 - a - b - c) << 6);
      }
    }
  }
  return out;
}
constexpr std::array<std::uint8_t, 24> kPermutations = make_permutations();

/// Differences as ranks in a permutation that the last `order` differences select: 0, 10, 110 and 111, read from the
/// lowest bit up.  The first difference takes two bits as they are.  A model is one number of 5 bits per history.
class MarkovMoves {
 public:
  MarkovMoves(std::span<const std::byte> code, const File& file) noexcept
      : code_(code),
        model_(file.model, file.model_bytes),
        top_(2 * (file.markov_order - 1)),
        bits_(8 * code.size()) {}

  int next() noexcept {
    unsigned difference = 0;
    if (at_ == 0) {
      if (bits_ < 2) return kNoMove;
      difference = bit(0) | bit(1) << 1;
      at_ = 2;
    } else {
      unsigned rank = 0;
      while (rank < 3) {
        if (at_ == bits_) return kNoMove;
        if (bit(at_++) == 0) break;
        ++rank;
      }
      const std::uint64_t row = model_row();
      if (row >= kPermutations.size()) return kNoMove;
      difference = (kPermutations[row] >> (2 * rank)) & 3U;
    }
    history_ = history_ >> 2 | std::uint64_t{difference} << top_;
    move_ = (move_ + difference) & 3U;
    return static_cast<int>(move_);
  }

 private:
  [[nodiscard]] unsigned bit(std::uint64_t at) const noexcept {
    return (std::to_integer<unsigned>(code_[at / 8]) >> (at % 8)) & 1U;
  }
  [[nodiscard]] std::uint64_t model_row() const noexcept {
    const std::uint64_t at = 5 * history_;
    unsigned bits = std::to_integer<unsigned>(model_[at / 8]);
    if (at / 8 + 1 < model_.size()) bits |= std::to_integer<unsigned>(model_[at / 8 + 1]) << 8;
    return (bits >> (at % 8)) & 31U;
  }

  std::span<const std::byte> code_;
  std::span<const std::byte> model_;
  unsigned top_;
  std::uint64_t bits_;
  std::uint64_t at_ = 0;
  std::uint64_t history_ = 0;
  unsigned move_ = 0;
};

struct Corner {
  std::uint32_t x = 0;
  std::uint32_t y = 0;
};

/// What decoding slices needs, allocated once for all of them.
class SliceDecoder {
 public:
  /// May throw std::bad_alloc.
  explicit SliceDecoder(const File& file)
      : file_(file),
        words_(row_words(file.sx)),
        walls_((2 * file.sy + 1) * words_) {
    if (file.has_checksums) components_.resize(file.sx * file.sy + kFillBytes / sizeof(std::uint32_t));
  }

  /// Finds the runs and components of a slice whose code starts at byte `at`.  May throw std::bad_alloc.
  Status decode(std::size_t z, std::uint64_t at) {
    std::fill(walls_.begin(), walls_.end(), file_.opens_walls ? ~std::uint64_t{0} : 0);
    const std::span<const std::byte> code = file_.data.subspan(at, file_.code_bytes(z));
    Status status = read_nodes(code, at);
    if (!status.ok()) return status;
    const std::span<const std::byte> moves = code.subspan(moves_at_);
    if (file_.markov_order == 0) {
      status = file_.opens_walls ? trace<PlainMoves, true>(moves) : trace<PlainMoves, false>(moves);
    } else {
      status = file_.opens_walls ? trace<MarkovMoves, true>(moves) : trace<MarkovMoves, false>(moves);
    }
    if (!status.ok()) {
      status.offset += at + moves_at_;
      return status;
    }
    runs_.clear();
    for (std::size_t y = 0; y < file_.sy; ++y) {
      runs_.add_row_of_walls(file_.sx, walls_.data() + y * words_);
      if (y == 0) continue;
      const std::uint64_t* const above = walls_.data() + (file_.sy + y) * words_;
      runs_.join_rows(y - 1, y,
                      [above](std::uint32_t begin, std::uint32_t end) { return any_clear(above, begin, end); });
    }
    const std::uint64_t found = runs_.number();
    if (found != file_.count(z)) {
      return {Code::kCorrupt, file_.offset_of(file_.counts) + z * file_.count_width, file_.count(z), found};
    }
    return file_.has_checksums ? check_components(z) : Status{};
  }

  [[nodiscard]] const SliceRuns& runs() const noexcept { return runs_; }

 private:
  Status check_components(std::size_t z) noexcept {
    for (std::size_t y = 0; y < file_.sy; ++y) {
      std::uint32_t* const row = components_.data() + y * file_.sx;
      for (std::size_t i = runs_.row_begin(y); i < runs_.row_end(y); ++i) {
        fill_run(row + runs_.run_begin(i), row + runs_.run_end(i), runs_.component(i));
      }
    }
    const std::byte* const at = file_.slice_checksums + 4 * z;
    const auto stored = load_le<std::uint32_t>(at);
    const std::uint32_t computed = crc32c(std::as_bytes(std::span(components_).first(file_.sx * file_.sy)));
    if (stored != computed) return {Code::kChecksum, file_.offset_of(at), stored, computed};
    return {};
  }

  // The corners where chains start: rows, and in them columns, as differences.
  Status read_nodes(std::span<const std::byte> code, std::uint64_t code_at) {
    nodes_.clear();
    if (code.size() < 4) return {Code::kTruncated, code_at, 4, code.size()};
    const std::uint64_t end = 4 + std::uint64_t{load_le<std::uint32_t>(code.data())};
    if (end > code.size()) return {Code::kTruncated, code_at, end, code.size()};
    moves_at_ = end;
    const unsigned x_width = width_of(file_.sx + 1);
    const unsigned y_width = width_of(file_.sy + 1);
    std::uint64_t at = 4;
    const auto next = [&](unsigned width, std::uint64_t& value) {
      if (end - at < width) return false;
      value = load_uint(code.data() + at, width);
      at += width;
      return true;
    };
    const auto truncated = [&] { return Status{Code::kTruncated, code_at + at, 0, 0}; };
    std::uint64_t rows = 0;
    if (!next(y_width, rows)) return truncated();
    std::uint64_t y = 0;
    for (std::uint64_t row = 0; row < rows; ++row) {
      std::uint64_t step = 0;
      std::uint64_t count = 0;
      if (!next(y_width, step) || !next(x_width, count)) return truncated();
      if (step > file_.sy - y) return {Code::kOffsetRange, code_at + at, file_.sy - y, step};
      y += step;
      std::uint64_t x = 0;
      for (std::uint64_t i = 0; i < count; ++i) {
        if (!next(x_width, step)) return truncated();
        if (step > file_.sx - x) return {Code::kOffsetRange, code_at + at, file_.sx - x, step};
        x += step;
        nodes_.push_back({static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y)});
      }
    }
    return {};
  }

  // Walks the chains.  Two opposite moves in a row are no moves but a mark: (up, down) and (left, right) remember the
  // corner, (down, up) and (right, left) end the branch and go back to the corner remembered last.
  template <typename Moves, bool kOpens>
  Status trace(std::span<const std::byte> code) {
    const Status ended{Code::kTruncated, code.size(), 0, 0};
    Moves moves(code, file_);
    for (const Corner& node : nodes_) {
      branches_.clear();
      Corner at = node;
      int move = moves.next();
      for (;;) {
        const int following = moves.next();
        if (move < 0 || following < 0) return ended;
        if (following != (move ^ 2)) {
          if (!step<kOpens>(at, static_cast<unsigned>(move))) return {Code::kOffsetRange, 0, 0, 0};
          move = following;
          continue;
        }
        if (move == 0 || move == 3) {
          branches_.push_back(at);
        } else if (branches_.empty()) {
          break;
        } else {
          at = branches_.back();
          branches_.pop_back();
        }
        move = moves.next();
      }
    }
    return {};
  }

  // Moves along one crack; false where that leaves the slice.  Walls left of the voxels of row y are row y of walls_,
  // those above them row sy + y.
  template <bool kOpens>
  bool step(Corner& at, unsigned move) noexcept {
    constexpr std::array<std::uint32_t, 4> kX{0, 1, 0, ~0U};
    constexpr std::array<std::uint32_t, 4> kY{~0U, 0, 1, 0};
    const std::uint32_t x = at.x + kX[move];
    const std::uint32_t y = at.y + kY[move];
    if (x > file_.sx || y > file_.sy) return false;
    const std::size_t column = std::min(at.x, x);
    const std::size_t row = std::min(at.y, y) + ((move & 1) != 0 ? file_.sy : 0);
    std::uint64_t& word = walls_[row * words_ + column / 64];
    const std::uint64_t bit = std::uint64_t{1} << (column % 64);
    if constexpr (kOpens) {
      word &= ~bit;
    } else {
      word |= bit;
    }
    at = {x, y};
    return true;
  }

  const File& file_;
  std::size_t words_;
  std::vector<std::uint64_t> walls_;
  std::vector<std::uint32_t> components_;  // of a slice, for its checksum
  std::vector<Corner> nodes_;
  std::vector<Corner> branches_;
  std::size_t moves_at_ = 0;
  SliceRuns runs_;
};

template <typename U>
Status decode_typed(const File& file, const Box3& box, const VoxelMap& map, std::byte* dst, const Int4& strides) {
  SliceDecoder decoder(file);
  RowWriter<U> writer(box, dst, strides);
  std::vector<U> row(file.sx + kFillBytes / sizeof(U));
  std::vector<U> labels;
  std::uint64_t code_at = file.codes_at;
  std::uint64_t component = 0;
  for (std::size_t z = 0; z < static_cast<std::size_t>(box.max[2]); ++z) {
    const std::uint64_t count = file.count(z);
    if (z >= static_cast<std::size_t>(box.min[2])) {
      const Status status = decoder.decode(z, code_at);
      if (!status.ok()) return status;
      labels.resize(count);
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t key = file.key(component + i);
        if (key >= file.num_labels) return file.bad_key(component + i);
        labels[i] = map_label<U>(map, file.label(key));
      }
      const SliceRuns& runs = decoder.runs();
      for (std::int64_t y = box.min[1]; y < box.max[1]; ++y) {
        const auto row_index = static_cast<std::size_t>(y);
        for (std::size_t i = runs.row_begin(row_index); i < runs.row_end(row_index); ++i) {
          fill_run(row.data() + runs.run_begin(i), row.data() + runs.run_end(i), labels[runs.component(i)]);
        }
        writer.write(y, static_cast<std::int64_t>(z), row.data());
      }
    }
    component += count;
    code_at += file.code_bytes(z);
  }
  writer.finish();
  return {};
}

/// The item that all voxels of a box become, where that follows from the labels of its slices alone: mostly since none
/// of them is asked for.
template <typename U>
std::optional<U> constant_item(const File& file, const Box3& box, const VoxelMap& map) noexcept {
  std::optional<U> item;
  std::uint64_t component = 0;
  for (std::size_t z = 0; z < static_cast<std::size_t>(box.max[2]); ++z) {
    const std::uint64_t end = component + file.count(z);
    if (z < static_cast<std::size_t>(box.min[2])) component = end;
    for (; component < end; ++component) {
      const std::uint64_t key = load_uint(file.keys + component * file.key_width, file.key_width);
      if (key >= file.num_labels) return std::nullopt;
      const U found = map_label<U>(map, file.label(key));
      if (!item) item = found;
      if (*item != found) return std::nullopt;
    }
  }
  return item;
}

}  // namespace

Status decode_box(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape, const Box3& box,
                  const VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept {
  return answer_request(item_size, chunk_shape, box, [&] {
    File file;
    const Status status = open(data, item_size, chunk_shape, file);
    if (!status.ok()) return status;
    return with_item(map.output_item_size(file.item_size), [&]<typename U>() {
      if (file.has_checksums && map.op != paint::VoxelOp::kCopy) {
        if (const std::optional<U> item = constant_item<U>(file, box, map)) {
          fill_box<U>(box, file.sx, *item, dst, dst_strides);
          return Status{};
        }
      }
      return decode_typed<U>(file, box, map, dst, dst_strides);
    });
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
  if (file.has_checksums && shape[0] == chunk_shape[0] && shape[1] == chunk_shape[1]) {
    paint::UniqueCollector collector(out);
    std::uint64_t component = 0;
    for (std::size_t z = 0; z < static_cast<std::size_t>(box.max[2]); ++z) {
      const std::uint64_t end = component + file.count(z);
      if (z < static_cast<std::size_t>(box.min[2])) component = end;
      for (; component < end; ++component) {
        const std::uint64_t key = file.key(component);
        if (key >= file.num_labels) return file.bad_key(component);
        collector.add(file.label(key));
      }
    }
    collector.finish();
    return {};
  }
  return unique_of_decoded(&decode_box, data, item_size, chunk_shape, box, out);
}

}  // namespace cvfast::decode::crackle
