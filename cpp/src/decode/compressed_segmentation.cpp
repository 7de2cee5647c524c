// SPDX-License-Identifier: BSD-3-Clause
//
// Decoding.  A sub-block is checked once: where the widest index that its bits allow still finds an entry before the
// end of the data, no voxel is checked again.  Sub-blocks of one label (a third of a real segmentation) are row fills;
// for the others the width is a template argument, a row of eight voxels is one load of 8 * bits bits, and the voxel
// map is applied to the few entries of the lookup table instead of to the voxels.  A row of sub-blocks along x goes
// through a scratch buffer when the destination is too large for the caches, where its 512-byte rows are then streamed
// past them, or when the destination is not packed along x, where they are transposed.
//
// Encoding.  Voxels are gathered a row of sub-blocks at a time; a sub-block of one label needs no more than the
// comparison with its first voxel.
//
// Measured on 512 chunks of 64^3 uint64 connectomics labels in 8^3 sub-blocks (Zen 5, one thread, CPU time per voxel;
// with AVX-512 / portable): decode into a 512^3 volume 0.41 / 0.55 ns, into a packed chunk 0.23 / 0.38 ns; encode a
// packed chunk 0.51 / 1.53 ns.  The compressed_segmentation 2.3.3 of PyPI took 1.2 and 5.4 ns for the same chunks.
#include "cvfast/decode/compressed_segmentation.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "../core/isa.hpp"
#include "../paint/recent_labels.hpp"
#include "../paint/stream_copy.hpp"
#include "compressed_segmentation_kernels.hpp"
#include "cvfast/core/checked.hpp"
#include "cvfast/core/endian.hpp"
#include "cvfast/paint/copy_box.hpp"

