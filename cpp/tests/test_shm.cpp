// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cvfast/shm/chunk_ledger.hpp"
#include "cvfast/shm/process.hpp"
#include "cvfast/shm/segment.hpp"

namespace cvfast::shm {
namespace {

const std::string kDigest(kDigestBytes, 'd');
constexpr std::size_t kMebi = std::size_t{1} << 20;

std::string fresh_name() {
  static int number = 0;
  return "cvfast-test-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
}

// Runs a function in a process of its own, which ends with what it returns.
template <typename Function>
pid_t spawn(const Function& function) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    int code = 99;
    try {
      code = function();
    } catch (const std::exception&) {
      code = 98;
    }
    ::_exit(code);
  }
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

LedgerPlan plan_of(std::uint64_t items) {
  LedgerPlan plan;
  plan.items = items;
  plan.open_items = items;
  plan.digest = kDigest;
  return plan;
}

template <typename Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(Process, AnEndedOneIsTold) {
  const ProcessId self = this_process();
  EXPECT_EQ(self.pid, ::getpid());
  EXPECT_FALSE(has_ended(self));
  EXPECT_EQ(process_of(to_text(self) + "-17"), self);
  EXPECT_FALSE(process_of("x-1-2"));
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t pid = spawn([&] {
    const ProcessId mine = this_process();
    (void)!::write(pipe[1], &mine, sizeof(mine));
    ::pause();
    return 0;
  });
  ProcessId child;
  ASSERT_EQ(::read(pipe[0], &child, sizeof(child)), static_cast<ssize_t>(sizeof(child)));
  EXPECT_EQ(child.pid, pid);
  EXPECT_FALSE(has_ended(child));
  ProcessId earlier = child;
  earlier.start -= 1;
  EXPECT_TRUE(has_ended(earlier)) << "a number that was used again";
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  EXPECT_TRUE(eventually([&] { return has_ended(child); })) << "a zombie has ended";
  EXPECT_EQ(wait_for(pid), -SIGKILL);
  EXPECT_TRUE(has_ended(child));
  ProcessId elsewhere = child;
  elsewhere.space += 1;
  EXPECT_FALSE(has_ended(elsewhere)) << "cannot be known";
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(Segment, AnotherProcessSeesTheSameBytes) {
  const std::string name = fresh_name();
  const auto segment = Segment::create(name, 3 * kMebi + 5);
  EXPECT_EQ(segment->size(), 3 * kMebi + 5);
  segment->data()[3 * kMebi] = std::byte{7};
  const int code = wait_for(spawn([&] {
    const auto other = Segment::open(name, true);
    if (other->size() != 3 * kMebi + 5 || other->data()[3 * kMebi] != std::byte{7}) return 1;
    other->data()[1] = std::byte{9};
    return 0;
  }));
  EXPECT_EQ(code, 0);
  EXPECT_EQ(segment->data()[1], std::byte{9});
  EXPECT_TRUE(unlink(name));
  EXPECT_FALSE(unlink(name));
  EXPECT_EQ(segment->data()[1], std::byte{9}) << "memory outlives its name";
}

TEST(Segment, TakenNamesAndAbsentOnesAreErrors) {
  const std::string name = fresh_name();
  const auto segment = Segment::create(name, 10);
  try {
    (void)Segment::create(name, 10);
    FAIL();
  } catch (const ShmError& error) {
    EXPECT_EQ(error.error, EEXIST);
  }
  EXPECT_TRUE(unlink(name));
  try {
    (void)Segment::open(name, false);
    FAIL();
  } catch (const ShmError& error) {
    EXPECT_EQ(error.error, ENOENT);
    EXPECT_EQ(error.name, name);
  }
  for (const char* const bad : {"", "/", "a/b", ".."}) EXPECT_THROW((void)Segment::create(bad, 1), ShmError) << bad;
}

TEST(Segment, TooLittleRoomIsToldWithNumbersAndLeavesNothing) {
  const std::string name = fresh_name();
  const std::size_t wanted = static_cast<std::size_t>(available_bytes()) + (std::size_t{1} << 40);
  try {
    (void)Segment::create(name, wanted);
    FAIL();
  } catch (const ShmError& error) {
    EXPECT_EQ(error.error, ENOSPC);
    EXPECT_EQ(error.expected_bytes, wanted);
    EXPECT_LT(error.available_bytes, wanted);
  }
  EXPECT_FALSE(exists(name));
}

TEST(Segment, RenameIsForTheWholeName) {
  const std::string first = fresh_name();
  const std::string second = fresh_name();
  const auto a = Segment::create(first, 10);
  const auto b = Segment::create(second, 20);
  EXPECT_FALSE(a->rename_if_free(second));
  a->rename(second);
  EXPECT_FALSE(exists(first));
  EXPECT_EQ(Segment::open(second, false)->size(), 10U);
  b->unlink();  // its name is another's by now
  EXPECT_TRUE(exists(second));
  a->unlink();
  EXPECT_FALSE(exists(second));
}

TEST(Segment, ReleasedOnesAreRecycled) {
  release_kept();
  const std::string name = fresh_name();
  auto segment = Segment::create(name, 8 * kMebi);
  segment->data()[5] = std::byte{1};
  segment->unlink();
  EXPECT_FALSE(exists(name));
  EXPECT_EQ(kept_bytes(), 0U) << "somebody looks at it";
  segment.reset();
#if defined(__linux__)
  EXPECT_EQ(kept_bytes(), 8 * kMebi);
  segment = Segment::create(name, 8 * kMebi - 100);
  EXPECT_TRUE(segment->is_recycled());
  EXPECT_EQ(kept_bytes(), 0U);
  EXPECT_EQ(segment->data()[5], std::byte{1});
  EXPECT_EQ(Segment::open(name, false)->size(), 8 * kMebi - 100);
  segment->unlink();
  segment.reset();
  segment = Segment::create(name, 2 * kMebi);
  EXPECT_FALSE(segment->is_recycled());
  EXPECT_EQ(kept_bytes(), 0U) << "what does not fit is given back first";
  segment->unlink();
  segment.reset();
  release_kept();
  EXPECT_EQ(kept_bytes(), 0U);
#endif
}

TEST(Segment, ReleasedOnesAreRecycledByNameToo) {
  release_kept();
  const std::string name = fresh_name();
  auto segment = Segment::create(hidden_name("part"), 4 * kMebi);
  segment->rename(name);
  segment.reset();
  EXPECT_TRUE(exists(name));
  EXPECT_TRUE(unlink(name));
  EXPECT_FALSE(exists(name));
  EXPECT_FALSE(unlink(name));
#if defined(__linux__)
  EXPECT_EQ(kept_bytes(), 4 * kMebi);
#endif
  release_kept();
  EXPECT_FALSE(exists(name));
}

#if defined(__linux__)

// Pages of this process's mappings of a name.
std::size_t mapped_bytes(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  std::size_t total = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(name) == std::string::npos) continue;
    unsigned long begin = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) == 2) total += end - begin;
  }
  return total;
}

