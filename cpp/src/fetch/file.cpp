// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace cvfast::fetch {
namespace {

// Linux transfers at most 0x7ffff000 bytes a call; one GiB keeps every platform content.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

// A file name may have 255 bytes; a chunk name has at most 125, its suffix 5.
constexpr std::size_t kNameBytes = 256;

bool compose(char (&out)[kNameBytes], std::string_view name, const char* ending) noexcept {
  const std::size_t ending_size = std::strlen(ending);
  if (name.size() >= kNameBytes || name.size() + ending_size >= kNameBytes) return false;
  std::memcpy(out, name.data(), name.size());
  std::memcpy(out + name.size(), ending, ending_size + 1);
  return true;
}

bool is_absent(int error) noexcept { return error == ENOENT || error == ENOTDIR; }

#ifdef __APPLE__
const timespec& modified(const struct stat& info) noexcept { return info.st_mtimespec; }
const timespec& changed(const struct stat& info) noexcept { return info.st_ctimespec; }
#else
const timespec& modified(const struct stat& info) noexcept { return info.st_mtim; }
const timespec& changed(const struct stat& info) noexcept { return info.st_ctim; }
#endif

bool newer(const struct stat& a, const struct stat& b) noexcept {
  const timespec& ta = modified(a);
  const timespec& tb = modified(b);
  return ta.tv_sec != tb.tv_sec ? ta.tv_sec > tb.tv_sec : ta.tv_nsec > tb.tv_nsec;
}

// After this long, a change can no longer fall into the same tick of the file system's clock as the one before it:
// every file system keeps times to two seconds.
constexpr std::time_t kSettledSeconds = 2;

// Whether absence must be checked again: an object rewritten under another suffix appears there before its old copy is
// removed, and may do the first behind our back and the second in front of it.  Both change the folder's time; where
// its clock is not ours, the worst is a check too many or too few.
bool changed_lately(int folder) noexcept {
  struct stat info{};
  timespec now{};
  if (::fstat(folder, &info) != 0 || ::clock_gettime(CLOCK_REALTIME, &now) != 0) return true;
  return modified(info).tv_sec + kSettledSeconds >= now.tv_sec;
}

// A link whose target is not there (an annex that was not fetched, a lost mount) is not an absent object.
FetchState absent_or_dangling(int folder, std::string_view name, OpenedFile& file, IoError& error) noexcept {
  for (std::size_t i = 0; i < kSuffixes.size(); ++i) {
    char path[kNameBytes];
    struct stat info{};
    if (!compose(path, name, kSuffixes[i])) continue;
    if (::fstatat(folder, path, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode)) {
      file.encoding = static_cast<ContentEncoding>(i);
      error = {"open", ENOENT};
      return FetchState::kError;
    }
  }
  return FetchState::kMissing;
}

// Writes pieces one after the other, many a call.  Returns 0 or errno.
int write_all(int fd, std::span<const std::span<const std::byte>> pieces) noexcept {
  constexpr std::size_t kMaxPieces = 256;
  std::size_t done = 0;  // bytes of the first piece that are written
  while (!pieces.empty()) {
    iovec batch[kMaxPieces];
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < pieces.size() && count < kMaxPieces && bytes < kMaxTransfer; ++i) {
      const std::span<const std::byte> piece = i == 0 ? pieces[0].subspan(done) : pieces[i];
      const std::size_t size = std::min(piece.size(), kMaxTransfer - bytes);
      // writev does not write through it.
      batch[count++] = {const_cast<std::byte*>(piece.data()), size};
      bytes += size;
    }
    ssize_t put = ::writev(fd, batch, static_cast<int>(count));
    if (put < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    auto left = static_cast<std::size_t>(put);
    while (!pieces.empty() && left >= pieces[0].size() - done) {
      left -= pieces[0].size() - done;
      done = 0;
      pieces = pieces.subspan(1);
    }
    done += left;
  }
  return 0;
}

}  // namespace

void UniqueFd::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool read_exact(const OpenedFile& object, std::byte* out, std::size_t n, std::uint64_t offset,
                IoError& error) noexcept {
  if (object.memory == nullptr) return read_exact(object.descriptor(), out, n, object.offset + offset, error);
  if (n > 0) std::memcpy(out, object.memory + offset, n);
  return true;
}

