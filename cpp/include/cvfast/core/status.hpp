// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace cvfast {

/// Why a kernel stopped.  Every value but kOk leaves the destination unspecified, never out of bounds.
enum class Code : std::uint8_t {
  kOk = 0,
  kTruncated,        ///< the input ends before what it announces
  kTrailingBytes,    ///< the input goes on after what it announces
  kBadMagic,         ///< the first bytes are not those of the format
  kOffsetRange,      ///< an offset inside the input points outside of it
  kBadValue,         ///< a field holds a value that the format does not allow
  kCorrupt,          ///< an entropy coded stream does not decode
  kChecksum,         ///< decoded, but the stored checksum or length says otherwise
  kTooLarge,         ///< decoded data exceed the limit that the caller set
  kOverflow,         ///< the data cannot be represented in the format
  kInvalidArgument,  ///< the caller's geometry makes no sense
  kNoMemory,
  kUnsupported,  ///< a variant of the format that nothing here decodes
};

/// The outcome of a kernel: what happened, at which byte of the input, what was wanted and what was there.
struct [[nodiscard]] Status {
  Code code = Code::kOk;
  std::uint64_t offset = 0;
  std::uint64_t expected = 0;
  std::uint64_t found = 0;

  [[nodiscard]] constexpr bool ok() const noexcept { return code == Code::kOk; }
};

/// A sentence without identity ("offset points past the end"); the caller adds the key.
[[nodiscard]] const char* describe(Code code) noexcept;

}  // namespace cvfast
