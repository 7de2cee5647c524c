// SPDX-License-Identifier: BSD-3-Clause
#include "http_poller.hpp"

#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#else
#include <poll.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>

namespace cvfast::fetch {
namespace {

void close_fd(int& fd) noexcept {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

int HttpPoller::open() noexcept {
#ifdef __linux__
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_read_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake_read_;
  if (epoll_ < 0 || wake_read_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_read_, &event) != 0) {
    const int error = errno;
    forget();
    return error;
  }
  wake_write_ = wake_read_;
#else
  int ends[2];
  if (::pipe(ends) != 0) return errno;
  wake_read_ = ends[0];
  wake_write_ = ends[1];
  for (const int fd : ends) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
  }
#endif
  return 0;
}

void HttpPoller::forget() noexcept {
#ifdef __linux__
  close_fd(epoll_);
  // is_watched_ stays as it is: clearing it is nothing for a signal handler, and every socket is removed before.
#endif
  if (wake_write_ != wake_read_) close_fd(wake_write_);
  wake_write_ = -1;
  close_fd(wake_read_);
}

void HttpPoller::wake() const noexcept {
  const std::uint64_t one = 1;
  // A full pipe or counter wakes just as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_write_, &one, sizeof(one));
}

#ifdef __linux__

void HttpPoller::set(int fd, bool reads, bool writes) {
  epoll_event event{};
  event.events = (reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U);
  event.data.fd = fd;
  const auto index = static_cast<std::size_t>(fd);
  if (index >= is_watched_.size()) is_watched_.resize(index + 64);
  // libcurl may close a socket before it says so, and the next one may have its number: epoll knows it no more.
  if (!is_watched_[index] || (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)) {
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  is_watched_[index] = true;
}

bool HttpPoller::watches(int fd) const noexcept {
  const auto index = static_cast<std::size_t>(fd);
  return index < is_watched_.size() && is_watched_[index];
}

void HttpPoller::remove(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= is_watched_.size() || !is_watched_[index]) return;
  is_watched_[index] = false;
  epoll_event unused{};
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &unused);
}

void HttpPoller::wait(int timeout_ms, std::vector<Event>& events) {
  events.clear();
  std::array<epoll_event, 128> ready;
  const int n = ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), timeout_ms);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    if (event.data.fd == wake_read_) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(wake_read_, &count, sizeof(count));
      continue;
    }
    events.push_back({event.data.fd, (event.events & (EPOLLIN | EPOLLRDHUP)) != 0, (event.events & EPOLLOUT) != 0,
                      (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
}

#else

void HttpPoller::set(int fd, bool reads, bool writes) {
  remove(fd);
  watched_.push_back({fd, reads, writes});
}

bool HttpPoller::watches(int fd) const noexcept {
  return std::any_of(watched_.begin(), watched_.end(), [&](const Watched& watched) { return watched.fd == fd; });
}

void HttpPoller::remove(int fd) noexcept {
  std::erase_if(watched_, [&](const Watched& watched) { return watched.fd == fd; });
}

void HttpPoller::wait(int timeout_ms, std::vector<Event>& events) {
  events.clear();
  std::vector<pollfd> fds{{wake_read_, POLLIN, 0}};
  for (const Watched& watched : watched_) {
    fds.push_back({watched.fd, static_cast<short>((watched.reads ? POLLIN : 0) | (watched.writes ? POLLOUT : 0)), 0});
  }
  if (::poll(fds.data(), static_cast<nfds_t>(fds.size()), timeout_ms) <= 0) return;
  if (fds[0].revents != 0) {
    std::array<char, 256> sink;
    while (::read(wake_read_, sink.data(), sink.size()) > 0) {
    }
  }
  for (std::size_t i = 1; i < fds.size(); ++i) {
    const short revents = fds[i].revents;
    if (revents == 0) continue;
    events.push_back({fds[i].fd, (revents & POLLIN) != 0, (revents & POLLOUT) != 0,
                      (revents & (POLLERR | POLLHUP | POLLNVAL)) != 0});
  }
}

#endif

}  // namespace cvfast::fetch