bool read_exact(int fd, std::byte* out, std::size_t n, std::uint64_t offset, IoError& error) noexcept {
  while (n > 0) {
    const ssize_t got = ::pread(fd, out, std::min(n, kMaxTransfer), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      error = {"read", errno};
      return false;
    }
    if (got == 0) {
      error = {"size", 0};
      return false;
    }
    out += got;
    offset += static_cast<std::uint64_t>(got);
    n -= static_cast<std::size_t>(got);
  }
  return true;
}

// Locks are only tried: whoever does not get one looks the object up, and so does a forked child whose parent held the
// lock in a thread that the child does not have.
std::uint64_t FolderMemory::refresh(int folder) noexcept {
  struct stat info{};
  timespec now{};
  if (::fstat(folder, &info) != 0 || ::clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
  const timespec& time = changed(info);
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return 0;
  const bool is_same = state_ != 0 && device_ == static_cast<std::uint64_t>(info.st_dev) &&
                       inode_ == static_cast<std::uint64_t>(info.st_ino) && changed_.tv_sec == time.tv_sec &&
                       changed_.tv_nsec == time.tv_nsec;
  if (!is_same) {
    known_.clear();
    device_ = static_cast<std::uint64_t>(info.st_dev);
    inode_ = static_cast<std::uint64_t>(info.st_ino);
    changed_ = time;
    ++state_;
  }
  return time.tv_sec + kSettledSeconds < now.tv_sec ? state_ : 0;
}

bool FolderMemory::find(const std::string& name, std::uint64_t state, ContentEncoding& encoding) const noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || state != state_) return false;
  const auto found = known_.find(name);
  if (found == known_.end()) return false;
  encoding = found->second;
  return true;
}

void FolderMemory::learn(const std::string& name, std::uint64_t state, ContentEncoding encoding) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || state != state_) return;
  try {
    if (known_.size() >= kMaxNames) known_.clear();
    known_.insert_or_assign(name, encoding);
  } catch (...) {
    known_.clear();  // what is not remembered is looked up
  }
}

Folder::Folder(const std::string& path, FolderMemory* memory)
    : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!fd_) {
    open_error_ = errno;
  } else if (memory != nullptr) {
    state_ = memory->refresh(fd_.get());
    if (state_ != 0) memory_ = memory;
  }
}

// Opens the one copy that an object is known to have; kMissing sends the caller looking.
FetchState Folder::open_known(std::string_view name, OpenedFile& file) const noexcept {
  try {
    ContentEncoding encoding{};
    if (!memory_->find(std::string(name), state_, encoding)) return FetchState::kMissing;
    return open_copy(name, encoding, file);
  } catch (...) {
    return FetchState::kMissing;
  }
}

// The same for one that had a single copy when the folder was listed.
FetchState Folder::open_listed(std::string_view name, const FolderNames& names, OpenedFile& file) const noexcept {
  int chosen = -1;
  for (int i = 0; i < static_cast<int>(kSuffixes.size()); ++i) {
    char path[kNameBytes];
    if (!compose(path, name, kSuffixes[i]) || !names.contains(path)) continue;
    if (chosen >= 0) return FetchState::kMissing;
    chosen = i;
  }
  return chosen < 0 ? FetchState::kMissing : open_copy(name, static_cast<ContentEncoding>(chosen), file);
}

