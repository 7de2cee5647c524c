# SPDX-License-Identifier: BSD-3-Clause
"""The store of a path, for what works on objects rather than on volumes."""

from __future__ import annotations

from cloudvolume_fast.errors import UnsupportedProtocolError
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.layer_path import parse_layer_path


def open_store(cloudpath: str) -> ObjectStore:
    """Return the store of a path.

    Raises
    ------
    UnsupportedProtocolError
    """
    path = parse_layer_path(cloudpath)
    if path.protocol != "file":
        raise UnsupportedProtocolError(
            f"{path.cloudpath}: expected protocol file, found {path.protocol}",
            key=path.cloudpath,
            expected="file",
            found=path.protocol,
        )
    return FileStore(str(path.local_directory))