namespace cvfast::decode::compressed_segmentation {
namespace {

using paint::VoxelMap;
using paint::VoxelOp;

constexpr std::size_t kWordBytes = 4;
constexpr std::size_t kHeaderBytes = 8;
constexpr std::uint64_t kMaxTableOffset = (std::uint64_t{1} << 24) - 1;

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return a == 0 ? 0 : (a - 1) / b + 1; }

bool is_valid(const Geometry& geometry) noexcept {
  for (std::size_t i = 0; i < 3; ++i) {
    if (geometry.chunk_shape[i] <= 0 || geometry.block_shape[i] <= 0) return false;
  }
  return geometry.num_channels > 0 && (geometry.item_size == 4 || geometry.item_size == 8);
}

Int3 grid_of(const Geometry& geometry) noexcept {
  return {ceil_div(geometry.chunk_shape[0], geometry.block_shape[0]),
          ceil_div(geometry.chunk_shape[1], geometry.block_shape[1]),
          ceil_div(geometry.chunk_shape[2], geometry.block_shape[2])};
}

/// The words of one channel, from its block headers to the end of the data.
struct Channel {
  const std::byte* data = nullptr;
  std::uint64_t words = 0;
  std::uint64_t offset_bytes = 0;  // of `data` in the file, for error messages
  Int3 grid{};
  std::optional<std::int64_t> block_volume;
  std::uint64_t item_words = 2;
};

/// One sub-block after its header was checked: the packed indices lie inside the data and so does the first entry.
struct Block {
  unsigned bits = 0;
  const std::byte* values = nullptr;
  const std::byte* table = nullptr;
  std::uint64_t entries = 0;  // that could be read from the table before the data end
  std::uint64_t header_offset = 0;
};

/// The part of a sub-block to be decoded.
struct Region {
  Int3 begin{};
  Int3 extent{};
};

Status check_request(const Geometry& geometry, const Box3& box, std::int64_t channel_begin,
                     std::int64_t channel_end) noexcept {
  const Status invalid{Code::kInvalidArgument, 0, 0, 0};
  if (!is_valid(geometry)) return invalid;
  for (std::size_t i = 0; i < 3; ++i) {
    if (box.min[i] < 0 || box.max[i] < box.min[i] || box.max[i] > geometry.chunk_shape[i]) return invalid;
  }
  if (channel_begin < 0 || channel_end < channel_begin || channel_end > geometry.num_channels) return invalid;
  return {};
}

Status open_channel(std::span<const std::byte> data, const Geometry& geometry, std::int64_t index,
                    Channel& channel) noexcept {
  const std::uint64_t file_words = data.size() / kWordBytes;
  if (static_cast<std::uint64_t>(geometry.num_channels) > file_words) {
    return {Code::kTruncated, data.size(), static_cast<std::uint64_t>(geometry.num_channels), file_words};
  }
  const std::uint64_t entry_offset = static_cast<std::uint64_t>(index) * kWordBytes;
  const std::uint64_t start = load_le<std::uint32_t>(data.data() + entry_offset);
  if (start > file_words) return {Code::kOffsetRange, entry_offset, file_words, start};
  channel.offset_bytes = start * kWordBytes;
  channel.data = data.data() + channel.offset_bytes;
  channel.words = file_words - start;
  channel.grid = grid_of(geometry);
  const std::optional<std::int64_t> header_words =
      checked_product({2, channel.grid[0], channel.grid[1], channel.grid[2]});
  if (!header_words || static_cast<std::uint64_t>(*header_words) > channel.words) {
    return {Code::kTruncated, data.size(),
            header_words ? static_cast<std::uint64_t>(*header_words) : std::numeric_limits<std::uint64_t>::max(),
            channel.words};
  }
  channel.block_volume = checked_product({geometry.block_shape[0], geometry.block_shape[1], geometry.block_shape[2]});
  channel.item_words = static_cast<std::uint64_t>(geometry.item_size) / kWordBytes;
  return {};
}

Status open_block(const Channel& channel, std::int64_t index, Block& block) noexcept {
  const std::byte* const header = channel.data + static_cast<std::uint64_t>(index) * kHeaderBytes;
  const std::uint64_t word = load_le<std::uint64_t>(header);
  block.header_offset = channel.offset_bytes + static_cast<std::uint64_t>(index) * kHeaderBytes;
  const std::uint64_t table_offset = word & kMaxTableOffset;
  block.bits = static_cast<unsigned>(word >> 24) & 0xffU;
  if (block.bits > 32 || (block.bits & (block.bits - 1)) != 0) {
    return {Code::kBadValue, block.header_offset, 32, block.bits};
  }
  if (table_offset >= channel.words) {
    return {Code::kOffsetRange, block.header_offset, channel.words, table_offset};
  }
  block.table = channel.data + table_offset * kWordBytes;
  block.entries = (channel.words - table_offset) / channel.item_words;
  if (block.entries == 0) {
    return {Code::kTruncated, block.header_offset, channel.item_words, channel.words - table_offset};
  }
  if (block.bits == 0) return {};

  const std::uint64_t values_offset = word >> 32;
  if (values_offset > channel.words) {
    return {Code::kOffsetRange, block.header_offset + kWordBytes, channel.words, values_offset};
  }
  std::uint64_t packed_bits = 0;
  const std::uint64_t room = channel.words - values_offset;
  if (!channel.block_volume ||
      __builtin_mul_overflow(static_cast<std::uint64_t>(*channel.block_volume), std::uint64_t{block.bits},
                             &packed_bits) ||
      packed_bits / 32 + (packed_bits % 32 != 0 ? 1 : 0) > room) {
    return {Code::kTruncated, block.header_offset + kWordBytes, packed_bits / 32, room};
  }
  block.values = channel.data + values_offset * kWordBytes;
  return {};
}

/// The index of voxel `position` of a sub-block.  Widths divide 32, so that no index straddles two words.
template <unsigned kBits>
std::uint32_t index_at(const std::byte* values, std::uint64_t position) noexcept {
  const std::uint64_t bit = position * kBits;
  const auto word = load_le<std::uint32_t>(values + bit / 32 * kWordBytes);
  if constexpr (kBits == 32) {
    return word;
  } else {
    return (word >> (bit % 32)) & ((std::uint32_t{1} << kBits) - 1);
  }
}

/// Calls f.template operator()<bits>() with the width as a constant.
template <typename F>
auto with_bits(unsigned bits, F&& f) {
  switch (bits) {
    case 1:
      return f.template operator()<1>();
    case 2:
      return f.template operator()<2>();
    case 4:
      return f.template operator()<4>();
    case 8:
      return f.template operator()<8>();
    case 16:
      return f.template operator()<16>();
    default:
      return f.template operator()<32>();
  }
}

/// Calls f(position, count, y, z) for each row of a region: the position in the sub-block of its first voxel.
template <typename F>
void for_each_row(const Int3& block_shape, const Region& region, F&& f) {
  for (std::int64_t z = 0; z < region.extent[2]; ++z) {
    for (std::int64_t y = 0; y < region.extent[1]; ++y) {
      const std::int64_t row = (region.begin[2] + z) * block_shape[1] + region.begin[1] + y;
      f(static_cast<std::uint64_t>(row * block_shape[0] + region.begin[0]), y, z);
    }
  }
}

template <unsigned kBits>
std::uint32_t max_index(const Block& block, const Int3& block_shape, const Region& region) noexcept {
  std::uint32_t largest = 0;
  for_each_row(block_shape, region, [&](std::uint64_t position, std::int64_t, std::int64_t) {
    for (std::int64_t x = 0; x < region.extent[0]; ++x) {
      largest = std::max(largest, index_at<kBits>(block.values, position + static_cast<std::uint64_t>(x)));
    }
  });
  return largest;
}

/// Whether every index of the region finds its entry inside the data.  Where the widest index does, no voxel is looked
/// at; that is every sub-block but the last few of a file.
Status check_indices(const Block& block, const Int3& block_shape, const Region& region) noexcept {
  if (block.entries >> block.bits != 0) return {};
  const std::uint64_t largest =
      with_bits(block.bits, [&]<unsigned kBits>() { return max_index<kBits>(block, block_shape, region); });
  if (largest < block.entries) return {};
  return {Code::kTruncated, block.header_offset, block.entries, largest};
}

/// Entries as they lie in the data.
template <typename T>
struct PlainTable {
  const std::byte* entries;
  T operator[](std::uint32_t index) const noexcept { return load_le<T>(entries + std::uint64_t{index} * sizeof(T)); }
};

/// Entries that the voxel map was applied to beforehand: widths up to 8 bits.
template <typename U>
struct MappedTable {
  const U* entries;
  U operator[](std::uint32_t index) const noexcept { return entries[index]; }
};

/// Entries mapped as they are met: a table of 2^16 would be mapped for a few hundred voxels.
template <typename T, typename U>
struct LazyTable {
  const std::byte* entries;
  const VoxelMap* map;
  U operator[](std::uint32_t index) const noexcept {
    return static_cast<U>(map_voxel(*map, load_le<T>(entries + std::uint64_t{index} * sizeof(T))));
  }
};

template <unsigned kBits, typename U, typename Table>
void unpack_row_of_8(const std::byte* values, Table table, std::byte* dst) noexcept {
  U row[8];
  if constexpr (kBits <= 8) {
    std::uint64_t packed = 0;
    std::memcpy(&packed, values, kBits);
    constexpr std::uint32_t kMask = (1U << kBits) - 1;
    for (unsigned x = 0; x < 8; ++x) row[x] = table[static_cast<std::uint32_t>(packed >> (x * kBits)) & kMask];
  } else {
    for (unsigned x = 0; x < 8; ++x) row[x] = table[index_at<kBits>(values, x)];
  }
  std::memcpy(dst, row, sizeof(row));
}

template <unsigned kBits, typename U, typename Table>
void unpack_region(const Block& block, const Int3& block_shape, const Region& region, Table table, std::byte* dst,
                   const Int4& dst_strides) noexcept {
  const bool is_row_packed = dst_strides[0] == static_cast<std::int64_t>(sizeof(U));
  if (is_row_packed && block_shape[0] == 8 && region.extent[0] == 8) {
    for_each_row(block_shape, region, [&](std::uint64_t position, std::int64_t y, std::int64_t z) {
      unpack_row_of_8<kBits, U>(block.values + position / 8 * kBits, table,
                                dst + y * dst_strides[1] + z * dst_strides[2]);
    });
    return;
  }
  for_each_row(block_shape, region, [&](std::uint64_t position, std::int64_t y, std::int64_t z) {
    std::byte* const row = dst + y * dst_strides[1] + z * dst_strides[2];
    for (std::int64_t x = 0; x < region.extent[0]; ++x) {
      store_le<U>(row + x * dst_strides[0],
                  table[index_at<kBits>(block.values, position + static_cast<std::uint64_t>(x))]);
    }
  });
}

template <typename U>
void fill_region(U value, const Region& region, std::byte* dst, const Int4& dst_strides) noexcept {
  if (dst_strides[0] == static_cast<std::int64_t>(sizeof(U)) && region.extent[0] == 8) {
    U row[8];
    std::fill_n(row, 8, value);
    for (std::int64_t z = 0; z < region.extent[2]; ++z) {
      for (std::int64_t y = 0; y < region.extent[1]; ++y) {
        std::memcpy(dst + y * dst_strides[1] + z * dst_strides[2], row, sizeof(row));
      }
    }
    return;
  }
  std::array<std::byte, sizeof(U)> bytes;
  store_le(bytes.data(), value);
  paint::fill_box(dst, dst_strides, {region.extent[0], region.extent[1], region.extent[2], 1}, sizeof(U), bytes.data());
}

template <typename U>
UnpackRows<U> unpack_rows_variant() noexcept {
  static const UnpackRows<U> variant =
      best_isa() == Isa::kAvx512 ? static_cast<UnpackRows<U>>(&unpack_rows_avx512) : nullptr;
  return variant;
}

/// Unpacks whole rows of eight through a short table, where there is a variant for that.
template <typename T, typename U>
bool unpack_short_table(const Block& block, const Int3& block_shape, const Region& region, const VoxelMap& map,
                        std::byte* dst, const Int4& dst_strides) noexcept {
  const UnpackRows<U> unpack_rows = unpack_rows_variant<U>();
  if (unpack_rows == nullptr || block.bits > 4 || block_shape[0] != 8 || region.extent[0] != 8 ||
      dst_strides[0] != static_cast<std::int64_t>(sizeof(U))) {
    return false;
  }
  std::array<U, kShortTable> table{};
  const unsigned period = 1U << block.bits;
  const auto count = static_cast<unsigned>(std::min<std::uint64_t>(period, block.entries));
  for (unsigned i = 0; i < count; ++i) {
    const T label = load_le<T>(block.table + i * sizeof(T));
    table[i] = static_cast<U>(map.op == VoxelOp::kCopy ? label : map_voxel(map, label));
  }
  for (unsigned i = 0; i < kShortTable; ++i) table[i] = table[i & (period - 1)];
  Rows rows;
  rows.values = block.values + (region.begin[2] * block_shape[1] + region.begin[1]) * block.bits;
  rows.values_stride_z = block_shape[1] * block.bits;
  rows.dst = dst;
  rows.dst_stride_y = dst_strides[1];
  rows.dst_stride_z = dst_strides[2];
  rows.count_y = region.extent[1];
  rows.count_z = region.extent[2];
  unpack_rows(rows, block.bits, table.data());
  return true;
}

template <typename T, typename U>
void unpack_mapped(const Block& block, const Int3& block_shape, const Region& region, const VoxelMap& map,
                   std::byte* dst, const Int4& dst_strides) noexcept {
  if (unpack_short_table<T, U>(block, block_shape, region, map, dst, dst_strides)) return;
  with_bits(block.bits, [&]<unsigned kBits>() {
    if constexpr (std::is_same_v<T, U>) {
      if (map.op == VoxelOp::kCopy) {
        unpack_region<kBits, U>(block, block_shape, region, PlainTable<T>{block.table}, dst, dst_strides);
        return;
      }
    }
    if constexpr (kBits <= 8) {
      std::array<U, std::size_t{1} << kBits> mapped;
      const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(block.entries, mapped.size()));
      for (std::size_t i = 0; i < count; ++i) {
        mapped[i] = static_cast<U>(map_voxel(map, load_le<T>(block.table + i * sizeof(T))));
      }
      unpack_region<kBits, U>(block, block_shape, region, MappedTable<U>{mapped.data()}, dst, dst_strides);
    } else {
      unpack_region<kBits, U>(block, block_shape, region, LazyTable<T, U>{block.table, &map}, dst, dst_strides);
    }
  });
}

