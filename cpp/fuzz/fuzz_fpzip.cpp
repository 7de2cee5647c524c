// SPDX-License-Identifier: BSD-3-Clause
//
// Input: one byte of choice, then either a stream, or values with their shape.  Kernel and reference must agree on what
// a stream holds and on whether an encoder wrote it; values must come back.
#include <algorithm>
#include <cstring>

#include "cvfast/decode/fpzip.hpp"
#include "fpzip.hpp"
#include "fuzz_input.hpp"

namespace {

using namespace cvfast;
using fuzz::require;
using Bytes = std::vector<std::byte>;
using Values = std::vector<std::uint64_t>;

constexpr std::int64_t kMaxValues = 2048;

Bytes to_items(const Values& values, std::int64_t item_size) {
  Bytes out(values.size() * static_cast<std::size_t>(item_size));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::memcpy(out.data() + i * static_cast<std::size_t>(item_size), &values[i], static_cast<std::size_t>(item_size));
  }
  return out;
}

void check_stream(const Bytes& data, const Int4& shape, std::int64_t item_size) {
  const std::optional<Values> expected = reference::decode_fpzip(data, shape, item_size);
  Bytes out(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3] * item_size));
  const Status status = decode::fpzip::decode(data, shape, item_size, out.data());
  require(status.ok() == expected.has_value());
  require(status.offset <= data.size() + 32);
  if (expected) require(out == to_items(*expected, item_size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size < 8) return 0;
  const auto* const bytes = reinterpret_cast<const std::byte*>(input);
  if ((input[0] & 1) == 0) {
    const Bytes data(bytes + 1, bytes + size);
    decode::fpzip::Header header;
    if (!decode::fpzip::read_header(data, header).ok()) return 0;
    std::int64_t count = 1;
    for (const std::int64_t extent : header.shape) {
      if (extent < 1 || extent > kMaxValues || (count *= extent) > kMaxValues) return 0;
    }
    check_stream(data, header.shape, header.item_size);
    return 0;
  }

  const std::int64_t item_size = (input[0] & 2) != 0 ? 4 : 8;
  const std::int64_t precision = (input[1] % 32 == 0 ? 0 : input[1] % 32 + 1) * (item_size / 4);
  const Int4 shape{input[2] % 16 + 1, input[3] % 5 + 1, input[4] % 4 + 1, input[5] % 2 + 1};
  Values values(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]));
  std::size_t at = 8;
  for (std::uint64_t& value : values) {
    const std::size_t take = std::min(size - at, static_cast<std::size_t>(item_size));
    std::memcpy(&value, input + at, take);
    at = at + take < size ? at + take : 8;
    if (at >= size) break;
  }
  Bytes stream;
  if (!decode::fpzip::encode(to_items(values, item_size).data(), shape, item_size, precision, stream).ok()) return 0;
  require(stream == reference::encode_fpzip(values, shape, item_size, precision));
  Bytes out(values.size() * static_cast<std::size_t>(item_size));
  require(decode::fpzip::decode(stream, shape, item_size, out.data()).ok());
  const std::int64_t dropped = precision == 0 ? 0 : 8 * item_size - precision;
  for (std::uint64_t& value : values) value = value >> dropped << dropped;
  require(out == to_items(values, item_size));

  // Damage past the header, where the fuzzer cannot reach by chance.
  const std::size_t where = 24 + (input[6] | input[7] << 8) % (stream.size() - 24);
  stream[where] ^= static_cast<std::byte>(input[2] | 1);
  check_stream(stream, shape, item_size);
  return 0;
}
