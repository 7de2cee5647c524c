# SPDX-License-Identifier: BSD-3-Clause
"""What may stand between the brackets of ``volume[...]``, taken apart."""

from __future__ import annotations

import operator
from typing import Any

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.points import Number, is_number, python_number

__all__ = ["closed_slice", "expand_ellipsis", "index_items", "is_slices", "open_slice"]


def is_slices(obj: object) -> bool:
    """Say whether an object can only be an index expression."""
    if isinstance(obj, (list, tuple)):
        return any(isinstance(item, slice) or item is Ellipsis for item in obj)
    return isinstance(obj, slice) or obj is Ellipsis


def index_items(slices: Any) -> list[Any]:
    """Return the parts of an index expression.

    Raises
    ------
    InvalidArgumentError
        It is not one.
    """
    # Any: an index expression.
    if isinstance(slices, slice) or slices is Ellipsis or is_number(slices):
        return [slices]
    try:
        return list(slices)
    except TypeError as error:
        raise _not_an_index(slices) from error


def _not_an_index(item: object, axis: int = 0) -> InvalidArgumentError:
    expected = "a slice, a number or ..."
    return InvalidArgumentError(
        f"index {axis}: expected {expected}, found {item!r}", expected=expected, found=item
    )


def expand_ellipsis(items: list[Any], ndim: int) -> list[Any]:
    """Return one item per axis.

    Raises
    ------
    InvalidArgumentError
        There is a second Ellipsis, or an extra axis that is neither complete nor of length 1.
    """
    complete = slice(None)
    ellipses = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(ellipses) > 1:
        raise InvalidArgumentError(
            f"index: expected at most one ..., found {len(ellipses)}",
            expected=1,
            found=len(ellipses),
        )
    if ellipses:
        at = ellipses[0]
        missing = max(ndim - (len(items) - 1), 0)
        items = [*items[:at], *[complete] * missing, *items[at + 1 :]]
    for axis, item in enumerate(items[ndim:], start=ndim):
        start, stop, _ = open_slice(item, axis)
        if (start is not None or stop is not None) and (stop is None or stop - (start or 0) != 1):
            raise InvalidArgumentError(
                f"index {axis}: expected at most {ndim} axes, or length 1 beyond, found {item!r}",
                expected=ndim,
                found=len(items),
            )
    return items[:ndim] + [complete] * (ndim - len(items))


def open_slice(item: Any, axis: int) -> tuple[Number | None, Number | None, int]:
    """Return start, stop and step of an index of one axis; ends may be absent.

    Raises
    ------
    InvalidArgumentError
        It is neither a slice nor a number, or its step is not positive.
    """
    # Any: an index expression.
    if isinstance(item, slice):
        try:
            start = None if item.start is None else python_number(item.start)
            stop = None if item.stop is None else python_number(item.stop)
            step = 1 if item.step is None else operator.index(item.step)
        except TypeError as error:
            raise _not_an_index(item, axis) from error
        if step < 1:
            raise InvalidArgumentError(
                f"index {axis}: expected a positive step, found {step}",
                expected="a positive step",
                found=step,
            )
        return start, stop, step
    try:
        position = int(python_number(item))
    except TypeError as error:
        raise _not_an_index(item, axis) from error
    return position, position + 1, 1


def closed_slice(item: Any, axis: int) -> slice:
    """Return an index of one axis as a slice with both ends.

    Raises
    ------
    InvalidArgumentError
        It lacks an end; see also `open_slice`.
    """
    # Any: an index expression.
    start, stop, step = open_slice(item, axis)
    if start is None or stop is None:
        expected = "both ends of the slice"
        raise InvalidArgumentError(
            f"index {axis}: expected {expected}, found {item!r}", expected=expected, found=item
        )
    return slice(start, stop, step)
