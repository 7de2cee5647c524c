// SPDX-License-Identifier: BSD-3-Clause
#include "fpzip.hpp"

#include <array>
#include <bit>
#include <limits>
#include <numeric>

namespace cvfast::reference {
namespace {

constexpr std::uint64_t kTotal = 65536;

struct Corrupt {};

/// Frequencies and the rule by which they change.
class Model {
 public:
  explicit Model(std::size_t symbols) : counts_(symbols), period_(symbols / 16 | 2) {
    for (std::size_t s = 0; s < symbols; ++s) counts_[s] = kTotal / symbols + (s < kTotal % symbols ? 1 : 0);
    start_period();
  }
  std::uint64_t below(std::size_t symbol) const {
    return std::accumulate(in_use_.begin(), in_use_.begin() + static_cast<std::ptrdiff_t>(symbol), std::uint64_t{0});
  }
  std::uint64_t share(std::size_t symbol) const { return in_use_[symbol]; }
  std::size_t at(std::uint64_t position) const {
    std::size_t symbol = 0;
    while (below(symbol) + share(symbol) <= position) ++symbol;
    return symbol;
  }
  void count(std::size_t symbol) {
    if (increments_.empty()) start_period();
    counts_[symbol] += increments_.back();
    increments_.pop_back();
  }

 private:
  void start_period() {
    period_ = std::min<std::uint64_t>(2 * period_, 1024);
    in_use_ = counts_;
    for (std::uint64_t& c : counts_) c = c / 2 | 1;
    const std::uint64_t missing = kTotal - std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
    // Taken from the back: those with one more come last.
    for (std::uint64_t i = 0; i < period_; ++i) {
      increments_.push_back(missing / period_ + (i < missing % period_ ? 1 : 0));
    }
  }

  std::vector<std::uint64_t> counts_;
  std::vector<std::uint64_t> in_use_;
  std::vector<std::uint64_t> increments_;
  std::uint64_t period_;
};

/// The interval [low, low + range) of the code, and what its narrowing does; bytes leave or enter in `shift`.
class RangeCoder {
 public:
  RangeCoder() = default;
  virtual ~RangeCoder() = default;
  RangeCoder(const RangeCoder&) = delete;
  RangeCoder& operator=(const RangeCoder&) = delete;

  /// Codes one of `total` equal parts, or decodes it when `part` is nothing.
  std::uint64_t bits(unsigned count, std::optional<std::uint64_t> number) {
    if (count > 16) {
      const std::uint64_t low = bits(16, number ? std::optional(*number & 0xffff) : std::nullopt);
      return low | bits(count - 16, number ? std::optional(*number >> 16) : std::nullopt) << 16;
    }
    range_ >>= count;
    const std::uint64_t part = number ? *number : decoded(std::uint64_t{1} << count);
    narrow(part, 1);
    return part;
  }
  std::size_t symbol(Model& model, std::optional<std::size_t> symbol) {
    range_ >>= 16;
    const std::size_t out = symbol ? *symbol : model.at(decoded(kTotal));
    narrow(model.below(out), model.share(out));
    model.count(out);
    return out;
  }

 protected:
  virtual void shift() = 0;
  virtual std::uint32_t code() const { return 0; }
  std::uint32_t low_ = 0;

 private:
  std::uint64_t decoded(std::uint64_t parts) const {
    const std::uint64_t part = static_cast<std::uint32_t>(code() - low_) / range_;
    if (part >= parts) throw Corrupt{};
    return part;
  }
  void narrow(std::uint64_t start, std::uint64_t share) {
    low_ += static_cast<std::uint32_t>(range_ * start);
    range_ *= static_cast<std::uint32_t>(share);
    while (low_ >> 24 == static_cast<std::uint32_t>(low_ + range_) >> 24) {
      shift();
      range_ <<= 8;
      if (range_ == 0) throw Corrupt{};
    }
    if (range_ < 65536) {
      shift();
      shift();
      range_ = static_cast<std::uint32_t>(0x100000000 - low_);
    }
  }
  std::uint32_t range_ = 0xffffffff;
};

class Encoder final : public RangeCoder {
 public:
  std::vector<std::byte> finish() {
    for (int i = 0; i < 4; ++i) shift();
    return out_;
  }

