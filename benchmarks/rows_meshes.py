# SPDX-License-Identifier: BSD-3-Clause
"""Meshes and skeletons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench_meshes
import bench_skeletons
from table import CV, OURS, Line, Row, Run, Setup, compare, contest_lines

MESH_READERS = {OURS: "cloudvolume_fast", CV: "cloudvolume"}


def _skeletons(bench: Callable[[Path, int], Any]) -> Run:
    """Rows of a subject's own module: a context that yields a contest of ours and cloud-volume."""

    def run(setup: Setup, row: Row) -> Iterator[Line]:
        with bench(setup.data.folder, setup.seed) as contest:
            contest.run(setup.repeat)
        yield from contest_lines(contest, row, {})

    return run


def _legacy_mesh(*, remove_duplicates: bool) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        entries, notes = bench_meshes.legacy_entries(
            setup.data.folder.parent, MESH_READERS, remove_duplicates=remove_duplicates
        )
        yield from compare(setup, row, entries, notes)

    return run


def _multilod_meshes(setup: Setup, row: Row) -> Iterator[Line]:
    entries, notes = bench_meshes.multilod_entries(
        setup.data.folder.parent, MESH_READERS, setup.threads
    )
    yield from compare(setup, row, entries, notes)


SKELETONS = tuple(
    Row(name, title, _skeletons(bench), {CV: need})
    for name, title, bench, need in bench_skeletons.BENCHES
)

MESHES = (
    Row(
        "mesh-merged",
        "mesh of 2,000 fragments, merged",
        _legacy_mesh(remove_duplicates=True),
        {CV: 30.0},
    ),
    Row(
        "mesh-stitched",
        "mesh of 2,000 fragments",
        _legacy_mesh(remove_duplicates=False),
        {CV: 5.0},
    ),
    Row("mesh-multilod", "1,000 sharded Draco meshes", _multilod_meshes, {CV: 3.0}),
)
