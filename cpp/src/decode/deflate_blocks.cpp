// SPDX-License-Identifier: BSD-3-Clause
//
// Four literals per flush of a 64-bit accumulator, which is why literal codes are limited to 14 bits.
#include "deflate_blocks.hpp"

#include <array>
#include <cmath>
#include <cstring>

namespace cvfast::decode::deflate {
namespace {

constexpr unsigned kMaxLitLenBits = 14;
constexpr unsigned kMaxDistanceBits = 15;
constexpr unsigned kMaxCodeLengthBits = 7;

// RFC 1951, 3.2.5.

struct Extra {
  std::uint16_t symbol;
  std::uint8_t bits;
  std::uint16_t base;
};

Extra length_symbol(std::size_t length) noexcept {
  if (length == kMaxMatch) return {285, 0, 258};
  const auto x = static_cast<unsigned>(length) - 3;
  if (x < 8) return {static_cast<std::uint16_t>(257 + x), 0, static_cast<std::uint16_t>(length)};
  const unsigned bits = static_cast<unsigned>(std::bit_width(x)) - 3;
  const unsigned base = x >> bits << bits;
  return {static_cast<std::uint16_t>(257 + 4 * bits + (x >> bits)), static_cast<std::uint8_t>(bits),
          static_cast<std::uint16_t>(base + 3)};
}

Extra distance_symbol(std::size_t distance) noexcept {
  const auto x = static_cast<unsigned>(distance) - 1;
  if (x < 4) return {static_cast<std::uint16_t>(x), 0, static_cast<std::uint16_t>(distance)};
  const unsigned bits = static_cast<unsigned>(std::bit_width(x)) - 2;
  const unsigned base = x >> bits << bits;
  return {static_cast<std::uint16_t>(2 * bits + (x >> bits)), static_cast<std::uint8_t>(bits),
          static_cast<std::uint16_t>(base + 1)};
}

// Huffman codes.

struct Frequencies {
  std::array<std::uint32_t, kNumLitLen> litlen{};
  std::array<std::uint32_t, kNumDistances> distance{};
  std::uint64_t extra_bits = 0;

  void add(const Frequencies& other) noexcept {
    for (std::size_t i = 0; i < litlen.size(); ++i) litlen[i] += other.litlen[i];
    for (std::size_t i = 0; i < distance.size(); ++i) distance[i] += other.distance[i];
    extra_bits += other.extra_bits;
  }
};

struct Code {
  std::uint16_t bits = 0;  // first bit lowest
  std::uint8_t length = 0;
};

/// Puts symbols, which ascend, in the order of their frequencies, equal ones in that of their numbers.
void sort_by_frequency(std::span<const std::uint16_t> symbols, std::span<const std::uint32_t> frequency,
                       std::uint16_t* sorted) noexcept {
  // Most symbols of a small block are rare ones: these are dealt to their places, and only the others compared.
  constexpr std::size_t kRare = 32;
  std::array<std::uint16_t, kRare + 1> starts{};
  std::array<std::uint16_t, kNumLitLen> more;
  std::size_t num_single = 0;
  std::size_t num_more = 0;
  for (const std::uint16_t symbol : symbols) {
    const bool is_single = frequency[symbol] == 1;
    sorted[num_single] = more[num_more] = symbol;
    num_single += is_single ? 1 : 0;
    num_more += is_single ? 0 : 1;
  }
  const std::span rest(more.data(), num_more);
  for (const std::uint16_t symbol : rest) {
    if (frequency[symbol] < kRare) ++starts[frequency[symbol] + 1];
  }
  std::size_t sum = num_single;
  for (std::uint16_t& start : starts) start = static_cast<std::uint16_t>(sum += start);
  const std::size_t num_rare = starts[kRare];
  std::size_t end = num_rare;
  for (const std::uint16_t symbol : rest) {
    const std::uint32_t n = frequency[symbol];
    sorted[n < kRare ? starts[n]++ : end++] = symbol;
  }
  std::sort(sorted + num_rare, sorted + end, [&](std::uint16_t a, std::uint16_t b) {
    return frequency[a] != frequency[b] ? frequency[a] < frequency[b] : a < b;
  });
}

/// Which symbols have a code, and how long it is.
template <std::size_t N>
struct CodeLengths {
  std::array<std::uint8_t, N> lengths;       ///< 0: none
  std::array<std::uint16_t, N + 1> symbols;  ///< those that have one, ascending
  std::array<std::uint16_t, 16> count{};     ///< how many have a code of each length
  std::size_t used = 0;

