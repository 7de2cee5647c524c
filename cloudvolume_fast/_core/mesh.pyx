# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True, boundscheck=False
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core.status cimport StatusDetail
from cloudvolume_fast.libcvfast cimport mesh as lib
from cloudvolume_fast.libcvfast.status cimport Code, Status, describe
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

import numpy as np

from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError

cdef uint64_t UNKNOWN = <uint64_t> -1

cdef extern from "mesh_glue.hpp" namespace "cvfast::glue" nogil:
    Status consolidate_mesh(const lib.TrianglesView& mesh, lib.Triangles& out) noexcept
    Status merge_mesh_pairs(const lib.TrianglesView& mesh, const uint8_t* is_marked, lib.Triangles& out) noexcept
    Status parse_mesh_manifest(const_byte_span data, uint64_t data_bytes, lib.Manifest& out) noexcept
    Status encode_mesh_manifest(const lib.Manifest& manifest, vector[byte]& out) noexcept
    Status cut_mesh(
        const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces,
        const lib.CellGrid& grid, vector[lib.CellMesh]& out
    ) noexcept


cdef void fill_transform(const double* rows, lib.Transform* out) noexcept nogil:
    cdef int i
    if rows != NULL:
        for i in range(12):
            out.rows[i] = rows[i]


cdef void fill_cell(
    const double* base, const double* extent, const double* number, int bits, lib.Cell* out
) noexcept nogil:
    cdef int axis
    for axis in range(3):
        out.base[axis] = base[axis]
        out.extent[axis] = extent[axis]
        out.number[axis] = number[axis]
    out.bits = bits


cdef int parse_fragment(
    const uint8_t* data, size_t n, uint64_t* num_vertices, uint64_t* num_faces, StatusDetail* detail
) noexcept nogil:
    cdef lib.FragmentShape shape
    cdef Status status = lib.parse_fragment(const_byte_span(<const byte*> data, n), shape)
    if status.ok():
        num_vertices[0] = shape.num_vertices
        num_faces[0] = shape.num_faces
    return glue.finish(status, detail)


cdef int decode_fragment(
    const uint8_t* data, size_t n, uint64_t first_vertex, const double* transform, float* vertices, uint32_t* faces,
    StatusDetail* detail
) noexcept nogil:
    cdef lib.FragmentShape shape
    cdef lib.Transform rows
    cdef const_byte_span stored = const_byte_span(<const byte*> data, n)
    cdef Status status = lib.parse_fragment(stored, shape)
    if status.ok():
        fill_transform(transform, &rows)
        status = lib.decode_fragment(stored, shape, first_vertex, rows, vertices, faces)
    return glue.finish(status, detail)


cdef int encode_fragment(
    const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces, uint8_t* out,
    StatusDetail* detail
) noexcept nogil:
    cdef lib.FragmentShape shape
    shape.num_vertices = num_vertices
    shape.num_faces = num_faces
    return glue.finish(lib.encode_fragment(shape, vertices, faces, <byte*> out), detail)


cdef lib.TrianglesView view_of(
    const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces
) noexcept nogil:
    cdef lib.TrianglesView view
    view.vertices = vertices
    view.num_vertices = num_vertices
    view.faces = faces
    view.num_faces = num_faces
    return view


cdef void copy_out(
    lib.Triangles& found, float* vertices, uint64_t* vertex_count, uint32_t* faces, uint64_t* face_count
) noexcept nogil:
    vertex_count[0] = found.vertices.size() // 3
    if found.vertices.size() > 0:
        memcpy(vertices, found.vertices.data(), 4 * found.vertices.size())
    if face_count != NULL:
        face_count[0] = found.faces.size() // 3
    if found.faces.size() > 0:
        memcpy(faces, found.faces.data(), 4 * found.faces.size())


cdef int consolidate(
    const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces, float* out_vertices,
    uint64_t* vertex_count, uint32_t* out_faces, uint64_t* face_count, StatusDetail* detail
) noexcept nogil:
    cdef lib.Triangles found
    cdef Status status = consolidate_mesh(view_of(vertices, num_vertices, faces, num_faces), found)
    if status.ok():
        copy_out(found, out_vertices, vertex_count, out_faces, face_count)
    return glue.finish(status, detail)


