# SPDX-License-Identifier: BSD-3-Clause
"""Images behind servers on loopback: the same voxels as from files, by few requests, and errors by their names."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remote_layers import (
    CHUNK,
    KEYS,
    KINDS,
    OFFSET,
    SHARDED,
    SIZE,
    make_labels,
    make_volume,
    remote_path,
)
from servers.faulty import Answer, FaultServer, Request, goog_hash
from servers.nginx import Nginx

from cloudvolume_fast import CloudVolume, _runtime
from cloudvolume_fast.errors import (
    AlignmentError,
    AuthorizationError,
    ChunkDecodeError,
    ChunkReadError,
    ChunkWriteError,
    CRC32CIntegrityError,
    DecompressionError,
    EmptyVolumeException,
    ReadOnlyException,
    ShardIndexError,
)


@pytest.fixture
def labels() -> np.ndarray:
    return make_labels()


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestSameAsLocal:
    """Every way to read gives what it gives from files."""

    @pytest.fixture
    def pair(self, kind: str, labels: np.ndarray, nginx: Nginx, nginx_folder: Path) -> Any:
        local = make_volume(f"file://{nginx_folder}", kind, labels)
        remote = CloudVolume(f"{nginx.url}/{nginx_folder.name}", progress=False)
        return local, remote

    def test_boxes(self, pair: Any, labels: np.ndarray) -> None:
        local, remote = pair
        assert np.array_equal(remote[:], labels)
        for box in (np.s_[5:6, -7:-6, 11:12], np.s_[10:60, 0:31, 12:61], np.s_[20:40:3, :, 15]):
            assert np.array_equal(remote[box], local[box])

    def test_points_labels_and_lists(self, pair: Any) -> None:
        local, remote = pair
        rng = np.random.default_rng(0)
        points = [
            tuple(int(o + rng.integers(s)) for o, s in zip(OFFSET, SIZE, strict=True))
            for _ in range(90)
        ]
        assert remote.scattered_points(points) == local.scattered_points(points)
        box = np.s_[10:60, 0:31, 12:61]
        assert remote.unique(box) == local.unique(box)
        one = next(iter(local.unique(box)))
        assert np.array_equal(remote.download(box, label=one), local.download(box, label=one))
        mine, mapping = remote.download(box, renumber=True)
        theirs, expected = local.download(box, renumber=True)
        assert np.array_equal(mine, theirs)
        assert mapping == expected
        assert remote.exists(box) == local.exists(box)
        assert remote.download_files(box) == local.download_files(box)

    def test_memory_holds_what_was_fetched(
        self, pair: Any, labels: np.ndarray, nginx: Nginx
    ) -> None:
        remote = CloudVolume(pair[1].cloudpath, progress=False, lru_bytes=1 << 24)
        assert np.array_equal(remote[:], labels)
        before = _runtime.HttpClient().stats()["requests"]
        assert np.array_equal(remote[10:60, 0:31, 12:61], pair[0][10:60, 0:31, 12:61])
        assert _runtime.HttpClient().stats()["requests"] == before

    def test_volume_is_transferred(self, pair: Any, tmp_path: Path, labels: np.ndarray) -> None:
        copy = pair[1].transfer_to(f"file://{tmp_path}/copy", pair[1].bounds)
        assert np.array_equal(copy[:], labels)


class TestRequests:
    """How many requests a read takes."""

    @pytest.fixture
    def served(self, labels: np.ndarray, tmp_path: Path, faulty: FaultServer) -> FaultServer:
        make_volume(f"file://{tmp_path}/layer", "cseg_sharded", labels)
        faulty.put_folder("/bucket/layer", tmp_path / "layer")
        return faulty

    @staticmethod
    def ranges(server: FaultServer, first: int) -> dict[str, list[tuple[int, int]]]:
        out: dict[str, list[tuple[int, int]]] = {}
        for request in server.requests[first:]:
            begin, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
            out.setdefault(request.path, []).append((int(begin), int(last) + 1))
        return out

    def test_cutout_of_one_shard(self, served: FaultServer) -> None:
        vol = CloudVolume(f"{served.url}/bucket/layer", progress=False)
        assert len(served.requests) == 1  # info
        spec = vol.image.shard_spec(0)
        box = np.s_[5:37, -7:25, 11:27]  # eight chunks, the first shard's
        vol[box]
        (ranges,) = self.ranges(served, 1).values()
        minishards = {
            spec.compute_shard_location(int(code)).minishard_number
            for code in vol.image.morton_codes(vol.bounds.from_slices(box), 0, spec)
        }
        index_bytes = 16 << SHARDED["minishard_bits"]
        assert ranges[0] == (0, index_bytes)
        # One for all minishards, which lie together, and one for the chunks, which do too.
        assert len(ranges) <= 1 + len(minishards) + 1
        assert len(ranges) == 3
        first = len(served.requests)
        vol[box]
        (again,) = self.ranges(served, first).values()
        assert again == ranges[2:]
        first = len(served.requests)
        vol[5:6, -7:-6, 11:12]
        assert len(served.requests) == first + 1

    def test_each_index_is_read_once_for_a_whole_volume(self, served: FaultServer) -> None:
        vol = CloudVolume(f"{served.url}/bucket/layer", progress=False)
        vol[:]
        index_bytes = 16 << SHARDED["minishard_bits"]
        for path, ranges in self.ranges(served, 1).items():
            assert ranges.count((0, index_bytes)) == 1, path
            assert len(ranges) <= 3, path
        first = len(served.requests)
        vol[:]
        assert all((0, index_bytes) not in ranges for ranges in self.ranges(served, first).values())

    def test_unsharded_chunk_is_one_request(
        self, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
    ) -> None:
        make_volume(f"file://{tmp_path}/layer", "raw", labels)
        faulty.put_folder("/bucket/layer", tmp_path / "layer")
        vol = CloudVolume(f"{faulty.url}/bucket/layer", progress=False)
        vol[5:38, -7:25, 11:19]
        assert sorted(faulty.paths()[1:]) == sorted(
            f"/bucket/layer/4_4_40/{x}-{x + 16}_{y}-{y + 16}_11-19"
            for x in (5, 21, 37)
            for y in (-7, 9)
        )

    def test_nothing_is_asked_before_it_is_needed(self, served: FaultServer) -> None:
        vol = CloudVolume(f"{served.url}/bucket/layer", progress=False)
        assert (*vol.chunk_size,) == CHUNK
        assert vol.image is not None
        assert served.paths() == ["/bucket/layer/info"]


class TestShards:
    def test_older_form_of_two_files(
        self, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
    ) -> None:
        make_volume(f"file://{tmp_path}/layer", "cseg_sharded", labels)
        index_bytes = 16 << SHARDED["minishard_bits"]
        for shard in (tmp_path / "layer" / "4_4_40").glob("*.shard"):
            data = shard.read_bytes()
            shard.with_suffix(".index").write_bytes(data[:index_bytes])
            shard.with_suffix(".data").write_bytes(data[index_bytes:])
            shard.unlink()
        vol = CloudVolume(faulty.put_folder("/bucket/layer", tmp_path / "layer"), progress=False)
        assert np.array_equal(vol[:], labels)

    def test_absent_and_empty_shards_are_missing(
        self, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
    ) -> None:
        make_volume(f"file://{tmp_path}/layer", "cseg_sharded", labels)
        path = faulty.put_folder("/bucket/layer", tmp_path / "layer")
        names = sorted(name for name in faulty.objects if name.endswith(".shard"))
        faulty.objects.pop(names[0])
        faulty.objects[names[1]] = b""
        with pytest.raises(EmptyVolumeException, match=r"\.shard: minishard \d, chunk"):
            CloudVolume(path, progress=False)[:]
        for name in names[:2]:
            (tmp_path / "layer" / "4_4_40" / name.rpartition("/")[2]).unlink()
        local = CloudVolume(f"file://{tmp_path}/layer", progress=False, fill_missing=True)
        remote = CloudVolume(path, progress=False, fill_missing=True)
        assert np.array_equal(remote[:], local[:])
        assert remote.exists(remote.bounds) == local.exists(local.bounds)

    @pytest.mark.parametrize("damage", ["cut", "decreasing", "far", "minishard"])
    def test_broken_index_is_named(
        self, damage: str, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
    ) -> None:
        make_volume(f"file://{tmp_path}/layer", "cseg_sharded", labels)
        path = faulty.put_folder("/bucket/layer", tmp_path / "layer")
        name = sorted(name for name in faulty.objects if name.endswith(".shard"))[0]
        data = bytearray(faulty.objects[name])
        index_bytes = 16 << SHARDED["minishard_bits"]
        if damage == "cut":
            del data[index_bytes - 8 :]
        elif damage == "decreasing":
            data[0:8], data[8:16] = data[8:16], data[0:8]
        elif damage == "far":
            data[8:16] = (1 << 40).to_bytes(8, "little")
        else:
            begin = index_bytes + int.from_bytes(data[:8], "little")
            data[begin + 12] ^= 0xFF
        faulty.objects[name] = bytes(data)
        with pytest.raises(ShardIndexError, match=r"/4_4_40/0\.shard"):
            CloudVolume(path, progress=False)[:]

    def test_replaced_shard_is_read_anew(
        self, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
    ) -> None:
        def serve(array: np.ndarray, folder: str) -> None:
            make_volume(f"file://{tmp_path}/{folder}", "cseg_sharded", array)
            faulty.put_folder("/bucket/layer", tmp_path / folder)
            for name, data in faulty.objects.items():
                faulty.object_headers[name] = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"'}

        serve(labels, "old")
        vol = CloudVolume(f"{faulty.url}/bucket/layer", progress=False)
        assert np.array_equal(vol[:], labels)
        newer = make_labels(4)
        serve(newer, "new")
        assert np.array_equal(vol[:], newer)


class TestWrites:
    def test_volume_is_written_and_read(
        self, kind: str, labels: np.ndarray, faulty: FaultServer
    ) -> None:
        vol = make_volume(remote_path(faulty, "layer"), kind, labels, secrets=KEYS)
        assert np.array_equal(vol[:], labels)
        assert np.array_equal(CloudVolume(f"{faulty.url}/bucket/layer", progress=False)[:], labels)

    def test_objects_say_what_they_are(self, labels: np.ndarray, faulty: FaultServer) -> None:
        vol = make_volume(remote_path(faulty, "layer"), "cseg", secrets=KEYS, cdn_cache=60)
        vol[:] = labels
        (put,) = {
            (
                request.headers["content-type"],
                request.headers["content-encoding"],
                request.headers["cache-control"],
            )
            for request in faulty.requests
            if request.method == "PUT" and "4_4_40" in request.path
        }
        assert put == ("application/octet-stream", "gzip", "public, max-age=60, s-max-age=60")

    def test_parts_of_chunks_are_merged(
        self, kind: str, labels: np.ndarray, faulty: FaultServer
    ) -> None:
        vol = make_volume(
            remote_path(faulty, "layer"), kind, labels, secrets=KEYS, non_aligned_writes=True
        )
        expected = labels.copy()
        rng = np.random.default_rng(1)
        for _ in range(4):
            low = [int(rng.integers(s - 1)) for s in SIZE]
            high = [int(rng.integers(a + 1, s + 1)) for a, s in zip(low, SIZE, strict=True)]
            part = rng.integers(
                0, 9, [b - a for a, b in zip(low, high, strict=True)] + [1], dtype=np.uint64
            )
            cut = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            expected[cut] = part
            vol[tuple(slice(s.start + o, s.stop + o) for s, o in zip(cut, OFFSET, strict=True))] = (
                part
            )
        assert np.array_equal(vol[:], expected)

    def test_chunks_are_deleted(self, kind: str, labels: np.ndarray, faulty: FaultServer) -> None:
        vol = make_volume(
            remote_path(faulty, "layer"), kind, labels, secrets=KEYS, fill_missing=True
        )
        box = vol.bounds.from_slices(np.s_[5:37, -7:25, 11:27])
        assert all(vol.exists(box).values())
        vol.delete(box)
        assert not any(vol.exists(box).values())
        expected = labels.copy()
        expected[:32, :32, :16] = 0
        assert np.array_equal(vol[:], expected)

    def test_memory_does_not_keep_what_was_replaced(
        self, kind: str, labels: np.ndarray, faulty: FaultServer
    ) -> None:
        vol = make_volume(
            remote_path(faulty, "layer"), kind, labels, secrets=KEYS, lru_bytes=1 << 24
        )
        assert np.array_equal(vol[:], labels)
        newer = make_labels(5)
        vol[:] = newer
        assert np.array_equal(vol[:], newer)

    def test_volume_is_transferred_there(
        self,
        kind: str,
        labels: np.ndarray,
        tmp_path: Path,
        faulty: FaultServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        local = make_volume(f"file://{tmp_path}/layer", kind, labels)
        copy = local.transfer_to(remote_path(faulty, "copy"), local.bounds)
        assert np.array_equal(copy[:], labels)

    def test_partial_shards_may_be_refused(self, labels: np.ndarray, faulty: FaultServer) -> None:
        vol = make_volume(remote_path(faulty, "layer"), "cseg_sharded", labels, secrets=KEYS)
        vol.config.partial_shard_writes = False
        with pytest.raises(AlignmentError, match="shard"):
            vol[5:21, -7:9, 11:19] = labels[:16, :16, :8]

    def test_web_server_takes_nothing(
        self, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
    ) -> None:
        make_volume(f"file://{tmp_path}/layer", "raw", labels)
        vol = CloudVolume(faulty.put_folder("/bucket/layer", tmp_path / "layer"), progress=False)
        with pytest.raises((ReadOnlyException, ChunkWriteError), match="read"):
            vol[:] = labels
        with pytest.raises(ReadOnlyException):
            vol.commit_info()

    def test_refused_upload_is_an_error(self, labels: np.ndarray, faulty: FaultServer) -> None:
        vol = make_volume(remote_path(faulty, "layer"), "raw", secrets=KEYS)
        faulty.script = lambda request, count: Answer(
            status=400 if request.path.endswith("21-37_-7-9_11-19") else 200
        )
        with pytest.raises(ChunkWriteError, match=r"21-37_-7-9_11-19.*400"):
            vol[:] = labels


class TestErrors:
    @pytest.fixture
    def served(
        self, kind: str, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
    ) -> FaultServer:
        make_volume(f"file://{tmp_path}/layer", kind, labels)
        faulty.put_folder("/bucket/layer", tmp_path / "layer")
        return faulty

    @staticmethod
    def open(server: FaultServer, **settings: Any) -> Any:
        return CloudVolume(f"{server.url}/bucket/layer", progress=False, **settings)

    def test_passing_trouble_is_overcome(self, served: FaultServer, labels: np.ndarray) -> None:
        vol = self.open(served)
        troubles = [
            Answer(status=503, headers={"Retry-After": "0"}),
            Answer(reset_after=10),
            Answer(close_after=-1),
        ]
        served.script = lambda request, count: (
            troubles[hash(request.path) % 3] if count == 0 else Answer()
        )
        assert np.array_equal(vol[:], labels)

    @pytest.mark.parametrize("status", [401, 403])
    def test_refusal_is_never_absence(self, served: FaultServer, status: int) -> None:
        vol = self.open(served, fill_missing=True)
        served.script = lambda request, count: Answer(status=status)
        with pytest.raises(AuthorizationError, match=f"4_4_40.*{status}"):
            vol[:]

    def test_other_status_is_never_absence(self, served: FaultServer) -> None:
        vol = self.open(served, fill_missing=True)
        served.script = lambda request, count: Answer(status=400)
        with pytest.raises(ChunkReadError, match=r"4_4_40.*400"):
            vol[:]

    def test_unknown_encoding_is_named(self, served: FaultServer) -> None:
        vol = self.open(served)
        served.script = lambda request, count: Answer(headers={"Content-Encoding": "compress"})
        with pytest.raises((ChunkReadError, ShardIndexError)):
            vol[:]


def test_missing_chunk_is_background_only_on_request(
    labels: np.ndarray, tmp_path: Path, faulty: FaultServer
) -> None:
    make_volume(f"file://{tmp_path}/layer", "raw", labels)
    path = faulty.put_folder("/bucket/layer", tmp_path / "layer")
    faulty.objects.pop("/bucket/layer/4_4_40/21-37_9-25_11-19")
    with pytest.raises(EmptyVolumeException, match="4_4_40/21-37_9-25_11-19"):
        CloudVolume(path, progress=False)[:]
    expected = labels.copy()
    expected[16:32, 16:32, :8] = 0
    assert np.array_equal(CloudVolume(path, progress=False, fill_missing=True)[:], expected)


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"\1" * 100, {}, ChunkDecodeError),
        (b"\1" * (16 * 16 * 8 * 8 + 1), {}, ChunkDecodeError),
        (b"no gzip", {"Content-Encoding": "gzip"}, DecompressionError),
        (b"", {"Content-Encoding": "gzip"}, DecompressionError),
        (b"\1" * (1 << 20), {}, (ChunkDecodeError, ChunkReadError)),
    ],
)
def test_wrong_object_is_an_error(
    body: bytes,
    headers: dict[str, str],
    error: Any,
    labels: np.ndarray,
    tmp_path: Path,
    faulty: FaultServer,
) -> None:
    make_volume(f"file://{tmp_path}/layer", "raw", labels)
    path = faulty.put_folder("/bucket/layer", tmp_path / "layer")
    faulty.put("/bucket/layer/4_4_40/21-37_9-25_11-19", body, headers)
    for fill_missing in (False, True):
        with pytest.raises(error, match="4_4_40/21-37_9-25_11-19"):
            CloudVolume(path, progress=False, fill_missing=fill_missing)[:]


def test_corrupt_transfers_do_not_become_voxels(
    labels: np.ndarray, tmp_path: Path, faulty: FaultServer
) -> None:
    make_volume(f"file://{tmp_path}/layer", "raw", labels)
    path = faulty.put_folder("/bucket/layer", tmp_path / "layer")
    for name, data in faulty.objects.items():
        faulty.object_headers[name] = goog_hash(data)
    vol = CloudVolume(path, progress=False)
    faulty.script = lambda request, count: Answer(flip_byte=77) if count == 0 else Answer()
    assert np.array_equal(vol[:], labels)
    faulty.script = lambda request, count: Answer(flip_byte=77)
    with pytest.raises(CRC32CIntegrityError, match="4_4_40"):
        vol[5:21, -7:9, 11:19]


@pytest.mark.parametrize("name", ["raw_gzip", "cseg", "cseg_sharded"])
def test_spoilt_chunk_is_fetched_again(
    name: str, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
) -> None:
    make_volume(f"file://{tmp_path}/layer", name, labels)
    vol = CloudVolume(faulty.put_folder("/bucket/layer", tmp_path / "layer"), progress=False)
    box = np.s_[5:21, -7:9, 11:19]
    assert np.array_equal(vol[box], labels[:16, :16, :8])  # now indexes are known
    spoilt = 0

    def spoil_first(request: Request, count: int) -> Answer:
        nonlocal spoilt
        spoilt += 1
        return Answer(flip_byte=40) if spoilt == 1 else Answer()

    faulty.script = spoil_first
    assert np.array_equal(vol[box], labels[:16, :16, :8])
    assert spoilt == 2
    faulty.script = lambda request, count: Answer(flip_byte=40)
    first = len(faulty.requests)
    with pytest.raises(DecompressionError, match="4_4_40"):
        vol[box]
    assert len(faulty.requests) == first + 2


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from cloudvolume_fast import CloudVolume, _runtime
def sockets():
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except OSError:
            continue
    return sum(link.startswith("socket:") for link in links)
vol = CloudVolume(sys.argv[1], progress=False)
vol[:]  # now every thread there is to be exists
kept = sockets()
Path(sys.argv[2]).touch()  # from here on the server stalls
before = sorted(os.listdir("/proc/self/task"))
def later():
    time.sleep(0.5)
    global sent
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
interrupter = threading.Thread(target=later)
interrupter.start()
try:
    vol[:]
except KeyboardInterrupt:
    took = time.monotonic() - sent
else:
    raise SystemExit("not interrupted")
interrupter.join()
deadline = time.monotonic() + 5
client = _runtime.HttpClient()
while (client.stats()["inflight_bytes"] or sockets() > kept) and time.monotonic() < deadline:
    time.sleep(0.01)
left = [task for task in os.listdir("/proc/self/task") if task not in before]
print(took, client.stats()["inflight_bytes"], max(0, sockets() - kept), len(left))
client.close()
def is_http(task):
    try:
        return (task / "comm").read_text().strip() == "cvfast-http"
    except OSError:
        return False  # it has ended
while any(map(is_http, Path("/proc/self/task").iterdir())) and time.monotonic() < deadline:
    time.sleep(0.01)
print(sockets(), sum(map(is_http, Path("/proc/self/task").iterdir())))
Path(sys.argv[2]).unlink()
print(vol[5:21, -7:9, 11:19].shape)
"""


