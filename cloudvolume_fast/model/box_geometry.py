# SPDX-License-Identifier: BSD-3-Clause
"""Boxes beside others: their relations, the chunk grid, and other units."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self, TypeAlias

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.box_value import BoxValue
from cloudvolume_fast.model.points import (
    FLOAT64,
    INT64,
    Number,
    Point,
    cast_point,
    coordinates,
    per_axis,
    promote,
)
from cloudvolume_fast.model.units import floor_ratio, scaled, unit_exponent, unit_ratio

PerAxis: TypeAlias = Number | Sequence[Number]
Rounding: TypeAlias = Callable[[Number, Number], Number]


class BoxGeometry(BoxValue):
    """What `Bbox` has to do with other boxes, grids and units; see there."""

    __slots__ = ()

    # Relations between boxes.

    @classmethod
    def intersection(cls, bbx1: BoxValue, bbx2: BoxValue) -> Self:
        """Return the common part of two boxes.

        Parameters
        ----------
        bbx1, bbx2 : BoxValue
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
    def intersects(cls, bbx1: BoxValue, bbx2: BoxValue) -> bool:
        """Say whether each box starts before the other ends, on every axis."""
        return _strictly_overlap(*bbx1._corners(), *bbx2._corners())

    @classmethod
    def near_edge(cls, bbx1: BoxValue, bbx2: BoxValue, distance: Number = 0) -> bool:
        """Say whether a lower or upper face of one box is within ``distance`` of the other's.

        Parameters
        ----------
        bbx1, bbx2 : BoxValue
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
    def expand(cls, *args: BoxValue) -> Self:
        """Return the smallest box that contains all the given ones.

        Parameters
        ----------
        *args : BoxValue
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
    def clamp(cls, bbx0: BoxValue, bbx1: BoxValue) -> Self:
        """Return ``bbx0`` with each corner moved to the nearest point within ``bbx1``."""
        lo0, hi0 = bbx0._corners()
        lo1, hi1 = bbx1._corners()
        lo = tuple(min(max(v, a), b) for v, a, b in zip(lo0, lo1, hi1, strict=True))
        hi = tuple(min(max(v, a), b) for v, a, b in zip(hi0, lo1, hi1, strict=True))
        return cls._from_points(lo, hi, promote(bbx0._dtype, bbx1._dtype), bbx0.unit)

    def overlaps_bbox(self, bbox: BoxValue) -> bool:
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

    def contains_bbox(self, bbox: BoxValue) -> bool:
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

    def expand_to_chunk_size(self, chunk_size: PerAxis, offset: PerAxis = (0, 0, 0)) -> Self:
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

    def shrink_to_chunk_size(self, chunk_size: PerAxis, offset: PerAxis = (0, 0, 0)) -> Self:
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

    def round_to_chunk_size(self, chunk_size: PerAxis, offset: PerAxis = (0, 0, 0)) -> Self:
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

    def _from_grid(
        self, chunk_size: PerAxis, offset: PerAxis
    ) -> Iterator[tuple[Number, Number, Number, Number]]:
        """Yield for each axis both faces as seen from the grid, the distance of its planes, and where it starts."""
        lo, hi = self._corners()
        chunk = per_axis(chunk_size, len(lo))
        if min(chunk, default=1) <= 0:
            raise InvalidArgumentError(
                f"chunk_size: expected positive numbers, found {chunk_size}",
                key="chunk_size",
                expected="positive numbers",
                found=chunk_size,
            )
        for a, b, c, o in zip(lo, hi, chunk, per_axis(offset, len(lo)), strict=True):
            yield a - o, b - o, c, o

    def _to_grid(
        self, chunk_size: PerAxis, offset: PerAxis, move_lo: Rounding, move_hi: Rounding
    ) -> Self:
        axes = list(self._from_grid(chunk_size, offset))
        lo = tuple([move_lo(a, c) + o for a, _, c, o in axes])
        hi = tuple([move_hi(b, c) + o for _, b, c, o in axes])
        return type(self)._from_points(lo, hi, self._dtype, self.unit)

    def is_chunk_aligned(self, chunk_size: PerAxis, offset: PerAxis = (0, 0, 0)) -> bool:
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
        return all(a % c == 0 and b % c == 0 for a, b, c, _ in self._from_grid(chunk_size, offset))

    def num_chunks(self, chunk_size: PerAxis) -> int:
        """Return how many chunks cover the box if the grid starts at its lower corner.

        Parameters
        ----------
        chunk_size : number or sequence of numbers

        Returns
        -------
        int
        """
        return math.prod(int(-((a - b) // c)) for a, b, c, _ in self._from_grid(chunk_size, 0))

    # Units.

    def convert_units(
        self,
        unit: str,
        resolution: Sequence[Number] = (1, 1, 1),
        resolution_unit: str = "nm",
    ) -> Self:
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
            from fractions import Fraction

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
