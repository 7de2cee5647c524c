# SPDX-License-Identifier: BSD-3-Clause
# cython: freethreading_compatible=True
# Plain C, no include folder, no library: every kernel comes through the public Cython API.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from cloudvolume_fast._core cimport compressed_segmentation, gzip, mesh, morton, murmurhash3, paint, sharding
from cloudvolume_fast._core.status cimport STATUS_OK, STATUS_TOO_LARGE, StatusDetail


def c_to_f(const uint32_t[:, :, ::1] src, uint32_t[::1, :, :] dst):
    cdef int64_t[4] shape, src_strides, dst_strides
    cdef int axis, status
    for axis in range(3):
        shape[axis] = src.shape[axis]
        src_strides[axis] = src.strides[axis]
        dst_strides[axis] = dst.strides[axis]
    shape[3] = 1
    src_strides[3] = dst_strides[3] = 0
    with nogil:
        status = paint.copy_box(&src[0, 0, 0], src_strides, &dst[0, 0, 0], dst_strides, shape, 4)
    return status


def segmentation_round_trip(const uint64_t[::1, :, :] labels, box_min, box_max, uint64_t[::1, :, :] out):
    """Encodes labels, gzips and gunzips them, decodes a box into out; returns its distinct labels."""
    cdef int64_t[4] strides, out_strides
    cdef int64_t[3] chunk, low, high
    cdef int64_t[3] block = [8, 8, 8]
    cdef int axis, status
    for axis in range(3):
        chunk[axis] = labels.shape[axis]
        low[axis] = box_min[axis]
        high[axis] = box_max[axis]
        strides[axis] = labels.strides[axis]
        out_strides[axis] = out.strides[axis]
    strides[3] = out_strides[3] = 0

    cdef StatusDetail detail
    cdef size_t written, count, packed_size
    cdef uint8_t[::1] encoded = bytearray(compressed_segmentation.max_encoded_bytes(chunk, block, 1, 8))
    assert compressed_segmentation.encode_u64(
        &labels[0, 0, 0], strides, chunk, block, 1, &encoded[0], encoded.shape[0], &written, &detail) == STATUS_OK
    assert compressed_segmentation.encode_u64(
        &labels[0, 0, 0], strides, chunk, block, 1, &encoded[0], 1, &count, NULL) == STATUS_TOO_LARGE
    assert count == written

    cdef uint8_t[::1] packed = bytearray(gzip.compress_bound(written))
    assert gzip.compress(&encoded[0], written, 6, &packed[0], packed.shape[0], &packed_size, NULL) == STATUS_OK
    cdef uint8_t[::1] unpacked = bytearray(written)
    assert gzip.decompress(&packed[0], packed_size, &unpacked[0], written, &count, NULL) == STATUS_OK
    assert count == written

    cdef uint64_t[::1] found = memoryview(bytearray(8 * labels.size)).cast("Q")
    with nogil:
        status = compressed_segmentation.decode_u64(
            &unpacked[0], written, chunk, block, 1, low, high, 0, 1, &out[0, 0, 0], out_strides, &detail)
        if status == STATUS_OK:
            status = compressed_segmentation.unique_labels(
                &unpacked[0], written, chunk, block, 1, 8, low, high, 0, 1, &found[0], found.shape[0], &count,
                &detail)
    assert status == STATUS_OK
    assert compressed_segmentation.decode_u64(
        &unpacked[0], 4, chunk, block, 1, low, high, 0, 1, &out[0, 0, 0], out_strides, &detail) != STATUS_OK
    return [found[i] for i in range(count)]


def morton_code(point, grid_size):
    cdef int64_t[3] grid = [grid_size[0], grid_size[1], grid_size[2]]
    cdef int64_t[3] where = [point[0], point[1], point[2]]
    cdef int64_t[3] back
    cdef uint64_t code
    assert morton.compressed_morton_codes(where, 1, grid, &code) == STATUS_OK
    assert morton.morton_to_grid_points(&code, 1, grid, back) == STATUS_OK
    assert (back[0], back[1], back[2]) == tuple(point)
    return code


def shard_hash(uint64_t label):
    return murmurhash3.murmurhash3_uint64(label)


def shard_location(uint64_t label):
    """The shard and minishard of a label with two bits each, by its hash."""
    cdef uint64_t shard = 0, minishard = 0
    cdef int status
    with nogil:
        status = sharding.shard_locations(0, 2, 2, sharding.SHARD_HASH_MURMURHASH3, &label, 1, &shard, &minishard)
    return status, shard, minishard


def first_minishard_entry(const uint8_t[::1] data):
    """Status and entry of a minishard index of one datum."""
    cdef uint64_t[3] entry
    cdef StatusDetail detail
    cdef int status
    entry[0] = entry[1] = entry[2] = 0
    with nogil:
        status = sharding.parse_minishard_index(&data[0], data.shape[0], 100, entry, &detail)
    return status, (entry[0], entry[1], entry[2]), detail.offset


def merged_mesh(const uint8_t[::1] data, float[:, ::1] vertices, uint32_t[:, ::1] faces):
    """Decodes a fragment and merges it; returns the status, and how many vertices and faces remain."""
    cdef uint64_t num_vertices, num_faces, vertex_count, face_count
    cdef StatusDetail detail
    cdef int status = mesh.parse_fragment(&data[0], data.shape[0], &num_vertices, &num_faces, &detail)
    if status != STATUS_OK:
        return status, detail.offset, detail.found
    cdef float[:, ::1] own_vertices = memoryview(bytearray(12 * num_vertices)).cast("f", (num_vertices, 3))
    cdef uint32_t[:, ::1] own_faces = memoryview(bytearray(12 * num_faces)).cast("I", (num_faces, 3))
    with nogil:
        status = mesh.decode_fragment(
            &data[0], data.shape[0], 0, NULL, &own_vertices[0, 0], &own_faces[0, 0], &detail)
        if status == STATUS_OK:
            status = mesh.consolidate(
                &own_vertices[0, 0], num_vertices, &own_faces[0, 0], num_faces, &vertices[0, 0], &vertex_count,
                &faces[0, 0], &face_count, &detail)
    return status, vertex_count, face_count
