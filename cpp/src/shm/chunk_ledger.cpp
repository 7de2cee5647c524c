// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/shm/chunk_ledger.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#endif

namespace cvfast::shm {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free,
              "what processes share must not hide a lock");
static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && sizeof(std::atomic<std::uint64_t>) == 8);

namespace {

constexpr std::uint64_t kMagic = 0x3152474454534656;  // "VFSTDGR1" as little-endian bytes
constexpr std::size_t kLine = 64;
constexpr std::size_t kErrors = 4;

enum Slot : std::uint32_t { kEmpty = 0, kJoining = 1, kPresent = 2, kGone = 3 };

struct Participant {
  std::atomic<std::uint32_t> state;
  std::uint32_t unused;
  std::int64_t pid;
  std::uint64_t start;
  std::uint64_t space;
};

struct ErrorSlot {
  std::atomic<std::uint32_t> is_written;
  std::uint32_t size;
  std::uint64_t item;
  std::array<char, kErrorBytes> text;
};

// A word: state in bits 0 to 7, deaths in 8 to 15, participant in 16 to 31.
constexpr std::uint32_t make_word(ItemState state, std::uint32_t deaths, std::uint32_t participant) noexcept {
  return static_cast<std::uint32_t>(state) | (deaths << 8U) | (participant << 16U);
}
constexpr ItemState state_of(std::uint32_t word) noexcept { return static_cast<ItemState>(word & 0xFFU); }
constexpr std::uint32_t deaths_of(std::uint32_t word) noexcept { return (word >> 8U) & 0xFFU; }
constexpr std::uint32_t participant_of(std::uint32_t word) noexcept { return word >> 16U; }
static_assert(kMaxParticipants <= 0x10000U && kMaxDeaths < 0x100U);

// Holds the ledger's file against others that join it or remove it.  The lock goes with its holder.
class FileLock {
 public:
  explicit FileLock(const std::string& name) : fd_(::open((folder() + name).c_str(), O_RDONLY | O_CLOEXEC)) {
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() {
    if (fd_ >= 0) (void)::close(fd_);
  }
  // Whether what is locked is what the name stands for (still).
  [[nodiscard]] bool holds(const std::string& name) const noexcept {
    struct stat mine{};
    struct stat named{};
    return fd_ >= 0 && ::fstat(fd_, &mine) == 0 && ::stat((folder() + name).c_str(), &named) == 0 &&
           mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
  }

 private:
  int fd_;
};

}  // namespace

// What is written by one side only, by several rarely, and by all often lies on cache lines of its own.
struct ChunkLedger::Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_bytes;
  std::uint64_t total_bytes;
  std::uint64_t items;
  std::uint64_t data_bytes;
  std::array<char, kDigestBytes> digest;

  alignas(kLine) std::atomic<std::uint32_t> job;
  std::atomic<std::uint32_t> data_ready;
  std::atomic<std::uint32_t> maker;  // participant + 1
  std::atomic<std::uint32_t> participants;
  std::atomic<std::uint64_t> limit;
  std::atomic<std::uint32_t> errors;
  std::atomic<std::uint64_t> requeued;
  std::atomic<std::uint64_t> data_identity;
  alignas(kLine) std::atomic<std::uint64_t> next;
  alignas(kLine) std::atomic<std::uint64_t> done;
  std::atomic<std::uint64_t> chunks;
  std::atomic<std::uint64_t> bytes;
  alignas(kLine) std::atomic<std::uint32_t> changes;
  std::atomic<std::uint32_t> waiters;

  alignas(kLine) std::array<ErrorSlot, kErrors> error_slots;
  alignas(kLine) std::array<Participant, kMaxParticipants> slots;
};

ChunkLedger::ChunkLedger(std::shared_ptr<Segment> segment)
    : segment_(std::move(segment)),
      header_(reinterpret_cast<Header*>(segment_->data())) {}

