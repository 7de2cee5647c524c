// SPDX-License-Identifier: BSD-3-Clause
//
// A byte for the number of attributes, three formats of attributes, then a binary skeleton, against the twin that takes
// it apart byte by byte; what decodes is encoded again.
#include <algorithm>
#include <array>
#include <cstring>

#include "fuzz_input.hpp"
#include "skeleton.hpp"

namespace {

constexpr std::size_t kMaxBytes = 4096;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace cvfast;
  using fuzz::require;
  if (size < fuzz::kPrefix || size > kMaxBytes) return 0;
  const fuzz::Input input(bytes, size);
  std::vector<skeleton::AttributeFormat> formats;
  for (std::int64_t i = 0; i < input.number(0, 0, 3); ++i) {
    const auto at = static_cast<std::size_t>(1 + 2 * i);
    formats.push_back(
        {static_cast<std::uint32_t>(input.number(at, 1, 8)), static_cast<std::uint32_t>(input.number(at + 1, 1, 5))});
  }
  const std::vector<std::byte> data = input.content();

  skeleton::Extents extents;
  Status status = skeleton::measure(data, formats, extents);
  std::vector<float> vertices(std::size_t{3} * extents.num_vertices);
  std::vector<std::uint32_t> edges(std::size_t{2} * extents.num_edges);
  std::vector<std::vector<std::byte>> attributes(extents.num_attributes);
  std::vector<std::byte*> pointers;
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    attributes[i].resize(std::size_t{formats[i].item_bytes} * formats[i].num_components * extents.num_vertices);
    pointers.push_back(attributes[i].data());
  }
  if (status.ok()) {
    status = skeleton::decode(data, formats, extents, nullptr, vertices.data(), edges.data(), pointers);
  }
  const auto expected = reference::decode_skeleton(data, formats);
  require(status.ok() == expected.has_value());
  if (!expected) return 0;
  require(vertices.size() == expected->vertices.size() && edges == expected->edges);
  require(vertices.empty() || std::memcmp(vertices.data(), expected->vertices.data(), 4 * vertices.size()) == 0);
  require(attributes == expected->attributes);

  formats.resize(attributes.size());
  std::size_t encoded_bytes = 0;
  require(skeleton::encoded_size(extents.num_vertices, extents.num_edges, formats, encoded_bytes).ok());
  require(encoded_bytes <= data.size());
  std::vector<std::byte> encoded(encoded_bytes);
  const std::vector<const std::byte*> sources(pointers.begin(), pointers.end());
  require(skeleton::encode(extents.num_vertices, extents.num_edges, vertices.data(), edges.data(), formats, sources,
                           nullptr, encoded.data())
              .ok());
  require(std::equal(encoded.begin(), encoded.end(), data.begin()));
  return 0;
}