  /// One more than the last symbol with a code, or `least`.
  [[nodiscard]] std::size_t end(std::size_t least) const noexcept {
    return std::max<std::size_t>(least, symbols[used - 1] + std::size_t{1});
  }
  /// What symbols of these frequencies take.
  [[nodiscard]] std::uint64_t bits(const std::array<std::uint32_t, N>& frequency) const noexcept {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < used; ++i) out += std::uint64_t{frequency[symbols[i]]} * lengths[symbols[i]];
    return out;
  }
};

/// Lengths of an optimal prefix code, cut to max_bits.  At least two symbols get a code: some decoders want a complete
/// one.
template <std::size_t N>
void code_lengths(const std::array<std::uint32_t, N>& frequency, unsigned max_bits, CodeLengths<N>& out) {
  out.lengths.fill(0);
  out.count.fill(0);
  std::size_t used = 0;
  for (std::size_t i = 0; i < N; ++i) {
    out.symbols[used] = static_cast<std::uint16_t>(i);
    used += frequency[i] != 0 ? 1 : 0;
  }
  if (used < 2) {
    // 0 and what there is, or 0 and 1.
    const auto other = static_cast<std::uint16_t>(used == 1 ? std::max<unsigned>(1, out.symbols[0]) : 1);
    out.symbols[0] = 0;
    out.symbols[1] = other;
    out.used = 2;
    out.lengths[0] = out.lengths[other] = 1;
    out.count[1] = 2;
    return;
  }
  out.used = used;
  std::array<std::uint16_t, N + 1> order;
  sort_by_frequency({out.symbols.data(), used}, frequency, order.data());
  // Leaves in ascending order and the nodes made of them, which come out in ascending order too: two queues, each with
  // something that is never taken behind its end.
  constexpr std::uint64_t kNever = std::uint64_t{1} << 62;
  std::array<std::uint64_t, N + 1> leaves;
  std::array<std::uint64_t, N + 1> nodes;
  std::array<std::uint16_t, 2 * N> parent;
  for (std::size_t i = 0; i < used; ++i) {
    leaves[i] = frequency[order[i]];
    nodes[i] = kNever;
  }
  leaves[used] = nodes[used] = kNever;
  std::size_t leaf = 0;
  std::size_t node = 0;
  const std::size_t root = 2 * used - 2;
  for (std::size_t next = used; next <= root; ++next) {
    std::uint64_t weight = 0;
    for (int half = 0; half < 2; ++half) {
      // Which of the two cannot be foreseen: no branch.
      const bool takes_leaf = leaves[leaf] <= nodes[node];
      const std::size_t child = takes_leaf ? leaf : used + node;
      weight += std::min(leaves[leaf], nodes[node]);
      leaf += takes_leaf ? 1 : 0;
      node += takes_leaf ? 0 : 1;
      parent[child] = static_cast<std::uint16_t>(next);
    }
    nodes[next - used] = weight;
  }
  std::array<std::uint16_t, 2 * N> depth;
  auto& count = out.count;
  depth[root] = 0;
  for (std::size_t i = root; i-- > 0;) {
    depth[i] = static_cast<std::uint16_t>(depth[parent[i]] + 1);
    if (i < used) ++count[std::min<std::size_t>(depth[i], max_bits)];
  }
  // Kraft's sum in units of the longest code; cutting has made it too large.  Codes are made longer until it fits,
  // then what that overdid is given back, to the longest first.
  const std::int64_t whole = std::int64_t{1} << max_bits;
  std::int64_t sum = 0;
  for (unsigned bits = 1; bits <= max_bits; ++bits) {
    sum += static_cast<std::int64_t>(count[bits]) << (max_bits - bits);
  }
  while (sum > whole) {
    unsigned bits = max_bits - 1;
    while (count[bits] == 0) --bits;
    --count[bits];
    ++count[bits + 1];
    sum -= std::int64_t{1} << (max_bits - bits - 1);
  }
  for (unsigned bits = max_bits; sum < whole;) {
    const std::int64_t gain = std::int64_t{1} << (max_bits - bits);
    if (count[bits] == 0 || sum + gain > whole) {
      --bits;
      continue;
    }
    --count[bits];
    ++count[bits - 1];
    sum += gain;
  }
  std::size_t at = 0;
  for (unsigned bits = max_bits; bits > 0; --bits) {
    for (std::size_t i = 0; i < count[bits]; ++i) out.lengths[order[at++]] = static_cast<std::uint8_t>(bits);
  }
}

/// 16 bits, the last one first.
constexpr unsigned reversed(unsigned x) noexcept {
  x = (x & 0x5555U) << 1 | (x >> 1 & 0x5555U);
  x = (x & 0x3333U) << 2 | (x >> 2 & 0x3333U);
  x = (x & 0x0f0fU) << 4 | (x >> 4 & 0x0f0fU);
  return (x & 0x00ffU) << 8 | (x >> 8 & 0x00ffU);
}

// RFC 1951, 3.2.2.  Symbols without a code are left as they are.
template <std::size_t N>
void assign_codes(const CodeLengths<N>& code, std::array<Code, N>& out) noexcept {
  std::array<unsigned, 16> next{};
  for (std::size_t bits = 2; bits < next.size(); ++bits) next[bits] = (next[bits - 1] + code.count[bits - 1]) << 1;
  for (std::size_t i = 0; i < code.used; ++i) {
    const std::size_t symbol = code.symbols[i];
    const std::uint8_t length = code.lengths[symbol];
    out[symbol] = {static_cast<std::uint16_t>(reversed(next[length]++) >> (16 - length)), length};
  }
}

/// The bits that a code for these frequencies takes, nearly, its description included.
double estimated_bits(const Frequencies& frequencies) noexcept {
  double bits = 0;
  std::size_t used = 0;
  const auto add = [&](const auto& counts) {
    double total = 0;
    for (const std::uint32_t count : counts) {
      if (count == 0) continue;
      const double n = count;
      bits -= n * std::log2(n);
      total += n;
      ++used;
    }
    if (total > 0) bits += total * std::log2(total);
  };
  add(frequencies.litlen);
  add(frequencies.distance);
  constexpr double kHeaderBits = 100;
  constexpr double kBitsPerLength = 3;
  return bits + static_cast<double>(frequencies.extra_bits) + kHeaderBits + kBitsPerLength * static_cast<double>(used);
}

// Output.

/// Appends bits, the lowest first.
class BitWriter {
 public:
  explicit BitWriter(std::vector<std::byte>& out) noexcept : out_(out), size_(out.size()) {}

