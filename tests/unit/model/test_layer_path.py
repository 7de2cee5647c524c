# SPDX-License-Identifier: BSD-3-Clause
"""Paths of layers."""

from __future__ import annotations

import json
import pathlib

import pytest

from cloudvolume_fast.errors import UnsupportedFormatError, UnsupportedProtocolError
from cloudvolume_fast.model.layer_path import (
    LayerPath,
    alias_endpoint,
    parse_layer_path,
    to_https,
)


@pytest.fixture(autouse=True)
def cloud_files_dir(tmp_path, monkeypatch):
    """Keep aliases of the person running the tests out of them."""
    directory = tmp_path / "cloudfiles"
    monkeypatch.setenv("CLOUD_FILES_DIR", str(directory))
    return directory


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("gs://b/ds/layer", ("precomputed", "gs", "b", "b/ds", "ds", "ds", "layer")),
        ("gs://b", ("precomputed", "gs", "b", "", "", "b", "b")),
        ("gs://b/x", ("precomputed", "gs", "b", "b", "", "b", "x")),
        ("s3://b/a/b/c/d", ("precomputed", "s3", "b", "b/a/b/c", "a/b/c", "c", "d")),
        ("file:///tmp/a/b", ("precomputed", "file", "/tmp", "/tmp/a", "a", "a", "b")),
        ("file:///tmp/a", ("precomputed", "file", "/tmp", "/tmp", "", "tmp", "a")),
        ("file:///tmp", ("precomputed", "file", "/tmp", "", "", "/tmp", "tmp")),
        ("/tmp/a/b", ("precomputed", "file", "/tmp", "/tmp/a", "a", "a", "b")),
        ("precomputed:///tmp/a/b", ("precomputed", "file", "/tmp", "/tmp/a", "a", "a", "b")),
        ("precomputed://gs://b/d/l", ("precomputed", "gs", "b", "b/d", "d", "d", "l")),
        ("zarr://s3://b/d/l", ("zarr", "s3", "b", "b/d", "d", "d", "l")),
        ("zarr3://s3://b/d/l", ("zarr3", "s3", "b", "b/d", "d", "d", "l")),
        ("n5://file:///tmp/a/b", ("n5", "file", "/tmp", "/tmp/a", "a", "a", "b")),
        ("graphene://https://h/s/t/x", ("graphene", "https", "h", "h/s/t", "s/t", "t", "x")),
        ("http://h:8080/p/l", ("precomputed", "http", "h:8080", "h:8080/p", "p", "p", "l")),
        ("mem://u/x", ("precomputed", "mem", "u", "u", "", "u", "x")),
        ("middleauth+https://h/a", ("precomputed", "middleauth+https", "h", "h", "", "h", "a")),
        ("ngauth+https://h/a", ("precomputed", "ngauth+https", "h", "h", "", "h", "a")),
        ("matrix://b/d/l", ("precomputed", "matrix", "b", "b/d", "d", "d", "l")),
        ("tigerdata://b/d/l", ("precomputed", "tigerdata", "b", "b/d", "d", "d", "l")),
        ("nokura://b/d/l", ("precomputed", "nokura", "b", "b/d", "d", "d", "l")),
    ],
)
def test_path_is_taken_apart(path, parts):
    assert parse_layer_path(path) == LayerPath(*parts)


@pytest.mark.parametrize("path", ["gs://b/ds/layer", "file:///tmp/a/b", "/tmp/a/b", "mem://u/x"])
def test_trailing_slashes_do_not_matter(path):
    assert parse_layer_path(path + "//") == parse_layer_path(path)


def test_repeated_slashes_are_one():
    assert parse_layer_path("gs://b//ds///layer") == parse_layer_path("gs://b/ds/layer")


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [("neuroglancer-precomputed", "precomputed"), ("zarr2", "zarr2"), ("n5", "n5")],
)
def test_format_may_be_a_suffix(suffix, expected):
    path = parse_layer_path(f"gs://b/d/l/|{suffix}:")
    assert path.qualified_cloudpath == f"{expected}://gs://b/d/l"


def test_path_object_is_local():
    assert parse_layer_path(pathlib.Path("/tmp/a/b")) == parse_layer_path("file:///tmp/a/b")


def test_relative_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("ds/layer", "./ds/layer", "file://ds/layer", "ds/x/../layer"):
        assert parse_layer_path(path).cloudpath == f"file://{tmp_path}/ds/layer"


@pytest.mark.parametrize("path", ["~/ds/layer", "file://~/ds/layer"])
def test_tilde_is_home(path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse_layer_path(path).cloudpath == "file:///home/someone/ds/layer"


def test_drive_letter_is_kept():
    assert parse_layer_path("file:///C:/a/b").cloudpath == "file:///C:/a/b"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "file://",
        "/",
        "file:///",
        "gs://",
        "gs:///b/d",
        "gs://gs://b/d",
        "precomputed://precomputed://gs://b/d",
        " gs://b/d",
        "GS://b/d",
        "wow://b/d",
        "boss://c/e/ch",
        "s3://https://host",
        "gs://https://host/b/d",
    ],
)
def test_malformed_path_or_unknown_protocol_raises(path):
    with pytest.raises(UnsupportedProtocolError):
        parse_layer_path(path)


