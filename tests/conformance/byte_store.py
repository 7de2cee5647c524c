# SPDX-License-Identifier: BSD-3-Clause
"""What every byte store does: inherit `ByteStoreSuite` in a test module and give it a store that holds `OBJECTS`."""

from __future__ import annotations

import pytest

from cloudvolume_fast.fetch.store import ByteStore, KeyRange

OBJECTS = {"folder/a": b"0123456789", "b": b"abc", "empty": b""}


class ByteStoreSuite:
    """Tests of one store, the fixture ``store``."""

    @pytest.fixture
    def store(self) -> ByteStore:
        raise NotImplementedError

    def test_is_a_byte_store(self, store: ByteStore) -> None:
        assert isinstance(store, ByteStore)

    def test_object_is_its_bytes(self, store: ByteStore) -> None:
        for key, content in OBJECTS.items():
            assert store.get(key) == content

    def test_range_is_those_bytes(self, store: ByteStore) -> None:
        assert store.get_range("folder/a", 3, 4) == b"3456"
        assert store.get_range("folder/a", 0, 10) == b"0123456789"
        assert store.get_range("folder/a", 4, 0) == b""

    def test_range_stops_at_the_end(self, store: ByteStore) -> None:
        assert store.get_range("folder/a", 8, 5) == b"89"
        assert store.get_range("folder/a", 10, 5) == b""
        assert store.get_range("folder/a", 2**70, 2**70) == b""
        assert store.get_range("folder/a", 9, 2**63) == b"9"
        assert store.get_range("empty", 0, 5) == b""

    def test_absent_object_is_none(self, store: ByteStore) -> None:
        for key in ("c", "folder/c", "b/c"):
            assert store.get(key) is None
            assert store.get_range(key, 0, 1) is None

    def test_many_ranges_come_in_the_order_asked_for(self, store: ByteStore) -> None:
        ranges = [("b", 1, 1), ("folder/a", 7, 2), ("c", 0, 1), ("b", 0, 9), ("folder/a", 0, 1)]
        found = store.get_ranges([KeyRange(*r) for r in ranges])
        assert found == [b"b", b"78", None, b"abc", b"0"]
        assert store.get_ranges([]) == []
