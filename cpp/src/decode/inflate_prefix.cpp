// SPDX-License-Identifier: BSD-3-Clause
//
// One table look-up per symbol: a table is indexed by the next 11 (8 for distances) bits of the input and says which
// symbol they begin with and how many bits it has, its extra bits included; the few longer codes go on in a second
// table.  64 bits of input are held in a register, filled up by one unaligned load without a branch; up to three
// literals are taken from one filling.  Matches are copied by 32 bytes at a time, beyond their end.
//
// What is near the end of the input, where such loads would pass it, is left to whoever inflates the whole, so that
// there is one loop and no other for the rest.
#include "inflate_prefix.hpp"

#include <algorithm>
#include <cstring>

#include "cvfast/core/endian.hpp"

namespace cvfast::decode {
namespace {

using Entry = std::uint32_t;

// An entry: bits 0..7, how many bits the symbol takes, its extra bits included; 8..12, how many of them are extra bits;
// 16..30, the literal, or the least length or distance.  Of a link to a second table: how many bits it has been found
// by; how many more index the second table; where that begins.
constexpr Entry kLiteral = Entry{1} << 31;
constexpr Entry kSpecial = Entry{1} << 15;  // one of the following three
constexpr Entry kLink = Entry{1} << 14;
constexpr Entry kEnd = Entry{1} << 13;
constexpr Entry kNoCode = kSpecial;

constexpr unsigned kMaxBits = 15;
constexpr unsigned kNumLitLen = 286;
constexpr unsigned kNumDistances = 30;
constexpr unsigned kEndOfBlock = 256;
// Two fillings of the bits, of eight bytes each, of which seven are passed at most.
constexpr std::ptrdiff_t kInputSlack = 32;
constexpr std::size_t kMaxMatch = 258;
static_assert(InflatePrefix::kSlackBytes >= 3 + kMaxMatch + 32);

unsigned total_bits(Entry entry) noexcept { return entry & 0xffU; }
unsigned extra_bits(Entry entry) noexcept { return (entry >> 8) & 0x1fU; }
std::uint32_t value_of(Entry entry) noexcept { return (entry >> 16) & 0x7fffU; }
std::uint64_t mask(unsigned bits) noexcept { return (std::uint64_t{1} << bits) - 1; }

// RFC 1951, 3.2.5: what a symbol stands for, before the length of its code is added.

constexpr Entry make_entry(unsigned value, unsigned extra) noexcept { return value << 16 | extra << 8 | extra; }

constexpr std::array<Entry, 288> make_litlen_symbols() noexcept {
  std::array<Entry, 288> out{};
  for (unsigned i = 0; i < 256; ++i) out[i] = kLiteral | make_entry(i, 0);
  out[kEndOfBlock] = kSpecial | kEnd;
  unsigned base = 3;
  for (unsigned i = 0; i < 28; ++i) {
    const unsigned extra = i < 8 ? 0 : i / 4 - 1;
    out[257 + i] = make_entry(base, extra);
    base += 1U << extra;
  }
  out[285] = make_entry(258, 0);
  out[286] = out[287] = kNoCode;  // have a code in the fixed one only
  return out;
}

constexpr std::array<Entry, 32> make_distance_symbols() noexcept {
  std::array<Entry, 32> out{};
  unsigned base = 1;
  for (unsigned i = 0; i < kNumDistances; ++i) {
    const unsigned extra = i < 4 ? 0 : i / 2 - 1;
    out[i] = make_entry(base, extra);
    base += 1U << extra;
  }
  out[30] = out[31] = kNoCode;
  return out;
}

constexpr std::array<Entry, 288> kLitLenSymbols = make_litlen_symbols();
constexpr std::array<Entry, 32> kDistanceSymbols = make_distance_symbols();

/// The code after `code` of so many bits, both with their first bit lowest.
unsigned next_code(unsigned code, unsigned length) noexcept {
  unsigned bit = 1U << (length - 1);
  while ((code & bit) != 0) {
    code ^= bit;
    bit >>= 1;
  }
  return code | bit;
}

/// Makes the table for codes of these lengths, of which the first `root` bits index its first part.
/// @return false for lengths that are no complete prefix code; a single code of one bit, or none, is let pass.
bool make_table(std::span<const std::uint8_t> lengths, const Entry* symbols, unsigned root, std::span<Entry> table) {
  std::array<unsigned, kMaxBits + 1> count{};
  for (const std::uint8_t length : lengths) ++count[length];
  count[0] = 0;
  std::array<unsigned, kMaxBits + 2> first{};
  int left = 1;
  for (unsigned length = 1; length <= kMaxBits; ++length) {
    first[length + 1] = first[length] + count[length];
    left = 2 * left - static_cast<int>(count[length]);
    if (left < 0) return false;
  }
  const unsigned used = first[kMaxBits + 1];
  if (left > 0 && (used > 1 || used != count[1])) return false;
  std::array<std::uint16_t, 288> sorted;
  {
    std::array<unsigned, kMaxBits + 2> at = first;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      if (lengths[i] != 0) sorted[at[lengths[i]]++] = static_cast<std::uint16_t>(i);
    }
  }
  if (left > 0) std::fill_n(table.begin(), std::size_t{1} << root, kNoCode);

