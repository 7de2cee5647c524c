# SPDX-License-Identifier: BSD-3-Clause
"""Shared memory and worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import bench_shared
import measure
from table import CV, OURS, Line, Row, Run, Setup, contest_lines, milliseconds


def _shared(name: str, compare: Callable[..., measure.Contest]) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        contest = compare(setup.data.path(name), OURS, CV, setup.repeat)
        yield from contest_lines(contest, row, {})

    return run


def _warm_overhead(setup: Setup, row: Row) -> Iterator[Line]:
    shared, private = bench_shared.warm_overhead(setup.data.path("cseg"), setup.repeat)
    over, most = shared - private, bench_shared.OVERHEAD_SECONDS
    yield Line(
        row.name, row.title, bench_shared.BASE, milliseconds(shared), milliseconds(private),
        f"+{milliseconds(over)}", f"< {milliseconds(most)}", "PASS" if over < most else "short",
        raw={"ours_seconds": [shared], "theirs_seconds": [private]},
    )  # fmt: skip


def _claims(setup: Setup, row: Row) -> Iterator[Line]:
    rate, least = bench_shared.claims_per_second(), bench_shared.CLAIMS_PER_SECOND
    yield Line(
        row.name, row.title, "", f"{rate / 1e6:.1f} M/s", "", "", f">= {least / 1e6:g} M/s",
        "PASS" if rate >= least else "short", raw={"claims_per_second": rate},
    )  # fmt: skip


ROWS = (
    Row(
        "shm-raw-private",
        "raw, parallel=2, private memory",
        _shared("raw", bench_shared.private),
        {bench_shared.BASE: -1.05},
    ),
    Row(
        "shm-cseg-private",
        "cseg, parallel=2, private memory",
        _shared("cseg", bench_shared.private),
        {bench_shared.BASE: -1.05},
    ),
    Row(
        "shm-raw-fresh",
        "raw, parallel=2, new shared memory",
        _shared("raw", bench_shared.fresh),
        {bench_shared.TOUCH: -1.2, CV: 6.0},
    ),
    Row(
        "shm-cseg-fresh",
        "cseg, parallel=2, new shared mem.",
        _shared("cseg", bench_shared.fresh),
        {bench_shared.TOUCH: -1.2, CV: 6.0},
    ),
    Row(
        "shm-raw-recycled",
        "raw, parallel=2, recycled memory",
        _shared("raw", bench_shared.recycled),
        {bench_shared.BASE: -1.15},
    ),
    Row(
        "shm-cseg-recycled",
        "cseg, parallel=2, recycled memory",
        _shared("cseg", bench_shared.recycled),
        {bench_shared.BASE: -1.15},
    ),
    Row(
        "shm-gil-write",
        "write compresso, parallel=2 *",
        _shared("compresso", bench_shared.gil),
        {bench_shared.BASE: 1.7},
    ),
    Row("shm-warm-call", "64^3 by warm workers, cseg", _warm_overhead),
    Row("shm-claims", "claims of two processes", _claims),
)