TEST(Segment, MappingsStayWithTheNameAndGoWithIt) {
  release_kept();
  const std::string name = fresh_name();
  auto segment = Segment::create(hidden_name("part"), 4 * kMebi);
  segment->rename(name);
  segment.reset();
  EXPECT_EQ(mapped_bytes(name), 4 * kMebi) << "for the next segment";
  // Another segment takes the name: nobody can reach the first one any more.
  segment = Segment::create(hidden_name("part"), 3 * kMebi);
  segment->rename(name);
  EXPECT_EQ(mapped_bytes(name), 3 * kMebi);
  segment.reset();
  // Another process removes the name.
  EXPECT_EQ(wait_for(spawn([&] { return ::unlink((folder() + name).c_str()); })), 0);
  segment = Segment::create(hidden_name("part"), kMebi);
  EXPECT_EQ(mapped_bytes(name), 0U);
  segment->unlink();
  segment.reset();
  release_kept();
}

#endif

TEST(Segment, ThreadsMayNameAndUnlinkOneAtOnce) {
  for (int round = 0; round < 100; ++round) {
    const std::string names[] = {fresh_name(), fresh_name()};
    const auto segment = Segment::create(hidden_name("part"), kMebi);
    segment->rename(names[0]);
    std::atomic<int> unlinked{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] { unlinked += unlink(names[0]) ? 1 : 0; });
      threads.emplace_back([&] {
        try {
          segment->rename(names[1]);
        } catch (const ShmError& error) {
          EXPECT_EQ(error.error, ENOENT);
        }
      });
      threads.emplace_back([&] {
        const std::string name = segment->name();
        EXPECT_TRUE(name.empty() || name == names[0] || name == names[1] || name.starts_with(kHiddenPrefix)) << name;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(unlinked, 1) << "there was one segment under the name";
    segment->unlink();
    EXPECT_FALSE(exists(names[0]));
    EXPECT_FALSE(exists(names[1]));
  }
  release_kept();
}

TEST(Segment, MemoryThatAnotherProcessMapsIsNotRecycled) {
  release_kept();
  const std::string name = fresh_name();
  auto segment = Segment::create(name, 4 * kMebi);
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  const pid_t pid = spawn([&] {
    const auto other = Segment::open(name, false);
    (void)!::write(ready[1], "x", 1);
    ::pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  segment->unlink();
  segment.reset();
  EXPECT_EQ(kept_bytes(), 0U);
  ::kill(pid, SIGKILL);
  wait_for(pid);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(Segment, WhoOpensOneThatIsBeingReleasedEndsNobody) {
  const pid_t pid = spawn([] {
    for (int i = 0; i < 20000; ++i) Segment::create(hidden_name("part"), kMebi)->unlink();
    return 0;
  });
  const std::string mark = "-" + std::to_string(pid) + "-";
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
      if (entry.path().filename().string().find(mark) == std::string::npos) continue;
      const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
      if (fd >= 0) ::close(fd);
    }
  }
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
}

TEST(Segment, MemoryThatAForkedChildInheritedIsNotRecycled) {
  release_kept();
  const std::string name = fresh_name();
  auto segment = Segment::create(name, 4 * kMebi);
  std::memset(segment->data(), 3, segment->size());
  std::array<int, 2> go{};
  ASSERT_EQ(::pipe(go.data()), 0);
  const pid_t pid = spawn([&] {
    char byte = 0;
    if (::read(go[0], &byte, 1) != 1) return 2;
    return segment->data()[kMebi] == std::byte{3} ? 0 : 1;
  });
  segment->unlink();
  segment.reset();
  EXPECT_EQ(kept_bytes(), 0U);
  const auto next = Segment::create(name, 4 * kMebi);
  std::memset(next->data(), 4, next->size());
  next->unlink();
  (void)!::write(go[1], "x", 1);
  EXPECT_EQ(wait_for(pid), 0) << "the child's bytes are what they were";
  ::close(go[0]);
  ::close(go[1]);
}

TEST(Segment, HiddenOnesGoWithTheirMakersLastReference) {
  std::string hidden = hidden_name("part");
  const std::string given = fresh_name();
  for (const std::size_t size : {std::size_t{100}, 4 * kMebi}) {
    auto segment = Segment::create(hidden, size);
    const auto other = Segment::open(hidden, true);
    segment.reset();
    EXPECT_FALSE(exists(hidden));
    hidden = hidden_name("part");
    segment = Segment::create(hidden, size);
    auto opened = Segment::open(hidden, true);
    opened.reset();
    EXPECT_TRUE(exists(hidden)) << "whoever only opened it has no say";
    wait_for(spawn([&] {
      segment.reset();
      return 0;
    }));
    EXPECT_TRUE(exists(hidden)) << "nor has a forked child";
    segment->rename(given);
    segment.reset();
    EXPECT_TRUE(exists(given)) << "what has been given a name stays";
    cvfast::shm::unlink(given);
  }
}

TEST(Segment, WhatTheDeadLeaveBehindIsRemoved) {
  // Another process that reads into shared memory may remove it first; it does not do so every time.
  bool is_told = false;
  for (int turn = 0; turn < 10 && !is_told; ++turn) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const pid_t pid = spawn([&] {
      const auto segment = Segment::create(hidden_name("part"), 100);
      const std::string name = segment->name() + "\n";
      (void)!::write(pipe[1], name.data(), name.size());
      ::pause();
      return 0;
    });
    std::string name;
    for (char c = 0; ::read(pipe[0], &c, 1) == 1 && c != '\n';) name += c;
    (void)remove_abandoned();
    EXPECT_TRUE(exists(name)) << "its owner lives";
    ::kill(pid, SIGKILL);
    wait_for(pid);
    const auto removed = remove_abandoned();
    is_told = std::find(removed.begin(), removed.end(), name) != removed.end();
    EXPECT_FALSE(exists(name));
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
  EXPECT_TRUE(is_told);
}

TEST(ChunkLedger, TwoProcessesShareItemsAndSeeEachOthersBytes) {
  constexpr std::uint64_t kItems = 20000;
  const std::string name = fresh_name();
  const std::string data_name = fresh_name();
  const auto data = Segment::create(data_name, kItems * sizeof(std::uint64_t));
  const auto ledger = ChunkLedger::create(name, plan_of(kItems));
  const auto work = [&](ChunkLedger& job, Segment& target) {
    const std::uint32_t me = job.join();
    auto* const values = reinterpret_cast<std::uint64_t*>(target.data());
    while (!job.is_complete()) {
      const auto item = job.claim(me);
      if (!item) {
        std::this_thread::yield();
        continue;
      }
      values[*item] += *item + 1;
      if (!job.publish(me, *item, 2, 3)) return 5;
    }
    for (std::uint64_t i = 0; i < kItems; ++i) {
      if (values[i] != i + 1) return 6;  // done twice, or not visible
    }
    job.leave(me);
    return 0;
  };
  const auto run = [&] {
    const auto mine = ChunkLedger::open(name, kDigest);
    return work(*mine, *Segment::open(data_name, true));
  };
  const pid_t a = spawn(run);
  const pid_t b = spawn(run);
  EXPECT_EQ(work(*ledger, *data), 0);
  EXPECT_EQ(wait_for(a), 0);
  EXPECT_EQ(wait_for(b), 0);
  const LedgerCounts counts = ledger->counts();
  EXPECT_EQ(counts.done, kItems);
  EXPECT_EQ(counts.claims, kItems) << "each once";
  EXPECT_EQ(counts.chunks, 2 * kItems);
  EXPECT_EQ(counts.bytes, 3 * kItems);
  EXPECT_EQ(counts.requeued, 0U);
  EXPECT_FALSE(ledger->has_participants());
  ledger->unlink();
  data->unlink();
}

TEST(ChunkLedger, WhatTheKilledHadClaimedIsDoneByOthers) {
  constexpr std::uint64_t kItems = 200;
  const std::string name = fresh_name();
  const auto ledger = ChunkLedger::create(name, plan_of(kItems));
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t pid = spawn([&] {
    const auto mine = ChunkLedger::open(name, kDigest);
    const std::uint32_t me = mine->join();
    for (int i = 0; i < 3; ++i) (void)mine->claim(me);
    (void)!::write(pipe[1], "x", 1);
    ::pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  const std::uint32_t me = ledger->join();
  EXPECT_EQ(ledger->requeue_ended(), 0U) << "it lives";
  std::set<std::uint64_t> mine;
  while (const auto item = ledger->claim(me)) {
    EXPECT_TRUE(mine.insert(*item).second);
    EXPECT_TRUE(ledger->publish(me, *item, 1, 1));
  }
  EXPECT_EQ(mine.size(), kItems - 3);
  EXPECT_FALSE(ledger->is_complete());
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return ledger->requeue_ended() == 3; }));
  while (const auto item = ledger->claim(me)) {
    EXPECT_TRUE(mine.insert(*item).second);
    EXPECT_TRUE(ledger->publish(me, *item, 1, 1));
  }
  EXPECT_TRUE(ledger->is_complete());
  EXPECT_EQ(ledger->counts().claims, kItems + 3);
  wait_for(pid);
  ledger->unlink();
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(ChunkLedger, AnItemThatKillsThriceFailsTheJob) {
  const std::string name = fresh_name();
  const auto ledger = ChunkLedger::create(name, plan_of(1));
  for (std::uint32_t death = 1; death <= kMaxDeaths; ++death) {
    EXPECT_EQ(ledger->state(), JobState::kRunning);
    const int code = wait_for(spawn([&] {
      const auto mine = ChunkLedger::open(name, kDigest);
      const auto item = mine->claim(mine->join());
      return item && *item == 0 ? 7 : 1;
    }));
    EXPECT_EQ(code, 7);
    EXPECT_EQ(ledger->requeue_ended(), 1U);
  }
  EXPECT_EQ(ledger->state(), JobState::kFailed);
  EXPECT_EQ(ledger->item_state(0), ItemState::kFailed);
  const auto failure = ledger->failure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->item, 0U);
  EXPECT_TRUE(failure->text.empty());
  ledger->unlink();
}

TEST(ChunkLedger, TheFirstErrorEndsTheJobAndIsKept) {
  const std::string name = fresh_name();
  const auto ledger = ChunkLedger::create(name, plan_of(5));
  const int code = wait_for(spawn([&] {
    const auto mine = ChunkLedger::open(name, kDigest);
    const std::uint32_t me = mine->join();
    (void)mine->claim(me);
    mine->fail(me, *mine->claim(me), "what went wrong");
    mine->leave(me);
    return 0;
  }));
  EXPECT_EQ(code, 0);
  EXPECT_EQ(ledger->state(), JobState::kFailed);
  const std::uint32_t me = ledger->join();
  EXPECT_FALSE(ledger->claim(me));
  const auto failure = ledger->failure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->item, 1U);
  EXPECT_EQ(failure->text, "what went wrong");
  EXPECT_EQ(ledger->item_state(0), ItemState::kFree) << "left, not lost";
  ledger->unlink();
}

