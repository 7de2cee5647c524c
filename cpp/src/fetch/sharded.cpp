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
#include <chrono>
#include <limits>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "cvfast/core/checked.hpp"
#include "cvfast/decode/gzip.hpp"
#include "cvfast/fetch/shard_assembly.hpp"
#include "cvfast/locate/morton.hpp"

namespace cvfast::fetch {
namespace {

using locate::IndexExtent;
using locate::ShardEntry;
using locate::ShardLocation;
using locate::ShardSpec;

// Entries of a shard index that are read at once.  Only a minishard_bits above 16 makes more than one page.
constexpr std::uint64_t kPageEntries = std::uint64_t{1} << 16;
// Shards that a request keeps open; a request that walks over more of them opens some again.
constexpr std::size_t kMaxOpenShards = 64;
constexpr const char* kLockName = ".shards.lock";

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

// What all requests to one sharded scale share.
struct Shared {
  std::string folder;
  ShardSpec spec;
  locate::ChunkGrid grid;
  Int3 grid_size{};
  std::uint64_t num_chunks = 0;  // what a minishard can hold at most
  std::shared_ptr<ShardIndexCache> cache;
  std::uint32_t number = 0;  // in the cache

  [[nodiscard]] std::uint64_t id_of(const Int3& grid_point) const noexcept {
    return locate::compressed_morton_code(grid_point, grid_size);
  }
  // Saturating: no file has so large an index.
  [[nodiscard]] std::uint64_t index_bytes() const noexcept {
    return spec.minishard_bits >= 59 ? std::numeric_limits<std::uint64_t>::max()
                                     : locate::kShardIndexEntryBytes << spec.minishard_bits;
  }
  [[nodiscard]] std::string shard_name(std::uint64_t shard, std::string_view ending = ".shard") const {
    char buffer[locate::kShardNameBytes];
    return std::string(locate::shard_name(spec, shard, ending, buffer));
  }
};

// The files of a scale's shards, as one request sees them.
class Shards {
 public:
  explicit Shards(const Shared& shared)
      : shared_(shared),
        folder_(::open(shared.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!folder_) open_error_ = errno;
  }

  [[nodiscard]] int folder() const noexcept { return folder_.get(); }
  [[nodiscard]] int open_error() const noexcept { return open_error_; }

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
    const std::uint64_t page = at.minishard / kPageEntries;
    const ShardIndexCache::Key key{shared_.number, true, at.shard, page};
    ShardIndexCache::Extents extents = shared_.cache->find_extents(key, file.stamp);
    if (!extents) {
      const std::uint64_t begin = page * kPageEntries * locate::kShardIndexEntryBytes;
      const std::uint64_t size = std::min(kPageEntries * locate::kShardIndexEntryBytes, file.index_bytes - begin);
      std::vector<std::byte> bytes(size);
      const auto where = [&] { return shared_.shard_name(at.shard) + ": shard index"; };
      if (!read_exact(file.index.get(), bytes.data(), size, begin, error.io)) {
        error.name = where();
        return false;
      }
      auto parsed = std::make_shared<std::vector<IndexExtent>>();
      error.status = locate::parse_shard_index(bytes, file.payload_bytes, *parsed);
      if (!error.status.ok()) {
        error.status.offset += begin;
        error.name = where();
        return false;
      }
      extents = std::move(parsed);
      shared_.cache->insert(key, file.stamp, extents);
    }
    out = (*extents)[at.minishard % kPageEntries];
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
      error.name = shared_.shard_name(at.shard) + ": minishard " + std::to_string(at.minishard) + " index";
      return false;
    };
    // Within the file, as was checked when the shard index was read.
    const std::uint64_t size = extent.end - extent.begin;
    const std::uint64_t limit = shared_.num_chunks * locate::kMinishardEntryBytes;
    if (size / 2 > limit + 64) return fail({Code::kTooLarge, 0, limit, size});
    std::vector<std::byte> bytes(size);
    if (!read_exact(file.data_fd(), bytes.data(), size, file.payload_offset + extent.begin, error.io)) return fail({});
    if (shared_.spec.gzip_minishard_index) {
      std::vector<std::byte> inflated;
      const Status status = decode::gzip::decompress(bytes, limit, inflated);
      if (!status.ok()) return fail(status);
      bytes.swap(inflated);
    } else if (size > limit) {
      return fail({Code::kTooLarge, 0, limit, size});
    }
    auto parsed = std::make_shared<std::vector<ShardEntry>>();
    const Status status = locate::parse_minishard_index(bytes, file.payload_bytes, *parsed);
    if (!status.ok()) return fail(status);
    out = std::move(parsed);
    shared_.cache->insert(key, file.stamp, out);
    return true;
  }

