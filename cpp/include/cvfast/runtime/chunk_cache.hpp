// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cvfast/decode/image_codec.hpp"
#include "cvfast/locate/grid.hpp"

namespace cvfast::runtime {

/// Bytes of one chunk in memory, counted by reference: an entry that is evicted while somebody decodes it lives until
/// that is done.  Written by the one who made it, and by nobody once it is shared.
class CacheBlock {
 public:
  CacheBlock() = default;
  CacheBlock(const CacheBlock& other) noexcept;
  CacheBlock(CacheBlock&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  CacheBlock& operator=(const CacheBlock& other) noexcept { return *this = CacheBlock(other); }
  CacheBlock& operator=(CacheBlock&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~CacheBlock();

  /// Room for n bytes, contents unspecified; empty when memory is exhausted.
  [[nodiscard]] static CacheBlock make(std::size_t n) noexcept;
  [[nodiscard]] static CacheBlock copy(std::span<const std::byte> bytes) noexcept;

  [[nodiscard]] explicit operator bool() const noexcept { return block_ != nullptr; }
  [[nodiscard]] std::byte* data() const noexcept;
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept;
  /// What it takes from the system, the allocator's bookkeeping included.
  [[nodiscard]] std::size_t allocated_bytes() const noexcept;

 private:
  struct Header;
  Header* block_ = nullptr;
};

/// Whose chunks a family of entries holds, and how.  Two scales, and two encodings of one scale, differ in it.
struct CacheSpace {
  std::string folder;  ///< absolute path of the scale's chunks
  std::string key;     ///< the scale's key, by which its entries are listed
  locate::ChunkGrid grid;
  std::string stored_encoding;  ///< name, as in the info
  decode::ImageFormat stored;
  std::string entry_encoding;  ///< name of what entries are encoded in
  decode::ImageFormat entry;

  friend bool operator==(const CacheSpace&, const CacheSpace&);
};

struct CacheKey {
  std::uint32_t space = 0;
  Int3 chunk{};  ///< grid point

  friend bool operator==(const CacheKey&, const CacheKey&) = default;
};

/// Least recently used chunks up to a number of bytes, for any number of threads.
///
/// One mutex guards everything and is held for a hash lookup and a few pointers: about a tenth of a microsecond, where
/// decoding a chunk takes tens.  Blocks are allocated, filled and freed outside of it.
///
/// A reader may hold bytes that a writer has replaced meanwhile.  Hence tickets: lookup gives one before the object is
/// opened, every write or delete of that chunk makes it void when it ends, and insert refuses a void one.  What is in
/// the cache when no write is under way is therefore what the store holds.
///
/// fork waits until no thread is inside; the child has a copy of its own.
class ChunkCache {
 public:
  struct Lookup {
    CacheBlock block;  ///< empty on a miss
    std::uint64_t ticket = 0;
  };
  struct Listed {
    std::string path;  ///< key/x0-x1_y0-y1_z0-z1
    CacheKey key;
  };

  explicit ChunkCache(std::uint64_t limit_bytes);
  ~ChunkCache();
  ChunkCache(const ChunkCache&) = delete;
  ChunkCache& operator=(const ChunkCache&) = delete;

  /// The number of a space, the same for equal ones.  May throw std::bad_alloc.
  [[nodiscard]] std::uint32_t intern(const CacheSpace& space);
  [[nodiscard]] CacheSpace space(std::uint32_t number) const;

  [[nodiscard]] Lookup lookup(const CacheKey& key) noexcept;
  /// A ticket alone, for a writer, taken before it writes.
  [[nodiscard]] std::uint64_t ticket(const CacheKey& key) noexcept;

  /// Adds an entry under a ticket of its key; evicts others first, so that the limit holds at all times.
  /// @return false when the entry alone exceeds the limit, the ticket is void, or memory is exhausted.
  bool insert(const CacheKey& key, CacheBlock block, std::uint64_t ticket) noexcept;

  /// To be called when a write of a chunk has ended, well or not: voids its tickets, and replaces its entry by the new
  /// bytes, if given and if nobody else wrote it since the ticket was taken; else removes it.  Entries of other spaces
  /// in the same folder are removed, since the file may be theirs.
  void written(const CacheKey& key, CacheBlock block, std::uint64_t ticket) noexcept;

  /// Removes an entry and returns its bytes; tickets stay good.
  CacheBlock take(const CacheKey& key) noexcept;

  /// Whether an entry of n bytes could be held.
  [[nodiscard]] bool admits(std::uint64_t n) const noexcept;

  void clear() noexcept;
  /// 0 removes everything and keeps nothing from then on.
  void resize(std::uint64_t limit_bytes) noexcept;

  [[nodiscard]] std::uint64_t limit_bytes() const noexcept { return limit_.load(std::memory_order_relaxed); }
  /// What entries hold, bookkeeping included.
  [[nodiscard]] std::uint64_t held_bytes() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept;
  /// All entries, the most recently used first.  May throw std::bad_alloc.
  [[nodiscard]] std::vector<Listed> list() const;
  /// The entry of a path as in `list`, without counting as a use.
  [[nodiscard]] std::optional<CacheKey> find(std::string_view path) const noexcept;
  /// The bytes of an entry, without counting as a use; empty if there is none.
  [[nodiscard]] CacheBlock peek(const CacheKey& key) const noexcept;

 private:
  struct Entry {
    CacheKey key;
    CacheBlock block;
    std::uint64_t charge = 0;
  };
  using Order = std::list<Entry>;
  struct Hash {
    std::size_t operator()(const CacheKey& key) const noexcept;
  };
  struct SpaceRecord {
    CacheSpace space;
    std::vector<std::uint32_t> siblings;  // other spaces of the same folder
    std::size_t entries = 0;
  };

  static std::uint64_t charge_of(const CacheBlock& block) noexcept;
  std::uint64_t& version(const CacheKey& key) noexcept;
  // With the mutex held; removed entries go to `removed`, to be freed without it.
  void remove(Order::iterator entry, Order& removed) noexcept;
  void shrink_to(std::uint64_t limit, Order& removed) noexcept;
  bool add(const CacheKey& key, CacheBlock& block, Order& removed) noexcept;

  friend struct ForkGuard;

  mutable std::mutex mutex_;
  std::atomic<std::uint64_t> limit_;  // relaxed: read outside of the mutex only to decide whether to bother
  std::uint64_t held_ = 0;
  Order order_;  // the most recently used first
  std::unordered_map<CacheKey, Order::iterator, Hash> index_;
  std::vector<SpaceRecord> spaces_;
  // Striped: two chunks that share a counter cost each other an insertion now and then.
  std::array<std::uint64_t, 256> versions_{};
};

}  // namespace cvfast::runtime
