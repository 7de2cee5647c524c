# SPDX-License-Identifier: BSD-3-Clause
"""A short numeric vector: coordinates, sizes, resolutions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["Vec"]


def _component(index: int, what: str) -> Any:  # Any: mypy does not type property() as data
    def get(self: Vec) -> Any:
        return self[index]

    def put(self: Vec, value: float) -> None:
        self[index] = value

    return property(get, put, doc=f"Component {index}: {what}.")


# Any: numpy leaves the shape and dtype of a subclass of ndarray to its user.
class Vec(np.ndarray[Any, Any]):
    """One-dimensional array with named components.

    Parameters
    ----------
    *args : int or float
        The components, or one sequence of them.
    dtype : dtype-like, optional
        Default: float64 if any component is a floating-point number, else int64.

    Notes
    -----
    Upstream behaviour ``lib.Vec``.
    """

    def __new__(cls, *args: Any, dtype: DTypeLike | None = None) -> Vec:
        """Create a vector from its components."""
        if len(args) == 1 and isinstance(args[0], (list, tuple, np.ndarray)):
            args = tuple(args[0])
        if dtype is None:
            dtype = np.float64 if any(_is_floating(arg) for arg in args) else np.int64
        return np.array(args, dtype=dtype).view(cls)

    @classmethod
    def _from_sequence(cls, values: Iterable[float], dtype: DTypeLike) -> Vec:
        return np.array(values, dtype=dtype).view(cls)

    # Any: the signature numpy calls this with.
    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Let reductions such as `sum` give scalars, as they do for plain arrays."""
        if array.ndim == 0:
            return array[()]
        return array.view(type(self))

    def __hash__(self) -> int:  # type: ignore[override]
        """Hash the values, so that equal vectors of different dtype hash alike."""
        return hash(tuple(self.tolist()))

    def __repr__(self) -> str:
        """Show as the call that creates it."""
        if self.ndim != 1:
            return repr(self.view(np.ndarray))
        values = ",".join(str(value) for value in self.tolist())
        return f"Vec({values}, dtype={self.dtype})"

    x = r = _component(0, "x or red")
    y = g = _component(1, "y or green")
    z = b = _component(2, "z or blue")
    w = a = _component(3, "w or alpha")

    @classmethod
    def clamp(cls, val: Iterable[float], minvec: Iterable[float], maxvec: Iterable[float]) -> Vec:
        """Limit each component of ``val`` to ``[minvec, maxvec]``.

        Parameters
        ----------
        val, minvec, maxvec : sequence of numbers, equal lengths

        Returns
        -------
        Vec
        """
        low, high = list(minvec), list(maxvec)
        return cls(*(min(max(v, low[i]), high[i]) for i, v in enumerate(val)))

    def clone(self) -> Vec:
        """Return a copy that shares no memory."""
        return self.copy()

    def null(self) -> bool:
        """Say whether the length is zero, up to rounding."""
        return self.length() <= 10 * float(np.finfo(np.float32).eps)

    def dot(self, vec: Any, out: Any = None) -> Any:  # Any: as ndarray.dot
        """Return the inner product with ``vec``."""
        return np.dot(self.view(np.ndarray), np.asarray(vec), out)

    def length2(self) -> Any:  # Any: an integer or floating numpy scalar
        """Return the square of the Euclidean length."""
        return self.dot(self)

    def length(self) -> float:
        """Return the Euclidean length."""
        return math.hypot(*self.tolist())

    def rectVolume(self) -> Any:  # Any: as length2
        """Return the product of the components."""
        return np.prod(self.view(np.ndarray))


def _is_floating(value: object) -> bool:
    if isinstance(value, (float, np.floating)):
        return True
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"