cdef int merge_marked_pairs(
    const float* vertices, uint64_t num_vertices, const uint32_t* faces, uint64_t num_faces, const uint8_t* is_marked,
    float* out_vertices, uint64_t* vertex_count, uint32_t* out_faces, StatusDetail* detail
) noexcept nogil:
    cdef lib.Triangles found
    cdef Status status = merge_mesh_pairs(view_of(vertices, num_vertices, faces, num_faces), is_marked, found)
    if status.ok():
        copy_out(found, out_vertices, vertex_count, out_faces, NULL)
    return glue.finish(status, detail)


cdef int mark_chunk_borders(
    const float* vertices, uint64_t n, const double* chunk_size, const double* offset, double grid_size,
    uint8_t* is_marked
) noexcept nogil:
    return glue.finish(lib.mark_chunk_borders(vertices, n, chunk_size, offset, grid_size, is_marked), NULL)


cdef int dequantize(
    const uint32_t* quantized, uint64_t n, const double* base, const double* extent, const double* number, int bits,
    const double* transform, float* vertices, StatusDetail* detail
) noexcept nogil:
    cdef lib.Cell cell
    cdef lib.Transform rows
    fill_cell(base, extent, number, bits, &cell)
    fill_transform(transform, &rows)
    return glue.finish(lib.dequantize(cell, quantized, n, rows, vertices), detail)


cdef int quantize(
    const float* vertices, uint64_t n, const double* base, const double* extent, const double* number, int bits,
    uint32_t* quantized, StatusDetail* detail
) noexcept nogil:
    cdef lib.Cell cell
    fill_cell(base, extent, number, bits, &cell)
    return glue.finish(lib.quantize(cell, vertices, n, quantized), detail)


cdef int parse_manifest(
    const uint8_t* data, size_t n, uint64_t data_bytes, ManifestSummary* out, StatusDetail* detail
) noexcept nogil:
    cdef lib.Manifest manifest
    cdef Status status = parse_mesh_manifest(const_byte_span(<const byte*> data, n), data_bytes, manifest)
    cdef size_t i
    if status.ok():
        for i in range(3):
            out.chunk_shape[i] = manifest.chunk_shape[i]
            out.grid_origin[i] = manifest.grid_origin[i]
        out.num_lods = manifest.lods.size()
        out.num_fragments = 0
        for i in range(manifest.lods.size()):
            out.num_fragments += manifest.lods[i].fragments.size()
    return glue.finish(status, detail)


# Python.


def raise_status(str what, int code, uint64_t offset, uint64_t expected, uint64_t found):
    cdef str sentence = describe(<Code> code).decode()
    if code == <int> Code.kNoMemory:
        raise MemoryError(f"{what}: {sentence}")
    if code == <int> Code.kBadValue and expected == 0 and found == 0:
        sentence = "expected finite coordinates"
    elif code == <int> Code.kOffsetRange:
        sentence = f"expected numbers of vertices below {expected}, found {found}"
    elif expected != 0 or found != 0:
        sentence = f"{sentence}, expected {expected}, found {found}"
    kind = InvalidArgumentError if code == <int> Code.kInvalidArgument else MeshDecodeError
    raise kind(f"{what}: {sentence} (at {offset})", key=what, offset=offset, expected=expected, found=found)


cdef int check(Status status, str what) except -1:
    if not status.ok():
        raise_status(what, <int> status.code, status.offset, status.expected, status.found)
    return 0


cdef object rows_of(object values, object kind, str name):
    array = np.ascontiguousarray(values, dtype=kind)
    if array.size == 0:
        array = array.reshape(0, 3)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InvalidArgumentError(f"{name}: expected shape (n, 3), found {array.shape}", key=name, found=array.shape)
    return array


cdef int get_doubles(object values, str name, int count, double* out) except -1:
    cdef int i
    given = [float(value) for value in np.asarray(values, dtype=np.float64).ravel()]
    if len(given) != count:
        raise InvalidArgumentError(f"{name}: expected {count} numbers, found {len(given)}", key=name, found=len(given))
    for i in range(count):
        out[i] = given[i]
    return 0


