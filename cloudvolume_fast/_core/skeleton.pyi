# SPDX-License-Identifier: BSD-3-Clause
"""Binary skeletons of the Precomputed format, many in one call."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Maker:
    """Makes skeletons of arrays.

    Parameters
    ----------
    cls : type
        Made without calling its constructor, unless `construct` is given.
    construct : callable, optional
        Called with vertices, edges, radius, vertex types, label and the list of attributes.
    names : sequence of str
        Of the members that are each skeleton's own: those six, and its copy of the transform.
    shared : sequence of (str, object)
        The other members.
    transform : ndarray
    listed, listed_without : sequence of dict
        What a skeleton's list of attributes is copied from, with and without stored ones.
    radius_at, types_at : int
        Their places among the stored attributes, or -1.
    unknown : (float, int)
        Radius and type where none are stored.
    others : sequence of (int, str, tuple, dtype)
        The other attributes: place, name; shape and type where they are not stored.
    """

    def __init__(
        self,
        cls: type[Any],
        construct: Callable[..., Any] | None,
        names: Sequence[str],
        shared: Iterable[tuple[str, Any]],
        transform: NDArray[np.float32],
        listed: Iterable[dict[str, Any]],
        listed_without: Iterable[dict[str, Any]],
        radius_at: int,
        types_at: int,
        unknown: tuple[float, float],
        others: Iterable[tuple[int, str, tuple[int, ...], np.dtype[Any]]],
    ) -> None: ...

def decode_many(
    buffers: list[bytes],
    names: Sequence[str],
    *,
    attributes: Iterable[tuple[DTypeLike, int]],
    transform: ArrayLike | None = None,
    labels: Sequence[int | None] | None = None,
    make: Maker | None = None,
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
    labels : sequence of int or None
        Of each skeleton; needed if `make` is given.
    make : Maker, optional
        What it makes of the arrays, before they are filled, stands in the result.

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
