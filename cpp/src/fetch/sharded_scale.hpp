// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/fetch/sharded.hpp"

namespace cvfast::fetch {

/// Half-open, in bytes of a file.
struct ByteExtent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// What all requests to one sharded scale share, wherever its shards lie: which chunk is where, and what indexes mean.
struct ShardedScale {
  /// Entries of a shard index that are read at once.  Only a minishard_bits above 16 makes more than one page.
  static constexpr std::uint64_t kPageEntries = std::uint64_t{1} << 16;

  ShardedScale(std::string folder, const locate::ShardSpec& spec, const locate::ChunkGrid& grid,
               std::shared_ptr<ShardIndexCache> cache);

  std::string folder;
  locate::ShardSpec spec;
  locate::ChunkGrid grid;
  Int3 grid_size{};
  std::uint64_t num_chunks = 0;  ///< what a minishard can hold at most
  std::shared_ptr<ShardIndexCache> cache;
  std::uint32_t number = 0;  ///< in the cache

  [[nodiscard]] std::uint64_t id_of(const Int3& grid_point) const noexcept;
  /// Saturating: no file has so large an index.
  [[nodiscard]] std::uint64_t index_bytes() const noexcept;
  [[nodiscard]] ContentEncoding compression() const noexcept {
    return spec.gzip_data ? ContentEncoding::kGzip : ContentEncoding::kNone;
  }

  [[nodiscard]] std::string shard_name(std::uint64_t shard, std::string_view ending = ".shard") const;
  // What messages call things.
  [[nodiscard]] std::string minishard_index_name(const locate::ShardLocation& at) const;
  [[nodiscard]] std::string chunk_title(const ChunkAddress& chunk) const;

  /// Where a page of a shard index lies.
  [[nodiscard]] ByteExtent page_extent(std::uint64_t page) const noexcept;
  Status parse_page(std::uint64_t page, std::span<const std::byte> bytes, std::uint64_t payload_bytes,
                    std::vector<locate::IndexExtent>& out) const;
  /// Whether a minishard index may have so many stored bytes.
  Status check_minishard_index_size(std::uint64_t stored_bytes) const noexcept;
  /// A minishard index as stored.
  Status parse_minishard(std::span<const std::byte> stored, std::uint64_t payload_bytes,
                         std::vector<locate::ShardEntry>& out) const;

  /// The chunks of a range of the grid by shard, in the order of their ids.  May throw std::bad_alloc.
  [[nodiscard]] std::vector<WriteGroup> groups(const Box3& grid_range) const;
  /// Whether a group is all that its shard can hold.
  [[nodiscard]] bool covers_shard(const WriteGroup& group) const noexcept;
};

}  // namespace cvfast::fetch
