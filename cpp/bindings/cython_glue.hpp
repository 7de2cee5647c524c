// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/core/checked.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/decode/compressed_segmentation.hpp"
#include "cvfast/fetch/shard_assembly.hpp"
#include "cvfast/locate/shard_index.hpp"
#include "cvfast/paint/labels.hpp"
#include "cvfast/skeleton/precomputed.hpp"

/// What the Cython modules need and Cython cannot say: arrays by value, an exception as a Status while the GIL is not
/// held, and geometry that an outside caller got wrong caught before a kernel relies on it.
namespace cvfast::glue {

namespace segmentation = decode::compressed_segmentation;

// cloudvolume_fast/_core/status.pxd repeats the numbers, because its users need none of these headers.
static_assert(static_cast<int>(Code::kOk) == 0 && static_cast<int>(Code::kTruncated) == 1 &&
              static_cast<int>(Code::kTrailingBytes) == 2 && static_cast<int>(Code::kBadMagic) == 3 &&
              static_cast<int>(Code::kOffsetRange) == 4 && static_cast<int>(Code::kBadValue) == 5 &&
              static_cast<int>(Code::kCorrupt) == 6 && static_cast<int>(Code::kChecksum) == 7 &&
              static_cast<int>(Code::kTooLarge) == 8 && static_cast<int>(Code::kOverflow) == 9 &&
              static_cast<int>(Code::kInvalidArgument) == 10 && static_cast<int>(Code::kNoMemory) == 11);

inline Int3 int3(const std::int64_t* p) noexcept { return {p[0], p[1], p[2]}; }
inline Int4 int4(const std::int64_t* p) noexcept { return {p[0], p[1], p[2], p[3]}; }

inline Status invalid_argument() noexcept { return Status{Code::kInvalidArgument, 0, 0, 0}; }

inline bool is_sane(const segmentation::Geometry& g) noexcept {
  for (int i = 0; i < 3; ++i) {
    if (g.chunk_shape[i] <= 0 || g.block_shape[i] <= 0) return false;
  }
  return g.num_channels > 0 && (g.item_size == 4 || g.item_size == 8) &&
         checked_product({g.chunk_shape[0], g.chunk_shape[1], g.chunk_shape[2], g.num_channels, g.item_size}) &&
         checked_product({g.block_shape[0], g.block_shape[1], g.block_shape[2], g.item_size});
}

inline bool is_inside(const segmentation::Geometry& g, const Box3& box, std::int64_t channel_begin,
                      std::int64_t channel_end) noexcept {
  for (int i = 0; i < 3; ++i) {
    if (box.min[i] < 0 || box.max[i] < box.min[i] || box.max[i] > g.chunk_shape[i]) return false;
  }
  return channel_begin >= 0 && channel_begin <= channel_end && channel_end <= g.num_channels;
}

template <typename Function>
Status catching(Function&& function) noexcept {
  try {
    return function();
  } catch (...) {
    // A vector throws std::bad_alloc, or std::length_error for a size that no memory could hold.
    return Status{Code::kNoMemory, 0, 0, 0};
  }
}

inline Status decode_box(std::span<const std::byte> data, const segmentation::Geometry& geometry, const Box3& box,
                         std::int64_t channel_begin, std::int64_t channel_end, std::byte* dst,
                         const Int4& dst_strides) noexcept {
  if (!is_sane(geometry) || !is_inside(geometry, box, channel_begin, channel_end)) return invalid_argument();
  if (box.empty() || channel_begin == channel_end) return Status{};
  return segmentation::decode_box(data, geometry, box, channel_begin, channel_end, paint::VoxelMap{}, dst, dst_strides);
}

inline Status unique_box(std::span<const std::byte> data, const segmentation::Geometry& geometry, const Box3& box,
                         std::int64_t channel_begin, std::int64_t channel_end,
                         std::vector<std::uint64_t>& out) noexcept {
  if (!is_sane(geometry) || !is_inside(geometry, box, channel_begin, channel_end)) return invalid_argument();
  if (box.empty() || channel_begin == channel_end) return Status{};
  return catching([&] { return segmentation::unique_box(data, geometry, box, channel_begin, channel_end, out); });
}

inline Status encode(const std::byte* src, const Int4& src_strides, const segmentation::Geometry& geometry,
                     std::vector<std::byte>& out) noexcept {
  if (!is_sane(geometry)) return invalid_argument();
  return catching([&] { return segmentation::encode(src, src_strides, geometry, out); });
}

inline Status unique_items(const std::byte* src, const Int4& src_strides, const Int4& shape, std::size_t item_size,
                           std::vector<std::uint64_t>& out) noexcept {
  return catching([&] {
    paint::unique_box(src, src_strides, shape, item_size, out);
    return Status{};
  });
}

/// `extents` has room for two numbers per 16 bytes.
inline Status parse_shard_index(std::span<const std::byte> data, std::uint64_t payload_bytes,
                                std::uint64_t* extents) noexcept {
  return catching([&] {
    std::vector<locate::IndexExtent> out;
    const Status status = locate::parse_shard_index(data, payload_bytes, out);
    if (!status.ok()) return status;
    for (const locate::IndexExtent& extent : out) {
      *extents++ = extent.begin;
      *extents++ = extent.end;
    }
    return status;
  });
}

/// `entries` has room for three numbers per 24 bytes.
inline Status parse_minishard_index(std::span<const std::byte> data, std::uint64_t payload_bytes,
                                    std::uint64_t* entries) noexcept {
  return catching([&] {
    std::vector<locate::ShardEntry> out;
    const Status status = locate::parse_minishard_index(data, payload_bytes, out);
    if (!status.ok()) return status;
    for (const locate::ShardEntry& entry : out) {
      *entries++ = entry.id;
      *entries++ = entry.offset;
      *entries++ = entry.size;
    }
    return status;
  });
}

/// The data are given by their sizes alone, since nothing else of them is looked at.
inline Status assemble_shard(const locate::ShardSpec& spec, const std::uint64_t* ids, const std::uint64_t* sizes,
                             const std::uint64_t* skips, std::size_t n, fetch::AssembledShard& out) noexcept {
  return catching([&] {
    static constexpr std::byte kNowhere{};
    std::vector<fetch::ShardDatum> data;
    data.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
      data.push_back({ids[i], {&kNowhere, static_cast<std::size_t>(sizes[i])}, skips[i]});
    }
    return fetch::assemble_shard(spec, data, out);
  });
}

/// Vertex attributes from two arrays of n.
inline Status skeleton_formats(const std::uint32_t* item_bytes, const std::uint32_t* num_components, std::size_t n,
                               std::vector<skeleton::AttributeFormat>& out) noexcept {
  return catching([&] {
    out.reserve(n);
    for (std::size_t i = 0; i < n; ++i) out.push_back({item_bytes[i], num_components[i]});
    return Status{};
  });
}

}  // namespace cvfast::glue
