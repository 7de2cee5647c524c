# SPDX-License-Identifier: BSD-3-Clause
"""Objects of a layer kept on this machine, in upstream's folders.

Notes
-----
Entries get their names when they are complete, so that any number of processes may use one
folder at once without locks; one that cannot be decompressed, or is empty, counts as if it were not there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

from cloudvolume_fast.errors import (
    ChunkReadError,
    ChunkWriteError,
    DecompressionError,
)
from cloudvolume_fast.fetch.content_encoding import SUFFIXES, suffix_of
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.secrets import cloud_volume_dir
from cloudvolume_fast.fetch.store import KeyRange, ObjectStore
from cloudvolume_fast.model.layer_path import LayerPath

__all__ = ["CachedStore", "DiskCache", "cache_folder", "limit_from_environment"]

_logger = logging.getLogger(__name__)
_Wanted = TypeVar("_Wanted", str, KeyRange)

# How old the time of an entry's last use may be before it is written again.
_USE_SECONDS = 60.0
# What is evicted goes below the limit by this part of it, so that not every write looks at all entries.
_SLACK = 0.1
_METADATA = ("info", "provenance")
# What a folder with parts of an object is called after the object, and its files.
_PARTS = ".parts"
# Metadata and files of spatial indexes.
_JSON_KEY = re.compile(r"(?:.*/)?(?:info|provenance|[^/]*\.json|[^/]*\.spatial)")
_PART_NAME = re.compile(r"(\d+)-(\d+)(?:\.\w+)?$")


def cache_folder(path: LayerPath, base: str | os.PathLike[str] | None = None) -> str:
    """Return the folder in which a layer's objects are kept.

    Parameters
    ----------
    path : LayerPath
    base : str or path, optional
        By default ``CLOUD_VOLUME_CACHE_DIR``, else ``cache`` in ``CLOUD_VOLUME_DIR``.
    """
    if base is None:
        base = os.environ.get("CLOUD_VOLUME_CACHE_DIR") or os.path.join(cloud_volume_dir(), "cache")
    base = os.path.abspath(os.path.expanduser(os.fspath(base)))
    host = path.host.partition("://")[2] if path.host else ""
    return os.path.join(base, path.protocol, host, path.path.lstrip("/"))


def limit_from_environment() -> int | None:
    """Return ``CVFAST_CACHE_BYTES``, the bytes that a layer's folder may hold; None for any number."""
    text = os.environ.get("CVFAST_CACHE_BYTES", "")
    return int(text) if text.isdigit() else None


