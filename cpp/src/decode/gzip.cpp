// SPDX-License-Identifier: BSD-3-Clause
//
// The member header and trailer are parsed here and only the DEFLATE stream is left to libdeflate, because its own
// gzip entry point reports a short header, a wrong checksum and a broken stream as one and the same error.
//
// Compressing at level 9 costs libdeflate five to ten times what two kinds of chunks need, at the same size or less
// (chunks of 64^3; sizes beside zlib's at level 9, processor time beside libdeflate's at level 9):
//   recorded images         sparse_deflate          -1.4 % in 0.10 of the time (libdeflate at level 9: -0.1 %)
//   compressed_segmentation libdeflate at level 7   -1.9 %, of a connectomics segmentation -1.6 %, in 0.35 and 0.30
//                                                   (at level 9: -2.4 and -1.9 %)
// Both are taken only where they prove as small, on a sample of the very chunk or by what they make of it.
#include "cvfast/decode/gzip.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>

#include "cvfast/core/endian.hpp"
#include "inflate_prefix.hpp"
#include "skeleton_deflate.hpp"
#include "sparse_deflate.hpp"
#include "thread_deflate.hpp"

namespace cvfast::decode::gzip {
namespace {

constexpr std::size_t kHeaderBytes = 10;
constexpr std::size_t kTrailerBytes = 8;

// RFC 1951: a match is at most 258 bytes and needs at least one bit each for its length and its distance, so one
// input byte gives at most 4 * 258 = 1032 bytes.
constexpr std::uint64_t kMaxExpansion = 1032;

enum Flag : unsigned { kHeaderCrc = 2, kExtra = 4, kName = 8, kComment = 16, kReserved = 0xe0 };

Status fail(Code code, std::size_t offset, std::uint64_t expected = 0, std::uint64_t found = 0) noexcept {
  return {code, offset, expected, found};
}

/// Moves `pos` over a zero-terminated header field.
bool skip_string(std::span<const std::byte> in, std::size_t& pos) noexcept {
  while (pos < in.size()) {
    if (in[pos++] == std::byte{0}) return true;
  }
  return false;
}

/// Moves `pos` from the start of a member to its DEFLATE stream.
Status skip_header(std::span<const std::byte> in, std::size_t& pos) noexcept {
  const std::size_t start = pos;
  const std::size_t left = in.size() - start;
  if (left > 0 && in[start] != std::byte{0x1f}) return fail(Code::kBadMagic, start);
  if (left > 1 && in[start + 1] != std::byte{0x8b}) return fail(Code::kBadMagic, start);
  if (left < kHeaderBytes) return fail(Code::kTruncated, in.size(), kHeaderBytes, left);
  constexpr std::byte kDeflate{8};
  if (in[start + 2] != kDeflate) {
    return fail(Code::kCorrupt, start + 2, 8, std::to_integer<std::uint64_t>(in[start + 2]));
  }
  const auto flags = std::to_integer<unsigned>(in[start + 3]);
  if ((flags & kReserved) != 0) return fail(Code::kCorrupt, start + 3, 0, flags);
  pos = start + kHeaderBytes;
  if ((flags & kExtra) != 0) {
    if (in.size() - pos < 2) return fail(Code::kTruncated, in.size());
    const std::size_t extra = load_le<std::uint16_t>(in.data() + pos);
    pos += 2;
    if (in.size() - pos < extra) return fail(Code::kTruncated, in.size());
    pos += extra;
  }
  if ((flags & kName) != 0 && !skip_string(in, pos)) return fail(Code::kTruncated, in.size());
  if ((flags & kComment) != 0 && !skip_string(in, pos)) return fail(Code::kTruncated, in.size());
  if ((flags & kHeaderCrc) != 0) {
    if (in.size() - pos < 2) return fail(Code::kTruncated, in.size());
    const std::uint32_t actual = libdeflate_crc32(0, in.data() + start, pos - start) & 0xffffU;
    const std::uint32_t stored = load_le<std::uint16_t>(in.data() + pos);
    if (actual != stored) return fail(Code::kChecksum, pos, stored, actual);
    pos += 2;
  }
  return {};
}

/// Calls work(), which may run out of memory.
template <typename Work>
Status within_memory(const Work& work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return fail(Code::kNoMemory, 0);
  } catch (const std::length_error&) {
    return fail(Code::kNoMemory, 0);
  }
}

/// Inflates the member at `pos` to out + written, moving both.  kTooLarge leaves them as they are.
Status inflate_member(std::span<const std::byte> in, std::size_t& pos, std::byte* out, std::size_t capacity,
                      std::size_t& written) noexcept {
  std::size_t cursor = pos;
  if (const Status status = skip_header(in, cursor); !status.ok()) return status;
  if (cursor == in.size()) return fail(Code::kTruncated, in.size());
  libdeflate_decompressor* const decompressor = thread_decompressor();
  if (decompressor == nullptr) return fail(Code::kNoMemory, pos);

  std::byte nowhere{};  // libdeflate does arithmetic on the pointer even when there is no room behind it
  std::byte* const target = capacity - written == 0 ? &nowhere : out + written;
  std::size_t used = 0;
  std::size_t produced = 0;
  switch (libdeflate_deflate_decompress_ex(decompressor, in.data() + cursor, in.size() - cursor, target,
                                           capacity - written, &used, &produced)) {
    case LIBDEFLATE_SUCCESS:
      break;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
      // libdeflate compares a stored block's length with the room before it compares it with the input.  Where the
      // input could not have filled the room, it is the input that is wrong.
      if ((capacity - written) / kMaxExpansion >= in.size() - cursor) return fail(Code::kCorrupt, cursor);
      return fail(Code::kTooLarge, cursor, capacity);
    default:
      return fail(Code::kCorrupt, cursor);
  }
  cursor += used;
  if (in.size() - cursor < kTrailerBytes) {
    return fail(Code::kTruncated, in.size(), kTrailerBytes, in.size() - cursor);
  }
  const std::uint32_t crc = libdeflate_crc32(0, target, produced);
  const auto stored_crc = load_le<std::uint32_t>(in.data() + cursor);
  if (crc != stored_crc) return fail(Code::kChecksum, cursor, stored_crc, crc);
  const auto stored_size = load_le<std::uint32_t>(in.data() + cursor + 4);
  if (stored_size != static_cast<std::uint32_t>(produced)) {
    return fail(Code::kChecksum, cursor + 4, stored_size, static_cast<std::uint32_t>(produced));
  }
  written += produced;
  pos = cursor + kTrailerBytes;
  return {};
}

/// Moves `pos` over zero padding; whether another member follows.
Status skip_padding(std::span<const std::byte> in, std::size_t& pos, bool& has_member) noexcept {
  const std::size_t end = pos;
  while (pos < in.size() && in[pos] == std::byte{0}) ++pos;
  has_member = in.size() - pos >= 2 && in[pos] == std::byte{0x1f} && in[pos + 1] == std::byte{0x8b};
  if (!has_member && pos != in.size()) return fail(Code::kTrailingBytes, pos, end, in.size());
  return {};
}

// Compressing.

constexpr int kBestOfZlib = 9;
constexpr int kSkeletonLevel = 6;

template <typename T>
void append(std::vector<std::byte>& out, T value) {
  out.resize(out.size() + sizeof(value));
  store_le(out.data() + out.size() - sizeof(value), value);
}

/// May throw std::bad_alloc, as all that follow.
Status compress_at(std::span<const std::byte> in, int level, std::vector<std::byte>& out) {
  libdeflate_compressor* const compressor = thread_compressor(level);
  if (compressor == nullptr) return fail(Code::kNoMemory, 0);
  out.resize(libdeflate_gzip_compress_bound(compressor, in.size()));
  const std::size_t size = libdeflate_gzip_compress(compressor, in.data(), in.size(), out.data(), out.size());
  if (size == 0) return fail(Code::kOverflow, 0);
  out.resize(size);
  return {};
}

/// Header and trailer of a member, around the stream that make() appends.
template <typename Make>
void append_member(std::span<const std::byte> in, std::vector<std::byte>& out, const Make& make) {
  constexpr std::array<std::uint8_t, kHeaderBytes> kHeader = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255};
  out.resize(kHeaderBytes);
  std::memcpy(out.data(), kHeader.data(), kHeaderBytes);
  if (!make()) return out.clear();
  append(out, libdeflate_crc32(0, in.data(), in.size()));
  append(out, static_cast<std::uint32_t>(in.size()));
}

