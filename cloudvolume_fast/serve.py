# SPDX-License-Identifier: BSD-3-Clause
"""A small HTTP server of a folder of volumes, for a Neuroglancer that runs in a browser.

What an ordinary file server does not do: find ``name.gz`` when ``name`` is asked for and say so in
Content-Encoding, answer ranges (shards are read in parts), and allow requests of other origins.
"""

from __future__ import annotations

import functools
import re
import shutil
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["make_server"]

_ENCODINGS = {"": None, ".gz": "gzip", ".br": "br", ".zstd": "zstd"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Make a server that listens on the loopback address.

    Parameters
    ----------
    folder : Path
        What to serve; nothing outside of it is.
    port : int
        0 for any that is free.

    Returns
    -------
    ThreadingHTTPServer
        Listening; the caller runs and closes it.

    Raises
    ------
    OSError
        If the port is taken.
    """
    handler = functools.partial(_Handler, root=folder.resolve())
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, root: Path) -> None:  # the socket server's arguments, as given
        self._root = root
        super().__init__(*args)

    def do_GET(self) -> None:
        """Send a file or a range of it."""
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
        """Find the file and send it."""
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        for suffix, encoding in _ENCODINGS.items():
            path = (self._root / (name + suffix)).resolve()
            if path.is_relative_to(self._root) and path.is_file():
                with path.open("rb") as file:
                    self._send(file, path.stat().st_size, encoding, sends_body=sends_body)
                return
        self.send_response(HTTPStatus.NOT_FOUND)
        self._end(0)

    def _send(self, file: BinaryIO, size: int, encoding: str | None, *, sends_body: bool) -> None:
        """Send a file, or the range of it that was asked for."""
        start, end = 0, size
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        # A range counts bytes of the stored form, which is no use where a browser unpacks it.
        if asked and any(asked.groups()) and encoding is None:
            first, last = asked.groups()
            start = int(first) if first else max(0, size - int(last))
            end = min(size, int(last) + 1) if first and last else size
            if start >= end:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self._end(0)
                return
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        if encoding is not None:
            self.send_header("Content-Encoding", encoding)
        self._end(end - start)
        if not sends_body:
            return
        file.seek(start)
        if end == size:
            shutil.copyfileobj(file, self.wfile)
        else:
            self.wfile.write(file.read(end - start))

    def _end(self, length: int) -> None:
        """End the headers with those that every answer has."""
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Encoding")
        self.send_header("Content-Length", str(length))
        self.end_headers()