 private:
  void shift() override {
    out_.push_back(static_cast<std::byte>(low_ >> 24));
    low_ <<= 8;
  }
  std::vector<std::byte> out_;
};

class Decoder final : public RangeCoder {
 public:
  explicit Decoder(std::span<const std::byte> data) : data_(data) {
    for (int i = 0; i < 4; ++i) take();
  }
  bool is_at_end() const { return next_ == data_.size(); }

 private:
  void shift() override {
    take();
    low_ <<= 8;
  }
  std::uint32_t code() const override { return code_; }
  void take() {
    if (next_ == data_.size()) throw Corrupt{};
    code_ = code_ << 8 | static_cast<std::uint32_t>(data_[next_++]);
  }
  std::span<const std::byte> data_;
  std::size_t next_ = 0;
  std::uint32_t code_ = 0;
};

/// a + sign * b as SSE computes it, on bit patterns.
template <typename Float, typename Word>
std::uint64_t add(std::uint64_t a, std::uint64_t b, int sign) {
  const Word quiet = Word{1} << (std::numeric_limits<Float>::digits - 2);
  const auto x = std::bit_cast<Float>(static_cast<Word>(a));
  const auto y = std::bit_cast<Float>(static_cast<Word>(b));
  if (x != x) return a | quiet;
  if (y != y) return b | quiet;
  const Float sum = sign > 0 ? x + y : x - y;
  if (sum != sum) return static_cast<Word>(~Word{0} << (std::numeric_limits<Float>::digits - 2));
  return std::bit_cast<Word>(sum);
}

std::uint64_t add(std::uint64_t a, std::uint64_t b, int sign, std::int64_t item_size) {
  return item_size == 4 ? add<float, std::uint32_t>(a, b, sign) : add<double, std::uint64_t>(a, b, sign);
}

/// The leading bits, in the order of the values that they stand for.
struct Map {
  unsigned width;  // of a value
  unsigned bits;   // that are stored

