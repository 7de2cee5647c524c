// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cvfast/core/status.hpp"
#include "cvfast/decode/image_codec.hpp"
#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/locate/grid.hpp"

namespace cvfast::runtime {

/// One scale of a volume: where its chunks lie and what their bytes mean.
struct ImageLayout {
  std::string folder;  ///< absolute path of the scale's key
  locate::ChunkGrid grid;
  decode::ImageFormat format;
  std::shared_ptr<const fetch::ChunkStore> store;  ///< shared by the copies of a layout
  /// The same without copies on this machine, where `store` has some; for what must not start from an old copy.
  std::shared_ptr<const fetch::ChunkStore> source;
  fetch::ContentEncoding copy_compression = fetch::ContentEncoding::kNone;  ///< of copies
  int copy_compression_level = 6;
};

enum class ErrorKind : std::uint8_t {
  kMissing,
  kIo,
  kDecompress,
  kDecode,
  kEncode,
  kNoMemory,
  kCompress,
  kIndex,
  kPartialObject,
  kServer,    ///< a server did not do what it was asked
  kCancelled  ///< the request was given up meanwhile; never in a result
};

/// The first chunk that failed, and why.
struct ChunkError {
  ErrorKind kind = ErrorKind::kIo;
  std::string name;             ///< chunk name with its suffix
  Status status;                ///< kDecompress, kDecode, kEncode, kIndex
  fetch::IoError io;            ///< kIo; kServer: the kind of error, and the HTTP status
  std::string detail;           ///< what a package outside of the core said, if it was one that failed; kServer
  std::int64_t index = 0;       ///< position of the chunk in the request
  bool in_destination = false;  ///< of a transfer: the chunk to be written, not the one that was read
};

/// Compression of whole objects that the core does not have itself (brotli, zstd, xz, bzip2), either direction.  Called
/// on pool threads.  `parameter` is the limit of the output when decompressing, the level when compressing.  Output
/// beyond the limit says that there is too much, and is not looked at.
/// Returns an empty string, or what went wrong.  Must not throw anything but std::bad_alloc.
using ByteTransform = std::function<std::string(fetch::ContentEncoding, std::span<const std::byte> in,
                                                std::int64_t parameter, std::vector<std::byte>& out)>;

/// Receives decoded voxels: the first voxel of the box, and strides in bytes of x, y, z, channel.
using PaintVoxels = std::function<void(const std::byte* voxels, const Int4& strides)>;

/// What a package outside of the core does for an encoding: all of it, or only to encode (is_decoded_here,
/// is_encoded_here).  Called on pool threads; each returns an empty string or what went wrong, and must not throw.
struct ExternalCodec {
  /// Decodes a box (relative to the chunk) of all channels and hands it to `paint` once.
  std::function<std::string(std::span<const std::byte> data, const Int3& chunk_shape, const Box3& box,
                            const PaintVoxels& paint)>
      decode;
  /// Encodes a whole chunk.
  std::function<std::string(const std::byte* src, const Int4& strides, const Int3& chunk_shape,
                            std::vector<std::byte>& out)>
      encode;
  /// The distinct values of a box of all channels (bits, zero extended), ascending.
  std::function<std::string(std::span<const std::byte> data, const Int3& chunk_shape, const Box3& box,
                            std::vector<std::uint64_t>& labels)>
      unique;
};

class ChunkCache;

/// How a layout's chunks are held in memory.
struct CacheUse {
  ChunkCache* cache = nullptr;  ///< none: nothing is held
  std::uint32_t space = 0;      ///< as the cache numbers it
  bool transcode = false;       ///< entries are encoded in `format`, not as the store has them
  decode::ImageFormat format;
  ExternalCodec codec;  ///< where `format` is external
};

/// What every request shares.
struct RunOptions {
  int threads = 0;  ///< 0: default_threads()
  std::uint64_t max_inflight_bytes = std::uint64_t{256} << 20;
  std::function<bool()> poll = [] { return true; };  ///< about every 50 ms on the calling thread; false cancels
  /// Tells threads that wait for a server that the request has failed or was given up.
  std::shared_ptr<std::atomic<bool>> stopped = std::make_shared<std::atomic<bool>>(false);
  ByteTransform decompress;
  ByteTransform compress;
  ExternalCodec codec;  ///< for what the core does not do itself
  CacheUse cache;
};

/// Written by the pool's threads, read by poll.  Relaxed: the numbers only feed a progress bar.
struct Progress {
  std::atomic<std::uint64_t> chunks{0};
  std::atomic<std::uint64_t> bytes{0};  ///< of voxels
};

enum class RunState : std::uint8_t { kDone, kFailed, kCancelled };

struct RunResult {
  RunState state = RunState::kDone;
  std::optional<ChunkError> error;
};

}  // namespace cvfast::runtime
