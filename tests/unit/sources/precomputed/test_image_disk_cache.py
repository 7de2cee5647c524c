# SPDX-License-Identifier: BSD-3-Clause
"""Chunks kept on this machine: fetched once, never wrong, in upstream's folders."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remote_layers import KEYS, KINDS, make_labels, make_volume, remote_path
from servers.faulty import FaultServer

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import EmptyVolumeException
from cloudvolume_fast.fetch.disk_cache import DiskCache

BOX = np.s_[5:37, -7:25, 11:27]


@pytest.fixture(params=["raw", "raw_gzip", "cseg", "cseg_sharded", "raw_sharded"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def labels() -> np.ndarray:
    return make_labels()


@pytest.fixture
def served(kind: str, labels: np.ndarray, tmp_path: Path, faulty: FaultServer) -> FaultServer:
    make_volume(f"file://{tmp_path}/layer", kind, labels)
    faulty.put_folder("/bucket/layer", tmp_path / "layer")
    return faulty


def open_cached(server: FaultServer, tmp_path: Path, **settings: Any) -> Any:
    return CloudVolume(
        f"{server.url}/bucket/layer", cache=str(tmp_path / "cache"), progress=False, **settings
    )


def entries(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "cache").rglob("4_4_40/*") if path.is_file())


def test_second_read_asks_nobody(served: FaultServer, tmp_path: Path, labels: np.ndarray) -> None:
    assert np.array_equal(open_cached(served, tmp_path)[:], labels)
    assert len(entries(tmp_path)) == 5 * 4 * 7
    vol = open_cached(served, tmp_path)
    first = len(served.requests)
    assert np.array_equal(vol[:], labels)
    assert np.array_equal(vol[BOX], labels[:32, :32, :16])
    assert vol.scattered_points([(5, -7, 11)]) == {(5, -7, 11): labels[0, 0, 0, 0]}
    assert len(served.requests) == first


def test_entries_have_upstreams_names_and_content(
    kind: str, served: FaultServer, tmp_path: Path, labels: np.ndarray
) -> None:
    open_cached(served, tmp_path)[5:21, -7:9, 11:19]
    (entry,) = entries(tmp_path)
    folder = tmp_path / "cache" / "http" / served.url.removeprefix("http://") / "bucket" / "layer"
    stem = "0" if KINDS[kind][2] else "5-21_-7-9_11-19"
    assert entry == folder / "4_4_40" / f"{stem}.gz"
    if KINDS[kind][0] == "raw":
        assert gzip.decompress(entry.read_bytes()) == labels[:16, :16, :8].tobytes("F")


def test_compression_of_entries_is_the_callers(
    kind: str, served: FaultServer, tmp_path: Path, labels: np.ndarray
) -> None:
    for compress, suffix in ((False, ""), ("br", ".br")):
        cache = tmp_path / f"cache{suffix}"
        vol = CloudVolume(
            f"{served.url}/bucket/layer", cache=str(cache), compress_cache=compress, progress=False
        )
        assert np.array_equal(vol[BOX], labels[:32, :32, :16])
        assert {path.suffix for path in cache.rglob("4_4_40/*")} == {suffix}
        first = len(served.requests)
        assert np.array_equal(vol[BOX], labels[:32, :32, :16])
        assert len(served.requests) == first


def test_cache_only_fetches_chunks_and_returns_none(
    served: FaultServer, tmp_path: Path, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In many blocks, so that a large box is not held in memory as a whole.
    monkeypatch.setattr("cloudvolume_fast.sources.precomputed.transfer._BLOCK_BYTES", 1 << 14)
    vol = open_cached(served, tmp_path)
    assert vol.download_files(vol.bounds, cache_only=True) == {}
    assert len(entries(tmp_path)) == 5 * 4 * 7
    first = len(served.requests)
    assert np.array_equal(vol[:], labels)
    assert vol.download_files(vol.bounds, cache_only=True) == {}
    assert len(served.requests) == first


def test_cache_only_without_a_cache_fetches_nothing(served: FaultServer) -> None:
    vol = CloudVolume(f"{served.url}/bucket/layer")
    first = len(served.requests)
    assert vol.download_files(vol.bounds, cache_only=True) == {}
    assert len(served.requests) == first


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "other"])
def test_damaged_entry_is_fetched_again(
    damage: str, served: FaultServer, tmp_path: Path, labels: np.ndarray
) -> None:
    vol = open_cached(served, tmp_path)
    vol[:]
    for path in entries(tmp_path)[::3]:
        data = bytearray(path.read_bytes())
        if damage == "cut":
            data = data[: len(data) // 2]
        elif damage == "flipped":
            data[len(data) // 2] ^= 0x40
        elif damage == "emptied":
            data = bytearray()
        else:
            data = bytearray(gzip.compress(b"something else"))
        path.write_bytes(data)
    assert np.array_equal(vol[:], labels)
    first = len(served.requests)
    assert np.array_equal(vol[:], labels)
    assert len(served.requests) == first


def test_absence_is_kept_until_it_is_flushed(
    served: FaultServer, kind: str, tmp_path: Path, labels: np.ndarray
) -> None:
    if KINDS[kind][2]:
        taken = {
            name: served.objects.pop(name)
            for name in list(served.objects)
            if name.endswith(".shard")
        }
    else:
        taken = {
            "/bucket/layer/4_4_40/5-21_-7-9_11-19": served.objects.pop(
                "/bucket/layer/4_4_40/5-21_-7-9_11-19"
            )
        }
    vol = open_cached(served, tmp_path)
    with pytest.raises(EmptyVolumeException):
        vol[5:21, -7:9, 11:19]
    served.objects.update(taken)
    with pytest.raises(EmptyVolumeException):
        vol[5:21, -7:9, 11:19]
    vol.cache.flush()
    assert np.array_equal(vol[5:21, -7:9, 11:19], labels[:16, :16, :8])


def test_writes_and_deletes_reach_the_entries(
    kind: str, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
) -> None:
    vol = make_volume(
        remote_path(faulty, "layer"), kind, labels, secrets=KEYS, cache=str(tmp_path / "cache"),
        non_aligned_writes=True, fill_missing=True,
    )  # fmt: skip
    assert np.array_equal(vol[:], labels)
    expected = labels.copy()
    expected[3:20, 4:30, 5:9] = 1
    vol[8:25, -3:23, 16:20] = expected[3:20, 4:30, 5:9]
    assert np.array_equal(vol[:], expected)
    vol.delete(vol.bounds.from_slices(BOX))
    expected[:32, :32, :16] = 0
    assert np.array_equal(vol[:], expected)
    assert np.array_equal(
        CloudVolume(f"{faulty.url}/bucket/layer", fill_missing=True, progress=False)[:], expected
    )


def test_merging_does_not_start_from_an_old_copy(
    kind: str, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
) -> None:
    vol = make_volume(
        remote_path(faulty, "layer"),
        kind,
        labels,
        secrets=KEYS,
        cache=str(tmp_path / "cache"),
        non_aligned_writes=True,
    )
    vol[:]
    other = CloudVolume(
        remote_path(faulty, "layer"), secrets=KEYS, progress=False, compress=KINDS[kind][1]
    )
    newer = make_labels(8)
    other[:] = newer
    vol[6:7, -6:-5, 12:13] = np.full((1, 1, 1, 1), 5, np.uint64)
    newer[1, 1, 1] = 5
    assert np.array_equal(other[:], newer)


def test_limit_holds(
    served: FaultServer, tmp_path: Path, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVFAST_CACHE_BYTES", "20000")
    vol = open_cached(served, tmp_path)
    assert np.array_equal(vol[:], labels)
    assert (
        sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file())
        <= 20000
    )
    assert np.array_equal(vol[:], labels)


def test_what_was_read_last_is_evicted_last(
    served: FaultServer, tmp_path: Path, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVFAST_CACHE_BYTES", str(1 << 30))
    vol = open_cached(served, tmp_path)
    vol[:]
    found = entries(tmp_path)
    for number, path in enumerate(found):
        # Read once after it was written, so that the file system has no reason to note another time.
        os.utime(path, (time.time() - 5000 + number, time.time() - 9000))
    assert np.array_equal(vol[BOX], labels[:32, :32, :16])
    used = {path for path in found if path.stat().st_atime > time.time() - 100}
    assert len(used) == 8
    kept_bytes = sum(path.stat().st_size for path in used)
    vol.cache.limit_bytes = 2 * kept_bytes + 4000
    assert used <= set(entries(tmp_path)) < set(found)
    first = len(served.requests)
    assert np.array_equal(vol[BOX], labels[:32, :32, :16])
    assert len(served.requests) == first


def test_one_read_keeps_no_more_than_half_of_the_limit(
    served: FaultServer, tmp_path: Path, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_cached(served, tmp_path)[:]
    whole = sum(path.stat().st_size for path in entries(tmp_path))
    limit = whole // 2
    monkeypatch.setenv("CVFAST_CACHE_BYTES", str(limit))
    vol = CloudVolume(f"{served.url}/bucket/layer", cache=str(tmp_path / "other"), progress=False)
    assert np.array_equal(vol[:], labels)
    kept = sum(path.stat().st_size for path in (tmp_path / "other").rglob("4_4_40/*"))
    assert limit // 4 < kept <= limit // 2


def test_entries_are_not_looked_at_by_each_read(
    served: FaultServer, tmp_path: Path, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVFAST_CACHE_BYTES", str(1 << 30))
    looked = []
    evict = DiskCache.evict
    monkeypatch.setattr(DiskCache, "evict", lambda cache: looked.append(cache) or evict(cache))
    vol = open_cached(served, tmp_path)
    for _ in range(2):
        assert np.array_equal(vol[:], labels)
        assert np.array_equal(vol[BOX], labels[:32, :32, :16])
    assert len(looked) <= 1


WRITER = """
import resource, signal, sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(
    sys.argv[1], cache=sys.argv[2], secrets={"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"},
    progress=False, compress=False, compress_cache=False,
)
old = vol[:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # as if the disk were full
vol[:] = old + 1
assert np.array_equal(vol[:], old + 1)
"""


@pytest.mark.parametrize("kind", ["raw"], indirect=True)
def test_a_copy_that_cannot_be_replaced_is_dropped(
    served: FaultServer, tmp_path: Path, labels: np.ndarray
) -> None:
    path = remote_path(served, "layer")
    command = [sys.executable, "-c", WRITER, path, str(tmp_path / "cache")]
    subprocess.run(command, check=True, timeout=60)
    vol = CloudVolume(path, cache=str(tmp_path / "cache"), secrets=KEYS, progress=False)
    assert np.array_equal(vol[:], labels + 1)


def test_local_layer_may_be_cached_too(kind: str, labels: np.ndarray, tmp_path: Path) -> None:
    make_volume(f"file://{tmp_path}/layer", kind, labels)
    vol = CloudVolume(f"file://{tmp_path}/layer", cache=str(tmp_path / "cache"), progress=False)
    assert np.array_equal(vol[:], labels)
    for path in (tmp_path / "layer" / "4_4_40").iterdir():
        path.unlink()
    assert np.array_equal(vol[:], labels)


READER = """
import sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1], cache=sys.argv[2], progress=False, cache_locking=sys.argv[3] == "True")
expected = np.load(sys.argv[4])
for _ in range(4):
    assert np.array_equal(vol[:], expected)
"""


@pytest.mark.parametrize("locking", [True, False])
@pytest.mark.parametrize("kind", ["raw_gzip", "cseg_sharded"], indirect=True)
def test_many_processes_share_a_cache(
    locking: bool, served: FaultServer, tmp_path: Path, labels: np.ndarray
) -> None:
    np.save(tmp_path / "labels.npy", labels)
    command = [
        sys.executable,
        "-c",
        READER,
        f"{served.url}/bucket/layer",
        str(tmp_path / "cache"),
        str(locking),
    ]
    processes = [
        subprocess.Popen(
            [*command, str(tmp_path / "labels.npy")], env={**os.environ, "CVFAST_THREADS": "1"}
        )
        for _ in range(32)
    ]
    assert [process.wait(120) for process in processes] == [0] * 32
    assert not [path for path in (tmp_path / "cache").rglob(".*") if path.is_file()]