 private:
  void look(std::uint64_t shard, OpenShard& out) const {
    if (!folder_) {
      if (open_error_ == ENOENT) return;
      out.state = FetchState::kError;
      out.error = {"open folder", open_error_};
      return;
    }
    struct stat info{};
    out.state = open_file(folder_.get(), shared_.shard_name(shard).c_str(), out.index, info, out.error);
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
    out.state = open_file(folder_.get(), shared_.shard_name(shard, ".index").c_str(), out.index, info, out.error);
    if (out.state != FetchState::kData) return;
    out.stamp = stamp_of(info);
    out.index_bytes = shared_.index_bytes();
    if (out.stamp.size_bytes == 0) {
      out.state = FetchState::kMissing;
      return;
    }
    out.state = open_file(folder_.get(), shared_.shard_name(shard, ".data").c_str(), out.data, info, out.error);
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

  const Shared& shared_;
  UniqueFd folder_;
  int open_error_ = 0;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint64_t, std::shared_ptr<const OpenShard>> open_;
};

class ShardedSession : public ChunkSession {
 public:
  explicit ShardedSession(std::shared_ptr<const Shared> shared) : shared_(std::move(shared)), shards_(*shared_) {}

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

  std::string name_of(const ChunkAddress& chunk, ContentEncoding) const override {
    const std::uint64_t id = shared_->id_of(chunk.grid_point);
    const ShardLocation at = shard_location(shared_->spec, id);
    return shared_->shard_name(at.shard) + ": minishard " + std::to_string(at.minishard) + ", chunk " +
           std::to_string(id) + " (" + std::string(chunk.name) + ")";
  }

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