cdef int get_transform(object transform, lib.Transform* out) except -1:
    cdef double[12] rows
    if transform is not None:
        get_doubles(transform, "transform", 12, rows)
        fill_transform(rows, out)
    return 0


def fragment_bytes(vertices, faces, *, str what="mesh"):
    cdef const float[:, ::1] vertex_view = rows_of(vertices, np.float32, "vertices")
    cdef const uint32_t[:, ::1] face_view = rows_of(faces, np.uint32, "faces")
    cdef lib.FragmentShape shape
    cdef const float* vertex_pointer = NULL
    cdef const uint32_t* face_pointer = NULL
    cdef Status status
    shape.num_vertices = vertex_view.shape[0]
    shape.num_faces = face_view.shape[0]
    if shape.num_vertices > 0:
        vertex_pointer = &vertex_view[0, 0]
    if shape.num_faces > 0:
        face_pointer = &face_view[0, 0]
    out = PyBytes_FromStringAndSize(NULL, 4 + 12 * (shape.num_vertices + shape.num_faces))
    cdef byte* pointer = <byte*> PyBytes_AS_STRING(out)
    with nogil:
        status = lib.encode_fragment(shape, vertex_pointer, face_pointer, pointer)
    check(status, what)
    return out


def transformed(vertices, transform, *, str what="mesh"):
    out = rows_of(vertices, np.float32, "vertices")
    if out is vertices or np.shares_memory(out, vertices):
        out = out.copy()
    cdef float[:, ::1] view = out
    cdef lib.Transform rows
    cdef Status status
    get_transform(transform, &rows)
    if out.shape[0] > 0:
        with nogil:
            status = lib.transform_vertices(rows, view.shape[0], &view[0, 0])
        check(status, what)
    return out


def chunk_borders(vertices, chunk_size, offset, double grid_size):
    cdef const float[:, ::1] view = rows_of(vertices, np.float32, "vertices")
    cdef double[3] sizes, offsets
    get_doubles(chunk_size, "chunk_size", 3, sizes)
    get_doubles(offset, "offset", 3, offsets)
    out = np.zeros(view.shape[0], dtype=np.uint8)
    cdef uint8_t[::1] marks = out
    cdef Status status
    if view.shape[0] > 0:
        with nogil:
            status = lib.mark_chunk_borders(&view[0, 0], view.shape[0], sizes, offsets, grid_size, &marks[0])
        if not status.ok():
            raise InvalidArgumentError(f"chunk_size: expected positive numbers, found {list(chunk_size)}",
                                       key="chunk_size", found=list(chunk_size))
    return out


cdef int get_cell(object base, object extent, object number, int bits, lib.Cell* out) except -1:
    cdef double[3] bases, extents, numbers
    get_doubles(base, "base", 3, bases)
    get_doubles(extent, "extent", 3, extents)
    get_doubles(number, "number", 3, numbers)
    fill_cell(bases, extents, numbers, bits, out)
    return 0


def dequantized(quantized, *, base, extent, number, int bits, transform=None, str what="mesh"):
    cdef const uint32_t[:, ::1] view = rows_of(quantized, np.uint32, "quantized")
    cdef lib.Cell cell
    cdef lib.Transform rows
    cdef Status status
    get_cell(base, extent, number, bits, &cell)
    get_transform(transform, &rows)
    out = np.empty((view.shape[0], 3), dtype=np.float32)
    cdef float[:, ::1] out_view = out
    if view.shape[0] > 0:
        with nogil:
            status = lib.dequantize(cell, &view[0, 0], view.shape[0], rows, &out_view[0, 0])
        check(status, what)
    return out


