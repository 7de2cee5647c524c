# SPDX-License-Identifier: BSD-3-Clause
"""Which source reads the meshes of a folder."""

from __future__ import annotations

from typing import Any

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import InfoUnavailableError
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.info_creation import create_info
from cloudvolume_fast.sources.precomputed.mesh.base import MeshSource
from cloudvolume_fast.sources.precomputed.mesh.legacy import UnshardedLegacyPrecomputedMeshSource
from cloudvolume_fast.sources.precomputed.mesh.metadata import PrecomputedMeshMetadata
from cloudvolume_fast.sources.precomputed.mesh.multilod_sharded import (
    ShardedMultiLevelPrecomputedMeshSource,
)
from cloudvolume_fast.sources.precomputed.mesh.multilod_unsharded import (
    UnshardedMultiLevelPrecomputedMeshSource,
)
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["mesh_source", "open_mesh_source", "suited_source"]


def mesh_source(
    meta: PrecomputedMetadata,
    config: VolumeConfig | None = None,
    *,
    info: Info | None = None,
    readonly: bool = False,
) -> MeshSource:
    """Open the meshes of a layer.

    Parameters
    ----------
    meta : PrecomputedMetadata
        Of the layer.
    config : VolumeConfig, optional
        Of the volume.
    info : dict, optional
        Used instead of the stored info.
    readonly : bool
        Whether writes raise.

    Raises
    ------
    InfoValidationError
    """
    return suited_source(PrecomputedMeshMetadata(meta, None, config, info, readonly))


def suited_source(meta: PrecomputedMeshMetadata) -> MeshSource:
    """Return the source for the kind of meshes that an info names.

    Raises
    ------
    InfoValidationError, SpecViolation
    """
    if not meta.is_multires():
        return UnshardedLegacyPrecomputedMeshSource(meta, None, meta.config)
    if meta.is_sharded():
        return ShardedMultiLevelPrecomputedMeshSource(meta, None, meta.config)
    return UnshardedMultiLevelPrecomputedMeshSource(meta, None, meta.config)


def open_mesh_source(
    cloudpath: str,
    config: VolumeConfig | None = None,
    *,
    secrets: Any = None,  # Any: a mapping or JSON
    use_https: bool = False,
) -> MeshSource:
    """Open a folder of meshes by its own path.

    Parameters
    ----------
    cloudpath : str
        ``PROTOCOL://.../LAYER/FOLDER``.  The layer need not have an info; without one there are no scales, which only
        merging at the borders of chunks asks for.
    config : VolumeConfig, optional
    secrets, use_https
        As of a volume.

    Raises
    ------
    InfoValidationError, UnsupportedProtocolError, UnsupportedFormatError
    """
    layer, _, folder = cloudpath.rstrip("/").rpartition("/")
    has_scales = True
    try:
        meta = PrecomputedMetadata(layer, secrets=secrets, use_https=use_https)
    except InfoUnavailableError:
        # Nothing asks for this scale, which an info must have.
        stand_in = create_info(
            1,
            "segmentation",
            "uint64",
            "raw",
            (1, 1, 1),
            (0, 0, 0),
            (1, 1, 1),
            chunk_size=(1, 1, 1),
        )
        meta = PrecomputedMetadata(layer, info=stand_in, secrets=secrets, use_https=use_https)
        has_scales = False
    meta.info = {**meta.info, "mesh": folder}
    mesh_meta = PrecomputedMeshMetadata(meta, None, config)
    mesh_meta.has_scales = has_scales
    return suited_source(mesh_meta)
