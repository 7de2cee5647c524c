# SPDX-License-Identifier: BSD-3-Clause
"""The floor under reading gzip: a program that reads files and inflates them with libdeflate, and no more."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import measure
from table import FLOOR, ROOT


@dataclass(slots=True)
class Floor:
    """The program and what it reads; it times itself."""

    program: Path
    folder: Path
    threads: int

    @staticmethod
    def find(layer: Path, threads: int) -> Floor | None:
        folder = next(path for path in sorted(layer.iterdir()) if path.is_dir())
        places = [
            ROOT / f"build/{build}/cpp/benchmarks/gzip_floor" for build in ("release", "bench")
        ]
        found = [place for place in places if place.exists()]
        if not found and not _build_floor():
            return None
        program = max((p for p in places if p.exists()), key=lambda p: p.stat().st_mtime)
        return Floor(program, folder, threads)

    def seconds(self) -> float:
        # The first of its repetitions warms buffers up, as the others' first calls have done.
        done = subprocess.run(
            [str(self.program), str(self.folder), str(self.threads), "2"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return float(done.stdout.split()[-1]) / 1e3


def _build_floor() -> bool:
    cmake = shutil.which("cmake")
    if cmake is None:
        return False
    build = ROOT / "build" / "bench"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DCVFAST_BUILD_PYTHON=OFF"]
    options.append("-DCVFAST_BUILD_BENCHMARKS=ON")
    steps = (
        [cmake, "-S", str(ROOT), "-B", str(build), *options],
        [cmake, "--build", str(build), "--target", "gzip_floor"],
    )
    return all(
        subprocess.run(step, capture_output=True, check=False).returncode == 0 for step in steps
    )


def run_with_floor(contest: measure.Contest, floor: Floor, repeat: int) -> None:
    """Give the program its turn between those of the others."""
    times: dict[str, list[float]] = {name: [] for name in contest.entries}
    times[FLOOR] = []
    cpu: dict[str, list[float]] = {name: [] for name in contest.entries}
    for _ in range(repeat):
        contest.run(1)
        for name, seconds in contest.seconds.items():
            times[name] += seconds
            cpu[name] += contest.cpu_seconds[name]
        times[FLOOR].append(floor.seconds())
    contest.seconds, contest.cpu_seconds = times, cpu
