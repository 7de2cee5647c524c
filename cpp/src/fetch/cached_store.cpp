// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/cached_store.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace cvfast::fetch {
namespace {

struct Cached {
  std::shared_ptr<const ChunkStore> source;
  std::string folder;
  std::function<std::string(const Int3&)> name_of;
  CopyLimit limit;
};

std::time_t latest_of(const struct stat& info) noexcept { return std::max(info.st_atime, info.st_mtime); }

// Few file systems note each use by themselves, and whoever makes room removes what was not used for longest.
void note_use(int fd) noexcept {
  constexpr std::time_t kSeconds = 60;
  struct stat info{};
  if (::fstat(fd, &info) != 0 || std::time(nullptr) - latest_of(info) <= kSeconds) return;
  std::array<timespec, 2> times{};
  times[0].tv_nsec = UTIME_NOW;
  times[1].tv_nsec = UTIME_OMIT;
  (void)::futimens(fd, times.data());
}

class CachedSession final : public ChunkSession {
 public:
  CachedSession(std::shared_ptr<const Cached> cached, std::unique_ptr<ChunkSession> source, bool writes)
      : cached_(std::move(cached)),
        source_(std::move(source)),
        writes_(writes) {
    // A folder is opened once, hence made beforehand; where that cannot be done nothing is kept.
    std::error_code ignored;
    std::filesystem::create_directories(cached_->folder, ignored);
    folder_.emplace(cached_->folder);
  }
  ~CachedSession() override {
    // Of what was given up nobody knows how far it went.
    if (!has_finished_) discard_written();
  }

  FetchState open(const ChunkAddress& chunk, OpenedFile& file, StoreError& error) const override {
    IoError ignored;
    if (folder_->open(cached_->name_of(chunk.grid_point), file, ignored) == FetchState::kData) {
      file.is_copy = true;
      if (cached_->limit.bytes && file.fd) note_use(file.fd.get());
      const bool is_absent = file.size_bytes == 0 && file.encoding == ContentEncoding::kNone;
      return is_absent ? FetchState::kMissing : FetchState::kData;
    }
    file = {};
    const FetchState state = source_->open(chunk, file, error);
    const bool is_absent = state == FetchState::kMissing || (state == FetchState::kData && file.size_bytes == 0 &&
                                                             file.encoding == ContentEncoding::kNone);
    if (is_absent) keep_copy(chunk, ContentEncoding::kNone, {});
    return state;
  }
  FetchState exists(const ChunkAddress& chunk, StoreError& error) const override {
    return source_->exists(chunk, error);
  }
  std::string name_of(const ChunkAddress& chunk, ContentEncoding compression) const override {
    return source_->name_of(chunk, compression);
  }

  void expect(ExpectedChunks expected) override {
    if (!expected.only_existence) {
      expected.at = [this, at = std::move(expected.at)](std::size_t index, Int3& point) {
        if (!at(index, point)) return false;
        IoError ignored;
        return folder_->exists(cached_->name_of(point), ignored) != FetchState::kData;
      };
    }
    source_->expect(std::move(expected));
  }
  std::int64_t next() const override { return source_->next(); }
  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool sync,
           StoreError& error) const override {
    if (!source_->put(chunk, compression, bytes, sync, error)) return false;
    note_written(chunk);
    // A copy that cannot be replaced is of the old chunk.
    if (cached_->source->writes_in_groups() || !try_keep(chunk, compression, bytes)) discard_copy(chunk);
    return true;
  }
  bool remove(const ChunkAddress& chunk, StoreError& error) const override {
    if (!source_->remove(chunk, error)) return false;
    note_written(chunk);
    discard_copy(chunk);
    return true;
  }
  bool sync_entries(StoreError& error) const override { return source_->sync_entries(error); }
  GroupState begin_group(const WriteGroup& group, const std::function<bool()>& poll, StoreError& error) override {
    return source_->begin_group(group, poll, error);
  }
  bool commit_group(bool sync, StoreError& error) override {
    const bool good = source_->commit_group(sync, error);
    // What was read meanwhile was read from the old object.
    discard_written();
    return good;
  }
  bool finish(StoreError& error) const override {
    has_finished_ = source_->finish(error);
    return has_finished_;
  }

  bool keeps_copies() const noexcept override { return !writes_; }
  void keep_copy(const ChunkAddress& chunk, ContentEncoding compression,
                 std::span<const std::byte> bytes) const override {
    (void)try_keep(chunk, compression, bytes);
  }
  void discard_copy(const ChunkAddress& chunk) const override {
    IoError ignored;
    (void)folder_->remove(cached_->name_of(chunk.grid_point), ignored);
  }

 private:
  [[nodiscard]] bool try_keep(const ChunkAddress& chunk, ContentEncoding compression,
                              std::span<const std::byte> bytes) const {
    const CopyLimit& limit = cached_->limit;
    // Relaxed: these only count.
    if (limit.bytes &&
        kept_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed) + bytes.size() > *limit.bytes / 2) {
      return false;
    }
    IoError ignored;
    const std::string name = cached_->name_of(chunk.grid_point);
    if (!folder_->put(name, compression, bytes.data(), bytes.size(), false, ignored)) return false;
    if (limit.kept_bytes) limit.kept_bytes->fetch_add(bytes.size(), std::memory_order_relaxed);
    return true;
  }
  void note_written(const ChunkAddress& chunk) const {
    const std::lock_guard lock(mutex_);
    written_.push_back(cached_->name_of(chunk.grid_point));
    if (cached_->source->is_remote()) has_finished_ = false;
  }
  void discard_written() const noexcept {
    const std::lock_guard lock(mutex_);
    IoError ignored;
    for (const std::string& name : written_) (void)folder_->remove(name, ignored);
    written_.clear();
  }

  std::shared_ptr<const Cached> cached_;
  std::unique_ptr<ChunkSession> source_;
  bool writes_;
  std::optional<Folder> folder_;
  mutable std::mutex mutex_;
  mutable std::vector<std::string> written_;
  mutable bool has_finished_ = true;
  mutable std::atomic<std::uint64_t> kept_bytes_{0};
};

class CachedStore final : public ChunkStore {
 public:
  explicit CachedStore(std::shared_ptr<const Cached> cached) : cached_(std::move(cached)) {}

  std::unique_ptr<ChunkSession> read(const Attention& attention) const override {
    return std::make_unique<CachedSession>(cached_, cached_->source->read(attention), false);
  }
  std::unique_ptr<ChunkSession> write(bool merges, const Attention& attention) const override {
    return std::make_unique<CachedSession>(cached_, cached_->source->write(merges, attention), true);
  }
  bool is_remote() const noexcept override { return cached_->source->is_remote(); }
  bool writes_in_groups() const noexcept override { return cached_->source->writes_in_groups(); }
  std::vector<WriteGroup> groups(const Box3& grid_range) const override { return cached_->source->groups(grid_range); }

 private:
  std::shared_ptr<const Cached> cached_;
};

}  // namespace

std::shared_ptr<const ChunkStore> make_cached_store(std::shared_ptr<const ChunkStore> source, std::string folder,
                                                    std::function<std::string(const Int3&)> name_of, CopyLimit limit) {
  return std::make_shared<CachedStore>(std::make_shared<const Cached>(
      Cached{std::move(source), std::move(folder), std::move(name_of), std::move(limit)}));
}

}  // namespace cvfast::fetch
