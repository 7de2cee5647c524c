# SPDX-License-Identifier: BSD-3-Clause
"""The functions that open layers of a format, as programs registered them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Any: what a format's layers are.
REGISTERED_IMAGE_PLUGINS: dict[str, Callable[..., Any]] = {}
REGISTERED_ANNOTATION_PLUGINS: dict[str, Callable[..., Any]] = {}
REGISTERED_MESH_PLUGINS: dict[str, Callable[..., Any]] = {}


def image_plugin(cloudpath: str) -> Callable[..., Any] | None:
    """Return the function that a program registered for the format that a path names, if it did for one."""
    if not REGISTERED_IMAGE_PLUGINS:
        return None
    if cloudpath.endswith(":") and "|" in cloudpath:
        return REGISTERED_IMAGE_PLUGINS.get(cloudpath[:-1].rpartition("|")[2])
    head, separator, rest = cloudpath.partition("://")
    if separator and head in REGISTERED_IMAGE_PLUGINS:
        return REGISTERED_IMAGE_PLUGINS[head]
    names_format = separator and "://" in rest
    return None if names_format else REGISTERED_IMAGE_PLUGINS.get("precomputed")
