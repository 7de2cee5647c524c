# SPDX-License-Identifier: BSD-3-Clause
"""``Storage``, its interfaces, the queue and the pools below it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from cloudvolume_fast.cacheservice import no_compression_ext
from cloudvolume_fast.scheduler import schedule_green_jobs, schedule_jobs
from cloudvolume_fast.storage.storage import (
    GreenStorage,
    SimpleStorage,
    ThreadedStorage,
    get_interface_class,
)
from cloudvolume_fast.storage.storage_interfaces import (
    FileInterface,
    S3Interface,
    keydefaultdict,
)

from cloudvolume_fast import ConnectionPool, Storage, ThreadedQueue
from cloudvolume_fast.errors import UnsupportedOptionError, UnsupportedProtocolError


@pytest.fixture(params=["simple", "no threads", "threads", "green"])
def storage(request: pytest.FixtureRequest, tmp_path: Path):
    path = f"file://{tmp_path}/layer"
    kinds = {
        "simple": lambda: SimpleStorage(path),
        "no threads": lambda: ThreadedStorage(path, n_threads=0),
        "threads": lambda: ThreadedStorage(path, n_threads=3),
        "green": lambda: GreenStorage(path),
    }
    with kinds[request.param]() as found:
        yield found


def test_objects_come_back(storage) -> None:
    storage.put_files([(f"a/{i}", str(i) * 100) for i in range(30)], compress="gzip")
    storage.put_json("info", {"x": [1]})
    if hasattr(storage, "wait"):
        storage.wait()
    assert storage.get_file("a/7") == b"7" * 100
    assert storage.get_json("info") == {"x": [1]}
    assert storage.get_json("none") is None
    found = storage.get_files([f"a/{i}" for i in range(30)] + ["none"])
    assert [f["content"] for f in found] == [str(i).encode() * 100 for i in range(30)] + [None]
    assert sorted(storage.list_files(flat=True)) == ["info"]
    assert storage.files_exist(["a/1", "none"]) == {"a/1": True, "none": False}
    storage.delete_files(["a/1", "none"])
    if hasattr(storage, "wait"):
        storage.wait()
    assert not storage.exists("a/1")


def test_ranges_are_of_what_is_stored(storage) -> None:
    storage.put_file("a", b"0123456789")
    if hasattr(storage, "wait"):
        storage.wait()
    assert storage.get_file("a", 2, 5) == b"234"
    assert storage.get_file("a", 8, 50) == b"89"
    assert [f["content"] for f in storage.get_files(["a", "a"], [0, 9], [1, None])] == [b"0", b"9"]


def test_brackets(tmp_path: Path) -> None:
    storage = SimpleStorage(f"file://{tmp_path}")
    storage["k"] = b"value"
    assert storage["k"] == b"value"
    assert storage["k", 1:3] == b"al"


def test_storage_says_that_it_is_obsolete(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="cloudfiles"):
        assert isinstance(Storage(f"file://{tmp_path}", n_threads=0), ThreadedStorage)
    with pytest.warns(DeprecationWarning, match="cloudfiles"):
        assert isinstance(Storage(f"file://{tmp_path}", green=True), GreenStorage)


def test_interface_of_a_protocol() -> None:
    assert get_interface_class("file") is FileInterface
    assert get_interface_class("matrix") is S3Interface
    with pytest.raises(UnsupportedProtocolError, match="wow"):
        get_interface_class("wow")


def test_queue_calls_everything_and_hands_over_errors() -> None:
    out: list[int] = []
    with ThreadedQueue(n_threads=3, queue_size=2) as queue:
        for i in range(50):
            queue.put(lambda i=i: out.append(i))
        assert queue.wait() is queue
        assert sorted(out) == list(range(50))
        queue.put(lambda: {}["x"])
        with pytest.raises(KeyError):
            queue.wait()
        queue.put(lambda interface: out.append(99))
    assert out[-1] == 99
    assert not queue.are_threads_alive()


def test_queue_without_threads_waits_for_wait() -> None:
    out: list[int] = []
    with ThreadedQueue(n_threads=0) as queue:
        queue.put(lambda: out.append(1))
        assert (queue.pending, out) == (1, [])
    assert out == [1]


def test_killed_threads_leave_what_waits() -> None:
    release = threading.Event()
    queue = ThreadedQueue(n_threads=1)
    queue.put(lambda: release.wait(10))
    time.sleep(0.05)
    out: list[int] = []
    queue.put(lambda: out.append(1))
    threading.Timer(0.1, release.set).start()
    queue.kill_threads()
    assert (queue.pending, out) == (1, [])
    queue.start_threads(1).wait()
    assert out == [1]
    queue.kill_threads()


@pytest.mark.parametrize("concurrency", [0, 1, 2, 20])
@pytest.mark.parametrize("green", [False, True])
def test_jobs_keep_their_order_and_stop_at_an_error(concurrency: int, green: bool) -> None:
    results = schedule_jobs([lambda i=i: i * i for i in range(200)], concurrency, green=green)
    assert results == [i * i for i in range(200)]
    begun = []

    def job(i: int) -> None:
        begun.append(i)
        if i == 3:
            raise KeyError(i)
        time.sleep(0.001)

    with pytest.raises(KeyError):
        schedule_jobs((lambda i=i: job(i) for i in range(5000)), concurrency, green=green)
    assert len(begun) < 5000


def test_green_jobs_are_not_more_than_asked_for() -> None:
    import gevent

    running, most = 0, 0

    def job() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        gevent.sleep(0.001)
        running -= 1

    schedule_green_jobs([job] * 50, concurrency=5)
    assert most == 5


def test_pool_gives_connections_again() -> None:
    class Pool(ConnectionPool):
        made = 0
        closed: list[int] = []  # noqa: RUF012 - of this test alone

        def _create_connection(self) -> int:
            self.made += 1
            return self.made

        def close(self, conn: int) -> None:
            self.closed.append(conn)

    pool = Pool()
    assert [pool.get_connection(), pool.get_connection()] == [1, 2]
    pool.release_connection(1)
    assert pool.get_connection() == 1
    assert pool.total_connections() == 2
    pool.release_connection(2)
    pool.reset_pool()
    assert (pool.closed, pool.total_connections()) == ([2], 0)
    with pytest.raises(NotImplementedError, match="_create_connection"):
        ConnectionPool().get_connection()


def test_default_of_a_key_is_made_of_it() -> None:
    found: keydefaultdict[int, int] = keydefaultdict(lambda key: key * 2)
    assert (found[4], dict(found)) == (8, {4: 8})


def test_acl_of_single_objects_is_refused(tmp_path):
    interface = S3Interface(f"file://{tmp_path}")
    interface.put_file("a", b"x", None, None, None)
    with pytest.raises(UnsupportedOptionError, match="ACL"):
        interface.put_file("b", b"x", None, None, ACL="private")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_names_without_suffixes(tmp_path):
    for name in ("a", "b.gz", "c.txt", "d.bz2"):
        (tmp_path / name).touch()
    assert sorted(no_compression_ext(str(tmp_path))) == ["a", "b", "c.txt", "d"]
