// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cvfast/shm/process.hpp"
#include "cvfast/shm/segment.hpp"

namespace cvfast::shm {

/// A ledger that is not what the reader expects: of another build, damaged, or of another request.
class LedgerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Bump with every change of LedgerHeader, of what its members mean, or of the protocol.
inline constexpr std::uint32_t kLedgerVersion = 2;
/// Deaths of its workers after which an item is given up.
inline constexpr std::uint32_t kMaxDeaths = 3;
inline constexpr std::uint32_t kMaxParticipants = 4096;
inline constexpr std::size_t kDigestBytes = 32;
inline constexpr std::size_t kErrorBytes = 3072;

enum class ItemState : std::uint8_t { kFree = 0, kClaimed = 1, kDone = 2, kFailed = 3 };
enum class JobState : std::uint32_t { kRunning = 0, kComplete = 1, kFailed = 2, kCancelled = 3 };

/// What a ledger is made for.
struct LedgerPlan {
  std::uint64_t items = 0;
  std::uint64_t data_bytes = 0;  ///< of the data segment
  std::string digest;            ///< kDigestBytes that stand for the request; who attaches must expect the same
  std::uint64_t open_items = 0;  ///< items that may be claimed at first; open_to() adds others
};

struct LedgerCounts {
  std::uint64_t done = 0;      ///< items
  std::uint64_t chunks = 0;    ///< as reported with them
  std::uint64_t bytes = 0;     ///< as reported with them
  std::uint64_t claims = 0;    ///< items taken up, again after a death included
  std::uint64_t requeued = 0;  ///< items that the dead left behind
};

struct LedgerFailure {
  std::uint64_t item = 0;
  std::string text;  ///< empty: its workers died
};

/// Who does what of a job that processes share: one word per item in a segment, no locks, so that nothing can be left
/// locked.  An item is a chunk, or a small run of them.
///
/// States of an item, and what moves it:
///
///     free --claim--> claimed --publish--> done
///      ^                 | \---fail------> failed      (the job fails with it)
///      \--requeue/leave--/                             (requeue counts a death; the third makes it failed)
///
/// An item's word holds its state, its deaths, and the number of the participant that claimed it.  Numbers are never
/// given twice, so a word that names a participant that has ended can only have been written by it, and whoever
/// notices may requeue it: the compare-and-swap lets one of them.
///
/// Memory order.  publish stores `done` into the word with release and then adds to the count of done items with
/// acquire-release; is_complete loads that count with acquire.  The additions form one release sequence, so who sees
/// all items done sees all voxels.  claim takes a word with acquire, which pairs with the release of requeue and
/// leave.  open_to stores the limit with release after the voxels of newly opened items were written, and claim loads
/// it with acquire.  Counters of progress are relaxed.
///
/// All members may be called by any thread and process, but for what a participant does with its own number: at any
/// time by one thread.
class ChunkLedger {
 public:
  /// Makes a ledger under a name that does not exist; it appears complete or not at all.  Throws ShmError (EEXIST).
  [[nodiscard]] static std::shared_ptr<ChunkLedger> create(const std::string& name, const LedgerPlan& plan);

  /// Attaches to a ledger.  Throws ShmError (ENOENT), LedgerError: other magic, version, size or digest.
  [[nodiscard]] static std::shared_ptr<ChunkLedger> open(const std::string& name, std::string_view digest);

  /// The digest of a segment that is a ledger of this version.
  [[nodiscard]] static std::optional<std::string> digest_of(const Segment& segment);

  /// Becomes a participant and returns its number.  While this runs nobody can remove the ledger as abandoned.
  /// Throws LedgerError: too many have joined, or the ledger has lost its name meanwhile (is_stale() is true then).
  [[nodiscard]] std::uint32_t join();
  /// Ends a participation; what it had claimed becomes free.
  void leave(std::uint32_t participant) noexcept;

  /// Takes an item, or none where nothing is free now.
  [[nodiscard]] std::optional<std::uint64_t> claim(std::uint32_t participant) noexcept;
  /// An item is done.  False where it is no longer the participant's.
  bool publish(std::uint32_t participant, std::uint64_t item, std::uint64_t chunks, std::uint64_t bytes) noexcept;
  /// An item cannot be done, and the job with it.
  void fail(std::uint32_t participant, std::uint64_t item, std::string_view text) noexcept;

  /// Frees what a participant that has died had claimed; returns how many items that were.
  std::uint64_t requeue(std::uint32_t participant) noexcept;
  /// Looks for participants that have ended without leaving, and frees what they had claimed.
  std::uint64_t requeue_ended() noexcept;
  /// Whether any participant may still be running, other than `except`.
  [[nodiscard]] bool has_participants(std::uint32_t except = ~std::uint32_t{0}) const noexcept;

  /// Opens items up to a limit to be claimed.
  void open_to(std::uint64_t items) noexcept;

  /// Of several participants one makes the data segment: the first to ask, or, once that has ended, another.
  [[nodiscard]] bool may_make_data(std::uint32_t participant) noexcept;
  void set_data_ready(std::uint64_t identity) noexcept;
  [[nodiscard]] bool is_data_ready() const noexcept;
  /// Segment::identity of the data segment, once is_data_ready(): its name may have come to stand for other memory.
  [[nodiscard]] std::uint64_t data_identity() const noexcept;

  /// Moves a running job to another state; false where it was not running.
  bool finish(JobState state) noexcept;
  [[nodiscard]] JobState state() const noexcept;
  /// Whether all items are done; the voxels of all are visible then.
  [[nodiscard]] bool is_complete() const noexcept;
  [[nodiscard]] ItemState item_state(std::uint64_t item) const noexcept;
  [[nodiscard]] LedgerCounts counts() const noexcept;
  [[nodiscard]] std::uint64_t items() const noexcept;
  [[nodiscard]] std::uint64_t data_bytes() const noexcept;
  /// The first failure that was recorded, or else the first item whose workers died.
  [[nodiscard]] std::optional<LedgerFailure> failure() const;

  /// Sleeps until something of the job changes, or for so long.  `seen` is what changes() returned before the caller
  /// looked at the job's state.
  void wait(std::uint32_t seen, int milliseconds) noexcept;
  [[nodiscard]] std::uint32_t changes() const noexcept;

  [[nodiscard]] std::string name() const { return segment_->name(); }
  /// Whether the name stands for another segment by now, or for none.
  [[nodiscard]] bool is_stale() const noexcept;
  void unlink() noexcept { segment_->unlink(); }

 private:
  struct Header;
  explicit ChunkLedger(std::shared_ptr<Segment> segment);
  [[nodiscard]] std::atomic<std::uint32_t>& word(std::uint64_t item) const noexcept;
  bool take(std::atomic<std::uint32_t>& word, std::uint32_t participant) noexcept;
  bool release(std::uint64_t item, std::uint32_t participant, bool is_death) noexcept;
  void notify() noexcept;

  std::shared_ptr<Segment> segment_;
  Header* header_ = nullptr;
};

/// Hidden names of a job that unrelated processes share under a name.
[[nodiscard]] std::string shared_ledger_name(const std::string& location);
[[nodiscard]] std::string shared_data_name(const std::string& location);

/// Whether nobody can use a hidden segment any more: its owner has ended, or all that took part in its job have.
[[nodiscard]] bool is_abandoned(const std::string& name) noexcept;

/// Removes a hidden name if it is abandoned at this moment; nobody can join a job meanwhile.
bool remove_if_abandoned(const std::string& name) noexcept;

}  // namespace cvfast::shm
