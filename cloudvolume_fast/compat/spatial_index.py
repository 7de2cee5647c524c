# SPDX-License-Identifier: BSD-3-Clause
"""What upstream's module of spatial indexes has besides `SpatialIndex`: the steps of filling a database, one by one."""

from __future__ import annotations

import enum
import posixpath
import queue
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing
from typing import Any

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.sources.precomputed import spatial_index_sql as sql
from cloudvolume_fast.sources.precomputed.cache_service import CacheService
from cloudvolume_fast.sources.precomputed.spatial_index import SpatialIndex, parse_index_file

__all__ = [
    "PG_BINARY_COPY_SIGNATURE",
    "CachedSpatialIndex",
    "DbType",
    "insert_index_files",
    "set_journaling_to_performance_mode",
    "thread_safe_insert",
    "tostr",
]

PG_BINARY_COPY_SIGNATURE = sql.COPY_SIGNATURE

# How long a thread that waits for files takes to notice that there will be none.
_POLL_SECONDS = 0.1


class DbType(enum.StrEnum):
    """A kind of database."""

    SQLITE = "sqlite"
    MYSQL = "mysql"
    POSTGRES = "postgres"


class CachedSpatialIndex(SpatialIndex):
    """A spatial index whose files are read through the disk cache of a layer.

    Parameters
    ----------
    cache : CacheService
        ``vol.cache``.
    config : VolumeConfig
    cloudpath : str
        Of the folder of meshes or skeletons, which lies in the layer of the cache.
    bounds, chunk_size, resolution
        See `SpatialIndex`.

    Raises
    ------
    InvalidArgumentError
        The folder does not lie in the layer of the cache; see also `SpatialIndex`.
    """

    def __init__(
        self,
        cache: CacheService,
        config: VolumeConfig | None,
        cloudpath: str,
        bounds: Any,  # see SpatialIndex
        chunk_size: Any,
        resolution: Any,
    ) -> None:
        layer = cache.meta.cloudpath.rstrip("/") + "/"
        folder = cloudpath.rstrip("/")
        if not folder.startswith(layer):
            raise InvalidArgumentError(
                f"cloudpath: expected a folder in {layer}, found {cloudpath}",
                key="cloudpath",
                expected=layer,
                found=cloudpath,
            )
        super().__init__(
            cloudpath,
            bounds,
            chunk_size,
            config,
            None if config is None else config.spatial_index_db,
            resolution,
            store=cache.meta.store,
            folder=folder.removeprefix(layer),
        )
        self.cache = cache

    def fetch_index_files(
        self, index_files: Iterable[str], progress: bool | None = None
    ) -> dict[str, bytes | None]:
        """Return index files, None where they are missing, by key; see `SpatialIndex`."""
        keys = [self.key(name) for name in index_files]
        found: dict[str, bytes | None] = self.cache.download(keys, progress=progress)
        return {key: found[key] for key in keys}


def tostr(x: Any) -> Any:  # Any: also what is neither bytes nor text
    """Decode bytes as UTF-8; return anything else as it is."""
    return x.decode("utf-8") if isinstance(x, bytes) else x


def set_journaling_to_performance_mode(cur: Any, db_type: str) -> Any:  # Any: a driver's cursor
    """Make a connection write fast rather than safely against a crash of the machine.

    Parameters
    ----------
    cur : cursor
    db_type : DbType

    Returns
    -------
    cursor
        The one that was given.

    Raises
    ------
    ValueError
        `db_type` is none.
    """
    for statement in _FAST[DbType(db_type)]:
        cur.execute(statement)
    return cur


_FAST = {
    DbType.SQLITE: ("PRAGMA journal_mode = MEMORY", "PRAGMA synchronous = OFF"),
    DbType.MYSQL: ("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",),
    DbType.POSTGRES: (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "SET synchronous_commit = OFF",
    ),
}


def insert_index_files(
    index_files: Mapping[str, bytes | str | None],
    lock: AbstractContextManager[Any],
    conn: Any,  # of the driver
    cur: Any,
    progress: Any,  # a bar, or whether there is one: not needed
    db_type: str,
) -> None:
    """Add index files to the tables of a database, all or none.

    Parameters
    ----------
    index_files : dict
        Path to content, a JSON object of labels to boxes; None or nothing counts as an empty one.
    lock : lock
        Held while the tables change.
    conn, cur : connection, cursor
    progress : bool or bar
        A bar of tqdm is advanced by the number of files.
    db_type : DbType

    Raises
    ------
    DecodingError
        A file is not what it should be.
    ValueError
        `db_type` is none.
    """
    batch = [
        (posixpath.basename(path), parse_index_file(path, content or b"{}")[0])
        for path, content in index_files.items()
    ]
    with lock:
        sql.add_index_files(conn, cur, DbType(db_type).value, batch)
    if hasattr(progress, "update"):
        progress.update(len(batch))


def thread_safe_insert(
    path: str,
    lock: AbstractContextManager[Any],
    evt: threading.Event,
    qu: queue.Queue[Mapping[str, bytes | str | None]],
    progress: Any,
    db_type: str,
) -> None:
    """Add what comes through a queue to a database, over a connection of its own, until it is told to stop.

    Parameters
    ----------
    path : str
        See `connect`.
    lock : lock
        Shared by all threads that write.
    evt : Event
        Set when nothing more will come; what is in the queue is added still.
    qu : Queue
        Of what `insert_index_files` takes.
    progress, db_type
        See `insert_index_files`.

    Raises
    ------
    Exception
        What went wrong first, at the end.  What came after it is taken from the queue and not added, so that nobody
        waits for ever.
    """
    failure: BaseException | None = None
    with closing(sql.connect(path)) as conn, closing(conn.cursor()) as cur:
        set_journaling_to_performance_mode(cur, db_type)
        while not (evt.is_set() and qu.empty()):
            try:
                index_files = qu.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            try:
                if failure is None:
                    insert_index_files(index_files, lock, conn, cur, progress, db_type)
            except Exception as error:
                failure = error
            finally:
                qu.task_done()
    if failure is not None:
        raise failure
