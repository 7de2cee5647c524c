# SPDX-License-Identifier: BSD-3-Clause
"""Compressed Morton codes of grid points."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

def bits(grid_size: Iterable[int]) -> int:
    """Return how many bits a code of a grid has.

    Parameters
    ----------
    grid_size : 3 int
        Chunks along x, y, z; positive.

    Returns
    -------
    int
        The sum over axes of ``ceil(log2(size))``.

    Raises
    ------
    InvalidArgumentError
        If a size is not positive.
    ValueError
        If there are not 3 numbers.
    """

def encode(grid_points: ArrayLike, grid_size: Iterable[int]) -> NDArray[np.uint64]:
    """Return the compressed Morton codes of grid points.

    Parameters
    ----------
    grid_points : array_like of int64, shape (n, 3)
        Points xyz inside the grid.
    grid_size : 3 int
        Chunks along x, y, z; positive.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The codes, in the order of the points.

    Raises
    ------
    InvalidArgumentError
        If a point lies outside of the grid, or the codes would need more than 64 bits.
    ValueError
        If ``grid_size`` does not hold 3 numbers.

    Notes
    -----
    Neuroglancer, ``sharded.rst``, "compressed Morton code".
    """

def decode(codes: ArrayLike, grid_size: Iterable[int]) -> NDArray[np.int64]:
    """Return the grid points of compressed Morton codes.

    Parameters
    ----------
    codes : array_like of uint64, shape (n,)
        Codes as :func:`encode` makes them.
    grid_size : 3 int
        Chunks along x, y, z; positive.

    Returns
    -------
    ndarray of int64, shape (n, 3)
        Points xyz, C order.

    Raises
    ------
    InvalidArgumentError
        If the codes of such a grid would need more than 64 bits.
    ValueError
        If ``grid_size`` does not hold 3 numbers.
    """