std::shared_ptr<ChunkLedger> ChunkLedger::create(const std::string& name, const LedgerPlan& plan) {
  if (plan.digest.size() != kDigestBytes) throw LedgerError(name + ": expected a digest of 32 bytes");
  if (plan.items > (std::uint64_t{1} << 40U)) throw LedgerError(name + ": too many items");
  const std::size_t total = sizeof(Header) + static_cast<std::size_t>(plan.items) * sizeof(std::atomic<std::uint32_t>);
  auto segment = Segment::create(hidden_name("new"), total);
  // A recycled segment holds what was there before.
  std::memset(segment->data(), 0, total);
  auto* const header = new (segment->data()) Header;
  header->magic = kMagic;
  header->version = kLedgerVersion;
  header->header_bytes = sizeof(Header);
  header->total_bytes = total;
  header->items = plan.items;
  header->data_bytes = plan.data_bytes;
  std::copy(plan.digest.begin(), plan.digest.end(), header->digest.begin());
  header->limit.store(plan.open_items, std::memory_order_relaxed);
  if (!segment->rename_if_free(name)) {
    segment->unlink();
    throw ShmError("link", name, EEXIST);
  }
  return std::shared_ptr<ChunkLedger>(new ChunkLedger(std::move(segment)));
}

std::shared_ptr<ChunkLedger> ChunkLedger::open(const std::string& name, std::string_view digest) {
  auto segment = Segment::open(name, true);
  const auto refuse = [&](const std::string& what, std::uint64_t expected, std::uint64_t found) {
    throw LedgerError(name + ": " + what + ": expected " + std::to_string(expected) + ", found " +
                      std::to_string(found));
  };
  if (segment->size() < sizeof(Header)) refuse("bytes of a ledger", sizeof(Header), segment->size());
  const auto* const header = reinterpret_cast<const Header*>(segment->data());
  if (header->magic != kMagic) refuse("mark of a ledger", kMagic, header->magic);
  if (header->version != kLedgerVersion) refuse("version", kLedgerVersion, header->version);
  if (header->header_bytes != sizeof(Header)) refuse("bytes of the header", sizeof(Header), header->header_bytes);
  const std::uint64_t expected = sizeof(Header) + header->items * sizeof(std::atomic<std::uint32_t>);
  if (header->total_bytes != expected || segment->size() != expected) refuse("bytes", expected, segment->size());
  if (digest.size() != kDigestBytes || !std::equal(digest.begin(), digest.end(), header->digest.begin())) {
    throw LedgerError(name + ": expected the job of this request, found that of another one");
  }
  return std::shared_ptr<ChunkLedger>(new ChunkLedger(std::move(segment)));
}

std::optional<std::string> ChunkLedger::digest_of(const Segment& segment) {
  if (segment.size() < sizeof(Header)) return std::nullopt;
  const auto* const header = reinterpret_cast<const Header*>(segment.data());
  if (header->magic != kMagic || header->version != kLedgerVersion) return std::nullopt;
  return std::string(header->digest.begin(), header->digest.end());
}

std::atomic<std::uint32_t>& ChunkLedger::word(std::uint64_t item) const noexcept {
  auto* const words = reinterpret_cast<std::atomic<std::uint32_t>*>(segment_->data() + sizeof(Header));
  return words[item];
}

std::uint32_t ChunkLedger::join() {
  const FileLock lock(name());
  if (!lock.holds(name()) || is_stale()) throw LedgerError(name() + ": was removed while it was joined");
  const std::uint32_t number = header_->participants.fetch_add(1, std::memory_order_relaxed);
  if (number >= kMaxParticipants) {
    header_->participants.store(kMaxParticipants, std::memory_order_relaxed);
    throw LedgerError(name() + ": expected at most " + std::to_string(kMaxParticipants) + " participants");
  }
  Participant& slot = header_->slots[number];
  const ProcessId self = this_process();
  slot.pid = self.pid;
  slot.start = self.start;
  slot.space = self.space;
  slot.state.store(kPresent, std::memory_order_release);  // pairs with requeue_ended: the identity is whole
  return number;
}

void ChunkLedger::leave(std::uint32_t participant) noexcept {
  for (std::uint64_t item = 0; item < header_->items; ++item) release(item, participant, false);
  header_->slots[participant].state.store(kGone, std::memory_order_release);  // after its claims are free
  notify();
}

