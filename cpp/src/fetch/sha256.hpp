// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "hash_blocks.hpp"

namespace cvfast::fetch {

using Sha256Digest = std::array<std::byte, 32>;

/// SHA-256 (FIPS 180-4), in pieces.
///
/// Our own because libcurl's TLS library is not known at build time: OpenSSL, GnuTLS, Secure Transport or none.
class Sha256 {
 public:
  void update(std::span<const std::byte> data) noexcept;
  [[nodiscard]] Sha256Digest finish() noexcept;

 private:
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  HashBlocks blocks_;
};

[[nodiscard]] Sha256Digest sha256(std::span<const std::byte> data) noexcept;
/// RFC 2104.
[[nodiscard]] Sha256Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> data) noexcept;
/// Lower case.
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);

}  // namespace cvfast::fetch
