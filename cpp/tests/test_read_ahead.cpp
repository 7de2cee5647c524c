// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/read_ahead.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "cvfast/decode/gzip.hpp"
#include "random_input.hpp"
#include "temporary_folder.hpp"

namespace cvfast::runtime {
namespace {

using fetch::FetchState;
using Bytes = std::vector<std::byte>;
using Outcome = ReadAhead::Outcome;
constexpr std::uint64_t kLimit = 1 << 20;

// A batch of one object of `size` bytes, the first of which is the number.
void fill(std::size_t number, ReadAhead::Batch& out, std::size_t size = 1) {
  out.resize(1);
  out[0].state = FetchState::kData;
  out[0].bytes.assign(size, static_cast<std::byte>(number));
}

std::size_t threads_now() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

ReadAheadOptions with_threads(int threads, std::uint64_t max_bytes = kLimit) {
  ReadAheadOptions options;
  options.threads = threads;
  options.max_bytes = max_bytes;
  return options;
}

// One that was joined is listed for a moment longer.
bool are_gone(std::size_t before) {
  for (int i = 0; i < 3000 && threads_now() != before; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return threads_now() == before;
}

TEST(ReadAhead, BatchesComeInTheirOrder) {
  std::thread([] {}).join();  // a sanitizer may begin one of its own with the first
  const std::size_t before = threads_now();
  for (const int threads : {1, 2, 3, 8}) {
    for (const std::size_t count : {0U, 1U, 2U, 7U, 200U}) {
      ReadAhead ahead(
          count, [](std::size_t number, const auto&, auto& out) { fill(number, out); }, with_threads(threads));
      ReadAhead::Batch batch;
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(ahead.next(batch), Outcome::kBatch);
        ASSERT_EQ(batch.size(), 1U);
        ASSERT_EQ(batch[0].bytes[0], static_cast<std::byte>(i));
      }
      EXPECT_EQ(ahead.next(batch), Outcome::kEnd);
      EXPECT_TRUE(batch.empty());
      ahead.close();
      EXPECT_EQ(ahead.next(batch), Outcome::kEnd);
    }
  }
  EXPECT_TRUE(are_gone(before));
}

TEST(ReadAhead, PreparesWhileTheCallerWorks) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t prepared = 0;
  ReadAhead ahead(
      100,
      [&](std::size_t number, const auto&, auto& out) {
        fill(number, out);
        const std::lock_guard lock(mutex);
        ++prepared;
        changed.notify_all();
      },
      with_threads(2));
  ReadAhead::Batch batch;
  ASSERT_EQ(ahead.next(batch), Outcome::kBatch);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return prepared >= 4; }));
}