bool ChunkLedger::take(std::atomic<std::uint32_t>& word, std::uint32_t participant) noexcept {
  std::uint32_t found = word.load(std::memory_order_relaxed);
  while (state_of(found) == ItemState::kFree) {
    const std::uint32_t wanted = make_word(ItemState::kClaimed, deaths_of(found), participant);
    // Acquire pairs with the release in release(): what a former holder did is over.
    if (word.compare_exchange_weak(found, wanted, std::memory_order_acquire, std::memory_order_relaxed)) return true;
  }
  return false;
}

std::optional<std::uint64_t> ChunkLedger::claim(std::uint32_t participant) noexcept {
  if (state() != JobState::kRunning) return std::nullopt;
  // Acquire pairs with open_to: the voxels of what is open are there.
  const std::uint64_t limit = header_->limit.load(std::memory_order_acquire);
  std::uint64_t item = header_->next.load(std::memory_order_relaxed);
  while (item < limit) {
    if (!header_->next.compare_exchange_weak(item, item + 1, std::memory_order_relaxed)) continue;
    if (take(word(item), participant)) return item;
    item = header_->next.load(std::memory_order_relaxed);
  }
  if (header_->done.load(std::memory_order_relaxed) >= limit) return std::nullopt;
  // All were offered once.  What is free now was given back, or its taker died before it took it.
  for (item = 0; item < limit; ++item) {
    if (state_of(word(item).load(std::memory_order_relaxed)) == ItemState::kFree && take(word(item), participant)) {
      return item;
    }
  }
  return std::nullopt;
}

bool ChunkLedger::publish(std::uint32_t participant, std::uint64_t item, std::uint64_t chunks,
                          std::uint64_t bytes) noexcept {
  std::uint32_t found = word(item).load(std::memory_order_relaxed);
  if (state_of(found) != ItemState::kClaimed || participant_of(found) != participant) return false;
  const std::uint32_t done = make_word(ItemState::kDone, deaths_of(found), participant);
  // Release: who sees the item done sees its voxels.
  if (!word(item).compare_exchange_strong(found, done, std::memory_order_release, std::memory_order_relaxed)) {
    return false;
  }
  header_->chunks.fetch_add(chunks, std::memory_order_relaxed);
  header_->bytes.fetch_add(bytes, std::memory_order_relaxed);
  // Pairs with is_complete.
  header_->done.fetch_add(1, std::memory_order_acq_rel);
  notify();
  return true;
}

void ChunkLedger::fail(std::uint32_t participant, std::uint64_t item, std::string_view text) noexcept {
  const std::uint32_t number = header_->errors.fetch_add(1, std::memory_order_relaxed);
  if (number < kErrors) {
    ErrorSlot& slot = header_->error_slots[number];
    slot.item = item;
    slot.size = static_cast<std::uint32_t>(std::min(text.size(), kErrorBytes));
    std::copy_n(text.begin(), slot.size, slot.text.begin());
    slot.is_written.store(1, std::memory_order_release);  // pairs with failure()
  }
  std::uint32_t found = word(item).load(std::memory_order_relaxed);
  if (state_of(found) == ItemState::kClaimed && participant_of(found) == participant) {
    const std::uint32_t failed = make_word(ItemState::kFailed, deaths_of(found), participant);
    (void)word(item).compare_exchange_strong(found, failed, std::memory_order_release, std::memory_order_relaxed);
  }
  (void)finish(JobState::kFailed);
}

// Frees an item if it is this participant's.
bool ChunkLedger::release(std::uint64_t item, std::uint32_t participant, bool is_death) noexcept {
  std::uint32_t found = word(item).load(std::memory_order_relaxed);
  while (state_of(found) == ItemState::kClaimed && participant_of(found) == participant) {
    const std::uint32_t deaths = deaths_of(found) + (is_death ? 1U : 0U);
    const ItemState state = deaths >= kMaxDeaths ? ItemState::kFailed : ItemState::kFree;
    const std::uint32_t wanted = make_word(state, deaths, participant);
    // Release pairs with take().
    if (word(item).compare_exchange_weak(found, wanted, std::memory_order_release, std::memory_order_relaxed)) {
      if (is_death) header_->requeued.fetch_add(1, std::memory_order_relaxed);
      if (state == ItemState::kFailed) (void)finish(JobState::kFailed);
      return true;
    }
  }
  return false;
}

