# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core._arrays cimport get_strided, get_triple
from cloudvolume_fast._core.status cimport STATUS_TOO_LARGE, StatusDetail
from cloudvolume_fast.libcvfast cimport compressed_segmentation as lib
from cloudvolume_fast.libcvfast.box cimport Box3
from cloudvolume_fast.libcvfast.status cimport Status, describe
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

import numpy as np

from cloudvolume_fast._core._raise import raise_status
from cloudvolume_fast.errors import InvalidArgumentError


cdef lib.Geometry make_geometry(
    const int64_t* chunk_shape, const int64_t* block_shape, int64_t num_channels, int64_t item_size
) noexcept nogil:
    cdef lib.Geometry geometry
    geometry.chunk_shape = glue.int3(chunk_shape)
    geometry.block_shape = glue.int3(block_shape)
    geometry.num_channels = num_channels
    geometry.item_size = item_size
    return geometry


cdef Box3 make_box(const int64_t* box_min, const int64_t* box_max) noexcept nogil:
    cdef Box3 box
    box.min = glue.int3(box_min)
    box.max = glue.int3(box_max)
    return box


cdef int decode_u32(
    const uint8_t* data, size_t n, const int64_t* chunk_shape, const int64_t* block_shape,
    int64_t num_channels, const int64_t* box_min, const int64_t* box_max, int64_t channel_begin,
    int64_t channel_end, uint32_t* dst, const int64_t* dst_strides, StatusDetail* detail
) noexcept nogil:
    return glue.finish(
        glue.decode_box(const_byte_span(<const byte*> data, n),
                        make_geometry(chunk_shape, block_shape, num_channels, sizeof(uint32_t)),
                        make_box(box_min, box_max), channel_begin, channel_end, <byte*> dst,
                        glue.int4(dst_strides)),
        detail)


cdef int decode_u64(
    const uint8_t* data, size_t n, const int64_t* chunk_shape, const int64_t* block_shape,
    int64_t num_channels, const int64_t* box_min, const int64_t* box_max, int64_t channel_begin,
    int64_t channel_end, uint64_t* dst, const int64_t* dst_strides, StatusDetail* detail
) noexcept nogil:
    return glue.finish(
        glue.decode_box(const_byte_span(<const byte*> data, n),
                        make_geometry(chunk_shape, block_shape, num_channels, sizeof(uint64_t)),
                        make_box(box_min, box_max), channel_begin, channel_end, <byte*> dst,
                        glue.int4(dst_strides)),
        detail)


cdef int unique_labels(
    const uint8_t* data, size_t n, const int64_t* chunk_shape, const int64_t* block_shape,
    int64_t num_channels, int64_t item_size, const int64_t* box_min, const int64_t* box_max,
    int64_t channel_begin, int64_t channel_end, uint64_t* out, size_t capacity, size_t* count,
    StatusDetail* detail
) noexcept nogil:
    cdef vector[uint64_t] labels
    cdef Status status = glue.unique_box(
        const_byte_span(<const byte*> data, n),
        make_geometry(chunk_shape, block_shape, num_channels, item_size), make_box(box_min, box_max),
        channel_begin, channel_end, labels)
    count[0] = 0
    if not status.ok():
        return glue.finish(status, detail)
    count[0] = labels.size()
    if labels.size() > capacity:
        return finish_too_large(capacity, labels.size(), detail)
    if labels.size() > 0:
        memcpy(out, labels.data(), labels.size() * sizeof(uint64_t))
    return glue.finish(status, detail)


cdef int encode_u32(
    const uint32_t* src, const int64_t* src_strides, const int64_t* chunk_shape,
    const int64_t* block_shape, int64_t num_channels, uint8_t* out, size_t capacity, size_t* written,
    StatusDetail* detail
) noexcept nogil:
    return encode_into(<const byte*> src, src_strides,
                       make_geometry(chunk_shape, block_shape, num_channels, sizeof(uint32_t)),
                       out, capacity, written, detail)


cdef int encode_u64(
    const uint64_t* src, const int64_t* src_strides, const int64_t* chunk_shape,
    const int64_t* block_shape, int64_t num_channels, uint8_t* out, size_t capacity, size_t* written,
    StatusDetail* detail
) noexcept nogil:
    return encode_into(<const byte*> src, src_strides,
                       make_geometry(chunk_shape, block_shape, num_channels, sizeof(uint64_t)),
                       out, capacity, written, detail)


cdef int encode_into(
    const byte* src, const int64_t* src_strides, const lib.Geometry& geometry, uint8_t* out,
    size_t capacity, size_t* written, StatusDetail* detail
) noexcept nogil:
    cdef vector[byte] buffer
    cdef Status status = glue.encode(src, glue.int4(src_strides), geometry, buffer)
    written[0] = 0
    if not status.ok():
        return glue.finish(status, detail)
    written[0] = buffer.size()
    if buffer.size() > capacity:
        return finish_too_large(capacity, buffer.size(), detail)
    memcpy(out, buffer.data(), buffer.size())
    return glue.finish(status, detail)


cdef int finish_too_large(size_t capacity, size_t size, StatusDetail* detail) noexcept nogil:
    if detail != NULL:
        detail.offset = 0
        detail.expected = capacity
        detail.found = size
    return STATUS_TOO_LARGE