  /// Must come before `bits` bits are added.
  void make_room(std::uint64_t bits) {
    constexpr std::size_t kSlack = 16;  // flush stores 8 bytes
    const std::size_t needed = size_ + static_cast<std::size_t>(bits / 8) + kSlack;
    if (out_.size() < needed) out_.resize(needed);
  }
  /// @pre at most 64 bits are added between flushes, the up to 7 that a flush leaves included.
  void add(std::uint64_t bits, unsigned count) noexcept {
    pending_ |= bits << count_;
    count_ += count;
  }
  void add(Code code) noexcept { add(code.bits, code.length); }
  void flush() noexcept {
    store_le(out_.data() + size_, pending_);
    size_ += count_ / 8;
    // In two steps: all 64 bits cannot be shifted out in one.
    pending_ = pending_ >> (count_ / 8 * 4) >> (count_ / 8 * 4);
    count_ %= 8;
  }
  /// Those of the last byte.  @pre nothing was added since the last flush.
  [[nodiscard]] unsigned odd_bits() const noexcept { return count_; }
  /// Appends whole bytes, behind what is filled up with zeros to one.
  void add_bytes(std::span<const std::byte> bytes) {
    align();
    make_room(8 * std::uint64_t{bytes.size()});
    if (!bytes.empty()) std::memcpy(out_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  /// Fills up the last byte.
  void finish() {
    align();
    out_.resize(size_);
  }

 private:
  void align() {
    make_room(8);
    count_ = (count_ + 7) / 8 * 8;
    flush();
  }

  std::vector<std::byte>& out_;
  std::size_t size_;
  std::uint64_t pending_ = 0;
  unsigned count_ = 0;
};

constexpr std::array<std::uint8_t, 19> kCodeLengthOrder = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                           11, 4,  12, 3, 13, 2, 14, 1, 15};

struct LengthRun {
  std::uint8_t symbol;
  std::uint8_t extra;
  std::uint8_t extra_bits;
};

/// The codes of one block and their description.
struct BlockCodes {
  CodeLengths<kNumLitLen> litlen;
  CodeLengths<kNumDistances> distances;
  CodeLengths<19> lengths;
  std::array<LengthRun, kNumLitLen + kNumDistances> runs;
  std::size_t num_runs = 0;
  std::size_t num_litlen = 0;
  std::size_t num_distances = 0;
  std::size_t num_lengths = 0;
  std::uint64_t bits = 0;  // of the whole block

