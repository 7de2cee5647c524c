# SPDX-License-Identifier: BSD-3-Clause
"""S3, by a server that checks signatures and permissions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.clouds import S3Server

from cloudvolume_fast.errors import AuthorizationError, ChunkReadError
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.remote.http_store import HttpStore
from cloudvolume_fast.fetch.store import KeyRange
from cloudvolume_fast.model.layer_path import parse_layer_path

# moto has one state for all tests of a session.
pytestmark = pytest.mark.xdist_group("s3")

KEYS = ["1:0", "a b", "a+b", "ünï-☃", "x/y z:1", "q?r#s%20", "tilde~(1)!*'", "&=;,$@"]


@pytest.fixture
def bucket(s3: S3Server, request: pytest.FixtureRequest) -> str:
    name = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    s3.client().create_bucket(Bucket=name)
    return name


ANY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
"""Good for everything as long as nothing is checked."""


def open_s3(s3: S3Server, bucket: str, secrets: dict[str, str] = ANY) -> HttpStore:
    path = parse_layer_path(f"s3://{s3.url}/{bucket}/data set/layer")
    store = open_store(path, secrets=secrets)
    assert isinstance(store, HttpStore)
    return store


def make_user(s3: S3Server, name: str, *actions: str) -> dict[str, str]:
    iam = s3.client("iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.put_user_policy(
        UserName=name,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


@pytest.fixture
def _permissions(s3: S3Server) -> Iterator[None]:
    """Tests make their users before they switch the checks on."""
    yield
    s3.check_permissions(False)


@pytest.mark.usefixtures("_permissions")
def test_signatures_are_right_for_keys_of_all_kinds(s3: S3Server, bucket: str) -> None:
    everything = make_user(s3, bucket, "s3:*")
    s3.check_permissions(True)
    store = open_s3(s3, bucket, everything)
    store.put_many([(key, key.encode() * 3) for key in KEYS], compress="gzip")
    assert store.get_many([*KEYS, "absent"]) == [*(key.encode() * 3 for key in KEYS), None]
    assert store.exists_many([*KEYS, "absent"]) == [True] * len(KEYS) + [False]
    assert sorted(store.list()) == sorted(KEYS)
    assert sorted(store.list("x/")) == ["x/y z:1"]
    assert "x/y z:1" not in list(store.list(flat=True))
    store.delete_many([*KEYS, "absent"])
    assert list(store.list()) == []


@pytest.mark.usefixtures("_permissions")
def test_wrong_keys_are_refused(s3: S3Server, bucket: str) -> None:
    everything = make_user(s3, bucket, "s3:*")
    open_s3(s3, bucket, everything).put("info", b"{}")
    s3.check_permissions(True)
    wrong = {**everything, "AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    with pytest.raises(
        AuthorizationError, match=r"layer/info: .*403 \(SignatureDoesNotMatch\)"
    ) as raised:
        open_s3(s3, bucket, wrong).get("info")
    assert "not-the-secret" not in str(raised.value)
    assert open_s3(s3, bucket, everything).get("info") == b"{}"


@pytest.mark.usefixtures("_permissions")
def test_absence_is_told_from_prohibition_for_those_who_may_not_list(
    s3: S3Server, bucket: str
) -> None:
    everything = make_user(s3, bucket, "s3:*")
    owner = open_s3(s3, bucket, everything)
    owner.put("info", b"{}")
    owner.put("chunk", b"1")
    reader = make_user(s3, bucket + "r", "s3:GetObject")
    writer = make_user(s3, bucket + "w", "s3:PutObject")
    s3.check_permissions(True)
    store = open_s3(s3, bucket, reader)
    assert store.get_many(["info", "chunk"]) == [b"{}", b"1"]
    assert not store.endpoint.is_forbidden_missing  # this server answers 404 all the same
    with pytest.raises(AuthorizationError, match="AccessDenied"):
        store.put("chunk", b"2")
    with pytest.raises(AuthorizationError, match="AccessDenied"):
        open_s3(s3, bucket, writer).get("info")


@pytest.mark.usefixtures("_permissions")
def test_session_tokens(s3: S3Server, bucket: str) -> None:
    everything = make_user(s3, bucket, "*")
    s3.client("iam").create_role(
        RoleName=bucket, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17"})
    )
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    s3.client("iam").put_role_policy(
        RoleName=bucket,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    keys = s3.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::123456789012:role/{bucket}", RoleSessionName="session"
    )["Credentials"]
    open_s3(s3, bucket, everything).put("info", b"{}")
    s3.check_permissions(True)
    session = {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    assert open_s3(s3, bucket, session).get("info") == b"{}"
    with pytest.raises(AuthorizationError):
        open_s3(s3, bucket, {**session, "AWS_SESSION_TOKEN": "another"}).get("info")


def write_profile(folder: Path, name: str, **members: str) -> None:
    (folder / ".aws").mkdir(exist_ok=True)
    lines = [f"{key} = {value}" for key, value in members.items()]
    (folder / ".aws" / name).write_text("\n".join(["[default]", *lines]))


@pytest.mark.usefixtures("_permissions")
def test_keys_of_a_profile(s3: S3Server, bucket: str, home: Path) -> None:
    user = make_user(s3, bucket, "s3:*")
    s3.check_permissions(True)
    write_profile(home, "credentials", **{name.lower(): value for name, value in user.items()})
    store = open_store(parse_layer_path(f"s3://{s3.url}/{bucket}/layer"))
    store.put("info", b"{}")
    assert store.get("info") == b"{}"


def test_what_boto3_wrote_is_read_and_the_other_way_round(s3: S3Server, bucket: str) -> None:
    client = s3.client()
    store = open_s3(s3, bucket)
    client.put_object(Bucket=bucket, Key="data set/layer/a b:1", Body=b"1")
    assert store.get("a b:1") == b"1"
    store.put_many([("c", b"text")], compress="br", content_type="x/y", cache_control="no-store")
    head = client.head_object(Bucket=bucket, Key="data set/layer/c")
    assert (head["ContentEncoding"], head["ContentType"], head["CacheControl"]) == (
        "br",
        "x/y",
        "no-store",
    )
    store.put("info", b"{}")
    head = client.head_object(Bucket=bucket, Key="data set/layer/info")
    assert (head["ContentType"], head["CacheControl"]) == ("application/json", "no-cache")


def test_ranges(s3: S3Server, bucket: str) -> None:
    store = open_s3(s3, bucket)
    store.put("a", b"0123456789")
    assert store.get_ranges([KeyRange("a", 2, 3), KeyRange("a", 8, 9), KeyRange("a", 99, 1)]) == [
        b"234",
        b"89",
        b"",
    ]


def test_listings_of_several_pages(s3: S3Server, bucket: str) -> None:
    store = open_s3(s3, bucket)
    keys = [f"{i:04d}+{i}" for i in range(1100)]
    store.put_many([(key, b"") for key in keys])
    assert list(store.list()) == keys


def test_the_endpoint_of_an_alias(
    s3: S3Server, bucket: str, home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aliases.json names the server, {alias}-secret.json the keys."""
    settings = home / ".cloudfiles"
    settings.mkdir()
    (settings / "aliases.json").write_text(json.dumps({"lab": {"host": f"s3://{s3.url}/"}}))
    open_s3(s3, bucket).put("info", b"{}")
    path = parse_layer_path(f"lab://{bucket}/data set/layer")
    with pytest.raises(AuthorizationError):
        open_store(path).get("info")
    (home / ".cloudvolume/secrets").mkdir(parents=True)
    (home / ".cloudvolume/secrets/lab-secret.json").write_text(json.dumps(ANY))
    assert open_store(path).get("info") == b"{}"


def test_a_bucket_that_does_not_exist(s3: S3Server) -> None:
    store = open_s3(s3, "no-such-bucket")
    assert store.get("info") is None
    with pytest.raises(ChunkReadError, match="bucket"):
        list(store.list())


def test_secrets_are_not_shown(s3: S3Server, bucket: str) -> None:
    store = open_s3(
        s3, bucket, {"AWS_ACCESS_KEY_ID": "shown", "AWS_SECRET_ACCESS_KEY": "very-secret"}
    )
    store.get("info")
    shown = f"{store!r} {store._credentials!r} {store._credentials._secrets!r} {store.endpoint!r}"
    shown += f"{store._credentials.signer!r} {vars(store)} {vars(store._credentials)}"
    assert "very-secret" not in shown
