# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cloudvolume_fast._core.status cimport StatusDetail

# A transform is 12 doubles, three rows of four (x, y, z, 1), or NULL for none.  Vertices are 3 floats each, faces 3
# numbers of vertices.

# Finds out how many vertices and faces a single-resolution fragment holds.
# STATUS_TRUNCATED or _TRAILING_BYTES otherwise.
cdef int parse_fragment(
    const uint8_t* data, size_t n, uint64_t* num_vertices, uint64_t* num_faces, StatusDetail* detail
) noexcept nogil

# Decodes such a fragment into room for so many; vertex numbers are raised by first_vertex.
# STATUS_BAD_VALUE (a position that is not finite), _OFFSET_RANGE (a vertex that is not there), _OVERFLOW or as above.
cdef int decode_fragment(
    const uint8_t* data, size_t n, uint64_t first_vertex, const double* transform, float* vertices, uint32_t* faces,
    StatusDetail* detail
) noexcept nogil

# Writes such a fragment, of 4 + 12 * (num_vertices + num_faces) bytes.
# STATUS_OVERFLOW, _BAD_VALUE or _OFFSET_RANGE otherwise.
cdef int encode_fragment(
    const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces, uint8_t* out,
    StatusDetail* detail
) noexcept nogil

# Makes vertices and faces unique and sorts them, on this thread.  out_vertices has room for num_vertices, out_faces for
# num_faces; the counts tell how many were written.
# STATUS_BAD_VALUE, _OFFSET_RANGE, _OVERFLOW or _NO_MEMORY otherwise.
cdef int consolidate(
    const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces, float* out_vertices,
    uint64_t* vertex_count, uint32_t* out_faces, uint64_t* face_count, StatusDetail* detail
) noexcept nogil

# Makes one of marked vertices that come in pairs and drops vertices that no face uses; otherwise as consolidate.
# out_faces has room for num_faces, all of which are written.
cdef int merge_marked_pairs(
    const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces, const uint8_t* is_marked,
    float* out_vertices, uint64_t* vertex_count, uint32_t* out_faces, StatusDetail* detail
) noexcept nogil

# Marks vertices on the faces of chunks; see mark_chunk_borders in cvfast/mesh/deduplicate.hpp.
cdef int mark_chunk_borders(
    const float* vertices, uint64_t n, const double* chunk_size, const double* offset, double grid_size,
    uint8_t* is_marked
) noexcept nogil

# Turns positions quantised to so many bits into those of the model: base + extent * (number + q / (2^bits - 1)).
# STATUS_BAD_VALUE or _INVALID_ARGUMENT otherwise.
cdef int dequantize(
    const uint32_t* quantized, uint64_t n, const double* base, const double* extent, const double* number, int bits,
    const double* transform, float* vertices, StatusDetail* detail
) noexcept nogil

# The inverse, without transform; what is outside of the cell is moved to its rim.
cdef int quantize(
    const float* vertices, uint64_t n, const double* base, const double* extent, const double* number, int bits,
    uint32_t* quantized, StatusDetail* detail
) noexcept nogil

# The part of a multi-resolution manifest whose length is fixed, with the number of fragments of all levels.
ctypedef struct ManifestSummary:
    float[3] chunk_shape
    float[3] grid_origin
    uint64_t num_lods
    uint64_t num_fragments

# Reads it after the whole manifest has been checked; data_bytes is the size of all fragments, UINT64_MAX if unknown.
# STATUS_TRUNCATED, _TRAILING_BYTES, _TOO_LARGE, _BAD_VALUE, _OFFSET_RANGE or _NO_MEMORY otherwise.
cdef int parse_manifest(
    const uint8_t* data, size_t n, uint64_t data_bytes, ManifestSummary* out, StatusDetail* detail
) noexcept nogil
