# SPDX-License-Identifier: BSD-3-Clause
"""Volumes with meshes and skeletons behind a web server or in memory: pickled, in other processes, on green threads."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import meshes
import numpy as np
import pytest
import support
from servers.latency import LatencyProxy

from cloudvolume_fast import CloudVolume, Skeleton

LABEL = 5


def write(path: str) -> Any:
    voxels = np.arange(40 * 30 * 20, dtype=np.uint32).reshape(40, 30, 20)
    CloudVolume.from_numpy(voxels, vol_path=path, chunk_size=(16, 16, 16))
    vol = CloudVolume(path, progress=False)
    vol.info |= {"mesh": "mesh", "skeletons": "skeletons"}
    vol.commit_info()
    vol.mesh.meta.commit_info()
    vol.mesh.put(meshes.sphere(12, segid=LABEL), compress=None)
    points = np.arange(9, dtype=np.float32).reshape(3, 3)
    vol.skeleton.upload(Skeleton(points, np.array([[0, 1], [1, 2]]), segid=LABEL))
    return vol


@pytest.fixture
def remote(nginx: Any, nginx_folder: Path) -> Any:
    write(f"file://{nginx_folder}/layer")
    # nginx sends files under the names they have.
    for file in (nginx_folder / "layer").rglob("*.gz"):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
    return CloudVolume(f"{nginx.url}/{nginx_folder.name}/layer", progress=False)


@pytest.fixture
def memory(tmp_path: Path) -> Any:
    return write(f"mem://{tmp_path.name}/layer")


def seen(vol: Any) -> tuple[int, int, int]:
    voxels = int(vol[:].sum(dtype=np.uint64))
    return voxels, len(vol.mesh.get(LABEL)), len(vol.skeleton.get(LABEL).vertices)


def used(vol: Any) -> Any:
    """Make it hold what only its process can have: connections, indexes, sources."""
    seen(vol)
    return vol


@pytest.mark.parametrize("store", ["remote", "memory"])
def test_used_volume_is_pickled_small_and_works(store: str, request: Any) -> None:
    path = request.getfixturevalue(store).cloudpath
    vol = used(CloudVolume(path, lru_bytes=1 << 20, secrets={"token": "THE-SECRET"}))
    data = pickle.dumps(vol)
    assert len(data) < 10_000
    assert b"THE-SECRET" not in data
    again = pickle.loads(data)
    assert seen(again) == seen(vol)
    assert type(again.mesh) is type(vol.mesh)
    for source in (vol.mesh, vol.skeleton):
        content = pickle.dumps(source)
        assert len(content) < 10_000
        assert b"THE-SECRET" not in content


# Pools start processes beside threads of their own.
@pytest.mark.busy_fork
@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_used_remote_volume_works_in_processes(remote: Any, method: str) -> None:
    expected = seen(used(remote))
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(seen, [remote] * 4) == [expected] * 4


@pytest.mark.busy_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_process_has_the_memory(memory: Any) -> None:
    expected = seen(used(memory))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(seen, [memory] * 4) == [expected] * 4


@pytest.mark.busy_fork
def test_remote_volume_works_in_joblib_and_dask(remote: Any) -> None:
    expected = list(seen(remote))
    found = support.run_python(
        f"""
import json, joblib, numpy
from cloudvolume_fast import CloudVolume
def ask(vol):
    return [int(vol[:].sum(dtype=numpy.uint64)), len(vol.mesh.get(5)), len(vol.skeleton.get(5).vertices)]
if __name__ == "__main__":
    vol = CloudVolume({remote.cloudpath!r}, progress=False)
    ask(vol)
    many = joblib.Parallel(2)(joblib.delayed(ask)(vol) for _ in range(3))
    print(json.dumps([many, int(vol.to_dask().sum().compute(scheduler="processes"))]))
"""
    )
    assert found == [[expected] * 3, expected[0]]


GREEN = """
import json
from gevent import monkey
monkey.patch_all()
import gevent
from cloudvolume_fast import CloudVolume
vol = CloudVolume({path!r}, progress=False, green_threads=True)
count = 0
def counts():
    global count
    while count < 100000:
        count += 1
        gevent.sleep(0)
