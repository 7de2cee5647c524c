// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/fragment_batch.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "cvfast/core/endian.hpp"
#include "random_input.hpp"
#include "temporary_folder.hpp"

namespace cvfast::runtime {
namespace {

using fetch::ContentEncoding;
using Bytes = std::vector<std::byte>;
constexpr std::uint64_t kLimit = std::uint64_t{1} << 24;

struct Found {
  FragmentOutcome outcome = FragmentOutcome::kDone;
  std::vector<float> vertices;
  std::vector<std::uint32_t> faces;

  [[nodiscard]] bool operator==(const Found&) const = default;
};

class FragmentFiles : public ::testing::Test {
 protected:
  Bytes fragment(std::uint32_t num_vertices, std::uint32_t num_faces) {
    Bytes out(4 + 12 * (std::size_t{num_vertices} + num_faces));
    store_le(out.data(), num_vertices);
    for (std::size_t i = 0; i < 3 * std::size_t{num_vertices}; ++i) {
      const auto value = static_cast<float>(random_.between(-1000, 1000));
      std::memcpy(out.data() + 4 + 4 * i, &value, sizeof(value));
    }
    for (std::size_t i = 0; i < 3 * std::size_t{num_faces}; ++i) {
      store_le(out.data() + 4 + 12 * std::size_t{num_vertices} + 4 * i,
               static_cast<std::uint32_t>(random_.bits() % num_vertices));
    }
    return out;
  }

  void write(const std::string& key, const Bytes& object, ContentEncoding encoding = ContentEncoding::kGzip,
             int level = 6) {
    std::vector<std::uint8_t> done;
    const std::vector<std::string> keys{key};
    const std::vector<std::span<const std::byte>> objects{object};
    ASSERT_TRUE(write_objects(root_, keys, objects, encoding, level, false, done, {}));
    ASSERT_EQ(done[0], 1);
  }

  Found read(const std::vector<std::string>& keys, const mesh::Transform& transform = {},
             std::uint64_t limit = kLimit) const {
    FragmentBatch batch;
    Found out;
    out.outcome = open_fragments(root_, keys, limit, batch, {});
    if (out.outcome != FragmentOutcome::kDone) return out;
    out.vertices.resize(3 * batch.plan.total.num_vertices);
    out.faces.resize(3 * batch.plan.total.num_faces);
    out.outcome = decode_fragments(batch, transform, out.vertices.data(), out.faces.data(), {});
    return out;
  }

  static Found expected(const std::vector<Bytes>& fragments, const mesh::Transform& transform = {}) {
    const std::vector<std::span<const std::byte>> spans(fragments.begin(), fragments.end());
    mesh::StitchPlan plan;
    EXPECT_TRUE(mesh::plan_stitch(spans, plan).status.ok());
    Found out;
    out.vertices.resize(3 * plan.total.num_vertices);
    out.faces.resize(3 * plan.total.num_faces);
    EXPECT_TRUE(
        mesh::stitch(spans, plan, transform, mesh::serially, out.vertices.data(), out.faces.data()).status.ok());
    return out;
  }

