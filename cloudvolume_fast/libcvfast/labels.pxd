# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

from cloudvolume_fast.libcvfast.box cimport Int4
from cloudvolume_fast.libcvfast.std cimport byte, const_uint64_span

cdef extern from "cvfast/paint/labels.hpp" namespace "cvfast::paint" nogil:
    enum class VoxelOp:
        kCopy
        kEqualsLabel
        kKeepLabels

    cppclass VoxelMap:
        VoxelOp op
        uint64_t label
        const_uint64_span keep
        uint64_t other
        size_t output_item_size(size_t item_size) noexcept

    uint64_t map_voxel(const VoxelMap& map, uint64_t value) noexcept
    void map_box(
        const byte* src, const Int4& src_strides, byte* dst, const Int4& dst_strides,
        const Int4& shape, size_t item_size, const VoxelMap& map
    ) noexcept
    void unique_box(
        const byte* src, const Int4& src_strides, const Int4& shape, size_t item_size,
        vector[uint64_t]& out
    ) except +

    cppclass Renumberer:
        Renumberer(uint64_t background) except +
        size_t apply(
            const byte* src, size_t src_item_size, size_t count, byte* dst, size_t dst_item_size
        ) except +
        const unordered_map[uint64_t, uint64_t]& mapping() noexcept
