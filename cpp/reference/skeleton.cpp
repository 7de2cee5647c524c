// SPDX-License-Identifier: BSD-3-Clause
#include "skeleton.hpp"

namespace cvfast::reference {
namespace {

class Reader {
 public:
  explicit Reader(std::span<const std::byte> data) : data_(data) {}

  [[nodiscard]] bool empty() const { return data_.empty(); }
  std::optional<std::byte> byte() {
    if (data_.empty()) return std::nullopt;
    const std::byte out = data_.front();
    data_ = data_.subspan(1);
    return out;
  }
  std::optional<std::uint32_t> word() {
    std::uint32_t out = 0;
    for (int shift = 0; shift < 32; shift += 8) {
      const auto next = byte();
      if (!next) return std::nullopt;
      out |= static_cast<std::uint32_t>(*next) << shift;
    }
    return out;
  }
  bool words(std::uint64_t n, std::vector<std::uint32_t>& out) {
    for (std::uint64_t i = 0; i < n; ++i) {
      const auto next = word();
      if (!next) return false;
      out.push_back(*next);
    }
    return true;
  }

 private:
  std::span<const std::byte> data_;
};

}  // namespace

std::optional<Skeleton> decode_skeleton(std::span<const std::byte> data,
                                        std::span<const skeleton::AttributeFormat> attributes) {
  Reader reader(data);
  Skeleton out;
  const auto num_vertices = reader.word();
  const auto num_edges = reader.word();
  if (!num_vertices || !num_edges) return std::nullopt;
  if (!reader.words(std::uint64_t{3} * *num_vertices, out.vertices)) return std::nullopt;
  if (!reader.words(std::uint64_t{2} * *num_edges, out.edges)) return std::nullopt;
  for (const skeleton::AttributeFormat& format : attributes) {
    const std::uint64_t bytes = std::uint64_t{format.item_bytes} * format.num_components * *num_vertices;
    if (reader.empty() && bytes > 0) break;
    std::vector<std::byte>& values = out.attributes.emplace_back();
    for (std::uint64_t i = 0; i < bytes; ++i) {
      const auto next = reader.byte();
      if (!next) return std::nullopt;
      values.push_back(*next);
    }
  }
  for (const std::uint32_t vertex : out.edges) {
    if (vertex >= *num_vertices) return std::nullopt;
  }
  return out;
}

}  // namespace cvfast::reference
