# SPDX-License-Identifier: BSD-3-Clause
"""The transport, against nginx and against a server that fails in every way we could think of."""

from __future__ import annotations

import base64
import dataclasses
import email.utils
import gc
import gzip
import hashlib
import http.server
import itertools
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import support
from servers.faulty import Answer, FaultServer, crc32c, goog_hash

from cloudvolume_fast._runtime import HttpClient

DATA = random.Random(1).randbytes(200_000)
SHORT = {"backoff_seconds": 0.01, "max_backoff_seconds": 0.05}


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="counts threads and descriptors in /proc"
)


class Row(NamedTuple):
    state: str
    status: int
    body: bytes | None
    headers: dict[str, str]
    attempts: int
    checked: str
    error: str
    message: str


def get(
    url: str, *, bounds: dict | None = None, range=None, size=None, into=None, headers=(), **kw
):
    client = HttpClient(**{**SHORT, **(bounds or {})})
    rows = client.get_many([url], headers, ranges=[range], expected_sizes=[size], into=[into], **kw)
    return Row(*rows[0])


@pytest.fixture
def settings():
    """Restores what all clients share."""
    yield HttpClient.configure
    HttpClient.configure(
        max_transfers=512, max_transfers_per_host=256, max_inflight_bytes=192 << 20, idle_seconds=60
    )


def sockets_of_this_process() -> list[str]:
    out = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(("socket:", "anon_inode:[event")):
            out.append(target)
    return sorted(out)


def threads_of_this_process() -> set[str]:
    return {entry.name for entry in Path("/proc/self/task").iterdir()}


def wait_until(condition, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


# -- plain answers ----------------------------------------------------------------------------------------------------


def test_nginx_serves_what_was_stored(nginx, nginx_folder):
    sizes = [0, 1, 4095, 4096, 65536, 1_000_003]
    for size in sizes:
        (nginx_folder / str(size)).write_bytes(random.Random(size).randbytes(size))
    rows = HttpClient().get_many([f"{nginx.url}/{nginx_folder.name}/{size}" for size in sizes])
    for size, row in zip(sizes, map(Row._make, rows), strict=True):
        assert (row.state, row.status, row.attempts, row.error) == ("data", 200, 1, "")
        assert row.body == random.Random(size).randbytes(size)
        assert row.headers["content-length"] == str(size)
        assert row.headers["etag"]


def test_absent_objects_are_missing_and_not_retried(faulty):
    row = get(faulty.url + "/absent")
    assert (row.state, row.status, row.body, row.error, row.attempts) == (
        "missing",
        404,
        None,
        "",
        1,
    )
    assert len(faulty.requests) == 1


@pytest.mark.parametrize(
    "range", [(0, 1), (0, 200_000), (5, 6), (1000, 70_000), (199_999, 200_000)]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nginx_serves_ranges(nginx, nginx_folder, monkeypatch, range, scheme):
    monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate))
    (nginx_folder / "shard").write_bytes(DATA)
    base = nginx.url if scheme == "http" else nginx.https_url
    row = get(f"{base}/{nginx_folder.name}/shard", range=range)
    assert (row.state, row.status) == ("data", 206)
    assert row.body == DATA[slice(*range)]
    assert row.headers["content-range"] == f"bytes {range[0]}-{range[1] - 1}/{len(DATA)}"


def test_stored_gzip_comes_as_stored(nginx, nginx_folder):
    stored = gzip.compress(DATA)
    (nginx_folder / "chunk.gz").write_bytes(stored)
    (nginx_folder / "chunk").write_bytes(DATA)
    row = get(f"{nginx.url}/{nginx_folder.name}/chunk")
    assert row.headers["content-encoding"] == "gzip"
    assert row.body == stored
    row = get(f"{nginx.url}/{nginx_folder.name}/chunk", headers=[("Accept-Encoding", "identity")])
    assert "content-encoding" not in row.headers
    assert row.body == DATA


def test_gzip_made_on_the_way_has_no_length_and_is_whole(nginx, nginx_folder):
    (nginx_folder / "chunk").write_bytes(DATA + bytes(300_000))
    row = get(f"{nginx.url}/dynamic/{nginx_folder.name}/chunk")
    assert row.headers["content-encoding"] == "gzip"
    assert "content-length" not in row.headers
    assert gzip.decompress(row.body) == DATA + bytes(300_000)


def test_encodings_that_are_asked_for(faulty):
    url = faulty.put("/object", DATA)
    get(url)
    get(url, range=(1, 2))
    HttpClient().head(url)
    get(url, headers=[("accept-encoding", "br")])
    accepted = [request.headers["accept-encoding"] for request in faulty.requests]
    assert accepted == ["gzip, br;q=0.5, zstd;q=0.5", "identity", accepted[0], "br"]


def test_put_head_get_delete(faulty):
    client = HttpClient()
    url = faulty.url + "/folder/new"
    assert client.put(url, DATA, [("Content-Type", "application/x")])[:2] == ("data", 200)
    assert faulty.objects["/folder/new"] == DATA
    sent = faulty.requests[0].headers
    assert sent["content-type"] == "application/x"
    assert "expect" not in sent
    head = Row(*client.head(url))
    assert (head.state, head.body, head.headers["content-length"]) == ("data", b"", "200000")
    assert get(url).body == DATA
    assert client.delete(url)[:2] == ("data", 204)
    assert client.delete(url)[:2] == ("missing", 404)
    assert client.head(url)[:2] == ("missing", 404)
    assert client.put(faulty.url + "/empty", b"")[:2] == ("data", 200)
    assert faulty.objects["/empty"] == b""
    assert "content-type" not in faulty.requests[-1].headers


def test_put_to_nowhere_is_a_failure_and_not_missing(faulty):
    faulty.answer(Answer(status=404))
    row = Row(*HttpClient().put(faulty.url + "/bucket/key", b"x"))
    assert (row.state, row.error, row.status) == ("failed", "status", 404)


@pytest.mark.parametrize("size", [0, 10, 70_000, 5_000_000])
def test_put_of_any_writable_or_read_only_buffer(faulty, size):
    data = np.random.default_rng(1).integers(0, 255, size, dtype=np.uint8)
    assert HttpClient().put(faulty.url + "/array", data)[0] == "data"
    assert faulty.objects["/array"] == data.tobytes()


def test_post_returns_the_answer(faulty):
    row = Row(*HttpClient().post(faulty.url + "/api", b"abc"))
    assert (row.state, row.body) == ("data", b"cba")


def test_unchanged_objects(faulty):
    faulty.answer(Answer(status=304))
    row = get(faulty.url + "/object", headers=[("If-None-Match", '"1"')])
    assert (row.state, row.status, row.body) == ("not_modified", 304, None)


