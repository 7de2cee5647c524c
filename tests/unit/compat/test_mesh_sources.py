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
from cloudvolume_fast.datasource.precomputed.mesh import PrecomputedMeshSource
from cloudvolume_fast.datasource.precomputed.mesh.common import apply_transform
from cloudvolume_fast.datasource.precomputed.mesh.metadata import PrecomputedMeshMetadata

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import (
    InvalidArgumentError,
    ReadOnlyException,
    UnsupportedOptionError,
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
    source = PrecomputedMeshSource(volume.meta, "a cache", volume.config)
    assert isinstance(source, UnshardedLegacyPrecomputedMeshSource)
    assert (source.cache, source.meta.cache) == ("a cache", "a cache")
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
    with pytest.raises(UnsupportedOptionError, match="cache"):
        PrecomputedMeshSource.from_cloudpath(volume.cloudpath, cache=True)


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
