// SPDX-License-Identifier: BSD-3-Clause
//
// Reading: one walk over the chunks checks header, order and checksums; libdeflate inflates the one IDAT of most
// writers where it lies, those of libpng after joining them, into as many bytes as the header means; filters are undone
// in place (png_filter.cpp), and the box is painted from there, row stride and all.
//
// Writing: filters by the least sum of absolute differences, as libpng and spng choose them, then sparse_deflate,
// which on recorded images gives what zlib's filtered strategy gives.  Where it finds many repetitions, libdeflate may
// find more: both are made then, and the smaller is kept.
#include "cvfast/decode/png.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "cvfast/core/checked.hpp"
#include "cvfast/core/endian.hpp"
#include "cvfast/paint/copy_box.hpp"
#include "png_filter.hpp"
#include "sparse_deflate.hpp"
#include "thread_deflate.hpp"

namespace cvfast::decode::png {
namespace {

constexpr std::array<std::uint8_t, 8> kSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::uint32_t kMaxUint31 = 0x7fffffff;
constexpr std::size_t kFrameBytes = 12;  // length, type and checksum of a chunk
constexpr std::size_t kHeaderBytes = 13;
// RFC 1951: at most 258 bytes for two bits.
constexpr std::uint64_t kMaxExpansion = 1032;

constexpr std::uint32_t type_code(const char (&name)[5]) noexcept {
  std::uint32_t code = 0;
  for (std::size_t i = 0; i < 4; ++i) code = code << 8 | static_cast<std::uint8_t>(name[i]);
  return code;
}

constexpr std::uint32_t kIhdr = type_code("IHDR");
constexpr std::uint32_t kPlte = type_code("PLTE");
constexpr std::uint32_t kIdat = type_code("IDAT");
constexpr std::uint32_t kIend = type_code("IEND");

// Numbers of the header's colour types by number of channels.
constexpr std::array<std::uint8_t, 5> kColourTypes = {0, 0, 4, 2, 6};
constexpr std::uint64_t kPaletteType = 3;

std::uint32_t load_be32(const std::byte* p) noexcept { return __builtin_bswap32(load_le<std::uint32_t>(p)); }
void store_be32(std::byte* p, std::uint32_t value) noexcept { store_le(p, __builtin_bswap32(value)); }

Status fail(Code code, std::size_t offset, std::uint64_t expected = 0, std::uint64_t found = 0) noexcept {
  return {code, offset, expected, found};
}

/// Bytes without initialisation, one per thread and purpose.
class Buffer {
 public:
  [[nodiscard]] std::byte* get(std::size_t n) noexcept {
    if (n > capacity_) {
      data_.reset();
      capacity_ = 0;
      data_.reset(static_cast<std::byte*>(std::malloc(n)));
      if (data_ != nullptr) capacity_ = n;
    }
    return data_.get();
  }
  void trim() noexcept {
    constexpr std::size_t kKeepBytes = std::size_t{16} << 20;
    if (capacity_ <= kKeepBytes) return;
    data_.reset();
    capacity_ = 0;
  }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t capacity_ = 0;
};

struct Buffers {
  Buffer stream;      ///< rows with their filter bytes
  Buffer joined;      ///< the parts of a DEFLATE stream; when writing, packed rows
  Buffer candidates;  ///< a filtered row by each filter; when writing, a second DEFLATE stream
};

/// This thread's buffers, for one call: what a huge chunk left behind is freed with it.
class BuffersOfCall {
 public:
  BuffersOfCall() noexcept : buffers_(of_thread()) {}
  BuffersOfCall(const BuffersOfCall&) = delete;
  BuffersOfCall& operator=(const BuffersOfCall&) = delete;
  ~BuffersOfCall() {
    buffers_.stream.trim();
    buffers_.joined.trim();
    buffers_.candidates.trim();
  }
  Buffers& operator*() const noexcept { return buffers_; }