def test_connections_are_kept(faulty):
    urls = [faulty.put(f"/{i}", DATA[:i]) for i in range(300)]
    client = HttpClient()
    HttpClient.close()
    before = HttpClient.stats()["connections"]
    for row in client.get_many(urls):
        assert row[0] == "data"
    for url in urls[:20]:
        assert client.get_many([url])[0][0] == "data"
    opened = HttpClient.stats()["connections"] - before
    assert opened == faulty.connections
    assert opened <= 128


def test_connections_are_bounded(faulty, settings):
    settings(max_transfers_per_host=3)
    HttpClient.close()
    faulty.script = lambda request, count: Answer(delay_seconds=0.01)
    urls = [faulty.put(f"/{i}", DATA[:100]) for i in range(40)]
    assert all(row[0] == "data" for row in HttpClient().get_many(urls))
    assert faulty.connections <= 3


class CountingScript:
    """Answers after a while; counts how many requests it has at once, and refuses those above `most`."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.lock = threading.Lock()
        self.most = most
        self.now = 0
        self.peaks: list[int] = []
        self.refused = 0

    def __call__(self, request, count):
        with self.lock:
            self.now += 1
            self.peaks.append(self.now)
            is_refused = self.now > self.most
            self.refused += is_refused
        time.sleep(0.25)
        with self.lock:
            self.now -= 1
        return Answer(status=503) if is_refused else Answer()


def test_a_far_host_is_given_more_as_it_answers(faulty):
    faulty.script = script = CountingScript()
    urls = [faulty.put(f"/{i}", DATA[:i]) for i in range(700)]
    HttpClient.close()
    rows = HttpClient().get_many(urls)
    assert [row[2] for row in rows] == [DATA[:i] for i in range(700)]
    # None of the first 128 has been answered when the last of them arrives.
    assert max(script.peaks[:128]) <= 128
    assert 128 < max(script.peaks) <= 256
    assert faulty.connections <= 256


def test_a_far_host_may_refuse_what_is_too_much(faulty):
    faulty.script = script = CountingScript(most=150)
    urls = [faulty.put(f"/{i}", DATA[:i]) for i in range(700)]
    HttpClient.close()
    rows = HttpClient(backoff_seconds=0.05, max_backoff_seconds=0.2).get_many(urls)
    assert [row[2] for row in rows] == [DATA[:i] for i in range(700)]
    assert script.refused > 0
    assert max(script.peaks) <= 256


def test_connections_leave_descriptors_for_others(faulty):
    faulty.script = CountingScript()
    for i in range(300):
        faulty.put(f"/{i}", DATA[:i])
    code = f"""
