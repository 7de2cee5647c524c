# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a layer, wherever it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.layer_path import LayerPath, to_https

__all__ = ["open_store", "reopen_store"]


def open_store(
    path: LayerPath, *, secrets: str | Mapping[str, Any] | None = None, use_https: bool = False
) -> ObjectStore:
    """Return the store of a layer; nothing is read, and no server is asked, before its first use.

    Parameters
    ----------
    path : LayerPath
    secrets : mapping or JSON, optional
        Credentials that go before those of files and environment.
    use_https : bool
        Read gs:// and s3:// as what a web server shows of them.

    Raises
    ------
    UnsupportedProtocolError, InvalidArgumentError
    """
    if path.protocol == "file":
        return FileStore(str(path.local_directory))
    # Imported where they are needed: layers on this machine are opened without them.
    from cloudvolume_fast.fetch.remote.http_store import HttpStore
    from cloudvolume_fast.fetch.remote.location import locate_remote
    from cloudvolume_fast.fetch.secrets import parse_secrets

    place = to_https(path) if use_https else path
    parsed = parse_secrets(secrets)
    location = locate_remote(place, parsed)
    if location is not None:
        return HttpStore(path, location, use_https=use_https)
    from cloudvolume_fast.fetch.remote.cloud_files_store import CloudFilesStore

    return CloudFilesStore(path, parsed)


def reopen_store(path: LayerPath, use_https: bool) -> ObjectStore:
    """Return the store of a layer, as a pickle does: without credentials of its own."""
    return open_store(path, use_https=use_https)
