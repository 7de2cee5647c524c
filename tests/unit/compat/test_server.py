# SPDX-License-Identifier: BSD-3-Clause
"""``vol.viewer()``: a real server on loopback, asked as a browser asks."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import support
from cloudvolume_fast.server import parse_range_header

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.compat.server import make_viewer

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def layer(tmp_path: Path) -> str:
    path, _ = support.write_layer(tmp_path / "layer")
    (tmp_path / "secret").write_text("x")
    return path


@pytest.fixture
def port(layer: str) -> Iterator[int]:
    with make_viewer(layer, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, method: str, path: str, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("localhost", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def chunk_of(layer: str) -> tuple[str, bytes]:
    vol = CloudVolume(layer)
    name, data = next(iter(vol.download_files(vol.bounds).items()))
    return f"/{name}", data


def test_objects_are_sent_decompressed(layer: str, port: int) -> None:
    status, headers, body = ask(port, "GET", "/info")
    assert (status, json.loads(body)["data_type"]) == (200, "uint32")
    assert headers["Access-Control-Allow-Origin"] == "*"
    name, data = chunk_of(layer)
    status, headers, body = ask(port, "GET", name)
    assert (status, body, headers["Content-Length"]) == (200, data, str(len(data)))
    assert headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=5-5", slice(5, 6)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=0-999999", slice(None)),
    ],
)
def test_ranges_are_of_the_decompressed_object(
    layer: str, port: int, asked: str, part: slice
) -> None:
    name, data = chunk_of(layer)
    status, headers, body = ask(port, "GET", name, Range=asked)
    assert (status, body) == (206, data[part])
    first = range(len(data))[part][0]
    assert headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(data)}"


def test_range_behind_the_end_and_ranges_that_are_none(layer: str, port: int) -> None:
    name, data = chunk_of(layer)
    status, headers, body = ask(port, "GET", name, Range=f"bytes={len(data)}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(data)}", b"")
    for header in ("bytes=0-1,4-5", "lines=0-1", "bytes=-", "bytes=5-2"):
        assert ask(port, "GET", name, Range=header)[0] == 200


def test_other_methods_and_absent_objects(layer: str, port: int) -> None:
    status, headers, body = ask(port, "HEAD", "/info")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0
    status, headers, _ = ask(port, "OPTIONS", "/info")
    assert (status, headers["Access-Control-Allow-Headers"]) == (204, "Range")
    assert ask(port, "GET", "/nothing")[0] == 404
    assert ask(port, "GET", "/")[0] == 404


@pytest.mark.parametrize("path", ["/../secret", "/4_4_40/../../secret", "/%2e%2e/secret"])
def test_nothing_outside_of_the_layer_is_served(port: int, path: str) -> None:
    assert ask(port, "GET", path)[0] == 403


def test_links_that_leave_the_layer_are_not_followed(layer: str, port: int, tmp_path: Path) -> None:
    (tmp_path / "layer" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"x"))
    (tmp_path / "layer" / "other.gz").symlink_to(tmp_path / "packed.gz")
    for name in ("/link", "/other"):
        assert ask(port, "GET", name)[::2] == (403, b"")
    (tmp_path / "layer" / "inner").symlink_to(tmp_path / "layer" / "info")
    assert ask(port, "GET", "/inner")[0] == 200


def test_the_newest_copy_is_sent(layer: str, port: int, tmp_path: Path) -> None:
    base = tmp_path / "layer" / "object"
    base.write_bytes(b"plain")
    packed = base.with_name("object.gz")
    packed.write_bytes(gzip.compress(b"packed"))
    os.utime(base, ns=(1, 1))
    os.utime(packed, ns=(2, 2))
    accepting = {"Accept-Encoding": "gzip"}
    assert ask(port, "GET", "/object")[2] == b"packed"
    assert gzip.decompress(ask(port, "GET", "/object", **accepting)[2]) == b"packed"
    os.utime(base, ns=(3, 3))
    status, headers, body = ask(port, "GET", "/object", **accepting)
    assert (status, body) == (200, b"plain")
    assert "Content-Encoding" not in headers
    assert ask(port, "GET", "/object", Range="bytes=1-3", **accepting)[2] == b"lai"


def test_layers_in_memory_are_served_too() -> None:
    path = "mem://served/layer"
    CloudVolume.from_numpy(np.ones((4, 4, 4), np.uint8), vol_path=path)
    with make_viewer(path, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        status, _, body = ask(server.server_port, "GET", "/info", **{"Accept-Encoding": "gzip"})
        server.shutdown()
        thread.join()
    assert (status, json.loads(body)["data_type"]) == (200, "uint8")


def test_range_headers() -> None:
    assert parse_range_header("bytes=3-") == (3, None)
    assert parse_range_header("bytes=-3") == (None, 3)
    assert parse_range_header(None) is None


def test_viewer_of_a_volume_blocks_until_interrupted(layer: str) -> None:
    script = f"from cloudvolume_fast import CloudVolume; CloudVolume({layer!r}).viewer(port=0)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        port = int(line.strip().rpartition(":")[2])
        assert ask(port, "GET", "/info")[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
