# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint64_t

from cloudvolume_fast.libcvfast.box cimport Int3

cdef extern from "cvfast/locate/morton.hpp" namespace "cvfast::locate" nogil:
    int morton_bits(const Int3& grid_size) noexcept
    uint64_t compressed_morton_code(const Int3& grid_point, const Int3& grid_size) noexcept
    void compressed_morton_codes(
        const int64_t* points, size_t n, const Int3& grid_size, uint64_t* codes
    ) noexcept
    Int3 morton_to_grid_point(uint64_t code, const Int3& grid_size) noexcept
