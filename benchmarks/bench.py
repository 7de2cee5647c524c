# SPDX-License-Identifier: BSD-3-Clause
"""Measure against cloud-volume and tensorstore: the same bytes, equal threads, in turns.

    python benchmarks/bench.py [--data PATH] [--size N] [--repeat N] [--only NAME ...] [--json OUT]

Before a row is timed, every implementation's result is compared to the voxels that were written.
Files come from a warm page cache. A ratio is the peer's time over ours in the same turn; the table
has its median and its range. The exit status does not depend on speed.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench_meshes
import bench_remote
import bench_shared
import bench_skeletons
import datasets
import measure
import numpy as np
import peers
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
CV, TS, OURS = "cloud-volume", "tensorstore", "ours"
FLOOR = "libdeflate"
PEERS = {peer.name: peer for peer in (peers.CLOUD_VOLUME, peers.OURS, peers.TENSORSTORE)}


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
    run: Callable[[Setup, Row], Iterator[Line]]
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
    print(_format("", "", "ours", "theirs", "ratio", "needed", ""))
    lines = []
    for row in rows:
        for line in row.run(setup, row):
            lines.append(line)
            _show(line)
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


def _format(*cells: str) -> str:
    widths = (33, 13, 12, 12, 24, 8, 0)
    parts = [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return " ".join(parts).rstrip()


def _show(line: Line) -> None:
    verdict = "  ".join(part for part in (line.verdict, line.note) if part)
    text = _format(
        line.title, line.peer, line.ours, line.theirs, line.ratio, line.need, " " + verdict
    )
    print(text, flush=True)


def _contest_lines(contest: measure.Contest, row: Row, notes: dict[str, str]) -> Iterator[Line]:
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
            _milliseconds(measure.spread(ours)[0]), _milliseconds(measure.spread(seconds)[0]),
            shown, wanted, verdict, notes.get(name, ""),
            {
                "ours_seconds": ours,
                "theirs_seconds": seconds,
                "ours_cpu_seconds": contest.cpu_seconds.get(OURS),
                "theirs_cpu_seconds": contest.cpu_seconds.get(name),
                "note": notes.get(name, ""),
            },
        )  # fmt: skip


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.{max(0, min(3, 2 - int(np.floor(np.log10(seconds * 1e3)))))}f} ms"


def _fastest(
    setup: Setup,
    name: str,
    work: Callable[[peers.Volume], Any],
    check: Callable[[str, Any], None],
    *,
    is_whole: bool = False,
    cache_bytes: int = 0,
) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Open the volume with every variant, check each result, keep each implementation's fastest."""
    entries: dict[str, Callable[[], Any]] = {}
    notes: dict[str, str] = {}
    for implementation, peer in setup.readers(name).items():
        best = float("inf")
        variants = [
            variant
            for variant in peer.reading
            if (is_whole or not variant.starts_processes)
            and (datasets.LAYERS[name].is_sharded or not variant.keeps_indexes)
        ]
        for variant in variants:
            volume = variant.open(setup.data.path(name), setup.threads, cache_bytes)

            def entry(volume: peers.Volume = volume) -> Any:
                return work(volume)

            label = f"{implementation} {variant.name}".strip()
            if not _is_right(
                implementation, lambda label=label, entry=entry: check(label, entry())
            ):
                continue
            if len(variants) > 1:
                seconds = min(measure.measure(entry).seconds for _ in range(2))
                if seconds >= best:
                    continue
                best = seconds
            entries[implementation], notes[implementation] = entry, variant.name
    return entries, notes


class WrongVoxelsError(Exception):
    """What was read is not what was written."""


def _require_equal(label: str, found: NDArray[Any], expected: NDArray[Any]) -> None:
    if found.shape != expected.shape:
        raise WrongVoxelsError(f"{label}: expected shape {expected.shape}, found {found.shape}")
    if not np.array_equal(found, expected):
        wrong = np.count_nonzero(found != expected)
        raise WrongVoxelsError(f"{label}: {wrong} of {expected.size} voxels are wrong")


def _is_right(name: str, check: Callable[[], None]) -> bool:
    """Check a result; a peer's settings that give a wrong one are left out, ours end the run."""
    try:
        check()
    except WrongVoxelsError as error:
        if name == OURS:
            raise SystemExit(f"{error}; nothing was timed") from error
        print(f"left out: {error}", flush=True)
        return False
    return True


