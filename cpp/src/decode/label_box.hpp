// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <vector>

#include "cvfast/core/box.hpp"
#include "cvfast/core/checked.hpp"
#include "cvfast/core/endian.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/paint/labels.hpp"

/// A request for a box of labels, apart from the format that they lie in (compresso, crackle).
namespace cvfast::decode {

/// An integer of 1, 2, 4 or 8 bytes.
inline std::uint64_t load_uint(const std::byte* p, unsigned width) noexcept {
  switch (width) {
    case 1:
      return load_le<std::uint8_t>(p);
    case 2:
      return load_le<std::uint16_t>(p);
    case 4:
      return load_le<std::uint32_t>(p);
    default:
      return load_le<std::uint64_t>(p);
  }
}

/// kInvalidArgument where there are no such items or the chunk has no such box.
inline Status check_request(std::int64_t item_size, const Int3& chunk_shape, const Box3& box) noexcept {
  const Status invalid{Code::kInvalidArgument, 0, 0, 0};
  if (item_size != 1 && item_size != 2 && item_size != 4 && item_size != 8) return invalid;
  for (std::size_t i = 0; i < 3; ++i) {
    if (chunk_shape[i] <= 0 || box.min[i] < 0 || box.max[i] < box.min[i] || box.max[i] > chunk_shape[i]) return invalid;
  }
  return {};
}

/// Calls decode() for a request that makes sense and asks for something.  decode() may throw std::bad_alloc.
template <typename Decode>
Status answer_request(std::int64_t item_size, const Int3& chunk_shape, const Box3& box, const Decode& decode) noexcept {
  const Status status = check_request(item_size, chunk_shape, box);
  if (!status.ok() || box.empty()) return status;
  try {
    return decode();
  } catch (const std::exception&) {
    return {Code::kNoMemory, 0, 0, 0};
  }
}

using DecodeBox = Status (*)(std::span<const std::byte> data, std::int64_t item_size, const Int3& chunk_shape,
                             const Box3& box, const paint::VoxelMap& map, std::byte* dst,
                             const Int4& dst_strides) noexcept;

/// Adds the distinct labels of a box to `out` by decoding it.  Takes memory for the box: the chunk's shape must have
/// been compared with the file's.  May throw std::bad_alloc.
inline Status unique_of_decoded(DecodeBox decode_box, std::span<const std::byte> data, std::int64_t item_size,
                                const Int3& chunk_shape, const Box3& box, std::vector<std::uint64_t>& out) {
  const Int3 shape = box.shape();
  const auto bytes = checked_product({shape[0], shape[1], shape[2], item_size});
  if (!bytes) return {Code::kNoMemory, 0, 0, 0};
  std::vector<std::byte> voxels(static_cast<std::size_t>(*bytes));
  const Int4 strides = fortran_strides(shape, item_size);
  const Status status = decode_box(data, item_size, chunk_shape, box, {}, voxels.data(), strides);
  if (!status.ok()) return status;
  paint::unique_box(voxels.data(), strides, {shape[0], shape[1], shape[2], 1}, static_cast<std::size_t>(item_size),
                    out);
  return {};
}

}  // namespace cvfast::decode
