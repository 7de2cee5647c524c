// SPDX-License-Identifier: BSD-3-Clause
//
// Eight bytes that bound the fragments, then a multi-resolution manifest, against its twin; what is accepted is written
// to the same bytes.
#include "cvfast/core/endian.hpp"
#include "fuzz_input.hpp"
#include "mesh.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  using namespace cvfast;
  using fuzz::require;
  if (size < 8 || size > (1U << 16U)) return 0;
  const std::vector<std::byte> content(reinterpret_cast<const std::byte*>(input) + 8,
                                       reinterpret_cast<const std::byte*>(input) + size);
  const auto data_bytes = load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(input));
  mesh::Manifest found;
  const Status status = mesh::parse_manifest(content, data_bytes, found);
  const auto expected = reference::parse_manifest(content, data_bytes);
  require(status.ok() == expected.has_value());
  if (!status.ok()) {
    require(status.offset < content.size() || status.code == Code::kTruncated || status.code == Code::kTrailingBytes);
    return 0;
  }
  require(found == *expected);
  std::vector<std::byte> written;
  require(mesh::encode_manifest(found, written).ok());
  require(written == content);
  return 0;
}
