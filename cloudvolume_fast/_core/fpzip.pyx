# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True
from cpython.buffer cimport (
    PyBUF_F_CONTIGUOUS, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
)
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core.status cimport STATUS_INVALID_ARGUMENT, STATUS_TOO_LARGE, StatusDetail
from cloudvolume_fast.libcvfast cimport fpzip as lib
from cloudvolume_fast.libcvfast.status cimport Status, describe
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

import numpy as np

from cloudvolume_fast._core._raise import raise_status
from cloudvolume_fast.errors import InvalidArgumentError


cdef int read_header(
    const uint8_t* data, size_t n, int64_t* shape, int64_t* item_size, int64_t* precision,
    StatusDetail* detail
) noexcept nogil:
    cdef lib.Header header
    cdef Status status = lib.read_header(const_byte_span(<const byte*> data, n), header)
    cdef int axis
    if status.ok():
        if shape != NULL:
            for axis in range(4):
                shape[axis] = header.shape[axis]
        if item_size != NULL:
            item_size[0] = header.item_size
        if precision != NULL:
            precision[0] = header.precision
    return glue.finish(status, detail)


cdef int decode_f32(
    const uint8_t* data, size_t n, const int64_t* shape, float* dst, StatusDetail* detail
) noexcept nogil:
    return glue.finish(
        lib.decode(const_byte_span(<const byte*> data, n), glue.int4(shape), 4, <byte*> dst), detail
    )


cdef int decode_f64(
    const uint8_t* data, size_t n, const int64_t* shape, double* dst, StatusDetail* detail
) noexcept nogil:
    return glue.finish(
        lib.decode(const_byte_span(<const byte*> data, n), glue.int4(shape), 8, <byte*> dst), detail
    )


cdef int encode_items(
    const byte* src, const int64_t* shape, int64_t item_size, int64_t precision, uint8_t* out,
    size_t capacity, size_t* written, StatusDetail* detail
) noexcept nogil:
    cdef vector[byte] buffer
    cdef Status status = lib.encode(src, glue.int4(shape), item_size, precision, buffer)
    written[0] = 0
    if status.ok():
        written[0] = buffer.size()
        if buffer.size() > capacity:
            return STATUS_TOO_LARGE
        memcpy(out, buffer.data(), buffer.size())
    return glue.finish(status, detail)


cdef int encode_f32(
    const float* src, const int64_t* shape, int64_t precision, uint8_t* out, size_t capacity,
    size_t* written, StatusDetail* detail
) noexcept nogil:
    return encode_items(<const byte*> src, shape, 4, precision, out, capacity, written, detail)


cdef int encode_f64(
    const double* src, const int64_t* shape, int64_t precision, uint8_t* out, size_t capacity,
    size_t* written, StatusDetail* detail
) noexcept nogil:
    return encode_items(<const byte*> src, shape, 8, precision, out, capacity, written, detail)


cdef int check(Status status) except -1:
    if not status.ok():
        raise_status("fpzip", <int> status.code, describe(status.code).decode(), status.offset,
                     status.expected, status.found)
    return 0


def _require_float(kind):
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InvalidArgumentError(f"dtype: expected float32 or float64, found {kind}")
    return kind


def header(data):
    cdef Py_buffer view
    cdef lib.Header found
    cdef Status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        status = lib.read_header(const_byte_span(<const byte*> view.buf, view.len), found)
    finally:
        PyBuffer_Release(&view)
    check(status)
    cdef object shape = tuple([<int64_t> found.shape[axis] for axis in range(4)])
    return shape, np.dtype(np.float32 if found.item_size == 4 else np.float64), found.precision


def decode(data, shape, dtype, *, out=None):
    cdef object kind = _require_float(np.dtype(dtype))
    cdef tuple extents = tuple(shape)
    if len(extents) != 4 or min(extents) < 1:
        raise InvalidArgumentError(f"shape: expected 4 positive extents, found {extents}")
    if out is None:
        out = np.empty(extents, kind, order="F")
    elif not isinstance(out, np.ndarray) or out.shape != extents or out.dtype != kind:
        raise InvalidArgumentError(f"out: expected an array of {kind}, shape {extents}")
    elif not (out.flags.f_contiguous and out.flags.writeable):
        raise InvalidArgumentError("out: expected a writeable array in Fortran order")
    cdef Py_buffer view, out_view
    cdef int64_t[4] sizes
    cdef int64_t item_size = kind.itemsize
    cdef int axis
    cdef Status status
    for axis in range(4):
        sizes[axis] = extents[axis]
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(out, &out_view, PyBUF_F_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            with nogil:
                status = lib.decode(const_byte_span(<const byte*> view.buf, view.len), glue.int4(sizes),
                                    item_size, <byte*> out_view.buf)
        finally:
            PyBuffer_Release(&out_view)
    finally:
        PyBuffer_Release(&view)
    check(status)
    return out


def encode(values, *, int64_t precision=0):
    if not isinstance(values, np.ndarray):
        raise TypeError(f"values: expected a numpy array, found {type(values).__name__}")
    cdef int64_t item_size = _require_float(values.dtype).itemsize
    if not 1 <= values.ndim <= 4 or values.size == 0:
        raise InvalidArgumentError(f"values: expected 1 to 4 axes and values, found shape {values.shape}")
    cdef object packed = np.asfortranarray(values)
    cdef Py_buffer view
    cdef int64_t[4] sizes
    cdef vector[byte] out
    cdef Status status
    cdef int axis
    for axis in range(4):
        sizes[axis] = packed.shape[axis] if axis < packed.ndim else 1
    PyObject_GetBuffer(packed, &view, PyBUF_F_CONTIGUOUS)
    try:
        with nogil:
            status = lib.encode(<const byte*> view.buf, glue.int4(sizes), item_size, precision, out)
    finally:
        PyBuffer_Release(&view)
    if <int> status.code == STATUS_INVALID_ARGUMENT:
        raise InvalidArgumentError(
            f"precision: expected 0, 2 to 32 (float32) or an even number of 4 to 64 (float64), found {precision}"
        )
    check(status)
    return PyBytes_FromStringAndSize(<const char*> out.data(), out.size())
