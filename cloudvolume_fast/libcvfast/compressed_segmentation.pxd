# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint64_t
from libcpp.vector cimport vector

from cloudvolume_fast.libcvfast.box cimport Box3, Int3, Int4
from cloudvolume_fast.libcvfast.labels cimport VoxelMap
from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cvfast/decode/compressed_segmentation.hpp" \
        namespace "cvfast::decode::compressed_segmentation" nogil:
    cppclass Geometry:
        Int3 chunk_shape
        Int3 block_shape
        int64_t num_channels
        int64_t item_size

    Status decode_box(
        const_byte_span data, const Geometry& geometry, const Box3& box, int64_t channel_begin,
        int64_t channel_end, const VoxelMap& map, byte* dst, const Int4& dst_strides
    ) noexcept
    Status unique_box(
        const_byte_span data, const Geometry& geometry, const Box3& box, int64_t channel_begin,
        int64_t channel_end, vector[uint64_t]& out
    ) except +
    Status encode(
        const byte* src, const Int4& src_strides, const Geometry& geometry, vector[byte]& out
    ) except +
    uint64_t max_encoded_bytes(const Geometry& geometry) noexcept
