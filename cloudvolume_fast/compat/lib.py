# SPDX-License-Identifier: BSD-3-Clause
"""What upstream keeps in ``cloudvolume.lib``: boxes, vectors, and small helpers that programs use."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudvolume_fast.deliver.save_images import save_images
from cloudvolume_fast.errors import InvalidArgumentError, OutOfBoundsError
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.units import UNIT_EXPONENTS
from cloudvolume_fast.model.vec import Vec

__all__ = [
    "COLORS",
    "FLT_RE",
    "MACHINE_EPSILON",
    "UNIT_SCALES",
    "Bbox",
    "NumpyEncoder",
    "Vec",
    "check_bounds",
    "clamp",
    "colorize",
    "divisors",
    "duplicates",
    "find_closest_divisor",
    "first",
    "floating",
    "floating_types",
    "generate_random_string",
    "getprecision",
    "green",
    "integer_types",
    "jsonify",
    "map2",
    "max2",
    "min2",
    "mkdir",
    "moving_average",
    "nvl",
    "red",
    "save_images",
    "scatter",
    "sip",
    "spatial_unit_in_meters",
    "string_types",
    "time_unit_in_seconds",
    "toabs",
    "toiter",
    "totalfn",
    "touch",
    "warn_in_colour",
    "xyzrange",
    "yellow",
]

T = TypeVar("T")

COLORS: Mapping[str, str] = {
    "RESET": "\033[m",
    "YELLOW": "\033[1;93m",
    "RED": "\033[1;91m",
    "GREEN": "\033[1;92m",
}
FLT_RE = r"(-?\d+(?:\.\d+)?)"
MACHINE_EPSILON = float(np.finfo(np.float64).eps)
UNIT_SCALES: Mapping[str, float] = {
    unit: float(f"1e{exponent}") for unit, exponent in UNIT_EXPONENTS.items()
}
floating_types = (float, np.floating)
integer_types = (int, np.integer)
string_types = (str,)

_LENGTHS = {
    "angstrom": 1e-10,
    "foot": 0.3048,
    "inch": 0.0254,
    "mile": 1609.344,
    "yard": 0.9144,
}
_PREFIXES = {
    "yotta": 1e24,
    "zetta": 1e21,
    "exa": 1e18,
    "peta": 1e15,
    "tera": 1e12,
    "giga": 1e9,
    "mega": 1e6,
    "kilo": 1e3,
    "hecto": 1e2,
    "": 1.0,
    "deci": 1e-1,
    "centi": 1e-2,
    "milli": 1e-3,
    "micro": 1e-6,
    "nano": 1e-9,
    "pico": 1e-12,
    "femto": 1e-15,
    "atto": 1e-18,
    "zepto": 1e-21,
    "yocto": 1e-24,
}
_TIMES = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


# Sequences.


def first(lst: Iterable[T]) -> T | None:
    """Return what an iterable gives first, None if it gives nothing."""
    return next(iter(lst), None)


def nvl(*args: T | None) -> T | None:
    """Return the first argument that is not None, None if there is none."""
    return next((arg for arg in args if arg is not None), None)


def sip(iterable: Iterable[T], block_size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``block_size`` elements; all of them at once if it is less than 1."""
    source = iter(iterable)
    while block := list(itertools.islice(source, block_size if block_size > 0 else None)):
        yield block


def scatter(sequence: Sequence[T], n: int) -> Iterator[Sequence[T]]:
    """Yield ``n`` sequences, element ``i`` going to number ``i % n``."""
    for i in range(n):
        yield sequence[i::n]


def duplicates(lst: Iterable[T]) -> set[T]:
    """Return the elements that occur more than once."""
    seen: set[T] = set()
    again: set[T] = set()
    for element in lst:
        (again if element in seen else seen).add(element)
    return again


@overload
def toiter(obj: Any, is_iter: Literal[True]) -> tuple[Any, bool]: ...
@overload
def toiter(obj: Any, is_iter: Literal[False] = False) -> Any: ...
def toiter(obj: Any, is_iter: bool = False) -> Any:
    """Return what can be iterated over, and anything else, texts and dicts as a list of it.

    Parameters
    ----------
    obj : object
    is_iter : bool
        Return a pair of that and whether `obj` was one of several already.
    """
    several = not isinstance(obj, (str, dict))
    if several:
        try:
            iter(obj)
        except TypeError:
            several = False
    values = obj if several else [obj]
    return (values, several) if is_iter else values