/// How the voxels of a row of sub-blocks reach the destination.
enum class Route {
  kDirect,
  kStream,     // by way of the scratch buffer, past the caches
  kTranspose,  // by way of the scratch buffer, because dst is not packed along x
};

// Sixteen sub-blocks of 8^3 uint64 would be 64 KiB; half of that leaves room on the 128 KiB stacks of musl's threads.
constexpr std::int64_t kScratchBytes = 32768;

Route choose_route(const Int3& shape, const Int4& dst_strides, std::int64_t item_size) noexcept {
  if (dst_strides[0] != item_size) return Route::kTranspose;
  if (!paint::kCanStream || shape[0] * item_size < paint::kStreamRowBytes) return Route::kDirect;
  std::int64_t span = 0;
  for (std::size_t i = 0; i < 3; ++i) span += (shape[i] - 1) * std::abs(dst_strides[i]);
  return span >= paint::kStreamSpanBytes ? Route::kStream : Route::kDirect;
}

void flush(Route route, const std::byte* scratch, const Int3& shape, std::byte* dst, const Int4& dst_strides,
           std::int64_t item_size) noexcept {
  if (route == Route::kTranspose) {
    paint::copy_box(scratch, fortran_strides(shape, item_size), dst, dst_strides, {shape[0], shape[1], shape[2], 1},
                    static_cast<std::size_t>(item_size));
    return;
  }
  const std::size_t row_bytes = static_cast<std::size_t>(shape[0] * item_size);
  for (std::int64_t z = 0; z < shape[2]; ++z) {
    for (std::int64_t y = 0; y < shape[1]; ++y, scratch += row_bytes) {
      paint::stream_copy(dst + y * dst_strides[1] + z * dst_strides[2], scratch, row_bytes);
    }
  }
}

