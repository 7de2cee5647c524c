# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint64_t

# Compressed Morton codes (Neuroglancer, sharded.rst).  grid_size is an array of 3 positive numbers, a point is xyz.

# Bits that a code of the grid has.  More than 64 cannot be encoded.
cdef int morton_bits(const int64_t* grid_size) noexcept nogil

# The codes of n points, rows of xyz.  STATUS_INVALID_ARGUMENT when a size is not positive or the codes need more than
# 64 bits; the code of a point outside of the grid is unspecified.
cdef int compressed_morton_codes(
    const int64_t* points, size_t n, const int64_t* grid_size, uint64_t* codes
) noexcept nogil

# The grid points of n codes.  Same failures.
cdef int morton_to_grid_points(
    const uint64_t* codes, size_t n, const int64_t* grid_size, int64_t* points
) noexcept nogil
