// SPDX-License-Identifier: BSD-3-Clause
#include "compressed_segmentation.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace cvfast::reference {
namespace {

using decode::compressed_segmentation::Geometry;

// Wide enough for any sum or product of two 64-bit quantities of the format.
using Wide = unsigned __int128;

class Words {
 public:
  explicit Words(std::span<const std::byte> data) : data_(data) {}
  [[nodiscard]] Wide size() const { return data_.size() / 4; }
  [[nodiscard]] std::uint32_t operator[](Wide index) const {
    std::uint32_t word = 0;
    for (unsigned i = 0; i < 4; ++i) {
      word |= std::to_integer<std::uint32_t>(data_[static_cast<std::size_t>(index * 4 + i)]) << (8 * i);
    }
    return word;
  }

 private:
  std::span<const std::byte> data_;
};

Wide wide(std::int64_t value) { return static_cast<Wide>(value); }

Status decode_voxel(const Words& words, const Geometry& geometry, const Int3& voxel, std::int64_t channel,
                    std::uint64_t& label) {
  const Status truncated{Code::kTruncated, 0, 0, 0};
  const Status out_of_range{Code::kOffsetRange, 0, 0, 0};
  if (wide(geometry.num_channels) > words.size()) return truncated;
  const Wide start = words[wide(channel)];
  if (start > words.size()) return out_of_range;
  const Wide end = words.size() - start;

  Wide grid[3];
  for (unsigned i = 0; i < 3; ++i) {
    grid[i] = (wide(geometry.chunk_shape[i]) + wide(geometry.block_shape[i]) - 1) / wide(geometry.block_shape[i]);
  }
  if (grid[0] > end || grid[0] * grid[1] > end || grid[0] * grid[1] * grid[2] * 2 > end) return truncated;

  Wide at[3];
  Wide inside[3];
  for (unsigned i = 0; i < 3; ++i) {
    at[i] = wide(voxel[i]) / wide(geometry.block_shape[i]);
    inside[i] = wide(voxel[i]) % wide(geometry.block_shape[i]);
  }
  const Wide header = start + 2 * (at[0] + grid[0] * (at[1] + grid[1] * at[2]));
  const std::uint32_t word = words[header];
  const unsigned bits = word >> 24;
  const Wide table = word & 0xffffffU;
  if (!(bits == 0 || bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16 || bits == 32)) {
    return {Code::kBadValue, 0, 0, 0};
  }
  const Wide label_words = wide(geometry.item_size) / 4;
  if (table >= end) return out_of_range;
  if (table + label_words > end) return truncated;

  Wide index = 0;
  if (bits != 0) {
    const Wide values = words[header + 1];
    if (values > end) return out_of_range;
    Wide packed_bits = bits;
    for (unsigned i = 0; i < 3; ++i) {
      packed_bits *= wide(geometry.block_shape[i]);
      if (packed_bits > end * 32) return truncated;
    }
    if (values + (packed_bits + 31) / 32 > end) return truncated;
    const Wide position =
        inside[0] + wide(geometry.block_shape[0]) * (inside[1] + wide(geometry.block_shape[1]) * inside[2]);
    for (unsigned i = 0; i < bits; ++i) {
      const Wide bit = position * bits + i;
      index |= static_cast<Wide>((words[start + values + bit / 32] >> static_cast<unsigned>(bit % 32)) & 1) << i;
    }
  }
  if (table + (index + 1) * label_words > end) return truncated;
  label = words[start + table + index * label_words];
  if (label_words == 2) {
    label |= static_cast<std::uint64_t>(words[start + table + index * label_words + 1]) << 32;
  }
  return {};
}

void append_word(std::vector<std::byte>& out, std::uint32_t word) {
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::byte>((word >> (8 * i)) & 0xff));
}

void set_word(std::vector<std::byte>& out, std::size_t index, std::uint32_t word) {
  for (unsigned i = 0; i < 4; ++i) out[4 * index + i] = static_cast<std::byte>((word >> (8 * i)) & 0xff);
}

}  // namespace

