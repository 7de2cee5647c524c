# SPDX-License-Identifier: BSD-3-Clause
"""Binary skeletons of the Precomputed format, many in one call."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

def decode_many(
    buffers: list[bytes],
    names: Sequence[str],
    *,
    attributes: Iterable[tuple[DTypeLike, int]],
    transform: ArrayLike | None = None,
) -> list[tuple[NDArray[np.float32], NDArray[np.uint32], list[NDArray[np.generic]]]]:
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

    Returns
    -------
    list of (vertices, edges, attributes)
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