/// The sub-blocks of one axis that a box meets, one after the other.
struct AxisWalk {
  std::int64_t block = 0;   // index of the sub-block
  std::int64_t begin = 0;   // first voxel inside of the sub-block
  std::int64_t extent = 0;  // voxels of the sub-block that lie in the box
  std::int64_t offset = 0;  // of the first voxel, from the start of the box

  static AxisWalk at(std::int64_t block, std::int64_t block_size, std::int64_t box_min, std::int64_t box_max) noexcept {
    const std::int64_t start = block * block_size;
    AxisWalk walk;
    walk.block = block;
    walk.begin = std::max<std::int64_t>(box_min - start, 0);
    walk.extent = std::min(block_size, box_max - start) - walk.begin;
    walk.offset = start + walk.begin - box_min;
    return walk;
  }
};

template <typename T, typename U>
Status decode_block(const Channel& channel, const Geometry& geometry, const VoxelMap& map, const AxisWalk (&walk)[3],
                    std::byte* dst, const Int4& dst_strides) noexcept {
  Block block;
  const std::int64_t index = walk[0].block + channel.grid[0] * (walk[1].block + channel.grid[1] * walk[2].block);
  if (const Status status = open_block(channel, index, block); !status.ok()) return status;
  const Region region{{walk[0].begin, walk[1].begin, walk[2].begin}, {walk[0].extent, walk[1].extent, walk[2].extent}};
  if (block.bits == 0) {
    fill_region<U>(static_cast<U>(map_voxel(map, load_le<T>(block.table))), region, dst, dst_strides);
    return {};
  }
  if (const Status status = check_indices(block, geometry.block_shape, region); !status.ok()) return status;
  unpack_mapped<T, U>(block, geometry.block_shape, region, map, dst, dst_strides);
  return {};
}

template <typename T, typename U>
Status decode_channel(const Channel& channel, const Geometry& geometry, const Box3& box, const VoxelMap& map,
                      std::byte* dst, const Int4& dst_strides) noexcept {
  constexpr auto kItem = static_cast<std::int64_t>(sizeof(U));
  const Int3& size = geometry.block_shape;
  Route route = choose_route(box.shape(), dst_strides, kItem);
  // Sub-blocks along x that fit into the scratch buffer together.
  std::int64_t group = std::numeric_limits<std::int64_t>::max();
  if (route != Route::kDirect) {
    const std::optional<std::int64_t> block_bytes = checked_product({size[0], size[1], size[2], kItem});
    group = block_bytes ? kScratchBytes / *block_bytes : 0;
    if (group == 0) route = Route::kDirect;
  }
  alignas(64) std::array<std::byte, kScratchBytes> scratch;

  const std::int64_t first_x = box.min[0] / size[0];
  const std::int64_t last_x = (box.max[0] - 1) / size[0];
  AxisWalk walk[3];
  for (std::int64_t z = box.min[2] / size[2]; z <= (box.max[2] - 1) / size[2]; ++z) {
    walk[2] = AxisWalk::at(z, size[2], box.min[2], box.max[2]);
    for (std::int64_t y = box.min[1] / size[1]; y <= (box.max[1] - 1) / size[1]; ++y) {
      walk[1] = AxisWalk::at(y, size[1], box.min[1], box.max[1]);
      std::byte* const row = dst + walk[1].offset * dst_strides[1] + walk[2].offset * dst_strides[2];
      if (route == Route::kDirect) {
        for (std::int64_t x = first_x; x <= last_x; ++x) {
          walk[0] = AxisWalk::at(x, size[0], box.min[0], box.max[0]);
          const Status status =
              decode_block<T, U>(channel, geometry, map, walk, row + walk[0].offset * dst_strides[0], dst_strides);
          if (!status.ok()) return status;
        }
        continue;
      }
      for (std::int64_t begin = first_x; begin <= last_x; begin += group) {
        const std::int64_t end = std::min(last_x, begin + group - 1);
        const std::int64_t start = AxisWalk::at(begin, size[0], box.min[0], box.max[0]).offset;
        const AxisWalk last = AxisWalk::at(end, size[0], box.min[0], box.max[0]);
        const Int3 shape{last.offset + last.extent - start, walk[1].extent, walk[2].extent};
        const Int4 packed = fortran_strides(shape, kItem);
        for (std::int64_t x = begin; x <= end; ++x) {
          walk[0] = AxisWalk::at(x, size[0], box.min[0], box.max[0]);
          const Status status = decode_block<T, U>(channel, geometry, map, walk,
                                                   scratch.data() + (walk[0].offset - start) * kItem, packed);
          if (!status.ok()) return status;
        }
        flush(route, scratch.data(), shape, row + start * dst_strides[0], dst_strides, kItem);
      }
    }
  }
  if (route == Route::kStream) paint::stream_fence();
  return {};
}

template <typename T>
void collect_region(const Block& block, const Int3& block_shape, const Region& region,
                    paint::UniqueCollector& collector) {
  if (block.bits == 0) {
    collector.add(load_le<T>(block.table));
    return;
  }
  with_bits(block.bits, [&]<unsigned kBits>() {
    const PlainTable<T> table{block.table};
    if constexpr (kBits <= 16) {
      constexpr std::size_t kEntries = std::size_t{1} << kBits;
      std::array<bool, kEntries> is_used{};
      for_each_row(block_shape, region, [&](std::uint64_t position, std::int64_t, std::int64_t) {
        for (std::int64_t x = 0; x < region.extent[0]; ++x) {
          is_used[index_at<kBits>(block.values, position + static_cast<std::uint64_t>(x))] = true;
        }
      });
      for (std::uint32_t i = 0; i < kEntries; ++i) {
        if (is_used[i]) collector.add(table[i]);
      }
    } else {
      for_each_row(block_shape, region, [&](std::uint64_t position, std::int64_t, std::int64_t) {
        for (std::int64_t x = 0; x < region.extent[0]; ++x) {
          collector.add(table[index_at<kBits>(block.values, position + static_cast<std::uint64_t>(x))]);
        }
      });
    }
  });
}

