# SPDX-License-Identifier: BSD-3-Clause
"""Jobs of one call that worker processes do: into a segment, or from one."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast.decode import registry
from cloudvolume_fast.deliver.chunk_lru import ChunkLRU
from cloudvolume_fast.deliver.progress import ChunkProgress
from cloudvolume_fast.deliver.shared_buffer import create_ledger, create_segment
from cloudvolume_fast.deliver.shared_job import JobItems, SharedJob, raise_failure, slot_bytes
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.deliver.worker_pool import run_workers
from cloudvolume_fast.errors import SharedMemoryAllocationError
from cloudvolume_fast.fetch.secrets import parse_secrets
from cloudvolume_fast.locate.chunk_runs import ChunkRuns
from cloudvolume_fast.locate.indexing import Bounds
from cloudvolume_fast.options import ReadOptions, WriteOptions
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess, renewing
from cloudvolume_fast.sources.precomputed.voxels import shape_of

_STAGED_RUNS = 8  # for each worker


def runs_of(bounds: Bounds, scale: ImageScale) -> ChunkRuns:
    """Return the runs of chunks in which processes share a box."""
    voxel_bytes = scale.dtype.itemsize * scale.num_channels
    origin = scale.bounds[:3]
    return ChunkRuns.of(bounds, (origin[0], origin[1], origin[2]), scale.chunk_size, voxel_bytes)


def shards_of(bounds: Bounds, scale: ImageScale) -> ChunkRuns | None:
    """Return runs that are one shard each, or None where a box is not made of whole shards, or of one only."""
    spec = scale.sharding
    if spec is None or spec.hash != "identity" or spec.preshift_bits + spec.minishard_bits >= 64:
        return None
    low, high = scale.bounds[:3], scale.bounds[3:]
    extent = tuple(end - begin for begin, end in zip(low, high, strict=True))
    shard = spec.image_shard_shape(extent, scale.chunk_size).tolist()
    for axis in range(3):
        begin, end = bounds[axis], bounds[axis + 3]
        if (begin - low[axis]) % shard[axis] or (
            end != high[axis] and (end - low[axis]) % shard[axis]
        ):
            return None
    x, y, z = (int(shard[axis]) // scale.chunk_size[axis] for axis in range(3))
    voxel_bytes = scale.dtype.itemsize * scale.num_channels
    runs = ChunkRuns.of(
        bounds, (low[0], low[1], low[2]), scale.chunk_size, voxel_bytes, fixed_run=(x, y, z)
    )
    return runs if len(runs) > 1 else None


def pickled(source: ImageAccess) -> bytes:
    """Return what a worker needs to open the volume, explicit credentials included; for a pipe and nothing else."""
    config = replace(source.config, progress=False, progress_title=None, parallel=1)
    secrets = source.meta._secrets
    parts = (source.meta, config, None if secrets is None else dict(secrets))
    return pickle.dumps(parts, protocol=pickle.HIGHEST_PROTOCOL)


def unpickled(data: bytes) -> ImageAccess:
    """Open a volume that `pickled` describes."""
    meta, config, secrets = pickle.loads(data)
    meta._secrets = parse_secrets(secrets)
    # Chunks pass through a worker once; holding them here would take memory beside the starter's.
    return ImageAccess(meta, config, ChunkLRU(0))


def is_within_process(source: ImageAccess) -> bool:
    """Whether other processes cannot reach the layer, since it lies in this one's memory."""
    return source.meta.path.protocol == "mem"


class RenewingItems(JobItems):
    """A job's runs, each tried again with other credentials where a server refused these and there are some.

    Parameters
    ----------
    source : ImageAccess
    job, scale, segment, threads
        As for `JobItems`.
    """

    def __init__(
        self,
        source: ImageAccess,
        job: SharedJob,
        scale: ImageScale,
        segment: _runtime.Segment,
        threads: int,
    ) -> None:
        super().__init__(job, scale, segment, threads)
        self._source = source

    def do(self, number: int) -> tuple[int, int]:
        """Do a run; returns the chunks and the bytes of voxels that it was."""
        return _renewing_call(self._source, super().do, number)


@renewing
def _renewing_call(
    source: ImageAccess, do: Callable[[int], tuple[int, int]], number: int
) -> tuple[int, int]:
    return do(number)


