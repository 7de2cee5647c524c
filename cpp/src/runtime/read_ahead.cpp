// SPDX-License-Identifier: BSD-3-Clause
//
// Batches go through a ring of slots: `begun` runs ahead of `given` by at most as many as there are slots, each of
// which belongs to the thread that began it until it says that it is ready.
#include "cvfast/runtime/read_ahead.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "cvfast/decode/gzip.hpp"
#include "cvfast/runtime/thread_pool.hpp"

namespace cvfast::runtime {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(50);
// For each thread: one that it prepares, and those that wait while the caller is slow.
constexpr std::size_t kSlotsPerThread = 4;

struct Slot {
  ReadAhead::Batch batch;
  std::exception_ptr raised;
  std::uint64_t size_bytes = 0;
  bool is_ready = false;
};

}  // namespace

struct ReadAhead::State {
  std::mutex mutex;
  std::condition_variable work;   // for the threads: something may be begun, or all is over
  std::condition_variable ready;  // for the caller
  std::vector<Slot> slots;
  std::size_t begun = 0;
  std::size_t given = 0;
  std::uint64_t held_bytes = 0;
  std::atomic<bool> is_stopped{false};  // set under the mutex; looked at without it by those who prepare
  std::vector<std::thread> threads;

  Slot& slot(std::size_t number) { return slots[number % slots.size()]; }
  [[nodiscard]] bool is_over(std::size_t count) const { return is_stopped || begun == count; }
  // The batch that is wanted next may be begun whatever is held.
  [[nodiscard]] bool may_begin(std::size_t count, std::uint64_t max_bytes) const {
    return begun < count && begun - given < slots.size() && (held_bytes < max_bytes || begun == given);
  }

  // Begins a batch and prepares it without the lock.
  void prepare_one(std::unique_lock<std::mutex>& lock, const Prepare& prepare, const GoOn& go_on) {
    const std::size_t number = begun++;
    lock.unlock();
    Slot& mine = slot(number);
    try {
      prepare(number, go_on, mine.batch);
    } catch (...) {
      mine.raised = std::current_exception();
    }
    std::uint64_t bytes = 0;
    for (const StoredObject& object : mine.batch) bytes += object.bytes.size();
    lock.lock();
    mine.size_bytes = bytes;
    held_bytes += bytes;
    mine.is_ready = true;
  }
};

ReadAhead::ReadAhead(std::size_t count, Prepare prepare, const ReadAheadOptions& options)
    : count_(count),
      max_bytes_(options.max_bytes),
      prepare_(std::move(prepare)),
      owner_(static_cast<long>(::getpid())),
      state_(std::make_unique<State>()) {
  const auto wanted = static_cast<std::size_t>(options.threads > 0 ? options.threads : default_threads());
  const std::size_t threads = std::max<std::size_t>(1, std::min(wanted, count));
  State* const state = state_.get();
  state->slots.resize(kSlotsPerThread * threads);
  state->threads.reserve(threads - 1);
  const auto help = [this, state] {
    const GoOn go_on = [state] { return !state->is_stopped.load(std::memory_order_relaxed); };
    std::unique_lock lock(state->mutex);
    while (true) {
      state->work.wait(lock, [&] { return state->is_over(count_) || state->may_begin(count_, max_bytes_); });
      if (state->is_over(count_)) return;
      state->prepare_one(lock, prepare_, go_on);
      state->ready.notify_one();
    }
  };
  for (std::size_t i = 1; i < threads; ++i) {
    // Where no thread can be had, the caller does more itself.
    try {
      state->threads.emplace_back(help);
    } catch (const std::system_error&) {
      break;
    }
  }
}

ReadAhead::~ReadAhead() { close(); }

bool ReadAhead::is_forked() const noexcept { return static_cast<long>(::getpid()) != owner_; }

