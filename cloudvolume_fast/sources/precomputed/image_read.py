# SPDX-License-Identifier: BSD-3-Clause
"""Boxes and points of an image, read under the volume's settings.

What touches none of the layer's regions of interest is background and is not fetched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.deliver import read_image
from cloudvolume_fast.deliver.crackle_array import compress_layers
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import InvalidArgumentError, OutOfBoundsError
from cloudvolume_fast.locate.indexing import Bounds, clip, show
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.options import ReadOptions
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess
from cloudvolume_fast.sources.precomputed.voxels import bounds_of

_ALL_CHANNELS = slice(None)


def read(
    source: ImageAccess,
    bounds: Bounds,
    mip: int,
    *,
    scale: ImageScale | None = None,
    channels: slice = _ALL_CHANNELS,
    label: int | None = None,
    segids: Iterable[int] | None = None,
    preserve_zeros: bool = False,
    threads: int | None = None,
    order: str = "F",
) -> NDArray[Any]:
    """Read a box that `resolve_bounds` has passed; see `deliver.read_image.read_box`.

    `scale` is what `image_scale` returns for `mip`, for callers that have it at hand.
    """
    if scale is None:
        scale = source.image_scale(mip)
    options = source.read_options(scale, threads)
    if source.is_outside_rois(bounds, mip):
        options = _selected(options, scale, segids, preserve_zeros)
        return background_box(bounds, scale, options, channels, label, order)
    return _read_stored(scale, bounds, options, channels, label, segids, preserve_zeros, order)


def _read_stored(
    scale: ImageScale,
    bounds: Bounds,
    options: ReadOptions,
    channels: slice = _ALL_CHANNELS,
    label: int | None = None,
    segids: Iterable[int] | None = None,
    preserve_zeros: bool = False,
    order: str = "F",
) -> NDArray[Any]:
    """Read a box of which some lies in the regions of interest, where there are any."""
    if label is None and segids is None:
        return read_image.read_box(scale, bounds, options, channels=channels, order=order)
    if scale.dtype.kind not in "iub":
        return _masked_by_value(
            read_image.read_box(scale, bounds, options, channels=channels, order=order),
            label,
            segids,
        )
    if label is not None:
        bits = read_image.to_bits([label], scale.dtype)
        image = read_image.read_box(
            scale,
            bounds,
            options,
            channels=channels,
            order=order,
            label=int(bits[0]) if len(bits) else 0,
        )
        if not len(bits):  # a label that the type cannot hold is nowhere
            image[...] = False
        return image
    assert segids is not None
    keep, other = _kept(segids, preserve_zeros, scale)
    return read_image.read_box(
        scale, bounds, options, channels=channels, order=order, keep=keep, other=other
    )


def _selected(
    options: ReadOptions, scale: ImageScale, segids: Iterable[int] | None, preserve_zeros: bool
) -> ReadOptions:
    """Return options whose background is what `segids` make of it."""
    if segids is None:
        return options
    if scale.dtype.kind not in "iub":
        raise _no_labels(scale.dtype)
    keep, other = _kept(segids, preserve_zeros, scale)
    if np.uint64(int.from_bytes(options.background, "little")) in keep:
        return options
    return options._replace(background=other.to_bytes(scale.dtype.itemsize, "little"))


def _kept(
    segids: Iterable[int], preserve_zeros: bool, scale: ImageScale
) -> tuple[NDArray[np.uint64], int]:
    """Return the bits of the labels that stay, and those that the others become."""
    wanted = list(segids)
    if not preserve_zeros:
        return read_image.to_bits(wanted, scale.dtype), 0
    largest = int(read_image.to_bits([read_image.label_limits(scale.dtype)[1]], scale.dtype)[0])
    return read_image.to_bits([*wanted, 0], scale.dtype), largest


def _masked_by_value(
    image: NDArray[Any], label: int | None, segids: Iterable[int] | None
) -> NDArray[Any]:
    """Compare floating point voxels by value, which their bits do not tell."""
    if segids is not None:
        raise _no_labels(image.dtype)
    return np.asfortranarray(image == label)


def _no_labels(dtype: np.dtype[Any]) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"segids: expected a volume of integers, found {dtype.name}",
        key="segids",
        expected="integers",
        found=dtype.name,
    )


def background_box(
    bounds: Bounds,
    scale: ImageScale,
    options: ReadOptions,
    channels: slice = _ALL_CHANNELS,
    label: int | None = None,
    order: str = "F",
) -> NDArray[Any]:
    """Return a box of background, or with `label` where background is it."""
    count = len(range(scale.num_channels)[channels])
    shape = tuple(bounds[i + 3] - bounds[i] for i in range(3))
    value = np.frombuffer(options.background, scale.dtype)[0]
    if label is not None:
        out = read_image.allocate((*shape, count), np.dtype(np.bool_), order)
        out[...] = value == label
    else:
        out = read_image.allocate((*shape, count), scale.dtype, order)
        out[...] = value
    return out


def read_renumbered(
    source: ImageAccess,
    bounds: Bounds,
    mip: int,
    *,
    segids: Iterable[int] | None = None,
    preserve_zeros: bool = False,
) -> tuple[NDArray[Any], dict[int, int]]:
    """Read a box that `resolve_bounds` has passed; see `deliver.read_image.read_renumbered`.

    `segids` and `preserve_zeros` are applied before the labels are numbered.
    """
    scale = source.image_scale(mip)
    options = source.read_options(scale)
    if source.is_outside_rois(bounds, mip):
        return read_image.renumbered_background(scale, bounds, options)
    if segids is None or scale.dtype.kind not in "iub":
        return read_image.read_renumbered(scale, bounds, options)
    keep, other = _kept(segids, preserve_zeros, scale)
    return read_image.read_renumbered(scale, bounds, options, keep=keep, other=other)


def read_crackle(
    source: ImageAccess,
    bounds: Bounds,
    mip: int,
    *,
    segids: Iterable[int] | None = None,
    preserve_zeros: bool = False,
    threads: int | None = None,
) -> Any:  # a crackle.CrackleArray
    """Read a box that `resolve_bounds` has passed, compressed in memory; only one layer of chunks at a time is not.

    Raises
    ------
    InvalidArgumentError
        The volume is no segmentation of one channel and an unsigned type.
    ImportError
        crackle-codec is not installed.
    """
    scale = source.image_scale(mip)
    if (
        source.meta.layer_type != "segmentation"
        or scale.num_channels != 1
        or scale.dtype.kind != "u"
    ):
        raise InvalidArgumentError(
            f"{source.meta.cloudpath}: crackle: expected a segmentation of one channel and unsigned labels, found "
            f"{source.meta.layer_type} of {scale.num_channels} and {scale.dtype.name}",
            key="crackle",
            found=source.meta.layer_type,
        )
    keep = None if segids is None else list(segids)  # asked for once per layer
    depth, origin = scale.chunk_size[2], scale.bounds[2]
    first = (bounds[2] - origin) // depth
    last = -((origin - bounds[5]) // depth)
    layers = (
        clip((*bounds[:2], origin + i * depth, *bounds[3:5], origin + (i + 1) * depth), bounds)
        for i in range(first, last)
    )
    options = source.read_options(scale, threads)
    is_background = source.is_outside_rois(bounds, mip)
    selected = _selected(options, scale, keep, preserve_zeros)

    def read_layer(layer: Bounds) -> NDArray[Any]:
        if is_background:
            return background_box(layer, scale, selected)
        return _read_stored(scale, layer, options, segids=keep, preserve_zeros=preserve_zeros)

    return compress_layers(read_layer(layer)[..., 0] for layer in layers)


def read_point_values(source: ImageAccess, points: NDArray[np.int64], mip: int) -> NDArray[Any]:
    """Return the values of the first channel at points of shape (n, 3), in their order.

    Outside of an unbounded volume, and outside of the regions of interest, they are background, as for boxes.

    Raises
    ------
    OutOfBoundsError
    """
    scale = source.image_scale(mip)
    options = source.read_options(scale)
    low, high = np.array(scale.bounds[:3]), np.array(scale.bounds[3:])
    wanted: NDArray[np.bool_] = np.asarray(((points >= low) & (points < high)).all(axis=1))
    if source.config.bounded and not wanted.all():
        first = points[int(np.argmin(wanted))].tolist()
        raise OutOfBoundsError(
            f"{scale.folder}: point {first} is outside of the volume's {show(scale.bounds)}",
            key=scale.folder,
            expected=scale.bounds,
            found=first,
        )
    if source.meta._rois:
        wanted[wanted] = source.meta.voxels_overlap_rois(points[wanted], mip)
    if wanted.all():
        return read_image.read_points(scale, points, options, (0, 1))[:, 0]
    out = np.full(len(points), np.frombuffer(options.background, scale.dtype)[0])
    out[wanted] = read_image.read_points(scale, points[wanted], options, (0, 1))[:, 0]
    return out


def unique(source: ImageAccess, bbox: Bbox, mip: int) -> set[Any]:  # Any: numpy scalars
    """Return the set of values in a box."""
    mip = source.meta.to_mip(mip)
    scale = source.image_scale(mip)
    bounds = source.resolve_bounds(bounds_of(bbox, source.meta, mip), scale)
    options = source.read_options(scale, title="Finding labels")
    if source.is_outside_rois(bounds, mip):
        return {np.frombuffer(options.background, scale.dtype)[0]}
    return set(read_image.read_unique(scale, bounds, options))
