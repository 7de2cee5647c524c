// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "temporary_folder.hpp"

namespace {

namespace fetch = cvfast::fetch;
using fetch::ContentEncoding;
using fetch::FetchState;

bool put(const fetch::Folder& folder, const std::string& name, ContentEncoding encoding, const std::string& text) {
  fetch::IoError error;
  return folder.put(name, encoding, reinterpret_cast<const std::byte*>(text.data()), text.size(), false, error);
}

std::string get(const fetch::Folder& folder, const std::string& name, ContentEncoding* encoding = nullptr) {
  fetch::OpenedFile file;
  fetch::IoError error;
  if (folder.open(name, file, error) != FetchState::kData) return "absent";
  std::string out(file.size_bytes, '\0');
  EXPECT_TRUE(fetch::read_exact(file.fd.get(), reinterpret_cast<std::byte*>(out.data()), out.size(), 0, error));
  if (encoding != nullptr) *encoding = file.encoding;
  return out;
}

std::vector<std::string> entries(const TemporaryFolder& where) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(where.path())) out.push_back(entry.path().filename());
  return out;
}

TEST(File, PutReplacesAnObjectUnderEverySuffix) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  EXPECT_EQ(get(folder, "a"), "absent");
  for (const auto encoding : {ContentEncoding::kNone, ContentEncoding::kGzip, ContentEncoding::kBzip2}) {
    ASSERT_TRUE(put(folder, "a", encoding, "text" + std::string(fetch::suffix(encoding))));
    ContentEncoding found{};
    EXPECT_EQ(get(folder, "a", &found), "text" + std::string(fetch::suffix(encoding)));
    EXPECT_EQ(found, encoding);
    EXPECT_EQ(entries(where).size(), 1u);
  }
}

TEST(File, TheNewestCopyWins) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  std::ofstream(where.path() / "a") << "bare";
  std::ofstream(where.path() / "a.gz") << "gzip";
  const auto now = std::filesystem::file_time_type::clock::now();
  std::filesystem::last_write_time(where.path() / "a", now);
  std::filesystem::last_write_time(where.path() / "a.gz", now - std::chrono::hours(1));
  EXPECT_EQ(get(folder, "a"), "bare");
  std::filesystem::last_write_time(where.path() / "a.gz", now + std::chrono::hours(1));
  EXPECT_EQ(get(folder, "a"), "gzip");
  std::filesystem::last_write_time(where.path() / "a.gz", now);
  EXPECT_EQ(get(folder, "a"), "bare");
}

// A folder whose last change lies long enough back to be remembered.
void settle(const TemporaryFolder&) { std::this_thread::sleep_for(std::chrono::milliseconds(3100)); }

std::string get_remembered(const TemporaryFolder& where, fetch::FolderMemory& memory) {
  const fetch::Folder folder(where.path(), &memory);
  return get(folder, "a");
}

TEST(File, WhatIsRememberedOfAFolderEndsWithItsNextChange) {
  const TemporaryFolder where;
  fetch::FolderMemory memory;
  std::ofstream(where.path() / "a") << "bare";
  settle(where);
  EXPECT_EQ(get_remembered(where, memory), "bare");
  fetch::ContentEncoding encoding{};
  std::uint64_t state = 0;
  {
    const fetch::UniqueFd fd(::open(where.path().c_str(), O_RDONLY | O_DIRECTORY));
    state = memory.refresh(fd.get());
    ASSERT_NE(state, 0u);
    EXPECT_TRUE(memory.find("a", state, encoding));
    EXPECT_EQ(encoding, ContentEncoding::kNone);
    EXPECT_FALSE(memory.find("b", state, encoding));
  }
  // Another program writes a newer copy under another suffix.
  std::ofstream(where.path() / "a.gz") << "gzip";
  EXPECT_EQ(get_remembered(where, memory), "gzip");
  EXPECT_FALSE(memory.find("a", state, encoding));
  memory.learn("a", state, ContentEncoding::kNone);  // what was found before the change came too late
  settle(where);
  EXPECT_EQ(get_remembered(where, memory), "gzip");
  std::filesystem::remove(where.path() / "a.gz");
  EXPECT_EQ(get_remembered(where, memory), "bare");
  std::filesystem::remove(where.path() / "a");
  EXPECT_EQ(get_remembered(where, memory), "absent");
}

