// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/decode/image_codec.hpp"

#include "cvfast/core/checked.hpp"
#include "cvfast/decode/compressed_segmentation.hpp"
#include "cvfast/decode/compresso.hpp"
#include "cvfast/decode/crackle.hpp"
#include "cvfast/decode/png.hpp"
#include "cvfast/paint/copy_box.hpp"

namespace cvfast::decode {
namespace {

compressed_segmentation::Geometry geometry_of(const ImageFormat& format, const Int3& chunk_shape) noexcept {
  return {chunk_shape, format.block_shape, format.num_channels, format.item_size};
}

png::Geometry png_geometry_of(const ImageFormat& format, const Int3& chunk_shape) noexcept {
  return {chunk_shape, format.num_channels, format.item_size};
}

// Offset of a voxel in a packed raw chunk.
std::int64_t raw_offset(const Int4& strides, const Int3& voxel, std::int64_t channel) noexcept {
  return voxel[0] * strides[0] + voxel[1] * strides[1] + voxel[2] * strides[2] + channel * strides[3];
}

}  // namespace

std::optional<std::uint64_t> fixed_chunk_bytes(const ImageFormat& format, const Int3& chunk_shape) noexcept {
  if (format.encoding != Encoding::kRaw) return std::nullopt;
  const auto bytes =
      checked_product({chunk_shape[0], chunk_shape[1], chunk_shape[2], format.num_channels, format.item_size});
  if (!bytes) return std::nullopt;
  return static_cast<std::uint64_t>(*bytes);
}

std::uint64_t max_chunk_bytes(const ImageFormat& format, const Int3& chunk_shape) noexcept {
  if (format.encoding == Encoding::kRaw) return fixed_chunk_bytes(format, chunk_shape).value_or(0);
  if (format.encoding == Encoding::kExternal) {
    // Formats that shrink voxels do not grow them by more than headers and indices; four times leaves room for any.
    const auto bytes =
        checked_product({chunk_shape[0], chunk_shape[1], chunk_shape[2], format.num_channels, format.item_size, 4});
    constexpr std::uint64_t kHeaderBytes = std::uint64_t{1} << 20;
    return static_cast<std::uint64_t>(bytes.value_or(INT64_MAX / 2)) + kHeaderBytes;
  }
  if (format.encoding == Encoding::kCompresso || format.encoding == Encoding::kCrackle) {
    // Noise of one byte grows most: a component per voxel, with a label or its index, some moves or a window, and a
    // location of two items.
    const auto bytes = checked_product({chunk_shape[0], chunk_shape[1], chunk_shape[2], 4 * format.item_size + 16});
    constexpr std::uint64_t kHeaderBytes = std::uint64_t{1} << 20;
    return static_cast<std::uint64_t>(bytes.value_or(INT64_MAX / 2)) + kHeaderBytes;
  }
  if (format.encoding == Encoding::kPng) return png::max_encoded_bytes(png_geometry_of(format, chunk_shape));
  return compressed_segmentation::max_encoded_bytes(geometry_of(format, chunk_shape));
}

std::optional<ByteRange> box_byte_range(const ImageFormat& format, const Int3& chunk_shape, const Box3& box,
                                        std::int64_t channel_begin, std::int64_t channel_end) noexcept {
  if (format.encoding != Encoding::kRaw || box.empty() || channel_begin >= channel_end) return std::nullopt;
  const Int4 strides = fortran_strides(chunk_shape, format.item_size);
  const std::int64_t first = raw_offset(strides, box.min, channel_begin);
  const std::int64_t last = raw_offset(strides, {box.max[0] - 1, box.max[1] - 1, box.max[2] - 1}, channel_end - 1);
  return ByteRange{static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last - first + format.item_size)};
}

