// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/chunk_cache.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using cvfast::Int3;
using cvfast::runtime::CacheBlock;
using cvfast::runtime::CacheKey;
using cvfast::runtime::CacheSpace;
using cvfast::runtime::ChunkCache;

CacheSpace make_space(const std::string& folder, std::int64_t chunk = 10, const std::string& encoding = "raw") {
  CacheSpace space;
  space.folder = folder;
  space.key = "4_4_40";
  space.grid = {{5, -5, 0}, {95, 40, 40}, {chunk, 10, 10}};
  space.stored_encoding = encoding;
  space.entry_encoding = encoding;
  return space;
}

CacheBlock make_block(std::size_t n, unsigned char value = 1) {
  CacheBlock block = CacheBlock::make(n);
  std::memset(block.data(), value, n);
  return block;
}

unsigned char value_of(const CacheBlock& block) { return std::to_integer<unsigned char>(block.bytes()[0]); }

bool put(ChunkCache& cache, const CacheKey& key, CacheBlock block) {
  return cache.insert(key, std::move(block), cache.ticket(key));
}

TEST(ChunkCache, ReturnsWhatWasInserted) {
  ChunkCache cache(1 << 20);
  const CacheKey key{cache.intern(make_space("/a")), {1, 2, 3}};
  EXPECT_FALSE(cache.lookup(key).block);
  ASSERT_TRUE(put(cache, key, make_block(1000, 7)));
  const CacheBlock found = cache.lookup(key).block;
  ASSERT_TRUE(found);
  EXPECT_EQ(found.bytes().size(), 1000U);
  EXPECT_EQ(value_of(found), 7);
  EXPECT_EQ(cache.size(), 1U);
}

TEST(ChunkCache, ChargesAllocationAndBookkeeping) {
  ChunkCache cache(1 << 20);
  const CacheKey key{cache.intern(make_space("/a")), {0, 0, 0}};
  const CacheBlock block = make_block(1000);
  EXPECT_GE(block.allocated_bytes(), 1000U);
  put(cache, key, block);
  EXPECT_GT(cache.held_bytes(), block.allocated_bytes());
  EXPECT_LT(cache.held_bytes(), block.allocated_bytes() + 300);
  put(cache, key, make_block(10));
  EXPECT_LT(cache.held_bytes(), 400U);
  cache.take(key);
  EXPECT_EQ(cache.held_bytes(), 0U);
}

TEST(ChunkCache, EvictsTheLeastRecentlyUsed) {
  ChunkCache cache(3500);
  const std::uint32_t space = cache.intern(make_space("/a"));
  for (std::int64_t i = 0; i < 3; ++i) put(cache, {space, {i, 0, 0}}, make_block(900));
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_TRUE(cache.lookup({space, {0, 0, 0}}).block);
  put(cache, {space, {3, 0, 0}}, make_block(900));
  EXPECT_TRUE(cache.peek({space, {0, 0, 0}}));
  EXPECT_FALSE(cache.peek({space, {1, 0, 0}}));
  EXPECT_LE(cache.held_bytes(), 3500U);
}

TEST(ChunkCache, PeekIsNoUse) {
  ChunkCache cache(2500);
  const std::uint32_t space = cache.intern(make_space("/a"));
  for (std::int64_t i = 0; i < 2; ++i) put(cache, {space, {i, 0, 0}}, make_block(900));
  EXPECT_TRUE(cache.peek({space, {0, 0, 0}}));
  put(cache, {space, {2, 0, 0}}, make_block(900));
  EXPECT_FALSE(cache.peek({space, {0, 0, 0}}));
}

TEST(ChunkCache, RefusesWhatExceedsTheLimit) {
  ChunkCache cache(1000);
  const std::uint32_t space = cache.intern(make_space("/a"));
  EXPECT_TRUE(put(cache, {space, {0, 0, 0}}, make_block(100)));
  EXPECT_FALSE(cache.admits(1000));
  EXPECT_FALSE(put(cache, {space, {1, 0, 0}}, make_block(1000)));
  EXPECT_TRUE(cache.peek({space, {0, 0, 0}}));
}

TEST(ChunkCache, HoldsNothingWithoutALimit) {
  ChunkCache cache(0);
  const std::uint32_t space = cache.intern(make_space("/a"));
  EXPECT_FALSE(put(cache, {space, {0, 0, 0}}, make_block(1)));
  EXPECT_FALSE(cache.admits(0));
}

TEST(ChunkCache, ResizeEvictsAndZeroDisables) {
  ChunkCache cache(1 << 20);
  const std::uint32_t space = cache.intern(make_space("/a"));
  for (std::int64_t i = 0; i < 9; ++i) put(cache, {space, {i, 0, 0}}, make_block(1000));
  cache.resize(5000);
  EXPECT_EQ(cache.size(), 4U);
  EXPECT_LE(cache.held_bytes(), 5000U);
  EXPECT_TRUE(cache.peek({space, {8, 0, 0}}));
  cache.resize(0);
  EXPECT_EQ(cache.size(), 0U);
  EXPECT_FALSE(put(cache, {space, {0, 0, 0}}, make_block(1)));
}

