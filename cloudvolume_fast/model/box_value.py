# SPDX-License-Identifier: BSD-3-Clause
"""The value of a box: two corners, what is measured of them, and arithmetic with them.

A box keeps its corners as tuples of Python numbers and makes a `Vec` of one only when somebody
asks for ``minpt`` or ``maxpt``. Planning a cutout creates and intersects boxes by the thousand,
and a numpy operation on three numbers costs more than all the arithmetic of an intersection. Once
handed out, the `Vec` is the truth, because its owner may write to it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from cloudvolume_fast.errors import InvalidArgumentError
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
)
from cloudvolume_fast.model.vec import Vec


class BoxValue:
    """What `Bbox` is, apart from its relations and conversions; see there."""

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
    def _from_ints(cls, x0: int, y0: int, z0: int, x1: int, y1: int, z1: int) -> Self:
        """Create an int64 box in voxels from Python ints, unchecked: ``x0 <= x1`` etc."""
        self = cls.__new__(cls)
        self._lo = (x0, y0, z0)
        self._hi = (x1, y1, z1)
        self._minpt = self._maxpt = None
        self._dtype = INT64
        self.unit = "vx"
        return self

    @classmethod
    def _from_points(cls, lo: Point, hi: Point, dtype: np.dtype[Any], unit: str) -> Self:
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

    def clone(self) -> Self:
        """Return a copy."""
        lo, hi = self._corners()
        return type(self)._from_points(lo, hi, self._dtype, self.unit)

    def astype(self, typ: DTypeLike) -> Self:
        """Return a copy with another type of coordinates; fractions are dropped if need be."""
        lo, hi = self._corners()
        return type(self)._from_points(lo, hi, np.dtype(typ), self.unit)

    def transpose(self) -> Self:
        """Return a copy with its axes in reverse order."""
        lo, hi = self._corners()
        return type(self)._from_points(lo[::-1], hi[::-1], self._dtype, self.unit)

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

    def adjust(self, amt: Number | Sequence[Number]) -> Self:
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

    def grow(self, amt: Number | Sequence[Number]) -> Self:
        """Move every face outward, in place; see `adjust`."""
        return self.adjust(amt)

    def shrink(self, amt: Number | Sequence[Number]) -> Self:
        """Move every face inward, in place; see `adjust`."""
        return self.adjust(tuple(-d for d in per_axis(amt, self.ndim)))

    # Arithmetic.

    def _operands(self, operand: Any) -> tuple[Point, Point, np.dtype[Any]] | None:
        """Return what to combine with each corner, and the dtype of the result of + and -."""
        # Any: a reflected operator may be offered anything.
        if isinstance(operand, BoxValue):
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

    def __add__(self, operand: Any) -> Self:
        """Add a number, vector, or each corner of a box to the corners."""
        return self._new(self._combined(operand, operator.add))  # type: ignore[no-any-return]

    __radd__ = __add__

    def __iadd__(self, operand: Any) -> Self:
        """Add in place."""
        return self._update(self._combined(operand, operator.add))  # type: ignore[no-any-return]

    def __sub__(self, operand: Any) -> Self:
        """Subtract a number, vector, or each corner of a box from the corners."""
        return self._new(self._combined(operand, operator.sub))  # type: ignore[no-any-return]

    def __mul__(self, operand: Any) -> Self:
        """Multiply the corners."""
        return self._new(self._combined(operand, operator.mul))  # type: ignore[no-any-return]

    __rmul__ = __mul__

    def __imul__(self, operand: Any) -> Self:
        """Multiply in place."""
        return self._update(self._combined(operand, operator.mul))  # type: ignore[no-any-return]

    def __truediv__(self, operand: Any) -> Self:
        """Divide the corners; float64."""
        return self._new(self._combined(operand, operator.truediv))  # type: ignore[no-any-return]

    def __floordiv__(self, operand: Any) -> Self:
        """Divide the corners, rounding down; int64."""
        return self._new(self._combined(operand, operator.floordiv))  # type: ignore[no-any-return]

    def __itruediv__(self, operand: Any) -> Self:
        """Divide in place; integers stay integers and drop their fractions (upstream behaviour)."""
        result = self._combined(operand, operator.truediv)
        if result is not NotImplemented:
            lo, hi, _ = result
            if self._dtype.kind in "iu":
                lo, hi = tuple(map(int, lo)), tuple(map(int, hi))
            result = lo, hi, self._dtype
        return self._update(result)  # type: ignore[no-any-return]

    def __ifloordiv__(self, operand: Any) -> Self:
        """Divide in place, rounding down; int64."""
        return self._update(self._combined(operand, operator.floordiv))  # type: ignore[no-any-return]

    # numpy would otherwise take ``array + box`` apart, element by element.
    __array_ufunc__ = None

    def __eq__(self, other: object) -> bool:
        """Compare coordinates and unit; not the type of the coordinates."""
        if not isinstance(other, BoxValue):
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


def _restore(cls: type[BoxValue], lo: Point, hi: Point, dtype: str, unit: str) -> BoxValue:
    return cls._from_points(lo, hi, np.dtype(dtype), unit)
