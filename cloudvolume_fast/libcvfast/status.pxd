# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t
from libcpp cimport bool

cdef extern from "cvfast/core/status.hpp" namespace "cvfast" nogil:
    enum class Code:
        kOk
        kTruncated
        kTrailingBytes
        kBadMagic
        kOffsetRange
        kBadValue
        kCorrupt
        kChecksum
        kTooLarge
        kOverflow
        kInvalidArgument
        kNoMemory
        kUnsupported

    cppclass Status:
        Code code
        uint64_t offset
        uint64_t expected
        uint64_t found
        bool ok() noexcept

    const char* describe(Code code) noexcept
