# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True, boundscheck=False
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject_SetAttr
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libcpp.vector cimport vector

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core.status cimport StatusDetail
from cloudvolume_fast.libcvfast cimport skeleton as lib
from cloudvolume_fast.libcvfast.status cimport Code, Status, describe
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

import numpy as np

from cloudvolume_fast.errors import (
    InvalidArgumentError,
    SkeletonDecodeError,
    SkeletonEncodeError,
    SkeletonUnassignedEdgeError,
)

cdef size_t _ALIGNMENT = 16
_MAX_COMPONENTS = 1 << 20
_MAX_ROWS = 2**32 - 1


cdef int measure(
    const uint8_t* data, size_t n, const uint32_t* item_bytes, const uint32_t* num_components,
    size_t num_attributes, uint32_t* num_vertices, uint32_t* num_edges, size_t* present, StatusDetail* detail
) noexcept nogil:
    cdef vector[lib.AttributeFormat] formats
    cdef lib.Extents extents
    cdef Status status = glue.skeleton_formats(item_bytes, num_components, num_attributes, formats)
    if not status.ok():
        return glue.finish(status, detail)
    status = lib.measure(
        const_byte_span(<const byte*> data, n), lib.formats_span(formats.data(), formats.size()), extents
    )
    num_vertices[0] = extents.num_vertices
    num_edges[0] = extents.num_edges
    present[0] = extents.num_attributes
    return glue.finish(status, detail)


cdef int decode(
    const uint8_t* data, size_t n, const uint32_t* item_bytes, const uint32_t* num_components,
    size_t num_attributes, const double* transform, float* vertices, uint32_t* edges, uint8_t** attributes,
    StatusDetail* detail
) noexcept nogil:
    cdef vector[lib.AttributeFormat] formats
    cdef lib.Extents extents
    cdef lib.Affine affine
    cdef size_t i
    cdef Status status = glue.skeleton_formats(item_bytes, num_components, num_attributes, formats)
    if not status.ok():
        return glue.finish(status, detail)
    cdef lib.formats_span span = lib.formats_span(formats.data(), formats.size())
    cdef const_byte_span content = const_byte_span(<const byte*> data, n)
    status = lib.measure(content, span, extents)
    if status.ok():
        if transform != NULL:
            for i in range(12):
                affine[i] = transform[i]
        status = lib.decode(
            content, span, extents, &affine if transform != NULL else NULL, vertices, edges,
            lib.targets_span(<byte**> attributes, extents.num_attributes)
        )
    return glue.finish(status, detail)


cdef int get_formats(object attributes, vector[lib.AttributeFormat]& out) except -1:
    cdef lib.AttributeFormat item
    for dtype, num_components in attributes:
        if not 1 <= num_components <= _MAX_COMPONENTS:
            raise InvalidArgumentError(
                f"num_components: expected 1 to {_MAX_COMPONENTS}, found {num_components}"
            )
        item.item_bytes = dtype.itemsize
        item.num_components = num_components
        out.push_back(item)
    return 0


cdef bint get_affine(object transform, lib.Affine* out) except -1:
    if transform is None:
        return False
    values = np.asarray(transform, dtype=np.float64).reshape(-1)
    if values.shape[0] != 12:
        raise InvalidArgumentError(f"transform: expected 3 rows of 4 numbers, found {values.shape[0]}")
    cdef size_t i
    for i in range(12):
        out[0][i] = values[i]
    return True


cdef object decode_failure(str name, Status status):
    cdef str sentence
    if status.code == Code.kBadValue:
        return SkeletonUnassignedEdgeError(
            f"{name}: edge at byte {status.offset}: expected a vertex below {status.expected}, found {status.found}",
            key=name, offset=status.offset, expected=status.expected, found=status.found,
        )
    if status.code == Code.kTruncated:
        if status.offset == 0:
            sentence = f"expected a header of 8 bytes, found {status.found}"
        elif status.offset == 8:
            sentence = f"expected at least {status.expected} bytes by its counts, found {status.found}"
        else:
            sentence = (f"vertex attribute at byte {status.offset}: expected {status.expected} bytes, "
                        f"found {status.found}")
    else:
        sentence = describe(status.code).decode()
    return SkeletonDecodeError(
        f"{name}: {sentence}", key=name, offset=status.offset, expected=status.expected, found=status.found
    )


cdef uint8_t* address(object array, int flags) except? NULL:
    """Where the items of a contiguous array are, which the caller keeps; in a quarter of a memoryview's time."""
    cdef Py_buffer found
    PyObject_GetBuffer(array, &found, flags)
    cdef uint8_t* begin = <uint8_t*> found.buf
    PyBuffer_Release(&found)
    return begin


