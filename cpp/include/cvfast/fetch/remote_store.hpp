// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/fetch/endpoint.hpp"
#include "cvfast/fetch/sharded.hpp"
#include "cvfast/locate/grid.hpp"

/// Chunks behind an endpoint.  A session sends many requests at once and hands chunks out as they arrive.
namespace cvfast::fetch {

struct RemoteScale {
  std::shared_ptr<const Endpoint> endpoint;
  std::shared_ptr<const Endpoint> about;  ///< if any: asked by GET whether chunks are there, and told to remove them
  std::string folder;                     ///< key of the scale, with a slash at its end
  locate::ChunkGrid grid;
  std::uint64_t max_object_bytes = std::uint64_t{1} << 30;  ///< of a stored chunk; longer ones are refused unread
  std::vector<HttpHeader> upload_headers;
};

/// How ranges of one object become requests.
struct CoalesceLimits {
  std::uint64_t max_gap_bytes = std::uint64_t{64} << 10;     ///< bytes between two ranges that are fetched unwanted
  std::uint64_t max_request_bytes = std::uint64_t{8} << 20;  ///< of several ranges together
};

/// An object for each chunk.
[[nodiscard]] std::shared_ptr<const ChunkStore> make_remote_store(RemoteScale scale);

/// Chunks in shards.  What was learned about a shard counts for as long as the server names the same ETag (or none).
/// The indexes of all shards of a request are fetched at once, then those of the minishards, then the chunks; chunks of
/// one shard do not wait for another's.
[[nodiscard]] std::shared_ptr<const ChunkStore> make_remote_sharded_store(RemoteScale scale,
                                                                          const locate::ShardSpec& spec,
                                                                          std::shared_ptr<ShardIndexCache> cache,
                                                                          const CoalesceLimits& limits = {});

}  // namespace cvfast::fetch