def totalfn(iterator: Any, total: int | None) -> int | None:
    """Return ``total``, else how many elements there are, None if that cannot be known."""
    if total is not None:
        return total
    try:
        return len(iterator)
    except TypeError:
        return None


def xyzrange(
    start_vec: Sequence[float],
    end_vec: Sequence[float] | None = None,
    stride_vec: Sequence[float] = (1, 1, 1),
) -> Iterator[Vec]:
    """Yield the points of a box, x running fastest.

    Parameters
    ----------
    start_vec, end_vec : sequence of 3 numbers
        Half-open; with one of them only, from the origin to it.
    stride_vec : sequence of 3 numbers

    Raises
    ------
    InvalidArgumentError
        A stride is not positive.
    """
    if end_vec is None:
        start_vec, end_vec = (0, 0, 0), start_vec
    if min(stride_vec) <= 0:
        raise InvalidArgumentError(
            f"stride_vec: expected positive numbers, found {stride_vec}", key="stride_vec"
        )
    low, high, step = Vec(*start_vec), Vec(*end_vec), Vec(*stride_vec)
    kind = np.result_type(low, high, step)
    counts = [max(0, math.ceil((high[i] - low[i]) / step[i])) for i in range(3)]
    for k, j, i in itertools.product(*(range(count) for count in reversed(counts))):
        yield Vec(low[0] + i * step[0], low[1] + j * step[1], low[2] + k * step[2], dtype=kind)


# Numbers.


def clamp(val: float, low: float, high: float) -> float:
    """Return the number of ``[low, high]`` that is closest to ``val``."""
    return min(max(val, low), high)


def check_bounds(val: Any, low: Any, high: Any, index: object) -> Any:
    """Return ``val`` if it is in ``[low, high]``.

    Raises
    ------
    OutOfBoundsError
        Names `index`.
    """
    if not low <= val <= high:
        raise OutOfBoundsError(
            f"index {index}: expected {low} to {high}, both included, found {val}",
            key=str(index),
            expected=(low, high),
            found=val,
        )
    return val


def floating(lst: Iterable[object]) -> bool:
    """Say whether any element is a floating-point number."""
    return any(isinstance(value, floating_types) for value in lst)


def getprecision(num: object) -> int:
    """Return how many digits a number's text has behind the point."""
    found = re.search(r"\.(\d+)$", str(num))
    return len(found.group(1)) if found else 0


def divisors(n: int) -> Iterator[int]:
    """Yield the divisors of a whole number, small and large ones in turns.

    Raises
    ------
    InvalidArgumentError
        The number is negative.
    """
    if n < 0:
        raise InvalidArgumentError(f"n: expected at least 0, found {n}", key="n", found=n)
    for small in range(1, math.isqrt(n) + 1):
        if n % small == 0:
            yield small
            if small * small != n:
                yield n // small


def find_closest_divisor(to_divide: Iterable[int], closest_to: Iterable[int]) -> list[int]:
    """Return, axis by axis, the divisor that is closest to a number; of two the one that `divisors` yields first.

    Parameters
    ----------
    to_divide, closest_to : sequences of int
    """
    return [
        min(divisors(int(n)), key=lambda d, near=near: abs(d - near))  # type: ignore[misc]
        for n, near in zip(to_divide, closest_to, strict=False)
    ]


