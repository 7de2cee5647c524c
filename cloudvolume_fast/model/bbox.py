# SPDX-License-Identifier: BSD-3-Clause
"""Axis-aligned boxes: half-open ``[minpt, maxpt)`` in voxels or in a unit of length."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cloudvolume_fast.errors import InvalidArgumentError, OutOfBoundsError, UnsupportedOptionError
from cloudvolume_fast.model.box_geometry import BoxGeometry
from cloudvolume_fast.model.index_expression import (
    closed_slice,
    expand_ellipsis,
    index_items,
    is_slices,
    open_slice,
)
from cloudvolume_fast.model.points import FLOAT64, Number, coordinates, is_number, per_axis
from cloudvolume_fast.model.units import UNIT_EXPONENTS
from cloudvolume_fast.model.vec import Vec

__all__ = ["UNIT_EXPONENTS", "Bbox"]

_NUMBER = r"(-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_FILENAME = re.compile(
    rf"{_NUMBER}-{_NUMBER}_{_NUMBER}-{_NUMBER}_{_NUMBER}-{_NUMBER}(?:\.(?:gz|br|zstd|xz|bz2))?$",
    re.ASCII,
)


class Bbox(BoxGeometry):
    """Axis-aligned box ``[minpt, maxpt)`` of any number of dimensions.

    Parameters
    ----------
    a, b : sequence of numbers
        Two opposite corners, in any order; they are sorted per axis. If one is longer than the
        other, its further axes are ignored.
    dtype : dtype-like, optional
        Default: float64 if any coordinate is a floating-point number, else int64.
    unit : str
        ``"vx"`` for voxels, or a key of `UNIT_EXPONENTS`.

    Raises
    ------
    InvalidArgumentError
        A corner is not a sequence of numbers.
    OverflowError
        A coordinate does not fit ``dtype``.

    Notes
    -----
    Upstream behaviour ``lib.Bbox``. A box may be changed in place and is
    hashable all the same: do not change one that is a key of a dictionary.
    """

    __slots__ = ()

    # Conversion from other representations.

    @classmethod
    def create(
        cls, obj: Any, context: Bbox | None = None, bounded: bool = False, autocrop: bool = False
    ) -> Bbox:
        """Convert anything that describes a box.

        Parameters
        ----------
        obj : Bbox, slice, sequence of slices, sequence of 6 numbers, Vec, str or dict
            A `Bbox` is returned as it is unless it must be cropped. A `Vec` of 3 is the far corner
            of a box at the origin. See also `from_slices`, `from_list`, `from_vec`,
            `from_filename` and `from_dict`.
        context : Bbox, optional
            Supplies the missing ends of slices, and what ``bounded`` and ``autocrop`` refer to.
        bounded : bool
            Raise unless the box lies within ``context``.
        autocrop : bool
            Crop the box to ``context`` first. Disjoint boxes give a zero box.

        Returns
        -------
        Bbox

        Raises
        ------
        OutOfBoundsError
            ``bounded``, and the box reaches beyond ``context``.
        UnsupportedOptionError
            ``obj`` is of a type that does not describe a box.
        InvalidArgumentError
            ``obj`` is of such a type, but malformed.
        """
        # Any: the union of everything convertible is open-ended (sequences of numpy scalars, ...).
        if isinstance(obj, Bbox):
            box = obj
        elif isinstance(obj, str):
            box = cls.from_filename(obj)
        elif isinstance(obj, Mapping):
            box = cls.from_dict(obj)
        elif isinstance(obj, Vec) and len(obj) != 6:
            box = cls.from_vec(obj)
        elif is_slices(obj):
            box = cls.from_slices(obj, context, bounded=bounded, autocrop=autocrop)
        elif isinstance(obj, (list, tuple, np.ndarray)):
            if len(obj) == 6:
                box = cls.from_list(obj)
            else:
                box = cls.from_slices(tuple(obj), context, bounded=bounded, autocrop=autocrop)
        else:
            raise UnsupportedOptionError(
                f"expected something that describes a box (Bbox, slices, 6 numbers, Vec, file name "
                f"or dict), found {type(obj).__name__}",
                found=obj,
            )
        if context is not None:
            if autocrop:
                box = cls.intersection(box, context)
            if bounded and not context.contains_bbox(box):
                raise OutOfBoundsError(
                    f"{box} is not contained in {context}", expected=context, found=box
                )
        return box

    @classmethod
    def from_delta(cls, minpt: Iterable[Number], plus: Number | Iterable[Number]) -> Bbox:
        """Create a box from a corner and a size.

        Parameters
        ----------
        minpt : sequence of numbers
        plus : number or sequence of numbers
            Added to ``minpt`` to give the opposite corner; may be negative.

        Returns
        -------
        Bbox
        """
        point, _ = coordinates(minpt)
        delta = per_axis(plus, len(point))
        return cls(point, tuple(map(operator.add, point, delta)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Bbox:
        """Create a box from what `to_dict` returns.

        Parameters
        ----------
        data : dict
            ``minpt`` and ``maxpt``, lists of numbers; optionally ``dtype`` and ``unit``.

        Returns
        -------
        Bbox

        Raises
        ------
        KeyError
            ``minpt`` or ``maxpt`` is absent.
        """
        return cls(
            data["minpt"], data["maxpt"], dtype=data.get("dtype"), unit=data.get("unit", "vx")
        )

    @classmethod
    def from_vec(cls, vec: Iterable[Number], dtype: DTypeLike = int) -> Bbox:
        """Create a box from the origin to a corner.

        Parameters
        ----------
        vec : sequence of numbers
        dtype : dtype-like
            Fractions are dropped if this is an integer type.

        Returns
        -------
        Bbox
        """
        point, _ = coordinates(vec)
        return cls((0,) * len(point), point, dtype=dtype)

    @classmethod
    def from_filename(cls, filename: str, dtype: DTypeLike = int) -> Bbox:
        """Create a box from the name of a chunk file.

        Parameters
        ----------
        filename : str
            Ends in ``x0-x1_y0-y1_z0-z1``, each number possibly negative, and possibly a suffix
            ``.gz``, ``.br``, ``.zstd``, ``.xz`` or ``.bz2``.
        dtype : dtype-like
            Fractions are dropped if this is an integer type.

        Returns
        -------
        Bbox

        Raises
        ------
        InvalidArgumentError
            The name does not end that way.

        Notes
        -----
        Names of unsharded chunks in the Precomputed format.
        """
        match = _FILENAME.search(filename)
        if match is None:
            expected = "a name ending in x0-x1_y0-y1_z0-z1"
            raise InvalidArgumentError(
                f"{filename}: expected {expected}", key=filename, expected=expected, found=filename
            )
        numbers = [_parse_number(text) for text in match.groups()]
        return cls(numbers[0::2], numbers[1::2], dtype=dtype)

    @classmethod
    def from_list(cls, lst: Iterable[Number]) -> Bbox:
        """Create a box from a flat list: the first corner, then the second.

        Parameters
        ----------
        lst : sequence of numbers
            If their number is odd, the last is ignored.

        Returns
        -------
        Bbox
        """
        numbers, _ = coordinates(lst)
        half = len(numbers) // 2
        return cls(numbers[:half], numbers[half : 2 * half])

    @classmethod
    def from_points(cls, arr: ArrayLike) -> Bbox:
        """Create the smallest integer box with the given points inside.

        Parameters
        ----------
        arr : array-like of numbers, shape (n, ndim)
            Fractional coordinates belong to the voxel that contains them.

        Returns
        -------
        Bbox
            int64; the upper corner is the largest point plus 1.

        Raises
        ------
        InvalidArgumentError
            There are no points, or the array is not two-dimensional.
        """
        points = np.asarray(arr)
        if points.ndim != 2 or len(points) == 0:
            raise InvalidArgumentError(
                f"points: expected an array of shape (n, ndim) with n > 0, found {points.shape}",
                expected="(n, ndim)",
                found=points.shape,
            )
        lowest, highest = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return cls([math.floor(v) for v in lowest], [math.floor(v) + 1 for v in highest])

    @classmethod
    def from_slices(
        cls, slices: Any, context: Bbox | None = None, bounded: bool = False, autocrop: bool = False
    ) -> Bbox:
        """Create a box from slices.

        Parameters
        ----------
        slices : slice, or sequence of slices, integers and at most one Ellipsis
            Without ``context`` each slice needs both ends. A slice that stops before it starts
            gives an empty axis at its start.
        context, bounded, autocrop
            See `reify_slices`.

        Returns
        -------
        Bbox

        Raises
        ------
        InvalidArgumentError
            A step other than 1, or a missing end without ``context``.
        OutOfBoundsError
            See `reify_slices`.
        """
        # Any: an index expression.
        if context is not None:
            reified = context.reify_slices(slices, bounded=bounded, autocrop=autocrop)
        else:
            items = (slices,) if isinstance(slices, slice) or is_number(slices) else slices
            reified = [closed_slice(item, axis) for axis, item in enumerate(items)]
        for axis, part in enumerate(reified):
            if part.step not in (None, 1):
                raise InvalidArgumentError(
                    f"slice {axis}: expected a step of 1, found {part.step}",
                    expected=1,
                    found=part.step,
                )
        return cls(
            [part.start for part in reified], [max(part.start, part.stop) for part in reified]
        )

    def reify_slices(
        self, slices: Any, bounded: bool = True, autocrop: bool = False
    ) -> list[slice]:
        """Complete an index expression, taking this box for what is being indexed.

        Parameters
        ----------
        slices : Bbox, slice, number, Ellipsis, or sequence of them
            Absolute coordinates. A number ``n`` stands for ``n:n+1``; fractions of it are dropped.
            Ellipsis stands for all axes not mentioned; without one, further axes are complete.
            Extra axes must be complete or have length 1 and are dropped.
        bounded : bool
            Raise if an end lies outside this box; the upper bound itself is allowed. A number on an
            axis beyond the third, that is a channel, may lie outside and then selects nothing.
        autocrop : bool
            Move ends of slices that lie outside to the nearest bound; a number stays as it is. Has
            precedence over ``bounded``.

        Returns
        -------
        list of slice
            One per axis, with start, stop and a positive step.

        Raises
        ------
        OutOfBoundsError
            ``bounded`` and not ``autocrop``, and an end is outside.
        InvalidArgumentError
            A step that is not positive, a second Ellipsis, too many axes, or something that is
            not an index.

        Notes
        -----
        Upstream behaviour ``Bbox.reify_slices``.
        """
        # Any: an index expression.
        lo, hi = self._corners()
        if isinstance(slices, Bbox):
            slices = slices.to_slices()
        items = expand_ellipsis(index_items(slices), len(lo))
        result = []
        for axis, item in enumerate(items):
            start, stop, step = open_slice(item, axis)
            start = lo[axis] if start is None else start
            stop = hi[axis] if stop is None else stop
            if autocrop:
                if not is_number(item):
                    start = min(max(start, lo[axis]), hi[axis])
                    stop = min(max(stop, lo[axis]), hi[axis])
            elif bounded and not (axis >= 3 and is_number(item)):
                for end in (start, stop):
                    if not lo[axis] <= end <= hi[axis]:
                        raise OutOfBoundsError(
                            f"index {axis}: expected a value from {lo[axis]} to {hi[axis]}, "
                            f"found {end}",
                            expected=(lo[axis], hi[axis]),
                            found=end,
                        )
            result.append(slice(start, stop, step))
        return result

    @classmethod
    def deserialize(cls, bbx_data: str | bytes) -> Bbox:
        """Create a box from what `serialize` returns.

        Parameters
        ----------
        bbx_data : str or bytes
            A JSON object.

        Returns
        -------
        Bbox
        """
        return cls.from_dict(json.loads(bbx_data))

    # Conversion to other representations.

    def to_filename(self, precision: int | None = None) -> str:
        """Return ``x0-x1_y0-y1_z0-z1``.

        Parameters
        ----------
        precision : int, optional
            Digits after the decimal point. Default (and 0): as many as the coordinates need.

        Returns
        -------
        str
        """
        lo, hi = self._corners()
        if precision:
            return "_".join(
                f"{a:.{precision}f}-{b:.{precision}f}" for a, b in zip(lo, hi, strict=True)
            )
        if self._dtype.kind == "f" and self._dtype != FLOAT64:
            # Only the type itself knows how few digits identify one of its values.
            scalar = self._dtype.type
            return "_".join(f"{scalar(a)!s}-{scalar(b)!s}" for a, b in zip(lo, hi, strict=True))
        return "_".join([f"{a}-{b}" for a, b in zip(lo, hi, strict=True)])

    def to_slices(self) -> tuple[slice, ...]:
        """Return one slice of ints per axis; fractions are dropped."""
        lo, hi = self._corners()
        return tuple(slice(int(a), int(b)) for a, b in zip(lo, hi, strict=True))

    def to_list(self) -> list[Number]:
        """Return the coordinates of ``minpt``, then those of ``maxpt``."""
        lo, hi = self._corners()
        return [*lo, *hi]

    def to_dict(self) -> dict[str, Any]:
        """Return ``minpt``, ``maxpt``, ``dtype`` and, if not voxels, ``unit``.

        Returns
        -------
        dict
            Of values that JSON knows.
        """
        # Any: lists of numbers and strings.
        lo, hi = self._corners()
        data: dict[str, Any] = {"minpt": list(lo), "maxpt": list(hi), "dtype": self._dtype.name}
        if self.unit != "vx":
            data["unit"] = self.unit
        return data

    def serialize(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict())


def _parse_number(text: str) -> Number:
    try:
        return int(text)
    except ValueError:
        return float(text)
