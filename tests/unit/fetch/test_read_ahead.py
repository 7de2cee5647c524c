# SPDX-License-Identifier: BSD-3-Clause
"""Batches that the core prepares while the caller works: the same as all at once, and nothing left behind."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import ChunkReadError, DecompressionError
from cloudvolume_fast.fetch.disk_cache import CachedStore, DiskCache
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.read_ahead import batch_size, prepared
from cloudvolume_fast.fetch.store import ObjectStore

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="counts threads by /proc")


def threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def wait_for_threads(count: int) -> None:
    """Wait until as many are left; one that was joined is listed for a moment longer."""
    end = time.monotonic() + 30
    while threads() > count and time.monotonic() < end:
        time.sleep(0.01)
    assert threads() <= count


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path / "layer"))


@pytest.fixture
def stored(store: FileStore) -> dict[str, bytes]:
    objects = {f"{i % 3}/{i}": bytes([i % 256]) * i for i in range(500)}
    store.put_many(list(objects.items())[:400], compress="gzip")
    store.put_many(list(objects.items())[400:])
    return objects


def test_batches_are_parts_of_one_call(store: FileStore, stored: dict[str, bytes]) -> None:
    assert isinstance(store, ObjectStore)
    for count in (0, 1, 2, 63, 64, 65, 500):
        keys = list(stored)[:count]
        batches = list(store.get_batches(keys))
        assert [data for batch in batches for data in batch] == store.get_many(keys)
        assert all(0 < len(batch) <= batch_size(count) for batch in batches)


def test_other_compressions_absent_and_odd_keys_are_as_in_one_call(store: FileStore) -> None:
    names = ["br", "zstd", "xz", "bz2"]
    for name in names:
        store.put_many([(f"a/{name}", name.encode() * 99)], compress=name)
    keys = [f"a/{name}" for name in names] * 20 + ["absent", "a/./br", "a/ü", "a//zstd"]
    found = [data for batch in store.get_batches(keys) for data in batch]
    assert found == store.get_many(keys)
    assert found[-4:] == [None, b"br" * 99, None, b"zstd" * 99]


def test_failures_name_the_object_when_its_batch_is_due(
    store: FileStore, stored: dict[str, bytes]
) -> None:
    keys = list(stored)
    bad = keys[300]
    path = Path(store.path(bad) + ".gz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    batches = store.get_batches(keys)
    found = []
    with pytest.raises(DecompressionError, match=bad) as error:
        found.extend(data for batch in batches for data in batch)
    assert error.value.key == str(path)
    assert found == list(stored.values())[: 300 // batch_size(500) * batch_size(500)]
    assert next(batches, None) is None
    with pytest.raises(ChunkReadError, match="xxx"):
        list(store.get_batches([*keys[:300], "x" * 300]))


@LINUX
def test_a_caller_that_stops_leaves_no_thread(store: FileStore, stored: dict[str, bytes]) -> None:
    list(store.get_batches(list(stored)))
    before = threads()
    for _ in range(20):
        batches = store.get_batches(list(stored))
        next(batches)
        batches.close()
        batches = store.get_batches(list(stored))
        next(batches)
        del batches
    wait_for_threads(before)


@LINUX
def test_ctrl_c_is_heard_within_a_batch(store: FileStore) -> None:
    # A batch takes seconds.
    content = gzip.compress(bytes(1 << 27), 1)
    Path(store.root).mkdir()
    for i in range(256):
        Path(store.path(f"{i}.gz")).write_bytes(content) if i == 0 else os.link(
            store.path("0.gz"), store.path(f"{i}.gz")
        )
    keys = [str(i) for i in range(256)]
    before = threads()
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in store.get_batches(keys):
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert time.monotonic() - began < 20
    wait_for_threads(before)


def test_interpreter_ends_with_batches_that_nobody_closed(
    store: FileStore, stored: dict[str, bytes]
) -> None:
    program = f"""
from cloudvolume_fast.fetch.file import FileStore
class Holder: pass
held = Holder()
held.batches = FileStore({store.root!r}).get_batches({list(stored)!r})
held.self = held
print(len(next(held.batches)) > 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_reads_the_rest(store: FileStore, stored: dict[str, bytes]) -> None:
    keys = list(stored)
    batches = store.get_batches(keys)
    head = next(batches)
    child = os.fork()
    if child == 0:  # nothing of the test's may run on here
        code = 1
        try:
            rest = [data for batch in batches for data in batch]
            code = 0 if [*head, *rest] == list(stored.values()) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [*head, *(data for batch in batches for data in batch)] == list(stored.values())


def test_cached_store_reads_through_its_cache(
    store: FileStore, stored: dict[str, bytes], tmp_path: Path
) -> None:
    cache = DiskCache(str(tmp_path / "cache"))
    cached = CachedStore(store, cache)
    keys = list(stored)[1:200]
    expected = [stored[key] for key in keys]
    assert [data for batch in cached.get_batches(keys) for data in batch] == expected
    store.delete_many(keys)
    assert [data for batch in cached.get_batches(keys) for data in batch] == expected


def test_core_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="expected at least 1, found 0"):
        _runtime.read_objects_ahead(b"/", ["a"], 0, 1 << 20, 0)
    numbers, positions = np.zeros(1, np.int64), np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match="numbers of wholes"):
        _runtime.inflate_ranges_ahead([], numbers, positions, positions, 1, 1 << 20, 0)
    with pytest.raises(ValueError, match="of one length"):
        _runtime.inflate_ranges_ahead([b"a"], numbers, positions, positions[:0], 1, 1 << 20, 0)


def test_what_cannot_be_inflated_is_left_to_the_caller() -> None:
    contents = [b"a" * 100, b"b" * 200, b"c" * 300, b"d" * 400]
    blob = b"".join(map(gzip.compress, contents))
    sizes = np.array([len(gzip.compress(content)) for content in contents], np.uint64)
    begins = np.cumsum(sizes) - sizes
    sizes[1] -= 1  # cut short
    begins[3] = 2**64 - 1  # behind the end
    ahead = _runtime.inflate_ranges_ahead(
        [blob], np.zeros(4, np.int64), begins.astype(np.uint64), sizes, 3, 250, 0
    )
    found = list(prepared(ahead))
    assert [data for batch, _, _ in found for data in batch] == [contents[0], None, None, None]
    assert [unclear for _, _, unclear in found] == [[1, 2], [0]]
    assert ahead.next() is None
