# SPDX-License-Identifier: BSD-3-Clause
"""Sources of meshes speak to stores alone: what they read from files they read from a server."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import meshes
import pytest

from cloudvolume_fast import CloudVolume, Mesh
from cloudvolume_fast.errors import MeshMissingError
from cloudvolume_fast.sources.precomputed.mesh.open import open_mesh_source

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
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


@pytest.fixture(params=["mem", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def layer(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a layer may be written that is not a folder."""
    if request.param == "mem":
        return f"mem://{tmp_path.name}/{request.node.name}"
    server = request.getfixturevalue("s3")
    bucket = re.sub("[^a-z0-9]+", "-", f"{tmp_path.name}-{request.node.name}".lower()).strip("-")
    server.client().create_bucket(Bucket=bucket[:60].strip("-"))
    return f"s3://{server.url}/{bucket[:60].strip('-')}/layer"


def open_layer(path: str) -> Any:
    return CloudVolume(path, progress=False, secrets=KEYS if path.startswith("s3") else None)


@pytest.mark.parametrize("kind", KINDS)
def test_meshes_are_put_saved_and_deleted_in_any_store(
    layer: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = write(tmp_path / "local", kind)
    volume = CloudVolume(
        layer, info=local.info, progress=False, secrets=KEYS if layer.startswith("s3") else None
    )
    volume.commit_info()
    volume.mesh.meta.info.update(local.mesh.meta.info)
    volume.mesh.meta.commit_info()
    volume = open_layer(layer)
    assert type(volume.mesh) is type(local.mesh)
    given = {label: meshes.sphere(8 + label, segid=label) for label in (5, 6)}
    shape = {} if kind == "legacy" else {"chunk_shape": (20, 20, 2)}
    for source in (volume.mesh, local.mesh):
        source.put(list(given.values()), **shape)
    volume = open_layer(layer)
    arguments = {"fuse": False} if kind == "legacy" else {}
    assert volume.mesh.get([5, 6], **arguments) == local.mesh.get([5, 6], **arguments)

    monkeypatch.chdir(tmp_path)
    for file_format in ("ply", "obj", "precomputed"):
        volume.mesh.save(5, file_format=file_format)
        path = tmp_path / f"5.{file_format}"
        assert len(Mesh.load(path).faces) == len(volume.mesh.get(5, **arguments)[5].faces)
        local.mesh.save(5, str(tmp_path / "other"), file_format)
        assert path.read_bytes() == (tmp_path / "other").read_bytes()

    volume.mesh.put(meshes.sphere(30, segid=6), **shape)
    assert len(open_layer(layer).mesh.get(6, **arguments)[6].faces) > len(given[6].faces)
    volume.mesh.delete([5, 7])
    volume = open_layer(layer)
    with pytest.raises(MeshMissingError, match="no mesh of 5"):
        volume.mesh.get([5, 6])
    assert len(volume.mesh.get(6, **arguments)[6].faces) > len(given[6].faces)
    volume.mesh.delete(6)
    left = [name for name in volume.meta.store.list("mesh/") if not name.endswith("/info")]
    assert left == []
