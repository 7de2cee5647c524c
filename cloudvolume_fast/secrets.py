# SPDX-License-Identifier: BSD-3-Clause
"""Upstream's names for credentials.

Notes
-----
Nothing is read before it is asked for: names that are values upstream are looked up here on each access.  What this
library itself does with credentials is in `fetch.secrets`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from cloudvolume_fast.fetch import secrets as _found

# Any: what the files hold.
_Credential = dict[str, Any]

AWS_CREDENTIALS_CACHE: defaultdict[str, dict[str, _Credential]] = defaultdict(dict)
CAVE_CREDENTIALS_CACHE: defaultdict[str, _Credential] = defaultdict(dict)
GOOGLE_CREDENTIALS_CACHE: dict[str, tuple[str | None, Any]] = {}
MYSQL_CREDENTIALS_CACHE: defaultdict[str, _Credential] = defaultdict(dict)
PSQL_CREDENTIALS_CACHE: defaultdict[str, _Credential] = defaultdict(dict)


def secretpath(*filepaths: str) -> str:
    """Return the path of a file below the first of upstream's folders that has it, else below the first."""
    below = os.path.join(*filepaths)
    folders = (
        _found.cloud_volume_dir(),
        os.path.join(os.path.expanduser("~"), ".neuroglancer"),
        "/",
    )
    paths = [os.path.join(folder, below) for folder in folders]
    return next((path for path in paths if os.path.exists(path)), paths[0])


def aws_credentials(bucket: str = "", service: str = "aws") -> _Credential:
    """Return the keys for a bucket; empty where there are none."""
    cache = AWS_CREDENTIALS_CACHE[service]
    if bucket not in cache:
        cache[bucket] = _found.aws_secret(bucket, service)
    return cache[bucket]


def google_credentials(bucket: str = "") -> tuple[str | None, Any]:
    """Return project and google-auth's credentials for a bucket; None where no file has them."""
    if bucket not in GOOGLE_CREDENTIALS_CACHE:
        found = _found.google_secret(bucket)
        if found is None:
            return (default_google_project_name(), None)
        from google.oauth2 import service_account

        make: Any = service_account.Credentials.from_service_account_info  # without types
        project = default_google_project_name() or found.get("project_id")
        GOOGLE_CREDENTIALS_CACHE[bucket] = (project, make(dict(found)))
    return GOOGLE_CREDENTIALS_CACHE[bucket]


def cave_credentials(domain: str = "") -> _Credential:
    """Return the token for a server of CAVE; empty where there is none."""
    if domain not in CAVE_CREDENTIALS_CACHE:
        CAVE_CREDENTIALS_CACHE[domain] = _found.cave_secret(domain) or {}
    return CAVE_CREDENTIALS_CACHE[domain]


def mysql_credentials(domain: str = "") -> _Credential:
    """Return user and password for a server of MySQL or MariaDB; empty where there are none."""
    if domain not in MYSQL_CREDENTIALS_CACHE:
        MYSQL_CREDENTIALS_CACHE[domain] = _found.database_secret("mysql", domain) or {}
    return MYSQL_CREDENTIALS_CACHE[domain]


def psql_credentials(domain: str = "") -> _Credential:
    """Return user and password for a server of PostgreSQL; empty where there are none."""
    if domain not in PSQL_CREDENTIALS_CACHE:
        PSQL_CREDENTIALS_CACHE[domain] = _found.database_secret("psql", domain) or {}
    return PSQL_CREDENTIALS_CACHE[domain]


def default_google_project_name() -> str | None:
    """Return the project from ``GOOGLE_PROJECT_NAME``, a file, or ``google-secret.json``."""
    if os.environ.get("GOOGLE_PROJECT_NAME"):
        return os.environ["GOOGLE_PROJECT_NAME"]
    for path in _project_name_paths():
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return file.read().strip()
    account = _found.google_secret()
    return None if account is None else account.get("project_id")


def _project_name_paths() -> list[str]:
    return [secretpath("secrets", "project_name"), secretpath("project_name")]


_VALUES: dict[str, Callable[[], Any]] = {
    "HOME": lambda: os.path.expanduser("~"),
    "CLOUD_VOLUME_DIR": _found.cloud_volume_dir,
    "CLOUD_VOLUME_CACHE_DIR": lambda: os.environ.get("CLOUD_VOLUME_CACHE_DIR"),
    "PROJECT_NAME": default_google_project_name,
    "project_name_paths": _project_name_paths,
    "google_credentials_path": lambda: secretpath("secrets", "google-secret.json"),
    "aws_credentials_path": lambda: secretpath("secrets", "aws-secret.json"),
    "boss_credentials_path": lambda: secretpath("secrets", "boss-secret.json"),
    "boss_credentials": lambda: _found.find_secret("boss-secret.json") or "",
}


def __getattr__(name: str) -> Any:
    if name in _VALUES:
        return _VALUES[name]()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_VALUES})
