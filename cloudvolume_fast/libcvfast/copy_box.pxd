# SPDX-License-Identifier: BSD-3-Clause
from libcpp cimport bool

from cloudvolume_fast.libcvfast.box cimport Int4
from cloudvolume_fast.libcvfast.std cimport byte

cdef extern from "cvfast/paint/copy_box.hpp" namespace "cvfast::paint" nogil:
    void copy_box(
        const byte* src, const Int4& src_strides, byte* dst, const Int4& dst_strides,
        const Int4& shape, size_t item_size
    ) noexcept
    void fill_box(
        byte* dst, const Int4& dst_strides, const Int4& shape, size_t item_size, const byte* value
    ) noexcept
    bool box_equals(
        const byte* src, const Int4& src_strides, const Int4& shape, size_t item_size,
        const byte* value
    ) noexcept
