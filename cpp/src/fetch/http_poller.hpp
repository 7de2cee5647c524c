// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace cvfast::fetch {

/// Waits for sockets: epoll on Linux, elsewhere poll.  One thread, but for `wake`, `forget`.
class HttpPoller {
 public:
  struct Event {
    int fd;
    bool is_readable;
    bool is_writable;
    bool is_broken;
  };

  HttpPoller() = default;
  ~HttpPoller() { forget(); }
  HttpPoller(const HttpPoller&) = delete;
  HttpPoller& operator=(const HttpPoller&) = delete;

  /// @return 0 or errno.
  [[nodiscard]] int open() noexcept;
  void set(int fd, bool reads, bool writes);
  void remove(int fd) noexcept;
  [[nodiscard]] bool watches(int fd) const noexcept;
  /// Events of sockets; those of `wake` only end the wait.
  void wait(int timeout_ms, std::vector<Event>& events);
  /// Ends a wait, the next one if none is under way.  Any thread, signal safe.
  void wake() const noexcept;
  /// Closes what it has opened.  Signal safe.
  void forget() noexcept;

 private:
#ifdef __linux__
  int epoll_ = -1;
  std::vector<bool> is_watched_;  // by descriptor: one that was closed may be somebody else's by now
#else
  struct Watched {
    int fd;
    bool reads;
    bool writes;
  };
  std::vector<Watched> watched_;
#endif
  int wake_read_ = -1;
  int wake_write_ = -1;
};

}  // namespace cvfast::fetch