FetchState Folder::open_copy(std::string_view name, ContentEncoding encoding, OpenedFile& file) const noexcept {
  char path[kNameBytes];
  struct stat info{};
  if (!compose(path, name, suffix(encoding))) return FetchState::kMissing;
  UniqueFd fd(::openat(fd_.get(), path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return FetchState::kMissing;
  file.fd = std::move(fd);
  file.encoding = encoding;
  file.size_bytes = static_cast<std::uint64_t>(info.st_size);
  return FetchState::kData;
}

FetchState Folder::open(std::string_view name, OpenedFile& file, IoError& error,
                        const FolderNames* names) const noexcept {
  if (!fd_) {
    // A folder whose path runs through a file is a mistake to be told, unlike one that is simply not there.
    if (open_error_ == ENOENT) return FetchState::kMissing;
    error = {"open folder", open_error_};
    return FetchState::kError;
  }
  if (names != nullptr && open_listed(name, *names, file) == FetchState::kData) return FetchState::kData;
  if (memory_ != nullptr && open_known(name, file) == FetchState::kData) return FetchState::kData;
  // Another process may rename or remove between stat and open; then look again.
  bool was_empty = false;
  for (int attempt = 0; attempt < 8; ++attempt) {
    char path[kNameBytes];
    struct stat best{};
    int chosen = -1;
    int copies = 0;
    for (int i = 0; i < static_cast<int>(kSuffixes.size()); ++i) {
      struct stat info{};
      if (!compose(path, name, kSuffixes[i])) {
        error = {"open", ENAMETOOLONG};
        return FetchState::kError;
      }
      if (::fstatat(fd_.get(), path, &info, 0) != 0) {
        if (is_absent(errno)) continue;
        error = {"stat", errno};
        return FetchState::kError;
      }
      ++copies;
      if (chosen < 0 || newer(info, best)) {
        best = info;
        chosen = i;
      }
    }
    if (chosen < 0) {
      if (was_empty || !changed_lately(fd_.get())) return absent_or_dangling(fd_.get(), name, file, error);
      was_empty = true;
      continue;
    }
    was_empty = false;
    file.encoding = static_cast<ContentEncoding>(chosen);
    // Opening a FIFO or a device could block for ever.
    if (!S_ISREG(best.st_mode)) {
      error = {"open", S_ISDIR(best.st_mode) ? EISDIR : EINVAL};
      return FetchState::kError;
    }
    (void)compose(path, name, kSuffixes[chosen]);
    UniqueFd fd(::openat(fd_.get(), path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
      if (is_absent(errno)) continue;
      error = {"open", errno};
      return FetchState::kError;
    }
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) {
      error = {"stat", errno};
      return FetchState::kError;
    }
    file.fd = std::move(fd);
    file.size_bytes = static_cast<std::uint64_t>(info.st_size);
    if (memory_ != nullptr && copies == 1) {
      try {
        memory_->learn(std::string(name), state_, file.encoding);
      } catch (...) {  // no memory for the name
      }
    }
    return FetchState::kData;
  }
  error = {"open", EAGAIN};
  return FetchState::kError;
}

FetchState Folder::exists(std::string_view name, IoError& error) const noexcept {
  if (!fd_) {
    if (open_error_ == ENOENT) return FetchState::kMissing;
    error = {"open folder", open_error_};
    return FetchState::kError;
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt > 0 && !changed_lately(fd_.get())) break;
    for (const char* ending : kSuffixes) {
      char path[kNameBytes];
      struct stat info{};
      if (!compose(path, name, ending)) {
        error = {"stat", ENAMETOOLONG};
        return FetchState::kError;
      }
      if (::fstatat(fd_.get(), path, &info, 0) == 0) return FetchState::kData;
      if (!is_absent(errno)) {
        error = {"stat", errno};
        return FetchState::kError;
      }
    }
  }
  return FetchState::kMissing;
}

std::unique_ptr<const FolderNames> FolderNames::list(const std::string& path, std::size_t most) noexcept {
  try {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder) return nullptr;
    auto out = std::make_unique<FolderNames>();
    while (true) {
      errno = 0;
      const dirent* const entry = ::readdir(folder.get());
      if (entry == nullptr) break;
      if (out->names_.size() > most) return nullptr;
      out->names_.emplace(entry->d_name);
    }
    if (errno != 0) return nullptr;
    return out;
  } catch (...) {
    return nullptr;
  }
}

bool Folder::has(const char* name, const FolderNames* names) const noexcept {
  if (names != nullptr) return names->contains(name);
  struct stat info{};
  return ::fstatat(fd_.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0 || !is_absent(errno);
}

// Writes a file that has no name and links it in: a change of the folder less than renaming takes, and nothing is left
// behind whatever happens.  kNotLinked where the name is taken by now, or where the system or file system does not do
// this.
Folder::Linked Folder::put_new(const char* target, std::span<const std::span<const std::byte>> pieces, bool sync,
                               IoError& error) const noexcept {
#ifdef O_TMPFILE
  constexpr mode_t kMode = 0666;
  UniqueFd fd(::openat(fd_.get(), ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, kMode));
  if (!fd) return Linked::kNotLinked;
  // Kernels before 5.19 do not apply the mask to such files on every file system.  Where one was right, all are.
  const std::atomic_ref<bool> masks(masks_);  // relaxed: at worst one file more is looked at
  if (!masks.load(std::memory_order_relaxed)) {
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0 || (info.st_mode & kMode) == kMode) return Linked::kNotLinked;
    masks.store(true, std::memory_order_relaxed);
  }
  if (const int code = write_all(fd.get(), pieces); code != 0) {
    error = {"write", code};
    return Linked::kFailed;
  }
  if (sync && ::fsync(fd.get()) != 0) {
    error = {"fsync", errno};
    return Linked::kFailed;
  }
  // By the descriptor, which older kernels allow the superuser only; by its name elsewhere.
  if (::linkat(fd.get(), "", fd_.get(), target, AT_EMPTY_PATH) != 0) {
    if (errno == EEXIST) return Linked::kNotLinked;
    char path[32];
    (void)std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd.get());
    if (::linkat(AT_FDCWD, path, fd_.get(), target, AT_SYMLINK_FOLLOW) != 0) return Linked::kNotLinked;
  }
  return Linked::kLinked;
