// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "chunk_io.hpp"
#include "cvfast/fetch/file.hpp"
#include "cvfast/runtime/image_request.hpp"

namespace cvfast::runtime {

/// Puts whole chunks into a layout's folder, from any of the three forms that they pass through, and tells the cache.
class ChunkWriter {
 public:
  struct Settings {
    fetch::ContentEncoding compression = fetch::ContentEncoding::kNone;
    int level = 9;
    bool sync = false;
  };

  ChunkWriter(const ImageLayout& layout, const Settings& settings, const RunOptions& options)
      : layout_(layout),
        settings_(settings),
        options_(options),
        folder_(layout.folder) {}

  [[nodiscard]] bool put_voxels(const Box3& chunk, std::string_view name, const std::byte* src, const Int4& strides,
                                ChunkError& error) const;
  [[nodiscard]] bool put_encoded(const Box3& chunk, std::string_view name, std::span<const std::byte> encoded,
                                 ChunkError& error) const;
  /// Bytes that are compressed already, in a way of their own.
  [[nodiscard]] bool put_stored(const Box3& chunk, std::string_view name, fetch::ContentEncoding compression,
                                std::span<const std::byte> stored, ChunkError& error) const;
  [[nodiscard]] bool remove(const Box3& chunk, std::string_view name, ChunkError& error) const;
  /// Flushes the folder's entries, after puts with sync.
  [[nodiscard]] bool sync_entries(ChunkError& error) const;

 private:
  class CacheUpdate;
  [[nodiscard]] bool compress_and_put(std::string_view name, std::span<const std::byte> encoded,
                                      ChunkError& error) const;

  const ImageLayout& layout_;
  Settings settings_;
  const RunOptions& options_;
  fetch::Folder folder_;
};

}  // namespace cvfast::runtime
