# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t
from libcpp.vector cimport vector

from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cvfast/decode/gzip.hpp" namespace "cvfast::decode::gzip" nogil:
    # The name in quotes tells the overloads apart: Cython cannot pick between a pointer and an integer.
    Status decompress_into "cvfast::decode::gzip::decompress"(
        const_byte_span data, byte* out, size_t capacity, size_t& written
    ) noexcept
    Status decompress "cvfast::decode::gzip::decompress"(
        const_byte_span data, uint64_t limit, vector[byte]& out
    ) noexcept
    Status compress(const_byte_span data, int level, vector[byte]& out) noexcept
    size_t compress_bound(size_t n) noexcept
