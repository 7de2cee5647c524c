# SPDX-License-Identifier: BSD-3-Clause
"""From a scale of the info to the core's layout: the only place where the one becomes the other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Real
from typing import Any

from cloudvolume_fast import _runtime
from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.deliver.chunk_lru import ChunkLRU
from cloudvolume_fast.deliver.hooks import ChunkHooks
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import InvalidArgumentError, UnsupportedProtocolError
from cloudvolume_fast.fetch.content_encoding import level_of, suffix_of
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.model.info import Scale
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

_PNG_LEVEL = 9  # upstream's default
_CONTENT_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "jxl": "image/jxl"}


def open_scale(
    meta: PrecomputedMetadata,
    parsed: Scale,
    lru: ChunkLRU,
    shard_indexes: _runtime.ShardIndexCache,
    cdn_cache: bool | int | str = True,
    codec_threads: int = 1,
) -> ImageScale:
    """Describe a scale to the core.

    Parameters
    ----------
    meta : PrecomputedMetadata
    parsed : Scale
        One of `meta`'s.
    lru : ChunkLRU
        Where the core may hold chunks.
    shard_indexes : ShardIndexCache
        Where the core holds indexes of shards.
    cdn_cache : bool, int or str
        See `upload_headers`.
    codec_threads : int
        See `ChunkSpec.threads`.

    Raises
    ------
    UnsupportedEncodingError, EncodingError, SpecViolation, UnsupportedProtocolError, ImportError
    """
    folder = meta.join(meta.cloudpath, parsed.key)
    sharding = None
    if parsed.sharding is not None:
        # Most volumes are not sharded, and importing this takes its time.
        from cloudvolume_fast.model.sharding import ShardingSpecification

        sharding = ShardingSpecification.from_dict(parsed.sharding)
    dtype, channels = meta.dtype, int(meta.info["num_channels"])
    codec = registry.lookup(parsed.encoding, folder)
    codec.check(dtype, channels, folder)
    if not codec.is_native:
        codec.load()  # a package that is missing is told before any chunk is touched
    spec = ChunkSpec(dtype, channels, parsed.raw, codec_threads)
    level = png_level(parsed.raw)  # a wrong one is no reason not to read
    path = folder_path(meta, parsed.key)
    layout = _runtime.ImageLayout(
        b"" if path is None else os.fsencode(path),
        parsed.voxel_offset,
        parsed.size,
        parsed.chunk_size,
        parsed.encoding if codec.is_native else "external",
        dtype.itemsize,
        channels,
        parsed.block_size or (8, 8, 8),
        _PNG_LEVEL if level is None else level,
        ChunkHooks(codec.load, spec),
    )
    if path is None:
        _use_remote(layout, meta, parsed, cdn_cache)
    if sharding is not None:
        layout.use_shards(
            sharding.preshift_bits,
            sharding.minishard_bits,
            sharding.shard_bits,
            sharding.hash,
            sharding.minishard_index_encoding,
            sharding.data_encoding,
            shard_indexes,
        )
    disk = meta.disk_cache
    if disk is not None:
        # As chunks of their own are stored, also those out of shards.
        wanted = codec.default_compress if disk.compress is None else disk.compress
        suffix = suffix_of(wanted) if codec.is_compressible else ""
        layout.use_disk_cache(
            os.fsencode(disk.path(parsed.key)),
            suffix,
            level_of(suffix, None),
            disk.limit_bytes,
        )
    _attach_lru(lru, layout, meta, parsed, spec)
    (x, y, z), (sx, sy, sz) = parsed.voxel_offset, parsed.size
    return ImageScale(
        layout=layout,
        folder=folder,
        dtype=dtype,
        num_channels=channels,
        bounds=(x, y, z, x + sx, y + sy, z + sz),
        chunk_size=parsed.chunk_size,
        encoding=parsed.encoding,
        sharding=sharding,
    )


def _use_remote(
    layout: _runtime.ImageLayout,
    meta: PrecomputedMetadata,
    parsed: Scale,
    cdn_cache: bool | int | str,
) -> None:
    from cloudvolume_fast.fetch.remote.cloud_files_store import CloudFilesStore
    from cloudvolume_fast.fetch.remote.http_store import HttpStore

    store = meta.source_store
    headers = upload_headers(parsed.encoding, cdn_cache)
    if isinstance(store, HttpStore):
        layout.use_endpoint(store.endpoint, parsed.key, headers, store.about)
    elif isinstance(store, CloudFilesStore):
        named = dict(headers)
        layout.use_store(
            store, meta.cloudpath, parsed.key, named["Content-Type"], named.get("Cache-Control")
        )
    else:
        raise UnsupportedProtocolError(
            f"{meta.cloudpath}: expected a store that images can be read from, found {type(store).__name__}",
            key=meta.cloudpath,
            found=type(store).__name__,
        )


def folder_path(meta: PrecomputedMetadata, key: str) -> str | None:
    """Return the absolute path of a scale's folder, None where it is not on this machine."""
    store = meta.source_store
    return store.path(key) if isinstance(store, FileStore) else None


