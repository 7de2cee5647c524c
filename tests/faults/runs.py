# SPDX-License-Identifier: BSD-3-Clause
"""Reads through volumes behind a server that fails at random in every way it knows; what became of them.

A flipped bit can be found where something says what the bytes should be: a digest that the server states (of whole
objects), or the checksum in gzip.  Ranges of uncompressed shards have neither, hence no bits are flipped there.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from remote_layers import CHUNK, KINDS, OFFSET, SIZE, make_labels, make_volume
from servers.faulty import Answer, FaultServer, Request, goog_hash

from cloudvolume_fast import CloudVolume, _runtime
from cloudvolume_fast.errors import CloudVolumeError

# Long enough that a server which behaves is in time on a busy machine.
STALL_SECONDS, TOTAL_SECONDS = 0.8, 8.0
BOUNDS = {
    "CVFAST_HTTP_STALL_SECONDS": str(STALL_SECONDS),
    "CVFAST_HTTP_TOTAL_SECONDS": str(TOTAL_SECONDS),
}
# The bound holds for each request that follows from another's answer (index of a shard, indexes of its minishards,
# chunks), not for waiting in line while the server is busy.
DEADLINE_SECONDS = {False: TOTAL_SECONDS + 2, True: 3 * (TOTAL_SECONDS + 2)}
FAULT_SHARE = 0.2

LAYERS = {
    "raw": "raw",
    "raw_gzip": "raw_gzip",
    "sharded_plain": "raw_sharded_bare",
    "sharded_gzip": "cseg_sharded",
}
# Read with fill_missing, so that an error which is taken for absence shows as wrong voxels; nothing is absent there.
FILLED = ("raw_gzip", "sharded_gzip")

Fault = Callable[[random.Random], Answer]
FAULTS: dict[str, Fault] = {
    "delay": lambda rng: Answer(delay_seconds=rng.uniform(0.01, 0.2)),
    "late answer": lambda rng: Answer(delay_seconds=2.5 * STALL_SECONDS),
    "stall in body": lambda rng: Answer(stall_after=rng.choice([0, 1, 100, 1000])),
    "reset at once": lambda rng: Answer(reset_after=-1),
    "reset in body": lambda rng: Answer(reset_after=rng.choice([0, 1, 100, 1000])),
    "closed at once": lambda rng: Answer(close_after=-1),
    "truncated": lambda rng: Answer(close_after=rng.choice([0, 1, 100, 1000])),
    "shorter object": lambda rng: Answer(stated_length=37, close_after=37),
    "flipped bit": lambda rng: Answer(flip_byte=rng.randrange(1 << 30)),
    "no HTTP": lambda rng: Answer(garbage=b"\x16\x03\x01\x02\x00 nothing that was asked for"),
    "other range": lambda rng: Answer(wrong_range=rng.choice([1, 16])),
    "range ignored": lambda rng: Answer(ignores_range=True),
    "busy": lambda rng: Answer(
        status=rng.choice([429, 503]), headers=rng.choice([{}, {"Retry-After": "0"}])
    ),
    "passing status": lambda rng: Answer(status=rng.choice([408, 500, 502, 504])),
    "refused": lambda rng: Answer(status=rng.choice([400, 401, 403])),
    "absent": lambda rng: Answer(status=404, body=b"gone"),
}
# What asking again does not mend comes less often.
WEIGHTS = {"refused": 0.25, "absent": 0.25, "flipped bit": 0.5}


@dataclass
class FaultReport:
    """What became of the reads of one layer."""

    layer: str
    deadline_seconds: float = 0.0
    chunk_reads: int = 0
    exact: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """Chunks by the name of the error."""
    opens: Counter[str] = field(default_factory=Counter)
    """Volumes that could not be opened, by the name of the error; requests for info are not spoilt."""
    wrong: int = 0
    """Chunks of other voxels, or of errors that do not say which chunk failed."""
    late: int = 0
    longest_seconds: float = 0.0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    leftovers: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Every chunk exact or a named error, all in time, nothing left behind."""
        accounted = self.exact + self.errors.total() == self.chunk_reads
        return accounted and not (self.wrong or self.late or self.leftovers or self.troubles)

    def table(self) -> str:
        rows = [
            f"{self.layer}",
            f"  chunk reads      {self.chunk_reads:8}",
            f"  exact            {self.exact:8}",
            f"  named errors     {self.errors.total():8}  "
            + ", ".join(f"{name} {count}" for name, count in self.errors.most_common()),
            f"  not opened       {self.opens.total():8}  {dict(self.opens) or ''}".rstrip(),
            f"  wrong            {self.wrong:8}",
            f"  too late         {self.late:8}",
            f"  longest          {self.longest_seconds:8.2f}  s, of {self.deadline_seconds:.0f} s",
            f"  requests         {self.requests:8}  of which spoilt {self.faults.total()}: "
            + ", ".join(f"{name} {count}" for name, count in self.faults.most_common()),
            f"  leftovers        {len(self.leftovers):8}  {', '.join(self.leftovers[:5])}".rstrip(),
        ]
        return "\n".join([*rows, *(f"  {trouble}" for trouble in self.troubles[:10])])