  const std::shared_ptr<const Shared> shared_;
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

// A lock on a shard, against other processes and other sessions of this one.
class ShardLock {
 public:
  // false: `error` is filled in, or (error 0) poll gave up.
  bool acquire(int folder, std::uint64_t shard, const std::function<bool()>& poll, IoError& error) {
    fd_ = UniqueFd(::openat(folder, kLockName, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (!fd_) {
      error = {"create", errno};
      return false;
    }
    auto wait = std::chrono::microseconds(200);
    for (;;) {
      const int code = try_lock(shard);
      if (code == 0) return true;
      // Some network and container file systems have no locks; then callers must agree among themselves.
      if (code == ENOLCK || code == ENOTSUP || code == ENOSYS || code == EINVAL) return true;
      if (code != EAGAIN && code != EACCES && code != EWOULDBLOCK && code != EINTR) {
        error = {"lock", code};
        return false;
      }
      if (!poll()) {
        error = {};
        return false;
      }
      std::this_thread::sleep_for(wait);
      wait = std::min<std::chrono::microseconds>(wait * 2, std::chrono::milliseconds(20));
    }
  }
  void release() noexcept { fd_.reset(); }

 private:
  int try_lock(std::uint64_t shard) const noexcept {
#ifdef F_OFD_SETLK
    // One byte a shard.  Open file description locks belong to the descriptor, hence hold between threads as well.
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(shard & ((std::uint64_t{1} << 62) - 1));
    lock.l_len = 1;
    return ::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0 ? 0 : errno;
#else
    (void)shard;
    return ::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
#endif
  }

  UniqueFd fd_;
};

class ShardedWriteSession final : public ShardedSession {
 public:
  explicit ShardedWriteSession(const std::shared_ptr<const Shared>& shared, bool merges)
      : ShardedSession(shared),
        folder_(shared->folder),
        merges_(merges) {}

  GroupState begin_group(const WriteGroup& group, const std::function<bool()>& poll, StoreError& error) override {
    group_ = {};
    error.name = shared_->shard_name(group.object);
    if (shards_.folder() < 0) {
      error.io = {"open folder", shards_.open_error()};
      return GroupState::kFailed;
    }
    if (!lock_.acquire(shards_.folder(), group.object, poll, error.io)) {
      return error.io.error == 0 ? GroupState::kCancelled : GroupState::kFailed;
    }
    group_.shard = group.object;
    group_.ids.reserve(group.grid_points.size());
    for (const Int3& point : group.grid_points) group_.ids.push_back(shared_->id_of(point));
    group_.puts.resize(group_.ids.size());
    if (!covers_shard(group) && !take_over(error)) return GroupState::kFailed;
    error = {};
    return GroupState::kReady;
  }

  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool,
           StoreError& error) const override {
    const std::optional<std::size_t> at = index_of(chunk);
    if (!at || compression != this->compression()) {
      error.io = {"write", EINVAL};
      error.name = name_of(chunk, compression);
      return false;
    }
    group_.puts[*at].emplace(bytes.begin(), bytes.end());
    return true;
  }

  bool remove(const ChunkAddress& chunk, StoreError& error) const override {
    const std::optional<std::size_t> at = index_of(chunk);
    if (!at) {
      error.io = {"write", EINVAL};
      error.name = name_of(chunk, ContentEncoding::kNone);
      return false;
    }
    group_.puts[*at].reset();
    return true;
  }

  bool commit_group(bool sync, StoreError& error) override {
    const bool good = replace(sync, error);
    group_ = {};
    lock_.release();
    return good;
  }

  bool sync_entries(StoreError& error) const override { return folder_.sync_entries(error.io); }

 private:
  struct Group {
    std::uint64_t shard = 0;
    std::vector<std::uint64_t> ids;                           // ascending
    std::vector<std::optional<std::vector<std::byte>>> puts;  // none: removed
    std::vector<ShardEntry> kept;                             // what the shard holds besides
    std::vector<std::vector<std::byte>> kept_bytes;
  };

  // Different chunks are put by different threads; each touches its own element.
  [[nodiscard]] std::optional<std::size_t> index_of(const ChunkAddress& chunk) const noexcept {
    const std::uint64_t id = shared_->id_of(chunk.grid_point);
    const auto found = std::lower_bound(group_.ids.begin(), group_.ids.end(), id);
    if (found == group_.ids.end() || *found != id) return std::nullopt;
    return static_cast<std::size_t>(found - group_.ids.begin());
  }

  [[nodiscard]] bool covers_shard(const WriteGroup& group) const noexcept {
    const Box3 range = shard_grid_range(shared_->spec, shared_->grid_size, group.grid_points.front());
    if (range.empty()) return group.grid_points.size() == shared_->num_chunks;
    const Int3 shape = range.shape();
    const auto count = checked_product({shape[0], shape[1], shape[2]});
    return count && static_cast<std::uint64_t>(*count) == group.grid_points.size();
  }

  // Reads what a shard holds besides the group's chunks.
  bool take_over(StoreError& error) {
    std::shared_ptr<const OpenShard> shard;
    const FetchState state = open_shard(group_.shard, shard, error);
    if (state != FetchState::kData) return state == FetchState::kMissing;
    const std::uint64_t num_minishards = shard->index_bytes / locate::kShardIndexEntryBytes;
    std::uint64_t total = 0;
    for (std::uint64_t minishard = 0; minishard < num_minishards; ++minishard) {
      ShardIndexCache::Entries entries;
      if (!shards_.entries(*shard, {group_.shard, minishard}, entries, error)) return false;
      if (!entries) continue;
      for (const ShardEntry& entry : *entries) {
        if (std::binary_search(group_.ids.begin(), group_.ids.end(), entry.id)) continue;
        const ShardLocation at = shard_location(shared_->spec, entry.id);
        total += entry.size;
        // Entries of one minishard do not overlap; those of two must not either, or a small file asks for much memory.
        if (!(at == ShardLocation{group_.shard, minishard}) || total > shard->payload_bytes) {
          error.name = shared_->shard_name(group_.shard) + ": minishard " + std::to_string(minishard) +
                       " index, chunk " + std::to_string(entry.id);
          error.status = {Code::kBadValue, 0, shard->payload_bytes, total};
          return false;
        }
        group_.kept.push_back(entry);
      }
    }
    if (group_.kept.empty()) return true;
    if (!merges_) {
      error.status = {Code::kInvalidArgument, 0, group_.ids.size(), group_.ids.size() + group_.kept.size()};
      error.name = shared_->shard_name(group_.shard);
      return false;
    }
    std::sort(group_.kept.begin(), group_.kept.end(),
              [](const ShardEntry& a, const ShardEntry& b) { return a.offset < b.offset; });
    group_.kept_bytes.resize(group_.kept.size());
    for (std::size_t i = 0; i < group_.kept.size(); ++i) {
      const ShardEntry& entry = group_.kept[i];
      group_.kept_bytes[i].resize(entry.size);
      if (!read_exact(shard->data_fd(), group_.kept_bytes[i].data(), entry.size, shard->payload_offset + entry.offset,
                      error.io)) {
        error.name = shared_->shard_name(group_.shard) + ": chunk " + std::to_string(entry.id);
        return false;
      }
    }
    return true;
  }

  bool replace(bool sync, StoreError& error) {
    error.name = shared_->shard_name(group_.shard);
    std::vector<ShardDatum> data;
    data.reserve(group_.ids.size() + group_.kept.size());
    for (std::size_t i = 0; i < group_.ids.size(); ++i) {
      if (group_.puts[i]) data.push_back({group_.ids[i], *group_.puts[i]});
    }
    for (std::size_t i = 0; i < group_.kept.size(); ++i) data.push_back({group_.kept[i].id, group_.kept_bytes[i]});
    const auto remove = [&](std::string_view ending) {
      if (::unlinkat(shards_.folder(), shared_->shard_name(group_.shard, ending).c_str(), 0) == 0 || errno == ENOENT) {
        return true;
      }
      error.io = {"remove", errno};
      return false;
    };
    if (data.empty()) return remove(".shard") && remove(".index") && remove(".data");
    AssembledShard assembled;
    error.status = assemble_shard(shared_->spec, data, assembled);
    if (!error.status.ok()) return false;
    std::vector<std::span<const std::byte>> pieces;
    pieces.reserve(data.size() + 2);
    pieces.emplace_back(assembled.index);
    for (const std::size_t i : assembled.order) pieces.push_back(data[i].bytes);
    pieces.emplace_back(assembled.minishard_indexes);
    if (!folder_.put(shared_->shard_name(group_.shard), ContentEncoding::kNone, pieces, sync, error.io)) return false;
    return remove(".index") && remove(".data");
  }

  Folder folder_;
  bool merges_;
  ShardLock lock_;
  mutable Group group_;
};

class ShardedStore final : public ChunkStore {
 public:
  explicit ShardedStore(std::shared_ptr<const Shared> shared) : shared_(std::move(shared)) {}

