// SPDX-License-Identifier: BSD-3-Clause
//
// A chunk in a shard is found in three steps: the shard file is opened (once a request), its index tells where the
// index of the chunk's minishard lies, and that one where the chunk does.  Both indexes are kept, parsed, in a cache
// that outlives the request, so that what remains of a lookup is a binary search.
#include "cvfast/fetch/sharded.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "cvfast/core/checked.hpp"
#include "cvfast/fetch/shard_lock.hpp"
#include "cvfast/locate/morton.hpp"
#include "shard_group.hpp"
#include "sharded_scale.hpp"

namespace cvfast::fetch {
namespace {

using locate::IndexExtent;
using locate::ShardEntry;
using locate::ShardLocation;
using locate::ShardSpec;

// Shards that a request keeps open; a request that walks over more of them opens some again.
constexpr std::size_t kMaxOpenShards = 64;

FileStamp stamp_of(const struct stat& info) noexcept {
#ifdef __APPLE__
  const timespec& modified = info.st_mtimespec;
  const timespec& changed = info.st_ctimespec;
#else
  const timespec& modified = info.st_mtim;
  const timespec& changed = info.st_ctim;
#endif
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  return {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino),
          static_cast<std::uint64_t>(info.st_size), modified.tv_sec * kNsPerSecond + modified.tv_nsec,
          changed.tv_sec * kNsPerSecond + changed.tv_nsec};
}

// A shard's file, or its two files in the older form.
struct OpenShard {
  FetchState state = FetchState::kMissing;
  IoError error;
  UniqueFd index;
  UniqueFd data;  // of the older form
  FileStamp stamp;
  std::uint64_t index_bytes = 0;
  std::uint64_t payload_offset = 0;  // in data_fd()
  std::uint64_t payload_bytes = 0;

  [[nodiscard]] int data_fd() const noexcept { return data ? data.get() : index.get(); }
};

// Opens a regular file.  A link that leads nowhere is not an absent file.
FetchState open_file(int folder, const char* name, UniqueFd& fd, struct stat& info, IoError& error) noexcept {
  fd = UniqueFd(::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int code = errno;
    struct stat link{};
    const bool is_absent = code == ENOENT && ::fstatat(folder, name, &link, AT_SYMLINK_NOFOLLOW) != 0;
    if (is_absent) return FetchState::kMissing;
    error = {"open", code};
    return FetchState::kError;
  }
  if (::fstat(fd.get(), &info) != 0) {
    error = {"stat", errno};
    return FetchState::kError;
  }
  if (!S_ISREG(info.st_mode)) {
    error = {"open", S_ISDIR(info.st_mode) ? EISDIR : EINVAL};
    return FetchState::kError;
  }
  return FetchState::kData;
}

// The files of a scale's shards, as one request sees them.
class Shards {
 public:
  explicit Shards(const ShardedScale& shared) noexcept : shared_(shared) {}

