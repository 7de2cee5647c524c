# SPDX-License-Identifier: BSD-3-Clause
"""Stores of clouds on loopback, each a process of its own: moto for S3, gcp-storage-emulator for Google Storage."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from servers.nginx import free_port
from servers.programs import bare_environment


class _Process:
    """Runs a server until the end of the `with` block.

    Attributes
    ----------
    url : str
        ``http://127.0.0.1:PORT``.
    """

    module: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def arguments(self, port: int) -> list[str]:
        raise NotImplementedError

    def probe(self) -> str:
        return self.url + "/"

    def __enter__(self):
        # Another process may take a free port before the server does.
        for _ in range(3):
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", self.module, *self.arguments(port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=_plain_environment(),
                )
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and self.process.poll() is None:
                if _answers(self.probe()):
                    return self
                time.sleep(0.05)
            self.stop()
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class S3Server(_Process):
    """moto's S3, which checks signatures and permissions once it is told to."""

    module = "import sys; from moto.server import main; main(sys.argv[1:])"

    def arguments(self, port: int) -> list[str]:
        return ["-H", "127.0.0.1", "-p", str(port)]

    def client(self, service: str = "s3", **keys: str):
        """boto3's client, with whatever keys."""
        import boto3

        keys = keys or {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **keys)

    def check_permissions(self, is_on: bool) -> None:
        """From now on, or no longer, answer only requests that are signed rightly and allowed."""
        request = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth",
            data=b"0" if is_on else b"inf",
            headers={"Content-Type": "text/plain"},
            method="POST",
        )
        assert json.loads(_open(request))["status"] == "ok"


class GoogleServer(_Process):
    """An emulator of Google Storage."""

    module = (
        "import sys, time\n"
        "from gcp_storage_emulator.server import create_server\n"
        "create_server('127.0.0.1', int(sys.argv[1]), in_memory=True).start()\n"
        "time.sleep(1e9)"
    )

    def arguments(self, port: int) -> list[str]:
        return [str(port)]

    def make_bucket(self, name: str) -> None:
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b?project=test",
            data=json.dumps({"name": name}).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        _open(request)


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _open(request: urllib.request.Request) -> bytes:
    with _opener.open(request, timeout=30) as answer:
        return answer.read()


def _answers(url: str) -> bool:
    try:
        _opener.open(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _plain_environment() -> dict[str, str]:
    """Without what says how to reach clouds, or by which way."""
    return {
        name: value
        for name, value in bare_environment().items()
        if not name.startswith(("AWS_", "GOOGLE_", "STORAGE_EMULATOR"))
        and not name.lower().endswith("_proxy")
    }
