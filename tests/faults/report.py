# SPDX-License-Identifier: BSD-3-Clause
"""``make fault-report``: reads volumes from a server that spoils a fifth of its answers, and prints what became of it.

python -m faults.report [chunk reads, over all layers]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from faults.runs import BOUNDS, FAULT_SHARE, LAYERS, run_layer


def main(chunk_reads: int) -> int:
    os.environ.update(BOUNDS)
    print(
        f"{chunk_reads} chunk reads over {', '.join(LAYERS)}; {FAULT_SHARE:.0%} of the answers spoilt; "
        + ", ".join(f"{name}={value}" for name, value in BOUNDS.items()),
        flush=True,
    )
    is_good = True
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate(LAYERS):
            started = time.monotonic()
            report = run_layer(
                name, Path(folder), -(-chunk_reads // len(LAYERS)), threads=8, seed=seed
            )
            print(report.table())
            print(f"  run              {time.monotonic() - started:8.0f}  s", flush=True)
            is_good = is_good and report.is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
