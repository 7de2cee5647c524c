# SPDX-License-Identifier: BSD-3-Clause
"""Databases that mirror a spatial index: SQLite, MySQL or MariaDB, PostgreSQL.

The schema is upstream's, so that either library reads what the other wrote::

    index_files(id, filename)    file_lookup(label, fid)

SQLite and PostgreSQL have no unsigned integers of 64 bits: labels of 2^63 and more are stored as negative numbers.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, TypedDict
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.fetch.secrets import database_secret

__all__ = [
    "COPY_SIGNATURE",
    "DbPath",
    "add_index_files",
    "all_labels",
    "connect",
    "db_type",
    "file_locations",
    "parse_db_path",
    "write_mirror",
]

_URI = re.compile(
    r"(?:(?P<scheme>[A-Za-z0-9+]+)://)?"
    r"(?:(?P<username>[^:@/]+)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_TYPES = {"sqlite": "sqlite", "mysql": "mysql", "postgres": "postgres", "postgresql": "postgres"}
_DEFAULT_DATABASE = "spatial_index"
_PORTS = {"mysql": 3306, "postgres": 5432}
_NAME = re.compile(r"[A-Za-z0-9_]+")
# A statement has room for about this many values on every database.
_VALUES = 500
COPY_SIGNATURE = b"PGCOPY\n\xff\r\n\0"

Rows = Iterable[Sequence[tuple[str, NDArray[np.uint64]]]]
"""Batches of index files: the name of each, and the labels in it."""


class DbPath(TypedDict):
    """The parts of a database's URI."""

    scheme: str
    username: str | None
    password: str | None
    hostname: str | None
    port: int | None
    path: str


def parse_db_path(path: str) -> DbPath:
    """Take the URI of a database apart.

    Parameters
    ----------
    path : str
        ``[sqlite://]FILE``, or ``mysql://``, ``postgres://`` or ``postgresql://`` and
        ``[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]``.  User and password may be percent-encoded.

    Raises
    ------
    InvalidArgumentError
        It is none of these.
    """
    found = _URI.fullmatch(path)
    scheme = (found.group("scheme") if found else None) or "sqlite"
    if db_type(scheme) == "sqlite":
        return {
            "scheme": "sqlite",
            "username": None,
            "password": None,
            "hostname": None,
            "port": None,
            "path": path.partition("://")[2] if "://" in path else path,
        }
    assert found is not None
    host, slash, database = found.group("rest").partition("/")
    bracket = host.rfind("]")  # of an IPv6 address
    name, colon, port = host[bracket + 1 :].partition(":")
    if colon and not port.isdecimal():
        raise InvalidArgumentError(
            f"{_redacted(path)}: expected a port, found {port!r}",
            key="spatial_index_db",
            found=port,
        )
    username, password = found.group("username"), found.group("password")
    return {
        "scheme": scheme,
        "username": None if username is None else unquote(username),
        "password": None if password is None else unquote(password),
        "hostname": (host[: bracket + 1] + name).strip("[]") or None,
        "port": int(port) if colon else None,
        "path": database if slash and database else _DEFAULT_DATABASE,
    }


def db_type(scheme: str) -> str:
    """Return sqlite, mysql or postgres.

    Raises
    ------
    InvalidArgumentError
        For another scheme.
    """
    if scheme not in _TYPES:
        raise InvalidArgumentError(
            f"spatial_index_db: expected one of {', '.join(_TYPES)}, found {scheme}",
            key="spatial_index_db",
            expected=tuple(_TYPES),
            found=scheme,
        )
    return _TYPES[scheme]


def _redacted(path: str) -> str:
    return re.sub(r"://([^:@/]+):[^@/]*@", r"://\1:***@", path)


def _driver(name: str, extra: str) -> Any:  # Any: a module
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"the package {name} is not installed: pip install 'cloudvolume-fast[{extra}]'"
        ) from error


def _credentials(parts: DbPath, kind: str) -> tuple[str | None, str | None]:
    """Return user and password: those of the URI, what it lacks from the secret files that upstream reads."""
    username, password = parts["username"], parts["password"]
    if username is not None and password is not None:
        return username, password
    secret: Any = (
        database_secret("mysql" if kind == "mysql" else "psql", parts["hostname"] or "") or {}
    )
    return username or secret.get("username"), password or secret.get("password")


