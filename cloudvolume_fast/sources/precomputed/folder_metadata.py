# SPDX-License-Identifier: BSD-3-Clause
"""The ``info`` of a folder below a layer, of meshes or skeletons: read, changed and committed."""

from __future__ import annotations

import json
import posixpath
import re
import weakref
from typing import Any

import numpy as np

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import (
    InfoValidationError,
    InvalidArgumentError,
    ReadOnlyException,
)
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.layer_path import parse_layer_path
from cloudvolume_fast.model.shard_params import compute_shard_params_for_hashed
from cloudvolume_fast.model.sharding import ShardEncoding, ShardingSpecification
from cloudvolume_fast.sources.precomputed.given_cache import use_cache
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["FolderMetadata", "Shardable", "layer_at", "plain"]


class Shardable:
    """What is switched between shards and single objects: the metadata of a folder, and sources over it."""

    def _folder(self) -> FolderMetadata:
        raise NotImplementedError

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
        """Put a sharding specification into the info, which the volume's source follows from then on.

        Nothing is written until the info is committed, and nothing stored is moved.  For parameters see
        `FolderMetadata.compute_sharding_specification`.

        Raises
        ------
        InvalidArgumentError
        """
        folder = self._folder()
        folder.info["sharding"] = folder.compute_sharding_specification(
            num_labels,
            shard_index_bytes,
            minishard_index_bytes,
            min_shards,
            minishard_index_encoding,
            data_encoding,
            max_labels_per_shard,
        ).to_dict()

    def to_unsharded(self) -> None:
        """Take the sharding specification out of the info; nothing is written or moved."""
        self._folder().info.pop("sharding", None)


class FolderMetadata(Shardable):
    """What the ``info`` of a folder below a layer says.

    Parameters
    ----------
    meta : PrecomputedMetadata
        Of the layer.
    cache : CacheService, bool or str, optional
        What reads go through; see `use_cache`.
    config : VolumeConfig, optional
        Of the volume.
    info : dict, optional
        Used instead of the stored info; nothing is written until `commit_info`.
    readonly : bool
        Whether writes raise.

    Attributes
    ----------
    is_stored : bool
        Whether there is an info in the folder.

    Raises
    ------
    InfoValidationError
        The info is not what the format allows.

    Notes
    -----
    The info object is live: callers change it in place.
    """

    def __init__(
        self,
        meta: PrecomputedMetadata,
        cache: Any = None,  # Any: see `use_cache`
        config: VolumeConfig | None = None,
        info: Info | None = None,
        readonly: bool = False,
    ) -> None:
        use_cache(meta, cache)
        self.meta = meta
        self.cache = cache
        self.config = VolumeConfig() if config is None else config
        self.readonly = bool(readonly)
        self.is_stored = False
        self._cv: weakref.ReferenceType[Any] | None = None
        self.info: Info = self.fetch_info() if info is None else self.checked(info)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: all but the volume, which refers to this."""
        return {**self.__dict__, "_cv": None}

    # The volume.

    @property
    def cv(self) -> weakref.ReferenceType[Any] | None:
        """A weak reference to the volume, to be called; None where there is none."""
        return self._cv

    @cv.setter
    def cv(self, volume: Any) -> None:  # Any: a volume, which lies above
        self._cv = None if volume is None else weakref.ref(volume)

    # Paths.

    @property
    def folder(self) -> str:
        """Folder below the layer."""
        raise NotImplementedError

    @property
    def store(self) -> ObjectStore:
        """The folder of the layer."""
        return self.meta.store

    @property
    def basepath(self) -> str:
        """Path of the dataset without the protocol."""
        return self.meta.basepath

    @property
    def cloudpath(self) -> str:
        """``PROTOCOL://.../LAYER``."""
        return self.meta.cloudpath

    @property
    def layerpath(self) -> str:
        """Cloud path of the folder."""
        return self.join(self.meta.cloudpath, self.folder)

    @property
    def infopath(self) -> str:
        """Cloud path of the info, for messages."""
        return self.join(self.layerpath, "info")

    def join(self, *paths: str) -> str:
        """Join parts of a cloud path."""
        return posixpath.join(*paths)

    def key(self, name: object) -> str:
        """Return the key of an object of the folder."""
        return posixpath.join(self.folder, str(name))

    # The info.

    def default_info(self) -> Info:
        """Return what holds where there is no info."""
        raise NotImplementedError

    def checked(self, info: Any) -> Info:  # Any: what JSON has
        """Return an info that is what the format allows.

        Raises
        ------
        InfoValidationError
        """
        if not isinstance(info, dict):
            raise InfoValidationError(
                f"{self.infopath}: expected a JSON object, found {type(info).__name__}",
                key=self.infopath,
                expected="a JSON object",
                found=type(info).__name__,
            )
        return info

    def committed(self, info: Info) -> Info:
        """Return what of an info is written."""
        return self.checked(info)

    def fetch_info(self) -> Info:
        """Read and return the stored info, or `default_info`, without keeping it.

        Raises
        ------
        InfoValidationError
        """
        content = self.store.get(self.key("info"))
        self.is_stored = content is not None
        if content is None:
            return self.default_info()
        try:
            info = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InfoValidationError(
                f"{self.infopath}: expected JSON: {error}", key=self.infopath, expected="JSON"
            ) from error
        return self.checked(info)

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
        content = json.dumps(self.committed(self.info), separators=(",", ":"), default=plain)
        self.store.put_many(
            [(self.key("info"), content.encode("utf-8"))],
            content_type="application/json",
            cache_control="no-cache",
        )
        self.is_stored = True

    def require_writable(self, readonly: bool = False) -> None:
        """Raise unless the folder may be written; `readonly` is what else forbids it.

        Raises
        ------
        ReadOnlyException
        """
        redirected = self.meta.redirected_from
        if self.readonly or readonly or redirected:
            reason = f"reached by redirect from {redirected[0]}" if redirected else "opened so"
            raise ReadOnlyException(
                f"{self.layerpath}: expected a folder to write to, found a read-only one ({reason})",
                key=self.layerpath,
            )

    # Values.

    def _mip_of(self, prefix: str) -> int | None:
        """Return the scale that the info names, or the name of the folder behind a prefix."""
        mip = self.info.get("mip")
        if mip is not None:
            return int(mip)
        found = re.search(rf"{prefix}(\d+)", self.folder)
        return None if found is None else int(found.group(1))

    @property
    def spatial_index(self) -> Info | None:
        """What the info says of the spatial index."""
        return self.info.get("spatial_index") or None

    def is_sharded(self) -> bool:
        """Whether objects are stored in shards."""
        return bool(self.info.get("sharding"))

    # Sharding.

    def _folder(self) -> FolderMetadata:
        return self

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
        """Choose how to shard a number of labels; see `compute_shard_params_for_hashed`.

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


def layer_at(
    cloudpath: str,
    cache: bool | str,
    secrets: Any,  # Any: credentials in upstream's forms
) -> PrecomputedMetadata:
    """Read the metadata of a layer whose meshes or skeletons are opened without a volume.

    Raises
    ------
    InfoUnavailableError, InfoValidationError, ChunkWriteError
    """
    return PrecomputedMetadata(parse_layer_path(cloudpath).cloudpath, secrets=secrets, cache=cache)


def plain(value: Any) -> Any:  # Any: a number or array of numpy, as what JSON has
    """Return a value of numpy as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"info: expected what JSON has, found {type(value).__name__}")