TEST(ChunkCache, SpacesThatDifferInAnythingShareNothing) {
  ChunkCache cache(1 << 20);
  const std::uint32_t a = cache.intern(make_space("/a"));
  EXPECT_EQ(a, cache.intern(make_space("/a")));
  for (const CacheSpace& other : {make_space("/b"), make_space("/a", 20), make_space("/a", 10, "png")}) {
    EXPECT_NE(a, cache.intern(other));
  }
  CacheSpace decoded = make_space("/a", 10, "png");
  decoded.entry_encoding = "raw";
  EXPECT_NE(cache.intern(decoded), cache.intern(make_space("/a", 10, "png")));
  put(cache, {a, {0, 0, 0}}, make_block(10));
  EXPECT_FALSE(cache.peek({cache.intern(make_space("/b")), {0, 0, 0}}));
}

TEST(ChunkCache, WriteMakesTicketsVoid) {
  ChunkCache cache(1 << 20);
  const CacheKey key{cache.intern(make_space("/a")), {0, 0, 0}};
  const std::uint64_t reader = cache.lookup(key).ticket;
  cache.written(key, {}, cache.ticket(key));
  EXPECT_FALSE(cache.insert(key, make_block(10), reader));
  EXPECT_TRUE(put(cache, key, make_block(10)));
}

TEST(ChunkCache, WriteReplacesUnlessAnotherWriteEndedMeanwhile) {
  ChunkCache cache(1 << 20);
  const CacheKey key{cache.intern(make_space("/a")), {0, 0, 0}};
  put(cache, key, make_block(10, 1));
  const std::uint64_t first = cache.ticket(key);
  const std::uint64_t second = cache.ticket(key);
  cache.written(key, make_block(10, 2), second);
  EXPECT_EQ(value_of(cache.peek(key)), 2);
  // Which of the two the store has is not known.
  cache.written(key, make_block(10, 3), first);
  EXPECT_FALSE(cache.peek(key));
}

TEST(ChunkCache, WriteRemovesOtherSpacesOfTheFolder) {
  ChunkCache cache(1 << 20);
  const std::uint32_t a = cache.intern(make_space("/a"));
  const std::uint32_t other = cache.intern(make_space("/a", 10, "png"));
  const std::uint32_t elsewhere = cache.intern(make_space("/b"));
  put(cache, {other, {1, 1, 1}}, make_block(10));
  put(cache, {elsewhere, {1, 1, 1}}, make_block(10));
  const std::uint64_t reader = cache.ticket({other, {1, 1, 2}});
  cache.written({a, {0, 0, 0}}, make_block(10), cache.ticket({a, {0, 0, 0}}));
  EXPECT_FALSE(cache.peek({other, {1, 1, 1}}));
  EXPECT_TRUE(cache.peek({elsewhere, {1, 1, 1}}));
  EXPECT_FALSE(cache.insert({other, {1, 1, 2}}, make_block(10), reader));
}

TEST(ChunkCache, FindsByPath) {
  ChunkCache cache(1 << 20);
  const std::uint32_t space = cache.intern(make_space("/a"));
  put(cache, {space, {1, 0, 3}}, make_block(10));
  put(cache, {space, {9, 3, 0}}, make_block(10));
  const auto listed = cache.list();
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].path, "4_4_40/95-100_25-35_0-10");
  EXPECT_EQ(listed[1].path, "4_4_40/15-25_-5-5_30-40");
  for (const auto& entry : listed) EXPECT_EQ(cache.find(entry.path), entry.key);
  for (const char* path :
       {"", "/", "4_4_40", "4_4_40/", "4_4_40/15", "4_4_40/15-25_-5-5_30-41", "4_4_40/15-25_-5-5",
        "4_4_40/16-25_-5-5_30-40", "4_4_40/5-15_-5-5_0-10", "8_8_40/15-25_-5-5_30-40", "4_4_40/95-105_25-35_0-10",
        "4_4_40/99999999999999999999-1_-5-5_30-40", "4_4_40/9223372036854775807-25_-5-5_30-40"}) {
    EXPECT_FALSE(cache.find(path)) << path;
  }
}

