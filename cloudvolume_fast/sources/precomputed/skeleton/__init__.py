# SPDX-License-Identifier: BSD-3-Clause
"""Skeletons of a Precomputed layer."""

from __future__ import annotations

from typing import Any

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.sources.precomputed.folder_metadata import layer_at
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata
from cloudvolume_fast.sources.precomputed.skeleton.metadata import PrecomputedSkeletonMetadata
from cloudvolume_fast.sources.precomputed.skeleton.sharded import ShardedPrecomputedSkeletonSource
from cloudvolume_fast.sources.precomputed.skeleton.source import SkeletonSource
from cloudvolume_fast.sources.precomputed.skeleton.unsharded import (
    UnshardedPrecomputedSkeletonSource,
)

__all__ = [
    "PrecomputedSkeletonMetadata",
    "PrecomputedSkeletonSource",
    "ShardedPrecomputedSkeletonSource",
    "SkeletonSource",
    "UnshardedPrecomputedSkeletonSource",
    "select_source",
    "skeletons_of_volume",
]


def select_source(
    meta: PrecomputedSkeletonMetadata,
    cache: Any = None,  # Any: see `SkeletonSource`
    config: VolumeConfig | None = None,
    readonly: bool = False,
) -> SkeletonSource:
    """Return the source that the info asks for."""
    kind = (
        ShardedPrecomputedSkeletonSource
        if meta.is_sharded()
        else UnshardedPrecomputedSkeletonSource
    )
    return kind(meta, cache, config, readonly)


def skeletons_of_volume(
    volume: Any,  # a volume: this layer lies below it
    source: SkeletonSource | None,
) -> SkeletonSource:
    """Return the skeletons of a volume: those that were returned before, unless the info asks for another kind now."""
    if source is None:
        meta = PrecomputedSkeletonMetadata(volume.meta, None, volume.config)
        meta.cv = volume
    elif source.meta.is_sharded() == isinstance(source, ShardedPrecomputedSkeletonSource):
        return source
    else:
        meta = source.meta
    return select_source(meta, None, volume.config)


class PrecomputedSkeletonSource:
    """Opens the skeletons of a layer: an instance is a `SkeletonSource` of the kind that their info asks for."""

    def __new__(  # type: ignore[misc]
        cls,
        meta: PrecomputedMetadata,
        cache: Any = None,  # Any: see `SkeletonSource`
        config: VolumeConfig | None = None,
        readonly: bool = False,
        info: Info | None = None,
    ) -> SkeletonSource:
        """Open the skeletons of a layer whose metadata is at hand."""
        skeletons = PrecomputedSkeletonMetadata(meta, cache, config, info=info, readonly=readonly)
        return select_source(skeletons, cache, config, readonly)

    @classmethod
    def from_cloudpath(
        cls,
        cloudpath: str,
        cache: bool | str = False,
        progress: bool = False,
        secrets: Any = None,  # Any: credentials in upstream's forms
        spatial_index_db: str | None = None,
        cache_locking: bool = True,
    ) -> SkeletonSource:
        """Open the skeletons of the layer at a path.

        Raises
        ------
        InfoUnavailableError, InfoValidationError, ChunkWriteError
        """
        config = VolumeConfig(progress=bool(progress), spatial_index_db=spatial_index_db)
        return cls(layer_at(cloudpath, cache, secrets), None, config)
