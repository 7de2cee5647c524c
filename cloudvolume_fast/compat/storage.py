# SPDX-License-Identifier: BSD-3-Clause
"""Files of a store under upstream's older interface, ``Storage``; new programs use cloud-files."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

from cloudvolume_fast.compat.lib import jsonify
from cloudvolume_fast.compat.paths import ExtractedPath, extract
from cloudvolume_fast.compat.scheduler import DEFAULT_THREADS, schedule_jobs
from cloudvolume_fast.compat.storage_interfaces import (
    FileInterface,
    GoogleCloudStorageInterface,
    HttpInterface,
    S3Interface,
    StorageInterface,
)
from cloudvolume_fast.compat.threaded_queue import ThreadedQueue
from cloudvolume_fast.errors import UnsupportedProtocolError
from cloudvolume_fast.model.layer_path import alias_endpoint

__all__ = [
    "DEFAULT_THREADS",
    "WARNING_PRINTED",
    "GreenStorage",
    "SimpleStorage",
    "Storage",
    "StorageBase",
    "ThreadedStorage",
    "default_byte_iterator",
    "get_interface_class",
]

WARNING_PRINTED = False
"""Upstream's flag of its notice; ours is a `DeprecationWarning`, which Python shows once."""

Files = Iterable[tuple[str, bytes | str]]
Bounds = Sequence[int | None] | None


def get_interface_class(protocol: str) -> type[StorageInterface]:
    """Return the class of a protocol's interface.

    Raises
    ------
    UnsupportedProtocolError
    """
    if protocol == "file":
        return FileInterface
    if protocol == "gs":
        return GoogleCloudStorageInterface
    if protocol in ("http", "https"):
        return HttpInterface
    if protocol == "s3" or alias_endpoint(protocol) is not None:
        return S3Interface
    if protocol == "mem":
        return StorageInterface
    raise UnsupportedProtocolError(
        f"{protocol}: expected file, gs, s3, http, https, mem or an alias", key=protocol
    )


def default_byte_iterator(
    starts: Bounds, ends: Bounds
) -> tuple[Iterator[int | None], Iterator[int | None]]:
    """Return iterators over starts and ends, endless ones over None where there are none."""
    return (
        itertools.repeat(None) if starts is None else iter(starts),
        itertools.repeat(None) if ends is None else iter(ends),
    )


