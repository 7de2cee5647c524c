// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cvfast::test {

/// HTTP on 127.0.0.1: gives the path of each request to a function that returns the answer, byte by byte as it goes
/// out; "" closes the connection without one, "stall" says nothing until the client goes.
class LoopbackServer {
 public:
  using Answer = std::function<std::string(const std::string& path)>;

  explicit LoopbackServer(Answer answer) : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 512) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept(); });
  }
  ~LoopbackServer() {
    is_stopping_ = true;
    accepting_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  [[nodiscard]] std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] int open_connections() const { return open_; }

  [[nodiscard]] static std::string ok(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

 private:
  // Sleeps at most 20 ms, so that stopping is seen.
  [[nodiscard]] bool is_readable(int fd) const {
    while (!is_stopping_) {
      pollfd one{fd, POLLIN, 0};
      if (::poll(&one, 1, 20) > 0) return true;
    }
    return false;
  }

  void accept() {
    while (is_readable(listener_)) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      ++connections_;
      ++open_;
      threads_.emplace_back([this, fd] {
        serve(fd);
        ::close(fd);
        --open_;
      });
    }
  }

  void serve(int fd) {
    std::string in;
    for (;;) {
      std::size_t end = in.find("\r\n\r\n");
      while (end == std::string::npos) {
        char buffer[4096];
        if (!is_readable(fd)) return;
        const ssize_t n = ::recv(fd, buffer, sizeof(buffer), 0);
        if (n <= 0) return;
        in.append(buffer, static_cast<std::size_t>(n));
        end = in.find("\r\n\r\n");
      }
      const std::size_t blank = in.find(' ') + 1;
      const std::string out = answer_(in.substr(blank, in.find(' ', blank) - blank));
      in.erase(0, end + 4);
      if (out.empty()) return;
      if (out == "stall") {
        char byte = 0;
        if (is_readable(fd)) (void)!::recv(fd, &byte, 1, 0);
        return;
      }
      for (std::size_t sent = 0; sent < out.size();) {
        const ssize_t n = ::send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<std::size_t>(n);
      }
    }
  }

  Answer answer_;
  int listener_;
  int port_ = 0;
  std::atomic<bool> is_stopping_{false};
  std::atomic<int> connections_{0};
  std::atomic<int> open_{0};
  std::thread accepting_;
  std::vector<std::thread> threads_;
};

}  // namespace cvfast::test
