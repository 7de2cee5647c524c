# SPDX-License-Identifier: BSD-3-Clause
"""nginx on a port of its own, as the current user, with everything it writes below one folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from servers.programs import bare_environment

CONFIG = """\
daemon off;
{user}
worker_processes {workers};
pid {prefix}/nginx.pid;
error_log {prefix}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  sendfile on;
  tcp_nopush on;
  access_log {prefix}/access.log;
  client_body_temp_path {prefix}/body;
  proxy_temp_path {prefix}/proxy;
  fastcgi_temp_path {prefix}/fastcgi;
  uwsgi_temp_path {prefix}/uwsgi;
  scgi_temp_path {prefix}/scgi;
  client_max_body_size 1g;
  keepalive_requests 100000;
  default_type application/octet-stream;
  root {root};
  server {{
    listen 127.0.0.1:{port};
    location / {{ gzip_static on; }}
    location /dynamic/ {{ alias {root}/; gzip on; gzip_types *; gzip_min_length 1; }}
  }}
  {tls}
}}
"""

TLS = """\
server {{
    listen 127.0.0.1:{port} ssl{http2};
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location /to-http/ {{ return 302 http://127.0.0.1:9/object; }}
  }}
"""


def find_nginx() -> str | None:
    """Debian keeps it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1; return it and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost"
    )
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
        env=bare_environment(),
    )
    return certificate, key


class Nginx:
    """Serves `root` until the end of the `with` block.

    Parameters
    ----------
    prefix : Path
        Empty folder for configuration, logs and served files (in ``www``).
    workers : int or "auto"
        Processes that serve; one for each processor with "auto".
    tls : bool
        Serve over TLS too: with HTTP/2 at `https_url`, without at `https1_url`.
    """

    def __init__(self, prefix: Path, *, workers: int | str = 1, tls: bool = False) -> None:
        binary = find_nginx()
        if binary is None:
            raise FileNotFoundError("nginx: install it with .ci/system-packages test")
        self.binary = binary
        self.prefix = prefix
        self.root = prefix / "www"
        self.root.mkdir(parents=True)
        self.workers = workers
        self.tls = tls
        self.certificate: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Nginx:
        # Another process may take a free port before nginx does.
        for _ in range(5):
            if self._start():
                return self
        raise RuntimeError((self.prefix / "error.log").read_text())

    def _start(self) -> bool:
        ports = [free_port() for _ in range(3)]
        self.url = f"http://127.0.0.1:{ports[0]}"
        tls = ""
        if self.tls:
            if self.certificate is None:
                self.certificate, self.key = make_certificate(self.prefix)
            self.https_url, self.https1_url = (f"https://127.0.0.1:{port}" for port in ports[1:])
            for port, http2 in ((ports[1], " http2"), (ports[2], "")):
                tls += TLS.format(
                    port=port, http2=http2, certificate=self.certificate, key=self.key
                )
        (self.prefix / "nginx.conf").write_text(
            CONFIG.format(
                user="user root;" if os.geteuid() == 0 else "",
                prefix=self.prefix,
                root=self.root,
                port=ports[0],
                workers=self.workers,
                tls=tls,
            )
        )
        self.process = subprocess.Popen(
            [self.binary, "-p", str(self.prefix), "-c", str(self.prefix / "nginx.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=bare_environment(),
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", ports[0]), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return True
        self._stop()
        return False

    def _stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
