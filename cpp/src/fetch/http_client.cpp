// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/http_client.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "cvfast/fetch/http_transport.hpp"
#include "http_response.hpp"

namespace cvfast::fetch {
namespace {

// Set once, before the first request.
std::atomic<HttpTransport*> in_use{nullptr};

HttpTransport& transport() {
  HttpTransport* const found = in_use.load(std::memory_order_acquire);  // pairs with the store in use_transport
  if (found == nullptr) throw std::logic_error("a request was made before http::use_transport");
  return *found;
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

void use_transport(HttpTransport& transport) noexcept { in_use.store(&transport, std::memory_order_release); }

bool has_transport() noexcept { return in_use.load(std::memory_order_acquire) != nullptr; }

void submit_all(std::vector<Submission> submissions, const std::shared_ptr<HttpGroup>& group) {
  transport().submit_all(std::move(submissions), group);
}

void submit(HttpRequest request, HttpCompletion done, const std::shared_ptr<HttpGroup>& group) {
  std::vector<Submission> one;
  one.push_back({std::move(request), std::move(done)});
  submit_all(std::move(one), group);
}

void cancel(const std::shared_ptr<HttpGroup>& group) { transport().cancel(group); }

std::vector<HttpResult> get_all(std::vector<HttpRequest> requests, const std::function<bool()>& poll) {
  constexpr auto kPollInterval = std::chrono::milliseconds(50);
  const auto batch = std::make_shared<Batch>(requests.size());
  if (requests.empty()) return {};
  const auto group = std::make_shared<HttpGroup>();
  const std::uint64_t forks_before = transport().forks();
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
    if (transport().forks() != forks_before) {
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

HttpSettings settings() { return transport().settings(); }
void configure(const HttpSettings& settings) { transport().configure(settings); }
HttpStats stats() { return transport().stats(); }
void close() { transport().close(); }

}  // namespace http
}  // namespace cvfast::fetch
