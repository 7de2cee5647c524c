# SPDX-License-Identifier: BSD-3-Clause
"""Arrays and boxes as callers give them, made into what the delivery stage takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import AlignmentError, InvalidArgumentError
from cloudvolume_fast.locate.indexing import Bounds, show
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata


def shape_of(bounds: Bounds, scale: ImageScale) -> tuple[int, int, int, int]:
    """Return the shape of an array of all channels of a box."""
    x, y, z = (bounds[i + 3] - bounds[i] for i in range(3))
    return x, y, z, scale.num_channels


def as_voxels(
    image: Any,
    bounds: Bounds,
    scale: ImageScale,
    num_channels: int,  # Any: array or scalar
) -> NDArray[Any]:
    """Return a 4-d array for a box, of the volume's dtype in native byte order; scalars are broadcast, not copied.

    Raises
    ------
    AlignmentError
        The array's shape is not the box's.
    InvalidArgumentError
        Its dtype is not the volume's, or the scalar is no value of it.
    """
    shape = tuple(max(0, bounds[i + 3] - bounds[i]) for i in range(3))
    full = (*shape, num_channels)
    if np.isscalar(image) or (isinstance(image, np.ndarray) and image.ndim == 0):
        value = np.asarray(image)
        if value.dtype.kind == "b" or not isinstance(image, (np.generic, np.ndarray)):
            if value.dtype.kind in "iub":
                info = np.iinfo(scale.dtype) if scale.dtype.kind in "iu" else None
                if info is None or info.min <= int(value) <= info.max:
                    value = value.astype(scale.dtype)
            elif value.dtype.kind == "f" and scale.dtype.kind == "f":
                with np.errstate(over="ignore"):  # becomes infinite, as numpy has it
                    value = value.astype(scale.dtype)
        if value.dtype != scale.dtype:
            raise _wrong_dtype(value.dtype, scale, image)
        return np.broadcast_to(value, full)
    array = np.asarray(image)
    if array.dtype != scale.dtype:
        swapped = array.dtype.newbyteorder("=")
        if swapped != scale.dtype:
            raise _wrong_dtype(array.dtype, scale, array.dtype.name)
        array = array.astype(swapped)
    if array.ndim == 3 and num_channels == 1:
        array = array[..., np.newaxis]
    if array.shape != full:
        raise AlignmentError(
            f"{scale.folder}: expected an array of shape {full} for {show(bounds)}, found {np.shape(image)}",
            key=scale.folder,
            expected=full,
            found=np.shape(image),
        )
    return array


def _wrong_dtype(found: np.dtype[Any], scale: ImageScale, what: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{scale.folder}: expected voxels of {scale.dtype.name}, found {found.name} ({what})",
        key=scale.folder,
        expected=scale.dtype.name,
        found=found.name,
    )


def bounds_of(
    bbox: Any, meta: PrecomputedMetadata, mip: int
) -> Bounds:  # Any: what Bbox.create takes
    """Return a box in whole voxels of a scale; fractions are cut off, as upstream does.

    Parameters
    ----------
    bbox : Bbox or what `Bbox.create` takes
        In voxels of `mip`, or in a physical unit.
    """
    if not isinstance(bbox, Bbox):
        bbox = Bbox.create(bbox, meta.bounds(mip))
    if bbox.is_physical:
        bbox = bbox.convert_units("vx", meta.resolution(mip).tolist())
    low, high = bbox._corners()
    return (int(low[0]), int(low[1]), int(low[2]), int(high[0]), int(high[1]), int(high[2]))
