// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "cvfast/fetch/http_client.hpp"

namespace cvfast::fetch {

/// Memory for bodies: blocks that are used again, and the count of the bytes in flight.  Any thread; the pool of a
/// parent process is recognised in a forked child and left alone.
class HttpMemory {
 public:
  /// @param on_release called after bytes were given back while somebody waited for them.
  explicit HttpMemory(std::function<void()> on_release) : on_release_(std::move(on_release)) {}

  void set_limit(std::uint64_t limit_bytes) noexcept { limit_.store(limit_bytes, std::memory_order_relaxed); }

  /// Bytes that a body of this size is counted with.
  [[nodiscard]] static std::size_t rounded(std::uint64_t size) noexcept;

  /// Whether bytes may be taken.  Something is always granted when nothing is in flight.
  [[nodiscard]] bool reserve(std::uint64_t bytes) noexcept;
  /// Whether reserve would do so now.
  [[nodiscard]] bool has_room(std::uint64_t bytes) const noexcept;
  /// As reserve, beyond the limit too.
  void reserve_anyway(std::uint64_t bytes) noexcept;
  void unreserve(std::uint64_t bytes) noexcept;
  /// Asks for on_release.  To be followed by another attempt to reserve, since bytes may just have been given back.
  void expect_release() noexcept { is_waited_for_.store(true); }

  /// Nothing when there is no memory.
  [[nodiscard]] std::byte* allocate(std::size_t capacity) noexcept;
  void release(std::byte* data, std::size_t capacity) noexcept;
  void trim() noexcept;

  [[nodiscard]] std::uint64_t reserved() const noexcept { return reserved_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }

  /// In a forked child: another thread of the parent may have held the lock.
  void abandon() noexcept { is_abandoned_.store(true, std::memory_order_relaxed); }

 private:
  void drop_kept() noexcept;  // under the lock

  static constexpr std::uint64_t kKeptBytes = std::uint64_t{64} << 20;

  std::function<void()> on_release_;
  std::atomic<std::uint64_t> limit_{HttpSettings{}.max_inflight_bytes};
  // Sequentially consistent, as is_waited_for_: either who releases sees the waiter, or the waiter sees the release.
  std::atomic<std::uint64_t> reserved_{0};
  std::atomic<bool> is_waited_for_{false};
  std::atomic<std::uint64_t> peak_{0};
  std::atomic<bool> is_abandoned_{false};
  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> free_;
  std::uint64_t kept_ = 0;
};

/// What the reactor may do with a buffer and its users may not.
class HttpBufferAccess {
 public:
  /// An empty buffer that owns `reserved` bytes of the count.
  static bool make(HttpBuffer& buffer, HttpMemory& memory, std::size_t capacity, std::uint64_t reserved) noexcept;
  /// More room, with what is there; the caller has reserved the difference.
  static bool grow(HttpBuffer& buffer, std::size_t capacity) noexcept;
  static std::size_t capacity(const HttpBuffer& buffer) noexcept { return buffer.capacity_; }
  static std::byte* data(HttpBuffer& buffer) noexcept { return buffer.data_; }
  static void set_size(HttpBuffer& buffer, std::size_t size) noexcept { buffer.size_ = size; }
};

}  // namespace cvfast::fetch
