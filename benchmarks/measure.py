# SPDX-License-Identifier: BSD-3-Clause
"""Time, memory and machine."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Contest:
    """The same work by several implementations, in turns.

    Attributes
    ----------
    entries : dict
        Work by name of the implementation.
    before : callable, optional
        Called with the name before each turn, outside of the time.
    seconds : dict
        Times of all turns by name.
    cpu_seconds : dict
        Processor times of all turns, this process only: on a busy machine the better witness.
    """

    entries: dict[str, Callable[[], Any]]
    before: Callable[[str], None] | None = None
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu_seconds: dict[str, list[float]] = field(default_factory=dict)

    def run(self, repeat: int) -> None:
        """Let each take its turn, `repeat` times; what stands first changes every time."""
        names = list(self.entries)
        self.seconds = {name: [] for name in names}
        self.cpu_seconds = {name: [] for name in names}
        for i in range(repeat):
            for name in names[i % len(names) :] + names[: i % len(names)]:
                if self.before is not None:
                    self.before(name)
                measured = measure(self.entries[name])
                self.seconds[name].append(measured.seconds)
                self.cpu_seconds[name].append(measured.cpu_seconds)
                del measured

    def ratios(self, name: str, to: str) -> list[float]:
        """Ratios of the times of the same turn."""
        pairs = zip(self.seconds[name], self.seconds[to], strict=True)
        return [theirs / ours for theirs, ours in pairs]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a call took, in seconds and in seconds of this process's processors, and its result."""

    seconds: float
    cpu_seconds: float
    result: Any


def measure(work: Callable[[], Any]) -> Measured:
    """Time a call. Results of earlier calls are gone by then, and their garbage is collected."""
    gc.collect()
    gc.disable()
    try:
        cpu, start = time.process_time(), time.perf_counter()
        result = work()
        return Measured(time.perf_counter() - start, time.process_time() - cpu, result)
    finally:
        gc.enable()


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, minimum, maximum."""
    return statistics.median(values), min(values), max(values)


def peak_above_start(work: Callable[[], Any]) -> tuple[int, Any]:
    """Measure by how many bytes resident memory rose at most while a call ran (Linux only)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status_bytes("VmRSS")
    result = work()
    return _status_bytes("VmHWM") - before, result


def knows_peaks() -> bool:
    """Whether the system tells what `peak_above_start` asks for."""
    return Path("/proc/self/clear_refs").exists()


def _status_bytes(key: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def run_python(arguments: list[str]) -> str:
    """Run this Python with arguments; return what it printed."""
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def describe_machine(threads: int) -> dict[str, Any]:
    """Name what the numbers depend on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": threads,
        "load": list(os.getloadavg()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }
