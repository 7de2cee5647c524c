// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cvfast/fetch/http_client.hpp"
#include "hash_blocks.hpp"

namespace cvfast::fetch {

/// MD5 (RFC 1321), in pieces.  For transport errors, not against anybody who means it.
class Md5 {
 public:
  void update(std::span<const std::byte> data) noexcept;
  [[nodiscard]] Md5Digest finish() noexcept;

 private:
  std::array<std::uint32_t, 4> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  HashBlocks blocks_;
};

}  // namespace cvfast::fetch