 private:
  static Buffers& of_thread() noexcept {
    thread_local Buffers buffers;
    return buffers;
  }
  Buffers& buffers_;
};

std::size_t pixel_bytes(const Geometry& geometry) noexcept {
  return static_cast<std::size_t>(geometry.num_channels * geometry.item_size);
}

struct Image {
  std::size_t width = 0;
  std::size_t height = 0;
  std::size_t first_idat = 0;  ///< offset of its data
  std::size_t num_idats = 0;
  std::size_t idat_bytes = 0;
};

Status check_header(std::span<const std::byte> data, std::size_t at, const Geometry& geometry, Image& image) noexcept {
  const auto byte_at = [&](std::size_t i) { return std::to_integer<std::uint64_t>(data[at + i]); };
  const std::uint64_t width = load_be32(data.data() + at);
  const std::uint64_t height = load_be32(data.data() + at + 4);
  const auto voxels = checked_product({geometry.chunk_shape[0], geometry.chunk_shape[1], geometry.chunk_shape[2]});
  const auto bytes = checked_product({voxels.value_or(-1), geometry.num_channels * geometry.item_size + 1});
  if (!bytes || *voxels == 0) return fail(Code::kInvalidArgument, 0);
  // 0 included, which no product of a chunk is.
  if (width > kMaxUint31) return fail(Code::kBadValue, at, kMaxUint31, width);
  if (height > kMaxUint31) return fail(Code::kBadValue, at + 4, kMaxUint31, height);
  if (width * height != static_cast<std::uint64_t>(*voxels)) {
    return fail(Code::kBadValue, at, static_cast<std::uint64_t>(*voxels), width * height);
  }
  const std::uint64_t depth = byte_at(8);
  const std::uint64_t colour = byte_at(9);
  const std::uint64_t wanted_depth = 8 * static_cast<std::uint64_t>(geometry.item_size);
  const std::uint64_t wanted_colour = kColourTypes[static_cast<std::size_t>(geometry.num_channels)];
  if (colour == kPaletteType) return fail(Code::kUnsupported, at + 9, wanted_colour, colour);
  if (depth == 1 || depth == 2 || depth == 4) return fail(Code::kUnsupported, at + 8, wanted_depth, depth);
  if (depth != wanted_depth) return fail(Code::kBadValue, at + 8, wanted_depth, depth);
  if (colour != wanted_colour) return fail(Code::kBadValue, at + 9, wanted_colour, colour);
  if (byte_at(10) != 0) return fail(Code::kBadValue, at + 10, 0, byte_at(10));
  if (byte_at(11) != 0) return fail(Code::kBadValue, at + 11, 0, byte_at(11));
  if (byte_at(12) == 1) return fail(Code::kUnsupported, at + 12, 0, 1);
  if (byte_at(12) != 0) return fail(Code::kBadValue, at + 12, 0, byte_at(12));
  image.width = static_cast<std::size_t>(width);
  image.height = static_cast<std::size_t>(height);
  return {};
}

struct Chunk {
  std::uint32_t type = 0;
  std::size_t data = 0;  ///< offset
  std::size_t size = 0;
};

Status next_chunk(std::span<const std::byte> data, std::size_t& pos, Chunk& chunk) noexcept {
  const std::size_t left = data.size() - pos;
  if (left < kFrameBytes) return fail(Code::kTruncated, data.size(), kFrameBytes, left);
  const std::uint32_t size = load_be32(data.data() + pos);
  if (size > kMaxUint31) return fail(Code::kBadValue, pos, kMaxUint31, size);
  if (left - kFrameBytes < size) return fail(Code::kTruncated, data.size(), kFrameBytes + std::uint64_t{size}, left);
  const std::byte* const type = data.data() + pos + 4;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto letter = std::to_integer<unsigned>(type[i]);
    if ((letter | 0x20U) < 'a' || (letter | 0x20U) > 'z') return fail(Code::kBadValue, pos + 4 + i, 0, letter);
  }
  const bool is_critical = (type[0] & std::byte{0x20}) == std::byte{0};
  if (is_critical) {
    const std::uint32_t crc = libdeflate_crc32(0, type, size + std::size_t{4});
    const std::uint32_t stored = load_be32(type + 4 + size);
    if (crc != stored) return fail(Code::kChecksum, pos + 8 + size, stored, crc);
  }
  chunk = {load_be32(type), pos + 8, size};
  pos += kFrameBytes + size;
  return {};
}

/// Reads the structure of a file.
Status parse(std::span<const std::byte> data, const Geometry& geometry, Image& image) noexcept {
  for (std::size_t i = 0; i < kSignature.size(); ++i) {
    if (i == data.size()) return fail(Code::kTruncated, i, kSignature.size(), i);
    if (data[i] != std::byte{kSignature[i]}) return fail(Code::kBadMagic, i);
  }
  std::size_t pos = kSignature.size();
  Chunk chunk;
  if (const Status status = next_chunk(data, pos, chunk); !status.ok()) return status;
  if (chunk.type != kIhdr) return fail(Code::kBadValue, chunk.data - 4, kIhdr, chunk.type);
  if (chunk.size != kHeaderBytes) return fail(Code::kBadValue, chunk.data - 8, kHeaderBytes, chunk.size);
  if (const Status status = check_header(data, chunk.data, geometry, image); !status.ok()) return status;

  for (bool was_idat = false;;) {
    if (const Status status = next_chunk(data, pos, chunk); !status.ok()) return status;
    if (chunk.type == kIend) break;
    if (chunk.type == kIdat) {
      // They are one stream, which nothing may interrupt.
      if (image.num_idats > 0 && !was_idat) return fail(Code::kBadValue, chunk.data - 4, kIend, kIdat);
      if (image.num_idats == 0) image.first_idat = chunk.data;
      ++image.num_idats;
      image.idat_bytes += chunk.size;
    } else if ((chunk.type & 0x20000000U) == 0 && chunk.type != kPlte) {
      return fail(Code::kBadValue, chunk.data - 4, kIdat, chunk.type);
    }
    was_idat = chunk.type == kIdat;
  }
  if (chunk.size != 0) return fail(Code::kBadValue, chunk.data - 8, 0, chunk.size);
  if (image.num_idats == 0) return fail(Code::kBadValue, chunk.data - 4, kIdat, kIend);
  if (pos != data.size()) return fail(Code::kTrailingBytes, pos, pos, data.size());
  return {};
}

Status inflate(std::span<const std::byte> data, const Image& image, std::size_t row_bytes, Buffers& buffers,
               std::byte*& stream) noexcept {
  // At most (2^31 - 1)^2 pixels of 8 bytes were compared with the geometry's size, which fits 63 bits.
  const std::size_t expected = image.height * (row_bytes + 1);
  if (expected / kMaxExpansion > image.idat_bytes) {
    return fail(Code::kTruncated, image.first_idat, expected / kMaxExpansion, image.idat_bytes);
  }
  const std::byte* zlib = data.data() + image.first_idat;
  if (image.num_idats > 1) {
    std::byte* const joined = buffers.joined.get(image.idat_bytes);
    if (joined == nullptr) return fail(Code::kNoMemory, 0);
    std::size_t at = 0;
    const std::byte* part = zlib;
    for (std::size_t i = 0; i < image.num_idats; ++i) {
      const std::size_t size = load_be32(part - 8);
      std::memcpy(joined + at, part, size);
      at += size;
      part += size + kFrameBytes;
    }
    zlib = joined;
  }
  stream = buffers.stream.get(expected + kStreamSlack);
  libdeflate_decompressor* const decompressor = thread_decompressor();
  if (stream == nullptr || decompressor == nullptr) return fail(Code::kNoMemory, 0);
  std::size_t used = 0;
  std::size_t produced = 0;
  switch (libdeflate_zlib_decompress_ex(decompressor, zlib, image.idat_bytes, stream, expected, &used, &produced)) {
    case LIBDEFLATE_SUCCESS:
      break;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
      return fail(Code::kTooLarge, image.first_idat, expected);
    default:
      return fail(Code::kCorrupt, image.first_idat);
  }
  if (produced != expected) return fail(Code::kTruncated, image.first_idat, expected, produced);
  if (used != image.idat_bytes) return fail(Code::kTrailingBytes, image.first_idat, used, image.idat_bytes);
  return {};
}

void swap_samples(std::byte* row, std::size_t samples) noexcept {
  for (std::size_t i = 0; i < samples; ++i) {
    const auto value = load_le<std::uint16_t>(row + 2 * i);
    store_le(row + 2 * i, static_cast<std::uint16_t>(value << 8 | value >> 8));
  }
}

/// Decodes the rows that a box needs; `voxels` is where the first voxel of the chunk lies, or would lie.
Status decode_rows(std::span<const std::byte> data, const Geometry& geometry, const Box3& box, Buffers& buffers,
                   const std::byte*& voxels, Int4& strides) noexcept {
  if (!supports(geometry.num_channels, geometry.item_size)) return fail(Code::kInvalidArgument, 0);
  Image image;
  if (const Status status = parse(data, geometry, image); !status.ok()) return status;
  const std::size_t bpp = pixel_bytes(geometry);
  const std::size_t row_bytes = image.width * bpp;
  std::byte* stream = nullptr;
  if (const Status status = inflate(data, image, row_bytes, buffers, stream); !status.ok()) return status;

  const auto row_of = [&](std::int64_t x, std::int64_t y, std::int64_t z) {
    const Int3& shape = geometry.chunk_shape;
    return static_cast<std::size_t>(x + shape[0] * (y + shape[1] * z)) / image.width;
  };
  const std::size_t first = row_of(box.min[0], box.min[1], box.min[2]);
  const std::size_t rows = row_of(box.max[0] - 1, box.max[1] - 1, box.max[2] - 1) + 1;
  const std::size_t good = unfilter_rows(stream, row_bytes, bpp, rows);
  if (good != rows) {
    return fail(Code::kBadValue, image.first_idat, kNumFilters - 1,
                std::to_integer<std::uint64_t>(stream[good * (row_bytes + 1)]));
  }
  if (geometry.item_size == 2) {
    for (std::size_t row = first; row < rows; ++row) swap_samples(stream + row * (row_bytes + 1) + 1, row_bytes / 2);
  }
  const auto pixel = static_cast<std::int64_t>(bpp);
  std::int64_t row_stride = geometry.chunk_shape[0] * pixel;
  if (image.width == static_cast<std::size_t>(geometry.chunk_shape[0])) {
    voxels = stream + 1;
    ++row_stride;
  } else {
    for (std::size_t row = first; row < rows; ++row) {
      std::memmove(stream + row * row_bytes, stream + row * (row_bytes + 1) + 1, row_bytes);
    }
    voxels = stream;
  }
  strides = {pixel, row_stride, row_stride * geometry.chunk_shape[1], geometry.item_size};
  return {};
}

const std::byte* at(const std::byte* voxels, const Int4& strides, const Int3& voxel, std::int64_t channel) noexcept {
  return voxels + voxel[0] * strides[0] + voxel[1] * strides[1] + voxel[2] * strides[2] + channel * strides[3];
}

// Writing.

void append(std::vector<std::byte>& out, std::uint32_t value) {
  const std::size_t size = out.size();
  out.resize(size + 4);
  store_be32(out.data() + size, value);
}

void begin_chunk(std::vector<std::byte>& out, std::uint32_t type) {
  append(out, 0);
  append(out, type);
}

/// Fills in the length of the chunk that begins at `start`, and its checksum; false when it is too long.
bool end_chunk(std::vector<std::byte>& out, std::size_t start) {
  const std::size_t size = out.size() - start - 8;
  if (size > kMaxUint31) return false;
  store_be32(out.data() + start, static_cast<std::uint32_t>(size));
  append(out, libdeflate_crc32(0, out.data() + start + 4, size + 4));
  return true;
}

/// Appends a zlib stream (RFC 1950).
Status deflate(std::span<const std::byte> in, int level, Buffers& buffers, std::vector<std::byte>& out) {
  // The level hint only informs; the low bits of the second byte make a multiple of 31.
  constexpr std::array<std::uint8_t, 4> kFlags = {0x01, 0x5e, 0x9c, 0xda};
  out.push_back(std::byte{0x78});
  out.push_back(std::byte{kFlags[level < 2 ? 0 : level < 6 ? 1 : level < 9 ? 2 : 3]});
  const std::size_t start = out.size();
  bool is_structured = true;
  if (level > 0) {
    const SparseDeflate sparse = sparse_deflate(in, out);
    // One byte in 16 repeated, or nothing gained at all.
    is_structured = sparse.matched_bytes >= in.size() / 16 || out.size() - start >= in.size() - in.size() / 32;
  }
  if (is_structured) {
    libdeflate_compressor* const compressor = thread_compressor(level);
    if (compressor == nullptr) return fail(Code::kNoMemory, 0);
    const std::size_t bound = level > 0 ? out.size() - start : libdeflate_deflate_compress_bound(compressor, in.size());
    std::byte* const second = buffers.candidates.get(bound);
    if (second == nullptr) return fail(Code::kNoMemory, 0);
    const std::size_t size = libdeflate_deflate_compress(compressor, in.data(), in.size(), second, bound);
    if (level == 0 && size == 0) return fail(Code::kOverflow, 0);
    if (size > 0) {
      out.resize(start + size);
      std::memcpy(out.data() + start, second, size);
    }
  }
  append(out, libdeflate_adler32(1, in.data(), in.size()));
  return {};
}

/// Where the rows of the image lie: x and the samples packed, y and z at any distance.
struct RowSource {
  const std::byte* voxels;
  std::int64_t y_stride;
  std::int64_t z_stride;
};

/// Filters all rows into `stream`.
Status filter_rows(const RowSource& source, const Geometry& geometry, int level, Buffers& buffers,
                   std::byte* stream) noexcept {
  const std::size_t bpp = pixel_bytes(geometry);
  const std::size_t row_bytes = static_cast<std::size_t>(geometry.chunk_shape[0]) * bpp;
  std::byte* const scratch = buffers.candidates.get(5 * row_bytes);
  if (scratch == nullptr) return fail(Code::kNoMemory, 0);
  std::byte* const zeros = scratch + 4 * row_bytes;
  std::memset(zeros, 0, row_bytes);
  const std::byte* above = zeros;
  for (std::int64_t z = 0; z < geometry.chunk_shape[2]; ++z) {
    for (std::int64_t y = 0; y < geometry.chunk_shape[1]; ++y) {
      const std::byte* const row = source.voxels + y * source.y_stride + z * source.z_stride;
      if (level == 0) {
        stream[0] = std::byte{kNone};
        std::memcpy(stream + 1, row, row_bytes);
      } else {
        filter_row(row, above, row_bytes, bpp, scratch, stream);
      }
      above = row;
      stream += row_bytes + 1;
    }
  }
  return {};
}

}  // namespace

