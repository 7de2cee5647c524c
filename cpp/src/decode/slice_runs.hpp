// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

/// Connected components of one slice (compresso, crackle).
///
/// A row is a bit mask in 64-bit words; a run is a stretch of voxels that nothing separates, found by counting zeros.
/// Runs of neighbouring rows that touch are joined in a union-find forest over the runs, not over the voxels: a row of
/// a real segmentation has about one run for every twenty voxels.
namespace cvfast::decode {

/// Words of a row of `extent` voxels, with at least one bit to spare behind the last voxel.
constexpr std::size_t row_words(std::size_t extent) noexcept { return extent / 64 + 1; }

constexpr std::uint64_t low_bits(std::size_t count) noexcept {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

/// Whether any of the bits [begin, end) is clear.
inline bool any_clear(const std::uint64_t* row, std::size_t begin, std::size_t end) noexcept {
  const std::size_t first = begin / 64;
  const std::size_t last = (end - 1) / 64;
  const std::uint64_t from = ~low_bits(begin % 64);
  const std::uint64_t to = low_bits((end - 1) % 64 + 1);
  if (first == last) return (~row[first] & from & to) != 0;
  if ((~row[first] & from) != 0) return true;
  for (std::size_t word = first + 1; word < last; ++word) {
    if (~row[word] != 0) return true;
  }
  return (~row[last] & to) != 0;
}

class SliceRuns {
 public:
  /// Starts over.
  void clear() noexcept {
    count_ = 0;
    rows_.assign(1, 0);
  }

  /// Adds the next row.  Runs begin and end alternately at the ones of word_at(0), word_at(1), ...; the end of a run
  /// that reaches the end of the row is the bit behind the last voxel.
  template <typename WordAt>
  void add_row_of_changes(std::size_t extent, const WordAt& word_at) {
    grow(extent);
    std::size_t n = 2 * count_;
    for (std::size_t word = 0; word < row_words(extent); ++word) {
      for (std::uint64_t bits = word_at(word); bits != 0; bits &= bits - 1) edges_[n++] = position(word, bits);
    }
    finish_row(n / 2);
  }

  /// Adds the next row, which runs cover without gaps: one begins at voxel 0 and wherever a bit of `walls` is set.
  void add_row_of_walls(std::size_t extent, const std::uint64_t* walls) {
    grow(extent);
    std::size_t n = 2 * count_;
    edges_[n++] = 0;
    for (std::size_t word = 0; word < row_words(extent); ++word) {
      std::uint64_t bits = walls[word];
      if (word == 0) bits &= ~std::uint64_t{1};
      if (word == extent / 64) bits &= low_bits(extent % 64);
      for (; bits != 0; bits &= bits - 1) {
        const std::uint32_t at = position(word, bits);
        edges_[n] = at;
        edges_[n + 1] = at;
        n += 2;
      }
    }
    edges_[n++] = static_cast<std::uint32_t>(extent);
    finish_row(n / 2);
  }

  /// Joins runs of two rows that overlap, where connects(begin, end) says so for the overlap.
  template <typename Connects>
  void join_rows(std::size_t upper, std::size_t lower, const Connects& connects) noexcept {
    std::size_t i = rows_[upper];
    std::size_t j = rows_[lower];
    const std::size_t i_end = rows_[upper + 1];
    const std::size_t j_end = rows_[lower + 1];
    while (i < i_end && j < j_end) {
      const std::uint32_t begin = std::max(run_begin(i), run_begin(j));
      const std::uint32_t a_end = run_end(i);
      const std::uint32_t b_end = run_end(j);
      const std::uint32_t end = std::min(a_end, b_end);
      if (begin < end && connects(begin, end)) unite(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j));
      i += a_end <= b_end ? 1 : 0;
      j += b_end <= a_end ? 1 : 0;
    }
  }

  /// Numbers the components in the order of their first voxels and returns how many there are.
  std::size_t number() noexcept {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      // A parent is an earlier run, which has its number by now.
      const std::uint32_t parent = component_[i];
      component_[i] = parent == i ? next++ : component_[parent];
    }
    return next;
  }

  [[nodiscard]] std::size_t row_begin(std::size_t row) const noexcept { return rows_[row]; }
  [[nodiscard]] std::size_t row_end(std::size_t row) const noexcept { return rows_[row + 1]; }
  [[nodiscard]] std::uint32_t run_begin(std::size_t run) const noexcept { return edges_[2 * run]; }
  [[nodiscard]] std::uint32_t run_end(std::size_t run) const noexcept { return edges_[2 * run + 1]; }
  /// After number().
  [[nodiscard]] std::uint32_t component(std::size_t index) const noexcept { return component_[index]; }

  /// The component of a voxel, after number(); `none` where no run covers it.
  [[nodiscard]] std::uint32_t component_at(std::size_t x, std::size_t row, std::uint32_t none) const noexcept {
    std::size_t low = rows_[row];
    std::size_t high = rows_[row + 1];
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (x < run_begin(middle)) {
        high = middle;
      } else if (x >= run_end(middle)) {
        low = middle + 1;
      } else {
        return component_[middle];
      }
    }
    return none;
  }

 private:
  // Room for a row of single voxels, so that adding needs no checks.
  void grow(std::size_t extent) {
    const std::size_t needed = count_ + extent + 1;
    if (component_.size() >= needed) return;
    if (needed > std::numeric_limits<std::uint32_t>::max()) throw std::bad_alloc();
    const std::size_t size = std::max(needed, component_.size() + component_.size() / 2);
    edges_.resize(2 * size);
    component_.resize(size);
  }

  static std::uint32_t position(std::size_t word, std::uint64_t bits) noexcept {
    return static_cast<std::uint32_t>(64 * word + static_cast<std::size_t>(std::countr_zero(bits)));
  }

  void finish_row(std::size_t count) {
    for (std::size_t i = count_; i < count; ++i) component_[i] = static_cast<std::uint32_t>(i);
    count_ = count;
    rows_.push_back(count);
  }

  [[nodiscard]] std::uint32_t root(std::uint32_t i) noexcept {
    while (component_[i] != i) {
      component_[i] = component_[component_[i]];
      i = component_[i];
    }
    return i;
  }

  // The earlier run becomes the root: it has the component's first voxel.
  void unite(std::uint32_t a, std::uint32_t b) noexcept {
    a = root(a);
    b = root(b);
    if (a < b) {
      component_[b] = a;
    } else {
      component_[a] = b;
    }
  }

  std::vector<std::uint32_t> edges_;      // begin and end of each run
  std::vector<std::uint32_t> component_;  // parents until number()
  std::vector<std::size_t> rows_{0};      // first run of each row
  std::size_t count_ = 0;
};

}  // namespace cvfast::decode
