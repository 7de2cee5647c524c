// SPDX-License-Identifier: BSD-3-Clause
#include "block_memory.hpp"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#include "cvfast/runtime/memory.hpp"

namespace cvfast::runtime {
namespace {

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)  // which would not see a use after release in a slot

constexpr std::size_t kSmallestBytes = std::size_t{16} << 10;
constexpr std::size_t kRegionBytes = std::size_t{64} << 20;

std::size_t whole_pages(std::size_t size_bytes) noexcept {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (size_bytes + page - 1) / page * page;
}

// Faulting pages in costs several times what copying into them does, so released slots stay warm, their pages backed,
// for as long as all warm ones together are small beside the blocks in use.
class Slots {
 public:
  void* take(std::size_t size_bytes) noexcept {
    const std::size_t pages = whole_pages(size_bytes);
    Slot slot;
    {
      const std::lock_guard lock(mutex_);
      Size& size = size_of(size_bytes);
      if (!size.warm.empty()) {
        slot = size.warm.back();
        size.warm.pop_back();
        warm_bytes_ -= slot.backed_bytes;
      } else if (!size.cold.empty()) {
        slot.memory = size.cold.back();
        size.cold.pop_back();
      } else {
        if (size.next == size.end && !reserve(size, std::bit_ceil(size_bytes))) return nullptr;
        slot.memory = size.next;
        size.next += std::bit_ceil(size_bytes);
      }
      used_bytes_ += pages;
    }
    if (slot.backed_bytes > pages) cool({slot.memory + pages, slot.backed_bytes - pages});
    return slot.memory;
  }

  void give(void* memory, std::size_t size_bytes) noexcept {
    Slot slot{static_cast<std::byte*>(memory), whole_pages(size_bytes)};
    const std::lock_guard lock(mutex_);
    Size& size = size_of(size_bytes);
    used_bytes_ -= slot.backed_bytes;
    // push_back does not throw: reserve made room for every slot.
    if (warm_bytes_ + slot.backed_bytes <= std::max(used_bytes_ / kWarmPart, kWarmBytes)) {
      size.warm.push_back(slot);
      warm_bytes_ += slot.backed_bytes;
      return;
    }
    cool(slot);
    size.cold.push_back(slot.memory);
    // Sizes that nobody asks for any more must not keep the others cold.
    Size& other = sizes_[++cursor_ % sizes_.size()];
    if (!other.warm.empty()) {
      cool(other.warm.back());
      other.cold.push_back(other.warm.back().memory);
      warm_bytes_ -= other.warm.back().backed_bytes;
      other.warm.pop_back();
    }
  }

  std::mutex& mutex() noexcept { return mutex_; }

 private:
  static constexpr std::size_t kWarmPart = 16;
  static constexpr std::size_t kWarmBytes = std::size_t{2} << 20;
  // Each is two mappings of the 65,530 that Linux lets a process have.
  static constexpr std::size_t kMaxHugeSlots = 8192;

  struct Slot {
    std::byte* memory = nullptr;
    std::size_t backed_bytes = 0;
  };
  // All slots of one power of two.
  struct Size {
    std::vector<Slot> warm;
    std::vector<std::byte*> cold;
    std::byte* next = nullptr;  // of the newest region: what has never been used
    std::byte* end = nullptr;
    std::size_t slots = 0;
  };

  Size& size_of(std::size_t size_bytes) noexcept {
    return sizes_[static_cast<std::size_t>(std::countr_zero(std::bit_ceil(size_bytes)))];
  }

  static void cool(const Slot& slot) noexcept { (void)::madvise(slot.memory, slot.backed_bytes, MADV_DONTNEED); }

  bool reserve(Size& size, std::size_t slot_bytes) noexcept {
    const std::size_t bytes = std::max(slot_bytes, kRegionBytes);
    try {
      size.warm.reserve(size.slots + bytes / slot_bytes);
      size.cold.reserve(size.slots + bytes / slot_bytes);
    } catch (const std::bad_alloc&) {
      return false;
    }
    // One huge page more than is needed, so that there is an aligned beginning; what lies around it is never touched.
    void* const region = ::mmap(nullptr, bytes + kHugePageBytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) return false;
    const auto unaligned = reinterpret_cast<std::uintptr_t>(region);
    auto* const begin =
        static_cast<std::byte*>(region) + (kHugePageBytes - unaligned % kHugePageBytes) % kHugePageBytes;
    // A huge page would back the unused ends of the slots as well.
    (void)::madvise(region, bytes + kHugePageBytes, MADV_NOHUGEPAGE);
    size.slots += bytes / slot_bytes;
    size.next = begin;
    size.end = begin + bytes;
    // But what needs a slot fills more than half of it, and rows out of huge pages are copied in four fifths of the
    // time.
    const std::size_t filled = slot_bytes / 2;
    for (std::byte* slot = begin; filled >= kHugePageBytes && slot != size.end; slot += slot_bytes) {
      if (huge_slots_ == kMaxHugeSlots) break;
      ++huge_slots_;
      (void)::madvise(slot, filled, MADV_HUGEPAGE);
    }
    return true;
  }

  std::mutex mutex_;
  std::array<Size, 64> sizes_;
  std::size_t cursor_ = 0;
  std::size_t used_bytes_ = 0;
  std::size_t warm_bytes_ = 0;
  std::size_t huge_slots_ = 0;
};

// Never destroyed: blocks may outlive static destruction.
Slots& slots() {
  static auto* const made = new Slots;
  return *made;
}

bool in_slot(std::size_t size_bytes) noexcept { return size_bytes >= kSmallestBytes && size_bytes <= SIZE_MAX / 4; }

#endif

}  // namespace

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

void* allocate_block(std::size_t size_bytes) noexcept {
  return in_slot(size_bytes) ? slots().take(size_bytes) : std::malloc(size_bytes);
}

void release_block(void* block, std::size_t size_bytes) noexcept {
  if (!in_slot(size_bytes)) {
    std::free(block);
    return;
  }
  slots().give(block, size_bytes);
}

void lock_block_memory() noexcept { slots().mutex().lock(); }
void unlock_block_memory() noexcept { slots().mutex().unlock(); }

#else

void* allocate_block(std::size_t size_bytes) noexcept { return std::malloc(size_bytes); }
void release_block(void* block, std::size_t) noexcept { std::free(block); }
void lock_block_memory() noexcept {}
void unlock_block_memory() noexcept {}

#endif

std::size_t block_footprint(void* block, [[maybe_unused]] std::size_t size_bytes) noexcept {
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
  if (in_slot(size_bytes)) return whole_pages(size_bytes);
#endif
#ifdef __GLIBC__
  return ::malloc_usable_size(block) + sizeof(std::size_t);  // the word before the block is malloc's
#else
  (void)block;
  return (size_bytes + 31) / 16 * 16;
#endif
}

}  // namespace cvfast::runtime
