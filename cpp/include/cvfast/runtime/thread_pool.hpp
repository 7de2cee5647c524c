// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>

namespace cvfast::runtime {

/// Threads to use when nobody says otherwise: CVFAST_THREADS, else the CPUs this process may run on (affinity mask),
/// cut to the cgroup's CPU quota.  At least 1.
[[nodiscard]] int default_threads() noexcept;

/// Runs task(0) ... task(n - 1) on up to max_threads threads, the caller being one of them, and returns when all that
/// was started has ended.
///
/// Indices are dealt as one contiguous run per thread, the rest being stolen: neighbouring chunks share the pages of
/// the destination, and two threads that first touch one huge page would both clear it.
/// @param task returns false to stop the others from starting more.  Must not throw.
/// @param poll called by the calling thread about every 50 ms; returns false to stop.  Must not throw.
/// @return whether every task ran and returned true.
///
/// Helpers belong to one pool per process.  A forked child starts with an empty pool of its own; nothing of the
/// parent's (threads, locks) is used there.  Any number of threads may call at once.
bool parallel_for(std::size_t n, int max_threads, const std::function<bool(std::size_t)>& task,
                  const std::function<bool()>& poll);

/// Excludes threads of this process that modify the same object; the key is any hash of the object's path.
/// Reset in a forked child.
class ObjectLock {
 public:
  explicit ObjectLock(std::size_t key);
  ~ObjectLock();
  ObjectLock(const ObjectLock&) = delete;
  ObjectLock& operator=(const ObjectLock&) = delete;

 private:
  void* mutex_;
};

}  // namespace cvfast::runtime
