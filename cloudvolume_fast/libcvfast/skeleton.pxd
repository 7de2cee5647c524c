# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint32_t

from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cvfast/skeleton/precomputed.hpp" namespace "cvfast::skeleton" nogil:
    cppclass AttributeFormat:
        uint32_t item_bytes
        uint32_t num_components

    cppclass Extents:
        uint32_t num_vertices
        uint32_t num_edges
        size_t num_attributes

    cppclass Affine:
        double& operator[](size_t)

    # Spans of what the caller keeps; declared here because Cython has none.
    cppclass formats_span "std::span<const cvfast::skeleton::AttributeFormat>":
        formats_span() noexcept
        formats_span(const AttributeFormat* data, size_t size) noexcept

    cppclass targets_span "std::span<std::byte* const>":
        targets_span(byte** data, size_t size) noexcept

    cppclass sources_span "std::span<const std::byte* const>":
        sources_span(const byte** data, size_t size) noexcept

    Status measure(const_byte_span data, formats_span attributes, Extents& out) noexcept
    Status decode(
        const_byte_span data, formats_span formats, const Extents& extents, const Affine* transform,
        float* vertices, uint32_t* edges, targets_span attributes
    ) noexcept
    Status encoded_size(
        uint32_t num_vertices, uint32_t num_edges, formats_span attributes, size_t& out
    ) noexcept
    Status encode(
        uint32_t num_vertices, uint32_t num_edges, const float* vertices, const uint32_t* edges,
        formats_span formats, sources_span attributes, const Affine* transform, byte* out
    ) noexcept
