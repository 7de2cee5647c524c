# SPDX-License-Identifier: BSD-3-Clause
"""Prints the matrix: encoding, data type and channels down, compression and who reads whose files across.

    make golden-report

Every mark comes from a run: of this package and, where ``CVFAST_PEERS_PYTHON`` names a python that has them (or this
one has), of the peers as readers of what is written here; as writers they ran when the golden files were made.  The
exit code is 1 if anything is read wrongly.
"""

from __future__ import annotations

import json
import string
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from golden import matrix, matrix_run
from golden.matrix import CELLS, ROWS, SUFFIXES, WRITERS, WRITTEN, Cell

_LANES = (
    ("cv", "files of cloud-volume, read here"),
    ("ts", "files of tensorstore, read here"),
    ("us", "files of this package, read here"),
    (">cv", "files of this package, read by cloud-volume"),
    (">ts", "files of this package, read by tensorstore"),
)
_SHORT = {"cloud-volume": "cv", "tensorstore": "ts"}


def run(root: Path) -> dict[str, dict[Cell, str]]:
    """Return lane to cell to outcome."""
    lanes: dict[str, dict[Cell, str]] = {lane: {} for lane, _ in _LANES}
    for writer in WRITERS:
        matrix.unpack(writer, root / writer)
        outcomes = matrix.outcomes(writer)
        for cell in CELLS:
            how = outcomes[str(cell)]
            if how.startswith(WRITTEN):
                how = _attempt(matrix_run.read_golden, root / writer / str(cell), cell)
                if how == "ok" and outcomes[str(cell)] == WRITTEN and cell.compression != "none":
                    how = f"ok, but {writer} stores it without compression"
            else:
                how = f"not written by {writer}: {how}"
            lanes[_SHORT[writer]][cell] = how
    ours = {}
    for cell in CELLS:
        try:
            ours[cell] = matrix_run.write(root / "ours" / str(cell), cell)
            stored = cell.compression == "none" or cell.suffix
            lanes["us"][cell] = (
                "ok" if stored else "ok; stored as it is, a picture is compressed already"
            )
        except Exception as error:  # any: that is the outcome
            lanes["us"][cell] = f"WRONG: {type(error).__name__}: {error}"
    for writer in WRITERS:
        lane = f">{_SHORT[writer]}"
        if matrix_run.peer_python(writer) is None:
            lanes[lane] = dict.fromkeys(ours, f"{writer} is not installed here: not run")
        else:
            found = matrix_run.read_with(writer, root / "ours", ours, root / f"by {writer}")
            lanes[lane] = {
                cell: how if how == "ok" else f"not read by {writer}: {how}"
                for cell, how in found.items()
            }
    return lanes


def _attempt(read: Callable[[Path, Cell], str], layer: Path, cell: Cell) -> str:
    try:
        return read(layer, cell)
    except Exception as error:  # any: that is the outcome
        return f"WRONG: {type(error).__name__}: {error}"


def render(lanes: Mapping[str, Mapping[Cell, str]]) -> str:
    """Return the table and what its marks mean."""
    marks: dict[str, str] = {"ok": "ok"}
    names = iter([*string.ascii_lowercase, *string.ascii_uppercase, *map(str, range(1, 1000))])
    width = max(len(lane) for lane, _ in _LANES)
    first = max(len(str(row)) for row in ROWS)
    group = (width + 1) * len(_LANES)
    heads = "".join(f"| {name:<{group}}" for name in SUFFIXES)
    lines = [
        f"{'':<{first}} {heads}",
        f"{'':<{first}} "
        + "".join("| " + "".join(f"{lane:<{width + 1}}" for lane, _ in _LANES) for _ in SUFFIXES),
    ]
    for row in ROWS:
        line = f"{row!s:<{first}} "
        for compression in SUFFIXES:
            line += "| "
            for lane, _ in _LANES:
                how = lanes[lane].get(Cell(row, compression))
                if how is None:
                    mark = ""
                else:
                    if how not in marks:
                        marks[how] = next(names)
                    mark = marks[how]
                line += f"{mark:<{width + 1}}"
        lines.append(line.rstrip())
    lines.append("")
    lines += [f"{lane:<4} {what}" for lane, what in _LANES]
    lines.append("     nothing: with several channels two compressions stand for all")
    lines += [f"{mark:<4} {how}" for how, mark in marks.items() if how != "ok"]
    counts = {
        lane: f"{sum(how.startswith('ok') for how in cells.values())} of {len(cells)}"
        for lane, cells in lanes.items()
    }
    lines.append("ok   " + ", ".join(f"{lane} {count}" for lane, count in counts.items()))
    return "\n".join(lines)


def main() -> int:
    """Run everything and print it."""
    with tempfile.TemporaryDirectory() as folder:
        lanes = run(Path(folder))
    sys.stdout.write(json.dumps(matrix.manifest()["versions"]) + "\n\n" + render(lanes) + "\n")
    return int(any(how.startswith("WRONG") for lane in lanes.values() for how in lane.values()))


if __name__ == "__main__":
    sys.exit(main())
