# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import copy
import gc
import pickle
from pathlib import Path
from typing import Any

import meshes
import numpy as np
import pytest
from cloudvolume_fast.cacheservice import CacheService
from cloudvolume_fast.datasource.precomputed.mesh import PrecomputedMeshSource
from cloudvolume_fast.datasource.precomputed.mesh.common import apply_transform
from cloudvolume_fast.datasource.precomputed.mesh.metadata import PrecomputedMeshMetadata
from cloudvolume_fast.datasource.precomputed.skeleton import PrecomputedSkeletonSource

from cloudvolume_fast import CloudVolume, Skeleton
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import (
    InvalidArgumentError,
    MeshMissingError,
    ReadOnlyException,
    SkeletonDecodeError,
)
from cloudvolume_fast.sources.precomputed.mesh.legacy import UnshardedLegacyPrecomputedMeshSource
from cloudvolume_fast.sources.precomputed.mesh.multilod_unsharded import (
    UnshardedMultiLevelPrecomputedMeshSource,
)


@pytest.fixture
def volume(tmp_path: Path) -> Any:
    return meshes.make_volume(tmp_path / "layer", mip=0)


def test_meshes_of_a_layer_are_opened_by_its_metadata(volume: Any) -> None:
    mesh = meshes.sphere(segid=5)
    cache = volume.cache
    source = PrecomputedMeshSource(volume.meta, cache, volume.config)
    assert isinstance(source, UnshardedLegacyPrecomputedMeshSource)
    assert source.cache is source.meta.cache is cache
    source.put(mesh)
    assert volume.mesh.get(5) == mesh.consolidate()
    closed = PrecomputedMeshSource(volume.meta, None, volume.config, readonly=True)
    with pytest.raises(ReadOnlyException, match="read-only"):
        closed.put(mesh)
    info = copy.deepcopy(source.meta.info)
    info.update({"@type": "neuroglancer_multilod_draco", "vertex_quantization_bits": 10})
    other = PrecomputedMeshSource(volume.meta, None, volume.config, info=info)
    assert isinstance(other, UnshardedMultiLevelPrecomputedMeshSource)


def test_meshes_of_a_layer_are_opened_by_its_path(volume: Any) -> None:
    volume.mesh.put(meshes.sphere(segid=5))
    source = PrecomputedMeshSource.from_cloudpath(volume.cloudpath)
    assert source.path == "mesh"
    assert source.get(5) == volume.mesh.get(5)


def _cache_of(volume: Any, folder: Path) -> CacheService:
    return CacheService(volume.cloudpath, str(folder), VolumeConfig())


def _opened(how: str, kind: str, volume: Any, folder: Path) -> Any:
    opener = {"mesh": PrecomputedMeshSource, "skeleton": PrecomputedSkeletonSource}[kind]
    if how == "path":
        return opener.from_cloudpath(volume.cloudpath, cache=str(folder))
    layer = CloudVolume(volume.cloudpath, progress=False)
    cache = _cache_of(volume, folder)
    if how == "source":
        found = getattr(layer, kind)
        return type(found)(found.meta, cache, layer.config)
    return opener(layer.meta, cache, layer.config)


