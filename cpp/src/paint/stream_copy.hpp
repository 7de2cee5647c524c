// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace cvfast::paint {

#if defined(__SSE2__)
inline constexpr bool kCanStream = true;
#else
inline constexpr bool kCanStream = false;
#endif

/// A destination that spans more than this does not stay in the caches, so rows of it may as well go past them.
inline constexpr std::int64_t kStreamSpanBytes = std::int64_t{32} << 20;

/// Shorter rows share too many of their cache lines with their neighbours.
inline constexpr std::int64_t kStreamRowBytes = 128;

/// memcpy past the caches: an ordinary store first reads the line that it will overwrite.  Whole cache lines only; the
/// ends of a row that share a line with other data are stored as usual.  Follow with stream_fence().
inline void stream_copy(std::byte* dst, const std::byte* src, std::size_t bytes) noexcept {
#if defined(__SSE2__)
  constexpr std::size_t kLine = 64;
  const std::size_t head = std::min(bytes, (kLine - reinterpret_cast<std::uintptr_t>(dst) % kLine) % kLine);
  if (head != 0) std::memcpy(dst, src, head);
  std::size_t pos = head;
  for (; bytes - pos >= kLine; pos += kLine) {
    for (std::size_t i = 0; i < kLine; i += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(dst + pos + i),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + pos + i)));
    }
  }
  if (pos != bytes) std::memcpy(dst + pos, src + pos, bytes - pos);
#else
  std::memcpy(dst, src, bytes);
#endif
}

/// Orders streamed stores before what the thread does next: unlocking a mutex does not, on x86.
inline void stream_fence() noexcept {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace cvfast::paint
