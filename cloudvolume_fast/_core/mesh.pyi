# SPDX-License-Identifier: BSD-3-Clause
"""Fragments and manifests of meshes, and positions quantised in cells."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

_Triple = tuple[float, float, float]
_Lod = tuple[float, _Triple, NDArray[np.uint32], NDArray[np.uint32]]

def raise_status(what: str, code: int, offset: int, expected: int, found: int) -> NoReturn:
    """Raise the exception that a kernel's status stands for.

    Parameters
    ----------
    what : str
        Label and file; it opens the message.
    code : int
        A ``StatusCode`` other than 0.
    offset, expected, found : int
        As in ``StatusDetail``.

    Raises
    ------
    MemoryError, InvalidArgumentError, MeshDecodeError
    """

def fragment_bytes(vertices: ArrayLike, faces: ArrayLike, *, what: str = "mesh") -> bytes:
    """Return a fragment of the single-resolution format.

    Parameters
    ----------
    vertices : array_like of float32, shape (n, 3)
    faces : array_like of uint32, shape (m, 3)
    what : str
        Opens messages.

    Raises
    ------
    MeshDecodeError
        If a coordinate is not finite, or a face uses a vertex that is not there.
    """

def transformed(
    vertices: ArrayLike, transform: Sequence[float] | None, *, what: str = "mesh"
) -> NDArray[np.float32]:
    """Return positions moved by a map of three rows of four.

    Raises
    ------
    MeshDecodeError
        If a coordinate is not finite, before or after.
    """

def chunk_borders(
    vertices: ArrayLike, chunk_size: ArrayLike, offset: ArrayLike, grid_size: float
) -> NDArray[np.uint8]:
    """Mark vertices on the faces of chunks.

    Parameters
    ----------
    vertices : array_like of float32, shape (n, 3)
    chunk_size, offset : array_like of 3 float
        Extents of a chunk, and a corner of one.
    grid_size : float
        0 marks what is exactly on a face, otherwise what quantisation by so much may have moved from it: less than half
        of it behind a face, or at most half of it ahead of one.

    Returns
    -------
    ndarray of uint8, shape (n,)
        0 or 1.

    Raises
    ------
    InvalidArgumentError
        If a chunk is not positive.
    """

def dequantized(
    quantized: ArrayLike,
    *,
    base: ArrayLike,
    extent: ArrayLike,
    number: ArrayLike,
    bits: int,
    transform: Sequence[float] | None = None,
    what: str = "mesh",
) -> NDArray[np.float32]:
    """Turn quantised positions into those of the model.

    Parameters
    ----------
    quantized : array_like of uint32, shape (n, 3)
        0 to 2^bits - 1.
    base : array_like of 3 float
        Corner of cell (0, 0, 0).
    extent : array_like of 3 float
        Of a cell.
    number : array_like of 3 float
        Which cell it is.
    bits : int
        1 to 32 for each coordinate.
    transform : sequence of 12 float, optional
        Applied afterwards.
    what : str
        Opens messages.

    Returns
    -------
    ndarray of float32, shape (n, 3)

    Raises
    ------
    MeshDecodeError
        If a position has more bits, or a coordinate is not finite once moved.
    """

def dequantized_fragments(
    points: Sequence[ArrayLike],
    faces: Sequence[ArrayLike],
    *,
    base: ArrayLike,
    extent: ArrayLike,
    numbers: ArrayLike,
    bits: int,
    transform: Sequence[float] | None = None,
    names: Sequence[str],
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Put fragments of a level one after another, their positions as `dequantized` has them.

    Parameters
    ----------
    points, faces : sequence of array_like of uint32, shape (n, 3)
        Of each fragment; faces use vertices that are there.
    base, extent, bits, transform
        As in `dequantized`.
    numbers : array_like of uint32, shape (fragments, 3)
        Cells of the fragments.
    names : sequence of str
        What they are called in messages.

    Returns
    -------
    vertices : ndarray of float32, shape (n, 3)
    faces : ndarray of uint32, shape (m, 3)

    Raises
    ------
    MeshDecodeError
        As `dequantized`; it names the fragment.
    """

def quantized(
    vertices: ArrayLike,
    *,
    base: ArrayLike,
    extent: ArrayLike,
    number: ArrayLike,
    bits: int,
    what: str = "mesh",
) -> NDArray[np.uint32]:
    """Return the nearest quantised positions, those outside of the cell on its rim; the inverse of `dequantized`.

    Raises
    ------
    MeshDecodeError
        If a coordinate is not finite.
    """

def cut_into_cells(
    vertices: ArrayLike,
    faces: ArrayLike,
    *,
    base: ArrayLike,
    extent: ArrayLike,
    shape: Sequence[int],
    is_halved: bool,
    bits: int,
    what: str = "mesh",
) -> list[tuple[tuple[int, int, int], NDArray[np.uint32], NDArray[np.uint32]]]:
    """Cut a mesh at the planes between cells and quantise it within them.

    Parameters
    ----------
    vertices : array_like of float32, shape (n, 3)
    faces : array_like of uint32, shape (m, 3)
    base, extent : array_like of 3 float
        Corner of cell (0, 0, 0), and extents of a cell.
    shape : sequence of 3 int
        Number of cells.
    is_halved : bool
        Cut at the planes through the middles of cells as well.
    bits : int
        1 to 21 for each coordinate.
    what : str
        Opens messages.

    Returns
    -------
    list of (position, quantized, faces)
        Of cells that have faces, in the order of the Z curve.

    Raises
    ------
    MeshDecodeError
        If a coordinate is not finite or outside of the cells, or a face uses a vertex that is not there.
    InvalidArgumentError
        If the cells make no sense.
    """

def manifest_parts(
    data: Buffer, *, data_bytes: int | None = None, what: str = "mesh manifest"
) -> tuple[_Triple, _Triple, list[_Lod]]:
    """Read a multi-resolution manifest.

    Parameters
    ----------
    data : bytes
    data_bytes : int, optional
        How many bytes all fragments may have together.
    what : str
        Opens messages.

    Returns
    -------
    chunk_shape, grid_origin : tuple of 3 float
    lods : list of (scale, vertex_offset, positions, sizes)
        Positions have shape (n, 3).

    Raises
    ------
    MeshDecodeError
        If it is not what the format allows.
    """

def manifest_bytes(
    chunk_shape: ArrayLike,
    grid_origin: ArrayLike,
    lods: Sequence[tuple[float, ArrayLike, ArrayLike, ArrayLike]],
    *,
    what: str = "mesh manifest",
) -> bytes:
    """Write a multi-resolution manifest; the inverse of `manifest_parts`.

    Raises
    ------
    InvalidArgumentError
        If it cannot be represented.
    """