template <typename T>
Status collect_channel(const Channel& channel, const Geometry& geometry, const Box3& box,
                       paint::UniqueCollector& collector) {
  const Int3& size = geometry.block_shape;
  for (std::int64_t z = box.min[2] / size[2]; z <= (box.max[2] - 1) / size[2]; ++z) {
    const AxisWalk walk_z = AxisWalk::at(z, size[2], box.min[2], box.max[2]);
    for (std::int64_t y = box.min[1] / size[1]; y <= (box.max[1] - 1) / size[1]; ++y) {
      const AxisWalk walk_y = AxisWalk::at(y, size[1], box.min[1], box.max[1]);
      for (std::int64_t x = box.min[0] / size[0]; x <= (box.max[0] - 1) / size[0]; ++x) {
        const AxisWalk walk_x = AxisWalk::at(x, size[0], box.min[0], box.max[0]);
        Block block;
        const std::int64_t index = x + channel.grid[0] * (y + channel.grid[1] * z);
        if (const Status status = open_block(channel, index, block); !status.ok()) return status;
        const Region region{{walk_x.begin, walk_y.begin, walk_z.begin}, {walk_x.extent, walk_y.extent, walk_z.extent}};
        if (block.bits != 0) {
          if (const Status status = check_indices(block, size, region); !status.ok()) return status;
        }
        collect_region<T>(block, size, region, collector);
      }
    }
  }
  return {};
}

/// Finds tables that were written before.  Open addressing over (hash, place); equality is decided by the bytes.
class TableIndex {
 public:
  TableIndex() : slots_(kFirstSlots) {}

  /// The word offset of an identical table in the channel, or of the place `offset` that it now gets.
  std::uint64_t find_or_insert(const std::byte* table, std::size_t bytes, const std::vector<std::byte>& out,
                               std::size_t channel_start, std::uint64_t offset) {
    if (2 * (used_ + 1) > slots_.size()) grow();
    const std::uint64_t hash = hash_of(table, bytes);
    for (std::size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[i];
      if (slot.bytes == 0) {
        slot = {hash, offset, bytes};
        ++used_;
        return offset;
      }
      if (slot.hash == hash && slot.bytes == bytes &&
          std::memcmp(out.data() + channel_start + slot.offset * kWordBytes, table, bytes) == 0) {
        return slot.offset;
      }
    }
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint64_t offset = 0;
    std::size_t bytes = 0;  // 0: free
  };
  static constexpr std::size_t kFirstSlots = 256;

