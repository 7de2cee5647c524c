# SPDX-License-Identifier: BSD-3-Clause
"""Boxes of an image in shared memory: filled by this process, by workers, or together with unrelated processes."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast.config import parse_parallel
from cloudvolume_fast.decode import registry
from cloudvolume_fast.deliver.files import checked_order
from cloudvolume_fast.deliver.progress import ChunkProgress
from cloudvolume_fast.deliver.read_image import read_box
from cloudvolume_fast.deliver.shared_buffer import (
    SharedHandle,
    array_in,
    checked_location,
    create_ledger,
    create_segment,
    generate_location,
    open_segment,
    publish,
    remove_abandoned,
    size_in_bytes,
    unlink,
)
from cloudvolume_fast.deliver.shared_job import (
    WAIT_MS,
    JobItems,
    SharedJob,
    describe_error,
    raise_failure,
)
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import (
    InvalidArgumentError,
    SharedMemoryReadError,
    UnsupportedOptionError,
)
from cloudvolume_fast.locate.indexing import Bounds
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess, renewing
from cloudvolume_fast.sources.precomputed.image_files import upload_part
from cloudvolume_fast.sources.precomputed.image_workers import (
    RenewingItems,
    is_within_process,
    pickled,
    run_with_workers,
    runs_of,
)
from cloudvolume_fast.sources.precomputed.metadata import MipLike
from cloudvolume_fast.sources.precomputed.voxels import shape_of

_LOOK_AFTER_POLLS = 5  # for participants that have ended


def generate_shared_memory_location(source: ImageAccess) -> str:
    """Return a new name for shared memory; nothing is made."""
    return generate_location()


def unlink_shared_memory(source: ImageAccess, location: str | None = None) -> bool:
    """Remove a name, by default this image's `shared_memory_id`; arrays keep their memory.

    Returns
    -------
    bool
        Whether there was such a name.
    """
    return unlink(source.shared_memory_id if location is None else location)


@renewing
def upload_from_shared_memory(
    source: ImageAccess,
    location: str,
    bbox: Any,  # what Bbox.create takes
    mip: MipLike | None = None,
    order: str = "F",
    cutout_bbox: Any = None,  # what Bbox.create takes
) -> None:
    """Write voxels that lie in shared memory, without copying them; the memory stays.

    Parameters
    ----------
    location : str
        Name of the segment: x * y * z * channels voxels of the volume's type, and nothing else.
    bbox : Bbox or what `Bbox.create` takes
        What the segment holds, in voxels of `mip`.
    mip : int or resolution, optional
        Default the current one.
    order : {"F", "C"}
        Memory order of the segment.
    cutout_bbox : Bbox or what `Bbox.create` takes, optional
        The part to write; default all.

    Raises
    ------
    SharedMemoryReadError
        There is no such segment, or it has another size.
    AlignmentError
        `cutout_bbox` leaves `bbox`, or cuts chunks.
    """

    def open_array(shape: tuple[int, int, int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
        segment = open_segment(checked_location(location), shape, dtype, is_writable=False)
        return array_in(segment, shape, dtype, checked_order(order))

    upload_part(source, bbox, mip, cutout_bbox, open_array)


@renewing
def read_to_shared_memory(
    source: ImageAccess,
    bounds: Bounds,
    mip: int,
    location: str,
    *,
    parallel: int | None = None,
    order: str = "F",
    cooperate: bool = False,
    workers: int | None = None,
) -> tuple[SharedHandle, NDArray[Any]]:
    """Read a box that `resolve_bounds` has passed into shared memory under a name.

    The name stands for the whole box from the moment it exists: the memory is filled under a hidden one.  What had the
    name before loses it.

    Parameters
    ----------
    bounds : tuple of 6 int
    mip : int
    location : str
    parallel : int, optional
        Threads to use, or worker processes; default the volume's.
    order : {"F", "C"}
    cooperate : bool
        Join whoever fills this name with the same box, on this machine, or begin.
    workers : int, optional
        Processes that read in place of this one's threads.  By default there are none for encodings that the core
        decodes, and `parallel` where that is above 1 and a package decodes, which may end the process it works in.

    Returns
    -------
    handle : SharedHandle
    array : ndarray, shape (x, y, z, channel)

    Raises
    ------
    SharedMemoryAllocationError
        There is not enough room; known before anything is read.
    WorkerError
        Workers do not start, or chunks ended all that tried them.
    InvalidArgumentError
        The name is none; or others fill it with something else.
    EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError
    """
    name = checked_location(location)
    remove_abandoned()
    scale = source.image_scale(mip)
    shape = shape_of(bounds, scale)
    options = source.read_options(scale, parallel if parallel and parallel > 1 else None)
    if is_within_process(source) and (cooperate or workers):
        raise UnsupportedOptionError(
            f"{scale.folder}: workers, cooperate: expected neither, as other processes cannot reach this "
            "one's memory",
            key="cooperate" if cooperate else "workers",
            found=cooperate or workers,
        )
    if cooperate and workers is not None:
        raise InvalidArgumentError(
            "workers: expected none beside cooperate, as the processes that call work themselves",
            key="workers",
            found=workers,
        )
    if cooperate and not source.is_outside_rois(bounds, mip):
        job = SharedJob(b"", mip, runs_of(bounds, scale), shape, order, options)
        return _read_together(source, job, scale, name)
    size_bytes = size_in_bytes(shape, scale.dtype)
    segment = create_segment(_runtime.shm_hidden_name("part"), size_bytes, f"{scale.folder}")
    try:
        array = array_in(segment, shape, scale.dtype, order)
        processes = _processes(source, scale, parallel, workers)
        if source.is_outside_rois(bounds, mip):
            array[...] = np.frombuffer(options.background, scale.dtype)[0]
        elif processes:
            job = SharedJob(
                pickled(source), mip, runs_of(bounds, scale), shape, order, options,
                data=segment.name,
            )  # fmt: skip
            run_with_workers(source, job, scale, segment, processes)
        else:
            read_box(scale, bounds, options, out=array)
        publish(segment, name)
    except BaseException:
        segment.unlink()
        raise
    return SharedHandle(segment), array


def _processes(
    source: ImageAccess, scale: ImageScale, parallel: int | None, workers: int | None
) -> int:
    """Return how many worker processes are to read; 0 for this process's threads."""
    if workers is not None:
        return parse_parallel(workers, zero_is_all=False) if workers else 0
    wanted = source.config.parallel if parallel is None else parallel
    if wanted <= 1 or is_within_process(source):
        return 0
    return 0 if registry.lookup(scale.encoding, scale.folder).is_native else wanted


