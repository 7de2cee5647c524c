// SPDX-License-Identifier: BSD-3-Clause
//
// Two thirds of the time is the range coder: a division and a search per value.  Its state stays in registers, errors
// are noted instead of returned (a row later is soon enough), and the search starts from a table of 128 steps.  The
// front of the paper, which holds the neighbours of the next value, is the destination itself plus a row of zeros.
#include "cvfast/decode/fpzip.hpp"

#include <array>
#include <bit>
#include <exception>
#include <memory>
#include <new>

#include "cvfast/core/checked.hpp"
#include "cvfast/core/endian.hpp"

namespace cvfast::decode::fpzip {
namespace {

// Frequencies of a model add up to 2^16.
constexpr unsigned kTotalBits = 16;
constexpr std::uint32_t kTotal = 1U << kTotalBits;
// Up to this precision differences are symbols themselves; beyond, symbols are their signs and magnitudes.
constexpr unsigned kMaxDirectBits = 8;
constexpr unsigned kMaxSymbols = 2 * (1U << kMaxDirectBits) - 1;

constexpr std::uint32_t kMagic = 'f' | 'p' << 8 | 'z' << 16;
constexpr std::uint32_t kMajorVersion = 0x0110;
constexpr std::uint32_t kMinorVersion = 1;  // predictions in floating point, terms added in a fixed order

/// A quasi-static model: frequencies are counted all the time and take effect at intervals.
///
/// At the end of an interval every frequency is halved (and stays odd, so positive); each symbol of the next interval
/// adds so much to its own that the sum is 2^16 again when the interval ends.
class SymbolModel {
 public:
  explicit SymbolModel(unsigned symbols) noexcept : symbols_(symbols), interval_((symbols >> 4) | 2) {
    for (unsigned s = 0; s < symbols; ++s) counts_[s] = kTotal / symbols + (s < kTotal % symbols ? 1 : 0);
    begin_interval();
  }

  /// The symbol whose share of [0, 2^16) holds `position`.
  [[nodiscard]] unsigned at(std::uint32_t position) const noexcept {
    unsigned symbol = first_of_step_[position >> kStepBits];
    while (starts_[symbol + 1] <= position) ++symbol;
    return symbol;
  }
  [[nodiscard]] std::uint32_t start(unsigned symbol) const noexcept { return starts_[symbol]; }
  [[nodiscard]] std::uint32_t share(unsigned symbol) const noexcept { return starts_[symbol + 1] - starts_[symbol]; }

  void count(unsigned symbol) noexcept {
    if (left_ == 0) {
      if (left_with_more_ == 0) {
        begin_interval();
      } else {
        left_ = left_with_more_;
        left_with_more_ = 0;
        ++increment_;
      }
    }
    --left_;
    counts_[symbol] += increment_;
  }

 private:
  static constexpr unsigned kStepBits = 9;
  static constexpr std::uint32_t kMaxInterval = 1024;

  void begin_interval() noexcept {
    interval_ = interval_ * 2 < kMaxInterval ? interval_ * 2 : kMaxInterval;
    std::uint32_t start = 0;
    std::uint32_t remaining = kTotal;
    unsigned step = 0;
    for (unsigned s = 0; s < symbols_; ++s) {
      starts_[s] = start;
      start += counts_[s];
      for (; step < first_of_step_.size() && step << kStepBits < start; ++step) {
        first_of_step_[step] = static_cast<std::uint16_t>(s);
      }
      counts_[s] = (counts_[s] >> 1) | 1;
      remaining -= counts_[s];
    }
    starts_[symbols_] = kTotal;
    increment_ = remaining / interval_;
    left_with_more_ = remaining % interval_;
    left_ = interval_ - left_with_more_;
  }

