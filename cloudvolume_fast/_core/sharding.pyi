# SPDX-License-Identifier: BSD-3-Clause
"""Where ids are stored in shards, and the indexes of shard files."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

def locate(
    ids: ArrayLike,
    *,
    preshift_bits: int,
    minishard_bits: int,
    shard_bits: int,
    hash: Literal["identity", "murmurhash3_x86_128"],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the shard and minishard of each id.

    Parameters
    ----------
    ids : array_like of uint64, shape (n,)
        Labels or chunk ids.
    preshift_bits, minishard_bits, shard_bits : int
        0 to 64; the latter two are at most 64 together.
    hash : str
        Of the shifted id.

    Returns
    -------
    shards, minishards : ndarray of uint64, shape (n,)
        Numbers of shards and of minishards in them.

    Raises
    ------
    InvalidArgumentError
        If a parameter is out of range, or there is not exactly one axis.

    Notes
    -----
    Neuroglancer, ``sharded.rst``, "hashed chunk id".
    """

def parse_index(
    data: Buffer, *, payload_bytes: int | None = None, what: str = "shard index"
) -> NDArray[np.uint64]:
    """Read entries of a shard index.

    Parameters
    ----------
    data : bytes-like
        16 bytes per minishard.
    payload_bytes : int, optional
        Bytes that follow the shard index in its file, where that is known.
    what : str
        Opens the messages of errors.

    Returns
    -------
    ndarray of uint64, shape (n, 2), C order
        Begin and end of each encoded minishard index, from the end of the shard index.

    Raises
    ------
    SpecViolation
        If the length is not a multiple of 16, or an entry decreases, overlaps another or ends past the payload.
    MemoryError
        If memory ran out.
    TypeError
        If ``data`` is not bytes-like.
    """

def parse_minishard(
    data: Buffer, *, payload_bytes: int | None = None, what: str = "minishard index"
) -> NDArray[np.uint64]:
    """Read a decoded minishard index.

    Parameters
    ----------
    data : bytes-like
        24 bytes per datum.
    payload_bytes : int, optional
        Bytes that follow the shard index in its file, where that is known.
    what : str
        Opens the messages of errors.

    Returns
    -------
    ndarray of uint64, shape (n, 3), C order
        Id, offset from the end of the shard index, and size in bytes of each datum; ids ascending.

    Raises
    ------
    SpecViolation
        If the length is not a multiple of 24, an id occurs twice, or data go back, overlap or end past the payload.
    MemoryError
        If memory ran out.
    TypeError
        If ``data`` is not bytes-like.
    """

def assemble(
    ids: ArrayLike,
    sizes: ArrayLike,
    *,
    preshift_bits: int,
    minishard_bits: int,
    shard_bits: int,
    hash: Literal["identity", "murmurhash3_x86_128"],
    minishard_index_encoding: Literal["raw", "gzip"],
    skips: ArrayLike | None = None,
) -> tuple[bytes, NDArray[np.uintp], bytes]:
    """Lay out a shard file.

    Parameters
    ----------
    ids : array_like of uint64, shape (n,)
        All of one shard.
    sizes : array_like of uint64, shape (n,)
        Stored bytes of each datum.
    preshift_bits, minishard_bits, shard_bits : int
        0 to 64; the latter two are at most 64 together, and ``minishard_bits`` at most 30.
    hash : str
        Of the shifted id.
    minishard_index_encoding : str
        What each minishard index is compressed with.
    skips : array_like of uint64, shape (n,), optional
        Leading bytes of each datum that its index entry leaves out.

    Returns
    -------
    index : bytes
        The shard index.
    order : ndarray of uintp, shape (n,)
        The order in which the data follow it.
    minishard_indexes : bytes
        What follows the data.

    Raises
    ------
    InvalidArgumentError
        If a parameter is out of range or of another length.
    SpecViolation
        If an id occurs twice or belongs to another shard, more is left out than there is, or ``minishard_bits`` exceeds
        30.
    MemoryError
        If memory ran out.
    """
