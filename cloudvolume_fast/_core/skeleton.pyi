# SPDX-License-Identifier: BSD-3-Clause
"""Binary skeletons of the Precomputed format, many in one call."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

def decode_many(
    buffers: list[bytes],
    names: Sequence[str],
    *,
    attributes: Iterable[tuple[DTypeLike, int]],
    transform: ArrayLike | None = None,
    make: Callable[[int, NDArray[np.float32], NDArray[np.uint32], list[NDArray[np.generic]]], Any]
    | None = None,
) -> list[Any]:
    """Decode skeletons.

    Parameters
    ----------
    buffers : list of bytes
        Uncompressed.
    names : sequence of str
        What messages call them; asked for when there is one.
    attributes : iterable of (dtype, int)
        Type and number of components of each vertex attribute, in the order of the info.
    transform : array_like, shape (3, 4), optional
        Applied to the vertices, in double precision.
    make : callable, optional
        Called with the number of each skeleton and its arrays before they are filled; what it returns stands in the
        result.  Tuples that live as long as the batch are what Python's garbage collector spends its time on.

    Returns
    -------
    list of (vertices, edges, attributes), or of what `make` returns
        ndarray of float32, shape (n, 3); ndarray of uint32, shape (m, 2); and of each attribute that the bytes hold an
        ndarray of its type, shape (n,) or (n, components).  All are C order and writeable.

    Raises
    ------
    SkeletonDecodeError
        The bytes end before what they announce, or within an attribute.
    SkeletonUnassignedEdgeError
        An edge names a vertex that is not there.
    InvalidArgumentError

    Notes
    -----
    Neuroglancer, ``skeleton.rst``.  Bytes behind the last attribute are not looked at.
    """

def encode_many(
    skeletons: list[tuple[ArrayLike, ArrayLike, list[tuple[str, ArrayLike]]]],
    names: Sequence[str],
    *,
    transform: ArrayLike | None = None,
) -> list[bytes]:
    """Encode skeletons.

    Parameters
    ----------
    skeletons : list of (vertices, edges, attributes)
        Shapes (n, 3) and (m, 2), converted to float32 and uint32; and of each attribute its id and an array of the type
        to be written, shape (n,) or (n, components).
    names : sequence of str
        What messages call them.
    transform : array_like, shape (3, 4), optional
        Applied to the vertices, in double precision.

    Raises
    ------
    SkeletonEncodeError
        An array has another shape.
    SkeletonUnassignedEdgeError
        An edge names a vertex that is not there.
    InvalidArgumentError
    """
