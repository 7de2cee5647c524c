# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t
from libcpp.vector cimport vector

from cloudvolume_fast.libcvfast.box cimport Int4
from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cvfast/decode/fpzip.hpp" namespace "cvfast::decode::fpzip" nogil:
    cppclass Header:
        Int4 shape
        int64_t item_size
        int64_t precision

    Status read_header(const_byte_span data, Header& header) noexcept
    Status decode(const_byte_span data, const Int4& shape, int64_t item_size, byte* dst) noexcept
    Status encode(
        const byte* src, const Int4& shape, int64_t item_size, int64_t precision, vector[byte]& out
    ) noexcept
