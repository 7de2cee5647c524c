# SPDX-License-Identifier: BSD-3-Clause
"""A server that fails in the ways that networks, stores and proxies do, when and how a test says."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

REASONS = {
    200: "OK",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    307: "Temporary Redirect",
    404: "Not Found",
    416: "Range Not Satisfiable",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _make_table()


def crc32c(data: bytes) -> int:
    """CRC-32C, byte by byte and not ours."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def goog_hash(data: bytes) -> dict[str, str]:
    """The header in which Google states the digests of an object."""
    crc = base64.b64encode(struct.pack(">I", crc32c(data))).decode()
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    return {"x-goog-hash": f"crc32c={crc},md5={md5}"}


@dataclasses.dataclass(frozen=True)
class Request:
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    connection: int
    """Counts connections from 0."""
    when: float
    """`time.monotonic` when the headers were read."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server does about one request; the default is to behave.

    Each number of bytes is counted in the body.
    """

    status: int = 200
    body: bytes | None = None
    """Default: the object under the path, 404 without one."""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    delay_seconds: float = 0
    """Before the first byte."""
    stall_after: int | None = None
    """Says nothing more after this many bytes, until the client goes."""
    reset_after: int | None = None
    """Resets the connection after this many bytes; -1 instead of any answer."""
    close_after: int | None = None
    """Closes the connection after this many bytes; -1 instead of any answer."""
    stated_length: int | None = None
    """Content-Length, where it is not that of the body."""
    flip_byte: int | None = None
    """Which byte to spoil; digests and length stay those of the true body."""
    ignores_range: bool = False
    wrong_range: int = 0
    """Answers a range that is shifted by this many bytes, and says so."""
    is_chunked: bool = False
    """Chunked transfer, without a length."""
    has_length: bool = True
    """False: the body ends with the connection."""
    bytes_per_second: float | None = None
    garbage: bytes | None = None
    """Sent instead of an HTTP answer."""


Script = Callable[[Request, int], Answer]
"""Given the request and how many came before for the same path, what to do."""


