// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/core/status.hpp"

namespace cvfast {

const char* describe(Code code) noexcept {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kTruncated:
      return "the data end before what they announce";
    case Code::kTrailingBytes:
      return "unexpected bytes follow the data";
    case Code::kBadMagic:
      return "the first bytes are not those of the format";
    case Code::kOffsetRange:
      return "an offset points past the end of the data";
    case Code::kBadValue:
      return "a field holds a value that the format does not allow";
    case Code::kCorrupt:
      return "the compressed stream does not decode";
    case Code::kChecksum:
      return "the decoded data do not match the stored checksum or length";
    case Code::kTooLarge:
      return "the decoded data exceed the allowed size";
    case Code::kOverflow:
      return "the data cannot be represented in the format";
    case Code::kInvalidArgument:
      return "the geometry makes no sense";
    case Code::kNoMemory:
      return "not enough memory";
    case Code::kUnsupported:
      return "the data use a variant of the format that is not supported";
  }
  return "unknown status";
}

}  // namespace cvfast