def _decoded(setup: Setup, name: str) -> NDArray[Any]:
    """Return what every reader must find in a volume, shape (x, y, z).

    For jpeg these are the voxels as upstream decodes them, once they have proved to be close to those
    that were written: decoders that follow the standard's exact transform agree to the bit.
    """
    written = setup.data.voxels(name)
    if datasets.LAYERS[name].encoding != "jpeg":
        return written
    reader = peers.CLOUD_VOLUME.reading[0].open(setup.data.path(name), setup.threads, 0)
    found: NDArray[Any] = np.asfortranarray(reader.read(peers.WHOLE))[..., 0]
    _require_close(f"{CV}, {name}", found, written)
    return found


def _rms_error(found: NDArray[Any], written: NDArray[Any]) -> float:
    """Return the root of the mean squared difference."""
    total = 0
    for z in range(0, written.shape[2], 64):
        difference = found[:, :, z : z + 64].astype(np.int16) - written[:, :, z : z + 64]
        total += int(np.sum(np.square(difference, dtype=np.int32), dtype=np.int64))
    return float(np.sqrt(total / written.size))


def _require_close(label: str, found: NDArray[Any], written: NDArray[Any]) -> None:
    """Let pass what a picture at quality 85 may lose: 30 dB of the peak signal remain."""
    error = _rms_error(found, written) if found.shape == written.shape else float("inf")
    if error > 255 / 10 ** (30 / 20):
        raise WrongVoxelsError(f"{label}: expected an error below 8.1 grey values, found {error}")


def _run_whole(name: str) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        expected = _decoded(setup, name)
        entries, notes = _fastest(
            setup,
            name,
            lambda volume: volume.read(peers.WHOLE),
            lambda label, found: _require_equal(label, np.asarray(found)[..., 0], expected),
            is_whole=True,
        )
        contest = measure.Contest(entries)
        is_gzip = datasets.LAYERS[name].compress == "gzip"
        floor = _Floor.find(setup.data.path(name), setup.threads) if is_gzip else None
        if floor is None:
            contest.run(setup.repeat)
        else:
            _run_with_floor(contest, floor, setup.repeat)
        yield from _contest_lines(contest, row, notes)
        if is_gzip and floor is None:
            yield Line(
                row.name, row.title, FLOOR, "", "", note="gzip_floor is absent and cannot be built"
            )

    return run


@dataclass(slots=True)
class _Floor:
    """The program that reads and inflates only; it times itself."""

    program: Path
    folder: Path
    threads: int

    @staticmethod
    def find(layer: Path, threads: int) -> _Floor | None:
        folder = next(path for path in sorted(layer.iterdir()) if path.is_dir())
        places = [
            ROOT / f"build/{build}/cpp/benchmarks/gzip_floor" for build in ("release", "bench")
        ]
        found = [place for place in places if place.exists()]
        if not found and not _build_floor():
            return None
        program = max((p for p in places if p.exists()), key=lambda p: p.stat().st_mtime)
        return _Floor(program, folder, threads)

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


def _run_with_floor(contest: measure.Contest, floor: _Floor, repeat: int) -> None:
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


def _random_boxes(shape: tuple[int, ...], count: int, edge: int, seed: int) -> list[peers.Box]:
    """Boxes whose corners are not on the chunk grid, as far as they are at least 2 chunks away."""
    rng = np.random.default_rng([seed, edge])
    size = np.minimum(edge, shape)
    low = rng.integers(0, np.array(shape) - size + 1, (count, 3))
    low += (low % 64 == 0) & (low + size < shape)
    return [
        tuple(slice(int(a), int(a + n)) for a, n in zip(corner, size, strict=True))  # type: ignore[misc]
        for corner in low
    ]


