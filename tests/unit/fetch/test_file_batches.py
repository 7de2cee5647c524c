# SPDX-License-Identifier: BSD-3-Clause
"""Batches of objects in a folder: read, written, listed and removed, under whichever suffix they lie."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast.errors import (
    ChunkReadError,
    ChunkWriteError,
    DecompressionError,
    UnsupportedCompressionType,
)
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.store import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path / "layer"))


def test_folder_is_an_object_store(store: FileStore) -> None:
    assert isinstance(store, ObjectStore)
    assert store.cloudpath == f"file://{store.root}"


@pytest.mark.parametrize("compress", [None, "gzip", "br", "zstd", "xz", "bz2"])
def test_objects_come_back_in_the_order_asked_for(store: FileStore, compress: str | None) -> None:
    store.put_many([("a", b"1"), ("b/c", b"22" * 999)], compress=compress)
    assert store.get_many(["b/c", "absent", "a"]) == [b"22" * 999, None, b"1"]
    assert store.exists_many(["absent", "a", "b"]) == [False, True, False]


def test_compression_is_that_of_the_suffix(store: FileStore) -> None:
    store.put_many([("a", b"text")], compress="gzip", compress_level=1)
    assert gzip.decompress(Path(store.path("a") + ".gz").read_bytes()) == b"text"
    store.put_many([("a", b"later")])
    assert sorted(path.name for path in Path(store.root).iterdir()) == ["a"]


def test_unknown_compression_writes_nothing(store: FileStore) -> None:
    with pytest.raises(UnsupportedCompressionType):
        store.put_many([("a", b"text")], compress="rar")
    assert store.get("a") is None


def test_listing_drops_suffixes_and_unfinished_writes(store: FileStore) -> None:
    store.put_many([("m/1:0", b"1"), ("m/12:0", b"1"), ("m/deep/1", b"1"), ("info", b"1")])
    store.put_many([("m/1:0.frag", b"1")], compress="gzip")
    Path(store.path("m/.1234.tmp")).write_bytes(b"half")
    assert sorted(store.list()) == ["info", "m/12:0", "m/1:0", "m/1:0.frag", "m/deep/1"]
    assert sorted(store.list("m/1")) == ["m/12:0", "m/1:0", "m/1:0.frag"]
    assert sorted(store.list("m/1:")) == ["m/1:0", "m/1:0.frag"]
    assert sorted(store.list("m/")) == ["m/12:0", "m/1:0", "m/1:0.frag", "m/deep/1"]
    assert sorted(store.list("m/", flat=True)) == ["m/12:0", "m/1:0", "m/1:0.frag"]
    assert sorted(store.list("m/d")) == ["m/deep/1"]
    assert list(store.list("absent/")) == []


def test_deleted_objects_leave_no_copy(store: FileStore) -> None:
    store.put_many([("a", b"1"), ("b", b"1")], compress="br")
    Path(store.path("a")).write_bytes(b"stale")
    store.delete_many(["a", "absent"])
    assert sorted(store.list()) == ["b"]
    Path(store.path("folder")).mkdir()
    with pytest.raises(ChunkWriteError, match="folder"):
        store.delete_many(["folder"])


def test_many_objects_of_several_folders_keep_their_order(store: FileStore) -> None:
    objects = [(f"{i % 3}/{i}" if i % 3 else str(i), bytes([i % 256]) * i) for i in range(500)]
    store.put_many(objects, compress="gzip")
    keys = [key for key, _ in objects][::-1]
    assert store.get_many(keys) == [data for _, data in objects[::-1]]
    assert store.get_many(keys) == [store.get(key) for key in keys]
    store.delete_many(keys)
    assert store.exists_many(keys) == [False] * 500


def test_newest_copy_wins_in_a_batch(store: FileStore) -> None:
    store.put_many([("a", b"old")], compress="gzip")
    older = Path(store.path("a.gz"))
    Path(store.path("a")).write_bytes(b"new")
    os.utime(older, ns=(10**18, 10**18))
    assert store.get_many(["a"]) == [b"new"]


@pytest.mark.parametrize("suffix", [".gz", ".br", ".zstd", ".xz", ".bz2"])
def test_corrupt_objects_are_named(store: FileStore, suffix: str) -> None:
    store.put_many([("m/fine", b"1")])
    Path(store.path("m/broken") + suffix).write_bytes(b"not compressed")
    with pytest.raises(DecompressionError, match=f"m/broken{suffix}") as raised:
        store.get_many(["m/fine", "m/broken"])
    assert raised.value.key == store.path("m/broken") + suffix


def test_batches_take_the_keys_that_single_calls_take(store: FileStore) -> None:
    long = "n" * 240
    for key in ("a//b", "./c", "x/../d", long):
        store.put_many([(key, key.encode())])
        assert store.get_many([key]) == [store.get(key)] == [key.encode()]
        assert store.exists_many([key]) == [True]
        store.delete_many([key])
        assert store.get_many([key]) == [None]
    undecodable = os.fsdecode(b"\xff")
    store.put_many([(undecodable, b"1")])
    assert store.get_many([undecodable]) == [b"1"]
    with pytest.raises(ChunkReadError, match="too long"):
        store.get_many(["n" * 256])
    with pytest.raises(ValueError, match="null"):
        store.get_many(["a\0b"])


def test_folders_and_pipes_are_no_objects(store: FileStore) -> None:
    Path(store.path("folder")).mkdir(parents=True)
    os.mkfifo(store.path("pipe"))
    Path(store.path("dangling")).symlink_to("nowhere")
    keys = ["folder", "pipe", "dangling"]
    assert store.get_many(keys) == [None] * 3
    assert store.exists_many(keys) == [False] * 3


def test_of_one_keys_objects_the_last_is_kept(store: FileStore) -> None:
    store.put_many([("a", b"1"), ("b", b"2"), ("a", b"3")])
    assert store.get_many(["a", "b"]) == [b"3", b"2"]


def test_batches_take_anything_that_shows_its_bytes(store: FileStore) -> None:
    array = np.arange(6, dtype=np.uint16)
    store.put_many([("a", memoryview(array)), ("b", bytearray(b"1")), ("c", b"")], compress="gzip")
    assert store.get_many(["a", "b", "c"]) == [array.tobytes(), b"1", b""]


def test_failed_write_names_the_object_and_leaves_no_temporary(store: FileStore) -> None:
    Path(store.path("taken")).mkdir(parents=True)
    with pytest.raises(ChunkWriteError, match="taken") as raised:
        store.put_many([("taken", b"1")])
    assert raised.value.key == store.path("taken")
    assert [path.name for path in Path(store.root).rglob("*")] == ["taken"]


def test_of_several_copies_in_a_batch_the_newest_counts(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    keys = [f"a/{i}" for i in range(40)]
    store.put_many([(key, b"gzipped") for key in keys[:30]], compress="gzip")
    for number in range(0, 30, 3):
        path = tmp_path / f"a/{number}"
        path.write_bytes(b"bare")
        seconds = 10**9 * (1 if number % 2 else 2)
        os.utime(path, (seconds, seconds))
        os.utime(f"{path}.gz", (10**9 * 1.5, 10**9 * 1.5))
    (tmp_path / "a/35").mkdir()
    found = store.get_many([key for key in keys if key != "a/35"])
    expected: list[bytes | None] = [
        b"bare" if number < 30 and number % 6 == 0 else b"gzipped" if number < 30 else None
        for number in range(40)
        if number != 35
    ]
    assert found == expected