std::uint64_t ChunkLedger::requeue(std::uint32_t participant) noexcept {
  std::uint64_t count = 0;
  for (std::uint64_t item = 0; item < header_->items; ++item) count += release(item, participant, true) ? 1 : 0;
  header_->slots[participant].state.store(kGone, std::memory_order_release);
  notify();
  return count;
}

std::uint64_t ChunkLedger::requeue_ended() noexcept {
  const std::uint32_t joined = std::min(header_->participants.load(std::memory_order_relaxed), kMaxParticipants);
  std::uint64_t count = 0;
  for (std::uint32_t i = 0; i < joined; ++i) {
    const Participant& slot = header_->slots[i];
    // Acquire pairs with join().
    if (slot.state.load(std::memory_order_acquire) != kPresent) continue;
    if (has_ended({slot.space, slot.start, slot.pid})) count += requeue(i);
  }
  return count;
}

bool ChunkLedger::has_participants(std::uint32_t except) const noexcept {
  const std::uint32_t joined = std::min(header_->participants.load(std::memory_order_relaxed), kMaxParticipants);
  for (std::uint32_t i = 0; i < joined; ++i) {
    const Participant& slot = header_->slots[i];
    if (i == except || slot.state.load(std::memory_order_acquire) != kPresent) continue;  // pairs with join()
    if (!has_ended({slot.space, slot.start, slot.pid})) return true;
  }
  return false;
}

void ChunkLedger::open_to(std::uint64_t items) noexcept {
  header_->limit.store(std::min(items, header_->items), std::memory_order_release);  // pairs with claim
  notify();
}

bool ChunkLedger::may_make_data(std::uint32_t participant) noexcept {
  std::uint32_t maker = 0;
  if (header_->maker.compare_exchange_strong(maker, participant + 1, std::memory_order_acq_rel)) return true;
  if (maker == participant + 1) return true;
  const Participant& slot = header_->slots[maker - 1];
  const std::uint32_t state = slot.state.load(std::memory_order_acquire);  // pairs with join()
  if (state == kPresent && !has_ended({slot.space, slot.start, slot.pid})) return false;
  return header_->maker.compare_exchange_strong(maker, participant + 1, std::memory_order_acq_rel);
}

void ChunkLedger::set_data_ready(std::uint64_t identity) noexcept {
  header_->data_identity.store(identity, std::memory_order_relaxed);  // before what follows
  header_->data_ready.store(1, std::memory_order_release);  // pairs with is_data_ready: the segment has its name
  notify();
}

bool ChunkLedger::is_data_ready() const noexcept { return header_->data_ready.load(std::memory_order_acquire) != 0; }

std::uint64_t ChunkLedger::data_identity() const noexcept {
  return header_->data_identity.load(std::memory_order_relaxed);
}

bool ChunkLedger::finish(JobState wanted) noexcept {
  auto running = static_cast<std::uint32_t>(JobState::kRunning);
  const bool was_running =
      header_->job.compare_exchange_strong(running, static_cast<std::uint32_t>(wanted), std::memory_order_acq_rel);
  notify();
  return was_running;
}

JobState ChunkLedger::state() const noexcept {
  return static_cast<JobState>(header_->job.load(std::memory_order_acquire));  // pairs with finish
}

bool ChunkLedger::is_complete() const noexcept {
  return header_->done.load(std::memory_order_acquire) == header_->items;  // pairs with publish
}

ItemState ChunkLedger::item_state(std::uint64_t item) const noexcept {
  return state_of(word(item).load(std::memory_order_acquire));  // pairs with publish
}

LedgerCounts ChunkLedger::counts() const noexcept {
  LedgerCounts out;
  out.done = header_->done.load(std::memory_order_relaxed);
  out.chunks = header_->chunks.load(std::memory_order_relaxed);
  out.bytes = header_->bytes.load(std::memory_order_relaxed);
  out.requeued = header_->requeued.load(std::memory_order_relaxed);
  // Every claim ends as done, requeued, failed or given back, or goes on: counted here rather than on the fast path.
  std::uint64_t open = 0;
  for (std::uint64_t item = 0; item < header_->items; ++item) {
    const ItemState state = state_of(word(item).load(std::memory_order_relaxed));
    if (state == ItemState::kClaimed) ++open;
  }
  out.claims = out.done + out.requeued + open;
  return out;
}