  unsigned symbols_;
  std::uint32_t interval_;            // symbols between halvings; doubles up to its maximum
  std::uint32_t left_ = 0;            // symbols until the increment or the interval ends
  std::uint32_t left_with_more_ = 0;  // symbols at the end of the interval that add one more
  std::uint32_t increment_ = 0;
  std::array<std::uint32_t, kMaxSymbols> counts_;
  std::array<std::uint32_t, kMaxSymbols + 1> starts_;
  std::array<std::uint16_t, (kTotal >> kStepBits)> first_of_step_;
};

/// A carry-less range decoder of 32 bits.
///
/// After any input range_ is at least 2^16 between calls, so that no division is by zero; a value outside of the range,
/// which no encoder writes, is noted and replaced by the largest inside.
class RangeDecoder {
 public:
  explicit RangeDecoder(std::span<const std::byte> data) noexcept : data_(data) {
    for (int i = 0; i < 4; ++i) value_ = value_ << 8 | next_byte();
  }

  [[nodiscard]] unsigned symbol(SymbolModel& model) noexcept {
    const std::uint32_t unit = range_ >> kTotalBits;
    const unsigned symbol = model.at(quotient(unit, kTotal - 1));
    value_ -= unit * model.start(symbol);
    low_ += unit * model.start(symbol);
    range_ = unit * model.share(symbol);
    model.count(symbol);
    normalize();
    return symbol;
  }

  /// A number of `bits` bits, the lower 16 of what is left first.
  [[nodiscard]] std::uint64_t number(unsigned bits) noexcept {
    std::uint64_t out = 0;
    unsigned shift = 0;
    for (; bits > 16; bits -= 16, shift += 16) out |= std::uint64_t{piece(16)} << shift;
    return out | std::uint64_t{piece(bits)} << shift;
  }

  void fail(Code code) noexcept {
    if (failure_ == Code::kOk) {
      failure_ = code;
      failed_at_ = position_;
    }
  }
  [[nodiscard]] bool failed() const noexcept { return failure_ != Code::kOk; }

  /// Every byte of a stream is shifted in by its end.
  [[nodiscard]] Status finish() const noexcept {
    if (failed()) return {failure_, failed_at_, 0, 0};
    if (position_ < data_.size()) return {Code::kTrailingBytes, position_, position_, data_.size()};
    return {};
  }
  [[nodiscard]] Status status() const noexcept { return {failure_, failed_at_, 0, 0}; }

 private:
  [[nodiscard]] std::uint32_t piece(unsigned bits) noexcept {
    range_ >>= bits;
    const std::uint32_t out = quotient(range_, (std::uint32_t{1} << bits) - 1);
    value_ -= range_ * out;
    low_ += range_ * out;
    normalize();
    return out;
  }

  [[nodiscard]] std::uint32_t quotient(std::uint32_t unit, std::uint32_t largest) noexcept {
    const std::uint32_t out = value_ / unit;
    if (out <= largest) [[likely]]
      return out;
    fail(Code::kCorrupt);
    return largest;
  }

  void normalize() noexcept {
    while ((low_ ^ (low_ + range_)) >> 24 == 0) {  // the first byte can no longer change
      shift_in();
      range_ <<= 8;
      if (range_ == 0) [[unlikely]] {  // the interval had reached 2^32 by a corrupt value
        fail(Code::kCorrupt);
        range_ = UINT32_MAX;
        return;
      }
    }
    if (range_ >> 16 == 0) {
      // A small range across a multiple of 2^24: cut off there, so that no carry is ever needed.  low_ is not 0 then.
      shift_in();
      shift_in();
      range_ = 0U - low_;
    }
  }

  void shift_in() noexcept {
    value_ = value_ << 8 | next_byte();
    low_ <<= 8;
  }

  [[nodiscard]] std::uint32_t next_byte() noexcept {
    if (position_ < data_.size()) [[likely]]
      return static_cast<std::uint32_t>(data_[position_++]);
    fail(Code::kTruncated);
    return 0;
  }

  std::span<const std::byte> data_;
  std::size_t position_ = 0;
  std::uint32_t low_ = 0;
  std::uint32_t range_ = UINT32_MAX;
  std::uint32_t value_ = 0;  // of the code, above low_
  Code failure_ = Code::kOk;
  std::size_t failed_at_ = 0;
};

/// The mirror of RangeDecoder: what it does to low and range, this does too.
class RangeEncoder {
 public:
  explicit RangeEncoder(std::vector<std::byte>& out) noexcept : out_(out) {}

