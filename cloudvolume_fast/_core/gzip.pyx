# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core.status cimport STATUS_TOO_LARGE, StatusDetail
from cloudvolume_fast.libcvfast cimport gzip as lib
from cloudvolume_fast.libcvfast.status cimport Status, describe
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

from cloudvolume_fast._core._raise import raise_status
from cloudvolume_fast.errors import InvalidArgumentError

_MAX_LEVEL = 12


cdef int decompress(
    const uint8_t* data, size_t n, uint8_t* out, size_t capacity, size_t* written, StatusDetail* detail
) noexcept nogil:
    written[0] = 0
    return glue.finish(
        lib.decompress_into(const_byte_span(<const byte*> data, n), <byte*> out, capacity, written[0]), detail
    )


cdef int compress(
    const uint8_t* data, size_t n, int level, uint8_t* out, size_t capacity, size_t* written,
    StatusDetail* detail
) noexcept nogil:
    cdef vector[byte] buffer
    cdef Status status = lib.compress(const_byte_span(<const byte*> data, n), level, buffer)
    written[0] = 0
    if not status.ok():
        return glue.finish(status, detail)
    if buffer.size() > capacity:
        if detail != NULL:
            detail.offset = 0
            detail.expected = capacity
            detail.found = buffer.size()
        return STATUS_TOO_LARGE
    memcpy(out, buffer.data(), buffer.size())
    written[0] = buffer.size()
    return glue.finish(status, detail)


cdef size_t compress_bound(size_t n) noexcept nogil:
    return lib.compress_bound(n)


cdef int check(Status status) except -1:
    if not status.ok():
        raise_status("gzip", <int> status.code, describe(status.code).decode(), status.offset,
                     status.expected, status.found)
    return 0


def decompress_bytes(data, *, uint64_t limit_bytes):
    cdef Py_buffer view
    cdef vector[byte] out
    cdef Status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            status = lib.decompress(const_byte_span(<const byte*> view.buf, view.len), limit_bytes, out)
    finally:
        PyBuffer_Release(&view)
    check(status)
    return PyBytes_FromStringAndSize(<const char*> out.data(), out.size())


def decompress_into(data, out):
    cdef Py_buffer view, out_view
    cdef size_t written = 0
    cdef Status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(out, &out_view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            with nogil:
                status = lib.decompress_into(const_byte_span(<const byte*> view.buf, view.len),
                                             <byte*> out_view.buf, out_view.len, written)
        finally:
            PyBuffer_Release(&out_view)
    finally:
        PyBuffer_Release(&view)
    check(status)
    return written


def compress_bytes(data, *, int level=6):
    if not 0 <= level <= _MAX_LEVEL:
        raise InvalidArgumentError(f"level: expected 0 to {_MAX_LEVEL}, found {level}")
    cdef Py_buffer view
    cdef vector[byte] out
    cdef Status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            status = lib.compress(const_byte_span(<const byte*> view.buf, view.len), level, out)
    finally:
        PyBuffer_Release(&view)
    check(status)
    return PyBytes_FromStringAndSize(<const char*> out.data(), out.size())
