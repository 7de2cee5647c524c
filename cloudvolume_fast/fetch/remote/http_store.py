# SPDX-License-Identifier: BSD-3-Clause
"""Objects behind HTTP, S3 or Google Storage, by the core's client."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import (
    AuthorizationError,
    ChunkReadError,
    ChunkWriteError,
    CloudVolumeError,
    CRC32CIntegrityError,
    DecompressionError,
    IntegrityError,
    MD5IntegrityError,
    ReadOnlyException,
    UnsupportedCompressionType,
    UnsupportedOptionError,
)
from cloudvolume_fast.fetch.content_encoding import compress as compress_bytes
from cloudvolume_fast.fetch.content_encoding import decompress, level_of, suffix_of
from cloudvolume_fast.fetch.remote.credentials import AwsCredentials
from cloudvolume_fast.fetch.remote.location import Location
from cloudvolume_fast.fetch.store import EXPIRED_CODES, KeyRange
from cloudvolume_fast.model.layer_path import LayerPath

__all__ = ["HttpStore"]

_LIMIT_BYTES = 1 << 30
_ENCODING_OF = {
    ".gz": "gzip",
    ".br": "br",
    ".zstd": "zstd",
    ".xz": "xz",
    ".bz2": "bzip2",
}
# What servers write there that says nothing about the bytes.
_PLAIN_ENCODINGS = frozenset(("", "identity", "aws-chunked"))
# The reason that an answer names for its status.
_REASON = re.compile(r"found status \d+ \((\w+)\)")
# Reasons for 403 under which absence hides.
_HIDING_REASONS = frozenset(("", "AccessDenied", "forbidden"))
# A key that nobody uses, in the layer's folder.
_ABSENT_KEY = ".cloudvolume-fast/no-such-object"

_Item = TypeVar("_Item")


class _Row(NamedTuple):
    """An answer, as `_runtime.HttpClient` describes it."""

    state: str
    status: int
    body: bytes | None
    headers: dict[str, str]
    attempts: int
    checked: str
    error: str
    message: str


class HttpStore:
    """A layer's folder on a server; an `ObjectStore`.

    Parameters
    ----------
    path : LayerPath
    location : Location
    use_https : bool
        Whether it is that of `path` by plain HTTPS; for pickles, which are made of these two.

    Attributes
    ----------
    cloudpath : str

    Notes
    -----
    Absent is what the server answers with 404.  403 stands for absence only where the store hides absence from those
    who may not list it, which is found out as the layer's ``info`` is read: by asking for a key that nobody uses.
    Refused credentials are renewed once, and what 403 stands for is found out anew for others.
    """

    def __init__(self, path: LayerPath, location: Location, *, use_https: bool = False) -> None:
        self.cloudpath = path.cloudpath
        self._opened_as = (path, use_https)
        self._location = location
        self._endpoint = location.endpoint
        self._credentials = location.credentials
        # Of which credentials it is known whether 403 may stand for absence; None of none yet.
        self._hiding_generation: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what opens it again, with the credentials that are found there."""
        from cloudvolume_fast.fetch.open_store import reopen_store

        return (reopen_store, self._opened_as)

    @property
    def endpoint(self) -> _runtime.Endpoint:
        """Where the core finds the objects, with credentials that are fresh now.

        Raises
        ------
        AuthorizationError
        """
        self._credentials.keep_fresh()
        return self._endpoint

    @property
    def about(self) -> _runtime.Endpoint | None:
        """Where objects are asked about, by GET, and removed, if not at `endpoint`."""
        return self._location.about

    @property
    def generation(self) -> int:
        """Counts how often credentials were replaced; see `refresh_credentials`."""
        return self._credentials.generation

    def keep_fresh(self) -> None:
        """Read credentials if that has not happened, renew them if they are about to expire.

        Raises
        ------
        AuthorizationError
        """
        self._credentials.keep_fresh()

    def refresh_credentials(self, generation: int | None = None) -> bool:
        """Look for other credentials after a request was refused (401, 403, or an expired token).

        Parameters
        ----------
        generation : int, optional
            `generation` before the request was sent, so that threads which are refused together renew once.

        Returns
        -------
        bool
            Whether there are others, so that the request is worth repeating.

        Raises
        ------
        AuthorizationError
        """
        credentials = self._credentials
        if not credentials.refresh(credentials.generation if generation is None else generation):
            return False
        self._review_hiding()
        return True

    # Reading.

    def get(self, key: str) -> bytes | None:
        """Return an object's bytes, decompressed, or None where it is absent; see `get_many`."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return objects, decompressed, in the order given.

        Raises
        ------
        AuthorizationError
            The server refuses.
        IntegrityError
            The bytes are not those that the server stated.
        ChunkReadError
            They cannot be read for another reason.
        DecompressionError, UnsupportedCompressionType
            They are not what their Content-Encoding says.
        """
        asked = list(keys)
        wonders = "info" in asked and self._hiding_generation != self._credentials.generation
        probes = wonders and self._location.hides_absence
        rows = self._run(self._endpoint.get_many, asked, [_ABSENT_KEY] if probes else [])
        if probes:
            self._note_hiding(rows[asked.index("info")], rows.pop())
        elif wonders:
            info = rows[asked.index("info")]
            # A bucket behind its own or another's web address.
            if any(name.startswith(("x-amz-", "x-goog-")) for name in info.headers):
                self._note_hiding(info, self._run(self._endpoint.get_many, [], [_ABSENT_KEY])[0])
        return [self._decoded(key, row) for key, row in zip(asked, rows, strict=True)]

    def get_batches(self, keys: Sequence[str]) -> Generator[list[bytes | None], None, None]:
        """Yield what `get_many` returns, as a single part."""
        yield self.get_many(keys)

    def get_range(self, key: str, offset: int, size: int) -> bytes | None:
        """Return a range of an object, or None where it is absent; see `get_ranges`."""
        return self.get_ranges([KeyRange(key, offset, size)])[0]

    def get_ranges(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        """Return ranges of objects, as they are stored, in the order given; each is one request.

        Raises
        ------
        AuthorizationError, IntegrityError, ChunkReadError
            See `get_many`.
        """

        def ask(wanted: list[KeyRange]) -> list[Any]:
            return self._endpoint.get_many(
                [one.key for one in wanted],
                # No bytes at all cannot be asked for.
                ranges=[(one.offset, one.offset + max(1, one.size)) for one in wanted],
                may_end_early=True,
            )

        out: list[bytes | None] = []
        for wanted, row in zip(ranges, self._run(ask, list(ranges)), strict=True):
            if row.status == 416:  # it begins behind the end
                out.append(b"")
                continue
            body = self._body(wanted.key, row)
            out.append(body if body is None or wanted.size > 0 else b"")
        return out

    def exists_many(self, keys: Sequence[str]) -> list[bool]:
        """Return which objects are there.

        Raises
        ------
        AuthorizationError, ChunkReadError
        """
        about = self._location.about
        ask = self._endpoint.head_many if about is None else about.get_many
        rows = self._run(ask, list(keys))
        if any(map(self._hides_absence, rows)):
            # An answer without a body names no reason: perhaps nothing may be read any more.
            info = self._run(self._endpoint.get_many, ["info"])[0]
            if info.state != "data":
                raise self._error("info", info, ChunkReadError)
        return [self._body(key, row) is not None for key, row in zip(keys, rows, strict=True)]

    # Writing.

    def put(self, key: str, data: bytes, *, sync: bool = False) -> None:
        """Replace an object, uncompressed; a server's answer means that it is stored, with or without `sync`.

        Raises
        ------
        ReadOnlyException, AuthorizationError, ChunkWriteError
        """
        is_json = key.rpartition("/")[2] in ("info", "provenance") or key.endswith(".json")
        self.put_many(
            [(key, data)],
            content_type=self._location.json_type if is_json else "application/octet-stream",
            cache_control="no-cache" if is_json else None,
        )

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
        ReadOnlyException
            The server takes no objects.
        AuthorizationError, ChunkWriteError
            This server does not take these.
        CompressionError, UnsupportedCompressionType
        """
        self._check_writable()
        suffix = suffix_of(compress)
        level = level_of(suffix, compress_level)
        common = [("Content-Type", content_type)]
        if suffix:
            common.append(("Content-Encoding", _ENCODING_OF[suffix]))
        if cache_control:
            common.append(("Cache-Control", cache_control))
        prepared = []
        for key, data in objects:
            stored = compress_bytes(suffix, data, level)
            digest = hashlib.md5(stored, usedforsecurity=False).digest()
            checked = ("Content-MD5", base64.b64encode(digest).decode())
            prepared.append((key, stored, [*common, checked]))
        rows = self._run(self._endpoint.put_many, prepared)
        for (key, _), row in zip(objects, rows, strict=True):
            self._check_written(key, row)

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove objects; absent ones are no error.

        Raises
        ------
        ReadOnlyException, AuthorizationError, ChunkWriteError
        """
        self._check_writable()
        ask = (self._location.about or self._endpoint).delete_many
        for key, row in zip(keys, self._run(ask, list(keys)), strict=True):
            if row.state != "missing":
                self._check_written(key, row)

    def _check_writable(self) -> None:
        if not self._endpoint.is_writable:
            raise ReadOnlyException(
                f"{self.cloudpath}: expected a store that takes objects, found a web server",
                key=self.cloudpath,
            )

    # Answers.

    def _run(
        self,
        ask: Callable[[list[_Item]], list[Any]],
        items: list[_Item],
        probes: Sequence[_Item] = (),
    ) -> list[_Row]:
        """Ask, and ask again for what was refused if there are other credentials.

        What is asked for as a probe may be refused: that is an answer, and no reason to look for credentials.
        """
        self._credentials.keep_fresh()
        generation = self._credentials.generation
        both = [*items, *probes]
        rows = [_Row(*row) for row in ask(both)]
        refused = [i for i in range(len(items)) if self._is_refused(rows[i])]
        if refused and self._has_better_credentials([rows[i] for i in refused], generation):
            self._review_hiding()
            again = [*refused, *range(len(items), len(both))]
            for i, row in zip(again, ask([both[i] for i in again]), strict=True):
                rows[i] = _Row(*row)
        return rows

    def _is_refused(self, row: _Row) -> bool:
        if row.state != "failed":
            return False
        if row.status == 403:
            return not self._hides_absence(row)
        return row.status == 401 or _is_of_other_credentials(row)

    def _hides_absence(self, row: _Row) -> bool:
        """Whether a refusal stands for absence, as `Endpoint::is_absent` has it."""
        return (
            row.status == 403
            and self._endpoint.is_forbidden_missing
            and _reason(row) in _HIDING_REASONS
        )

    def _has_better_credentials(self, refused: Sequence[_Row], generation: int) -> bool:
        credentials = self._credentials
        if isinstance(credentials, AwsCredentials):
            for row in refused:
                region = row.headers.get("x-amz-bucket-region")
                if region and credentials.use_region(region):
                    return True
        return credentials.refresh(generation)

    def _note_hiding(self, info: _Row, absent: _Row) -> None:
        if info.state != "data":
            return
        self._hiding_generation = self._credentials.generation
        self._set_hiding(absent.state == "failed" and absent.status == 403)

    def _set_hiding(self, hides: bool) -> None:
        self._endpoint.is_forbidden_missing = hides
        if self._location.about is not None:
            self._location.about.is_forbidden_missing = hides

    def _review_hiding(self) -> None:
        """Find out for other credentials what 403 stands for, where that was known for those before."""
        known = self._hiding_generation
        if known is None or known == self._credentials.generation:
            return
        self._set_hiding(False)
        info, absent = (_Row(*row) for row in self._endpoint.get_many(["info", _ABSENT_KEY]))
        self._note_hiding(info, absent)

    def _decoded(self, key: str, row: _Row) -> bytes | None:
        data = self._body(key, row)
        if data is None:
            return None
        # The last that was applied stands last.
        for name in reversed(row.headers.get("content-encoding", "").split(",")):
            encoding = name.strip().lower()
            if encoding in _PLAIN_ENCODINGS:
                continue
            try:
                data = decompress(suffix_of(encoding.removeprefix("x-")), data, _LIMIT_BYTES)
            except UnsupportedCompressionType as error:
                raise UnsupportedCompressionType(
                    f"{self.cloudpath}/{key}: expected a known Content-Encoding, found {encoding!r}",
                    key=f"{self.cloudpath}/{key}",
                    found=encoding,
                ) from error
            except DecompressionError as error:
                raise type(error)(
                    f"{self.cloudpath}/{key}: {error}", key=f"{self.cloudpath}/{key}"
                ) from error
        return data

    def _body(self, key: str, row: _Row) -> bytes | None:
        if row.state == "data":
            return row.body if row.body is not None else b""
        if row.state == "missing":
            return None
        if self._hides_absence(row):
            return None
        raise self._error(key, row, ChunkReadError)

    def _check_written(self, key: str, row: _Row) -> None:
        if row.state != "data":
            raise self._error(key, row, ChunkWriteError)

    def _error(
        self, key: str, row: _Row, kind: type[ChunkReadError] | type[ChunkWriteError]
    ) -> CloudVolumeError:
        where = f"{self.cloudpath}/{key}" if key else self.cloudpath
        text = f"{where}: {row.message or row.state}"
        if row.status in (401, 403) or _is_of_other_credentials(row):
            return AuthorizationError(text, key=where, found=row.status)
        if row.error == "digest":
            digests: tuple[tuple[str, type[IntegrityError]], ...] = (
                ("expected crc32c", CRC32CIntegrityError),
                ("expected md5", MD5IntegrityError),
            )
            named = (error for mark, error in digests if mark in row.message)
            return next(named, IntegrityError)(text, key=where)
        return kind(text, key=where, found=row.status or row.error or row.state)

    # Last, as it hides the type of this name.

    def list(self, prefix: str = "", *, flat: bool = False) -> Iterator[str]:
        """Yield the keys that start with a prefix, each once, as the server lists them.

        Raises
        ------
        UnsupportedOptionError
            Plain HTTP has no listings.
        AuthorizationError, ChunkReadError
        """
        location = self._location
        if location.list_url is None or location.read_page is None:
            raise UnsupportedOptionError(
                f"{self.cloudpath}: expected a store that lists its objects, found a web server",
                key=self.cloudpath,
            )
        url: str | None = location.list_url(location.key_prefix + prefix, flat)
        while url is not None:
            row = self._run(lambda urls: [self._endpoint.get_url(urls[0])], [url])[0]
            body = self._decoded(prefix, row)
            if body is None:
                raise ChunkReadError(
                    f"{self.cloudpath}: expected a bucket, found none", key=self.cloudpath
                )
            page = location.read_page(url, body)
            for key in page.keys:
                if key.startswith(location.key_prefix) and not key.endswith("/"):
                    yield key.removeprefix(location.key_prefix)
            url = page.next_url


def _reason(row: _Row) -> str:
    found = _REASON.search(row.message)
    return found[1] if found else ""


def _is_of_other_credentials(row: _Row) -> bool:
    """Whether a request was refused because of an expired token, or signed for another region."""
    return row.status in (301, 307, 400) and (
        "x-amz-bucket-region" in row.headers or any(code in row.message for code in EXPIRED_CODES)
    )