  void symbol(SymbolModel& model, unsigned symbol) {
    const std::uint32_t unit = range_ >> kTotalBits;
    low_ += unit * model.start(symbol);
    range_ = unit * model.share(symbol);
    model.count(symbol);
    normalize();
  }
  void number(unsigned bits, std::uint64_t value) {
    for (; bits > 16; bits -= 16, value >>= 16) piece(16, static_cast<std::uint32_t>(value & 0xffff));
    piece(bits, static_cast<std::uint32_t>(value));
  }
  void finish() {
    for (int i = 0; i < 4; ++i) shift_out();
  }
  /// The code ran out of room between two numbers, which takes a coincidence of about 2^-40 per value.
  [[nodiscard]] bool failed() const noexcept { return has_failed_; }

 private:
  void piece(unsigned bits, std::uint32_t value) {
    range_ >>= bits;
    low_ += range_ * value;
    normalize();
  }
  void normalize() {
    while ((low_ ^ (low_ + range_)) >> 24 == 0) {
      shift_out();
      range_ <<= 8;
      if (range_ == 0) [[unlikely]] {
        has_failed_ = true;
        range_ = UINT32_MAX;
        return;
      }
    }
    if (range_ >> 16 == 0) {
      shift_out();
      shift_out();
      range_ = 0U - low_;
    }
  }
  void shift_out() {
    out_.push_back(static_cast<std::byte>(low_ >> 24));
    low_ <<= 8;
  }

  std::vector<std::byte>& out_;
  std::uint32_t low_ = 0;
  std::uint32_t range_ = UINT32_MAX;
  bool has_failed_ = false;
};

template <typename Float>
struct Bits;
template <>
struct Bits<float> {
  using Type = std::uint32_t;
  static constexpr unsigned kMantissa = 23;
};
template <>
struct Bits<double> {
  using Type = std::uint64_t;
  static constexpr unsigned kMantissa = 52;
};

/// A sum whose NaNs are those of SSE: of two the first, made quiet; a negative one where none goes in.
template <typename Float>
Float add_with_nan(Float a, Float b) noexcept {
  using Word = typename Bits<Float>::Type;
  constexpr Word kQuiet = Word{1} << (Bits<Float>::kMantissa - 1);
  if (a != a) return std::bit_cast<Float>(std::bit_cast<Word>(a) | kQuiet);
  if (b != b) return std::bit_cast<Float>(std::bit_cast<Word>(b) | kQuiet);
  const Float sum = a + b;
  if (sum == sum) return sum;
  return std::bit_cast<Float>(static_cast<Word>(~Word{0} << (Bits<Float>::kMantissa - 1)));
}

template <typename Float>
Float subtract_with_nan(Float a, Float b) noexcept {
  return b != b ? add_with_nan(a, b) : add_with_nan(a, -b);
}

/// The neighbours before a value, at distance 0 or 1 along each axis; outside of the field they are 0.
template <typename Float>
struct Neighbours {
  Float x, y, z, xy, xz, yz, xyz;

  /// The Lorenzo predictor, with the terms in the order in which encoders add them.
  [[nodiscard]] Float predict() const noexcept {
    const Float sum = x - yz + y - xz + z - xy + xyz;
    if (sum == sum) [[likely]]
      return sum;
    Float out = subtract_with_nan(x, yz);
    out = subtract_with_nan(add_with_nan(out, y), xz);
    out = subtract_with_nan(add_with_nan(out, z), xy);
    return add_with_nan(out, xyz);
  }

