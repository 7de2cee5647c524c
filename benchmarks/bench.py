# SPDX-License-Identifier: BSD-3-Clause
"""Measure against cloud-volume and tensorstore: the same bytes, equal threads, in turns.

    python benchmarks/bench.py [--data PATH] [--size N] [--repeat N] [--only NAME ...] [--json OUT]

Before a row is timed, every implementation's result is compared to the voxels that were written.
Files come from a warm page cache. A ratio is the peer's time over ours in the same turn; the table
has its median and its range. The exit status does not depend on speed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import datasets
import measure
import numpy as np
import peers
import rows_local
import rows_meshes
import rows_processes
import rows_remote
import rows_sharded
import rows_shared
from table import CV, OURS, ROOT, Setup, format_cells, show

PEERS = {peer.name: peer for peer in (peers.CLOUD_VOLUME, peers.OURS, peers.TENSORSTORE)}
ROWS = (
    *rows_local.ROWS,
    *rows_sharded.ROWS,
    *rows_remote.ROWS,
    *rows_meshes.SKELETONS,
    *rows_shared.ROWS,
    *rows_processes.ROWS,
    *rows_meshes.MESHES,
)


def main() -> int:
    """Run the rows asked for."""
    arguments = _parse()
    peers.limit_threads(arguments.threads)
    rows = [row for row in ROWS if not arguments.only or row.name in arguments.only]
    present = {name: peer for name, peer in PEERS.items() if peer.is_present}
    absent = [peer.distribution for name, peer in PEERS.items() if name not in present]
    if OURS not in present or CV not in present:
        print(f"absent: {', '.join(absent)}; install with: pip install '.[bench]'", file=sys.stderr)
        return 1
    root = arguments.folder
    data = datasets.make_dataset(
        root, arguments.data, arguments.size, arguments.seed, arguments.threads
    )
    setup = Setup(data, present, arguments.threads, arguments.repeat, arguments.seed)
    machine = measure.describe_machine(arguments.threads)
    versions = {name: peer.version for name, peer in present.items()}
    versions["numpy"] = np.__version__
    print(f"{data.title}: {'x'.join(map(str, data.image.shape))} voxels")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(
        f"{machine['cpu']}, {machine['cores']} cores, {arguments.threads} threads, "
        f"load {machine['load'][0]:.1f}, Python {machine['python']}, {machine['system']}"
    )
    if absent:
        print(f"absent: {', '.join(absent)}")
    if machine["load"][0] > 0.5 * arguments.threads:
        print("NOTE: other programs are running; ratios of a busy machine say little")
    print(f"median (minimum .. maximum) of {arguments.repeat} turns")
    print("chunks of 64x64x64; of 128x128x64 in rows marked with *\n")
    print(format_cells("", "", "ours", "theirs", "ratio", "needed", ""))
    lines = []
    for row in rows:
        for line in row.run(setup, row):
            lines.append(line)
            show(line)
    if arguments.json:
        report = {"machine": machine, "versions": versions, "data": data.title}
        report["lines"] = [
            {"row": line.row, "peer": line.peer, "verdict": line.verdict, **line.raw}
            for line in lines
        ]
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    add = parser.add_argument
    add("--data", help=".npy, .npy.gz, .ckl, .npy.ckl.gz or a Precomputed volume")
    add("--size", type=int, default=512, help="voxels per axis (default: 512)")
    add("--repeat", type=int, default=7, help="turns, at least 5 (default: 7)")
    add("--only", nargs="+", choices=[row.name for row in ROWS], metavar="NAME", help="rows to run")
    add("--json", type=Path, metavar="OUT", help="write all numbers there")
    add("--threads", type=int, default=cores or 1, help="for every implementation")
    add("--seed", type=int, default=0)
    add("--folder", type=Path, default=ROOT / "bench-data", help="where volumes are kept")
    arguments = parser.parse_args()
    if arguments.repeat < 5:
        parser.error("--repeat: expected at least 5, or a spread says nothing")
    arguments.folder = arguments.folder.resolve()
    return arguments


if __name__ == "__main__":
    sys.exit(main())
