# SPDX-License-Identifier: BSD-3-Clause
"""What takes a process of its own to measure: an import, and memory above the output of a read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import measure
from table import CV, MIB, TS, Line, Row, Run, Setup, contest_lines, peak_lines


def _import(setup: Setup, row: Row) -> Iterator[Line]:
    # `-c pass` is what any Python process costs. What a program needs is taken from the package,
    # since a package may put its own imports off until then.
    commands = {
        name: "import tensorstore" if name == TS else f"from {peer.module} import CloudVolume"
        for name, peer in setup.present.items()
    }
    contest = measure.Contest(
        {
            "bare": lambda: measure.run_python(["-c", "pass"]),
            **{
                name: lambda code=code: measure.run_python(["-c", code])
                for name, code in commands.items()
            },
        }
    )
    contest.run(1)
    contest.run(max(setup.repeat, 7))
    bare = contest.seconds.pop("bare")
    # The least of all turns: what a process costs varies by more than our import takes.
    floor = min(bare)
    contest.seconds = {
        name: [max(1e-4, value - floor) for value in seconds]
        for name, seconds in contest.seconds.items()
    }
    yield from contest_lines(contest, row, {name: "" for name in commands})


_MEMORY_LIMIT_BYTES = 100 * MIB
_MEMORY_CODE = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import measure, peers
peers.limit_threads({threads})
peer = {{p.name: p for p in (peers.OURS, peers.CLOUD_VOLUME, peers.TENSORSTORE)}}[{name!r}]
volume = peer.reading[0].open(Path({path!r}), {threads}, 0)
# Modules and pools that come with the first read are not what a read needs.
volume.read((slice(0, 64), slice(0, 64), slice(0, 64)))
peak, result = measure.peak_above_start(lambda: volume.read(peers.WHOLE))
print(peak - result.nbytes)
"""


def memory_lines(
    setup: Setup, row: Row, name: str, code: str, limit_bytes: int, **where: str
) -> Iterator[Line]:
    """Compare what a read of the whole volume takes above its output, each in a process of its own.

    `code` prints it; it is told the folder of these modules, threads, the implementation's name, and `where`.
    """
    if not measure.knows_peaks():
        yield Line(row.name, row.title, "", "", "", note="is measured on Linux only")
        return
    here = str(Path(__file__).resolve().parent)
    above = {
        key: int(
            measure.run_python(
                ["-c", code.format(here=here, threads=setup.threads, name=key, **where)]
            )
        )
        for key in setup.readers(name)
    }
    yield from peak_lines(row, above, limit_bytes)


def _memory(name: str) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        path = str(setup.data.path(name))
        yield from memory_lines(setup, row, name, _MEMORY_CODE, _MEMORY_LIMIT_BYTES, path=path)

    return run


ROWS = (
    Row("import", "import, beyond bare Python", _import, {CV: 4.0, TS: 1.0}),
    Row("raw-memory", "memory above output, raw", _memory("raw")),
    Row("gzip-memory", "memory above output, gzip", _memory("raw_gzip")),
    Row("cseg-memory", "memory above output, cseg", _memory("cseg")),
    Row("png-memory", "memory above output, png *", _memory("png")),
    Row("jpeg-memory", "memory above output, jpeg *", _memory("jpeg")),
    Row("brotli-memory", "memory above output, brotli *", _memory("slab_brotli")),
    Row("compresso-memory", "memory above output, compresso *", _memory("compresso")),
    Row("crackle-memory", "memory above output, crackle *", _memory("crackle")),
)
