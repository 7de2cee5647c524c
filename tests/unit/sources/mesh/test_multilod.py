# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import meshes
import numpy as np
import pytest

from cloudvolume_fast import Mesh
from cloudvolume_fast.errors import (
    InfoValidationError,
    InvalidArgumentError,
    MeshDecodeError,
    MeshMissingError,
)
from cloudvolume_fast.model import draco
from cloudvolume_fast.model.mesh_manifest import MultiLevelPrecomputedMeshManifest
from cloudvolume_fast.sources.precomputed.mesh.multilod import (
    from_stored_model_space,
    to_stored_model_space,
)

LEVELS = [meshes.sphere(rings, segid=5) for rings in (24, 12, 8)]
OTHER = meshes.sphere(10, center=(-50, 20, 3e5), segid=2**64 - 1)


def open_volume(folder: Path, sharded: bool, bits: int = 16) -> Any:
    volume = meshes.make_volume(folder, mip=0)
    volume.mesh.meta.to_multi_resolution(bits)
    if sharded:
        volume.mesh.to_sharded(100)
    volume.mesh.meta.commit_info()
    return meshes.CloudVolume(f"file://{folder}", progress=False)


@pytest.fixture(params=[False, True], ids=["unsharded", "sharded"])
def sharded(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def volume(tmp_path: Path, sharded: bool) -> Any:
    volume = open_volume(tmp_path / "layer", sharded)
    volume.mesh.put([LEVELS, OTHER])
    return meshes.CloudVolume(volume.cloudpath, progress=False)


def farthest(points: np.ndarray, others: np.ndarray, step: int = 1) -> np.ndarray:
    """The largest distance on each axis of a point from the nearest other one."""
    out = np.zeros(3)
    for point in points[::step]:
        delta = np.abs(others.astype(np.float64) - point)
        out = np.maximum(out, delta[delta.max(axis=1).argmin()])
    return out


@pytest.mark.parametrize("bits", [10, 16])
def test_vertices_move_by_less_than_a_quantum(tmp_path: Path, sharded: bool, bits: int) -> None:
    volume = open_volume(tmp_path / "layer", sharded, bits)
    volume.mesh.put([LEVELS, OTHER], chunk_shape=(11, 12.5, 3))
    manifest = volume.mesh.get_manifest(5)
    for lod, level in enumerate(LEVELS):
        found = volume.mesh.get(5, lod=lod)[5]
        quantum = manifest.chunk_shape * 2**lod * np.array([4, 4, 40]) / (2**bits - 1)
        slack = np.spacing(np.float32(1200))
        assert (farthest(level.vertices, found.vertices, 3) <= quantum / 2 + slack).all()
        # What cutting has added lies on the surface, which is a polyhedron.
        radius = np.linalg.norm(found.vertices - np.float32([300, 400, 900]), axis=1)
        assert radius.max() <= 100 + np.linalg.norm(quantum)
        assert (
            radius.min()
            >= 100 * np.cos(np.pi / len(set(level.vertices[:, 2].tolist()))) ** 2 - quantum.max()
        )
    other = volume.mesh.get(OTHER.segid)[OTHER.segid]
    quantum = np.array([11, 12.5, 3]) * [4, 4, 40] / (2**bits - 1)
    assert (
        farthest(OTHER.vertices, other.vertices) <= quantum / 2 + np.spacing(np.float32(3e5))
    ).all()


def test_levels_are_read_and_counted_from_both_ends(volume: Any) -> None:
    source = volume.mesh
    counts = [len(source.get(5, lod=lod)[5].faces) for lod in range(3)]
    assert counts == sorted(counts, reverse=True)
    # Each label's coarsest level is its own.
    for order in ([5, OTHER.segid], [OTHER.segid, 5]):
        found = source.get(order, lod=-1)
        assert list(found) == order
        assert found[5] == source.get(5, lod=2)[5]
        assert found[OTHER.segid] == source.get(OTHER.segid, lod=0)[OTHER.segid]
    for lod in (3, -4):
        with pytest.raises(MeshDecodeError, match=f"mesh of 5: .*below 3, found {lod}"):
            source.get(5, lod=lod)
    with pytest.raises(MeshDecodeError, match=f"mesh of {OTHER.segid}: "):
        source.get([5, OTHER.segid], lod=1)


def test_fragments_are_returned_apart(volume: Any) -> None:
    parts = volume.mesh.get([5], concat=False)
    manifest = volume.mesh.get_manifest(5)
    assert len(parts[5]) == manifest.num_fragments_per_lod[0] > 1
    whole = volume.mesh.get(5)[5]
    assert whole == Mesh.concatenate(*parts[5])
    assert (whole.segid, whole.encoding_type) == (5, "draco")
    low = (manifest.grid_origin + manifest.fragment_positions[0] * manifest.chunk_shape) * [
        4,
        4,
        40,
    ]
    high = low + manifest.chunk_shape * [4, 4, 40]
    for mesh, least, most in zip(parts[5], low, high, strict=True):
        assert (mesh.vertices >= least - 1e-3).all()
        assert (mesh.vertices <= most + 1e-3).all()


def test_labels_that_are_missing(volume: Any, sharded: bool) -> None:
    source = volume.mesh
    with pytest.raises(MeshMissingError, match="no mesh of 77, 78"):
        source.get([77, 5, 78])
    assert list(source.get([77, 5], allow_missing=True)) == [5]
    assert source.get(77, allow_missing=True) == {}
    assert source.get_manifest(77) is None
    if sharded:
        assert [m if m is None else m.segment_id for m in source.exists([77, 5])] == [None, 5]
        assert [m.segment_id for m in source.exists(5)] == [5]
    else:
        assert source.exists([77, 5]) == {"77": None, "5": "mesh/5.index"}


def test_a_mesh_is_replaced_and_deleted(volume: Any, sharded: bool) -> None:
    source = volume.mesh
    source.put({5: OTHER})
    assert source.get_manifest(5).num_lods == 1
    assert np.array_equal(source.get(5)[5].faces, source.get(OTHER.segid)[OTHER.segid].faces)
    source.delete([5, 1234])
    assert source.get_manifest(5) is None
    assert source.get_manifest(OTHER.segid) is not None
    source.delete(OTHER.segid)
    assert source.get([5, OTHER.segid], allow_missing=True) == {}
    folder = Path(volume.meta.store.root) / "mesh"
    # Writers of shards lock bytes of a hidden file, which stays.
    lock = {".shards.lock"} if volume.mesh.meta.is_sharded() else set()
    assert {path.name for path in folder.iterdir()} == {"info"} | lock


def test_put_refuses_what_it_cannot_store(volume: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="segid"):
        volume.mesh.put(Mesh(OTHER.vertices, OTHER.faces))
    with pytest.raises(InvalidArgumentError, match="segid"):
        volume.mesh.put([[LEVELS[0], OTHER]])
    with pytest.raises(InvalidArgumentError, match="triangles"):
        volume.mesh.put({9: Mesh([[0, 0, 0]], [])})
    with pytest.raises(InvalidArgumentError, match="levels"):
        volume.mesh.put({9: []})
    with pytest.raises(InvalidArgumentError, match="chunk_shape"):
        volume.mesh.put({9: OTHER}, chunk_shape=(1, 0, 1))
    with pytest.raises(MeshDecodeError, match="mesh of 9"):
        volume.mesh.put({9: Mesh([[0, 0, 0], [0, 1, 0], [1, 1, np.nan]], [[0, 1, 2]])})
    assert volume.mesh.get_manifest(9) is None


def test_every_fragment_has_a_parent_in_z_order(volume: Any) -> None:
    # The coarser level has no triangles where the finer one does.
    half = LEVELS[1].crop(meshes_box(low=(200, 300, 800), high=(300, 500, 1000)))
    volume.mesh.put({7: [LEVELS[0], half]}, chunk_shape=(10, 10, 2))
    manifest = volume.mesh.get_manifest(7)
    fine, coarse = (set(map(tuple, p.tolist())) for p in manifest.fragment_positions)
    assert {(x // 2, y // 2, z // 2) for x, y, z in fine} <= coarse
    assert (manifest.fragment_offsets[1] == 0).any()
    assert (
        len(volume.mesh.get(7, lod=1, concat=False)[7]) == (manifest.fragment_offsets[1] > 0).sum()
    )


def meshes_box(low: tuple, high: tuple) -> Any:
    from cloudvolume_fast import Bbox

    return Bbox(low, high)


def file_of_manifest(volume: Any, sharded: bool) -> tuple[Path, bytes]:
    folder = Path(volume.meta.store.root) / "mesh"
    if not sharded:
        return folder / "5.index", (folder / "5.index").read_bytes()
    (path,) = folder.glob("*.shard")
    return path, path.read_bytes()


def test_corrupt_manifests_are_refused(volume: Any, sharded: bool) -> None:
    path, content = file_of_manifest(volume, sharded)
    sizes = range(len(content)) if not sharded else range(0, len(content), 997)
    for size in sizes:
        path.write_bytes(content[:size])
        source = meshes.CloudVolume(volume.cloudpath, progress=False).mesh
        with pytest.raises((MeshDecodeError, MeshMissingError)):
            source.get(5)


def test_corrupt_fragments_are_refused_by_label_file_and_number(tmp_path: Path) -> None:
    volume = open_volume(tmp_path / "layer", sharded=False)
    volume.mesh.put([LEVELS])
    path = Path(volume.meta.store.root) / "mesh" / "5"
    content = path.read_bytes()
    sizes = volume.mesh.get_manifest(5).fragment_offsets[0].tolist()
    bad = bytearray(content)
    bad[sizes[0] : sizes[0] + 5] = b"XXXXX"
    path.write_bytes(bad)
    with pytest.raises(MeshDecodeError, match=r"mesh of 5: .*/mesh/5: lod 0 fragment 1: "):
        volume.mesh.get(5)
    for size in (0, 1, sum(sizes) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(
            MeshDecodeError, match=f"expected {sum(sizes)} bytes of fragments, found {size}"
        ):
            volume.mesh.get(5)
    path.unlink()
    with pytest.raises(MeshMissingError, match="no file of fragments"):
        volume.mesh.get(5)


def test_flipped_bits_of_fragments_are_refused_or_decode(tmp_path: Path) -> None:
    volume = open_volume(tmp_path / "layer", sharded=False)
    small = meshes.sphere(6, segid=5)
    volume.mesh.put(small)
    path = Path(volume.meta.store.root) / "mesh" / "5"
    content = path.read_bytes()
    refused = 0
    for bit in np.random.default_rng(0).choice(8 * len(content), 300, replace=False).tolist():
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found = volume.mesh.get(5)[5]
        except MeshDecodeError:
            refused += 1
        else:
            assert found.faces.size == 0 or found.faces.max() < len(found)
            assert np.isfinite(found.vertices).all()
    assert refused > 30


def test_positions_outside_of_the_cell_are_refused(tmp_path: Path) -> None:
    volume = open_volume(tmp_path / "layer", sharded=False, bits=10)
    q = np.array([[0, 0, 0], [0, 1024, 0], [5, 5, 5]], np.uint32)
    fragment = draco.encode_quantized(q, np.array([[0, 1, 2]], np.uint32), bits=11)
    manifest = meshes.manifest_bytes(
        (1, 1, 1), (0, 0, 0), [(1.0, (0, 0, 0), [(0, 0, 0)], [len(fragment)])]
    )
    folder = Path(volume.meta.store.root) / "mesh"
    (folder / "3.index").write_bytes(manifest)
    (folder / "3").write_bytes(fragment)
    with pytest.raises(MeshDecodeError, match=r"mesh of 3: .*expected 1023, found 1024"):
        volume.mesh.get(3)


def test_kinds_follow_the_info(tmp_path: Path) -> None:
    volume = meshes.make_volume(tmp_path / "layer")
    names = [type(volume.mesh).__name__]
    meta = volume.mesh.meta
    meta.to_multi_resolution(10)
    names.append(type(volume.mesh).__name__)
    volume.mesh.to_sharded(1000, max_labels_per_shard=100)
    names.append(type(volume.mesh).__name__)
    assert meta.info["sharding"]["shard_bits"] == 3
    volume.mesh.to_unsharded()
    names.append(type(volume.mesh).__name__)
    meta.to_single_resolution()
    names.append(type(volume.mesh).__name__)
    assert names == [
        "UnshardedLegacyPrecomputedMeshSource",
        "UnshardedMultiLevelPrecomputedMeshSource",
        "ShardedMultiLevelPrecomputedMeshSource",
        "UnshardedMultiLevelPrecomputedMeshSource",
        "UnshardedLegacyPrecomputedMeshSource",
    ]
    assert volume.mesh is volume.mesh
    assert volume.mesh.meta is meta
    assert meta.info == meta.default_info()
    for bits in (12, 0):
        with pytest.raises(ValueError, match="10 or 16"):
            meta.to_multi_resolution(bits)


def test_bad_infos_are_refused(tmp_path: Path) -> None:
    volume = meshes.make_volume(tmp_path / "layer")
    volume.mesh.meta.info = {"@type": "neuroglancer_legacy_mesh", "transform": "none"}
    with pytest.raises(InfoValidationError, match="transform"):
        volume.mesh.meta.commit_info()
    folder = tmp_path / "layer" / "mesh"
    folder.mkdir()
    for content in ("[]", "{", json.dumps({"@type": "neuroglancer_multilod_draco"})):
        (folder / "info").write_text(content)
        with pytest.raises(InfoValidationError, match="mesh/info"):
            meshes.CloudVolume(volume.cloudpath).mesh  # noqa: B018


def test_manifest_class_is_that_of_upstream() -> None:
    manifest = MultiLevelPrecomputedMeshManifest(
        7, (64, 64, 32), (10, 20, 30), 2, [1, 2], [[0, 0, 0], [0.5, 0, 0]], [2, 1],
        [[[0, 0, 0], [1, 0, 0]], [[0, 0, 0]]], [[165, 165], [157]], 503, "0.shard",
    )  # fmt: skip
    binary = manifest.to_binary()
    assert len(binary) == len(manifest) == 116
    back = MultiLevelPrecomputedMeshManifest.from_binary(binary, 7)
    assert back.fragment_positions[0].tolist() == [[0, 0, 0], [1, 0, 0]]
    assert back.to_binary() == binary
    assert manifest.header_dtype.itemsize == 68
    assert manifest.lod_start(1) == 330
    q = np.array([[512, 512, 512], [1023, 0, 0]])
    stored = to_stored_model_space(q, manifest, 0, 10, 1)
    np.testing.assert_allclose(stored, [(106.03128, 52.03128, 46.01564), (138, 20, 30)], rtol=1e-6)
    assert from_stored_model_space(stored, manifest, 0, 10, 1).tolist() == q.tolist()
    with pytest.raises(InvalidArgumentError, match="expected 2 fragments"):
        MultiLevelPrecomputedMeshManifest(
            7, (1, 1, 1), (0, 0, 0), 1, [1], [[0, 0, 0]], [2], [[[0, 0, 0]]], [[1]]
        )


def test_save_writes_a_file_for_each_label(
    volume: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    volume.mesh.save([5, OTHER.segid], file_format="precomputed")
    for label in (5, OTHER.segid):
        assert Mesh.load(f"{label}.precomputed") == volume.mesh.get(label)[label]
