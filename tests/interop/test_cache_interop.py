# SPDX-License-Identifier: BSD-3-Clause
"""A disk cache that cloud-volume filled is used here, and the reverse: chunks are not asked for again."""

from __future__ import annotations

import functools
import importlib.util
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remote_layers import KINDS, make_labels, make_volume
from servers.faulty import FaultServer
from servers.nginx import Nginx

from cloudvolume_fast import CloudVolume, _runtime

pytestmark = pytest.mark.peers

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
MISSING = "5-21_-7-9_11-19"
PEER = """
import sys
from cloudvolume import CloudVolume
path, cache, compress, what = sys.argv[1:]
compress = {"None": None, "False": False}.get(compress, compress)
vol = CloudVolume(path, cache=cache, compress_cache=compress, fill_missing=True, progress=False)
if what == "image":
    sys.stdout.buffer.write(vol[:].tobytes("F"))
elif what == "meshes":
    for label in (5, 7, 9, 2**40 + 3):
        vol.mesh.get(label)
else:
    vol.skeleton.get([int(label) for label in what.split(",")])
"""


@functools.cache
def peer_python() -> str:
    named = os.environ.get("CVFAST_PEERS_PYTHON")
    if not named and not importlib.util.find_spec("cloudvolume"):
        pytest.skip("cloudvolume is not installed here, and CVFAST_PEERS_PYTHON names no python")
    return named or sys.executable


def peer(path: str, cache: Path, compress: str | bool | None, what: str) -> bytes:
    command = [peer_python(), "-c", PEER, path, str(cache), str(compress), what]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120).stdout


@pytest.mark.parametrize("compress", [None, False, "br"])
@pytest.mark.parametrize("kind", ["raw", "raw_gzip", "cseg", "cseg_sharded", "raw_sharded"])
class TestImages:
    @pytest.fixture
    def labels(self, kind: str, faulty: FaultServer, tmp_path: Path) -> np.ndarray:
        """The layer behind the server; without shards one chunk of it is missing."""
        out = make_labels()
        make_volume(f"file://{tmp_path}/layer", kind, out)
        faulty.put_folder("/bucket/layer", tmp_path / "layer")
        if not KINDS[kind][2]:
            del faulty.objects[f"/bucket/layer/4_4_40/{MISSING}"]
            out[:16, :16, :8] = 0
        return out

    def chunks_asked_for(self, server: FaultServer, first: int) -> set[str]:
        paths = {request.path for request in server.requests[first:]}
        return {path.rpartition("/")[2] for path in paths if "/4_4_40/" in path}

    def test_that_of_cloud_volume_is_used(
        self, compress: Any, labels: np.ndarray, faulty: FaultServer, tmp_path: Path
    ) -> None:
        path, cache = f"{faulty.url}/bucket/layer", tmp_path / "cache"
        peer(path, cache, compress, "image")
        first = len(faulty.requests)
        vol = CloudVolume(
            path, cache=str(cache), compress_cache=compress, fill_missing=True, progress=False
        )
        np.testing.assert_array_equal(vol[:], labels)
        # An empty entry under a compression's suffix may as well be one that was cut short.
        assert self.chunks_asked_for(faulty, first) <= {MISSING}

    def test_cloud_volume_uses_ours(
        self, compress: Any, labels: np.ndarray, faulty: FaultServer, tmp_path: Path
    ) -> None:
        path, cache = f"{faulty.url}/bucket/layer", tmp_path / "cache"
        vol = CloudVolume(
            path, cache=str(cache), compress_cache=compress, fill_missing=True, progress=False
        )
        np.testing.assert_array_equal(vol[:], labels)
        first = len(faulty.requests)
        assert peer(path, cache, compress, "image") == labels.tobytes("F")
        asked = self.chunks_asked_for(faulty, first)
        assert not {name for name in asked if not name.endswith(".shard")}


def requests() -> int:
    return int(_runtime.HttpClient.stats()["requests"])


LAYERS = [
    ("meshes", "legacy_raw"),
    ("meshes", "multilod_sharded"),
    ("skeletons", "igneous_files"),
    ("skeletons", "igneous_sharded"),
]


class Served:
    """A golden layer behind nginx, and on this machine."""

    def __init__(self, kind: str, name: str, nginx: Nginx, folder: Path) -> None:
        content = (GOLDEN / kind / f"{name}.zip").read_bytes()
        zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
        self.kind, self.name = kind, name
        self.path = f"{nginx.url}/{folder.name}"
        local = CloudVolume(f"file://{folder}", progress=False)
        self.wanted = [5, 7, 9, 2**40 + 3] if kind == "meshes" else local.skeleton.list().tolist()
        self.expected = self.vertices(local)
        self.what = kind if kind == "meshes" else ",".join(map(str, self.wanted))

    def vertices(self, vol: Any) -> dict[int, np.ndarray]:
        source = vol.mesh if self.kind == "meshes" else vol.skeleton
        found = {label: source.get(label) for label in self.wanted}
        return {
            label: (one[label] if isinstance(one, dict) else one).vertices
            for label, one in found.items()
        }

    def check(self, vol: Any) -> None:
        for label, vertices in self.vertices(vol).items():
            np.testing.assert_array_equal(vertices, self.expected[label])


@pytest.fixture(params=LAYERS, ids=[name for _, name in LAYERS])
def served(request: pytest.FixtureRequest, nginx: Nginx, nginx_folder: Path) -> Served:
    return Served(*request.param, nginx, nginx_folder)


class TestMeshesAndSkeletons:
    def test_those_of_cloud_volume_are_used(self, served: Served, tmp_path: Path) -> None:
        peer(served.path, tmp_path / "cache", None, served.what)
        vol = CloudVolume(served.path, cache=str(tmp_path / "cache"), progress=False)
        first = requests()
        served.check(vol)
        assert requests() == first

    def test_cloud_volume_uses_ours(
        self, served: Served, nginx_folder: Path, tmp_path: Path
    ) -> None:
        cache = tmp_path / "cache"
        vol = CloudVolume(served.path, cache=str(cache), progress=False)
        served.check(vol)
        # It asks for manifests of legacy meshes even if it has kept them itself.
        asked_for = re.compile(r"(info|provenance|\d+:0)(\.gz)?")
        for data in nginx_folder.rglob("*"):
            if data.is_file() and not asked_for.fullmatch(data.name):
                data.unlink()
        peer(served.path, cache, None, served.what)

    def test_one_that_was_cut_short_is_asked_for_again(
        self, served: Served, tmp_path: Path
    ) -> None:
        cache = tmp_path / "cache"
        peer(served.path, cache, "False", served.what)
        entries = [
            path
            for path in cache.rglob("*")
            if path.is_file() and path.name not in ("info", "provenance")
        ]
        assert entries
        for path in entries:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        vol = CloudVolume(served.path, cache=str(cache), progress=False)
        served.check(vol)
        first = requests()
        served.check(CloudVolume(served.path, cache=str(cache), progress=False))
        assert requests() - first <= 4  # info and provenance: what had been cut short was replaced
