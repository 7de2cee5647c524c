// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/thread_pool.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {

using cvfast::runtime::parallel_for;
using namespace std::chrono_literals;

bool never_stop() { return true; }

TEST(ThreadPool, RunsEachIndexOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{1000}}) {
      std::vector<std::atomic<int>> runs(n);
      EXPECT_TRUE(parallel_for(n, threads, [&](std::size_t i) { return ++runs[i] == 1; }, never_stop));
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ThreadPool, PublishesWhatTasksWrite) {
  // Plain integers: the end of parallel_for is what makes them visible (ThreadSanitizer watches).
  std::vector<int> values(5000, 0);
  ASSERT_TRUE(parallel_for(
      values.size(), 4,
      [&](std::size_t i) {
        values[i] = static_cast<int>(i) + 1;
        return true;
      },
      never_stop));
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], static_cast<int>(i) + 1);
}

TEST(ThreadPool, StopsAfterAFailedTask) {
  std::atomic<int> runs{0};
  EXPECT_FALSE(parallel_for(
      100000, 4,
      [&](std::size_t) {
        std::this_thread::sleep_for(10us);
        return ++runs < 10;
      },
      never_stop));
  EXPECT_LT(runs, 1000);
}

TEST(ThreadPool, PollStopsARun) {
  std::atomic<int> runs{0};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(parallel_for(
      1000000, 3,
      [&](std::size_t) {
        std::this_thread::sleep_for(1ms);
        ++runs;
        return true;
      },
      [] { return false; }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_GT(runs, 0);
}

TEST(ThreadPool, ManyCallersAtOnce) {
  std::atomic<std::size_t> total{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        EXPECT_TRUE(parallel_for(64, 4, [&](std::size_t) { return ++total > 0; }, never_stop));
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(total, std::size_t{8} * 50 * 64);
}

TEST(ThreadPool, ObjectLocksExclude) {
  int unguarded = 0;
  ASSERT_TRUE(parallel_for(
      2000, 4,
      [&](std::size_t) {
        const cvfast::runtime::ObjectLock lock(17);
        ++unguarded;
        return true;
      },
      never_stop));
  EXPECT_EQ(unguarded, 2000);
}

TEST(ThreadPool, DefaultIsAtLeastOne) { EXPECT_GE(cvfast::runtime::default_threads(), 1); }

#if !defined(__SANITIZE_THREAD__)
// ThreadSanitizer does not support threads in a child forked from a process that has some.
TEST(ThreadPool, ForkedChildHasAPoolOfItsOwn) {
  ASSERT_TRUE(parallel_for(100, 4, [](std::size_t) { return true; }, never_stop));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::atomic<int> runs{0};
    const bool good = parallel_for(100, 4, [&](std::size_t) { return ++runs > 0; }, never_stop);
    ::_exit(good && runs == 100 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

}  // namespace