import resource
from cloudvolume_fast._runtime import HttpClient
resource.setrlimit(resource.RLIMIT_NOFILE, (80, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
rows = HttpClient().get_many([f"{faulty.url}/{{i}}" for i in range(300)])
assert [len(row[2]) for row in rows] == list(range(300)), rows
assert 32 < HttpClient.stats()["connections"] <= 40, HttpClient.stats()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class PiecemealHandler(http.server.BaseHTTPRequestHandler):
    """Sends headers and two pieces of a body one by one, as simple servers do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "40000")
        self.end_headers()
        self.wfile.write(DATA[:30000])
        self.wfile.write(DATA[30000:40000])

    def log_message(self, *_):
        pass


@pytest.mark.skipif(
    not hasattr(socket, "TCP_QUICKACK"), reason="the kernel acknowledges as it likes"
)
def test_servers_need_not_wait_for_acknowledgements():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PiecemealHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        seconds = []
        for i in range(30):
            start = time.perf_counter()
            row = get(f"http://127.0.0.1:{server.server_port}/{i}")
            seconds.append(time.perf_counter() - start)
            assert row.body == DATA[:40000]
        HttpClient.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    # The kernel puts acknowledgements off for 40 ms, and the server's waits for them with the rest.
    assert sorted(seconds)[15] < 0.02


def test_http2_where_it_is_offered(nginx, nginx_folder, monkeypatch):
    monkeypatch.setenv("CURL_CA_BUNDLE", str(nginx.certificate))
    for i in range(64):
        (nginx_folder / str(i)).write_bytes(DATA[i:])
    urls = [f"{nginx.https_url}/{nginx_folder.name}/{i}" for i in range(64)]
    HttpClient.close()
    before = HttpClient.stats()["connections"]
    rows = HttpClient().get_many(urls[:16])
    # Up to 16 streams share a connection.
    assert HttpClient.stats()["connections"] - before == 1
    rows += HttpClient().get_many(urls[16:])
    assert [row[2] for row in rows] == [DATA[i:] for i in range(64)]
    assert HttpClient.stats()["connections"] - before <= 48
    log = (nginx.prefix / "access.log").read_text()
    assert f"/{nginx_folder.name}/63 HTTP/2.0" in log


def test_http1_over_tls(nginx, nginx_folder, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate))
    (nginx_folder / "object").write_bytes(DATA)
    url = f"{nginx.https1_url}/{nginx_folder.name}/object"
    assert [row[2] for row in HttpClient().get_many([url] * 50)] == [DATA] * 50


def test_certificates_that_nobody_signed_are_refused(nginx, nginx_folder):
    (nginx_folder / "object").write_bytes(DATA)
    row = get(f"{nginx.https_url}/{nginx_folder.name}/object")
    assert (row.state, row.error, row.attempts, row.body) == ("failed", "tls", 1, None)


def test_folder_of_certificates(nginx, nginx_folder, monkeypatch, tmp_path):
    (nginx_folder / "object").write_bytes(DATA)
    digest = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(nginx.certificate)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (tmp_path / f"{digest}.0").symlink_to(nginx.certificate)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert get(f"{nginx.https_url}/{nginx_folder.name}/object").body == DATA


# -- where the body goes ----------------------------------------------------------------------------------------------


def test_body_of_the_right_size_goes_into_the_callers_memory(faulty):
    out = np.zeros(len(DATA), np.uint8)
    row = get(faulty.put("/object", DATA), into=out)
    assert (row.state, row.body) == ("data", None)
    assert out.tobytes() == DATA


@pytest.mark.parametrize(
    "answer", [Answer(is_chunked=True), Answer(headers={"Content-Encoding": "identity"})]
)
def test_body_without_a_length_goes_there_too(faulty, answer):
    faulty.answer(answer)
    out = bytearray(len(DATA))
    row = get(faulty.put("/object", DATA), into=out)
    assert (row.state, row.body) == ("data", None)
    assert out == DATA


@pytest.mark.parametrize("size", [0, 1, len(DATA) - 1, len(DATA) + 1])
def test_body_of_another_size_comes_in_a_buffer(faulty, size):
    out = bytearray(size)
    assert get(faulty.put("/object", DATA), into=out).body == DATA
    assert out == bytes(size)


def test_encoded_body_comes_in_a_buffer(faulty):
    url = faulty.put("/object", DATA, {"Content-Encoding": "gzip"})
    out = bytearray(len(DATA))
    assert get(url, into=out, size=12345).body == DATA
    assert out == bytes(len(DATA))


def test_retried_body_starts_over(faulty):
    faulty.answer(Answer(reset_after=150_000), Answer(close_after=3), Answer(flip_byte=7))
    out = bytearray(len(DATA))
    row = get(faulty.put("/object", DATA, goog_hash(DATA)), into=out)
    assert (row.state, row.attempts) == ("data", 4)
    assert out == DATA


def test_read_only_memory_is_refused(faulty):
    with pytest.raises(BufferError):
        get(faulty.url, into=b"constant")


def test_sequences_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="expected 2 ranges, found 1"):
        HttpClient().get_many(["http://127.0.0.1:1/"] * 2, ranges=[(0, 1)])


@pytest.mark.parametrize(
    "bounds", [{"max_attempts": 0}, {"total_seconds": -1}, {"stall_seconds": float("nan")}]
)
def test_bounds_that_make_no_sense_are_refused(bounds):
    with pytest.raises(ValueError, match="expected"):
        HttpClient(**bounds)


# -- what is retried --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_retried_statuses(faulty, status):
    faulty.answer(Answer(status=status), Answer(status=status))
    row = get(faulty.put("/object", DATA))
    assert (row.state, row.attempts, row.body) == ("data", 3, DATA)
    assert len(faulty.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 405, 410, 412, 416, 418, 501, 505])
def test_statuses_that_are_not_retried(faulty, status):
    faulty.answer(Answer(status=status, body=b"<Error><Code>SomeReason</Code></Error>"))
    row = get(faulty.put("/object", DATA))
    assert (row.state, row.status, row.attempts, row.body) == ("failed", status, 1, None)
    assert row.error == ("range" if status == 416 else "status")
    assert f"found status {status} (SomeReason)" in row.message
    assert len(faulty.requests) == 1


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 300, 302])
def test_other_statuses_are_no_data(faulty, status):
    faulty.answer(*[Answer(status=status, body=b"something else")] * 8)
    row = get(faulty.put("/object", DATA))
    assert (row.state, row.body) == ("failed", None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(reset_after=-1), "reset"),
        (Answer(reset_after=0), "reset"),
        (Answer(reset_after=100_000), "reset"),
        (Answer(close_after=-1), "reset"),
        (Answer(close_after=0), "short_body"),
        (Answer(close_after=199_999), "short_body"),
        (Answer(stated_length=len(DATA) + 1), "short_body"),
        (Answer(is_chunked=True, close_after=70_000), "short_body"),
        (Answer(stall_after=1000), "timeout"),
        (Answer(delay_seconds=30), "timeout"),
        (Answer(status=500), "status"),
    ],
)
def test_faults_are_retried_and_named(faulty, answer, error):
    if answer.stated_length is not None:
        answer = dataclasses.replace(answer, close_after=len(DATA))
    bounds = {"stall_seconds": 0.1, "max_attempts": 3}
    # On a kept connection that breaks before any answer, libcurl repeats a request by itself.
    HttpClient.close()
    faulty.answer(answer, answer)
    row = get(faulty.put("/object", DATA), bounds=bounds)
    assert (row.state, row.attempts, row.body) == ("data", 3, DATA)
    faulty.answer(*[answer] * 9)
    HttpClient.close()
    url = faulty.put("/again", DATA)
    row = get(url, bounds=bounds)
    assert (row.state, row.error, row.attempts, row.body) == ("failed", error, 3, None)
    assert f"GET {url}: " in row.message
    assert "after 3 attempts" in row.message
    # A request that the client has given up may still lie unread.
    assert wait_until(lambda: Counter(faulty.paths()) == {"/object": 3, "/again": 3})


@pytest.mark.parametrize(
    "garbage",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
    ],
)
def test_answers_that_are_no_http(faulty, garbage):
    faulty.answer(*[Answer(garbage=garbage)] * 9)
    row = get(faulty.put("/object", DATA))
    assert (row.state, row.error, row.attempts, row.body) == ("failed", "protocol", 3, None)


def test_nobody_listens(faulty):
    with FaultServer() as gone:
        url = gone.url + "/object"
    row = get(url, bounds={"max_attempts": 4})
    assert (row.state, row.error, row.attempts) == ("failed", "connect", 4)


def test_posts_are_not_repeated_unless_they_may_be(faulty):
    client = HttpClient(**SHORT)
    for answer in (Answer(status=503), Answer(reset_after=-1), Answer(close_after=-1)):
        faulty.requests.clear()
        faulty.answer(*[answer] * 9)
        assert client.post(f"{faulty.url}/{id(answer)}", b"x")[0] == "failed"
        assert len(faulty.requests) == 1
    faulty.answer(Answer(status=429), Answer())
    assert client.post(faulty.url + "/put-off", b"x")[0] == "data"
    faulty.answer(Answer(status=503), Answer())
    assert client.post(faulty.url + "/may", b"x", is_repeatable=True)[0] == "data"


def test_puts_are_repeated_whole(faulty):
    HttpClient.close()
    faulty.answer(Answer(reset_after=-1), Answer(status=503), Answer(status=500))
    row = Row(*HttpClient(**SHORT).put(faulty.url + "/object", DATA))
    assert (row.state, row.attempts) == ("data", 4)
    assert [request.body for request in faulty.requests] == [DATA] * 4


# -- waiting before a retry -------------------------------------------------------------------------------------------


def test_pauses_are_jittered(faulty):
    faulty.script = lambda request, count: Answer(status=500) if count < 4 else Answer()
    urls = [faulty.put(f"/{i}", b"x") for i in range(20)]
    client = HttpClient(backoff_seconds=0.05, max_backoff_seconds=0.5)
    assert all(row[0] == "data" for row in client.get_many(urls))
    pauses = []
    for url in urls:
        times = [r.when for r in faulty.requests if url.endswith(r.path)]
        pauses += np.diff(times).tolist()
    assert min(pauses) >= 0.045
    assert max(pauses) > 1.5 * min(pauses)


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_obeyed(faulty, kind):
    # A date has whole seconds, so it is between one and two away.
    value = "1" if kind == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
    faulty.answer(Answer(status=503, headers={"Retry-After": value}))
    row = get(faulty.put("/object", DATA))
    assert (row.state, row.attempts) == ("data", 2)
    pause = faulty.requests[1].when - faulty.requests[0].when
    assert 0.95 <= pause <= 2.5


def test_retry_after_beyond_the_deadline_fails_at_once(faulty):
    faulty.answer(Answer(status=503, headers={"Retry-After": "3600"}))
    start = time.monotonic()
    row = get(faulty.put("/object", DATA), bounds={"total_seconds": 0.5})
    assert time.monotonic() - start < 0.4
    assert (row.state, row.error, row.status) == ("failed", "status", 503)
    assert "asks to wait 3600 s" in row.message
    HttpClient.close()  # forgets that the server wants to be left alone


def test_the_whole_host_waits(faulty, settings):
    settings(max_transfers_per_host=1)
    HttpClient.close()
    faulty.answer(Answer(status=429, headers={"Retry-After": "1"}))
    faulty.script = lambda request, count: (
        Answer(status=429, headers={"Retry-After": "1"})
        if request.path == "/first" and count == 0
        else Answer()
    )
    urls = [faulty.put(path, DATA) for path in ("/first", "/second", "/third")]
    start = time.monotonic()
    assert all(row[0] == "data" for row in HttpClient(**SHORT).get_many(urls))
    assert time.monotonic() - start < 2
    times = {r.path: r.when for r in reversed(faulty.requests)}
    assert faulty.paths()[0] == "/first"
    assert min(times["/second"], times["/third"]) - times["/first"] >= 0.95


def test_another_host_does_not_wait(faulty):
    with FaultServer() as other:
        faulty.answer(Answer(status=503, headers={"Retry-After": "1"}))
        urls = [faulty.put("/object", DATA), other.put("/object", DATA)]
        start = time.monotonic()
        assert all(row[0] == "data" for row in HttpClient(**SHORT).get_many(urls))
        assert other.requests[0].when - start < 0.5
        assert faulty.requests[1].when - start >= 0.95


def test_an_overloaded_server_is_asked_by_fewer(faulty):
    """Each wave of refusals halves how many come back at once."""
    is_busy = threading.Event()
    is_busy.set()
    active = itertools.count()
    peaks: list[int] = []
    lock = threading.Lock()
    inside = 0

    def script(request, count):
        nonlocal inside
        if is_busy.is_set():
            if next(active) > 150:
                is_busy.clear()
            return Answer(status=503)
        with lock:
            inside += 1
            peaks.append(inside)
        time.sleep(0.005)
        with lock:
            inside -= 1
        return Answer()

    faulty.script = script
    urls = [faulty.put(f"/{i}", b"x") for i in range(100)]
    HttpClient.close()
    client = HttpClient(backoff_seconds=0.01, max_backoff_seconds=0.02, max_attempts=200)
    assert all(row[0] == "data" for row in client.get_many(urls))
    assert max(peaks[:10]) <= 16


def test_a_server_that_stays_busy_does_not_hold_up_a_queue_for_ever(faulty):
    """Each request has time of its own, but not one after the other when there has been no answer for that long."""
    faulty.script = lambda request, count: Answer(status=503)
    HttpClient.close()
    urls = [faulty.put(f"/{i}", b"x") for i in range(500)]
    start = time.monotonic()
    rows = HttpClient(total_seconds=0.5, max_attempts=100).get_many(urls)
    assert time.monotonic() - start < 5
    assert {(row[0], row[6]) for row in map(tuple, rows)} <= {
        ("failed", "status"),
        ("failed", "timeout"),
    }
    assert all("503" in row[7] or "busy" in row[7] for row in rows)
    HttpClient.close()


# -- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [Answer(delay_seconds=30), Answer(stall_after=1000), Answer(bytes_per_second=20_000)]
)
def test_the_deadline_of_a_request_holds(faulty, answer):
    faulty.answer(*[answer] * 99)
    start = time.monotonic()
    row = get(faulty.put("/object", DATA), bounds={"total_seconds": 0.4})
    assert 0.38 <= time.monotonic() - start < 0.7
    assert (row.state, row.error, row.attempts, row.body) == ("failed", "timeout", 1, None)
    assert "deadline of 0.4 s" in row.message
    assert wait_until(lambda: faulty.open_connections() == 0, 2) or answer.delay_seconds


def test_the_deadline_counts_retries_too(faulty):
    faulty.answer(*[Answer(status=500)] * 999)
    start = time.monotonic()
    row = get(faulty.put("/object", DATA), bounds={"total_seconds": 0.4, "max_attempts": 10**6})
    assert time.monotonic() - start < 2  # a million attempts take hours
    assert (row.state, row.error, row.status) == ("failed", "status", 500)
    assert "deadline of 0.4 s" in row.message


def test_a_slow_transfer_that_moves_is_no_stall(faulty):
    faulty.answer(Answer(bytes_per_second=200_000))
    row = get(faulty.put("/object", DATA), bounds={"stall_seconds": 0.1})
    assert (row.state, row.attempts) == ("data", 1)


def test_connecting_has_a_deadline(faulty):
    # A full backlog: nobody accepts, and the system drops further attempts.
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
            fillers.append(filler)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/object"
        start = time.monotonic()
        row = get(url, bounds={"connect_seconds": 0.2, "max_attempts": 2})
        assert time.monotonic() - start < 1
        for filler in fillers:
            filler.close()
    assert (row.state, row.error, row.attempts) == ("failed", "timeout", 2)


def test_a_forked_child_closes_nothing_but_sockets(faulty):
    # Of attempts that came to nothing, whose numbers others have by now.
    test_connecting_has_a_deadline(faulty)
    test_connecting_has_a_deadline(faulty)
    others = [os.open("/dev/null", os.O_RDONLY) for _ in range(256)]
    try:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for number in others:
                    os.fstat(number)
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        for number in others:
            os.close(number)


def test_waiting_for_a_turn_is_not_counted(faulty, settings):
    settings(max_transfers_per_host=1)
    faulty.script = lambda request, count: Answer(delay_seconds=0.05)
    urls = [faulty.put(f"/{i}", b"x") for i in range(20)]
    rows = HttpClient(total_seconds=0.5).get_many(urls)
    assert [row[0] for row in rows] == ["data"] * 20


# -- never the wrong bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("range", [(0, 10), (150_000, 170_000), (199_990, 200_000), (0, 200_000)])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_slice_is_taken_when_a_server_ignores_ranges(faulty, range, is_chunked):
    faulty.script = lambda request, count: Answer(ignores_range=True, is_chunked=is_chunked)
    out = bytearray(range[1] - range[0])
    row = get(faulty.put("/object", DATA), range=range, into=out)
    assert (row.state, row.status, row.body) == ("data", 200, None)
    assert out == DATA[slice(*range)]


def test_a_slice_far_into_an_object_is_not_looked_for(faulty):
    faulty.script = lambda request, count: Answer(ignores_range=True)
    row = get(
        faulty.put("/object", DATA),
        range=(150_000, 150_001),
        bounds={"max_ignored_range_bytes": 100_000},
    )
    assert (row.state, row.error, row.attempts) == ("failed", "range", 1)
    assert "ignores ranges" in row.message


def test_the_rest_of_an_object_is_not_read(faulty):
    big = DATA * 100
    faulty.script = lambda request, count: Answer(ignores_range=True)
    before = HttpClient.stats()["bytes"]
    assert get(faulty.put("/object", big), range=(10, 20)).body == big[10:20]
    assert HttpClient.stats()["bytes"] - before < 1 << 20


def test_a_slice_of_encoded_bytes_is_refused(faulty):
    faulty.script = lambda request, count: Answer(ignores_range=True)
    url = faulty.put("/object", DATA, {"Content-Encoding": "gzip"})
    row = get(url, range=(0, 10))
    assert (row.state, row.error) == ("failed", "range")
    assert "Content-Encoding gzip" in row.message


@pytest.mark.parametrize("shift", [-5, 5])
def test_another_range_is_refused(faulty, shift):
    faulty.answer(*[Answer(wrong_range=shift)] * 9)
    row = get(faulty.put("/object", DATA), range=(100, 200))
    assert (row.state, row.error, row.body) == ("failed", "range", None)
    assert f"expected bytes 100-199, found {100 + shift}-{199 + shift}" in row.message


@pytest.mark.parametrize("stated", ["", "bytes */200000", "bytes 100-199", "items 100-199/200000"])
def test_a_part_that_does_not_say_which_is_refused(faulty, stated):
    faulty.answer(*[Answer(status=206, body=DATA[100:200], headers={"Content-Range": stated})] * 9)
    row = get(faulty.url + "/object", range=(100, 200))
    assert (row.state, row.error, row.body) == ("failed", "range", None)


def test_ranges_past_the_end(faulty):
    url = faulty.put("/object", DATA)
    row = get(url, range=(199_000, 201_000))
    assert (row.state, row.error, row.attempts) == ("failed", "range", 1)
    assert "found 199000-199999 of 200000" in row.message
    assert get(url, range=(199_000, 201_000), may_end_early=True).body == DATA[199_000:]
    assert get(url, range=(200_000, 201_000), may_end_early=True).error == "range"
    faulty.script = lambda request, count: Answer(ignores_range=True)
    assert get(url, range=(199_000, 201_000)).error == "range"
    assert get(url, range=(199_000, 201_000), may_end_early=True).body == DATA[199_000:]
    assert get(url, range=(200_000, 201_000), may_end_early=True).error == "range"


@pytest.mark.parametrize("range", [(5, 5), (6, 5)])
def test_empty_ranges_are_refused(faulty, range):
    assert get(faulty.put("/object", DATA), range=range).error == "request"
    assert faulty.requests == []


def test_a_whole_object_is_not_a_part(faulty):
    faulty.answer(
        *[Answer(status=206, body=DATA, headers={"Content-Range": "bytes 0-199999/300000"})] * 9
    )
    row = get(faulty.url + "/object")
    assert (row.state, row.error) == ("failed", "range")


def test_unexpected_sizes(faulty):
    url = faulty.put("/object", DATA)
    row = get(url, size=len(DATA) + 1)
    assert (row.state, row.error, row.attempts) == ("failed", "size", 3)
    assert "expected 200001 bytes, found 200000" in row.message
    assert get(url, size=len(DATA)).body == DATA
    faulty.script = lambda request, count: Answer(is_chunked=True)
    assert get(url, size=len(DATA) + 1).error == "size"
    assert get(url, size=len(DATA)).body == DATA


@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies_beyond_the_limit(faulty, is_chunked):
    faulty.script = lambda request, count: Answer(is_chunked=is_chunked)
    url = faulty.put("/object", DATA)
    row = get(url, max_size_bytes=len(DATA) - 1)
    assert (row.state, row.error, row.attempts) == ("failed", "size", 1)
    assert get(url, max_size_bytes=len(DATA)).body == DATA


def test_a_length_that_is_too_small_is_noticed_where_anything_tells(faulty):
    faulty.script = lambda request, count: Answer(stated_length=1000)
    assert get(faulty.put("/sized", DATA), size=len(DATA)).error == "size"
    # What is left on the connection is no answer to the next request either.
    assert get(faulty.put("/hashed", DATA, goog_hash(DATA))).error in ("digest", "protocol")


def test_a_body_that_ends_with_its_connection_needs_a_witness(faulty):
    faulty.script = lambda request, count: Answer(has_length=False)
    url = faulty.put("/object", DATA)
    row = get(url)
    assert (row.state, row.error, row.body) == ("failed", "short_body", None)
    assert get(url, size=len(DATA)).body == DATA
    assert get(faulty.put("/hashed", DATA, goog_hash(DATA))).body == DATA
    faulty.script = lambda request, count: Answer(has_length=False, close_after=100_000)
    assert get(faulty.put("/hashed", DATA, goog_hash(DATA))).error == "digest"


MD5 = hashlib.md5(DATA).digest()
MD5_BASE64 = base64.b64encode(MD5).decode()
CRC_BASE64 = base64.b64encode(struct.pack(">I", crc32c(DATA))).decode()


@pytest.mark.parametrize(
    ("headers", "checked"),
    [
        ({"x-goog-hash": f"crc32c={CRC_BASE64}"}, "crc32c"),
        ({"x-goog-hash": f"md5={MD5_BASE64}"}, "md5"),
        ({"x-goog-hash": f"md5={MD5_BASE64}, crc32c={CRC_BASE64}"}, "crc32c"),
        ({"x-amz-checksum-crc32c": CRC_BASE64}, "crc32c"),
        ({"Content-MD5": MD5_BASE64}, "md5"),
        ({"Content-MD5": MD5.hex()}, "md5"),
        ({"ETag": f'"{MD5.hex()}"'}, "md5"),
        ({"ETag": f'"{MD5.hex().upper()}"'}, "md5"),
    ],
)
@pytest.mark.parametrize("size", [len(DATA), 1000])
def test_stated_digests_are_compared(faulty, headers, checked, size):
    data = DATA[:size]
    crc, md5 = crc32c(data), hashlib.md5(data).digest()
    headers = {
        name: value.replace(CRC_BASE64, base64.b64encode(struct.pack(">I", crc)).decode())
        .replace(MD5_BASE64, base64.b64encode(md5).decode())
        .replace(MD5.hex(), md5.hex())
        .replace(MD5.hex().upper(), md5.hex().upper())
        for name, value in headers.items()
    }
    url = faulty.put("/object", data, headers)
    row = get(url, is_etag_md5=True)
    assert (row.state, row.checked, row.body) == ("data", checked, data)
    faulty.answer(Answer(flip_byte=size // 2))
    faulty._counts.clear()
    row = get(url, is_etag_md5=True)
    assert (row.state, row.attempts, row.body) == ("data", 2, data)
    faulty.script = lambda request, count: Answer(flip_byte=3)
    row = get(url, is_etag_md5=True)
    assert (row.state, row.error, row.attempts, row.body) == ("failed", "digest", 3, None)
    # The whole object as a range is checked too; a part cannot be.
    assert get(url, is_etag_md5=True, range=(0, size)).error == "digest"
    faulty.script = lambda request, count: Answer()
    row = get(url, is_etag_md5=True, range=(1, size))
    assert (row.checked, row.body) == ("", data[1:])


@pytest.mark.parametrize(
    "headers",
    [
        {"x-goog-hash": f"crc32c={CRC_BASE64}", "x-goog-stored-content-encoding": "gzip"},
        {"ETag": f'"{MD5.hex()}-3"'},
        {"ETag": f'W/"{MD5.hex()}"'},
        {"ETag": f'"{MD5.hex()}"', "x-amz-server-side-encryption": "aws:kms"},
        {"ETag": f'"{MD5.hex()}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"},
        {"x-amz-checksum-crc32c": f"{CRC_BASE64}-4"},
        {"x-goog-hash": "crc32c=!!!!!!=="},
    ],
)
def test_what_is_no_digest_of_these_bytes_is_not_compared(faulty, headers):
    url = faulty.put("/object", b"other bytes", headers)
    row = get(url, is_etag_md5=True)
    assert (row.state, row.checked, row.body) == ("data", "", b"other bytes")


def test_etags_and_stated_digests_are_compared_on_request_only(faulty):
    etag = faulty.put("/etag", b"other bytes", {"ETag": f'"{MD5.hex()}"'})
    assert get(etag).body == b"other bytes"
    stated = faulty.put("/stated", b"other bytes", {"Content-MD5": MD5_BASE64})
    assert get(stated).error == "digest"
    assert get(stated, checks_stated_digest=False).body == b"other bytes"


FAULTS = [
    Answer(status=500),
    Answer(status=503),
    Answer(status=429),
    Answer(status=403),
    Answer(reset_after=-1),
    Answer(reset_after=7000),
    Answer(close_after=-1),
    Answer(close_after=9000),
    Answer(stall_after=5000),
    Answer(delay_seconds=0.4),
    Answer(flip_byte=1234),
    Answer(stated_length=5),
    Answer(stated_length=10**6, close_after=10**6),
    Answer(is_chunked=True),
    Answer(is_chunked=True, close_after=100),
    Answer(has_length=False),
    Answer(has_length=False, close_after=50),
    Answer(ignores_range=True),
    Answer(wrong_range=1),
    Answer(garbage=b"\x00" * 100),
    Answer(status=302, headers={"Location": "/nowhere"}),
]


def test_a_thousand_random_faults_end_in_exact_data_or_a_named_error(faulty):
    rng = random.Random(7)
    objects = {}
    for i in range(50):
        data = rng.randbytes(rng.randrange(1, 30_000))
        objects[faulty.put(f"/{i}", data, goog_hash(data))] = data
    lock = threading.Lock()
    faults = Counter()

    def script(request, count):
        with lock:
            if rng.random() < 0.8:
                return Answer()
            number = rng.randrange(len(FAULTS))
            faults[number] += 1
        return FAULTS[number]

    faulty.script = script
    urls = [rng.choice(list(objects)) for _ in range(1000)]
    ranges = [None if rng.random() < 0.5 else (0, len(objects[url])) for url in urls]
    client = HttpClient(
        stall_seconds=0.15, total_seconds=10, backoff_seconds=0.005, max_backoff_seconds=0.02
    )
    start = time.monotonic()
    rows = [
        Row(*row)
        for row in client.get_many(
            urls, ranges=ranges, expected_sizes=[len(objects[u]) for u in urls]
        )
    ]
    assert time.monotonic() - start < 60
    outcomes = Counter((row.state, row.error) for row in rows)
    for url, row in zip(urls, rows, strict=True):
        if row.state == "data":
            assert row.body == objects[url]
        elif row.state != "missing":  # by the redirect to nowhere
            assert (row.state, row.body) == ("failed", None)
            assert row.error
            assert url in row.message
    print(len(faulty.requests), dict(faults), dict(outcomes))
    assert outcomes["data", ""] > 900
    assert len(faults) == len(FAULTS)
    # Nothing is counted that was not sent; libcurl may repeat a request on a kept connection by itself.
    assert len(faulty.requests) >= sum(row.attempts for row in rows)


# -- redirects and secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(faulty, status):
    faulty.put("/new", DATA)
    faulty.script = lambda request, count: (
        Answer(status=status, headers={"Location": "/new"}) if request.path == "/old" else Answer()
    )
    row = get(faulty.url + "/old", range=(10, 20), headers=[("Authorization", "Bearer secret")])
    assert (row.state, row.attempts, row.body) == ("data", 1, DATA[10:20])
    assert faulty.requests[1].headers["authorization"] == "Bearer secret"


def test_redirects_are_bounded(faulty):
    faulty.script = lambda request, count: Answer(
        status=302, headers={"Location": request.path + "x"}
    )
    row = get(faulty.url + "/", bounds={"max_redirects": 3})
    assert (row.state, row.error) == ("failed", "redirect")
    assert len(faulty.requests) == 4


SECRETS = [
    ("Authorization", "Bearer secret"),
    ("Cookie", "session=secret"),
    ("X-Amz-Security-Token", "secret"),
    ("x-goog-user-project", "secret"),
    ("X-Api-Key", "secret"),
]


def test_credentials_do_not_leave_their_server(faulty):
    with FaultServer() as other:
        other.put("/new", DATA)
        other.script = lambda request, count: (
            Answer(status=307, headers={"Location": faulty.url + "/back"})
            if request.path == "/there"
            else Answer()
        )
        faulty.put("/back", DATA)
        faulty.script = lambda request, count: (
            Answer(status=307, headers={"Location": other.url + request.path.replace("old", "new")})
            if request.path != "/back"
            else Answer()
        )
        row = get(faulty.url + "/old", headers=[*SECRETS, ("If-Match", "*")], range=(0, 5))
        assert row.body == DATA[:5]
        sent = other.requests[0].headers
        assert not any("secret" in value for value in sent.values())
        assert (sent["range"], sent["if-match"]) == ("bytes=0-4", "*")
        # Nor come back to it by way of another.
        assert get(faulty.url + "/there", headers=SECRETS).body == DATA
        assert faulty.requests[-1].path == "/back"
        assert not any("secret" in value for value in faulty.requests[-1].headers.values())


def test_a_user_in_the_url_does_not_leave_its_server(faulty):
    with FaultServer() as other:
        other.put("/new", DATA)
        faulty.answer(Answer(status=302, headers={"Location": other.url + "/new"}))
        assert get(faulty.url.replace("//", "//user:secret@") + "/old").body == DATA
        assert "authorization" in faulty.requests[0].headers
        assert "authorization" not in other.requests[0].headers


def test_writes_are_not_redirected_to_another_server(faulty):
    with FaultServer() as other:
        faulty.script = lambda request, count: Answer(
            status=307, headers={"Location": other.url + "/new"}
        )
        row = Row(*HttpClient().put(faulty.url + "/old", DATA))
        assert (row.state, row.error) == ("failed", "redirect")
        assert other.requests == []
    faulty.script = lambda request, count: (
        Answer(status=307, headers={"Location": "/new"}) if request.path == "/old" else Answer()
    )
    assert HttpClient().put(faulty.url + "/old", DATA)[0] == "data"
    assert faulty.objects["/new"] == DATA


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"]
)
def test_redirects_out_of_http_are_refused(faulty, target):
    faulty.answer(Answer(status=302, headers={"Location": target}))
    row = get(faulty.url + "/old")
    assert (row.state, row.error) == ("failed", "redirect")


def test_redirects_from_https_to_http_are_refused(nginx, nginx_folder, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate))
    # nginx redirects a folder without its slash, with the scheme of the request; so this one is followed ...
    row = get(f"{nginx.https_url}/{nginx_folder.name}")
    assert row.status == 403
    # ... and a server that names http is not.
    row = get(f"{nginx.https_url}/to-http/object")
    assert (row.state, row.error) == ("failed", "redirect")
    assert "from https to http://127.0.0.1:9/object" in row.message


def test_messages_hold_no_secrets(faulty):
    with FaultServer() as other:
        faulty.script = lambda request, count: (
            Answer(status=302, headers={"Location": f"{other.url}/there?token=secret"})
            if request.path.startswith("/moved")
            else Answer(status=403, body=b"<Code>Denied</Code><Token>secret</Token>")
        )
        other.script = lambda request, count: Answer(status=403)
        user = faulty.url.replace("//", "//me:secret@")
        for url in (
            f"{user}/a/b?key=secret#secret",
            f"{user}/moved?key=secret",
            "http://secret@/x",
        ):
            row = get(url, headers=SECRETS)
            assert row.state == "failed"
            assert "secret" not in repr(row)
        assert f"{other.url}/there?..." in get(f"{user}/moved?key=secret").message
        assert f"{faulty.url}/a/b?..." in get(f"{user}/a/b?key=secret").message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://",
        "http://a b/",
        "http://h:99999/",
        "h/x\r\ny",
    ],
)
def test_urls_that_are_none(url):
    row = get(url)
    assert (row.state, row.error, row.attempts) == ("failed", "request", 0)


@pytest.mark.parametrize("header", [("A", "b\r\nC: d"), ("A b", "c"), ("", "c"), ("A", "b\x00")])
def test_headers_cannot_be_smuggled(faulty, header):
    row = get(faulty.url + "/object", headers=[header])
    assert (row.state, row.error) == ("failed", "request")
    assert faulty.requests == []


def test_keys_are_sent_as_they_are(faulty):
    path = "/a/../b/./c//d%2Fe+f:g,h;i=j&k@l!$'()*~%20%C3%A9"
    assert get(faulty.put(path, DATA)).body == DATA
    assert faulty.paths() == [path]


# -- environment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment(faulty, monkeypatch, name):
    faulty.put("/object", DATA)
    monkeypatch.setenv(name, faulty.url)
    assert get("http://store.invalid/object").body == DATA
    assert faulty.paths() == ["http://store.invalid/object"]
    monkeypatch.setenv("no_proxy", "store.invalid")
    row = get("http://store.invalid/object")
    assert (row.state, row.error) == ("failed", "connect")
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv(name)
    assert get("http://store.invalid/object").error == "connect"
    assert len(faulty.requests) == 1


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_chunked", [False, True])
def test_bytes_in_flight_are_bounded(faulty, settings, is_chunked):
    """Answers wait for memory; the results of a batch no longer count."""
    limit = 1 << 20
    settings(max_inflight_bytes=limit)
    big = DATA * 4  # 800 kB
    faulty.script = lambda request, count: Answer(is_chunked=is_chunked)
    urls = [faulty.put(f"/{i}", big) for i in range(24)]
    before = HttpClient.stats()["pauses"]
    # A server that gets little of the processor sends one answer after the other, and none of them has to wait.
    for _ in range(30):
        rows = HttpClient().get_many(urls)
        after = HttpClient.stats()
        assert [row[2] for row in rows] == [big] * 24
        assert after["inflight_bytes"] == 0
        if after["pauses"] > before:
            return
    pytest.fail("24 answers of 800 kB never waited for 1 MiB of memory")


def test_memory_that_is_foreseen_is_taken_before_the_request(faulty, settings):
    settings(max_inflight_bytes=1 << 20)
    big = DATA * 4
    urls = [faulty.put(f"/{i}", big) for i in range(24)]
    before = HttpClient.stats()["pauses"]
    rows = HttpClient().get_many(urls, expected_sizes=[len(big)] * 24)
    assert [row[2] for row in rows] == [big] * 24
    assert HttpClient.stats()["pauses"] == before


PEAK = """
import json, sys
from cloudvolume_fast._runtime import HttpClient
HttpClient.configure(max_inflight_bytes=4 << 20)
rows = HttpClient().get_many(json.loads(sys.argv[1]))
assert all(row[0] == "data" for row in rows), rows[0]
print(json.dumps(HttpClient.stats()))
"""


@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_bound_is_kept(faulty, is_chunked):
    big = bytes(1_000_000)
    faulty.script = lambda request, count: Answer(is_chunked=is_chunked)
    urls = [faulty.put(f"/{i}", big) for i in range(40)]
    stats = support.run_python(PEAK, json.dumps(urls))
    # One body of unknown length may grow beyond the bound, so that others that wait cannot block it.
    assert stats["peak_inflight_bytes"] <= (4 << 20) + (is_chunked << 20) + (is_chunked << 18)
    assert stats["inflight_bytes"] == 0


# -- ending -----------------------------------------------------------------------------------------------------------

STALLED = """
import os, signal, sys, threading, time, json
from cloudvolume_fast._runtime import HttpClient
first = threading.Thread(target=int)  # with it a sanitizer starts one of its own, for good
first.start()
first.join()
def threads():
    return len(os.listdir("/proc/self/task"))
time.sleep(0.1)  # until a joined thread is gone from there
before = threads()
client = HttpClient()
client.get_many([sys.argv[1]])
def sockets():
    out = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            out += os.readlink(f"/proc/self/fd/{name}").startswith(("socket:", "anon_inode:[event"))
        except OSError:
            pass
    return out
sent = []
def interrupt():
    time.sleep(0.3)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=interrupt)
thread.start()
try:
    client.get_many([sys.argv[2]] * 20)
    took = None
except KeyboardInterrupt:
    took = time.monotonic() - sent[0]
thread.join()
HttpClient.close()
end = time.monotonic() + 5
while threads() > before and time.monotonic() < end:
    time.sleep(0.01)
print(json.dumps([took, threads() - before, sockets()]))
"""


@needs_proc
@pytest.mark.parametrize("answer", [Answer(stall_after=100), Answer(delay_seconds=20)])
def test_ctrl_c_ends_a_stalled_read(faulty, answer):
    faulty.put("/fine", DATA)
    faulty.put("/stalled", DATA)
    faulty.script = lambda request, count: answer if request.path == "/stalled" else Answer()
    took, threads, sockets = support.run_python(
        STALLED, faulty.url + "/fine", faulty.url + "/stalled", OPENBLAS_NUM_THREADS="1"
    )
    assert took is not None
    assert took < 0.2
    assert (threads, sockets) == (0, 0)


@needs_proc
def test_ctrl_c_ends_retries_and_queues(faulty):
    faulty.script = lambda request, count: (
        Answer(status=500) if request.path == "/stalled" else Answer()
    )
    faulty.put("/fine", DATA)
    took, threads, sockets = support.run_python(
        STALLED.replace("HttpClient()", "HttpClient(max_attempts=10**6)").replace("* 20", "* 2000"),
        faulty.url + "/fine",
        faulty.url + "/stalled",
        OPENBLAS_NUM_THREADS="1",
    )
    assert took is not None
    assert took < 0.2
    assert (threads, sockets) == (0, 0)


@needs_proc
def test_close_leaves_neither_thread_nor_socket(faulty):
    HttpClient.close()
    gc.collect()
    threads, sockets = threads_of_this_process(), sockets_of_this_process()
    local = len(sockets)
    urls = [faulty.put(f"/{i}", DATA, {"ETag": f'"{MD5.hex()}"'}) for i in range(50)]
    before = faulty.open_connections()
    assert all(row[5] == "md5" for row in HttpClient().get_many(urls, is_etag_md5=True))
    assert HttpClient.stats()["is_running"]
    HttpClient.close()
    assert not HttpClient.stats()["is_running"]
    assert wait_until(lambda: faulty.open_connections() == before)
    faulty_threads = {str(t.native_id) for t in threading.enumerate()}
    assert wait_until(lambda: threads_of_this_process() - threads - faulty_threads == set())
    assert wait_until(lambda: len(sockets_of_this_process()) == local)


def test_an_idle_thread_ends(faulty, settings):
    settings(idle_seconds=0.1)
    assert get(faulty.put("/object", DATA)).body == DATA
    assert wait_until(lambda: not HttpClient.stats()["is_running"], 3)
    assert wait_until(lambda: faulty.open_connections() == 0)
    assert get(faulty.url + "/object").body == DATA


def test_close_cancels_what_other_threads_wait_for(faulty):
    faulty.script = lambda request, count: Answer(stall_after=10)
    rows = []
    thread = threading.Thread(target=lambda: rows.append(get(faulty.put("/object", DATA))))
    thread.start()
    assert wait_until(lambda: faulty.requests)
    HttpClient.close()
    thread.join(2)
    assert not thread.is_alive()
    assert (rows[0].state, rows[0].body) == ("cancelled", None)


def test_many_threads_share_the_reactor(faulty):
    urls = [faulty.put(f"/{i}", DATA[i:]) for i in range(40)]
    wrong = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(10):
            chosen = [rng.randrange(40) for _ in range(8)]
            rows = HttpClient().get_many([urls[i] for i in chosen])
            wrong.extend(i for i, row in zip(chosen, rows, strict=True) if row[2] != DATA[i:])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


FORKS = """
import json, os, sys, threading, warnings
warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads, which is what this is about
from cloudvolume_fast._runtime import HttpClient
client = HttpClient()
plain, secure = sys.argv[1:3]
expected = client.get_many([plain, secure])
assert [row[0] for row in expected] == ["data", "data"], expected
stop = threading.Event()
def busy():
    while not stop.is_set():
        assert all(row[0] == "data" for row in client.get_many([plain, secure] * 20))
thread = threading.Thread(target=busy)
thread.start()
def network_sockets():
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in open(f"/proc/self/net/{table}").readlines()[1:]:
            inodes.add(line.split()[9])
    out = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        out += target.startswith("socket:") and target[8:-1] in inodes
    return out
statuses = []
for _ in range(50):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if network_sockets() != 0:
                code = 2
            elif [row[2] for row in client.get_many([plain, secure])] != [row[2] for row in expected]:
                code = 3
            else:
                code = 0
        finally:
            os._exit(code)
    statuses.append(os.waitpid(child, 0)[1])
stop.set()
thread.join()
assert [row[2] for row in client.get_many([plain])] == [expected[0][2]]
print(json.dumps(statuses))
"""


@needs_proc
@pytest.mark.busy_fork
def test_forked_children_start_afresh(faulty, nginx, nginx_folder):
    (nginx_folder / "object").write_bytes(DATA)
    statuses = support.run_python(
        FORKS,
        faulty.put("/object", DATA),
        f"{nginx.https_url}/{nginx_folder.name}/object",
        SSL_CERT_FILE=str(nginx.certificate),
    )
    assert statuses == [0] * 50


FORK_WHILE_WAITING = """
import json, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
from cloudvolume_fast._runtime import HttpClient
children = []
def fork(*_):
    children.append(os.fork())
signal.signal(signal.SIGUSR1, fork)
main = os.getpid()
threading.Timer(0.2, lambda: os.kill(main, signal.SIGUSR1)).start()
row = HttpClient().get_many([sys.argv[1]])[0]
if children[0] == 0:
    again = HttpClient().get_many([sys.argv[2]])[0]
    os._exit(0 if (row[0], row[6], again[0]) == ("failed", "forked", "data") else 1)
print(json.dumps([row[0], os.waitpid(children[0], 0)[1]]))
"""


@pytest.mark.busy_fork
def test_a_child_forked_by_a_signal_handler_does_not_wait_for_ever(faulty):
    faulty.put("/slow", DATA)
    faulty.script = lambda request, count: Answer(
        delay_seconds=1.0 if request.path == "/slow" else 0
    )
    assert support.run_python(
        FORK_WHILE_WAITING, faulty.url + "/slow", faulty.put("/fast", b"x")
    ) == ["data", 0]


ENDINGS = {
    "return": "",
    "exit": "sys.exit(0)",
    "exception": "raise SystemExit(0)",
    "quick": "os._exit(0)",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_processes_end_with_requests_under_way(faulty, nginx, nginx_folder, ending, scheme):
    (nginx_folder / "object").write_bytes(DATA * 20)
    faulty.script = lambda request, count: Answer(stall_after=10)
    script = f"""
import os, sys, threading, time
from cloudvolume_fast._runtime import HttpClient
def wait(urls):
    while True:
        HttpClient().get_many(urls)
threading.Thread(target=wait, args=([sys.argv[1]] * 50,), daemon=True).start()
threading.Thread(target=wait, args=([sys.argv[2]] * 50,), daemon=True).start()
time.sleep(0.3)
{ENDINGS[ending]}
"""
    base = nginx.url if scheme == "http" else nginx.https_url
    start = time.monotonic()
    process = support.start_python(
        script,
        faulty.put("/object", DATA),
        f"{base}/{nginx_folder.name}/object",
        SSL_CERT_FILE=str(nginx.certificate),
    )
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - start < 15
