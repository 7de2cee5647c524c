# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in named shared memory, under the names and with the lifetimes that upstream's users know.

A segment outlives the process that made it, until it is unlinked; an array keeps its memory, also when its handle is
closed or the name is gone.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast.deliver import shared_buffer
from cloudvolume_fast.deliver.files import checked_order, map_file
from cloudvolume_fast.deliver.shared_buffer import SharedHandle
from cloudvolume_fast.errors import SharedMemoryAllocationError, SharedMemoryReadError

__all__ = [
    "EMULATED_SHM_DIRECTORY",
    "EMULATE_SHM",
    "PLATFORM_SHM_DIRECTORY",
    "SHM_DIRECTORY",
    "SharedMemoryAllocationError",
    "SharedMemoryReadError",
    "allocate_shm_file",
    "ndarray",
    "ndarray_fs",
    "ndarray_shm",
    "unlink",
    "unlink_fs",
    "unlink_shm",
]

SHM_DIRECTORY = "/dev/shm/"
EMULATED_SHM_DIRECTORY = "/tmp/cloudvolume-shm"
EMULATE_SHM = not os.path.isdir(SHM_DIRECTORY)
PLATFORM_SHM_DIRECTORY = SHM_DIRECTORY if not EMULATE_SHM else EMULATED_SHM_DIRECTORY


def _shape(shape: Any) -> tuple[int, ...]:  # Any: what numpy takes
    return tuple(int(n) for n in np.atleast_1d(np.asarray(shape, dtype=np.int64)))


def ndarray(
    shape: Any,  # what numpy takes
    dtype: Any,  # what numpy takes
    location: str,
    order: str = "F",
    readonly: bool = False,
    lock: Any = None,  # upstream's, for its emulation; nothing here needs one
    **kwargs: Any,
) -> tuple[SharedHandle, NDArray[Any]]:
    """Return an array in shared memory, which is made if there is none of this name.

    Parameters
    ----------
    shape, dtype
        As for `numpy.ndarray`.
    location : str
        Name of the segment: a file of that name in `PLATFORM_SHM_DIRECTORY`.
    order : {"F", "C"}
    readonly : bool
        Map memory that must be there, and refuse to change it.
    lock : object, optional
        Not needed; kept in its place.
    **kwargs
        ``offset`` and ``strides``, as for `numpy.ndarray`.

    Returns
    -------
    handle : SharedHandle
    array : ndarray
        Zeros, where the memory is new.

    Raises
    ------
    SharedMemoryReadError
        `readonly`, and there is none, or of another size.
    SharedMemoryAllocationError
        There is not enough room; a MemoryError, with the numbers.
    """
    return ndarray_shm(shape, dtype, location, readonly, order, **kwargs)


def ndarray_shm(
    shape: Any,  # what numpy takes
    dtype: Any,  # what numpy takes
    location: str,
    readonly: bool = False,
    order: str = "F",
    **kwargs: Any,
) -> tuple[SharedHandle, NDArray[Any]]:
    """Return an array in shared memory; see `ndarray`."""
    dtype, extents, order = np.dtype(dtype), _shape(shape), checked_order(order)
    name = shared_buffer.checked_location(location)
    size_bytes = shared_buffer.size_in_bytes(extents, dtype)
    if readonly:
        segment = shared_buffer.open_segment(name, extents, dtype, is_writable=False)
    else:
        segment = _sized_segment(name, size_bytes)
    flat = segment.bytes()
    array: NDArray[Any] = np.ndarray(
        extents, dtype, buffer=flat.data, order="C" if order == "C" else "F", **kwargs
    )
    return SharedHandle(segment), array


def _sized_segment(name: str, size_bytes: int) -> _runtime.Segment:
    """Return the segment of a name, made, or made longer or shorter, to have a size."""
    while True:
        try:
            segment = _runtime.Segment.open(name, True)
        except FileNotFoundError:
            fresh = shared_buffer.create_segment(_runtime.shm_hidden_name("part"), size_bytes, name)
            flat = fresh.bytes()
            if fresh.is_recycled:
                flat[...] = 0
            if fresh.rename_if_free(name):
                return fresh
            fresh.unlink()
            continue
        if segment.size_bytes == size_bytes:
            return segment
        try:
            return segment.resize(size_bytes)
        except OSError as error:
            available = _runtime.shm_available_bytes()
            raise SharedMemoryAllocationError(
                f"{name}: expected room for {size_bytes} bytes of shared memory, found {available} available "
                f"beside the {segment.size_bytes} that it has",
                key=name,
                expected=size_bytes,
                found=available,
            ) from error


