// SPDX-License-Identifier: BSD-3-Clause
#include "chunk_beginning.hpp"

#include <algorithm>

#include "cvfast/core/checked.hpp"
#include "cvfast/core/endian.hpp"
#include "cvfast/decode/compressed_segmentation.hpp"
#include "cvfast/decode/gzip.hpp"

namespace cvfast::runtime {
namespace {

bool is_segmentation(const decode::ImageFormat& format) noexcept {
  return format.encoding == decode::Encoding::kCompressedSegmentation && format.num_channels == 1;
}

}  // namespace

bool ChunkBeginning::may_hold(const decode::ImageFormat& format, const Int3& chunk_shape,
                              std::int64_t voxels) noexcept {
  constexpr std::int64_t kPart = 8;
  const auto all = checked_product({chunk_shape[0], chunk_shape[1], chunk_shape[2]});
  return (is_segmentation(format) || format.encoding == decode::Encoding::kRaw) && all && voxels <= *all / kPart;
}

ChunkBeginning::ChunkBeginning(const decode::ImageFormat& format, const Int3& chunk_shape,
                               std::span<const std::byte> gzip, Scratch& scratch) noexcept
    : format_(format),
      chunk_shape_(chunk_shape) {
  const std::span<const std::byte> stream = decode::gzip::first_stream(gzip);
  if (stream.size() < sizeof(std::uint32_t)) return;
  // Of the size that the trailer states nothing is believed but that it is worth to begin.
  const std::uint64_t size = load_le<std::uint32_t>(gzip.data() + gzip.size() - sizeof(std::uint32_t));
  if (size > decode::max_chunk_bytes(format, chunk_shape)) return;
  if (size != decode::fixed_chunk_bytes(format, chunk_shape).value_or(size)) return;
  most_bytes_ = size - size / 32;
  const std::size_t capacity = static_cast<std::size_t>(size) + decode::InflatePrefix::kSlackBytes;
  data_ = scratch.get(capacity);
  if (data_ != nullptr) inflater_.emplace(stream, std::span(data_, capacity));
}

bool ChunkBeginning::extend(std::uint64_t n) noexcept {
  return n <= most_bytes_ && (n <= inflater_->size() || inflater_->extend(static_cast<std::size_t>(n)));
}

bool ChunkBeginning::decode(const Box3& box, std::int64_t channel_begin, std::int64_t channel_end,
                            const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept {
  if (!inflater_) return false;
  if (is_segmentation(format_)) {
    const decode::compressed_segmentation::Geometry geometry{chunk_shape_, format_.block_shape, format_.num_channels,
                                                             format_.item_size};
    // The first word, the headers, what they point at.
    for (int step = 0; step < 3; ++step) {
      if (!extend(decode::compressed_segmentation::box_end(beginning(), geometry, box))) return false;
    }
    return decode::decode_box(format_, beginning(), std::nullopt, chunk_shape_, box, channel_begin, channel_end, map,
                              dst, dst_strides)
        .ok();
  }
  const auto range = decode::box_byte_range(format_, chunk_shape_, box, channel_begin, channel_end);
  if (!range || !extend(range->offset + range->size)) return false;
  return decode::decode_box(format_, beginning().subspan(range->offset, range->size), range, chunk_shape_, box,
                            channel_begin, channel_end, map, dst, dst_strides)
      .ok();
}

}  // namespace cvfast::runtime
