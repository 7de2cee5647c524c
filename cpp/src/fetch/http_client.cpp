// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/http_client.hpp"

#include <curl/curl.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "http_reactor.hpp"
#include "http_response.hpp"
#include "http_transfer.hpp"

namespace cvfast::fetch {
namespace {

// Never destroyed: its thread may outlive static destruction.
std::atomic<HttpReactor*> current{nullptr};
std::atomic<std::uint64_t> forks{0};
// Held while the first reactor is made, and across a fork.
std::mutex making;
HttpReactor* forked_reactor = nullptr;  // guarded by `making`

void before_fork() {
  making.lock();
  forked_reactor = current.load(std::memory_order_relaxed);
  if (forked_reactor != nullptr) forked_reactor->lock_for_fork();
}

void after_fork_in_parent() {
  if (forked_reactor != nullptr) forked_reactor->unlock_after_fork();
  making.unlock();
}

void after_fork_in_child() {
  if (forked_reactor != nullptr) forked_reactor->abandon();
  current.store(nullptr, std::memory_order_relaxed);
  forks.fetch_add(1, std::memory_order_relaxed);
  making.unlock();
}

// Registered when the library is loaded, so that no fork can come between the first use and the registration.
const int registered_at_fork = ::pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child);

void at_exit() {
  HttpReactor* const reactor = current.load(std::memory_order_acquire);
  if (reactor != nullptr) reactor->stop_for_exit();
}

HttpReactor& reactor() {
  HttpReactor* have = current.load(std::memory_order_acquire);  // pairs with the store below
  if (have != nullptr) return *have;
  const std::lock_guard lock(making);
  have = current.load(std::memory_order_relaxed);
  if (have != nullptr) return *have;
  (void)registered_at_fork;
  static bool is_initialised = false;
  if (!is_initialised) {
    ::curl_global_init(CURL_GLOBAL_DEFAULT);
    // After the TLS library has registered its own handler, hence run before that.
    (void)std::atexit(&at_exit);
    is_initialised = true;
  }
  have = new HttpReactor;
  current.store(have, std::memory_order_release);
  return *have;
}

// What get_all waits for.  Shared with completions, which in a forked child never come.
struct Batch {
  std::vector<HttpResult> results;
  std::atomic<std::size_t> left;
  std::mutex mutex;
  std::condition_variable all_done;

  explicit Batch(std::size_t n) : results(n), left(n) {}

  void done(std::size_t index, HttpResult&& result) {
    result.body.keep();
    results[index] = std::move(result);
    // Releases the result; pairs with the acquire in is_done.
    if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      const std::lock_guard lock(mutex);
      all_done.notify_all();
    }
  }
  [[nodiscard]] bool is_done() const { return left.load(std::memory_order_acquire) == 0; }
};

}  // namespace

const char* name(HttpMethod method) noexcept {
  static constexpr const char* kNames[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
  return kNames[static_cast<int>(method)];
}

const char* name(HttpState state) noexcept {
  static constexpr const char* kNames[] = {"data", "missing", "not_modified", "failed", "cancelled"};
  return kNames[static_cast<int>(state)];
}

const char* name(HttpError error) noexcept {
  static constexpr const char* kNames[] = {"",      "request",    "connect",  "tls",    "timeout",
                                           "reset", "short_body", "status",   "size",   "digest",
                                           "range", "redirect",   "protocol", "memory", "forked"};
  return kNames[static_cast<int>(error)];
}

std::string_view HttpResult::header(std::string_view lower_name) const noexcept {
  const std::string* const value = find_header(headers, lower_name);
  return value == nullptr ? std::string_view{} : std::string_view(*value);
}

namespace http {

void submit_all(std::vector<Submission> submissions, const std::shared_ptr<HttpGroup>& group) {
  const auto environment = std::make_shared<const HttpEnvironment>(HttpEnvironment::read());
  std::vector<std::unique_ptr<HttpTransfer>> transfers;
  transfers.reserve(submissions.size());
  for (Submission& one : submissions) {
    transfers.push_back(
        std::make_unique<HttpTransfer>(std::move(one.request), std::move(one.done), group, environment));
  }
  reactor().submit(std::move(transfers));
}

void submit(HttpRequest request, HttpCompletion done, const std::shared_ptr<HttpGroup>& group) {
  std::vector<Submission> one;
  one.push_back({std::move(request), std::move(done)});
  submit_all(std::move(one), group);
}

void cancel(const std::shared_ptr<HttpGroup>& group) { reactor().cancel(group); }

std::vector<HttpResult> get_all(std::vector<HttpRequest> requests, const std::function<bool()>& poll) {
  constexpr auto kPollInterval = std::chrono::milliseconds(50);
  const auto batch = std::make_shared<Batch>(requests.size());
  if (requests.empty()) return {};
  const auto group = std::make_shared<HttpGroup>();
  const std::uint64_t forks_before = forks.load(std::memory_order_relaxed);
  std::vector<Submission> submissions;
  submissions.reserve(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    submissions.push_back(
        {std::move(requests[i]), [batch, i](HttpResult&& result) { batch->done(i, std::move(result)); }});
  }
  submit_all(std::move(submissions), group);
  auto asked = std::chrono::steady_clock::now();
  bool is_cancelled = false;
  for (;;) {
    {
      std::unique_lock lock(batch->mutex);
      batch->all_done.wait_until(lock, asked + kPollInterval, [&] { return batch->is_done(); });
    }
    if (batch->is_done()) return std::move(batch->results);
    asked = std::chrono::steady_clock::now();
    if (!is_cancelled && !poll()) {
      is_cancelled = true;
      cancel(group);
    }
    if (forks.load(std::memory_order_relaxed) != forks_before) {
      // poll() ran a signal handler that forked, and this is the child: the reactor that works on the batch is not
      // here.
      std::vector<HttpResult> results(batch->results.size());
      for (HttpResult& result : results) {
        result.state = HttpState::kFailed;
        result.error = HttpError::kForked;
        result.message = "the process was forked while it waited for this request";
      }
      return results;
    }
  }
}

HttpSettings settings() { return reactor().settings(); }
void configure(const HttpSettings& settings) { reactor().configure(settings); }
HttpStats stats() { return reactor().stats(); }
void close() { reactor().close(); }

}  // namespace http
}  // namespace cvfast::fetch