def _run_boxes(
    name: str, count: int, edge: int, *, is_cached: bool = False
) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        voxels = setup.data.voxels(name)
        boxes = _random_boxes(voxels.shape, count, edge, setup.seed)

        def work(volume: peers.Volume) -> list[NDArray[Any]]:
            return [volume.read(box) for box in boxes]

        def check(label: str, found: list[NDArray[Any]]) -> None:
            for box, part in zip(boxes, found, strict=True):
                _require_equal(f"{label} {box}", np.asarray(part)[..., 0], voxels[box])

        # Room for everything; the check has loaded what the boxes need.
        cache_bytes = voxels.nbytes + voxels.nbytes // 4 if is_cached else 0
        entries, notes = _fastest(setup, name, work, check, cache_bytes=cache_bytes)
        contest = measure.Contest(entries)
        contest.run(setup.repeat)
        yield from _contest_lines(contest, row, notes)

    return run


def _run_points(count: int) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        labels = setup.data.labels
        rng = np.random.default_rng([setup.seed, count])
        points = rng.integers(0, labels.shape, (count, 3))

        def check(label: str, found: Any) -> None:
            _require_equal(label, peers.point_values(found, points), labels[tuple(points.T)])

        entries, notes = _fastest(setup, "cseg", lambda volume: volume.read_points(points), check)
        contest = measure.Contest(entries)
        contest.run(setup.repeat)
        yield from _contest_lines(contest, row, notes)

    return run


def _run_write(name: str) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        layer = datasets.LAYERS[name]
        voxels = setup.data.voxels(name)[..., np.newaxis]
        expected = _decoded(setup, name)[..., np.newaxis]
        folder = setup.data.folder / "writing"
        path: dict[str, Path] = {}
        turns = itertools.count()
        chosen: dict[str, peers.Variant] = {}
        opened: dict[str, peers.Volume] = {}

        def prepare(key: str) -> None:
            # A new folder each turn, all removed at the end: for a minute ext4 searches around the
            # inodes of deleted files, which makes each new file of anyone's cost up to a millisecond.
            path[key] = folder / f"{key}-{next(turns)}"
            datasets.create_upstream(path[key], voxels[..., 0], layer)
            opened[key] = chosen[key].open(path[key], setup.threads, 0)
            os.sync()

        def check(label: str, found: NDArray[Any]) -> None:
            if layer.encoding != "jpeg":
                return _require_equal(label, found, expected)
            ours, theirs = (_rms_error(one[..., 0], voxels[..., 0]) for one in (found, expected))
            if ours > 1.01 * theirs:
                raise WrongVoxelsError(f"{label}: expected an error of {theirs}, found {ours}")
            return None

        notes = {}
        for key, peer in setup.present.items():
            best = float("inf")
            fastest = peer.writing[0]
            for variant in peer.writing:
                chosen[key] = variant
                prepare(key)
                seconds = measure.measure(lambda key=key: opened[key].write(voxels)).seconds
                reader = peers.CLOUD_VOLUME.reading[0].open(path[key], 1, 0)
                found = np.asarray(reader.read(peers.WHOLE))
                label = f"{key} {variant.name}, writing".replace(" ,", ",")
                is_right = _is_right(key, lambda label=label, found=found: check(label, found))
                if is_right and seconds < best:
                    best, fastest = seconds, variant
            chosen[key] = fastest
            notes[key] = fastest.name
        contest = measure.Contest(
            {key: lambda key=key: opened[key].write(voxels) for key in setup.present}, prepare
        )
        contest.run(setup.repeat)
        shutil.rmtree(folder)
        yield from _contest_lines(contest, row, notes)

    return run


def _run_stored_size(name: str) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        import cloudvolume_fast

        # Compressed as each does it unasked.
        layer = dataclasses.replace(datasets.LAYERS[name], compress=None)
        # gzip level 9 is slow; a part is enough for a size.
        part = np.asfortranarray(setup.data.voxels(name)[:256, :256, :256])
        folder = setup.data.folder / "writing"
        datasets.write_upstream(folder / CV, part, layer)
        datasets.create_upstream(folder / OURS, part, layer)
        volume = cloudvolume_fast.CloudVolume(
            f"file://{folder / OURS}", compress=None, progress=False, parallel=setup.threads
        )
        volume[:, :, :] = part
        found = {
            key: np.asarray(
                peers.CLOUD_VOLUME.reading[0].open(folder / key, 1, 0).read(peers.WHOLE)
            )
            for key in (CV, OURS)
        }
        note, is_as_good = "", True
        if layer.encoding == "jpeg":
            errors = {key: _rms_error(found[key][..., 0], part) for key in (CV, OURS)}
            note = f"rms error {errors[OURS]:.3f}, theirs {errors[CV]:.3f}"
            is_as_good = errors[OURS] <= 1.01 * errors[CV]
        else:
            _require_equal("ours, stored", found[OURS][..., 0], part)
        files = "*.shard" if layer.is_sharded else "*-*"
        sizes = {
            key: sum(p.stat().st_size for p in (folder / key).rglob(files) if p.is_file())
            for key in (CV, OURS)
        }
        shutil.rmtree(folder)
        excess = sizes[OURS] / sizes[CV] - 1
        yield Line(
            row.name, row.title, CV, f"{sizes[OURS] / 1e6:.3f} MB", f"{sizes[CV] / 1e6:.3f} MB",
            f"{excess:+.2%}", "<= 2 %", "PASS" if excess <= 0.02 and is_as_good else "short", note,
            raw={"ours_bytes": sizes[OURS], "theirs_bytes": sizes[CV]},
        )  # fmt: skip

    return run