TEST(File, RemoveTakesEveryCopy) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  std::ofstream(where.path() / "a") << "bare";
  std::ofstream(where.path() / "a.zstd") << "zstd";
  std::ofstream(where.path() / "ab") << "other";
  fetch::IoError error;
  EXPECT_TRUE(folder.remove("a", error));
  EXPECT_TRUE(folder.remove("a", error));
  EXPECT_EQ(entries(where), std::vector<std::string>{"ab"});
}

TEST(File, AnAbsentFolderHoldsNothingAndTakesNothing) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path() / "absent");
  fetch::OpenedFile file;
  fetch::IoError error;
  EXPECT_EQ(folder.open("a", file, error), FetchState::kMissing);
  EXPECT_EQ(folder.exists("a", error), FetchState::kMissing);
  EXPECT_TRUE(folder.remove("a", error));
  EXPECT_FALSE(put(folder, "a", ContentEncoding::kNone, "text"));
}

TEST(File, WhatIsNoFileIsAnError) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  std::filesystem::create_directory(where.path() / "a");
  std::filesystem::create_symlink("nowhere", where.path() / "b.gz");
  fetch::OpenedFile file;
  fetch::IoError error;
  EXPECT_EQ(folder.open("a", file, error), FetchState::kError);
  EXPECT_EQ(error.error, EISDIR);
  // A link without a target is not an absent object: whoever made it means something to be there.
  EXPECT_EQ(folder.open("b", file, error), FetchState::kError);
  EXPECT_EQ(error.error, ENOENT);
}

TEST(File, NamesTooLongAreErrors) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  const std::string name(300, 'a');
  fetch::OpenedFile file;
  fetch::IoError error;
  EXPECT_EQ(folder.open(name, file, error), FetchState::kError);
  EXPECT_EQ(error.error, ENAMETOOLONG);
  EXPECT_FALSE(put(folder, name, ContentEncoding::kNone, "text"));
  EXPECT_FALSE(folder.remove(name, error));
}

TEST(File, ReadingPastTheEndIsAnError) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  ASSERT_TRUE(put(folder, "a", ContentEncoding::kNone, "text"));
  fetch::OpenedFile file;
  fetch::IoError error;
  ASSERT_EQ(folder.open("a", file, error), FetchState::kData);
  std::byte buffer[8];
  EXPECT_FALSE(fetch::read_exact(file.fd.get(), buffer, 5, 0, error));
  EXPECT_STREQ(error.call, "size");
}

TEST(File, PutTakesWhatIsKnownOfTheFolder) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  const std::string text = "text";
  const auto* const bytes = reinterpret_cast<const std::byte*>(text.data());
  fetch::IoError error;
  ASSERT_TRUE(put(folder, "old", ContentEncoding::kBrotli, "stale"));
  ASSERT_TRUE(put(folder, "same", ContentEncoding::kGzip, "stale"));
  const auto names = fetch::FolderNames::list(where.path(), 100);
  ASSERT_NE(names, nullptr);
  EXPECT_TRUE(names->contains("old.br"));
  EXPECT_FALSE(names->contains("old"));
  // Somebody makes an object after the listing; it is replaced nevertheless.
  ASSERT_TRUE(put(folder, "later", ContentEncoding::kGzip, "stale"));
  for (const char* name : {"old", "same", "new", "later"}) {
    ASSERT_TRUE(folder.put(name, ContentEncoding::kGzip, bytes, text.size(), false, error, names.get())) << name;
    EXPECT_EQ(get(folder, name), text) << name;
  }
  EXPECT_EQ(entries(where).size(), 4u);
}

TEST(File, AFolderOfTooManyNamesCountsAsUnknown) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(put(folder, std::to_string(i), ContentEncoding::kNone, "text"));
  EXPECT_EQ(fetch::FolderNames::list(where.path(), 4), nullptr);
  EXPECT_NE(fetch::FolderNames::list(where.path(), 20), nullptr);
  EXPECT_EQ(fetch::FolderNames::list(where.path() / "absent", 20), nullptr);
}

TEST(File, WhatIsWrittenHasTheModeOfAnyOtherFile) {
  const TemporaryFolder where;
  const fetch::Folder folder(where.path());
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{077}}) {
    const mode_t before = ::umask(mask);
    const std::string name = std::to_string(mask);
    const bool done = put(folder, name, ContentEncoding::kNone, "text");
    ::umask(before);
    ASSERT_TRUE(done);
    struct stat info{};
    ASSERT_EQ(::stat((where.path() / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0666 & ~mask);
  }
}

}  // namespace
