# SPDX-License-Identifier: BSD-3-Clause
"""Helpers of ``cloudvolume.datasource.precomputed.image.common``."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.compat.lib import sip, totalfn, xyzrange
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.vec import Vec

__all__ = [
    "check_error_queue",
    "chunknames",
    "error_capturing_fn",
    "error_queue",
    "gridpoints",
    "initialize_synchronization",
    "parallel_execution",
    "progress_queue",
    "progress_queue_listener",
    "shade",
]

# Any: queues and a lock of multiprocessing, None where none was set.  Upstream's programs look at them here.
error_queue: Any = None
progress_queue: Any = None
fs_lock: Any = None


def gridpoints(bbox: Bbox, volume_bbox: Bbox, chunk_size: Sequence[int]) -> Iterator[Vec]:
    """Yield the grid points of the chunks that a box touches, x running fastest.

    Parameters
    ----------
    bbox, volume_bbox : Bbox
    chunk_size : sequence of 3 int
    """
    size = np.asarray(chunk_size, np.int64)
    low = np.asarray(bbox.minpt, np.int64) - np.asarray(volume_bbox.minpt, np.int64)
    high = np.asarray(bbox.maxpt, np.int64) - np.asarray(volume_bbox.minpt, np.int64)
    if bbox.empty():
        return iter(())
    return xyzrange((low // size).tolist(), (-(-high // size)).tolist())


class _ChunkNames:
    """Names of chunks, one after the other; has a length."""

    def __init__(self, bbox: Bbox, volume_bbox: Bbox, key: str, chunk_size: Sequence[int]) -> None:
        self._bbox, self._volume, self._key = bbox.clone(), volume_bbox.clone(), key
        self._size = [int(extent) for extent in chunk_size]

    def __len__(self) -> int:
        return len(list(gridpoints(self._bbox, self._volume, self._size)))

    def __iter__(self) -> Iterator[str]:
        for point in gridpoints(self._bbox, self._volume, self._size):
            low = self._volume.minpt + point * Vec(*self._size)
            high = np.minimum(low + Vec(*self._size), self._volume.maxpt)
            name = "_".join(f"{a}-{b}" for a, b in zip(low.tolist(), high.tolist(), strict=True))
            yield f"{self._key}/{name}"


def chunknames(
    bbox: Bbox,
    volume_bbox: Bbox,
    key: str,
    chunk_size: Sequence[int],
    protocol: str | None = None,
) -> _ChunkNames:
    """Return the names of the chunks that a box touches.

    Parameters
    ----------
    bbox, volume_bbox : Bbox
        The last chunks end where the volume does.
    key : str
        Folder of the scale.
    chunk_size : sequence of 3 int
    protocol : str, optional
        Names are the same for all.
    """
    return _ChunkNames(bbox, volume_bbox, key, chunk_size)


def shade(
    dest_img: NDArray[Any],
    dest_bbox: Bbox,
    src_img: NDArray[Any],
    src_bbox: Bbox,
    channel: int | None = None,
) -> None:
    """Paint one image into another where their boxes meet.

    Parameters
    ----------
    dest_img, src_img : ndarray, shape (x, y, z) or (x, y, z, channel)
    dest_bbox, src_bbox : Bbox
    channel : int, optional
        Paint this one of `dest_img` only; all by default.
    """
    if not Bbox.intersects(dest_bbox, src_bbox):
        return
    part = Bbox.intersection(dest_bbox, src_bbox)
    to: Any = (part - dest_bbox.minpt).to_slices()  # Any: numpy's types want no plain tuple
    source = src_img[(part - src_bbox.minpt).to_slices()]
    if source.ndim == 3:
        source = source[..., np.newaxis]
    target = dest_img[..., np.newaxis] if dest_img.ndim == 3 else dest_img
    if channel is None:
        target[to] = source
    else:
        target[(*to, channel)] = source[..., channel if source.shape[3] > 1 else 0]


# Several processes.


def initialize_synchronization(progress_queue: Any, fs_lock: Any) -> None:  # Any: see above
    """Remember a queue and a lock that several processes share."""
    globals()["progress_queue"] = progress_queue
    globals()["fs_lock"] = fs_lock


def error_capturing_fn(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a function returns; an error is printed and put on `error_queue`, if there is one, else raised."""
    try:
        return fn(*args, **kwargs)
    except Exception as error:
        if error_queue is None:
            raise
        traceback.print_exc()
        error_queue.put(error)
        return 0


def check_error_queue() -> None:
    """Raise the first error of `error_queue`, if there is one."""
    if error_queue is not None and not error_queue.empty():
        raise error_queue.get()


def progress_queue_listener(q: Any, total: int | None, desc: str) -> None:  # Any: a queue of counts
    """Show a bar that goes on by each number that comes; until it is full, or None comes."""
    from tqdm import tqdm

    with tqdm(total=total, desc=desc) as bar:
        while total is None or bar.n < total:
            count = q.get()
            if count is None:
                return
            bar.update(count)


def parallel_execution(
    fn: Callable[[list[Any]], Any],
    items: Iterable[Any],
    parallel: int,
    progress: bool | str,
    desc: str = "Progress",
    total: int | None = None,
    cleanup_shm: Callable[[], None] | str | None = None,
    block_size: int = 1000,
    min_block_size: int = 10,
) -> None:
    """Call a function on blocks of items, in processes of their own (started by spawn).

    Parameters
    ----------
    fn : callable
        Can be pickled; is given a list of items.
    items : iterable
    parallel : int
        Number of processes.
    progress : bool or str
        Show a bar.
    desc : str
    total : int, optional
        Number of items, if `items` has no length.
    cleanup_shm : str or callable, optional
        A segment of shared memory that is removed, or what is called, if something fails.
    block_size, min_block_size : int
        Most and fewest items of a block; fewer than the most if there would not be one for each process.
    """
    from tqdm import tqdm

    total = totalfn(items, total)
    if total is not None and total < block_size * parallel:
        block_size = max(min_block_size, -(-total // max(1, parallel)))
    context = multiprocessing.get_context("spawn")
    try:
        with (
            ProcessPoolExecutor(parallel, mp_context=context) as pool,
            tqdm(total=total, desc=desc, disable=not progress) as bar,
        ):
            pending = {pool.submit(fn, block): len(block) for block in sip(items, block_size)}
            try:
                for future in as_completed(pending):
                    future.result()
                    bar.update(pending[future])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BaseException:
        if isinstance(cleanup_shm, str):
            from cloudvolume_fast import sharedmemory

            sharedmemory.unlink(cleanup_shm)
        elif cleanup_shm is not None:
            cleanup_shm()
        raise
