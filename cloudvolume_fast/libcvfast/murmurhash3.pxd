# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint32_t, uint64_t

from cloudvolume_fast.libcvfast.std cimport const_byte_span

cdef extern from "cvfast/locate/murmurhash3.hpp" namespace "cvfast::locate" nogil:
    cppclass Hash128:
        uint64_t low
        uint64_t high

    Hash128 murmurhash3_x86_128(const_byte_span data, uint32_t seed) noexcept
    uint64_t murmurhash3_uint64(uint64_t value) noexcept
    void murmurhash3_uint64s(const uint64_t* values, size_t n, uint64_t* hashes) noexcept