TEST(ChunkCache, BlockOutlivesItsEntry) {
  CacheBlock held;
  {
    ChunkCache cache(1 << 20);
    const CacheKey key{cache.intern(make_space("/a")), {0, 0, 0}};
    put(cache, key, make_block(1000, 9));
    held = cache.lookup(key).block;
    cache.clear();
    EXPECT_EQ(cache.size(), 0U);
  }
  EXPECT_EQ(value_of(held), 9);
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Large ones lie on huge pages, which must not back more than is charged.
TEST(ChunkCache, LargeBlocksTakeWhatTheyAreChargedFor) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  constexpr std::size_t kSizes[] = {2 * kMiB, 2 * kMiB - 100, 3 * kMiB + 5000, 4 * kMiB, 5 * kMiB, 8 * kMiB, 9 * kMiB};
  std::vector<CacheBlock> blocks(28);
  for (std::size_t round = 0; round < 3; ++round) {
    const std::size_t before = resident_bytes();
    std::size_t charged = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      blocks[i] = make_block(kSizes[(i + round) % std::size(kSizes)]);
      charged += blocks[i].allocated_bytes();
    }
    const std::size_t taken = resident_bytes() - before;
    EXPECT_LE(taken, charged + 2 * kMiB) << round;
    EXPECT_GE(taken + charged / 8, charged) << round;
    // A sixteenth of what is in use stays.
    for (CacheBlock& block : blocks) block = {};
    EXPECT_LE(resident_bytes(), before + charged / 16 + 2 * kMiB) << round;
  }
}

#endif

TEST(ChunkCache, LargeBlocksKeepTheirBytes) {
  std::mt19937 random(2);
  std::vector<std::pair<CacheBlock, unsigned char>> blocks(6);
  for (int i = 0; i < 60; ++i) {
    auto& [block, value] = blocks[random() % blocks.size()];
    if (block) {
      const auto bytes = block.bytes();
      ASSERT_TRUE(std::all_of(bytes.begin(), bytes.end(),
                              [v = value](std::byte b) { return std::to_integer<unsigned char>(b) == v; }));
    }
    value = static_cast<unsigned char>(random());
    block = {};
    block = make_block((std::size_t{1} << 20) + random() % (std::size_t{5} << 20), value);
  }
}

TEST(ChunkCache, BlocksOfAllSizesKeepTheirBytes) {
  std::mt19937 random(1);
  std::vector<std::pair<CacheBlock, unsigned char>> blocks(100);
  for (int i = 0; i < 5000; ++i) {
    auto& [block, value] = blocks[random() % blocks.size()];
    if (block) {
      const auto bytes = block.bytes();
      ASSERT_TRUE(std::all_of(bytes.begin(), bytes.end(),
                              [v = value](std::byte b) { return std::to_integer<unsigned char>(b) == v; }));
      ASSERT_GE(block.allocated_bytes(), bytes.size());
    }
    value = static_cast<unsigned char>(random());
    block = {};
    block = make_block(std::size_t{1} << random() % 18, value);
  }
}

// Each block holds its key's number, so that a reader sees whether it got another's.
TEST(ChunkCache, EightThreadsKeepTheLimit) {
  constexpr std::uint64_t kLimit = 200000;
  ChunkCache cache(kLimit);
  const std::uint32_t spaces[2] = {cache.intern(make_space("/a")), cache.intern(make_space("/b"))};
  std::atomic<int> wrong{0};
  std::atomic<int> over{0};
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 4000; ++i) {
      const auto n = static_cast<std::uint32_t>(random() % 200);
      const CacheKey key{spaces[n % 2], {n % 10, n / 10 % 4, n / 40 % 4}};
      const auto expected =
          static_cast<unsigned char>(key.chunk[0] + 10 * key.chunk[1] + 40 * key.chunk[2] + key.space);
      const auto kind = random() % 100;
      if (kind == 0) {
        cache.resize(kLimit / (1 + random() % 3));
      } else if (kind == 1) {
        cache.clear();
      } else if (kind < 5) {
        (void)cache.take(key);
      } else if (kind < 10) {
        cache.written(key, make_block(100 + random() % 5000, expected), cache.ticket(key));
      } else if (kind == 10) {
        (void)cache.list();
      } else {
        ChunkCache::Lookup found = cache.lookup(key);
        if (found.block) {
          wrong += value_of(found.block) != expected;
        } else {
          cache.insert(key, make_block(100 + random() % 5000, expected), found.ticket);
        }
      }
      over += cache.held_bytes() > kLimit;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 8; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(over, 0);
  cache.clear();
  EXPECT_EQ(cache.held_bytes(), 0U);
}

TEST(ChunkCache, ForkedChildIsNotLocked) {
  ChunkCache cache(1 << 20);
  const CacheKey key{cache.intern(make_space("/a")), {0, 0, 0}};
  put(cache, key, make_block(1000, 5));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) (void)cache.lookup(key);
    });
  }
  int failed = 0;
  for (int i = 0; i < 50; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      const CacheBlock found = cache.lookup(key).block;
      ::_exit(found && value_of(found) == 5 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    failed += status != 0;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
}

}  // namespace
