// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/status.hpp"

/// gzip (RFC 1952) by libdeflate, whole buffers.  Multi-member files are read; zero padding after the last member is
/// allowed, as Python's gzip allows it; any other trailing byte is an error.
namespace cvfast::decode::gzip {

/// Inflates into exactly `capacity` bytes at most.  `written` is set on success.
/// @return kBadMagic (not 1f 8b), kTruncated, kCorrupt, kChecksum, kTooLarge (more than capacity), kTrailingBytes.
Status decompress(std::span<const std::byte> in, std::byte* out, std::size_t capacity, std::size_t& written) noexcept;

/// Inflates into a vector that grows as needed, up to `limit` bytes: a bomb costs at most the limit.
/// The length that the last member states sizes the first attempt.
Status decompress(std::span<const std::byte> in, std::uint64_t limit, std::vector<std::byte>& out) noexcept;

/// Bytes behind its input, and behind its output, that `decompress_padded` may read and write.
inline constexpr std::size_t kInputPadding = 64;
inline constexpr std::size_t kOutputPadding = 320;

/// Inflates one member, checksum and length included, into exactly `size` bytes.  Rows of numbers repeat what lies a
/// few bytes back, which libdeflate copies more slowly: fragments of meshes take 0.65 of its time.
/// @return false where that is not what there is, or cannot be told; then `decompress` says.
[[nodiscard]] bool decompress_padded(const std::byte* in, std::size_t in_size, std::byte* out,
                                     std::size_t size) noexcept;

/// The DEFLATE stream of the first member and all that lies behind it; empty where there is no sound header.
[[nodiscard]] std::span<const std::byte> first_stream(std::span<const std::byte> in) noexcept;

/// What is compressed, as far as it tells how.
enum class Content : std::uint8_t {
  kAny,
  kCompressedSegmentation,  ///< long searches for repetitions gain little in it
};

/// Compresses as one member.  level 0 (stored) to 9 as in zlib, up to 12 as libdeflate has them.  At level 9, zlib's
/// best and the default of those who write volumes, the level stands for the size that zlib makes, and time is spent
/// where it pays; at level 6, that of skeletons, what is a skeleton of 2 to 32 KiB has an encoder of its own.  The
/// result depends on the input alone.
Status compress(std::span<const std::byte> in, int level, std::vector<std::byte>& out,
                Content content = Content::kAny) noexcept;

/// Upper bound of the size of a compressed member for n bytes of input.
[[nodiscard]] std::size_t compress_bound(std::size_t n) noexcept;

}  // namespace cvfast::decode::gzip
