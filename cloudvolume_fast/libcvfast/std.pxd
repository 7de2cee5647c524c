# SPDX-License-Identifier: BSD-3-Clause
# The parts of the C++20 library that the headers use and that Cython's libcpp lacks.
from libc.stdint cimport uint64_t

cdef extern from "<cstddef>" namespace "std" nogil:
    cppclass byte:
        pass

cdef extern from "<span>" namespace "std" nogil:
    cppclass const_byte_span "std::span<const std::byte>":
        const_byte_span() noexcept
        const_byte_span(const byte* data, size_t size) noexcept
        const byte* data() noexcept
        size_t size() noexcept
    cppclass const_uint64_span "std::span<const std::uint64_t>":
        const_uint64_span() noexcept
        const_uint64_span(const uint64_t* data, size_t size) noexcept
        const uint64_t* data() noexcept
        size_t size() noexcept
