# SPDX-License-Identifier: BSD-3-Clause
"""Voxels from an image scale to arrays.  Each function makes one call of the core; nothing here runs once per chunk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast.deliver.outcome import raise_outcome
from cloudvolume_fast.deliver.progress import ChunkProgress
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.locate.indexing import Bounds
from cloudvolume_fast.options import ReadOptions, max_inflight_bytes

_ALL_CHANNELS = slice(None)


def allocate(shape: tuple[int, ...], dtype: np.dtype[Any], order: str = "F") -> NDArray[Any]:
    """Return an uninitialised array, on huge pages when it is large.

    Raises
    ------
    MemoryError
        Names the size.
    """
    size_bytes = dtype.itemsize
    for extent in shape:
        size_bytes *= extent
    try:
        if not _runtime.is_worth_huge_pages(size_bytes):
            return np.empty(shape, dtype, order="C" if order == "C" else "F")
        flat = _runtime.allocate(size_bytes)
    except (MemoryError, ValueError, TypeError) as error:
        raise MemoryError(
            f"cannot allocate {size_bytes} bytes for an array of shape {shape}"
        ) from error
    return np.ndarray(shape, dtype, buffer=flat.data, order="C" if order == "C" else "F")


def _channel_range(channels: slice, count: int) -> tuple[range, tuple[int, int]]:
    """Return the selected channels, and the contiguous run to read for them."""
    selected = range(count)[channels]
    if not selected:
        return selected, (0, 0)
    low, high = min(selected[0], selected[-1]), max(selected[0], selected[-1])
    return selected, (low, high + 1)


def read_box(
    scale: ImageScale,
    bounds: Bounds,
    options: ReadOptions,
    *,
    channels: slice = _ALL_CHANNELS,
    label: int | None = None,
    keep: NDArray[np.uint64] | None = None,
    other: int = 0,
    order: str = "F",
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Read a box.

    Parameters
    ----------
    scale : ImageScale
    bounds : tuple of 6 int
        May reach outside the volume; there the result is background.
    options : ReadOptions
    channels : slice
        Of the channel axis.
    label : int, optional
        Bits of a label: the result is bool, true where the voxel is this label.
    keep : ndarray of uint64, shape (n,), optional
        Ascending bits of labels to keep; other voxels become `other`.
    other : int
        Bits written where a voxel is not kept.
    order : {"F", "C"}
        Memory order of the result.
    out : ndarray, optional
        Where to write; of the result's shape and dtype, any strides.

    Returns
    -------
    ndarray, shape (x, y, z, channel)
        Of the volume's dtype, or bool for `label`.

    Raises
    ------
    EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError, MemoryError
        See `raise_outcome`.
    """
    if channels == _ALL_CHANNELS:
        picked, run = None, (0, scale.num_channels)
    else:
        picked, run = _channel_range(channels, scale.num_channels)
    dtype = scale.dtype if label is None else np.dtype(np.bool_)
    shape = (
        max(0, bounds[3] - bounds[0]),
        max(0, bounds[4] - bounds[1]),
        max(0, bounds[5] - bounds[2]),
        run[1] - run[0],
    )
    array = allocate(shape, dtype, order) if out is None else out
    if options.progress is None:
        outcome = _read(scale, bounds, run, array, options, label, keep, other, None)
    else:
        with ChunkProgress(options.progress, scale.layout.count_chunks(bounds)) as progress:
            outcome = _read(
                scale, bounds, run, array, options, label, keep, other, progress.callback
            )
    if outcome is not None:
        raise_outcome(outcome, scale.folder)
    if picked is not None and len(picked) and (picked.step != 1):
        array = array[..., [c - run[0] for c in picked]]
    return array


def _read(
    scale: ImageScale,
    bounds: Bounds,
    run: tuple[int, int],
    array: NDArray[Any],
    options: ReadOptions,
    label: int | None,
    keep: NDArray[np.uint64] | None,
    other: int,
    progress: Any,  # a ProgressCallback or None
) -> Any:  # an Outcome or None
    return scale.layout.read(
        bounds,
        run,
        array,
        options.fill_missing,
        options.background,
        label,
        keep,
        other,
        options.threads,
        max_inflight_bytes(),
        progress,
    )


def read_points(
    scale: ImageScale, points: NDArray[np.int64], options: ReadOptions, channels: tuple[int, int]
) -> NDArray[Any]:
    """Read single voxels, each chunk being fetched once.

    Parameters
    ----------
    scale : ImageScale
    points : ndarray of int64, shape (n, 3)
        Absolute voxels inside the volume.
    options : ReadOptions
    channels : tuple of 2 int
        Half-open range.

    Returns
    -------
    ndarray, shape (n, channel), C order
    """
    out = np.empty((len(points), channels[1] - channels[0]), scale.dtype)
    outcome = scale.layout.read_points(
        np.ascontiguousarray(points, dtype=np.int64),
        channels,
        out,
        options.fill_missing,
        options.background,
        options.threads,
        max_inflight_bytes(),
        None,
    )
    if outcome is not None:
        raise_outcome(outcome, scale.folder)
    return out


