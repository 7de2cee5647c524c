# SPDX-License-Identifier: BSD-3-Clause
"""Axis-aligned boxes: half-open ``[minpt, maxpt)`` in voxels or in a unit of length.

A box keeps its corners as tuples of Python numbers and makes a `Vec` of one only when somebody
asks for ``minpt`` or ``maxpt``. Planning a cutout creates and intersects boxes by the thousand,
and a numpy operation on three numbers costs more than all the arithmetic of an intersection. Once
handed out, the `Vec` is the truth, because its owner may write to it.
"""

from __future__ import annotations

import functools
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cloudvolume_fast.errors import InvalidArgumentError, OutOfBoundsError, UnsupportedOptionError
from cloudvolume_fast.model.index_expression import (
    closed_slice,
    expand_ellipsis,
    index_items,
    is_slices,
    open_slice,
)
from cloudvolume_fast.model.points import (
    FLOAT64,
    INT64,
    Number,
    Point,
    cast_point,
    coordinates,
    dtype_of_sum,
    is_number,
    per_axis,
    promote,
)
from cloudvolume_fast.model.units import (
    UNIT_EXPONENTS,
    floor_ratio,
    scaled,
    unit_exponent,
    unit_ratio,
)
from cloudvolume_fast.model.vec import Vec

__all__ = ["UNIT_EXPONENTS", "Bbox"]

_NUMBER = r"(-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_FILENAME = re.compile(
    rf"{_NUMBER}-{_NUMBER}_{_NUMBER}-{_NUMBER}_{_NUMBER}-{_NUMBER}(?:\.(?:gz|br|zstd|xz|bz2))?$",
    re.ASCII,
)