def unlink(location: str) -> bool:
    """Remove a name; arrays keep their memory.

    Returns
    -------
    bool
        Whether there was such a name.
    """
    return unlink_shm(location)


def unlink_shm(location: str) -> bool:
    """Remove a name in shared memory; see `unlink`."""
    return shared_buffer.unlink(location)


def ndarray_fs(
    shape: Any,  # what numpy takes
    dtype: Any,  # what numpy takes
    location: str,
    lock: Any,  # upstream's; nothing here needs one
    readonly: bool = False,
    order: str = "F",
    emulate_shm: bool = False,
    **kwargs: Any,
) -> tuple[Any, NDArray[Any]]:
    """Return an array in a file, which is made, or made as long as the array, if need be.

    Parameters
    ----------
    location : str
        Path of the file; with `emulate_shm` its name in `EMULATED_SHM_DIRECTORY`.
    shape, dtype, lock, readonly, order, **kwargs
        As for `ndarray`.

    Returns
    -------
    handle : mmap.mmap
    array : ndarray

    Raises
    ------
    SharedMemoryReadError
        `readonly`, and there is no file, or of another size.
    SharedMemoryAllocationError
        There is not enough room.
    """
    import mmap

    dtype, extents, order = np.dtype(dtype), _shape(shape), checked_order(order)
    size_bytes = shared_buffer.size_in_bytes(extents, dtype)
    path = os.fspath(location)
    if emulate_shm:
        os.makedirs(EMULATED_SHM_DIRECTORY, exist_ok=True)
        path = os.path.join(EMULATED_SHM_DIRECTORY, path)
    if readonly:
        map_file(path, extents, dtype, order)  # says what is wrong
    else:
        allocate_shm_file(path, size_bytes, dtype.itemsize, readonly)
    with open(path, "rb" if readonly else "r+b") as file:
        access = mmap.ACCESS_READ if readonly else mmap.ACCESS_WRITE
        handle = mmap.mmap(file.fileno(), 0, access=access)
    array: NDArray[Any] = np.ndarray(
        extents, dtype, buffer=handle, order="C" if order == "C" else "F", **kwargs
    )
    return handle, array


def unlink_fs(location: str) -> bool:
    """Remove a file that `ndarray_fs` made; returns whether there was one."""
    for path in (os.fspath(location), os.path.join(EMULATED_SHM_DIRECTORY, os.fspath(location))):
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        return True
    return False


def allocate_shm_file(
    filename: str | os.PathLike[str], nbytes: int, dbytes: int, readonly: bool
) -> None:
    """Make a file, or make it longer or shorter, to have a size whose space is reserved.

    Parameters
    ----------
    filename : path
    nbytes : int
        The size.
    dbytes : int
        Of an item; upstream's, not needed.
    readonly : bool
        Only look whether the file is as it should be.

    Raises
    ------
    SharedMemoryReadError
        `readonly`, and it is not.
    SharedMemoryAllocationError
        There is not enough room.
    """
    path = os.fspath(filename)
    if readonly:
        map_file(path, (nbytes,), np.dtype(np.uint8), "C")
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        before = os.fstat(descriptor).st_size
        try:
            if nbytes and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, nbytes)
            os.ftruncate(descriptor, nbytes)
        except OSError as error:
            os.ftruncate(descriptor, before)
            if before == 0:
                os.unlink(path)
            status = os.statvfs(os.path.dirname(os.path.abspath(path)))
            available = status.f_bavail * status.f_frsize
            raise SharedMemoryAllocationError(
                f"{path}: expected room for {nbytes} bytes, found {available} available",
                key=path,
                expected=nbytes,
                found=available,
            ) from error
    finally:
        os.close(descriptor)
