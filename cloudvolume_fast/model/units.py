# SPDX-License-Identifier: BSD-3-Clause
"""Units of length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.points import Number

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["UNIT_EXPONENTS", "floor_ratio", "scaled", "unit_exponent", "unit_ratio"]

# As powers of ten of a metre. Exponents, not factors: the ratio of two units is then exact.
UNIT_EXPONENTS: Mapping[str, int] = {
    "pm": -12,
    "nm": -9,
    "um": -6,
    "mm": -3,
    "m": 0,
    "km": 3,
    "Mm": 6,
    "Gm": 9,
    "Tm": 12,
}


def unit_exponent(unit: str) -> int:
    """Return a unit as a power of ten of a metre.

    Raises
    ------
    InvalidArgumentError
        The unit is not known.
    """
    try:
        return UNIT_EXPONENTS[unit]
    except KeyError:
        expected = f"vx or one of {' '.join(UNIT_EXPONENTS)}"
        raise InvalidArgumentError(
            f"unit: expected {expected}, found {unit!r}", expected=expected, found=unit
        ) from None


def unit_ratio(source: str, target: str) -> Fraction:
    """Return how many ``target`` there are in a ``source``."""
    from fractions import Fraction  # brings decimal with it, and few programs convert units

    return Fraction(10) ** (unit_exponent(source) - unit_exponent(target))


def scaled(value: Number, factor: Fraction) -> Number:
    """Return ``value * factor`` with a single rounding."""
    if factor.denominator == 1:
        return value * factor.numerator
    return value / factor.denominator if factor.numerator == 1 else float(value * factor)


def floor_ratio(value: Number | Fraction, divisor: Number) -> int:
    """Round a quotient down, unless it is a whole number up to rounding error.

    0.012 um at 4 nm is voxel 3, although 0.012 is slightly less than 12/1000 in binary.
    """
    from fractions import Fraction

    quotient = Fraction(value) / Fraction(divisor)
    nearest = round(quotient)
    if abs(quotient - nearest) <= Fraction(1, 10**12) * max(1, abs(nearest)):
        return nearest
    return math.floor(quotient)