TEST(ChunkLedger, ItemsOpenAsTheirMakerSays) {
  const auto ledger = ChunkLedger::create(fresh_name(), [] {
    LedgerPlan plan = plan_of(3);
    plan.open_items = 0;
    return plan;
  }());
  const std::uint32_t me = ledger->join();
  EXPECT_FALSE(ledger->claim(me));
  ledger->open_to(2);
  EXPECT_EQ(ledger->claim(me), 0U);
  EXPECT_EQ(ledger->claim(me), 1U);
  EXPECT_FALSE(ledger->claim(me));
  EXPECT_TRUE(ledger->publish(me, 1, 1, 1));
  EXPECT_FALSE(ledger->publish(me, 1, 1, 1)) << "once";
  ledger->leave(me);
  const std::uint32_t other = ledger->join();
  EXPECT_FALSE(ledger->publish(other, 0, 1, 1)) << "not its own";
  EXPECT_EQ(ledger->claim(other), 0U);
  ledger->unlink();
}

TEST(ChunkLedger, OtherBuildsAndOtherRequestsAreRefused) {
  const std::string name = fresh_name();
  const auto ledger = ChunkLedger::create(name, plan_of(3));
  EXPECT_NO_THROW((void)ChunkLedger::open(name, kDigest));
  EXPECT_THROW((void)ChunkLedger::open(name, std::string(kDigestBytes, 'x')), LedgerError);
  const auto raw = Segment::open(name, true);
  for (const std::size_t member : {std::size_t{0}, std::size_t{8}, std::size_t{12}, std::size_t{16}}) {
    const std::byte saved = raw->data()[member];
    raw->data()[member] = saved ^ std::byte{1};
    EXPECT_THROW((void)ChunkLedger::open(name, kDigest), LedgerError) << "byte " << member;
    raw->data()[member] = saved;
  }
  EXPECT_NO_THROW((void)ChunkLedger::open(name, kDigest));
  ASSERT_EQ(::truncate((folder() + name).c_str(), static_cast<off_t>(raw->size() - 4)), 0);
  EXPECT_THROW((void)ChunkLedger::open(name, kDigest), LedgerError);
  ASSERT_EQ(::truncate((folder() + name).c_str(), 100), 0);
  EXPECT_THROW((void)ChunkLedger::open(name, kDigest), LedgerError);
  EXPECT_TRUE(unlink(name));
}