  /// Moves one value on along x.
  void advance(Float current) noexcept {
    x = current;
    xy = y;
    xz = z;
    xyz = yz;
  }
};

/// The rows that hold the neighbours of a row's values, packed as the field is.
struct Rows {
  const std::byte* y;
  const std::byte* z;
  const std::byte* yz;
};

/// Calls visit(rows, offset of the row) for the rows of a field; outside of it they are `zeros`.
template <typename Visit>
void for_each_row(const Int4& shape, std::size_t row_bytes, const std::byte* field, const std::byte* zeros,
                  const Visit& visit) {
  const std::size_t plane_bytes = row_bytes * static_cast<std::size_t>(shape[1]);
  const std::byte* row = field;
  for (std::int64_t z = 0; z < shape[2]; ++z) {
    for (std::int64_t y = 0; y < shape[1]; ++y, row += row_bytes) {
      const Rows rows{y > 0 ? row - row_bytes : zeros, z > 0 ? row - plane_bytes : zeros,
                      y > 0 && z > 0 ? row - plane_bytes - row_bytes : zeros};
      if (!visit(rows, static_cast<std::size_t>(row - field))) return;
    }
  }
}

/// One field: its model, and the two maps between values and symbols.
template <typename Float, bool kDirect>
class Field {
  using Word = typename Bits<Float>::Type;

 public:
  explicit Field(unsigned bits) noexcept
      : shift_(8 * sizeof(Word) - bits),
        sign_(Word{1} << (bits - 1)),
        largest_(static_cast<Word>(~Word{0}) >> shift_),
        zero_symbol_(kDirect ? static_cast<unsigned>(largest_) : bits),
        model_(2 * zero_symbol_ + 1) {}

  void decode(RangeDecoder& coder, const Int4& shape, const std::byte* zeros, std::byte* dst) noexcept {
    const std::size_t row_bytes = static_cast<std::size_t>(shape[0]) * sizeof(Float);
    for_each_row(shape, row_bytes, dst, zeros, [&](const Rows& rows, std::size_t offset) {
      decode_row(coder, rows, row_bytes, dst + offset);
      return !coder.failed();
    });
  }

  void encode(RangeEncoder& coder, const Int4& shape, const std::byte* zeros, const std::byte* src) {
    const std::size_t row_bytes = static_cast<std::size_t>(shape[0]) * sizeof(Float);
    for_each_row(shape, row_bytes, src, zeros, [&](const Rows& rows, std::size_t offset) {
      encode_row(coder, rows, row_bytes, src + offset);
      return !coder.failed();
    });
  }

 private:
  void decode_row(RangeDecoder& shared, const Rows& rows, std::size_t row_bytes, std::byte* dst) noexcept {
    RangeDecoder coder = shared;  // a copy that nothing points to can live in registers
    Neighbours<Float> near{};
    for (std::size_t i = 0; i < row_bytes; i += sizeof(Float)) {
      near.y = load_le<Float>(rows.y + i);
      near.z = load_le<Float>(rows.z + i);
      near.yz = load_le<Float>(rows.yz + i);
      const Word predicted = to_ordered(near.predict());
      const Word word = to_word(static_cast<Word>(predicted + decode_difference(coder, predicted)));
      store_le(dst + i, word);
      near.advance(std::bit_cast<Float>(word));
    }
    shared = coder;
  }

  void encode_row(RangeEncoder& coder, const Rows& rows, std::size_t row_bytes, const std::byte* src) {
    Neighbours<Float> near{};
    for (std::size_t i = 0; i < row_bytes; i += sizeof(Float)) {
      // Predicted from what a decoder will have.
      near.y = load_stored(rows.y + i);
      near.z = load_stored(rows.z + i);
      near.yz = load_stored(rows.yz + i);
      const Float actual = load_stored(src + i);
      encode_difference(coder, to_ordered(near.predict()), to_ordered(actual));
      near.advance(actual);
    }
  }

  /// Actual minus predicted, modulo the word; noted where the sum would leave the numbers of so many bits.
  [[nodiscard]] Word decode_difference(RangeDecoder& coder, Word predicted) noexcept {
    const unsigned symbol = coder.symbol(model_);
    if (symbol == zero_symbol_) return 0;
    const bool is_above = symbol > zero_symbol_;
    const unsigned distance = is_above ? symbol - zero_symbol_ : zero_symbol_ - symbol;
    Word magnitude = distance;
    if constexpr (!kDirect) {
      const unsigned exponent = distance - 1;
      magnitude = static_cast<Word>((Word{1} << exponent) + coder.number(exponent));
    }
    if (magnitude > (is_above ? static_cast<Word>(largest_ - predicted) : predicted)) coder.fail(Code::kCorrupt);
    return is_above ? magnitude : static_cast<Word>(Word{0} - magnitude);
  }