/// Compresses, or where too much repeats leaves `out` empty; returns how many bytes repeat.
std::size_t compress_sparsely(std::span<const std::byte> in, std::size_t most_matched, std::vector<std::byte>& out) {
  SparseDeflate done;
  append_member(in, out, [&] {
    done = sparse_deflate(in, out, most_matched);
    return done.matched_bytes <= most_matched;
  });
  return done.matched_bytes;
}

/// At the level that skeletons are written at; others are libdeflate's.
Status compress_small(std::span<const std::byte> in, std::vector<std::byte>& out) {
  append_member(in, out, [&] { return skeleton_deflate(in, out); });
  return out.empty() ? compress_at(in, kSkeletonLevel, out) : Status{};
}

std::span<const std::byte> middle(std::span<const std::byte> in, std::size_t size) noexcept {
  return in.subspan((in.size() - size) / 2, size);
}

/// Within half a percent.
bool is_as_small(std::size_t size, std::size_t other) noexcept { return size <= other + other / 200; }

/// Whether compressing sparsely makes pieces of the input about as small as libdeflate does.  May throw.
bool is_good_sparsely(std::span<const std::byte> in) {
  // Pieces within which libdeflate would change its codes, if the values did.
  constexpr std::size_t kPieces = 2;
  constexpr std::size_t kPieceBytes = std::size_t{1} << 14;
  const std::size_t size = std::max(kPieceBytes, in.size() / 32);
  std::size_t sparse = 0;
  std::size_t best = 0;
  std::vector<std::byte> out;
  for (std::size_t i = 0; i < kPieces; ++i) {
    const std::span<const std::byte> piece = in.subspan(in.size() / (kPieces + 1) * (i + 1), size);
    (void)compress_sparsely(piece, piece.size(), out);
    sparse += out.size();
    if (!compress_at(piece, kBestOfZlib, out).ok()) return false;
    best += out.size();
  }
  return is_as_small(sparse, best);
}

