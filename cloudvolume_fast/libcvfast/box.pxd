# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t
from libcpp cimport bool

cdef extern from "cvfast/core/box.hpp" namespace "cvfast" nogil:
    cppclass Int3:
        int64_t& operator[](size_t index) noexcept

    cppclass Int4:
        int64_t& operator[](size_t index) noexcept

    cppclass Box3:
        Int3 min
        Int3 max
        bool empty() noexcept
        Int3 shape() noexcept
        bool operator==(const Box3&) noexcept

    Box3 intersect(const Box3& a, const Box3& b) noexcept
    bool contains(const Box3& outer, const Box3& inner) noexcept
    Int4 fortran_strides(const Int3& shape, int64_t item_size) noexcept
