# SPDX-License-Identifier: BSD-3-Clause
"""Metadata and image of a Precomputed layer with the constructors that upstream's have."""

from __future__ import annotations

import json
from typing import Any

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import ReadOnlyException
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.sources.precomputed import image as image_source
from cloudvolume_fast.sources.precomputed import metadata
from cloudvolume_fast.sources.precomputed.given_cache import use_cache
from cloudvolume_fast.sources.precomputed.voxels import bounds_of


class PrecomputedMetadata(metadata.PrecomputedMetadata):
    """What ``vol.meta`` is.

    Parameters
    ----------
    cloudpath : str
    config : VolumeConfig
        Of the volume.
    cache : CacheService, bool or str, optional
        Of the layer, or as for the constructor of volumes.
    info, provenance, max_redirects
        As for `sources.precomputed.metadata.PrecomputedMetadata`.
    use_https : bool
        Reads gs:// and s3:// by https.
    secrets : dict or str, optional
        Credentials; not pickled.
    compress_cache : str or bool, optional
        As for the constructor of volumes.
    """

    def __init__(
        self,
        cloudpath: str,
        config: VolumeConfig | None = None,
        cache: Any = None,  # a CacheService, or as for the constructor of volumes
        info: Info | None = None,
        provenance: Any = None,  # dict, JSON text or DataLayerProvenance
        max_redirects: int = 10,
        use_https: bool = False,
        *,
        secrets: Any = None,  # a mapping or JSON
        compress_cache: str | bool | None = None,
    ) -> None:
        self.config = config
        base = cache if isinstance(cache, (bool, str)) else getattr(cache, "enabled", False)
        super().__init__(
            cloudpath,
            info,
            provenance,
            max_redirects,
            secrets=secrets,
            use_https=use_https,
            cache=base,
            compress_cache=compress_cache,
        )

    @classmethod
    def adopt(cls, meta: metadata.PrecomputedMetadata) -> PrecomputedMetadata:
        """Return the same metadata as an object of this class; changes show in both."""
        if isinstance(meta, cls):
            return meta
        self = cls.__new__(cls)
        self.__dict__ = meta.__dict__
        self.__dict__.setdefault("config", None)
        return self

    def refresh_info(self, max_redirects: int = 10, force_fetch: bool = False) -> Info:
        """Read the info again and return it; with `force_fetch` that of the layer, whatever a disk cache has."""
        before = self._cache_base
        if not force_fetch or not before:
            return super().refresh_info(max_redirects)
        self._cache_base = False
        try:
            info = super().refresh_info(max_redirects)
        finally:
            self._cache_base = before
        cache = self.disk_cache
        if cache is not None:
            cache.put("info", json.dumps(info).encode())
        return info

    def bbox(self, mip: int) -> Bbox:
        """Return the box of all voxels; as `bounds`."""
        return self.bounds(mip)

    def sharding(self, mip: int) -> dict[str, Any] | None:
        """Return the sharding member of a scale, live, None where there is none."""
        found: dict[str, Any] | None = self.scale(mip).get("sharding")
        return found

    def compression_params(self, mip: int) -> dict[str, Any]:
        """Return the members of a scale that its encoder takes."""
        encoding = self.encoding(mip)
        scale = self.scale(mip)
        if encoding == "zfpc":
            return self.zfpc_encoding_params(mip)
        if encoding == "jxl":
            return self.jpegxl_encoding_params(mip)
        names = {"jpeg": "jpeg_quality", "png": "png_level", "fpzip": "fpzip_precision"}
        member = names.get(encoding)
        return {"level": scale[member]} if member in scale else {}

    def jpegxl_encoding_params(self, mip: int) -> dict[str, Any]:
        """Return level, effort and decodingspeed of a scale of jxl."""
        scale = self.scale(mip)
        members = {
            "level": scale.get("jxl_quality"),
            "effort": scale.get("jxl_effort"),
            "decodingspeed": scale.get("jxl_decodingspeed"),
        }
        return {name: value for name, value in members.items() if value is not None}

    def zfpc_encoding_params(self, mip: int) -> dict[str, Any]:
        """Return tolerance, rate, precision and correlated_dims of a scale of zfpc."""
        scale = self.scale(mip)
        names = ("tolerance", "rate", "precision", "correlated_dims")
        return {
            name: scale[f"zfpc_{name}"] for name in names if scale.get(f"zfpc_{name}") is not None
        }


