# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t
from libcpp.vector cimport vector

from cloudvolume_fast.libcvfast.status cimport Status
from cloudvolume_fast.libcvfast.std cimport byte, const_byte_span

cdef extern from "cvfast/locate/shard_index.hpp" namespace "cvfast::locate" nogil:
    cppclass IndexExtent:
        uint64_t begin
        uint64_t end

    cppclass ShardEntry:
        uint64_t id
        uint64_t offset
        uint64_t size

    Status parse_shard_index(const_byte_span data, uint64_t payload_bytes, vector[IndexExtent]& out) except +
    Status parse_minishard_index(const_byte_span data, uint64_t payload_bytes, vector[ShardEntry]& out) except +