  std::unique_ptr<ChunkSession> read() const override { return std::make_unique<ShardedSession>(shared_); }
  std::unique_ptr<ChunkSession> write(bool merges) const override {
    return std::make_unique<ShardedWriteSession>(shared_, merges);
  }
  bool writes_in_groups() const noexcept override { return true; }

  std::vector<WriteGroup> groups(const Box3& grid_range) const override {
    const Int3 shape = grid_range.shape();
    const auto n = checked_product({shape[0], shape[1], shape[2]});
    if (!n || static_cast<std::uint64_t>(*n) > std::vector<Placed>().max_size()) throw std::bad_alloc();
    std::vector<Placed> placed(static_cast<std::size_t>(*n));
    for (std::size_t i = 0; i < placed.size(); ++i) {
      const Int3 point = locate::grid_point_at(grid_range, static_cast<std::int64_t>(i));
      const std::uint64_t id = shared_->id_of(point);
      placed[i] = {shard_location(shared_->spec, id).shard, id, point};
    }
    std::sort(placed.begin(), placed.end(),
              [](const Placed& a, const Placed& b) { return a.shard != b.shard ? a.shard < b.shard : a.id < b.id; });
    std::vector<WriteGroup> out;
    for (const Placed& chunk : placed) {
      if (out.empty() || out.back().object != chunk.shard) out.push_back({chunk.shard, {}});
      out.back().grid_points.push_back(chunk.grid_point);
    }
    return out;
  }

 private:
  struct Placed {
    std::uint64_t shard = 0;
    std::uint64_t id = 0;
    Int3 grid_point{};
  };

  std::shared_ptr<const Shared> shared_;
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
  auto shared = std::make_shared<Shared>();
  shared->number = cache->intern(folder, spec);
  shared->folder = std::move(folder);
  shared->spec = spec;
  shared->grid = grid;
  shared->grid_size = grid.grid_size();
  const Int3& size = shared->grid_size;
  shared->num_chunks =
      static_cast<std::uint64_t>(checked_product({size[0], size[1], size[2]})
                                     .value_or(INT64_MAX / static_cast<std::int64_t>(locate::kMinishardEntryBytes)));
  shared->cache = std::move(cache);
  return std::make_shared<ShardedStore>(std::move(shared));
}

}  // namespace cvfast::fetch
