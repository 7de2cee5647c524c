# SPDX-License-Identifier: BSD-3-Clause
from cloudvolume_fast.libcvfast.std cimport byte

cdef extern from "cvfast/core/endian.hpp" namespace "cvfast" nogil:
    T load_le[T](const byte* p) noexcept
    void store_le[T](byte* p, T value) noexcept