  std::uint64_t sign() const { return std::uint64_t{1} << (bits - 1); }
  std::uint64_t mask() const { return bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1; }
  std::uint64_t forward(std::uint64_t value) const {
    const std::uint64_t kept = value >> (width - bits);
    return (kept & sign()) != 0 ? ~kept & mask() : kept | sign();
  }
  std::uint64_t backward(std::uint64_t ordered) const {
    const std::uint64_t kept = (ordered & sign()) != 0 ? ordered & ~sign() : ~ordered & mask();
    return kept << (width - bits);
  }
};

/// Codes the difference of an ordered value to its prediction, or decodes the value.
std::uint64_t code_value(RangeCoder& coder, Model& model, const Map& map, std::uint64_t predicted,
                         std::optional<std::uint64_t> actual) {
  const bool is_direct = map.bits <= 8;
  const std::size_t zero = is_direct ? static_cast<std::size_t>(map.mask()) : map.bits;
  std::optional<std::size_t> symbol;
  std::uint64_t magnitude = 0;
  if (actual) {
    magnitude = *actual > predicted ? *actual - predicted : predicted - *actual;
    const std::size_t distance =
        is_direct ? static_cast<std::size_t>(magnitude) : static_cast<std::size_t>(std::bit_width(magnitude));
    symbol = *actual > predicted ? zero + distance : zero - distance;
  }
  const std::size_t found = coder.symbol(model, symbol);
  if (found == zero) return predicted;
  const auto distance = static_cast<unsigned>(found > zero ? found - zero : zero - found);
  if (is_direct) {
    magnitude = distance;
  } else {
    const std::uint64_t leading = std::uint64_t{1} << (distance - 1);
    magnitude = leading | coder.bits(distance - 1, actual ? std::optional(magnitude - leading) : std::nullopt);
  }
  if (found > zero) {
    if (magnitude > map.mask() - predicted) throw Corrupt{};
    return predicted + magnitude;
  }
  if (magnitude > predicted) throw Corrupt{};
  return predicted - magnitude;
}

/// Codes `values`, or fills it.
void code_fields(RangeCoder& coder, bool is_encoding, const Int4& shape, std::int64_t item_size, std::int64_t precision,
                 std::vector<std::uint64_t>& values) {
  const auto width = static_cast<unsigned>(8 * item_size);
  const Map map{width, precision == 0 ? width : static_cast<unsigned>(precision)};
  std::size_t i = 0;
  const Int4 last{shape[0] - 1, shape[1] - 1, shape[2] - 1, shape[3] - 1};
  for (std::int64_t field = 0; field <= last[3]; ++field) {
    Model model(map.bits <= 8 ? 2 * static_cast<std::size_t>(map.mask()) + 1 : 2 * map.bits + 1);
    for (std::int64_t z = 0; z <= last[2]; ++z) {
      for (std::int64_t y = 0; y <= last[1]; ++y) {
        for (std::int64_t x = 0; x <= last[0]; ++x, ++i) {
          const auto at = [&](std::int64_t dx, std::int64_t dy, std::int64_t dz) -> std::uint64_t {
            if (x < dx || y < dy || z < dz) return 0;
            return values[static_cast<std::size_t>(x - dx +
                                                   shape[0] * (y - dy + shape[1] * (z - dz + shape[2] * field)))];
          };
          std::uint64_t sum = add(at(1, 0, 0), at(0, 1, 1), -1, item_size);
          sum = add(sum, at(0, 1, 0), 1, item_size);
          sum = add(sum, at(1, 0, 1), -1, item_size);
          sum = add(sum, at(0, 0, 1), 1, item_size);
          sum = add(sum, at(1, 1, 0), -1, item_size);
          sum = add(sum, at(1, 1, 1), 1, item_size);
          const auto actual = is_encoding ? std::optional(map.forward(values[i])) : std::nullopt;
          // Encoders predict from what decoders will see.
          values[i] = map.backward(code_value(coder, model, map, map.forward(sum), actual));
        }
      }
    }
  }
}

std::array<std::pair<unsigned, std::uint64_t>, 8> header_fields(std::int64_t item_size, std::int64_t precision) {
  return {{{8, 'f'},
           {8, 'p'},
           {8, 'z'},
           {8, 0},
           {16, 0x0110},
           {8, 1},
           {1, item_size == 8 ? 1 : 0},
           {7, static_cast<std::uint64_t>(precision)}}};
}

}  // namespace

std::vector<std::byte> encode_fpzip(const std::vector<std::uint64_t>& values, const Int4& shape, std::int64_t item_size,
                                    std::int64_t precision) {
  Encoder coder;
  for (const auto& [bits, value] : header_fields(item_size, precision)) coder.bits(bits, value);
  for (const std::int64_t extent : shape) coder.bits(32, static_cast<std::uint64_t>(extent));
  std::vector<std::uint64_t> seen = values;
  if (precision <= 8 * item_size) code_fields(coder, true, shape, item_size, precision, seen);
  return coder.finish();
}

std::optional<std::vector<std::uint64_t>> decode_fpzip(std::span<const std::byte> data, const Int4& shape,
                                                       std::int64_t item_size) {
  try {
    Decoder coder(data);
    const auto fields = header_fields(item_size, 0);
    for (std::size_t i = 0; i + 1 < fields.size(); ++i) {
      if (coder.bits(fields[i].first, std::nullopt) != fields[i].second) return std::nullopt;
    }
    const auto precision = static_cast<std::int64_t>(coder.bits(7, std::nullopt));
    const std::int64_t step = item_size / 4;
    if (precision != 0 && (precision < 2 * step || precision > 32 * step || precision % step != 0)) return std::nullopt;
    for (const std::int64_t extent : shape) {
      if (coder.bits(32, std::nullopt) != static_cast<std::uint64_t>(extent)) return std::nullopt;
    }
    std::vector<std::uint64_t> values(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]));
    code_fields(coder, false, shape, item_size, precision, values);
    if (!coder.is_at_end()) return std::nullopt;
    return values;
  } catch (const Corrupt&) {
    return std::nullopt;
  }
}

}  // namespace cvfast::reference
