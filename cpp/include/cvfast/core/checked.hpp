// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>

namespace cvfast {

/// The product of non-negative factors, or nothing when it leaves int64 or a factor is negative.
[[nodiscard]] constexpr std::optional<std::int64_t> checked_product(
    std::initializer_list<std::int64_t> factors) noexcept {
  std::int64_t out = 1;
  for (const std::int64_t factor : factors) {
    if (factor < 0 || __builtin_mul_overflow(out, factor, &out)) return std::nullopt;
  }
  return out;
}

}  // namespace cvfast
