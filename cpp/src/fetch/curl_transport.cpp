// SPDX-License-Identifier: BSD-3-Clause
#include "curl_transport.hpp"

#include <curl/curl.h>
#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

#include "http_reactor.hpp"
#include "http_transfer.hpp"

namespace cvfast::fetch {
namespace {

// Never destroyed: its thread may outlive static destruction.
std::atomic<HttpReactor*> current{nullptr};
std::atomic<std::uint64_t> fork_count{0};
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
  fork_count.fetch_add(1, std::memory_order_relaxed);
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

class CurlTransport final : public HttpTransport {
 public:
  void submit_all(std::vector<http::Submission> submissions, const std::shared_ptr<HttpGroup>& group) override {
    const auto environment = std::make_shared<const HttpEnvironment>(HttpEnvironment::read());
    std::vector<std::unique_ptr<HttpTransfer>> transfers;
    transfers.reserve(submissions.size());
    for (http::Submission& one : submissions) {
      transfers.push_back(
          std::make_unique<HttpTransfer>(std::move(one.request), std::move(one.done), group, environment));
    }
    reactor().submit(std::move(transfers));
  }
  void cancel(const std::shared_ptr<HttpGroup>& group) override { reactor().cancel(group); }
  [[nodiscard]] std::uint64_t forks() const noexcept override { return fork_count.load(std::memory_order_relaxed); }
  [[nodiscard]] HttpSettings settings() override { return reactor().settings(); }
  void configure(const HttpSettings& settings) override { reactor().configure(settings); }
  [[nodiscard]] HttpStats stats() override { return reactor().stats(); }
  void close() override { reactor().close(); }
};

}  // namespace

HttpTransport& curl_transport() {
  static CurlTransport transport;
  return transport;
}

}  // namespace cvfast::fetch