def dequantized_fragments(points, faces, *, base, extent, numbers, int bits, transform=None, names):
    cdef lib.Cell cell
    cdef lib.Transform rows
    cdef Status status
    cdef double[3] bases, extents, first
    cdef size_t i, k
    cdef uint64_t num_vertices = 0
    cdef uint64_t num_faces = 0
    cdef uint64_t vertex = 0
    cdef uint64_t face = 0
    cdef uint32_t shift
    cdef const uint32_t[:, ::1] point_view, face_view
    cdef const uint32_t[:, ::1] number_view = rows_of(numbers, np.uint32, "numbers")
    get_doubles(base, "base", 3, bases)
    get_doubles(extent, "extent", 3, extents)
    get_transform(transform, &rows)
    point_rows = [rows_of(each, np.uint32, "points") for each in points]
    face_rows = [rows_of(each, np.uint32, "faces") for each in faces]
    if not len(point_rows) == len(face_rows) == number_view.shape[0]:
        raise InvalidArgumentError(
            f"points, faces, numbers: expected as many, found {len(point_rows)}, {len(face_rows)}, "
            f"{number_view.shape[0]}")
    for each in point_rows:
        num_vertices += <uint64_t> len(each)
    for each in face_rows:
        num_faces += <uint64_t> len(each)
    if num_vertices > (<uint64_t> 1) << 32:
        raise MeshDecodeError(f"{names[0]}: expected at most 2^32 vertices, found {num_vertices}", key=names[0])
    vertices_out = np.empty((num_vertices, 3), dtype=np.float32)
    faces_out = np.empty((num_faces, 3), dtype=np.uint32)
    cdef float[:, ::1] vertex_out = vertices_out
    cdef uint32_t[:, ::1] face_out = faces_out
    cdef uint32_t* to
    cdef const uint32_t* source
    for i in range(<size_t> len(point_rows)):
        point_view = point_rows[i]
        face_view = face_rows[i]
        for k in range(3):
            first[k] = number_view[i, k]
        fill_cell(bases, extents, first, bits, &cell)
        if point_view.shape[0] > 0:
            with nogil:
                status = lib.dequantize(cell, &point_view[0, 0], point_view.shape[0], rows, &vertex_out[vertex, 0])
            check(status, names[i])
        if face_view.shape[0] > 0:
            shift = <uint32_t> vertex
            to = &face_out[face, 0]
            source = &face_view[0, 0]
            with nogil:
                for k in range(3 * <size_t> face_view.shape[0]):
                    to[k] = source[k] + shift
        vertex += point_view.shape[0]
        face += face_view.shape[0]
    return vertices_out, faces_out


def quantized(vertices, *, base, extent, number, int bits, str what="mesh"):
    cdef const float[:, ::1] view = rows_of(vertices, np.float32, "vertices")
    cdef lib.Cell cell
    cdef Status status
    get_cell(base, extent, number, bits, &cell)
    out = np.empty((view.shape[0], 3), dtype=np.uint32)
    cdef uint32_t[:, ::1] out_view = out
    if view.shape[0] > 0:
        with nogil:
            status = lib.quantize(cell, &view[0, 0], view.shape[0], &out_view[0, 0])
        check(status, what)
    return out


def cut_into_cells(vertices, faces, *, base, extent, shape, bint is_halved, int bits, str what="mesh"):
    cdef const float[:, ::1] vertex_view = rows_of(vertices, np.float32, "vertices")
    cdef const uint32_t[:, ::1] face_view = rows_of(faces, np.uint32, "faces")
    cdef lib.CellGrid grid
    cdef double[3] bases, extents
    cdef int axis
    cdef vector[lib.CellMesh] cells
    cdef Status status
    cdef uint64_t num_vertices = vertex_view.shape[0]
    cdef uint64_t num_faces = face_view.shape[0]
    get_doubles(base, "base", 3, bases)
    get_doubles(extent, "extent", 3, extents)
    for axis in range(3):
        grid.base[axis] = bases[axis]
        grid.extent[axis] = extents[axis]
        grid.shape[axis] = shape[axis]
    grid.is_halved = is_halved
    grid.bits = bits
    if num_faces == 0:
        return []
    if num_vertices == 0:
        raise InvalidArgumentError(f"{what}: expected vertices for {num_faces} faces, found none", key=what)
    with nogil:
        status = cut_mesh(&vertex_view[0, 0], num_vertices, &face_view[0, 0], num_faces, grid, cells)
    check(status, what)
    out = []
    cdef size_t i
    for i in range(cells.size()):
        out.append((
            (cells[i].position[0], cells[i].position[1], cells[i].position[2]),
            copied(cells[i].vertices), copied(cells[i].faces),
        ))
    return out


