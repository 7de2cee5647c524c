# SPDX-License-Identifier: BSD-3-Clause
"""Sources of meshes speak to stores alone: what they read from files they read from a server."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import meshes
import pytest

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import MeshMissingError
from cloudvolume_fast.sources.precomputed.mesh.open import open_mesh_source

KINDS = ("legacy", "unsharded", "sharded")


def write(folder: Path, kind: str) -> Any:
    volume = meshes.make_volume(folder, mip=0)
    if kind != "legacy":
        volume.mesh.meta.to_multi_resolution(16)
    if kind == "sharded":
        volume.mesh.to_sharded(100)
    volume.mesh.meta.commit_info()
    ball = meshes.sphere(12, segid=5)
    if kind == "legacy":
        volume.mesh.put(ball, compress=None)
    else:
        volume.mesh.put(ball, chunk_shape=(20, 20, 2))
    return volume


@pytest.mark.parametrize("kind", KINDS)
def test_meshes_are_read_from_a_server(kind: str, nginx: Any, nginx_folder: Path) -> None:
    local = write(nginx_folder / "layer", kind)
    remote = CloudVolume(f"{nginx.url}/{nginx_folder.name}/layer", progress=False)
    found, expected = remote.mesh.get(5), local.mesh.get(5)
    assert found == expected
    assert type(remote.mesh) is type(local.mesh)
    alone = open_mesh_source(f"{nginx.url}/{nginx_folder.name}/layer/mesh")
    assert alone.get(5) == expected
    with pytest.raises(MeshMissingError, match="no mesh of 6"):
        remote.mesh.get([5, 6])


@pytest.mark.parametrize("kind", KINDS)
def test_sources_are_pickled_without_their_stores(kind: str, tmp_path: Path) -> None:
    source = write(tmp_path / "layer", kind).mesh
    expected = source.get(5)
    packed = pickle.dumps(source)
    assert b"FileStore" not in packed
    copy = pickle.loads(packed)
    assert copy.get(5) == expected
    assert len(packed) < 10_000
