# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from cloudvolume_fast._core.status cimport StatusDetail

# The compressed_segmentation encoding.  data is one chunk of n bytes without any outer gzip, chunk_shape and
# block_shape are arrays of 3 positive numbers of voxels.  A box is [box_min, box_max) in voxels relative to the chunk,
# inside it; channels are [channel_begin, channel_end).  STATUS_INVALID_ARGUMENT when these do not fit together.

# Decodes a box; only the sub-blocks that it meets are touched.  dst points at the voxel box_min of channel_begin, its
# 4 strides are in bytes.  STATUS_TRUNCATED, _OFFSET_RANGE or _BAD_VALUE for a damaged chunk.
cdef int decode_u32(
    const uint8_t* data, size_t n, const int64_t* chunk_shape, const int64_t* block_shape,
    int64_t num_channels, const int64_t* box_min, const int64_t* box_max, int64_t channel_begin,
    int64_t channel_end, uint32_t* dst, const int64_t* dst_strides, StatusDetail* detail
) noexcept nogil
cdef int decode_u64(
    const uint8_t* data, size_t n, const int64_t* chunk_shape, const int64_t* block_shape,
    int64_t num_channels, const int64_t* box_min, const int64_t* box_max, int64_t channel_begin,
    int64_t channel_end, uint64_t* dst, const int64_t* dst_strides, StatusDetail* detail
) noexcept nogil

# The distinct labels of a box, ascending.  *count is set to their number also when it exceeds capacity; then nothing
# is stored and the result is STATUS_TOO_LARGE.  item_size is that of the encoded labels, 4 or 8.
cdef int unique_labels(
    const uint8_t* data, size_t n, const int64_t* chunk_shape, const int64_t* block_shape,
    int64_t num_channels, int64_t item_size, const int64_t* box_min, const int64_t* box_max,
    int64_t channel_begin, int64_t channel_end, uint64_t* out, size_t capacity, size_t* count,
    StatusDetail* detail
) noexcept nogil

# Encodes a whole chunk.  *written is set to the size also when it exceeds capacity; then nothing is stored and the
# result is STATUS_TOO_LARGE.  STATUS_OVERFLOW when the labels are too many for the format's 24-bit table offsets.
cdef int encode_u32(
    const uint32_t* src, const int64_t* src_strides, const int64_t* chunk_shape,
    const int64_t* block_shape, int64_t num_channels, uint8_t* out, size_t capacity, size_t* written,
    StatusDetail* detail
) noexcept nogil
cdef int encode_u64(
    const uint64_t* src, const int64_t* src_strides, const int64_t* chunk_shape,
    const int64_t* block_shape, int64_t num_channels, uint8_t* out, size_t capacity, size_t* written,
    StatusDetail* detail
) noexcept nogil

# The size that no encoding of such a chunk exceeds; 0 when the shapes make no sense.
cdef uint64_t max_encoded_bytes(
    const int64_t* chunk_shape, const int64_t* block_shape, int64_t num_channels, int64_t item_size
) noexcept nogil
