// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

/// The beginning of a DEFLATE stream (RFC 1951), and more of it on demand: for those who need a few voxels of a chunk
/// and not what lies behind them.
namespace cvfast::decode {

/// Inflates into the caller's memory until that holds enough, and goes on from there when asked again.
///
/// It gives up, rather than to say what is wrong, where the stream is not as it should be, and near its end: then the
/// whole stream must be inflated by other means, which judge it.
class InflatePrefix {
 public:
  /// Bytes of `out` behind the requested ones that may be written to.
  static constexpr std::size_t kSlackBytes = 320;

  /// `in` and `out` outlive this.
  InflatePrefix(std::span<const std::byte> in, std::span<std::byte> out) noexcept
      : in_(in.data()),
        in_end_(in.data() + in.size()),
        begin_(out.data()),
        out_(out.data()),
        capacity_(out.size()) {}

  /// Goes on until the first n bytes are there; false where they cannot be had.
  [[nodiscard]] bool extend(std::size_t n) noexcept;

  /// Where the stream ends behind what is there: the bytes of input behind it.  Nothing where it goes on, or where its
  /// end is too near to that of the input to be looked at; 64 bytes behind a stream are enough.
  [[nodiscard]] std::optional<std::size_t> end() noexcept;

  /// Bytes that are there: what was asked for, or a few more.
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(out_ - begin_); }

  static constexpr unsigned kLitLenBits = 11;
  static constexpr unsigned kDistanceBits = 8;

 private:
  enum class State : std::uint8_t { kHeader, kStored, kCodes, kBad };
  using Entry = std::uint32_t;

  void refill() noexcept;
  std::uint32_t take(unsigned count) noexcept;
  bool read_header() noexcept;
  bool read_stored_header() noexcept;
  bool read_codes() noexcept;
  void use_fixed_codes() noexcept;
  bool copy_stored(const std::byte* stop) noexcept;
  bool decode(const std::byte* stop) noexcept;
  void save(const std::byte* in, std::uint64_t bits, unsigned count, std::byte* out) noexcept;

  const std::byte* in_;
  const std::byte* in_end_;
  std::byte* begin_;
  std::byte* out_;
  std::size_t capacity_;
  std::uint64_t bits_ = 0;  // the next bits of the input, the first one lowest
  unsigned count_ = 0;      // how many of them count
  State state_ = State::kHeader;
  bool is_last_ = false;
  std::size_t stored_left_ = 0;
  // Room for the longest tables that complete codes of 286 and 30 symbols can make: 2342 and 402 entries are those of
  // 288 and 32 symbols.
  std::array<Entry, 2342> litlen_;
  std::array<Entry, 402> distances_;
};

}  // namespace cvfast::decode
