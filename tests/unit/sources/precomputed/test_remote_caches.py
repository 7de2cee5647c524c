# SPDX-License-Identifier: BSD-3-Clause
"""``vol.cache`` of layers behind nginx: images, meshes and skeletons, in files and in shards."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remote_layers import CHUNK, OFFSET, SIZE, make_labels, make_volume
from servers.nginx import Nginx

from cloudvolume_fast import Bbox, CloudVolume, _runtime

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
LABELS = (5, 7, 9, 2**40 + 3)


def unpack(kind: str, name: str, folder: Path) -> None:
    content = (GOLDEN / kind / f"{name}.zip").read_bytes()
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)


def requests() -> int:
    return int(_runtime.HttpClient.stats()["requests"])


@pytest.fixture
def open_layer(nginx: Nginx, nginx_folder: Path, tmp_path: Path) -> Any:
    def make(**settings: Any) -> Any:
        url = f"{nginx.url}/{nginx_folder.name}"
        return CloudVolume(url, cache=str(tmp_path / "cache"), progress=False, **settings)

    return make


def damage(folder: str) -> int:
    """Cut every entry but metadata in half; return how many there are."""
    entries = [p for p in Path(folder).rglob("*") if p.is_file() and "info" not in p.name]
    for entry in entries:
        content = entry.read_bytes()
        entry.write_bytes(content[: len(content) // 2])
    return len(entries)


@pytest.mark.parametrize(
    "name", ["legacy_raw", "legacy_draco", "multilod_unsharded", "multilod_sharded"]
)
def test_meshes_are_asked_for_once(name: str, nginx_folder: Path, open_layer: Any) -> None:
    unpack("meshes", name, nginx_folder)
    local = CloudVolume(f"file://{nginx_folder}", progress=False)
    kwargs = {"lod": 1} if name.startswith("multilod") else {}

    def get(vol: Any) -> dict[int, Any]:
        out = {}
        for label in LABELS:
            found = vol.mesh.get(label, **kwargs)
            out[label] = found[label] if isinstance(found, dict) else found
        return out

    expected = get(local)
    vol = open_layer()
    assert vol.cache.list_meshes() == []

    def check(vol: Any) -> None:
        for label, mesh in get(vol).items():
            np.testing.assert_array_equal(mesh.vertices, expected[label].vertices)
            np.testing.assert_array_equal(mesh.faces, expected[label].faces)

    check(vol)
    first = requests()
    check(vol)
    assert requests() == first
    names = vol.cache.list_meshes()
    assert [name for name in names if name.startswith("info")]
    assert len(names) > len(LABELS)
    again = open_layer()
    assert again.mesh is not None
    assert again.cache.list_meshes() == names
    first = requests()
    check(again)
    assert requests() == first
    assert damage(vol.cache.path) > len(LABELS) // 2
    check(open_layer())
    vol.cache.flush()
    assert vol.cache.list_meshes() == []
    assert not Path(vol.cache.path).exists()
    check(open_layer())


@pytest.mark.parametrize("name", ["igneous_files", "igneous_sharded"])
def test_skeletons_are_asked_for_once(name: str, nginx_folder: Path, open_layer: Any) -> None:
    unpack("skeletons", name, nginx_folder)
    local = CloudVolume(f"file://{nginx_folder}", progress=False)
    labels = local.skeleton.list().tolist()
    expected = local.skeleton.get(labels)
    vol = open_layer()

    def check(vol: Any, wanted: list[int]) -> None:
        by_label = {skeleton.id: skeleton for skeleton in expected}
        for skeleton in vol.skeleton.get(wanted):
            np.testing.assert_array_equal(skeleton.vertices, by_label[skeleton.id].vertices)
            np.testing.assert_array_equal(skeleton.edges, by_label[skeleton.id].edges)

    check(vol, labels)
    first = requests()
    check(vol, labels)
    assert requests() == first
    names = vol.cache.list_skeletons()
    assert set(names) >= {f"{label}.gz" for label in labels}
    again = open_layer()
    assert again.skeleton.meta.info
    first = requests()
    check(again, labels[::2])  # which lie in what was read for all
    assert requests() == first
    assert damage(vol.cache.path) > 0
    check(open_layer(), labels)
    vol.cache.flush()
    assert vol.cache.list_skeletons() == []
    check(open_layer(), labels)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("meshes", "legacy_raw"),
        ("meshes", "legacy_draco"),
        ("meshes", "multilod_unsharded"),
        ("meshes", "multilod_sharded"),
        ("skeletons", "igneous_files"),
        ("skeletons", "igneous_sharded"),
    ],
)
def test_plain_entries_that_were_cut_are_asked_for_again(
    kind: str, name: str, nginx_folder: Path, open_layer: Any
) -> None:
    unpack(kind, name, nginx_folder)
    local = CloudVolume(f"file://{nginx_folder}", progress=False)

    def vertices(vol: Any) -> list[np.ndarray]:
        if kind == "skeletons":
            return [one.vertices for one in vol.skeleton.get(local.skeleton.list().tolist())]
        kwargs = {"lod": 1} if name.startswith("multilod") else {}
        found = [vol.mesh.get(label, **kwargs) for label in LABELS]
        meshes = [
            one[label] if isinstance(one, dict) else one
            for one, label in zip(found, LABELS, strict=True)
        ]
        return [mesh.vertices for mesh in meshes]

    expected = vertices(local)

    def check() -> None:
        found = vertices(open_layer(compress_cache=False))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)

    check()
    folder = open_layer().cache.path
    assert damage(folder) > 0
    check()
    first = requests()
    check()
    assert requests() - first <= 2  # the layer's info, and whether there is a provenance


@pytest.mark.parametrize("kind", ["raw_gzip", "cseg", "cseg_sharded"])
def test_chunks_are_counted_and_flushed(kind: str, nginx_folder: Path, open_layer: Any) -> None:
    labels = make_labels()
    make_volume(f"file://{nginx_folder}", kind, labels)
    vol = open_layer()
    assert vol.cache.num_files() == 0
    assert vol.cache.num_bytes() == 0
    assert np.array_equal(vol[:], labels)
    chunks = int(np.prod([-(-s // c) for s, c in zip(SIZE, CHUNK, strict=True)]))
    assert vol.cache.num_files() == chunks
    assert vol.cache.num_files(all_mips=True) == [chunks]
    stored = sum(p.stat().st_size for p in (Path(vol.cache.path) / vol.key).iterdir())
    assert vol.cache.num_bytes() == stored
    assert vol.cache.num_bytes(all_mips=True) == [stored]
    low = Bbox(OFFSET, [o + 2 * c for o, c in zip(OFFSET, CHUNK, strict=True)])
    vol.cache.flush_region(low)
    assert vol.cache.num_files() == chunks - 8
    first = requests()
    assert np.array_equal(vol[:], labels)
    assert requests() > first
    assert vol.cache.num_files() == chunks
    vol.cache.flush(preserve=low)
    assert vol.cache.num_files() == 8
    first = requests()
    assert np.array_equal(vol[low], labels[:32, :32, :16])
    assert requests() == first
    assert np.array_equal(vol[:], labels)
    assert damage(str(Path(vol.cache.path) / vol.key)) == chunks
    assert np.array_equal(vol[:], labels)
    vol.cache.flush()
    assert vol.cache.num_files() == 0
