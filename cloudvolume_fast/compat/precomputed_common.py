# SPDX-License-Identifier: BSD-3-Clause
"""Helpers of ``cloudvolume.datasource.precomputed.common``: grids and Morton codes, headers of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudvolume_fast._core import morton
from cloudvolume_fast.decode import registry
from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.vec import Vec

_CONTENT_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "jxl": "image/jxl"} | {
    name: f"image/x.{name}"
    for name in (
        "compressed_segmentation",
        "compresso",
        "crackle",
        "fpzip",
        "kempressed",
        "zfpc",
    )
}


def content_type(encoding: str) -> str:
    """Return the MIME type of an encoding's chunks."""
    return _CONTENT_TYPES.get(encoding, "application/octet-stream")


def cdn_cache_control(val: bool | int | str | None) -> str:
    """Return the Cache-Control header that a ``cdn_cache`` option stands for.

    Parameters
    ----------
    val : bool, int, str or None
        None and True for an hour; False for none; seconds; or the header itself.

    Raises
    ------
    InvalidArgumentError
        A negative number.
    """
    if val is None or val is True:
        return "max-age=3600, s-max-age=3600"
    if val is False:
        return "no-cache"
    if isinstance(val, str):
        return val
    if val < 0:
        raise InvalidArgumentError(
            f"cdn_cache: expected seconds of at least 0, found {val}", key="cdn_cache", found=val
        )
    if val == 0:
        return "no-cache"
    return f"max-age={int(val)}, s-max-age={int(val)}"


def should_compress(
    encoding: str,
    compress: str | bool | None,
    cache: Any,  # has the setting `compress`
    iscache: bool = False,
) -> str | bool | None:
    """Return the second-stage compression of chunks, by the option and the encoding.

    Parameters
    ----------
    encoding : str
    compress : str, bool or None
        None for what goes with the encoding.
    cache : CacheService
        Its ``compress`` goes first where `iscache`.
    iscache : bool
        For the disk cache.
    """
    chosen = compress
    if iscache and cache is not None and cache.compress is not None:
        chosen = cache.compress
    if chosen is None:
        return (
            registry.lookup(encoding, "encoding").default_compress
            if encoding in registry.names()
            else None
        )
    if chosen is True:
        return "gzip"
    return None if chosen is False else chosen


def compressed_morton_code(gridpt: ArrayLike, grid_size: Sequence[int]) -> Any:
    """Return the ids of chunks in shards.

    Parameters
    ----------
    gridpt : array_like of int, shape (3,) or (n, 3)
    grid_size : sequence of 3 int
        Chunks of the volume along each axis.

    Returns
    -------
    np.uint64, or ndarray of uint64, shape (n,)

    Raises
    ------
    InvalidArgumentError
        A point is outside of the grid, or the codes need more than 64 bits.
    """
    points = np.asarray(gridpt, dtype=np.int64)
    if points.size == 0:
        return np.zeros((0,), np.uint64)
    x, y, z = (int(n) for n in grid_size)
    codes = morton.encode(np.ascontiguousarray(points.reshape(-1, 3)), (x, y, z))
    return codes[0] if points.ndim == 1 else codes


def morton_code_to_gridpt(code: ArrayLike, grid_size: Sequence[int]) -> Any:
    """Return the grid points of chunks, given their ids in shards.

    Parameters
    ----------
    code : int, or array_like of uint64, shape (n,)
    grid_size : sequence of 3 int

    Returns
    -------
    Vec, or ndarray of int64, shape (n, 3)
    """
    x, y, z = (int(n) for n in grid_size)
    codes = np.asarray(code, dtype=np.uint64)
    points: NDArray[np.int64] = morton.decode(np.ascontiguousarray(codes.reshape(-1)), (x, y, z))
    return Vec(*points[0].tolist()) if codes.ndim == 0 else points


def morton_code_to_bbox(code: int, volume_bbox: Bbox, chunk_size: Sequence[int]) -> Bbox:
    """Return the box of a chunk, given its id in shards; at the volume's end it goes beyond.

    Parameters
    ----------
    code : int
    volume_bbox : Bbox
    chunk_size : sequence of 3 int
    """
    size = Vec(*(int(n) for n in chunk_size))
    grid = -(-np.asarray(volume_bbox.size3()) // np.asarray(size))
    point = morton_code_to_gridpt(code, grid.tolist())
    low = volume_bbox.minpt + point * size
    return Bbox(low, low + size)
