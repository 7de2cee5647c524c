# SPDX-License-Identifier: BSD-3-Clause
"""What is kept of meshes and skeletons in shards, and what becomes of it when a shard is written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import meshes
import numpy as np
import pytest
from osteoid import Skeleton

from cloudvolume_fast import CloudVolume


def sphere(label: int, rings: int) -> Any:
    return [meshes.sphere(rings, segid=label)]


def skeleton(label: int, length: int) -> Skeleton:
    vertices = np.arange(3 * length, dtype=np.float32).reshape(-1, 3)
    edges = np.stack([np.arange(length - 1), np.arange(1, length)], axis=1).astype(np.uint32)
    return Skeleton(vertices, edges, segid=label)


@pytest.fixture
def layer(tmp_path: Path) -> str:
    """A layer whose meshes and skeletons lie in one shard each."""
    volume = meshes.make_volume(tmp_path / "layer", mip=0)
    volume.info["skeletons"] = "skeletons"
    volume.commit_info()
    volume.mesh.meta.to_multi_resolution(16)
    volume.mesh.to_sharded(10)
    volume.mesh.meta.commit_info()
    volume.skeleton.meta.commit_info()
    volume.skeleton.to_sharded(10)
    volume.skeleton.meta.commit_info()
    return str(volume.cloudpath)


@pytest.fixture
def kept(layer: str, tmp_path: Path) -> Callable[[], Any]:
    return lambda: CloudVolume(layer, cache=str(tmp_path / "cache"), progress=False)


def names(volume: Any, folder: str) -> list[str]:
    found = (path for path in Path(volume.cache.path, folder).iterdir() if path.is_file())
    return sorted(path.name.removesuffix(".gz") for path in found)


def mesh_size(volume: Any, label: int) -> int:
    return len(volume.mesh.get(label)[label].vertices)


def test_entries_of_meshes_have_upstreams_names(layer: str, kept: Callable[[], Any]) -> None:
    CloudVolume(layer).mesh.put([sphere(5, 8), sphere(7, 6)])
    volume = kept()
    assert mesh_size(volume, 5) == mesh_size(CloudVolume(layer), 5)
    shard = volume.mesh.spec.get_filename(5)
    minishard = int(volume.mesh.spec.locate([5])[1][0])
    expected = ["5", "5-0.mesh", "info", f"{shard}-{minishard}.msi", f"{shard}.index"]
    assert names(volume, "mesh") == sorted(expected)


def test_entries_of_skeletons_have_upstreams_names(layer: str, kept: Callable[[], Any]) -> None:
    CloudVolume(layer).skeleton.upload([skeleton(5, 4), skeleton(7, 9)])
    volume = kept()
    assert len(volume.skeleton.get(7).vertices) == 9
    shard, minishard = volume.skeleton.reader.compute_shard_location(7)
    expected = ["7", "info", f"{shard}-{minishard}.msi", f"{shard}.index"]
    assert names(volume, "skeletons") == sorted(expected)


def test_a_shard_is_merged_with_what_is_stored_and_not_with_a_copy(
    layer: str, kept: Callable[[], Any]
) -> None:
    plain = CloudVolume(layer)
    volume = kept()
    volume.mesh.put([sphere(5, 8)])
    assert mesh_size(volume, 5) > 0
    plain.mesh.put([sphere(7, 6)])
    volume.mesh.put([sphere(9, 5)])
    fresh = CloudVolume(layer)
    assert [one is not None for one in fresh.mesh.exists([5, 7, 9])] == [True] * 3


def test_skeletons_that_others_wrote_survive_a_deletion(
    layer: str, kept: Callable[[], Any]
) -> None:
    volume = kept()
    volume.skeleton.upload([skeleton(5, 4), skeleton(7, 9)])
    assert len(volume.skeleton.get([5, 7])) == 2
    CloudVolume(layer).skeleton.upload([skeleton(5, 4), skeleton(7, 9), skeleton(11, 3)])
    volume.skeleton.delete(5)
    fresh = CloudVolume(layer)
    assert fresh.skeleton.exists([5, 7, 11]) == {5: False, 7: True, 11: True}
    assert volume.skeleton.get(5, allow_missing=True) is None
    assert len(volume.skeleton.get(11).vertices) == 3


@pytest.mark.parametrize("is_new", [False, True])
def test_what_was_kept_of_a_shard_goes_when_it_is_written(
    is_new: bool, layer: str, kept: Callable[[], Any]
) -> None:
    volume = kept()
    volume.mesh.put([sphere(5, 8), sphere(7, 6)])
    volume.skeleton.upload([skeleton(5, 4), skeleton(7, 9)])
    before = mesh_size(volume, 5)
    volume.mesh.get(7)
    volume.skeleton.get([5, 7])
    writer = kept() if is_new else volume
    writer.mesh.put([sphere(5, 12)])
    writer.skeleton.upload([skeleton(5, 6)])
    assert mesh_size(kept(), 5) > before
    assert len(kept().skeleton.get(5).vertices) == 6
    assert kept().skeleton.get(7, allow_missing=True) is None  # an upload replaces the whole shard
    writer.mesh.delete(5)
    assert kept().mesh.get(5, allow_missing=True) == {}
    assert mesh_size(kept(), 7) > 0
    if not is_new:
        assert mesh_size(volume, 7) > 0


def test_the_cache_is_switched_on_and_off(layer: str, tmp_path: Path) -> None:
    CloudVolume(layer).mesh.put([sphere(5, 8)])
    CloudVolume(layer).skeleton.upload([skeleton(5, 4), skeleton(7, 9)])
    volume = CloudVolume(layer, cache=str(tmp_path / "cache"))
    volume.cache.enabled = False
    assert volume.mesh.get(5)
    assert volume.skeleton.get(5)
    assert volume.cache.list_meshes() == volume.cache.list_skeletons() == []
    volume.cache.enabled = str(tmp_path / "cache")
    assert volume.mesh.get(5)
    assert volume.skeleton.get(7)  # the other one is in memory
    assert volume.cache.list_meshes()
    assert volume.cache.list_skeletons()


def test_what_does_not_decode_is_read_anew_with_its_indexes(
    layer: str, kept: Callable[[], Any]
) -> None:
    CloudVolume(layer).mesh.put([sphere(5, 8), sphere(7, 6)])
    CloudVolume(layer).skeleton.upload([skeleton(5, 4)])
    volume = kept()
    for source in (volume.mesh, volume.skeleton):
        source.get(5)
    CloudVolume(layer).mesh.put([sphere(5, 12), sphere(9, 12)])  # moves what the kept indexes name
    del volume
    folder = Path(kept().cache.path)
    for path in [*folder.rglob("5.gz"), *folder.rglob("5-0.mesh.gz")]:
        path.unlink()
    fresh = CloudVolume(layer)
    assert mesh_size(kept(), 5) == mesh_size(fresh, 5)
    assert mesh_size(kept(), 7) == mesh_size(fresh, 7)


def test_a_source_with_copies_is_pickled(layer: str, kept: Callable[[], Any]) -> None:
    CloudVolume(layer).skeleton.upload([skeleton(5, 4)])
    volume = kept()
    volume.skeleton.get(5)
    again = pickle.loads(pickle.dumps(volume.skeleton))
    assert len(again.get(5).vertices) == 4
