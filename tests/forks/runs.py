# SPDX-License-Identifier: BSD-3-Clause
"""Processes that have read, fork many children at once, each of which reads, makes shared memory, and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import support

METHODS = ("os.fork", "multiprocessing")
CHILD_SECONDS = 20  # until a child counts as hanging
LONGEST_SECONDS = 10.0

PARENT = """
import json, multiprocessing, os, signal, sys, time
import numpy as np
from cloudvolume_fast import CloudVolume
method, children, rounds, seconds = sys.argv[1], *map(int, sys.argv[2:5])
volumes = [CloudVolume(path, parallel=2) for path in sys.argv[5:]]
totals = [int(vol[:].sum()) for vol in volumes]
held = volumes[0].download_to_shared_memory(np.s_[:])
volumes[0].unlink_shared_memory()
def read():
    signal.alarm(seconds)
    good = all(int(vol[:].sum()) == total for vol, total in zip(volumes, totals))
    good = good and int(held.sum()) == totals[0]
    name = f"cvfast-test-fork-{os.getpid()}"
    other = CloudVolume(volumes[0].cloudpath)
    other.shared_memory_id = name
    good = good and int(other.download_to_shared_memory(np.s_[:]).sum()) == totals[0]
    good = other.unlink_shared_memory() and good
    return 0 if good else 2
def leave():
    sys.exit(read())
def run_raw(number):
    pids = []
    for _ in range(children):
        pid = os.fork()
        if pid == 0:
            if number % 2:
                leave()  # as programs end, with all that runs then
            code = 1
            try:
                code = read()
            finally:
                os._exit(code)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
def run_multiprocessing(number):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=leave) for _ in range(children)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
run = run_raw if method == "os.fork" else run_multiprocessing
longest, bad, hung = 0, 0, 0
for number in range(rounds):
    started = time.monotonic()
    codes = run(number)
    hung += codes.count(-signal.SIGALRM)
    bad += sum(code not in (0, -signal.SIGALRM) for code in codes)
    longest = max(longest, time.monotonic() - started)
after = int(volumes[0].download_to_shared_memory(np.s_[:]).sum()) == totals[0]
volumes[0].unlink_shared_memory()
print(json.dumps([hung, bad, longest, after]))
"""


@dataclass
class ForkReport:
    """What became of the children."""

    repetitions: int = 0
    children: int = 0
    hung: int = 0
    failed: int = 0
    longest_seconds: float = 0.0
    parents_failed: int = 0

    @property
    def is_good(self) -> bool:
        troubles = self.hung + self.failed + self.parents_failed
        return troubles == 0 and self.longest_seconds < LONGEST_SECONDS

    def table(self) -> str:
        rows = {
            "repetitions": self.repetitions,
            "children": self.children,
            "hangs": self.hung,
            "failed": self.failed,
            "parents failed": self.parents_failed,
            "longest, s": round(self.longest_seconds, 2),
        }
        return "\n".join(f"{name:14}{value:>8}" for name, value in rows.items())


def run_forks(
    report: ForkReport, method: str, paths: Sequence[str], *, children: int, repetitions: int
) -> None:
    """Let one process fork that many children so many times."""
    hung, failed, longest, is_well_after = support.run_python(
        PARENT, method, children, repetitions, CHILD_SECONDS, *paths,
        timeout_seconds=60 + 30 * repetitions,
    )  # fmt: skip
    report.repetitions += repetitions
    report.children += children * repetitions
    report.hung += hung
    report.failed += failed
    report.parents_failed += not is_well_after
    report.longest_seconds = max(report.longest_seconds, longest)
