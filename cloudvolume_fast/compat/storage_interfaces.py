# SPDX-License-Identifier: BSD-3-Clause
"""One object at a time, under the names of upstream's interfaces to stores; all over `ObjectStore`."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from cloudvolume_fast.compat.connectionpools import GCloudBucketPool, S3ConnectionPool
from cloudvolume_fast.compat.paths import ExtractedPath, ascloudpath
from cloudvolume_fast.compat.stores import open_store
from cloudvolume_fast.errors import UnsupportedOptionError
from cloudvolume_fast.fetch.store import KeyRange, ObjectStore

__all__ = [
    "COMPRESSION_EXTENSIONS",
    "GC_POOL",
    "S3_POOL",
    "FileInterface",
    "GoogleCloudStorageInterface",
    "HttpInterface",
    "S3Interface",
    "StorageInterface",
    "keydefaultdict",
    "no_compression_ext",
    "reset_connection_pools",
]

COMPRESSION_EXTENSIONS = (".gz", ".br", ".zstd", ".xz", ".bz2")


def no_compression_ext(list_dir: str) -> list[str]:
    """Return the names in a folder without the suffixes of compression, in no order; none where there is no folder."""
    try:
        names = os.listdir(list_dir)
    except FileNotFoundError:
        return []
    return [
        stem if extension in COMPRESSION_EXTENSIONS else name
        for name in names
        for stem, extension in [os.path.splitext(name)]
    ]


K = TypeVar("K")
V = TypeVar("V")


class keydefaultdict(defaultdict[K, V]):
    """A dictionary that makes the value of a key that is missing from the key.

    Parameters
    ----------
    default_factory : callable
        Given the key.
    """

    def __init__(self, default_factory: Callable[[K], V]) -> None:
        super().__init__()
        self._make = default_factory

    def __missing__(self, key: K) -> V:
        value = self[key] = self._make(key)
        return value


S3_POOL: keydefaultdict[tuple[str, str], S3ConnectionPool] = keydefaultdict(
    lambda params: S3ConnectionPool(*params)
)
GC_POOL: keydefaultdict[str, GCloudBucketPool] = keydefaultdict(GCloudBucketPool)


def reset_connection_pools() -> None:
    """Close and forget all connections that programs took from `S3_POOL` and `GC_POOL`."""
    pool: Any  # Any: either pool
    for pool in (*S3_POOL.values(), *GC_POOL.values()):
        pool.reset_pool()
    S3_POOL.clear()
    GC_POOL.clear()


class StorageInterface:
    """Objects below a path.

    Parameters
    ----------
    path : ExtractedPath or str
    """

    def __init__(self, path: ExtractedPath | str) -> None:
        self._path = path
        self._store: ObjectStore = open_store(
            ascloudpath(path) if isinstance(path, ExtractedPath) else path
        )

    @property
    def store(self) -> ObjectStore:
        """What the objects lie in."""
        return self._store

    def get_path_to_file(self, file_path: str) -> str:
        """Return an object's path without the protocol."""
        return f"{self._store.cloudpath}/{file_path}".partition("://")[2]

    def put_file(
        self,
        file_path: str,
        content: bytes | str,
        content_type: str | None,
        compress: str | bool | None,
        cache_control: str | None = None,
        compress_level: int | None = None,
    ) -> None:
        """Replace an object; a text is stored as UTF-8."""
        data = content.encode() if isinstance(content, str) else bytes(memoryview(content))
        self._store.put_many(
            [(file_path, data)],
            compress=compress,
            compress_level=compress_level,
            content_type=content_type or "application/octet-stream",
            cache_control=cache_control,
        )

    def get_file(
        self, file_path: str, start: int | None = None, end: int | None = None
    ) -> tuple[bytes | None, None]:
        """Return an object, decompressed, or bytes of it as stored; and None, as nothing is left to decompress."""
        if start is None and end is None:
            return self._store.get(file_path), None
        first = start or 0
        size = (1 << 62) - first if end is None else max(0, end - first)
        return self._store.get_ranges([KeyRange(file_path, first, size)])[0], None

    def exists(self, file_path: str) -> bool:
        """Say whether an object is there."""
        return self._store.exists_many([file_path])[0]

    def files_exist(self, file_paths: Iterable[str]) -> dict[str, bool]:
        """Return which objects are there."""
        keys = list(file_paths)
        return dict(zip(keys, self._store.exists_many(keys), strict=True))

    def delete_file(self, file_path: str) -> None:
        """Remove an object, if there is one."""
        self._store.delete_many([file_path])

    def delete_files(self, file_paths: Iterable[str]) -> None:
        """Remove objects, those that there are."""
        self._store.delete_many(list(file_paths))

    def list_files(self, prefix: str = "", flat: bool = False) -> Iterator[str]:
        """Yield the names that begin with a prefix; with `flat`, none in folders below."""
        return self._store.list(prefix, flat=flat)

    def release_connection(self) -> None:
        """Let go of a connection; the store keeps its own."""

    def __enter__(self) -> StorageInterface:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.release_connection()


class FileInterface(StorageInterface):
    """Files of this machine."""


class HttpInterface(StorageInterface):
    """Objects of an HTTP server."""


class GoogleCloudStorageInterface(StorageInterface):
    """Objects of Google Cloud Storage."""


class S3Interface(StorageInterface):
    """Objects of S3 and of what speaks its language."""

    def put_file(
        self,
        file_path: str,
        content: bytes | str,
        content_type: str | None,
        compress: str | bool | None,
        cache_control: str | None = None,
        compress_level: int | None = None,
        ACL: str | None = None,
    ) -> None:
        """Replace an object, which gets the rights that its bucket gives; see `StorageInterface.put_file`.

        Raises
        ------
        UnsupportedOptionError
            `ACL` is given: rights of single objects are not written.
        """
        if ACL is not None:
            raise UnsupportedOptionError(
                f"{self.get_path_to_file(file_path)}: ACL: expected None, as objects get the rights that their bucket "
                f"gives, found {ACL!r}",
                key="ACL",
                found=ACL,
            )
        super().put_file(file_path, content, content_type, compress, cache_control, compress_level)
