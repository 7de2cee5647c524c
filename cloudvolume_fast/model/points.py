# SPDX-License-Identifier: BSD-3-Clause
"""Points as tuples of Python numbers, whatever they are given as.

Three numbers are too few for numpy to pay off: these functions take its scalars apart once, at the
border, and the arithmetic of `Bbox` is then that of Python, exact and without overflow.
"""

from __future__ import annotations

import operator
from typing import Any, TypeAlias

import numpy as np

from cloudvolume_fast.errors import InvalidArgumentError

__all__ = [
    "FLOAT64",
    "INT64",
    "Number",
    "Point",
    "cast_point",
    "coordinates",
    "dtype_of_sum",
    "is_number",
    "per_axis",
    "promote",
    "python_number",
]

Number: TypeAlias = int | float
Point: TypeAlias = tuple[Number, ...]

INT64 = np.dtype(np.int64)
FLOAT64 = np.dtype(np.float64)
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def is_number(value: object) -> bool:
    """Say whether a value is a Python or numpy integer or floating-point number."""
    return isinstance(value, (int, float, np.integer, np.floating))


def coordinates(point: Any) -> tuple[Point, bool]:
    """Return a point as Python numbers, and whether any of them is a float.

    Raises
    ------
    InvalidArgumentError
        It is not a one-dimensional sequence of numbers.
    """
    # Any: whatever can be iterated over.
    if isinstance(point, np.ndarray):
        if point.ndim != 1 or point.dtype.kind not in "biuf":
            raise _not_a_point(point)
        if point.dtype.kind == "b":
            point = point.astype(np.int64)
        return tuple(point.tolist()), point.dtype.kind == "f"
    if isinstance(point, (str, bytes)):
        raise _not_a_point(point)
    values: list[Number] = []
    floats = False
    try:
        for value in point:
            if type(value) is int:
                values.append(value)
            else:
                number = python_number(value)
                floats = floats or isinstance(number, float)
                values.append(number)
    except TypeError as error:
        raise _not_a_point(point) from error
    return tuple(values), floats


def python_number(value: Any) -> Number:
    """Convert a numpy or Python number to an int or float; TypeError if it is neither."""
    # Any: not known to be a number yet.
    if isinstance(value, float):
        return float(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.bool_):
        return int(value)
    return operator.index(value)


def _not_a_point(point: object) -> InvalidArgumentError:
    expected = "a sequence of numbers"
    return InvalidArgumentError(
        f"point: expected {expected}, found {point!r}", expected=expected, found=point
    )


def per_axis(value: Any, ndim: int) -> Point:
    """Return ``value`` as one number per axis; a single number serves for all.

    Further numbers than there are axes are ignored.

    Raises
    ------
    InvalidArgumentError
        There are too few, or it is not a sequence of numbers.
    """
    # Any: as coordinates.
    if is_number(value):
        return (python_number(value),) * ndim
    point, _ = coordinates(value)
    if len(point) > ndim:
        return point[:ndim]
    if len(point) < ndim:
        raise InvalidArgumentError(
            f"expected one number or {ndim}, found {len(point)}", expected=ndim, found=len(point)
        )
    return point


def cast_point(point: Point, dtype: np.dtype[Any]) -> Point:
    """Return the Python values that ``point`` has as ``dtype``; OverflowError if it does not fit.

    Fractions are dropped when ``dtype`` is an integer type.
    """
    if dtype.kind == "f":
        if dtype == FLOAT64:
            return tuple([float(v) for v in point])
        return tuple(np.array(point, dtype=dtype).tolist())
    whole = tuple([v if type(v) is int else int(v) for v in point])
    if dtype == INT64:
        low, high = _INT64_MIN, _INT64_MAX
    else:
        limits = np.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
    for value in whole:
        if not low <= value <= high:
            raise OverflowError(f"coordinate {value} does not fit {dtype.name}")
    return whole


# Any: the scalar type of a dtype is known only at run time.
def promote(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any]:
    """Return the smallest type that holds the values of both."""
    return one if one == other else np.promote_types(one, other)


def dtype_of_sum(dtype: np.dtype[Any], operands: Point) -> np.dtype[Any]:
    """Return the type of ``box + operands``: fractions make an integer box floating."""
    if dtype.kind in "iu" and any(
        isinstance(value, float) and not value.is_integer() for value in operands
    ):
        return FLOAT64
    return dtype
