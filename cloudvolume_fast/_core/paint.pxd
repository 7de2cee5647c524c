# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint64_t

# Copies a 4-D box of items between two strided arrays that do not overlap.  Strides are in bytes, any value, negative
# and (source) zero included; shape and both strides are arrays of 4.  item_size is any positive number of bytes.
# Returns STATUS_INVALID_ARGUMENT for a negative shape or an item_size of 0.
cdef int copy_box(
    const void* src, const int64_t* src_strides, void* dst, const int64_t* dst_strides,
    const int64_t* shape, size_t item_size
) noexcept nogil

# Sets every item of a 4-D box to the item_size bytes at value.
cdef int fill_box(
    void* dst, const int64_t* dst_strides, const int64_t* shape, size_t item_size, const void* value
) noexcept nogil

# 1 if every item of a 4-D box equals the item_size bytes at value, bit by bit, else 0; 1 for an empty box.
cdef int box_equals(
    const void* src, const int64_t* src_strides, const int64_t* shape, size_t item_size, const void* value
) noexcept nogil

# The distinct values of a 4-D box of unsigned items (1, 2, 4 or 8 bytes), ascending.  *count is set to their number
# also when it exceeds capacity; then nothing is stored and the result is STATUS_TOO_LARGE.
cdef int unique_box(
    const void* src, const int64_t* src_strides, const int64_t* shape, size_t item_size,
    uint64_t* out, size_t capacity, size_t* count
) noexcept nogil
