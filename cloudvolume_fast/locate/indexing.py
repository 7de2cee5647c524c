# SPDX-License-Identifier: BSD-3-Clause
"""``vol[...]`` to a box: upstream's indexing rules as pure integer work.

Everything here runs on every call, also on the smallest read, so it works on plain Python integers.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from cloudvolume_fast.errors import InvalidArgumentError, OutOfBoundsError, SubvoxelVolumeError

Bounds = tuple[int, int, int, int, int, int]
"""A half-open box as (x0, y0, z0, x1, y1, z1), in voxels."""

ADDRESSABLE: Bounds = (-(2**63),) * 3 + (2**63 - 1,) * 3
"""What signed 64-bit coordinates reach: where an unbounded volume ends."""


class Selection(NamedTuple):
    """What an index asks for.

    Attributes
    ----------
    bounds : tuple of 6 int
        The box to read or write, before steps.
    channels : slice
        A slice of the channel axis, as numpy applies it.
    steps : tuple of 3 int
        Positive steps, applied after the download.
    """

    bounds: Bounds
    channels: slice
    steps: tuple[int, int, int]


_ALL = slice(None)
_UNIT_STEPS = (1, 1, 1)
_AXES = "xyz"


def is_point_list(index: Any) -> bool:  # Any: whatever a user puts between the brackets
    """Whether an index is three sequences of coordinates, which select paired points."""
    return (
        isinstance(index, tuple)
        and len(index) == 3
        and not isinstance(index[0], slice)
        and all(hasattr(part, "__len__") and not isinstance(part, (str, range)) for part in index)
    )


def _expand(index: Any) -> list[Any]:  # Any: as above
    """Five entries, x y z channel and one more, the ellipsis written out."""
    if isinstance(index, str):
        message = f"expected slices, integers, a Bbox or an ellipsis, found the string {index!r}"
        # Upstream's type: its users may catch it.
        raise AttributeError(message + "; download() takes file names")  # noqa: TRY004
    parts = list(index) if hasattr(index, "__iter__") else [index]
    ellipses = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(ellipses) > 1:
        raise InvalidArgumentError(
            f"index: expected at most one ellipsis, found {len(ellipses)}",
            expected=1,
            found=len(ellipses),
        )
    if ellipses:
        i = ellipses[0]
        parts[i : i + 1] = [_ALL] * max(0, 4 - (len(parts) - 1))
    for extra in parts[4:]:
        if not _selects_single(extra):
            raise InvalidArgumentError(
                f"index: expected at most 4 axes, found one more: {extra!r}", found=extra
            )
    del parts[4:]
    parts.extend([_ALL] * (4 - len(parts)))
    return parts


def _selects_single(extra: Any) -> bool:  # Any: as above
    """Whether a further axis, as some frameworks append it, selects everything or one entry."""
    if isinstance(extra, slice):
        if extra == _ALL:
            return True
        return extra.step in (None, 1) and (extra.start or 0) == 0 and extra.stop == 1
    return bool(_is_integer(extra) and int(extra) == 0)


def _is_integer(value: Any) -> bool:  # Any: as above
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _integer(value: Any, axis: str) -> int:  # Any: as above
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgumentError(
            f"index: expected an integer or a slice on {axis}, found {value!r}",
            key=axis,
            found=value,
        ) from error


def _axis(part: Any, low: int, high: int, axis: str) -> tuple[int, int, int]:  # Any: as above
    if isinstance(part, range):
        part = slice(part.start, part.stop, part.step)
    if not isinstance(part, slice):
        start = _integer(part, axis)
        return start, start + 1, 1
    step = 1 if part.step is None else _integer(part.step, axis)
    if step < 1:
        raise InvalidArgumentError(
            f"index: expected a positive step on {axis}, found {step}",
            key=axis,
            expected="> 0",
            found=step,
        )
    start = low if part.start is None else _integer(part.start, axis)
    stop = high if part.stop is None else _integer(part.stop, axis)
    return start, stop, step


def _channels(part: Any, num_channels: int | None) -> slice:  # Any: as above
    if not isinstance(part, slice):
        # Upstream reads an integer c as c:c+1, so that -1 selects nothing.
        channel = _integer(part, "channel")
        return slice(channel, channel + 1)
    if part == _ALL:
        return part
    if part.step is not None and _integer(part.step, "channel") < 1:
        raise InvalidArgumentError(
            f"index: expected a positive step on channel, found {part.step}",
            key="channel",
            expected="> 0",
            found=part.step,
        )
    if num_channels is not None:
        for end in (part.start, part.stop):
            if end is not None and not 0 <= _integer(end, "channel") <= num_channels:
                raise OutOfBoundsError(
                    f"index: expected channels among 0:{num_channels}, found {part.start}:{part.stop}",
                    key="channel",
                    expected=(0, num_channels),
                    found=(part.start, part.stop),
                )
    return part


def select(
    index: Any,
    volume: Bounds,
    num_channels: int | None = None,  # Any: whatever stands between the brackets
) -> Selection:
    """Turn an index into a selection; coordinates are absolute, so negative ones are not counted from the end.

    Parameters
    ----------
    index : slice, range, int, float, ellipsis or a sequence of them
        Floats are truncated; integers keep their axis.  What follows the 4th axis must select everything or one entry.
    volume : tuple of 6 int
        Bounds of the volume, from which missing starts and stops are taken.
    num_channels : int, optional
        Given, a slice of the channels must lie inside; an integer may lie outside and selects nothing.

    Returns
    -------
    Selection
        Not yet checked against the volume.

    Raises
    ------
    InvalidArgumentError
        For two ellipses, a non-positive step, too many axes, or an entry that is no number.
    OutOfBoundsError
        For channels outside of `num_channels`.
    AttributeError
        For a string (upstream behaviour).
    """
    if type(index) is tuple and len(index) == 3:  # what nearly every small read asks for
        x, y, z = index
        if type(x) is type(y) is type(z) is slice and x.step is y.step is z.step is None:
            x0, y0, z0, x1, y1, z1 = x.start, y.start, z.start, x.stop, y.stop, z.stop
            if type(x0) is type(y0) is type(z0) is type(x1) is type(y1) is type(z1) is int:
                return Selection((x0, y0, z0, x1, y1, z1), _ALL, _UNIT_STEPS)
    x, y, z, channel = _expand(index)
    x0, x1, sx = _axis(x, volume[0], volume[3], "x")
    y0, y1, sy = _axis(y, volume[1], volume[4], "y")
    z0, z1, sz = _axis(z, volume[2], volume[5], "z")
    return Selection((x0, y0, z0, x1, y1, z1), _channels(channel, num_channels), (sx, sy, sz))


def check_bounds(bounds: Bounds, volume: Bounds, what: str) -> None:
    """Raise unless a box, empty and reversed ones too, lies inside the volume.

    Raises
    ------
    OutOfBoundsError
        Names the first axis that leaves the volume, and both boxes.
    """
    for i in range(3):
        low, high = volume[i], volume[i + 3]
        if not (low <= bounds[i] <= high and low <= bounds[i + 3] <= high):
            raise OutOfBoundsError(
                f"{what}: {_AXES[i]} range {bounds[i]}:{bounds[i + 3]} is outside of the volume's "
                f"{volume[i]}:{volume[i + 3]} (requested {show(bounds)}, volume {show(volume)})",
                key=what,
                expected=volume,
                found=bounds,
            )


def check_not_empty(bounds: Bounds, what: str) -> None:
    """Raise for a box without a voxel.

    Raises
    ------
    SubvoxelVolumeError
    """
    if bounds[3] <= bounds[0] or bounds[4] <= bounds[1] or bounds[5] <= bounds[2]:
        raise SubvoxelVolumeError(
            f"{what}: expected a box of at least one voxel, found {show(bounds)}",
            key=what,
            expected="at least 1 voxel",
            found=bounds,
        )


def clip(bounds: Bounds, volume: Bounds) -> Bounds:
    """Return the part of a box inside the volume; where there is none, a box without voxels."""
    low = [max(bounds[i], volume[i]) for i in range(3)]
    high = [max(low[i], min(bounds[i + 3], volume[i + 3])) for i in range(3)]
    return (low[0], low[1], low[2], high[0], high[1], high[2])


def show(bounds: Sequence[int]) -> str:
    """Write a box as chunk names are written: ``x0-x1_y0-y1_z0-z1``."""
    return "_".join(f"{bounds[i]}-{bounds[i + 3]}" for i in range(3))


def chunk_aligned(bounds: Bounds, volume: Bounds, chunk_size: Sequence[int]) -> bool:
    """Whether a box inside the volume is made of whole chunks, the volume's own end counting as aligned."""
    for i in range(3):
        offset, size = volume[i], chunk_size[i]
        if (bounds[i] - offset) % size:
            return False
        if (bounds[i + 3] - offset) % size and bounds[i + 3] != volume[i + 3]:
            return False
    return True


def expand_to_chunks(bounds: Bounds, volume: Bounds, chunk_size: Sequence[int]) -> Bounds:
    """Return the smallest box of whole chunks around a box, cut at the volume's end."""
    low, high = [], []
    for i in range(3):
        offset, size = volume[i], chunk_size[i]
        low.append(offset + (bounds[i] - offset) // size * size)
        high.append(min(volume[i + 3], offset - (offset - bounds[i + 3]) // size * size))
    return (low[0], low[1], low[2], high[0], high[1], high[2])
