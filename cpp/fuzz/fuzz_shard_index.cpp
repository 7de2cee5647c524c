// SPDX-License-Identifier: BSD-3-Clause
//
// Eight bytes of payload size, then the entries of a shard index, against the twin that compares every pair.

#include "cvfast/core/endian.hpp"
#include "fuzz_input.hpp"
#include "shard_index.hpp"

namespace {

constexpr std::size_t kMaxBytes = 4096;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  using namespace cvfast;
  using fuzz::require;
  if (size < 8 || size > kMaxBytes) return 0;
  const std::span<const std::byte> data(reinterpret_cast<const std::byte*>(input), size);
  const auto payload_bytes = load_le<std::uint64_t>(data.data());
  const std::span<const std::byte> bytes = data.subspan(8);

  std::vector<locate::IndexExtent> extents;
  const Status status = locate::parse_shard_index(bytes, payload_bytes, extents);
  const auto expected = reference::parse_shard_index(bytes, payload_bytes);
  require(status.ok() == expected.has_value());
  if (!expected) {
    require(status.offset < bytes.size() || status.code == Code::kTrailingBytes);
    return 0;
  }
  require(extents.size() == expected->size());
  for (std::size_t i = 0; i < extents.size(); ++i) {
    require(extents[i].begin == (*expected)[i].begin && extents[i].end == (*expected)[i].end);
  }
  return 0;
}