bool supports(std::int64_t num_channels, std::int64_t item_size) noexcept {
  return num_channels >= 1 && num_channels <= 4 && (item_size == 1 || item_size == 2);
}

Status decode_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, const paint::VoxelMap& map, std::byte* dst,
                  const Int4& dst_strides) noexcept {
  if (box.empty() || channel_begin >= channel_end) return {};
  const BuffersOfCall buffers;
  const std::byte* voxels = nullptr;
  Int4 strides{};
  if (const Status status = decode_rows(data, geometry, box, *buffers, voxels, strides); !status.ok()) {
    return status;
  }
  const Int3 shape = box.shape();
  paint::map_box(at(voxels, strides, box.min, channel_begin), strides, dst, dst_strides,
                 {shape[0], shape[1], shape[2], channel_end - channel_begin},
                 static_cast<std::size_t>(geometry.item_size), map);
  return {};
}

Status unique_box(std::span<const std::byte> data, const Geometry& geometry, const Box3& box,
                  std::int64_t channel_begin, std::int64_t channel_end, std::vector<std::uint64_t>& out) {
  if (box.empty() || channel_begin >= channel_end) return {};
  const BuffersOfCall buffers;
  const std::byte* voxels = nullptr;
  Int4 strides{};
  if (const Status status = decode_rows(data, geometry, box, *buffers, voxels, strides); !status.ok()) {
    return status;
  }
  const Int3 shape = box.shape();
  paint::unique_box(at(voxels, strides, box.min, channel_begin), strides,
                    {shape[0], shape[1], shape[2], channel_end - channel_begin},
                    static_cast<std::size_t>(geometry.item_size), out);
  return {};
}

