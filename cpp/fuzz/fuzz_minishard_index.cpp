// SPDX-License-Identifier: BSD-3-Clause
//
// Eight bytes of payload size, then a decoded minishard index, against its twin; what is accepted is written and read
// once more.
#include <algorithm>

#include "cvfast/core/endian.hpp"
#include "fuzz_input.hpp"
#include "shard_index.hpp"

namespace {

constexpr std::size_t kMaxBytes = 1 << 16;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  using namespace cvfast;
  using fuzz::require;
  if (size < 8 || size > kMaxBytes) return 0;
  const std::span<const std::byte> data(reinterpret_cast<const std::byte*>(input), size);
  const auto payload_bytes = load_le<std::uint64_t>(data.data());
  const std::span<const std::byte> bytes = data.subspan(8);

  std::vector<locate::ShardEntry> entries;
  const Status status = locate::parse_minishard_index(bytes, payload_bytes, entries);
  const auto expected = reference::parse_minishard_index(bytes, payload_bytes);
  require(status.ok() == expected.has_value());
  if (!expected) {
    require(status.offset < bytes.size() || status.code == Code::kTrailingBytes);
    return 0;
  }
  require(entries.size() == expected->size());
  std::size_t i = 0;
  for (const auto& [id, entry] : *expected) {
    require(entries[i] == entry);
    require(locate::find_entry(entries, id) == &entries[i]);
    require((locate::find_entry(entries, id + 1) != nullptr) == expected->contains(id + 1));
    ++i;
  }

  std::vector<locate::ShardEntry> in_file_order = entries;
  std::sort(in_file_order.begin(), in_file_order.end(), [](const auto& a, const auto& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.size < b.size;  // an empty datum comes before what it touches
  });
  std::vector<std::byte> written;
  std::vector<locate::ShardEntry> read;
  locate::encode_minishard_index(in_file_order, written);
  require(written.size() == bytes.size());
  require(locate::parse_minishard_index(written, payload_bytes, read).ok());
  require(read == entries);
  return 0;
}