#else
  (void)target, (void)pieces, (void)sync, (void)error;
  return Linked::kNotLinked;
#endif
}

bool Folder::replace(std::string_view name, const char* target, std::span<const std::span<const std::byte>> pieces,
                     bool sync, IoError& error) const noexcept {
  // Process id and a counter make the name ours; O_EXCL catches what a dead process with our id left behind.
  static std::atomic<std::uint64_t> counter{0};
  char temporary[kNameBytes];
  UniqueFd fd;
  do {
    const unsigned long long serial = counter.fetch_add(1, std::memory_order_relaxed);
    const int length = std::snprintf(temporary, sizeof(temporary), ".%.*s.%ld-%llu.tmp", static_cast<int>(name.size()),
                                     name.data(), static_cast<long>(::getpid()), serial);
    if (length < 0 || static_cast<std::size_t>(length) >= sizeof(temporary)) {
      error = {"open", ENAMETOOLONG};
      return false;
    }
    fd = UniqueFd(::openat(fd_.get(), temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  } while (!fd && errno == EEXIST);
  if (!fd) {
    error = {"create", errno};
    return false;
  }
  const auto abandon = [&](const char* call, int code) {
    fd.reset();
    ::unlinkat(fd_.get(), temporary, 0);
    error = {call, code};
    return false;
  };
  if (const int code = write_all(fd.get(), pieces); code != 0) return abandon("write", code);
  if (sync && ::fsync(fd.get()) != 0) return abandon("fsync", errno);
  // close() is where some network file systems report a full disk.
  if (::close(fd.release()) != 0 && errno != EINTR) return abandon("close", errno);
  if (::renameat(fd_.get(), temporary, fd_.get(), target) != 0) return abandon("rename", errno);
  return true;
}

bool Folder::put(std::string_view name, ContentEncoding encoding, const std::byte* data, std::size_t size_bytes,
                 bool sync, IoError& error, const FolderNames* names) const noexcept {
  const std::span<const std::byte> whole(data, size_bytes);
  return put(name, encoding, std::span(&whole, 1), sync, error, names);
}

bool Folder::put(std::string_view name, ContentEncoding encoding, std::span<const std::span<const std::byte>> pieces,
                 bool sync, IoError& error, const FolderNames* names) const noexcept {
  if (!fd_) {
    error = {"open folder", open_error_};
    return false;
  }
  char target[kNameBytes];
  if (!compose(target, name, suffix(encoding))) {
    error = {"open", ENAMETOOLONG};
    return false;
  }
  const Linked linked = has(target, names) ? Linked::kNotLinked : put_new(target, pieces, sync, error);
  if (linked == Linked::kFailed) return false;
  if (linked == Linked::kNotLinked && !replace(name, target, pieces, sync, error)) return false;
  for (const char* ending : kSuffixes) {
    char sibling[kNameBytes];
    // Looked up first: to remove what is not there, too, takes the folder's lock, for which other threads wait.
    if (!compose(sibling, name, ending) || std::strcmp(sibling, target) == 0 || !has(sibling, names)) continue;
    if (::unlinkat(fd_.get(), sibling, 0) != 0 && !is_absent(errno)) {
      error = {"remove", errno};
      return false;
    }
  }
  return true;
}

bool Folder::remove(std::string_view name, IoError& error) const noexcept {
  if (!fd_) {
    if (open_error_ == ENOENT) return true;
    error = {"open folder", open_error_};
    return false;
  }
  for (const char* ending : kSuffixes) {
    char path[kNameBytes];
    if (!compose(path, name, ending)) {
      error = {"remove", ENAMETOOLONG};
      return false;
    }
    if (::unlinkat(fd_.get(), path, 0) != 0 && !is_absent(errno)) {
      error = {"remove", errno};
      return false;
    }
  }
  return true;
}

bool Folder::sync_entries(IoError& error) const noexcept {
  if (::fsync(fd_.get()) == 0) return true;
  error = {"fsync folder", errno};
  return false;
}

}  // namespace cvfast::fetch
