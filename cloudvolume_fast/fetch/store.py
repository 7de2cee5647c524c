# SPDX-License-Identifier: BSD-3-Clause
"""What the readers of this layer need of a place where bytes are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

__all__ = ["ByteStore", "KeyRange"]


class KeyRange(NamedTuple):
    """Some bytes of an object."""

    key: str
    offset: int
    size: int


@runtime_checkable
class ByteStore(Protocol):
    """Objects by key, whole or in parts.

    Notes
    -----
    An object that is absent is None.  Ranges are of the bytes as they are stored, without decompression, and stop where
    the object ends: what begins behind the end is empty.  Nothing is allocated for bytes that are not there.
    """

    def get(self, key: str) -> bytes | None:
        """Return an object, decompressed if it is stored under a compression."""
        ...

    def get_range(self, key: str, offset: int, size: int) -> bytes | None:
        """Return a range of an object."""
        ...

    def get_ranges(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        """Return ranges of objects, in the order given; each is one request."""
        ...
