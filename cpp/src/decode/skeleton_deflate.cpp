// SPDX-License-Identifier: BSD-3-Clause
//
// General encoders clear tables of a hundred kilobytes and more for each stream, which for 5 kB is a good part of the
// work.  Here a coordinate is compared with that of the vertex before, an edge's end and an attribute with the word
// before, all at once, a bit for each byte; what lies farther back is found by whole words, in a table of 1 KiB, and
// used where it is long.  Each of the three arrays has a block, hence codes, of its own.
#include "skeleton_deflate.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "cvfast/core/endian.hpp"
#include "deflate_blocks.hpp"

namespace cvfast::decode {
namespace {

using deflate::kMaxMatch;
using deflate::load_word;
using deflate::Match;

constexpr std::size_t kSmallestBytes = 2048;  // below, codes for each array cost more than they save
constexpr std::size_t kLargestBytes = deflate::kWindow;
constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kVertexBytes = 12;
constexpr std::size_t kEdgeBytes = 8;
constexpr std::size_t kWordBytes = 4;
constexpr std::size_t kShortest = 3;

struct Layout {
  std::size_t edges = 0;
  std::size_t attributes = 0;
};

bool find_layout(std::span<const std::byte> in, Layout& out) noexcept {
  if (in.size() < kSmallestBytes || in.size() > kLargestBytes) return false;
  const std::uint64_t num_vertices = load_le<std::uint32_t>(in.data());
  const std::uint64_t num_edges = load_le<std::uint32_t>(in.data() + 4);
  const std::uint64_t edges = kHeaderBytes + kVertexBytes * num_vertices;
  const std::uint64_t attributes = edges + kEdgeBytes * num_edges;
  if (num_vertices == 0 || attributes > in.size() || (in.size() - attributes) % num_vertices != 0) return false;
  out = {static_cast<std::size_t>(edges), static_cast<std::size_t>(attributes)};
  return true;
}

struct Scratch {
  // One bit for each byte of an array, and a few more that are read with the last ones.
  std::array<std::byte, kLargestBytes / 8 + 32> same;
  std::array<Match, kLargestBytes / kShortest + 1> matches;
  std::size_t num_matches = 0;
};

/// One bit for each byte that is zero.
std::byte zero_bytes(std::uint64_t x) noexcept {
  constexpr std::uint64_t kLow = 0x7f7f7f7f7f7f7f7fU;
  constexpr std::uint64_t kGather = 0x0102040810204080U;
  const std::uint64_t high = ~(((x & kLow) + kLow) | x | kLow);  // 0x80 where zero
  return static_cast<std::byte>(((high >> 7) * kGather) >> 56);
}

/// Finds the repetitions of one array.
class Search {
 public:
  /// @param near what a word is compared with at once lies so far before it.
  Search(std::span<const std::byte> in, std::size_t begin, std::size_t end, std::size_t near, Scratch& scratch) noexcept
      : data_(in.data()),
        origin_(begin + near),
        end_(end),
        near_(near),
        covered_(origin_),
        scratch_(scratch) {}

  /// @param least_far bytes that a repetition from afar must have.
  /// @return how many repetitions of a word had fewer.
  std::size_t run(std::size_t least_far) noexcept {
    constexpr std::size_t kLeastBytes = 16;
    if (end_ < origin_ + kLeastBytes) return 0;
    compare_near();
    search_far(least_far);
    use_near(end_);
    return num_short_;
  }

 private:
  void compare_near() noexcept {
    const std::byte* const from = data_ + origin_;
    const std::size_t n = end_ - origin_;
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      scratch_.same[i / 8] = zero_bytes(load_word(from + i) ^ load_word(from + i - near_));
    }
    std::memset(scratch_.same.data() + i / 8, 0, 16);
  }