@pytest.mark.parametrize("name", ["raw", "cseg_sharded"])
def test_interrupt_ends_a_stalled_read(
    name: str, labels: np.ndarray, tmp_path: Path, faulty: FaultServer
) -> None:
    make_volume(f"file://{tmp_path}/layer", name, labels)
    path = faulty.put_folder("/bucket/layer", tmp_path / "layer")
    stalls = tmp_path / "stalls"
    faulty.script = lambda request, count: Answer(stall_after=5) if stalls.exists() else Answer()
    out = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, path, str(stalls)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    interrupted, closed, again = out.stdout.splitlines()
    took, *left = interrupted.split()
    # Signals are asked for every 50 ms; then there are 100.
    assert float(took) < 0.15
    assert left == ["0", "0", "0"]  # bytes, sockets beyond those of finished requests, threads
    assert closed.split() == ["0", "0"]
    assert again == "(16, 16, 8, 1)"
    deadline = time.monotonic() + 5
    while faulty.open_connections() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert faulty.open_connections() == 0


class TestMemory:
    """``mem://``, by way of cloud-files, whose other users see the same objects."""

    @pytest.fixture
    def path(self, request: pytest.FixtureRequest) -> str:
        return f"mem://bucket/{request.node.name}/layer"

    def test_volume_is_written_read_merged_and_deleted(
        self, kind: str, labels: np.ndarray, path: str
    ) -> None:
        vol = make_volume(path, kind, labels, non_aligned_writes=True, fill_missing=True)
        assert np.array_equal(vol[:], labels)
        expected = labels.copy()
        expected[3:20, 4:30, 5:9] = 1
        vol[8:25, -3:23, 16:20] = expected[3:20, 4:30, 5:9]
        assert np.array_equal(CloudVolume(path, progress=False)[:], expected)
        box = vol.bounds.from_slices(np.s_[5:37, -7:25, 11:27])
        assert all(vol.exists(box).values())
        vol.delete(box)
        assert not any(vol.exists(box).values())
        expected[:32, :32, :16] = 0
        assert np.array_equal(vol[:], expected)

    def test_others_see_the_objects(self, labels: np.ndarray, path: str) -> None:
        from cloudfiles import CloudFiles

        make_volume(path, "raw_gzip", labels)
        files = CloudFiles(path)
        first = labels[:16, :16, :8].tobytes("F")
        assert files.get("4_4_40/5-21_-7-9_11-19") == first
        files.put("4_4_40/5-21_-7-9_11-19", bytes(len(first)), compress="gzip")
        vol = CloudVolume(path, progress=False)
        assert not vol[5:21, -7:9, 11:19].any()
        files.delete("4_4_40/5-21_-7-9_11-19")
        with pytest.raises(EmptyVolumeException):
            vol[:]