  void encode_difference(RangeEncoder& coder, Word predicted, Word actual) {
    const bool is_above = actual > predicted;
    const Word magnitude = is_above ? actual - predicted : predicted - actual;
    const unsigned distance =
        kDirect ? static_cast<unsigned>(magnitude) : static_cast<unsigned>(std::bit_width(magnitude));
    coder.symbol(model_, is_above ? zero_symbol_ + distance : zero_symbol_ - distance);
    if constexpr (!kDirect) {
      if (magnitude != 0) coder.number(distance - 1, magnitude - (Word{1} << (distance - 1)));
    }
  }

  [[nodiscard]] Float load_stored(const std::byte* p) const noexcept {
    return std::bit_cast<Float>(static_cast<Word>(load_le<Word>(p) >> shift_ << shift_));
  }

  /// The leading bits of a value as an integer that grows with it (the paper's map), and back.
  [[nodiscard]] Word to_ordered(Float value) const noexcept {
    const Word word = static_cast<Word>(~std::bit_cast<Word>(value)) >> shift_;
    return (word & sign_) != 0 ? word ^ static_cast<Word>(sign_ - 1) : word;
  }
  [[nodiscard]] Word to_word(Word ordered) const noexcept {
    const Word word = (ordered & sign_) != 0 ? ordered ^ static_cast<Word>(sign_ - 1) : ordered;
    return static_cast<Word>(static_cast<Word>(~word) << shift_);
  }

