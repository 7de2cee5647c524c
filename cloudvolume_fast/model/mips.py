# SPDX-License-Identifier: BSD-3-Clause
"""Points and boxes of one scale in voxels of another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudvolume_fast.errors import ScaleUnavailableError
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info_values import Number, parse_resolution, three_numbers
from cloudvolume_fast.model.vec import Vec

if TYPE_CHECKING:
    from fractions import Fraction


def point_to_mip(info: Mapping[str, Any], point: Sequence[Number], mip: int, to_mip: int) -> Vec:
    """Convert a point between scales.

    Parameters
    ----------
    info : dict
    point : sequence of 3 numbers
        In voxels of ``mip``.
    mip, to_mip : int

    Returns
    -------
    Vec
        int64, in voxels of ``to_mip``, rounded down.

    Raises
    ------
    ScaleUnavailableError
        There is no such mip.
    """
    from fractions import Fraction  # brings decimal with it, and most programs stay at one mip

    ratios = _ratios(info, mip, to_mip)
    values = three_numbers(point, "point")
    return Vec._from_sequence(
        [math.floor(Fraction(value) * ratio) for value, ratio in zip(values, ratios, strict=True)],
        np.int64,
    )


def bbox_to_mip(info: Mapping[str, Any], bbox: Bbox, mip: int, to_mip: int) -> Bbox:
    """Convert a box between scales, one mip at a time.

    Parameters
    ----------
    info : dict
    bbox : Bbox
        In voxels of ``mip``.
    mip, to_mip : int

    Returns
    -------
    Bbox
        int64, in voxels of ``to_mip``. At each step the lower corner is rounded down and the upper
        corner up.

    Raises
    ------
    ScaleUnavailableError
        There is no such mip.
    """
    low, high = bbox._corners()
    if mip == to_mip:
        return Bbox([math.floor(v) for v in low], [math.ceil(v) for v in high])
    steps = ratios_of_axes(info, mip, to_mip)
    ends = [interval_to_mip(*axis) for axis in zip(low, high, steps, strict=True)]
    return Bbox([a for a, _ in ends], [b for _, b in ends])


def ratios_of_axes(info: Mapping[str, Any], mip: int, to_mip: int) -> list[list[Fraction]]:
    """Return for x, y and z what each step from a mip to another multiplies coordinates by.

    Raises
    ------
    ScaleUnavailableError
        There is no such mip.
    """
    step = 1 if to_mip > mip else -1
    steps = [_ratios(info, current, current + step) for current in range(mip, to_mip, step)]
    return [[ratios[axis] for ratios in steps] for axis in range(3)]


def interval_to_mip(low: Number, high: Number, ratios: Sequence[Fraction]) -> tuple[int, int]:
    """Convert both ends along one axis, rounding outwards at each step."""
    from fractions import Fraction

    first, last = Fraction(low), Fraction(high)
    for ratio in ratios:
        first, last = Fraction(math.floor(first * ratio)), Fraction(math.ceil(last * ratio))
    return math.floor(first), math.ceil(last)


def _ratios(info: Mapping[str, Any], mip: int, to_mip: int) -> list[Fraction]:
    """Return what to multiply coordinates at ``mip`` by to get those at ``to_mip``."""
    scales = info["scales"]
    found = []
    for index in (mip, to_mip):
        if not -len(scales) <= index < len(scales):
            raise ScaleUnavailableError(
                f"mip {index}: expected less than {len(scales)}, the number of scales",
                expected=len(scales),
                found=index,
            )
        found.append(
            parse_resolution(scales[index].get("resolution"), f"info: scales[{index}].resolution")
        )
    return [_ratio(source, target) for source, target in zip(*found, strict=True)]


def _ratio(source: Number, target: Number) -> Fraction:
    from fractions import Fraction

    ratio = Fraction(source) / Fraction(target)
    if isinstance(source, int) and isinstance(target, int):
        return ratio
    # Resolutions such as 0.3 and 0.1 are not quite 3 to 1 in binary; taken literally, rounding down
    # would be off by a voxel wherever the exact product is an integer.
    return ratio.limit_denominator(1 << 20)