  TemporaryFolder folder_;
  std::string root_ = (folder_.path() / "layer").string();
  testing::Random random_{9};
};

TEST_F(FragmentFiles, BecomeOneMeshInTheOrderOfTheKeys) {
  std::vector<std::string> keys;
  std::vector<Bytes> fragments;
  for (int i = 0; i < 300; ++i) {
    keys.push_back((i % 40 < 20 ? "mesh/" : "mesh/deep/") + std::to_string(i));
    fragments.push_back(i % 7 == 0 ? fragment(1, 0)
                                   : fragment(static_cast<std::uint32_t>(random_.between(1, 900)),
                                              static_cast<std::uint32_t>(random_.between(0, 1800))));
    write(keys.back(), fragments.back(), i % 5 == 0 ? ContentEncoding::kNone : ContentEncoding::kGzip, i % 10);
  }
  EXPECT_EQ(read(keys), expected(fragments));
  mesh::Transform transform;
  transform.rows[0] = 2;
  transform.rows[3] = -7;
  EXPECT_EQ(read(keys, transform), expected(fragments, transform));
  EXPECT_EQ(read({keys[3], keys[3]}), expected({fragments[3], fragments[3]}));
  EXPECT_EQ(read({}).outcome, FragmentOutcome::kDone);
}

TEST_F(FragmentFiles, LargerThanTheBufferThatIsKept) {
  const Bytes large = fragment(300000, 200000);
  write("large", large);
  EXPECT_EQ(read({"large"}), expected({large}));
}

TEST_F(FragmentFiles, WithoutVerticesAddNothing) {
  write("empty", Bytes(4));
  write("full", fragment(4, 2));
  EXPECT_EQ(read({"empty"}), expected({Bytes(4)}));
  EXPECT_EQ(read({"empty", "full"}).vertices.size(), 12U);
}

TEST_F(FragmentFiles, ThatAreNotPlainAreLeftToTheCaller) {
  const Bytes sound = fragment(50, 90);
  write("sound", sound);
  const auto other = [&](const std::string& key, std::uint64_t limit = kLimit) {
    return read({"sound", key}, {}, limit).outcome == FragmentOutcome::kOtherwise;
  };
  EXPECT_TRUE(other("absent"));
  EXPECT_TRUE(other("../sound"));
  EXPECT_TRUE(other(""));
  write("brotli", sound, ContentEncoding::kBrotli);
  EXPECT_TRUE(other("brotli"));
  for (const ContentEncoding encoding : {ContentEncoding::kNone, ContentEncoding::kGzip}) {
    const auto damaged = [&](Bytes bytes) {
      write("damaged", bytes, encoding);
      return other("damaged");
    };
    EXPECT_TRUE(damaged({}));
    EXPECT_TRUE(damaged(Bytes(3)));
    EXPECT_TRUE(damaged(Bytes(sound.begin(), sound.end() - 1)));
    EXPECT_TRUE(damaged(Bytes(sound.begin(), sound.end() - 4)));
    Bytes bad = sound;
    store_le(bad.data(), std::uint32_t{1000});  // vertices
    EXPECT_TRUE(damaged(bad));
    store_le(bad.data(), std::uint32_t{0xffffffffU});
    EXPECT_TRUE(damaged(bad));
    bad = sound;
    store_le(bad.data() + bad.size() - 4, std::uint32_t{50});  // the number of a vertex
    EXPECT_TRUE(damaged(bad));
    bad = sound;
    store_le(bad.data() + 4, std::uint32_t{0x7fc00000U});  // not a number
    EXPECT_TRUE(damaged(bad));
    bad = sound;
    std::memcpy(bad.data(), "DRACO", 5);
    EXPECT_TRUE(damaged(bad));
    EXPECT_FALSE(damaged(sound));
  }
  EXPECT_TRUE(other("sound", sound.size() - 1));
  EXPECT_FALSE(other("sound", sound.size()));
}

TEST_F(FragmentFiles, WhoseTrailerLiesAreLeftToTheCaller) {
  const Bytes sound = fragment(50, 90);
  write("gz", sound);
  Bytes raw(std::filesystem::file_size(folder_.path() / "layer" / "gz.gz"));
  {
    fetch::Folder folder(root_);
    fetch::OpenedFile file;
    fetch::IoError error;
    ASSERT_EQ(folder.open("gz", file, error), fetch::FetchState::kData);
    ASSERT_TRUE(fetch::read_exact(file, raw.data(), raw.size(), 0, error));
    for (const int more : {-1200, -12, -1, 1, 12, 1200}) {
      Bytes lies = raw;
      store_le(lies.data() + lies.size() - 4, static_cast<std::uint32_t>(static_cast<int>(sound.size()) + more));
      ASSERT_TRUE(folder.put("lies", ContentEncoding::kGzip, lies.data(), lies.size(), false, error));
      EXPECT_EQ(read({"gz", "lies"}).outcome, FragmentOutcome::kOtherwise) << more;
    }
  }
}

TEST_F(FragmentFiles, ReportThatTheCallerGaveUp) {
  write("sound", fragment(50, 90));
  const std::vector<std::string> keys(2000, "sound");
  BatchOptions options;
  options.poll = [] { return false; };
  FragmentBatch batch;
  // The caller is asked every 50 ms only: what ends before is done.
  EXPECT_NE(open_fragments(root_, keys, kLimit, batch, options), FragmentOutcome::kOtherwise);
}

}  // namespace
}  // namespace cvfast::runtime