cdef object copied(vector[uint32_t]& values):
    out = np.empty((values.size() // 3, 3), dtype=np.uint32)
    cdef uint32_t[:, ::1] view = out
    if values.size() > 0:
        memcpy(&view[0, 0], values.data(), 4 * values.size())
    return out


def manifest_parts(data, *, data_bytes=None, str what="mesh manifest"):
    cdef Py_buffer view
    cdef lib.Manifest found
    cdef Status status
    cdef uint64_t limit = UNKNOWN if data_bytes is None else data_bytes
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            status = parse_mesh_manifest(const_byte_span(<const byte*> view.buf, view.len), limit, found)
    finally:
        PyBuffer_Release(&view)
    if not status.ok():
        if status.code == Code.kOffsetRange:
            raise MeshDecodeError(
                f"{what}: expected fragments of at most {status.expected} bytes together, found {status.found} "
                f"(at {status.offset})",
                key=what, offset=status.offset, expected=status.expected, found=status.found,
            )
        if status.code == Code.kBadValue:
            raise MeshDecodeError(f"{what}: expected finite numbers and positive extents (at {status.offset})",
                                  key=what, offset=status.offset)
        check(status, what)
    cdef size_t lod, i, count
    cdef int axis
    cdef uint32_t[:, ::1] position_view
    cdef uint32_t[::1] size_view
    levels = []
    for lod in range(found.lods.size()):
        count = found.lods[lod].fragments.size()
        positions = np.empty((count, 3), dtype=np.uint32)
        sizes = np.empty(count, dtype=np.uint32)
        position_view = positions
        size_view = sizes
        for i in range(count):
            for axis in range(3):
                position_view[i, axis] = found.lods[lod].fragments[i].position[axis]
            size_view[i] = found.lods[lod].fragments[i].size
        levels.append((
            found.lods[lod].scale,
            tuple([found.lods[lod].vertex_offset[axis] for axis in range(3)]),
            positions, sizes,
        ))
    return (
        tuple([found.chunk_shape[axis] for axis in range(3)]),
        tuple([found.grid_origin[axis] for axis in range(3)]),
        levels,
    )


def manifest_bytes(chunk_shape, grid_origin, lods, *, str what="mesh manifest"):
    cdef lib.Manifest manifest
    cdef double[3] triple
    cdef int axis
    cdef size_t lod, i
    cdef const uint32_t[:, ::1] position_view
    cdef const uint32_t[::1] size_view
    get_doubles(chunk_shape, "chunk_shape", 3, triple)
    for axis in range(3):
        manifest.chunk_shape[axis] = <float> triple[axis]
    get_doubles(grid_origin, "grid_origin", 3, triple)
    for axis in range(3):
        manifest.grid_origin[axis] = <float> triple[axis]
    manifest.lods.resize(len(lods))
    for lod, (scale, vertex_offset, positions, sizes) in enumerate(lods):
        manifest.lods[lod].scale = scale
        get_doubles(vertex_offset, "vertex_offsets", 3, triple)
        for axis in range(3):
            manifest.lods[lod].vertex_offset[axis] = <float> triple[axis]
        position_view = rows_of(positions, np.uint32, "fragment_positions")
        size_view = np.ascontiguousarray(sizes, dtype=np.uint32).reshape(-1)
        if position_view.shape[0] != size_view.shape[0]:
            raise InvalidArgumentError(
                f"{what}: lod {lod}: expected as many positions as sizes, "
                f"found {position_view.shape[0]} and {size_view.shape[0]}", key=what)
        manifest.lods[lod].fragments.resize(size_view.shape[0])
        for i in range(<size_t> size_view.shape[0]):
            for axis in range(3):
                manifest.lods[lod].fragments[i].position[axis] = position_view[i, axis]
            manifest.lods[lod].fragments[i].size = size_view[i]
    cdef vector[byte] out
    cdef Status status
    with nogil:
        status = encode_mesh_manifest(manifest, out)
    if not status.ok():
        raise InvalidArgumentError(
            f"{what}: expected at most 64 levels, finite numbers and positive extents (at {status.offset})",
            key=what, offset=status.offset)
    return PyBytes_FromStringAndSize(<const char*> out.data(), out.size())
