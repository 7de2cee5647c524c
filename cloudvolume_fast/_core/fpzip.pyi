# SPDX-License-Identifier: BSD-3-Clause
"""The fpzip encoding of float arrays."""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

_Float = TypeVar("_Float", np.float32, np.float64)

def header(
    data: Buffer,
) -> tuple[tuple[int, int, int, int], np.dtype[np.float32] | np.dtype[np.float64], int]:
    """Return what a stream says about itself, before anything is decoded or allocated.

    Parameters
    ----------
    data : bytes-like
        The stream, or its first 64 bytes.

    Returns
    -------
    shape : (int, int, int, int)
        Extents x, y, z and field.
    dtype : float32 or float64
        Type of the values.
    precision : int
        Leading bits of each value that are stored: 2 to 32, or 4 to 64.

    Raises
    ------
    ChunkDecodeError
        If it is no fpzip stream, or one of another version.
    TypeError
        If ``data`` is not bytes-like.
    """

def decode(
    data: Buffer,
    shape: Iterable[int],
    dtype: type[_Float] | np.dtype[_Float],
    *,
    out: NDArray[_Float] | None = None,
) -> NDArray[_Float]:
    """Decode a stream of a known shape and type.

    Parameters
    ----------
    data : bytes-like
        The stream, with nothing after it.
    shape : 4 int
        Extents x, y, z and field.
    dtype : float32 or float64
        Type of the values.
    out : ndarray of dtype, of that shape, Fortran order, optional
        Where to decode to; a new array by default.

    Returns
    -------
    ndarray of dtype, of that shape, Fortran order
        ``out``, or the new array.

    Raises
    ------
    ChunkDecodeError
        If the stream is damaged, or has another shape or type.
    InvalidArgumentError
        If the shape is not 4 positive extents, or dtype or ``out`` do not fit.
    MemoryError
        If memory ran out.
    TypeError
        If ``data`` is not bytes-like.

    Notes
    -----
    Lindstrom and Isenburg, "Fast and Efficient Compression of Floating-Point Data" (2006); bit by bit what the fpzip
    package returns.
    """

def encode(values: NDArray[np.float32] | NDArray[np.float64], *, precision: int = 0) -> bytes:
    """Encode an array.

    Parameters
    ----------
    values : ndarray of float32 or float64, 1 to 4 axes, any strides
        Not empty.  The first axis is x, whatever the order in memory.
    precision : int
        Leading bits of each value to store: 2 to 32 (float32), or 4 to 64 and even (float64); 0 for all.

    Returns
    -------
    bytes
        The stream, byte by byte what the fpzip package writes.

    Raises
    ------
    EncodingError
        If the range code has no room left; never seen.
    InvalidArgumentError
        If dtype, shape or precision is none of these.
    MemoryError
        If memory ran out.
    TypeError
        If ``values`` is no array.
    """
