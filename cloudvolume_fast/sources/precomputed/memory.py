# SPDX-License-Identifier: BSD-3-Clause
"""Layers in the memory of this process that go with whatever reaches them."""

from __future__ import annotations

import uuid
import weakref

from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.layer_path import parse_layer_path
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["memory_path", "owned_by"]


def memory_path() -> str:
    """Return the path of a layer that nobody has."""
    return f"mem://{uuid.uuid4()}"


class _Lifetime:
    """What a layer lives as long as."""


def _remove(store: ObjectStore) -> None:
    store.delete_many(list(store.list()))


def owned_by(meta: PrecomputedMetadata, cloudpath: str) -> None:
    """Make a layer's objects go with the last object that shares metadata's state."""
    lifetime = _Lifetime()
    # At exit all memory goes, and threads that removing needs may be gone.
    weakref.finalize(lifetime, _remove, open_store(parse_layer_path(cloudpath))).atexit = False
    meta.lifetime = lifetime