cdef class Maker:
    cdef object cls, new, construct, transform, full, empty
    cdef tuple names, shared, others
    cdef list listed, listed_without
    cdef Py_ssize_t radius_at, types_at
    cdef object no_radius, no_type, single, byte

    def __init__(
        self, cls, construct, names, shared, transform, listed, listed_without, Py_ssize_t radius_at,
        Py_ssize_t types_at, unknown, others
    ):
        if construct is None and len(names) != 7:
            raise InvalidArgumentError(f"names: expected 7, found {len(names)}")
        self.cls, self.new, self.construct, self.transform = cls, cls.__new__, construct, transform
        self.names, self.shared, self.others = tuple(names), tuple(shared), tuple(others)
        self.listed, self.listed_without = list(listed), list(listed_without)
        self.radius_at, self.types_at = radius_at, types_at
        self.no_radius, self.no_type = unknown
        self.full, self.empty = np.full, np.empty
        self.single, self.byte = np.dtype(np.float32), np.dtype(np.uint8)

    cdef object make(self, object label, object vertices, object edges, list values):
        cdef Py_ssize_t count = len(values), place
        cdef dict entry
        if 0 <= self.radius_at < count:
            radius = values[self.radius_at]
        else:
            radius = self.full(len(vertices), self.no_radius, self.single)
        if 0 <= self.types_at < count:
            types = values[self.types_at]
        else:
            types = self.full(len(vertices), self.no_type, self.byte)
        cdef list listed = [entry.copy() for entry in (self.listed if count else self.listed_without)]
        if self.construct is not None:
            skeleton = self.construct(vertices, edges, radius, types, label, listed)
        else:
            # Not into its __dict__, which would make that an object of its own.
            skeleton = self.new(self.cls)
            PyObject_SetAttr(skeleton, self.names[0], vertices)
            PyObject_SetAttr(skeleton, self.names[1], edges)
            PyObject_SetAttr(skeleton, self.names[2], radius)
            PyObject_SetAttr(skeleton, self.names[3], types)
            PyObject_SetAttr(skeleton, self.names[4], label)
            PyObject_SetAttr(skeleton, self.names[5], listed)
            PyObject_SetAttr(skeleton, self.names[6], self.transform.copy())
            for name, value in self.shared:
                PyObject_SetAttr(skeleton, name, value)
        if count:
            for place, name, shape, dtype in self.others:
                PyObject_SetAttr(skeleton, name, values[place] if place < count else self.empty(shape, dtype))
        return skeleton


def decode_many(list buffers, names, *, attributes, transform=None, labels=None, make=None):
    cdef vector[lib.AttributeFormat] formats
    cdef vector[lib.Extents] extents
    cdef vector[const_byte_span] contents
    cdef vector[uint8_t*] buffers_out
    cdef vector[byte*] targets
    cdef lib.Affine affine
    cdef lib.Affine* used = NULL
    cdef lib.Extents found
    cdef Status status
    cdef size_t n = len(buffers)
    cdef size_t i, k, offset, bytes_needed, failed = n
    cdef bytes data
    attributes = [(np.dtype(dtype), int(count)) for dtype, count in attributes]
    if len(names) != n:
        raise InvalidArgumentError(f"names: expected {n}, found {len(names)}")
    if make is not None and (labels is None or len(labels) != n):
        raise InvalidArgumentError(f"labels: expected {n}, found {None if labels is None else len(labels)}")
    get_formats(attributes, formats)
    if get_affine(transform, &affine):
        used = &affine
    cdef lib.formats_span span = lib.formats_span(formats.data(), formats.size())
    extents.reserve(n)
    contents.reserve(n)
    buffers_out.reserve(n)
    cdef list out = []
    cdef list values
    cdef Maker maker = make
    ndarray, empty, single, word = np.ndarray, np.empty, np.dtype(np.float32), np.dtype(np.uint32)
    for i in range(n):
        data = buffers[i]
        contents.push_back(const_byte_span(<const byte*> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)))
        status = lib.measure(contents[i], span, found)
        if not status.ok():
            raise decode_failure(names[i], status)
        extents.push_back(found)
        # One allocation for all arrays of a skeleton, which live and go together.
        bytes_needed = aligned(<size_t> 12 * found.num_vertices) + aligned(<size_t> 8 * found.num_edges)
        for k in range(found.num_attributes):
            bytes_needed += aligned(bytes_of(formats[k], found))
        memory = empty(bytes_needed if bytes_needed else 1, np.uint8)
        buffers_out.push_back(address(memory, PyBUF_WRITABLE))
        vertices = ndarray((found.num_vertices, 3), single, memory, 0)
        offset = aligned(<size_t> 12 * found.num_vertices)
        edges = ndarray((found.num_edges, 2), word, memory, offset)
        offset += aligned(<size_t> 8 * found.num_edges)
        values = []
        for k in range(found.num_attributes):
            dtype, count = attributes[k]
            shape = (found.num_vertices,) if count == 1 else (found.num_vertices, count)
            values.append(ndarray(shape, dtype, memory, offset))
            targets.push_back(<byte*> buffers_out[i] + offset)
            offset += aligned(bytes_of(formats[k], found))
        out.append((vertices, edges, values) if maker is None else maker.make(labels[i], vertices, edges, values))
    cdef byte** first = targets.data()
    with nogil:
        for i in range(n):
            status = lib.decode(
                contents[i], span, extents[i], used, <float*> buffers_out[i],
                <uint32_t*> (buffers_out[i] + aligned(<size_t> 12 * extents[i].num_vertices)),
                lib.targets_span(first, extents[i].num_attributes)
            )
            first += extents[i].num_attributes
            if not status.ok():
                failed = i
                break
    if failed < n:
        raise decode_failure(names[failed], status)
    return out


