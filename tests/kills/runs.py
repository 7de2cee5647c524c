# SPDX-License-Identifier: BSD-3-Clause
"""Reads into shared memory whose workers, or whose starter, are killed at random moments; what became of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cloudvolume_fast import CloudVolume, _runtime
from cloudvolume_fast.deliver.worker_pool import pool
from cloudvolume_fast.errors import CloudVolumeError

SIZE, CHUNK = (256, 256, 200), (48, 64, 40)
SHM = Path(_runtime.shm_folder())


@dataclass
class KillReport:
    """What happened in a number of runs."""

    runs: int = 0
    kills: int = 0
    exact: int = 0
    named_errors: int = 0
    wrong: int = 0
    leftovers: list[str] = field(default_factory=list)
    kills_at_work: int = 0
    troubles: list[str] = field(default_factory=list)

    def table(self) -> str:
        names = ("runs", "kills", "kills_at_work", "exact", "named_errors", "wrong")
        rows = [f"{name.replace('_', ' '):14}{getattr(self, name):6}" for name in names]
        shown = ", ".join(self.leftovers[:5])
        rows.append(f"{'leftovers':14}{len(self.leftovers):6}  {shown}".rstrip())
        return "\n".join([*rows, *self.troubles])


def write_volume(folder: Path, encoding: str) -> tuple[str, np.ndarray]:
    rng = np.random.default_rng(len(encoding))
    dtype = np.uint8 if encoding in ("raw", "png") else np.uint64
    voxels = rng.integers(0, 200, SIZE, dtype)
    path = f"file://{folder}/{encoding}"
    CloudVolume.from_numpy(
        voxels, vol_path=path, chunk_size=CHUNK, encoding=encoding,
        compress="gzip" if encoding in ("raw", "compressed_segmentation") else None,
        layer_type="image" if dtype == np.uint8 else "segmentation",
    )  # fmt: skip
    return path, np.asarray(CloudVolume(path)[:])


def shm_names() -> list[str]:
    """Names of everything in shared memory."""
    return [entry.name for entry in SHM.iterdir()]


def segments_of(pid: int) -> list[str]:
    """Hidden segments that a process of this pid has made, but for those that it keeps to use again."""
    mark = f"-{pid}-"
    return [
        name
        for name in shm_names()
        if name.startswith(".cvfast-") and mark in name and not name.startswith(".cvfast-kept-")
    ]


class Killer:
    """Kills workers of this process at random moments while it is entered."""

    def __init__(self, seed: int, kills: int, within_seconds: float) -> None:
        self._random = random.Random(seed)
        self._moments = sorted(self._random.uniform(0, within_seconds) for _ in range(kills))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.kills = 0
        self.kills_at_work = 0

    def _run(self) -> None:
        started = time.monotonic()
        for moment in self._moments:
            if self._stop.wait(max(0.0, started + moment - time.monotonic())):
                return
            workers = [w for w in list(pool()._all) if w.is_alive()]
            workers = [w for w in workers if w.is_ready] or workers
            if workers:
                worker = self._random.choice(workers)
                try:
                    os.kill(worker.process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.kills += 1
                self.kills_at_work += worker.is_busy

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def kill_workers(report: KillReport, volumes: list[tuple[str, np.ndarray]], runs: int) -> None:
    """Read volumes with two workers each of which may be killed, several times in a run."""
    usual: dict[str, float] = {}
    for path, _ in volumes:
        vol = CloudVolume(path)
        times = []
        for _ in range(4):  # from the second time on workers are warm
            started = time.perf_counter()
            vol.download_to_shared_memory(np.s_[:], workers=2)
            times.append(time.perf_counter() - started)
        usual[path] = min(
            times
        )  # lest kills are put off until a read on a quieter machine has ended
        vol.unlink_shared_memory()
    for number in range(runs):
        path, voxels = volumes[number % len(volumes)]
        vol = CloudVolume(path)
        name = f"kill-{uuid.uuid4()}"
        report.runs += 1
        with Killer(report.runs, 1 + number % 3, usual[path]) as killer:
            try:
                found = vol.download_to_shared_memory(np.s_[:], location=name, workers=2)
            except CloudVolumeError as error:
                report.named_errors += "chunks" in str(error)
                report.wrong += "chunks" not in str(error)
                report.troubles.append(f"{type(error).__name__}: {error}")
            else:
                same = np.array_equal(found, voxels)
                report.exact += same
                report.wrong += not same
                report.troubles += [] if same else [f"{path}: voxels differ"]
                del found
                same_bytes = (SHM / name).stat().st_size == voxels.nbytes
                report.wrong += not same_bytes
                _runtime.shm_unlink(name)
        report.kills += killer.kills
        report.kills_at_work += killer.kills_at_work
        report.leftovers += segments_of(os.getpid())
        report.leftovers += [name] if (SHM / name).exists() else []


STARTER = """
import sys, numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.deliver.worker_pool import pool
vol = CloudVolume(sys.argv[1])
vol.download_to_shared_memory(np.s_[:], location=sys.argv[2], workers=2)
vol.shared_memory_id = sys.argv[2]
vol.unlink_shared_memory()
print(*pool().pids, flush=True)
while True:
    vol.download_to_shared_memory(np.s_[:], workers=2)
    vol.unlink_shared_memory()
"""


def kill_starters(report: KillReport, volumes: list[tuple[str, np.ndarray]], runs: int) -> None:
    """Kill the process that reads; its workers must be gone after 2 s, its segments with the next use."""
    for number in range(runs):
        path, _ = volumes[number % len(volumes)]
        name = f"kill-{uuid.uuid4()}"
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, path, name], stdout=subprocess.PIPE, text=True
        )
        with starter:
            assert starter.stdout is not None
            workers = [int(pid) for pid in starter.stdout.readline().split()]
            time.sleep(random.Random(number).uniform(0, 0.1))
            starter.kill()
            starter.wait()
            report.runs += 1
            report.kills += 1
            report.kills_at_work += 1
            until = time.monotonic() + 2
            while any(map(is_running, workers)) and time.monotonic() < until:
                time.sleep(0.01)
            report.leftovers += [f"process {pid}" for pid in workers if is_running(pid)]
        _runtime.shm_remove_abandoned()
        mark = f"-{starter.pid}-"
        left = [entry for entry in shm_names() if entry.startswith(".cvfast-") and mark in entry]
        report.leftovers += left
        report.exact += not left
        # Under the name that it gave there is nothing, or all.
        if (SHM / name).exists():
            report.wrong += (SHM / name).stat().st_size != volumes[number % len(volumes)][1].nbytes
            _runtime.shm_unlink(name)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
