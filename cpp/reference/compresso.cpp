// SPDX-License-Identifier: BSD-3-Clause
#include "compresso.hpp"

#include <algorithm>

#include "label_parts.hpp"

namespace cvfast::reference {
namespace {

std::vector<std::uint64_t> decode(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape) {
  Reader in(data);
  for (const char letter : {'c', 'p', 's', 'o'}) demand(in.number(1) == static_cast<std::uint64_t>(letter));
  const std::uint64_t version = in.number(1);
  demand(version <= 1);
  const auto width = static_cast<std::size_t>(in.number(1));
  demand(width == static_cast<std::size_t>(item_size));
  std::size_t size[3];
  for (std::size_t i = 0; i < 3; ++i) {
    size[i] = in.number(2);
    demand(size[i] == static_cast<std::size_t>(chunk_shape[i]));
  }
  const std::size_t sx = size[0];
  const std::size_t sy = size[1];
  const std::size_t sz = size[2];
  const std::size_t xs = in.number(1);
  const std::size_t ys = in.number(1);
  const std::size_t zs = in.number(1);
  demand(xs != 0 && ys != 0 && zs != 0 && xs * ys * zs <= 64);
  const std::size_t window_width = xs * ys * zs <= 8 ? 1 : xs * ys * zs <= 16 ? 2 : xs * ys * zs <= 32 ? 4 : 8;
  const std::uint64_t num_ids = in.number(8);
  const std::uint64_t num_values = in.number(4);
  const std::uint64_t num_locations = in.number(8);
  const std::uint64_t connectivity = in.number(1);
  demand(connectivity == 4 || (connectivity == 6 && version == 0));
  const std::size_t tail_width = 2 * sx * sy < 255 ? 1 : 2 * sx * sy < 65535 ? 2 : 4;
  const std::size_t tail_bytes = version == 1 ? 2 * sz * tail_width : 0;

  demand(tail_bytes <= in.left());
  const std::vector<std::uint64_t> ids = in.numbers(num_ids, width);
  const std::vector<std::uint64_t> values = in.numbers(num_values, window_width);
  const std::vector<std::uint64_t> locations = in.numbers(num_locations, width);
  demand(tail_bytes <= in.left() && (in.left() - tail_bytes) % window_width == 0);
  const std::vector<std::uint64_t> words = in.numbers((in.left() - tail_bytes) / window_width, window_width);
  std::vector<std::uint64_t> counts;
  std::vector<std::uint64_t> starts;
  if (version == 1) {
    counts = in.numbers(sz, tail_width);
    starts = in.numbers(sz, tail_width);
  }

  const std::size_t nx = (sx + xs - 1) / xs;
  const std::size_t ny = (sy + ys - 1) / ys;
  const std::size_t nz = (sz + zs - 1) / zs;
  std::vector<std::uint64_t> windows;
  for (const std::uint64_t word : words) {
    const std::uint64_t half = word / 2;
    if (word % 2 == 1) {
      demand(half <= nx * ny * nz - windows.size());
      windows.insert(windows.end(), half, values.empty() ? 0 : values[0]);
    } else {
      demand(half < values.size() && windows.size() < nx * ny * nz);
      windows.push_back(values[half]);
    }
  }
  demand(windows.size() == nx * ny * nz);

  const auto index = [&](std::size_t x, std::size_t y, std::size_t z) { return x + sx * (y + sy * z); };
  std::vector<bool> boundary(sx * sy * sz);
  for (std::size_t z = 0; z < sz; ++z) {
    for (std::size_t y = 0; y < sy; ++y) {
      for (std::size_t x = 0; x < sx; ++x) {
        const std::uint64_t window = windows[x / xs + nx * (y / ys + ny * (z / zs))];
        boundary[index(x, y, z)] = ((window >> (x % xs + xs * (y % ys + ys * (z % zs)))) & 1) != 0;
      }
    }
  }

  std::int64_t next = 0;
  const auto neighbours = [&](std::size_t voxel) {
    const std::size_t x = voxel % sx;
    const std::size_t y = voxel / sx % sy;
    const std::size_t z = voxel / sx / sy;
    std::vector<std::size_t> out;
    if (x > 0) out.push_back(index(x - 1, y, z));
    if (x + 1 < sx) out.push_back(index(x + 1, y, z));
    if (y > 0) out.push_back(index(x, y - 1, z));
    if (y + 1 < sy) out.push_back(index(x, y + 1, z));
    if (connectivity == 6 && z > 0) out.push_back(index(x, y, z - 1));
    if (connectivity == 6 && z + 1 < sz) out.push_back(index(x, y, z + 1));
    return out;
  };
  const std::vector<std::int64_t> component =
      components(boundary.size(), [&](std::size_t voxel) { return !boundary[voxel]; }, neighbours, next);
  demand(static_cast<std::uint64_t>(next) == ids.size());
  if (version == 1) {
    std::int64_t largest = -1;
    for (std::size_t z = 0; z < sz; ++z) {
      const std::int64_t before = largest;
      for (std::size_t i = 0; i < sx * sy; ++i) largest = std::max(largest, component[sx * sy * z + i]);
      demand(static_cast<std::uint64_t>(largest - before) == counts[z]);
    }
  }

  std::vector<std::uint64_t> labels(boundary.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!boundary[i]) labels[i] = ids[static_cast<std::size_t>(component[i])];
  }
  std::uint64_t location = 0;
  std::uint64_t start = 0;
  const auto take = [&] {
    demand(location < locations.size());
    return locations[location++];
  };
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t x = i % sx;
    const std::size_t y = i / sx % sy;
    const std::size_t z = i / sx / sy;
    if (version == 1 && x == 0 && y == 0) {
      start += starts[z];
      if (z == 0) location = start;
      demand(location == start);
    }
    if (!boundary[i]) continue;
    const auto copy = [&](bool exists, std::size_t from) {
      if (!exists || boundary[from]) return false;
      labels[i] = labels[from];
      return true;
    };
    if (copy(x > 0, i - 1) || copy(y > 0, i - sx)) continue;
    if (connectivity == 6 && copy(z > 0, i - sx * sy)) continue;
    const std::uint64_t code = take();
    if (code == 1) {
      demand(copy(x + 1 < sx, i + 1));
    } else if (code == 3) {
      demand(copy(y + 1 < sy, i + sx));
    } else if (code == 4) {
      demand(copy(z > 0, i - sx * sy));
    } else if (code == 5) {
      demand(copy(z + 1 < sz, i + sx * sy));
    } else if (code == 6) {
      labels[i] = take();
    } else {
      demand(code >= 7);
      labels[i] = code - 7;
    }
  }
  demand(location == locations.size());
  return labels;
}

}  // namespace

std::optional<std::vector<std::uint64_t>> decode_compresso(std::span<const std::byte> data, std::int64_t item_size,
                                                           const Int3& chunk_shape) {
  return unless_malformed([&] { return decode(data, item_size, chunk_shape); });
}

}  // namespace cvfast::reference
