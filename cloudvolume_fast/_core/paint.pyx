# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True
from cpython.buffer cimport PyBuffer_Release
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core._arrays cimport get_strided
from cloudvolume_fast._core.status cimport (
    STATUS_INVALID_ARGUMENT, STATUS_NO_MEMORY, STATUS_OK, STATUS_TOO_LARGE
)
from cloudvolume_fast.libcvfast cimport copy_box as lib
from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte

import numpy as np

from cloudvolume_fast.errors import InvalidArgumentError

_MAX_AXES = 4


cdef bint is_box(const int64_t* shape, size_t item_size) noexcept nogil:
    return item_size > 0 and shape[0] >= 0 and shape[1] >= 0 and shape[2] >= 0 and shape[3] >= 0


cdef int copy_box(
    const void* src, const int64_t* src_strides, void* dst, const int64_t* dst_strides,
    const int64_t* shape, size_t item_size
) noexcept nogil:
    if not is_box(shape, item_size):
        return STATUS_INVALID_ARGUMENT
    lib.copy_box(<const byte*> src, glue.int4(src_strides), <byte*> dst, glue.int4(dst_strides),
                 glue.int4(shape), item_size)
    return STATUS_OK


cdef int fill_box(
    void* dst, const int64_t* dst_strides, const int64_t* shape, size_t item_size, const void* value
) noexcept nogil:
    if not is_box(shape, item_size):
        return STATUS_INVALID_ARGUMENT
    lib.fill_box(<byte*> dst, glue.int4(dst_strides), glue.int4(shape), item_size, <const byte*> value)
    return STATUS_OK


cdef int box_equals(
    const void* src, const int64_t* src_strides, const int64_t* shape, size_t item_size, const void* value
) noexcept nogil:
    if not is_box(shape, item_size):
        return 1
    return lib.box_equals(<const byte*> src, glue.int4(src_strides), glue.int4(shape), item_size,
                          <const byte*> value)


cdef int unique_box(
    const void* src, const int64_t* src_strides, const int64_t* shape, size_t item_size,
    uint64_t* out, size_t capacity, size_t* count
) noexcept nogil:
    cdef vector[uint64_t] values
    cdef Status status
    count[0] = 0
    if not is_box(shape, item_size) or item_size not in (1, 2, 4, 8):
        return STATUS_INVALID_ARGUMENT
    status = glue.unique_items(<const byte*> src, glue.int4(src_strides), glue.int4(shape), item_size, values)
    if not status.ok():
        return <int> status.code
    count[0] = values.size()
    if values.size() > capacity:
        return STATUS_TOO_LARGE
    if values.size() > 0:
        memcpy(out, values.data(), values.size() * sizeof(uint64_t))
    return STATUS_OK


def _require_plain(array, str name):
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected a numpy array, found {type(array).__name__}")
    if array.dtype.hasobject or array.dtype.itemsize == 0:
        raise InvalidArgumentError(f"{name}: expected items of plain bytes, found {array.dtype}")
    if array.ndim > _MAX_AXES:
        raise InvalidArgumentError(f"{name}: expected at most {_MAX_AXES} axes, found {array.ndim}")


def _value_bytes(value, dtype):
    cast = np.asarray(value, dtype=dtype)
    if cast.ndim != 0:
        raise InvalidArgumentError(f"value: expected a scalar, found shape {cast.shape}")
    return cast.tobytes()


def copy_array(src, dst):
    _require_plain(src, "src")
    _require_plain(dst, "dst")
    if src.dtype != dst.dtype:
        raise InvalidArgumentError(f"dst: expected dtype {src.dtype}, found {dst.dtype}")
    if src.shape != dst.shape:
        raise InvalidArgumentError(f"dst: expected shape {src.shape}, found {dst.shape}")
    if not dst.flags.writeable:
        raise InvalidArgumentError("dst: expected a writeable array")
    if np.may_share_memory(src, dst):
        raise InvalidArgumentError("dst: expected memory apart from that of src")
    cdef Py_buffer src_view, dst_view
    cdef int64_t[4] shape, src_strides, dst_strides
    get_strided(src, &src_view, False, shape, src_strides)
    try:
        get_strided(dst, &dst_view, True, shape, dst_strides)
        try:
            with nogil:
                copy_box(src_view.buf, src_strides, dst_view.buf, dst_strides, shape, src_view.itemsize)
        finally:
            PyBuffer_Release(&dst_view)
    finally:
        PyBuffer_Release(&src_view)


def fill_array(dst, value):
    _require_plain(dst, "dst")
    if not dst.flags.writeable:
        raise InvalidArgumentError("dst: expected a writeable array")
    cdef bytes item = _value_bytes(value, dst.dtype)
    cdef const char* item_ptr = item
    cdef Py_buffer view
    cdef int64_t[4] shape, strides
    get_strided(dst, &view, True, shape, strides)
    try:
        with nogil:
            fill_box(view.buf, strides, shape, view.itemsize, item_ptr)
    finally:
        PyBuffer_Release(&view)


def array_equals(array, value):
    _require_plain(array, "array")
    cdef bytes item = _value_bytes(value, array.dtype)
    cdef const char* item_ptr = item
    cdef Py_buffer view
    cdef int64_t[4] shape, strides
    cdef int equal
    get_strided(array, &view, False, shape, strides)
    try:
        with nogil:
            equal = box_equals(view.buf, strides, shape, view.itemsize, item_ptr)
    finally:
        PyBuffer_Release(&view)
    return equal != 0


def unique(labels):
    _require_plain(labels, "labels")
    if labels.dtype.kind != "u" or not labels.dtype.isnative:
        raise InvalidArgumentError(f"labels: expected native unsigned integers, found {labels.dtype}")
    cdef Py_buffer view
    cdef int64_t[4] shape, strides
    cdef vector[uint64_t] values
    cdef Status status
    get_strided(labels, &view, False, shape, strides)
    try:
        with nogil:
            status = glue.unique_items(<const byte*> view.buf, glue.int4(strides), glue.int4(shape),
                                       view.itemsize, values)
    finally:
        PyBuffer_Release(&view)
    if <int> status.code == STATUS_NO_MEMORY:
        raise MemoryError("unique: out of memory")
    out = np.empty(values.size(), dtype=np.uint64)
    cdef uint64_t[::1] out_view = out
    if values.size() > 0:
        memcpy(&out_view[0], values.data(), values.size() * sizeof(uint64_t))
    return out.astype(labels.dtype, copy=False)
