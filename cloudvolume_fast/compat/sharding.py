# SPDX-License-Identifier: BSD-3-Clause
"""Sharding under upstream's names, over `model.sharding` and `fetch.shard_reader`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from cloudvolume_fast.compat.options import checked_green_threads
from cloudvolume_fast.deliver.green import is_real_thread, run_green
from cloudvolume_fast.fetch import shard_reader
from cloudvolume_fast.fetch.store import ByteStore
from cloudvolume_fast.model.shard_params import (
    compute_shard_params_for_hashed,
    compute_shard_params_for_image,
)
from cloudvolume_fast.model.shard_synthesis import synthesize_shard_file, synthesize_shard_files
from cloudvolume_fast.model.sharding import ShardingSpecification, image_shard_shape_from_spec

__all__ = [
    "ShardReader",
    "ShardingSpecification",
    "compute_shard_params_for_hashed",
    "compute_shard_params_for_image",
    "image_shard_shape_from_spec",
    "synthesize_shard_file",
    "synthesize_shard_files",
    "uint64",
]


def uint64(x: Any) -> np.uint64:  # Any: what int takes
    """Return a number as numpy's uint64, negative ones counted back from 2^64."""
    return np.uint64(int(x) % (1 << 64))


class ShardReader(shard_reader.ShardReader):
    """Reads shard files of a layer.

    Parameters
    ----------
    cloudpath : str or None
        Of the layer.
    cache : CacheService
        Of the layer; its store is read if it has one.
    spec : ShardingSpecification
    shard_index_cache_size, minishard_index_cache_size : int
        Indexes that are kept in memory.
    green : bool
        Wait as a green thread of gevent does, so that others go on meanwhile.

    Raises
    ------
    ImportError
        `green` is set, and gevent is not installed.
    """

    def __init__(
        self,
        cloudpath: str | None,
        cache: Any,  # a CacheService, or None
        spec: ShardingSpecification,
        shard_index_cache_size: int = 512,
        minishard_index_cache_size: int = 128,
        green: bool = False,
    ) -> None:
        store = _store_of(cloudpath, cache)
        super().__init__(
            _GreenStore(store) if checked_green_threads(green) else store,
            spec,
            shard_index_cache_size=shard_index_cache_size,
            minishard_index_cache_size=minishard_index_cache_size,
        )
        self.cloudpath = cloudpath
        self.cache = cache
        self.green = green


class _GreenStore:
    """A store whose calls wait on a real thread."""

    def __init__(self, store: ByteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._store, name)
        return functools.partial(self._call, member) if callable(member) else member

    @staticmethod
    def _call(member: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if is_real_thread():
            return member(*args, **kwargs)
        return run_green(member, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _GreenStore, (self._store,)


def _store_of(cloudpath: str | None, cache: Any) -> ByteStore:
    meta = getattr(cache, "meta", None)
    if meta is not None and hasattr(meta, "store"):
        store: ByteStore = meta.store
        return store
    from cloudvolume_fast.compat.stores import open_store

    if cloudpath is None:
        from cloudvolume_fast.errors import InvalidArgumentError

        raise InvalidArgumentError(
            "cloudpath: expected a path where cache belongs to no layer, found None",
            key="cloudpath",
        )
    return open_store(cloudpath)
