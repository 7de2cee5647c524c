# SPDX-License-Identifier: BSD-3-Clause
"""The metadata of a folder of skeletons: its ``info`` read, derived from, changed and committed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import InfoValidationError, InvalidArgumentError
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.sharding import ShardingSpecification
from cloudvolume_fast.sources.precomputed.folder_metadata import FolderMetadata

__all__ = ["PrecomputedSkeletonMetadata"]

_IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


class PrecomputedSkeletonMetadata(FolderMetadata):
    """What the ``info`` of a folder of skeletons says; see `FolderMetadata`.

    Notes
    -----
    Upstream behaviour ``PrecomputedSkeletonMetadata``: where there is no info, the defaults stand for it.
    """

    @property
    def skeleton_path(self) -> str:
        """Folder of the skeletons, below the layer."""
        folder = self.meta.skeletons
        return (folder.strip("/") if isinstance(folder, str) else "") or "skeletons"

    @property
    def folder(self) -> str:
        """As `skeleton_path`."""
        return self.skeleton_path

    def default_info(self) -> Info:
        """Return the info of a new folder."""
        return {
            "@type": "neuroglancer_skeletons",
            "transform": list(_IDENTITY),
            "vertex_attributes": [
                {"id": "radius", "data_type": "float32", "num_components": 1},
                {"id": "vertex_types", "data_type": "uint8", "num_components": 1},
            ],
            "sharding": None,
            "spatial_index": None,
        }

    def committed(self, info: Info) -> Info:
        """Return what of an info is written, without members that stand for nothing: others refuse those."""
        return {
            name: value
            for name, value in self.checked(info).items()
            if value is not None or name not in ("sharding", "spatial_index")
        }

    # Derived.

    @property
    def transform(self) -> NDArray[np.float32]:
        """From stored to physical coordinates in nm, shape (3, 4); identity where the info has none.

        Raises
        ------
        InfoValidationError
            It is not 12 numbers.
        """
        stored = self.info.get("transform")
        try:
            values = np.asarray(_IDENTITY if stored is None else stored, np.float32)
            return values.reshape(3, 4)
        except (TypeError, ValueError) as error:
            raise InfoValidationError(
                f"{self.infopath}: transform: expected 12 numbers, found {stored!r}",
                key=self.infopath,
                expected="12 numbers",
                found=stored,
            ) from error

    @transform.setter
    def transform(self, value: Any) -> None:  # Any: 12 numbers in any shape
        matrix = np.asarray(value, np.float64)
        if matrix.size != 12:
            raise InvalidArgumentError(
                f"transform: expected 12 numbers, found {matrix.size}",
                key="transform",
                expected=12,
                found=matrix.size,
            )
        self.info["transform"] = matrix.reshape(-1).tolist()

    @property
    def mip(self) -> int | None:
        """Scale that the skeletons were made from: the info's, or that of the folder's name, or None."""
        return self._mip_of("skeletons_mip_")

    def is_sharded(self) -> bool:
        """Whether skeletons are stored in shards; whatever stands there is looked at then."""
        return self.info.get("sharding") is not None

    def sharding_specification(self) -> ShardingSpecification:
        """Return the specification of the info.

        Raises
        ------
        InfoValidationError
            There is none.
        SpecViolation
            It is not what the format allows.
        """
        spec = self.info.get("sharding")
        if not isinstance(spec, dict):
            raise InfoValidationError(
                f"{self.infopath}: expected sharding, found {spec!r}",
                key=self.infopath,
                expected="sharding",
                found=spec,
            )
        return ShardingSpecification.from_dict(spec)

    def to_unsharded(self) -> None:
        """Take the specification out of the info; nothing is written or moved."""
        self.info["sharding"] = None
