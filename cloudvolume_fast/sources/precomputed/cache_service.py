# SPDX-License-Identifier: BSD-3-Clause
"""``vol.cache``: what the disk cache of a layer holds, looked at, filled and flushed under upstream's names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import (
    ChunkWriteError,
    InvalidArgumentError,
)
from cloudvolume_fast.fetch.content_encoding import SUFFIXES
from cloudvolume_fast.fetch.disk_cache import DiskCache, limit_from_environment
from cloudvolume_fast.fetch.store import KeyRange
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

_CHUNK_NAME = re.compile(r"-?\d+--?\d+_-?\d+--?\d+_-?\d+--?\d+")

_BATCH_OBJECTS = 512  # of which a bar knows only whether all are done
_Paths = str | Iterable[str]
_Value = TypeVar("_Value")


class CacheService:
    """The disk cache of an open layer.

    Parameters
    ----------
    cloudpath : str
        Of the layer.
    enabled : bool or str
        Whether the cache is used, or the folder below which it lies.
    config : VolumeConfig
        For the current mip.
    meta : PrecomputedMetadata, optional
        Of the layer, whose own cache this is; by default it is opened, for which its info is read.
    compress : str or bool, optional
        Second-stage compression of what is kept, where no `meta` is given.

    Raises
    ------
    InfoUnavailableError, ChunkWriteError

    Notes
    -----
    Names and results are upstream's.  Paths are those of objects below the layer, without suffixes, unless stated
    otherwise.
    """

    def __init__(
        self,
        cloudpath: str,
        enabled: bool | str,
        config: VolumeConfig,
        meta: PrecomputedMetadata | None = None,
        compress: str | bool | None = None,
    ) -> None:
        if meta is None:
            meta = PrecomputedMetadata(cloudpath, cache=enabled, compress_cache=compress)
        elif meta.cache_base != enabled:
            meta.cache_base = enabled
        self.meta = meta
        self.config = config

    @classmethod
    def of(cls, meta: PrecomputedMetadata, config: VolumeConfig) -> CacheService:
        """Return the cache of an open layer as it is."""
        return cls(meta.cloudpath, meta.cache_base, config, meta)

    @property
    def enabled(self) -> bool | str:
        """Whether the cache is used, or the folder below which it lies; may be set."""
        return self.meta.cache_base

    @enabled.setter
    def enabled(self, value: bool | str) -> None:
        self.meta.cache_base = value

    @property
    def path(self) -> str:
        """Folder of the layer's entries."""
        return self.meta.cache_path

    @property
    def limit_bytes(self) -> int | None:
        """What entries may take together, ``CVFAST_CACHE_BYTES`` by default, None for any number; may be set."""
        return self._cache.limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, value: int | None) -> None:
        if value is not None and value < 0:
            raise InvalidArgumentError(
                f"limit_bytes: expected 0 or more, or None, found {value}",
                key="limit_bytes",
                found=value,
            )
        self._cache.limit_bytes = value
        self._cache.evict()

    @property
    def _cache(self) -> DiskCache:
        """Entries that are there may be looked at and removed while the cache is not used."""
        used = self.meta.disk_cache
        return DiskCache(self.path, limit_bytes=limit_from_environment()) if used is None else used

    def initialize(self) -> None:
        """Make the folder.

        Raises
        ------
        ChunkWriteError
            It cannot be made or used (an OSError).
        """
        self._cache.check()

    # What is there.

    def has(self, filename: str) -> bool:
        """Whether an object is kept."""
        return self._cache.has(filename)

    def list_meshes(self) -> list[str]:
        """Return the names of the meshes' files, suffixes included."""
        return self._cache.names(self.meta.mesh) if self.meta.mesh else []

    def list_skeletons(self) -> list[str]:
        """Return the names of the skeletons' files, suffixes included."""
        return self._cache.names(self.meta.skeletons) if self.meta.skeletons else []

    def num_files(self, all_mips: bool = False) -> int | list[int]:
        """Return how many files the current scale has here, or each of the scales."""
        if all_mips:
            return [len(self.list(mip)) for mip in self.meta.available_mips]
        return len(self.list())

    def num_bytes(self, all_mips: bool = False) -> int | list[int]:
        """Return how many bytes the files of the current scale have here, or those of each scale."""
        if all_mips:
            return [self._cache.num_bytes(key) for key in self.meta.keys]
        return self._cache.num_bytes(self.meta.key(self.config.mip))

    def compute_data_locations(self, cloudpaths: Iterable[str]) -> dict[str, list[str]]:
        """Sort paths into those that are kept (``local``) and others (``remote``)."""
        cache = self._cache
        out: dict[str, list[str]] = {"local": [], "remote": []}
        for path in cloudpaths:
            out["local" if cache.has(path) else "remote"].append(path)
        return out

    def get(self, cloudpaths: _Paths, progress: bool | None = None) -> dict[str, bytes | None]:
        """Return what is kept of some objects, None for what is not; `progress` as for `download`."""
        cache = self._cache
        wanted = _several(cloudpaths)
        return {path: cache.get(path) for path in self._bar(wanted, progress, "Cache reads")}

    def get_single(self, cloudpath: str, progress: bool | None = None) -> bytes | None:
        """Return an object that is kept, None if it is not; see `get`."""
        return self.get(cloudpath, progress)[cloudpath]

    def get_json(self, filename: str) -> Any:  # Any: a JSON value
        """Return an object that is kept, parsed; None if it is not, or is no JSON."""
        content = self._cache.get(filename)
        try:
            return None if content is None else json.loads(content)
        except ValueError:
            return None

    # What is put there.

    def put(
        self,
        files: Iterable[tuple[str, bytes]],
        progress: bool | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
    ) -> None:
        """Keep objects, without writing them to the layer; `progress` as for `download`.

        Raises
        ------
        ChunkWriteError, CompressionError, UnsupportedCompressionType
        """
        cache = self._cache
        for path, content in self._bar(files, progress, "Cache writes"):
            cache.put(path, content, compress=compress, compress_level=compress_level)

    def put_single(self, path: str, content: bytes, *args: Any, **kwargs: Any) -> None:
        """Keep one object; see `put`."""
        self.put([(path, content)], *args, **kwargs)

    def put_json(self, path: str, content: object, *args: Any, **kwargs: Any) -> None:
        """Keep a value as JSON; see `put`."""
        self.put_single(path, json.dumps(content).encode(), *args, **kwargs)

    def maybe_cache_info(self) -> None:
        """Keep the info if the cache is used."""
        if self.enabled:
            self._cache.put("info", json.dumps(self.meta.info).encode())

    def maybe_cache_provenance(self) -> None:
        """Keep the provenance if the cache is used."""
        if self.enabled:
            self._cache.put("provenance", self.meta.provenance.serialize().encode())

    def upload(
        self,
        files: Sequence[tuple[str, bytes]],
        compress: str | bool | None,
        cache_control: str | None,
        compress_level: int | None = None,
        content_type: str | None = None,
        progress: bool | None = None,
    ) -> None:
        """Write objects to the layer, and keep them if the cache is used; raises as the store does.

        `progress` as for `download`.
        """
        for part in self._batches(files, progress, "Uploading"):
            self.meta.store.put_many(
                part,
                compress=compress,
                compress_level=compress_level,
                cache_control=cache_control,
                content_type=content_type or "application/octet-stream",
            )

    def upload_single(self, filename: str, content: bytes, *args: Any, **kwargs: Any) -> None:
        """Write one object; see `upload`."""
        self.upload([(filename, content)], *args, **kwargs)

    def download(
        self, paths: _Paths, compress: str | bool | None = None, progress: bool | None = None
    ) -> dict[str, bytes | None]:
        """Return objects of the layer, and keep those that were not kept if the cache is used.

        Parameters
        ----------
        paths : str or iterable of str
        compress : str or bool, optional
            Second-stage compression of what is kept now.
        progress : bool, optional
            Whether a bar is shown; default what the volume's setting says.
        """
        wanted = _several(paths)
        cache = self._cache if self.enabled else None
        out = dict.fromkeys(wanted) if cache is None else self.get(wanted, False)
        absent = [path for path, content in out.items() if content is None]
        for part in self._batches(absent, progress, "Downloading"):
            for path, content in zip(part, self.meta.source_store.get_many(part), strict=True):
                out[path] = content
                if content and cache is not None:
                    cache.put(path, content, compress=compress)
        return out

    def _is_shown(self, progress: bool | None) -> bool:
        return bool(self.config.progress if progress is None else progress)

    def _bar(self, values: Iterable[_Value], progress: bool | None, title: str) -> Iterable[_Value]:
        """Return values that show a bar while they are taken, if one is to be shown."""
        if not self._is_shown(progress):
            return values
        from tqdm import tqdm

        shown: Iterable[_Value] = tqdm(values, desc=title)
        return shown

    def _batches(
        self, values: Sequence[_Value], progress: bool | None, title: str
    ) -> Iterator[Sequence[_Value]]:
        """Yield parts of values, all of them at once where no bar is shown."""
        if not self._is_shown(progress):
            if values:
                yield values
            return
        from tqdm import tqdm

        with tqdm(total=len(values), desc=title) as bar:
            for start in range(0, len(values), _BATCH_OBJECTS):
                part = values[start : start + _BATCH_OBJECTS]
                yield part
                bar.update(len(part))

    def download_single(self, path: str, compress: str | bool | None = None) -> bytes | None:
        """Return an object of the layer; see `download`."""
        return self.download([path], compress)[path]

    def download_json(self, path: str, compress: str | bool | None = None) -> Any:
        """Return an object of the layer, parsed, None if it is absent; see `download`."""
        content = self.download_single(path, compress)
        return None if content is None else json.loads(content)

    def download_as(
        self,
        requests: Iterable[dict[str, Any]],
        compress: str | bool | None = None,
        progress: bool | None = None,
    ) -> dict[tuple[str, int | None, int | None], bytes | None]:
        """Return parts of objects, kept under names of their own.

        Parameters
        ----------
        requests : iterable of dict
            ``path``, ``local_alias``, ``start``, ``end``: half-open, in bytes; None for both means the whole object.
        compress, progress
            As for `download`.

        Returns
        -------
        dict
            By (path, start, end).
        """
        out: dict[tuple[str, int | None, int | None], bytes | None] = {}
        cache = self._cache if self.enabled else None
        store = self.meta.source_store
        for one in self._bar(requests, progress, "Downloading"):
            path, alias = one["path"], one["local_alias"]
            start, end = one.get("start"), one.get("end")
            content = None if cache is None else cache.get(alias)
            if content is None:
                if start is None or end is None:
                    content = store.get(path)
                else:
                    content = store.get_ranges([KeyRange(path, start, end - start)])[0]
                if cache is not None and content:
                    cache.put(alias, content, compress=compress)
            out[(path, start, end)] = content
        return out

    def download_single_as(
        self,
        path: str,
        local_alias: str,
        compress: str | bool | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> bytes | None:
        """Return part of an object; see `download_as`."""
        request = {"path": path, "local_alias": local_alias, "start": start, "end": end}
        return self.download_as([request], compress)[(path, start, end)]

    def cloudfiles(self) -> Any:  # Any: cloud-files has no types
        """Return cloud-files' view of the folder."""
        from cloudfiles import CloudFiles

        return CloudFiles(f"file://{self.path}", progress=False)

    # What is removed.

    def delete(self, filenames: _Paths) -> None:
        """Remove entries; the layer's objects stay.

        Raises
        ------
        ChunkWriteError
        """
        self._cache.remove(_several(filenames))

    def flush_info(self) -> None:
        """Remove the info that is kept."""
        self.delete(["info"])

    def flush_provenance(self) -> None:
        """Remove the provenance that is kept."""
        self.delete(["provenance"])

    def flush(self, preserve: Any = None) -> None:  # Any: what Bbox.create takes
        """Remove everything, or all chunks of all scales but those that touch a box.

        Parameters
        ----------
        preserve : Bbox or slices, optional
            Voxels of mip 0.

        Raises
        ------
        ChunkWriteError
        """
        if preserve is None:
            self._cache.clear()
            return
        for mip in self.meta.available_mips:
            self._remove_chunks(mip, preserve, is_kept=True)

    def flush_region(self, region: Any, mips: int | Iterable[int] | None = None) -> None:
        """Remove the chunks that touch a box.

        Parameters
        ----------
        region : Bbox or slices
            Voxels of mip 0.
        mips : int or iterable of int, optional
            Scales; by default all.

        Raises
        ------
        ChunkWriteError, ScaleUnavailableError
        """
        if mips is None:
            mips = self.meta.available_mips
        elif isinstance(mips, (int, np.integer)):
            mips = [int(mips)]
        for mip in mips:
            self._remove_chunks(self.meta.to_mip(mip), region, is_kept=False)

    def _remove_chunks(self, mip: int, region: Any, *, is_kept: bool) -> None:
        """Remove the files of the chunks that touch a box of mip 0, or with `is_kept` of all others."""
        box = self.meta.bbox_to_mip(region, 0, mip)
        cache, key = self._cache, self.meta.key(mip)
        names = cache.names(key)
        for name, chunk in zip(names, self._chunks_of(names, mip), strict=True):
            if chunk is not None and Bbox.intersects(box, chunk) != is_kept:
                path = os.path.join(cache.path(key), name)
                try:
                    os.unlink(path)
                except FileNotFoundError:
                    continue  # another process did it
                except OSError as error:
                    raise ChunkWriteError(
                        f"{path}: cannot be removed: {error.strerror}", key=path, errno=error.errno
                    ) from error

    def _chunks_of(self, names: Sequence[str], mip: int) -> list[Bbox | None]:
        """Return the box of each file's chunk: they are named by box, those out of shards by number."""
        scale = self.meta.parsed_scale(mip)
        stems = [_stem(name) for name in names]
        boxes: list[Bbox | None] = [
            Bbox.from_filename(stem) if _CHUNK_NAME.fullmatch(stem) else None for stem in stems
        ]
        numbered = [i for i, stem in enumerate(stems) if stem.isdigit()]
        if numbered and scale.is_sharded:
            from cloudvolume_fast._core import morton

            size, chunk = np.array(scale.size), np.array(scale.chunk_size)
            grid = [int(extent) for extent in -(-size // chunk)]
            codes = np.array([int(stems[i]) for i in numbered], np.uint64)
            for i, point in zip(numbered, morton.decode(codes, grid), strict=True):
                low = np.array(scale.voxel_offset) + point * chunk
                boxes[i] = Bbox(low.tolist(), (low + chunk).tolist())
        return boxes

    # Whether it is that of the layer.

    def check_info_validity(self) -> None:
        """Compare the info that is kept with the layer's.

        Raises
        ------
        InfoUnavailableError
            The layer has none.
        InfoValidationError
            They differ in more than sizes (a ValueError); in sizes: a warning.
        """
        self.meta.fetch_info()

    def check_provenance_validity(self) -> None:
        """Warn where the provenance that is kept is not the layer's."""
        self.meta.check_cached_provenance(self.meta.source_store.get("provenance"))

    def _mip(self, mip: int | None) -> int:
        return self.config.mip if mip is None else self.meta.to_mip(mip)

    # Last, as it hides the type of this name.

    def list(self, mip: int | None = None) -> list[str]:
        """Return the names of a scale's files, suffixes included; the current mip's by default."""
        return self._cache.names(self.meta.key(self._mip(mip)))


def _several(paths: _Paths) -> list[str]:
    return [paths] if isinstance(paths, str) else [*paths]


def _stem(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem if extension in SUFFIXES[1:] else name
