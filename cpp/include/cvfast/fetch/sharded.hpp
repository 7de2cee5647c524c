// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/locate/grid.hpp"
#include "cvfast/locate/shard_index.hpp"
#include "cvfast/locate/shard_spec.hpp"

/// Chunks in shard files (neuroglancer_uint64_sharded_v1): a store over a folder.
namespace cvfast::fetch {

/// What a file was when something was read from it; a file that is replaced or rewritten has another one.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;

  [[nodiscard]] bool operator==(const FileStamp&) const noexcept = default;
};

/// Shard and minishard indexes, parsed and checked, for the life of a volume: least recently used ones up to a number
/// of bytes.  One cache serves all scales of a volume; keys are complete.
///
/// An index counts only for the file that it was read from, as its stamp tells.  Any number of threads may call.  The
/// mutex is tried a bounded number of times and whoever does not get it reads the index again, hence a child that was
/// forked while another thread held it works on without a cache.
class ShardIndexCache {
 public:
  /// Consecutive entries of a shard index.
  using Extents = std::shared_ptr<const std::vector<locate::IndexExtent>>;
  /// A minishard index, sorted by id.
  using Entries = std::shared_ptr<const std::vector<locate::ShardEntry>>;

  struct Key {
    std::uint32_t store = 0;  ///< as intern numbers it
    bool is_shard_index = false;
    std::uint64_t shard = 0;
    std::uint64_t part = 0;  ///< the page of a shard index, or the minishard

    [[nodiscard]] bool operator==(const Key&) const noexcept = default;
  };

  static constexpr std::uint64_t kDefaultBytes = std::uint64_t{128} << 20;

  explicit ShardIndexCache(std::uint64_t limit_bytes = kDefaultBytes) noexcept : limit_(limit_bytes) {}

  /// The number of a folder, the same for equal ones.  May throw std::bad_alloc.
  [[nodiscard]] std::uint32_t intern(const std::string& folder, const locate::ShardSpec& spec);

  [[nodiscard]] Extents find_extents(const Key& key, const FileStamp& stamp) noexcept;
  [[nodiscard]] Entries find_entries(const Key& key, const FileStamp& stamp) noexcept;
  void insert(const Key& key, const FileStamp& stamp, Extents extents) noexcept;
  void insert(const Key& key, const FileStamp& stamp, Entries entries) noexcept;

  void clear() noexcept;
  [[nodiscard]] std::uint64_t held_bytes() noexcept;

 private:
  struct Record {
    Key key;
    FileStamp stamp;
    Extents extents;
    Entries entries;
    std::uint64_t charge = 0;
  };
  using Order = std::list<Record>;
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
  };

  [[nodiscard]] std::unique_lock<std::mutex> try_lock() noexcept;
  [[nodiscard]] const Record* find(const Key& key, const FileStamp& stamp) noexcept;
  void insert(Record record) noexcept;

  std::mutex mutex_;
  std::uint64_t limit_;
  std::uint64_t held_ = 0;
  Order order_;  // the most recently used first
  std::unordered_map<Key, Order::iterator, Hash> index_;
  std::vector<std::pair<std::string, locate::ShardSpec>> stores_;
};

/// Chunks of a grid in the shards of a folder, under their compressed Morton codes.  spec.valid(), and the codes of the
/// grid have at most 64 bits.
///
/// Reading: a shard is opened once a request; `.shard` files and the older pairs of `.index` and `.data` are read.
/// Writing: all chunks of a request that lie in one shard make a group, which is merged with what else the shard holds
/// and replaced by rename.  Writers of one shard wait for each other, also in other processes, by a lock on its bytes
/// of the hidden file `.shards.lock` (where the file system has locks).
[[nodiscard]] std::shared_ptr<const ChunkStore> make_sharded_store(std::string folder, const locate::ShardSpec& spec,
                                                                   const locate::ChunkGrid& grid,
                                                                   std::shared_ptr<ShardIndexCache> cache);

/// The grid points whose chunks share a shard with a chunk, where they make a box: identity hash, and no more shards
/// asked for than shard_bits can number.  Empty otherwise.
[[nodiscard]] Box3 shard_grid_range(const locate::ShardSpec& spec, const Int3& grid_size,
                                    const Int3& grid_point) noexcept;

}  // namespace cvfast::fetch
