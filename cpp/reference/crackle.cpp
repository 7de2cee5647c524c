// SPDX-License-Identifier: BSD-3-Clause
#include "crackle.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "label_parts.hpp"

namespace cvfast::reference {
namespace {

std::size_t width_of(std::uint64_t value) {
  return value < (1U << 8) ? 1 : value < (1U << 16) ? 2 : value < (std::uint64_t{1} << 32) ? 4 : 8;
}

std::uint64_t crc8(std::span<const std::byte> data) {
  unsigned crc = 0xff;
  for (const std::byte b : data) {
    crc ^= std::to_integer<unsigned>(b);
    for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xe7U : crc >> 1;
  }
  return crc;
}

struct Format {
  std::size_t sx = 0;
  std::size_t sy = 0;
  bool opens_walls = false;
  unsigned order = 0;
  std::span<const std::byte> model;
};

unsigned bit_of(std::span<const std::byte> bytes, std::size_t at) {
  return (std::to_integer<unsigned>(bytes[at / 8]) >> (at % 8)) & 1U;
}

// All moves that the bytes hold; those of the padding do no harm.
std::vector<unsigned> unpack(std::span<const std::byte> code, const Format& format) {
  std::vector<unsigned> moves;
  unsigned move = 0;
  const std::size_t bits = 8 * code.size();
  if (format.order == 0) {
    for (std::size_t at = 0; at < bits; at += 2) {
      move = (move + bit_of(code, at) + 2 * bit_of(code, at + 1)) % 4;
      moves.push_back(move);
    }
    return moves;
  }
  std::vector<unsigned> history(format.order, 0);
  for (std::size_t at = 0; at < bits;) {
    unsigned difference = 0;
    if (at == 0) {
      difference = bit_of(code, 0) + 2 * bit_of(code, 1);
      at = 2;
    } else {
      unsigned rank = 0;
      bool is_complete = false;
      while (!is_complete && at < bits) {
        const bool is_one = bit_of(code, at++) != 0;
        if (is_one) ++rank;
        is_complete = !is_one || rank == 3;
      }
      if (!is_complete) break;
      std::size_t row = 0;
      for (std::size_t i = format.order; i-- > 0;) row = 4 * row + history[i];
      unsigned number = 0;
      for (std::size_t i = 0; i < 5; ++i) number += bit_of(format.model, 5 * row + i) << i;
      if (number >= 24) break;
      std::array<unsigned, 4> permutation{0, 1, 2, 3};
      for (unsigned i = 0; i < number; ++i) std::next_permutation(permutation.begin(), permutation.end());
      difference = permutation[rank];
    }
    history.erase(history.begin());
    history.push_back(difference);
    move = (move + difference) % 4;
    moves.push_back(move);
  }
  return moves;
}

// The cracks that the chains of a slice run along: (x, y, is horizontal).
using Cracks = std::set<std::tuple<std::size_t, std::size_t, bool>>;

Cracks trace(std::span<const std::byte> code, const Format& format) {
  Reader in(code);
  Reader nodes(in.take(in.number(4)));
  std::vector<std::pair<std::size_t, std::size_t>> starts;
  std::size_t y = 0;
  for (std::uint64_t rows = nodes.number(width_of(format.sy + 1)); rows > 0; --rows) {
    const std::uint64_t step = nodes.number(width_of(format.sy + 1));
    std::uint64_t count = nodes.number(width_of(format.sx + 1));
    demand(step <= format.sy - y);
    y += step;
    std::size_t x = 0;
    for (; count > 0; --count) {
      const std::uint64_t column = nodes.number(width_of(format.sx + 1));
      demand(column <= format.sx - x);
      x += column;
      starts.emplace_back(x, y);
    }
  }
  const std::vector<unsigned> moves = unpack(in.take(in.left()), format);
  Cracks cracks;
  std::size_t at = 0;
  for (const auto& start : starts) {
    auto [x, row] = start;
    std::vector<std::pair<std::size_t, std::size_t>> branches;
    for (bool is_open = true; is_open;) {
      demand(at + 1 < moves.size());
      const unsigned move = moves[at];
      const unsigned following = moves[at + 1];
      if ((move + 2) % 4 == following) {
        at += 2;
        if (move == 0 || move == 3) {
          branches.emplace_back(x, row);
        } else if (branches.empty()) {
          is_open = false;
        } else {
          std::tie(x, row) = branches.back();
          branches.pop_back();
        }
        continue;
      }
      ++at;
      if (move == 0) {
        demand(row > 0);
        --row;
        cracks.emplace(x, row, false);
      } else if (move == 1) {
        demand(x < format.sx);
        cracks.emplace(x, row, true);
        ++x;
      } else if (move == 2) {
        demand(row < format.sy);
        cracks.emplace(x, row, false);
        ++row;
      } else {
        demand(x > 0);
        --x;
        cracks.emplace(x, row, true);
      }
    }
  }
  return cracks;
}

std::vector<std::uint64_t> decode(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape) {
  Reader in(data);
  for (const char letter : {'c', 'r', 'k', 'l'}) demand(in.number(1) == static_cast<std::uint64_t>(letter));
  const std::uint64_t version = in.number(1);
  demand(version <= 1);
  const std::uint64_t bits = in.number(2);
  demand(std::uint64_t{1} << (bits & 3) == static_cast<std::uint64_t>(item_size));
  const std::size_t stored_width = std::size_t{1} << (bits >> 2 & 3);
  demand((bits >> 5 & 3) == 0);
  const bool is_signed = (bits >> 8 & 1) != 0;
  Format format;
  format.opens_walls = (bits >> 4 & 1) != 0;
  format.order = static_cast<unsigned>(bits >> 9 & 15);
  std::size_t size[3];
  for (std::size_t i = 0; i < 3; ++i) {
    size[i] = in.number(4);
    demand(size[i] == static_cast<std::size_t>(chunk_shape[i]));
  }
  format.sx = size[0];
  format.sy = size[1];
  const std::size_t sz = size[2];
  const std::uint64_t grid = in.number(1);
  demand(grid >= 32 || std::uint64_t{1} << grid >= std::max(format.sx, format.sy));
  const std::uint64_t label_bytes = in.number(version == 1 ? 8 : 4);
  if (version == 1) demand(in.number(1) == crc8(data.subspan(5, 23)));

  demand(in.left() >= 4 * sz);
  const std::span<const std::byte> index_bytes = in.take(4 * sz);
  const std::vector<std::uint64_t> index = Reader(index_bytes).numbers(sz, 4);
  if (version == 1) demand(in.number(4) == crc32c(index_bytes));
  const std::span<const std::byte> label_section = in.take(label_bytes);
  if (format.order > 0) format.model = in.take(((std::uint64_t{1} << (2 * format.order)) * 5 + 7) / 8);
  std::vector<std::span<const std::byte>> codes;
  for (const std::uint64_t bytes : index) codes.push_back(in.take(bytes));
  std::vector<std::uint64_t> checksums;
  if (version == 1) {
    demand(in.number(4) == crc32c(label_section));
    checksums = in.numbers(sz, 4);
  }
  demand(in.left() == 0);

  Reader section(label_section);
  const std::uint64_t num_labels = section.number(8);
  std::vector<std::uint64_t> labels = section.numbers(num_labels, stored_width);
  for (std::uint64_t& label : labels) {
    if (!is_signed) continue;
    const bool is_negative = (label >> (8 * stored_width - 1) & 1) != 0;
    for (std::size_t bit = 8 * stored_width; bit < 64 && is_negative; ++bit) label |= std::uint64_t{1} << bit;
  }
  for (std::uint64_t& label : labels) {
    for (auto bit = static_cast<std::size_t>(8 * item_size); bit < 64; ++bit) label &= ~(std::uint64_t{1} << bit);
  }
  const std::size_t sx = format.sx;
  const std::size_t sy = format.sy;
  const std::vector<std::uint64_t> counts = section.numbers(sz, width_of(std::uint64_t{sx} * sy));

  std::vector<std::uint64_t> out;
  for (std::size_t z = 0; z < sz; ++z) {
    const std::vector<std::uint64_t> keys = section.numbers(counts[z], width_of(num_labels));
    const Cracks cracks = trace(codes[z], format);
    const auto is_wall = [&](std::size_t x, std::size_t y, bool horizontal) {
      return cracks.contains({x, y, horizontal}) != format.opens_walls;
    };
    std::int64_t count = 0;
    const std::vector<std::int64_t> component = components(
        sx * sy, [](std::size_t) { return true; },
        [&](std::size_t voxel) {
          const std::size_t x = voxel % sx;
          const std::size_t y = voxel / sx;
          std::vector<std::size_t> neighbours;
          if (x > 0 && !is_wall(x, y, false)) neighbours.push_back(voxel - 1);
          if (x + 1 < sx && !is_wall(x + 1, y, false)) neighbours.push_back(voxel + 1);
          if (y > 0 && !is_wall(x, y, true)) neighbours.push_back(voxel - sx);
          if (y + 1 < sy && !is_wall(x, y + 1, true)) neighbours.push_back(voxel + sx);
          return neighbours;
        },
        count);
    demand(static_cast<std::uint64_t>(count) == counts[z]);
    std::vector<std::byte> image;
    for (const std::int64_t c : component) {
      for (int i = 0; i < 4; ++i) image.push_back(static_cast<std::byte>(c >> (8 * i) & 0xff));
    }
    if (version == 1) demand(crc32c(image) == checksums[z]);
    for (const std::uint64_t key : keys) demand(key < num_labels);
    for (const std::int64_t c : component) out.push_back(labels[keys[static_cast<std::size_t>(c)]]);
  }
  return out;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> data) {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte b : data) {
    crc ^= std::to_integer<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78U : crc >> 1;
  }
  return ~crc;
}

std::optional<std::vector<std::uint64_t>> decode_crackle(std::span<const std::byte> data, std::int64_t item_size,
                                                         const Int3& chunk_shape) {
  return unless_malformed([&] { return decode(data, item_size, chunk_shape); });
}

}  // namespace cvfast::reference
