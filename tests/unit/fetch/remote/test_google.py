# SPDX-License-Identifier: BSD-3-Clause
"""Google Storage, by an emulator; tokens, by google-auth against a server of tokens on loopback."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest
from servers.clouds import GoogleServer
from servers.faulty import Answer, FaultServer

from cloudvolume_fast.errors import AuthorizationError
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.remote.http_store import HttpStore
from cloudvolume_fast.fetch.store import KeyRange
from cloudvolume_fast.model.layer_path import parse_layer_path

# The emulator serves one connection at a time.
pytestmark = pytest.mark.xdist_group("google")

KEYS = ["1:0", "a b", "a+b", "ünï", "x/y z:1", "q?r#s%20"]


@pytest.fixture
def store(google: GoogleServer, request: pytest.FixtureRequest) -> HttpStore:
    bucket = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    google.make_bucket(bucket)
    return open_gs(bucket)


def open_gs(bucket: str, **settings) -> HttpStore:
    store = open_store(parse_layer_path(f"gs://{bucket}/data set/layer"), **settings)
    assert isinstance(store, HttpStore)
    return store


def test_objects_come_back(store: HttpStore) -> None:
    store.put("info", b"{}")
    store.put_many([(key, key.encode() * 3) for key in KEYS])
    assert store.get_many(["info", *KEYS, "absent"]) == [
        b"{}",
        *(key.encode() * 3 for key in KEYS),
        None,
    ]
    assert store.exists_many([*KEYS, "absent"]) == [True] * len(KEYS) + [False]
    assert sorted(store.list()) == sorted([*KEYS, "info"])
    assert sorted(store.list("x/")) == ["x/y z:1"]
    assert "x/y z:1" not in list(store.list(flat=True))
    assert store.get_ranges([KeyRange("info", 1, 1), KeyRange("absent", 0, 1)]) == [b"}", None]
    store.delete_many([*KEYS, "absent"])
    assert list(store.list()) == ["info"]


def test_compressed_objects_come_back(store: HttpStore) -> None:
    store.put_many([("a", b"text" * 99)], compress="gzip")
    assert store.get("a") == b"text" * 99


# Tokens.


@pytest.fixture(scope="session")
def private_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    command = "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out"
    subprocess.run([*command.split(), str(path)], check=True, capture_output=True)
    return path.read_text()


class TokenServer:
    """Gives out tokens, and objects to those who show the latest."""

    def __init__(self, server: FaultServer, private_key: str) -> None:
        self.server = server
        self.given: list[str] = []
        self.lifetime_seconds = 3600
        self.is_valid = lambda token: token == self.given[-1]
        self.account = {
            "type": "service_account",
            "client_email": "reader@project.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": private_key,
            "token_uri": f"{server.url}/token",
        }
        server.script = self.answer

    def answer(self, request, count) -> Answer:
        if request.path == "/token":
            grant = urllib.parse.parse_qs(request.body.decode())
            if "assertion" not in grant:
                return Answer(status=400, body=b'{"error": "invalid_request"}')
            self.given.append(f"token-{len(self.given)}")
            body = {"access_token": self.given[-1], "expires_in": self.lifetime_seconds}
            return Answer(
                body=json.dumps({**body, "token_type": "Bearer"}).encode(),
                headers={"Content-Type": "application/json"},
            )
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and self.given and self.is_valid(token):
            return Answer()
        return Answer(status=401, body=b"no")

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [
            (request.path.rpartition("/")[2], request.headers.get("authorization", ""))
            for request in self.server.requests
        ]


@pytest.fixture
def tokens(
    faulty: FaultServer, home: Path, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> TokenServer:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", faulty.url)
    faulty.objects["/bucket/data%20set/layer/a"] = b"text"
    return TokenServer(faulty, private_key)


def write_secret(home: Path, name: str, content: object) -> None:
    folder = home / ".cloudvolume/secrets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def test_a_service_account_is_read_on_first_use(tokens: TokenServer, home: Path) -> None:
    store = open_gs("bucket")
    assert tokens.asked == []
    write_secret(home, "google-secret.json", tokens.account)
    assert store.get("a") == b"text"
    assert store.get("a") == b"text"
    assert tokens.asked == [("token", ""), ("a", "Bearer token-0"), ("a", "Bearer token-0")]


def test_the_secret_of_the_bucket_wins(tokens: TokenServer, home: Path) -> None:
    write_secret(home, "google-secret.json", {"type": "nonsense"})
    write_secret(home, "bucket-google-secret.json", tokens.account)
    assert open_gs("bucket").get("a") == b"text"
    with pytest.raises(AuthorizationError, match="nonsense"):
        open_gs("other").get("a")


def test_explicit_secrets_win(tokens: TokenServer, home: Path) -> None:
    write_secret(home, "bucket-google-secret.json", {"type": "nonsense"})
    assert open_gs("bucket", secrets=tokens.account).get("a") == b"text"
    assert open_gs("bucket", secrets=json.dumps(tokens.account)).get("a") == b"text"
    tokens.is_valid = lambda token: token == "mine"
    assert open_gs("bucket", secrets={"token": "mine"}).get("a") == b"text"


def test_a_refused_token_is_renewed_once(tokens: TokenServer) -> None:
    store = open_gs("bucket", secrets=tokens.account)
    assert store.get("a") == b"text"
    tokens.is_valid = lambda token: token == "token-1"  # the first has been revoked
    assert store.get("a") == b"text"
    assert [name for name, _ in tokens.asked] == ["token", "a", "a", "token", "a"]
    tokens.is_valid = lambda token: False
    with pytest.raises(AuthorizationError, match=r"gs://bucket/data set/layer/a: .*401"):
        store.get("a")
    assert [name for name, _ in tokens.asked][5:] == ["a", "token", "a"]


def test_a_token_is_renewed_before_it_expires(tokens: TokenServer) -> None:
    tokens.lifetime_seconds = 301  # five minutes are kept free
    store = open_gs("bucket", secrets=tokens.account)
    assert store.get("a") == b"text"
    time.sleep(1.1)
    assert store.get("a") == b"text"
    assert [token for name, token in tokens.asked if name == "a"] == [
        "Bearer token-0",
        "Bearer token-1",
    ]


def test_an_account_that_gets_no_token_is_named_without_its_key(
    tokens: TokenServer, private_key: str
) -> None:
    tokens.server.script = lambda request, count: Answer(
        status=400,
        body=b'{"error": "invalid_grant", "error_description": "no such account"}',
        headers={"Content-Type": "application/json"},
    )
    with pytest.raises(AuthorizationError, match=r"gs://bucket: .*invalid_grant") as raised:
        open_gs("bucket", secrets=tokens.account).get("a")
    assert raised.value.__cause__ is None
    assert private_key.splitlines()[1] not in repr(raised.value)


def test_the_default_account_is_looked_for_only_after_a_refusal(
    tokens: TokenServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no emulator."""
    import google.auth

    from cloudvolume_fast.fetch.remote import location

    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setattr(location, "_GOOGLE", tokens.server.url)
    asked = []
    real = google.auth.default
    monkeypatch.setattr(
        google.auth, "default", lambda **settings: (asked.append(1), real(**settings))[1]
    )
    tokens.server.script = lambda request, count: Answer()
    store = open_gs("bucket")
    assert store.get("a") == b"text"
    assert asked == []
    tokens.server.script = tokens.answer
    folder = home / ".config/gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text(json.dumps(tokens.account))
    monkeypatch.delenv("CLOUDSDK_CONFIG", raising=False)
    assert store.get("a") == b"text"
    assert asked == [1]


