# SPDX-License-Identifier: BSD-3-Clause
"""Voxels to and from a file of the caller's, which holds nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.deliver.files import checked_order, fill_new_file, map_file
from cloudvolume_fast.deliver.read_image import read_box
from cloudvolume_fast.errors import AlignmentError
from cloudvolume_fast.locate.indexing import Bounds, check_not_empty, clip, show
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess
from cloudvolume_fast.sources.precomputed.image_write import write
from cloudvolume_fast.sources.precomputed.metadata import MipLike
from cloudvolume_fast.sources.precomputed.voxels import bounds_of, shape_of


def read_to_file(
    source: ImageAccess,
    path: str | os.PathLike[str],
    bounds: Bounds,
    mip: int,
    *,
    threads: int | None = None,
    order: str = "F",
) -> NDArray[Any]:
    """Read a box that `resolve_bounds` has passed into a file, which the core writes through a mapping.

    The file holds x * y * z * channels voxels and nothing else, and has its name only when it is complete.

    Returns
    -------
    ndarray, shape (x, y, z, channel)
        Mapped from the file.

    Raises
    ------
    ChunkWriteError
        The file cannot be written.
    EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError
    """
    scale = source.image_scale(mip)
    shape = shape_of(bounds, scale)

    def fill(array: NDArray[Any]) -> None:
        if source.is_outside_rois(bounds, mip):
            array[...] = np.frombuffer(source.background_bytes(scale.dtype), scale.dtype)[0]
            return
        read_box(scale, bounds, source.read_options(scale, threads), out=array)

    return fill_new_file(path, shape, scale.dtype, checked_order(order), fill)


def upload_from_file(
    source: ImageAccess,
    location: str | os.PathLike[str],
    bbox: Any,  # what Bbox.create takes
    mip: MipLike | None = None,
    order: str = "F",
    cutout_bbox: Any = None,  # what Bbox.create takes
) -> None:
    """Write voxels that lie in a file, without loading it as a whole.

    Parameters
    ----------
    location : path
        The file: x * y * z * channels voxels of the volume's type, and nothing else.
    bbox : Bbox or what `Bbox.create` takes
        What the file holds, in voxels of `mip`.
    mip : int or resolution, optional
        Default the current one.
    order : {"F", "C"}
        Memory order of the file.
    cutout_bbox : Bbox or what `Bbox.create` takes, optional
        The part to write; default all.

    Raises
    ------
    SharedMemoryReadError
        The file is absent or has another size.
    AlignmentError
        `cutout_bbox` leaves `bbox`, or cuts chunks.
    """
    upload_part(
        source,
        bbox,
        mip,
        cutout_bbox,
        lambda shape, dtype: map_file(location, shape, dtype, checked_order(order)),
    )


def upload_part(
    source: ImageAccess,
    bbox: Any,  # what Bbox.create takes
    mip: MipLike | None,
    cutout_bbox: Any,  # what Bbox.create takes
    open_array: Callable[[tuple[int, int, int, int], np.dtype[Any]], NDArray[Any]],
) -> None:
    """Write a part of the voxels of a box that lie somewhere as a whole.

    Parameters
    ----------
    bbox, mip, cutout_bbox
        As for `upload_from_file`.
    open_array : callable
        Returns all of them, given shape and type.

    Raises
    ------
    AlignmentError, SubvoxelVolumeError
        See `_part_of`; what `open_array` raises.
    """
    index = source.to_mip(mip)
    scale = source.image_scale(index)
    bounds = bounds_of(bbox, source.meta, index)
    part = _part_of(source, index, bounds, cutout_bbox)
    array = open_array(shape_of(bounds, scale), scale.dtype)
    slices = tuple(slice(part[i] - bounds[i], part[i + 3] - bounds[i]) for i in range(3))
    write(source, part, array[slices], index)


def _part_of(
    source: ImageAccess,
    mip: int,
    bounds: Bounds,
    cutout_bbox: Any,  # what Bbox.create takes
) -> Bounds:
    """Return the part of a box that is to be written; all of it where `cutout_bbox` is None.

    Raises
    ------
    AlignmentError
        The part leaves the box.
    SubvoxelVolumeError
        The box is empty.
    """
    check_not_empty(bounds, source.image_scale(mip).folder)
    part = bounds if cutout_bbox is None else bounds_of(cutout_bbox, source.meta, mip)
    if clip(part, bounds) != part:
        raise AlignmentError(
            f"cutout_bbox: expected a box inside of {show(bounds)}, found {show(part)}",
            key="cutout_bbox",
            expected=bounds,
            found=part,
        )
    return part
