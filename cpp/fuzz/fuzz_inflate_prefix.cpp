// SPDX-License-Identifier: BSD-3-Clause
//
// The input as a DEFLATE stream, in steps, against zlib: what is given is what zlib finds.
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../src/decode/inflate_prefix.hpp"
#include "fuzz_input.hpp"

namespace {

using namespace cvfast;
using fuzz::require;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kLimit = 1 << 16;

/// As much as zlib makes of it before it ends or is found wrong.
Bytes inflate_by_zlib(const Bytes& in, std::size_t limit) {
  Bytes out(limit);
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) std::abort();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  (void)inflate(&stream, Z_SYNC_FLUSH);
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = 1 + std::size_t{input[0]} * 16;
  const auto* const bytes = reinterpret_cast<const std::byte*>(input);
  Bytes data(bytes + 1, bytes + size);
  const Bytes expected = inflate_by_zlib(data, kLimit + decode::InflatePrefix::kSlackBytes);

  Bytes out(kLimit + decode::InflatePrefix::kSlackBytes);
  decode::InflatePrefix prefix(data, out);
  std::size_t reached = 0;
  while (reached + step <= kLimit && prefix.extend(reached + step)) reached += step;
  require(reached <= expected.size());
  require(std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(reached), expected.begin()));

  // As content: all of it can be had.
  z_stream stream{};
  if (deflateInit2(&stream, input[0] % 10, Z_DEFLATED, -15, 8, input[0] % 5) != Z_OK) std::abort();
  Bytes packed(deflateBound(&stream, static_cast<uLong>(data.size())) + 64);
  stream.next_in = reinterpret_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  deflateEnd(&stream);
  Bytes back(data.size() + decode::InflatePrefix::kSlackBytes);
  decode::InflatePrefix whole(packed, back);
  for (std::size_t n = 0; n < data.size(); n += step) require(whole.extend(n));
  require(whole.extend(data.size()) && std::equal(data.begin(), data.end(), back.begin()));
  require(whole.size() == data.size() && whole.end() == packed.size() - stream.total_out);
  return 0;
}
