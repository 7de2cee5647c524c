# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.faulty import FaultServer
from servers.nginx import Nginx

NETWORK_SETTINGS = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "curl_ca_bundle",
    "ssl_cert_file",
    "ssl_cert_dir",
)


@pytest.fixture
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly and certificates are the test's, whatever the machine's environment says."""
    for name in NETWORK_SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def faulty(_plain_network: None) -> Iterator[FaultServer]:
    """A server of our own that fails on request."""
    with FaultServer() as server:
        yield server


@pytest.fixture(scope="session")
def nginx_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx") / "prefix", tls=True) as server:
        yield server


@pytest.fixture
def nginx(nginx_session: Nginx, _plain_network: None) -> Nginx:
    """The session's nginx; each test serves files under names of its own."""
    return nginx_session


@pytest.fixture
def nginx_folder(nginx: Nginx, request: pytest.FixtureRequest) -> Path:
    """A new folder that nginx serves under the same name."""
    folder = nginx.root / request.node.name.replace("[", "-").replace("]", "")
    folder.mkdir()
    return folder
