# SPDX-License-Identifier: BSD-3-Clause
"""What a layer says of its meshes: the ``info`` in their folder."""

from __future__ import annotations

import json
import numbers
import posixpath
import re
from collections.abc import Sequence
from typing import Any

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import (
    InfoValidationError,
    InvalidArgumentError,
    ReadOnlyException,
    ScaleUnavailableError,
)
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.shard_params import compute_shard_params_for_hashed
from cloudvolume_fast.model.sharding import ShardingSpecification
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["PrecomputedMeshMetadata"]

LEGACY = "neuroglancer_legacy_mesh"
MULTILOD = "neuroglancer_multilod_draco"
_DEFAULT_FOLDER = "mesh"


class PrecomputedMeshMetadata:
    """What the ``info`` of a folder of meshes says.

    Parameters
    ----------
    meta : PrecomputedMetadata
        Of the layer.
    cache : None
        For upstream's callers; nothing is cached on disk.
    config : VolumeConfig, optional
        Of the volume.
    info : dict, optional
        Used instead of the stored info; nothing is written until `commit_info`.
    readonly : bool
        Whether writes raise.

    Attributes
    ----------
    has_scales : bool
        Whether `meta` is of a layer; a folder of meshes may lie alone.

    Raises
    ------
    InfoValidationError
        The stored info is not what the format allows.

    Notes
    -----
    The info object is live: callers change it in place, and the volume makes another source when its kind changes.
    Without an info the folder holds single-resolution meshes, as writers before there was one left it.
    """

    def __init__(
        self,
        meta: PrecomputedMetadata,
        cache: Any = None,  # Any: upstream's CacheService, of which nothing is used
        config: VolumeConfig | None = None,
        info: Info | None = None,
        readonly: bool = False,
    ) -> None:
        self.meta = meta
        self.cache = cache
        self.config = config or VolumeConfig()
        self.readonly = readonly or bool(meta.redirected_from)
        self.has_scales = True
        self.info: Info = self.fetch_info() if info is None else self._checked(info)

    # Paths.

    @property
    def mesh_path(self) -> str:
        """Folder of the meshes below the layer."""
        return (self.meta.mesh or _DEFAULT_FOLDER).strip("/")

    @property
    def basepath(self) -> str:
        """Path of the dataset without the protocol."""
        return self.meta.basepath

    @property
    def cloudpath(self) -> str:
        """Path of the layer."""
        return self.meta.cloudpath

    @property
    def layerpath(self) -> str:
        """Path of the folder of the meshes."""
        return self.join(self.meta.cloudpath, self.mesh_path)

    @property
    def infopath(self) -> str:
        """Path of the info file."""
        return self.join(self.layerpath, "info")

    def join(self, *paths: str) -> str:
        """Join parts of a path."""
        return posixpath.join(*paths)

    def key(self, name: str) -> str:
        """Return the key of an object of the folder."""
        return posixpath.join(self.mesh_path, name)

    # Files.

    def default_info(self) -> Info:
        """Return what holds where there is no info."""
        return {"@type": LEGACY, "spatial_index": None}

    def fetch_info(self) -> Info:
        """Read and return the stored info, or `default_info`, without keeping it.

        Raises
        ------
        InfoValidationError
        """
        if not self.meta.mesh:
            return self.default_info()
        content = self.meta.store.get(self.key("info"))
        if content is None:
            return self.default_info()
        try:
            info = json.loads(content)
        except ValueError as error:
            raise InfoValidationError(f"{self.infopath}: {error}", key=self.infopath) from error
        return self._checked(info)

    def refresh_info(self) -> Info:
        """Read the info again and return it."""
        self.info = self.fetch_info()
        return self.info

    def commit_info(self) -> None:
        """Write the info.

        Raises
        ------
        ReadOnlyException, InfoValidationError, ChunkWriteError
        """
        self.require_writable()
        self._checked(self.info)
        content = json.dumps(self.info, separators=(",", ":"), default=_plain).encode("utf-8")
        self.meta.store.put_many(
            [(self.key("info"), content)], content_type="application/json", cache_control="no-cache"
        )

    def require_writable(self) -> None:
        """Raise unless meshes may be written.

        Raises
        ------
        ReadOnlyException
        """
        if self.readonly:
            raise ReadOnlyException(
                f"{self.layerpath}: opened for reading only", key=self.layerpath
            )

    def _checked(self, info: Any) -> Info:
        if not isinstance(info, dict):
            raise InfoValidationError(
                f"{self.infopath}: expected a JSON object, found {type(info).__name__}",
                key=self.infopath,
                found=type(info).__name__,
            )
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
        return info

    # Kinds.

    def is_multires(self) -> bool:
        """Whether meshes have several levels of detail."""
        return bool(self.info.get("@type") == MULTILOD)

    def is_legacy(self) -> bool:
        """Whether meshes have one resolution."""
        return not self.is_multires()

    def is_sharded(self) -> bool:
        """Whether meshes are in shards."""
        return bool(self.info.get("sharding"))

    @property
    def kind(self) -> tuple[bool, str]:
        """What tells which source suits: another value, another source."""
        sharding = self.info.get("sharding") if self.is_multires() else None
        return self.is_multires(), json.dumps(
            sharding, sort_keys=True, default=_plain
        ) if sharding else ""

    # Values.

    @property
    def mip(self) -> int | None:
        """The mip that was meshed: as the info says, or the name of the folder (``mesh_mip_N``)."""
        mip = self.info.get("mip")
        if mip is not None:
            return int(mip)
        found = re.search(r"mesh_mip_(\d+)", self.mesh_path)
        return None if found is None else int(found.group(1))

    @mip.setter
    def mip(self, value: int) -> None:
        self.info["mip"] = value

    @property
    def chunk_size(self) -> list[int] | None:
        """Extents, in voxels of `mip`, of what was meshed at a time."""
        size = self.info.get("chunk_size")
        return None if size is None else [int(extent) for extent in size]

    @property
    def spatial_index(self) -> Info | None:
        """What the info says of the spatial index."""
        return self.info.get("spatial_index") or None

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

    def compute_sharding_specification(
        self,
        num_labels: int,
        shard_index_bytes: int = 2**13,
        minishard_index_bytes: int = 2**15,
        min_shards: int = 1,
        minishard_index_encoding: str = "gzip",
        data_encoding: str = "gzip",
        max_labels_per_shard: int | None = None,
    ) -> ShardingSpecification:
        """Choose how to shard a number of labels.

        Parameters
        ----------
        num_labels : int
        shard_index_bytes, minishard_index_bytes : int
            The most that an index should take.
        min_shards : int
            At least so many shards.
        minishard_index_encoding, data_encoding : {'raw', 'gzip'}
        max_labels_per_shard : int, optional
            As many shards as that takes.

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
            min_shards = max(-(-int(num_labels) // int(max_labels_per_shard)), min_shards)
        shard_bits, minishard_bits, preshift_bits = compute_shard_params_for_hashed(
            num_labels, shard_index_bytes, minishard_index_bytes, min_shards
        )
        return ShardingSpecification.from_dict(
            {
                "@type": "neuroglancer_uint64_sharded_v1",
                "preshift_bits": preshift_bits,
                "hash": "murmurhash3_x86_128",
                "minishard_bits": minishard_bits,
                "shard_bits": shard_bits,
                "minishard_index_encoding": minishard_index_encoding,
                "data_encoding": data_encoding,
            }
        )

    def to_sharded(
        self,
        num_labels: int,
        shard_index_bytes: int = 2**13,
        minishard_index_bytes: int = 2**15,
        min_shards: int = 1,
        minishard_index_encoding: str = "gzip",
        data_encoding: str = "gzip",
        max_labels_per_shard: int | None = None,
    ) -> None:
        """Make this a folder of shards; see `compute_sharding_specification`."""
        self.info["sharding"] = self.compute_sharding_specification(
            num_labels,
            shard_index_bytes,
            minishard_index_bytes,
            min_shards,
            minishard_index_encoding,
            data_encoding,
            max_labels_per_shard,
        ).to_dict()

    def to_unsharded(self) -> None:
        """Make this a folder without shards."""
        self.info.pop("sharding", None)


def _plain(value: Any) -> Any:  # Any: a number of numpy
    return value.item()
