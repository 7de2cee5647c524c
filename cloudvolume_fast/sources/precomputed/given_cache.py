# SPDX-License-Identifier: BSD-3-Clause
"""The disk cache that is given to a source of a layer beside the layer's metadata, as upstream has it."""

from __future__ import annotations

from typing import Any

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata


def use_cache(meta: PrecomputedMetadata, cache: Any) -> None:
    """Make a layer's reads go through a disk cache.

    Parameters
    ----------
    meta : PrecomputedMetadata
        Of the layer.
    cache : CacheService, bool, str or None
        A cache of the same layer, or as for the constructor of volumes.  None leaves `meta` as it is.

    Raises
    ------
    InvalidArgumentError
        It is none, or of another layer.
    ChunkWriteError
        Its folder cannot be used (an OSError).
    """
    if cache is None:
        return
    if isinstance(cache, (bool, str)):
        base = cache
    else:
        try:
            other, base = cache.meta, cache.enabled
        except AttributeError:
            raise InvalidArgumentError(
                f"cache: expected a CacheService, a bool or a folder, found {type(cache).__name__}",
                key="cache",
                found=type(cache),
            ) from None
        if other.cloudpath != meta.cloudpath:
            raise InvalidArgumentError(
                f"cache: expected that of {meta.cloudpath}, found that of {other.cloudpath}",
                key="cache",
                expected=meta.cloudpath,
                found=other.cloudpath,
            )
    if meta.cache_base != base:
        meta.cache_base = base
