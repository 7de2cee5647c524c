# SPDX-License-Identifier: BSD-3-Clause
# Private to the modules of this package: cpp/bindings/cython_glue.hpp and what they all do with its results.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp cimport bool
from libcpp.vector cimport vector

from cloudvolume_fast._core.status cimport StatusDetail
from cloudvolume_fast.libcvfast.box cimport Box3, Int3, Int4
from cloudvolume_fast.libcvfast.compressed_segmentation cimport Geometry
from cloudvolume_fast.libcvfast.shard_assembly cimport AssembledShard
from cloudvolume_fast.libcvfast.shard_spec cimport ShardSpec
from cloudvolume_fast.libcvfast.skeleton cimport AttributeFormat
from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cython_glue.hpp" namespace "cvfast::glue" nogil:
    Int3 int3(const int64_t* p) noexcept
    Int4 int4(const int64_t* p) noexcept
    bool is_sane(const Geometry& geometry) noexcept
    Status decode_box(
        const_byte_span data, const Geometry& geometry, const Box3& box, int64_t channel_begin,
        int64_t channel_end, byte* dst, const Int4& dst_strides
    ) noexcept
    Status unique_box(
        const_byte_span data, const Geometry& geometry, const Box3& box, int64_t channel_begin,
        int64_t channel_end, vector[uint64_t]& out
    ) noexcept
    Status encode(
        const byte* src, const Int4& src_strides, const Geometry& geometry, vector[byte]& out
    ) noexcept
    Status unique_items(
        const byte* src, const Int4& src_strides, const Int4& shape, size_t item_size,
        vector[uint64_t]& out
    ) noexcept
    Status parse_shard_index(const_byte_span data, uint64_t payload_bytes, uint64_t* extents) noexcept
    Status parse_minishard_index(const_byte_span data, uint64_t payload_bytes, uint64_t* entries) noexcept
    Status assemble_shard(
        const ShardSpec& spec, const uint64_t* ids, const uint64_t* sizes, const uint64_t* skips, size_t n,
        AssembledShard& out
    ) noexcept
    Status skeleton_formats(
        const uint32_t* item_bytes, const uint32_t* num_components, size_t n, vector[AttributeFormat]& out
    ) noexcept


cdef inline int finish(Status status, StatusDetail* detail) noexcept nogil:
    if detail != NULL:
        detail.offset = status.offset
        detail.expected = status.expected
        detail.found = status.found
    return <int> status.code
