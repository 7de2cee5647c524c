# SPDX-License-Identifier: BSD-3-Clause
"""The compressed_segmentation encoding of label chunks."""

from collections.abc import Iterable
from typing import Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

_Label = TypeVar("_Label", np.uint32, np.uint64)
_Box = tuple[Iterable[int], Iterable[int]]

@overload
def decode(
    data: Buffer,
    chunk_shape: Iterable[int],
    dtype: Literal["uint32"],
    *,
    block_shape: Iterable[int] = (8, 8, 8),
    num_channels: int = 1,
    box: _Box | None = None,
    out: NDArray[np.uint32] | None = None,
) -> NDArray[np.uint32]: ...
@overload
def decode(
    data: Buffer,
    chunk_shape: Iterable[int],
    dtype: Literal["uint64"],
    *,
    block_shape: Iterable[int] = (8, 8, 8),
    num_channels: int = 1,
    box: _Box | None = None,
    out: NDArray[np.uint64] | None = None,
) -> NDArray[np.uint64]: ...
@overload
def decode(
    data: Buffer,
    chunk_shape: Iterable[int],
    dtype: type[_Label] | np.dtype[_Label],
    *,
    block_shape: Iterable[int] = (8, 8, 8),
    num_channels: int = 1,
    box: _Box | None = None,
    out: NDArray[_Label] | None = None,
) -> NDArray[_Label]:
    """Decode a chunk, or a box of it.

    Only the sub-blocks that the box meets are read, and only their words are checked.

    Parameters
    ----------
    data : bytes-like
        The chunk, without any outer compression.
    chunk_shape : 3 int
        Voxels xyz of the chunk, which is smaller than ``chunk_size`` at the end of a volume.
    dtype : uint32 or uint64
        Type of the labels.
    block_shape : 3 int
        ``compressed_segmentation_block_size`` of the scale, in voxels.
    num_channels : int
        Channels of the chunk; all are decoded.
    box : (min, max), optional
        Half-open box of voxels relative to the chunk; the whole chunk by default.
    out : ndarray of dtype, shape (x, y, z, channel), any strides, optional
        Where to decode to; a new Fortran-order array by default.

    Returns
    -------
    ndarray of dtype, shape (x, y, z, channel)
        ``out``, or the new array.

    Raises
    ------
    ChunkDecodeError
        If the chunk is damaged or has another geometry.
    InvalidArgumentError
        If shapes are not positive, the box leaves the chunk, or dtype or ``out`` do not fit.
    TypeError
        If ``data`` is not bytes-like.
    ValueError
        If a shape or a corner of the box does not hold 3 numbers.

    Notes
    -----
    Neuroglancer, ``compressed_segmentation/README.md``.
    """

def unique(
    data: Buffer,
    chunk_shape: Iterable[int],
    dtype: type[_Label] | np.dtype[_Label],
    *,
    block_shape: Iterable[int] = (8, 8, 8),
    num_channels: int = 1,
    box: _Box | None = None,
) -> NDArray[_Label]:
    """Return the distinct labels of a chunk, or of a box of it, without decoding it.

    Parameters
    ----------
    data : bytes-like
        The chunk, without any outer compression.
    chunk_shape : 3 int
        Voxels xyz of the chunk.
    dtype : uint32 or uint64
        Type of the labels.
    block_shape : 3 int
        ``compressed_segmentation_block_size`` of the scale, in voxels.
    num_channels : int
        Channels of the chunk; all are counted.
    box : (min, max), optional
        Half-open box of voxels relative to the chunk; the whole chunk by default.

    Returns
    -------
    ndarray of dtype, shape (n,)
        Ascending, without duplicates.

    Raises
    ------
    ChunkDecodeError
        If the chunk is damaged or has another geometry.
    InvalidArgumentError
        If shapes are not positive, the box leaves the chunk, or the dtype does not fit.
    MemoryError
        If memory ran out.
    TypeError
        If ``data`` is not bytes-like.
    ValueError
        If a shape or a corner of the box does not hold 3 numbers.
    """

def encode(labels: NDArray[_Label], *, block_shape: Iterable[int] = (8, 8, 8)) -> bytes:
    """Encode a chunk.

    Parameters
    ----------
    labels : ndarray of uint32 or uint64, shape (x, y, z) or (x, y, z, channel), any strides
        The chunk, not empty.
    block_shape : 3 int
        Voxels xyz of a sub-block.

    Returns
    -------
    bytes
        The chunk, without outer compression.

    Raises
    ------
    EncodingError
        If the labels are too many for the 24-bit table offsets of the format: use smaller chunks.
    InvalidArgumentError
        If a shape is not positive or the dtype does not fit.
    MemoryError
        If memory ran out.
    TypeError
        If ``labels`` is no array.
    """
