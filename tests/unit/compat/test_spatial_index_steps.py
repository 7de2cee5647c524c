# SPDX-License-Identifier: BSD-3-Clause
"""The steps of filling a database with a spatial index, under upstream's names."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume, errors
from cloudvolume_fast.compat.spatial_index import (
    PG_BINARY_COPY_SIGNATURE,
    CachedSpatialIndex,
    DbType,
    insert_index_files,
    set_journaling_to_performance_mode,
    thread_safe_insert,
    tostr,
)
from cloudvolume_fast.sources.precomputed import spatial_index_sql as sql

LARGEST = 2**64 - 1
FILES = {
    "mesh/0-64_0-64_0-64.spatial": b'{"5": [0,0,0,1,1,1], "7": [0,0,0,2,2,2]}',
    "64-128_0-64_0-64.spatial": json.dumps({str(LARGEST): [0] * 6, "7": [0] * 6}),
    "empty.spatial": None,
}
LOCATIONS = {
    5: ["0-64_0-64_0-64.spatial"],
    7: ["0-64_0-64_0-64.spatial", "64-128_0-64_0-64.spatial"],
    LARGEST: ["64-128_0-64_0-64.spatial"],
}


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, DbType]:
    """The URI of a database with empty tables, and its kind."""
    if request.param == "sqlite":
        uri, kind = str(tmp_path / "index.db"), DbType.SQLITE
    else:
        uri = f"{request.getfixturevalue(request.param).uri}/steps"
        kind = DbType.POSTGRES if request.param == "postgres" else DbType.MYSQL
    sql.write_mirror(uri, [], create_indices=False)
    return uri, kind


def names_in(uri: str) -> list[str]:
    with closing(sql.connect(uri)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT filename FROM index_files ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def test_kinds_are_text() -> None:
    assert [str(kind) for kind in DbType] == ["sqlite", "mysql", "postgres"]
    assert DbType("mysql") is DbType.MYSQL
    with pytest.raises(ValueError, match="oracle"):
        DbType("oracle")
    assert PG_BINARY_COPY_SIGNATURE == b"PGCOPY\n\xff\r\n\0"


def test_bytes_become_text() -> None:
    assert [tostr(x) for x in (b"a\xc3\xb6", "b", 5, None)] == ["aö", "b", 5, None]


def test_files_are_added(database: tuple[str, DbType]) -> None:
    uri, kind = database
    with closing(sql.connect(uri)) as connection, closing(connection.cursor()) as cursor:
        assert set_journaling_to_performance_mode(cursor, kind) is cursor
        for path, content in FILES.items():
            insert_index_files({path: content}, threading.Lock(), connection, cursor, False, kind)
    assert sql.file_locations(uri, None) == LOCATIONS
    assert sql.file_locations(uri, np.array([7], np.uint64)) == {7: LOCATIONS[7]}
    assert names_in(uri) == [path.rpartition("/")[2] for path in FILES]


def test_of_files_that_do_not_parse_none_is_added(database: tuple[str, DbType]) -> None:
    uri, kind = database
    bad = {**FILES, "bad.spatial": b'{"5": [1'}
    with closing(sql.connect(uri)) as connection, closing(connection.cursor()) as cursor:
        with pytest.raises(errors.DecodingError, match=r"bad\.spatial"):
            insert_index_files(bad, threading.Lock(), connection, cursor, False, kind)
        cursor.execute("DROP TABLE file_lookup")
        connection.commit()
        with pytest.raises(Exception, match="file_lookup"):
            insert_index_files(FILES, threading.Lock(), connection, cursor, False, kind)
    assert names_in(uri) == []


def test_threads_add_what_comes_through_a_queue(database: tuple[str, DbType]) -> None:
    uri, kind = database
    lock, stop = threading.Lock(), threading.Event()
    files: queue.Queue[Any] = queue.Queue()
    threads = [
        threading.Thread(target=thread_safe_insert, args=(uri, lock, stop, files, False, kind))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for number in range(40):
        files.put({f"{number}.spatial": json.dumps({str(number): [0] * 6, "1000": [0] * 6})})
    files.join()
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    found = sql.file_locations(uri, None)
    assert {label: names for label, names in found.items() if label < 1000} == {
        number: [f"{number}.spatial"] for number in range(40)
    }
    assert len(found[1000]) == 40


def test_a_failure_ends_with_an_empty_queue(tmp_path: Path) -> None:
    uri = str(tmp_path / "index.db")
    sql.write_mirror(uri, [])
    files: queue.Queue[Any] = queue.Queue()
    for content in (b"{}", b"[", b"{}"):
        files.put({f"{files.qsize()}.spatial": content})
    stop = threading.Event()
    stop.set()
    with pytest.raises(errors.DecodingError, match=r"1\.spatial"):
        thread_safe_insert(uri, threading.Lock(), stop, files, False, DbType.SQLITE)
    files.join()
    assert names_in(uri) == ["0.spatial"]


def test_files_are_kept_in_the_cache(tmp_path: Path) -> None:
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", "raw", [1, 1, 1], [0, 0, 0], [64, 64, 64], mesh="mesh"
    )
    layer = tmp_path / "layer"
    vol = CloudVolume(f"file://{layer}", info=info, progress=False)
    vol.commit_info()
    (layer / "mesh").mkdir()
    name = "0-64_0-64_0-64.spatial"
    (layer / "mesh" / name).write_bytes(FILES["mesh/0-64_0-64_0-64.spatial"] or b"")
    vol = CloudVolume(vol.cloudpath, cache=str(tmp_path / "cache"), progress=False)
    arguments = (vol.cache, vol.config, f"{vol.cloudpath}/mesh", vol.bounds, [64] * 3, [1] * 3)
    index = CachedSpatialIndex(*arguments)
    assert index.query(index.physical_bounds) == {5, 7}
    (layer / "mesh" / name).unlink()
    assert CachedSpatialIndex(*arguments).query(index.physical_bounds) == {5, 7}
    vol.cache.flush()
    with pytest.raises(errors.SpatialIndexGapError, match="was not found"):
        index.query(index.physical_bounds)
    with pytest.raises(errors.InvalidArgumentError, match="expected a folder in"):
        CachedSpatialIndex(vol.cache, vol.config, "file:///elsewhere", *arguments[3:])
