# SPDX-License-Identifier: BSD-3-Clause
"""Which credentials are found, in which order, and that nobody sees them."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from cloudvolume_fast.errors import AuthorizationError, InvalidArgumentError
from cloudvolume_fast.fetch import secrets


def write(folder: Path, name: str, content: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_the_name_counts_before_the_folder(home: Path) -> None:
    write(home / ".cloudvolume/secrets", "aws-secret.json", {"AWS_ACCESS_KEY_ID": "generic"})
    assert secrets.aws_secret("b") == {"AWS_ACCESS_KEY_ID": "generic"}
    write(home / ".cloudfiles/secrets", "b-aws-secret.json", {"AWS_ACCESS_KEY_ID": "bucket"})
    assert secrets.aws_secret("b") == {"AWS_ACCESS_KEY_ID": "bucket"}
    assert secrets.aws_secret("c") == {"AWS_ACCESS_KEY_ID": "generic"}


def test_folders_in_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_FILES_DIR", str(home / "elsewhere"))
    assert list(secrets.secret_folders()) == [
        str(home / ".cloudvolume/secrets"),
        str(home / ".neuroglancer/secrets"),
        "/secrets",
        "/",
        str(home / "elsewhere/secrets"),
    ]
    write(home / "elsewhere/secrets", "aws-secret.json", {"from": "cloudfiles"})
    assert secrets.aws_secret() == {"from": "cloudfiles"}
    write(home / ".neuroglancer/secrets", "aws-secret.json", {"from": "neuroglancer"})
    assert secrets.aws_secret() == {"from": "neuroglancer"}
    monkeypatch.setenv("CLOUD_VOLUME_DIR", str(home / "here"))
    write(home / "here/secrets", "aws-secret.json", {"from": "here"})
    assert secrets.aws_secret() == {"from": "here"}


def test_aliases_have_files_of_their_own(home: Path) -> None:
    write(home / ".cloudvolume/secrets", "aws-secret.json", {"AWS_ACCESS_KEY_ID": "aws"})
    assert secrets.aws_secret("b", "matrix") == {}
    write(home / ".cloudvolume/secrets", "matrix-secret.json", {"AWS_ACCESS_KEY_ID": "matrix"})
    assert secrets.aws_secret("b", "matrix") == {"AWS_ACCESS_KEY_ID": "matrix"}
    write(home / ".cloudvolume/secrets", "b-matrix-secret.json", {"AWS_ACCESS_KEY_ID": "b"})
    assert secrets.aws_secret("b", "matrix") == {"AWS_ACCESS_KEY_ID": "b"}


def test_the_environment_comes_last(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")  # and no session token, which is no error
    assert secrets.aws_secret("b")["AWS_ACCESS_KEY_ID"] == "environment"
    write(home / ".cloudvolume/secrets", "aws-secret.json", {"AWS_ACCESS_KEY_ID": "file"})
    assert secrets.aws_secret("b") == {"AWS_ACCESS_KEY_ID": "file"}


AWS_CREDENTIALS = """
[default]
aws_access_key_id = of-default
aws_secret_access_key = s
[work]
aws_access_key_id = of-work
aws_secret_access_key = s%s
aws_session_token = t
"""
AWS_CONFIG = """
[default]
region = eu-west-3
[profile work]
region = us-west-2
[profile in-config]
aws_access_key_id = of-config
aws_secret_access_key = s
"""


@pytest.fixture
def profiles(home: Path) -> Path:
    write(home / ".aws", "credentials", AWS_CREDENTIALS)
    write(home / ".aws", "config", AWS_CONFIG)
    return home / ".aws"


def test_profiles_come_after_the_environment(
    home: Path, profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secrets.aws_secret("b") == {
        "AWS_ACCESS_KEY_ID": "of-default",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "eu-west-3",
    }
    assert secrets.aws_secret("b", "matrix") == {}
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert secrets.aws_secret("b")["AWS_DEFAULT_REGION"] == "ap-south-1"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment")
    assert secrets.aws_secret("b")["AWS_ACCESS_KEY_ID"] == "environment"
    write(home / ".cloudvolume/secrets", "aws-secret.json", {"AWS_ACCESS_KEY_ID": "file"})
    assert secrets.aws_secret("b") == {"AWS_ACCESS_KEY_ID": "file"}


def test_the_profile_is_the_one_that_is_named(
    profiles: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert secrets.aws_secret("b") == {
        "AWS_ACCESS_KEY_ID": "of-work",
        "AWS_SECRET_ACCESS_KEY": "s%s",
        "AWS_SESSION_TOKEN": "t",
        "AWS_DEFAULT_REGION": "us-west-2",
    }
    monkeypatch.setenv("AWS_PROFILE", "in-config")
    assert secrets.aws_secret("b")["AWS_ACCESS_KEY_ID"] == "of-config"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AuthorizationError, match=r"a profile of .*/credentials.*'nobody'"):
        secrets.aws_secret("b")
    monkeypatch.delenv("AWS_PROFILE")
    write(home, "elsewhere", AWS_CREDENTIALS.replace("of-default", "of-elsewhere"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "elsewhere"))
    assert secrets.aws_secret("b")["AWS_ACCESS_KEY_ID"] == "of-elsewhere"
    (profiles / "config").unlink()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "nowhere"))
    assert secrets.aws_secret("b") == {}


def test_a_malformed_profile_is_named_and_not_shown(home: Path) -> None:
    write(home / ".aws", "credentials", "secret-key")
    with pytest.raises(AuthorizationError, match=r"\.aws/credentials: expected") as raised:
        secrets.aws_secret("b")
    error = raised.value
    while error is not None:
        assert "secret-key" not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_passwords_are_by_host(home: Path) -> None:
    folder = home / ".cloudvolume/secrets"
    write(folder, "http-secret.json", {"user": "any"})
    assert secrets.http_secret("h") is None
    assert secrets.http_secret() == {"user": "any"}
    write(folder, "h-http-secret.json", {"user": "h"})
    assert secrets.http_secret("h") == {"user": "h"}


@pytest.mark.parametrize("content", ["{'secret-key'", '["secret-key"]', ""])
def test_malformed_files_are_named_and_not_shown(home: Path, content: str) -> None:
    write(home / ".cloudvolume/secrets", "google-secret.json", content)
    with pytest.raises(AuthorizationError, match=r"google-secret\.json: expected") as raised:
        secrets.google_secret("b")
    error = raised.value
    while error is not None:
        assert "secret-key" not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("argument", ["secret-key", '"secret-key"', ["secret-key"]])
def test_malformed_arguments_are_not_shown(argument: object) -> None:
    with pytest.raises(InvalidArgumentError, match="secrets: expected") as raised:
        secrets.parse_secrets(argument)
    error = raised.value
    while error is not None:
        assert "secret-key" not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_secrets_are_neither_shown_nor_pickled() -> None:
    secret = secrets.parse_secrets('{"a": "secret-key"}')
    assert secret == {"a": "secret-key"}
    assert "secret-key" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(secret)
    assert secrets.parse_secrets(None) is None
