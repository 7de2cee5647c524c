# SPDX-License-Identifier: BSD-3-Clause
"""Objects kept on this machine: in upstream's layout, by any number of processes, and never a wrong one."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudvolume_fast.errors import ChunkWriteError
from cloudvolume_fast.fetch.disk_cache import CachedStore, DiskCache, cache_folder
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.store import KeyRange, ObjectStore
from cloudvolume_fast.model.layer_path import parse_layer_path


class CountingStore(FileStore):
    """Remembers what it was asked for."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def get_many(self, keys):
        self.asked += keys
        return super().get_many(keys)

    def get_ranges(self, ranges):
        self.asked += [f"{one.key} {one.offset} {one.size}" for one in ranges]
        return super().get_ranges(ranges)


@pytest.fixture
def source(tmp_path: Path) -> CountingStore:
    return CountingStore(str(tmp_path / "layer"))


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(str(tmp_path / "cache"))


@pytest.fixture
def store(source: CountingStore, cache: DiskCache) -> CachedStore:
    return CachedStore(source, cache)


def files(cache: DiskCache) -> list[str]:
    root = Path(cache.folder)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("file:///a/ds/l", "file/a/ds/l"),
        ("gs://b/ds/l", "gs/b/ds/l"),
        ("precomputed://https://host:1/ds/l", "https/host:1/ds/l"),
        ("s3://https://host/b/l", "s3/host/b/l"),
    ],
)
def test_folders(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, below: str
) -> None:
    layer = parse_layer_path(path)
    assert cache_folder(layer) == str(home / ".cloudvolume/cache" / below)
    monkeypatch.setenv("CLOUD_VOLUME_CACHE_DIR", str(tmp_path / "env"))
    assert cache_folder(layer) == str(tmp_path / "env" / below)
    assert cache_folder(layer, tmp_path / "own") == str(tmp_path / "own" / below)


def test_it_is_an_object_store(store: CachedStore) -> None:
    assert isinstance(store, ObjectStore)


def test_an_object_is_asked_for_once(store: CachedStore, source: CountingStore) -> None:
    source.put_many([("info", b"{}"), ("mesh/1:0", b"x" * 99), ("mesh/2:0", b"DRACOx")])
    for _ in range(2):
        assert store.get_many(["info", "mesh/1:0", "absent", "mesh/2:0"]) == [
            b"{}",
            b"x" * 99,
            None,
            b"DRACOx",
        ]
    assert source.asked == ["info", "mesh/1:0", "absent", "mesh/2:0", "absent"]
    assert files(store.cache) == ["info", "mesh/1:0.gz", "mesh/2:0.gz"]


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [(False, ""), (True, ".gz"), ("gzip", ".gz"), ("br", ".br"), (None, ".gz")],
)
def test_entries_are_compressed_as_asked(
    tmp_path: Path, source: CountingStore, compress: str | bool | None, suffix: str
) -> None:
    store = CachedStore(source, DiskCache(str(tmp_path / "cache"), compress=compress))
    source.put_many([("a", b"text"), ("info", b"{}")])
    assert store.get_many(["a", "info"]) == store.get_many(["a", "info"]) == [b"text", b"{}"]
    assert files(store.cache) == ["a" + suffix, "info"]


def test_damaged_entries_are_asked_for_again(store: CachedStore, source: CountingStore) -> None:
    source.put_many([("a", b"text"), ("b", b"text"), ("info", b'{"a": 1}')])
    folder = Path(store.cache.folder)
    folder.mkdir()
    (folder / "a.gz").write_bytes(gzip.compress(b"text")[:-3])
    (folder / "b").write_bytes(b"")
    (folder / "info").write_bytes(b'{"a"')
    for _ in range(2):
        assert store.get_many(["a", "b", "info"]) == [b"text", b"text", b'{"a": 1}']
    assert source.asked == ["a", "b", "info"]


def test_draco_is_kept_with_a_checksum(store: CachedStore, source: CountingStore) -> None:
    """Cut short, it may decode to something else, or to an error that nobody takes for a miss."""
    source.put("mesh/2:0", b"DRACO" + bytes(range(100)))
    assert store.get("mesh/2:0") == b"DRACO" + bytes(range(100))
    entry = Path(store.cache.folder) / "mesh/2:0.gz"
    entry.write_bytes(entry.read_bytes()[:60])
    assert store.get("mesh/2:0") == b"DRACO" + bytes(range(100))
    assert source.asked == ["mesh/2:0"] * 2
    # What cloud-volume has put there is used.
    entry.unlink()
    entry.with_suffix("").write_bytes(b"DRACO of cloud-volume")
    assert store.get("mesh/2:0") == b"DRACO of cloud-volume"


def test_what_is_written_and_removed_is_so_in_both(
    store: CachedStore, source: CountingStore
) -> None:
    source.put("a", b"old")
    assert store.get("a") == b"old"
    store.put("a", b"new")
    store.put_many([("b", b"1")], compress="br")
    assert store.get_many(["a", "b"]) == [b"new", b"1"]
    assert source.asked == ["a"]
    assert source.get("a") == b"new"
    store.delete_many(["a"])
    assert store.get("a") is None
    assert files(store.cache) == ["b.gz"]


def test_listings_are_the_layers(store: CachedStore, source: CountingStore) -> None:
    source.put("a", b"0123")
    store.cache.put("b", b"1")
    assert list(store.list()) == ["a"]
    assert store.exists_many(["a", "b"]) == [True, False]
    assert store.root == source.root  # what is no part of a store is the source's