  void search_far(std::size_t least) noexcept {
    constexpr unsigned kHashBits = 9;
    constexpr std::uint64_t kPrime = 0x9e3779b97f4a7c15U;
    constexpr std::size_t kMostAhead = kMaxMatch - kWordBytes;
    std::array<std::uint16_t, std::size_t{1} << kHashBits> last{};  // no word that is looked for lies at 0
    std::size_t pos = origin_;
    while (pos + 8 + kWordBytes <= end_) {
      const std::uint64_t word = load_word(data_ + pos);
      std::uint16_t& slot = last[static_cast<std::size_t>((word << 32) * kPrime >> (64 - kHashBits))];
      const std::size_t candidate = slot;
      slot = static_cast<std::uint16_t>(pos);
      const std::uint64_t difference = word ^ load_word(data_ + candidate);
      if (static_cast<std::uint32_t>(difference) != 0 || candidate == 0 || pos - candidate <= near_) {
        pos += kWordBytes;
        continue;
      }
      std::size_t length = 8;
      if (difference != 0) {
        length = static_cast<std::size_t>(std::countr_zero(difference)) / 8;
      } else {
        length += deflate::match_length(data_ + candidate + 8, data_ + pos + 8, std::min(kMostAhead, end_ - pos) - 8);
      }
      const std::uint32_t before =
          load_le<std::uint32_t>(data_ + pos - 4) ^ load_le<std::uint32_t>(data_ + candidate - 4);
      const std::size_t back = std::min(pos - covered_, static_cast<std::size_t>(std::countl_zero(before)) / 8);
      if (length + back < least) {
        ++num_short_;
        pos += kWordBytes;
        continue;
      }
      use_near(pos - back);
      add(pos - back, length + back, pos - candidate);
      covered_ = pos + length;
      pos = origin_ + (covered_ - origin_ + kWordBytes - 1) / kWordBytes * kWordBytes;
    }
  }

  // What repeats from near between what is covered and `end`.
  void use_near(std::size_t end) noexcept {
    constexpr std::size_t kBits = 57;  // that are known at once, whatever the place of the first one in its byte
    std::size_t pos = covered_;
    while (pos + kShortest <= end) {
      const std::size_t at = pos - origin_;
      const std::uint64_t same = load_word(scratch_.same.data() + at / 8) >> (at % 8);
      const std::uint64_t starts = same & same >> 1 & same >> 2;
      if (starts == 0) {
        pos += kBits - 2;
        continue;
      }
      const auto skipped = static_cast<std::size_t>(std::countr_zero(starts));
      pos += skipped;
      if (pos + kShortest > end) return;
      auto length = static_cast<std::size_t>(std::countr_zero(~(same >> skipped)));
      length = skipped + length < kBits
                   ? std::min(length, end - pos)
                   : deflate::match_length(data_ + pos - near_, data_ + pos, std::min(kMaxMatch, end - pos));
      add(pos, length, near_);
      pos += length;
    }
  }

  void add(std::size_t pos, std::size_t length, std::size_t distance) noexcept {
    scratch_.matches[scratch_.num_matches++] = {pos, static_cast<std::uint16_t>(length),
                                                static_cast<std::uint16_t>(distance - 1)};
  }

  const std::byte* data_;
  std::size_t origin_;  // the first byte that is looked at
  std::size_t end_;
  std::size_t near_;
  std::size_t covered_;  // end of the last repetition from afar
  std::size_t num_short_ = 0;
  Scratch& scratch_;
};

}  // namespace

bool skeleton_deflate(std::span<const std::byte> in, std::vector<std::byte>& out) {
  // What a repetition from afar costs by its distance, literals that differ in a byte from near ones do not.
  constexpr std::size_t kFarVertices = 7;
  constexpr std::size_t kFarEdges = 6;
  constexpr std::size_t kFarAttributes = 4;
  constexpr std::size_t kSmallestBlock = 256;  // else codes cost more than they save
  Layout layout;
  if (!find_layout(in, layout)) return false;
  thread_local Scratch scratch;
  scratch.num_matches = 0;
  // Coordinates that come back singly, as of vertices in no order, are what general encoders are good at.
  const std::size_t num_short = Search(in, kHeaderBytes, layout.edges, kVertexBytes, scratch).run(kFarVertices);
  if (num_short * kWordBytes * 5 > (layout.edges - kHeaderBytes) * 2) return false;
  (void)Search(in, layout.edges, layout.attributes, kWordBytes, scratch).run(kFarEdges);
  (void)Search(in, layout.attributes, in.size(), kWordBytes, scratch).run(kFarAttributes);
  std::array<std::size_t, 3> ends{};
  std::size_t num_ends = 0;
  std::size_t begin = 0;
  for (const std::size_t end : {layout.edges, layout.attributes}) {
    if (end - begin < kSmallestBlock || in.size() - end < kSmallestBlock) continue;
    ends[num_ends++] = begin = end;
  }
  ends[num_ends++] = in.size();
  const std::size_t size = out.size();
  deflate::write_blocks(in, {scratch.matches.data(), scratch.num_matches}, {ends.data(), num_ends}, out);
  // One block without codes is as small as noise gets.
  constexpr std::size_t kStoredBytes = 5;
  if (out.size() - size <= in.size() + kStoredBytes) return true;
  out.resize(size);
  return false;
}

}  // namespace cvfast::decode
