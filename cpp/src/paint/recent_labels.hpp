// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cvfast::paint {

/// Mixes the bits of a label so that its low bits serve as a table index: segment ids differ in high bits too.
[[nodiscard]] inline std::size_t hash_label(std::uint64_t label) noexcept {
  label *= 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio: consecutive labels spread evenly (Knuth, TAOCP 6.4)
  return static_cast<std::size_t>(label ^ (label >> 32));
}

/// Gathers distinct labels into a vector: a direct-mapped cache drops most repetitions at once, and the vector is
/// sorted and cleaned whenever it has doubled, so it stays within a small factor of the true count.
class UniqueCollector {
 public:
  explicit UniqueCollector(std::vector<std::uint64_t>& out) : out_(out) {}

  void add(std::uint64_t label) {
    const std::size_t slot = hash_label(label) % kSlots;
    if (is_set_[slot] && recent_[slot] == label) return;
    recent_[slot] = label;
    is_set_[slot] = true;
    out_.push_back(label);
    if (out_.size() >= limit_) {
      finish();
      limit_ = std::max(kFirstLimit, 2 * out_.size());
    }
  }

  /// Leaves the vector ascending and without duplicates.
  void finish() {
    std::sort(out_.begin(), out_.end());
    out_.erase(std::unique(out_.begin(), out_.end()), out_.end());
  }

 private:
  static constexpr std::size_t kSlots = 1024;
  static constexpr std::size_t kFirstLimit = 4096;

  std::vector<std::uint64_t>& out_;
  std::size_t limit_ = kFirstLimit;
  std::array<std::uint64_t, kSlots> recent_{};
  std::array<bool, kSlots> is_set_{};
};

}  // namespace cvfast::paint