def _run_import(setup: Setup, row: Row) -> Iterator[Line]:
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
    yield from _contest_lines(contest, row, {name: "" for name in commands})


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


def _run_memory(name: str) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        if not Path("/proc/self/clear_refs").exists():
            yield Line(row.name, row.title, "", "", "", note="is measured on Linux only")
            return
        above = {}
        for implementation in setup.readers(name):
            code = _MEMORY_CODE.format(
                here=str(Path(__file__).resolve().parent),
                threads=setup.threads,
                name=implementation,
                path=str(setup.data.path(name)),
            )
            above[implementation] = int(measure.run_python(["-c", code]))
        for implementation, theirs in above.items():
            if implementation == OURS:
                continue
            yield Line(
                row.name, row.title, implementation,
                f"{above[OURS] / MIB:.1f} MiB", f"{theirs / MIB:.1f} MiB", "",
                "<= 100", "PASS" if above[OURS] <= 100 * MIB else "short",
                raw={"ours_bytes": above[OURS], "theirs_bytes": theirs},
            )  # fmt: skip

    return run


_WRITE_MEMORY_CODE = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import numpy as np
import measure, peers
peers.limit_threads({threads})
peer = {{p.name: p for p in (peers.OURS, peers.CLOUD_VOLUME, peers.TENSORSTORE)}}[{name!r}]
voxels = np.load({array!r})[..., np.newaxis]
# Modules and pools that come with the first write are not what a write needs.
peer.writing[0].open(Path({warm!r}), {threads}, 0).write(voxels[:64, :64, :64])
volume = peer.writing[0].open(Path({path!r}), {threads}, 0)
peak, _ = measure.peak_above_start(lambda: volume.write(voxels))
print(peak)
"""


def _run_shard_memory(name: str) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        if not Path("/proc/self/clear_refs").exists():
            yield Line(row.name, row.title, "", "", "", note="is measured on Linux only")
            return
        layer = datasets.LAYERS[name]
        voxels = setup.data.voxels(name)
        array = setup.data.folder / ("labels.npy" if layer.is_labels else "image.npy")
        folder = setup.data.folder / "writing"
        above, stored = {}, {}
        for key in setup.present:
            path, warm = folder / key, folder / f"{key}-warm"
            datasets.create_upstream(path, voxels, layer)
            datasets.create_upstream(warm, voxels[:64, :64, :64], layer)
            code = _WRITE_MEMORY_CODE.format(
                here=str(Path(__file__).resolve().parent),
                threads=setup.threads,
                name=key,
                array=str(array),
                warm=str(warm),
                path=str(path),
            )
            above[key] = int(measure.run_python(["-c", code]))
            found = peers.CLOUD_VOLUME.reading[0].open(path, 1, 0).read(peers.WHOLE)
            _require_equal(f"{key}, writing", np.asarray(found)[..., 0], voxels)
            (shard,) = path.rglob("*.shard")
            stored[key] = shard.stat().st_size
        shutil.rmtree(folder)
        chunks = -(-voxels.shape[0] // layer.chunk_size[0])
        row_bytes = chunks * int(np.prod(layer.chunk_size)) * voxels.itemsize
        bound = 1.5 * stored[OURS] + setup.threads * row_bytes
        for key, theirs in above.items():
            if key == OURS:
                continue
            yield Line(
                row.name, row.title, key,
                f"{above[OURS] / MIB:.1f} MiB", f"{theirs / MIB:.1f} MiB", "",
                f"<= {bound / MIB:.0f}", "PASS" if above[OURS] <= bound else "short",
                f"1.5 x shard of {stored[OURS] / MIB:.1f} + {setup.threads} rows of chunks",
                raw={
                    "ours_bytes": above[OURS],
                    "theirs_bytes": theirs,
                    "bound_bytes": bound,
                    "stored_bytes": stored[OURS],
                },
            )  # fmt: skip

    return run


def _run_locate(count: int, theirs_count: int) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        from cloudvolume.datasource.precomputed import sharding

        from cloudvolume_fast.model.sharding import ShardingSpecification

        shard_bits, minishard_bits, preshift_bits = sharding.compute_shard_params_for_hashed(count)
        specification = {
            "@type": "neuroglancer_uint64_sharded_v1",
            "preshift_bits": preshift_bits,
            "hash": "murmurhash3_x86_128",
            "minishard_bits": minishard_bits,
            "shard_bits": shard_bits,
        }
        theirs = sharding.ShardingSpecification.from_dict(specification)
        ours = ShardingSpecification.from_dict(specification)
        rng = np.random.default_rng([setup.seed, count])
        labels = rng.integers(0, 2**64 - 1, count, dtype=np.uint64, endpoint=True)
        part = labels[:theirs_count].tolist()
        expected = [theirs.compute_shard_location(label) for label in part]
        places = ours.compute_shard_location(labels)
        for member, wanted in zip(places, zip(*expected, strict=True), strict=True):
            # Numbers need a type; names must not be cut to one.
            dtype = None if member.dtype.kind == "U" else np.uint64
            _require_equal("ours, locating", member[:theirs_count], np.array(wanted, dtype))
        contest = measure.Contest(
            {
                OURS: lambda: ours.compute_shard_location(labels),
                CV: lambda: [theirs.compute_shard_location(label) for label in part],
            }
        )
        contest.run(setup.repeat)
        factor = count / theirs_count
        for times in (contest.seconds, contest.cpu_seconds):
            times[CV] = [factor * seconds for seconds in times[CV]]
        note = f"theirs: {theirs_count:,} labels, times {factor:g}"
        yield from _contest_lines(contest, row, {CV: note})

    return run


def _run_remote(
    name: str,
    delay_seconds: float = 0,
    *,
    is_box: bool = False,
    opens: bool = False,
    trips: int = 0,
) -> Callable[[Setup, Row], Iterator[Line]]:
    """Compare reads over HTTP; with `trips`, ours to so many times the delay as well."""

    def run(setup: Setup, row: Row) -> Iterator[Line]:
        box = bench_remote.BOX if is_box else peers.WHOLE
        expected = _decoded(setup, name)[box]
        with bench_remote.served(setup.data.path(name), delay_seconds) as url:
            make = bench_remote.openers if opens else bench_remote.readers
            entries = make(url, tuple(setup.readers(name)), setup.threads, box)
            for key, read in entries.items():
                _is_right(
                    key, lambda key=key, read=read: _require_equal(key, read()[..., 0], expected)
                )
            contest = measure.Contest(entries)
            contest.run(setup.repeat)
        yield from _contest_lines(contest, row, {})
        if trips:
            seconds = measure.spread(contest.seconds[OURS])[0]
            most = trips * delay_seconds
            found = seconds / delay_seconds
            # What is computed between the trips takes less than half of one.
            yield Line(
                row.name, row.title, "round trips", _milliseconds(seconds), _milliseconds(most),
                f"{found:.2f}", f"<= {trips}", "PASS" if found < trips + 0.5 else "short",
                raw={"ours_seconds": [seconds], "delay_seconds": delay_seconds},
            )  # fmt: skip

    return run


def _run_remote_memory(name: str) -> Callable[[Setup, Row], Iterator[Line]]:
    """Compare what a whole-volume read over HTTP takes above its output, each in a process of its own."""

    def run(setup: Setup, row: Row) -> Iterator[Line]:
        if not Path("/proc/self/clear_refs").exists():
            yield Line(row.name, row.title, "", "", "", note="is measured on Linux only")
            return
        above = {}
        with bench_remote.served(setup.data.path(name)) as url:
            for implementation in setup.readers(name):
                code = bench_remote.MEMORY_CODE.format(
                    here=str(Path(__file__).resolve().parent),
                    threads=setup.threads,
                    name=implementation,
                    url=url,
                )
                above[implementation] = int(measure.run_python(["-c", code]))
        limit = bench_remote.MEMORY_LIMIT_BYTES
        for implementation, theirs in above.items():
            if implementation == OURS:
                continue
            yield Line(
                row.name, row.title, implementation,
                f"{above[OURS] / MIB:.1f} MiB", f"{theirs / MIB:.1f} MiB", "",
                f"<= {limit // MIB}", "PASS" if above[OURS] <= limit else "short",
                raw={"ours_bytes": above[OURS], "theirs_bytes": theirs},
            )  # fmt: skip

    return run


def _run_bench(bench: Callable[[Path, int], Any]) -> Callable[[Setup, Row], Iterator[Line]]:
    """Rows of a subject's own module: a context that yields a contest of ours and cloud-volume."""

    def run(setup: Setup, row: Row) -> Iterator[Line]:
        with bench(setup.data.folder, setup.seed) as contest:
            contest.run(setup.repeat)
        yield from _contest_lines(contest, row, {})

    return run