  // The table for codes of up to n bits is that for n - 1 bits, twice, and the codes of n bits.
  unsigned code = 0;
  std::size_t i = 0;
  for (unsigned length = 1; length <= root; ++length) {
    const std::size_t half = std::size_t{1} << (length - 1);
    if (left == 0) std::copy_n(table.begin(), half, table.begin() + static_cast<std::ptrdiff_t>(half));
    for (unsigned k = 0; k < count[length]; ++k, ++i) {
      const Entry entry = symbols[sorted[i]] + length;
      if (left > 0) {
        for (std::size_t at = code; at < std::size_t{1} << root; at += 2) table[at] = entry;
        return true;
      }
      table[code] = entry;
      code = next_code(code, length);
    }
  }
  std::size_t end = std::size_t{1} << root;
  std::size_t begin = 0;
  unsigned size_bits = 0;
  unsigned prefix = ~0U;
  for (unsigned length = root + 1; length <= kMaxBits; ++length) {
    for (unsigned k = 0; k < count[length]; ++k, ++i) {
      const auto low = static_cast<unsigned>(code & mask(root));
      if (low != prefix) {
        prefix = low;
        // As many bits as the codes that begin like this one need, which are the next ones.
        size_bits = length - root;
        auto room = static_cast<int>(1U << size_bits) - static_cast<int>(count[length] - k);
        while (room > 0 && root + size_bits < kMaxBits) {
          ++size_bits;
          room = 2 * room - static_cast<int>(count[root + size_bits]);
        }
        begin = end;
        end += std::size_t{1} << size_bits;
        if (end > table.size()) return false;
        table[prefix] = kSpecial | kLink | static_cast<Entry>(begin) << 16 | size_bits << 8 | root;
      }
      const Entry entry = symbols[sorted[i]] + (length - root);
      for (std::size_t at = code >> root; at < std::size_t{1} << size_bits; at += std::size_t{1} << (length - root)) {
        table[begin + at] = entry;
      }
      code = next_code(code, length);
    }
  }
  return true;
}

/// Copies a match whose source lies `distance` before `out`; writes up to 32 bytes too many.  Most are short: the first
/// bytes are copied without asking for the length, which the processor could not foresee.
///
/// What repeats within 32 bytes is loaded once and stored again and again: a load of bytes that two stores have just
/// written waits until both have left for the cache, which in rows of 12 bytes (vertices, faces) was a sixth of the
/// time.
inline void copy_match(std::byte* out, std::size_t distance, std::size_t length) noexcept {
  const std::byte* from = out - distance;
  std::byte* const end = out + length;
  if (distance >= 32) {
    std::memcpy(out, from, 16);
    std::memcpy(out + 16, from + 16, 16);
    if (length <= 32) return;
    do {
      out += 32;
      from += 32;
      std::memcpy(out, from, 16);
      std::memcpy(out + 16, from + 16, 16);
    } while (end - out > 32);
    return;
  }
  if (distance >= 16) {
    std::array<std::byte, 16> head;
    std::array<std::byte, 16> tail;
    std::memcpy(head.data(), from, 16);
    std::memcpy(tail.data(), out - 16, 16);
    do {
      std::memcpy(out, head.data(), 16);
      std::memcpy(out + distance - 16, tail.data(), 16);
      out += distance;
    } while (out < end);
    return;
  }
  if (distance >= 8) {
    const auto head = load_le<std::uint64_t>(from);
    const auto tail = load_le<std::uint64_t>(out - 8);
    do {
      store_le(out, head);
      store_le(out + distance - 8, tail);
      out += distance;
    } while (out < end);
    return;
  }
  // Eight bytes of the repeated ones, stored at steps of as many as repeat whole.
  constexpr std::array<std::uint64_t, 8> kRepeat = {0,
                                                    0x0101010101010101,
                                                    0x0001000100010001,
                                                    0x0001000001000001,
                                                    0x0000000100000001,
                                                    0x0000010000000001,
                                                    0x0001000000000001,
                                                    0x0100000000000001};
  constexpr std::array<std::uint8_t, 8> kStep = {0, 8, 8, 6, 8, 5, 6, 7};
  const std::uint64_t pattern =
      (load_le<std::uint64_t>(from) & mask(8 * static_cast<unsigned>(distance))) * kRepeat[distance];
  const std::size_t step = kStep[distance];
  do {
    store_le(out, pattern);
    store_le(out + step, pattern);
    out += 2 * step;
  } while (out < end);
}

}  // namespace

