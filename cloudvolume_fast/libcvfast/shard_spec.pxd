# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t
from libcpp cimport bool

cdef extern from "cvfast/locate/shard_spec.hpp" namespace "cvfast::locate" nogil:
    enum class ShardHash:
        kIdentity
        kMurmurhash3

    cppclass ShardSpec:
        int preshift_bits
        int minishard_bits
        int shard_bits
        ShardHash hash
        bool gzip_minishard_index
        bool gzip_data
        bool valid() noexcept

    cppclass ShardLocation:
        uint64_t shard
        uint64_t minishard

    ShardLocation shard_location(const ShardSpec& spec, uint64_t id) noexcept
    void shard_locations(
        const ShardSpec& spec, const uint64_t* ids, size_t n, uint64_t* shards, uint64_t* minishards
    ) noexcept