def test_without_any_account_a_refusal_is_an_error(
    tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudvolume_fast.fetch.remote import location

    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setattr(location, "_GOOGLE", tokens.server.url)
    with pytest.raises(AuthorizationError, match="401"):
        open_gs("bucket").get("a")


def test_finding_out_about_absence_looks_for_no_account(
    tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public bucket that may not be listed refuses the key that nobody uses."""
    import google.auth

    from cloudvolume_fast.fetch.remote import location

    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setattr(location, "_GOOGLE", tokens.server.url)
    monkeypatch.setattr(google.auth, "default", lambda **settings: pytest.fail("looked for"))
    tokens.server.objects["/bucket/data%20set/layer/info"] = b"{}"
    tokens.server.script = lambda request, count: (
        Answer()
        if request.path in tokens.server.objects
        else Answer(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
    )
    store = open_gs("bucket")
    assert store.get("info") == b"{}"
    assert len(tokens.asked) == 2
    assert store.get("absent") is None


def test_absence_is_found_out_about_with_the_account_that_reads(
    tokens: TokenServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it everything is refused, with it only what is absent."""
    from cloudvolume_fast.fetch.remote import location

    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.delenv("CLOUDSDK_CONFIG", raising=False)
    monkeypatch.setattr(location, "_GOOGLE", tokens.server.url)
    folder = home / ".config/gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text(json.dumps(tokens.account))
    tokens.server.objects["/bucket/data%20set/layer/info"] = b"{}"

    def answer(request, count):
        given = tokens.answer(request, count)
        if given.status == 200 and request.path not in (*tokens.server.objects, "/token"):
            return Answer(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
        return given

    tokens.server.script = answer
    store = open_gs("bucket")
    assert store.get("info") == b"{}"
    assert store.endpoint.is_forbidden_missing
    assert store.get_many(["absent", "a"]) == [None, b"text"]
