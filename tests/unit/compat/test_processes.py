# SPDX-License-Identifier: BSD-3-Clause
"""Volumes in other processes, in dask and joblib, and on green threads."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import support

import cloudvolume_fast
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import InvalidArgumentError

OFFSET = (10, -20, 30)


@pytest.fixture
def layer(tmp_path: Path) -> str:
    data = np.arange(40 * 30 * 20, dtype=np.uint32).reshape(40, 30, 20)
    path = f"file://{tmp_path}/layer"
    CloudVolume.from_numpy(data, vol_path=path, voxel_offset=OFFSET, chunk_size=(16, 16, 16))
    return path


def sum_of(vol) -> int:
    return int(vol[:].sum(dtype=np.uint64))


def test_pickle_is_small_and_has_no_secrets(layer: str) -> None:
    vol = CloudVolume(layer, lru_bytes=1 << 20, secrets={"token": "THE-SECRET"})
    vol[:]
    data = pickle.dumps(vol)
    assert len(data) < 10_000
    assert b"THE-SECRET" not in data
    again = pickle.loads(data)
    assert type(again) is type(vol)
    assert (again[:] == vol[:]).all()
    assert len(pickle.dumps(again)) < 10_000


def test_settings_survive_and_stay_shared(layer: str) -> None:
    vol = CloudVolume(layer, bounded=False, fill_missing=True, autocrop=True, background_color=7)
    again = pickle.loads(pickle.dumps(vol))
    found = (again.bounded, again.fill_missing, again.autocrop, again.background_color)
    assert found == (False, True, True, 7)
    again.fill_missing = False
    assert again.image.config is again.config
    assert not again.image.config.fill_missing


# Pools start processes beside threads of their own.
@pytest.mark.busy_fork
@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_volume_works_in_processes(layer: str, method: str) -> None:
    vol = CloudVolume(layer)
    expected = sum_of(vol)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(sum_of, [vol] * 4) == [expected] * 4


@pytest.mark.busy_fork
def test_volume_works_in_joblib(layer: str) -> None:
    found = support.run_python(
        f"""
import json, joblib
from cloudvolume_fast import CloudVolume
if __name__ == "__main__":
    vol = CloudVolume({layer!r})
    def ask(vol):
        import numpy
        return int(vol[:].sum(dtype=numpy.uint64))
    print(json.dumps([joblib.Parallel(2)(joblib.delayed(ask)(vol) for _ in range(3)), ask(vol)]))
"""
    )
    assert found[0] == [found[1]] * 3


INDICES = [
    np.s_[:],
    np.s_[5:30, ::2, 3],
    np.s_[-1, 2, 3:9],
    np.s_[::-1, 10:2:-3],
    np.s_[4:4],
    np.s_[..., 0],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_dask_array_is_the_volume(layer: str, index, scheduler: str) -> None:
    vol = CloudVolume(layer)
    array = vol.to_dask()
    assert (array.shape, array.dtype, array.chunksize) == (vol.shape, vol.dtype, (16, 16, 16, 1))
    assert array.name.startswith("to-dask-")
    found = array[index].compute(scheduler=scheduler)
    expected = np.asarray(vol[:])[index]
    assert found.shape == expected.shape
    assert (found == expected).all()


@pytest.mark.busy_fork
def test_dask_in_processes(layer: str) -> None:
    found = support.run_python(
        f"""
import json
from cloudvolume_fast.dask import from_cloudvolume
if __name__ == "__main__":
    array = from_cloudvolume({layer!r}, chunks=(20, 30, 20, 1))
    print(json.dumps([array.name.partition("-")[0], int(array.sum().compute(scheduler="processes"))]))
"""
    )
    assert found == ["from", sum(range(40 * 30 * 20))]


def test_dask_array_becomes_a_volume(tmp_path: Path) -> None:
    import dask.array

    data = np.random.default_rng(1).integers(0, 99, (35, 30, 20, 2)).astype(np.uint16)
    array = dask.array.from_array(data, chunks=(16, 15, 20, 2))
    path = f"file://{tmp_path}/new"
    stored = cloudvolume_fast.dask.to_cloudvolume(
        array, path, (4, 4, 40), (7, -8, 9), return_stored=True
    )
    vol = CloudVolume(path)
    assert (vol[:] == data).all()
    assert vol.chunk_size.tolist() == [16, 15, 20]
    assert vol.bounds.minpt.tolist() == [7, -8, 9]
    assert vol.layer_type == "segmentation"
    assert vol.provenance.processing[0]["method"] == "cloudvolume.dask.to_cloudvolume"
    assert (stored.compute() == data).all()


def test_dask_array_is_written_when_computed(tmp_path: Path) -> None:
    import dask.array

    path = f"file://{tmp_path}/new"
    array = dask.array.ones((8, 8, 8), chunks=(4, 4, 4), dtype=np.uint8)
    later = cloudvolume_fast.dask.to_cloudvolume(array, path, compute=False)
    assert CloudVolume(path, fill_missing=True)[:].sum() == 0
    later.compute()
    assert CloudVolume(path)[:].sum() == 512


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((8, 8), (4, 4)), ((8, 8, 8), ((3, 5), 4, 4)), ((8, 8, 8), ((4, 3, 1), 8, 8)), ((8, 8, 8, 2), (8, 8, 8, 1))],
)  # fmt: skip
def test_dask_array_that_is_no_volume_raises(tmp_path: Path, shape, chunks) -> None:
    import dask.array

    array = dask.array.zeros(shape, chunks=chunks, dtype=np.uint8)
    with pytest.raises(InvalidArgumentError, match="arr: expected"):
        cloudvolume_fast.dask.to_cloudvolume(array, f"file://{tmp_path}/new")


GREEN = """
import json
{patch}
import gevent, numpy
from cloudvolume_fast import CloudVolume

vol = CloudVolume({layer!r}, green_threads=True, compress="gzip")
plain = CloudVolume({layer!r})
expected = numpy.asarray(plain[:])
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0)

def job(i):
    box = plain.bounds
    before = ticks
    same = bool((vol[:] == expected).all()) and bool((vol.download(box) == expected).all())
    return [same, len(vol.unique(box)) == expected.size, all(vol.exists(box).values()), ticks > before]

ticker = gevent.spawn(tick)
jobs = [gevent.spawn(job, i) for i in range(8)]
gevent.joinall(jobs, raise_error=True)
before = ticks
vol[:, :, :] = expected + 1
waited = ticks > before
error = None
try:
    vol[0:5]
except ValueError as caught:
    error = type(caught).__name__
print(json.dumps([[j.value for j in jobs], waited, bool((plain[:] == expected + 1).all()), error]))
"""


@pytest.mark.busy_fork  # sanitizers do not know stacks that change under a thread
@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"])
def test_green_threads_work_and_let_others_run(layer: str, patch: str) -> None:
    found = support.run_python(GREEN.format(layer=layer, patch=patch))
    assert found == [[[True] * 4] * 8, True, True, "OutOfBoundsError"]


def test_green_threads_without_gevent_say_what_to_install(layer: str) -> None:
    found = support.run_python(
        f"""
import json, sys
sys.modules["gevent"] = None
from cloudvolume_fast import CloudVolume
out = []
later = CloudVolume({layer!r})
for make in (
    lambda: CloudVolume({layer!r}, green_threads=True),
    lambda: setattr(later, "green_threads", True),
):
    try:
        make()
    except ImportError as error:
        out.append(str(error))
print(json.dumps(out))
"""
    )
    assert (
        found
        == ["green threads need the package gevent: pip install 'cloudvolume-fast[green]'"] * 2
    )
