// SPDX-License-Identifier: BSD-3-Clause
#include "http_memory.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace cvfast::fetch {

std::size_t HttpMemory::rounded(std::uint64_t size) noexcept {
  constexpr std::uint64_t kPage = 4096;
  if (size <= kPage) return kPage;
  // Four sizes to an octave: at most a fifth is idle, and blocks fit again.
  const std::uint64_t step = std::max(kPage, std::bit_floor(size - 1) / 4);
  return static_cast<std::size_t>((size + step - 1) / step * step);
}

bool HttpMemory::reserve(std::uint64_t bytes) noexcept {
  const std::uint64_t limit = limit_.load(std::memory_order_relaxed);
  std::uint64_t have = reserved_.load();
  do {
    if (have != 0 && (bytes > limit || have > limit - bytes)) return false;
  } while (!reserved_.compare_exchange_weak(have, have + bytes));
  // Only the reactor reserves, so nobody else raises the peak.
  peak_.store(std::max(peak_.load(std::memory_order_relaxed), have + bytes), std::memory_order_relaxed);
  return true;
}

bool HttpMemory::has_room(std::uint64_t bytes) const noexcept {
  const std::uint64_t limit = limit_.load(std::memory_order_relaxed);
  const std::uint64_t have = reserved_.load();
  return have == 0 || (bytes <= limit && have <= limit - bytes);
}

void HttpMemory::reserve_anyway(std::uint64_t bytes) noexcept {
  const std::uint64_t now = reserved_.fetch_add(bytes) + bytes;
  peak_.store(std::max(peak_.load(std::memory_order_relaxed), now), std::memory_order_relaxed);
}

void HttpMemory::unreserve(std::uint64_t bytes) noexcept {
  if (bytes == 0 || is_abandoned_.load(std::memory_order_relaxed)) return;
  reserved_.fetch_sub(bytes);
  if (is_waited_for_.exchange(false)) on_release_();
}

std::byte* HttpMemory::allocate(std::size_t capacity) noexcept {
  {
    const std::lock_guard lock(mutex_);
    const auto found = free_.find(capacity);
    if (found != free_.end() && !found->second.empty()) {
      std::byte* const data = found->second.back();
      found->second.pop_back();
      kept_ -= capacity;
      return data;
    }
    // Blocks of other sizes would come on top of what may be in flight.
    if (kept_ != 0 && reserved() + kept_ > limit_.load(std::memory_order_relaxed)) drop_kept();
  }
  return static_cast<std::byte*>(std::aligned_alloc(64, capacity));
}

void HttpMemory::release(std::byte* data, std::size_t capacity) noexcept {
  if (data == nullptr) return;
  if (!is_abandoned_.load(std::memory_order_relaxed)) {
    try {
      const std::lock_guard lock(mutex_);
      if (kept_ + capacity <= kKeptBytes) {
        free_[capacity].push_back(data);
        kept_ += capacity;
        return;
      }
    } catch (...) {  // no memory for the list: then the block goes
    }
  }
  std::free(data);
}

void HttpMemory::trim() noexcept {
  const std::lock_guard lock(mutex_);
  drop_kept();
}

void HttpMemory::drop_kept() noexcept {
  for (auto& [capacity, blocks] : free_) {
    for (std::byte* data : blocks) std::free(data);
  }
  free_.clear();
  kept_ = 0;
}

HttpBuffer::HttpBuffer(HttpBuffer&& other) noexcept { *this = std::move(other); }

HttpBuffer& HttpBuffer::operator=(HttpBuffer&& other) noexcept {
  if (this != &other) {
    reset();
    memory_ = std::exchange(other.memory_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    reserved_ = std::exchange(other.reserved_, 0);
  }
  return *this;
}

void HttpBuffer::keep() noexcept {
  if (memory_ != nullptr) memory_->unreserve(std::exchange(reserved_, 0));
}

void HttpBuffer::reset() noexcept {
  if (memory_ == nullptr) return;
  memory_->release(std::exchange(data_, nullptr), capacity_);
  memory_->unreserve(std::exchange(reserved_, 0));
  memory_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

bool HttpBufferAccess::make(HttpBuffer& buffer, HttpMemory& memory, std::size_t capacity,
                            std::uint64_t reserved) noexcept {
  buffer.reset();
  buffer.memory_ = &memory;
  buffer.reserved_ = reserved;
  buffer.data_ = memory.allocate(capacity);
  buffer.capacity_ = buffer.data_ == nullptr ? 0 : capacity;
  return buffer.data_ != nullptr;
}

bool HttpBufferAccess::grow(HttpBuffer& buffer, std::size_t capacity) noexcept {
  std::byte* const data = buffer.memory_->allocate(capacity);
  buffer.reserved_ += capacity - buffer.capacity_;
  if (data == nullptr) return false;
  std::memcpy(data, buffer.data_, buffer.size_);
  buffer.memory_->release(buffer.data_, buffer.capacity_);
  buffer.data_ = data;
  buffer.capacity_ = capacity;
  return true;
}

}  // namespace cvfast::fetch
