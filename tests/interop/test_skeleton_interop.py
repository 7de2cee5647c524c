# SPDX-License-Identifier: BSD-3-Clause
"""cloud-volume reads the skeletons, SWC files and mirrors of spatial indexes that are written here, and the reverse."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume, Skeleton

pytestmark = pytest.mark.peers

SCRIPT = Path(__file__).with_name("skeletons_with_peer.py")
LABELS = [1, 2, 77, 2**40, 2**64 - 1]
IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
MOVED = [4, 0, 0, 10, 0, 4, 0, -7, 0, 0, 40, 3]
MEMBERS = ("vertices", "edges", "radius", "vertex_types")
FILES = {
    "40-296_0-256_0-640.spatial": {1: [40, 0, 0, 100, 100, 100], 2: [200, 0, 0, 296, 100, 100]},
    "296-440_0-256_0-640.spatial": {2: [296, 0, 0, 400, 100, 100], 3: [300, 50, 50, 400, 100, 100]},
}


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
    # The peer's threads print too.
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(lines[-1].removeprefix("RESULT "))


def require_same(found: Skeleton, expected: dict[str, Any], *, rtol: float = 0) -> None:
    for name in MEMBERS:
        np.testing.assert_allclose(getattr(found, name), np.array(expected[name]), rtol=rtol)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("transform", [IDENTITY, MOVED])
def test_skeletons_of_cloud_volume_are_read(
    tmp_path: Path, sharded: bool, transform: list[float]
) -> None:
    path = f"file://{tmp_path}/layer"
    written = call("write", path=path, labels=LABELS, transform=transform, sharded=sharded)
    vol = CloudVolume(path, progress=False)
    # A transform is applied in double precision here.
    rtol = 0 if transform == IDENTITY else 1e-6
    for skeleton in vol.skeleton.get(LABELS):
        require_same(skeleton, written[str(skeleton.id)], rtol=rtol)
    assert vol.skeleton.list().tolist() == LABELS


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("compress", [None, "br", False])
def test_skeletons_are_read_by_cloud_volume(tmp_path: Path, sharded: bool, compress: Any) -> None:
    path = f"file://{tmp_path}/layer"
    call("write", path=path, labels=[1], transform=MOVED, sharded=False)
    vol = CloudVolume(path, progress=False, compress=compress)
    if sharded:
        vol.skeleton.to_sharded(10)
    vol.skeleton.meta.commit_info()
    rng = np.random.default_rng(3)
    made = []
    for label in LABELS:
        path_of_label = Skeleton.from_path(
            (rng.random((label % 40 + 2, 3)) * 100).astype(np.float32)
        )
        path_of_label.id = label
        made.append(path_of_label)
    vol.skeleton.upload(made)
    found = call("read", path=path, labels=LABELS)
    for skeleton in vol.skeleton.get(LABELS):
        require_same(skeleton, found[str(skeleton.id)], rtol=1e-6)


def test_swc_is_read_by_each_other() -> None:
    rng = np.random.default_rng(4)
    vertices = rng.integers(0, 1000, (30, 3)).astype(np.float32)
    parents = [int(rng.integers(max(0, i - 4), i)) for i in range(1, 30)]
    edges = np.array([[p, i + 1] for i, p in enumerate(parents) if i % 9], np.uint32)
    skeleton = Skeleton(vertices, edges, rng.integers(0, 9, 30).astype(np.float32)).consolidate()
    answer = call("swc", text=skeleton.to_swc())
    theirs = answer["skeleton"]
    other = Skeleton(
        np.array(theirs["vertices"], np.float32),
        np.array(theirs["edges"], np.uint32),
        np.array(theirs["radius"], np.float32),
    )
    assert Skeleton.equivalent(skeleton, other)
    assert Skeleton.equivalent(Skeleton.from_swc(answer["text"]), skeleton)


@pytest.fixture
def indexed(tmp_path: Path) -> str:
    path = f"file://{tmp_path}/layer"
    info = CloudVolume.create_new_info(
        1,
        "segmentation",
        "uint64",
        "raw",
        [4, 4, 40],
        [10, 0, 0],
        [100, 64, 16],
        skeletons="skeletons_mip_0",
    )
    vol = CloudVolume(path, info=info)
    vol.commit_info()
    vol.skeleton.meta.info["spatial_index"] = {
        "resolution": [4, 4, 40],
        "chunk_size": [256, 256, 640],
    }
    vol.skeleton.meta.commit_info()
    vol.meta.store.put_many(
        [(f"skeletons_mip_0/{name}", json.dumps(boxes).encode()) for name, boxes in FILES.items()],
        compress="gzip",
    )
    return path


@pytest.mark.parametrize("writer", ["here", "cloud-volume"])
def test_mirrors_answer_to_both(indexed: str, tmp_path: Path, writer: str) -> None:
    database = f"sqlite://{tmp_path}/index.db"
    index = CloudVolume(indexed).skeleton.spatial_index
    assert index is not None
    if writer == "here":
        index.to_sql(database)
    else:
        call("to_sql", path=indexed, database=database)
    box = [99, 0, 0, 201, 10, 10]
    mirror = CloudVolume(indexed, spatial_index_db=database).skeleton.spatial_index
    assert mirror is not None
    locations = {str(k): sorted(v) for k, v in mirror.file_locations_per_label().items()}
    for used in (database, None):
        found = call("query", path=indexed, database=used, box=box)
        assert found["box"] == sorted(mirror.query(Bbox(box[:3], box[3:]))) == [1, 2]
        assert found["all"] == mirror.query(mirror.physical_bounds).tolist() == [1, 2, 3]
        assert found["locations"] == locations
        assert found["names"] == list(FILES)
