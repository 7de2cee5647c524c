// SPDX-License-Identifier: BSD-3-Clause
#include "png.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

namespace cvfast::reference {
namespace {

using Bytes = std::vector<std::byte>;

unsigned value_of(std::byte b) { return std::to_integer<unsigned>(b); }

// DEFLATE.

struct Malformed {};

class Bits {
 public:
  explicit Bits(std::span<const std::byte> in) : in_(in) {}
  unsigned bit() {
    if (pos_ / 8 >= in_.size()) throw Malformed{};
    const unsigned out = value_of(in_[pos_ / 8]) >> (pos_ % 8) & 1U;
    ++pos_;
    return out;
  }
  unsigned bits(unsigned count) {
    unsigned out = 0;
    for (unsigned i = 0; i < count; ++i) out |= bit() << i;
    return out;
  }
  void to_byte() { pos_ = (pos_ + 7) / 8 * 8; }
  [[nodiscard]] std::size_t used() const { return (pos_ + 7) / 8; }

 private:
  std::span<const std::byte> in_;
  std::size_t pos_ = 0;
};

/// (length, code, first bit highest) to symbol.
using Codes = std::map<std::pair<unsigned, unsigned>, unsigned>;

Codes make_codes(const std::vector<unsigned>& lengths) {
  Codes out;
  unsigned code = 0;
  for (unsigned length = 1; length <= 15; ++length) {
    code <<= 1;
    for (unsigned symbol = 0; symbol < lengths.size(); ++symbol) {
      if (lengths[symbol] != length) continue;
      if (code >> length != 0) throw Malformed{};
      out[{length, code++}] = symbol;
    }
  }
  return out;
}

unsigned symbol_of(const Codes& codes, Bits& in) {
  unsigned code = 0;
  for (unsigned length = 1; length <= 15; ++length) {
    code = code << 1 | in.bit();
    const auto found = codes.find({length, code});
    if (found != codes.end()) return found->second;
  }
  throw Malformed{};
}

std::pair<Codes, Codes> read_codes(Bits& in) {
  const unsigned num_litlen = in.bits(5) + 257;
  const unsigned num_distances = in.bits(5) + 1;
  const unsigned num_lengths = in.bits(4) + 4;
  static constexpr std::array<unsigned, 19> kOrder = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  std::vector<unsigned> length_lengths(19);
  for (unsigned i = 0; i < num_lengths; ++i) length_lengths[kOrder[i]] = in.bits(3);
  const Codes length_codes = make_codes(length_lengths);
  std::vector<unsigned> lengths;
  while (lengths.size() < num_litlen + num_distances) {
    const unsigned symbol = symbol_of(length_codes, in);
    if (symbol == 16) {
      if (lengths.empty()) throw Malformed{};
      const unsigned last = lengths.back();
      lengths.insert(lengths.end(), 3 + in.bits(2), last);
    } else if (symbol == 17) {
      lengths.insert(lengths.end(), 3 + in.bits(3), 0);
    } else if (symbol == 18) {
      lengths.insert(lengths.end(), 11 + in.bits(7), 0);
    } else {
      lengths.push_back(symbol);
    }
  }
  const auto middle = lengths.begin() + num_litlen;
  // Decoders differ on a last run that goes past the end; the twin accepts it.
  return {make_codes({lengths.begin(), middle}), make_codes({middle, middle + num_distances})};
}

std::pair<Codes, Codes> fixed_codes() {
  std::vector<unsigned> litlen(288, 8);
  std::fill(litlen.begin() + 144, litlen.begin() + 256, 9U);
  std::fill(litlen.begin() + 256, litlen.begin() + 280, 7U);
  return {make_codes(litlen), make_codes(std::vector<unsigned>(32, 5))};
}

void inflate_block(Bits& in, const Codes& litlen, const Codes& distances, std::size_t limit, Bytes& out) {
  static constexpr std::array<unsigned, 29> kLengthBase = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                                           15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                                           67, 83, 99, 115, 131, 163, 195, 227, 258};
  static constexpr std::array<unsigned, 29> kLengthBits = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  for (;;) {
    const unsigned symbol = symbol_of(litlen, in);
    if (symbol == 256) return;
    if (symbol < 256) {
      if (out.size() == limit) throw Malformed{};
      out.push_back(static_cast<std::byte>(symbol));
      continue;
    }
    if (symbol > 285) throw Malformed{};
    const std::size_t length = kLengthBase[symbol - 257] + in.bits(kLengthBits[symbol - 257]);
    const unsigned code = symbol_of(distances, in);
    if (code > 29) throw Malformed{};
    std::size_t distance = code + 1;
    if (code >= 4) {
      const unsigned bits = code / 2 - 1;
      distance = ((2 + code % 2) << bits) + 1 + in.bits(bits);
    }
    if (distance > out.size() || limit - out.size() < length) throw Malformed{};
    for (std::size_t i = 0; i < length; ++i) out.push_back(out[out.size() - distance]);
  }
}

Bytes inflate_stream(Bits& in, std::size_t limit) {
  Bytes out;
  for (bool is_last = false; !is_last;) {
    is_last = in.bit() == 1;
    const unsigned type = in.bits(2);
    if (type == 3) throw Malformed{};
    if (type == 0) {
      in.to_byte();
      const unsigned size = in.bits(16);
      if ((in.bits(16) ^ size) != 0xffff) throw Malformed{};
      if (limit - out.size() < size) throw Malformed{};
      for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(in.bits(8)));
      continue;
    }
    const auto [litlen, distances] = type == 1 ? fixed_codes() : read_codes(in);
    inflate_block(in, litlen, distances, limit, out);
  }
  return out;
}