  explicit BlockCodes(const Frequencies& frequencies) {
    code_lengths(frequencies.litlen, kMaxLitLenBits, litlen);
    code_lengths(frequencies.distance, kMaxDistanceBits, distances);
    num_litlen = litlen.end(kEndOfBlock + 1);
    num_distances = distances.end(1);

    std::array<std::uint8_t, kNumLitLen + kNumDistances + 8> all;
    std::copy_n(litlen.lengths.begin(), num_litlen, all.begin());
    std::copy_n(distances.lengths.begin(), num_distances, all.begin() + static_cast<std::ptrdiff_t>(num_litlen));
    // What no length is, behind the last one: runs are looked for in eight at once.
    std::fill_n(all.begin() + static_cast<std::ptrdiff_t>(num_litlen + num_distances), 8, std::uint8_t{255});
    describe({all.data(), num_litlen + num_distances});

    std::array<std::uint32_t, 19> frequency{};
    for (std::size_t i = 0; i < num_runs; ++i) ++frequency[runs[i].symbol];
    code_lengths(frequency, kMaxCodeLengthBits, lengths);
    num_lengths = lengths.lengths.size();
    while (num_lengths > 4 && lengths.lengths[kCodeLengthOrder[num_lengths - 1]] == 0) --num_lengths;

    bits = 3 + 5 + 5 + 4 + 3 * num_lengths + lengths.bits(frequency) + 2 * std::uint64_t{frequency[16]} +
           3 * std::uint64_t{frequency[17]} + 7 * std::uint64_t{frequency[18]};
    bits += litlen.bits(frequencies.litlen) + distances.bits(frequencies.distance) + frequencies.extra_bits;
  }

 private:
  // How many of these are the same; behind them are eight that are not.
  static std::size_t run_length(const std::uint8_t* lengths, std::uint8_t length) noexcept {
    const std::uint64_t expected = 0x0101010101010101U * length;
    for (std::size_t n = 0;; n += 8) {
      const std::uint64_t difference =
          load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(lengths + n)) ^ expected;
      if (difference != 0) return n + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
    }
  }

  // RFC 1951, 3.2.7: lengths as they are, or runs of the last one or of zeros.
  void describe(std::span<const std::uint8_t> all) noexcept {
    const auto push = [this](unsigned symbol, std::size_t extra, unsigned extra_bits) {
      runs[num_runs++] = {static_cast<std::uint8_t>(symbol), static_cast<std::uint8_t>(extra),
                          static_cast<std::uint8_t>(extra_bits)};
    };
    for (std::size_t i = 0; i < all.size();) {
      const std::uint8_t length = all[i];
      std::size_t run = run_length(all.data() + i, length);
      i += run;
      if (length != 0) {
        push(length, 0, 0);
        --run;
      }
      while (run >= 3) {
        if (length != 0) {
          const std::size_t n = std::min<std::size_t>(run, 6);
          push(16, n - 3, 2);
          run -= n;
        } else if (run < 11) {
          push(17, run - 3, 3);
          run = 0;
        } else {
          const std::size_t n = std::min<std::size_t>(run, 138);
          push(18, n - 11, 7);
          run -= n;
        }
      }
      for (; run > 0; --run) push(length, 0, 0);
    }
  }
};

void write_header(const BlockCodes& block, bool is_last, BitWriter& writer) noexcept {
  std::array<Code, 19> codes;
  assign_codes(block.lengths, codes);
  constexpr unsigned kDynamic = 2;
  writer.add(is_last ? 1 : 0, 1);
  writer.add(kDynamic, 2);
  writer.add(block.num_litlen - 257, 5);
  writer.add(block.num_distances - 1, 5);
  writer.add(block.num_lengths - 4, 4);
  writer.flush();
  for (std::size_t i = 0; i < block.num_lengths; ++i) {
    writer.add(block.lengths.lengths[kCodeLengthOrder[i]], 3);
    writer.flush();
  }
  for (std::size_t i = 0; i < block.num_runs; ++i) {
    writer.add(codes[block.runs[i].symbol]);
    writer.add(block.runs[i].extra, block.runs[i].extra_bits);
    writer.flush();
  }
}

void write_literals(const std::byte* data, std::size_t n, const std::array<Code, kNumLitLen>& codes,
                    BitWriter& writer) noexcept {
  const auto code = [&](std::size_t i) { return codes[std::to_integer<std::size_t>(data[i])]; };
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    writer.add(code(i));
    writer.add(code(i + 1));
    writer.add(code(i + 2));
    writer.add(code(i + 3));
    writer.flush();
  }
  for (; i < n; ++i) {
    writer.add(code(i));
    writer.flush();
  }
}