def read_unique(scale: ImageScale, bounds: Bounds, options: ReadOptions) -> NDArray[Any]:
    """Return the distinct values of all channels of a box, ascending by their bits, in the volume's dtype."""
    with ChunkProgress(options.progress, scale.layout.count_chunks(bounds)) as progress:
        outcome, bits = scale.layout.unique(
            bounds,
            (0, scale.num_channels),
            options.fill_missing,
            options.background,
            options.threads,
            max_inflight_bytes(),
            progress.callback,
        )
    if outcome is not None:
        raise_outcome(outcome, scale.folder)
    return from_bits(bits, scale.dtype)


def from_bits(bits: NDArray[np.uint64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Turn zero-extended bits back into values."""
    narrow = bits.astype(np.dtype(f"u{dtype.itemsize}"))
    return narrow.view(dtype)


def label_limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the smallest and the largest label of an integer type or bool."""
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def to_bits(values: Iterable[int], dtype: np.dtype[Any]) -> NDArray[np.uint64]:
    """Return the ascending, zero-extended bits of those integers that a type can hold; the rest cannot occur."""
    low, high = label_limits(dtype)
    mask = (1 << (8 * dtype.itemsize)) - 1
    kept = {int(v) & mask for v in values if low <= int(v) <= high}
    return np.array(sorted(kept), dtype=np.uint64)


def _numbers_dtype(background: int) -> np.dtype[Any]:
    """Return the type in which numbering starts: the narrowest of 16 bits and more that holds the background."""
    dtype = np.dtype(np.uint16)
    while background > np.iinfo(dtype).max:
        dtype = np.dtype(f"u{2 * dtype.itemsize}")
    return dtype


def renumbered_background(
    scale: ImageScale, bounds: Bounds, options: ReadOptions
) -> tuple[NDArray[Any], dict[int, int]]:
    """Return what `read_renumbered` returns for a box of nothing but background, without reading it."""
    value = int.from_bytes(options.background, "little")
    label = from_bits(np.array([value], np.uint64), scale.dtype)[0].item()
    shape = tuple(bounds[i + 3] - bounds[i] for i in range(3))
    out = allocate((*shape, scale.num_channels), _numbers_dtype(value))
    out[...] = value
    return out, {label: value}


def read_renumbered(
    scale: ImageScale,
    bounds: Bounds,
    options: ReadOptions,
    *,
    keep: NDArray[np.uint64] | None = None,
    other: int = 0,
) -> tuple[NDArray[Any], dict[int, int]]:
    """Read a box of labels with small new numbers; `keep` and `other` as for `read_box`.

    Labels are numbered from 1 in the order in which they are met in memory, whatever the threads do; the background
    keeps its value.  The box is read in layers of chunks along z, so that at no time the labels of the whole box are
    held in their original width.

    Returns
    -------
    array : ndarray of uint16, uint32 or uint64, shape (x, y, z, channel), Fortran order
        The narrowest type that holds the numbers.
    mapping : dict
        Original label to number, the background included.
    """
    if scale.dtype.kind not in "iub":
        raise InvalidArgumentError(
            f"renumber: expected a volume of integers, found {scale.dtype.name}",
            key="renumber",
            expected="integers",
            found=scale.dtype.name,
        )
    shape = tuple(bounds[i + 3] - bounds[i] for i in range(3))
    background = int.from_bytes(options.background, "little")
    numbers = _runtime.Renumberer(background)
    dtype = _numbers_dtype(background)
    out = allocate((*shape, scale.num_channels), dtype)
    z = bounds[2]
    while z < bounds[5]:
        depth, origin = scale.chunk_size[2], scale.bounds[2]
        end = min(bounds[5], origin + ((z - origin) // depth + 1) * depth)
        layer = read_box(
            scale, (*bounds[:2], z, *bounds[3:5], end), options, keep=keep, other=other
        )
        flat = layer.reshape(-1, order="F").view(np.dtype(f"u{scale.dtype.itemsize}"))
        narrow = np.empty(flat.shape, dtype)
        done = numbers.apply(flat, narrow)
        while done < len(flat):
            dtype = np.dtype(f"u{2 * dtype.itemsize}")
            wider = allocate(out.shape, dtype)
            wider[:, :, : z - bounds[2]] = out[:, :, : z - bounds[2]]
            out = wider
            rest = np.empty(flat.shape, dtype)
            rest[:done] = narrow[:done]
            done += numbers.apply(flat[done:], rest[done:])
            narrow = rest
        out[:, :, z - bounds[2] : end - bounds[2]] = narrow.reshape(layer.shape, order="F")
        z = end
    found = {
        background: background,
        **dict(sorted(numbers.mapping().items(), key=lambda item: item[1])),
    }
    labels = from_bits(np.array(list(found), dtype=np.uint64), scale.dtype)
    return out, dict(zip(labels.tolist(), found.values(), strict=True))