  // The folder's descriptor, opened when it is first asked for, as most reads need no more than a shard's; -1 where it
  // cannot be opened.
  [[nodiscard]] int folder() const noexcept {
    const std::lock_guard lock(folder_mutex_);
    if (!folder_ && open_error_ == 0) {
      folder_ = UniqueFd(::open(shared_.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!folder_) open_error_ = errno;
    }
    return folder_.get();
  }
  [[nodiscard]] int open_error() const noexcept {
    const std::lock_guard lock(folder_mutex_);
    return open_error_;
  }

  // Null when there is no memory for it; else look at its state.
  std::shared_ptr<const OpenShard> open(std::uint64_t shard) const {
    {
      const std::lock_guard lock(mutex_);
      const auto found = open_.find(shard);
      if (found != open_.end()) return found->second;
    }
    auto opened = std::make_shared<OpenShard>();
    look(shard, *opened);
    const std::lock_guard lock(mutex_);
    if (open_.size() >= kMaxOpenShards) open_.clear();
    // Another thread may have been faster; all of a request must see the same file.
    return open_.emplace(shard, std::move(opened)).first->second;
  }

  // The extent of a minishard's index; begin == end where there is none.
  bool extent(const OpenShard& file, const ShardLocation& at, IndexExtent& out, StoreError& error) const {
    const std::uint64_t page = at.minishard / ShardedScale::kPageEntries;
    const ShardIndexCache::Key key{shared_.number, true, at.shard, page};
    ShardIndexCache::Extents extents = shared_.cache->find_extents(key, file.stamp);
    if (!extents) {
      const ByteExtent where = shared_.page_extent(page);
      std::vector<std::byte> bytes(where.end - where.begin);
      const auto name = [&] { return shared_.shard_name(at.shard) + ": shard index"; };
      if (!read_exact(file.index.get(), bytes.data(), bytes.size(), where.begin, error.io)) {
        error.name = name();
        return false;
      }
      auto parsed = std::make_shared<std::vector<IndexExtent>>();
      error.status = shared_.parse_page(page, bytes, file.payload_bytes, *parsed);
      if (!error.status.ok()) {
        error.name = name();
        return false;
      }
      extents = std::move(parsed);
      shared_.cache->insert(key, file.stamp, extents);
    }
    out = (*extents)[at.minishard % ShardedScale::kPageEntries];
    return true;
  }

  // A minishard's index, sorted by id; null where it has none.
  bool entries(const OpenShard& file, const ShardLocation& at, ShardIndexCache::Entries& out, StoreError& error) const {
    out = nullptr;
    const ShardIndexCache::Key key{shared_.number, false, at.shard, at.minishard};
    out = shared_.cache->find_entries(key, file.stamp);
    if (out) return true;
    IndexExtent extent;
    if (!this->extent(file, at, extent, error)) return false;
    if (extent.begin == extent.end) return true;
    const auto fail = [&](const Status& status) {
      error.status = status;
      error.name = shared_.minishard_index_name(at);
      return false;
    };
    // Within the file, as was checked when the shard index was read.
    const std::uint64_t size = extent.end - extent.begin;
    if (const Status status = shared_.check_minishard_index_size(size); !status.ok()) return fail(status);
    std::vector<std::byte> bytes(size);
    if (!read_exact(file.data_fd(), bytes.data(), size, file.payload_offset + extent.begin, error.io)) return fail({});
    auto parsed = std::make_shared<std::vector<ShardEntry>>();
    const Status status = shared_.parse_minishard(bytes, file.payload_bytes, *parsed);
    if (!status.ok()) return fail(status);
    out = std::move(parsed);
    shared_.cache->insert(key, file.stamp, out);
    return true;
  }

 private:
  void look(std::uint64_t shard, OpenShard& out) const {
    struct stat info{};
    const std::string name = shared_.shard_name(shard);
    out.state = open_file(AT_FDCWD, (shared_.folder + '/' + name).c_str(), out.index, info, out.error);
    if (out.state != FetchState::kData) {
      // What is wrong may be the folder.
      out.error = {};
      const int folder = this->folder();
      if (folder < 0) {
        const int code = open_error();
        out.state = code == ENOENT ? FetchState::kMissing : FetchState::kError;
        if (code != ENOENT) out.error = {"open folder", code};
        return;
      }
      out.state = open_file(folder, name.c_str(), out.index, info, out.error);
    }
    if (out.state == FetchState::kError) return;
    if (out.state == FetchState::kMissing) {
      look_for_pair(shard, out);
      return;
    }
    out.stamp = stamp_of(info);
    out.index_bytes = shared_.index_bytes();
    out.payload_offset = out.index_bytes;
    if (out.stamp.size_bytes == 0) {
      out.state = FetchState::kMissing;
    } else if (out.stamp.size_bytes >= out.index_bytes) {
      out.payload_bytes = out.stamp.size_bytes - out.index_bytes;
    }
  }

  void look_for_pair(std::uint64_t shard, OpenShard& out) const {
    struct stat info{};
    out.state = open_file(folder(), shared_.shard_name(shard, ".index").c_str(), out.index, info, out.error);
    if (out.state != FetchState::kData) return;
    out.stamp = stamp_of(info);
    out.index_bytes = shared_.index_bytes();
    if (out.stamp.size_bytes == 0) {
      out.state = FetchState::kMissing;
      return;
    }
    out.state = open_file(folder(), shared_.shard_name(shard, ".data").c_str(), out.data, info, out.error);
    if (out.state == FetchState::kMissing) {
      out.state = FetchState::kError;  // an index without data
      out.error = {"open", ENOENT};
    }
    if (out.state != FetchState::kData) return;
    out.payload_bytes = static_cast<std::uint64_t>(info.st_size);
    // One stamp for both: a change of either is a change of it.
    const FileStamp data = stamp_of(info);
    out.stamp.inode ^= data.inode << 1;
    out.stamp.modified_ns ^= data.modified_ns << 1;
    out.stamp.changed_ns ^= data.changed_ns << 1;
  }

  const ShardedScale& shared_;
  mutable std::mutex folder_mutex_;
  mutable UniqueFd folder_;
  mutable int open_error_ = 0;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint64_t, std::shared_ptr<const OpenShard>> open_;
};

class ShardInFiles final : public ShardContents {
 public:
  ShardInFiles(const ShardedScale& scale, const Shards& shards, const OpenShard& shard, std::uint64_t number)
      : scale_(scale),
        shards_(shards),
        shard_(shard),
        number_(number) {}

