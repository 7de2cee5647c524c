# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import os
from pathlib import Path

import pytest
from conformance.byte_store import OBJECTS, ByteStoreSuite

from cloudvolume_fast.errors import ChunkReadError
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.store import KeyRange


def make_store(tmp_path: Path) -> FileStore:
    for key, content in OBJECTS.items():
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(content)
    return FileStore(str(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return make_store(tmp_path)


class TestFileStore(ByteStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FileStore:
        return make_store(tmp_path)


def test_folder_is_absent(store: FileStore):
    assert store.get_range("folder", 0, 1) is None


def test_compressed_copy_is_not_looked_at(store: FileStore, tmp_path: Path):
    (tmp_path / "c.gz").write_bytes(b"x")
    assert store.get_range("c", 0, 1) is None


def test_many_ranges_come_in_the_order_asked_for(store: FileStore):
    ranges = [("b", 1, 1), ("folder/a", 7, 2), ("c", 0, 1), ("b", 0, 9), ("folder/a", 0, 1)]
    assert store.get_ranges([KeyRange(*r) for r in ranges]) == [b"b", b"78", None, b"abc", b"0"]
    assert store.get_ranges([]) == []


def test_unreadable_object_is_an_error(store: FileStore, tmp_path: Path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ChunkReadError, match="loop: cannot be read") as info:
        store.get_range("loop", 0, 1)
    assert info.value.errno is not None


def test_pipe_is_absent_and_does_not_block(store: FileStore, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert store.get_range("pipe", 0, 1) is None


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_descriptors_are_closed(store: FileStore):
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for _ in range(20):
        store.get_ranges([KeyRange("b", 0, 1), KeyRange("empty", 0, 1), KeyRange("folder", 0, 1)])
    assert count() == before
