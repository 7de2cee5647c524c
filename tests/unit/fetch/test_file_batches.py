# SPDX-License-Identifier: BSD-3-Clause
"""Batches of objects in a folder: read, written, listed and removed, under whichever suffix they lie."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from cloudvolume_fast.errors import ChunkWriteError, UnsupportedCompressionType
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
