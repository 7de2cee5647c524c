# SPDX-License-Identifier: BSD-3-Clause
"""``mem://``, shared with cloud-files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from cloudfiles import CloudFiles

from cloudvolume_fast.errors import DecompressionError, UnsupportedProtocolError
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.store import KeyRange, ObjectStore
from cloudvolume_fast.model.layer_path import parse_layer_path


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"mem://bucket{tmp_path}/layer"  # no other test's


@pytest.fixture
def store(path: str) -> ObjectStore:
    store = open_store(parse_layer_path(path))
    assert isinstance(store, ObjectStore)
    return store


@pytest.mark.parametrize("compress", [None, "gzip", "br", "zstd", "xz", "bz2"])
def test_objects_are_shared_with_cloud_files(
    store: ObjectStore, path: str, compress: str | None
) -> None:
    store.put_many([("a", b"1"), ("b/c:0", b"22" * 99)], compress=compress)
    files = CloudFiles(path)
    assert files.get("b/c:0") == b"22" * 99
    files.put("d", b"333", compress=compress)
    assert store.get_many(["d", "b/c:0", "absent", "a"]) == [b"333", b"22" * 99, None, b"1"]
    assert store.exists_many(["absent", "a"]) == [False, True]
    assert sorted(store.list()) == ["a", "b/c:0", "d"]
    assert list(store.list("b/")) == ["b/c:0"]
    assert sorted(store.list(flat=True)) == ["a", "d"]
    store.delete_many(["a", "absent"])
    assert files.get("a") is None


def test_one_object_may_be_asked_for_twice(store: ObjectStore) -> None:
    store.put("a", b"0123456789")
    assert store.get_many(["a", "a"]) == [b"0123456789"] * 2
    assert store.get_ranges(
        [
            KeyRange("a", 8, 9),
            KeyRange("a", 1, 2),
            KeyRange("a", 1, 2),
            KeyRange("a", 99, 1),
            KeyRange("absent", 0, 1),
            KeyRange("a", 3, 0),
        ]
    ) == [b"89", b"12", b"12", b"", None, b""]


def test_damaged_objects_are_named(store: ObjectStore, path: str) -> None:
    CloudFiles(path).put("a", b"text", compress="gzip", raw=True)
    with pytest.raises(DecompressionError, match=r"layer/a: "):
        store.get("a")


def test_a_store_is_pickled_as_its_path(store: ObjectStore) -> None:
    store.put("a", b"1")
    assert pickle.loads(pickle.dumps(store)).get("a") == b"1"


def test_protocols_that_nobody_speaks() -> None:
    with pytest.raises(UnsupportedProtocolError, match=r"ngauth\+https"):
        open_store(parse_layer_path("ngauth+https://server/bucket/layer"))
