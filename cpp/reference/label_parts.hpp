// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace cvfast::reference {

/// The data are bad.
struct Malformed {};

inline void demand(bool condition) {
  if (!condition) throw Malformed{};
}

/// What decode() returns, or nothing where it finds the data bad.
template <typename Decode>
auto unless_malformed(const Decode& decode) -> std::optional<decltype(decode())> {
  try {
    return decode();
  } catch (const Malformed&) {
    return std::nullopt;
  }
}

/// Integers one after the other.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> data) : data_(data) {}

  std::uint64_t number(std::size_t width) {
    const std::span<const std::byte> bytes = take(width);
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < width; ++i) out |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return out;
  }
  std::span<const std::byte> take(std::uint64_t bytes) {
    demand(bytes <= left());
    const std::span<const std::byte> out = data_.subspan(at_, bytes);
    at_ += bytes;
    return out;
  }
  std::vector<std::uint64_t> numbers(std::uint64_t count, std::size_t width) {
    demand(count <= left() / width);
    std::vector<std::uint64_t> out;
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(number(width));
    return out;
  }
  [[nodiscard]] std::uint64_t left() const { return data_.size() - at_; }

 private:
  std::span<const std::byte> data_;
  std::size_t at_ = 0;
};

/// Numbers the components of voxels 0 .. count - 1 in the order of their first voxels; -1 where has(voxel) is false.
/// neighbours(voxel) lists what a voxel is connected to.
inline std::vector<std::int64_t> components(std::size_t count, const std::function<bool(std::size_t)>& has,
                                            const std::function<std::vector<std::size_t>(std::size_t)>& neighbours,
                                            std::int64_t& next) {
  std::vector<std::int64_t> out(count, -1);
  for (std::size_t first = 0; first < count; ++first) {
    if (!has(first) || out[first] >= 0) continue;
    std::vector<std::size_t> todo{first};
    out[first] = next;
    while (!todo.empty()) {
      const std::size_t voxel = todo.back();
      todo.pop_back();
      for (const std::size_t other : neighbours(voxel)) {
        if (!has(other) || out[other] >= 0) continue;
        out[other] = next;
        todo.push_back(other);
      }
    }
    ++next;
  }
  return out;
}

}  // namespace cvfast::reference