void InflatePrefix::refill() noexcept {
  bits_ |= load_le<std::uint64_t>(in_) << count_;
  in_ += (63 - count_) >> 3;
  count_ |= 56;
}

std::uint32_t InflatePrefix::take(unsigned count) noexcept {
  const auto out = static_cast<std::uint32_t>(bits_ & mask(count));
  bits_ >>= count;
  count_ -= count;
  return out;
}

void InflatePrefix::save(const std::byte* in, std::uint64_t bits, unsigned count, std::byte* out) noexcept {
  in_ = in;
  bits_ = bits;
  count_ = count;
  out_ = out;
}

bool InflatePrefix::extend(std::size_t n) noexcept {
  if (n > capacity_ || capacity_ - n < kSlackBytes) return false;
  const std::byte* const stop = begin_ + n;
  while (out_ < stop) {
    bool good = false;
    switch (state_) {
      case State::kHeader:
        good = read_header();
        break;
      case State::kStored:
        good = copy_stored(stop);
        break;
      case State::kCodes:
        good = decode(stop);
        break;
      case State::kBad:
        break;
    }
    if (!good) {
      state_ = State::kBad;
      return false;
    }
  }
  return true;
}

std::optional<std::size_t> InflatePrefix::end() noexcept {
  for (;;) {
    switch (state_) {
      case State::kHeader:
        if (is_last_) return static_cast<std::size_t>(in_end_ - in_) + count_ / 8;
        if (!read_header()) state_ = State::kBad;
        break;
      case State::kStored:
        if (stored_left_ != 0) return std::nullopt;
        state_ = State::kHeader;
        break;
      case State::kCodes: {
        if (in_end_ - in_ < kInputSlack) return std::nullopt;
        refill();
        Entry entry = litlen_[bits_ & mask(kLitLenBits)];
        unsigned linked_by = 0;
        if ((entry & (kLiteral | kSpecial)) == kSpecial && (entry & kLink) != 0) {
          linked_by = total_bits(entry);
          entry = litlen_[value_of(entry) + ((bits_ >> linked_by) & mask(extra_bits(entry)))];
        }
        if ((entry & kLiteral) != 0 || (entry & kSpecial) == 0 || (entry & kEnd) == 0) return std::nullopt;
        (void)take(linked_by + total_bits(entry));
        state_ = State::kHeader;
        break;
      }
      case State::kBad:
        return std::nullopt;
    }
  }
}