def _run_shared(
    name: str, compare: Callable[..., measure.Contest]
) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        contest = compare(setup.data.path(name), OURS, CV, setup.repeat)
        yield from _contest_lines(contest, row, {})

    return run


def _run_warm_overhead(setup: Setup, row: Row) -> Iterator[Line]:
    shared, private = bench_shared.warm_overhead(setup.data.path("cseg"), setup.repeat)
    over, most = shared - private, bench_shared.OVERHEAD_SECONDS
    yield Line(
        row.name, row.title, bench_shared.BASE, _milliseconds(shared), _milliseconds(private),
        f"+{_milliseconds(over)}", f"< {_milliseconds(most)}", "PASS" if over < most else "short",
        raw={"ours_seconds": [shared], "theirs_seconds": [private]},
    )  # fmt: skip


def _run_claims(setup: Setup, row: Row) -> Iterator[Line]:
    rate, least = bench_shared.claims_per_second(), bench_shared.CLAIMS_PER_SECOND
    yield Line(
        row.name, row.title, "", f"{rate / 1e6:.1f} M/s", "", "", f">= {least / 1e6:g} M/s",
        "PASS" if rate >= least else "short", raw={"claims_per_second": rate},
    )  # fmt: skip


def _cached(title: str, name: str) -> Row:
    run = _run_boxes(name, 100, 64, is_cached=True)
    return Row(f"{name.removeprefix('slab_').replace('_', '-')}-lru", title, run, {CV: 5.0})