Status decode_box(const ImageFormat& format, std::span<const std::byte> data, const std::optional<ByteRange>& range,
                  const Int3& chunk_shape, const Box3& box, std::int64_t channel_begin, std::int64_t channel_end,
                  const paint::VoxelMap& map, std::byte* dst, const Int4& dst_strides) noexcept {
  if (!is_decoded_here(format.encoding)) return {Code::kInvalidArgument, 0, 0, 0};
  if (format.encoding == Encoding::kCompressedSegmentation) {
    return compressed_segmentation::decode_box(data, geometry_of(format, chunk_shape), box, channel_begin, channel_end,
                                               map, dst, dst_strides);
  }
  if (format.encoding == Encoding::kCompresso) {
    return compresso::decode_box(data, format.item_size, chunk_shape, box, map, dst, dst_strides);
  }
  if (format.encoding == Encoding::kCrackle) {
    return crackle::decode_box(data, format.item_size, chunk_shape, box, map, dst, dst_strides);
  }
  if (format.encoding == Encoding::kPng) {
    return png::decode_box(data, png_geometry_of(format, chunk_shape), box, channel_begin, channel_end, map, dst,
                           dst_strides);
  }
  const std::uint64_t expected = range ? range->size : fixed_chunk_bytes(format, chunk_shape).value_or(0);
  if (data.size() != expected) {
    const Code code = data.size() < expected ? Code::kTruncated : Code::kTrailingBytes;
    return {code, std::min<std::uint64_t>(data.size(), expected), expected, data.size()};
  }
  const Int4 strides = fortran_strides(chunk_shape, format.item_size);
  const std::int64_t start =
      raw_offset(strides, box.min, channel_begin) - (range ? static_cast<std::int64_t>(range->offset) : 0);
  const Int3 shape = box.shape();
  paint::map_box(data.data() + start, strides, dst, dst_strides,
                 {shape[0], shape[1], shape[2], channel_end - channel_begin},
                 static_cast<std::size_t>(format.item_size), map);
  return {};
}

Status unique_box(const ImageFormat& format, std::span<const std::byte> data, const Int3& chunk_shape, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, std::vector<std::uint64_t>& out) {
  if (!is_decoded_here(format.encoding)) return {Code::kInvalidArgument, 0, 0, 0};
  if (format.encoding == Encoding::kCompressedSegmentation) {
    return compressed_segmentation::unique_box(data, geometry_of(format, chunk_shape), box, channel_begin, channel_end,
                                               out);
  }
  if (format.encoding == Encoding::kCompresso) {
    return compresso::unique_box(data, format.item_size, chunk_shape, box, out);
  }
  if (format.encoding == Encoding::kCrackle) {
    return crackle::unique_box(data, format.item_size, chunk_shape, box, out);
  }
  if (format.encoding == Encoding::kPng) {
    return png::unique_box(data, png_geometry_of(format, chunk_shape), box, channel_begin, channel_end, out);
  }
  const std::uint64_t expected = fixed_chunk_bytes(format, chunk_shape).value_or(0);
  if (data.size() != expected) {
    const Code code = data.size() < expected ? Code::kTruncated : Code::kTrailingBytes;
    return {code, std::min<std::uint64_t>(data.size(), expected), expected, data.size()};
  }
  const Int4 strides = fortran_strides(chunk_shape, format.item_size);
  const Int3 shape = box.shape();
  paint::unique_box(data.data() + raw_offset(strides, box.min, channel_begin), strides,
                    {shape[0], shape[1], shape[2], channel_end - channel_begin},
                    static_cast<std::size_t>(format.item_size), out);
  return {};
}

Status encode_chunk(const ImageFormat& format, const std::byte* src, const Int4& src_strides, const Int3& chunk_shape,
                    std::vector<std::byte>& out, std::span<const std::byte>& view) {
  if (!is_encoded_here(format.encoding)) return {Code::kInvalidArgument, 0, 0, 0};
  if (format.encoding == Encoding::kCompressedSegmentation) {
    const Status status = compressed_segmentation::encode(src, src_strides, geometry_of(format, chunk_shape), out);
    view = out;
    return status;
  }
  if (format.encoding == Encoding::kPng) {
    const Status status = png::encode(src, src_strides, png_geometry_of(format, chunk_shape), format.level, out);
    view = out;
    return status;
  }
  const auto bytes = fixed_chunk_bytes(format, chunk_shape);
  if (!bytes) return {Code::kInvalidArgument, 0, 0, 0};
  const Int4 strides = fortran_strides(chunk_shape, format.item_size);
  const Int4 shape{chunk_shape[0], chunk_shape[1], chunk_shape[2], format.num_channels};
  bool is_packed = true;
  for (int i = 0; i < 4; ++i) is_packed = is_packed && (shape[i] == 1 || src_strides[i] == strides[i]);
  if (is_packed) {
    out.clear();
    view = {src, *bytes};
    return {};
  }
  out.resize(*bytes);
  paint::copy_box(src, src_strides, out.data(), strides, shape, static_cast<std::size_t>(format.item_size));
  view = out;
  return {};
}

}  // namespace cvfast::decode