  static std::uint64_t hash_of(const std::byte* table, std::size_t bytes) noexcept {
    std::uint64_t hash = bytes;
    for (std::size_t i = 0; i < bytes; i += kWordBytes) {
      hash = (hash ^ load_le<std::uint32_t>(table + i)) * 0x9e3779b97f4a7c15U;
      hash ^= hash >> 32;
    }
    return hash;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.bytes == 0) continue;
      std::size_t i = slot.hash & (slots_.size() - 1);
      while (slots_[i].bytes != 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

/// The distinct labels of one sub-block and the index of each of its voxels.
template <typename T>
class Palette {
 public:
  explicit Palette(std::size_t max_voxels) : indices_(max_voxels) {}

  /// Takes the voxels of a sub-block, x fastest.
  void build(const T* voxels, std::size_t count) {
    begin_block(count);
    T last = voxels[0];
    std::uint32_t index = number(last);
    std::size_t i = 0;
    // Eight at a time while nothing changes: one branch, predicted well, instead of eight.
    for (; count - i >= 8; i += 8) {
      T difference = 0;
      for (std::size_t x = 0; x < 8; ++x) difference |= voxels[i + x] ^ last;
      if (difference == 0) {
        std::fill_n(indices_.begin() + static_cast<std::ptrdiff_t>(i), 8, index);
        continue;
      }
      for (std::size_t x = i; x < i + 8; ++x) {
        if (voxels[x] != last) {
          last = voxels[x];
          index = number(last);
        }
        indices_[x] = index;
      }
    }
    for (; i < count; ++i) {
      if (voxels[i] != last) {
        last = voxels[i];
        index = number(last);
      }
      indices_[i] = index;
    }
    order_.resize(labels_.size());
    for (std::uint32_t n = 0; n < order_.size(); ++n) order_[n] = n;
    std::sort(order_.begin(), order_.end(),
              [this](std::uint32_t a, std::uint32_t b) { return labels_[a] < labels_[b]; });
    rank_.resize(order_.size());
    sorted_.resize(order_.size());
    for (std::uint32_t rank = 0; rank < order_.size(); ++rank) {
      rank_[order_[rank]] = rank;
      sorted_[rank] = labels_[order_[rank]];
    }
  }

  [[nodiscard]] const std::vector<T>& labels() const noexcept { return sorted_; }
  [[nodiscard]] std::uint32_t index(std::size_t voxel) const noexcept { return rank_[indices_[voxel]]; }

 private:
  struct Slot {
    T label = 0;
    std::uint32_t number = 0;
    std::uint32_t stamp = 0;  // the block that filled the slot: no clearing between blocks
  };

  void begin_block(std::size_t count) {
    labels_.clear();
    const std::size_t wanted = std::bit_ceil(std::max<std::size_t>(2 * std::min<std::size_t>(count, 512), 64));
    if (slots_.size() < wanted) {
      slots_.assign(wanted, Slot{});
      stamp_ = 0;
    }
    if (++stamp_ == 0) {
      std::fill(slots_.begin(), slots_.end(), Slot{});
      stamp_ = 1;
    }
  }

  std::uint32_t number(T label) {
    for (std::size_t i = paint::hash_label(label) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[i];
      if (slot.stamp != stamp_) {
        const auto next = static_cast<std::uint32_t>(labels_.size());
        slot = {label, next, stamp_};
        labels_.push_back(label);
        if (2 * labels_.size() > slots_.size()) grow();
        return next;
      }
      if (slot.label == label) return slot.number;
    }
  }

  void grow() {
    slots_.assign(2 * slots_.size(), Slot{});
    stamp_ = 1;
    for (std::uint32_t n = 0; n < labels_.size(); ++n) {
      std::size_t i = paint::hash_label(labels_[n]) & (slots_.size() - 1);
      while (slots_[i].stamp == stamp_) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = {labels_[n], n, stamp_};
    }
  }

  std::vector<std::uint32_t> indices_;
  std::vector<T> labels_;
  std::vector<T> sorted_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> rank_;
  std::vector<Slot> slots_;
  std::uint32_t stamp_ = 0;
};

unsigned bits_for(std::uint64_t labels) noexcept {
  unsigned bits = 0;
  while (bits < 32 && (std::uint64_t{1} << bits) < labels) bits = bits == 0 ? 1 : 2 * bits;
  return bits;
}

template <typename T>
CubeEncoder<T> cube_encoder_variant() noexcept {
  static const CubeEncoder<T> variant = best_isa() == Isa::kAvx512
                                            ? CubeEncoder<T>{&gather_cube_avx512, &encode_cube_avx512}
                                            : CubeEncoder<T>{nullptr, nullptr};
  return variant;
}

template <typename T>
class Encoder {
 public:
  Encoder(const Geometry& geometry, std::vector<std::byte>& out)
      : geometry_(geometry),
        out_(out),
        voxels_(region_volume(geometry)),
        palette_(voxels_.size()),
        cube_(geometry.block_shape == Int3{8, 8, 8} ? cube_encoder_variant<T>() : CubeEncoder<T>{}) {}

  Status encode_channel(const std::byte* src, const Int4& strides) {
    const Int3 grid = grid_of(geometry_);
    start_ = out_.size();
    out_.resize(start_ + kHeaderBytes * static_cast<std::size_t>(grid[0] * grid[1] * grid[2]));
    tables_ = TableIndex();
    std::size_t header = start_;
    Int3 at{};
    for (at[2] = 0; at[2] < grid[2]; ++at[2]) {
      for (at[1] = 0; at[1] < grid[1]; ++at[1]) {
        const auto [row, row_strides] = gather_row(src, strides, at[1], at[2]);
        for (at[0] = 0; at[0] < grid[0]; ++at[0], header += kHeaderBytes) {
          const std::byte* const block = row + at[0] * geometry_.block_shape[0] * row_strides[0];
          if (const Status status = encode_block(block, row_strides, at, header); !status.ok()) return status;
        }
      }
    }
    return {};
  }

 private:
  /// Voxels of the largest sub-block, as far as it lies in the chunk.
  static std::size_t region_volume(const Geometry& geometry) noexcept {
    std::size_t volume = 1;
    for (std::size_t i = 0; i < 3; ++i) {
      volume *= static_cast<std::size_t>(std::min(geometry.block_shape[i], geometry.chunk_shape[i]));
    }
    return volume;
  }

  /// The first voxel of a row of sub-blocks along x and its strides.  From a large or transposed array the row is
  /// copied first: reading 64 bytes here and 64 bytes there is no pattern that a processor prefetches.
  std::pair<const std::byte*, Int4> gather_row(const std::byte* src, const Int4& strides, std::int64_t y,
                                               std::int64_t z) {
    constexpr std::int64_t kMaxRowBytes = std::int64_t{1} << 20;
    const Int3& chunk = geometry_.chunk_shape;
    const Int3& block = geometry_.block_shape;
    src += y * block[1] * strides[1] + z * block[2] * strides[2];
    const Int4 packed = fortran_strides(chunk, sizeof(T));
    const bool is_packed = strides[0] == packed[0] && strides[1] == packed[1] && strides[2] == packed[2];
    const Int3 shape{chunk[0], std::min(block[1], chunk[1] - y * block[1]),
                     std::min(block[2], chunk[2] - z * block[2])};
    const std::int64_t bytes = shape[0] * shape[1] * shape[2] * static_cast<std::int64_t>(sizeof(T));
    if (is_packed || bytes > kMaxRowBytes) return {src, strides};
    row_.resize(static_cast<std::size_t>(bytes));
    const Int4 row_strides = fortran_strides(shape, sizeof(T));
    paint::copy_box(src, strides, row_.data(), row_strides, {shape[0], shape[1], shape[2], 1}, sizeof(T));
    return {row_.data(), row_strides};
  }

  /// Copies a sub-block's voxels to voxels_; whether they are all the same.
  bool gather(const std::byte* src, const Int4& strides, const Int3& extent) noexcept {
    T* row = voxels_.data();
    const T first = load_le<T>(src);
    T difference = 0;
    const bool is_packed = strides[0] == static_cast<std::int64_t>(sizeof(T));
    for (std::int64_t z = 0; z < extent[2]; ++z) {
      for (std::int64_t y = 0; y < extent[1]; ++y, row += extent[0]) {
        const std::byte* const from = src + y * strides[1] + z * strides[2];
        if (is_packed && extent[0] == 8) {
          std::memcpy(row, from, 8 * sizeof(T));
          for (unsigned x = 0; x < 8; ++x) difference |= row[x] ^ first;
        } else {
          for (std::int64_t x = 0; x < extent[0]; ++x) {
            row[x] = load_le<T>(from + x * strides[0]);
            difference |= row[x] ^ first;
          }
        }
      }
    }
    return difference == 0;
  }

  Status encode_block(const std::byte* src, const Int4& strides, const Int3& at, std::size_t header) {
    Int3 extent{};
    for (std::size_t i = 0; i < 3; ++i) {
      extent[i] = std::min(geometry_.block_shape[i], geometry_.chunk_shape[i] - at[i] * geometry_.block_shape[i]);
    }
    const std::uint64_t values_offset = (out_.size() - start_) / kWordBytes;
    if (values_offset > std::numeric_limits<std::uint32_t>::max()) {
      return {Code::kOverflow, header + kWordBytes, std::numeric_limits<std::uint32_t>::max(), values_offset};
    }
    const T* labels = voxels_.data();
    std::size_t label_count = 1;
    unsigned bits = 0;
    const bool is_cube =
        cube_.gather != nullptr && extent == Int3{8, 8, 8} && strides[0] == static_cast<std::int64_t>(sizeof(T));
    const bool is_single =
        is_cube ? cube_.gather(src, strides[1], strides[2], voxels_.data()) : gather(src, strides, extent);
    std::array<T, kShortTable> short_table;
    std::array<std::byte, kCubeVoxels / 2> packed;
    const unsigned short_count =
        is_cube && !is_single ? cube_.encode(voxels_.data(), short_table.data(), packed.data()) : 0;
    if (short_count != 0) {
      labels = short_table.data();
      label_count = short_count;
      bits = bits_for(short_count);
      out_.insert(out_.end(), packed.begin(), packed.begin() + bits * (kCubeVoxels / 8));
    } else if (!is_single) {
      palette_.build(voxels_.data(), static_cast<std::size_t>(extent[0] * extent[1] * extent[2]));
      labels = palette_.labels().data();
      label_count = palette_.labels().size();
      bits = bits_for(label_count);
      if (!append_indices(bits, extent)) return {Code::kOverflow, header + kWordBytes, 0, 0};
    }
    const auto* const table = reinterpret_cast<const std::byte*>(labels);
    const std::size_t table_bytes = label_count * sizeof(T);
    const std::uint64_t next = (out_.size() - start_) / kWordBytes;
    const std::uint64_t table_offset = tables_.find_or_insert(table, table_bytes, out_, start_, next);
    if (table_offset > kMaxTableOffset) return {Code::kOverflow, header, kMaxTableOffset, table_offset};
    if (table_offset == next) out_.insert(out_.end(), table, table + table_bytes);
    store_le(out_.data() + header, static_cast<std::uint32_t>(table_offset | std::uint64_t{bits} << 24));
    store_le(out_.data() + header + kWordBytes, static_cast<std::uint32_t>(values_offset));
    return {};
  }

  /// Appends the packed indices of the sub-block; false when they cannot be addressed.
  bool append_indices(unsigned bits, const Int3& extent) {
    const Int3& shape = geometry_.block_shape;
    const std::optional<std::int64_t> total = checked_product({shape[0], shape[1], shape[2], bits});
    if (!total || *total / 32 > std::int64_t{std::numeric_limits<std::uint32_t>::max()}) return false;
    const std::size_t begin = out_.size();
    out_.resize(begin + kWordBytes * static_cast<std::size_t>(ceil_div(*total, 32)));
    with_bits(bits, [&]<unsigned kBits>() { pack<kBits>(out_.data() + begin, extent); });
    return true;
  }

  template <unsigned kBits>
  void pack(std::byte* values, const Int3& extent) noexcept {
    const Int3& shape = geometry_.block_shape;
    std::size_t voxel = 0;
    for (std::int64_t z = 0; z < extent[2]; ++z) {
      for (std::int64_t y = 0; y < extent[1]; ++y) {
        std::uint64_t position = static_cast<std::uint64_t>(shape[0] * (y + shape[1] * z));
        if constexpr (kBits <= 8) {
          if (shape[0] == 8 && extent[0] == 8) {
            std::uint64_t packed = 0;
            for (unsigned x = 0; x < 8; ++x) {
              packed |= std::uint64_t{palette_.index(voxel + x)} << (x * kBits);
            }
            std::memcpy(values + position / 8 * kBits, &packed, kBits);
            voxel += 8;
            continue;
          }
        }
        for (std::int64_t x = 0; x < extent[0]; ++x, ++voxel, ++position) {
          std::byte* const word = values + position * kBits / 32 * kWordBytes;
          store_le(word, load_le<std::uint32_t>(word) | palette_.index(voxel) << (position * kBits % 32));
        }
      }
    }
  }

  const Geometry& geometry_;
  std::vector<std::byte>& out_;
  std::vector<T> voxels_;
  Palette<T> palette_;
  CubeEncoder<T> cube_;
  std::vector<std::byte> row_;
  TableIndex tables_;
  std::size_t start_ = 0;
};

template <typename T>
Status encode_typed(const std::byte* src, const Int4& src_strides, const Geometry& geometry,
                    std::vector<std::byte>& out) {
  Encoder<T> encoder(geometry, out);
  for (std::int64_t c = 0; c < geometry.num_channels; ++c) {
    const std::uint64_t start = out.size() / kWordBytes;
    if (start > std::numeric_limits<std::uint32_t>::max()) {
      return {Code::kOverflow, static_cast<std::uint64_t>(c) * kWordBytes, std::numeric_limits<std::uint32_t>::max(),
              start};
    }
    store_le(out.data() + static_cast<std::size_t>(c) * kWordBytes, static_cast<std::uint32_t>(start));
    if (const Status status = encoder.encode_channel(src + c * src_strides[3], src_strides); !status.ok()) {
      return status;
    }
  }
  return {};
}

std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t out = 0;
  return __builtin_add_overflow(a, b, &out) ? std::numeric_limits<std::uint64_t>::max() : out;
}

std::uint64_t saturating_multiply(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? std::numeric_limits<std::uint64_t>::max() : out;
}

}  // namespace

