// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace cvfast::fetch {

/// How the bytes of a stored object are compressed as a whole; on a file system the suffix says it.
enum class ContentEncoding : std::uint8_t { kNone, kGzip, kBrotli, kZstd, kXz, kBzip2 };
inline constexpr std::array<const char*, 6> kSuffixes = {"", ".gz", ".br", ".zstd", ".xz", ".bz2"};

[[nodiscard]] inline const char* suffix(ContentEncoding encoding) noexcept {
  return kSuffixes[static_cast<std::size_t>(encoding)];
}

/// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  void reset() noexcept;
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// A failed system call: which one, and errno.  errno 0 with a call of "size" means that a file changed while read.
struct IoError {
  const char* call = "";
  int error = 0;
};

enum class FetchState : std::uint8_t { kData, kMissing, kError };

/// An object that was found: a file, a part of one that holds several, or bytes that have arrived already.
struct OpenedFile {
  UniqueFd fd;                        ///< its own
  int shared_fd = -1;                 ///< of a file that holds several objects, and that `keeper` keeps open
  const std::byte* memory = nullptr;  ///< its bytes, where they are at hand; `keeper` keeps them
  std::shared_ptr<const void> keeper;
  ContentEncoding encoding = ContentEncoding::kNone;
  std::uint64_t offset = 0;  ///< of its first byte in the file
  std::uint64_t size_bytes = 0;
  bool is_copy = false;  ///< kept on this machine of an object that is stored elsewhere

  [[nodiscard]] int descriptor() const noexcept { return shared_fd >= 0 ? shared_fd : fd.get(); }
};

/// Under which single suffix objects of a folder were found, for as long as the folder does not change.
///
/// Creating, renaming and removing entries sets a folder's change time, which nobody can set back, so while that stands
/// still an object that had one copy has that copy.  A time of the last two seconds proves nothing yet, because a
/// further change may fall into the same tick of the clock.  Saves five look-ups a chunk, which on network file systems
/// are round trips. Any number of threads may call.
class FolderMemory {
 public:
  /// Forgets everything unless the folder is as it was.  Returns the number of its state, or 0 where its time cannot be
  /// relied on.
  [[nodiscard]] std::uint64_t refresh(int folder) noexcept;
  /// What is known of an object in a state of the folder.
  [[nodiscard]] bool find(const std::string& name, std::uint64_t state, ContentEncoding& encoding) const noexcept;
  /// Adds what was found in a state; nothing when the folder has moved on.
  void learn(const std::string& name, std::uint64_t state, ContentEncoding encoding) noexcept;

 private:
  static constexpr std::size_t kMaxNames = std::size_t{1} << 17;

  mutable std::mutex mutex_;
  std::unordered_map<std::string, ContentEncoding> known_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::timespec changed_{};
  std::uint64_t state_ = 0;
};

/// The names in a folder at one moment, for those who are about to read or write many objects there.
class FolderNames {
 public:
  /// Lists a folder; one with more than `most` names, or that cannot be listed, counts as unknown.
  [[nodiscard]] static std::unique_ptr<const FolderNames> list(const std::string& path, std::size_t most) noexcept;
  [[nodiscard]] bool contains(std::string_view name) const noexcept { return names_.contains(name); }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_set<std::string, Hash, std::equal_to<>> names_;
};

/// A folder of chunk files on a local file system, held open for the length of one request.
///
/// An object may be stored bare or with one suffix of kSuffixes.  All are looked at; when several exist (another
/// writer left a stale copy behind) the newest wins, and of equally new ones the first in the order of kSuffixes.
class Folder {
 public:
  /// Never fails: a folder that is absent makes every object missing, any other trouble is met on use.
  /// `memory`, if given, outlives the folder.
  explicit Folder(const std::string& path, FolderMemory* memory = nullptr);

  /// On kError, file.encoding tells which copy it is about.
  /// @param names what the folder held a moment ago, if known: an object that had one copy then is opened directly.
  [[nodiscard]] FetchState open(std::string_view name, OpenedFile& file, IoError& error,
                                const FolderNames* names = nullptr) const noexcept;

  /// Whether an object exists under any suffix.
  [[nodiscard]] FetchState exists(std::string_view name, IoError& error) const noexcept;

  /// Replaces an object as a whole: written without a name or under a temporary one in this folder, optional fsync,
  /// then linked or renamed; then copies under other suffixes are removed.  On failure the object is as it was, and no
  /// temporary file is left.
  /// @param names what the folder held before, if known: saves looking for what is not there.  A copy under another
  ///   suffix that somebody else wrote since then stays beside this one, and the newer of the two counts.
  [[nodiscard]] bool put(std::string_view name, ContentEncoding encoding, const std::byte* data, std::size_t size_bytes,
                         bool sync, IoError& error, const FolderNames* names = nullptr) const noexcept;
  /// The same for an object in pieces.
  [[nodiscard]] bool put(std::string_view name, ContentEncoding encoding,
                         std::span<const std::span<const std::byte>> pieces, bool sync, IoError& error,
                         const FolderNames* names = nullptr) const noexcept;

  /// Removes an object under every suffix; an absent one is no error.
  [[nodiscard]] bool remove(std::string_view name, IoError& error) const noexcept;

  /// Flushes the folder's own entries to the disk, after puts with sync.
  [[nodiscard]] bool sync_entries(IoError& error) const noexcept;

 private:
  enum class Linked : std::uint8_t { kLinked, kNotLinked, kFailed };

  [[nodiscard]] FetchState open_known(std::string_view name, OpenedFile& file) const noexcept;
  [[nodiscard]] FetchState open_listed(std::string_view name, const FolderNames& names,
                                       OpenedFile& file) const noexcept;
  [[nodiscard]] FetchState open_copy(std::string_view name, ContentEncoding encoding, OpenedFile& file) const noexcept;
  [[nodiscard]] bool has(const char* name, const FolderNames* names) const noexcept;
  [[nodiscard]] Linked put_new(const char* target, std::span<const std::span<const std::byte>> pieces, bool sync,
                               IoError& error) const noexcept;
  [[nodiscard]] bool replace(std::string_view name, const char* target,
                             std::span<const std::span<const std::byte>> pieces, bool sync,
                             IoError& error) const noexcept;

  UniqueFd fd_;
  int open_error_ = 0;
  FolderMemory* memory_ = nullptr;  ///< null where it cannot be relied on
  std::uint64_t state_ = 0;
  mutable bool masks_ = false;  ///< whether files without a name are made under the process's mask here
};

/// Reads n bytes of an object, from an offset within it.
[[nodiscard]] bool read_exact(const OpenedFile& object, std::byte* out, std::size_t n, std::uint64_t offset,
                              IoError& error) noexcept;
/// Reads exactly n bytes at an offset.
[[nodiscard]] bool read_exact(int fd, std::byte* out, std::size_t n, std::uint64_t offset, IoError& error) noexcept;

}  // namespace cvfast::fetch