@pytest.mark.parametrize("kind", ["mesh", "multires", "skeleton"])
@pytest.mark.parametrize("how", ["opener", "source", "path"])
def test_objects_are_read_out_of_the_given_cache(tmp_path: Path, how: str, kind: str) -> None:
    volume = meshes.make_volume(tmp_path / "layer", mip=0)
    volume.info["skeletons"] = "skeletons"
    volume.commit_info()
    folder, cache = tmp_path / "layer" / kind, tmp_path / "cache"
    if kind == "skeleton":
        folder = tmp_path / "layer" / "skeletons"
        edges = np.array([[0, 1], [1, 2]], np.uint32)
        volume.skeleton.upload(Skeleton(np.eye(3, dtype=np.float32), edges, segid=5))
    else:
        folder = tmp_path / "layer" / "mesh"
        if kind == "multires":
            volume.mesh.meta.info.update(
                {
                    "@type": "neuroglancer_multilod_draco",
                    "vertex_quantization_bits": 16,
                    "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
                    "lod_scale_multiplier": 1,
                }
            )
            volume.mesh.meta.commit_info()
        volume.mesh.put(meshes.sphere(segid=5))
    attribute = "skeleton" if kind == "skeleton" else "mesh"

    source = _opened(how, attribute, volume, cache)
    first = source.get(5)
    stored = [path for path in folder.rglob("*") if path.is_file() and path.name != "info"]
    assert stored
    for path in stored:
        path.unlink()
    again = _opened(how, attribute, volume, cache).get(5)
    one, other = (found[5] if isinstance(found, dict) else found for found in (first, again))
    assert np.array_equal(one.vertices, other.vertices)
    assert len(one.vertices) > 2
    with pytest.raises((MeshMissingError, SkeletonDecodeError)):  # it is in the cache alone
        getattr(CloudVolume(volume.cloudpath, progress=False), attribute).get(5)


@pytest.mark.parametrize("opener", [PrecomputedMeshSource, PrecomputedSkeletonSource])
def test_caches_of_other_layers_and_other_things_are_refused(
    tmp_path: Path, opener: Any, volume: Any
) -> None:
    other = meshes.make_volume(tmp_path / "other", mip=0)
    with pytest.raises(
        InvalidArgumentError, match=r"expected that of .*layer, found that of .*other"
    ):
        opener(volume.meta, _cache_of(other, tmp_path / "cache"))
    with pytest.raises(InvalidArgumentError, match="CacheService"):
        opener(volume.meta, 5)


@pytest.mark.parametrize("kind", ["mesh", "skeleton"])
def test_metadata_know_their_volume_as_long_as_it_lives(tmp_path: Path, kind: str) -> None:
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", "raw", [4, 4, 40], [0, 0, 0], [64, 64, 64],
        mesh="mesh", skeletons="skeletons",
    )  # fmt: skip
    volume: Any = CloudVolume(f"file://{tmp_path}", info=info, progress=False)
    meta = getattr(volume, kind).meta
    assert meta.cv() is volume
    assert pickle.loads(pickle.dumps(meta)).cv is None
    other: Any = CloudVolume(f"file://{tmp_path}", info=info, progress=False)
    meta.cv = other
    assert meta.cv() is other
    del other
    gc.collect()
    assert meta.cv() is None
    meta.cv = None
    assert meta.cv is None


def test_metadata_alone_know_no_volume(volume: Any) -> None:
    assert PrecomputedMeshMetadata(volume.meta).cv is None


def test_positions_are_moved_by_a_homogeneous_map() -> None:
    positions = np.arange(6, dtype=np.float32).reshape(2, 3)
    matrix = np.diag([1.0, 2, 1, 7])
    matrix[0, 3] = 5
    matrix[2, 0] = -1
    moved = apply_transform(positions, matrix)
    assert moved.dtype == np.float64
    assert moved.tolist() == [[5, 2, 2], [8, 8, 2]]
    assert positions.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert apply_transform(positions, np.eye(4)) is positions
    assert apply_transform(np.zeros((0, 3)), matrix).shape == (0, 3)


@pytest.mark.parametrize(
    ("vertices", "transform", "name"),
    [
        (np.zeros((2, 2)), np.eye(4), "vertices"),
        (np.zeros(3), np.eye(4), "vertices"),
        (np.zeros((2, 3)), np.eye(3), "transform"),
        (np.zeros((2, 3)), np.zeros(12), "transform"),
    ],
)
def test_positions_and_maps_of_other_shapes_are_refused(
    vertices: Any, transform: Any, name: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        apply_transform(vertices, transform)
