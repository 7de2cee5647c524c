// SPDX-License-Identifier: BSD-3-Clause
//
// Input: 16 bytes of geometry and request, then the file.  The kernels and the reference must agree on whether the
// file is good, on its labels, and on the bytes of encoding those labels again.
#include <algorithm>
#include <cstring>

#include "compressed_segmentation.hpp"
#include "cvfast/decode/compressed_segmentation.hpp"
#include "fuzz_input.hpp"

namespace {

using namespace cvfast;
using decode::compressed_segmentation::Geometry;
using fuzz::require;

std::vector<std::uint64_t> decode_all(std::span<const std::byte> data, const Geometry& g, const Box3& box,
                                      const paint::VoxelMap& map, Status& status) {
  const std::size_t item = map.output_item_size(static_cast<std::size_t>(g.item_size));
  const Int3 shape = box.shape();
  const auto count = static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * g.num_channels);
  std::vector<std::byte> items(count * item);
  status = decode::compressed_segmentation::decode_box(data, g, box, 0, g.num_channels, map, items.data(),
                                                       fortran_strides(shape, static_cast<std::int64_t>(item)));
  std::vector<std::uint64_t> labels(count);
  for (std::size_t i = 0; i < count; ++i) std::memcpy(&labels[i], items.data() + i * item, item);
  return labels;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < fuzz::kPrefix) return 0;
  const fuzz::Input input(bytes, size);
  Geometry g;
  for (std::size_t i = 0; i < 3; ++i) {
    g.chunk_shape[i] = input.number(i, 1, 20);
    g.block_shape[i] = input.number(3 + i, 1, 12);
  }
  if ((input[6] & 1) != 0) g.block_shape = {8, 8, 8};
  g.item_size = (input[6] & 2) != 0 ? 4 : 8;
  g.num_channels = input.number(7, 1, 2);
  const Box3 box = (input[6] & 4) != 0 ? input.box(8, 11, g.chunk_shape) : Box3{{0, 0, 0}, g.chunk_shape};
  const std::vector<std::byte> data = input.content();

  std::vector<std::uint64_t> expected;
  const bool is_good = reference::decode_compressed_segmentation(data, g, box, 0, g.num_channels, expected).ok();
  Status status;
  const std::vector<std::uint64_t> labels = decode_all(data, g, box, {}, status);
  require(status.ok() == is_good);
  std::vector<std::uint64_t> distinct;
  require(decode::compressed_segmentation::unique_box(data, g, box, 0, g.num_channels, distinct).ok() == is_good);

  const paint::VoxelMap equals{paint::VoxelOp::kEqualsLabel, input[14], {}, 0};
  const std::vector<std::uint64_t> mask = decode_all(data, g, box, equals, status);
  require(status.ok() == is_good);
  if (!is_good) return 0;
  require(labels == expected);
  if (const std::uint64_t end = decode::compressed_segmentation::box_end(data, g, box); end < data.size()) {
    // As much as a box needs gives the same, or is seen to be too little.
    const std::vector<std::byte> beginning(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(end));
    const std::vector<std::uint64_t> found = decode_all(beginning, g, box, {}, status);
    require(!status.ok() || found == expected);
  }
  for (std::size_t i = 0; i < mask.size(); ++i) require((mask[i] != 0) == (expected[i] == input[14]));

  Geometry part = g;
  part.chunk_shape = box.shape();
  std::vector<std::byte> items;
  for (const std::uint64_t label : expected) {
    for (std::int64_t i = 0; i < g.item_size; ++i) items.push_back(static_cast<std::byte>((label >> (8 * i)) & 0xff));
  }
  std::vector<std::byte> encoded;
  std::vector<std::byte> expected_bytes;
  require(decode::compressed_segmentation::encode(items.data(), fortran_strides(part.chunk_shape, g.item_size), part,
                                                  encoded)
              .ok());
  require(reference::encode_compressed_segmentation(expected, part, expected_bytes).ok());
  require(encoded == expected_bytes);
  require(encoded.size() <= decode::compressed_segmentation::max_encoded_bytes(part));

  std::sort(expected.begin(), expected.end());
  expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
  require(distinct == expected);
  return 0;
}
