# SPDX-License-Identifier: BSD-3-Clause
"""``make kill-report``: kills processes in the middle of reads into shared memory and prints what became of the reads.

python -m kills.report [runs]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cloudvolume_fast.deliver.worker_pool import pool
from kills.runs import KillReport, is_running, kill_starters, kill_workers, write_volume

ENCODINGS = ("raw", "compressed_segmentation", "png", "compresso")


def main(runs: int) -> int:
    workers, starters = KillReport(), KillReport()
    with tempfile.TemporaryDirectory() as folder:
        volumes = [write_volume(Path(folder), encoding) for encoding in ENCODINGS]
        kill_workers(workers, volumes, runs)
        kill_starters(starters, volumes, max(1, runs // 10))
        pids = pool().pids
        pool().close()
        workers.leftovers += [f"process {pid}" for pid in pids if is_running(pid)]
    print(f"Workers killed by SIGKILL at random moments, {', '.join(ENCODINGS)}")
    print(workers.table())
    print("\nStarting processes killed; exact: nothing left after the next use")
    print(starters.table())
    bad = sum(r.wrong + len(r.leftovers) for r in (workers, starters))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