// RFC 1951, 3.2.3.
bool InflatePrefix::read_header() noexcept {
  if (is_last_ || in_end_ - in_ < kInputSlack) return false;
  refill();
  is_last_ = take(1) != 0;
  switch (take(2)) {
    case 0:
      return read_stored_header();
    case 1:
      use_fixed_codes();
      state_ = State::kCodes;
      return true;
    case 2:
      state_ = State::kCodes;
      return read_codes();
    default:
      return false;
  }
}

bool InflatePrefix::read_stored_header() noexcept {
  // Back to the first whole byte that no bit was taken of.
  in_ -= count_ / 8;
  bits_ = 0;
  count_ = 0;
  constexpr std::ptrdiff_t kLengths = 4;
  if (in_end_ - in_ < kLengths) return false;
  const auto length = load_le<std::uint16_t>(in_);
  const auto complement = load_le<std::uint16_t>(in_ + 2);
  in_ += kLengths;
  stored_left_ = length;
  state_ = State::kStored;
  return (length ^ complement) == 0xffff;
}

bool InflatePrefix::copy_stored(const std::byte* stop) noexcept {
  const std::size_t wanted = std::min(stored_left_, static_cast<std::size_t>(stop - out_));
  if (static_cast<std::size_t>(in_end_ - in_) < wanted) return false;
  std::memcpy(out_, in_, wanted);
  in_ += wanted;
  out_ += wanted;
  stored_left_ -= wanted;
  if (stored_left_ == 0) state_ = State::kHeader;
  return true;
}

// RFC 1951, 3.2.6.
void InflatePrefix::use_fixed_codes() noexcept {
  std::array<std::uint8_t, 288> lengths;
  std::fill_n(lengths.begin(), 144, std::uint8_t{8});
  std::fill(lengths.begin() + 144, lengths.begin() + 256, std::uint8_t{9});
  std::fill(lengths.begin() + 256, lengths.begin() + 280, std::uint8_t{7});
  std::fill(lengths.begin() + 280, lengths.end(), std::uint8_t{8});
  (void)make_table(lengths, kLitLenSymbols.data(), kLitLenBits, litlen_);
  std::fill_n(lengths.begin(), 32, std::uint8_t{5});
  (void)make_table({lengths.data(), 32}, kDistanceSymbols.data(), kDistanceBits, distances_);
}

// RFC 1951, 3.2.7.
bool InflatePrefix::read_codes() noexcept {
  const unsigned num_litlen = take(5) + 257;
  const unsigned num_distances = take(5) + 1;
  const unsigned num_lengths = take(4) + 4;
  if (num_litlen > kNumLitLen || num_distances > kNumDistances) return false;

  constexpr std::array<std::uint8_t, 19> kOrder = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  constexpr unsigned kLengthBits = 7;
  std::array<std::uint8_t, 19> length_lengths{};
  for (unsigned i = 0; i < num_lengths; ++i) {
    if (in_end_ - in_ < kInputSlack) return false;
    refill();
    length_lengths[kOrder[i]] = static_cast<std::uint8_t>(take(3));
  }
  constexpr std::array<Entry, 19> kSymbols = [] {
    std::array<Entry, 19> out{};
    for (unsigned i = 0; i < out.size(); ++i) out[i] = make_entry(i, 0);
    return out;
  }();
  std::array<Entry, std::size_t{1} << kLengthBits> table;
  if (!make_table(length_lengths, kSymbols.data(), kLengthBits, table)) return false;

  std::array<std::uint8_t, kNumLitLen + kNumDistances> lengths{};
  const unsigned total = num_litlen + num_distances;
  for (unsigned i = 0; i < total;) {
    if (in_end_ - in_ < kInputSlack) return false;
    refill();
    const Entry entry = table[bits_ & mask(kLengthBits)];
    if ((entry & kSpecial) != 0) return false;
    (void)take(total_bits(entry));
    const auto symbol = static_cast<std::uint8_t>(value_of(entry));
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol == 16 && i == 0) return false;
    const std::uint8_t value = symbol == 16 ? lengths[i - 1] : 0;
    const unsigned repeat = symbol == 16 ? 3 + take(2) : symbol == 17 ? 3 + take(3) : 11 + take(7);
    if (repeat > total - i) return false;
    std::fill_n(lengths.begin() + i, repeat, value);
    i += repeat;
  }
  if (lengths[kEndOfBlock] == 0) return false;
  return make_table({lengths.data(), num_litlen}, kLitLenSymbols.data(), kLitLenBits, litlen_) &&
         make_table({lengths.data() + num_litlen, num_distances}, kDistanceSymbols.data(), kDistanceBits, distances_);
}