def upload_headers(codec_name: str, cdn_cache: bool | int | str) -> list[tuple[str, str]]:
    """Return the headers that chunks are uploaded with.

    Parameters
    ----------
    codec_name : str
        Encoding of the chunks.
    cdn_cache : bool, int or str
        What caches on the way may do: as they like, nothing, keep for so many seconds, or a Cache-Control of its own.
    """
    headers = [("Content-Type", _CONTENT_TYPES.get(codec_name, "application/octet-stream"))]
    control = cache_control(cdn_cache)
    if control is not None:
        headers.append(("Cache-Control", control))
    return headers


def cache_control(cdn_cache: bool | int | str) -> str | None:
    """Return the Cache-Control header that ``cdn_cache`` asks for, None for none."""
    if cdn_cache is True:
        return "public, max-age=3600, s-max-age=3600"
    if cdn_cache is False:
        return "no-cache"
    if isinstance(cdn_cache, int):
        return f"public, max-age={cdn_cache}, s-max-age={cdn_cache}"
    return cdn_cache


def png_level(scale: Mapping[str, Any]) -> int | None:
    """Return the level that a scale asks for, 9 where it asks for none, None where there is no such level."""
    value = scale.get("png_level")
    if value is None:
        return _PNG_LEVEL
    if isinstance(value, bool) or not isinstance(value, Real) or value not in range(10):
        return None
    return int(float(value))


# What the cache in memory holds.


def check_lru_encoding(meta: PrecomputedMetadata, encoding: str) -> None:
    """Raise unless chunks of a layer can be held in an encoding.

    Raises
    ------
    UnsupportedEncodingError, EncodingError, InvalidArgumentError
        It is unknown, cannot hold the layer's type, or loses information.
    """
    _lru_codec(meta, encoding)


def _lru_codec(meta: PrecomputedMetadata, encoding: str) -> registry.Codec | None:
    """Return the codec of entries that are encoded otherwise than the chunks; None where they are as stored."""
    if encoding in ("same", "raw") or all(
        scale.get("encoding") == encoding for scale in meta.scales
    ):
        return registry.lookup("raw", meta.cloudpath) if encoding == "raw" else None
    where = f"{meta.cloudpath}: lru_encoding"
    codec = registry.lookup(encoding, where)
    codec.check(meta.dtype, meta.num_channels, where)
    if not codec.is_lossless:
        raise InvalidArgumentError(
            f"{where}: expected an encoding without loss, so that reads do not depend on what is held in memory, "
            f"found {encoding}",
            key="lru_encoding",
            found=encoding,
        )
    return codec


def _attach_lru(
    lru: ChunkLRU,
    layout: _runtime.ImageLayout,
    meta: PrecomputedMetadata,
    parsed: Scale,
    spec: ChunkSpec,
) -> None:
    codec = None
    if lru.encoding not in ("same", parsed.encoding):
        codec = _lru_codec(meta, lru.encoding)
    is_external = codec is not None and not codec.is_native
    needs_package = codec is not None and codec.implementation is not None
    # Without the scale's members, such as a precision that loses bits of what is to be held.
    entry_spec = ChunkSpec(spec.dtype, spec.num_channels, {}, spec.threads)
    lru.attach(
        layout,
        key=parsed.key,
        encoding=parsed.encoding,
        entry_codec="external" if is_external else codec.name if codec is not None else "raw",
        hooks=ChunkHooks(codec.load, entry_spec) if codec is not None and needs_package else None,
        dtype=spec.dtype,
        num_channels=spec.num_channels,
    )
