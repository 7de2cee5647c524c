# SPDX-License-Identifier: BSD-3-Clause
"""Ranges of bytes of objects, put together to few requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ByteRange", "Run", "Runs", "coalesce_arrays", "coalesce_ranges"]


class ByteRange(NamedTuple):
    """Some bytes of an object."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The offset behind the last byte."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes to be requested at once.

    Attributes
    ----------
    offset, size : int
        In bytes.
    members : tuple of int
        Which of the ranges lie in it, by ascending offset.
    """

    offset: int
    size: int
    members: tuple[int, ...]


def coalesce_ranges(
    ranges: Sequence[ByteRange], *, max_gap_bytes: int, max_request_bytes: int
) -> list[Run]:
    """Put ranges together that lie close to each other.

    Parameters
    ----------
    ranges : sequence of ByteRange
        In any order; they may overlap.
    max_gap_bytes : int
        The most bytes between two ranges that are requested although nobody wants them.
    max_request_bytes : int
        The most that a run of several ranges may have.  A larger range is a run of its own.

    Returns
    -------
    list of Run
        By ascending offset.  Each range that is not empty is in exactly one of them, and inside of it.
    """
    order = sorted((i for i, r in enumerate(ranges) if r.size > 0), key=lambda i: ranges[i])
    runs: list[Run] = []
    members: list[int] = []
    begin = end = 0
    for i in order:
        offset, size = ranges[i]
        new_end = max(end, offset + size)
        if members and offset - end <= max_gap_bytes and new_end - begin <= max_request_bytes:
            end = new_end
        elif members and offset + size <= end:
            pass  # it lies inside of a run that is too large as it is
        else:
            if members:
                runs.append(Run(begin, end - begin, tuple(members)))
            members, begin, end = [], offset, offset + size
        members.append(i)
    if members:
        runs.append(Run(begin, end - begin, tuple(members)))
    return runs


@dataclass(frozen=True, slots=True)
class Runs:
    """What `coalesce_arrays` makes of ranges.

    Attributes
    ----------
    groups : ndarray of intp
        Of each run.
    offsets, sizes : ndarray of uint64
        Of each run, in bytes.
    numbers : ndarray of intp
        Of each range, the run that it lies in.
    """

    groups: NDArray[np.intp]
    offsets: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    numbers: NDArray[np.intp]


def coalesce_arrays(
    groups: NDArray[np.intp],
    offsets: NDArray[np.uint64],
    sizes: NDArray[np.uint64],
    *,
    max_gap_bytes: int,
    max_request_bytes: int,
) -> Runs:
    """Put ranges together that lie close to each other, many at a time.

    Parameters
    ----------
    groups : ndarray of intp
        Only ranges of one group (a file) come together.
    offsets, sizes : ndarray of uint64
        In bytes, in any order; ``offsets + sizes`` is below 2^64.
    max_gap_bytes, max_request_bytes : int
        See `coalesce_ranges`.

    Returns
    -------
    Runs
        By ascending group and offset.  Each range is inside of one, empty ones too.
    """
    count = len(offsets)
    order = np.lexsort((sizes, offsets, groups))
    group, begin = groups[order], offsets[order]
    end = begin + sizes[order]
    is_first = np.ones(count, np.bool_)
    # The range before may lie within one that reaches further: then there is a run more than needed.
    is_first[1:] = (group[1:] != group[:-1]) | (
        (begin[1:] > end[:-1]) & (begin[1:] - end[:-1] > np.uint64(max_gap_bytes))
    )
    starts = np.flatnonzero(is_first).tolist()
    stops = [*starts[1:], count]
    if count:
        ends = np.maximum.reduceat(end, starts)
        too_large = np.flatnonzero(ends - begin[starts] > np.uint64(max_request_bytes)).tolist()
        for run in too_large:
            # As many ranges as fit, then as many of the others, and so on.
            at, stop = starts[run], stops[run]
            reach = np.maximum.accumulate(end[at:stop])
            while True:
                limit = int(begin[at]) + max_request_bytes
                fitting = int(np.searchsorted(reach, min(limit, 2**64 - 1), side="right"))
                at = max(at + 1, starts[run] + fitting)
                if at >= stop:
                    break
                is_first[at] = True
    first = np.flatnonzero(is_first)
    numbers = np.empty(count, np.intp)
    numbers[order] = np.cumsum(is_first) - 1
    last = np.maximum.reduceat(end, first) if count else end
    return Runs(group[first], begin[first], last - begin[first], numbers)
