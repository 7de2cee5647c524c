# SPDX-License-Identifier: BSD-3-Clause
"""Shared memory and worker processes: what they cost beside reading with threads into private memory."""

from __future__ import annotations

import importlib
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from measure import Contest

WHOLE = np.s_[:, :, :]
BASE = "parallel=1"
TOUCH = "p=1, 1st touch"
HUGE_TOUCH = "huge, 1st touch"
WORKERS = 2
CLAIMS_PER_SECOND = 1_000_000
OVERHEAD_SECONDS = 0.010


def _open(path: Path, parallel: int = 1, **options: Any) -> Any:
    from cloudvolume_fast import CloudVolume

    return CloudVolume(f"file://{path}", parallel=parallel, progress=False, **options)


def _first_touch(size_bytes: int) -> None:
    """Do what is usual for so many bytes of new shared memory, without this library: reserve, map, touch each page."""
    path = Path("/dev/shm") / f"cvfast-bench-touch-{os.getpid()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
        with mmap.mmap(descriptor, size_bytes) as memory:
            voxels = np.frombuffer(memory, np.uint8)
            voxels[::4096] = 1
            del voxels
    finally:
        os.close(descriptor)
        path.unlink()


def _first_huge_touch(size_bytes: int) -> None:
    """Touch so many bytes of new private memory in huge pages, by two threads: the least that new memory costs here.

    A virtual machine that hands free memory back to its host takes ten times as long where that has happened.
    """
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    halves = np.array_split(np.frombuffer(memory, np.uint8), WORKERS)
    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(lambda half: half.__setitem__(np.s_[::4096], 1), halves))


def private(path: Path, ours: str, upstream: str, repeat: int) -> Contest:
    """``parallel=2`` without shared memory, beside ``parallel=1``."""
    one, two = _open(path), _open(path, WORKERS)
    contest = Contest({ours: lambda: two[WHOLE], BASE: lambda: one[WHOLE]})
    assert np.array_equal(one[WHOLE], two[WHOLE])
    contest.run(repeat)
    return contest


def fresh(path: Path, ours: str, upstream: str, repeat: int) -> Contest:
    """A new segment, ``parallel=2``; beside the larger of ``parallel=1`` and first touch, new pages, and upstream's."""
    from cloudvolume_fast import _runtime

    one, two = _open(path), _open(path, WORKERS)
    expected = one[WHOLE]
    assert np.array_equal(two.download_to_shared_memory(WHOLE), expected)
    size_bytes = expected.nbytes
    del expected

    def before(name: str) -> None:
        two.unlink_shared_memory()
        _runtime.shm_release_kept()

    theirs = importlib.import_module("cloudvolume").CloudVolume(
        f"file://{path}", parallel=WORKERS, progress=False
    )
    entries: dict[str, Callable[[], Any]] = {
        ours: lambda: two.download_to_shared_memory(WHOLE),
        BASE: lambda: one[WHOLE],
        HUGE_TOUCH: lambda: _first_huge_touch(size_bytes),
        TOUCH: lambda: _first_touch(size_bytes),
        upstream: lambda: theirs[WHOLE],
    }
    contest = Contest(entries, before)
    contest.run(repeat)
    two.unlink_shared_memory()
    _runtime.shm_release_kept()
    for times in (contest.seconds, contest.cpu_seconds):
        slower = [max(pair) for pair in zip(times.pop(BASE), times[TOUCH], strict=True)]
        times[TOUCH] = slower
    return contest


def recycled(path: Path, ours: str, upstream: str, repeat: int) -> Contest:
    """A segment of pages that an earlier one has left, beside ``parallel=1``."""
    from cloudvolume_fast import _runtime

    one, two = _open(path), _open(path, WORKERS)

    def before(name: str) -> None:
        two.unlink_shared_memory()

    def read() -> Any:
        return two.download_to_shared_memory(WHOLE)

    assert np.array_equal(read(), one[WHOLE])
    contest = Contest({ours: read, BASE: lambda: one[WHOLE]}, before)
    contest.run(repeat)
    two.unlink_shared_memory()
    _runtime.shm_release_kept()
    return contest


def gil(path: Path, ours: str, upstream: str, repeat: int) -> Contest:
    """Writing with an encoder that holds the GIL: two workers beside the threads of this process."""
    voxels = np.asfortranarray(_open(path)[WHOLE])
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        volumes = {}
        for name, parallel in ((ours, WORKERS), (BASE, 1)):
            target = Path(folder) / name.replace("=", "")
            volumes[name] = _open(target, parallel, info=_open(path).info, compress=False)
            volumes[name].commit_info()
            volumes[name][WHOLE] = voxels
            assert np.array_equal(_open(target)[WHOLE], voxels)

        def write(name: str) -> Callable[[], None]:
            return lambda: volumes[name].__setitem__(WHOLE, voxels)

        contest = Contest({name: write(name) for name in volumes})
        contest.run(repeat)
    return contest


def warm_overhead(path: Path, repeat: int) -> tuple[float, float]:
    """Return medians for a cutout of 64^3: by warm workers into shared memory, and by threads into private memory."""
    one, two = _open(path), _open(path, WORKERS)
    box = np.s_[10:74, 10:74, 10:74]
    for _ in range(10):
        assert np.array_equal(two.download_to_shared_memory(box, workers=WORKERS), one[box])
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(10 * repeat):
        for volume, into in ((two, times[0]), (one, times[1])):
            start = time.perf_counter()
            if volume is two:
                volume.download_to_shared_memory(box, workers=WORKERS)
            else:
                volume[box]
            into.append(time.perf_counter() - start)
    two.unlink_shared_memory()
    return statistics.median(times[0]), statistics.median(times[1])


_CLAIM = """
import json, sys, time
from cloudvolume_fast import _runtime
ledger = _runtime.ChunkLedger.open(sys.argv[1], bytes(32))
me = ledger.join()
print("ready", flush=True)
sys.stdin.readline()
def run():
    claim, publish, count = ledger.claim, ledger.publish, 0
    while (item := claim(me)) is not None:
        publish(me, item, 1, 1)
        count += 1
    return count
start = time.perf_counter()
count = run()
print(json.dumps([count, time.perf_counter() - start]))
"""


def claims_per_second(items: int = 4_000_000) -> float:
    """Let two processes claim and publish all items of a ledger, from Python; return how many per second together."""
    from cloudvolume_fast import _runtime

    ledger = _runtime.ChunkLedger.create(f"cvfast-bench-{os.getpid()}", items, 0, bytes(32), items)
    try:
        command = [sys.executable, "-c", _CLAIM, ledger.name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]
        for process in processes:
            process.stdout.readline()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        results = [json.loads(process.communicate()[0]) for process in processes]
    finally:
        ledger.unlink()
    assert sum(count for count, _ in results) == items == ledger.counts()[0]
    return items / max(seconds for _, seconds in results)