class DiskCache:
    """A folder of objects that are stored elsewhere.

    Parameters
    ----------
    folder : str
        Made when something is put into it.
    compress : str or bool, optional
        Of entries: a second-stage compression, False for none, None for gzip where it is of use.
    limit_bytes : int, optional
        What entries may take together; the least recently used leave first.  A read of an image keeps at most half
        of it, which the entries may be above it until the read has ended.
    """

    def __init__(
        self,
        folder: str,
        *,
        compress: str | bool | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        suffix_of(compress)
        self.folder = folder
        self.compress = compress
        self.limit_bytes = limit_bytes
        self._files = FileStore(folder)
        self._held_bytes: int | None = None  # as this process last saw it
        self._grown_bytes = 0  # by its own entries since
        self._has_warned = False
        self._passers: set[object] = set()  # changed in one step each, hence without a lock

    def path(self, key: str) -> str:
        """Return where an object is kept, without a compression's suffix."""
        return self._files.path(key)

    def check(self) -> None:
        """Raise unless entries can be made and read.

        Raises
        ------
        ChunkWriteError
            The folder cannot be made, or not be used (an OSError).
        """
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise ChunkWriteError(
                f"{self.folder}: cannot be made: {error.strerror}",
                key=self.folder,
                errno=error.errno,
            ) from error
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise ChunkWriteError(
                f"{self.folder}: expected a folder that may be read and written", key=self.folder
            )

    # Entries.

    def get(self, key: str) -> bytes | None:
        """Return an object, decompressed; None where it is not kept, or not in one piece."""
        if self._passers:
            return None
        try:
            data = self._files.get(key)
        except (ChunkReadError, DecompressionError, ImportError):
            return None
        if not data or not _is_sound(key, data):
            return None
        self._note_use(key)
        return data

    @contextlib.contextmanager
    def passed_by(self) -> Iterator[None]:
        """Return no entry meanwhile, so that all is asked for again and replaced: what is kept does not decode."""
        passer = object()
        self._passers.add(passer)
        try:
            yield
        finally:
            self._passers.discard(passer)

    @property
    def is_passed_by(self) -> bool:
        """Whether no entry is returned at present; see `passed_by`."""
        return bool(self._passers)

    def has(self, key: str) -> bool:
        """Whether an object is kept."""
        return self.find(key) is not None

    def find(self, key: str) -> str | None:
        """Return the path of an entry, with its suffix."""
        base = self.path(key)
        return next((base + suffix for suffix in SUFFIXES if os.path.isfile(base + suffix)), None)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        compress: str | bool | None = None,
        compress_level: int | None = None,
    ) -> None:
        """Keep an object.

        Raises
        ------
        ChunkWriteError, CompressionError
        """
        chosen = self.compress if compress is None else compress
        if key in _METADATA:
            chosen = False
        elif chosen is None:
            chosen = True
            if data.startswith(b"DRACO") and compress_level is None:
                compress_level = 1  # which makes it no smaller: what counts is the checksum
        self._files.put_many([(key, data)], compress=chosen, compress_level=compress_level)
        self.note_growth(len(data))

    def offer(self, key: str, data: bytes) -> None:
        """Keep an object if that can be done: what was asked for is there all the same."""
        try:
            self.put(key, data)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return  # another process has just flushed the folder
            if not self._has_warned:
                self._has_warned = True
                _logger.warning("%s: nothing is kept there: %s", self.folder, error)

    def remove(self, keys: Sequence[str]) -> None:
        """Forget objects and their parts.

        Raises
        ------
        ChunkWriteError
        """
        self._files.delete_many(keys)
        self.remove_parts(keys)

    def remove_parts(self, keys: Sequence[str]) -> None:
        """Forget parts of objects.

        Raises
        ------
        ChunkWriteError
        """
        for key in keys:
            folder = self.path(key) + _PARTS
            for _ in range(10):  # others may put something there meanwhile
                if not os.path.isdir(folder):
                    break
                shutil.rmtree(folder, ignore_errors=True)
            else:
                raise ChunkWriteError(f"{folder}: cannot be removed", key=folder)

    # Parts of objects, each in a file beside the object: KEY.parts/BEGIN-END.

    def get_parts(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        """Return ranges of objects that lie within a part that is kept, None for others."""
        kept = {key: self._parts(key) for key in {one.key for one in ranges}}
        read: dict[str, bytes | None] = {}
        out: list[bytes | None] = []
        for one in ranges:
            end = one.offset + one.size
            inside = [p for p in kept[one.key] if p[0] <= one.offset and end <= p[1]]
            data = None
            if inside and one.size > 0:
                begin, stop = min(inside, key=lambda part: part[1] - part[0])
                name = f"{one.key}{_PARTS}/{begin}-{stop}"
                if name not in read:
                    read[name] = self.get(name)
                data = read[name]
                # One that was cut short is none.
                whole = data is not None and len(data) == stop - begin
                data = (
                    data[one.offset - begin : end - begin] if data is not None and whole else None
                )
            out.append(data)
        return out

    def offer_part(self, part: KeyRange, data: bytes) -> None:
        """Keep a range of an object, if it is whole and can be kept."""
        if data and len(data) == part.size:
            self.offer(f"{part.key}{_PARTS}/{part.offset}-{part.offset + part.size}", data)

    def _parts(self, key: str) -> list[tuple[int, int]]:
        out = []
        for name in self.names(key + _PARTS):
            found = _PART_NAME.match(name)
            if found is not None:
                out.append((int(found[1]), int(found[2])))
        return out

    def clear(self) -> None:
        """Forget all.

        Raises
        ------
        ChunkWriteError
            Something cannot be removed.
        """
        for _ in range(10):  # others may put something there meanwhile
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.lexists(self.folder):
                break
        else:
            raise ChunkWriteError(f"{self.folder}: cannot be removed", key=self.folder)
        self._held_bytes, self._grown_bytes = 0, 0

    def names(self, below: str = "") -> list[str]:
        """Return the names of the files in a folder, suffixes included, those of writes under way not."""
        folder = self.path(below) if below else self.folder
        try:
            with os.scandir(folder) as entries:
                return [e.name for e in entries if e.is_file() and not _is_temporary(e.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    # The limit.

    def num_bytes(self, below: str = "") -> int:
        """Return the bytes of the files in a folder."""
        total = 0
        folder = self.path(below) if below else self.folder
        for name in self.names(below):
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(folder, name)).st_size
        return total

    def evict(self) -> int:
        """Remove the least recently used entries as far as the limit asks; return the bytes that are left.

        Notes
        -----
        Metadata stays: it is what all else is read by.
        """
        found = sorted(self._entries())
        held = sum(size for _, size, _ in found)
        if self.limit_bytes is not None and held > self.limit_bytes:
            goal = self.limit_bytes * (1 - _SLACK)
            for _, size, path in found:
                if held <= goal:
                    break
                if os.path.relpath(path, self.folder) in _METADATA:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                held -= size
        self._held_bytes, self._grown_bytes = held, 0
        return held

    def note_growth(self, num_bytes: int) -> None:
        """Count bytes that were added, and evict where that is due.

        Notes
        -----
        All entries are looked at for every twentieth of the limit that is added, not at each call.
        """
        if self.limit_bytes is None or num_bytes == 0:
            return
        self._grown_bytes += num_bytes
        step = self.limit_bytes * _SLACK / 2
        # Others grow it as well: an estimate that is old, or near the limit, is made anew.
        if (
            self._held_bytes is None
            or self._grown_bytes > step
            or self._held_bytes + self._grown_bytes > self.limit_bytes - step
        ):
            self.evict()

    def _entries(self) -> Iterator[tuple[int, int, str]]:
        """Yield last use, size and path of all files."""
        for parent, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(parent, name)
                with contextlib.suppress(OSError):
                    status = os.stat(path)
                    if _is_temporary(name):
                        # What a process left behind when it was killed.
                        if time.time() - status.st_mtime > 3600:
                            os.unlink(path)
                        continue
                    yield (max(status.st_atime_ns, status.st_mtime_ns), status.st_size, path)

    def _note_use(self, key: str) -> None:
        if self.limit_bytes is None:
            return
        path = self.find(key)
        if path is None:
            return
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if time.time() - max(status.st_atime, status.st_mtime) > _USE_SECONDS:
                # File systems are seldom mounted so that they do it themselves.
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))


