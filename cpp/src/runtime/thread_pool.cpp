// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/thread_pool.hpp"

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cvfast::runtime {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollInterval = std::chrono::milliseconds(50);
constexpr int kMaxThreads = 1024;

// Putting a thread to sleep and waking it takes tens of microseconds on a virtual machine, as long as a small cutout
// does.  So a helper that has nothing to do watches for the next call for a moment before it sleeps, and so does a
// caller for helpers that are about to finish: 100 cutouts of 2 MiB out of memory took 18 ms on two threads without
// this.  Whoever else wants the processor gets it.
constexpr auto kWatchInterval = std::chrono::microseconds(50);

template <typename Condition>
bool watch_for(const Condition& condition) {
  const Clock::time_point end = Clock::now() + kWatchInterval;
  do {
    for (int i = 0; i < 8; ++i) {
      if (condition()) return true;
      std::this_thread::yield();
    }
  } while (Clock::now() < end);
  return condition();
}

// One call of parallel_for.
struct Job {
  struct alignas(64) Run {
    std::atomic<std::size_t> next{0};
    std::size_t end = 0;
  };

  const std::function<bool(std::size_t)>* task = nullptr;
  std::vector<Run> runs;
  std::atomic<bool> stopped{false};
  // Guarded by the pool's mutex; active_helpers may be looked at without it.
  int wanted_helpers = 0;
  int joined_helpers = 0;
  std::atomic<int> active_helpers{0};
  std::condition_variable idle;

  Job(std::size_t n, int threads, const std::function<bool(std::size_t)>& t)
      : task(&t),
        runs(static_cast<std::size_t>(threads)),
        wanted_helpers(threads - 1) {
    const std::size_t parts = runs.size();
    for (std::size_t i = 0; i < parts; ++i) {
      // n * i / parts without overflow.
      runs[i].next.store(n / parts * i + n % parts * i / parts, std::memory_order_relaxed);
      runs[i].end = n / parts * (i + 1) + n % parts * (i + 1) / parts;
    }
  }

  // Works through the slot's own run, then through the others'.  `between` is asked before each task.
  template <typename Between>
  void work(std::size_t slot, const Between& between) {
    for (std::size_t k = 0; k < runs.size(); ++k) {
      Run& run = runs[(slot + k) % runs.size()];
      for (;;) {
        if (stopped.load(std::memory_order_relaxed) || !between()) return;
        // Relaxed: the index carries no data; what tasks write is published by the pool's mutex at the end.
        const std::size_t index = run.next.fetch_add(1, std::memory_order_relaxed);
        if (index >= run.end) break;
        if (!(*task)(index)) {
          stopped.store(true, std::memory_order_relaxed);
          return;
        }
      }
    }
  }
};

// Does the caller's share, asking now and then whether to go on; returns when it asked last.
Clock::time_point lead(Job& job, const std::function<bool()>& poll) {
  Clock::time_point asked = Clock::now();
  job.work(0, [&] {
    const Clock::time_point now = Clock::now();
    if (now - asked < kPollInterval) return true;
    asked = now;
    if (poll()) return true;
    job.stopped.store(true, std::memory_order_relaxed);
    return false;
  });
  return asked;
}

class Pool {
 public:
  void run(Job& job, const std::function<bool()>& poll) {
    {
      std::unique_lock lock(mutex_);
      const int missing = job.wanted_helpers - static_cast<int>(threads_);
      for (int i = 0; i < missing && static_cast<int>(threads_) < kMaxThreads; ++i) {
        // A helper is never joined: it ends with the process.  Where none can be had the caller works alone.
        try {
          std::thread([this] { help(); }).detach();
        } catch (const std::system_error&) {
          break;
        }
        ++threads_;
      }
      jobs_.push_back(&job);
    }
    announced_.fetch_add(1, std::memory_order_seq_cst);
    // A helper stops watching before it looks for jobs under the mutex, where this one is by now.
    if (watching_.load(std::memory_order_seq_cst) < job.wanted_helpers) {
      if (job.wanted_helpers == 1) {
        work_.notify_one();
      } else {
        work_.notify_all();
      }
    }
    Clock::time_point asked = lead(job, poll);
    std::unique_lock lock(mutex_);
    jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
    if (job.active_helpers > 0) {
      lock.unlock();
      (void)watch_for([&] { return job.active_helpers.load(std::memory_order_relaxed) == 0; });
      // The mutex publishes what helpers wrote; none of them touches the job after giving it back.
      lock.lock();
    }
    while (job.active_helpers > 0) {
      if (job.idle.wait_until(lock, asked + kPollInterval) == std::cv_status::timeout) {
        lock.unlock();
        asked = Clock::now();
        if (!poll()) job.stopped.store(true, std::memory_order_relaxed);
        lock.lock();
      }
    }
  }

  std::mutex& object_mutex(std::size_t key) { return object_mutexes_[key % object_mutexes_.size()]; }

 private:
  void help() {
    std::unique_lock lock(mutex_);
    for (;;) {
      Job* job = nullptr;
      const auto find = [&] {
        for (Job* candidate : jobs_) {
          if (candidate->joined_helpers < candidate->wanted_helpers) {
            job = candidate;
            return true;
          }
        }
        return false;
      };
      if (!find()) {
        const std::uint64_t seen = announced_.load(std::memory_order_relaxed);
        watching_.fetch_add(1, std::memory_order_seq_cst);
        lock.unlock();
        (void)watch_for([&] { return announced_.load(std::memory_order_relaxed) != seen; });
        watching_.fetch_sub(1, std::memory_order_seq_cst);
        lock.lock();
        work_.wait(lock, find);
      }
      const auto slot = static_cast<std::size_t>(++job->joined_helpers);
      ++job->active_helpers;
      lock.unlock();
      job->work(slot, [] { return true; });
      lock.lock();
      if (--job->active_helpers == 0) job->idle.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Job*> jobs_;
  std::atomic<std::uint64_t> announced_{0};  // calls so far
  std::atomic<int> watching_{0};             // helpers that look at announced_
  std::size_t threads_ = 0;
  // Striped: two objects may share a mutex, which costs a wait and nothing else, since a task holds one at a time.
  std::array<std::mutex, 64> object_mutexes_;
};

// Never destroyed: helpers may outlive static destruction.  A forked child forgets its parent's pool without touching
// it, because a mutex inside may be held by a thread that does not exist there.
std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
  Pool* have = current_pool.load(std::memory_order_acquire);  // pairs with the exchange below
  if (have != nullptr) return *have;
  static const int registered =
      ::pthread_atfork(nullptr, nullptr, [] { current_pool.store(nullptr, std::memory_order_relaxed); });
  (void)registered;
  auto* made = new Pool;
  if (current_pool.compare_exchange_strong(have, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *have;
}

#ifdef __linux__
// Whole CPUs that the cgroup's quota allows, or 0 where it sets none.
int cgroup_quota() {
  std::ifstream unified("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (unified >> quota >> period && quota != "max" && period > 0) {
    return std::max(1, static_cast<int>(std::strtod(quota.c_str(), nullptr) / period + 0.5));
  }
  std::ifstream legacy_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream legacy_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double micros = 0;
  if (legacy_quota >> micros && legacy_period >> period && micros > 0 && period > 0) {
    return std::max(1, static_cast<int>(micros / period + 0.5));
  }
  return 0;
}
#endif

int available_cpus() {
  int count = static_cast<int>(std::thread::hardware_concurrency());
#ifdef __linux__
  // The mask is asked each time, since a launcher may pin a process after it has started; the quota is read once.
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
  static const int quota = cgroup_quota();
  if (quota > 0) count = std::min(count, quota);
#endif
  return std::clamp(count, 1, kMaxThreads);
}

}  // namespace

int default_threads() noexcept {
  try {
    if (const char* text = std::getenv("CVFAST_THREADS"); text != nullptr) {
      const long wanted = std::strtol(text, nullptr, 10);
      if (wanted > 0) return static_cast<int>(std::min<long>(wanted, kMaxThreads));
    }
    return available_cpus();
  } catch (...) {
    return 1;
  }
}

bool parallel_for(std::size_t n, int max_threads, const std::function<bool(std::size_t)>& task,
                  const std::function<bool()>& poll) {
  if (n == 0) return true;
  const int limit = std::clamp(max_threads, 1, kMaxThreads);
  const int threads = static_cast<int>(std::min<std::size_t>(n, static_cast<std::size_t>(limit)));
  Job job(n, threads, task);
  if (threads > 1) {
    pool().run(job, poll);
  } else {
    (void)lead(job, poll);
  }
  return !job.stopped.load(std::memory_order_relaxed);
}

ObjectLock::ObjectLock(std::size_t key) : mutex_(&pool().object_mutex(key)) {
  static_cast<std::mutex*>(mutex_)->lock();
}

ObjectLock::~ObjectLock() { static_cast<std::mutex*>(mutex_)->unlock(); }

}  // namespace cvfast::runtime