// Checksums.

std::uint32_t crc32(std::span<const std::byte> data) {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte b : data) {
    crc ^= value_of(b);
    for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
  }
  return ~crc;
}

std::uint32_t adler32(std::span<const std::byte> data) {
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const std::byte byte : data) {
    a = (a + value_of(byte)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

// PNG.

std::uint32_t big_endian(std::span<const std::byte> data, std::size_t pos) {
  if (pos > data.size() || data.size() - pos < 4) throw Malformed{};
  return value_of(data[pos]) << 24 | value_of(data[pos + 1]) << 16 | value_of(data[pos + 2]) << 8 |
         value_of(data[pos + 3]);
}

void append_big_endian(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(value >> shift & 0xff));
}

constexpr std::array<unsigned char, 8> kSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

struct Image {
  std::uint64_t width = 0;
  std::uint64_t height = 0;
  Bytes idat;
};

Image parse(std::span<const std::byte> data, const decode::png::Geometry& geometry) {
  Image out;
  if (data.size() < 8) throw Malformed{};
  for (std::size_t i = 0; i < 8; ++i) {
    if (value_of(data[i]) != kSignature[i]) throw Malformed{};
  }
  std::size_t pos = 8;
  std::string last;
  bool has_idat = false;
  while (last != "IEND") {
    const std::uint64_t size = big_endian(data, pos);
    if (size > 0x7fffffff || data.size() - pos < size + 12) throw Malformed{};
    std::string type;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto letter = static_cast<char>(value_of(data[pos + 4 + i]));
      if (!(letter >= 'a' && letter <= 'z') && !(letter >= 'A' && letter <= 'Z')) throw Malformed{};
      type.push_back(letter);
    }
    const auto content = data.subspan(pos + 8, size);
    if (type[0] < 'a' && crc32(data.subspan(pos + 4, size + 4)) != big_endian(data, pos + 8 + size)) throw Malformed{};
    if (last.empty() != (type == "IHDR")) throw Malformed{};
    if (type == "IHDR") {
      if (size != 13) throw Malformed{};
      out.width = big_endian(content, 0);
      out.height = big_endian(content, 4);
      if (out.width > 0x7fffffff || out.height > 0x7fffffff) throw Malformed{};
      const unsigned colours[] = {0, 4, 2, 6};
      if (value_of(content[8]) != 8 * geometry.item_size ||
          value_of(content[9]) != colours[geometry.num_channels - 1] || value_of(content[10]) != 0 ||
          value_of(content[11]) != 0 || value_of(content[12]) != 0) {
        throw Malformed{};
      }
    } else if (type == "IDAT") {
      if (has_idat && last != "IDAT") throw Malformed{};
      has_idat = true;
      out.idat.insert(out.idat.end(), content.begin(), content.end());
    } else if (type == "IEND") {
      if (size != 0) throw Malformed{};
    } else if (type[0] < 'a' && type != "PLTE") {
      throw Malformed{};
    }
    last = type;
    pos += size + 12;
  }
  if (!has_idat || pos != data.size()) throw Malformed{};
  const Int3& shape = geometry.chunk_shape;
  if (out.width * out.height != static_cast<std::uint64_t>(shape[0] * shape[1] * shape[2])) throw Malformed{};
  return out;
}

Bytes inflate_zlib(const Bytes& idat, std::size_t size) {
  if (idat.size() < 6) throw Malformed{};
  const unsigned cmf = value_of(idat[0]);
  const unsigned flags = value_of(idat[1]);
  if ((cmf * 256 + flags) % 31 != 0 || cmf % 16 != 8 || cmf / 16 > 7 || (flags & 0x20) != 0) throw Malformed{};
  Bits in(std::span<const std::byte>(idat).subspan(2));
  Bytes out = inflate_stream(in, size);
  if (out.size() != size || in.used() + 6 != idat.size()) throw Malformed{};
  if (big_endian(idat, idat.size() - 4) != adler32(out)) throw Malformed{};
  return out;
}

