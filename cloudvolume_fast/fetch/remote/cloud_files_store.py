# SPDX-License-Identifier: BSD-3-Clause
"""Objects in whatever else cloud-files reaches, above all ``mem://``, whose objects it shares with its other users."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

from cloudvolume_fast.errors import (
    AuthorizationError,
    ChunkReadError,
    ChunkWriteError,
    DecompressionError,
    UnsupportedProtocolError,
)
from cloudvolume_fast.fetch.content_encoding import compress as compress_bytes
from cloudvolume_fast.fetch.content_encoding import decompress, level_of, suffix_of
from cloudvolume_fast.fetch.secrets import Secret
from cloudvolume_fast.fetch.store import KeyRange
from cloudvolume_fast.model.layer_path import LayerPath

__all__ = ["CloudFilesStore"]

_LIMIT_BYTES = 1 << 30
_NAME_OF = {"": None, ".gz": "gzip", ".br": "br", ".zstd": "zstd", ".xz": "xz", ".bz2": "bzip2"}

_Result = TypeVar("_Result")


class CloudFilesStore:
    """A layer's folder by way of cloud-files; an `ObjectStore`.

    Parameters
    ----------
    path : LayerPath
    secrets : Secret, optional

    Raises
    ------
    UnsupportedProtocolError
        cloud-files does not know it either.
    """

    def __init__(self, path: LayerPath, secrets: Secret | None = None) -> None:
        from cloudfiles import CloudFiles
        from cloudfiles.exceptions import UnsupportedProtocolError as UnknownToCloudFiles

        self.cloudpath = cloudpath = path.cloudpath
        self._path = path
        self._key_prefix = f"{path.key_prefix}/" if path.key_prefix else ""
        given = None if secrets is None else dict(secrets)
        try:
            # Any: cloud-files has no types
            self._files: Any = CloudFiles(cloudpath, progress=False, secrets=given)
            self._bucket: Any = CloudFiles(
                f"{path.protocol}://{path.bucket}", progress=False, secrets=given
            )
        except UnknownToCloudFiles:
            raise UnsupportedProtocolError(
                f"{cloudpath}: expected a protocol that can be read, found {path.protocol}",
                key=cloudpath,
                found=path.protocol,
            ) from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what opens it again, with the credentials that are found there."""
        from cloudvolume_fast.fetch.open_store import reopen_store

        return (reopen_store, (self._path, False))

    def get(self, key: str) -> bytes | None:
        """Return an object's bytes, decompressed, or None where it is absent; see `get_many`."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return objects, decompressed, in the order given.

        Raises
        ------
        AuthorizationError, ChunkReadError, DecompressionError
        """
        out: list[bytes | None] = []
        for key, row in zip(keys, self._get(list(keys)), strict=True):
            data = row["content"]
            if data is not None and row["compress"]:
                try:
                    data = decompress(suffix_of(row["compress"]), data, _LIMIT_BYTES)
                except DecompressionError as error:
                    where = f"{self.cloudpath}/{key}"
                    raise type(error)(f"{where}: {error}", key=where) from error
            out.append(data)
        return out

    def get_batches(self, keys: Sequence[str]) -> Generator[list[bytes | None], None, None]:
        """Yield what `get_many` returns, as a single part."""
        yield self.get_many(keys)

    def get_stored(self, key: str) -> tuple[bytes, str] | None:
        """Return an object as it is stored and the suffix of its compression, or None where it is absent.

        Raises
        ------
        AuthorizationError, ChunkReadError
        """
        row = self._get([key])[0]
        if row["content"] is None:
            return None
        return row["content"], suffix_of(row["compress"] or None)

    def put_stored(
        self, key: str, data: bytes, suffix: str, content_type: str, cache_control: str | None
    ) -> None:
        """Replace an object by bytes that are compressed already, as the suffix says.

        Raises
        ------
        AuthorizationError, ChunkWriteError
        """
        self._try(
            lambda: self._files.puts(
                [(key, data)],
                content_type=content_type,
                compress=_NAME_OF[suffix],
                cache_control=cache_control,
                raw=True,
            ),
            ChunkWriteError,
        )

    def get_range(self, key: str, offset: int, size: int) -> bytes | None:
        """Return a range of an object, or None where it is absent; see `get_ranges`."""
        return self.get_ranges([KeyRange(key, offset, size)])[0]

    def get_ranges(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        """Return ranges of objects, as they are stored, in the order given.

        Raises
        ------
        AuthorizationError, ChunkReadError
        """
        asked = [
            {"path": one.key, "start": one.offset, "end": one.offset + max(1, one.size)}
            for one in ranges
        ]
        rows = zip(ranges, self._get(asked), strict=True)
        return [
            row["content"] if one.size > 0 or row["content"] is None else b"" for one, row in rows
        ]

    def put(self, key: str, data: bytes, *, sync: bool = False) -> None:
        """Replace an object, uncompressed; there is nothing to `sync`.

        Raises
        ------
        AuthorizationError, ChunkWriteError
        """
        self.put_many([(key, data)])

    def put_many(
        self,
        objects: Sequence[tuple[str, bytes]],
        *,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        """Replace objects.

        Raises
        ------
        AuthorizationError, ChunkWriteError, CompressionError, UnsupportedCompressionType
        """
        suffix = suffix_of(compress)
        level = level_of(suffix, compress_level)
        prepared = [(key, compress_bytes(suffix, data, level)) for key, data in objects]
        self._try(
            lambda: self._files.puts(
                prepared,
                content_type=content_type,
                compress=_NAME_OF[suffix],
                cache_control=cache_control,
                raw=True,
            ),
            ChunkWriteError,
        )

    def exists_many(self, keys: Sequence[str]) -> list[bool]:
        """Return which objects are there.

        Raises
        ------
        AuthorizationError, ChunkReadError
        """
        found: dict[str, bool] = self._try(lambda: self._files.exists(list(keys)), ChunkReadError)
        return [found[key] for key in keys]

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove objects; absent ones are no error.

        Raises
        ------
        AuthorizationError, ChunkWriteError
        """
        self._try(lambda: self._files.delete(list(keys)), ChunkWriteError)

    def _get(self, asked: Sequence[Any]) -> Sequence[Any]:
        """Return cloud-files' rows, in the order asked for; it gives one for each different path."""
        rows: list[Any] = self._try(lambda: self._files.get(asked, raw=True), ChunkReadError)

        def place(path: str, begin: object, end: object) -> tuple[str, object, object]:
            return (path, begin, end)

        by_place = {place(row["path"], *row["byte_range"]): row for row in rows}
        return [
            by_place[
                place(one, None, None)
                if isinstance(one, str)
                else place(one["path"], one["start"], one["end"])
            ]
            for one in asked
        ]

    def _try(
        self,
        call: Callable[[], _Result],
        kind: type[ChunkReadError] | type[ChunkWriteError],
    ) -> _Result:
        try:
            return call()
        except Exception as error:  # each protocol has exceptions of its own
            status = getattr(getattr(error, "response", None), "status_code", None)
            refused = status in (401, 403)
            # Not as its cause: it may hold the request, with its credentials.
            raise (AuthorizationError if refused else kind)(
                f"{self.cloudpath}: {type(error).__name__}: {error}", key=self.cloudpath
            ) from None

    # Last, as it hides the type of this name.

    def list(self, prefix: str = "", *, flat: bool = False) -> Iterator[str]:
        """Yield the keys that start with a prefix, each once.

        Raises
        ------
        AuthorizationError, ChunkReadError
        """
        # Asked for a folder of mem://, cloud-files lists other folders of its bucket as well.
        whole = self._key_prefix + prefix
        found: set[str] = self._try(lambda: {*self._bucket.list(prefix=whole)}, ChunkReadError)
        for key in found:
            is_below = key.startswith(whole) and not key.endswith("/")
            if is_below and not (flat and "/" in key[len(whole) :]):
                yield key[len(self._key_prefix) :]
