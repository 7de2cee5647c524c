// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/memory.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace cvfast::runtime {
namespace {

constexpr std::size_t round_up(std::size_t n) noexcept {
  return (n + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

// A kept block serves requests down to this part of its size, so that little of it lies idle.
constexpr std::size_t fits_from(std::size_t size) noexcept { return size - size / 8; }

struct Block {
  void* memory;
  std::size_t size;
};

// Blocks that were released and not given back.  Leaked, for arrays may be freed while the process ends.  A forked
// child shares the pages with its parent until either writes, and may find the mutex held by a thread that it does
// not have; it keeps nothing of its parent's.
struct Kept {
  std::mutex mutex;
  std::vector<Block> blocks;
  std::size_t total = 0;
};

std::atomic<Kept*> current_kept{nullptr};

Kept* kept() noexcept {
  Kept* have = current_kept.load(std::memory_order_acquire);  // pairs with the exchange below
  if (have != nullptr) return have;
  static const int registered =
      ::pthread_atfork(nullptr, nullptr, [] { current_kept.store(nullptr, std::memory_order_relaxed); });
  (void)registered;
  Kept* const made = new (std::nothrow) Kept;
  if (made == nullptr) return nullptr;
  if (current_kept.compare_exchange_strong(have, made, std::memory_order_acq_rel)) return made;
  delete made;
  return have;
}

void* map_huge(std::size_t size) noexcept {
  // mmap aligns to 4 KiB; map one huge page more and give back the ends.
  const std::size_t mapped = size + kHugePageBytes;
  void* const memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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

// Tells the kernel that the contents are worthless: it may take the pages when memory is short, and a write to one it
// has not taken costs nothing.  False where there is no such call; then nothing is kept.
bool mark_reclaimable(void* memory, std::size_t size) noexcept {
#ifdef MADV_FREE
  return ::madvise(memory, size, MADV_FREE) == 0;
#else
  (void)memory;
  (void)size;
  return false;
#endif
}

// Takes a kept block that a request fits; failing that, gives all back.
void* take_kept(std::size_t size) noexcept {
  Kept* const store = kept();
  if (store == nullptr) return nullptr;
  const std::lock_guard lock(store->mutex);
  for (std::size_t i = 0; i < store->blocks.size(); ++i) {
    const Block block = store->blocks[i];
    if (block.size < size || size < fits_from(block.size)) continue;
    store->blocks.erase(store->blocks.begin() + static_cast<std::ptrdiff_t>(i));
    store->total -= block.size;
    if (block.size > size) ::munmap(static_cast<std::byte*>(block.memory) + size, block.size - size);
    return block.memory;
  }
  for (const Block& block : store->blocks) ::munmap(block.memory, block.size);
  store->blocks.clear();
  store->total = 0;
  return nullptr;
}

bool keep(void* memory, std::size_t size) noexcept {
  const std::size_t limit = kept_bytes_limit();
  if (size > limit) return false;
  Kept* const store = kept();
  if (store == nullptr) return false;
  const std::lock_guard lock(store->mutex);
  // The oldest make room for the newest.
  std::size_t dropped = 0;
  while (dropped < store->blocks.size() && store->total + size > limit) {
    const Block& block = store->blocks[dropped++];
    ::munmap(block.memory, block.size);
    store->total -= block.size;
  }
  store->blocks.erase(store->blocks.begin(), store->blocks.begin() + static_cast<std::ptrdiff_t>(dropped));
  if (!mark_reclaimable(memory, size)) return false;
  try {
    store->blocks.push_back({memory, size});
  } catch (const std::bad_alloc&) {
    return false;
  }
  store->total += size;
  return true;
}

}  // namespace

void* allocate_huge(std::size_t size_bytes) noexcept {
  if (size_bytes == 0 || size_bytes > SIZE_MAX / 2) return nullptr;
  const std::size_t size = round_up(size_bytes);
  void* const memory = take_kept(size);
  return memory != nullptr ? memory : map_huge(size);
}

void release_huge(void* memory, std::size_t size_bytes) noexcept {
  if (memory == nullptr) return;
  const std::size_t size = round_up(size_bytes);
  if (!keep(memory, size)) ::munmap(memory, size);
}

std::size_t kept_bytes_limit() noexcept {
  if (const char* text = std::getenv("CVFAST_KEEP_BYTES"); text != nullptr) {
    return static_cast<std::size_t>(std::strtoull(text, nullptr, 10));
  }
  static const std::size_t limit = [] {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page_bytes = ::sysconf(_SC_PAGESIZE);
    const std::size_t memory =
        pages > 0 && page_bytes > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes) : 0;
    return std::min(memory / 8, std::size_t{2} << 30);
  }();
  return limit;
}

std::size_t kept_bytes() noexcept {
  Kept* const store = kept();
  if (store == nullptr) return 0;
  const std::lock_guard lock(store->mutex);
  return store->total;
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
