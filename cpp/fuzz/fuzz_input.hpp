// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cvfast/core/box.hpp"

/// What fuzz targets share.
namespace cvfast::fuzz {

/// Ends the process where a kernel breaks its word: libFuzzer keeps the input.
inline void require(bool condition) {
  if (!condition) std::abort();
}

/// Bytes of an input that choose geometry and request; content follows them.
inline constexpr std::size_t kPrefix = 16;

/// An input of kPrefix bytes and content.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  [[nodiscard]] std::uint8_t operator[](std::size_t i) const { return data_[i]; }
  /// An integer of [low, high].
  [[nodiscard]] std::int64_t number(std::size_t i, std::int64_t low, std::int64_t high) const {
    return low + data_[i] % (high - low + 1);
  }
  /// A box in a chunk, at least one voxel, by three bytes for each corner.
  [[nodiscard]] Box3 box(std::size_t min_at, std::size_t max_at, const Int3& shape) const {
    Box3 out;
    for (std::size_t i = 0; i < 3; ++i) {
      out.min[i] = number(min_at + i, 0, shape[i] - 1);
      out.max[i] = number(max_at + i, out.min[i] + 1, shape[i]);
    }
    return out;
  }
  /// In its own allocation, so that a read past the end is seen.
  [[nodiscard]] std::vector<std::byte> content() const {
    const auto* const bytes = reinterpret_cast<const std::byte*>(data_);
    return {bytes + kPrefix, bytes + size_};
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace cvfast::fuzz