TEST(ChunkLedger, AWaiterIsWokenByAnotherProcess) {
  const std::string name = fresh_name();
  const auto ledger = ChunkLedger::create(name, plan_of(1));
  const std::uint32_t seen = ledger->changes();
  const auto started = std::chrono::steady_clock::now();
  const pid_t pid = spawn([&] {
    const auto mine = ChunkLedger::open(name, kDigest);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    (void)mine->finish(JobState::kCancelled);
    return 0;
  });
  ledger->wait(seen, 20000);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(10));
  EXPECT_EQ(wait_for(pid), 0);
  EXPECT_EQ(ledger->state(), JobState::kCancelled);
  EXPECT_FALSE(ledger->finish(JobState::kComplete));
  ledger->unlink();
}

TEST(ChunkLedger, OneMakesTheDataAndAnotherIfItDies) {
  const std::string name = fresh_name();
  const auto ledger = ChunkLedger::create(name, plan_of(1));
  const int code = wait_for(spawn([&] {
    const auto mine = ChunkLedger::open(name, kDigest);
    const std::uint32_t me = mine->join();
    return mine->may_make_data(me) && mine->may_make_data(me) ? 0 : 1;
  }));
  EXPECT_EQ(code, 0);
  const std::uint32_t me = ledger->join();
  const std::uint32_t other = ledger->join();
  EXPECT_TRUE(ledger->may_make_data(me));
  EXPECT_FALSE(ledger->may_make_data(other));
  EXPECT_FALSE(ledger->is_data_ready());
  const auto data = Segment::create(fresh_name(), 64);
  ledger->set_data_ready(data->identity());
  const auto seen = ChunkLedger::open(name, kDigest);
  EXPECT_TRUE(seen->is_data_ready());
  // The same memory under another name; other memory under the old one.
  const std::string first = data->name();
  const std::string second = fresh_name();
  data->rename(second);
  const auto heir = Segment::create(first, 64);
  EXPECT_EQ(Segment::open(second, false)->identity(), seen->data_identity());
  EXPECT_NE(Segment::open(first, false)->identity(), seen->data_identity());
  heir->unlink();
  data->unlink();
  ledger->unlink();
}

