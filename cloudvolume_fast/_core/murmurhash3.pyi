# SPDX-License-Identifier: BSD-3-Clause
"""MurmurHash3 as the sharded format uses it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

def hash_bytes(data: Buffer, seed: int = 0) -> int:
    """Return MurmurHash3_x86_128 of some bytes.

    Parameters
    ----------
    data : bytes-like
        C-contiguous.
    seed : int
        32 bits.

    Returns
    -------
    int
        All 128 bits; the low 64 are the first 8 bytes of the digest read as little-endian.

    Raises
    ------
    OverflowError
        If the seed does not fit 32 bits.
    TypeError
        If ``data`` is not bytes-like.
    """

def hash_uint64(values: ArrayLike) -> NDArray[np.uint64]:
    """Return the shard hash of chunk ids or labels.

    Parameters
    ----------
    values : array_like of uint64, shape (n,)
        Each is hashed as its 8 little-endian bytes with seed 0.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The low 64 bits of each hash.

    Raises
    ------
    InvalidArgumentError
        If there is not exactly one axis.

    Notes
    -----
    Neuroglancer, ``sharded.rst``, ``"hash": "murmurhash3_x86_128"``.
    """
