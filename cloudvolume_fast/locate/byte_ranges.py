# SPDX-License-Identifier: BSD-3-Clause
"""Ranges of bytes of one object, put together to few requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ByteRange", "Run", "coalesce_ranges"]


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