  unsigned shift_;  // bits of a value that are not stored
  Word sign_;
  Word largest_;
  unsigned zero_symbol_;  // of a perfect prediction; those above mean more, those below less
  SymbolModel model_;
};

/// Calls visit(a new Field, offset of its first value) for each field.
template <typename Float, typename Visit>
void for_each_field(const Header& header, const Visit& visit) {
  const std::size_t field_bytes =
      static_cast<std::size_t>(header.shape[0] * header.shape[1] * header.shape[2]) * sizeof(Float);
  const auto bits = static_cast<unsigned>(header.precision);
  for (std::size_t i = 0; i < static_cast<std::size_t>(header.shape[3]); ++i) {
    const bool goes_on = bits <= kMaxDirectBits ? visit(Field<Float, true>(bits), i * field_bytes)
                                                : visit(Field<Float, false>(bits), i * field_bytes);
    if (!goes_on) return;
  }
}

template <typename Float>
std::unique_ptr<std::byte[]> row_of_zeros(const Header& header) noexcept {
  return std::unique_ptr<std::byte[]>(new (std::nothrow)
                                          std::byte[static_cast<std::size_t>(header.shape[0]) * sizeof(Float)]());
}

template <typename Float>
Status decode_fields(RangeDecoder& coder, const Header& header, std::byte* dst) noexcept {
  const auto zeros = row_of_zeros<Float>(header);
  if (!zeros) return {Code::kNoMemory, 0, 0, 0};
  for_each_field<Float>(header, [&](auto&& field, std::size_t offset) {
    field.decode(coder, header.shape, zeros.get(), dst + offset);
    return !coder.failed();
  });
  return coder.finish();
}

template <typename Float>
Status encode_fields(RangeEncoder& coder, const Header& header, const std::byte* src) {
  const auto zeros = row_of_zeros<Float>(header);
  if (!zeros) return {Code::kNoMemory, 0, 0, 0};
  for_each_field<Float>(header, [&](auto&& field, std::size_t offset) {
    field.encode(coder, header.shape, zeros.get(), src + offset);
    return !coder.failed();
  });
  coder.finish();
  if (coder.failed()) return {Code::kOverflow, 0, 0, 0};
  return {};
}

/// Whether shape and type are those of an array in memory.
bool is_array(const Int4& shape, std::int64_t item_size) noexcept {
  for (const std::int64_t extent : shape) {
    if (extent < 1 || extent > UINT32_MAX) return false;
  }
  return (item_size == 4 || item_size == 8) &&
         checked_product({shape[0], shape[1], shape[2], shape[3], item_size}).has_value();
}

/// 0 stands for all bits.
bool is_precision(std::int64_t precision, std::int64_t item_size) noexcept {
  const std::int64_t step = item_size / 4;
  return precision == 0 || (precision >= 2 * step && precision <= 32 * step && precision % step == 0);
}

Status read_header(RangeDecoder& coder, Header& header) noexcept {
  std::uint32_t magic = 0;
  for (unsigned i = 0; i < 4; ++i) magic |= static_cast<std::uint32_t>(coder.number(8)) << (8 * i);
  if (coder.failed()) return coder.status();
  if (magic != kMagic) return {Code::kBadMagic, 0, kMagic, magic};
  const std::uint64_t major = coder.number(16);
  const std::uint64_t minor = coder.number(8);
  const bool is_double = coder.number(1) != 0;
  const std::uint64_t precision = coder.number(7);
  for (std::int64_t& extent : header.shape) extent = static_cast<std::int64_t>(coder.number(32));
  if (coder.failed()) return coder.status();
  if (major != kMajorVersion) return {Code::kBadValue, 4, kMajorVersion, major};
  if (minor != kMinorVersion) return {Code::kBadValue, 6, kMinorVersion, minor};
  header.item_size = is_double ? 8 : 4;
  const std::int64_t all_bits = 8 * header.item_size;
  header.precision = precision == 0 ? all_bits : static_cast<std::int64_t>(precision);
  if (is_precision(header.precision, header.item_size)) return {};
  return {Code::kBadValue, 7, static_cast<std::uint64_t>(all_bits), precision};
}

}  // namespace

Status read_header(std::span<const std::byte> data, Header& header) noexcept {
  RangeDecoder coder(data);
  return read_header(coder, header);
}

Status decode(std::span<const std::byte> data, const Int4& shape, std::int64_t item_size, std::byte* dst) noexcept {
  if (!is_array(shape, item_size)) return {Code::kInvalidArgument, 0, 0, 0};
  Header header;
  RangeDecoder coder(data);
  const Status status = read_header(coder, header);
  if (!status.ok()) return status;
  if (header.item_size != item_size) {
    return {Code::kBadValue, 7, static_cast<std::uint64_t>(item_size), static_cast<std::uint64_t>(header.item_size)};
  }
  for (std::size_t axis = 0; axis < 4; ++axis) {
    if (header.shape[axis] != shape[axis]) {
      return {Code::kBadValue, 8 + 4 * axis, static_cast<std::uint64_t>(shape[axis]),
              static_cast<std::uint64_t>(header.shape[axis])};
    }
  }
  return item_size == 4 ? decode_fields<float>(coder, header, dst) : decode_fields<double>(coder, header, dst);
}

Status encode(const std::byte* src, const Int4& shape, std::int64_t item_size, std::int64_t precision,
              std::vector<std::byte>& out) noexcept {
  if (!is_array(shape, item_size) || !is_precision(precision, item_size)) return {Code::kInvalidArgument, 0, 0, 0};
  try {
    out.clear();
    out.reserve(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3] * item_size));
    RangeEncoder coder(out);
    for (unsigned i = 0; i < 4; ++i) coder.number(8, kMagic >> (8 * i) & 0xff);
    coder.number(16, kMajorVersion);
    coder.number(8, kMinorVersion);
    coder.number(1, item_size == 8 ? 1 : 0);
    coder.number(7, static_cast<std::uint64_t>(precision));
    for (const std::int64_t extent : shape) coder.number(32, static_cast<std::uint64_t>(extent));
    const Header header{shape, item_size, precision == 0 ? 8 * item_size : precision};
    return item_size == 4 ? encode_fields<float>(coder, header, src) : encode_fields<double>(coder, header, src);
  } catch (const std::exception&) {
    return {Code::kNoMemory, 0, 0, 0};
  }
}

}  // namespace cvfast::decode::fpzip