cdef uint64_t max_encoded_bytes(
    const int64_t* chunk_shape, const int64_t* block_shape, int64_t num_channels, int64_t item_size
) noexcept nogil:
    cdef lib.Geometry geometry = make_geometry(chunk_shape, block_shape, num_channels, item_size)
    return lib.max_encoded_bytes(geometry) if glue.is_sane(geometry) else 0


cdef int check(Status status) except -1:
    if not status.ok():
        raise_status("compressed_segmentation", <int> status.code, describe(status.code).decode(),
                     status.offset, status.expected, status.found)
    return 0


cdef int64_t item_size_of(object dtype) except -1:
    if dtype.kind != "u" or dtype.itemsize not in (4, 8) or not dtype.isnative:
        raise InvalidArgumentError(f"dtype: expected native uint32 or uint64, found {dtype}")
    return dtype.itemsize


cdef lib.Geometry get_geometry(
    object chunk_shape, object block_shape, int64_t num_channels, int64_t item_size
) except *:
    cdef int64_t[3] chunk, block
    get_triple(chunk_shape, "chunk_shape", chunk)
    get_triple(block_shape, "block_shape", block)
    cdef lib.Geometry geometry = make_geometry(chunk, block, num_channels, item_size)
    if not glue.is_sane(geometry):
        raise InvalidArgumentError(
            f"chunk_shape, block_shape, num_channels: expected positive numbers, found "
            f"{tuple(chunk_shape)}, {tuple(block_shape)}, {num_channels}"
        )
    return geometry


cdef Box3 get_box(object box, object chunk_shape) except *:
    cdef int64_t[3] box_min, box_max
    minpt, maxpt = box if box is not None else ((0, 0, 0), chunk_shape)
    get_triple(minpt, "box", box_min)
    get_triple(maxpt, "box", box_max)
    for low, high, size in zip(minpt, maxpt, chunk_shape):
        if not 0 <= low <= high <= size:
            raise InvalidArgumentError(
                f"box: expected a box inside the chunk {tuple(chunk_shape)}, "
                f"found {tuple(minpt)} to {tuple(maxpt)}"
            )
    return make_box(box_min, box_max)


def decode(data, chunk_shape, dtype, *, block_shape=(8, 8, 8), int64_t num_channels=1, box=None, out=None):
    dtype = np.dtype(dtype)
    cdef lib.Geometry geometry = get_geometry(chunk_shape, block_shape, num_channels, item_size_of(dtype))
    cdef Box3 cbox = get_box(box, chunk_shape)
    shape = (cbox.max[0] - cbox.min[0], cbox.max[1] - cbox.min[1], cbox.max[2] - cbox.min[2], num_channels)
    if out is None:
        out = np.empty(shape, dtype=dtype, order="F")
    elif not isinstance(out, np.ndarray) or out.dtype != dtype or out.shape != shape or not out.flags.writeable:
        raise InvalidArgumentError(f"out: expected a writeable array of {dtype}, shape {shape}")
    cdef Py_buffer view, out_view
    cdef int64_t[4] out_shape, out_strides
    cdef Status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        get_strided(out, &out_view, True, out_shape, out_strides)
        try:
            with nogil:
                status = glue.decode_box(const_byte_span(<const byte*> view.buf, view.len), geometry, cbox, 0,
                                         num_channels, <byte*> out_view.buf, glue.int4(out_strides))
        finally:
            PyBuffer_Release(&out_view)
    finally:
        PyBuffer_Release(&view)
    check(status)
    return out


def unique(data, chunk_shape, dtype, *, block_shape=(8, 8, 8), int64_t num_channels=1, box=None):
    dtype = np.dtype(dtype)
    cdef lib.Geometry geometry = get_geometry(chunk_shape, block_shape, num_channels, item_size_of(dtype))
    cdef Box3 cbox = get_box(box, chunk_shape)
    cdef Py_buffer view
    cdef vector[uint64_t] labels
    cdef Status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            status = glue.unique_box(const_byte_span(<const byte*> view.buf, view.len), geometry, cbox, 0,
                                     num_channels, labels)
    finally:
        PyBuffer_Release(&view)
    check(status)
    out = np.empty(labels.size(), dtype=np.uint64)
    cdef uint64_t[::1] out_view = out
    if labels.size() > 0:
        memcpy(&out_view[0], labels.data(), labels.size() * sizeof(uint64_t))
    return out.astype(dtype, copy=False)


def encode(labels, *, block_shape=(8, 8, 8)):
    if not isinstance(labels, np.ndarray):
        raise TypeError(f"labels: expected a numpy array, found {type(labels).__name__}")
    if labels.ndim not in (3, 4):
        raise InvalidArgumentError(f"labels: expected shape (x, y, z) or (x, y, z, channel), found {labels.shape}")
    cdef lib.Geometry geometry = get_geometry(
        labels.shape[:3], block_shape, labels.shape[3] if labels.ndim == 4 else 1, item_size_of(labels.dtype))
    cdef Py_buffer view
    cdef int64_t[4] shape, strides
    cdef vector[byte] out
    cdef Status status
    get_strided(labels, &view, False, shape, strides)
    try:
        with nogil:
            status = glue.encode(<const byte*> view.buf, glue.int4(strides), geometry, out)
    finally:
        PyBuffer_Release(&view)
    check(status)
    return PyBytes_FromStringAndSize(<const char*> out.data(), out.size())