class FaultServer:
    """Serves `objects` by path on 127.0.0.1, each connection on a thread.

    Attributes
    ----------
    objects : dict of str to bytes
        By path, with the leading slash. PUT adds, DELETE removes.
    script : callable
        Says what happens to each request.
    requests : list of Request
        All that came, in order.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.object_headers: dict[str, dict[str, str]] = {}
        self.script: Script = lambda request, count: Answer()
        self.requests: list[Request] = []
        self.connections = 0
        self._counts: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultServer:
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        self._threads.append(accepting)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def put(self, path: str, data: bytes, headers: dict[str, str] | None = None) -> str:
        """Add an object; return its URL."""
        self.objects[path] = data
        if headers:
            self.object_headers[path] = headers
        return self.url + path

    def put_folder(self, path: str, folder: Path) -> str:
        """Add the files below a folder, those with compression suffixes under their bare names; return the URL."""
        encodings = {".gz": "gzip", ".br": "br", ".zstd": "zstd", ".xz": "xz", ".bz2": "bzip2"}
        for file in folder.rglob("*"):
            if not file.is_file():
                continue
            name = f"{path}/{file.relative_to(folder)}"
            encoding = encodings.get(file.suffix)
            headers = {"Content-Encoding": encoding} if encoding else None
            self.put(
                name.removesuffix(file.suffix) if encoding else name, file.read_bytes(), headers
            )
        return self.url + path

    def answer(self, *answers: Answer) -> None:
        """Give these answers to the requests for each path, in order, and behave after that."""
        self.script = lambda request, count: answers[count] if count < len(answers) else Answer()

    def paths(self) -> list[str]:
        with self._lock:
            return [request.path for request in self.requests]

    def open_connections(self) -> int:
        """Connections that the client has not closed."""
        with self._lock:
            return len(self._open)

    def _accept(self) -> None:
        while not self._is_stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                number = self.connections
                self.connections += 1
                self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection, number), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket, number: int) -> None:
        stream = connection.makefile("rb")
        try:
            while True:
                request = self._read(connection, stream, number)
                if request is None:
                    return
                with self._lock:
                    self.requests.append(request)
                    count = self._counts[request.path]
                    self._counts[request.path] += 1
                if not self._reply(connection, request, self.script(request, count)):
                    return
        except (OSError, ValueError):
            return
        finally:
            stream.close()
            connection.close()
            with self._lock:
                self._open.discard(connection)

    @staticmethod
    def _read(connection: socket.socket, stream, number: int) -> Request | None:
        line = stream.readline().decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while (text := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        when = time.monotonic()
        body = stream.read(int(headers.get("content-length", 0)))
        return Request(line[0], line[1], headers, body, number, when)

    def _reply(self, connection: socket.socket, request: Request, answer: Answer) -> bool:
        """Return whether the connection can be used again."""
        if answer.delay_seconds:
            self._is_stopping.wait(answer.delay_seconds)
        if answer.garbage is not None:
            connection.sendall(answer.garbage)
            return False
        if answer.reset_after == -1:
            _reset(connection)
            return False
        if answer.close_after == -1:
            return False
        status, headers, body = self._compose(request, answer)
        length = len(body) if answer.stated_length is None else answer.stated_length
        if answer.is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif answer.has_length and status not in (204, 304):
            headers["Content-Length"] = str(length)
        if not answer.has_length:
            headers["Connection"] = "close"
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(head.encode("latin-1") + b"\r\n")
        if request.method == "HEAD":
            return True
        if answer.flip_byte is not None and body:
            spoiled = bytearray(body)
            spoiled[answer.flip_byte % len(body)] ^= 0x10
            body = bytes(spoiled)
        for piece in _pieces(body, answer):
            framed = b"%x\r\n%s\r\n" % (len(piece), piece) if answer.is_chunked else piece
            connection.sendall(framed)
            if answer.bytes_per_second:
                self._is_stopping.wait(len(piece) / answer.bytes_per_second)
        if answer.stall_after is not None:
            # Until the client gives up.
            connection.settimeout(None)
            connection.recv(1)
            return False
        if answer.reset_after is not None:
            _reset(connection)
            return False
        if answer.close_after is not None:
            return False
        if answer.is_chunked:
            connection.sendall(b"0\r\n\r\n")
        return answer.has_length and length == len(body)

    def _compose(self, request: Request, answer: Answer) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, as a server that behaves would choose them."""
        path = request.path
        if path.startswith("http://"):  # asked as a proxy
            path = "/" + path.split("/", 3)[3]
        if answer.status != 200 or answer.body is not None:
            return answer.status, dict(answer.headers), answer.body or b""
        if request.method == "PUT":
            self.objects[path] = request.body
            encoding = request.headers.get("content-encoding")
            self.object_headers[path] = {
                "ETag": f'"{hashlib.md5(request.body).hexdigest()}"',
                **({"Content-Encoding": encoding} if encoding else {}),
            }
            return 200, dict(answer.headers), b""
        if request.method == "DELETE":
            found = self.objects.pop(path, None) is not None
            return (204 if found else 404), dict(answer.headers), b""
        if request.method == "POST":
            return 200, dict(answer.headers), request.body[::-1]
        body = self.objects.get(path.partition("?")[0])
        if body is None:
            return 404, dict(answer.headers), b"no such object"
        headers = {**self.object_headers.get(path.partition("?")[0], {}), **answer.headers}
        if "range" in request.headers and not answer.ignores_range:
            first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
            begin = int(first) + answer.wrong_range
            end = min(int(last) + 1 + answer.wrong_range, len(body))
            if begin >= len(body):
                return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(body)}"
            return 206, headers, body[begin:end]
        return 200, headers, body


def _pieces(body: bytes, answer: Answer) -> Iterator[bytes]:
    bounds = [answer.stall_after, answer.reset_after, answer.close_after]
    end = min([len(body), *(bound for bound in bounds if bound is not None)])
    step = 1 << 16
    if answer.bytes_per_second:
        step = max(1, int(answer.bytes_per_second / 20))
    for begin in range(0, end, step):
        yield body[begin : min(begin + step, end)]


def _reset(connection: socket.socket) -> None:
    """RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