def run_with_workers(
    source: ImageAccess,
    job: SharedJob,
    scale: ImageScale,
    segment: _runtime.Segment,
    workers: int,
    feed: Callable[[_runtime.ChunkLedger, JobItems], None] | None = None,
) -> None:
    """Let workers do a job; `feed` is called often and opens items that are not open from the start."""
    count = min(workers, len(job.runs))
    threads = max(1, _runtime.default_threads() // count)
    title = job.options.progress
    job = replace(
        job,
        ledger=_runtime.shm_hidden_name("ledger"),
        options=job.options._replace(threads=threads, progress=None),
    )
    open_items = 0 if feed else len(job.runs)
    ledger = create_ledger(
        job.ledger, len(job.runs), segment.size_bytes, job.digest(), open_items, scale.folder
    )
    items = RenewingItems(source, job, scale, segment, 0)
    try:
        with contextlib.ExitStack() as stack:
            progress = stack.enter_context(
                ChunkProgress(title, scale.layout.count_chunks(job.runs.bounds))
            )
            help_out = None
            if _is_trusted(scale, job) and feed is None:
                me = ledger.join()
                stack.callback(ledger.leave, me)

                def help_out() -> bool:
                    return items.claim_and_do(ledger, me)

            def on_poll() -> None:
                if feed is not None:
                    feed(ledger, items)
                if progress.callback is not None:
                    _, chunks, size_bytes, _, _ = ledger.counts()
                    progress.callback(chunks, size_bytes)

            run_workers(
                count, job, ledger, on_poll=on_poll, help_out=help_out, poll_ms=2 if feed else 50
            )
        if not ledger.is_complete:
            raise_failure(ledger, job, scale)
    finally:
        ledger.unlink()


def _is_trusted(scale: ImageScale, job: SharedJob) -> bool:
    """Whether this process may do what a worker is for: what could end it is left to workers."""
    return (
        isinstance(job.options, ReadOptions)
        and registry.lookup(scale.encoding, scale.folder).is_native
    )


def write_with_workers(
    source: ImageAccess,
    scale: ImageScale,
    mip: int,
    bounds: Bounds,
    array: NDArray[Any],
    options: WriteOptions,
    workers: int,
) -> bool:
    """Write a box by worker processes, for codecs that hold the GIL; False where that does not serve.

    Runs of chunks are copied one after the other into a segment that holds a few of them, from which workers take them.
    A run of a sharded scale is a shard, so that no two workers write to one file; boxes that cut shards, and shards
    too large for half of the shared memory that is left, are for threads; so is everything where there is too little.
    """
    shape = shape_of(bounds, scale)
    voxel_bytes = scale.dtype.itemsize * scale.num_channels
    if scale.sharding is None:
        runs = runs_of(bounds, scale)
        slots = min(len(runs), _STAGED_RUNS * workers)
    else:
        shards = shards_of(bounds, scale)
        if shards is None:
            return False
        runs, slots = shards, min(len(shards), workers)
        if slots * slot_bytes(runs, voxel_bytes) > _runtime.shm_available_bytes() // 2:
            return False
    staging_bytes = slots * slot_bytes(runs, voxel_bytes)
    try:
        segment = create_segment(_runtime.shm_hidden_name("part"), staging_bytes, scale.folder)
    except SharedMemoryAllocationError:  # nobody has asked for shared memory: threads need none
        return False
    job = SharedJob(
        pickled(source), mip, runs, shape, "F", options,
        folder_path=source.folder_path(source.meta.key(mip)), data=segment.name, slots=slots,
    )  # fmt: skip
    staged = 0

    def feed(ledger: _runtime.ChunkLedger, items: JobItems) -> None:
        nonlocal staged
        while staged < len(runs) and (
            staged < slots or ledger.item_state(staged - slots) == "done"
        ):
            items.place(staged)[...] = array[runs.slices(staged)]
            staged += 1
            ledger.open_to(staged)

    try:
        run_with_workers(source, job, scale, segment, workers, feed)
    except SharedMemoryAllocationError:  # of the ledger
        return False
    finally:
        segment.unlink()
        source.lru.clear()  # of what it held of these chunks
    return True
