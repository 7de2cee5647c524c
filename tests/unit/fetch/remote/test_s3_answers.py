# SPDX-License-Identifier: BSD-3-Clause
"""What S3 answers now and then: keys that expire, other regions, hidden absence; by a server that does as told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from servers.faulty import Answer, FaultServer

from cloudvolume_fast.errors import AuthorizationError
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.remote.http_store import HttpStore
from cloudvolume_fast.model.layer_path import parse_layer_path


def write_keys(home: Path, access_key: str, **others: str) -> None:
    folder = home / ".cloudvolume/secrets"
    folder.mkdir(parents=True, exist_ok=True)
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": "s", **others}
    (folder / "aws-secret.json").write_text(json.dumps(keys))


def open_s3(server: FaultServer, **settings) -> HttpStore:
    store = open_store(parse_layer_path(f"s3://{server.url}/bucket/layer"), **settings)
    assert isinstance(store, HttpStore)
    return store


def refusal(status: int, code: str, **headers: str) -> Answer:
    return Answer(
        status=status, body=f"<Error><Code>{code}</Code></Error>".encode(), headers=headers
    )


def signed_by(request) -> str:
    """Access key, region and signed headers of a request."""
    value = request.headers.get("authorization", "")
    if not value:
        return ""
    scope = value.split("Credential=")[1].split(",")[0].split("/")
    return f"{scope[0]} {scope[2]}"


@pytest.fixture
def server(faulty: FaultServer, home: Path) -> FaultServer:
    faulty.objects = {"/bucket/layer/a": b"text", "/bucket/layer/info": b"{}"}
    return faulty


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"])
def test_keys_that_have_expired_are_read_again_once(
    server: FaultServer, home: Path, code: str
) -> None:
    write_keys(home, "old")
    server.script = lambda request, count: (
        Answer() if signed_by(request).startswith("new") else refusal(400, code)
    )
    store = open_s3(server)
    with pytest.raises(AuthorizationError, match=rf"layer/a: .*400 \({code}\)"):
        store.get("a")
    assert len(server.requests) == 1  # nothing new was found
    write_keys(home, "new")  # as a program that fetches keys does every hour
    assert store.get("a") == b"text"
    assert [signed_by(request) for request in server.requests] == [
        "old us-east-1",
        "old us-east-1",
        "new us-east-1",
    ]


def test_the_region_that_the_server_names_is_signed_for(server: FaultServer, home: Path) -> None:
    write_keys(home, "k")
    server.script = lambda request, count: (
        Answer()
        if signed_by(request) == "k eu-central-1"
        else refusal(400, "AuthorizationHeaderMalformed", **{"x-amz-bucket-region": "eu-central-1"})
    )
    store = open_s3(server)
    assert store.get("a") == b"text"
    assert store.get("a") == b"text"
    assert [signed_by(request) for request in server.requests] == [
        "k us-east-1",
        "k eu-central-1",
        "k eu-central-1",
    ]


def test_the_region_of_the_secret_is_signed_for(server: FaultServer, home: Path) -> None:
    write_keys(home, "k", AWS_DEFAULT_REGION="us-west-2")
    assert open_s3(server).get("a") == b"text"
    assert signed_by(server.requests[0]) == "k us-west-2"


def test_without_keys_nothing_is_signed(server: FaultServer) -> None:
    assert open_s3(server).get("a") == b"text"
    assert not any(
        name == "authorization" or name.startswith("x-amz-") for name in server.requests[0].headers
    )


def test_the_requester_pays_only_if_told_so(
    server: FaultServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_keys(home, "k")
    assert open_s3(server).get("a") == b"text"
    monkeypatch.setenv("AWS_REQUEST_PAYER", "requester")
    assert open_s3(server).get("a") == b"text"
    monkeypatch.delenv("AWS_REQUEST_PAYER")
    write_keys(home, "k", AWS_REQUEST_PAYER="requester")
    assert open_s3(server).get("a") == b"text"
    assert [request.headers.get("x-amz-request-payer") for request in server.requests] == [
        None,
        "requester",
        "requester",
    ]


def test_session_tokens_are_sent_and_signed(server: FaultServer, home: Path) -> None:
    write_keys(home, "k", AWS_SESSION_TOKEN="t")
    assert open_s3(server).get("a") == b"text"
    headers = server.requests[0].headers
    assert headers["x-amz-security-token"] == "t"
    assert "x-amz-security-token" in headers["authorization"]


def test_environment_and_endpoint(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    store = open_store(parse_layer_path("s3://bucket/layer"))
    assert store.get("a") == b"text"
    assert signed_by(server.requests[0]) == "of-environment us-east-1"
    store = open_store(
        parse_layer_path("s3://bucket/layer"),
        secrets={"AWS_ACCESS_KEY_ID": "explicit", "AWS_SECRET_ACCESS_KEY": "s"},
    )
    assert store.get("a") == b"text"
    assert signed_by(server.requests[1]) == "explicit us-east-1"
    with pytest.raises(AuthorizationError, match="both"):
        open_store(
            parse_layer_path("s3://bucket/layer"), secrets={"AWS_ACCESS_KEY_ID": "half"}
        ).get("a")


def hiding(request, count) -> Answer:
    """S3 for those who may get objects and not list them."""
    if request.path in ("/bucket/layer/a", "/bucket/layer/info"):
        return Answer()
    return refusal(403, "AccessDenied")


def test_hidden_absence_is_found_out_with_the_info_in_one_round_trip(server: FaultServer) -> None:
    server.script = hiding
    store = open_s3(server)
    assert store.get("info") == b"{}"
    assert len(server.requests) == 2
    assert store.endpoint.is_forbidden_missing
    assert store.get_many(["absent", "a", "info"]) == [None, b"text", b"{}"]
    assert store.exists_many(["absent", "a"]) == [False, True]
    assert len(server.requests) == 2 + 3 + 2 + 1
    with pytest.raises(AuthorizationError):
        store.put("absent", b"")


def test_what_is_forbidden_to_all_is_not_missing(server: FaultServer) -> None:
    server.script = lambda request, count: refusal(403, "AccessDenied")
    store = open_s3(server)
    with pytest.raises(AuthorizationError, match=r"layer/info: .*403 \(AccessDenied\)"):
        store.get("info")
    with pytest.raises(AuthorizationError):
        store.get("a")


def test_keys_that_come_to_be_refused_are_not_absence(server: FaultServer) -> None:
    """Signatures that are no longer accepted are answered with 403 as well."""
    server.script = hiding
    store = open_s3(server)
    assert store.get("info") == b"{}"
    server.script = lambda request, count: refusal(403, "InvalidAccessKeyId")
    with pytest.raises(AuthorizationError, match="InvalidAccessKeyId"):
        store.get("a")
    with pytest.raises(AuthorizationError, match=r"layer/info: .*InvalidAccessKeyId"):
        store.exists_many(["a"])


@pytest.mark.parametrize("may_read", [True, False])
def test_other_keys_say_anew_whether_absence_is_hidden(
    server: FaultServer, home: Path, may_read: bool
) -> None:
    """What was found out with keys that could read the info says nothing about those that replace them."""

    def answer(request, count) -> Answer:
        if signed_by(request).startswith("old") != is_before:
            return refusal(400, "ExpiredToken")
        return hiding(request, count) if is_before or may_read else refusal(403, "AccessDenied")

    is_before = True
    server.script = answer
    write_keys(home, "old")
    store = open_s3(server)
    assert store.get("info") == b"{}"
    assert store.get("absent") is None
    is_before = False
    write_keys(home, "new")
    if may_read:
        assert store.get_many(["absent", "a"]) == [None, b"text"]
        asked = len(server.requests)
        assert store.get("absent") is None
        assert len(server.requests) == asked + 1
        return
    for key in ("a", "absent"):
        with pytest.raises(AuthorizationError, match=rf"layer/{key}: .*403"):
            store.get(key)
    assert not store.endpoint.is_forbidden_missing


@pytest.fixture
def role(home: Path) -> Path:
    """A program that hands out keys stands for all that only botocore knows: roles, single sign-on.

    Notes in the file that is returned how often it was asked.
    """
    asked = home / "asked"
    keys = {"Version": 1, "AccessKeyId": "role", "SecretAccessKey": "s", "SessionToken": "t"}
    (home / "keys.json").write_text(json.dumps(keys))
    (home / "give").write_text(f"#!/bin/sh\necho >>{asked}\ncat {home}/keys.json\n")
    (home / "give").chmod(0o700)
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        f"[default]\nregion = eu-west-3\ncredential_process = {home}/give\n"
    )
    return asked


def test_a_role_is_looked_for_after_a_refusal(server: FaultServer, role: Path) -> None:
    store = open_s3(server)
    assert store.get("a") == b"text"
    assert not role.exists()
    server.script = lambda request, count: (
        Answer() if signed_by(request) == "role eu-west-3" else refusal(403, "AccessDenied")
    )
    assert store.get("a") == b"text"
    assert server.requests[-1].headers["x-amz-security-token"] == "t"
    assert store.get("info") == b"{}"
    assert role.read_text() == "\n"


def test_no_role_is_looked_for_where_secrets_are_given(server: FaultServer, role: Path) -> None:
    server.script = lambda request, count: refusal(403, "AccessDenied")
    with pytest.raises(AuthorizationError, match="403"):
        open_s3(server, secrets={"AWS_DEFAULT_REGION": "us-east-1"}).get("a")
    assert not role.exists()


def test_a_role_that_gives_nothing_is_an_error(server: FaultServer, role: Path) -> None:
    (role.parent / "keys.json").write_text('{"secret-key": ')
    server.script = lambda request, count: refusal(403, "AccessDenied")
    with pytest.raises(AuthorizationError) as raised:
        open_s3(server).get("a")
    error = raised.value
    while error is not None:
        assert "secret-key" not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
