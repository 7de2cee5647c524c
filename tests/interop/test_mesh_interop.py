# SPDX-License-Identifier: BSD-3-Clause
"""Meshes that are written here are read by cloud-volume, the reverse, and both ``Mesh`` classes do the same."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import meshes
import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume, Mesh

pytestmark = pytest.mark.peers

SCRIPT = Path(__file__).with_name("meshes_with_peer.py")


@functools.cache
def peer_python() -> str:
    named = os.environ.get("CVFAST_PEERS_PYTHON")
    if not named and not importlib.util.find_spec("cloudvolume"):
        pytest.skip("cloudvolume is not installed here, and CVFAST_PEERS_PYTHON names no python")
    return named or sys.executable


def call(function: str, **arguments: Any) -> Any:
    done = subprocess.run(
        [peer_python(), str(SCRIPT), function],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("\n")[2])


def load(path: Path) -> Mesh:
    stored = np.load(path)
    return Mesh(stored["vertices"], stored["faces"])


def save(path: Path, mesh: Mesh) -> str:
    np.savez(path, vertices=mesh.vertices, faces=mesh.faces)
    return str(path)


def fragments(rng: np.random.Generator, label: int) -> dict[str, bytes]:
    """Parts of a bumpy surface that share their rims, 8 by 8 voxels of (4, 4, 40) nm each."""
    out = {}
    for x0 in (0, 64, 128):
        for y0 in (0, 64):
            x, y = np.meshgrid(
                np.arange(9) * 8 + x0 + 10, np.arange(9) * 8 + y0 + 20, indexing="ij"
            )
            z = np.round(10 * np.sin(x / 17 + label) + 50)
            points = np.stack([x * 4, y * 4, z * 40], axis=-1).reshape(-1, 3)
            number = np.arange(81).reshape(9, 9)
            a, b, c, d = (
                n.ravel()
                for n in (number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:])
            )
            faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
            shuffled = rng.permutation(81)
            name = f"{label}:0:{x0}-{x0 + 64}_{y0}-{y0 + 64}_0-64"
            moved = np.argsort(shuffled)[faces]
            out[name] = meshes.fragment_bytes(
                points[shuffled].tolist(), rng.permutation(moved).tolist()
            )
    return out


@pytest.mark.parametrize("transform", [None, [2, 0, 0, 1, 0, 3, 0, 0, 0, 0, 4, -1]])
def test_legacy_meshes_are_read_alike(tmp_path: Path, transform: Any) -> None:
    members = {"mip": 0} | ({"transform": transform} if transform else {})
    volume = meshes.make_volume(tmp_path / "layer", **members)
    rng = np.random.default_rng(0)
    folder = tmp_path / "layer" / "mesh"
    for label in (5, 10, 9):
        parts = fragments(rng, label)
        for name, data in parts.items():
            (folder / name).write_bytes(data)
        (folder / f"{label}:0").write_text(json.dumps({"fragments": list(parts)}))
    cases: list[dict[str, Any]] = [
        {
            "segids": segids,
            "fuse": fuse,
            "remove_duplicate_vertices": remove,
            "chunk_size": chunk_size,
        }
        for segids in (5, [9, 10, 5])
        for fuse in (True, False)
        for remove, chunk_size in (
            (False, None),
            (True, None),
            (True, [64, 64, 64]),
            (True, [8, 16, 64]),
        )
    ]
    call("read_legacy", layer=str(tmp_path / "layer"), cases=cases, out=str(tmp_path))
    merged = 0
    for number, case in enumerate(cases):
        found = volume.mesh.get(**case)
        if case["fuse"]:
            assert found == load(tmp_path / f"{number}.npz"), case
            merged += 6 * 81 > len(found) > 400 and bool(case["chunk_size"])
        else:
            for label, mesh in found.items():
                assert mesh == load(tmp_path / f"{number}_{label}.npz"), case
    assert transform or merged


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("bits", [10, 16])
def test_multilod_meshes_that_are_written_here_are_read(
    tmp_path: Path, sharded: bool, bits: int
) -> None:
    volume = meshes.make_volume(tmp_path / "layer", mip=0)
    volume.mesh.meta.to_multi_resolution(bits)
    if sharded:
        volume.mesh.to_sharded(100, min_shards=4)
    volume.mesh.meta.commit_info()
    volume = CloudVolume(volume.cloudpath, progress=False)
    labels = [5, 9, 2**63 + 1]
    volume.mesh.put(
        {
            label: [meshes.sphere(n, center=(300 + label % 100, 400, 900)) for n in (24, 12, 8)]
            for label in labels
        },
        chunk_shape=(20, 25, 3),
    )
    (name,) = call(
        "read_multilod",
        layer=str(tmp_path / "layer"),
        labels=labels,
        lods=[0, 1, 2],
        out=str(tmp_path),
    )
    assert name == type(volume.mesh).__name__
    for lod in range(3):
        whole = volume.mesh.get(labels, lod=lod)
        apart = volume.mesh.get(labels, lod=lod, concat=False)
        for label in labels:
            expected = load(tmp_path / f"{label}_{lod}.npz")
            assert np.array_equal(whole[label].faces, expected.faces)
            # Upstream computes in single precision.
            np.testing.assert_allclose(
                whole[label].vertices, expected.vertices, rtol=1e-6, atol=1e-3
            )
            assert len(list(tmp_path.glob(f"{label}_{lod}_*.npz"))) == len(apart[label])
            for number, mesh in enumerate(apart[label]):
                assert np.array_equal(
                    mesh.faces, load(tmp_path / f"{label}_{lod}_{number}.npz").faces
                )


def test_legacy_meshes_that_are_written_there_are_read(tmp_path: Path) -> None:
    volume = meshes.make_volume(tmp_path / "layer")
    given = {label: meshes.sphere(8 + label) for label in (1, 2)}
    paths = {str(label): save(tmp_path / f"{label}.npz", mesh) for label, mesh in given.items()}
    assert call("write_legacy", layer=str(tmp_path / "layer"), meshes=paths) == ["1", "2"]
    found = volume.mesh.get([1, 2], fuse=False, remove_duplicate_vertices=False)
    assert found == given
    # And what is deleted here is gone there.
    volume.mesh.put(Mesh(given[2].vertices, given[2].faces, segid=1))
    call("read_legacy", layer=str(tmp_path / "layer"), cases=[{"segids": 1}], out=str(tmp_path))
    assert load(tmp_path / "0.npz") == given[2].consolidate()


def test_methods_of_meshes_do_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    cases, expected = [], []
    for number in range(120):
        mesh = meshes.random_mesh(rng, extent=[9, 40][number % 2])
        if len(mesh.faces) == 0:
            continue
        path = save(tmp_path / f"mesh{number}.npz", mesh)
        # Upstream marks by position, so that vertices at the same place are marked alike.
        marks = [hash(tuple(row)) % 3 > 0 for row in mesh.vertices.tolist()]
        box = ([-1.0, -1.0, -1.0], [1.0, 1.0, 1.0])
        calls: list[tuple[str, dict[str, Any], Any]] = [
            ("consolidate", {}, mesh.consolidate()),
            ("deduplicate_vertices", {"is_chunk_aligned": marks}, mesh.deduplicate_vertices(marks)),
            (
                "deduplicate_chunk_boundaries",
                {"chunk_size": [1, 1, 2], "offset": [0.5, 0, 0]},
                mesh.deduplicate_chunk_boundaries([1, 1, 2], offset=[0.5, 0, 0]),
            ),
            (
                "deduplicate_chunk_boundaries",
                {"chunk_size": [2, 2, 2], "is_draco": True, "draco_grid_size": 0.6},
                mesh.deduplicate_chunk_boundaries([2, 2, 2], is_draco=True, draco_grid_size=0.6),
            ),
            ("crop", {"bbox": box}, mesh.crop(Bbox(*box))),
            ("to_obj", {}, mesh.to_obj()),
            ("to_ply", {}, mesh.to_ply()),
            ("to_precomputed", {}, mesh.to_precomputed()),
        ]
        for method, arguments, result in calls:
            out = tmp_path / f"out{len(cases)}.npz"
            cases.append({"mesh": path, "method": method, "arguments": arguments, "out": str(out)})
            expected.append(result)
    call("call", cases=cases)
    for case, ours in zip(cases, expected, strict=True):
        if isinstance(ours, bytes):
            assert Path(case["out"]).read_bytes() == ours, case["method"]
        else:
            theirs = load(Path(case["out"]))
            assert np.array_equal(ours.vertices, theirs.vertices), case
            assert np.array_equal(ours.faces, theirs.faces), case
