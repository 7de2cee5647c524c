# SPDX-License-Identifier: BSD-3-Clause
"""Layers behind a web server: what is read, what is absent, and what is an error."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import brotli
import pytest
import zstandard
from servers.faulty import Answer, FaultServer, goog_hash
from servers.nginx import Nginx

from cloudvolume_fast.errors import (
    AuthorizationError,
    ChunkReadError,
    CRC32CIntegrityError,
    DecompressionError,
    ReadOnlyException,
    UnsupportedCompressionType,
    UnsupportedOptionError,
)
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.remote.http_store import HttpStore
from cloudvolume_fast.fetch.store import KeyRange, ObjectStore
from cloudvolume_fast.model.layer_path import parse_layer_path


def open_http(url: str, **settings) -> HttpStore:
    store = open_store(parse_layer_path(url), **settings)
    assert isinstance(store, HttpStore)
    return store


@pytest.fixture
def store(nginx: Nginx, nginx_folder: Path, home: Path) -> HttpStore:
    return open_http(f"{nginx.url}/{nginx_folder.name}/layer")


@pytest.fixture
def folder(nginx_folder: Path) -> Path:
    (nginx_folder / "layer").mkdir()
    return nginx_folder / "layer"


def test_it_is_an_object_store(store: HttpStore) -> None:
    assert isinstance(store, ObjectStore)


def test_objects_come_in_order_and_absent_ones_are_none(store: HttpStore, folder: Path) -> None:
    (folder / "a").write_bytes(b"1")
    (folder / "sub").mkdir()
    (folder / "sub/1:0").write_bytes(b"22")
    assert store.get_many(["sub/1:0", "absent", "a"]) == [b"22", None, b"1"]
    assert store.exists_many(["absent", "a"]) == [False, True]


def test_what_the_server_compressed_is_decompressed(store: HttpStore, folder: Path) -> None:
    (folder / "a.gz").write_bytes(gzip.compress(b"text"))  # gzip_static: served as "a"
    (folder / "a").write_bytes(b"other")
    assert store.get("a") == b"text"


def test_ranges_stop_where_the_object_ends(store: HttpStore, folder: Path) -> None:
    (folder / "a").write_bytes(b"0123456789")
    assert store.get_ranges(
        [KeyRange("a", 2, 3), KeyRange("a", 8, 99), KeyRange("a", 10, 1), KeyRange("a", 50, 5)]
    ) == [b"234", b"89", b"", b""]
    assert store.get_range("absent", 0, 5) is None
    assert store.get_range("a", 3, 0) == b""


def test_nothing_can_be_written_or_listed(store: HttpStore) -> None:
    with pytest.raises(ReadOnlyException, match=r"layer"):
        store.put("a", b"")
    with pytest.raises(ReadOnlyException):
        store.delete_many(["a"])
    with pytest.raises(UnsupportedOptionError):
        list(store.list())


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
        ("aws-chunked", bytes),
        ("aws-chunked, gzip", gzip.compress),
        ("br, gzip", lambda data: gzip.compress(brotli.compress(data))),
    ],
)
def test_content_encodings(faulty: FaultServer, home: Path, name: str, compress) -> None:
    faulty.script = lambda request, count: Answer(
        body=compress(b"text" * 100), headers={"Content-Encoding": name}
    )
    assert open_http(f"{faulty.url}/layer").get("a") == b"text" * 100


def test_unknown_or_false_content_encodings_are_named(faulty: FaultServer, home: Path) -> None:
    store = open_http(f"{faulty.url}/layer")
    faulty.script = lambda request, count: Answer(
        body=b"text", headers={"Content-Encoding": "rot13"}
    )
    with pytest.raises(UnsupportedCompressionType, match=r"layer/a: .*rot13"):
        store.get("a")
    faulty.script = lambda request, count: Answer(
        body=b"text", headers={"Content-Encoding": "gzip"}
    )
    with pytest.raises(DecompressionError, match=r"layer/a"):
        store.get("a")


@pytest.mark.parametrize("status", [401, 403])
def test_forbidden_is_not_missing(faulty: FaultServer, home: Path, status: int) -> None:
    faulty.objects["/layer/info"] = b"{}"
    store = open_http(f"{faulty.url}/layer")
    assert store.get("info") == b"{}"
    faulty.script = lambda request, count: Answer(status=status, body=b"no")
    with pytest.raises(AuthorizationError, match=rf"layer/a: .*{status}") as raised:
        store.get("a")
    assert raised.value.found == status
    assert isinstance(raised.value, PermissionError)
    with pytest.raises(AuthorizationError):
        store.exists_many(["a"])


def test_forbidden_is_missing_where_the_store_hides_absence(
    faulty: FaultServer, home: Path
) -> None:
    """As a bucket of S3 behind its web address answers those who may not list it."""
    faulty.objects["/layer/info"] = b"{}"

    def answer(request, count):
        if request.path == "/layer/info":
            return Answer(headers={"x-amz-request-id": "1"})
        return Answer(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")

    faulty.script = answer
    store = open_http(f"{faulty.url}/layer")
    with pytest.raises(AuthorizationError):
        store.get("a")  # nothing is known before info was read
    assert not store.endpoint.is_forbidden_missing
    assert store.get("info") == b"{}"
    assert store.endpoint.is_forbidden_missing
    assert store.get("a") is None
    assert store.exists_many(["a"]) == [False]
    faulty.script = lambda request, count: Answer(status=401, body=b"no")
    with pytest.raises(AuthorizationError):
        store.get("a")


def test_forbidden_stays_an_error_where_absence_is_shown(faulty: FaultServer, home: Path) -> None:
    faulty.objects["/layer/info"] = b"{}"

    def answer(request, count):
        if request.path.endswith("forbidden"):
            return Answer(status=403, body=b"no")
        return Answer(headers={"x-amz-request-id": "1"})

    faulty.script = answer
    store = open_http(f"{faulty.url}/layer")
    assert store.get_many(["info", "absent"]) == [b"{}", None]
    with pytest.raises(AuthorizationError):
        store.get("forbidden")


def test_other_failures_are_read_errors(faulty: FaultServer, home: Path) -> None:
    faulty.script = lambda request, count: Answer(status=400, body=b"no")
    with pytest.raises(ChunkReadError, match=r"layer/a: .*400"):
        open_http(f"{faulty.url}/layer").get("a")


def test_bytes_that_differ_from_the_stated_digest_are_an_error(
    faulty: FaultServer, home: Path
) -> None:
    faulty.script = lambda request, count: Answer(body=b"text", headers=goog_hash(b"tent"))
    with pytest.raises(CRC32CIntegrityError, match=r"layer/a"):
        open_http(f"{faulty.url}/layer").get("a")


def test_a_store_is_pickled_as_its_path(store: HttpStore, folder: Path) -> None:
    (folder / "a").write_bytes(b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again.get("a") == b"1"
    assert again.cloudpath == store.cloudpath


def test_credentials_are_not_pickled(nginx: Nginx, home: Path) -> None:
    store = open_http(f"{nginx.url}/layer", secrets={"user": "u", "password": "very-secret"})
    assert b"very-secret" not in pickle.dumps(store)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(store._credentials)