/// A run of the input that one code serves: whole matches, and the literals between them.
struct Block {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t first_match = 0;
  std::size_t end_match = 0;
  Frequencies frequencies;
};

/// The next segment: at least segment_bytes, up to the end of a match.
void next_segment(std::span<const std::byte> in, std::span<const Match> matches, std::size_t segment_bytes,
                  std::size_t begin, std::size_t first_match, Block& segment) noexcept {
  segment = {};
  segment.begin = begin;
  segment.first_match = first_match;
  const std::size_t wanted = in.size() - begin <= segment_bytes ? in.size() : begin + segment_bytes;
  // Four tables: equal values in a row would wait for each other's counts.
  std::array<std::array<std::uint32_t, 256>, 4> counts{};
  const auto count = [&](std::size_t from, std::size_t to) {
    const std::byte* const data = in.data();
    for (; from + 4 <= to; from += 4) {
      for (std::size_t i = 0; i < 4; ++i) ++counts[i][std::to_integer<std::size_t>(data[from + i])];
    }
    for (; from < to; ++from) ++counts[0][std::to_integer<std::size_t>(data[from])];
  };
  std::size_t pos = begin;
  std::size_t match = first_match;
  for (; match < matches.size() && matches[match].position < wanted; ++match) {
    const Match& m = matches[match];
    count(pos, m.position);
    const Extra length = length_symbol(m.length);
    const Extra distance = distance_symbol(m.distance + std::size_t{1});
    ++segment.frequencies.litlen[length.symbol];
    ++segment.frequencies.distance[distance.symbol];
    segment.frequencies.extra_bits += length.bits + std::uint64_t{distance.bits};
    pos = m.position + m.length;
  }
  if (pos < wanted) {
    count(pos, wanted);
    pos = wanted;
  }
  segment.end = pos;
  segment.end_match = match;
  for (std::size_t i = 0; i < 256; ++i) {
    segment.frequencies.litlen[i] = counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i];
  }
}

struct Codes {
  std::array<Code, kNumLitLen> litlen;
  std::array<Code, kNumDistances> distances;
};

// RFC 1951, 3.2.6.
struct FixedCodes {
  Codes codes;

  FixedCodes() noexcept {
    const auto set = [this](unsigned first, unsigned end, unsigned code, unsigned length) {
      for (unsigned i = first; i < end; ++i, ++code) {
        codes.litlen[i] = {static_cast<std::uint16_t>(reversed(code) >> (16 - length)),
                           static_cast<std::uint8_t>(length)};
      }
    };
    set(0, 144, 0x30, 8);
    set(144, 256, 0x190, 9);
    set(256, 280, 0, 7);
    set(280, kNumLitLen, 0xc0, 8);
    for (unsigned i = 0; i < kNumDistances; ++i) {
      codes.distances[i] = {static_cast<std::uint16_t>(reversed(i) >> 11), 5};
    }
  }
  [[nodiscard]] std::uint64_t bits(const Frequencies& frequencies) const noexcept {
    std::uint64_t out = 3 + frequencies.extra_bits;
    for (std::size_t i = 0; i < kNumLitLen; ++i) out += frequencies.litlen[i] * std::uint64_t{codes.litlen[i].length};
    for (const std::uint32_t n : frequencies.distance) out += std::uint64_t{n} * 5;
    return out;
  }
};

constexpr std::size_t kMaxStored = 65535;

void write_stored(std::span<const std::byte> bytes, bool is_last, BitWriter& writer) {
  do {
    const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), kMaxStored));
    bytes = bytes.subspan(piece.size());
    std::array<std::byte, 4> sizes;
    store_le(sizes.data(), static_cast<std::uint16_t>(piece.size()));
    store_le(sizes.data() + 2, static_cast<std::uint16_t>(~piece.size()));
    writer.make_room(3);
    writer.add(is_last && bytes.empty() ? 1 : 0, 3);
    writer.add_bytes(sizes);
    writer.add_bytes(piece);
  } while (!bytes.empty());
}

