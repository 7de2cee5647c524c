// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

namespace cvfast::runtime {

/// Anonymous memory for a large output, aligned to and advised for huge pages, contents unspecified.  Returns null when
/// there is none.
///
/// The kernel zeroes every page that it hands out, which costs more than decoding into it.  So released blocks are
/// kept for the next request of about their size: up to kept_bytes_limit() in all, marked so that the kernel may take
/// them whenever memory is short.  A request that no kept block fits gives all of them back first, so that what is
/// kept never adds to the peak.
[[nodiscard]] void* allocate_huge(std::size_t size_bytes) noexcept;

/// Gives back what allocate_huge returned for the same size.
void release_huge(void* memory, std::size_t size_bytes) noexcept;

/// Bytes of released blocks that are kept at most: CVFAST_KEEP_BYTES, else 2 GiB or an eighth of the machine's memory,
/// whichever is less.  0 keeps none.
[[nodiscard]] std::size_t kept_bytes_limit() noexcept;

/// Bytes of released blocks that are kept now.
[[nodiscard]] std::size_t kept_bytes() noexcept;

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

/// Whether allocate_huge serves a request better than malloc: not below a huge page, and not where the part of the last
/// page that lies idle would exceed an eighth of the whole.
[[nodiscard]] constexpr bool is_worth_huge_pages(std::size_t size_bytes) noexcept {
  return size_bytes >= kHugePageBytes &&
         (kHugePageBytes - size_bytes % kHugePageBytes) % kHugePageBytes <= size_bytes / 8;
}

/// Bytes without initialisation that only ever grow; one per thread and purpose.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  /// At least n bytes, contents unspecified; null when memory is exhausted.
  [[nodiscard]] std::byte* get(std::size_t n) noexcept;
  /// Frees what exceeds a bound, so that one huge chunk does not stay resident for ever.
  void trim(std::size_t keep_bytes) noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace cvfast::runtime
