# SPDX-License-Identifier: BSD-3-Clause
"""Credentials: which files and environment variables they come from, in upstream's order, read when asked for.

Notes
-----
The profiles of AWS are what upstream's boto3 looks at in the end.  What is found is a `Secret`, which shows itself
neither in a repr nor in a pickle.
"""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from cloudvolume_fast.errors import AuthorizationError, InvalidArgumentError

__all__ = [
    "Secret",
    "aws_profile_secret",
    "aws_secret",
    "cave_secret",
    "cloud_volume_dir",
    "database_secret",
    "find_secret",
    "google_secret",
    "http_secret",
    "parse_secrets",
    "secret_folders",
]

_AWS_NAMES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_REQUEST_PAYER",
)


class Secret(dict[str, Any]):
    """A mapping whose values are shown to nobody.

    Raises
    ------
    TypeError
        When it is pickled.
    """

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object) -> Any:  # Any: never returns
        raise TypeError("credentials are not pickled")


def parse_secrets(secrets: str | Mapping[str, Any] | None) -> Secret | None:
    """Return what a ``secrets=`` argument holds: a mapping, or the same as JSON.

    Raises
    ------
    InvalidArgumentError
        It is neither; the message does not repeat it.
    """
    if secrets is None:
        return None
    if isinstance(secrets, (str, bytes)):
        try:
            secrets = json.loads(secrets)
        except ValueError:  # whose text and attributes hold the argument
            secrets = None
    if not isinstance(secrets, Mapping):
        raise InvalidArgumentError(
            "secrets: expected a mapping or a JSON object, found something else", key="secrets"
        )
    return Secret(secrets)


def cloud_volume_dir() -> str:
    """Return ``CLOUD_VOLUME_DIR``, by default ``~/.cloudvolume``; it need not exist."""
    return os.environ.get("CLOUD_VOLUME_DIR") or os.path.join(
        os.path.expanduser("~"), ".cloudvolume"
    )


def secret_folders() -> Iterator[str]:
    """Yield the folders in which secrets may lie, the first first."""
    home = os.path.expanduser("~")
    yield os.path.join(cloud_volume_dir(), "secrets")
    yield os.path.join(home, ".neuroglancer", "secrets")
    yield "/secrets"
    yield "/"
    yield os.path.join(
        os.environ.get("CLOUD_FILES_DIR") or os.path.join(home, ".cloudfiles"), "secrets"
    )


def secret_path(*names: str) -> str | None:
    """Return the path of the first of some files that exists; an earlier name wins wherever it lies."""
    folders = list(secret_folders())
    for name in names:
        for folder in folders:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                return path
    return None


def find_secret(*names: str) -> Secret | None:
    """Return the content of the first of some files that exists.

    Raises
    ------
    AuthorizationError
        It cannot be read, or is no JSON object; the message names the file and not its content.
    """
    path = secret_path(*names)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
    except OSError as error:
        raise AuthorizationError(
            f"{path}: cannot be read: {error.strerror}", key=path, errno=error.errno
        ) from error
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise AuthorizationError(f"{path}: expected a JSON object", key=path)
    return Secret(content)


def aws_secret(bucket: str = "", service: str = "aws") -> Secret:
    """Return the keys for a bucket on S3 or on one of its likes; empty where there are none."""
    names = [f"{service}-secret.json"]
    if bucket:
        names.insert(0, f"{bucket}-{service}-secret.json")
    found = find_secret(*names)
    if found is not None:
        return found
    # As upstream: those of the environment are for any service, those of profiles for AWS alone.
    found = Secret({name: os.environ[name] for name in _AWS_NAMES if os.environ.get(name)})
    if service == "aws" and "AWS_ACCESS_KEY_ID" not in found:
        return Secret({**aws_profile_secret(), **found})
    return found


def aws_profile_secret() -> Secret:
    """Return keys and region of the profile that ``AWS_PROFILE`` names, else of the default one; empty without one.

    Raises
    ------
    AuthorizationError
        A file cannot be read, or is none of profiles; or ``AWS_PROFILE`` names none that is there.

    Notes
    -----
    Keys are those of ``AWS_SHARED_CREDENTIALS_FILE`` (``~/.aws/credentials``), then of ``AWS_CONFIG_FILE``
    (``~/.aws/config``), which has the region too.
    """
    wished = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    profile = wished or "default"
    credentials_path = _aws_file("AWS_SHARED_CREDENTIALS_FILE", "credentials")
    config_path = _aws_file("AWS_CONFIG_FILE", "config")
    credentials = _read_profiles(credentials_path)
    config = _read_profiles(config_path)
    in_config = config.get(
        f"profile {profile}", config.get(profile) if profile == "default" else None
    )
    if wished and profile not in credentials and in_config is None:
        raise AuthorizationError(
            f"AWS_PROFILE: expected a profile of {credentials_path} or {config_path}, found {wished!r}",
            key="AWS_PROFILE",
            found=wished,
        )
    out = Secret()
    for section in (credentials.get(profile), in_config):
        if section is None:
            continue
        if "AWS_ACCESS_KEY_ID" not in out and section.get("aws_access_key_id"):
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
                if section.get(name.lower()):
                    out[name] = section[name.lower()]
        if "AWS_DEFAULT_REGION" not in out and section.get("region"):
            out["AWS_DEFAULT_REGION"] = section["region"]
    return out


def _aws_file(variable: str, name: str) -> str:
    return os.path.expanduser(os.environ.get(variable) or os.path.join("~", ".aws", name))


def _read_profiles(path: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(default_section="", strict=False)
    is_good = True
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise AuthorizationError(
            f"{path}: cannot be read: {error.strerror}", key=path, errno=error.errno
        ) from error
    except (configparser.Error, UnicodeDecodeError):
        is_good = False
    if not is_good:  # outside of the handler, whose error holds lines of the file
        raise AuthorizationError(f"{path}: expected profiles of AWS", key=path)
    return {name: dict(parser.items(name)) for name in parser.sections()}


def google_secret(bucket: str = "") -> Secret | None:
    """Return the service account for a bucket, None where no file has one."""
    names = ["google-secret.json"]
    if bucket:
        names.insert(0, f"{bucket}-google-secret.json")
    return find_secret(*names)


def http_secret(host: str = "") -> Secret | None:
    """Return user and password for a host, or for all hosts where none is given."""
    return find_secret(f"{host}-http-secret.json" if host else "http-secret.json")


def cave_secret(host: str = "") -> Secret | None:
    """Return the token for a server of CAVE, None where no file has one."""
    names = ["cave-secret.json", "chunkedgraph-secret.json"]
    if host:
        names.insert(0, f"{host}-cave-secret.json")
    return find_secret(*names)


def database_secret(service: str, host: str = "") -> Secret | None:
    """Return user and password for a data base of ``mysql`` or ``psql``, None where no file has them."""
    names = [f"{service}-secret.json"]
    if host:
        names.insert(0, f"{host}-{service}-secret.json")
    return find_secret(*names)
