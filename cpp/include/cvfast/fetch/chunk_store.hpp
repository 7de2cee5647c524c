// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
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

/// Why a store could not do what it was asked: a system call; or (where !status.ok()) an index that is not as it should
/// be, or kInvalidArgument for a group that is only a part of its object where that was to be refused.
struct StoreError {
  IoError io;
  Status status;
  std::string name;  ///< the object that it is about, below the scale's folder
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

  /// Replaces a chunk, or within a group takes its bytes for the commit.
  [[nodiscard]] virtual bool put(const ChunkAddress& chunk, ContentEncoding compression,
                                 std::span<const std::byte> bytes, bool sync, StoreError& error) const = 0;
  /// An absent chunk is no error.
  [[nodiscard]] virtual bool remove(const ChunkAddress& chunk, StoreError& error) const = 0;
  /// Flushes the folder's entries, after puts with sync.
  [[nodiscard]] virtual bool sync_entries(StoreError& error) const = 0;

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

  [[nodiscard]] virtual std::unique_ptr<ChunkSession> read() const = 0;
  /// `merges`: a group that is a part of its object takes over the rest of it; else that is an error.
  [[nodiscard]] virtual std::unique_ptr<ChunkSession> write(bool merges) const = 0;

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