class FaultyLayer:
    """A layer behind a server of its own, which spoils a share of its answers while boxes are read."""

    def __init__(self, name: str, folder: Path, server: FaultServer, seed: int) -> None:
        self.name = name
        self.server = server
        self.labels = make_labels(seed)
        self.is_sharded = KINDS[LAYERS[name]][2] is not None
        make_volume(f"file://{folder}/{name}", LAYERS[name], self.labels)
        self.url = server.put_folder(f"/bucket/{name}", folder / name)
        if name == "raw":
            for path, data in server.objects.items():
                server.object_headers[path] = goog_hash(data)
        self.report = FaultReport(name, DEADLINE_SECONDS[self.is_sharded])
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._faults = [fault for fault in FAULTS if self._is_meant(fault)]
        self._weights = [WEIGHTS.get(fault, 1.0) for fault in self._faults]

    def _is_meant(self, fault: str) -> bool:
        if fault == "flipped bit":
            return self.name != "sharded_plain"
        if fault == "absent":
            return self.name not in FILLED
        return self.is_sharded or "range" not in fault

    def spoil(self, request: Request, _count: int) -> Answer:
        """Fail one request in five, but for those of info."""
        if not request.path.startswith(f"/bucket/{self.name}/4_4_40/"):
            return Answer()
        with self._lock:
            self.report.requests += 1
            if self._random.random() >= FAULT_SHARE:
                return Answer()
            (fault,) = self._random.choices(self._faults, self._weights)
            self.report.faults[fault] += 1
            return FAULTS[fault](self._random)

    def read_boxes(self, chunk_reads: int, threads: int, *, whole: int = 40) -> None:
        """Read boxes of one to eight chunks, every so often (`whole`) all, until that many chunks were asked for."""
        self.server.script = self.spoil
        turn = 0

        def work(seed: int) -> None:
            nonlocal turn
            rng = random.Random(seed)
            vol = None
            while True:
                with self._lock:
                    if self.report.chunk_reads >= chunk_reads:
                        return
                    turn += 1
                    number = turn
                if vol is None or number % 10 == 0:
                    try:
                        vol = self.open()  # which knows no index
                    except (
                        CloudVolumeError
                    ) as error:  # among so many faults the machine may be slow
                        with self._lock:
                            self.report.opens[type(error).__name__] += 1
                        if self.report.opens.total() > 20:
                            raise
                        continue
                box = whole_box() if number % whole == 0 else random_box(rng)
                self.read(vol, box)

        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(work, seed) for seed in range(threads)]:
                done.result()
        self.server.script = lambda request, count: Answer()

    def open(self) -> Any:
        return CloudVolume(self.url, progress=False, fill_missing=self.name in FILLED)

    def read(self, vol: Any, box: tuple[slice, ...]) -> None:
        """Read a box and note what came of it."""
        chunks = count_chunks(box)
        report = self.report
        started = time.monotonic()
        name, wrong, trouble = "", False, ""
        try:
            found = np.asarray(vol[box])
        except CloudVolumeError as error:
            name = type(error).__name__
            wrong = "/4_4_40/" not in str(error)
            trouble = f"{name}: {error}" if wrong else ""
        else:
            wrong = not np.array_equal(found, self.labels[within(box)])
            trouble = f"{box}: other voxels" if wrong else ""
        took = time.monotonic() - started
        with self._lock:
            report.chunk_reads += chunks
            report.longest_seconds = max(report.longest_seconds, took)
            report.late += took > report.deadline_seconds
            if trouble:
                report.troubles.append(trouble)
            if wrong:
                report.wrong += chunks
            elif name:
                report.errors[name] += chunks
            else:
                report.exact += chunks


