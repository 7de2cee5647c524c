# SPDX-License-Identifier: BSD-3-Clause
"""``cloudvolume_fast.secrets`` has upstream's names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import support

from cloudvolume_fast import secrets


@pytest.fixture(autouse=True)
def _no_caches(home: Path) -> None:
    for name in ("AWS", "CAVE", "GOOGLE", "MYSQL", "PSQL"):
        getattr(secrets, f"{name}_CREDENTIALS_CACHE").clear()


def write(folder: Path, name: str, content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / name


def test_paths(home: Path) -> None:
    assert home / ".cloudvolume/secrets/aws-secret.json" == Path(secrets.aws_credentials_path)
    old = write(home / ".neuroglancer/secrets", "aws-secret.json", {"AWS_ACCESS_KEY_ID": "k"})
    assert str(old) == secrets.aws_credentials_path == secrets.secretpath("secrets/aws-secret.json")
    assert str(home) == secrets.HOME
    assert str(home / ".cloudvolume") == secrets.CLOUD_VOLUME_DIR
    assert secrets.CLOUD_VOLUME_CACHE_DIR is None
    assert secrets.aws_credentials("b") == {"AWS_ACCESS_KEY_ID": "k"}
    assert dict(secrets.AWS_CREDENTIALS_CACHE) == {"aws": {"b": {"AWS_ACCESS_KEY_ID": "k"}}}


def test_tokens_of_cave_by_host(home: Path) -> None:
    folder = home / ".cloudvolume/secrets"
    assert secrets.cave_credentials("h") == {}
    secrets.CAVE_CREDENTIALS_CACHE.clear()
    write(folder, "chunkedgraph-secret.json", {"token": "old"})
    assert secrets.cave_credentials("g") == {"token": "old"}
    write(folder, "cave-secret.json", {"token": "any"})
    write(folder, "h-cave-secret.json", {"token": "h"})
    assert secrets.cave_credentials("h") == {"token": "h"}
    assert secrets.cave_credentials() == {"token": "any"}


@pytest.mark.parametrize("service", ["mysql", "psql"])
def test_data_bases_by_host(home: Path, service: str) -> None:
    look_up = getattr(secrets, f"{service}_credentials")
    assert look_up("other") == {}
    write(home / ".cloudvolume/secrets", f"{service}-secret.json", {"user": "any"})
    write(home / ".cloudvolume/secrets", f"h-{service}-secret.json", {"user": "h"})
    assert (look_up("h"), look_up()) == ({"user": "h"}, {"user": "any"})


def test_project_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secrets.default_google_project_name() is None
    write(home / ".cloudvolume/secrets", "google-secret.json", {"project_id": "of secret"})
    assert secrets.PROJECT_NAME == "of secret"
    write(home / ".cloudvolume", "project_name", "of file\n")
    assert secrets.PROJECT_NAME == "of file"
    monkeypatch.setenv("GOOGLE_PROJECT_NAME", "of environment")
    assert secrets.PROJECT_NAME == "of environment"


def test_without_files(home: Path) -> None:
    assert secrets.google_credentials("b") == (None, None)
    assert secrets.boss_credentials == ""
    assert secrets.aws_credentials() == {}
    assert Path(secrets.google_credentials_path).name == "google-secret.json"
    assert len(secrets.project_name_paths) == 2
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = secrets.no_such_name


def test_names_are_those_of_upstream() -> None:
    expected = {
        "AWS_CREDENTIALS_CACHE", "CAVE_CREDENTIALS_CACHE", "CLOUD_VOLUME_CACHE_DIR", "CLOUD_VOLUME_DIR",
        "GOOGLE_CREDENTIALS_CACHE", "HOME", "MYSQL_CREDENTIALS_CACHE", "PROJECT_NAME", "PSQL_CREDENTIALS_CACHE",
        "aws_credentials", "aws_credentials_path", "boss_credentials", "boss_credentials_path", "cave_credentials",
        "default_google_project_name", "google_credentials", "google_credentials_path", "mysql_credentials",
        "project_name_paths", "psql_credentials", "secretpath",
    }  # fmt: skip
    assert expected <= set(dir(secrets))


def test_importing_reads_and_makes_nothing(tmp_path: Path) -> None:
    loaded = support.run_python(
        "import json, sys, cloudvolume_fast.secrets\nprint(json.dumps(sorted(sys.modules)))",
        HOME=str(tmp_path),
        CLOUD_VOLUME_DIR=str(tmp_path / "a"),
    )
    assert not any(name.startswith(("google", "boto", "cloudfiles", "requests")) for name in loaded)
    assert not (tmp_path / "a").exists()