def _run_legacy_mesh(*, remove_duplicates: bool) -> Callable[[Setup, Row], Iterator[Line]]:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        entries, notes = bench_meshes.legacy_entries(
            setup.data.folder.parent, MESH_READERS, remove_duplicates=remove_duplicates
        )
        contest = measure.Contest(entries)
        contest.run(setup.repeat)
        yield from _contest_lines(contest, row, notes)

    return run


def _run_multilod_meshes(setup: Setup, row: Row) -> Iterator[Line]:
    entries, notes = bench_meshes.multilod_entries(
        setup.data.folder.parent, MESH_READERS, setup.threads
    )
    contest = measure.Contest(entries)
    contest.run(setup.repeat)
    yield from _contest_lines(contest, row, notes)


MESH_READERS = {OURS: "cloudvolume_fast", CV: "cloudvolume"}

ROWS = (
    Row("raw-whole", "raw uint8, whole", _run_whole("raw"), {CV: 6.0, TS: 2.8}),
    Row("gzip-whole", "raw uint8 + gzip, whole", _run_whole("raw_gzip"), {FLOOR: -1.25}),
    Row("cseg-whole", "cseg uint64, whole", _run_whole("cseg"), {CV: 5.5, TS: 3.5}),
    Row("png-whole", "png uint8, whole *", _run_whole("png"), {CV: 3.3, TS: 1.3}),
    Row("jpeg-whole", "jpeg uint8, whole *", _run_whole("jpeg"), {CV: 1.9, TS: 1.0}),
    Row("brotli-whole", "raw uint8 + brotli, whole *", _run_whole("slab_brotli"), {CV: 2.0}),
    Row("compresso-whole", "compresso uint64, whole *", _run_whole("compresso"), {CV: 1.9}),
    Row("crackle-whole", "crackle uint64, whole *", _run_whole("crackle"), {CV: 2.0}),
    Row("raw-cutouts", "raw, 100 cutouts of 64^3", _run_boxes("raw", 100, 64), {CV: 8.0, TS: 2.5}),
    Row(
        "cseg-cutouts",
        "cseg, 100 cutouts of 64^3",
        _run_boxes("cseg", 100, 64),
        {CV: 10.0, TS: 3.0},
    ),
    _cached("lru, raw uint8, 100 of 64^3 *", "slab_raw"),
    _cached("lru, raw uint64, 100 of 64^3 *", "slab_raw_labels"),
    _cached("lru, cseg uint64, 100 of 64^3 *", "slab_cseg"),
    Row("cseg-voxel", "cseg, 200 times one voxel", _run_boxes("cseg", 200, 1), {CV: 6.0, TS: 4.0}),
    Row("points", "cseg, 10,000 points", _run_points(10_000), {CV: 30.0, TS: 5.0}),
    Row("raw-write", "write raw", _run_write("raw"), {CV: 2.0, TS: 1.2}),
    Row("cseg-write", "write cseg", _run_write("cseg"), {CV: 4.0, TS: 1.5}),
    Row("png-write", "write png, level 9 *", _run_write("png"), {CV: 3.0}),
    Row("jpeg-write", "write jpeg, quality 85 *", _run_write("jpeg"), {CV: 1.5}),
    Row("raw-size", "stored size, raw + gzip", _run_stored_size("raw")),
    Row("cseg-size", "stored size, cseg + gzip", _run_stored_size("cseg")),
    Row("png-size", "stored size, png *", _run_stored_size("png")),
    Row("jpeg-size", "stored size, jpeg, quality 85 *", _run_stored_size("jpeg")),
    Row(
        "sharded-cseg-whole",
        "sharded cseg uint64 + gzip, whole",
        _run_whole("cseg_sharded"),
        {CV: 4.0, TS: 3.0},
    ),
    Row(
        "sharded-raw-whole",
        "sharded raw uint8 + gzip, whole",
        _run_whole("raw_sharded"),
        {CV: 2.3, TS: 2.3},
    ),
    Row(
        "sharded-cseg-cutouts",
        "sharded cseg, 40 cutouts of 64^3",
        _run_boxes("cseg_sharded", 40, 64),
        {CV: 40.0, TS: 3.0},
    ),
    Row(
        "sharded-raw-cutouts",
        "sharded raw, 40 cutouts of 64^3",
        _run_boxes("raw_sharded", 40, 64),
    ),
    Row(
        "sharded-cseg-voxel",
        "sharded cseg, 200 times one voxel",
        _run_boxes("cseg_sharded", 200, 1),
        {CV: 15.0, TS: 6.0},
    ),
    Row(
        "sharded-raw-voxel",
        "sharded raw, 200 times one voxel",
        _run_boxes("raw_sharded", 200, 1),
    ),
    Row(
        "locate-labels",
        "locate 1M labels by murmurhash",
        _run_locate(1_000_000, 20_000),
        {CV: 200.0},
    ),
    Row("sharded-cseg-write", "write one shard, cseg", _run_write("cseg_sharded"), {CV: 3.0}),
    Row("sharded-raw-write", "write one shard, raw", _run_write("raw_sharded"), {CV: 3.0}),
    Row("sharded-cseg-size", "stored size, one shard, cseg", _run_stored_size("cseg_sharded")),
    Row("sharded-raw-size", "stored size, one shard, raw", _run_stored_size("raw_sharded")),
    Row(
        "sharded-cseg-memory", "memory above input, shard, cseg", _run_shard_memory("cseg_sharded")
    ),
    Row("sharded-raw-memory", "memory above input, shard, raw", _run_shard_memory("raw_sharded")),
    Row("http-raw", "http, raw uint8, whole", _run_remote("raw"), {CV: 9.0, TS: 1.4}),
    Row("http-cseg", "http, cseg uint64, whole", _run_remote("cseg"), {CV: 8.0, TS: 2.5}),
    Row(
        "http-memory",
        "memory above output, http, raw uint64",
        _run_remote_memory("slab_raw_labels"),
    ),
    Row("http-cseg-memory", "memory above output, http, cseg", _run_remote_memory("cseg")),
    Row(
        "far-raw",
        "http + 50 ms, raw, whole",
        _run_remote("raw", bench_remote.DELAY_SECONDS),
        {CV: 5.0, TS: 2.5},
    ),
    Row(
        "far-cseg",
        "http + 50 ms, cseg, whole",
        _run_remote("cseg", bench_remote.DELAY_SECONDS),
        {CV: 5.0, TS: 2.5},
    ),
    Row(
        "far-sharded-open",
        "http + 50 ms, open, sharded 64^3",
        _run_remote("cseg_sharded", bench_remote.DELAY_SECONDS, is_box=True, opens=True, trips=4),
    ),
    Row(
        "far-sharded-again",
        "http + 50 ms, sharded 64^3 again",
        _run_remote("cseg_sharded", bench_remote.DELAY_SECONDS, is_box=True, trips=1),
    ),
    *(
        Row(name, title, _run_bench(bench), {CV: need})
        for name, title, bench, need in bench_skeletons.BENCHES
    ),
    Row(
        "shm-raw-private",
        "raw, parallel=2, private memory",
        _run_shared("raw", bench_shared.private),
        {bench_shared.BASE: -1.05},
    ),
    Row(
        "shm-cseg-private",
        "cseg, parallel=2, private memory",
        _run_shared("cseg", bench_shared.private),
        {bench_shared.BASE: -1.05},
    ),
    Row(
        "shm-raw-fresh",
        "raw, parallel=2, new shared memory",
        _run_shared("raw", bench_shared.fresh),
        {bench_shared.TOUCH: -1.2, CV: 6.0},
    ),
    Row(
        "shm-cseg-fresh",
        "cseg, parallel=2, new shared mem.",
        _run_shared("cseg", bench_shared.fresh),
        {bench_shared.TOUCH: -1.2, CV: 6.0},
    ),
    Row(
        "shm-raw-recycled",
        "raw, parallel=2, recycled memory",
        _run_shared("raw", bench_shared.recycled),
        {bench_shared.BASE: -1.15},
    ),
    Row(
        "shm-cseg-recycled",
        "cseg, parallel=2, recycled memory",
        _run_shared("cseg", bench_shared.recycled),
        {bench_shared.BASE: -1.15},
    ),
    Row(
        "shm-gil-write",
        "write compresso, parallel=2 *",
        _run_shared("compresso", bench_shared.gil),
        {bench_shared.BASE: 1.7},
    ),
    Row("shm-warm-call", "64^3 by warm workers, cseg", _run_warm_overhead),
    Row("shm-claims", "claims of two processes", _run_claims),
    Row("import", "import, beyond bare Python", _run_import, {CV: 4.0, TS: 1.0}),
    Row("raw-memory", "memory above output, raw", _run_memory("raw")),
    Row("gzip-memory", "memory above output, gzip", _run_memory("raw_gzip")),
    Row("cseg-memory", "memory above output, cseg", _run_memory("cseg")),
    Row("png-memory", "memory above output, png *", _run_memory("png")),
    Row("jpeg-memory", "memory above output, jpeg *", _run_memory("jpeg")),
    Row("brotli-memory", "memory above output, brotli *", _run_memory("slab_brotli")),
    Row("compresso-memory", "memory above output, compresso *", _run_memory("compresso")),
    Row("crackle-memory", "memory above output, crackle *", _run_memory("crackle")),
    Row(
        "mesh-merged",
        "mesh of 2,000 fragments, merged",
        _run_legacy_mesh(remove_duplicates=True),
        {CV: 30.0},
    ),
    Row(
        "mesh-stitched",
        "mesh of 2,000 fragments",
        _run_legacy_mesh(remove_duplicates=False),
        {CV: 5.0},
    ),
    Row("mesh-multilod", "1,000 sharded Draco meshes", _run_multilod_meshes, {CV: 3.0}),
)

if __name__ == "__main__":
    sys.exit(main())