def map2(fn: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Return ``fn`` of each pair of components, as a float array like ``a``.

    Raises
    ------
    AssertionError
        The lengths differ.
    """
    if len(a) != len(b):
        raise AssertionError(
            f"expected vectors of one length, found {a} of {len(a)} and {b} of {len(b)}"
        )
    values = np.array([fn(x, y) for x, y in zip(a, b, strict=True)], dtype=np.float64)
    return values.view(type(a)) if isinstance(a, np.ndarray) else values


def _pairwise(fn: Callable[[Any, Any], Any], a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    first_, second = np.asanyarray(a), np.asanyarray(b)
    result: NDArray[Any] = fn(first_, second)
    return result.astype(first_.dtype) if isinstance(a, np.ndarray) else result


def max2(a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Return the greater of each pair of components, in the type of ``a``."""
    return _pairwise(np.maximum, a, b)


def min2(a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Return the lesser of each pair of components, in the type of ``a``."""
    return _pairwise(np.minimum, a, b)


def moving_average(a: NDArray[Any], n: int, mode: str = "symmetric") -> NDArray[np.floating[Any]]:
    """Average along the first axis over a window of ``n``; as many values as there are.

    Parameters
    ----------
    a : ndarray
    n : int
        At least 1; of an even window the larger half lies before.
    mode : str
        How the array continues beyond its ends, as for `numpy.pad`.

    Raises
    ------
    InvalidArgumentError
        The window is less than 1.
    """
    if n <= 0:
        raise InvalidArgumentError(f"n: expected at least 1, found {n}", key="n", found=n)
    if len(a) == 0:
        return np.asarray(a)
    # An odd window of 2 k + 1 begins k before; upstream's pads the front alone by n.
    padded = np.pad(a, [(n, 0)] + [(0, 0)] * (a.ndim - 1), mode=mode)  # type: ignore[call-overload]
    sums = np.cumsum(padded, axis=0, dtype=np.float64)
    return np.asarray((sums[n:] - sums[:-n]) / n)


def _unit(unit: str, base: str, others: Mapping[str, float]) -> float:
    if unit in others:
        return others[unit]
    prefix = unit.removesuffix(base)
    if unit.endswith(base) and prefix in _PREFIXES:
        return _PREFIXES[prefix]
    expected = f"a multiple of {base} written out, or one of {', '.join(others)}"
    raise InvalidArgumentError(
        f"unit: expected {expected}, found {unit!r}", key="unit", expected=expected, found=unit
    )


def spatial_unit_in_meters(unit: str) -> float:
    """Return a unit of length in metres, named as in NGFF: ``nanometer``, ``foot``.

    Raises
    ------
    InvalidArgumentError
    """
    return _unit(unit, "meter", _LENGTHS)


def time_unit_in_seconds(unit: str) -> float:
    """Return a unit of time in seconds, named as in NGFF: ``millisecond``, ``hour``.

    Raises
    ------
    InvalidArgumentError
    """
    return _unit(unit, "second", _TIMES)


# Texts and files.


def colorize(color: str, text: object) -> str:
    """Return a text between the terminal's codes for one of `COLORS`.

    Raises
    ------
    KeyError
        The colour is none of them.
    """
    return f"{COLORS[color.upper()]}{text}{COLORS['RESET']}"


def red(text: object) -> str:
    """Return a text in red."""
    return colorize("red", text)


def green(text: object) -> str:
    """Return a text in green."""
    return colorize("green", text)


def yellow(text: object) -> str:
    """Return a text in yellow."""
    return colorize("yellow", text)


def warn_in_colour(text: object) -> None:
    """Print a text in yellow, as ``cloudvolume.frontends.precomputed.warn`` does."""
    print(yellow(text))  # noqa: T201 - it is what the function is for


def generate_random_string(size: int = 6) -> str:
    """Return lower-case letters and digits by chance; not for secrets."""
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=size))


def toabs(path: str) -> str:
    """Return an absolute path, ``~`` being the home directory."""
    return os.path.abspath(os.path.expanduser(path))


def mkdir(path: str) -> str:
    """Make a folder, and those above it, unless there is something of that name; return its absolute path."""
    path = toabs(path)
    if path and not os.path.exists(path):
        os.makedirs(path, exist_ok=True)
    return path


def touch(path: str) -> None:
    """Make an empty file, and the folders above it, unless it exists."""
    mkdir(os.path.dirname(path))
    with open(path, "ab"):
        pass


class NumpyEncoder(json.JSONEncoder):
    """Writes numpy's numbers and arrays as JSON."""

    def default(self, obj: Any) -> Any:
        """Return a Python value for one of numpy's."""
        if isinstance(obj, np.ndarray):
            return obj.tolist()
        if isinstance(obj, (np.integer, np.floating, np.bool_)):
            return obj.item()
        return super().default(obj)


def jsonify(obj: Any, **kwargs: Any) -> str:
    """Return JSON, numpy's values included; keywords as for `json.dumps`."""
    return json.dumps(obj, cls=NumpyEncoder, **kwargs)
