# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.clouds import GoogleServer, S3Server
from servers.databases import DatabaseServer, MariadbServer, PostgresServer
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
    # A machine of Amazon's is asked for its role where there is one; here nobody answers.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


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


CLOUD_SETTINGS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_REQUEST_PAYER",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_PROJECT_NAME",
    "GOOGLE_CLOUD_PROJECT",
    "STORAGE_EMULATOR_HOST",
    "CLOUD_FILES_DIR",
    "CLOUD_FILES_LOCK_DIR",
    "CLOUD_VOLUME_CACHE_DIR",
)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _plain_network: None) -> Path:
    """An empty home folder, and nothing in the environment that says who asks or where clouds are."""
    for name in CLOUD_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("CLOUD_VOLUME_DIR", str(folder / ".cloudvolume"))
    # A machine of Google's is asked for its account where there is one; here nobody answers.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return folder


@pytest.fixture(scope="session")
def s3_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_session: S3Server, home: Path) -> S3Server:
    """The session's S3; each test has buckets of its own."""
    return s3_session


@pytest.fixture(scope="session")
def google_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServer]:
    with GoogleServer(tmp_path_factory.mktemp("google")) as server:
        yield server


@pytest.fixture
def google(
    google_session: GoogleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> GoogleServer:
    """The session's Google Storage, which gs:// means."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_session.url)
    return google_session


def _database(kind: type[DatabaseServer]) -> Iterator[DatabaseServer]:
    # Elsewhere than on Linux (macOS, Windows) the packages that the tests need cannot all be installed.
    if sys.platform != "linux" and not kind.is_available():
        pytest.skip(f"{kind.programs} are not installed")
    with kind() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseServer]:
    """PostgreSQL; each test has a database of its own."""
    yield from _database(PostgresServer)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    """MariaDB or MySQL; each test has a database of its own."""
    yield from _database(MariadbServer)
