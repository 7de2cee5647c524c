// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/core/status.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace cvfast {
namespace {

TEST(Status, IsOkByDefault) { EXPECT_TRUE(Status{}.ok()); }

TEST(Describe, HasASentenceOfItsOwnForEveryCode) {
  std::set<std::string> sentences;
  for (int code = 0; code <= static_cast<int>(Code::kUnsupported); ++code) {
    sentences.insert(describe(static_cast<Code>(code)));
  }
  EXPECT_EQ(sentences.size(), static_cast<std::size_t>(Code::kUnsupported) + 1);
  EXPECT_FALSE(sentences.contains(describe(static_cast<Code>(255))));
}

}  // namespace
}  // namespace cvfast
