// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "../decode/inflate_prefix.hpp"
#include "cvfast/decode/image_codec.hpp"
#include "cvfast/paint/labels.hpp"
#include "cvfast/runtime/memory.hpp"

namespace cvfast::runtime {

/// The beginning of a chunk that is compressed by gzip, inflated as far as small boxes of it need: what lies behind is
/// neither inflated nor checked, nor is the checksum of the whole.
class ChunkBeginning {
 public:
  /// Whether a box is so small a part of a chunk that this may serve it.
  [[nodiscard]] static bool may_hold(const decode::ImageFormat& format, const Int3& chunk_shape,
                                     std::int64_t voxels) noexcept;

  /// `gzip` and `scratch` outlive this.
  ChunkBeginning(const decode::ImageFormat& format, const Int3& chunk_shape, std::span<const std::byte> gzip,
                 Scratch& scratch) noexcept;

  /// As decode::decode_box.  False where most of the chunk would be needed, and where anything is wrong: then the
  /// whole is to be inflated, which tells what.
  [[nodiscard]] bool decode(const Box3& box, std::int64_t channel_begin, std::int64_t channel_end,
                            const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept;

 private:
  [[nodiscard]] bool extend(std::uint64_t n) noexcept;
  [[nodiscard]] std::span<const std::byte> beginning() const noexcept { return {data_, inflater_->size()}; }

  const decode::ImageFormat& format_;
  Int3 chunk_shape_;
  std::uint64_t most_bytes_ = 0;  // beyond which inflating the whole is as good
  std::byte* data_ = nullptr;
  std::optional<decode::InflatePrefix> inflater_;  // none: not that kind of chunk
};

}  // namespace cvfast::runtime