def connect(path: str, use_database: bool = True) -> Any:  # Any: a connection of the driver's
    """Connect to a database.

    Parameters
    ----------
    path : str
        See `parse_db_path`.
    use_database : bool
        Connect to the server without choosing the database, where False.

    Raises
    ------
    InvalidArgumentError
        The URI is malformed, or the name of the database has other characters than letters, digits and underscores.
    AuthorizationError
        A file of secrets cannot be read.
    ImportError
        The driver is not installed.
    """
    parts = parse_db_path(path)
    kind = db_type(parts["scheme"])
    if kind == "sqlite":
        import sqlite3

        return sqlite3.connect(parts["path"])
    name = parts["path"]
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"{_redacted(path)}: expected a database named by letters, digits and underscores, found {name!r}",
            key="spatial_index_db",
            found=name,
        )
    username, password = _credentials(parts, kind)
    host = parts["hostname"] or "localhost"
    port = parts["port"] or _PORTS[kind]
    if kind == "mysql":
        driver = _driver("mysql.connector", "mysql")
        chosen = {"database": name} if use_database else {}
        # A collation that MariaDB has too; the driver's default is MySQL 8's alone.
        return driver.connect(
            host=host,
            port=port,
            user=username,
            password=password or "",
            charset="utf8mb4",
            collation="utf8mb4_bin",
            **chosen,
        )
    driver = _driver("psycopg2", "psql")
    return driver.connect(
        host=host,
        port=port,
        user=username,
        password=password,
        dbname=name if use_database else "postgres",
    )


@contextlib.contextmanager
def _connection(path: str, use_database: bool = True) -> Iterator[tuple[Any, Any]]:
    """Yield connection and cursor: committed at the end, rolled back when it raises, closed in either case."""
    connection = connect(path, use_database)
    try:
        cursor = connection.cursor()
        try:
            yield connection, cursor
            connection.commit()
        except BaseException:
            with contextlib.suppress(Exception):  # the first failure is the one to tell
                connection.rollback()
            raise
        finally:
            with contextlib.suppress(Exception):  # unread results of what failed
                cursor.close()
    finally:
        connection.close()


def _kind(path: str) -> str:
    return db_type(parse_db_path(path)["scheme"])


def _stored(labels: NDArray[np.uint64], kind: str) -> NDArray[Any]:  # Any: signed or not
    return labels if kind == "mysql" else labels.view(np.int64)


def _label(stored: int) -> int:
    return int(stored) & (2**64 - 1)


# Writing.

_SCHEMA = {
    "sqlite": (
        "CREATE TABLE index_files (id INTEGER PRIMARY KEY AUTOINCREMENT, filename VARCHAR(100) NOT NULL)",
        "CREATE TABLE file_lookup (label INTEGER NOT NULL, fid INTEGER NOT NULL)",
    ),
    "mysql": (
        "CREATE TABLE index_files "
        "(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, filename VARCHAR(100) NOT NULL)",
        "CREATE TABLE file_lookup "
        "(label BIGINT UNSIGNED NOT NULL, fid BIGINT UNSIGNED NOT NULL, PRIMARY KEY (label, fid))",
    ),
    "postgres": (
        "CREATE UNLOGGED TABLE index_files (id BIGSERIAL NOT NULL, filename VARCHAR(100) NOT NULL)",
        "CREATE UNLOGGED TABLE file_lookup (label BIGINT NOT NULL, fid BIGINT NOT NULL)",
    ),
}
_INDEXES = {
    "sqlite": (
        "CREATE UNIQUE INDEX pk_label_fid ON file_lookup (label, fid)",
        "CREATE INDEX idxfname ON index_files (filename)",
        "CREATE INDEX fname ON file_lookup (fid)",
        "ANALYZE",
    ),
    "mysql": (
        "CREATE INDEX idxfname ON index_files (filename)",
        "CREATE INDEX fname ON file_lookup (fid)",
    ),
    "postgres": (
        "ALTER TABLE index_files ADD PRIMARY KEY (id)",
        "ALTER TABLE file_lookup ADD PRIMARY KEY (label, fid)",
        "ALTER TABLE file_lookup ADD FOREIGN KEY (fid) REFERENCES index_files (id)",
        "CREATE INDEX idxfname ON index_files (filename)",
        "CREATE INDEX fname ON file_lookup (fid)",
        "ANALYZE index_files",
        "ANALYZE file_lookup",
    ),
}


