# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t

from cloudvolume_fast._core.status cimport StatusDetail

# Inflates a gzip file (one or more members) of n bytes into at most capacity bytes; *written is set on success.
# STATUS_BAD_MAGIC, _TRUNCATED, _CORRUPT, _CHECKSUM, _TOO_LARGE or _TRAILING_BYTES otherwise.
cdef int decompress(
    const uint8_t* data, size_t n, uint8_t* out, size_t capacity, size_t* written, StatusDetail* detail
) noexcept nogil

# Compresses as one member, level 0 to 12.  capacity of compress_bound(n) always suffices; STATUS_TOO_LARGE if it is
# less and the result does not fit.
cdef int compress(
    const uint8_t* data, size_t n, int level, uint8_t* out, size_t capacity, size_t* written,
    StatusDetail* detail
) noexcept nogil

cdef size_t compress_bound(size_t n) noexcept nogil