  std::uint64_t payload_bytes() const override { return shard_.payload_bytes; }
  bool entries(std::uint64_t minishard, std::span<const ShardEntry>& out, StoreError& error) override {
    if (!shards_.entries(shard_, {number_, minishard}, entries_, error)) return false;
    out = entries_ ? std::span<const ShardEntry>(*entries_) : std::span<const ShardEntry>();
    return true;
  }
  bool read(const ShardEntry& entry, std::span<std::byte> to, StoreError& error) override {
    if (read_exact(shard_.data_fd(), to.data(), to.size(), shard_.payload_offset + entry.offset, error.io)) return true;
    error.name = scale_.shard_name(number_) + ": chunk " + std::to_string(entry.id);
    return false;
  }

 private:
  const ShardedScale& scale_;
  const Shards& shards_;
  const OpenShard& shard_;
  std::uint64_t number_;
  ShardIndexCache::Entries entries_;
};

class ShardedSession : public ChunkSession {
 public:
  explicit ShardedSession(std::shared_ptr<const ShardedScale> shared) : shared_(std::move(shared)), shards_(*shared_) {}

  FetchState open(const ChunkAddress& chunk, OpenedFile& file, StoreError& error) const override {
    std::shared_ptr<const OpenShard> shard;
    ShardEntry entry;
    const FetchState state = find(chunk, shard, entry, error);
    if (state != FetchState::kData) return state;
    file.shared_fd = shard->data_fd();
    file.keeper = std::move(shard);
    file.encoding = compression();
    file.offset = std::static_pointer_cast<const OpenShard>(file.keeper)->payload_offset + entry.offset;
    file.size_bytes = entry.size;
    return FetchState::kData;
  }

  FetchState exists(const ChunkAddress& chunk, StoreError& error) const override {
    std::shared_ptr<const OpenShard> shard;
    ShardEntry entry;
    return find(chunk, shard, entry, error);
  }

  std::string name_of(const ChunkAddress& chunk, ContentEncoding) const override { return shared_->chunk_title(chunk); }

  bool put(const ChunkAddress&, ContentEncoding, std::span<const std::byte>, bool, StoreError& error) const override {
    return refuse(error);
  }
  bool remove(const ChunkAddress&, StoreError& error) const override { return refuse(error); }
  bool sync_entries(StoreError& error) const override { return refuse(error); }

 protected:
  [[nodiscard]] ContentEncoding compression() const noexcept {
    return shared_->spec.gzip_data ? ContentEncoding::kGzip : ContentEncoding::kNone;
  }

  // kData for a shard that is there and as long as its index.
  FetchState open_shard(std::uint64_t number, std::shared_ptr<const OpenShard>& shard, StoreError& error) const {
    shard = shards_.open(number);
    if (shard->state == FetchState::kError) {
      error.io = shard->error;
      error.name = shared_->shard_name(number);
    }
    if (shard->state == FetchState::kData && shard->stamp.size_bytes < shard->index_bytes) {
      error.status = {Code::kTruncated, shard->stamp.size_bytes, shard->index_bytes, shard->stamp.size_bytes};
      error.name = shared_->shard_name(number) + ": shard index";
      return FetchState::kError;
    }
    return shard->state;
  }

  const std::shared_ptr<const ShardedScale> shared_;
  Shards shards_;

 private:
  static bool refuse(StoreError& error) {
    error.io = {"write", EBADF};  // a session that was begun to read
    return false;
  }

  FetchState find(const ChunkAddress& chunk, std::shared_ptr<const OpenShard>& shard, ShardEntry& out,
                  StoreError& error) const {
    const std::uint64_t id = shared_->id_of(chunk.grid_point);
    const ShardLocation at = shard_location(shared_->spec, id);
    const FetchState state = open_shard(at.shard, shard, error);
    if (state != FetchState::kData) return state;
    ShardIndexCache::Entries entries;
    if (!shards_.entries(*shard, at, entries, error)) return FetchState::kError;
    const ShardEntry* const entry = entries ? locate::find_entry(*entries, id) : nullptr;
    if (entry == nullptr) return FetchState::kMissing;
    out = *entry;
    return FetchState::kData;
  }
};

class ShardedWriteSession final : public ShardedSession {
 public:
  explicit ShardedWriteSession(const std::shared_ptr<const ShardedScale>& shared, bool merges)
      : ShardedSession(shared),
        folder_(shared->folder),
        merges_(merges) {}

