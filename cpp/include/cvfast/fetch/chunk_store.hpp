// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/fetch/file.hpp"

namespace cvfast::fetch {

/// One chunk of a scale: its name, where chunks are objects of their own, and its place in the grid, from which its id
/// follows where they are not.
struct ChunkAddress {
  std::string_view name;
  Int3 grid_point{};
};

enum class StoreTrouble : std::uint8_t {
  kStored,     ///< what is stored, or how: StoreError::status where that is not ok, else io
  kServer,     ///< a server did not do it: StoreError::detail, io.call (the kind of error), io.error (HTTP status or 0)
  kCancelled,  ///< the request was given up
};

/// Why a store could not do what it was asked.
struct StoreError {
  StoreTrouble trouble = StoreTrouble::kStored;
  IoError io;     ///< a system call
  Status status;  ///< of an index that is not as it should be; kInvalidArgument for a group that is only a part of its
                  ///< object where that was to be refused
  std::string name;    ///< the object that it is about, below the scale's folder
  std::string detail;  ///< kServer: what was tried, expected and found
};

/// How a session that has to wait learns that nobody wants the result any more.
class Attention {
 public:
  Attention() : Attention([] { return true; }, std::make_shared<std::atomic<bool>>(false)) {}
  /// `poll` is asked about every 50 ms, by the thread that makes this, without any lock held; false gives up. `stopped`
  /// may be set by any thread, and is set when poll gives up.
  Attention(std::function<bool()> poll, std::shared_ptr<std::atomic<bool>> stopped)
      : poll_(std::move(poll)),
        stopped_(std::move(stopped)) {}

  [[nodiscard]] bool is_stopped() const noexcept { return stopped_->load(std::memory_order_relaxed); }
  /// For the thread that made this: whether the result is still wanted.
  [[nodiscard]] bool goes_on() const {
    if (is_stopped()) return false;
    if (poll_()) return true;
    stopped_->store(true, std::memory_order_relaxed);
    return false;
  }

  /// Waits under `lock` for a notification that makes `ready()` true; false when it was given up before.
  template <typename Ready>
  [[nodiscard]] bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                          const Ready& ready) const {
    using Clock = std::chrono::steady_clock;
    Clock::time_point asked = Clock::now();
    for (;;) {
      if (changed.wait_until(lock, Clock::now() + kLookInterval, ready)) return true;
      if (is_stopped()) return false;
      if (std::this_thread::get_id() != caller_ || Clock::now() - asked < kPollInterval) continue;
      lock.unlock();
      const bool goes_on = poll_();
      lock.lock();
      asked = Clock::now();
      if (goes_on) continue;
      stopped_->store(true, std::memory_order_relaxed);
      return false;
    }
  }

 private:
  static constexpr auto kLookInterval = std::chrono::milliseconds(20);
  static constexpr auto kPollInterval = std::chrono::milliseconds(50);

  std::function<bool()> poll_;
  std::shared_ptr<std::atomic<bool>> stopped_;
  std::thread::id caller_ = std::this_thread::get_id();
};

/// The chunks that a request is about to open, or only to look for.
struct ExpectedChunks {
  std::size_t count = 0;
  /// The grid point of one of them; false for one that need not be fetched (it is in memory).  Any thread may call.
  std::function<bool(std::size_t, Int3&)> at;
  bool only_existence = false;
};

/// Chunks that are replaced as one object.
struct WriteGroup {
  std::uint64_t object = 0;       ///< the store's number of it
  std::vector<Int3> grid_points;  ///< in the order in which the object holds them
};

enum class GroupState : std::uint8_t { kReady, kFailed, kCancelled };

/// One request's view of the place where a scale's chunks lie.  Any number of threads may call the members that are
/// const; a request that writes in groups has one group at a time, begun and committed by one thread.
class ChunkSession {
 public:
  ChunkSession() = default;
  ChunkSession(const ChunkSession&) = delete;
  ChunkSession& operator=(const ChunkSession&) = delete;
  virtual ~ChunkSession() = default;

