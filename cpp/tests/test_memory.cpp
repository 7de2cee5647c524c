// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/memory.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {

namespace rt = cvfast::runtime;
constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(Memory, BlocksAreAlignedToHugePages) {
  for (const std::size_t size : {std::size_t{1}, 2 * kMiB, 5 * kMiB + 3}) {
    auto* const memory = static_cast<char*>(rt::allocate_huge(size));
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % (2 * kMiB), 0u);
    memory[0] = 1;
    memory[size - 1] = 2;
    rt::release_huge(memory, size);
  }
}

TEST(Memory, AReleasedBlockServesTheNextRequestOfItsSize) {
  void* const first = rt::allocate_huge(32 * kMiB);
  ASSERT_NE(first, nullptr);
  rt::release_huge(first, 32 * kMiB);
  if (rt::kept_bytes() == 0) GTEST_SKIP() << "the system has no reclaimable memory";
  void* const second = rt::allocate_huge(31 * kMiB);
  EXPECT_EQ(second, first);
  std::memset(second, 1, 31 * kMiB);
  rt::release_huge(second, 31 * kMiB);
}

TEST(Memory, NothingThatIsInUseIsHandedOutTwice) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int round = 0; round < 200; ++round) {
        const std::size_t size = (2 + static_cast<std::size_t>((round + t) % 3) * 2) * kMiB;
        auto* const memory = static_cast<unsigned char*>(rt::allocate_huge(size));
        ASSERT_NE(memory, nullptr);
        memory[0] = static_cast<unsigned char>(t);
        memory[size - 1] = static_cast<unsigned char>(t);
        std::this_thread::yield();
        EXPECT_EQ(memory[0], t);
        EXPECT_EQ(memory[size - 1], t);
        rt::release_huge(memory, size);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(rt::kept_bytes(), rt::kept_bytes_limit());
}

TEST(Memory, HugePagesAreForWhatFillsThem) {
  EXPECT_FALSE(rt::is_worth_huge_pages(0));
  EXPECT_FALSE(rt::is_worth_huge_pages(2 * kMiB - 1));
  EXPECT_TRUE(rt::is_worth_huge_pages(2 * kMiB));
  EXPECT_FALSE(rt::is_worth_huge_pages(2 * kMiB + 1));
  EXPECT_TRUE(rt::is_worth_huge_pages(4 * kMiB - 1));
  EXPECT_TRUE(rt::is_worth_huge_pages(100 * kMiB + 1));
}

TEST(Memory, ImpossibleSizesGiveNull) {
  EXPECT_EQ(rt::allocate_huge(0), nullptr);
  EXPECT_EQ(rt::allocate_huge(SIZE_MAX), nullptr);
  EXPECT_EQ(rt::allocate_huge(SIZE_MAX / 2), nullptr);
}

TEST(Memory, ScratchGrowsAndTrims) {
  rt::Scratch scratch;
  std::byte* const small = scratch.get(100);
  ASSERT_NE(small, nullptr);
  EXPECT_EQ(scratch.get(50), small);
  ASSERT_NE(scratch.get(kMiB), nullptr);
  scratch.trim(2 * kMiB);
  scratch.trim(10);
  EXPECT_NE(scratch.get(1), nullptr);
  EXPECT_EQ(scratch.get(SIZE_MAX), nullptr);
}

}  // namespace
