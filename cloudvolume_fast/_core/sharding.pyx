# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, freethreading_compatible=True, boundscheck=False
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t

from cloudvolume_fast._core cimport _glue as glue
from cloudvolume_fast._core.status cimport STATUS_INVALID_ARGUMENT, STATUS_OK, StatusDetail
from cloudvolume_fast.libcvfast cimport shard_spec as lib
from cloudvolume_fast.libcvfast.shard_assembly cimport AssembledShard
from cloudvolume_fast.libcvfast.status cimport Code, Status, describe
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

import numpy as np

from cloudvolume_fast.errors import InvalidArgumentError, SpecViolation

cdef uint64_t UNKNOWN = <uint64_t> -1
_HASHES = {"identity": SHARD_HASH_IDENTITY, "murmurhash3_x86_128": SHARD_HASH_MURMURHASH3}


cdef int fill_spec(
    int preshift_bits, int minishard_bits, int shard_bits, int hash, lib.ShardSpec* spec
) noexcept nogil:
    spec.preshift_bits = preshift_bits
    spec.minishard_bits = minishard_bits
    spec.shard_bits = shard_bits
    if hash == SHARD_HASH_IDENTITY:
        spec.hash = lib.ShardHash.kIdentity
    elif hash == SHARD_HASH_MURMURHASH3:
        spec.hash = lib.ShardHash.kMurmurhash3
    else:
        return STATUS_INVALID_ARGUMENT
    return STATUS_OK if spec.valid() else STATUS_INVALID_ARGUMENT


cdef int shard_locations(
    int preshift_bits, int minishard_bits, int shard_bits, int hash, const uint64_t* ids, size_t n,
    uint64_t* shards, uint64_t* minishards
) noexcept nogil:
    cdef lib.ShardSpec spec
    cdef int code = fill_spec(preshift_bits, minishard_bits, shard_bits, hash, &spec)
    if code == STATUS_OK:
        lib.shard_locations(spec, ids, n, shards, minishards)
    return code


cdef int parse_shard_index(
    const uint8_t* data, size_t n, uint64_t payload_bytes, uint64_t* extents, StatusDetail* detail
) noexcept nogil:
    return glue.finish(
        glue.parse_shard_index(const_byte_span(<const byte*> data, n), payload_bytes, extents), detail
    )


cdef int parse_minishard_index(
    const uint8_t* data, size_t n, uint64_t payload_bytes, uint64_t* entries, StatusDetail* detail
) noexcept nogil:
    return glue.finish(
        glue.parse_minishard_index(const_byte_span(<const byte*> data, n), payload_bytes, entries), detail
    )


cdef int get_spec(
    int preshift_bits, int minishard_bits, int shard_bits, object hash, lib.ShardSpec* spec
) except -1:
    if hash not in _HASHES:
        raise InvalidArgumentError(f"hash: expected one of {', '.join(_HASHES)}, found {hash!r}")
    if fill_spec(preshift_bits, minishard_bits, shard_bits, _HASHES[hash], spec) != STATUS_OK:
        raise InvalidArgumentError(
            "expected preshift_bits, minishard_bits, shard_bits of 0 to 64 and at most 64 of the latter two together, "
            f"found {preshift_bits}, {minishard_bits}, {shard_bits}"
        )
    return 0


cdef object get_ids(object values, str name):
    array = np.ascontiguousarray(values, dtype=np.uint64)
    if array.ndim != 1:
        raise InvalidArgumentError(f"{name}: expected shape (n,), found {array.shape}")
    return array


def locate(ids, *, int preshift_bits, int minishard_bits, int shard_bits, str hash):
    cdef lib.ShardSpec spec
    get_spec(preshift_bits, minishard_bits, shard_bits, hash, &spec)
    array = get_ids(ids, "ids")
    shards = np.empty(array.shape[0], dtype=np.uint64)
    minishards = np.empty(array.shape[0], dtype=np.uint64)
    cdef const uint64_t[::1] ids_view = array
    cdef uint64_t[::1] shards_view = shards
    cdef uint64_t[::1] minishards_view = minishards
    cdef size_t n = array.shape[0]
    if n > 0:
        with nogil:
            lib.shard_locations(spec, &ids_view[0], n, &shards_view[0], &minishards_view[0])
    return shards, minishards


cdef object violation(object what, Status status, str sentence):
    if status.code == Code.kNoMemory:
        return MemoryError(f"{what}: {describe(status.code).decode()}")
    return SpecViolation(
        f"{what}: {sentence}", key=what, offset=status.offset, expected=status.expected, found=status.found
    )


cdef str shard_index_sentence(Status status):
    if status.code == Code.kTrailingBytes:
        return f"expected a multiple of 16 bytes, found {status.found}"
    cdef str where = f"minishard {status.offset // 16}"
    if status.code == Code.kOffsetRange:
        return (f"{where}: expected its index to end within the {status.expected} bytes behind the shard index, "
                f"found {status.found}")
    if status.offset % 16 == 8:
        return (f"{where}: expected its index to end at {status.expected} or later, where it begins, "
                f"found {status.found}")
    return (f"{where}: expected its index to begin at {status.expected} or later, where another one ends, "
            f"found {status.found}")