  /// kError: `error` is filled in.
  [[nodiscard]] virtual FetchState open(const ChunkAddress& chunk, OpenedFile& file, StoreError& error) const = 0;
  [[nodiscard]] virtual FetchState exists(const ChunkAddress& chunk, StoreError& error) const = 0;
  /// What a message calls a chunk.
  [[nodiscard]] virtual std::string name_of(const ChunkAddress& chunk, ContentEncoding compression) const = 0;

  /// Replaces a chunk, or within a group takes its bytes for the commit.  `sync`: it will survive what comes next.
  [[nodiscard]] virtual bool put(const ChunkAddress& chunk, ContentEncoding compression,
                                 std::span<const std::byte> bytes, bool sync, StoreError& error) const = 0;
  /// An absent chunk is no error.
  [[nodiscard]] virtual bool remove(const ChunkAddress& chunk, StoreError& error) const = 0;
  /// Flushes the folder's entries, after puts with sync.
  [[nodiscard]] virtual bool sync_entries(StoreError& error) const = 0;

  // A store that is_remote() fetches many chunks at once, and hands them out in the order in which they arrive: expect
  // once, then next, then open (or exists) for the chunk of that number.  Other chunks are fetched as they are opened.
  // Puts and removes return before they are done, unless with sync; finish waits for them.

  /// Begins to fetch.  May throw std::bad_alloc.
  virtual void expect(ExpectedChunks) {}
  /// The number of an expected chunk that open need not wait for, each once; -1 when the request was given up.
  [[nodiscard]] virtual std::int64_t next() const { return -1; }
  /// Waits until everything put and removed has been; the first error of any of them.
  [[nodiscard]] virtual bool finish(StoreError&) const { return true; }

  // A store that keeps copies of chunks on this machine hands out OpenedFile::is_copy.

  /// Whether what is opened elsewhere should be offered as a copy, once it has proved good.
  [[nodiscard]] virtual bool keeps_copies() const noexcept { return false; }
  /// Keeps the stored bytes of a chunk, if that can be done.
  virtual void keep_copy(const ChunkAddress&, ContentEncoding, std::span<const std::byte>) const {}
  /// A copy has turned out damaged.
  virtual void discard_copy(const ChunkAddress&) const {}

  /// Makes ready for puts and removes of exactly a group's chunks, each of which must get one.  `poll` is called while
  /// another writer is waited for; false gives up.
  [[nodiscard]] virtual GroupState begin_group(const WriteGroup&, const std::function<bool()>& poll, StoreError&) {
    (void)poll;
    return GroupState::kReady;
  }
  /// Replaces the group's object; on failure it is as it was.
  [[nodiscard]] virtual bool commit_group(bool sync, StoreError&) {
    (void)sync;
    return true;
  }
};

/// Where the chunks of one scale lie.  Lives as long as the volume and may be shared by requests.
class ChunkStore {
 public:
  ChunkStore() = default;
  ChunkStore(const ChunkStore&) = delete;
  ChunkStore& operator=(const ChunkStore&) = delete;
  virtual ~ChunkStore() = default;

  [[nodiscard]] virtual std::unique_ptr<ChunkSession> read(const Attention& attention) const = 0;
  /// `merges`: a group that is a part of its object takes over the rest of it; else that is an error.
  [[nodiscard]] virtual std::unique_ptr<ChunkSession> write(bool merges, const Attention& attention) const = 0;

  /// Whether chunks come over a network, so that many have to be on their way at once.
  [[nodiscard]] virtual bool is_remote() const noexcept { return false; }

  /// Whether chunks share objects, so that writes must come in groups.
  [[nodiscard]] virtual bool writes_in_groups() const noexcept { return false; }
  /// The groups of a range of the grid, each chunk in one of them.  May throw std::bad_alloc.
  [[nodiscard]] virtual std::vector<WriteGroup> groups(const Box3& grid_range) const {
    (void)grid_range;
    return {};
  }
};

/// A folder with a file for each chunk.
[[nodiscard]] std::shared_ptr<const ChunkStore> make_folder_store(std::string folder);

}  // namespace cvfast::fetch
