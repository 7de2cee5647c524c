# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in named memory that processes share."""

from __future__ import annotations

import errno
import os
import uuid
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import (
    InvalidArgumentError,
    SharedMemoryAllocationError,
    SharedMemoryReadError,
)

_NO_ROOM = frozenset({errno.ENOSPC, errno.ENOMEM, errno.EFBIG, errno.EDQUOT})


def generate_location() -> str:
    """Return a name that nobody has; nothing is made."""
    return f"precomputed-shm-{uuid.uuid4()}"


def size_in_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return the bytes of an array's items."""
    size = dtype.itemsize
    for extent in shape:
        size *= int(extent)
    return size


def checked_location(location: str) -> str:
    """Return a name without the slashes that may lead it.

    Raises
    ------
    InvalidArgumentError
        It is empty, too long, or holds a slash.
    """
    try:
        name = _runtime.shm_plain_name(os.fspath(location))
    except OSError as error:
        raise InvalidArgumentError(
            f"location: expected a name of up to 235 bytes without slashes, found {location!r}",
            key="location",
            found=location,
        ) from error
    if name.startswith(".cvfast-"):
        raise InvalidArgumentError(
            f"location: expected a name that does not begin with .cvfast-, found {location!r}",
            key="location",
            found=location,
        )
    return name


class SharedHandle:
    """Keeps a segment mapped until it is closed; arrays of it keep it mapped in any case.

    Parameters
    ----------
    segment : Segment
    """

    def __init__(self, segment: _runtime.Segment) -> None:
        self._segment: _runtime.Segment | None = segment
        self._size = segment.size_bytes
        self._name = segment.name

    def __repr__(self) -> str:
        """Name the class, the segment and its size."""
        return f"{type(self).__name__}({self._name!r}, {self._size} bytes)"

    def __len__(self) -> int:
        return self._size

    @property
    def name(self) -> str:
        """Name of the segment when this was made."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._segment is None

    def close(self) -> None:
        """Let go of the segment; it is unmapped when no array of it is left."""
        self._segment = None


def create_segment(name: str, size_bytes: int, what: str) -> _runtime.Segment:
    """Make a segment whose memory is reserved.

    Parameters
    ----------
    name : str
    size_bytes : int
    what : str
        What it is for, for messages.

    Raises
    ------
    SharedMemoryAllocationError
        There is not enough room; a MemoryError, with both numbers.
    FileExistsError
    """
    try:
        return _runtime.Segment.create(name, size_bytes)
    except FileExistsError:
        raise
    except OSError as error:
        raise _no_room(error, size_bytes, what) from error


def create_ledger(
    name: str, items: int, data_bytes: int, digest: bytes, open_items: int, what: str
) -> _runtime.ChunkLedger:
    """Make a ledger; parameters as for `ChunkLedger.create`, and what it is for.

    Raises
    ------
    SharedMemoryAllocationError
        There is not enough room.
    FileExistsError
    """
    try:
        return _runtime.ChunkLedger.create(name, items, data_bytes, digest, open_items)
    except FileExistsError:
        raise
    except OSError as error:
        wanted = int(getattr(error, "expected_bytes", 0))
        raise _no_room(error, wanted, f"what processes tell each other about {what}") from error


def _no_room(error: OSError, expected: int, what: str) -> SharedMemoryAllocationError:
    available = int(getattr(error, "available_bytes", 0)) or _runtime.shm_available_bytes()
    folder = _runtime.shm_folder()
    reason = (
        f"found {available} available"
        if error.errno in _NO_ROOM
        else f"found {error.strerror} ({available} available)"
    )
    return SharedMemoryAllocationError(
        f"{folder}: expected room for {expected} bytes of shared memory for {what}, {reason}; "
        "a larger /dev/shm (docker run --shm-size) or a smaller box helps",
        key=folder,
        expected=expected,
        found=available,
    )


def array_in(
    segment: _runtime.Segment, shape: tuple[int, ...], dtype: np.dtype[Any], order: str
) -> NDArray[Any]:
    """Return an array of a segment's first bytes, which keeps it mapped."""
    flat = segment.bytes()
    if size_in_bytes(shape, dtype) == 0:
        return np.empty(shape, dtype, order="C" if order == "C" else "F")
    return np.ndarray(shape, dtype, buffer=flat.data, order="C" if order == "C" else "F")


def open_segment(
    location: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    is_writable: bool,
    is_exact: bool = True,
) -> _runtime.Segment:
    """Map a segment that holds an array of a shape.

    Raises
    ------
    SharedMemoryReadError
        There is none of this name, or it has another size.
    """
    expected = size_in_bytes(shape, dtype)
    try:
        segment = _runtime.Segment.open(location, is_writable)
    except OSError as error:
        raise SharedMemoryReadError(
            f"{location}: expected shared memory of {expected} bytes for {dtype.name} of shape {shape}, "
            f"found {error.strerror}",
            key=location,
            expected=expected,
        ) from error
    found = segment.size_bytes
    if found != expected and (is_exact or found < expected):
        raise SharedMemoryReadError(
            f"{location}: expected {expected} bytes for {dtype.name} of shape {shape}, found {found}",
            key=location,
            expected=expected,
            found=found,
        )
    return segment


def unlink(location: str) -> bool:
    """Remove a segment's name, and the record of the processes that filled it together.

    Memory that is mapped stays until the last array of it is gone.

    Returns
    -------
    bool
        Whether there was such a name.
    """
    name = checked_location(location)
    existed = _runtime.shm_unlink(name)
    _runtime.shm_unlink(_runtime.shm_shared_ledger_name(name))
    return existed


def remove_abandoned() -> list[str]:
    """Remove what processes that have ended left half-made in shared memory; returns the names."""
    return _runtime.shm_remove_abandoned()


def publish(segment: _runtime.Segment, location: str) -> None:
    """Give a segment that is complete its name; one that had it loses it, and keeps its bytes."""
    segment.rename(location)
