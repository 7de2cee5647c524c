# SPDX-License-Identifier: BSD-3-Clause
"""Meshes under upstream's names: what opens a source, and a function of theirs that programs import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.sources.precomputed.folder_metadata import layer_at
from cloudvolume_fast.sources.precomputed.given_cache import use_cache
from cloudvolume_fast.sources.precomputed.mesh.base import MeshSource
from cloudvolume_fast.sources.precomputed.mesh.open import mesh_source
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["PrecomputedMeshSource", "apply_transform"]


class PrecomputedMeshSource:
    """Opens the meshes of a layer: an instance is a `MeshSource` of the kind that their info asks for.

    Parameters
    ----------
    meta : PrecomputedMetadata
        Of the layer.
    cache : CacheService, bool or str, optional
        What reads go through; see `use_cache`.
    config : VolumeConfig, optional
    readonly : bool
        Whether writes raise.
    info : dict, optional
        Used instead of the stored info.

    Raises
    ------
    InfoValidationError
    """

    def __new__(  # type: ignore[misc]
        cls,
        meta: PrecomputedMetadata,
        cache: Any = None,  # Any: see `use_cache`
        config: VolumeConfig | None = None,
        readonly: bool = False,
        info: Info | None = None,
    ) -> MeshSource:
        """Open the meshes of a layer whose metadata is at hand."""
        use_cache(meta, cache)
        source = mesh_source(meta, config, info=info, readonly=readonly)
        source.cache = source.meta.cache = cache
        return source

    @classmethod
    def from_cloudpath(
        cls,
        cloudpath: str,
        cache: bool | str = False,
        progress: bool = False,
        secrets: Any = None,  # Any: credentials in upstream's forms
    ) -> MeshSource:
        """Open the meshes of the layer at a path.

        Raises
        ------
        InfoUnavailableError, InfoValidationError, ChunkWriteError
        """
        return cls(layer_at(cloudpath, cache, secrets), None, VolumeConfig(progress=bool(progress)))


def apply_transform(vertices: ArrayLike, transform: ArrayLike) -> NDArray[Any]:
    """Move positions by a homogeneous map.

    Parameters
    ----------
    vertices : array_like of float, shape (n, 3)
    transform : array_like of float, shape (4, 4)
        The last row is not looked at.

    Returns
    -------
    ndarray of float64, shape (n, 3)
        `vertices` itself under the identity.

    Raises
    ------
    InvalidArgumentError
        Other shapes.

    Notes
    -----
    Upstream behaviour ``apply_transform``.  Sources move positions in the core, while they decode.
    """
    positions = np.asarray(vertices)
    matrix = np.asarray(transform)
    for name, array, expected in (
        ("vertices", positions, "(n, 3)"),
        ("transform", matrix, "(4, 4)"),
    ):
        suits = array.ndim == 2 and (
            array.shape[1] == 3 if name == "vertices" else array.shape == (4, 4)
        )
        if not suits:
            raise InvalidArgumentError(
                f"{name}: expected shape {expected}, found {array.shape}",
                key=name,
                expected=expected,
                found=array.shape,
            )
    if np.array_equal(matrix, np.eye(4)):
        return positions
    affine = matrix.astype(np.float64)
    moved: NDArray[Any] = positions.astype(np.float64) @ affine[:3, :3].T + affine[:3, 3]
    return moved