class Bbox:
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
    Upstream behaviour ``lib.Bbox``; behaviours.md, section 10. A box may be changed in place and is
    hashable all the same: do not change one that is a key of a dictionary.
    """

    __slots__ = ("_dtype", "_hi", "_lo", "_maxpt", "_minpt", "unit")

    _lo: Point
    _hi: Point
    _minpt: Vec | None
    _maxpt: Vec | None
    _dtype: np.dtype[Any]  # Any: the scalar type is known only at run time
    unit: str

    def __init__(
        self,
        a: Iterable[Number],
        b: Iterable[Number],
        dtype: DTypeLike | None = None,
        unit: str = "vx",
    ) -> None:
        lo, a_floats = coordinates(a)
        hi, b_floats = coordinates(b)
        if len(lo) != len(hi):
            count = min(len(lo), len(hi))
            lo, hi = lo[:count], hi[:count]
        for low, high in zip(lo, hi, strict=True):
            if low > high:
                pairs = list(zip(lo, hi, strict=True))
                lo = tuple(min(pair) for pair in pairs)
                hi = tuple(max(pair) for pair in pairs)
                break
        if dtype is None:
            dtype = FLOAT64 if a_floats or b_floats else INT64
        kind = np.dtype(dtype)
        self._lo = cast_point(lo, kind)
        self._hi = cast_point(hi, kind)
        self._minpt = self._maxpt = None
        self._dtype = kind
        self.unit = unit

    @classmethod
    def _from_ints(cls, x0: int, y0: int, z0: int, x1: int, y1: int, z1: int) -> Bbox:
        """Create an int64 box in voxels from Python ints, unchecked: ``x0 <= x1`` etc."""
        self = cls.__new__(cls)
        self._lo = (x0, y0, z0)
        self._hi = (x1, y1, z1)
        self._minpt = self._maxpt = None
        self._dtype = INT64
        self.unit = "vx"
        return self

    @classmethod
    def _from_points(cls, lo: Point, hi: Point, dtype: np.dtype[Any], unit: str) -> Bbox:
        """Create a box from corners that are already sorted; checks that they fit ``dtype``."""
        self = cls.__new__(cls)
        self._lo = cast_point(lo, dtype)
        self._hi = cast_point(hi, dtype)
        self._minpt = self._maxpt = None
        self._dtype = dtype
        self.unit = unit
        return self

    # Corners.

    def _corners(self) -> tuple[Point, Point]:
        """Return both corners as Python numbers, wherever they are kept at the moment."""
        lo, hi = self._lo, self._hi
        if self._minpt is not None:
            lo = tuple(self._minpt.tolist())
        if self._maxpt is not None:
            hi = tuple(self._maxpt.tolist())
        return lo, hi

    def _assign(self, lo: Point, hi: Point, dtype: np.dtype[Any]) -> None:
        """Change the corners in place, writing through to vectors already handed out."""
        lo, hi = cast_point(lo, dtype), cast_point(hi, dtype)
        if self._minpt is not None and dtype == self._dtype:
            self._minpt[:] = lo
        else:
            self._minpt = None
        if self._maxpt is not None and dtype == self._dtype:
            self._maxpt[:] = hi
        else:
            self._maxpt = None
        self._lo, self._hi, self._dtype = lo, hi, dtype

    @property
    def minpt(self) -> Vec:
        """Lower corner, inclusive. Writing to the vector changes the box."""
        if self._minpt is None:
            self._minpt = Vec._from_sequence(self._lo, self._dtype)
        return self._minpt

    @minpt.setter
    def minpt(self, value: Iterable[Number]) -> None:
        _, hi = self._corners()
        self._minpt, dtype = self._as_corner(value)
        if dtype != self._dtype:
            self._hi, self._maxpt, self._dtype = cast_point(hi, dtype), None, dtype

    @property
    def maxpt(self) -> Vec:
        """Upper corner, exclusive. Writing to the vector changes the box."""
        if self._maxpt is None:
            self._maxpt = Vec._from_sequence(self._hi, self._dtype)
        return self._maxpt

    @maxpt.setter
    def maxpt(self, value: Iterable[Number]) -> None:
        lo, _ = self._corners()
        self._maxpt, dtype = self._as_corner(value)
        if dtype != self._dtype:
            self._lo, self._minpt, self._dtype = cast_point(lo, dtype), None, dtype

    def _as_corner(self, value: Iterable[Number]) -> tuple[Vec, np.dtype[Any]]:
        if isinstance(value, Vec) and value.dtype == self._dtype:
            return value, self._dtype
        point, floats = coordinates(value)
        dtype = self._dtype
        if floats and dtype.kind not in "fc":
            dtype = FLOAT64
        return Vec._from_sequence(cast_point(point, dtype), dtype), dtype

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the coordinates."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._lo) if self._minpt is None else len(self._minpt)

    @property
    def is_physical(self) -> bool:
        """Say whether the box is measured in a unit of length instead of voxels."""
        return self.unit != "vx"

    @property
    def dx(self) -> Number:
        """Size along the first axis."""
        return self._extent(0)

    @property
    def dy(self) -> Number:
        """Size along the second axis."""
        return self._extent(1)

    @property
    def dz(self) -> Number:
        """Size along the third axis."""
        return self._extent(2)

    def _extent(self, axis: int) -> Number:
        lo, hi = self._corners()
        return hi[axis] - lo[axis]

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
        precomputed-volume.md, section 3.
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
        behaviours.md, section 2.1; upstream behaviour ``Bbox.reify_slices``.
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

    def clone(self) -> Bbox:
        """Return a copy."""
        lo, hi = self._corners()
        return type(self)._from_points(lo, hi, self._dtype, self.unit)

    def astype(self, typ: DTypeLike) -> Bbox:
        """Return a copy with another type of coordinates; fractions are dropped if need be."""
        lo, hi = self._corners()
        return type(self)._from_points(lo, hi, np.dtype(typ), self.unit)

    def transpose(self) -> Bbox:
        """Return a copy with its axes in reverse order."""
        lo, hi = self._corners()
        return type(self)._from_points(lo[::-1], hi[::-1], self._dtype, self.unit)

    def convert_units(
        self,
        unit: str,
        resolution: Sequence[Number] = (1, 1, 1),
        resolution_unit: str = "nm",
    ) -> Bbox:
        """Return the box in another unit.

        Parameters
        ----------
        unit : str
            ``"vx"`` or a key of `UNIT_EXPONENTS`.
        resolution : sequence of numbers
            Size of a voxel, in ``resolution_unit``. Matters only between voxels and lengths.
        resolution_unit : str

        Returns
        -------
        Bbox
            To voxels: int64, coordinates rounded down. From integral voxels by an integral
            resolution: int64. Otherwise: float64.

        Raises
        ------
        InvalidArgumentError
            A unit is not known.
        """
        if unit != "vx":
            unit_exponent(unit)
        if unit == self.unit:
            return self.clone()
        lo, hi = self._corners()
        if unit == "vx":
            factor = unit_ratio(self.unit, resolution_unit)
            sizes = per_axis(resolution, len(lo))
            corners = [
                tuple(floor_ratio(v * factor, r) for v, r in zip(point, sizes, strict=True))
                if self._dtype.kind in "iu"
                else tuple(
                    floor_ratio(Fraction(v) * factor, r) for v, r in zip(point, sizes, strict=True)
                )
                for point in (lo, hi)
            ]
            return type(self)._from_points(corners[0], corners[1], INT64, unit)
        if self.unit == "vx":
            factor = unit_ratio(resolution_unit, unit)
            sizes = per_axis(resolution, len(lo))
            integral = (
                self._dtype.kind in "iu"
                and factor.denominator == 1
                and all(isinstance(size, int) for size in sizes)
            )
        else:
            factor = unit_ratio(self.unit, unit)
            sizes = (1,) * len(lo)
            integral = False
        dtype = INT64 if integral else FLOAT64
        lo, hi = (
            tuple(scaled(v * size, factor) for v, size in zip(point, sizes, strict=True))
            for point in (lo, hi)
        )
        return type(self)._from_points(lo, hi, dtype, unit)

    # Relations between boxes.

    @classmethod
    def intersection(cls, bbx1: Bbox, bbx2: Bbox) -> Bbox:
        """Return the common part of two boxes.

        Parameters
        ----------
        bbx1, bbx2 : Bbox
            In the same unit.

        Returns
        -------
        Bbox
            The zero box, at the origin, if there is no common part.
        """
        lo1, hi1 = bbx1._corners()
        lo2, hi2 = bbx2._corners()
        lo = tuple([a if a > b else b for a, b in zip(lo1, lo2, strict=True)])
        hi = tuple([a if a < b else b for a, b in zip(hi1, hi2, strict=True)])
        for a, b in zip(lo, hi, strict=True):
            if a >= b and not _strictly_overlap(lo1, hi1, lo2, hi2):
                lo = hi = (0,) * len(lo)
                break
        self = cls.__new__(cls)
        self._lo, self._hi = lo, hi
        self._minpt = self._maxpt = None
        self._dtype = INT64
        self.unit = bbx1.unit
        if bbx1._dtype is not INT64 or bbx2._dtype is not INT64:
            dtype = promote(bbx1._dtype, bbx2._dtype)
            self._lo, self._hi, self._dtype = cast_point(lo, dtype), cast_point(hi, dtype), dtype
        return self

    @classmethod
    def intersects(cls, bbx1: Bbox, bbx2: Bbox) -> bool:
        """Say whether each box starts before the other ends, on every axis."""
        return _strictly_overlap(*bbx1._corners(), *bbx2._corners())

    @classmethod
    def near_edge(cls, bbx1: Bbox, bbx2: Bbox, distance: Number = 0) -> bool:
        """Say whether a lower or upper face of one box is within ``distance`` of the other's.

        Parameters
        ----------
        bbx1, bbx2 : Bbox
        distance : number
            In the unit of the boxes.

        Returns
        -------
        bool
        """
        lo1, hi1 = bbx1._corners()
        lo2, hi2 = bbx2._corners()
        return any(abs(a - b) <= distance for a, b in zip(lo1 + hi1, lo2 + hi2, strict=True))

    @classmethod
    def expand(cls, *args: Bbox) -> Bbox:
        """Return the smallest box that contains all the given ones.

        Parameters
        ----------
        *args : Bbox
            At least one, in the same unit.

        Returns
        -------
        Bbox

        Raises
        ------
        InvalidArgumentError
            No box given.
        """
        if not args:
            raise InvalidArgumentError("expand: expected at least one box, found none")
        corners = [box._corners() for box in args]
        lo = tuple(min(values) for values in zip(*[low for low, _ in corners], strict=True))
        hi = tuple(max(values) for values in zip(*[high for _, high in corners], strict=True))
        dtype = functools.reduce(promote, [box._dtype for box in args])
        return cls._from_points(lo, hi, dtype, args[0].unit)

    @classmethod
    def clamp(cls, bbx0: Bbox, bbx1: Bbox) -> Bbox:
        """Return ``bbx0`` with each corner moved to the nearest point within ``bbx1``."""
        lo0, hi0 = bbx0._corners()
        lo1, hi1 = bbx1._corners()
        lo = tuple(min(max(v, a), b) for v, a, b in zip(lo0, lo1, hi1, strict=True))
        hi = tuple(min(max(v, a), b) for v, a, b in zip(hi0, lo1, hi1, strict=True))
        return cls._from_points(lo, hi, promote(bbx0._dtype, bbx1._dtype), bbx0.unit)

    def overlaps_bbox(self, bbox: Bbox) -> bool:
        """Say whether the boxes have a point in common, their upper faces included."""
        lo1, hi1 = self._corners()
        lo2, hi2 = bbox._corners()
        return all(a <= d and c <= b for a, b, c, d in zip(lo1, hi1, lo2, hi2, strict=True))

    def contains(self, point: Iterable[Number]) -> bool:
        """Say whether a point is in the box, its upper faces included.

        Parameters
        ----------
        point : sequence of numbers, one per axis

        Returns
        -------
        bool

        Raises
        ------
        InvalidArgumentError
            The point has another number of axes.
        """
        lo, hi = self._corners()
        values, _ = coordinates(point)
        if len(values) != len(lo):
            raise InvalidArgumentError(
                f"point: expected {len(lo)} coordinates, found {len(values)}",
                expected=len(lo),
                found=len(values),
            )
        return all(a <= v <= b for a, v, b in zip(lo, values, hi, strict=True))

    def contains_bbox(self, bbox: Bbox) -> bool:
        """Say whether both corners of another box are in this one, upper faces included."""
        lo1, hi1 = self._corners()
        lo2, hi2 = bbox._corners()
        if len(lo1) != len(lo2):
            raise InvalidArgumentError(
                f"box: expected {len(lo1)} axes, found {len(lo2)}",
                expected=len(lo1),
                found=len(lo2),
            )
        return all(
            a <= c <= b and a <= d <= b for a, b, c, d in zip(lo1, hi1, lo2, hi2, strict=True)
        )

    # The chunk grid.

    def expand_to_chunk_size(
        self, chunk_size: Number | Sequence[Number], offset: Number | Sequence[Number] = (0, 0, 0)
    ) -> Bbox:
        """Return the box grown outward to the grid.

        Parameters
        ----------
        chunk_size : number or sequence of numbers
        offset : number or sequence of numbers
            A point of the grid.

        Returns
        -------
        Bbox
        """
        return self._to_grid(chunk_size, offset, _floor_to, _ceil_to)

    def shrink_to_chunk_size(
        self, chunk_size: Number | Sequence[Number], offset: Number | Sequence[Number] = (0, 0, 0)
    ) -> Bbox:
        """Return the box drawn inward to the grid.

        Parameters
        ----------
        chunk_size : number or sequence of numbers
        offset : number or sequence of numbers
            A point of the grid.

        Returns
        -------
        Bbox
            Empty, at the lower corner, if no whole chunk is left.
        """
        box = self._to_grid(chunk_size, offset, _ceil_to, _floor_to)
        if not box.valid():
            box._hi = box._lo
        return box

    def round_to_chunk_size(
        self, chunk_size: Number | Sequence[Number], offset: Number | Sequence[Number] = (0, 0, 0)
    ) -> Bbox:
        """Return the box with each face at the nearest plane of the grid; ties go to even planes.

        Parameters
        ----------
        chunk_size : number or sequence of numbers
        offset : number or sequence of numbers
            A point of the grid.

        Returns
        -------
        Bbox
        """
        return self._to_grid(chunk_size, offset, _round_to, _round_to)

    def _to_grid(
        self,
        chunk_size: Number | Sequence[Number],
        offset: Number | Sequence[Number],
        move_lo: Callable[[Number, Number], Number],
        move_hi: Callable[[Number, Number], Number],
    ) -> Bbox:
        lo, hi = self._corners()
        chunk = _chunk_per_axis(chunk_size, len(lo))
        origin = per_axis(offset, len(lo))
        lo = tuple([move_lo(v - o, c) + o for v, c, o in zip(lo, chunk, origin, strict=True)])
        hi = tuple([move_hi(v - o, c) + o for v, c, o in zip(hi, chunk, origin, strict=True)])
        return type(self)._from_points(lo, hi, self._dtype, self.unit)

    def is_chunk_aligned(
        self, chunk_size: Number | Sequence[Number], offset: Number | Sequence[Number] = (0, 0, 0)
    ) -> bool:
        """Say whether every face lies on the grid.

        Parameters
        ----------
        chunk_size : number or sequence of numbers
        offset : number or sequence of numbers
            A point of the grid.

        Returns
        -------
        bool
        """
        lo, hi = self._corners()
        chunk = _chunk_per_axis(chunk_size, len(lo))
        origin = per_axis(offset, len(lo))
        return all(
            (a - o) % c == 0 and (b - o) % c == 0
            for a, b, c, o in zip(lo, hi, chunk, origin, strict=True)
        )

    def num_chunks(self, chunk_size: Number | Sequence[Number]) -> int:
        """Return how many chunks cover the box if the grid starts at its lower corner.

        Parameters
        ----------
        chunk_size : number or sequence of numbers

        Returns
        -------
        int
        """
        lo, hi = self._corners()
        chunk = _chunk_per_axis(chunk_size, len(lo))
        return math.prod(int(-((a - b) // c)) for a, b, c in zip(lo, hi, chunk, strict=True))

    # Measures.

    def size(self) -> Vec:
        """Return the size along each axis."""
        lo, hi = self._corners()
        return Vec._from_sequence([b - a for a, b in zip(lo, hi, strict=True)], self._dtype)

    def size3(self) -> Vec:
        """Return the size along each of the first three axes."""
        lo, hi = self._corners()
        return Vec._from_sequence([b - a for a, b in zip(lo[:3], hi[:3], strict=True)], self._dtype)

    def volume(self) -> Number:
        """Return the product of the first three sizes, exact for integers."""
        lo, hi = self._corners()
        return math.prod(b - a for a, b in zip(lo[:3], hi[:3], strict=True))

    def center(self) -> Vec:
        """Return the midpoint."""
        lo, hi = self._corners()
        dtype = self._dtype if self._dtype.kind == "f" else FLOAT64
        return Vec._from_sequence([(a + b) / 2 for a, b in zip(lo, hi, strict=True)], dtype)

    def empty(self) -> bool:
        """Say whether the box is invalid or an axis has size zero."""
        lo, hi = self._corners()
        return any(a >= b for a, b in zip(lo, hi, strict=True))

    def valid(self) -> bool:
        """Say whether no corner is on the wrong side of the other."""
        lo, hi = self._corners()
        return all(a <= b for a, b in zip(lo, hi, strict=True))

    def subvoxel(self) -> bool:
        """Say whether the box is invalid or its volume less than 1."""
        return not self.valid() or self.volume() < 1

    # Changes in place.

    def adjust(self, amt: Number | Sequence[Number]) -> Bbox:
        """Move every face outward, in place.

        Parameters
        ----------
        amt : number or sequence of numbers
            Distance, per axis; negative moves inward.

        Returns
        -------
        Bbox
            This box.

        Raises
        ------
        InvalidArgumentError
            Opposite faces would pass each other. The box is unchanged.
        """
        lo, hi = self._corners()
        amounts = per_axis(amt, len(lo))
        lo = tuple(a - d for a, d in zip(lo, amounts, strict=True))
        hi = tuple(b + d for b, d in zip(hi, amounts, strict=True))
        if any(a > b for a, b in zip(lo, hi, strict=True)):
            raise InvalidArgumentError(
                f"cannot shrink {self} by {tuple(-d for d in amounts)}: its size would be negative",
                found=amt,
            )
        self._assign(lo, hi, dtype_of_sum(self._dtype, amounts))
        return self

    def grow(self, amt: Number | Sequence[Number]) -> Bbox:
        """Move every face outward, in place; see `adjust`."""
        return self.adjust(amt)

    def shrink(self, amt: Number | Sequence[Number]) -> Bbox:
        """Move every face inward, in place; see `adjust`."""
        return self.adjust(tuple(-d for d in per_axis(amt, self.ndim)))

    # Arithmetic.

    def _operands(self, operand: Any) -> tuple[Point, Point, np.dtype[Any]] | None:
        """Return what to combine with each corner, and the dtype of the result of + and -."""
        # Any: a reflected operator may be offered anything.
        if isinstance(operand, Bbox):
            lo, hi = operand._corners()
            return lo, hi, dtype_of_sum(self._dtype, lo + hi)
        if not (is_number(operand) or isinstance(operand, (list, tuple, np.ndarray))):
            return None
        values = per_axis(operand, self.ndim)
        return values, values, dtype_of_sum(self._dtype, values)

    def _combined(self, operand: Any, function: Callable[[Any, Any], Any]) -> Any:
        # Any: as _operands.
        found = self._operands(operand)
        if found is None:
            return NotImplemented
        first, second, dtype = found
        if function is operator.floordiv:
            dtype = INT64
        elif function is operator.truediv or (
            function is operator.mul
            and self._dtype.kind in "iu"
            and any(isinstance(value, float) for value in first + second)
        ):
            dtype = FLOAT64
        lo, hi = self._corners()
        lo, hi = tuple(map(function, lo, first)), tuple(map(function, hi, second))
        if any(a > b for a, b in zip(lo, hi, strict=True)):
            lo, hi = tuple(map(min, lo, hi)), tuple(map(max, lo, hi))
        return lo, hi, dtype

    def _new(self, result: Any) -> Any:
        if result is NotImplemented:
            return result
        lo, hi, dtype = result
        return type(self)._from_points(lo, hi, dtype, self.unit)

    def _update(self, result: Any) -> Any:
        if result is NotImplemented:
            return result
        self._assign(*result)
        return self

    def __add__(self, operand: Any) -> Bbox:
        """Add a number, vector, or each corner of a box to the corners."""
        return self._new(self._combined(operand, operator.add))  # type: ignore[no-any-return]

    __radd__ = __add__

    def __iadd__(self, operand: Any) -> Bbox:
        """Add in place."""
        return self._update(self._combined(operand, operator.add))  # type: ignore[no-any-return]

    def __sub__(self, operand: Any) -> Bbox:
        """Subtract a number, vector, or each corner of a box from the corners."""
        return self._new(self._combined(operand, operator.sub))  # type: ignore[no-any-return]

    def __mul__(self, operand: Any) -> Bbox:
        """Multiply the corners."""
        return self._new(self._combined(operand, operator.mul))  # type: ignore[no-any-return]

    __rmul__ = __mul__

    def __truediv__(self, operand: Any) -> Bbox:
        """Divide the corners; float64."""
        return self._new(self._combined(operand, operator.truediv))  # type: ignore[no-any-return]

    def __floordiv__(self, operand: Any) -> Bbox:
        """Divide the corners, rounding down; int64."""
        return self._new(self._combined(operand, operator.floordiv))  # type: ignore[no-any-return]

    # numpy would otherwise take ``array + box`` apart, element by element.
    __array_ufunc__ = None

    def __eq__(self, other: object) -> bool:
        """Compare coordinates and unit; not the type of the coordinates."""
        if not isinstance(other, Bbox):
            return NotImplemented
        return self.unit == other.unit and self._corners() == other._corners()

    def __hash__(self) -> int:
        """Hash what `__eq__` compares."""
        return hash((self.unit, *self._corners()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the corners, not the vectors handed out."""
        lo, hi = self._corners()
        return (_restore, (type(self), lo, hi, self._dtype.str, self.unit))

    def __repr__(self) -> str:
        """Show as the call that creates it."""
        lo, hi = self._corners()
        return f"Bbox({list(lo)},{list(hi)}, dtype=np.{self._dtype.name}, unit={self.unit!r})"


