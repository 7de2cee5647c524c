// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>

#include "cvfast/fetch/file.hpp"

namespace cvfast::fetch {

/// A lock on one shard of a folder, by a byte of the hidden file `.shards.lock`: writers of the shard wait for each
/// other, also in other processes and threads, and it goes with its owner.  Where the file system has no locks, writers
/// must agree among themselves.
class ShardLock {
 public:
  /// Waits for the lock; one that is held already is given back.
  /// @param folder its descriptor.
  /// @param poll asked now and then; false gives up.
  /// @return false: `error` is filled in, or (error 0) poll gave up.
  bool acquire(int folder, std::uint64_t shard, const std::function<bool()>& poll, IoError& error);
  void release() noexcept { fd_.reset(); }

 private:
  [[nodiscard]] int try_lock(std::uint64_t shard) const noexcept;

  UniqueFd fd_;
};

}  // namespace cvfast::fetch