class CachedStore:
    """A store whose objects are kept on this machine once they have been read; an `ObjectStore`.

    Parameters
    ----------
    source : ObjectStore
    cache : DiskCache

    Attributes
    ----------
    cloudpath : str

    Notes
    -----
    Objects and ranges are kept; listings and what exists are asked of the source, and absence is not kept.  What is
    written or removed is so in both.  Attributes of the source that are none here (of `HttpStore`, say) are passed on.
    """

    def __init__(self, source: ObjectStore, cache: DiskCache) -> None:
        self.source = source
        self.cache = cache
        self.cloudpath = source.cloudpath

    def __getattr__(self, name: str) -> Any:  # Any: as the source's
        if name.startswith("__") or "source" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.source, name)

    def get(self, key: str) -> bytes | None:
        """Return an object, decompressed, or None where it is absent; see `get_many`."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return objects, decompressed, in the order given; raises as the source does."""
        kept = [self.cache.get(key) for key in keys]
        return _complete(keys, kept, self.source.get_many, self.cache.offer)

    def get_batches(self, keys: Sequence[str]) -> Generator[list[bytes | None], None, None]:
        """Yield what `get_many` returns, as a single part."""
        yield self.get_many(keys)

    def get_range(self, key: str, offset: int, size: int) -> bytes | None:
        """Return a range of an object; see the source."""
        return self.get_ranges([KeyRange(key, offset, size)])[0]

    def get_ranges(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        """Return ranges of objects; see the source."""
        kept = self.cache.get_parts(ranges)
        return _complete(ranges, kept, self.source.get_ranges, self.cache.offer_part)

    def put(self, key: str, data: bytes, *, sync: bool = False) -> None:
        """Replace an object; see the source."""
        self.cache.remove([key])  # so that nobody reads the old one should this be interrupted
        self.source.put(key, data, sync=sync)
        self.cache.remove_parts([key])  # of the old one, that were read meanwhile
        self.cache.offer(key, data)

    def put_many(
        self,
        objects: Sequence[tuple[str, bytes]],
        *,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        """Replace objects; see the source."""
        self.cache.remove([key for key, _ in objects])
        self.source.put_many(
            objects,
            compress=compress,
            compress_level=compress_level,
            content_type=content_type,
            cache_control=cache_control,
        )
        self.cache.remove_parts([key for key, _ in objects])
        for key, data in objects:
            self.cache.offer(key, data)

    def exists_many(self, keys: Sequence[str]) -> list[bool]:
        """Return which objects are there; see the source."""
        return self.source.exists_many(keys)

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove objects; see the source."""
        self.cache.remove(keys)
        self.source.delete_many(keys)
        self.cache.remove(keys)  # what was read meanwhile

    # Last, as it hides the type of this name.

    def list(self, prefix: str = "", *, flat: bool = False) -> Iterator[str]:
        """Yield the keys that start with a prefix; see the source."""
        return self.source.list(prefix, flat=flat)


def _complete(
    wanted: Sequence[_Wanted],
    kept: list[bytes | None],
    fetch: Callable[[Sequence[_Wanted]], list[bytes | None]],
    offer: Callable[[_Wanted, bytes], None],
) -> list[bytes | None]:
    """Fetch what is not kept, in one call, and offer it to the cache."""
    absent = [i for i, data in enumerate(kept) if data is None]
    if absent:
        found = fetch([wanted[i] for i in absent])
        for i, data in zip(absent, found, strict=True):
            kept[i] = data
            if data:
                offer(wanted[i], data)
    return kept


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _is_sound(key: str, data: bytes) -> bool:
    """Whether JSON was written to its end: it may be kept without a compression that would show it."""
    if not _JSON_KEY.fullmatch(key):
        return True
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
