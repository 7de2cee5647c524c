# SPDX-License-Identifier: BSD-3-Clause
"""Prints who reads whose meshes, skeletons and spatial indexes, and whether both find the same.

    make mesh-report

Every line comes from a run of the tests that it names: of the golden files of igneous, zmesh and kimimaro, read here
and compared with what cloud-volume read from them; and, where ``CVFAST_PEERS_PYTHON`` names a python that has it (or
this one has), of cloud-volume as reader and as writer.  The exit code is 1 if anything differs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
_MESHES = "golden/test_golden_meshes.py::test_golden_meshes_are_read"
_SKELETONS = "golden/test_golden_skeletons.py::test_skeletons_are_read_exactly"
_MESH_INTEROP = "interop/test_mesh_interop.py::"
_SKELETON_INTEROP = "interop/test_skeleton_interop.py::"
_READ_SKELETONS = _SKELETON_INTEROP + "test_skeletons_of_cloud_volume_are_read"
_WRITTEN_SKELETONS = _SKELETON_INTEROP + "test_skeletons_are_read_by_cloud_volume"

# What, by whom it is written, by whom it is read, and the tests that say so, with the words their cases have.
Row = tuple[str, str, str, str, tuple[str, ...]]
ROWS: tuple[Row, ...] = (
    ("mesh, legacy raw", "igneous, zmesh", "here", _MESHES, ("legacy_raw",)),
    ("mesh, legacy Draco", "igneous, zmesh", "here", _MESHES, ("legacy_draco",)),
    ("mesh, multi-LOD", "igneous, zmesh", "here", _MESHES, ("multilod_unsharded",)),
    ("mesh, multi-LOD sharded", "igneous, zmesh", "here", _MESHES, ("multilod_sharded",)),
    (
        "mesh, legacy raw",
        "cloud-volume",
        "here",
        _MESH_INTEROP + "test_legacy_meshes_that_are_written_there_are_read",
        (),
    ),
    (
        "mesh, legacy raw, merged and not",
        "here",
        "cloud-volume",
        _MESH_INTEROP + "test_legacy_meshes_are_read_alike",
        (),
    ),
    (
        "mesh, multi-LOD",
        "here",
        "cloud-volume",
        _MESH_INTEROP + "test_multilod_meshes_that_are_written_here_are_read",
        ("False",),
    ),
    (
        "mesh, multi-LOD sharded",
        "here",
        "cloud-volume",
        _MESH_INTEROP + "test_multilod_meshes_that_are_written_here_are_read",
        ("True",),
    ),
    (
        "methods of Mesh",
        "here",
        "cloud-volume",
        _MESH_INTEROP + "test_methods_of_meshes_do_the_same",
        (),
    ),
    ("skeletons", "igneous, kimimaro", "here", _SKELETONS, ("igneous_files",)),
    ("skeletons, sharded", "igneous, kimimaro", "here", _SKELETONS, ("igneous_sharded",)),
    ("skeletons", "cloud-volume", "here", _READ_SKELETONS, ("False",)),
    ("skeletons, sharded", "cloud-volume", "here", _READ_SKELETONS, ("True",)),
    ("skeletons", "here", "cloud-volume", _WRITTEN_SKELETONS, ("-False]",)),
    ("skeletons, sharded", "here", "cloud-volume", _WRITTEN_SKELETONS, ("-True]",)),
    ("SWC", "both", "both", _SKELETON_INTEROP + "test_swc_is_read_by_each_other", ()),
    (
        "spatial index",
        "igneous",
        "here",
        "golden/test_golden_skeletons.py::test_spatial_index_answers_as_cloud_volumes",
        (),
    ),
    (
        "spatial index, its mirror",
        "cloud-volume",
        "here",
        _SKELETON_INTEROP + "test_mirrors_answer_to_both",
        ("cloud-volume",),
    ),
    (
        "spatial index, its mirror",
        "here",
        "cloud-volume",
        _SKELETON_INTEROP + "test_mirrors_answer_to_both",
        ("here",),
    ),
)

# What no run could show.
NOTES = (
    "cloud-volume reads no legacy Draco fragments and writes no multi-LOD meshes; nothing here writes the former.",
)


@dataclass
class Recorder:
    """Outcomes of tests by their names below the tests' folder: passed, skipped: why, or failed: why."""

    found: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome; a failure of any phase stays."""
        name = report.nodeid.removeprefix("tests/")
        if report.failed:
            message = report.longreprtext.strip().splitlines()
            self.found[name] = f"failed: {next(iter(message[-1:]), '')}"
        elif report.skipped:
            reason: Any = report.longrepr
            self.found[name] = f"skipped: {reason[2] if isinstance(reason, tuple) else reason}"
        elif report.when == "call":
            self.found.setdefault(name, "passed")


def run(rows: Iterable[Row]) -> dict[str, str]:
    """Run the tests of rows and return their outcomes by name."""
    recorder = Recorder()
    names = sorted({str(TESTS / row[3]) for row in rows})
    output = io.StringIO()
    arguments = ["-q", "--rootdir", str(TESTS.parent), "-p", "no:cacheprovider", *names]
    with contextlib.redirect_stdout(output):
        pytest.main(arguments, plugins=[recorder])
    if not recorder.found:
        raise SystemExit(output.getvalue())
    return recorder.found


def outcome(row: Row, found: dict[str, str]) -> str:
    """Say what the tests of a row found."""
    _, _, _, test, words = row
    cases = [
        how
        for name, how in found.items()
        if name.partition("[")[0] == test and all(word in name for word in words)
    ]
    if not cases:
        return "DIFFERS: no such test ran"
    bad = [how for how in cases if how.startswith("failed")]
    if bad:
        return f"DIFFERS: {bad[0].removeprefix('failed: ')}"
    skipped = [how for how in cases if how.startswith("skipped")]
    if skipped:
        return f"not run: {skipped[0].removeprefix('skipped: ').removeprefix('Skipped: ')}"
    return f"equal, {len(cases)} case{'s' if len(cases) > 1 else ''}"


def versions() -> str:
    """Say of which versions the others are."""
    out: dict[str, str] = {}
    for name in ("meshes", "skeletons"):
        out |= json.loads((TESTS / "golden" / f"MANIFEST_{name}.json").read_text())["versions"]
    return ", ".join(f"{name} {version}" for name, version in out.items())


@functools.cache
def peer_version() -> str:
    """Say which cloud-volume was run beside this package."""
    code = "import importlib.metadata as m; print(m.version('cloud-volume'))"
    python = os.environ.get("CVFAST_PEERS_PYTHON") or sys.executable
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "none"


def main() -> int:
    """Print the report; return 1 if anything differs."""
    found = run(ROWS)
    lines = [(*row[:3], outcome(row, found)) for row in ROWS]
    head = ("what", "written by", "read by", "found")
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(3)]
    for line in (head, *lines):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, line[3]]) + "\n")
    ours = importlib.metadata.version("cloudvolume-fast")
    sys.stdout.write(f"\nhere: cloudvolume-fast {ours}; beside it: cloud-volume {peer_version()}\n")
    sys.stdout.write(f"golden files: {versions()}\n")
    for note in NOTES:
        sys.stdout.write(note + "\n")
    return int(any(line[3].startswith("DIFFERS") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