# Unrelated processes.


def _read_together(
    source: ImageAccess, job: SharedJob, scale: ImageScale, location: str
) -> tuple[SharedHandle, NDArray[Any]]:
    size_bytes = size_in_bytes(job.shape, scale.dtype)
    digest = hashlib.sha256(job.digest() + scale.folder.encode() + scale.dtype.str.encode())
    name = _runtime.shm_shared_ledger_name(location)
    while True:
        ledger, me = _join(name, len(job.runs), size_bytes, digest.digest(), location)
        segment = None
        try:
            segment = _shared_segment(ledger, me, job, scale, location)
            if segment is None:  # what was complete has been unlinked meanwhile
                continue
            items = RenewingItems(source, job, scale, segment, job.options.threads)
            _work_together(ledger, me, items, job, scale)
            if not ledger.is_complete:
                raise_failure(ledger, job, scale)
            if ledger.state == "running":
                with contextlib.suppress(FileNotFoundError):  # another one was faster
                    if segment.name != location:
                        publish(segment, location)
                ledger.finish("complete")
        except BaseException:
            if ledger.state == "failed":
                ledger.unlink()
                if segment is not None and segment.name != location:
                    segment.unlink()
            raise
        finally:
            ledger.leave(me)
        return SharedHandle(segment), items.array


def _join(
    name: str, items: int, size_bytes: int, digest: bytes, location: str
) -> tuple[_runtime.ChunkLedger, int]:
    while True:
        try:
            ledger = _runtime.ChunkLedger.open(name, digest)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                create_ledger(name, items, size_bytes, digest, items, location)
            continue
        except ValueError as error:
            raise InvalidArgumentError(
                f"{location}: other processes fill this name with something else: {error}; "
                "another location, or unlink_shared_memory() when they are done, helps",
                key=location,
            ) from error
        try:
            return ledger, ledger.join()
        except ValueError:
            if not ledger.is_stale:
                raise


def _shared_segment(
    ledger: _runtime.ChunkLedger, me: int, job: SharedJob, scale: ImageScale, location: str
) -> _runtime.Segment | None:
    """Return the segment of a job that processes share, made by one of them; None where its result was unlinked."""
    hidden = _runtime.shm_shared_data_name(location)
    while True:
        seen = ledger.changes
        if ledger.state == "failed":
            raise_failure(ledger, job, scale)
        if ledger.is_data_ready:
            for name in (hidden, location):  # renamed when complete
                with contextlib.suppress(SharedMemoryReadError):
                    segment = open_segment(name, job.shape, scale.dtype, is_writable=True)
                    # The name may have been given to other memory since.
                    if segment.identity == ledger.data_identity:
                        return segment
            ledger.unlink()
            return None
        if ledger.may_make_data(me):
            _runtime.shm_unlink(hidden)  # of one that died over it
            try:
                segment = create_segment(
                    hidden, size_in_bytes(job.shape, scale.dtype), scale.folder
                )
            except MemoryError as error:
                ledger.fail(me, 0, describe_error(error))
                raise
            ledger.set_data_ready(segment.identity)
            return segment
        ledger.wait(seen, WAIT_MS)


def _work_together(
    ledger: _runtime.ChunkLedger, me: int, items: JobItems, job: SharedJob, scale: ImageScale
) -> None:
    with ChunkProgress(
        job.options.progress, scale.layout.count_chunks(job.runs.bounds)
    ) as progress:
        idle = 0
        while ledger.state == "running" and not ledger.is_complete:
            seen = ledger.changes
            if items.claim_and_do(ledger, me):
                idle = 0
            else:
                idle += 1
                if idle % _LOOK_AFTER_POLLS == 1:
                    ledger.requeue_ended()
                ledger.wait(seen, WAIT_MS)
            if progress.callback is not None:
                _, chunks, size_bytes, _, _ = ledger.counts()
                progress.callback(chunks, size_bytes)
