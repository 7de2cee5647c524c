// SPDX-License-Identifier: BSD-3-Clause
//
// The input as a gzip file, against zlib; and as content, there and back.
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "cvfast/core/endian.hpp"
#include "cvfast/decode/gzip.hpp"
#include "fuzz_input.hpp"

namespace {

using namespace cvfast;
using fuzz::require;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kLimit = 1 << 16;

/// zlib, member by member, with the same rules for what lies between and after members.
std::optional<Bytes> inflate_by_zlib(const Bytes& in) {
  Bytes out(kLimit + 1);
  std::size_t written = 0;
  std::size_t pos = 0;
  do {
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) std::abort();
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data() + pos));
    stream.avail_in = static_cast<uInt>(in.size() - pos);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + written);
    stream.avail_out = static_cast<uInt>(out.size() - written);
    const int result = inflate(&stream, Z_FINISH);
    pos = in.size() - stream.avail_in;
    written = out.size() - stream.avail_out;
    inflateEnd(&stream);
    if (result != Z_STREAM_END || written > kLimit) return std::nullopt;
    while (pos < in.size() && in[pos] == std::byte{0}) ++pos;
  } while (pos < in.size());
  out.resize(written);
  return out;
}

/// Inflates to a size by `decompress_padded`, in memory of exactly what that may touch.
std::optional<Bytes> inflate_padded(Bytes in, std::size_t n) {
  const std::size_t stored = in.size();
  in.resize(stored + decode::gzip::kInputPadding);
  Bytes out(n + decode::gzip::kOutputPadding);
  if (!decode::gzip::decompress_padded(in.data(), stored, out.data(), n)) return std::nullopt;
  out.resize(n);
  return out;
}

/// Compresses, and inflates by everything there is.
void round_trip(const Bytes& data, std::optional<int> given = std::nullopt) {
  const std::size_t size = data.size();
  const auto byte = [&](std::size_t i) { return std::to_integer<int>(data[i]); };
  const int level = given ? *given : size == 0 ? 6 : byte(0) % 13;
  Bytes packed;
  Bytes out;
  const bool is_segmentation = size > 1 && byte(1) % 2 != 0;
  using decode::gzip::Content;
  require(
      decode::gzip::compress(data, level, packed, is_segmentation ? Content::kCompressedSegmentation : Content::kAny)
          .ok());
  require(packed.size() <= decode::gzip::compress_bound(size));
  if (size <= kLimit) {
    require(decode::gzip::decompress(packed, kLimit, out).ok());
    require(out == data);
    const std::optional<Bytes> back = inflate_by_zlib(packed);
    require(back.has_value() && *back == data);
    require(inflate_padded(packed, size) == data);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const Bytes data(reinterpret_cast<const std::byte*>(input), reinterpret_cast<const std::byte*>(input) + size);

  const std::optional<Bytes> expected = inflate_by_zlib(data);
  Bytes out;
  const Status status = decode::gzip::decompress(data, kLimit, out);
  Bytes fixed(kLimit);
  std::size_t written = 0;
  const Status same = decode::gzip::decompress(data, fixed.data(), fixed.size(), written);
  require(same.code == status.code);
  // libdeflate refuses Huffman codes that no encoder writes and zlib accepts (and the other way round), so a verdict
  // is compared only where the content is known: an accepted file must hold what zlib finds in it.
  if (status.ok()) {
    require(written == out.size() && std::equal(out.begin(), out.end(), fixed.begin()));
    if (expected) require(*expected == out);
  } else {
    require(status.offset <= data.size());
  }

  // Of the size that is there, and of the one that the end states.
  std::size_t stated = 0;
  for (std::size_t i = 0; i < 2 && i < size; ++i)
    stated |= std::size_t{input[size - std::min<std::size_t>(4, size) + i]} << (8 * i);
  for (const std::size_t n : {status.ok() ? out.size() : stated, stated}) {
    const std::optional<Bytes> padded = inflate_padded(data, n);
    if (padded && expected) require(*padded == *expected);
    if (padded && status.ok()) require(*padded == out);
  }

  round_trip(data);
  // The same as a skeleton of up to 2,000 vertices without edges, which has an encoder of its own at level 6.
  if (size >= 2) {
    const std::size_t vertices = 1 + (std::size_t{input[0]} << 8 | input[1]) % 2000;
    Bytes skeleton = data;
    skeleton.resize(std::max(size, 8 + 12 * vertices));
    skeleton.resize(8 + (skeleton.size() - 8) / vertices * vertices);
    store_le(skeleton.data(), static_cast<std::uint32_t>(vertices));
    store_le(skeleton.data() + 4, std::uint32_t{0});
    // What is short is repeated rather than followed by zeros alone.
    for (std::size_t i = std::max<std::size_t>(size, 8); i < skeleton.size(); ++i)
      skeleton[i] = data[(i * 5 / 4) % size];
    round_trip(skeleton, 6);
  }
  return 0;
}
