// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/locate/grid.hpp"
#include "cvfast/locate/shard_spec.hpp"

namespace cvfast::fetch {

/// Objects that somebody else gets and puts, one whole object at a time.  Any thread may call; each returns what went
/// wrong, or an empty string, and must not throw anything but std::bad_alloc.
struct ObjectCalls {
  std::function<std::string(const std::string& key, bool& is_there, ContentEncoding& encoding,
                            std::vector<std::byte>& bytes)>
      get;
  std::function<std::string(const std::string& key, ContentEncoding encoding, std::span<const std::byte> bytes)> put;
  std::function<std::string(const std::string& key, bool& is_there)> exists;
  std::function<std::string(const std::string& key)> remove;
};

/// An object for each chunk, below the key `folder` (with a slash at its end).
[[nodiscard]] std::shared_ptr<const ChunkStore> make_callback_store(ObjectCalls calls, std::string folder);

/// Chunks in shards, each of which a request gets once and as a whole.
[[nodiscard]] std::shared_ptr<const ChunkStore> make_callback_sharded_store(ObjectCalls calls, std::string folder,
                                                                            const locate::ShardSpec& spec,
                                                                            const locate::ChunkGrid& grid);

}  // namespace cvfast::fetch