TEST(ReadAhead, HoldsNoMoreThanItMay) {
  constexpr std::size_t kBytes = 1000;
  std::atomic<std::size_t> prepared{0};
  ReadAhead ahead(
      50,
      [&](std::size_t number, const auto&, auto& out) {
        fill(number, out, kBytes);
        ++prepared;
      },
      with_threads(4, 2 * kBytes));
  ReadAhead::Batch batch;
  for (std::size_t given = 1; given <= 50; ++given) {
    ASSERT_EQ(ahead.next(batch), Outcome::kBatch);
    ASSERT_EQ(batch[0].bytes.size(), kBytes);
    if (given % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // Two that wait, and what was begun before the second of them was ready: one for each thread.
    ASSERT_LE(prepared, given + 2 + 4);
  }
}

TEST(ReadAhead, FailuresReachWhoeverAsksForTheBatch) {
  for (const int threads : {1, 3}) {
    ReadAhead ahead(
        9,
        [](std::size_t number, const auto&, auto& out) {
          if (number == 4) throw std::runtime_error("four");
          fill(number, out);
        },
        with_threads(threads));
    ReadAhead::Batch batch;
    for (int i = 0; i < 4; ++i) ASSERT_EQ(ahead.next(batch), Outcome::kBatch);
    EXPECT_THROW((void)ahead.next(batch), std::runtime_error);
    EXPECT_EQ(ahead.next(batch), Outcome::kBatch);
    EXPECT_EQ(batch[0].bytes[0], std::byte{5});
  }
}

TEST(ReadAhead, ClosingStopsWhatIsUnderWay) {
  std::thread([] {}).join();
  const std::size_t before = threads_now();
  std::atomic<int> begun{0};
  const auto endless = [&](std::size_t, const ReadAhead::GoOn& go_on, auto&) {
    ++begun;
    while (go_on()) std::this_thread::yield();
  };
  ReadAhead ahead(1000, endless, with_threads(3));
  while (begun < 2) std::this_thread::yield();
  ahead.close();
  EXPECT_LE(begun, 2);
  EXPECT_TRUE(are_gone(before));
}

TEST(ReadAhead, WaitingIsInterrupted) {
  std::atomic<bool> is_begun{false};
  const auto first_is_endless = [&](std::size_t number, const ReadAhead::GoOn& go_on, auto& out) {
    is_begun = true;
    while (number == 0 && go_on()) std::this_thread::yield();
    fill(number, out);
  };
  ReadAhead::Batch batch;
  ReadAhead ahead(2, first_is_endless, with_threads(2));
  // The other thread begins the first batch; the caller finds only the second to do, and then waits.
  while (!is_begun) std::this_thread::yield();
  EXPECT_EQ(ahead.next(batch, [] { return false; }), Outcome::kInterrupted);
  EXPECT_EQ(ahead.next(batch), Outcome::kEnd);
  // Here it is the caller who prepares.
  ReadAhead alone(2, first_is_endless, with_threads(1));
  EXPECT_EQ(alone.next(batch, [] { return false; }), Outcome::kInterrupted);
  EXPECT_EQ(alone.next(batch), Outcome::kEnd);
}

TEST(ReadAhead, ForkedChildPreparesTheRestItself) {
  std::atomic<int> begun{0};
  ReadAhead ahead(
      5,
      [&, caller = std::this_thread::get_id()](std::size_t number, const ReadAhead::GoOn& go_on, auto& out) {
        ++begun;
        // Those behind the first never end of themselves, but for the caller, whom the child's only thread is.
        while (number > 0 && std::this_thread::get_id() != caller && go_on()) std::this_thread::yield();
        fill(number, out);
      },
      with_threads(3));
  ReadAhead::Batch batch;
  ASSERT_EQ(ahead.next(batch), Outcome::kBatch);
  while (begun < 3) std::this_thread::yield();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    bool is_good = true;
    for (std::size_t i = 1; i < 5; ++i) {
      is_good = is_good && ahead.next(batch) == Outcome::kBatch && batch[0].bytes[0] == static_cast<std::byte>(i);
    }
    is_good = is_good && ahead.next(batch) == Outcome::kEnd;
    ahead.close();
    ::_exit(is_good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

class ObjectsAhead : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string root_ = (folder_.path() / "layer").string();
  testing::Random random_{5};
};

TEST_F(ObjectsAhead, AreThoseThatOneCallReads) {
  std::vector<std::string> keys;
  std::vector<Bytes> objects;
  for (int i = 0; i < 300; ++i) {
    keys.push_back((i % 3 == 0 ? "" : "deep/" + std::to_string(i % 3) + "/") + std::to_string(i));
    objects.push_back(random_.bytes(static_cast<std::size_t>(i)));
  }
  std::vector<std::uint8_t> done;
  const std::vector<std::span<const std::byte>> spans(objects.begin(), objects.end());
  ASSERT_TRUE(write_objects(root_, keys, spans, fetch::ContentEncoding::kGzip, 6, false, done, {}));
  keys.insert(keys.begin() + 100, {"absent", "../out", ""});
  std::vector<StoredObject> expected;
  ASSERT_TRUE(read_objects(root_, keys, kLimit, expected, {}));
  for (const std::size_t batch_keys : {1U, 7U, 64U, 1000U}) {
    const auto ahead = read_objects_ahead(root_, keys, batch_keys, kLimit, with_threads(2));
    std::vector<StoredObject> found;
    ReadAhead::Batch batch;
    while (ahead->next(batch) == Outcome::kBatch) {
      ASSERT_LE(batch.size(), batch_keys);
      std::ranges::move(batch, std::back_inserter(found));
    }
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].state, expected[i].state) << keys[i];
      ASSERT_EQ(found[i].bytes, expected[i].bytes) << keys[i];
    }
  }
}

TEST_F(ObjectsAhead, AreInflatedWhereTheyAreSound) {
  std::vector<Bytes> stored;
  std::vector<Bytes> objects;
  for (std::size_t i = 0; i < 100; ++i) {
    objects.push_back(random_.bytes(10 * i + 1));
    ASSERT_TRUE(decode::gzip::compress(objects[i], 6, stored.emplace_back()).ok());
  }
  stored[3].back() ^= std::byte{1};                    // claims another length
  stored[4][stored[4].size() / 2] ^= std::byte{0x55};  // another content than the checksum's
  stored[5].resize(17);
  stored[6].clear();
  const std::vector<std::span<const std::byte>> spans(stored.begin(), stored.end());
  constexpr std::uint64_t kSmall = 900;
  const auto ahead = inflate_ahead(spans, 9, kSmall, with_threads(3));
  ReadAhead::Batch batch;
  std::size_t i = 0;
  while (ahead->next(batch) == Outcome::kBatch) {
    for (const StoredObject& object : batch) {
      const bool is_sound = (i < 3 || i > 6) && objects[i].size() <= kSmall;
      ASSERT_EQ(object.state, is_sound ? FetchState::kData : FetchState::kError) << i;
      ASSERT_EQ(object.bytes, is_sound ? objects[i] : Bytes{}) << i;
      ++i;
    }
  }
  EXPECT_EQ(i, 100U);
}

}  // namespace
}  // namespace cvfast::runtime
