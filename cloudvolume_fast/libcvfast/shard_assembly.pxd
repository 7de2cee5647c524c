# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t
from libcpp.vector cimport vector

from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cvfast/fetch/shard_assembly.hpp" namespace "cvfast::fetch" nogil:
    cppclass ShardDatum:
        uint64_t id
        const_byte_span bytes
        uint64_t skip

    cppclass AssembledShard:
        vector[byte] index
        vector[size_t] order
        vector[byte] minishard_indexes