cdef str minishard_index_sentence(Status status):
    if status.code == Code.kTrailingBytes:
        return f"expected a multiple of 24 bytes, found {status.found}"
    if status.code == Code.kBadValue:
        return f"expected each id once, found {status.found} again (byte {status.offset})"
    if status.code == Code.kOverflow:
        return (f"expected data in ascending order, at most {status.expected} bytes ahead, found {status.found} "
                f"(byte {status.offset})")
    return (f"expected data to end within the {status.expected} bytes behind the shard index, found {status.found} "
            f"(byte {status.offset})")


def parse_index(data, *, payload_bytes=None, str what="shard index"):
    cdef Py_buffer view
    cdef Status status
    cdef uint64_t[:, ::1] out_view
    cdef uint64_t* extents = NULL
    cdef uint64_t payload = UNKNOWN if payload_bytes is None else payload_bytes
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = np.empty((view.len // 16, 2), dtype=np.uint64)
        if out.size > 0:
            out_view = out
            extents = &out_view[0, 0]
        with nogil:
            status = glue.parse_shard_index(const_byte_span(<const byte*> view.buf, view.len), payload, extents)
    finally:
        PyBuffer_Release(&view)
    if not status.ok():
        raise violation(what, status, shard_index_sentence(status))
    return out


def parse_minishard(data, *, payload_bytes=None, str what="minishard index"):
    cdef Py_buffer view
    cdef Status status
    cdef uint64_t[:, ::1] out_view
    cdef uint64_t* entries = NULL
    cdef uint64_t payload = UNKNOWN if payload_bytes is None else payload_bytes
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = np.empty((view.len // 24, 3), dtype=np.uint64)
        if out.size > 0:
            out_view = out
            entries = &out_view[0, 0]
        with nogil:
            status = glue.parse_minishard_index(const_byte_span(<const byte*> view.buf, view.len), payload, entries)
    finally:
        PyBuffer_Release(&view)
    if not status.ok():
        raise violation(what, status, minishard_index_sentence(status))
    return out


def assemble(
    ids, sizes, *, int preshift_bits, int minishard_bits, int shard_bits, str hash, str minishard_index_encoding,
    skips=None
):
    cdef lib.ShardSpec spec
    cdef AssembledShard shard
    cdef Status status
    get_spec(preshift_bits, minishard_bits, shard_bits, hash, &spec)
    if minishard_index_encoding not in ("raw", "gzip"):
        raise InvalidArgumentError(
            f"minishard_index_encoding: expected raw or gzip, found {minishard_index_encoding!r}"
        )
    spec.gzip_minishard_index = minishard_index_encoding == "gzip"
    id_array = get_ids(ids, "ids")
    size_array = get_ids(sizes, "sizes")
    skip_array = np.zeros_like(id_array) if skips is None else get_ids(skips, "skips")
    if not id_array.shape == size_array.shape == skip_array.shape:
        raise InvalidArgumentError(
            f"sizes, skips: expected {id_array.shape[0]} as of ids, found {size_array.shape[0]}, {skip_array.shape[0]}"
        )
    cdef const uint64_t[::1] ids_view = id_array
    cdef const uint64_t[::1] sizes_view = size_array
    cdef const uint64_t[::1] skips_view = skip_array
    cdef size_t n = id_array.shape[0]
    cdef const uint64_t* id_pointer = NULL
    cdef const uint64_t* size_pointer = NULL
    cdef const uint64_t* skip_pointer = NULL
    if n > 0:
        id_pointer = &ids_view[0]
        size_pointer = &sizes_view[0]
        skip_pointer = &skips_view[0]
    with nogil:
        status = glue.assemble_shard(spec, id_pointer, size_pointer, skip_pointer, n, shard)
    if not status.ok():
        if status.code == Code.kOverflow:
            raise violation("shard", status, f"expected each id once, found {status.found} again")
        if status.code == Code.kBadValue:
            raise violation("shard", status, f"id {id_array[status.offset]}: expected shard {status.expected:x} (hex), "
                            f"as of the first id, found {status.found:x}")
        if status.code == Code.kOffsetRange:
            raise violation("shard", status, f"id {id_array[status.offset]}: expected to leave out at most "
                            f"{status.expected} bytes, found {status.found}")
        if status.code == Code.kTooLarge and status.expected == 30:
            raise violation("minishard_bits", status, f"expected at most 30 to write a shard, found {status.found}")
        raise violation("shard", status, describe(status.code).decode())
    cdef size_t[::1] order_view
    order = np.empty(n, dtype=np.uintp)
    cdef size_t i
    if n > 0:
        order_view = order
        for i in range(n):
            order_view[i] = shard.order[i]
    return (
        PyBytes_FromStringAndSize(<const char*> shard.index.data(), shard.index.size()),
        order,
        PyBytes_FromStringAndSize(<const char*> shard.minishard_indexes.data(), shard.minishard_indexes.size()),
    )
