# SPDX-License-Identifier: BSD-3-Clause
"""A proxy that makes a server on this machine as far away as one on another continent: a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from types import TracebackType
from urllib.parse import urlsplit


class LatencyProxy:
    """Passes connections on, what the client says (and the connection itself) after a delay.

    Parameters
    ----------
    upstream : str
        URL of the server.
    delay_seconds : float
        From a request to its answer; many may be under way at once.
    """

    def __init__(self, upstream: str, delay_seconds: float) -> None:
        self._command = [sys.executable, __file__, upstream, str(delay_seconds)]
        self.url = ""

    def __enter__(self) -> LatencyProxy:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 20):
            if delay_seconds:
                await asyncio.sleep(delay_seconds)
            writer.write(data)
            await writer.drain()
    writer.close()


async def _serve_forever(upstream: str, delay_seconds: float) -> None:
    host, port = urlsplit(upstream).hostname, urlsplit(upstream).port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay_seconds)  # of the handshake
        up_reader, up_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(
            _pass_on(reader, up_writer, delay_seconds), _pass_on(up_reader, writer, 0)
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve_forever(sys.argv[1], float(sys.argv[2])))
