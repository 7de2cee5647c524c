// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace cvfast::fetch {

/// A message in pieces to the blocks of 64 bytes that MD5 and SHA-256 are defined on.
class HashBlocks {
 public:
  /// Calls `consume(first block, number of blocks)` for what is complete, and keeps the rest.
  template <typename Consume>
  void update(std::span<const std::byte> data, const Consume& consume) noexcept {
    if (data.empty()) return;
    const std::size_t held = size_ % 64;
    size_ += data.size();
    if (held != 0) {
      const std::size_t n = std::min(64 - held, data.size());
      std::memcpy(tail_.data() + held, data.data(), n);
      data = data.subspan(n);
      if (held + n < 64) return;
      consume(tail_.data(), 1);
    }
    consume(data.data(), data.size() / 64);
    const std::size_t rest = data.size() % 64;
    if (rest != 0) std::memcpy(tail_.data(), data.data() + (data.size() - rest), rest);
  }

  /// Ends the message: a bit, zeros, and its length in bits, for which `store(where, bits)` knows the byte order.
  template <typename Store, typename Consume>
  void finish(const Store& store, const Consume& consume) noexcept {
    const std::uint64_t bits = size_ * 8;
    const std::array<std::byte, 64> padding{std::byte{0x80}};
    update(std::span(padding).first(1 + (119 - size_ % 64) % 64), consume);
    std::array<std::byte, 8> length;
    store(length.data(), bits);
    update(length, consume);
  }

 private:
  std::uint64_t size_ = 0;
  std::array<std::byte, 64> tail_{};
};

}  // namespace cvfast::fetch
