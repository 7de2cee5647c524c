# SPDX-License-Identifier: BSD-3-Clause
"""Passwords and tokens for web servers: to whom they are sent, and to whom not."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from servers.faulty import Answer, FaultServer

from cloudvolume_fast.errors import AuthorizationError
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.model.layer_path import parse_layer_path

BASIC = "Basic " + base64.b64encode(b"me:pass:word").decode()
PAIR = {"user": "me", "password": "pass:word"}


@pytest.fixture
def server(faulty: FaultServer, home: Path) -> FaultServer:
    """Wants a password for everything below /private."""
    faulty.objects = {"/private/a": b"text", "/public/a": b"text"}

    def answer(request, count):
        if request.path.startswith("/private") and request.headers.get("authorization") != BASIC:
            return Answer(status=401, body=b"no", headers={"WWW-Authenticate": "Basic"})
        return Answer()

    faulty.script = answer
    return faulty


def sent(server: FaultServer) -> list[str | None]:
    return [request.headers.get("authorization") for request in server.requests]


def write_secret(home: Path, name: str, content: object) -> None:
    folder = home / ".cloudvolume/secrets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def open_http(server: FaultServer, folder: str, **settings):
    return open_store(parse_layer_path(f"{server.url}/{folder}"), **settings)


def test_a_password_for_all_hosts_is_sent_only_to_those_who_ask(
    server: FaultServer, home: Path
) -> None:
    write_secret(home, "http-secret.json", PAIR)
    assert open_http(server, "public").get("a") == b"text"
    assert sent(server) == [None]
    store = open_http(server, "private")
    assert store.get("a") == b"text"
    assert store.get("a") == b"text"
    assert sent(server) == [None, None, BASIC, BASIC]


def test_a_password_for_this_host_is_sent_at_once(server: FaultServer, home: Path) -> None:
    write_secret(home, "127.0.0.1-http-secret.json", PAIR)
    assert open_http(server, "private").get("a") == b"text"
    assert sent(server) == [BASIC]
    assert open_http(server, "private", secrets={"token": "t"})  # read on first use only
    with pytest.raises(AuthorizationError, match="401"):
        open_http(server, "private", secrets={"token": "t"}).get("a")
    assert sent(server)[1:] == ["Bearer t"]


def test_explicit_secrets_are_sent_at_once(server: FaultServer, home: Path) -> None:
    write_secret(home, "http-secret.json", {"user": "other", "password": "other"})
    assert open_http(server, "private", secrets=PAIR).get("a") == b"text"
    assert sent(server) == [BASIC]


def test_a_wrong_password_is_an_error_that_does_not_show_it(
    server: FaultServer, home: Path
) -> None:
    write_secret(home, "http-secret.json", {"user": "me", "password": "guessed"})
    with pytest.raises(AuthorizationError, match="401") as raised:
        open_http(server, "private").get("a")
    assert "guessed" not in str(raised.value)
    assert len(sent(server)) == 2


def test_half_a_password_is_named(server: FaultServer, home: Path) -> None:
    write_secret(home, "http-secret.json", {"user": "me"})
    with pytest.raises(AuthorizationError, match=r"http-secret\.json"):
        open_http(server, "private").get("a")


def test_no_password_follows_a_redirect_to_another_server(server: FaultServer, home: Path) -> None:
    with FaultServer() as other:
        other.objects["/a"] = b"elsewhere"
        server.script = lambda request, count: Answer(
            status=302, body=b"", headers={"Location": f"{other.url}/a"}
        )
        assert open_http(server, "private", secrets=PAIR).get("a") == b"elsewhere"
        assert sent(server) == [BASIC]
        assert sent(other) == [None]


def test_tokens_of_cave(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """middleauth+https is https with a token, here from the file of the host."""
    from servers.nginx import Nginx

    with Nginx(tmp_path / "prefix", tls=True) as nginx:
        monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate))
        path = parse_layer_path(f"middleauth+{nginx.https_url}/layer")
        (nginx.root / "layer").mkdir()
        (nginx.root / "layer/a").write_bytes(b"text")
        write_secret(home, "cave-secret.json", {})
        with pytest.raises(AuthorizationError, match="token"):
            open_store(path).get("a")
        write_secret(home, f"{path.bucket}-cave-secret.json", {"token": "t"})
        store = open_store(path)
        assert store.get("a") == b"text"
        assert not store.endpoint.is_writable
        assert not store._credentials.signer.is_anonymous