Status compress_any(std::span<const std::byte> in, std::vector<std::byte>& out) {
  constexpr std::size_t kSmallestBytes = 4096;
  constexpr std::size_t kSampledBytes = std::size_t{1} << 16;
  if (in.size() < kSmallestBytes) return compress_at(in, kBestOfZlib, out);
  std::vector<std::byte> sparse;
  const std::size_t matched = compress_sparsely(in, in.size() / 2, sparse);
  const bool is_sparse = matched < in.size() / 16 && sparse.size() < in.size() - in.size() / 32;
  // Repetitions of 3 to 5 bytes are not looked at: they might be what this input consists of.
  if (is_sparse && in.size() >= kSampledBytes && is_good_sparsely(in)) {
    out.swap(sparse);
    return {};
  }
  if (const Status status = compress_at(in, kBestOfZlib, out); !status.ok()) return status;
  if (!sparse.empty() && sparse.size() < out.size()) out.swap(sparse);
  return {};
}

Status compress_segmentation(std::span<const std::byte> in, std::vector<std::byte>& out) {
  constexpr int kFastLevel = 7;
  // Below, the best costs a millisecond at most; above, what is sampled is as long as deflate can look back.
  constexpr std::size_t kSmallestBytes = std::size_t{1} << 15;
  constexpr std::size_t kSampledBytes = std::size_t{1} << 18;
  constexpr std::size_t kSamplePart = 8;
  if (in.size() < kSmallestBytes) return compress_at(in, kBestOfZlib, out);
  if (in.size() >= kSampledBytes) {
    const std::span<const std::byte> sample = middle(in, in.size() / kSamplePart);
    if (const Status status = compress_at(sample, kFastLevel, out); !status.ok()) return status;
    const std::size_t fast = out.size();
    if (const Status status = compress_at(sample, kBestOfZlib, out); !status.ok()) return status;
    if (!is_as_small(fast, out.size())) return compress_at(in, kBestOfZlib, out);
  }
  if (const Status status = compress_at(in, kFastLevel, out); !status.ok()) return status;
  // What shrinks this much repeats from far away, and longer searches pay.
  constexpr std::size_t kTooGood = 6;
  if (out.size() >= in.size() / kTooGood) return {};
  std::vector<std::byte> best;
  if (const Status status = compress_at(in, kBestOfZlib, best); !status.ok()) return status;
  if (best.size() < out.size()) out.swap(best);
  return {};
}

}  // namespace

