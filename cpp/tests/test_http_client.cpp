// SPDX-License-Identifier: BSD-3-Clause
//
// What only C++ can ask for: completions, groups, buffers that count as in flight, and all of it from several threads
// under ThreadSanitizer.  The answers of faulty servers are tested from Python.
#include "cvfast/fetch/http_client.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "loopback_server.hpp"

namespace {

namespace http = cvfast::fetch::http;
using cvfast::fetch::HttpBuffer;
using cvfast::fetch::HttpError;
using cvfast::fetch::HttpGroup;
using cvfast::fetch::HttpRequest;
using cvfast::fetch::HttpResult;
using cvfast::fetch::HttpState;
using cvfast::test::LoopbackServer;
using namespace std::chrono_literals;

bool keep_waiting() { return true; }

std::string numbered(int i) {
  std::string path("/");
  path.append(std::to_string(i));
  return path;
}

std::string body_of(const std::string& path) {
  std::string body;
  while (body.size() < 100000) body.append(path).append(" ");
  return body;
}

std::string text_of(const HttpResult& result) {
  const auto bytes = result.body.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

HttpRequest get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  request.policy.backoff_seconds = 0.01;
  request.policy.max_backoff_seconds = 0.05;
  return request;
}

// Counts completions.
class Latch {
 public:
  void count() {
    const std::lock_guard lock(mutex_);
    ++done_;
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(int n, std::chrono::milliseconds time = 20s) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return done_ >= n; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int done_ = 0;
};

class HttpClient : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  }
  void TearDown() override {
    http::close();
    http::configure({});
    EXPECT_EQ(http::stats().inflight_bytes, 0U);
    EXPECT_FALSE(http::stats().is_running);
  }

  LoopbackServer server_{[](const std::string& path) -> std::string {
    if (path.starts_with("/stall")) return "stall";
    if (path.starts_with("/drop")) return "";
    if (path.starts_with("/absent")) return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    return LoopbackServer::ok(body_of(path));
  }};
};

TEST_F(HttpClient, GetAllReturnsBodiesInOrder) {
  std::vector<HttpRequest> requests;
  for (int i = 0; i < 200; ++i) requests.push_back(get(server_.url(numbered(i))));
  const auto results = http::get_all(std::move(requests), keep_waiting);
  ASSERT_EQ(results.size(), 200U);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(results[i].state, HttpState::kData) << results[i].message;
    EXPECT_EQ(text_of(results[i]), body_of(numbered(i)));
  }
  EXPECT_EQ(http::stats().inflight_bytes, 0U);
  EXPECT_LE(server_.connections(), http::settings().max_transfers_per_host);
}

TEST_F(HttpClient, GetAllOfNothing) { EXPECT_TRUE(http::get_all({}, keep_waiting).empty()); }

TEST_F(HttpClient, CompletionsMaySubmit) {
  Latch latch;
  std::atomic<int> good{0};
  http::submit(get(server_.url("/first")), [&](HttpResult&& first) {
    good += first.state == HttpState::kData;
    http::submit(get(server_.url("/absent")), [&](HttpResult&& second) {
      good += second.state == HttpState::kMissing;
      latch.count();
    });
    latch.count();
  });
  ASSERT_TRUE(latch.wait_for(2));
  EXPECT_EQ(good, 2);
}

TEST_F(HttpClient, BuffersCountAsInFlightUntilTheyAreLetGo) {
  cvfast::fetch::HttpSettings settings;
  settings.max_inflight_bytes = 300000;
  http::configure(settings);
  std::mutex mutex;
  std::vector<HttpBuffer> held;
  Latch latch;
  for (int i = 0; i < 8; ++i) {
    http::submit(get(server_.url(numbered(i))), [&](HttpResult&& result) {
      {
        const std::lock_guard lock(mutex);
        held.push_back(std::move(result.body));
      }
      latch.count();
    });
  }
  ASSERT_TRUE(latch.wait_for(2));
  EXPECT_FALSE(latch.wait_for(3, 300ms));
  EXPECT_LE(http::stats().inflight_bytes, 300000U);
  // From another thread than the reactor's, one after the other.
  for (int released = 0; released < 6; ++released) {
    {
      const std::lock_guard lock(mutex);
      held.erase(held.begin());
    }
    ASSERT_TRUE(latch.wait_for(3 + released)) << released;
  }
  EXPECT_LE(http::stats().inflight_bytes, 300000U);
  const std::lock_guard lock(mutex);
  held.clear();
}

TEST_F(HttpClient, AnObjectBeyondTheBoundComesAlone) {
  cvfast::fetch::HttpSettings settings;
  settings.max_inflight_bytes = 1000;
  http::configure(settings);
  std::vector<HttpRequest> requests;
  for (int i = 0; i < 20; ++i) requests.push_back(get(server_.url(numbered(i))));
  for (const HttpResult& result : http::get_all(std::move(requests), keep_waiting)) {
    EXPECT_EQ(result.state, HttpState::kData) << result.message;
  }
}

TEST_F(HttpClient, CancellingAGroupLeavesTheOthers) {
  const auto group = std::make_shared<HttpGroup>();
  Latch cancelled;
  Latch finished;
  std::atomic<int> states{0};
  for (int i = 0; i < 100; ++i) {
    http::submit(
        get(server_.url("/stall")),
        [&](HttpResult&& result) {
          states += result.state == HttpState::kCancelled;
          cancelled.count();
        },
        group);
  }
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(cancelled.wait_for(1, 0ms));
  const auto start = std::chrono::steady_clock::now();
  http::cancel(group);
  ASSERT_TRUE(cancelled.wait_for(100));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);  // a bound for sanitizers; plain runs take about 1 ms
  EXPECT_EQ(states, 100);
  http::submit(get(server_.url("/fine")), [&](HttpResult&& result) {
    states += result.state == HttpState::kData;
    finished.count();
  });
  ASSERT_TRUE(finished.wait_for(1));
  EXPECT_EQ(states, 101);
  // What joins a group after that does not start.
  http::submit(
      get(server_.url("/late")),
      [&](HttpResult&& result) {
        states += result.state == HttpState::kCancelled;
        finished.count();
      },
      group);
  ASSERT_TRUE(finished.wait_for(2));
  EXPECT_EQ(states, 102);
}

