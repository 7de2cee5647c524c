// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/object_batch.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cvfast/decode/gzip.hpp"
#include "random_input.hpp"
#include "temporary_folder.hpp"

namespace cvfast::runtime {
namespace {

using fetch::ContentEncoding;
using fetch::FetchState;
using Bytes = std::vector<std::byte>;
constexpr std::uint64_t kLimit = 1 << 20;

std::vector<std::span<const std::byte>> spans(const std::vector<Bytes>& objects) {
  return {objects.begin(), objects.end()};
}

class ObjectBatch : public ::testing::Test {
 protected:
  bool write(const std::vector<std::string>& keys, const std::vector<Bytes>& objects, ContentEncoding encoding,
             std::vector<std::uint8_t>& done) {
    return write_objects(root_, keys, spans(objects), encoding, 6, false, done, {});
  }
  std::vector<StoredObject> read(const std::vector<std::string>& keys, std::uint64_t limit = kLimit) {
    std::vector<StoredObject> out;
    EXPECT_TRUE(read_objects(root_, keys, limit, out, {}));
    return out;
  }

  TemporaryFolder folder_;
  std::string root_ = (folder_.path() / "layer").string();
  testing::Random random_{5};
};

TEST_F(ObjectBatch, ComesBackFromManyFoldersInTheOrderAskedFor) {
  std::vector<std::string> keys;
  std::vector<Bytes> objects;
  for (int i = 0; i < 300; ++i) {
    keys.push_back((i % 3 == 0 ? "" : "deep/" + std::to_string(i % 3) + "/") + std::to_string(i));
    objects.push_back(random_.bytes(static_cast<std::size_t>(i)));
  }
  for (const ContentEncoding encoding : {ContentEncoding::kNone, ContentEncoding::kGzip}) {
    std::vector<std::uint8_t> done;
    ASSERT_TRUE(write(keys, objects, encoding, done));
    EXPECT_EQ(done, std::vector<std::uint8_t>(300, 1));
    const std::vector<StoredObject> found = read(keys);
    for (std::size_t i = 0; i < 300; ++i) {
      ASSERT_EQ(found[i].state, FetchState::kData) << keys[i];
      EXPECT_EQ(found[i].bytes, objects[i]) << keys[i];
    }
  }
  std::vector<FetchState> states;
  ASSERT_TRUE(find_objects(root_, keys, states, {}));
  EXPECT_EQ(states, std::vector<FetchState>(300, FetchState::kData));
  std::vector<std::uint8_t> done;
  ASSERT_TRUE(remove_objects(root_, keys, done, {}));
  EXPECT_EQ(read(keys)[7].state, FetchState::kMissing);
}

TEST_F(ObjectBatch, LeavesWhatIsNotPlainToTheCaller) {
  const std::vector<std::string> keys{"", "/a", "a/", "a//b", "./a", "a/../b", "..", std::string("a\0b", 3)};
  std::vector<std::uint8_t> done;
  const std::vector<Bytes> objects(keys.size(), Bytes(1));
  ASSERT_TRUE(write(keys, objects, ContentEncoding::kNone, done));
  EXPECT_EQ(done, std::vector<std::uint8_t>(keys.size(), 0));
  EXPECT_FALSE(std::filesystem::exists(root_));
  for (const StoredObject& object : read(keys)) EXPECT_EQ(object.state, FetchState::kError);
}

TEST_F(ObjectBatch, HandsOverOtherCompressionsAsTheyAre) {
  std::vector<std::uint8_t> done;
  ASSERT_TRUE(write({"a"}, {Bytes(5)}, ContentEncoding::kBrotli, done));
  const std::vector<StoredObject> found = read({"a"});
  EXPECT_EQ(found[0].encoding, ContentEncoding::kBrotli);
  EXPECT_EQ(found[0].bytes, Bytes(5));
}

TEST_F(ObjectBatch, ReportsDamageAndBombsByTheObjectAlone) {
  std::vector<std::uint8_t> done;
  ASSERT_TRUE(write({"good", "bomb"}, {Bytes(9), Bytes(100'000)}, ContentEncoding::kGzip, done));
  std::ofstream(root_ + "/bad.gz") << "no gzip";
  const std::vector<StoredObject> found = read({"bad", "good", "bomb", "absent"}, 1000);
  EXPECT_EQ(found[0].state, FetchState::kError);
  EXPECT_EQ(found[1].state, FetchState::kData);
  EXPECT_EQ(found[2].state, FetchState::kError);
  EXPECT_EQ(found[3].state, FetchState::kMissing);
}

TEST_F(ObjectBatch, StopsAtTheFirstWriteThatFails) {
  std::filesystem::create_directories(root_ + "/taken");
  std::vector<std::uint8_t> done;
  BatchOptions options;
  options.threads = 1;
  const std::vector<std::string> keys{"a", "taken", "b"};
  const std::vector<Bytes> objects(3, Bytes(1));
  ASSERT_TRUE(write_objects(root_, keys, spans(objects), ContentEncoding::kNone, 0, false, done, options));
  EXPECT_EQ(done, (std::vector<std::uint8_t>{1, 0, 0}));
  EXPECT_EQ(read({"b"})[0].state, FetchState::kMissing);
}

TEST_F(ObjectBatch, InflatesWhatClaimsItsLengthTruly) {
  std::vector<Bytes> objects;
  std::vector<Bytes> stored;
  for (std::size_t i = 0; i < 100; ++i) {
    objects.push_back(random_.bytes(1 + 37 * i));
    ASSERT_TRUE(decode::gzip::compress(objects.back(), 6, stored.emplace_back()).ok());
  }
  stored[3][20] ^= std::byte{0xff};  // damaged
  stored[5].resize(stored[5].size() / 2);
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < 100; ++i) out.emplace_back(objects[i].size());
  std::vector<std::uint8_t> done;
  std::vector<std::span<std::byte>> targets(out.begin(), out.end());
  ASSERT_TRUE(inflate_objects(spans(stored), targets, done, {}));
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(done[i] == 1, i != 3 && i != 5) << i;
    if (done[i] == 1) {
      EXPECT_EQ(out[i], objects[i]);
      EXPECT_EQ(claimed_bytes(stored[i]), objects[i].size());
    }
  }
  EXPECT_EQ(claimed_bytes(Bytes(17)), 0U);
  EXPECT_EQ(claimed_bytes(Bytes(18, std::byte{0xff})), 0U);
}

TEST_F(ObjectBatch, IsCancelledByPoll) {
  BatchOptions options;
  options.poll = [] { return false; };
  std::vector<std::string> keys;
  for (int i = 0; i < 200'000; ++i) keys.push_back(std::to_string(i));
  std::filesystem::create_directories(root_);
  std::vector<FetchState> states;
  EXPECT_FALSE(find_objects(root_, keys, states, options));
}

TEST_F(ObjectBatch, ReplacesManyObjectsAndTheirCopiesUnderOtherSuffixes) {
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) keys.push_back((i % 2 == 0 ? "a/" : "b/") + std::to_string(i));
  std::vector<std::uint8_t> done;
  for (const ContentEncoding encoding : {ContentEncoding::kBrotli, ContentEncoding::kNone, ContentEncoding::kGzip,
                                         ContentEncoding::kGzip, ContentEncoding::kNone}) {
    std::vector<Bytes> objects;
    for (std::size_t i = 0; i < keys.size(); ++i) objects.push_back(random_.bytes(i));
    ASSERT_TRUE(write(keys, objects, encoding, done));
    EXPECT_EQ(done, std::vector<std::uint8_t>(keys.size(), 1));
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) files += entry.is_regular_file();
    EXPECT_EQ(files, keys.size());
    const std::vector<StoredObject> found = read(keys);
    for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(found[i].bytes, objects[i]) << keys[i];
  }
}

}  // namespace
}  // namespace cvfast::runtime
