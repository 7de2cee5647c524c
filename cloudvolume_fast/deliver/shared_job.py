# SPDX-License-Identifier: BSD-3-Clause
"""One read or write that several processes do together, run of chunks by run of chunks, over a ledger.

The ledger says who does what and what is done; voxels lie in a segment that all of them map.  What a process that dies
had claimed is done by another; the third death at the same run ends the job with an error that names its chunks.
"""

from __future__ import annotations

import builtins
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import _runtime, errors
from cloudvolume_fast.deliver.read_image import read_box
from cloudvolume_fast.deliver.shared_buffer import array_in, size_in_bytes
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.deliver.write_image import write_box
from cloudvolume_fast.errors import WorkerError
from cloudvolume_fast.locate.chunk_runs import ChunkRuns
from cloudvolume_fast.options import ReadOptions, WriteOptions

WAIT_MS = 20
_MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class SharedJob:
    """What a worker is told.

    Attributes
    ----------
    source : bytes
        The volume, pickled: workers look its credentials up themselves, but for those that were given explicitly, which
        therefore pass through the pipe and nowhere else.
    mip : int
    runs : ChunkRuns
    shape : tuple of 4 int
        Of the whole box.
    order : {"F", "C"}
        Memory order of the segment's array.
    options : ReadOptions or WriteOptions
        Which of both says whether to read or to write.
    folder_path : str or None
        Of the scale, for writing; None where it is not on this machine.
    ledger, data : str
        Names of segments.
    slots : int
        0 where the segment holds the whole box; else the runs that it holds at a time, the nth in place ``n % slots``,
        in Fortran order.
    """

    source: bytes = field(repr=False)  # credentials are shown to nobody
    mip: int
    runs: ChunkRuns
    shape: tuple[int, int, int, int]
    order: str
    options: ReadOptions | WriteOptions
    folder_path: str | None = None
    ledger: str = ""
    data: str = ""
    slots: int = 0

    def digest(self) -> bytes:
        """Return what two requests for the same result have in common, as 32 bytes."""
        options = self.options._replace(threads=0, progress=None)
        text = repr((self.mip, self.runs, self.shape, self.order, options, self.slots))
        return hashlib.sha256(text.encode()).digest()


class JobItems:
    """A job's runs on this process's side: each is read into, or written from, the segment.

    Parameters
    ----------
    job : SharedJob
    scale : ImageScale
    segment : Segment
    threads : int
        For one run.
    """

    def __init__(
        self, job: SharedJob, scale: ImageScale, segment: _runtime.Segment, threads: int
    ) -> None:
        self._job = job
        self._scale = scale
        self._segment = segment
        self._options = job.options._replace(threads=threads, progress=None)
        self._voxel_bytes = scale.dtype.itemsize * job.shape[3]
        if job.slots:
            self._flat = segment.bytes()
        else:
            self.array = array_in(segment, job.shape, scale.dtype, job.order)

    def place(self, number: int) -> NDArray[Any]:
        """Return where the voxels of a run are."""
        job = self._job
        if not job.slots:
            return self.array[job.runs.slices(number)]
        box = job.runs.box(number)
        shape = (box[3] - box[0], box[4] - box[1], box[5] - box[2], job.shape[3])
        start = number % job.slots * slot_bytes(job.runs, self._voxel_bytes)
        flat = self._flat[start : start + size_in_bytes(shape, self._scale.dtype)]
        return np.ndarray(shape, self._scale.dtype, buffer=flat.data, order="F")

    def do(self, number: int) -> tuple[int, int]:
        """Do a run; returns the chunks and the bytes of voxels that it was."""
        box = self._job.runs.box(number)
        voxels = self.place(number)
        if isinstance(self._options, ReadOptions):
            read_box(self._scale, box, self._options, out=voxels)
        else:
            write_box(self._scale, self._job.folder_path, box, voxels, self._options)
        return self._scale.layout.count_chunks(box), voxels.nbytes

    def claim_and_do(self, ledger: _runtime.ChunkLedger, participant: int) -> bool:
        """Do one run that nobody has claimed; False where there is none now.

        What goes wrong is recorded in the ledger, which ends the job, and is not raised.
        """
        number = ledger.claim(participant)
        if number is None:
            return False
        try:
            chunks, size_bytes = self.do(number)
        except Exception as error:  # every participant raises it
            ledger.fail(participant, number, describe_error(error))
        else:
            ledger.publish(participant, number, chunks, size_bytes)
        return True


def slot_bytes(runs: ChunkRuns, voxel_bytes: int) -> int:
    """Return the bytes between two places of a segment that holds some runs at a time; whole pages."""
    x, y, z = runs.largest_shape()
    return -(-x * y * z * voxel_bytes // 4096) * 4096


def take_part(ledger: _runtime.ChunkLedger, items: JobItems, participant: int) -> None:
    """Do runs until the job is complete or has ended otherwise."""
    while True:
        seen = ledger.changes
        if ledger.state != "running" or ledger.is_complete:
            return
        if not items.claim_and_do(ledger, participant):
            ledger.wait(seen, WAIT_MS)


# Errors, told from one process to others.


def describe_error(error: BaseException) -> str:
    """Write an exception down so that `raise_failure` can raise it in another process."""
    members: dict[str, Any] = {"type": type(error).__name__, "message": str(error)[:1500]}
    for name in ("key", "expected", "found", "offset", "errno"):
        value = getattr(error, name, None)
        if isinstance(value, (str, int, float)) and len(str(value)) < 300:
            members[name] = value
    return json.dumps(members)


def raise_failure(ledger: _runtime.ChunkLedger, job: SharedJob, scale: ImageScale) -> None:
    """Raise what ended a job, in terms of the volume's chunks.

    Raises
    ------
    WorkerError
        Processes that worked on these chunks ended, three times.
    CloudVolumeError, MemoryError, Exception
        What a process met with, of the class that it had there.
    """
    failure = ledger.failure()
    if failure is None:
        raise WorkerError(
            f"{scale.folder}: the shared job was given up by another process", key=scale.folder
        )
    number, text = failure
    if not text:
        names = chunk_names(scale, job.runs, number)
        key = f"{scale.folder}/{names[0]}" if names else scale.folder
        shown = ", ".join(names[:_MOST_NAMES])
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        verb = "reading" if isinstance(job.options, ReadOptions) else "writing"
        raise WorkerError(
            f"{scale.folder}: processes {verb} chunks {shown}{more} ended, three times in a row",
            key=key,
            expected="a process that lives",
            found=names,
        )
    members = json.loads(bytes(text).decode())
    name, message = members.pop("type"), members.pop("message")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.CloudVolumeError):
        if not issubclass(kind, errors._FileOperationError):
            members.pop("errno", None)
        raise kind(message, **members)
    plain = getattr(builtins, name, None)
    if isinstance(plain, type) and issubclass(plain, Exception):
        raise plain(message)
    raise WorkerError(f"{scale.folder}: {name}: {message}", key=scale.folder, found=name)


def chunk_names(scale: ImageScale, runs: ChunkRuns, number: int) -> list[str]:
    """Return the names of a run's chunks; those outside of the volume have none."""
    _, names, _ = scale.layout.list_chunks(runs.box(number), False, 1)
    return list(names)