void write_symbols(std::span<const std::byte> in, std::span<const Match> matches, const Block& block,
                   const Codes& codes, BitWriter& writer) noexcept {
  std::size_t pos = block.begin;
  for (std::size_t i = block.first_match; i < block.end_match; ++i) {
    const Match& m = matches[i];
    write_literals(in.data() + pos, m.position - pos, codes.litlen, writer);
    const Extra length = length_symbol(m.length);
    const Extra distance = distance_symbol(m.distance + std::size_t{1});
    writer.add(codes.litlen[length.symbol]);
    writer.add(m.length - std::uint64_t{length.base}, length.bits);
    writer.add(codes.distances[distance.symbol]);
    writer.add(m.distance + std::uint64_t{1} - distance.base, distance.bits);
    writer.flush();
    pos = m.position + m.length;
  }
  write_literals(in.data() + pos, block.end - pos, codes.litlen, writer);
  writer.add(codes.litlen[kEndOfBlock]);
  writer.flush();
}

void write_block(std::span<const std::byte> in, std::span<const Match> matches, Block& block, bool is_last,
                 BitWriter& writer) {
  static const FixedCodes fixed;
  block.frequencies.litlen[kEndOfBlock] = 1;
  const BlockCodes plan(block.frequencies);
  const std::uint64_t size = block.end - block.begin;
  // They are worth their bits where a description is much of the block.
  constexpr std::uint64_t kMaxFixed = 512;
  const std::uint64_t fixed_bits = size <= kMaxFixed ? fixed.bits(block.frequencies) : UINT64_MAX;
  // Each piece has 3 bits, what fills up their byte, and its sizes.
  const std::uint64_t num_pieces = std::max<std::uint64_t>(1, (size + kMaxStored - 1) / kMaxStored);
  const std::uint64_t stored_bits =
      8 * size + 40 * num_pieces - 8 + (writer.odd_bits() <= 5 ? 8 : 16) - writer.odd_bits();
  if (stored_bits < std::min(plan.bits, fixed_bits)) {
    return write_stored(in.subspan(block.begin, size), is_last, writer);
  }
  if (fixed_bits <= plan.bits) {
    writer.make_room(fixed_bits);
    constexpr unsigned kFixed = 1;
    writer.add(is_last ? 1 : 0, 1);
    writer.add(kFixed, 2);
    writer.flush();
    return write_symbols(in, matches, block, fixed.codes, writer);
  }
  writer.make_room(plan.bits);
  Codes codes;
  assign_codes(plan.litlen, codes.litlen);
  assign_codes(plan.distances, codes.distances);
  write_header(plan, is_last, writer);
  write_symbols(in, matches, block, codes, writer);
}

}  // namespace

void write_stream(std::span<const std::byte> in, std::span<const Match> matches, std::size_t segment_bytes,
                  std::vector<std::byte>& out) {
  constexpr std::size_t kMaxBlockBytes = std::size_t{1} << 24;
  BitWriter writer(out);
  Block block;
  next_segment(in, matches, segment_bytes, 0, 0, block);
  // Most inputs that are small have one segment, and nothing to compare.
  double block_bits = block.end < in.size() ? estimated_bits(block.frequencies) : 0;
  while (block.end < in.size()) {
    Block segment;
    next_segment(in, matches, segment_bytes, block.end, block.end_match, segment);
    const double segment_bits = estimated_bits(segment.frequencies);
    Block merged = block;
    merged.end = segment.end;
    merged.end_match = segment.end_match;
    merged.frequencies.add(segment.frequencies);
    const double merged_bits = estimated_bits(merged.frequencies);
    if (merged_bits <= block_bits + segment_bits && merged.end - merged.begin <= kMaxBlockBytes) {
      block = merged;
      block_bits = merged_bits;
      continue;
    }
    write_block(in, matches, block, false, writer);
    block = segment;
    block_bits = segment_bits;
  }
  write_block(in, matches, block, true, writer);
  writer.finish();
}

void write_blocks(std::span<const std::byte> in, std::span<const Match> matches, std::span<const std::size_t> ends,
                  std::vector<std::byte>& out) {
  BitWriter writer(out);
  Block block;
  for (const std::size_t end : ends) {
    const bool is_last = end == in.size();
    if (end == block.end && !is_last) continue;
    next_segment(in, matches, end - block.end, block.end, block.end_match, block);
    write_block(in, matches, block, is_last, writer);
    if (is_last) break;
  }
  writer.finish();
}

}  // namespace cvfast::decode::deflate