TEST(ChunkLedger, ASharedJobIsAbandonedWhenAllHaveEnded) {
  const std::string location = fresh_name();
  const std::string name = shared_ledger_name(location);
  const std::string data_name = shared_data_name(location);
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t pid = spawn([&] {
    const auto mine = ChunkLedger::create(name, plan_of(4));
    (void)mine->join();
    const auto data = Segment::create(data_name, 100);
    (void)!::write(pipe[1], "x", 1);
    ::pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  (void)remove_abandoned();
  EXPECT_TRUE(exists(name));
  EXPECT_TRUE(exists(data_name));
  const auto late = ChunkLedger::open(name, kDigest);
  ::kill(pid, SIGKILL);
  wait_for(pid);
  (void)remove_abandoned();
  EXPECT_FALSE(exists(name));
  EXPECT_FALSE(exists(data_name));
  EXPECT_TRUE(late->is_stale());
  EXPECT_THROW((void)late->join(), LedgerError);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(ChunkLedger, ACompleteJobIsAbandonedWhenItsNameIsThatOfOtherMemory) {
  const std::string location = fresh_name();
  const std::string name = shared_ledger_name(location);
  const auto ledger = ChunkLedger::create(name, plan_of(1));
  const auto data = Segment::create(location, 100);
  const auto me = ledger->join();
  ASSERT_TRUE(ledger->may_make_data(me));
  ledger->set_data_ready(data->identity());
  ledger->finish(JobState::kComplete);
  ledger->leave(me);
  (void)remove_abandoned();
  EXPECT_TRUE(exists(name));
  data->unlink();
  const auto other = Segment::create(location, 50);
  (void)remove_abandoned();
  EXPECT_FALSE(exists(name));
  EXPECT_TRUE(exists(location));
  other->unlink();
}

}  // namespace
}  // namespace cvfast::shm