// Symbols until `stop` is reached or the block ends.  The members are held in registers meanwhile.
bool InflatePrefix::decode(const std::byte* stop) noexcept {
  const std::byte* in = in_;
  const std::byte* const in_end = in_end_;
  std::byte* out = out_;
  std::uint64_t bits = bits_;
  unsigned count = count_;
  const Entry* const litlen = litlen_.data();
  const Entry* const distances = distances_.data();
  constexpr std::uint64_t kLitLenMask = (std::uint64_t{1} << kLitLenBits) - 1;
  constexpr std::uint64_t kDistanceMask = (std::uint64_t{1} << kDistanceBits) - 1;
  const auto fill = [&] {
    bits |= load_le<std::uint64_t>(in) << count;
    in += (63 - count) >> 3;
    count |= 56;
  };
  const auto drop = [&](unsigned n) {
    bits >>= n;
    count -= n;
  };
  // The next symbol is looked up before the bits are filled up, which does not change those that are there: neither
  // waits for the other.
  if (in_end - in < kInputSlack) return false;
  fill();
  Entry entry = litlen[bits & kLitLenMask];
  for (;;) {
    // 56 bits are enough for two literals of the first table, any other symbol, and a look-up.
    if ((entry & kLiteral) != 0) {
      drop(total_bits(entry));
      *out++ = static_cast<std::byte>(entry >> 16);
      entry = litlen[bits & kLitLenMask];
      if ((entry & kLiteral) != 0) {
        drop(total_bits(entry));
        *out++ = static_cast<std::byte>(entry >> 16);
        entry = litlen[bits & kLitLenMask];
        if ((entry & kLiteral) != 0) {
          drop(total_bits(entry));
          *out++ = static_cast<std::byte>(entry >> 16);
          entry = litlen[bits & kLitLenMask];
          if (out >= stop) break;
          if (in_end - in < kInputSlack) return false;
          fill();
          continue;
        }
      }
    }
    if ((entry & kSpecial) != 0) {
      if ((entry & kLink) != 0) {
        drop(total_bits(entry));
        entry = litlen[value_of(entry) + (bits & mask(extra_bits(entry)))];
        if ((entry & kLiteral) != 0) {
          drop(total_bits(entry));
          *out++ = static_cast<std::byte>(entry >> 16);
          entry = litlen[bits & kLitLenMask];
          if (out >= stop) break;
          if (in_end - in < kInputSlack) return false;
          fill();
          continue;
        }
      }
      if ((entry & kEnd) != 0) {
        drop(total_bits(entry));
        state_ = State::kHeader;
        break;
      }
      if ((entry & kSpecial) != 0) return false;
    }
    const std::size_t length = value_of(entry) + static_cast<std::size_t>((bits & mask(total_bits(entry))) >>
                                                                          (total_bits(entry) - extra_bits(entry)));
    drop(total_bits(entry));
    entry = distances[bits & kDistanceMask];
    fill();
    if ((entry & kSpecial) != 0) {
      if ((entry & kLink) == 0) return false;
      drop(total_bits(entry));
      entry = distances[value_of(entry) + (bits & mask(extra_bits(entry)))];
      if ((entry & kSpecial) != 0) return false;
    }
    const std::size_t distance = value_of(entry) + static_cast<std::size_t>((bits & mask(total_bits(entry))) >>
                                                                            (total_bits(entry) - extra_bits(entry)));
    drop(total_bits(entry));
    if (distance > static_cast<std::size_t>(out - begin_)) return false;
    entry = litlen[bits & kLitLenMask];
    copy_match(out, distance, length);
    out += length;
    if (out >= stop) break;
    if (in_end - in < kInputSlack) return false;
    fill();
  }
  save(in, bits, count, out);
  return true;
}

}  // namespace cvfast::decode