std::uint64_t ChunkLedger::items() const noexcept { return header_->items; }
std::uint64_t ChunkLedger::data_bytes() const noexcept { return header_->data_bytes; }

std::optional<LedgerFailure> ChunkLedger::failure() const {
  for (const ErrorSlot& slot : header_->error_slots) {
    if (slot.is_written.load(std::memory_order_acquire) == 0) continue;  // pairs with fail
    return LedgerFailure{slot.item, std::string(slot.text.data(), std::min<std::size_t>(slot.size, kErrorBytes))};
  }
  for (std::uint64_t item = 0; item < header_->items; ++item) {
    if (item_state(item) == ItemState::kFailed) return LedgerFailure{item, {}};
  }
  return std::nullopt;
}

void ChunkLedger::notify() noexcept {
  // Sequentially consistent with wait(): either the waiter sees the new number, or it is seen waiting.
  header_->changes.fetch_add(1, std::memory_order_seq_cst);
#if defined(__linux__)
  if (header_->waiters.load(std::memory_order_seq_cst) != 0) {
    (void)::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&header_->changes), FUTEX_WAKE, INT_MAX, nullptr,
                    nullptr, 0);
  }
#endif
}

void ChunkLedger::wait(std::uint32_t seen, int milliseconds) noexcept {
#if defined(__linux__)
  const timespec timeout{milliseconds / 1000, static_cast<long>(milliseconds % 1000) * 1000000};
  // A waiter that is killed leaves its count behind, which costs others a system call and nothing else.
  header_->waiters.fetch_add(1, std::memory_order_seq_cst);
  if (header_->changes.load(std::memory_order_seq_cst) == seen) {
    (void)::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&header_->changes), FUTEX_WAIT, seen, &timeout, nullptr,
                    0);
  }
  header_->waiters.fetch_sub(1, std::memory_order_seq_cst);
#else
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (changes() == seen && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
#endif
}

std::uint32_t ChunkLedger::changes() const noexcept { return header_->changes.load(std::memory_order_seq_cst); }

bool ChunkLedger::is_stale() const noexcept { return !segment_->is_named(); }

std::string shared_ledger_name(const std::string& location) {
  return std::string(kHiddenPrefix) + "shared-" + plain_name(location);
}
std::string shared_data_name(const std::string& location) {
  return std::string(kHiddenPrefix) + "data-" + plain_name(location);
}

namespace {

// The ledger of a shared job: nobody takes part any more, and its result is not there.
bool is_abandoned_job(const std::string& name, const std::string& location) {
  const auto segment = Segment::open(name, true);
  const auto digest = ChunkLedger::digest_of(*segment);
  if (!digest) return false;  // of another build, which knows better
  const auto ledger = ChunkLedger::open(name, *digest);
  if (ledger->has_participants()) return false;
  if (ledger->state() != JobState::kComplete || !exists(location)) return true;
  // The name may have been given to other memory.
  return Segment::open(location, false)->identity() != ledger->data_identity();
}

}  // namespace

bool is_abandoned(const std::string& name) noexcept {
  try {
    std::string_view rest = name;
    if (!rest.starts_with(kHiddenPrefix)) return false;
    rest.remove_prefix(kHiddenPrefix.size());
    const std::size_t dash = rest.find('-');
    if (dash == std::string_view::npos) return false;
    const std::string_view kind = rest.substr(0, dash);
    const std::string what(rest.substr(dash + 1));
    if (kind == "shared") return is_abandoned_job(name, what);
    if (kind == "data") return !exists(shared_ledger_name(what));
    const auto owner = process_of(what);
    return owner && has_ended(*owner);
  } catch (const std::exception&) {  // it went away, or is not ours to read
    return false;
  }
}

bool remove_if_abandoned(const std::string& name) noexcept {
  try {
    const FileLock lock(name);
    return lock.holds(name) && is_abandoned(name) && unlink(name);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace cvfast::shm