TEST_F(HttpClient, PollEndsAWait) {
  int asked = 0;
  const auto start = std::chrono::steady_clock::now();
  std::vector<HttpRequest> requests;
  for (int i = 0; i < 300; ++i) requests.push_back(get(server_.url(i % 2 == 0 ? "/stall" : "/drop")));
  const auto results = http::get_all(std::move(requests), [&] { return ++asked < 3; });
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, 120ms);
  EXPECT_LT(took, 2s);
  for (const HttpResult& result : results) EXPECT_NE(result.state, HttpState::kData);
  for (int i = 0; i < 400 && server_.open_connections() != 0; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(server_.open_connections(), 0);
}

TEST_F(HttpClient, IntoTheCallersMemory) {
  std::vector<std::byte> out(body_of("/into").size());
  std::vector<HttpRequest> requests{get(server_.url("/into"))};
  requests[0].into = out;
  const auto results = http::get_all(std::move(requests), keep_waiting);
  ASSERT_EQ(results[0].state, HttpState::kData);
  EXPECT_TRUE(results[0].is_in_place);
  EXPECT_TRUE(results[0].body.bytes().empty());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(out.data()), out.size()), body_of("/into"));
}

TEST_F(HttpClient, ThreadsSubmitCancelConfigureAndClose) {
  std::atomic<int> exact{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 15; ++round) {
        std::vector<HttpRequest> requests;
        for (int i = 0; i < 10; ++i) {
          requests.push_back(get(server_.url(i == 9 && t == 0 ? std::string("/stall") : numbered(i))));
        }
        int asked = 0;
        const auto results = http::get_all(std::move(requests), [&] { return t != 0 || ++asked < 2; });
        for (int i = 0; i < 10; ++i) {
          if (results[i].state == HttpState::kCancelled) continue;
          (text_of(results[i]) == body_of(numbered(i)) ? exact : wrong) += 1;
        }
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(10ms);
      cvfast::fetch::HttpSettings settings;
      settings.max_transfers_per_host = 1 + i;
      settings.max_inflight_bytes = 150000 * (1 + i);
      http::configure(settings);
      (void)http::stats();
      if (i % 5 == 0) http::close();
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(exact, 0);
}

TEST_F(HttpClient, CloseCancelsAndTheNextRequestStartsAgain) {
  Latch latch;
  std::atomic<int> cancelled{0};
  for (int i = 0; i < 10; ++i) {
    http::submit(get(server_.url("/stall")), [&](HttpResult&& result) {
      cancelled += result.state == HttpState::kCancelled;
      latch.count();
    });
  }
  http::close();
  ASSERT_TRUE(latch.wait_for(10, 0ms));
  EXPECT_EQ(cancelled, 10);
  EXPECT_FALSE(http::stats().is_running);
  http::close();
  EXPECT_EQ(http::get_all({get(server_.url("/again"))}, keep_waiting)[0].state, HttpState::kData);
}

TEST_F(HttpClient, AnIdleThreadEnds) {
  cvfast::fetch::HttpSettings settings;
  settings.idle_seconds = 0.05;
  http::configure(settings);
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(http::get_all({get(server_.url("/x"))}, keep_waiting)[0].state, HttpState::kData);
    // Around the moment in which it ends.
    std::this_thread::sleep_for(std::chrono::milliseconds(45 + 3 * round));
  }
  for (int i = 0; i < 400 && http::stats().is_running; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(http::stats().is_running);
}

#if !defined(__SANITIZE_THREAD__)
// ThreadSanitizer does not support threads in a child forked from a process that has some.
TEST_F(HttpClient, AForkedChildStartsAfresh) {
  HttpResult held = std::move(http::get_all({get(server_.url("/held"))}, keep_waiting)[0]);
  for (int round = 0; round < 5; ++round) {
    // Some are always on their way while the process forks.
    Latch latch;
    for (int i = 0; i < 20; ++i) {
      http::submit(get(server_.url(numbered(i))), [&](HttpResult&&) { latch.count(); });
    }
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      held.body.reset();
      const auto results = http::get_all({get(server_.url("/child"))}, keep_waiting);
      const bool is_right = results[0].state == HttpState::kData && text_of(results[0]) == body_of("/child");
      ::_exit(is_right ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    ASSERT_TRUE(latch.wait_for(20));
  }
}
#endif

TEST_F(HttpClient, FailuresAreNamed) {
  std::vector<HttpRequest> requests{get(server_.url("/drop?secret")), get("nonsense"), get("http://127.0.0.1:1/x")};
  for (HttpRequest& request : requests) request.policy.max_attempts = 2;
  const auto results = http::get_all(std::move(requests), keep_waiting);
  EXPECT_EQ(results[0].error, HttpError::kReset);
  EXPECT_EQ(results[0].attempts, 2);
  EXPECT_NE(results[0].message.find("GET " + server_.url("/drop?...") + ": "), std::string::npos) << results[0].message;
  EXPECT_EQ(results[1].error, HttpError::kRequest);
  EXPECT_EQ(results[2].error, HttpError::kConnect);
}

}  // namespace
