# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True, boundscheck=False
from libc.stdint cimport int64_t, uint64_t

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core._arrays cimport get_triple
from cloudvolume_fast._core.status cimport STATUS_INVALID_ARGUMENT, STATUS_OK
from cloudvolume_fast.libcvfast cimport morton as lib
from cloudvolume_fast.libcvfast.box cimport Int3

import numpy as np

from cloudvolume_fast.errors import InvalidArgumentError

_MAX_BITS = 64


cdef bint is_grid(const int64_t* grid_size) noexcept nogil:
    return (grid_size[0] > 0 and grid_size[1] > 0 and grid_size[2] > 0
            and lib.morton_bits(glue.int3(grid_size)) <= 64)


cdef int morton_bits(const int64_t* grid_size) noexcept nogil:
    return lib.morton_bits(glue.int3(grid_size))


cdef int compressed_morton_codes(
    const int64_t* points, size_t n, const int64_t* grid_size, uint64_t* codes
) noexcept nogil:
    if not is_grid(grid_size):
        return STATUS_INVALID_ARGUMENT
    lib.compressed_morton_codes(points, n, glue.int3(grid_size), codes)
    return STATUS_OK


cdef int morton_to_grid_points(
    const uint64_t* codes, size_t n, const int64_t* grid_size, int64_t* points
) noexcept nogil:
    cdef Int3 point
    cdef size_t i
    if not is_grid(grid_size):
        return STATUS_INVALID_ARGUMENT
    for i in range(n):
        point = lib.morton_to_grid_point(codes[i], glue.int3(grid_size))
        points[3 * i] = point[0]
        points[3 * i + 1] = point[1]
        points[3 * i + 2] = point[2]
    return STATUS_OK


cdef int get_grid(object grid_size, int64_t* out) except -1:
    get_triple(grid_size, "grid_size", out)
    if out[0] <= 0 or out[1] <= 0 or out[2] <= 0:
        raise InvalidArgumentError(f"grid_size: expected positive numbers, found {tuple(grid_size)}")
    if morton_bits(out) > _MAX_BITS:
        raise InvalidArgumentError(
            f"grid_size: expected codes of at most {_MAX_BITS} bits, found {morton_bits(out)}"
        )
    return 0


def bits(grid_size):
    cdef int64_t[3] grid
    get_triple(grid_size, "grid_size", grid)
    if grid[0] <= 0 or grid[1] <= 0 or grid[2] <= 0:
        raise InvalidArgumentError(f"grid_size: expected positive numbers, found {tuple(grid_size)}")
    return morton_bits(grid)


def encode(grid_points, grid_size):
    cdef int64_t[3] grid
    get_grid(grid_size, grid)
    points = np.ascontiguousarray(grid_points, dtype=np.int64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InvalidArgumentError(f"grid_points: expected shape (n, 3), found {points.shape}")
    outside = ((points < 0) | (points >= np.array(tuple(grid_size), dtype=np.int64))).any(axis=1)
    if outside.any():
        row = int(np.argmax(outside))
        raise InvalidArgumentError(
            f"grid_points: expected points inside the grid {tuple(grid_size)}, "
            f"found {tuple(points[row].tolist())} in row {row}"
        )
    codes = np.empty(points.shape[0], dtype=np.uint64)
    cdef const int64_t[:, ::1] points_view = points
    cdef uint64_t[::1] codes_view = codes
    cdef size_t n = points.shape[0]
    if n > 0:
        with nogil:
            compressed_morton_codes(&points_view[0, 0], n, grid, &codes_view[0])
    return codes


def decode(codes, grid_size):
    cdef int64_t[3] grid
    get_grid(grid_size, grid)
    array = np.ascontiguousarray(codes, dtype=np.uint64)
    if array.ndim != 1:
        raise InvalidArgumentError(f"codes: expected shape (n,), found {array.shape}")
    points = np.empty((array.shape[0], 3), dtype=np.int64)
    cdef const uint64_t[::1] codes_view = array
    cdef int64_t[:, ::1] points_view = points
    cdef size_t n = array.shape[0]
    if n > 0:
        with nogil:
            morton_to_grid_points(&codes_view[0], n, grid, &points_view[0, 0])
    return points
