# SPDX-License-Identifier: BSD-3-Clause
"""Volumes in files: whole, boxes, points, writing, stored sizes."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import gzip_floor
import measure
import numpy as np
import peers
from checks import WrongVoxelsError, decoded, fastest, is_right, require_equal, rms_error
from numpy.typing import NDArray
from table import CV, FLOOR, OURS, TS, Line, Row, Run, Setup, compare, contest_lines


def read_whole(name: str) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        expected = decoded(setup, name)
        entries, notes = fastest(
            setup,
            name,
            lambda volume: volume.read(peers.WHOLE),
            lambda label, found: require_equal(label, np.asarray(found)[..., 0], expected),
            is_whole=True,
        )
        contest = measure.Contest(entries)
        is_gzip = datasets.LAYERS[name].compress == "gzip"
        floor = gzip_floor.Floor.find(setup.data.path(name), setup.threads) if is_gzip else None
        if floor is None:
            contest.run(setup.repeat)
        else:
            gzip_floor.run_with_floor(contest, floor, setup.repeat)
        yield from contest_lines(contest, row, notes)
        if is_gzip and floor is None:
            yield Line(
                row.name, row.title, FLOOR, "", "", note="gzip_floor is absent and cannot be built"
            )

    return run


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


def read_boxes(name: str, count: int, edge: int, *, is_cached: bool = False) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        voxels = setup.data.voxels(name)
        boxes = _random_boxes(voxels.shape, count, edge, setup.seed)

        def work(volume: peers.Volume) -> list[NDArray[Any]]:
            return [volume.read(box) for box in boxes]

        def check(label: str, found: list[NDArray[Any]]) -> None:
            for box, part in zip(boxes, found, strict=True):
                require_equal(f"{label} {box}", np.asarray(part)[..., 0], voxels[box])

        # Room for everything; the check has loaded what the boxes need.
        cache_bytes = voxels.nbytes + voxels.nbytes // 4 if is_cached else 0
        entries, notes = fastest(setup, name, work, check, cache_bytes=cache_bytes)
        yield from compare(setup, row, entries, notes)

    return run


def _read_points(count: int) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        labels = setup.data.labels
        rng = np.random.default_rng([setup.seed, count])
        points = rng.integers(0, labels.shape, (count, 3))

        def check(label: str, found: Any) -> None:
            require_equal(label, peers.point_values(found, points), labels[tuple(points.T)])

        entries, notes = fastest(setup, "cseg", lambda volume: volume.read_points(points), check)
        yield from compare(setup, row, entries, notes)

    return run


def write_whole(name: str) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        layer = datasets.LAYERS[name]
        voxels = setup.data.voxels(name)[..., np.newaxis]
        expected = decoded(setup, name)[..., np.newaxis]
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
                return require_equal(label, found, expected)
            ours, theirs = (rms_error(one[..., 0], voxels[..., 0]) for one in (found, expected))
            if ours > 1.01 * theirs:
                raise WrongVoxelsError(f"{label}: expected an error of {theirs}, found {ours}")
            return None

        notes = {}
        for key, peer in setup.present.items():
            best = float("inf")
            quickest = peer.writing[0]
            for variant in peer.writing:
                chosen[key] = variant
                prepare(key)
                seconds = measure.measure(lambda key=key: opened[key].write(voxels)).seconds
                reader = peers.CLOUD_VOLUME.reading[0].open(path[key], 1, 0)
                found = np.asarray(reader.read(peers.WHOLE))
                label = f"{key} {variant.name}, writing".replace(" ,", ",")
                if not is_right(key, lambda label=label, found=found: check(label, found)):
                    continue
                if seconds < best:
                    best, quickest = seconds, variant
            chosen[key] = quickest
            notes[key] = quickest.name
        contest = measure.Contest(
            {key: lambda key=key: opened[key].write(voxels) for key in setup.present}, prepare
        )
        contest.run(setup.repeat)
        shutil.rmtree(folder)
        yield from contest_lines(contest, row, notes)

    return run


def stored_size(name: str) -> Run:
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
            errors = {key: rms_error(found[key][..., 0], part) for key in (CV, OURS)}
            note = f"rms error {errors[OURS]:.3f}, theirs {errors[CV]:.3f}"
            is_as_good = errors[OURS] <= 1.01 * errors[CV]
        else:
            require_equal("ours, stored", found[OURS][..., 0], part)
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


def _cached(title: str, name: str) -> Row:
    run = read_boxes(name, 100, 64, is_cached=True)
    return Row(f"{name.removeprefix('slab_').replace('_', '-')}-lru", title, run, {CV: 5.0})


ROWS = (
    Row("raw-whole", "raw uint8, whole", read_whole("raw"), {CV: 6.0, TS: 2.8}),
    Row("gzip-whole", "raw uint8 + gzip, whole", read_whole("raw_gzip"), {FLOOR: -1.25}),
    Row("cseg-whole", "cseg uint64, whole", read_whole("cseg"), {CV: 5.5, TS: 3.5}),
    Row("png-whole", "png uint8, whole *", read_whole("png"), {CV: 3.3, TS: 1.3}),
    Row("jpeg-whole", "jpeg uint8, whole *", read_whole("jpeg"), {CV: 1.9, TS: 1.0}),
    Row("brotli-whole", "raw uint8 + brotli, whole *", read_whole("slab_brotli"), {CV: 2.0}),
    Row("compresso-whole", "compresso uint64, whole *", read_whole("compresso"), {CV: 1.9}),
    Row("crackle-whole", "crackle uint64, whole *", read_whole("crackle"), {CV: 2.0}),
    Row("raw-cutouts", "raw, 100 cutouts of 64^3", read_boxes("raw", 100, 64), {CV: 8.0, TS: 2.5}),
    Row(
        "cseg-cutouts",
        "cseg, 100 cutouts of 64^3",
        read_boxes("cseg", 100, 64),
        {CV: 10.0, TS: 3.0},
    ),
    _cached("lru, raw uint8, 100 of 64^3 *", "slab_raw"),
    _cached("lru, raw uint64, 100 of 64^3 *", "slab_raw_labels"),
    _cached("lru, cseg uint64, 100 of 64^3 *", "slab_cseg"),
    Row("cseg-voxel", "cseg, 200 times one voxel", read_boxes("cseg", 200, 1), {CV: 6.0, TS: 4.0}),
    Row("points", "cseg, 10,000 points", _read_points(10_000), {CV: 30.0, TS: 5.0}),
    Row("raw-write", "write raw", write_whole("raw"), {CV: 2.0, TS: 1.2}),
    Row("cseg-write", "write cseg", write_whole("cseg"), {CV: 4.0, TS: 1.5}),
    Row("png-write", "write png, level 9 *", write_whole("png"), {CV: 3.0}),
    Row("jpeg-write", "write jpeg, quality 85 *", write_whole("jpeg"), {CV: 1.5}),
    Row("raw-size", "stored size, raw + gzip", stored_size("raw")),
    Row("cseg-size", "stored size, cseg + gzip", stored_size("cseg")),
    Row("png-size", "stored size, png *", stored_size("png")),
    Row("jpeg-size", "stored size, jpeg, quality 85 *", stored_size("jpeg")),
)