class PrecomputedImageSource(image_source.PrecomputedImageSource):
    """What ``vol.image`` is.

    Parameters
    ----------
    config : VolumeConfig
    meta : PrecomputedMetadata
    cache : CacheService, optional
        What is read is kept where it keeps it; None leaves that to `meta`.
    autocrop, bounded, non_aligned_writes, overwrite_partial_chunks, fill_missing, delete_black_uploads
        Settings, put into `config`.
    background_color : number
        As well.
    readonly : bool
        Refuse to write.
    lru_bytes, lru_encoding
        As for `sources.precomputed.image.PrecomputedImageSource`.
    """

    def __init__(
        self,
        config: VolumeConfig,
        meta: metadata.PrecomputedMetadata,
        cache: Any = None,  # a CacheService
        autocrop: bool = False,
        bounded: bool = True,
        non_aligned_writes: bool = False,
        overwrite_partial_chunks: bool = False,
        fill_missing: bool = False,
        delete_black_uploads: bool = False,
        background_color: Any = 0,  # a number of the volume's type
        readonly: bool = False,
        lru_bytes: int = 0,
        lru_encoding: str = "same",
        volume_type: Any = None,  # as for the base
    ) -> None:
        config.autocrop = bool(autocrop)
        config.bounded = bool(bounded)
        config.non_aligned_writes = bool(non_aligned_writes)
        config.overwrite_partial_chunks = bool(overwrite_partial_chunks)
        config.fill_missing = bool(fill_missing)
        config.delete_black_uploads = bool(delete_black_uploads)
        config.background_color = background_color
        super().__init__(meta, config, lru_bytes, lru_encoding, volume_type)
        self.cache = cache
        use_cache(meta, cache)
        self.readonly = readonly

    @classmethod
    def over(
        cls,
        meta: metadata.PrecomputedMetadata,
        config: VolumeConfig,
        lru_bytes: int = 0,
        lru_encoding: str = "same",
        volume_type: Any = None,
    ) -> PrecomputedImageSource:
        """Return a source that takes its settings from `config` as they are."""
        return cls(
            config,
            meta,
            None,
            config.autocrop,
            config.bounded,
            config.non_aligned_writes,
            config.overwrite_partial_chunks,
            config.fill_missing,
            config.delete_black_uploads,
            config.background_color,
            False,
            lru_bytes,
            lru_encoding,
            volume_type,
        )

    def check_writable(self, mip: int) -> None:
        """Raise where the source is read only, or the scale is locked."""
        if self.readonly:
            raise ReadOnlyException(
                f"{self.meta.cloudpath}: expected a source that may be written, found readonly set",
                key=self.meta.cloudpath,
            )
        super().check_writable(mip)

    def delete(self, *args: Any, **kwargs: Any) -> None:
        """Remove the chunks of a box; see `image_chunks.delete`."""
        super().delete(*args, **kwargs)

    def upload(self, *args: Any, **kwargs: Any) -> None:
        """Write an image; see `sources.precomputed.image.PrecomputedImageSource.upload`."""
        super().upload(*args, **kwargs)

    def delete_all(self, mip: int) -> None:
        """Remove all chunks of a scale, and whatever else is in its folder.

        Raises
        ------
        ReadOnlyException, ChunkWriteError
        """
        index = self.to_mip(mip)
        self.check_writable(index)
        store = self.meta.store
        store.delete_many(list(store.list(self.meta.key(index) + "/")))
        self.lru.clear()

    def shard_reader(self, mip: int | None = None) -> Any:  # a compat.sharding.ShardReader
        """Return a reader of the shards of a scale.

        Raises
        ------
        SpecViolation, UnsupportedOptionError
            The scale is not sharded.
        """
        from cloudvolume_fast.compat.sharding import ShardReader

        index = self.to_mip(mip)
        reader = ShardReader.__new__(ShardReader)
        ShardReader.__init__(reader, self.meta.cloudpath, self, self.shard_spec(index))
        return reader

    def download_crackle(
        self,
        bbox: Any,  # what Bbox.create takes
        mip: int,
        parallel: int = 1,
        label: int | None = None,
        progress: bool | str | None = None,
    ) -> bytes:
        """Return a box as a crackle file.

        Parameters
        ----------
        bbox, mip, progress
            As for `download`.
        parallel : int
            Threads to use; 1 leaves it to the volume.
        label : int, optional
            Only this label stays, others become 0.
        """
        index = self.to_mip(mip)
        bounds = self.resolve_bounds(bounds_of(bbox, self.meta, index), self.image_scale(index))
        with self.config.override_progress(progress):
            found = self.read_crackle(
                bounds,
                index,
                segids=None if label is None else [label],
                threads=None if parallel == 1 else parallel,
            )
        return bytes(found.binary)

    def generate_shared_memory_location(self) -> str:
        """Return a name for a segment of shared memory that nobody has."""
        from cloudvolume_fast.deliver.shared_buffer import generate_location

        return generate_location()
