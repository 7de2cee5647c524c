# SPDX-License-Identifier: BSD-3-Clause
"""Meshes for `bench.py`: one of many fragments, and many of several levels of detail in shards.

The surface is seeded. Fragments are written by upstream as far as it can: single-resolution ones as it writes them,
gzip; upstream has no writer of several levels, so those are ours, which upstream reads before anything is timed.
"""

from __future__ import annotations

import gzip
import importlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
FRAGMENTS, MESHES = 2000, 1000
LABEL = 7
# Quads of a fragment on each axis: 2,000 fragments have 3.9 million vertices and 7.5 million faces.
_QUADS = (43, 44)
_EDGE_NM = 16.0


def _patch(
    x0: int, y0: int, quads: tuple[int, int], seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """A part of a wavy surface on half voxels, as marching cubes has it; its rim is that of its neighbours."""
    nx, ny = quads
    x, y = np.meshgrid(np.arange(x0, x0 + nx + 1), np.arange(y0, y0 + ny + 1), indexing="ij")
    rng = np.random.default_rng(seed)
    waves = rng.uniform(0.01, 0.2, (6, 2))
    z = sum(40 * np.sin(a * x + b * y) for a, b in waves) / 6
    points = np.stack([x, y, np.round(2 * z) / 2 + 100], axis=-1).reshape(-1, 3) * _EDGE_NM
    number = np.arange((nx + 1) * (ny + 1)).reshape(nx + 1, ny + 1)
    a, b, c, d = (
        n.ravel() for n in (number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:])
    )
    faces = np.stack([np.stack([a, b, c], 1), np.stack([b, d, c], 1)], axis=1).reshape(-1, 3)
    return points.astype(np.float32), faces.astype(np.uint32)


def _info() -> dict[str, Any]:
    volume = importlib.import_module("cloudvolume_fast").CloudVolume
    return volume.create_new_info(  # type: ignore[no-any-return]
        1, "segmentation", "uint64", "raw", (16, 16, 16), (0, 0, 0), (64, 64, 64), mesh="mesh"
    )


def _make(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Write a layer unless it is there."""
    layer = folder / f"mesh_{name}_{FORMAT}"
    if not (layer / "complete").exists():
        shutil.rmtree(layer, ignore_errors=True)
        (layer / "mesh").mkdir(parents=True)
        (layer / "info").write_text(json.dumps(_info()))
        write(layer)
        (layer / "complete").touch()
    return layer


def _write_legacy(layer: Path) -> None:
    names = []
    columns = 50
    for i in range(FRAGMENTS):
        row, column = divmod(i, columns)
        points, faces = _patch(row * _QUADS[0], column * _QUADS[1], _QUADS, 0)
        x, y = row * _QUADS[0], column * _QUADS[1]
        name = f"{LABEL}:0:{x}-{x + _QUADS[0]}_{y}-{y + _QUADS[1]}_0-200"
        data = np.uint32(len(points)).tobytes() + points.tobytes() + faces.tobytes()
        (layer / "mesh" / f"{name}.gz").write_bytes(gzip.compress(data, 6))
        names.append(name)
    (layer / "mesh" / f"{LABEL}:0").write_text(json.dumps({"fragments": names}))
    (layer / "mesh" / "info").write_text('{"@type":"neuroglancer_legacy_mesh"}')


def _write_multilod(layer: Path) -> None:
    package = importlib.import_module("cloudvolume_fast")
    source = package.CloudVolume(f"file://{layer}", progress=False).mesh
    source.meta.mip = 0
    source.meta.to_multi_resolution(16)
    source.to_sharded(MESHES, data_encoding="raw", minishard_index_encoding="raw")
    source.meta.commit_info()
    source = package.CloudVolume(f"file://{layer}", progress=False).mesh
    meshes = {}
    for label in range(1, MESHES + 1):
        edge = 10 + label % 40
        fine = package.Mesh(*_patch(label * 50, 0, (edge, edge), label))
        coarse = package.Mesh(*_patch(label * 50, 0, (edge // 2, edge // 2), label))
        meshes[label] = [fine, coarse]
    source.put(meshes, batch_size=MESHES)


def _source(module: str, layer: Path) -> Any:
    return importlib.import_module(module).CloudVolume(f"file://{layer}", progress=False).mesh


def _require_equal(label: str, ours: Any, theirs: Any) -> None:
    is_same = np.array_equal(ours.faces, theirs.faces) and np.allclose(
        ours.vertices, theirs.vertices, rtol=1e-6, atol=1e-3
    )
    if not is_same:
        raise SystemExit(f"{label}: ours and cloud-volume's meshes differ; nothing was timed")


def legacy_entries(
    folder: Path, modules: dict[str, str], *, remove_duplicates: bool
) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Return the work of each implementation, by name, and notes."""
    layer = _make(folder, "legacy", _write_legacy)
    entries: dict[str, Callable[[], Any]] = {}
    for name, module in modules.items():
        source = _source(module, layer)

        def entry(source: Any = source) -> Any:
            return source.get(LABEL, remove_duplicate_vertices=remove_duplicates)

        entries[name] = entry
    found = [entry() for entry in entries.values()]
    for other in found[1:]:
        _require_equal("legacy mesh", found[0], other)
    note = f"{len(found[0].faces):,} faces, {len(found[0].vertices):,} vertices"
    return entries, dict.fromkeys(entries, note)


def multilod_entries(
    folder: Path, modules: dict[str, str], threads: int
) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """As `legacy_entries`; the note has Draco's part of our time, which is DracoPy's for both."""
    layer = _make(folder, "multilod", _write_multilod)
    labels = list(range(1, MESHES + 1))
    entries: dict[str, Callable[[], Any]] = {}
    for name, module in modules.items():

        def entry(module: str = module) -> Any:
            return _source(module, layer).get(labels, lod=0)

        entries[name] = entry
    found = {name: entry() for name, entry in entries.items()}
    first = next(iter(found.values()))
    for meshes in found.values():
        for label in labels:
            _require_equal(f"multi-LOD mesh {label}", first[label], meshes[label])
    draco, whole = _draco_seconds(layer, labels, next(iter(entries.values())))
    note = f"DracoPy alone, one thread: {draco * 1e3:.0f} ms of {whole * 1e3:.0f} ms processor time ({threads} threads)"
    return entries, dict.fromkeys(entries, note)


def _draco_seconds(layer: Path, labels: list[int], ours: Callable[[], Any]) -> tuple[float, float]:
    """Processor seconds of DracoPy for the fragments that are read, and of all that we do."""
    package = importlib.import_module("DracoPy")
    source = _source("cloudvolume_fast", layer)
    manifests = [source.get_manifest(label) for label in labels]
    byte_range = importlib.import_module("cloudvolume_fast.locate.byte_ranges").ByteRange
    # In a shard fragments lie before their manifest.
    ranges = [
        (
            source.meta.key(str(manifest.path)),
            byte_range(
                manifest.shard_offset - manifest.data_bytes + manifest.lod_start(0),
                manifest.lod_bytes(0),
            ),
        )
        for manifest in manifests
    ]
    fragments = []
    for manifest, blob in zip(manifests, source.reader.read_ranges(ranges), strict=True):
        begin = 0
        for size in manifest.fragment_offsets[0].tolist():
            fragments.append(bytes(blob[begin : begin + size]))
            begin += size
    start = time.process_time()
    for fragment in fragments:
        package.decode(fragment)
    draco = time.process_time() - start
    start = time.process_time()
    ours()
    return draco, time.process_time() - start