class StorageBase:
    """What all kinds of storage share.

    Parameters
    ----------
    layer_path : str
        ``PROTOCOL://BUCKET/PATH``.
    progress : bool or str
        Whether batches show a bar.
    """

    def __init__(self, layer_path: str, progress: bool | str = False) -> None:
        self.progress = progress
        self._layer_path = layer_path
        self._path: ExtractedPath = extract(layer_path)
        self._interface_cls = get_interface_class(self._path.protocol)
        self._interface = self._interface_cls(layer_path)

    @property
    def layer_path(self) -> str:
        """The path as it was given."""
        return self._layer_path

    def progress_description(self, prefix: str) -> str | None:
        """Return the title of a bar, None where none is shown."""
        if isinstance(self.progress, str):
            return f"{prefix} {self.progress}"
        return prefix if self.progress else None

    def get_connection(self) -> StorageInterface:
        """Return an interface of one's own to the same path."""
        return self._interface_cls(self._layer_path)

    def get_path_to_file(self, file_path: str) -> str:
        """Return the path of an object, with the protocol."""
        return f"{self._layer_path.rstrip('/')}/{file_path}"

    # One object.

    def put_json(
        self,
        file_path: str,
        content: Any,  # what JSON can hold, or a text of it
        content_type: str = "application/json",
        *args: Any,
        **kwargs: Any,
    ) -> Self:
        """Replace an object by a value as JSON; further arguments as for `put_file`."""
        text = content if isinstance(content, (str, bytes)) else jsonify(content)
        return self.put_file(file_path, text, content_type, *args, **kwargs)

    def get_json(self, file_path: str) -> Any:
        """Return the value of a JSON object, None where there is no object."""
        data = self.get_file(file_path)
        return None if data is None else json.loads(data)

    def put_file(
        self,
        file_path: str,
        content: bytes | str,
        content_type: str | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        cache_control: str | None = None,
    ) -> Self:
        """Replace an object.

        Parameters
        ----------
        file_path : str
            Below the layer's path.
        content : bytes or str
        content_type, cache_control : str, optional
            For stores that keep such headers.
        compress : str or bool, optional
            gzip, br, zstd, xz, bz2; True for gzip.
        compress_level : int, optional

        Returns
        -------
        This storage.
        """
        return self.put_files(
            [(file_path, content)], content_type, compress, compress_level, cache_control
        )

    def get_file(
        self, file_path: str, start: int | None = None, end: int | None = None
    ) -> bytes | None:
        """Return an object, decompressed, or bytes ``[start, end)`` of it as stored; None where there is none."""
        return self._interface.get_file(file_path, start, end)[0]

    def exists(self, file_path: str) -> bool:
        """Say whether an object is there."""
        return self._interface.exists(file_path)

    def delete_file(self, file_path: str) -> Self:
        """Remove an object, if there is one."""
        return self.delete_files([file_path])

    # Several.

    def put_files(
        self,
        files: Files,
        content_type: str | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        cache_control: str | None = None,
        block: bool = True,
    ) -> Self:
        """Replace objects, given as pairs of path and content; see `put_file`.

        Parameters
        ----------
        block : bool
            Wait until all are stored; else some may be stored later, before `wait` returns.
        """

        def store(path: str, content: bytes | str) -> Callable[[], None]:
            return lambda: self._interface.put_file(
                path, content, content_type, compress, cache_control, compress_level
            )

        self._run([store(path, content) for path, content in files], "Uploading", block)
        return self

    def get_files(
        self, file_paths: Iterable[str], starts: Bounds = None, ends: Bounds = None
    ) -> list[dict[str, Any]]:
        """Return objects, or ranges of them.

        Returns
        -------
        list of dict
            ``filename``, ``byte_range``, ``content`` (None where there is no object), ``error`` (the exception that the
            request ended with, or None).
        """

        def load(path: str, start: int | None, end: int | None) -> Callable[[], dict[str, Any]]:
            def job() -> dict[str, Any]:
                content, error = None, None
                try:
                    content = self._interface.get_file(path, start, end)[0]
                except Exception as caught:  # handed to the caller with the rest
                    error = caught
                return {
                    "filename": path,
                    "byte_range": (start, end),
                    "content": content,
                    "error": error,
                }

            return job

        first, last = default_byte_iterator(starts, ends)
        jobs = [
            load(path, start, end)
            for path, start, end in zip(file_paths, first, last, strict=False)
        ]
        return self._run(jobs, "Downloading", True)

    def files_exist(self, file_paths: Iterable[str]) -> dict[str, bool]:
        """Return which objects are there."""
        return self._interface.files_exist(file_paths)

    def delete_files(self, file_paths: Iterable[str]) -> Self:
        """Remove objects, those that there are."""
        self._interface.delete_files(file_paths)
        return self

    def list_files(self, prefix: str = "", flat: bool = False) -> Iterator[str]:
        """Yield the names that begin with a prefix; with `flat`, none in folders below."""
        yield from self._interface.list_files(prefix, flat)

    def _run(self, jobs: Sequence[Callable[[], Any]], title: str, block: bool) -> list[Any]:
        return schedule_jobs(jobs, 0, self.progress_description(title), len(jobs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._interface.release_connection()


class SimpleStorage(StorageBase):
    """One object after the other, in the thread that asks."""

    def __getitem__(self, key: Any) -> bytes | None:
        """Return an object, or a range of it: ``storage["name"]``, ``storage["name", 0:10]``."""
        if isinstance(key, tuple):
            path, part = key
            return self.get_file(path, part.start, part.stop)
        return self.get_file(key)

    def __setitem__(self, key: str, value: bytes | str) -> None:
        """Replace an object."""
        self.put_file(key, value)


class ThreadedStorage(StorageBase, ThreadedQueue):
    """Several objects at once, on threads; what is stored or removed is so when `wait` returns.

    Parameters
    ----------
    layer_path : str
    n_threads : int
        0 for none.
    progress : bool or str
    """

    def __init__(
        self, layer_path: str, n_threads: int = DEFAULT_THREADS, progress: bool | str = False
    ) -> None:
        StorageBase.__init__(self, layer_path, progress)
        ThreadedQueue.__init__(self, n_threads, progress=progress)

    def put_file(
        self,
        file_path: str,
        content: bytes | str,
        content_type: str | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        cache_control: str | None = None,
    ) -> Self:
        """Begin to replace an object; see `StorageBase.put_file`."""
        return self.put_files(
            [(file_path, content)], content_type, compress, compress_level, cache_control, False
        )

    def delete_files(self, file_paths: Iterable[str]) -> Self:
        """Begin to remove objects."""
        paths = list(file_paths)

        def job() -> None:
            self._interface.delete_files(paths)

        self._run([job], "Deleting", False)
        return self

    def _run(self, jobs: Sequence[Callable[[], Any]], title: str, block: bool) -> list[Any]:
        if block and title == "Downloading":
            return schedule_jobs(
                jobs, len(self._threads), self.progress_description(title), len(jobs)
            )
        if not self._threads:
            return schedule_jobs(jobs, 0, None, len(jobs))
        for job in jobs:
            self.put(job)
        if block:
            self.wait(self.progress_description(title))
        return []

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        ThreadedQueue.__exit__(self, kind, error, traceback)
        self._interface.release_connection()


class GreenStorage(StorageBase):
    """Several objects at once, on green threads of gevent.

    Parameters
    ----------
    layer_path : str
    progress : bool or str
    n_threads : int

    Raises
    ------
    ImportError
        gevent is not installed, when it is first needed; says what to install.
    """

    def __init__(
        self, layer_path: str, progress: bool | str = False, n_threads: int = DEFAULT_THREADS
    ) -> None:
        super().__init__(layer_path, progress)
        self.concurrency = n_threads

    def _run(self, jobs: Sequence[Callable[[], Any]], title: str, block: bool) -> list[Any]:
        return schedule_jobs(
            jobs, max(2, self.concurrency), self.progress_description(title), len(jobs), green=True
        )

    def start_threads(self) -> None:
        """Nothing has to be started; green threads are made for each batch."""

    def kill_threads(self) -> None:
        """Nothing has to be ended."""

    def wait(self, desc: str | None = None) -> None:
        """Return at once: batches are complete when they return."""


class Storage:
    """Makes a storage: `GreenStorage` with ``green=True``, else `ThreadedStorage`."""

    def __new__(kls, *args: Any, **kwargs: Any) -> ThreadedStorage | GreenStorage:  # type: ignore[misc]
        """Return a storage; arguments as for its class."""
        warnings.warn(
            "Storage is obsolete: use cloudfiles.CloudFiles instead",
            DeprecationWarning,
            stacklevel=2,
        )
        if kwargs.pop("green", False):
            return GreenStorage(*args, **kwargs)
        return ThreadedStorage(*args, **kwargs)
