// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace cvfast::runtime {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

constexpr std::size_t round_up(std::size_t n) noexcept {
  return (n + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

}  // namespace

void* allocate_huge(std::size_t size_bytes) noexcept {
  if (size_bytes == 0 || size_bytes > SIZE_MAX / 2) return nullptr;
  const std::size_t size = round_up(size_bytes);
  // mmap aligns to 4 KiB; map one huge page more and give back the ends.
  const std::size_t mapped = size + kHugePageBytes;
  void* const memory =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t aligned = round_up(begin);
  if (aligned > begin) ::munmap(memory, aligned - begin);
  const std::size_t tail = begin + mapped - (aligned + size);
  if (tail > 0) ::munmap(reinterpret_cast<void*>(aligned + size), tail);
#ifdef MADV_HUGEPAGE
  // Advice only: where huge pages are off the kernel says no, and 4 KiB pages do.
  ::madvise(reinterpret_cast<void*>(aligned), size, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<void*>(aligned);
}

void release_huge(void* memory, std::size_t size_bytes) noexcept {
  if (memory != nullptr) ::munmap(memory, round_up(size_bytes));
}

Scratch::~Scratch() { std::free(data_); }

std::byte* Scratch::get(std::size_t n) noexcept {
  if (n > capacity_ || data_ == nullptr) {
    std::free(data_);
    data_ = nullptr;
    capacity_ = 0;
    // Cache lines must not be shared with another thread's scratch.
    const std::size_t size = (n + 63) / 64 * 64 + 64;
    if (size < n) return nullptr;
    data_ = static_cast<std::byte*>(std::aligned_alloc(64, size));
    if (data_ != nullptr) capacity_ = size;
  }
  return data_;
}

void Scratch::trim(std::size_t keep_bytes) noexcept {
  if (capacity_ <= keep_bytes) return;
  std::free(data_);
  data_ = nullptr;
  capacity_ = 0;
}

}  // namespace cvfast::runtime