@pytest.mark.parametrize("path", ["foo://gs://b/d", "gs://b/d|foo:"])
def test_unknown_format_raises(path):
    with pytest.raises(UnsupportedFormatError, match="foo"):
        parse_layer_path(path)


def test_s3_path_may_name_its_endpoint():
    path = parse_layer_path("s3://http://localhost:9000/bucket/ds/layer")
    assert path.host == "http://localhost:9000"
    assert (path.bucket, path.dataset, path.layer) == ("bucket", "ds", "layer")
    assert path.cloudpath == "s3://http://localhost:9000/bucket/ds/layer"


@pytest.mark.parametrize(
    "path",
    [
        "precomputed://gs://b/d/l",
        "precomputed://gs://b",
        "precomputed://file:///tmp",
        "zarr2://file:///tmp/a/b",
        "graphene://middleauth+https://h/s/t/x",
        "precomputed://s3://https://h/b/d",
    ],
)
def test_qualified_cloudpath_parses_to_the_same(path):
    parsed = parse_layer_path(path)
    assert parsed.qualified_cloudpath == path
    assert parse_layer_path(parsed.qualified_cloudpath) == parsed


def test_cloudpath_has_no_format():
    path = parse_layer_path("zarr2://gs://b/d/l")
    assert path.cloudpath == "gs://b/d/l"
    assert path.base_cloudpath == "gs://b/d"


@pytest.mark.parametrize(
    ("path", "prefix"), [("gs://b/d/l", "d/l"), ("gs://b", ""), ("file:///tmp/a/b", "a/b")]
)
def test_key_prefix_is_the_path_within_the_bucket(path, prefix):
    assert parse_layer_path(path).key_prefix == prefix


def test_local_directory():
    assert parse_layer_path("file:///tmp/a/b").local_directory == pathlib.Path("/tmp/a/b")
    assert parse_layer_path("/tmp").local_directory == pathlib.Path("/tmp")


def test_local_directory_of_a_remote_path_raises():
    with pytest.raises(UnsupportedProtocolError, match="file"):
        _ = parse_layer_path("gs://b/d/l").local_directory


def test_layer_path_is_a_value():
    assert hash(parse_layer_path("gs://b/d")) == hash(parse_layer_path("gs://b/d/"))
    with pytest.raises(AttributeError):
        parse_layer_path("gs://b/d").layer = "x"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gs://b/d", "https://storage.googleapis.com/b/d"),
        ("s3://b/d", "https://s3.amazonaws.com/b/d"),
        ("matrix://b/d", "https://s3-hpcrc.rc.princeton.edu/b/d"),
        ("nokura://b/d/e", "https://c10s.pni.princeton.edu/b/d/e"),
        ("s3://http://localhost:9000/b/d", "http://localhost:9000/b/d"),
        ("https://h/x", "https://h/x"),
        ("file:///a/b", "file:///a/b"),
        ("mem://a/b", "mem://a/b"),
    ],
)
def test_to_https(path, expected):
    assert to_https(parse_layer_path(path)).cloudpath == expected


def test_to_https_keeps_the_format():
    assert to_https(parse_layer_path("zarr2://gs://b/d")).format == "zarr2"


def test_alias_endpoint():
    assert alias_endpoint("tigerdata") == "s3://https://td.princeton.edu/"
    assert alias_endpoint("gs") is None
    assert alias_endpoint("wow") is None


def test_alias_of_the_user(cloud_files_dir):
    cloud_files_dir.mkdir()
    content = json.dumps({"wow": {"host": "s3://https://wow.example.org/"}})
    (cloud_files_dir / "aliases.json").write_text(content)
    assert parse_layer_path("wow://b/d/l").protocol == "wow"
    assert parse_layer_path("zarr2://wow://b/d/l").format == "zarr2"
    assert alias_endpoint("wow") == "s3://https://wow.example.org/"
    assert to_https(parse_layer_path("wow://b/d")).cloudpath == "https://wow.example.org/b/d"


@pytest.mark.parametrize("content", ["", "[]", "{{", '{"wow": "x"}', '{"wow": {"host": 5}}'])
def test_malformed_aliases_are_no_aliases(cloud_files_dir, content):
    cloud_files_dir.mkdir()
    (cloud_files_dir / "aliases.json").write_text(content)
    with pytest.raises(UnsupportedProtocolError):
        parse_layer_path("wow://b/d/l")


def test_aliases_are_not_read_for_known_protocols(monkeypatch):
    def fail(self):
        raise AssertionError(self)

    monkeypatch.setattr(pathlib.Path, "read_bytes", fail)
    assert parse_layer_path("precomputed://gs://b/d").protocol == "gs"
