// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
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

struct OpenedFile {
  UniqueFd fd;
  ContentEncoding encoding = ContentEncoding::kNone;
  std::uint64_t size_bytes = 0;
};

/// A folder of chunk files on a local file system, held open for the length of one request.
///
/// An object may be stored bare or with one suffix of kSuffixes.  All are looked at; when several exist (another
/// writer left a stale copy behind) the newest wins, and of equally new ones the first in the order of kSuffixes.
class Folder {
 public:
  /// Never fails: a folder that is absent makes every object missing, any other trouble is met on use.
  explicit Folder(const std::string& path);

  /// On kError, file.encoding tells which copy it is about.
  [[nodiscard]] FetchState open(std::string_view name, OpenedFile& file, IoError& error) const noexcept;

  /// Whether an object exists under any suffix.
  [[nodiscard]] FetchState exists(std::string_view name, IoError& error) const noexcept;

  /// Replaces an object as a whole: temporary name in this folder, write, optional fsync, rename; then copies under
  /// other suffixes are removed.  On failure the object is as it was, and no temporary file is left.
  [[nodiscard]] bool put(std::string_view name, ContentEncoding encoding, const std::byte* data,
                         std::size_t size_bytes, bool sync, IoError& error) const noexcept;

  /// Removes an object under every suffix; an absent one is no error.
  [[nodiscard]] bool remove(std::string_view name, IoError& error) const noexcept;

  /// Flushes the folder's own entries to the disk, after puts with sync.
  [[nodiscard]] bool sync_entries(IoError& error) const noexcept;

 private:
  UniqueFd fd_;
  int open_error_ = 0;
};

/// Reads exactly n bytes at an offset.
[[nodiscard]] bool read_exact(int fd, std::byte* out, std::size_t n, std::uint64_t offset,
                              IoError& error) noexcept;

}  // namespace cvfast::fetch