cdef inline size_t aligned(size_t n) noexcept nogil:
    return (n + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT


cdef inline size_t bytes_of(const lib.AttributeFormat& item, const lib.Extents& extents) noexcept nogil:
    return <size_t> item.item_bytes * item.num_components * extents.num_vertices


cdef object rows(object array, object dtype, size_t columns, object names, size_t number, str what):
    out = np.ascontiguousarray(array, dtype=dtype)
    if out.ndim != 2 or out.shape[1] != columns:
        name = names[number]
        raise SkeletonEncodeError(
            f"{name}: {what}: expected shape (n, {columns}), found {out.shape}",
            key=name, expected=f"(n, {columns})", found=out.shape,
        )
    if out.shape[0] > _MAX_ROWS:
        name = names[number]
        raise SkeletonEncodeError(
            f"{name}: {what}: expected at most {_MAX_ROWS}, found {out.shape[0]}",
            key=name, expected=_MAX_ROWS, found=out.shape[0],
        )
    return out


def encode_many(list skeletons, names, *, transform=None):
    cdef vector[lib.AttributeFormat] formats
    cdef vector[size_t] num_attributes
    cdef vector[const byte*] sources
    cdef vector[const float*] vertices_in
    cdef vector[const uint32_t*] edges_in
    cdef vector[uint32_t] counts
    cdef vector[byte*] targets
    cdef lib.AttributeFormat item
    cdef lib.Affine affine
    cdef lib.Affine* used = NULL
    cdef Status status
    cdef size_t n = len(skeletons)
    cdef size_t i, size = 0, start, failed = n
    if len(names) != n:
        raise InvalidArgumentError(f"names: expected {n}, found {len(names)}")
    if get_affine(transform, &affine):
        used = &affine
    single, word = np.dtype(np.float32), np.dtype(np.uint32)
    cdef list out = []
    cdef list kept = []  # arrays that are pointed to
    for i in range(n):
        vertices, edges, attributes = skeletons[i]
        vertices = rows(vertices, single, 3, names, i, "vertices")
        edges = rows(edges, word, 2, names, i, "edges")
        start = formats.size()
        for identifier, values in attributes:
            values = np.ascontiguousarray(values)
            if values.ndim == 0 or values.shape[0] != vertices.shape[0]:
                name = names[i]
                raise SkeletonEncodeError(
                    f"{name}: vertex attribute {identifier}: expected {vertices.shape[0]} values, one for each vertex, "
                    f"found shape {values.shape}",
                    key=name, expected=vertices.shape[0], found=values.shape,
                )
            count = values.size // values.shape[0] if values.shape[0] else 1
            if not 1 <= count <= _MAX_COMPONENTS:
                name = names[i]
                raise SkeletonEncodeError(
                    f"{name}: vertex attribute {identifier}: expected 1 to {_MAX_COMPONENTS} components, found {count}",
                    key=name, expected=_MAX_COMPONENTS, found=count,
                )
            item.item_bytes = values.dtype.itemsize
            item.num_components = count
            formats.push_back(item)
            kept.append(values)
            sources.push_back(<const byte*> address(values, PyBUF_SIMPLE) if values.size else NULL)
        num_attributes.push_back(formats.size() - start)
        counts.push_back(vertices.shape[0])
        counts.push_back(edges.shape[0])
        kept.append(vertices)
        kept.append(edges)
        vertices_in.push_back(<const float*> address(vertices, PyBUF_SIMPLE) if vertices.shape[0] else NULL)
        edges_in.push_back(<const uint32_t*> address(edges, PyBUF_SIMPLE) if edges.shape[0] else NULL)
        status = lib.encoded_size(
            counts[2 * i], counts[2 * i + 1], lib.formats_span(formats.data() + start, formats.size() - start), size
        )
        if not status.ok():
            raise SkeletonEncodeError(f"{names[i]}: {describe(status.code).decode()}", key=names[i])
        data = PyBytes_FromStringAndSize(NULL, size)
        targets.push_back(<byte*> PyBytes_AS_STRING(data))
        out.append(data)
    start = 0
    with nogil:
        for i in range(n):
            status = lib.encode(
                counts[2 * i], counts[2 * i + 1], vertices_in[i], edges_in[i],
                lib.formats_span(formats.data() + start, num_attributes[i]),
                lib.sources_span(sources.data() + start, num_attributes[i]), used, targets[i]
            )
            start += num_attributes[i]
            if not status.ok():
                failed = i
                break
    if failed < n:
        raise SkeletonUnassignedEdgeError(
            f"{names[failed]}: expected edges of vertices below {status.expected}, found {status.found}",
            key=names[failed], expected=status.expected, found=status.found,
        )
    return out
