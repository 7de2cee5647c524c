# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t, uint32_t

from cloudvolume_fast._core.status cimport StatusDetail

# Binary skeletons (Neuroglancer, skeleton.rst).  An attribute is given by the bytes of an item (1 to 16) and its number
# of components (1 to 2^20); transforms are 3 rows of 4 doubles, applied to vertices, or NULL.

# Reads the header of n bytes and compares it with their number.  *present is set to how many of the attributes are
# there.  STATUS_TRUNCATED where anything is cut short.
cdef int measure(
    const uint8_t* data, size_t n, const uint32_t* item_bytes, const uint32_t* num_components,
    size_t num_attributes, uint32_t* num_vertices, uint32_t* num_edges, size_t* present, StatusDetail* detail
) noexcept nogil

# Decodes into arrays of the sizes that measure() told; attributes has a destination for each that is present.
# STATUS_BAD_VALUE where an edge names a vertex that is not there; otherwise as measure().
cdef int decode(
    const uint8_t* data, size_t n, const uint32_t* item_bytes, const uint32_t* num_components,
    size_t num_attributes, const double* transform, float* vertices, uint32_t* edges, uint8_t** attributes,
    StatusDetail* detail
) noexcept nogil
