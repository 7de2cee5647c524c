# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t

# Why a kernel stopped.  After anything but STATUS_OK the destination is unspecified, never written out of bounds.
# Numbers are never reused; new ones are added at the end, so treat an unknown one as a failure.
cdef enum StatusCode:
    STATUS_OK = 0
    STATUS_TRUNCATED = 1  # the input ends before what it announces
    STATUS_TRAILING_BYTES = 2  # the input goes on after what it announces
    STATUS_BAD_MAGIC = 3  # the first bytes are not those of the format
    STATUS_OFFSET_RANGE = 4  # an offset inside the input points outside of it
    STATUS_BAD_VALUE = 5  # a field holds a value that the format does not allow
    STATUS_CORRUPT = 6  # an entropy coded stream does not decode
    STATUS_CHECKSUM = 7  # decoded, but the stored checksum or length says otherwise
    STATUS_TOO_LARGE = 8  # the result exceeds the capacity that the caller gave
    STATUS_OVERFLOW = 9  # the data cannot be represented in the format
    STATUS_INVALID_ARGUMENT = 10  # the caller's geometry makes no sense
    STATUS_NO_MEMORY = 11
    STATUS_UNSUPPORTED = 12  # a variant of the format that nothing here decodes

# Where and what.  The caller owns it, so its members are fixed: more detail would be a new struct.
ctypedef struct StatusDetail:
    uint64_t offset  # byte of the input
    uint64_t expected
    uint64_t found