ReadAhead::Outcome ReadAhead::next(Batch& out, const GoOn& poll) {
  out.clear();
  if (state_ == nullptr || given_ == count_) return Outcome::kEnd;
  auto asked = std::chrono::steady_clock::now();
  bool is_interrupted = false;
  const GoOn go_on = [&] {
    const auto now = std::chrono::steady_clock::now();
    if (is_interrupted || now - asked < kPollInterval) return !is_interrupted;
    asked = now;
    is_interrupted = !poll();
    return !is_interrupted;
  };
  if (is_forked()) {
    const std::size_t number = given_++;
    prepare_(number, go_on, out);
    if (!is_interrupted) return Outcome::kBatch;
    given_ = count_;
    return Outcome::kInterrupted;
  }
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  while (!state.is_stopped && !(state.begun > given_ && state.slot(given_).is_ready)) {
    if (state.may_begin(count_, max_bytes_)) {
      state.prepare_one(lock, prepare_, go_on);
    } else {
      state.ready.wait_until(lock, asked + kPollInterval);
    }
    lock.unlock();
    (void)go_on();
    lock.lock();
    if (!is_interrupted) continue;
    state.is_stopped = true;
    lock.unlock();
    state.work.notify_all();
    return Outcome::kInterrupted;
  }
  if (state.is_stopped) return Outcome::kEnd;
  Slot& slot = state.slot(given_);
  out.swap(slot.batch);
  state.held_bytes -= slot.size_bytes;
  const std::exception_ptr raised = std::exchange(slot.raised, nullptr);
  slot.is_ready = false;
  state.given = ++given_;
  lock.unlock();
  state.work.notify_one();
  if (raised) std::rethrow_exception(raised);
  return Outcome::kBatch;
}

void ReadAhead::close() noexcept {
  if (state_ == nullptr) return;
  if (is_forked()) {
    // Its threads are not here, and one of them may have held the lock.
    (void)state_.release();
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    state_->is_stopped = true;
  }
  state_->work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
  state_.reset();
}

std::unique_ptr<ReadAhead> read_objects_ahead(const std::string& root, std::vector<std::string> keys,
                                              std::size_t batch_keys, std::uint64_t limit_bytes,
                                              const ReadAheadOptions& options) {
  struct Asked {
    std::string root;
    std::vector<std::string> keys;
    FolderListings listings;
  };
  FolderListings listings(root, keys);
  auto asked = std::make_shared<const Asked>(Asked{root, std::move(keys), std::move(listings)});
  const std::size_t count = (asked->keys.size() + batch_keys - 1) / batch_keys;
  const auto prepare = [asked, batch_keys, limit_bytes](std::size_t number, const ReadAhead::GoOn& go_on,
                                                        ReadAhead::Batch& out) {
    const std::span<const std::string> all(asked->keys);
    const std::size_t begin = number * batch_keys;
    const std::span<const std::string> part = all.subspan(begin, std::min(batch_keys, all.size() - begin));
    BatchOptions serially;
    serially.threads = 1;
    serially.may_begin = go_on;
    (void)read_objects(asked->root, part, limit_bytes, out, serially, &asked->listings);
  };
  return std::make_unique<ReadAhead>(count, prepare, options);
}

std::unique_ptr<ReadAhead> inflate_ahead(std::vector<std::span<const std::byte>> ranges, std::size_t batch_ranges,
                                         std::uint64_t limit_bytes, const ReadAheadOptions& options) {
  const std::size_t count = (ranges.size() + batch_ranges - 1) / batch_ranges;
  auto prepare = [ranges = std::move(ranges), batch_ranges, limit_bytes](
                     std::size_t number, const ReadAhead::GoOn& go_on, ReadAhead::Batch& out) {
    const std::size_t begin = number * batch_ranges;
    const std::size_t end = std::min(begin + batch_ranges, ranges.size());
    out.clear();
    out.resize(end - begin);
    for (std::size_t i = begin; i < end && go_on(); ++i) {
      StoredObject& object = out[i - begin];
      const std::size_t size = claimed_bytes(ranges[i]);
      if (size == 0 || size > limit_bytes) continue;
      object.bytes.resize(size);
      std::size_t written = 0;
      const Status status = decode::gzip::decompress(ranges[i], object.bytes.data(), size, written);
      if (status.ok() && written == size) {
        object.state = fetch::FetchState::kData;
      } else {
        std::vector<std::byte>().swap(object.bytes);
      }
    }
  };
  return std::make_unique<ReadAhead>(count, std::move(prepare), options);
}

}  // namespace cvfast::runtime