def write_mirror(path: str, rows: Rows, *, create_indices: bool = True, parallel: int = 1) -> None:
    """Replace the tables of a database by the labels of index files.

    Parameters
    ----------
    path : str
        See `parse_db_path`.
    rows : iterable
    create_indices : bool
    parallel : int
        Connections that insert at once.

    Raises
    ------
    InvalidArgumentError
        `parallel` is not positive, or above 1 for SQLite; see also `connect`.
    """
    kind = _kind(path)
    if parallel < 1 or (kind == "sqlite" and parallel != 1):
        wanted = "1, as SQLite has one writer" if kind == "sqlite" else "at least 1"
        raise InvalidArgumentError(
            f"parallel: expected {wanted}, found {parallel}", key="parallel", found=parallel
        )
    if kind != "sqlite":
        _create_database(path, kind)
    with _connection(path) as (_, cursor):
        cursor.execute("DROP TABLE IF EXISTS file_lookup")
        cursor.execute("DROP TABLE IF EXISTS index_files")
        for statement in _SCHEMA[kind]:
            cursor.execute(statement)
    numbered = _numbered(rows)
    if parallel == 1:
        with _connection(path) as (_, cursor):
            for first, batch in numbered:
                _insert(cursor, kind, first, batch)
    else:
        _insert_in_parallel(path, kind, numbered, parallel)
    with _connection(path) as (_, cursor):
        if kind == "postgres":  # ids were given, not drawn
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('index_files', 'id'), "
                "(SELECT COALESCE(MAX(id), 0) + 1 FROM index_files), false)"
            )
        for statement in _INDEXES[kind] if create_indices else ():
            cursor.execute(statement)


def _create_database(path: str, kind: str) -> None:
    name = parse_db_path(path)["path"]  # looked at by connect
    connection = connect(path, use_database=False)
    try:
        if kind == "postgres":
            connection.autocommit = True
        cursor = connection.cursor()
        if kind == "mysql":
            cursor.execute(
                f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8 COLLATE utf8_bin"
            )
        else:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{name}"')
        cursor.close()
    finally:
        connection.close()


Batch = Sequence[tuple[str, NDArray[np.uint64]]]


def _numbered(rows: Rows) -> Iterator[tuple[int, Batch]]:
    first = 1
    for batch in rows:
        yield first, batch
        first += len(batch)