  GroupState begin_group(const WriteGroup& group, const std::function<bool()>& poll, StoreError& error) override {
    group_.reset();
    error.name = shared_->shard_name(group.object);
    if (shards_.folder() < 0) {
      error.io = {"open folder", shards_.open_error()};
      return GroupState::kFailed;
    }
    if (!lock_.acquire(shards_.folder(), group.object, poll, error.io)) {
      return error.io.error == 0 ? GroupState::kCancelled : GroupState::kFailed;
    }
    group_.emplace(*shared_, group);
    if (!shared_->covers_shard(group) && !take_over(error)) return GroupState::kFailed;
    error = {};
    return GroupState::kReady;
  }

  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool,
           StoreError& error) const override {
    return group_->put(chunk, compression, bytes, error);
  }

  bool remove(const ChunkAddress& chunk, StoreError& error) const override { return group_->remove(chunk, error); }

  bool commit_group(bool sync, StoreError& error) override {
    const bool good = replace(sync, error);
    group_.reset();
    lock_.release();
    return good;
  }

  bool sync_entries(StoreError& error) const override { return folder_.sync_entries(error.io); }

 private:
  // Reads what a shard holds besides the group's chunks.
  bool take_over(StoreError& error) {
    std::shared_ptr<const OpenShard> shard;
    const FetchState state = open_shard(group_->shard(), shard, error);
    if (state != FetchState::kData) return state == FetchState::kMissing;
    ShardInFiles contents(*shared_, shards_, *shard, group_->shard());
    return group_->take_over(contents, merges_, error);
  }

  bool replace(bool sync, StoreError& error) {
    error.name = shared_->shard_name(group_->shard());
    const auto remove = [&](std::string_view ending) {
      const std::string name = shared_->shard_name(group_->shard(), ending);
      if (::unlinkat(shards_.folder(), name.c_str(), 0) == 0 || errno == ENOENT) return true;
      error.io = {"remove", errno};
      return false;
    };
    std::vector<std::span<const std::byte>> pieces;
    if (!group_->assemble(pieces, error)) return false;
    if (pieces.empty()) return remove(".shard") && remove(".index") && remove(".data");
    const std::string name = shared_->shard_name(group_->shard());
    if (!folder_.put(name, ContentEncoding::kNone, pieces, sync, error.io)) return false;
    return remove(".index") && remove(".data");
  }

  Folder folder_;
  bool merges_;
  ShardLock lock_;
  mutable std::optional<ShardGroup> group_;
};

class ShardedStore final : public ChunkStore {
 public:
  explicit ShardedStore(std::shared_ptr<const ShardedScale> shared) : shared_(std::move(shared)) {}

  std::unique_ptr<ChunkSession> read(const Attention&) const override {
    return std::make_unique<ShardedSession>(shared_);
  }
  std::unique_ptr<ChunkSession> write(bool merges, const Attention&) const override {
    return std::make_unique<ShardedWriteSession>(shared_, merges);
  }
  bool writes_in_groups() const noexcept override { return true; }

  std::vector<WriteGroup> groups(const Box3& grid_range) const override { return shared_->groups(grid_range); }

 private:
  std::shared_ptr<const ShardedScale> shared_;
};

}  // namespace

Box3 shard_grid_range(const ShardSpec& spec, const Int3& grid_size, const Int3& grid_point) noexcept {
  const int total = locate::morton_bits(grid_size);
  const int inside = std::min(spec.preshift_bits + spec.minishard_bits, total);
  if (spec.hash != locate::ShardHash::kIdentity || spec.shard_bits < total - inside) return {};
  // Ids that share their upper bits: each axis runs over all values of its lower bits.
  const std::uint64_t low = inside >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << inside) - 1;
  const std::uint64_t id = locate::compressed_morton_code(grid_point, grid_size);
  Box3 out{locate::morton_to_grid_point(id & ~low, grid_size), locate::morton_to_grid_point(id | low, grid_size)};
  for (int i = 0; i < 3; ++i) out.max[i] = std::min(out.max[i] + 1, grid_size[i]);
  return out;
}

std::shared_ptr<const ChunkStore> make_sharded_store(std::string folder, const ShardSpec& spec,
                                                     const locate::ChunkGrid& grid,
                                                     std::shared_ptr<ShardIndexCache> cache) {
  auto shared = std::make_shared<const ShardedScale>(std::move(folder), spec, grid, std::move(cache));
  return std::make_shared<ShardedStore>(std::move(shared));
}

}  // namespace cvfast::fetch
