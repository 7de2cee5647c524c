# SPDX-License-Identifier: BSD-3-Clause
"""The store of a path, for what works on objects rather than on volumes."""

from __future__ import annotations

from typing import Any

from cloudvolume_fast.fetch import open_store as stores
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.layer_path import parse_layer_path


def open_store(cloudpath: str, secrets: Any = None) -> ObjectStore:  # Any: a mapping or JSON
    """Return the store of a path.

    Raises
    ------
    UnsupportedProtocolError, InvalidArgumentError
    """
    return stores.open_store(parse_layer_path(cloudpath), secrets=secrets)
