# SPDX-License-Identifier: BSD-3-Clause
"""The metadata of a folder of skeletons: its ``info`` read, derived from, changed and committed."""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import InfoValidationError, InvalidArgumentError
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.shard_params import compute_shard_params_for_hashed
from cloudvolume_fast.model.sharding import TYPE, ShardEncoding, ShardingSpecification
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["PrecomputedSkeletonMetadata"]

_IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


class PrecomputedSkeletonMetadata:
    """What the ``info`` of a folder of skeletons says.

    Parameters
    ----------
    meta : PrecomputedMetadata
        Of the layer.
    cache : object, optional
        Kept for callers; bytes are cached by the store.
    config : VolumeConfig, optional
    info : dict, optional
        Used instead of the stored one.
    readonly : bool

    Raises
    ------
    InfoValidationError
        The stored info is malformed.

    Notes
    -----
    Upstream behaviour ``PrecomputedSkeletonMetadata``: where there is no info, the defaults stand for it.
    """

    def __init__(
        self,
        meta: PrecomputedMetadata,
        cache: Any = None,  # Any: whatever the caller caches with
        config: VolumeConfig | None = None,
        info: Info | None = None,
        readonly: bool = False,
    ) -> None:
        self.meta = meta
        self.cache = cache
        self.config = VolumeConfig() if config is None else config
        self.readonly = readonly
        self.cv: Any = None  # Any: the volume, where there is one
        self.is_stored = False
        self.info: Info = self.fetch_info() if info is None else info

    # Paths.

    @property
    def store(self) -> ObjectStore:
        """The folder of the layer."""
        return self.meta.store

    @property
    def skeleton_path(self) -> str:
        """Folder of the skeletons, below the layer."""
        folder = self.meta.skeletons
        return (folder.strip("/") if isinstance(folder, str) else "") or "skeletons"

    @property
    def cloudpath(self) -> str:
        """``PROTOCOL://.../LAYER``."""
        return self.meta.cloudpath

    @property
    def basepath(self) -> str:
        """Path of the dataset without the protocol."""
        return self.meta.basepath

    @property
    def layerpath(self) -> str:
        """Cloud path of the folder of the skeletons."""
        return self.join(self.meta.cloudpath, self.skeleton_path)

    @property
    def infopath(self) -> str:
        """Cloud path of the info, for messages."""
        return self.join(self.layerpath, "info")

    def join(self, *paths: str) -> str:
        """Join parts of a cloud path."""
        return posixpath.join(*paths)

    def key(self, name: object) -> str:
        """Return the key of a file in the folder."""
        return f"{self.skeleton_path}/{name}"

    # The info.

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

    def fetch_info(self) -> Info:
        """Read and return the stored info, or the default where there is none.

        Raises
        ------
        InfoValidationError
            It is no JSON object.
        """
        content = self.store.get(self.key("info"))
        self.is_stored = content is not None
        if content is None:
            return self.default_info()
        try:
            info = json.loads(content)
        except ValueError as error:
            raise InfoValidationError(
                f"{self.infopath}: expected JSON: {error}", key=self.infopath, expected="JSON"
            ) from error
        if not isinstance(info, dict):
            raise InfoValidationError(
                f"{self.infopath}: expected an object, found {type(info).__name__}",
                key=self.infopath,
                expected="an object",
                found=type(info).__name__,
            )
        return info

    def refresh_info(self) -> Info:
        """Read the info again and return it."""
        self.info = self.fetch_info()
        return self.info

    def commit_info(self) -> None:
        """Write the info; members that stand for nothing are left out, since other readers refuse them.

        Raises
        ------
        ChunkWriteError
        """
        info = {
            name: value
            for name, value in self.info.items()
            if value is not None or name not in ("sharding", "spatial_index")
        }
        content = json.dumps(info, default=_plain).encode()
        self.store.put(self.key("info"), content)
        self.is_stored = True

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
        if "mip" in self.info:
            return int(self.info["mip"])
        found = re.search(r"skeletons_mip_(\d+)", self.skeleton_path)
        return int(found.group(1)) if found else None

    @property
    def spatial_index(self) -> dict[str, Any] | None:
        """The info's member."""
        return self.info.get("spatial_index")

    def is_sharded(self) -> bool:
        """Whether skeletons are stored in shards."""
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

    # Sharding.

    def compute_sharding_specification(
        self,
        num_labels: int,
        shard_index_bytes: int = 2**13,
        minishard_index_bytes: int = 2**15,
        min_shards: int = 1,
        minishard_index_encoding: ShardEncoding = "gzip",
        data_encoding: ShardEncoding = "gzip",
        max_labels_per_shard: int | None = None,
    ) -> ShardingSpecification:
        """Choose a specification for a number of skeletons; see `compute_shard_params_for_hashed`.

        Parameters
        ----------
        max_labels_per_shard : int, optional
            Take at least as many shards as that needs.

        Raises
        ------
        InvalidArgumentError
        """
        if max_labels_per_shard is not None:
            if max_labels_per_shard < 1:
                raise InvalidArgumentError(
                    f"max_labels_per_shard: expected at least 1, found {max_labels_per_shard}",
                    key="max_labels_per_shard",
                    expected=1,
                    found=max_labels_per_shard,
                )
            min_shards = max(-(-num_labels // max_labels_per_shard), min_shards)
        shard_bits, minishard_bits, preshift_bits = compute_shard_params_for_hashed(
            num_labels, shard_index_bytes, minishard_index_bytes, min_shards
        )
        return ShardingSpecification(
            TYPE,
            preshift_bits,
            "murmurhash3_x86_128",
            minishard_bits,
            shard_bits,
            minishard_index_encoding,
            data_encoding,
        )

    def to_sharded(
        self,
        num_labels: int,
        shard_index_bytes: int = 2**13,
        minishard_index_bytes: int = 2**15,
        min_shards: int = 1,
        minishard_index_encoding: ShardEncoding = "gzip",
        data_encoding: ShardEncoding = "gzip",
        max_labels_per_shard: int | None = None,
    ) -> None:
        """Put a specification into the info; nothing is written, and no skeleton moved."""
        spec = self.compute_sharding_specification(
            num_labels,
            shard_index_bytes,
            minishard_index_bytes,
            min_shards,
            minishard_index_encoding,
            data_encoding,
            max_labels_per_shard,
        )
        self.info["sharding"] = spec.to_dict()

    def to_unsharded(self) -> None:
        """Take the specification out of the info; nothing is written, and no skeleton moved."""
        self.info["sharding"] = None


def _plain(value: Any) -> Any:  # Any: a number or array of numpy
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"info: expected what JSON has, found {type(value).__name__}")
