# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint8_t

from cloudvolume_fast._core.status cimport StatusDetail

# The fpzip encoding of float arrays.  data is a stream of n bytes, shape an array of 4 extents (x, y, z, field).

# What a stream says about itself: shape, bytes of a value (4 or 8) and its leading bits that are stored.  Any of the
# three pointers may be NULL.  STATUS_BAD_MAGIC, _BAD_VALUE, _TRUNCATED or _CORRUPT when it is no fpzip stream.
cdef int read_header(
    const uint8_t* data, size_t n, int64_t* shape, int64_t* item_size, int64_t* precision,
    StatusDetail* detail
) noexcept nogil

# Decodes a stream of exactly this shape and type into a packed array, x fastest, whose product of extents the caller
# has allocated.  Also STATUS_BAD_VALUE for another shape or type, _TRAILING_BYTES, _NO_MEMORY (for one row), and
# _INVALID_ARGUMENT for a shape that is not positive or not within an int64 of bytes.
cdef int decode_f32(
    const uint8_t* data, size_t n, const int64_t* shape, float* dst, StatusDetail* detail
) noexcept nogil
cdef int decode_f64(
    const uint8_t* data, size_t n, const int64_t* shape, double* dst, StatusDetail* detail
) noexcept nogil

# Encodes a packed array, x fastest; precision is the number of leading bits to store, 0 for all.  *written is set to
# the size also when it exceeds capacity; then nothing is stored and the result is STATUS_TOO_LARGE.
cdef int encode_f32(
    const float* src, const int64_t* shape, int64_t precision, uint8_t* out, size_t capacity,
    size_t* written, StatusDetail* detail
) noexcept nogil
cdef int encode_f64(
    const double* src, const int64_t* shape, int64_t precision, uint8_t* out, size_t capacity,
    size_t* written, StatusDetail* detail
) noexcept nogil
