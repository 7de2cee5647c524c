// SPDX-License-Identifier: BSD-3-Clause
//
// Input: 16 bytes of geometry and request, then content.  As content may be taken: a whole file; the rows of one; a
// DEFLATE stream; or voxels to be written.  The kernels and the reference must agree, and zlib must read what is
// written.
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "cvfast/decode/png.hpp"
#include "fuzz_input.hpp"
#include "png.hpp"

namespace {

using namespace cvfast;
using decode::png::Geometry;
using fuzz::require;
using Bytes = std::vector<std::byte>;

std::size_t voxels_of(const Int3& shape) { return static_cast<std::size_t>(shape[0] * shape[1] * shape[2]); }

std::vector<std::uint64_t> decode_box(const Bytes& file, const Geometry& g, const Box3& box, Status& status) {
  const auto item = static_cast<std::size_t>(g.item_size);
  std::vector<std::uint64_t> out(voxels_of(box.shape()) * static_cast<std::size_t>(g.num_channels));
  Bytes items(out.size() * item);
  status = decode::png::decode_box(file, g, box, 0, g.num_channels, {}, items.data(),
                                   fortran_strides(box.shape(), g.item_size));
  for (std::size_t i = 0; i < out.size(); ++i) std::memcpy(&out[i], items.data() + i * item, item);
  return out;
}

void compare(const Bytes& file, const Geometry& g, const Box3& box) {
  Status status;
  const std::vector<std::uint64_t> found = decode_box(file, g, box, status);
  const auto expected = reference::decode_png(file, g, box, 0, g.num_channels);
  std::vector<std::uint64_t> distinct;
  require(decode::png::unique_box(file, g, box, 0, g.num_channels, distinct).code == status.code);
  if (!status.ok()) {
    require(status.offset <= file.size());
    // libdeflate refuses Huffman codes that no encoder writes; nothing else may be refused that the reference reads.
    require(!expected || status.code == Code::kCorrupt);
    return;
  }
  require(expected && *expected == found);
  std::vector<std::uint64_t> sorted = found;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  require(sorted == distinct);
}

reference::PngParts parts_of(const Geometry& g, std::uint8_t width_choice) {
  const std::size_t voxels = voxels_of(g.chunk_shape);
  std::vector<std::size_t> widths{static_cast<std::size_t>(g.chunk_shape[0])};
  for (std::size_t width = 1; width <= voxels; ++width) {
    if (voxels % width == 0) widths.push_back(width);
  }
  const std::size_t width = widths[width_choice % widths.size()];
  reference::PngParts out;
  out.width = static_cast<std::uint32_t>(width);
  out.height = static_cast<std::uint32_t>(voxels / width);
  out.bit_depth = static_cast<std::uint8_t>(8 * g.item_size);
  constexpr std::uint8_t kColours[] = {0, 4, 2, 6};
  out.colour_type = kColours[g.num_channels - 1];
  return out;
}

void compare_written(const Bytes& content, const Geometry& g, int level) {
  Bytes voxels(voxels_of(g.chunk_shape) * static_cast<std::size_t>(g.num_channels * g.item_size));
  for (std::size_t i = 0; i < voxels.size(); ++i) {
    voxels[i] = i < content.size() ? content[i] : content.empty() ? std::byte{0} : voxels[i - content.size()];
  }
  const Int4 strides = fortran_strides(g.chunk_shape, g.item_size);
  Bytes file;
  require(decode::png::encode(voxels.data(), strides, g, level, file).ok());
  require(file.size() <= decode::png::max_encoded_bytes(g));
  Bytes back(voxels.size());
  require(
      decode::png::decode_box(file, g, {{0, 0, 0}, g.chunk_shape}, 0, g.num_channels, {}, back.data(), strides).ok());
  require(back == voxels);
  // Signature, IHDR, and the frame of the only IDAT; behind it a checksum and IEND.
  constexpr std::size_t kBefore = 8 + 25 + 8;
  constexpr std::size_t kBehind = 4 + 12;
  const auto rows = static_cast<std::size_t>(g.chunk_shape[1] * g.chunk_shape[2]);
  Bytes stream(voxels.size() + rows);
  uLongf size = stream.size();
  require(uncompress(reinterpret_cast<Bytef*>(stream.data()), &size,
                     reinterpret_cast<const Bytef*>(file.data() + kBefore), file.size() - kBefore - kBehind) == Z_OK);
  require(size == stream.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < fuzz::kPrefix) return 0;
  const fuzz::Input input(data, size);
  Geometry g;
  g.chunk_shape = {input.number(0, 1, 40), input.number(1, 1, 20), input.number(2, 1, 4)};
  g.num_channels = input.number(3, 1, 4);
  g.item_size = input.number(4, 1, 2);
  const Box3 box = (input[5] & 1) != 0 ? input.box(7, 10, g.chunk_shape) : Box3{{0, 0, 0}, g.chunk_shape};
  const Bytes content = input.content();
  reference::PngParts parts = parts_of(g, input[13]);
  switch (input.number(6, 0, 3)) {
    case 0:
      compare(content, g, box);
      break;
    case 1:
      // Too short or too long by as much as the input is.
      parts.stream = content;
      if ((input[5] & 2) == 0) {
        parts.stream.resize(parts.height *
                            (1 + std::size_t{parts.width} * static_cast<std::size_t>(g.num_channels * g.item_size)));
        const std::size_t stride = parts.stream.size() / parts.height;
        for (std::size_t at = 0; at < parts.stream.size(); at += stride) {
          parts.stream[at] = static_cast<std::byte>(std::to_integer<unsigned>(parts.stream[at]) % 6);
        }
      }
      if ((input[5] & 4) != 0) parts.idat_bytes = static_cast<std::size_t>(input.number(14, 1, 64));
      compare(reference::make_png(parts), g, box);
      break;
    case 2: {
      // A good file around the stream, wherever it ends.
      const std::size_t expected =
          parts.height * (1 + std::size_t{parts.width} * static_cast<std::size_t>(g.num_channels * g.item_size));
      std::size_t used = 0;
      const std::optional<Bytes> inflated = reference::inflate(content, expected, used);
      Bytes file = reference::make_png(parts);
      file.resize(8 + 25);
      Bytes zlib = reference::store_zlib(inflated.value_or(Bytes()));
      const Bytes checksum(zlib.end() - 4, zlib.end());
      zlib.resize(2);
      zlib.insert(zlib.end(), content.begin(),
                  inflated ? content.begin() + static_cast<std::ptrdiff_t>(used) : content.end());
      zlib.insert(zlib.end(), checksum.begin(), checksum.end());
      reference::append_png_chunk(file, "IDAT", zlib);
      reference::append_png_chunk(file, "IEND", {});
      compare(file, g, box);
      break;
    }
    default:
      g.chunk_shape[0] *= input.number(15, 1, 16);
      compare_written(content, g, static_cast<int>(input.number(14, 0, 9)));
  }
  return 0;
}
