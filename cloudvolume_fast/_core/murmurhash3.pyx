# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True, boundscheck=False
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint32_t, uint64_t

from cloudvolume_fast.libcvfast cimport murmurhash3 as lib
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

import numpy as np

from cloudvolume_fast.errors import InvalidArgumentError


cdef void murmurhash3_x86_128(const void* data, size_t n, uint32_t seed, uint64_t* hash) noexcept nogil:
    cdef lib.Hash128 value = lib.murmurhash3_x86_128(const_byte_span(<const byte*> data, n), seed)
    hash[0] = value.low
    hash[1] = value.high


cdef uint64_t murmurhash3_uint64(uint64_t value) noexcept nogil:
    return lib.murmurhash3_uint64(value)


cdef void murmurhash3_uint64s(const uint64_t* values, size_t n, uint64_t* hashes) noexcept nogil:
    lib.murmurhash3_uint64s(values, n, hashes)


def hash_bytes(data, uint32_t seed=0):
    cdef Py_buffer view
    cdef uint64_t[2] halves
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            murmurhash3_x86_128(view.buf, view.len, seed, halves)
    finally:
        PyBuffer_Release(&view)
    return (<object> halves[1] << 64) | halves[0]


def hash_uint64(values):
    array = np.ascontiguousarray(values, dtype=np.uint64)
    if array.ndim != 1:
        raise InvalidArgumentError(f"values: expected shape (n,), found {array.shape}")
    hashes = np.empty(array.shape[0], dtype=np.uint64)
    cdef const uint64_t[::1] values_view = array
    cdef uint64_t[::1] hashes_view = hashes
    cdef size_t n = array.shape[0]
    if n > 0:
        with nogil:
            murmurhash3_uint64s(&values_view[0], n, &hashes_view[0])
    return hashes
