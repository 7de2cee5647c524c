# SPDX-License-Identifier: BSD-3-Clause
"""Serves a layer, or a folder of layers, over HTTP to Neuroglancer in a browser, wherever it lies.

What an ordinary file server does not do: find ``name.gz`` when ``name`` is asked for, answer ranges of what is in it
(shards are read in parts), and allow requests of other origins.  Files of this machine are sent as they are stored,
without being read as a whole, where the browser can take them so.
"""

from __future__ import annotations

import contextlib
import functools
import os
import posixpath
import re
import sys
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cloudvolume_fast.compat.stores import open_store
from cloudvolume_fast.fetch.content_encoding import SUFFIXES
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.store import ObjectStore

__all__ = ["DEFAULT_PORT", "ViewerServerHandler", "make_viewer", "parse_range_header", "view"]

DEFAULT_PORT = 8080

_ENCODINGS = {"": "identity", ".gz": "gzip", ".br": "br", ".zstd": "zstd"}
_BLOCK_BYTES = 1 << 20
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*")


def parse_range_header(header: str | None) -> tuple[int | None, int | None] | None:
    """Return the first and last byte that a Range header names, None for a side that is open.

    Parameters
    ----------
    header : str or None
        ``bytes=0-99``, ``bytes=100-``, ``bytes=-20``.

    Returns
    -------
    tuple or None
        None for what is no single range, which is then ignored (RFC 9110, 14.2).
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or not any(found.groups()):
        return None
    first, last = (int(text) if text else None for text in found.groups())
    if first is not None and last is not None and last < first:
        return None
    return first, last


class ViewerServerHandler(BaseHTTPRequestHandler):
    """Answers one connection: GET with single ranges, HEAD, OPTIONS.

    Parameters
    ----------
    cloudpath : str
        What is served; nothing outside of it is.
    *args
        Of the server.
    """

    protocol_version = "HTTP/1.1"
    store: ObjectStore

    def __init__(self, cloudpath: str | ObjectStore, *args: Any) -> None:
        self.store = open_store(cloudpath) if isinstance(cloudpath, str) else cloudpath
        self.cloudpath = self.store.cloudpath
        super().__init__(*args)

    def do_GET(self) -> None:
        """Send an object, or a range of it, decompressed unless the browser does that."""
        self._answer(sends_body=True)

    def do_HEAD(self) -> None:
        """Send what GET would, without the body."""
        self._answer(sends_body=False)

    def do_OPTIONS(self) -> None:
        """Tell a browser that it may ask."""
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Max-Age", "86400")
        self._end(0)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: a view loads thousands of chunks."""

    def _answer(self, *, sends_body: bool) -> None:
        path = urllib.parse.urlsplit(self.path)
        name = urllib.parse.unquote(path.path).lstrip("/")
        if ".." in name.split("/") or "\0" in name:
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        name = posixpath.normpath(name) if name else ""
        self._sends_body = sends_body
        try:
            if name not in ("", ".") and self._send_stored(name):
                return
            data = self.store.get(name) if name not in ("", ".") else None
        except ConnectionError:
            raise  # the browser has gone
        except Exception as error:
            self.log_error("%s: %s", name, error)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if data is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        self.serve_data(data, path.query, len(data))

    def _send_stored(self, name: str) -> bool:
        """Send a file of this machine as it is stored if it may be, or refuse it; False where neither is done."""
        if not isinstance(self.store, FileStore):
            return False
        base = self.store.path(name)
        copies = [suffix for suffix in SUFFIXES if os.path.isfile(base + suffix)]
        if not copies:
            return False
        suffix = max(copies, key=lambda each: os.stat(base + each).st_mtime_ns)
        root = os.path.realpath(self.store.root)
        if os.path.commonpath([root, os.path.realpath(base + suffix)]) != root:
            self._refuse(HTTPStatus.FORBIDDEN)
            return True
        encoding = _ENCODINGS.get(suffix, "")
        # A range counts bytes of what is stored, which is no use where the browser decompresses it.
        if suffix and (self.headers.get("Range") or encoding not in self._accepted()):
            return False
        with open(base + suffix, "rb") as file:
            start, end = self._begin(os.fstat(file.fileno()).st_size, encoding)
            file.seek(start)
            while start < end and (block := file.read(min(_BLOCK_BYTES, end - start))):
                self.wfile.write(block)
                start += len(block)
        return True

    def _accepted(self) -> set[str]:
        """Return the encodings that the browser takes, but for those that it gives no weight."""
        found = set()
        for part in self.headers.get("Accept-Encoding", "").lower().split(","):
            name, *options = (each.strip() for each in part.split(";"))
            if not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", option) for option in options):
                found.add(name)
        return found

    def serve_data(self, data: bytes, query: str, size: int) -> None:
        """Send what an object holds, or the range of it that was asked for.

        Parameters
        ----------
        data : bytes
            All of the object.
        query : str
            Of the URL; it changes nothing.
        size : int
            Of the object.
        """
        start, end = self._begin(size)
        if start < end:
            self.wfile.write(memoryview(data)[start:end])

    def _begin(self, size: int, encoding: str = "identity") -> tuple[int, int]:
        """Send the headers of an object; return the range of it that is to follow, which may be empty."""
        asked = parse_range_header(self.headers.get("Range"))
        start, end = 0, size
        if asked is not None:
            first, last = asked
            if first is None:
                start = max(0, size - (last or 0))
            else:
                start = first
                end = size if last is None else min(size, last + 1)
            if start >= end:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self._end(0)
                return 0, 0
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Vary", "Accept-Encoding")
        if encoding != "identity":
            self.send_header("Content-Encoding", encoding)
        self._end(end - start)
        return (start, end) if self._sends_body else (0, 0)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self._end(0)

    def _end(self, length: int) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Encoding")
        self.send_header("Content-Length", str(length))
        self.end_headers()


def make_viewer(
    cloudpath: str, hostname: str = "localhost", port: int = DEFAULT_PORT
) -> ThreadingHTTPServer:
    """Return a server of a layer that listens; the caller runs and closes it.

    Parameters
    ----------
    cloudpath : str
    hostname : str
        Address to listen on.
    port : int
        0 for any that is free.

    Raises
    ------
    OSError
        The port is taken.
    """
    return ThreadingHTTPServer(
        (hostname, port), functools.partial(ViewerServerHandler, open_store(cloudpath))
    )


def view(cloudpath: str, hostname: str = "localhost", port: int = DEFAULT_PORT) -> None:
    """Serve a layer to Neuroglancer until interrupted.

    Parameters
    ----------
    cloudpath : str
    hostname : str
        Address to listen on.
    port : int

    Raises
    ------
    OSError
        The port is taken.
    """
    with make_viewer(cloudpath, hostname, port) as server:
        name = cloudpath if "://" in cloudpath else f"file://{cloudpath}"
        sys.stdout.write(f"Serving {name} at http://{hostname}:{server.server_port}\n")
        sys.stdout.write(
            f"For Neuroglancer: precomputed://http://{hostname}:{server.server_port}\n"
        )
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
