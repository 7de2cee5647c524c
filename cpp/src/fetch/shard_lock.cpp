// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/shard_lock.hpp"

#include <fcntl.h>
#ifndef F_OFD_SETLK
#include <sys/file.h>
#endif

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

namespace cvfast::fetch {
namespace {

constexpr const char* kLockName = ".shards.lock";

}  // namespace

bool ShardLock::acquire(int folder, std::uint64_t shard, const std::function<bool()>& poll, IoError& error) {
  fd_ = UniqueFd(::openat(folder, kLockName, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!fd_) {
    error = {"create", errno};
    return false;
  }
  auto wait = std::chrono::microseconds(200);
  for (;;) {
    const int code = try_lock(shard);
    if (code == 0) return true;
    // Some network and container file systems have no locks; then callers must agree among themselves.
    if (code == ENOLCK || code == ENOTSUP || code == ENOSYS || code == EINVAL) return true;
    if (code != EAGAIN && code != EACCES && code != EWOULDBLOCK && code != EINTR) {
      error = {"lock", code};
      return false;
    }
    if (!poll()) {
      error = {};
      return false;
    }
    std::this_thread::sleep_for(wait);
    wait = std::min<std::chrono::microseconds>(wait * 2, std::chrono::milliseconds(20));
  }
}

int ShardLock::try_lock(std::uint64_t shard) const noexcept {
#ifdef F_OFD_SETLK
  // One byte a shard.  Open file description locks belong to the descriptor, hence hold between threads as well.
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(shard & ((std::uint64_t{1} << 62) - 1));
  lock.l_len = 1;
  return ::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0 ? 0 : errno;
#else
  (void)shard;
  return ::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
#endif
}

}  // namespace cvfast::fetch
