# SPDX-License-Identifier: BSD-3-Clause
"""What the readers and writers of this library need of a place where bytes are stored."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

__all__ = [
    "EXPIRED_CODES",
    "ByteStore",
    "KeyRange",
    "ObjectStore",
    "locked_shard",
]

EXPIRED_CODES = ("ExpiredToken", "TokenRefreshRequired", "InvalidToken", "RequestExpired")
"""What S3 answers, with status 400, to keys or tokens that were good once."""


class KeyRange(NamedTuple):
    """Some bytes of an object."""

    key: str
    offset: int
    size: int


@runtime_checkable
class ByteStore(Protocol):
    """Objects by key, whole or in parts.

    Notes
    -----
    An object that is absent is None.  Ranges are of the bytes as they are stored, without decompression, and stop where
    the object ends: what begins behind the end is empty.  Nothing is allocated for bytes that are not there.
    """

    def get(self, key: str) -> bytes | None:
        """Return an object, decompressed if it is stored under a compression."""
        ...

    def get_range(self, key: str, offset: int, size: int) -> bytes | None:
        """Return a range of an object."""
        ...

    def get_ranges(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        """Return ranges of objects, in the order given; each is one request."""
        ...


@runtime_checkable
class ObjectStore(ByteStore, Protocol):
    """A layer's folder: objects read, written, listed and removed by their keys below it.

    Attributes
    ----------
    cloudpath : str
        ``PROTOCOL://.../LAYER``, for messages; a key is named as ``{cloudpath}/{key}``.

    Notes
    -----
    Keys have no compression suffix; under which one an object lies, or with which Content-Encoding, is the store's
    affair.  Only absence is None: whatever else goes wrong raises, with the key.  Batches run as many requests at once
    as the store can bear, and stop at the first that fails.
    """

    cloudpath: str

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return objects, decompressed, in the order given."""
        ...

    def get_batches(self, keys: Sequence[str]) -> Generator[list[bytes | None], None, None]:
        """Yield what `get_many` returns in consecutive parts, for those who can work on one while others are read.

        Where all requests are best under way at once there is a single part.
        """
        ...

    def put(self, key: str, data: bytes, *, sync: bool = False) -> None:
        """Replace an object, uncompressed (metadata)."""
        ...

    def put_many(
        self,
        objects: Sequence[tuple[str, bytes]],
        *,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        """Replace objects; the last two are for stores that keep such headers."""
        ...

    def exists_many(self, keys: Sequence[str]) -> list[bool]:
        """Return which objects are there, under any compression."""
        ...

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove objects under every compression; absent ones are no error."""
        ...

    def list(self, prefix: str = "", *, flat: bool = False) -> Iterator[str]:
        """Yield the keys that start with a prefix, without compression suffixes, each once, in no order.

        With `flat`, only those without a further slash behind the prefix.
        """
        ...


def locked_shard(store: ObjectStore, folder: str, shard: int) -> AbstractContextManager[None]:
    """Hold the lock on a shard while it is read, changed and written anew.

    Parameters
    ----------
    store : ObjectStore
        One without ``lock_shard`` is used as it is: its writers must agree among themselves.
    folder : str
        Where the shards are, below the layer.
    shard : int
        Its number.
    """
    lock = getattr(store, "lock_shard", None)
    if lock is None:
        return contextlib.nullcontext()
    held: AbstractContextManager[None] = lock(folder, shard)
    return held
