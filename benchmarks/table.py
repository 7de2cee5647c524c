# SPDX-License-Identifier: BSD-3-Clause
"""The table: rows, what they share, and the lines that they yield."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import measure
import numpy as np
import peers

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
CV, TS, OURS = "cloud-volume", "tensorstore", "ours"
FLOOR = "libdeflate"


@dataclass(slots=True)
class Setup:
    """What all rows share."""

    data: datasets.Dataset
    present: dict[str, peers.Peer]
    threads: int
    repeat: int
    seed: int

    def readers(self, name: str) -> dict[str, peers.Peer]:
        """Return those who can read a volume of the data."""
        layer = datasets.LAYERS[name]
        return {
            key: peer
            for key, peer in self.present.items()
            if peer.has(layer.encoding, compressed=bool(layer.compress))
        }


@dataclass(slots=True)
class Row:
    """One line of the table.

    `needs` are the least ratios to reach, by name of the peer; a value below 0 is the largest
    factor that we may take of the other's time.
    """

    name: str
    title: str
    run: Run
    needs: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """One comparison: of us to one peer, or of a number to its bound."""

    row: str
    title: str
    peer: str
    ours: str
    theirs: str
    ratio: str = ""
    need: str = ""
    verdict: str = ""
    note: str = ""
    raw: dict[str, Any] = field(default_factory=dict)


Run = Callable[[Setup, Row], Iterator[Line]]


def format_cells(*cells: str) -> str:
    """Bring the cells of a line to their widths."""
    widths = (33, 13, 12, 12, 24, 8, 0)
    parts = [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return " ".join(parts).rstrip()


def show(line: Line) -> None:
    """Print a line of the table."""
    verdict = "  ".join(part for part in (line.verdict, line.note) if part)
    text = format_cells(
        line.title, line.peer, line.ours, line.theirs, line.ratio, line.need, " " + verdict
    )
    print(text, flush=True)


def compare(
    setup: Setup, row: Row, entries: dict[str, Callable[[], Any]], notes: dict[str, str]
) -> Iterator[Line]:
    """Let each have its turns; yield how we compare to each of the others."""
    contest = measure.Contest(entries)
    contest.run(setup.repeat)
    yield from contest_lines(contest, row, notes)


def contest_lines(contest: measure.Contest, row: Row, notes: dict[str, str]) -> Iterator[Line]:
    """Yield how we compare to each of the others in a contest that is over."""
    ours = contest.seconds[OURS]
    for name, seconds in contest.seconds.items():
        if name == OURS:
            continue
        ratio, low, high = measure.spread(contest.ratios(name, OURS))
        need = row.needs.get(name)
        verdict, wanted = "", ""
        shown = f"{ratio:.2f} ({low:.2f} .. {high:.2f})"
        if need is not None and need < 0:
            wanted = f"<= {-need:.2f}"
            factor, low, high = measure.spread(contest.ratios(OURS, name))
            shown = f"1/{factor:.2f} ({low:.2f} .. {high:.2f})"
            verdict = "PASS" if factor <= -need else "short"
        elif need is not None:
            wanted = f">= {need:g}"
            verdict = "PASS" if ratio >= need else "short"
        yield Line(
            row.name, row.title, name,
            milliseconds(measure.spread(ours)[0]), milliseconds(measure.spread(seconds)[0]),
            shown, wanted, verdict, notes.get(name, ""),
            {
                "ours_seconds": ours,
                "theirs_seconds": seconds,
                "ours_cpu_seconds": contest.cpu_seconds.get(OURS),
                "theirs_cpu_seconds": contest.cpu_seconds.get(name),
                "note": notes.get(name, ""),
            },
        )  # fmt: skip


def peak_lines(
    row: Row, peaks: dict[str, int], limit_bytes: float, note: str = "", **raw: float
) -> Iterator[Line]:
    """Yield our peak of memory beside each of the others', and whether it is within a bound."""
    ours = peaks[OURS]
    for name, theirs in peaks.items():
        if name == OURS:
            continue
        yield Line(
            row.name, row.title, name, f"{ours / MIB:.1f} MiB", f"{theirs / MIB:.1f} MiB", "",
            f"<= {limit_bytes / MIB:.0f}", "PASS" if ours <= limit_bytes else "short", note,
            raw={"ours_bytes": ours, "theirs_bytes": theirs, **raw},
        )  # fmt: skip


def milliseconds(seconds: float) -> str:
    """Show a time with three digits that say something."""
    return f"{seconds * 1e3:.{max(0, min(3, 2 - int(np.floor(np.log10(seconds * 1e3)))))}f} ms"