def test_a_range_is_asked_for_once(store: CachedStore, source: CountingStore) -> None:
    data = bytes(range(100))
    source.put("k/a", data)
    wanted = [KeyRange("k/a", 10, 20), KeyRange("k/a", 50, 10)]
    assert store.get_ranges(wanted) == [data[10:30], data[50:60]]
    assert source.asked == ["k/a 10 20", "k/a 50 10"]
    assert files(store.cache) == ["k/a.parts/10-30.gz", "k/a.parts/50-60.gz"]
    inside = [KeyRange("k/a", 12, 3), *wanted, KeyRange("k/a", 29, 2), KeyRange("k/b", 10, 20)]
    assert store.get_ranges(inside) == [data[12:15], data[10:30], data[50:60], data[29:31], None]
    assert source.asked[2:] == ["k/a 29 2", "k/b 10 20"]
    assert store.get_range("k/a", 29, 2) == data[29:31]
    assert len(source.asked) == 4
    assert (
        store.get_range("k/a", 90, 20) == data[90:]
    )  # which may have grown when it is asked for again
    assert store.get_range("k/a", 90, 20) == data[90:]
    assert len(source.asked) == 6
    assert store.cache.names("k") == []


@pytest.mark.parametrize("compress", [None, False])
def test_a_damaged_range_is_asked_for_again(
    source: CountingStore, tmp_path: Path, compress: bool | None
) -> None:
    store = CachedStore(source, DiskCache(str(tmp_path / "cache"), compress=compress))
    source.put("a", b"0123456789")
    for damage in (b"", b"01", b"\x1f\x8b\x08"):
        assert store.get_range("a", 2, 6) == b"234567"
        (entry,) = files(store.cache)
        (tmp_path / "cache" / entry).write_bytes(damage)
        asked = len(source.asked)
        assert store.get_range("a", 2, 6) == b"234567"
        assert len(source.asked) == asked + 1


def test_ranges_of_what_is_replaced_or_removed_are_forgotten(
    store: CachedStore, source: CountingStore
) -> None:
    source.put("a", b"0123")
    assert store.get_range("a", 1, 2) == b"12"
    store.put("a", b"4567")
    assert store.get_range("a", 1, 2) == b"56"
    store.put_many([("a", b"89ab")], compress=False)
    assert store.get_range("a", 1, 2) == b"9a"
    store.delete_many(["a"])
    assert store.get_range("a", 1, 2) is None
    assert files(store.cache) == []


def test_a_full_or_forbidden_folder_does_not_keep_objects_from_being_read(
    source: CountingStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    cache = DiskCache(str(tmp_path / "cache"))
    store = CachedStore(source, cache)
    source.put_many([("a", b"1"), ("b", b"2")])
    assert store.get_many(["a", "b"]) == [b"1", b"2"]
    assert len(caplog.records) == 1
    with pytest.raises(ChunkWriteError, match="cannot be made"):
        cache.check()


def test_the_least_recently_used_leave_first(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path / "cache"), compress=False, limit_bytes=950)
    cache.put("info", b"{" + b" " * 98 + b"}")
    old = time.time() - 1000
    for number in range(8):
        cache.put(f"k/{number}", b"x" * 100)
        path = cache.find(f"k/{number}")
        assert path is not None
        os.utime(path, (old + number, old + number))
    os.utime(cache.path("info"), (old - 9, old - 9))
    assert cache.get("k/0") == b"x" * 100  # now it is the latest
    cache.put("k/8", b"x" * 100)
    assert cache.has("info")
    assert cache.has("k/0")
    assert not cache.has("k/1")
    assert cache.has("k/8")
    assert (
        sum(path.stat().st_size for path in Path(cache.folder).rglob("*") if path.is_file()) <= 900
    )


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path / "cache"), compress=False, limit_bytes=1 << 20)
    cache.put("k", b"1")
    left = Path(cache.folder) / ".0123.tmp"
    left.write_bytes(b"half")
    cache.evict()
    assert left.exists()  # perhaps somebody is at it
    os.utime(left, (time.time() - 7200,) * 2)
    cache.evict()
    assert not left.exists()
    assert cache.names() == ["k"]


WORKER = """
import random, sys
from cloudvolume_fast.fetch.disk_cache import CachedStore, DiskCache
from cloudvolume_fast.fetch.file import FileStore
layer, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = random.Random(seed)
cache = DiskCache(folder, compress=[None, False, "br"][seed % 3], limit_bytes=[None, 200_000][seed % 2])
store = CachedStore(FileStore(layer), cache)
keys = [str(i) for i in range(40)]
for turn in range(30):
    some = rng.sample(keys, 10)
    for key, data in zip(some, store.get_many(some)):
        assert data == key.encode() * (1000 + 13 * int(key)), key
    if seed == 0 and turn % 10 == 5:
        cache.clear()
    if seed == 1:
        cache.remove(some)
"""


@pytest.mark.slow
def test_32_processes_at_once(tmp_path: Path) -> None:
    """With different compressions and limits, and some that flush."""
    source = FileStore(str(tmp_path / "layer"))
    source.put_many([(str(i), str(i).encode() * (1000 + 13 * i)) for i in range(40)])
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, source.root, str(tmp_path / "cache"), str(seed)],
            stderr=subprocess.PIPE,
        )
        for seed in range(32)
    ]
    errors = [worker.communicate(timeout=300)[1].decode() for worker in workers]
    assert [error for error in errors if error] == []
    assert [worker.returncode for worker in workers] == [0] * 32
    assert not list((tmp_path / "cache").rglob("*.tmp"))
