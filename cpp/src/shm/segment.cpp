// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/shm/segment.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <iterator>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "cvfast/runtime/thread_pool.hpp"
#include "cvfast/shm/chunk_ledger.hpp"
#include "cvfast/shm/process.hpp"

namespace cvfast::shm {
namespace {

constexpr std::size_t kLeastKept = std::size_t{1} << 20;

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// How often this process has forked since the library was loaded, and in its ancestors.
std::atomic<std::uint64_t> forks{0};
std::atomic<std::uint64_t> next_number{0};

struct KeptSegment {
  std::byte* data;
  std::size_t size;
  std::size_t mapped;
  int fd;
  std::string name;
  std::uint64_t forks;
};

// Leaked, as arrays may be freed while the process ends.  A forked child drops what its parent keeps, without touching
// the names: they are the parent's.
struct MadeSegment {
  std::weak_ptr<Segment> segment;
  std::shared_ptr<Segment> held;  // mapped on although nobody here uses it, until its name goes
};

struct Kept {
  std::mutex mutex;
  std::vector<KeptSegment> segments;
  std::size_t total = 0;
  std::unordered_map<std::string, MadeSegment> made;  // by this process, under names for users
  std::size_t held = 0;
};
std::atomic<Kept*> current_kept{nullptr};

// Of the names of all segments here, which few threads change and seldom.  Kept::mutex is never taken under it.
std::mutex names_mutex;

void watch_forks() noexcept {
  // A fork holds the lock, lest a child inherits one that nobody will release.
  static const int registered = ::pthread_atfork([] { names_mutex.lock(); },
                                                 [] {
                                                   names_mutex.unlock();
                                                   forks.fetch_add(1, std::memory_order_relaxed);
                                                 },
                                                 [] {
                                                   names_mutex.unlock();
                                                   forks.fetch_add(1, std::memory_order_relaxed);
                                                   current_kept.store(nullptr, std::memory_order_relaxed);
                                                 });
  (void)registered;
}

void remove_name(const std::string& name) noexcept;

Kept* kept() {
  Kept* have = current_kept.load(std::memory_order_acquire);  // pairs with the exchange below
  if (have != nullptr) return have;
  watch_forks();
  static const int at_exit = std::atexit([] { release_kept(); });
  (void)at_exit;
  auto* const made = new Kept;
  if (current_kept.compare_exchange_strong(have, made, std::memory_order_acq_rel)) return made;
  delete made;
  return have;
}

std::string path_of(const std::string& name) { return folder() + name; }

bool is_posix() {
  static const bool is = folder() == "/dev/shm/";
  return is;
}

int open_name(const std::string& name, int flags) {
  for (;;) {
    const int fd = is_posix() ? ::shm_open(("/" + name).c_str(), flags, 0600)
                              : ::open(path_of(name).c_str(), flags | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

void remove_name(const std::string& name) noexcept {
  try {
    if (is_posix()) {
      (void)::shm_unlink(("/" + name).c_str());
    } else {
      (void)::unlink(path_of(name).c_str());
    }
  } catch (const std::bad_alloc&) {  // the next clean-up finds it
    return;
  }
}

// 0, or errno.
int reserve(int fd, std::uint64_t begin, std::uint64_t end) noexcept {
  if (end <= begin) return 0;
#if defined(__APPLE__)
  return available_bytes() < end - begin ? ENOSPC : (::ftruncate(fd, static_cast<off_t>(end)) == 0 ? 0 : errno);
#else
  for (;;) {
    const int error = ::posix_fallocate(fd, static_cast<off_t>(begin), static_cast<off_t>(end - begin));
    if (error != EINTR) return error;
  }
#endif
}

// Maps the file where a huge page of it can be one of the page table.
std::byte* map(int fd, std::size_t size, bool is_writable) noexcept {
  if (size == 0) return nullptr;
  const int access = PROT_READ | (is_writable ? PROT_WRITE : 0);
  if (size >= kHugePage) {
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t length = (size + page - 1) / page * page;
    void* const room =
        ::mmap(nullptr, length + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room != MAP_FAILED) {
      auto* const begin = static_cast<std::byte*>(room);
      const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
      if (::mmap(begin + before, size, access, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED) {
        if (before != 0) (void)::munmap(begin, before);
        if (before != kHugePage) (void)::munmap(begin + before + length, kHugePage - before);
        return begin + before;
      }
      const int error = errno;
      (void)::munmap(begin, length + kHugePage);
      errno = error;
      return nullptr;
    }
  }
  void* const memory = ::mmap(nullptr, size, access, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

#if defined(__linux__)

constexpr std::size_t kLeastHuge = 2 * kHugePage;
// Of one call.  Each makes all processors empty their lists of pages first, so it should not be short.
constexpr std::size_t kMostPiece = 4 * kHugePage;
// Processor time of what small pages cost.  Huge ones usually take a fifth of it; but four times as much where memory
// has to be moved about to make them, or a virtual machine has given free ones back to its host.
constexpr double kSmallSecondsPerByte = 0.6e-9;
constexpr double kTrialSeconds = 5e-3;

double thread_seconds() noexcept {
  timespec now{};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

bool may_use_huge_pages() noexcept {
  static const bool may = [] {
    const char* const text = std::getenv("CVFAST_SHM_HUGE_PAGES");
    return text == nullptr || std::strcmp(text, "0") != 0;
  }();
  return may;
}

// Gives new memory, which nobody has touched, its pages: huge ones as far as there are some, on all threads.  A hint:
// what is left out gets small ones.
//
// Where tmpfs is mounted without huge pages, as it is nearly everywhere, the kernel still makes one of the pages of a
// range that a process asks it to collapse (Linux 6.1), provided that there is at least one.  Writing one byte through
// the file makes that one, since a full file system is an error there and would be a signal through the mapping.  The
// kernel clears the rest of a huge page as it does for private memory, and maps it by one entry.
void populate_huge(int fd, std::byte* data, std::size_t size) noexcept {
#ifdef MADV_COLLAPSE
  constexpr int kCollapse = MADV_COLLAPSE;
#else
  constexpr int kCollapse = 25;
#endif
  if (size < kLeastHuge || !is_posix() || !may_use_huge_pages()) return;
  const std::size_t pages = size / kHugePage;
  const int threads = runtime::default_threads();
  const std::size_t share = (pages + static_cast<std::size_t>(threads) - 1) / static_cast<std::size_t>(threads);
  const std::size_t piece = std::min(kMostPiece / kHugePage, share);
  // What huge pages have taken beyond small ones, in ns.
  std::atomic<std::int64_t> lost{0};
  const auto populate = [&](std::size_t index) noexcept {
    const std::size_t first = index * piece;
    const std::size_t end = std::min(pages, first + piece);
    const double before = thread_seconds();
    const std::byte zero{};
    for (std::size_t page = first; page < end; ++page) {
      if (::pwrite(fd, &zero, 1, static_cast<off_t>(page * kHugePage)) != 1) return false;
    }
    const std::size_t length = (end - first) * kHugePage;
    if (::madvise(data + first * kHugePage, length, kCollapse) != 0) return false;
    const double more = thread_seconds() - before - kSmallSecondsPerByte * static_cast<double>(length);
    const auto ns = static_cast<std::int64_t>(more * 1e9);
    return static_cast<double>(lost.fetch_add(ns, std::memory_order_relaxed) + ns) * 1e-9 <= kTrialSeconds;
  };
  (void)runtime::parallel_for((pages + piece - 1) / piece, threads, populate, [] { return true; });
}

#endif

// Whether no other process, and no other mapping of this one, has the file open.  A write lease is granted then only.
bool is_open_here_alone(int fd) noexcept {
#if defined(F_SETLEASE) && defined(F_SETSIG)
  // Who opens the file in between has the kernel signal the lease's holder: by SIGIO, which would end the process,
  // unless told otherwise.  SIGURG is ignored.
  if (::fcntl(fd, F_SETSIG, SIGURG) != 0 || ::fcntl(fd, F_SETLEASE, F_WRLCK) != 0) return false;
  return ::fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
#else
  (void)fd;
  return false;
#endif
}

// Of a hidden name: ".cvfast-<kind>-<process>-<number>".
bool is_name_of_this_process(const std::string& name) {
  const std::size_t dash = name.find('-', kHiddenPrefix.size());
  return dash != std::string::npos && process_of(std::string_view(name).substr(dash + 1)) == this_process();
}

void give_back(const KeptSegment& segment) noexcept {
  remove_name(segment.name);
  if (segment.data != nullptr) (void)::munmap(segment.data, segment.mapped);
  (void)::close(segment.fd);
}

}  // namespace

ShmError::ShmError(const char* failed_call, std::string segment, int number, std::uint64_t wanted, std::uint64_t free)
    : std::runtime_error(segment + ": " + failed_call + " failed: " + std::strerror(number)),
      call(failed_call),
      name(std::move(segment)),
      error(number),
      expected_bytes(wanted),
      available_bytes(free) {}

std::string plain_name(const std::string& name) {
  std::string_view plain = name;
  while (!plain.empty() && plain.front() == '/') plain.remove_prefix(1);
  // A ledger's name is longer than that of its data.
  if (plain.empty() || plain.size() > 235 || plain == "." || plain == ".." ||
      plain.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    throw ShmError("name", name, EINVAL);
  }
  return std::string(plain);
}

const std::string& folder() {
  static const std::string found = [] {
    struct stat status{};
    if (::stat("/dev/shm", &status) == 0 && S_ISDIR(status.st_mode)) return std::string("/dev/shm/");
    (void)::mkdir("/tmp/cloudvolume-shm", 0777);
    return std::string("/tmp/cloudvolume-shm/");
  }();
  return found;
}

std::uint64_t available_bytes() noexcept {
  struct statvfs status{};
  if (::statvfs(folder().c_str(), &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::string hidden_name(std::string_view kind) {
  return std::string(kHiddenPrefix) + std::string(kind) + "-" + to_text(this_process()) + "-" +
         std::to_string(next_number.fetch_add(1, std::memory_order_relaxed));
}

std::shared_ptr<Segment> Segment::create(const std::string& given, std::size_t size_bytes) {
  watch_forks();
  const std::string name = plain_name(given);
  std::shared_ptr<Segment> out(new Segment);
  out->is_writable_ = true;
  out->is_made_here_ = true;
  out->size_ = size_bytes;
  out->forks_ = forks.load(std::memory_order_relaxed);
  KeptSegment found{};
  drop_held(false);
  if (size_bytes >= kLeastKept) {
    Kept* const have = kept();
    std::vector<KeptSegment> unfit;
    {
      const std::lock_guard lock(have->mutex);
      auto best = have->segments.end();
      for (auto it = have->segments.begin(); it != have->segments.end(); ++it) {
        const bool fits = it->size >= size_bytes && it->size - size_bytes <= it->size / 8 && it->forks == out->forks_;
        if (fits && (best == have->segments.end() || it->size < best->size)) best = it;
      }
      if (best != have->segments.end()) {
        found = *best;
        have->total -= best->size;
        have->segments.erase(best);
      } else {
        unfit.swap(have->segments);
        have->total = 0;
      }
    }
    for (const KeptSegment& segment : unfit) give_back(segment);
  }
  if (!found.name.empty()) {
    out->fd_ = found.fd;
    out->data_ = found.data;
    out->mapped_ = found.mapped;
    out->name_ = found.name;
    out->is_recycled_ = true;
    struct stat status{};
    if (::fstat(out->fd_, &status) != 0 || ::ftruncate(out->fd_, static_cast<off_t>(size_bytes)) != 0) {
      throw ShmError("ftruncate", name, errno);
    }
    out->device_ = static_cast<std::uint64_t>(status.st_dev);
    out->inode_ = static_cast<std::uint64_t>(status.st_ino);
    if (!out->rename_if_free(name)) {
      out->is_given_up_ = true;  // goes back to where it came from
      throw ShmError("shm_open", name, EEXIST);
    }
    return out;
  }
  const int fd = open_name(name, O_RDWR | O_CREAT | O_EXCL);
  if (fd < 0) throw ShmError("shm_open", name, errno);
  out->fd_ = fd;
  out->name_ = name;
  const std::uint64_t free = available_bytes();
  // What has not got all of its memory goes at once, since the next one must not be made of it.
  const auto fail = [&](const char* call, int number) {
    remove_name(name);
    out->name_.clear();
    throw ShmError(call, name, number, size_bytes, free);
  };
  struct stat status{};
  if (::fstat(fd, &status) != 0) fail("fstat", errno);
  out->device_ = static_cast<std::uint64_t>(status.st_dev);
  out->inode_ = static_cast<std::uint64_t>(status.st_ino);
  if (free < size_bytes) fail("posix_fallocate", ENOSPC);
#if defined(__linux__)
  if (::ftruncate(fd, static_cast<off_t>(size_bytes)) != 0) fail("ftruncate", errno);
#else  // where shared memory may get its size only once
  if (const int error = reserve(fd, 0, size_bytes); error != 0) fail("posix_fallocate", error);
#endif
  out->data_ = map(fd, size_bytes, true);
  out->mapped_ = size_bytes;
  if (out->data_ == nullptr && size_bytes != 0) fail("mmap", errno);
#if defined(__linux__)
  populate_huge(fd, out->data_, size_bytes);
  if (const int error = reserve(fd, 0, size_bytes); error != 0) fail("posix_fallocate", error);  // what has no page yet
#endif
  return out;
}

std::shared_ptr<Segment> Segment::open(const std::string& given, bool is_writable) {
  watch_forks();
  const std::string name = plain_name(given);
  const int fd = open_name(name, is_writable ? O_RDWR : O_RDONLY);
  if (fd < 0) throw ShmError("shm_open", name, errno);
  std::shared_ptr<Segment> out(new Segment);
  out->fd_ = fd;
  out->name_ = name;
  out->is_writable_ = is_writable;
  struct stat status{};
  if (::fstat(fd, &status) != 0) throw ShmError("fstat", name, errno);
  out->device_ = static_cast<std::uint64_t>(status.st_dev);
  out->inode_ = static_cast<std::uint64_t>(status.st_ino);
  out->size_ = static_cast<std::size_t>(status.st_size);
  out->mapped_ = out->size_;
  out->data_ = map(fd, out->size_, is_writable);
  if (out->data_ == nullptr && out->size_ != 0) throw ShmError("mmap", name, errno);
  return out;
}

Segment::~Segment() {
  try {
    if (is_given_up_ && !name_.empty()) {
      if (keep()) return;
      // A forked child must not remove what its parent gave up and may still be using.
      if (forks_ == forks.load(std::memory_order_relaxed) || is_name_of_this_process(name_)) remove_name(name_);
    } else if (may_be_held()) {
      hold();
      return;
    } else if (is_made_here_ && name_.starts_with(kHiddenPrefix) && is_name_of_this_process(name_)) {
      remove_name(name_);  // never got another one, and nobody else knows it: its maker was interrupted
    }
  } catch (const std::bad_alloc&) {
    if (is_given_up_) remove_name(name_);
  }
  if (data_ != nullptr) (void)::munmap(data_, mapped_);
  if (fd_ >= 0) (void)::close(fd_);
}

// Keeps the pages of a segment that was unlinked, for create.
bool Segment::keep() {
  Kept* const have = kept();
  const std::lock_guard lock(have->mutex);
  if (forks_ != forks.load(std::memory_order_relaxed) || have->total + have->held + size_ > kept_limit_bytes() ||
      !is_open_here_alone(fd_)) {
    return false;
  }
  have->segments.push_back({data_, size_, mapped_, fd_, name_, forks_});
  have->total += size_;
  return true;
}

bool Segment::may_be_held() const {
  if (!is_made_here_ || is_given_up_ || size_ < kLeastKept || name_.empty() || name_.starts_with(kHiddenPrefix)) {
    return false;
  }
  if (forks_ != forks.load(std::memory_order_relaxed) || !is_named()) return false;
  Kept* const have = kept();
  const std::lock_guard lock(have->mutex);
  return have->total + have->held + size_ <= kept_limit_bytes();
}

// Keeps the mapping, which is as dear as the pages: they stay with the name in any case.
void Segment::hold() {
  std::shared_ptr<Segment> heir(new Segment);
  Kept* const have = kept();
  std::shared_ptr<Segment> former;  // let go of after the lock
  const std::lock_guard lock(have->mutex);
  MadeSegment& made = have->made[name_];
  heir->data_ = data_;
  heir->size_ = size_;
  heir->mapped_ = mapped_;
  heir->fd_ = fd_;
  heir->name_ = name_;
  heir->device_ = device_;
  heir->inode_ = inode_;
  heir->forks_ = forks_;
  heir->is_writable_ = true;
  heir->is_made_here_ = true;
  if (made.held) {
    have->held -= made.held->size_;
    made.held->is_made_here_ = false;  // nothing takes its place
    former = std::move(made.held);
  }
  made.held = std::move(heir);
  have->held += size_;
}

// Lets go of mappings whose names are gone or another segment's, or of all.
void Segment::drop_held(bool all) {
  std::vector<std::shared_ptr<Segment>> dropped;
  Kept* const have = current_kept.load(std::memory_order_acquire);  // pairs with the exchange in kept()
  if (have == nullptr) return;
  const std::lock_guard lock(have->mutex);
  for (auto it = have->made.begin(); it != have->made.end();) {
    std::shared_ptr<Segment>& held = it->second.held;
    if (held && (all || !held->is_named())) {
      have->held -= held->size_;
      held->is_made_here_ = false;
      dropped.push_back(std::move(held));
      held.reset();
    }
    it = !held && it->second.segment.expired() ? have->made.erase(it) : std::next(it);
  }
}

std::string Segment::name() const {
  const std::lock_guard lock(names_mutex);
  return name_;
}

void Segment::rename(const std::string& given) {
  const std::string name = plain_name(given);
  {
    const std::lock_guard lock(names_mutex);
    if (is_given_up_ || !has_name()) throw ShmError("rename", is_given_up_ ? name : name_, ENOENT);
    if (::rename(path_of(name_).c_str(), path_of(name).c_str()) != 0) throw ShmError("rename", name, errno);
    name_ = name;
  }
  drop_held(false);  // of what had the name before
  remember(name);
}

std::shared_ptr<Segment> Segment::resize(std::size_t size_bytes) const {
  const int error = reserve(fd_, size_, size_bytes);
  if (error != 0) {
    (void)::ftruncate(fd_, static_cast<off_t>(size_));
    throw ShmError("posix_fallocate", name(), error, size_bytes, available_bytes());
  }
  if (size_bytes < size_ && ::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) {
    throw ShmError("ftruncate", name(), errno);
  }
  return open(name(), true);
}

// So that unlink() knows the segment by its name, also when it is mapped no more.
void Segment::remember(const std::string& name) {
  if (!is_made_here_ || size_ < kLeastKept || name.starts_with(kHiddenPrefix)) return;
  Kept* const have = kept();
  const std::lock_guard lock(have->mutex);
  have->made[name].segment = weak_from_this();
}

bool Segment::rename_if_free(const std::string& given) {
  const std::string name = plain_name(given);
  {
    const std::lock_guard lock(names_mutex);
    // A second link, then the first one goes: a crash in between leaves a hidden name, which is cleaned up.
    if (::link(path_of(name_).c_str(), path_of(name).c_str()) != 0) {
      if (errno == EEXIST) return false;
      throw ShmError("link", name, errno);
    }
    remove_name(name_);
    name_ = name;
  }
  remember(name);
  return true;
}

bool Segment::is_named() const noexcept {
  const std::lock_guard lock(names_mutex);
  return has_name();
}

// Under the lock of names.
bool Segment::has_name() const noexcept {
  try {
    struct stat status{};
    return !name_.empty() && ::stat(path_of(name_).c_str(), &status) == 0 &&
           static_cast<std::uint64_t>(status.st_dev) == device_ && static_cast<std::uint64_t>(status.st_ino) == inode_;
  } catch (const std::bad_alloc&) {
    return true;  // who asks does nothing then
  }
}

void Segment::unlink() noexcept {
  const std::lock_guard lock(names_mutex);
  give_up_name();
}

bool Segment::unlink_if_called(const std::string& name) noexcept {
  const std::lock_guard lock(names_mutex);
  if (name_ != name || !has_name()) return false;
  give_up_name();
  return true;
}

// Under the lock of names.
void Segment::give_up_name() noexcept {
  try {
    if (name_.empty() || is_given_up_) return;
    if (!has_name()) {
      name_.clear();
      return;
    }
    const bool may_be_kept = is_made_here_ && size_ >= kLeastKept && size_ <= kept_limit_bytes() &&
                             forks_ == forks.load(std::memory_order_relaxed);
    if (may_be_kept) {
      const std::string hidden = hidden_name("kept");
      if (::rename(path_of(name_).c_str(), path_of(hidden).c_str()) == 0) {
        name_ = hidden;
        is_given_up_ = true;
        return;
      }
    }
    remove_name(name_);
    name_.clear();
  } catch (const std::bad_alloc&) {
    return;
  }
}

bool unlink(const std::string& given) {
  const std::string name = plain_name(given);
  std::shared_ptr<Segment> segment;
  {
    Kept* const have = kept();
    const std::lock_guard lock(have->mutex);
    if (const auto it = have->made.find(name); it != have->made.end()) {
      segment = it->second.segment.lock();
      if (!segment && it->second.held) {
        segment = std::move(it->second.held);
        have->held -= segment->size();
        it->second.held.reset();
      }
    }
  }
  if (segment && segment->unlink_if_called(name)) return true;
  const int result = is_posix() ? ::shm_unlink(("/" + name).c_str()) : ::unlink(path_of(name).c_str());
  if (result == 0) return true;
  if (errno == ENOENT) return false;
  throw ShmError("shm_unlink", name, errno);
}

bool exists(const std::string& name) noexcept {
  try {
    return ::access(path_of(plain_name(name)).c_str(), F_OK) == 0;
  } catch (const std::exception&) {
    return false;
  }
}

std::vector<std::string> remove_abandoned() {
  std::vector<std::string> hidden;
  if (DIR* const listing = ::opendir(folder().c_str()); listing != nullptr) {
    while (const dirent* const entry = ::readdir(listing)) {
      if (std::string_view(entry->d_name).starts_with(kHiddenPrefix)) hidden.emplace_back(entry->d_name);
    }
    (void)::closedir(listing);
  }
  // Ledgers before their data, which is abandoned when its ledger is gone.
  std::sort(hidden.begin(), hidden.end(), std::greater<>());
  std::vector<std::string> removed;
  for (const std::string& name : hidden) {
    if (remove_if_abandoned(name)) removed.push_back(name);
  }
  return removed;
}

std::size_t kept_limit_bytes() noexcept {
  if (const char* const text = std::getenv("CVFAST_KEEP_SHM_BYTES"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const unsigned long long value = std::strtoull(text, &end, 10);
    if (*end == '\0' && *text != '-') return static_cast<std::size_t>(value);
  }
  struct statvfs status{};
  if (::statvfs(folder().c_str(), &status) != 0) return 0;
  const std::uint64_t whole = static_cast<std::uint64_t>(status.f_blocks) * status.f_frsize;
  return static_cast<std::size_t>(std::min<std::uint64_t>(std::uint64_t{2} << 30, whole / 8));
}

std::size_t kept_bytes() noexcept {
  Kept* const have = current_kept.load(std::memory_order_acquire);  // pairs with the exchange in kept()
  if (have == nullptr) return 0;
  const std::lock_guard lock(have->mutex);
  return have->total;
}

void release_kept() noexcept {
  Kept* const have = current_kept.load(std::memory_order_acquire);  // pairs with the exchange in kept()
  if (have == nullptr) return;
  try {
    Segment::drop_held(true);
  } catch (const std::bad_alloc&) {
    return;
  }
  std::vector<KeptSegment> all;
  {
    const std::lock_guard lock(have->mutex);
    all.swap(have->segments);
    have->total = 0;
  }
  for (const KeptSegment& segment : all) give_back(segment);
}

}  // namespace cvfast::shm
