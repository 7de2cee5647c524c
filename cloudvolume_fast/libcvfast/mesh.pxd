# SPDX-License-Identifier: BSD-3-Clause
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libcpp cimport bool
from libcpp.vector cimport vector

from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cvfast/mesh/parallel.hpp" namespace "cvfast::mesh" nogil:
    cppclass Parallel:
        pass

cdef extern from "cvfast/mesh/fragment.hpp" namespace "cvfast::mesh" nogil:
    cppclass FragmentShape:
        uint64_t num_vertices
        uint64_t num_faces

    cppclass Transform:
        double[12] rows
        bool is_identity() noexcept

    Status parse_fragment(const_byte_span data, FragmentShape& out) noexcept
    Status decode_fragment(
        const_byte_span data, const FragmentShape& shape, uint64_t first_vertex, const Transform& transform,
        float* vertices, uint32_t* faces
    ) noexcept
    Status encode_fragment(
        const FragmentShape& shape, const float* vertices, const uint32_t* faces, byte* out
    ) noexcept
    Status transform_vertices(const Transform& transform, uint64_t n, float* vertices) noexcept

cdef extern from "cvfast/mesh/deduplicate.hpp" namespace "cvfast::mesh" nogil:
    cppclass FloatBuffer "cvfast::mesh::Buffer<float>":
        float* data() noexcept
        uint64_t size() noexcept

    cppclass UInt32Buffer "cvfast::mesh::Buffer<std::uint32_t>":
        uint32_t* data() noexcept
        uint64_t size() noexcept

    cppclass Triangles:
        FloatBuffer vertices
        UInt32Buffer faces

    cppclass TrianglesView:
        const float* vertices
        uint64_t num_vertices
        const uint32_t* faces
        uint64_t num_faces

    Status consolidate(const TrianglesView& mesh, const Parallel& parallel, Triangles& out) except +
    Status merge_marked_pairs(
        const TrianglesView& mesh, const uint8_t* is_marked, const Parallel& parallel, Triangles& out
    ) except +
    Status mark_chunk_borders(
        const float* vertices, uint64_t n, const double* chunk_size, const double* offset, double grid_size,
        uint8_t* is_marked
    ) noexcept

cdef extern from "cvfast/mesh/manifest.hpp" namespace "cvfast::mesh" nogil:
    cppclass Float3 "std::array<float, 3>":
        float& operator[](size_t i) noexcept

    cppclass UInt3 "std::array<std::uint32_t, 3>":
        uint32_t& operator[](size_t i) noexcept

    cppclass ManifestFragment:
        UInt3 position
        uint64_t offset
        uint32_t size

    cppclass ManifestLod:
        float scale
        Float3 vertex_offset
        vector[ManifestFragment] fragments

    cppclass Manifest:
        Float3 chunk_shape
        Float3 grid_origin
        vector[ManifestLod] lods

    Status parse_manifest(const_byte_span data, uint64_t data_bytes, Manifest& out) except +
    Status encode_manifest(const Manifest& manifest, vector[byte]& out) except +

cdef extern from "cvfast/mesh/quantize.hpp" namespace "cvfast::mesh" nogil:
    cppclass Double3 "std::array<double, 3>":
        double& operator[](size_t i) noexcept

    cppclass Cell:
        Double3 base
        Double3 extent
        Double3 number
        int bits

    cppclass CellMesh:
        UInt3 position
        vector[uint32_t] vertices
        vector[uint32_t] faces

    cppclass CellGrid:
        Double3 base
        Double3 extent
        UInt3 shape
        bool is_halved
        int bits

    Status dequantize(
        const Cell& cell, const uint32_t* quantized, uint64_t n, const Transform& transform, float* vertices
    ) noexcept
    Status quantize(const Cell& cell, const float* vertices, uint64_t n, uint32_t* quantized) noexcept
    Status cut_into_cells(
        const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces,
        const CellGrid& grid, vector[CellMesh]& out
    ) except +
