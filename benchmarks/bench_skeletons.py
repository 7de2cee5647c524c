# SPDX-License-Identifier: BSD-3-Clause
"""Skeletons against cloud-volume: many small ones, as files and in shards, read and written."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measure
import numpy as np

CV, OURS = "cloud-volume", "ours"
FILES, SHARDED, VERTICES = 2_000, 10_000, 200
MEMBERS = ("vertices", "edges", "radius", "vertex_types")

Bench = Callable[[Path, int], Any]
"""Given a folder and a seed, a context with the contest."""


def _modules() -> dict[str, Any]:
    import cloudvolume

    import cloudvolume_fast

    return {OURS: cloudvolume_fast, CV: cloudvolume}


def _folder(base: Path) -> Path:
    """Make a folder that is removed when the process ends.

    ext4 searches around the inodes of files that were deleted in the last minutes: after a deletion of 2,000 files each
    new one costs all programs 0.3 ms and more, which would be all that writing measures.
    """
    base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="skeletons-", dir=base))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _make(count: int, seed: int) -> list[Any]:
    """Wiggly paths, as skeletons of neurites are."""
    from cloudvolume_fast import Skeleton

    rng = np.random.default_rng([seed, count])
    edges = np.stack([np.arange(VERTICES - 1), np.arange(1, VERTICES)], axis=1).astype(np.uint32)
    out = []
    for label in range(1, count + 1):
        steps = rng.integers(-2, 3, (VERTICES, 3)) * np.array([16, 16, 40])
        vertices = (np.cumsum(steps, axis=0) + rng.integers(0, 10**6, 3)).astype(np.float32)
        radii = (16 * np.sqrt(rng.integers(1, 400, VERTICES))).astype(np.float32)
        types = np.zeros(VERTICES, np.uint8)
        out.append(Skeleton(vertices, edges, radii, types, segid=label))
    return out


def _create(module: Any, path: Path, shards: int = 0) -> Any:
    info = module.CloudVolume.create_new_info(
        1,
        "segmentation",
        "uint64",
        "raw",
        [16, 16, 40],
        [0, 0, 0],
        [64, 64, 64],
        skeletons="skeletons_mip_0",
    )
    vol = module.CloudVolume(f"file://{path}", info=info, progress=False)
    vol.commit_info()
    if shards:
        vol.skeleton.to_sharded(shards)
    vol.skeleton.meta.commit_info()
    return vol


def _require_same(found: list[Any], expected: list[Any], who: str) -> None:
    by_label = {skeleton.id: skeleton for skeleton in found}
    if len(by_label) != len(expected):
        raise AssertionError(f"{who}: expected {len(expected)} skeletons, found {len(by_label)}")
    for skeleton in expected:
        for name in MEMBERS:
            np.testing.assert_array_equal(
                getattr(by_label[skeleton.id], name), getattr(skeleton, name), f"{who}: {name}"
            )


def _get(count: int, *, sharded: bool) -> Bench:
    @contextmanager
    def bench(base: Path, seed: int) -> Iterator[measure.Contest]:
        modules = _modules()
        made = _make(count, seed)
        labels = [skeleton.id for skeleton in made]
        folder = _folder(base)
        _create(modules[CV], folder, count if sharded else 0).skeleton.upload(made)
        volumes = {
            name: module.CloudVolume(f"file://{folder}", progress=False)
            for name, module in modules.items()
        }
        for name, vol in volumes.items():
            _require_same(vol.skeleton.get(labels), made, name)
        yield measure.Contest(
            {name: lambda vol=vol: vol.skeleton.get(labels) for name, vol in volumes.items()}
        )

    return bench


def _upload(count: int) -> Bench:
    @contextmanager
    def bench(base: Path, seed: int) -> Iterator[measure.Contest]:
        modules = _modules()
        made = _make(count, seed)
        labels = [skeleton.id for skeleton in made]
        folder = _folder(base)
        turns = itertools.count()
        opened: dict[str, Any] = {}

        def prepare(name: str) -> None:
            # Everyone writes into a new folder each turn.
            opened[name] = _create(modules[name], folder / f"{name}-{next(turns)}")
            os.sync()

        for name in modules:
            prepare(name)
            opened[name].skeleton.upload(made)
            reader = modules[CV].CloudVolume(opened[name].cloudpath, progress=False)
            _require_same(reader.skeleton.get(labels), made, name)
        yield measure.Contest(
            {name: lambda name=name: opened[name].skeleton.upload(made) for name in modules},
            prepare,
        )

    return bench


BENCHES: tuple[tuple[str, str, Bench, float], ...] = (
    ("skeleton-get", f"skeleton.get, {FILES:,} files", _get(FILES, sharded=False), 10.0),
    ("skeleton-upload", f"skeleton.upload, {FILES:,} files", _upload(FILES), 10.0),
    (
        "skeleton-sharded-get",
        f"skeleton.get, {SHARDED:,} in shards",
        _get(SHARDED, sharded=True),
        5.0,
    ),
)
"""Name, title, bench, and the ratio needed to cloud-volume."""