other = gevent.spawn(counts)
expected = int(vol[:].sum())
yielded = count > 0
jobs = [gevent.spawn(lambda: int(vol[:].sum())) for _ in range(8)]
gevent.joinall(jobs)
others = [gevent.spawn(lambda: len(vol.mesh.get(5))), gevent.spawn(lambda: len(vol.skeleton.get(5).vertices))]
gevent.joinall(others)
other.kill()
print(json.dumps([yielded, [job.value == expected for job in jobs], expected, [job.value for job in others]]))
"""


SLOW = """
import json, time
from gevent import monkey
monkey.patch_all()
import gevent
from cloudvolume_fast import CloudVolume
ticks = 0
def counts():
    global ticks
    while True:
        gevent.sleep(0.01)
        ticks += 1
other = gevent.spawn(counts)
gevent.sleep(0.02)
found = {{}}
def measure(name, work):
    before, begin = ticks, time.monotonic()
    value = work()
    found[name] = [ticks - before, time.monotonic() - begin]
    return value
path = {path!r}
vol = measure("open", lambda: CloudVolume(path, progress=False, green_threads=True))
measure("refresh", vol.refresh_info)
measure("provenance", lambda: vol.refresh_provenance())
mesh = measure("mesh", lambda: vol.mesh)
skeleton = measure("skeleton", lambda: vol.skeleton)
measure("mesh.get", lambda: mesh.get(5))
measure("mesh.exists", lambda: mesh.exists([5]))
measure("skeleton.get", lambda: skeleton.get(5))
measure("skeleton.exists", lambda: skeleton.exists([5]))
measure("skeleton.get_bbox", lambda: skeleton.get_bbox(vol.bounds * vol.resolution))
measure("spatial_index.query", lambda: skeleton.spatial_index.query(vol.bounds * vol.resolution))
measure("box", lambda: vol[:])
measure("voxel", lambda: vol[0, 0, 0])
measure("points", lambda: vol.scattered_points([(0, 0, 0), (39, 29, 19)]))
measure("unique", lambda: vol.unique(vol.bounds))
measure("exists", lambda: vol.exists(vol.bounds))
measure("image.download", lambda: vol.image.download(vol.bounds, 0))
measure("image.exists", lambda: vol.image.exists(vol.bounds, 0))
other.kill()
print(json.dumps(found))
"""


def test_other_green_threads_go_on_while_a_server_takes_its_time(
    remote: Any, nginx: Any, nginx_folder: Path
) -> None:
    pytest.importorskip("gevent")
    index = {"resolution": [1, 1, 1], "chunk_size": [1000, 1000, 1000]}
    info = {"@type": "neuroglancer_skeletons", "spatial_index": index}
    skeletons = nginx_folder / "layer" / "skeletons"
    stored = json.loads((skeletons / "info").read_text())
    (skeletons / "info").write_text(json.dumps({**stored, **info}))
    (skeletons / "info.gz").unlink(missing_ok=True)
    local: Any = CloudVolume(f"file://{nginx_folder}/layer", progress=False)
    name = local.skeleton.spatial_index.filename_of((0, 0, 0))
    (skeletons / name).write_text('{"5": [0, 0, 0, 6, 7, 8]}')
    delay = 0.25
    with LatencyProxy(nginx.url, delay) as proxy:
        path = remote.cloudpath.replace(nginx.url, proxy.url)
        found = support.run_python(SLOW.format(path=path))
    assert len(found) == 18
    # A tick is 10 ms; this asks for a quarter of those that fit into one delay.
    silent = {what: seen for what, seen in found.items() if seen[1] < delay or seen[0] < 6}
    assert not silent


def test_green_threads_read_from_a_server(remote: Any) -> None:
    pytest.importorskip("gevent")
    voxels, vertices, points = seen(remote)
    found = support.run_python(GREEN.format(path=remote.cloudpath))
    assert found == [True, [True] * 8, voxels, [vertices, points]]
