# SPDX-License-Identifier: BSD-3-Clause
"""Chunk files as bytes, and images that lie in a file of the caller's as plain voxels."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.deliver.outcome import raise_outcome
from cloudvolume_fast.deliver.progress import ChunkProgress
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import (
    ChunkWriteError,
    CloudVolumeError,
    InvalidArgumentError,
    SharedMemoryReadError,
)
from cloudvolume_fast.fetch.file import umask
from cloudvolume_fast.locate.indexing import Bounds
from cloudvolume_fast.options import ReadOptions, max_inflight_bytes, sync_writes


def read_files(
    scale: ImageScale, bounds: Bounds, options: ReadOptions, *, decompress: bool = True
) -> dict[str, bytes | None]:
    """Return the files of the chunks that a box touches.

    Parameters
    ----------
    scale : ImageScale
    bounds : tuple of 6 int
    options : ReadOptions
    decompress : bool
        Undo second-stage compression; otherwise bytes are as stored, and names have the suffix that tells how.

    Returns
    -------
    dict
        Chunk name to bytes, or to None where there is no chunk.

    Raises
    ------
    ChunkReadError, DecompressionError, ChunkDecodeError
    """
    with ChunkProgress(options.progress, scale.layout.count_chunks(bounds)) as progress:
        outcome, files = scale.layout.read_files(
            bounds, decompress, options.threads, max_inflight_bytes(), progress.callback
        )
    if outcome is not None:
        raise_outcome(outcome, scale.folder)
    return files


def checked_order(order: str) -> str:
    """Return a memory order.

    Raises
    ------
    InvalidArgumentError
        It is neither ``F`` nor ``C``.
    """
    if order not in ("F", "C"):
        raise InvalidArgumentError(
            f"order: expected F or C, found {order!r}",
            key="order",
            expected=("F", "C"),
            found=order,
        )
    return order


def fill_new_file(
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    order: str,
    fill: Callable[[NDArray[Any]], None],
) -> NDArray[Any]:
    """Make a file of an array's bytes, filled through a mapping, and return the array in it.

    The file gets its name when it is complete: a reader sees the old one or the new.  Its space is reserved first, so
    that a full disk is an error and not a signal.

    Parameters
    ----------
    path : path
    shape : tuple of int
    dtype : numpy.dtype
    order : {"F", "C"}
    fill : callable
        Given the array, contents unspecified.

    Returns
    -------
    ndarray
        Mapped from the file; what is written to it goes there.

    Raises
    ------
    ChunkWriteError
    """
    import tempfile  # imported when needed: it is slow to load

    target = os.fspath(path)
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(
            prefix=".", suffix=".tmp", dir=os.path.dirname(target) or "."
        )
        with os.fdopen(descriptor, "r+b") as file:
            size_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            else:
                file.truncate(size_bytes)
            os.chmod(temporary, 0o666 & ~umask())
            array: NDArray[Any] = np.memmap(
                file, dtype=dtype, mode="r+", shape=shape, order="C" if order == "C" else "F"
            )
            fill(array)
            if sync_writes():
                array.flush()  # type: ignore[attr-defined]
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except CloudVolumeError:  # of the chunks that were read, some of which are OSErrors
        _remove(temporary)
        raise
    except OSError as error:
        _remove(temporary)
        raise ChunkWriteError(
            f"{target}: cannot be written: {error.strerror}", key=target, errno=error.errno
        ) from error
    except BaseException:
        _remove(temporary)
        raise
    return array


def _remove(path: str | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)


def map_file(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any], order: str
) -> NDArray[Any]:
    """Map an array's bytes from a file, for reading.

    Raises
    ------
    SharedMemoryReadError
        There is no such file, or it does not have exactly the array's size.
    """
    target = os.fspath(path)
    expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
    try:
        found = os.stat(target).st_size
        if found == expected:
            return np.memmap(
                target, dtype=dtype, mode="r", shape=shape, order="C" if order == "C" else "F"
            )
    except OSError as error:
        raise SharedMemoryReadError(
            f"{target}: cannot be read: {error.strerror}", key=target
        ) from error
    raise SharedMemoryReadError(
        f"{target}: expected {expected} bytes for {dtype.name} of shape {shape}, found {found}",
        key=target,
        expected=expected,
        found=found,
    )
