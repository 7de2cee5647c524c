// SPDX-License-Identifier: BSD-3-Clause
#include "isa.hpp"

#include <cstdlib>
#include <cstring>

namespace cvfast {
namespace {

bool wants_portable() noexcept {
  const char* const wanted = std::getenv("CVFAST_ISA");
  return wanted != nullptr && std::strcmp(wanted, "portable") == 0;
}

Isa find_best_isa() noexcept {
  if (wants_portable()) return Isa::kPortable;
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2")) {
    return Isa::kAvx512;
  }
#endif
#if defined(__SSE2__)
  return Isa::kSse2;
#else
  return Isa::kPortable;
#endif
}

bool find_crc32c() noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  return !wants_portable() && __builtin_cpu_supports("sse4.2");
#else
  return false;
#endif
}

}  // namespace

Isa best_isa() noexcept {
  static const Isa isa = find_best_isa();
  return isa;
}

bool has_crc32c() noexcept {
  static const bool has = find_crc32c();
  return has;
}

}  // namespace cvfast
