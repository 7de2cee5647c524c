# SPDX-License-Identifier: BSD-3-Clause
"""What a layer says of its meshes: the ``info`` in their folder."""

from __future__ import annotations

import json
import numbers
from collections.abc import Sequence
from typing import Any

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import (
    InfoValidationError,
    InvalidArgumentError,
    ScaleUnavailableError,
)
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.sources.precomputed.folder_metadata import FolderMetadata, plain
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["PrecomputedMeshMetadata"]

LEGACY = "neuroglancer_legacy_mesh"
MULTILOD = "neuroglancer_multilod_draco"
_DEFAULT_FOLDER = "mesh"


class PrecomputedMeshMetadata(FolderMetadata):
    """What the ``info`` of a folder of meshes says; see `FolderMetadata`.

    Attributes
    ----------
    has_scales : bool
        Whether `meta` is of a layer; a folder of meshes may lie alone.

    Notes
    -----
    The volume makes another source when the kind of the live info changes.  Without an info the folder holds
    single-resolution meshes, as writers before there was one left it.
    """

    def __init__(
        self,
        meta: PrecomputedMetadata,
        cache: Any = None,  # Any: as `FolderMetadata`'s
        config: VolumeConfig | None = None,
        info: Info | None = None,
        readonly: bool = False,
    ) -> None:
        self.has_scales = True
        super().__init__(meta, cache, config, info, readonly)

    @property
    def mesh_path(self) -> str:
        """Folder of the meshes below the layer."""
        return (self.meta.mesh or _DEFAULT_FOLDER).strip("/")

    @property
    def folder(self) -> str:
        """As `mesh_path`."""
        return self.mesh_path

    def default_info(self) -> Info:
        """Return what holds where there is no info."""
        return {"@type": LEGACY, "spatial_index": None}

    def fetch_info(self) -> Info:
        """Read and return the stored info, or `default_info`, without keeping it.

        Raises
        ------
        InfoValidationError
        """
        return super().fetch_info() if self.meta.mesh else self.default_info()

    def checked(self, info: Any) -> Info:  # Any: what JSON has
        """Return an info that is what the format allows.

        Raises
        ------
        InfoValidationError
        """
        super().checked(info)
        if info.get("@type") == MULTILOD and info.get("vertex_quantization_bits") not in (10, 16):
            raise InfoValidationError(
                f"{self.infopath}: vertex_quantization_bits: expected 10 or 16, "
                f"found {info.get('vertex_quantization_bits')!r}",
                key=self.infopath,
                expected=(10, 16),
                found=info.get("vertex_quantization_bits"),
            )
        transform = info.get("transform")
        if transform is not None and (
            not isinstance(transform, Sequence)
            or len(transform) != 12
            or not all(isinstance(value, numbers.Real) for value in transform)
        ):
            raise InfoValidationError(
                f"{self.infopath}: transform: expected 12 numbers, found {transform!r}",
                key=self.infopath,
                expected="12 numbers",
                found=transform,
            )
        stored: Info = info
        return stored

    # Kinds.

    def is_multires(self) -> bool:
        """Whether meshes have several levels of detail."""
        return bool(self.info.get("@type") == MULTILOD)

    def is_legacy(self) -> bool:
        """Whether meshes have one resolution."""
        return not self.is_multires()

    @property
    def kind(self) -> tuple[bool, str]:
        """What tells which source suits: another value, another source."""
        sharding = self.info.get("sharding") if self.is_multires() else None
        return self.is_multires(), json.dumps(
            sharding, sort_keys=True, default=plain
        ) if sharding else ""

    # Values.

    @property
    def mip(self) -> int | None:
        """The mip that was meshed: as the info says, or the name of the folder (``mesh_mip_N``)."""
        return self._mip_of("mesh_mip_")

    @mip.setter
    def mip(self, value: int) -> None:
        self.info["mip"] = value

    @property
    def chunk_size(self) -> list[int] | None:
        """Extents, in voxels of `mip`, of what was meshed at a time."""
        size = self.info.get("chunk_size")
        return None if size is None else [int(extent) for extent in size]

    @property
    def transform(self) -> list[float] | None:
        """Map from stored model space to nm, three rows of four, or None for none."""
        transform = self.info.get("transform")
        if transform is None:
            return None
        rows = [float(value) for value in transform]
        return None if rows == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0] else rows

    def require_mip(self) -> int:
        """Return the mip that was meshed, or the volume's current one where nothing says.

        Raises
        ------
        ScaleUnavailableError
            There is no such scale.
        """
        mip = self.mip
        if not self.has_scales:
            raise ScaleUnavailableError(
                f"{self.layerpath}: expected a layer with scales around the folder, found no info",
                key=self.layerpath,
            )
        return self.meta.to_mip(self.config.mip if mip is None else mip)

    # Changes of the info; nothing is written until `commit_info`.

    def to_multi_resolution(self, vertex_quantization_bits: int) -> None:
        """Make this a folder of meshes with several levels of detail.

        Parameters
        ----------
        vertex_quantization_bits : {10, 16}
            For each coordinate.

        Raises
        ------
        InvalidArgumentError
            Another number of bits.
        ScaleUnavailableError
            There is no scale of the mip that was meshed.
        """
        if vertex_quantization_bits not in (10, 16):
            raise InvalidArgumentError(
                f"vertex_quantization_bits: expected 10 or 16, found {vertex_quantization_bits!r}",
                key="vertex_quantization_bits",
                expected=(10, 16),
                found=vertex_quantization_bits,
            )
        x, y, z = (float(extent) for extent in self.meta.resolution(self.require_mip()))
        self.info["@type"] = MULTILOD
        self.info["vertex_quantization_bits"] = int(vertex_quantization_bits)
        self.info["transform"] = [x, 0, 0, 0, 0, y, 0, 0, 0, 0, z, 0]
        self.info["lod_scale_multiplier"] = 1.0

    def to_single_resolution(self) -> None:
        """Make this a folder of single-resolution meshes."""
        self.info["@type"] = LEGACY
        for member in ("vertex_quantization_bits", "transform", "lod_scale_multiplier"):
            self.info.pop(member, None)
