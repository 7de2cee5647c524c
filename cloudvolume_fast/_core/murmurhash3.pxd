# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint32_t, uint64_t

# MurmurHash3_x86_128 of n bytes: hash[0] is the low, hash[1] the high half.
cdef void murmurhash3_x86_128(const void* data, size_t n, uint32_t seed, uint64_t* hash) noexcept nogil

# The low 8 bytes of the hash of a little-endian uint64 with seed 0, as the sharded format uses it.
cdef uint64_t murmurhash3_uint64(uint64_t value) noexcept nogil

# n of them.
cdef void murmurhash3_uint64s(const uint64_t* values, size_t n, uint64_t* hashes) noexcept nogil