Status decompress(std::span<const std::byte> in, std::byte* out, std::size_t capacity, std::size_t& written) noexcept {
  std::size_t pos = 0;
  std::size_t size = 0;
  for (bool has_member = true; has_member;) {
    if (const Status status = inflate_member(in, pos, out, capacity, size); !status.ok()) return status;
    if (const Status status = skip_padding(in, pos, has_member); !status.ok()) return status;
  }
  written = size;
  return {};
}

Status decompress(std::span<const std::byte> in, std::uint64_t limit, std::vector<std::byte>& out) noexcept {
  return within_memory([&]() -> Status {
    // Whatever the input claims, it cannot inflate to more than this, nor may it to more than the limit.
    std::uint64_t ceiling = 0;
    if (__builtin_mul_overflow(std::uint64_t{in.size()}, kMaxExpansion, &ceiling)) {
      ceiling = std::numeric_limits<std::uint64_t>::max();
    }
    ceiling = std::min({ceiling, limit, std::uint64_t{out.max_size()}});
    std::uint64_t guess = in.size() >= 4 ? load_le<std::uint32_t>(in.data() + in.size() - 4) : 0;
    // Zero padding hides the length; a small guess is as good as none.
    if (guess < in.size()) guess = 4 * std::uint64_t{in.size()};
    // Not cleared first: growing within the old size does not write zeros that inflating would overwrite.
    out.resize(static_cast<std::size_t>(std::min(guess, ceiling)));

    std::size_t pos = 0;
    std::size_t size = 0;
    for (bool has_member = true; has_member;) {
      const Status status = inflate_member(in, pos, out.data(), out.size(), size);
      if (status.code == Code::kTooLarge && out.size() < ceiling) {
        out.resize(
            static_cast<std::size_t>(std::min(std::max<std::uint64_t>(2 * std::uint64_t{out.size()}, 4096), ceiling)));
        continue;
      }
      if (!status.ok()) return status;
      if (const Status padding = skip_padding(in, pos, has_member); !padding.ok()) return padding;
    }
    out.resize(size);
    return {};
  });
}

bool decompress_padded(const std::byte* in, std::size_t in_size, std::byte* out, std::size_t size) noexcept {
  static_assert(kOutputPadding >= InflatePrefix::kSlackBytes);
  std::size_t pos = 0;
  if (!skip_header({in, in_size}, pos).ok() || in_size - pos < kTrailerBytes) return false;
  InflatePrefix inflater({in + pos, in_size - pos + kInputPadding}, {out, size + kOutputPadding});
  if (!inflater.extend(size) || inflater.size() != size) return false;
  if (inflater.end() != kTrailerBytes + kInputPadding) return false;
  const std::byte* const trailer = in + in_size - kTrailerBytes;
  return load_le<std::uint32_t>(trailer) == libdeflate_crc32(0, out, size) &&
         load_le<std::uint32_t>(trailer + 4) == static_cast<std::uint32_t>(size);
}

std::span<const std::byte> first_stream(std::span<const std::byte> in) noexcept {
  std::size_t pos = 0;
  if (!skip_header(in, pos).ok()) return {};
  return in.subspan(pos);
}

Status compress(std::span<const std::byte> in, int level, std::vector<std::byte>& out, Content content) noexcept {
  if (level < 0 || level > kMaxDeflateLevel) {
    return fail(Code::kInvalidArgument, 0, kMaxDeflateLevel, static_cast<std::uint64_t>(level));
  }
  return within_memory([&]() -> Status {
    if (level == kSkeletonLevel) return compress_small(in, out);
    if (level != kBestOfZlib) return compress_at(in, level, out);
    return content == Content::kCompressedSegmentation ? compress_segmentation(in, out) : compress_any(in, out);
  });
}

std::size_t compress_bound(std::size_t n) noexcept { return libdeflate_gzip_compress_bound(nullptr, n); }

}  // namespace cvfast::decode::gzip