Status decode_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, const paint::VoxelMap& map, std::byte* dst,
                  const Int4& dst_strides) noexcept {
  if (const Status status = check_request(geometry, box, channel_begin, channel_end); !status.ok()) return status;
  if (box.empty()) return {};
  for (std::int64_t c = channel_begin; c < channel_end; ++c) {
    Channel channel;
    if (const Status status = open_channel(data, geometry, c, channel); !status.ok()) return status;
    std::byte* const target = dst + (c - channel_begin) * dst_strides[3];
    Status status;
    if (map.op == VoxelOp::kEqualsLabel) {
      status = geometry.item_size == 4
                   ? decode_channel<std::uint32_t, std::uint8_t>(channel, geometry, box, map, target, dst_strides)
                   : decode_channel<std::uint64_t, std::uint8_t>(channel, geometry, box, map, target, dst_strides);
    } else {
      status = geometry.item_size == 4
                   ? decode_channel<std::uint32_t, std::uint32_t>(channel, geometry, box, map, target, dst_strides)
                   : decode_channel<std::uint64_t, std::uint64_t>(channel, geometry, box, map, target, dst_strides);
    }
    if (!status.ok()) return status;
  }
  return {};
}

std::uint64_t box_end(std::span<const std::byte> beginning, const Geometry& geometry, const Box3& box) noexcept {
  constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();
  if (geometry.num_channels != 1 || box.empty() || !check_request(geometry, box, 0, 1).ok()) return kUnknown;
  const Int3 grid = grid_of(geometry);
  const auto headers = checked_product({grid[0], grid[1], grid[2], static_cast<std::int64_t>(kHeaderBytes)});
  const auto volume = checked_product({geometry.block_shape[0], geometry.block_shape[1], geometry.block_shape[2]});
  constexpr std::int64_t kMostVoxels = std::int64_t{1} << 32;
  if (!headers || !volume || *volume > kMostVoxels) return kUnknown;
  const std::uint64_t start =
      beginning.size() < kWordBytes ? kWordBytes : load_le<std::uint32_t>(beginning.data()) * std::uint64_t{kWordBytes};
  std::uint64_t end = start + static_cast<std::uint64_t>(*headers);
  if (beginning.size() < end) return end;
  const Int3& block = geometry.block_shape;
  for (std::int64_t z = box.min[2] / block[2]; z * block[2] < box.max[2]; ++z) {
    for (std::int64_t y = box.min[1] / block[1]; y * block[1] < box.max[1]; ++y) {
      for (std::int64_t x = box.min[0] / block[0]; x * block[0] < box.max[0]; ++x) {
        const auto index = static_cast<std::uint64_t>(x + grid[0] * (y + grid[1] * z));
        const auto word = load_le<std::uint64_t>(beginning.data() + start + index * kHeaderBytes);
        const auto bits = static_cast<unsigned>(word >> 24) & 0xffU;
        if (bits > 32) return kUnknown;
        const auto voxels = static_cast<std::uint64_t>(*volume);
        const std::uint64_t entries = std::min(voxels, std::uint64_t{1} << bits);
        const std::uint64_t table =
            (word & kMaxTableOffset) * kWordBytes + entries * static_cast<std::uint64_t>(geometry.item_size);
        const std::uint64_t values = bits == 0 ? 0 : ((word >> 32) + (voxels * bits + 31) / 32) * kWordBytes;
        end = std::max({end, start + table, start + values});
      }
    }
  }
  return end;
}

