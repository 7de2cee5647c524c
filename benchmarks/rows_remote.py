# SPDX-License-Identifier: BSD-3-Clause
"""Volumes behind a web server: whole, boxes, round trips, memory."""

from __future__ import annotations

from collections.abc import Iterator

import bench_remote
import measure
import peers
from checks import decoded, is_right, require_equal
from rows_processes import memory_lines
from table import CV, OURS, TS, Line, Row, Run, Setup, contest_lines, milliseconds


def _http(
    name: str,
    delay_seconds: float = 0,
    *,
    is_box: bool = False,
    opens: bool = False,
    trips: int = 0,
) -> Run:
    """Compare reads over HTTP; with `trips`, ours to so many times the delay as well."""

    def run(setup: Setup, row: Row) -> Iterator[Line]:
        box = bench_remote.BOX if is_box else peers.WHOLE
        expected = decoded(setup, name)[box]
        with bench_remote.served(setup.data.path(name), delay_seconds) as url:
            make = bench_remote.openers if opens else bench_remote.readers
            entries = make(url, tuple(setup.readers(name)), setup.threads, box)
            for key, read in entries.items():
                is_right(
                    key, lambda key=key, read=read: require_equal(key, read()[..., 0], expected)
                )
            contest = measure.Contest(entries)
            contest.run(setup.repeat)
        yield from contest_lines(contest, row, {})
        if trips:
            seconds = measure.spread(contest.seconds[OURS])[0]
            most = trips * delay_seconds
            found = seconds / delay_seconds
            # What is computed between the trips takes less than half of one.
            yield Line(
                row.name, row.title, "round trips", milliseconds(seconds), milliseconds(most),
                f"{found:.2f}", f"<= {trips}", "PASS" if found < trips + 0.5 else "short",
                raw={"ours_seconds": [seconds], "delay_seconds": delay_seconds},
            )  # fmt: skip

    return run


def _http_memory(name: str) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        code, limit_bytes = bench_remote.MEMORY_CODE, bench_remote.MEMORY_LIMIT_BYTES
        with bench_remote.served(setup.data.path(name)) as url:
            yield from memory_lines(setup, row, name, code, limit_bytes, url=url)

    return run


ROWS = (
    Row("http-raw", "http, raw uint8, whole", _http("raw"), {CV: 9.0, TS: 1.4}),
    Row("http-cseg", "http, cseg uint64, whole", _http("cseg"), {CV: 8.0, TS: 2.5}),
    Row(
        "http-memory",
        "memory above output, http, raw uint64",
        _http_memory("slab_raw_labels"),
    ),
    Row("http-cseg-memory", "memory above output, http, cseg", _http_memory("cseg")),
    Row(
        "far-raw",
        "http + 50 ms, raw, whole",
        _http("raw", bench_remote.DELAY_SECONDS),
        {CV: 5.0, TS: 2.5},
    ),
    Row(
        "far-cseg",
        "http + 50 ms, cseg, whole",
        _http("cseg", bench_remote.DELAY_SECONDS),
        {CV: 5.0, TS: 2.5},
    ),
    Row(
        "far-sharded-open",
        "http + 50 ms, open, sharded 64^3",
        _http("cseg_sharded", bench_remote.DELAY_SECONDS, is_box=True, opens=True, trips=4),
    ),
    Row(
        "far-sharded-again",
        "http + 50 ms, sharded 64^3 again",
        _http("cseg_sharded", bench_remote.DELAY_SECONDS, is_box=True, trips=1),
    ),
)