/// Rows without their filters, up to the one that holds byte `last`.
Bytes unfilter(const Bytes& stream, std::size_t row_bytes, std::size_t bpp, std::size_t last) {
  Bytes out;
  for (std::size_t row = 0; row * row_bytes <= last; ++row) {
    const unsigned filter = value_of(stream[row * (row_bytes + 1)]);
    for (std::size_t i = 0; i < row_bytes; ++i) {
      const auto at = [&](std::size_t rows_up, std::size_t bytes_left) {
        if (row < rows_up || i < bytes_left) return 0;
        return static_cast<int>(value_of(out[(row - rows_up) * row_bytes + i - bytes_left]));
      };
      const int a = at(0, bpp);
      const int b = at(1, 0);
      const int c = at(1, bpp);
      int prediction = 0;
      if (filter == 1) prediction = a;
      if (filter == 2) prediction = b;
      if (filter == 3) prediction = (a + b) / 2;
      if (filter == 4) {
        const int p = a + b - c;
        const int pa = std::abs(p - a);
        const int pb = std::abs(p - b);
        const int pc = std::abs(p - c);
        prediction = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      }
      if (filter > 4) throw Malformed{};
      out.push_back(static_cast<std::byte>(
          (static_cast<int>(value_of(stream[row * (row_bytes + 1) + 1 + i])) + prediction) & 0xff));
    }
  }
  return out;
}

}  // namespace

std::optional<Bytes> inflate(std::span<const std::byte> data, std::size_t limit, std::size_t& used) {
  try {
    Bits in(data);
    Bytes out = inflate_stream(in, limit);
    used = in.used();
    return out;
  } catch (const Malformed&) {
    return std::nullopt;
  }
}

std::optional<std::vector<std::uint64_t>> decode_png(std::span<const std::byte> data,
                                                     const decode::png::Geometry& geometry, const Box3& box,
                                                     std::int64_t channel_begin, std::int64_t channel_end) {
  try {
    const Image image = parse(data, geometry);
    const auto item = static_cast<std::size_t>(geometry.item_size);
    const auto channels = static_cast<std::size_t>(geometry.num_channels);
    const std::size_t bpp = item * channels;
    const std::size_t row_bytes = image.width * bpp;
    const Bytes stream = inflate_zlib(image.idat, image.height * (row_bytes + 1));
    const Int3& shape = geometry.chunk_shape;
    const auto pixel = [&](std::int64_t x, std::int64_t y, std::int64_t z) {
      return static_cast<std::size_t>(x + shape[0] * (y + shape[1] * z)) * bpp;
    };
    const Bytes rows = unfilter(stream, row_bytes, bpp, pixel(box.max[0] - 1, box.max[1] - 1, box.max[2] - 1));
    std::vector<std::uint64_t> out;
    for (auto c = static_cast<std::size_t>(channel_begin); c < static_cast<std::size_t>(channel_end); ++c) {
      for (std::int64_t z = box.min[2]; z < box.max[2]; ++z) {
        for (std::int64_t y = box.min[1]; y < box.max[1]; ++y) {
          for (std::int64_t x = box.min[0]; x < box.max[0]; ++x) {
            std::uint64_t sample = 0;
            for (std::size_t i = 0; i < item; ++i) sample = sample << 8 | value_of(rows[pixel(x, y, z) + c * item + i]);
            out.push_back(sample);
          }
        }
      }
    }
    return out;
  } catch (const Malformed&) {
    return std::nullopt;
  }
}

void append_png_chunk(Bytes& out, const char (&type)[5], std::span<const std::byte> content) {
  append_big_endian(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t start = out.size();
  for (std::size_t i = 0; i < 4; ++i) out.push_back(static_cast<std::byte>(type[i]));
  out.insert(out.end(), content.begin(), content.end());
  append_big_endian(out, crc32(std::span(out).subspan(start)));
}

Bytes store_zlib(std::span<const std::byte> content) {
  Bytes out = {std::byte{0x78}, std::byte{0x01}};
  std::size_t pos = 0;
  do {
    const std::size_t size = std::min<std::size_t>(content.size() - pos, 0xffff);
    out.push_back(static_cast<std::byte>(pos + size == content.size() ? 1 : 0));
    for (const std::size_t half : {size, ~size}) {
      out.push_back(static_cast<std::byte>(half & 0xff));
      out.push_back(static_cast<std::byte>(half >> 8 & 0xff));
    }
    out.insert(out.end(), content.begin() + static_cast<std::ptrdiff_t>(pos),
               content.begin() + static_cast<std::ptrdiff_t>(pos + size));
    pos += size;
  } while (pos < content.size());
  append_big_endian(out, adler32(content));
  return out;
}

Bytes make_png(const PngParts& parts) {
  Bytes out;
  for (const unsigned char c : kSignature) out.push_back(std::byte{c});
  Bytes header;
  append_big_endian(header, parts.width);
  append_big_endian(header, parts.height);
  for (const std::uint8_t field :
       {parts.bit_depth, parts.colour_type, parts.compression, parts.filter, parts.interlace}) {
    header.push_back(std::byte{field});
  }
  append_png_chunk(out, "IHDR", header);
  const Bytes zlib = store_zlib(parts.stream);
  for (std::size_t pos = 0; pos < zlib.size(); pos += std::min(parts.idat_bytes, zlib.size() - pos)) {
    append_png_chunk(out, "IDAT", std::span(zlib).subspan(pos, std::min(parts.idat_bytes, zlib.size() - pos)));
  }
  append_png_chunk(out, "IEND", {});
  return out;
}

}  // namespace cvfast::reference