Status unique_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, std::vector<std::uint64_t>& out) {
  if (const Status status = check_request(geometry, box, channel_begin, channel_end); !status.ok()) return status;
  paint::UniqueCollector collector(out);
  if (!box.empty()) {
    for (std::int64_t c = channel_begin; c < channel_end; ++c) {
      Channel channel;
      if (const Status status = open_channel(data, geometry, c, channel); !status.ok()) return status;
      const Status status = geometry.item_size == 4 ? collect_channel<std::uint32_t>(channel, geometry, box, collector)
                                                    : collect_channel<std::uint64_t>(channel, geometry, box, collector);
      if (!status.ok()) return status;
    }
  }
  collector.finish();
  return {};
}

Status encode(const std::byte* src, const Int4& src_strides, const Geometry& geometry, std::vector<std::byte>& out) {
  out.clear();
  if (!is_valid(geometry)) return {Code::kInvalidArgument, 0, 0, 0};
  const Int3 grid = grid_of(geometry);
  // The source holds that many voxels, so these products stay in range unless the geometry is not that of the source.
  const Int3& shape = geometry.chunk_shape;
  const auto voxel_bytes = checked_product({shape[0], shape[1], shape[2], geometry.num_channels, geometry.item_size});
  const auto header_bytes =
      checked_product({static_cast<std::int64_t>(kHeaderBytes), grid[0], grid[1], grid[2], geometry.num_channels});
  if (!voxel_bytes || !header_bytes) return {Code::kInvalidArgument, 0, 0, 0};
  out.reserve(static_cast<std::size_t>(*header_bytes) + static_cast<std::size_t>(*voxel_bytes) / 32);
  out.resize(static_cast<std::size_t>(geometry.num_channels) * kWordBytes);
  return geometry.item_size == 4 ? encode_typed<std::uint32_t>(src, src_strides, geometry, out)
                                 : encode_typed<std::uint64_t>(src, src_strides, geometry, out);
}

std::uint64_t max_encoded_bytes(const Geometry& geometry) noexcept {
  if (!is_valid(geometry)) return 0;
  const Int3 grid = grid_of(geometry);
  std::uint64_t blocks = 1;
  std::uint64_t voxels = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    blocks = saturating_multiply(blocks, static_cast<std::uint64_t>(grid[i]));
    voxels = saturating_multiply(voxels, static_cast<std::uint64_t>(geometry.block_shape[i]));
  }
  // Another writer may use 32 bits per voxel where fewer would do, and list a label of its own for each padding voxel.
  const std::uint64_t block_bytes = saturating_add(
      kHeaderBytes, saturating_multiply(voxels, kWordBytes + static_cast<std::uint64_t>(geometry.item_size)));
  return saturating_multiply(static_cast<std::uint64_t>(geometry.num_channels),
                             saturating_add(kWordBytes, saturating_multiply(blocks, block_bytes)));
}

}  // namespace cvfast::decode::compressed_segmentation