Status decode_compressed_segmentation(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                                      std::int64_t channel_begin, std::int64_t channel_end,
                                      std::vector<std::uint64_t>& labels) {
  labels.clear();
  const Words words(data);
  for (std::int64_t c = channel_begin; c < channel_end; ++c) {
    for (std::int64_t z = box.min[2]; z < box.max[2]; ++z) {
      for (std::int64_t y = box.min[1]; y < box.max[1]; ++y) {
        for (std::int64_t x = box.min[0]; x < box.max[0]; ++x) {
          std::uint64_t label = 0;
          const Status status = decode_voxel(words, geometry, {x, y, z}, c, label);
          if (!status.ok()) return status;
          labels.push_back(label);
        }
      }
    }
  }
  return {};
}

Status encode_compressed_segmentation(const std::vector<std::uint64_t>& labels, const Geometry& geometry,
                                      std::vector<std::byte>& out) {
  const Int3& shape = geometry.chunk_shape;
  const Int3& block = geometry.block_shape;
  out.clear();
  for (std::int64_t c = 0; c < geometry.num_channels; ++c) append_word(out, 0);
  for (std::int64_t c = 0; c < geometry.num_channels; ++c) {
    const std::size_t start = out.size() / 4;
    set_word(out, static_cast<std::size_t>(c), static_cast<std::uint32_t>(start));
    std::vector<Int3> corners;
    for (std::int64_t z = 0; z < shape[2]; z += block[2]) {
      for (std::int64_t y = 0; y < shape[1]; y += block[1]) {
        for (std::int64_t x = 0; x < shape[0]; x += block[0]) corners.push_back({x, y, z});
      }
    }
    for (std::size_t i = 0; i < 2 * corners.size(); ++i) append_word(out, 0);
    std::map<std::vector<std::uint64_t>, std::size_t> tables;
    for (std::size_t b = 0; b < corners.size(); ++b) {
      const Int3& corner = corners[b];
      const auto label_at = [&](std::int64_t x, std::int64_t y, std::int64_t z) {
        return labels[static_cast<std::size_t>(x + shape[0] * (y + shape[1] * (z + shape[2] * c)))];
      };
      std::set<std::uint64_t> distinct;
      for (std::int64_t z = corner[2]; z < std::min(corner[2] + block[2], shape[2]); ++z) {
        for (std::int64_t y = corner[1]; y < std::min(corner[1] + block[1], shape[1]); ++y) {
          for (std::int64_t x = corner[0]; x < std::min(corner[0] + block[0], shape[0]); ++x) {
            distinct.insert(label_at(x, y, z));
          }
        }
      }
      const std::vector<std::uint64_t> table(distinct.begin(), distinct.end());
      unsigned bits = 0;
      for (const unsigned candidate : {32U, 16U, 8U, 4U, 2U, 1U, 0U}) {
        if (table.size() <= std::uint64_t{1} << candidate) bits = candidate;
      }
      const std::size_t values = out.size() / 4 - start;
      std::uint64_t pending = 0;
      unsigned pending_bits = 0;
      for (std::int64_t z = corner[2]; bits != 0 && z < corner[2] + block[2]; ++z) {
        for (std::int64_t y = corner[1]; y < corner[1] + block[1]; ++y) {
          for (std::int64_t x = corner[0]; x < corner[0] + block[0]; ++x) {
            std::uint64_t index = 0;
            if (x < shape[0] && y < shape[1] && z < shape[2]) {
              index = static_cast<std::uint64_t>(std::lower_bound(table.begin(), table.end(), label_at(x, y, z)) -
                                                 table.begin());
            }
            pending |= index << pending_bits;
            pending_bits += bits;
            if (pending_bits == 32) {
              append_word(out, static_cast<std::uint32_t>(pending));
              pending = 0;
              pending_bits = 0;
            }
          }
        }
      }
      if (pending_bits != 0) append_word(out, static_cast<std::uint32_t>(pending));
      const auto [place, is_new] = tables.try_emplace(table, out.size() / 4 - start);
      if (place->second > 0xffffff) return {Code::kOverflow, 0, 0, 0};
      if (is_new) {
        for (const std::uint64_t label : table) {
          append_word(out, static_cast<std::uint32_t>(label));
          if (geometry.item_size == 8) append_word(out, static_cast<std::uint32_t>(label >> 32));
        }
      }
      set_word(out, start + 2 * b, static_cast<std::uint32_t>(place->second) | bits << 24);
      set_word(out, start + 2 * b + 1, static_cast<std::uint32_t>(values));
    }
  }
  return {};
}

}  // namespace cvfast::reference
