# SPDX-License-Identifier: BSD-3-Clause
"""``make fork-report``: forks children of processes that have read, and prints what became of them.

python -m forks.report [repetitions]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import support
from servers.nginx import Nginx

from forks.runs import METHODS, ForkReport, run_forks

CHILDREN = 64
PER_PARENT = 25


def main(repetitions: int) -> int:
    reports = {method: ForkReport() for method in METHODS}
    try:
        run(reports, repetitions)
    except KeyboardInterrupt:
        print("interrupted; so far:")
    for method, report in reports.items():
        print(f"{CHILDREN} children at once by {method}, each reading file:// and http://")
        print(report.table() + "\n")
    is_done = sum(report.repetitions for report in reports.values()) == repetitions
    return 0 if is_done and all(report.is_good for report in reports.values()) else 1


def run(reports: dict[str, ForkReport], repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Nginx(Path(folder) / "nginx") as server:
        for place in (Path(folder) / "image", server.root / "image"):
            place.mkdir()
            support.write_layer(place, size=(64, 64, 64), chunk_size=(32, 32, 32), compress=False)
        paths = [f"file://{folder}/image", f"{server.url}/image"]
        left, turn = repetitions, 0
        while left > 0:
            method = METHODS[turn % len(METHODS)]
            count = min(left, PER_PARENT)
            run_forks(reports[method], method, paths, children=CHILDREN, repetitions=count)
            left, turn = left - count, turn + 1
            print(f"{repetitions - left} of {repetitions} repetitions", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
