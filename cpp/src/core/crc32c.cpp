// SPDX-License-Identifier: BSD-3-Clause
//
// The instruction of SSE4.2 takes eight bytes in three cycles but can start every cycle, so long inputs are cut into
// four parts of equal length that run side by side.  The checksum of a concatenation follows from those of its parts:
// appending n bytes multiplies the first by x^(8n) modulo the polynomial.  Without the instruction: eight tables, eight
// bytes a step.
#include "cvfast/core/crc32c.hpp"

#include <array>
#include <cstdlib>
#include <cstring>

#include "cvfast/core/endian.hpp"
#include "isa.hpp"

namespace cvfast {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // bit-reflected

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() noexcept {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t i = 0; i < 256; ++i) tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xff];
  }
  return tables;
}

constexpr Tables kTables = make_tables();

std::uint32_t update_portable(std::uint32_t crc, const std::byte* p, std::size_t n) noexcept {
  for (; n >= 8; n -= 8, p += 8) {
    const std::uint64_t word = load_le<std::uint64_t>(p) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; n != 0; --n, ++p) crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(*p)) & 0xff];
  return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)

// a * b modulo the polynomial; bit 31 is the coefficient of x^0.
std::uint32_t multiply(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (std::uint32_t bit = std::uint32_t{1} << 31; bit != 0; bit >>= 1) {
    product ^= (a & bit) != 0 ? b : 0;
    b = (b >> 1) ^ ((b & 1) != 0 ? kPolynomial : 0);
  }
  return product;
}

// x^(8n) modulo the polynomial.
std::uint32_t shift_of(std::size_t n) noexcept {
  std::uint32_t power = std::uint32_t{1} << 23;  // x^8
  std::uint32_t out = std::uint32_t{1} << 31;    // 1
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) out = multiply(out, power);
    power = multiply(power, power);
  }
  return out;
}

__attribute__((target("sse4.2"))) std::uint32_t update_sse42(std::uint32_t crc, const std::byte* p,
                                                             std::size_t n) noexcept {
  constexpr std::size_t kParts = 4;
  constexpr std::size_t kWorthParts = 4096;
  if (n >= kWorthParts) {
    const std::size_t part = n / kParts & ~std::size_t{7};
    std::array<std::uint64_t, kParts> crcs{crc, 0, 0, 0};
    for (std::size_t at = 0; at < part; at += 8) {
      for (std::size_t i = 0; i < kParts; ++i) {
        crcs[i] = __builtin_ia32_crc32di(crcs[i], load_le<std::uint64_t>(p + i * part + at));
      }
    }
    thread_local std::size_t shift_bytes = 0;  // slices of a chunk have one length
    thread_local std::uint32_t shift = 0;
    if (shift_bytes != part) {
      shift_bytes = part;
      shift = shift_of(part);
    }
    crc = static_cast<std::uint32_t>(crcs[0]);
    for (std::size_t i = 1; i < kParts; ++i) crc = multiply(crc, shift) ^ static_cast<std::uint32_t>(crcs[i]);
    p += kParts * part;
    n -= kParts * part;
  }
  std::uint64_t wide = crc;
  for (; n >= 8; n -= 8, p += 8) wide = __builtin_ia32_crc32di(wide, load_le<std::uint64_t>(p));
  crc = static_cast<std::uint32_t>(wide);
  for (; n != 0; --n, ++p) crc = __builtin_ia32_crc32qi(crc, std::to_integer<std::uint8_t>(*p));
  return crc;
}

#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> data) noexcept {
  constexpr std::uint32_t kAll = 0xffffffff;
#if defined(__x86_64__) && defined(__GNUC__)
  if (has_crc32c()) return update_sse42(kAll, data.data(), data.size()) ^ kAll;
#endif
  return update_portable(kAll, data.data(), data.size()) ^ kAll;
}

}  // namespace cvfast