def _restore(cls: type[Bbox], lo: Point, hi: Point, dtype: str, unit: str) -> Bbox:
    return cls._from_points(lo, hi, np.dtype(dtype), unit)


def _parse_number(text: str) -> Number:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _chunk_per_axis(chunk_size: Number | Sequence[Number], ndim: int) -> Point:
    chunk = per_axis(chunk_size, ndim)
    if min(chunk, default=1) <= 0:
        raise InvalidArgumentError(
            f"chunk_size: expected positive numbers, found {chunk_size}",
            key="chunk_size",
            expected="positive numbers",
            found=chunk_size,
        )
    return chunk


def _strictly_overlap(lo1: Point, hi1: Point, lo2: Point, hi2: Point) -> bool:
    # A loop, as all() with a generator takes twice as long for three axes.
    for a, b, c, d in zip(lo1, hi1, lo2, hi2, strict=True):  # noqa: SIM110
        if a >= d or c >= b:
            return False
    return True


def _floor_to(value: Number, chunk: Number) -> Number:
    return value // chunk * chunk


def _ceil_to(value: Number, chunk: Number) -> Number:
    return -(-value // chunk) * chunk


def _round_to(value: Number, chunk: Number) -> Number:
    quotient, remainder = divmod(value, chunk)
    if 2 * remainder > chunk or (2 * remainder == chunk and quotient % 2):
        quotient += 1
    return quotient * chunk
