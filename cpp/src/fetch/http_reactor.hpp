// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <curl/curl.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cvfast/fetch/http_client.hpp"
#include "http_memory.hpp"
#include "http_poller.hpp"
#include "http_retry.hpp"
#include "http_transfer.hpp"

namespace cvfast::fetch {

/// Requests to one origin.
struct HttpHost {
  std::deque<HttpTransfer*> queue;
  int active = 0;
  HostPace pace;
  HostReach reach;
};

/// Compares MD5s on a thread of its own, since that takes longer than receiving the bytes.
class HttpChecker {
 public:
  using Report = std::function<void(HttpTransfer*, bool is_equal)>;
  explicit HttpChecker(Report report) : report_(std::move(report)) {}
  /// The transfer and its body stay as they are until the report.
  void check(HttpTransfer* transfer);
  /// Ends the thread after what it has been given.
  void stop();

 private:
  void run();

  Report report_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<HttpTransfer*> queue_;
  bool is_stopping_ = false;
  std::thread thread_;
};

/// One thread with one libcurl multi handle.  The thread starts with the first request and ends when nothing has been
/// asked for a while.
///
/// Locks: `inbox_mutex_` guards what other threads leave for the reactor; it is held for a few instructions and never
/// while calling anything.  `curl_mutex_` is held by the reactor except while it sleeps: whoever gets it knows that no
/// thread is inside of libcurl and none of the completions' locks is taken.
class HttpReactor {
 public:
  HttpReactor();

  void submit(std::vector<std::unique_ptr<HttpTransfer>> transfers);
  void cancel(const std::shared_ptr<HttpGroup>& group);
  void close();
  [[nodiscard]] HttpSettings settings();
  void configure(const HttpSettings& settings);
  [[nodiscard]] HttpStats stats();

  /// Keeps the reactor out of libcurl across a fork; one thread at a time.  Not while the process ends: stop_for_exit
  /// never gives the lock back, and what else ends the process may need locks of whoever forks.
  void lock_for_fork() noexcept;
  void unlock_after_fork() noexcept;
  /// In a forked child: closes its copies of the descriptors, which the parent would otherwise not be able to close.
  void abandon() noexcept;
  /// Keeps the reactor out of libcurl for ever, if it can be had within twenty seconds.
  void stop_for_exit() noexcept;

 private:
  using TimePoint = HttpClock::time_point;
  struct Checked {
    HttpTransfer* transfer;
    bool is_equal;
  };
  static constexpr std::size_t kMaxSockets = 4096;

  // Any thread.
  bool start_locked();
  void wake_locked() noexcept;
  void wake() noexcept;

  // The reactor's thread.
  void run();
  bool open();
  void shut();
  void loop();
  bool take_inbox();
  void apply(const HttpSettings& settings);
  void drop_cancelled(const std::vector<std::shared_ptr<HttpGroup>>& groups);
  void drop_all();
  void enqueue(HttpTransfer* transfer, bool is_first);
  void start_ready(TimePoint now);
  bool start(HttpHost& host, HttpTransfer* transfer, std::uint64_t reserved, TimePoint now);
  void acknowledge() noexcept;
  void take_finished();
  void handle(HttpTransfer* transfer, HttpTransfer::Verdict verdict);
  void handle_failure(HttpTransfer* transfer);
  void resume_paused(TimePoint now);
  void check_deadlines(TimePoint now);
  void take_off(HttpTransfer* transfer) noexcept;
  void finish(HttpTransfer* transfer, HttpState state) noexcept;
  [[nodiscard]] int wait_ms(TimePoint now);
  [[nodiscard]] HttpHost& host_of(const Origin& origin);
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* socket) noexcept;
  static int on_timer(CURLM* multi, long timeout_ms, void* self) noexcept;
  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  static int on_close(void* self, curl_socket_t fd) noexcept;

  std::mutex inbox_mutex_;
  std::condition_variable stopped_;
  std::vector<std::unique_ptr<HttpTransfer>> inbox_;
  std::vector<std::shared_ptr<HttpGroup>> cancelled_;
  std::vector<Checked> checked_;
  HttpSettings new_settings_;
  bool is_running_ = false;
  bool is_closing_ = false;
  std::uint64_t ends_ = 0;               // how often the thread has ended
  bool is_ended_ = false;                // the process is about to end
  std::atomic<bool> is_leaving_{false};  // the same, for those who cannot take the lock
  bool holds_for_fork_ = false;          // of the thread that forks

  std::mutex curl_mutex_;
  HttpMemory memory_;
  HttpPoller poller_;
  std::atomic<bool> is_woken_{false};
  // Sockets of libcurl, for a forked child to close.
  struct Socket {
    std::atomic<int> fd{-1};              // -1: free
    std::atomic<std::uint64_t> inode{0};  // numbers are used again, also where libcurl closes one without a word
  };
  std::array<Socket, kMaxSockets> sockets_;

  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> attempts_{0};
  std::atomic<std::uint64_t> retries_{0};
  std::atomic<std::uint64_t> redirects_{0};
  std::atomic<std::uint64_t> connections_{0};
  std::atomic<std::uint64_t> pauses_{0};
  std::atomic<std::uint64_t> bytes_{0};

  // The reactor's thread alone.
  HttpSettings settings_;  // with as many transfers as descriptors allow
  CURLM* multi_ = nullptr;
  TimePoint curl_due_ = TimePoint::max();
  std::vector<CURL*> free_handles_;
  HttpTransferContext context_{memory_};
  std::unordered_map<HttpTransfer*, std::unique_ptr<HttpTransfer>> all_;
  std::unordered_map<std::string, std::unique_ptr<HttpHost>> hosts_;
  std::vector<HttpTransfer*> active_;
  std::multimap<TimePoint, HttpTransfer*> backoff_;
  TimePoint idle_since_{};
  std::minstd_rand random_{std::random_device{}()};
  std::unique_ptr<HttpChecker> checker_;
};

}  // namespace cvfast::fetch