Status encode(const std::byte* src, const Int4& src_strides, const Geometry& geometry, int level,
              std::vector<std::byte>& out) {
  out.clear();
  if (!supports(geometry.num_channels, geometry.item_size)) return fail(Code::kInvalidArgument, 0);
  if (level < 0 || level > kMaxLevel) {
    return fail(Code::kInvalidArgument, 0, kMaxLevel, static_cast<std::uint64_t>(level));
  }
  const Int3& shape = geometry.chunk_shape;
  const auto height = checked_product({shape[1], shape[2]});
  const auto pixel = static_cast<std::int64_t>(pixel_bytes(geometry));
  const auto row_bytes = checked_product({shape[0], pixel});
  const auto stream_bytes = checked_product({height.value_or(-1), row_bytes.value_or(-1) + 1});
  if (!stream_bytes || !row_bytes || *stream_bytes == 0 || *row_bytes == 0) return fail(Code::kInvalidArgument, 0);
  if (*height > kMaxUint31) return fail(Code::kOverflow, 0, kMaxUint31, static_cast<std::uint64_t>(*height));
  if (shape[0] > kMaxUint31) return fail(Code::kOverflow, 0, kMaxUint31, static_cast<std::uint64_t>(shape[0]));

  const BuffersOfCall of_call;
  Buffers& buffers = *of_call;
  RowSource source{src, src_strides[1], src_strides[2]};
  const bool has_rows = pixel == 1 && (src_strides[0] == 1 || shape[0] == 1);
  if (!has_rows) {
    // Samples side by side, the high byte first.
    source = {nullptr, *row_bytes, *row_bytes * shape[1]};
    const auto size = static_cast<std::size_t>(*row_bytes * *height);
    std::byte* const packed = buffers.joined.get(size);
    if (packed == nullptr) return fail(Code::kNoMemory, 0);
    paint::copy_box(src, src_strides, packed, {pixel, source.y_stride, source.z_stride, geometry.item_size},
                    {shape[0], shape[1], shape[2], geometry.num_channels},
                    static_cast<std::size_t>(geometry.item_size));
    if (geometry.item_size == 2) swap_samples(packed, size / 2);
    source.voxels = packed;
  }
  std::byte* const stream = buffers.stream.get(static_cast<std::size_t>(*stream_bytes));
  if (stream == nullptr) return fail(Code::kNoMemory, 0);
  if (const Status status = filter_rows(source, geometry, level, buffers, stream); !status.ok()) return status;

  for (const std::uint8_t byte : kSignature) out.push_back(std::byte{byte});
  begin_chunk(out, kIhdr);
  append(out, static_cast<std::uint32_t>(shape[0]));
  append(out, static_cast<std::uint32_t>(*height));
  out.push_back(static_cast<std::byte>(8 * geometry.item_size));
  out.push_back(std::byte{kColourTypes[static_cast<std::size_t>(geometry.num_channels)]});
  out.resize(out.size() + 3);  // DEFLATE, the five filters, not interlaced
  (void)end_chunk(out, kSignature.size());
  const std::size_t idat = out.size();
  begin_chunk(out, kIdat);
  const Status status = deflate({stream, static_cast<std::size_t>(*stream_bytes)}, level, buffers, out);
  if (!status.ok()) return status;
  if (!end_chunk(out, idat)) return fail(Code::kOverflow, 0, kMaxUint31, out.size() - idat);
  const std::size_t iend = out.size();
  begin_chunk(out, kIend);
  (void)end_chunk(out, iend);
  return {};
}

std::uint64_t max_encoded_bytes(const Geometry& geometry) noexcept {
  // Stored rows of one pixel each, in short blocks and short chunks, and room for text.
  const auto rows = checked_product({geometry.chunk_shape[0], geometry.chunk_shape[1], geometry.chunk_shape[2],
                                     geometry.num_channels * geometry.item_size + 1});
  const auto bytes = static_cast<std::uint64_t>(rows.value_or(INT64_MAX / 2));
  constexpr std::uint64_t kOtherBytes = std::uint64_t{1} << 20;
  return bytes + bytes / 8 + kOtherBytes;
}

}  // namespace cvfast::decode::png
