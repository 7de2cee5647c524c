// SPDX-License-Identifier: BSD-3-Clause
//
// Input: 16 bytes (shape, item size, options, box), then the file.  A whole chunk must be judged and read as the
// reference judges and reads it; parts of a good chunk must be read, and parts of a bad one must not do harm.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "compresso.hpp"
#include "cvfast/decode/compresso.hpp"

namespace {

using namespace cvfast;

constexpr std::size_t kPrefix = 16;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size < kPrefix) return 0;
  Int3 shape;
  for (std::size_t i = 0; i < 3; ++i) shape[i] = input[i] % 24 + 1;
  const std::int64_t item_size = std::int64_t{1} << (input[3] & 3);
  // Its own allocation, so that a read past the end is seen.
  const std::vector<std::byte> data(reinterpret_cast<const std::byte*>(input) + kPrefix,
                                    reinterpret_cast<const std::byte*>(input) + size);
  Box3 box{{0, 0, 0}, shape};
  if ((input[4] & 1) != 0) {
    for (std::size_t i = 0; i < 3; ++i) {
      box.min[i] = input[5 + i] % shape[i];
      box.max[i] = box.min[i] + 1 + input[8 + i] % (shape[i] - box.min[i]);
    }
  }
  const bool is_whole = box == Box3{{0, 0, 0}, shape};
  const auto expected = reference::decode_compresso(data, item_size, shape);

  const Int3 extent = box.shape();
  const auto count = static_cast<std::size_t>(extent[0] * extent[1] * extent[2]);
  const auto item = static_cast<std::size_t>(item_size);
  std::vector<std::byte> items(count * item);
  Int4 strides = fortran_strides(extent, item_size);
  if ((input[4] & 2) != 0) {  // C order
    strides = {item_size * extent[1] * extent[2], item_size * extent[2], item_size, 0};
  }
  const Status status = decode::compresso::decode_box(data, item_size, shape, box, {}, items.data(), strides);
  require(status.offset <= data.size());
  if (is_whole) require(status.ok() == expected.has_value());
  if (expected) require(status.ok());

  const paint::VoxelMap equals{paint::VoxelOp::kEqualsLabel, input[11], {}, 0};
  std::vector<std::uint8_t> mask(count);
  const Status mask_status = decode::compresso::decode_box(
      data, item_size, shape, box, equals, reinterpret_cast<std::byte*>(mask.data()), fortran_strides(extent, 1));
  if (status.ok()) require(mask_status.ok());  // which may not need what is damaged
  std::vector<std::uint64_t> distinct;
  const Status unique_status = decode::compresso::unique_box(data, item_size, shape, box, distinct);
  if (!expected) return 0;
  require(mask_status.ok() && unique_status.ok());

  std::vector<std::uint64_t> labels;
  std::size_t at = 0;
  for (std::int64_t z = box.min[2]; z < box.max[2]; ++z) {
    for (std::int64_t y = box.min[1]; y < box.max[1]; ++y) {
      for (std::int64_t x = box.min[0]; x < box.max[0]; ++x, ++at) {
        const std::uint64_t wanted = (*expected)[static_cast<std::size_t>(x + shape[0] * (y + shape[1] * z))];
        std::uint64_t found = 0;
        std::memcpy(&found,
                    items.data() + (x - box.min[0]) * strides[0] + (y - box.min[1]) * strides[1] +
                        (z - box.min[2]) * strides[2],
                    item);
        require(found == wanted);
        require(mask[at] == (wanted == input[11] ? 1 : 0));
        labels.push_back(wanted);
      }
    }
  }
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  require(distinct == labels);
  return 0;
}
