# SPDX-License-Identifier: BSD-3-Clause
"""Values of a JSON object, and arguments that become some, taken apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn, TypeAlias

import numpy as np

from cloudvolume_fast.errors import InfoValidationError, InvalidArgumentError

# Any: a JSON value, to which callers add members of their own.
Info: TypeAlias = dict[str, Any]
Triple: TypeAlias = tuple[int, int, int]
Number: TypeAlias = int | float
NumberTriple: TypeAlias = tuple[Number, Number, Number]

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

POSITIVE_INTEGERS = "3 positive integers"


def reject(where: str, expected: str, found: object) -> NoReturn:
    """Raise an `InfoValidationError` that names a member, what it should be and what it is."""
    shown = "nothing" if found is None else repr(found)
    if len(shown) > 200:
        shown = shown[:200] + "..."
    raise InfoValidationError(
        f"{where}: expected {expected}, found {shown}", key=where, expected=expected, found=found
    )


def as_integer(value: object) -> int | None:
    """Return an integral number as an int; None for anything else, bools included."""
    if type(value) is int:
        return value
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else None
    if isinstance(value, (int, np.integer)):
        return int(value)
    return None


def as_number(value: object) -> Number | None:
    """Return a finite number as an int or float; None for anything else, bools included."""
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return as_integer(value)


def as_list(value: object) -> list[Any] | None:
    """Return a list, tuple or array as a list; None for anything else."""
    # Any: JSON values.
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return value.tolist()  # type: ignore[no-any-return]
    return None


def integer_triple(value: object) -> Triple | None:
    """Return three integral numbers as ints; None for anything else."""
    items = as_list(value)
    if items is None or len(items) != 3:
        return None
    x, y, z = (as_integer(item) for item in items)
    if x is None or y is None or z is None:
        return None
    return x, y, z


def positive_triple(value: object, where: str, *, is_volume_limited: bool = True) -> Triple:
    """Return three positive integers; InfoValidationError for anything else."""
    triple = integer_triple(value)
    if triple is None or min(triple) < 1 or max(triple) > INT64_MAX:
        reject(where, POSITIVE_INTEGERS, value)
    if is_volume_limited and math.prod(triple) > INT64_MAX:
        reject(where, f"{POSITIVE_INTEGERS} whose product fits 64 bits", value)
    return triple


def parse_resolution(value: object, where: str) -> NumberTriple:
    """Return three positive numbers; InfoValidationError for anything else."""
    items = as_list(value)
    if items is not None and len(items) == 3:
        x, y, z = (as_number(item) for item in items)
        if x is not None and y is not None and z is not None and min(x, y, z) > 0:
            return x, y, z
    reject(where, "3 positive numbers", value)


def three_numbers(value: object, name: str) -> NumberTriple:
    """Return an argument as three numbers; a single number serves for all."""
    single = as_number(value)
    items = [single] * 3 if single is not None else as_list(value)
    if items is not None and len(items) == 3:
        x, y, z = (as_number(item) for item in items)
        if x is not None and y is not None and z is not None:
            return x, y, z
    expected = "3 numbers"
    raise InvalidArgumentError(
        f"{name}: expected {expected}, found {value!r}", key=name, expected=expected, found=value
    )


def three_integers(value: object, name: str) -> list[int]:
    """Return an argument as three integers, fractions dropped; a single number serves for all."""
    return [int(number) for number in three_numbers(value, name)]


def uniform(resolution: NumberTriple) -> list[Number]:
    """Return all as floats if any is one, so that every part of a key has the same form."""
    if any(isinstance(size, float) for size in resolution):
        return [float(size) for size in resolution]
    return list(resolution)


def json_value(value: object) -> object:
    """Return what JSON has for a numpy value or a mapping; TypeError for anything else."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r}")
