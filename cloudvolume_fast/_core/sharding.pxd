# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t, uint64_t

from cloudvolume_fast._core.status cimport StatusDetail

# How ids are hashed, after they are shifted.
cdef enum ShardHash:
    SHARD_HASH_IDENTITY = 0
    SHARD_HASH_MURMURHASH3 = 1

# Where ids are stored: n shards and minishards.  Bits are 0 to 64, minishard_bits + shard_bits at most 64;
# STATUS_INVALID_ARGUMENT where they or the hash are not.
cdef int shard_locations(
    int preshift_bits, int minishard_bits, int shard_bits, int hash, const uint64_t* ids, size_t n,
    uint64_t* shards, uint64_t* minishards
) noexcept nogil

# Reads n bytes of a shard index into n / 16 pairs (begin, end), which count from the end of the whole index.
# payload_bytes is what follows it in the file, UINT64_MAX if that is not known.
# STATUS_TRAILING_BYTES, _BAD_VALUE, _OFFSET_RANGE or _NO_MEMORY otherwise.
cdef int parse_shard_index(
    const uint8_t* data, size_t n, uint64_t payload_bytes, uint64_t* extents, StatusDetail* detail
) noexcept nogil

# Reads n bytes of a decoded minishard index into n / 24 triples (id, offset, size), ids ascending.
# STATUS_TRAILING_BYTES, _OVERFLOW, _OFFSET_RANGE, _BAD_VALUE or _NO_MEMORY otherwise.
cdef int parse_minishard_index(
    const uint8_t* data, size_t n, uint64_t payload_bytes, uint64_t* entries, StatusDetail* detail
) noexcept nogil