def whole_box() -> tuple[slice, ...]:
    return tuple(slice(o, o + s) for o, s in zip(OFFSET, SIZE, strict=True))


def random_box(rng: random.Random) -> tuple[slice, ...]:
    """A box that touches at most two chunks along each axis."""
    out = []
    for offset, size, chunk in zip(OFFSET, SIZE, CHUNK, strict=True):
        begin = rng.randrange(size)
        out.append(slice(offset + begin, offset + min(size, begin + rng.randint(1, chunk))))
    return tuple(out)


def within(box: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(s.start - o, s.stop - o) for s, o in zip(box, OFFSET, strict=True))


def count_chunks(box: tuple[slice, ...]) -> int:
    count = 1
    for s, o, chunk in zip(box, OFFSET, CHUNK, strict=True):
        count *= (s.stop - o - 1) // chunk - (s.start - o) // chunk + 1
    return count


def http_threads() -> int:
    """How many threads of this process carry requests."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:  # ended meanwhile
            continue
    return names.count("cvfast-http")


def note_leftovers(layer: FaultyLayer) -> None:
    """Close the client and note what is still there after a moment."""
    until = time.monotonic() + 5
    while _runtime.HttpClient.stats()["inflight_bytes"] and time.monotonic() < until:
        time.sleep(0.01)
    inflight = _runtime.HttpClient.stats()["inflight_bytes"]
    _runtime.HttpClient.close()
    while (layer.server.open_connections() or http_threads()) and time.monotonic() < until:
        time.sleep(0.01)
    left = {
        "bytes in flight": inflight,
        "sockets": layer.server.open_connections(),
        "threads": http_threads(),
    }
    layer.report.leftovers += [f"{count} {what}" for what, count in left.items() if count]


def run_layer(name: str, folder: Path, chunk_reads: int, *, threads: int, seed: int) -> FaultReport:
    """Read under faults, then again without, by the volume that saw them.

    The bounds of `BOUNDS` are to be in the environment.
    """
    with FaultServer() as server:
        layer = FaultyLayer(name, folder, server, seed)
        layer.read_boxes(chunk_reads, threads)
        report = layer.report
        # No error may outlive its cause: the volume that sees faults reads exactly when there are none.
        vol = layer.open()
        for turn in range(12):
            server.script = layer.spoil
            layer.read(vol, random_box(random.Random(seed + turn)))
            server.script = lambda request, count: Answer()
            try:
                is_exact = np.array_equal(np.asarray(vol[whole_box()]), layer.labels)
                trouble = "" if is_exact else "other voxels"
            except CloudVolumeError as error:
                trouble = f"{type(error).__name__}: {error}"
            if trouble:
                report.wrong += count_chunks(whole_box())
                report.troubles.append(f"when the faults were over: {trouble}")
        note_leftovers(layer)
    return report
