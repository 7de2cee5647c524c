// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cvfast::shm {

/// A system call on shared memory that failed.
class ShmError : public std::runtime_error {
 public:
  ShmError(const char* failed_call, std::string segment, int number, std::uint64_t wanted = 0, std::uint64_t free = 0);

  const char* call;
  std::string name;               ///< of the segment
  int error;                      ///< errno
  std::uint64_t expected_bytes;   ///< where there was not enough room: what was wanted
  std::uint64_t available_bytes;  ///< and what there was
};

/// The folder in which segments are files: /dev/shm, and where there is none the one that upstream emulates it with.
[[nodiscard]] const std::string& folder();

/// Bytes that the folder's file system has left.
[[nodiscard]] std::uint64_t available_bytes() noexcept;

/// What is not for users begins like this; the rest of such a name says whose it is.
inline constexpr std::string_view kHiddenPrefix = ".cvfast-";

/// A hidden name that no other segment has: ".cvfast-<kind>-<this process>-<number>".
[[nodiscard]] std::string hidden_name(std::string_view kind);

/// Named memory that processes share, mapped into this one; under POSIX shared memory (shm_open).  A segment of n bytes
/// is those n bytes and nothing else, so that any program can map it by its name; what there is to know about it is in
/// its name or in a ledger.
///
/// The mapping lives as long as the object, whatever becomes of the name.  All members may be called by any thread.
class Segment : public std::enable_shared_from_this<Segment> {
 public:
  /// Makes a segment under a name that does not exist, and reserves its memory, so that no later access can fail.
  /// Takes a kept one (see release) where one fits.  Contents unspecified: zero, or what a kept one held.
  /// Throws ShmError: ENOSPC with both numbers where there is not enough room, EEXIST where the name is taken.
  [[nodiscard]] static std::shared_ptr<Segment> create(const std::string& name, std::size_t size_bytes);

  /// Maps a segment as it is.  Throws ShmError (ENOENT: there is none).
  [[nodiscard]] static std::shared_ptr<Segment> open(const std::string& name, bool is_writable);

  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  /// Unmaps.  A segment that this process made and unlinked is kept for create if nobody else has it open.
  ~Segment();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::string name() const;
  [[nodiscard]] bool is_writable() const noexcept { return is_writable_; }
  [[nodiscard]] bool is_recycled() const noexcept { return is_recycled_; }
  /// Tells this memory from other memory of the folder, whatever names they have: the number of its inode.
  [[nodiscard]] std::uint64_t identity() const noexcept { return inode_; }

  /// Gives the segment another name, under which there is none after, atomically.  Throws ShmError (ENOENT: its name
  /// is gone).
  void rename(const std::string& name);

  /// Gives it another name unless that is taken, and says whether it was not.
  [[nodiscard]] bool rename_if_free(const std::string& name);

  /// Makes the segment longer, its new memory reserved and zero, or shorter, and returns it mapped anew; this mapping
  /// stays, and must not be used beyond a shorter end.  Throws ShmError (ENOSPC, and nothing has changed).
  [[nodiscard]] std::shared_ptr<Segment> resize(std::size_t size_bytes) const;

  /// Whether the name is still this segment's.
  [[nodiscard]] bool is_named() const noexcept;

  /// Removes the name, if it is still this segment's.
  void unlink() noexcept;

 private:
  Segment() = default;
  [[nodiscard]] bool has_name() const noexcept;
  void give_up_name() noexcept;
  friend bool unlink(const std::string& name);
  friend void release_kept() noexcept;
  bool unlink_if_called(const std::string& name) noexcept;
  void remember(const std::string& name);
  bool keep();
  [[nodiscard]] bool may_be_held() const;
  void hold();
  static void drop_held(bool all);

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
  int fd_ = -1;
  std::string name_;  // hidden or public; empty once removed.  Under the lock of names, as is is_given_up_
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::uint64_t forks_ = 0;  // of this process when it was made
  bool is_writable_ = false;
  bool is_recycled_ = false;
  bool is_made_here_ = false;
  bool is_given_up_ = false;  // unlinked for users, linked under a hidden name to be kept
};

/// A name as users give it, without the slashes that may lead it.  Throws ShmError (EINVAL): it is no name.
[[nodiscard]] std::string plain_name(const std::string& name);

/// Removes a name and says whether there was one.  Memory that is mapped stays; that of a segment which this process
/// made may be kept as Segment::unlink does.
bool unlink(const std::string& name);

/// Whether there is a segment of a name.
[[nodiscard]] bool exists(const std::string& name) noexcept;

/// Hidden segments and names whose owners have ended, which nobody can use any more: removed, and their names returned.
std::vector<std::string> remove_abandoned();

/// Bytes of released segments that are kept at most: CVFAST_KEEP_SHM_BYTES, else 2 GiB or an eighth of the folder's
/// file system, whichever is less.
///
/// First touch of shared memory is dear, since the kernel clears page by page.  So a segment of a MiB and more that its
/// maker unlinks takes a hidden name instead, and once its last array is gone its pages serve the next create of about
/// its size.  It is kept only if no other process has it open or mapped, which a write lease tells (F_SETLEASE), and if
/// this process has not forked meanwhile, since children inherit mappings that a lease does not see.  Mapping 4 KiB
/// pages costs as much as decoding into them, so the mapping stays too, also from the moment when the last array is
/// gone until the name is unlinked.  A create that no kept segment fits gives all of them back first.
[[nodiscard]] std::size_t kept_limit_bytes() noexcept;
[[nodiscard]] std::size_t kept_bytes() noexcept;

/// Gives back all kept segments, and unmaps those that are mapped only to be used again.
void release_kept() noexcept;

}  // namespace cvfast::shm
