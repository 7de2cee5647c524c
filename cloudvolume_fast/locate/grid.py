# SPDX-License-Identifier: BSD-3-Clause
"""Boxes of voxels to points of the grid of chunks, and to the ids that chunks have in shards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast._core import morton
from cloudvolume_fast.locate.indexing import Bounds


def grid_size(volume: Bounds, chunk_size: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return how many chunks a volume has along x, y, z."""
    x, y, z = (-((volume[i] - volume[i + 3]) // chunk_size[i]) for i in range(3))
    return x, y, z


def grid_points(
    bounds: Bounds, volume: Bounds, chunk_size: tuple[int, int, int]
) -> NDArray[np.int64]:
    """Return the grid points of the chunks that a box inside of a volume touches.

    Returns
    -------
    ndarray of int64, shape (n, 3)
        Rows x, y, z; x fastest.
    """
    axes = [
        np.arange(
            (bounds[i] - volume[i]) // chunk_size[i],
            -((volume[i] - bounds[i + 3]) // chunk_size[i]),
            dtype=np.int64,
        )
        for i in range(3)
    ]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)


def chunk_ids(
    bounds: Bounds, volume: Bounds, chunk_size: tuple[int, int, int]
) -> NDArray[np.uint64]:
    """Return the ids that the chunks of a box inside of a volume have in shards.

    Returns
    -------
    ndarray of uint64, shape (n,)
        Compressed Morton codes, x fastest.

    Notes
    -----
    Neuroglancer, sharded.rst, "compressed Morton code".
    """
    return morton.encode(grid_points(bounds, volume, chunk_size), grid_size(volume, chunk_size))