def _insert_in_parallel(
    path: str, kind: str, batches: Iterable[tuple[int, Batch]], parallel: int
) -> None:
    def insert(first: int, batch: Batch) -> None:
        with _connection(path) as (_, cursor):
            _insert(cursor, kind, first, batch)

    with ThreadPoolExecutor(parallel) as pool:
        pending: set[Future[None]] = set()
        for first, batch in batches:
            pending.add(pool.submit(insert, first, batch))
            if len(pending) > 2 * parallel:  # what is read waits for what is written
                done, pending = wait(pending, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        for future in pending:
            future.result()


def add_index_files(connection: Any, cursor: Any, kind: str, batch: Batch) -> None:  # Any: drivers'
    """Add index files to the tables that `write_mirror` makes, with ids that the database draws.

    Either all of them are added, or none.

    Parameters
    ----------
    connection, cursor
        Of the database's driver.
    kind : str
        See `db_type`.
    batch : sequence of (str, ndarray of uint64)
        The name of each file, and the labels in it.
    """
    try:
        _insert_labels(cursor, kind, _draw_files(cursor, kind, [name for name, _ in batch]), batch)
        connection.commit()
    except BaseException:
        with contextlib.suppress(Exception):  # the first failure is the one to tell
            connection.rollback()
        raise


def _draw_files(cursor: Any, kind: str, names: Sequence[str]) -> list[int]:
    fids = []
    mark = "?" if kind == "sqlite" else "%s"
    drawn = " RETURNING id" if kind == "postgres" else ""
    for name in names:
        cursor.execute(f"INSERT INTO index_files (filename) VALUES ({mark}){drawn}", (name,))
        fids.append(int(cursor.fetchone()[0] if drawn else cursor.lastrowid))
    return fids


def _insert(cursor: Any, kind: str, first: int, batch: Batch) -> None:  # Any: the driver's
    files = [(first + i, name) for i, (name, _) in enumerate(batch)]
    if kind == "postgres":
        _copy_files(cursor, files)
    else:
        mark = "?" if kind == "sqlite" else "%s"
        cursor.executemany(f"INSERT INTO index_files (id, filename) VALUES ({mark}, {mark})", files)
    _insert_labels(cursor, kind, [fid for fid, _ in files], batch)


def _insert_labels(cursor: Any, kind: str, numbers: Sequence[int], batch: Batch) -> None:
    labels = np.concatenate([np.empty(0, np.uint64), *(labels for _, labels in batch)])
    counts = [len(labels) for _, labels in batch]
    fids = np.repeat(np.array(numbers, np.int64), counts)
    stored = _stored(labels, kind)
    if kind == "postgres":
        _copy_labels(cursor, stored, fids)
        return
    if kind == "sqlite":
        pairs = zip(stored.tolist(), fids.tolist(), strict=True)
        cursor.executemany("INSERT INTO file_lookup (label, fid) VALUES (?, ?)", pairs)
        return
    rows = [f"({label},{fid})" for label, fid in zip(stored.tolist(), fids.tolist(), strict=True)]
    for start in range(
        0, len(rows), 10_000
    ):  # numbers alone: 400 kB a statement, below every server's limit
        values = ",".join(rows[start : start + 10_000])
        cursor.execute(f"INSERT INTO file_lookup (label, fid) VALUES {values}")


# PostgreSQL's binary form, which it takes fastest: a header, flags and no extension; then rows.
_COPY_HEADER = COPY_SIGNATURE + bytes(8)
_COPY_END = b"\xff\xff"


def _copy_files(cursor: Any, files: list[tuple[int, str]]) -> None:
    names = b"".join(
        b"\x00\x02\x00\x00\x00\x08"
        + fid.to_bytes(8, "big")
        + len(name.encode()).to_bytes(4, "big")
        + name.encode()
        for fid, name in files
    )
    cursor.copy_expert(
        "COPY index_files (id, filename) FROM STDIN WITH BINARY",
        io.BytesIO(_COPY_HEADER + names + _COPY_END),
    )


def _copy_labels(cursor: Any, labels: NDArray[np.int64], fids: NDArray[np.int64]) -> None:
    row = np.dtype(
        [
            ("columns", ">i2"),
            ("label_bytes", ">i4"),
            ("label", ">i8"),
            ("fid_bytes", ">i4"),
            ("fid", ">i8"),
        ]
    )
    table = np.empty(len(labels), row)
    table["columns"], table["label_bytes"], table["fid_bytes"] = 2, 8, 8
    table["label"], table["fid"] = labels, fids
    cursor.copy_expert(
        "COPY file_lookup (label, fid) FROM STDIN WITH BINARY",
        io.BytesIO(_COPY_HEADER + table.tobytes() + _COPY_END),
    )


# Questions.


def all_labels(path: str) -> NDArray[np.uint64]:
    """Return all labels, ascending."""
    with _connection(path) as (_, cursor):
        cursor.execute("SELECT DISTINCT label FROM file_lookup")
        labels = [_label(row[0]) for row in cursor.fetchall()]
    return np.sort(np.array(labels, np.uint64))


def file_locations(path: str, labels: NDArray[np.uint64] | None) -> defaultdict[int, list[str]]:
    """Return the names of the index files that labels are in; of all labels where none are given."""
    kind = _kind(path)
    mark = "?" if kind == "sqlite" else "%s"
    query = (
        "SELECT file_lookup.label, index_files.filename FROM file_lookup "
        "JOIN index_files ON file_lookup.fid = index_files.id"
    )
    out: defaultdict[int, list[str]] = defaultdict(list)
    with _connection(path) as (_, cursor):
        if labels is None:
            cursor.execute(query + " ORDER BY file_lookup.fid")
            for label, name in cursor.fetchall():
                out[_label(label)].append(name)
            return out
        wanted = _stored(np.unique(labels), kind).tolist()
        for start in range(0, len(wanted), _VALUES):
            part = wanted[start : start + _VALUES]
            marks = ",".join([mark] * len(part))
            cursor.execute(
                f"{query} WHERE file_lookup.label IN ({marks}) ORDER BY file_lookup.fid", part
            )
            for label, name in cursor.fetchall():
                out[_label(label)].append(name)
    return out
