# SPDX-License-Identifier: BSD-3-Clause
"""Spatial indexes: JSON files on a grid, and their mirrors in databases."""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers.databases import DatabaseServer

from cloudvolume_fast import Bbox, CloudVolume, Skeleton, errors
from cloudvolume_fast.sources.precomputed import spatial_index
from cloudvolume_fast.sources.precomputed import spatial_index_sql as sql
from cloudvolume_fast.sources.precomputed.spatial_index import SpatialIndex

LARGEST = 2**64 - 1
FILES: dict[str, dict[int, list[float]]] = {
    "40-296_0-256_0-640.spatial": {
        1: [40, 0, 0, 100, 100, 100],
        2: [200, 0, 0, 296, 100, 100],
        LARGEST: [250, 250, 600, 290, 255, 640],
    },
    "296-440_0-256_0-640.spatial": {
        2: [296, 0, 0, 400, 100, 100],
        3: [300, 50, 50, 400, 100, 100],
    },
}
FIRST, SECOND = FILES
ALL = {1, 2, 3, LARGEST}
LOCATIONS = {1: [FIRST], 2: [FIRST, SECOND], 3: [SECOND], LARGEST: [FIRST]}
ENTRY = {"resolution": [4, 4, 40], "chunk_size": [256, 256, 640]}


@pytest.fixture
def vol(tmp_path: Path) -> Any:
    info = CloudVolume.create_new_info(
        1,
        "segmentation",
        "uint64",
        "raw",
        [4, 4, 40],
        [10, 0, 0],
        [100, 64, 16],
        skeletons="skeletons_mip_0",
    )
    vol = CloudVolume(f"file://{tmp_path}/layer", info=info, progress=False)
    vol.commit_info()
    vol.skeleton.meta.info["spatial_index"] = ENTRY
    vol.skeleton.meta.commit_info()
    for name, boxes in FILES.items():
        write(vol, name, boxes)
    return CloudVolume(vol.cloudpath, progress=False)


def folder_of(vol: Any) -> Path:
    return Path(vol.cloudpath.removeprefix("file://")) / "skeletons_mip_0"


def write(vol: Any, name: str, boxes: Any) -> None:
    content = json.dumps(boxes).encode()
    (folder_of(vol) / f"{name}.gz").write_bytes(gzip.compress(content))


@pytest.fixture
def index(vol: Any) -> SpatialIndex:
    return vol.skeleton.spatial_index


def in_order(locations: dict[int, list[str]]) -> dict[int, list[str]]:
    return {label: sorted(names, key=list(FILES).index) for label, names in locations.items()}


def test_cells_without_labels_are_empty(vol: Any) -> None:
    write(vol, SECOND, {})
    index = vol.skeleton.spatial_index
    assert index.query(index.physical_bounds) == {1, 2, LARGEST}
    assert index.file_locations_per_label() == {label: [FIRST] for label in (1, 2, LARGEST)}


# Names.


def test_grid_begins_at_the_bounds_and_ends_with_them(index: SpatialIndex) -> None:
    names = index.index_file_paths_for_bbox(index.physical_bounds)
    assert (len(names), list(names)) == (2, list(FILES))
    assert (names[0], names[-1]) == (FIRST, SECOND)
    with pytest.raises(IndexError):
        names[2]
    assert list(index.index_file_paths_for_bbox(Bbox((40, 0, 0), (50, 10, 10)))) == [FIRST]
    assert list(index.index_file_paths_for_bbox(Bbox((295, 0, 0), (297, 10, 10)))) == list(FILES)
    assert list(index.index_file_paths_for_bbox(Bbox((296, 0, 0), (297, 10, 10)))) == [SECOND]
    assert list(
        index.index_file_paths_for_bbox(Bbox((-9999, -9999, -9999), (9999, 9999, 9999)))
    ) == list(FILES)
    assert list(index.index_file_paths_for_bbox(Bbox((0, 0, 0), (40, 10, 10)))) == []
    assert index.precision == 0


def test_numbers_have_the_decimals_of_the_resolution(tmp_path: Path) -> None:
    index = SpatialIndex(
        f"file://{tmp_path}/x",
        Bbox((0, 0, 0), (8, 6, 1)),
        [10.5, 10.5, 40],
        resolution=[1.75, 1.75, 40],
    )
    assert index.precision == 2
    names = list(index.index_file_paths_for_bbox(index.physical_bounds))
    assert names == [
        "0.00-10.50_0.00-10.50_0.00-40.00.spatial",
        "10.50-14.00_0.00-10.50_0.00-40.00.spatial",
    ]


def test_the_first_axis_goes_fastest_and_each_cell_once(tmp_path: Path) -> None:
    index = SpatialIndex(f"file://{tmp_path}/x", Bbox((0, 0, 0), (4, 4, 4)), [2, 2, 2])
    names = list(index.index_file_paths_for_bbox(index.physical_bounds))
    assert len(set(names)) == 8
    assert names[:3] == ["0-2_0-2_0-2.spatial", "2-4_0-2_0-2.spatial", "0-2_2-4_0-2.spatial"]


@pytest.mark.parametrize("chunk_size", [[0, 1, 1], [1, 1], [-1, 1, 1], [float("inf"), 1, 1]])
def test_grids_that_make_no_sense_are_refused(
    tmp_path: Path, vol: Any, chunk_size: list[float]
) -> None:
    with pytest.raises((errors.InvalidArgumentError, OverflowError)):
        SpatialIndex(f"file://{tmp_path}/x", Bbox((0, 0, 0), (4, 4, 4)), chunk_size)
    if all(np.isfinite(chunk_size)):
        vol.skeleton.meta.info["spatial_index"] = {"chunk_size": chunk_size}
        with pytest.raises(errors.InfoValidationError, match="skeletons_mip_0/info: spatial_index"):
            vol.skeleton.spatial_index  # noqa: B018


# Questions.


def test_everything_is_found_whatever_its_boxes(index: SpatialIndex) -> None:
    assert index.query(index.physical_bounds) == ALL
    assert index.query(Bbox((0, 0, 0), (10**6, 10**6, 10**6))) == ALL


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((40, 0, 0, 50, 10, 10), {1}),
        ((100, 0, 0, 200, 10, 10), set()),  # boxes that touch do not overlap
        ((99, 0, 0, 201, 10, 10), {1, 2}),
        ((310, 60, 60, 311, 61, 61), {2, 3}),
        ((250, 250, 600, 251, 251, 601), {LARGEST}),
    ],
)
def test_boxes_are_compared_strictly(
    index: SpatialIndex, box: tuple[int, ...], expected: set[int]
) -> None:
    low, high = box[:3], box[3:]
    assert index.query(Bbox(low, high)) == expected
    assert index.query(list(box)) == expected
    assert index.query(tuple(slice(a, b) for a, b in zip(low, high, strict=True))) == expected


def test_outside_of_the_bounds_there_is_nothing(index: SpatialIndex) -> None:
    assert index.query(Bbox((1000, 0, 0), (1005, 5, 5))) == []
    assert index.query(Bbox((0, 0, 0), (5, 5, 5))) == []


def test_other_units_are_converted(index: SpatialIndex) -> None:
    assert index.query(Bbox((0.04, 0, 0), (0.05, 0.01, 0.01), unit="um")) == {1}


def test_box_of_a_label_is_joined_from_its_parts(index: SpatialIndex) -> None:
    assert index.get_bbox(2) == Bbox((200, 0, 0), (400, 100, 100))
    assert index.get_bbox(LARGEST) == Bbox((250, 250, 600), (290, 255, 640))
    assert index.get_bbox(77) is None


def test_files_of_labels_are_told(index: SpatialIndex) -> None:
    assert in_order(index.file_locations_per_label()) == LOCATIONS
    assert in_order(index.file_locations_per_label([2, 77])) == {2: [FIRST, SECOND]}
    assert in_order(index.file_locations_per_label(np.uint64(LARGEST))) == {LARGEST: [FIRST]}
    assert index.file_locations_per_label([77])[77] == []


def test_missing_files_are_a_gap(vol: Any, index: SpatialIndex, tmp_path: Path) -> None:
    (folder_of(vol) / f"{SECOND}.gz").unlink()
    for question in (
        lambda: index.query(index.physical_bounds),
        index.file_locations_per_label,
        lambda: index.to_sql(str(tmp_path / "unused.db")),
        lambda: index.query(Bbox((300, 0, 0), (310, 5, 5))),
        vol.skeleton.list,
    ):
        with pytest.raises(errors.SpatialIndexGapError, match=SECOND):
            question()
    assert index.query(Bbox((40, 0, 0), (50, 10, 10))) == {1}
    assert index.query(index.physical_bounds, allow_missing=True) == {1, 2, LARGEST}
    assert set(index.file_locations_per_label(allow_missing=True)) == {1, 2, LARGEST}
    assert index.get_bbox(2) == Bbox((200, 0, 0), (296, 100, 100))


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "7",
        '{"x": [0, 0, 0, 1, 1, 1]}',
        '{"1": [0, 0, 0]}',
        '{"1": 5}',
        '{"1": [0,0,0,1,1,1], "2": [0]}',
        '{"-1": [0, 0, 0, 1, 1, 1]}',
        '{"18446744073709551616": [0, 0, 0, 1, 1, 1]}',
    ],
)
def test_malformed_files_are_named(vol: Any, index: SpatialIndex, content: str) -> None:
    (folder_of(vol) / f"{FIRST}.gz").write_bytes(gzip.compress(content.encode()))
    with pytest.raises(errors.DecodingError, match=f"layer/skeletons_mip_0/{FIRST}"):
        index.query(index.physical_bounds)


def test_files_are_fetched_by_name(index: SpatialIndex) -> None:
    found = index.fetch_index_files([FIRST, "absent.spatial"])
    assert found["skeletons_mip_0/absent.spatial"] is None
    assert json.loads(found[f"skeletons_mip_0/{FIRST}"] or b"").keys() == {"1", "2", str(LARGEST)}
    batches = list(index.fetch_all_index_files())
    assert [len(batch) for batch in batches] == [2]


def test_so_many_batches_are_fetched_side_by_side(
    index: SpatialIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spatial_index, "_BATCH_FILES", 1)
    expected = list(index.fetch_all_index_files())
    assert len(expected) == 2
    both, read = threading.Barrier(2), index.fetch_index_files

    def meet(*args: Any) -> Any:
        both.wait(30)  # for the other one
        return read(*args)

    monkeypatch.setattr(index, "fetch_index_files", meet)
    assert list(index.fetch_all_index_files(parallel=2)) == expected


def test_skeletons_in_a_box_are_read(vol: Any) -> None:
    path = Skeleton.from_path(np.arange(9, dtype=np.float32).reshape(3, 3))
    for label in (1, 2, 3):
        path.id = label
        vol.skeleton.upload(path)
    box = Bbox((99, 0, 0), (201, 10, 10))
    assert [found.id for found in vol.skeleton.get_bbox(box)] == [1, 2]
    assert [found.id for found in vol.skeleton.get_by_bbox(box)] == [1, 2]
    with pytest.raises(errors.SkeletonDecodeError, match=str(LARGEST)):
        vol.skeleton.get_bbox(Bbox((250, 250, 600), (251, 251, 601)))
    assert vol.skeleton.list().tolist() == sorted(ALL)


def test_without_an_index_boxes_are_refused(tmp_path: Path) -> None:
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", "raw", [4, 4, 40], [10, 0, 0], [100, 64, 16]
    )
    vol = CloudVolume(f"file://{tmp_path}/bare", info=info)
    assert vol.skeleton.spatial_index is None
    with pytest.raises(IndexError, match="bare/skeletons: expected a spatial index"):
        vol.skeleton.get_bbox(Bbox((0, 0, 0), (1, 1, 1)))


# Databases.


@pytest.fixture(params=["sqlite", "sqlite-uri", "postgres", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of a database that does not exist yet."""
    if request.param == "sqlite":
        return str(tmp_path / "index.db")
    if request.param == "sqlite-uri":
        return f"sqlite://{tmp_path / 'index.db'}"
    server: DatabaseServer = request.getfixturevalue(request.param)
    return f"{server.uri}/db{abs(hash(str(tmp_path)))}"


def mirrored(vol: Any, database: str) -> SpatialIndex:
    return CloudVolume(
        vol.cloudpath, spatial_index_db=database, progress=False
    ).skeleton.spatial_index


@pytest.mark.parametrize("create_indices", [True, False])
def test_mirror_answers_as_the_files_do(
    vol: Any, index: SpatialIndex, database: str, create_indices: bool
) -> None:
    for _ in range(2):  # what is there is replaced
        index.to_sql(database, create_indices=create_indices)
    mirror = mirrored(vol, database)
    everything = mirror.query(mirror.physical_bounds)
    assert isinstance(everything, np.ndarray)
    assert everything.dtype == np.uint64
    assert everything.tolist() == sorted(ALL)
    assert mirror.query(Bbox((99, 0, 0), (201, 10, 10))) == {1, 2}
    assert in_order(mirror.file_locations_per_label()) == LOCATIONS
    assert in_order(mirror.file_locations_per_label([2, 77])) == {2: [FIRST, SECOND]}
    assert in_order(mirror.file_locations_per_label(LARGEST)) == {LARGEST: [FIRST]}
    assert mirror.file_locations_per_label([77])[77] == []
    assert mirror.get_bbox(2) == index.get_bbox(2)
    assert mirror.get_bbox(77) is None


def test_mirror_has_upstreams_tables(vol: Any, index: SpatialIndex, database: str) -> None:
    index.to_sql(database)
    with closing(sql.connect(database)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT id, filename FROM index_files ORDER BY id")
        assert cursor.fetchall() == [(1, FIRST), (2, SECOND)]
        cursor.execute("SELECT label, fid FROM file_lookup")
        found = {(label % 2**64, fid) for label, fid in cursor.fetchall()}
        assert found == {(1, 1), (2, 1), (LARGEST, 1), (2, 2), (3, 2)}
        # The next id that the database draws is free.
        mark = "?" if "://" not in database or database.startswith("sqlite") else "%s"
        cursor.execute(f"INSERT INTO index_files (filename) VALUES ({mark})", ("x",))
        cursor.execute("SELECT MAX(id) FROM index_files")
        assert cursor.fetchone()[0] == 3


def test_many_labels_in_many_files(vol: Any, database: str) -> None:
    vol.skeleton.meta.info["spatial_index"] = {"resolution": [4, 4, 40], "chunk_size": [4, 16, 40]}
    vol.skeleton.meta.commit_info()
    vol = CloudVolume(vol.cloudpath)
    index = vol.skeleton.spatial_index
    names = list(index.index_file_paths_for_bbox(index.physical_bounds))
    assert len(names) == 100 * 16 * 16
    rng = np.random.default_rng(1)
    expected: dict[int, list[str]] = {}
    full = names[:: len(names) // 40]
    vol.meta.store.delete_many([f"skeletons_mip_0/{name}" for name in FILES])
    for name in full:
        labels = rng.integers(0, 2**64 - 1, 300, dtype=np.uint64, endpoint=True)
        labels[:150] = rng.integers(0, 100, 150)
        write(vol, name, {int(label): [0, 0, 0, 1, 1, 1] for label in labels})
        for label in set(labels.tolist()):
            expected.setdefault(label, []).append(name)
    index.to_sql(database, allow_missing=True)
    mirror = mirrored(vol, database)
    assert {k: sorted(v) for k, v in mirror.file_locations_per_label().items()} == {
        k: sorted(v) for k, v in expected.items()
    }
    chosen = list(expected)[::3]
    found = mirror.file_locations_per_label(chosen)
    assert {k: sorted(v) for k, v in found.items()} == {k: sorted(expected[k]) for k in chosen}
    assert mirror.query(mirror.physical_bounds).tolist() == sorted(expected)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_several_connections_write_at_once(
    vol: Any,
    index: SpatialIndex,
    server: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cloudvolume_fast.sources.precomputed.spatial_index._BATCH_FILES", 1)
    database = f"{request.getfixturevalue(server).uri}/parallel"
    index.to_sql(database, parallel=3)
    assert in_order(mirrored(vol, database).file_locations_per_label()) == LOCATIONS


def test_each_database_has_its_method(
    vol: Any, index: SpatialIndex, postgres: DatabaseServer, mariadb: DatabaseServer, tmp_path: Path
) -> None:
    uris = [str(tmp_path / "a.db"), f"{postgres.uri}/each", f"{mariadb.uri}/each"]
    methods: list[Callable[..., None]] = [index.to_sqlite, index.to_postgres, index.to_mysql]
    for method, uri in zip(methods, uris, strict=True):
        method(uri)
        assert sorted(sql.all_labels(uri).tolist()) == sorted(ALL)
        for other in set(methods) - {method}:
            with pytest.raises(errors.InvalidArgumentError, match="expected the URI"):
                other(uri)
    with pytest.raises(errors.InvalidArgumentError, match="one writer"):
        index.to_sql(uris[0], parallel=2)
    with pytest.raises(errors.InvalidArgumentError, match="at least 1"):
        index.to_sql(uris[1], parallel=0)


def test_default_is_a_file_here(
    vol: Any, index: SpatialIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    index.to_sql()
    assert sql.all_labels("spatial_index.db").tolist() == sorted(ALL)
    other = mirrored(vol, "other.db")
    other.to_sql()
    assert sql.all_labels("other.db").tolist() == sorted(ALL)


def test_failed_mirror_leaves_nothing_half_written(
    vol: Any, index: SpatialIndex, tmp_path: Path
) -> None:
    (folder_of(vol) / f"{SECOND}.gz").write_bytes(gzip.compress(b"[]"))
    with pytest.raises(errors.DecodingError):
        index.to_sql(str(tmp_path / "index.db"))
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM file_lookup").fetchone() == (0,)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("x.db", ("sqlite", None, None, None, None, "x.db")),
        ("sqlite://x.db", ("sqlite", None, None, None, None, "x.db")),
        ("sqlite:///tmp/x@y:z.db", ("sqlite", None, None, None, None, "/tmp/x@y:z.db")),
        ("/tmp/a@b/x.db", ("sqlite", None, None, None, None, "/tmp/a@b/x.db")),
        ("mysql://u:p@h:3/db", ("mysql", "u", "p", "h", 3, "db")),
        ("mysql://h", ("mysql", None, None, "h", None, "spatial_index")),
        ("mysql://u@h/", ("mysql", "u", None, "h", None, "spatial_index")),
        ("postgresql://u:p%40%20@h/db", ("postgresql", "u", "p@ ", "h", None, "db")),
        ("postgres://u:a:b@[::1]:5/db", ("postgres", "u", "a:b", "::1", 5, "db")),
    ],
)
def test_uris_are_taken_apart(uri: str, expected: tuple[Any, ...]) -> None:
    assert tuple(sql.parse_db_path(uri).values()) == expected


@pytest.mark.parametrize(
    "uri", ["oracle://h/db", "mysql://h:port/db", "postgres://h/a-b", "mysql://h/a;b"]
)
def test_uris_that_make_no_sense_are_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"spatial_index_db|expected"):
        sql.connect(uri)


def test_messages_keep_passwords_to_themselves() -> None:
    with pytest.raises(errors.InvalidArgumentError) as raised:
        sql.connect("mysql://me:secret@host:what/db")
    assert "secret" not in str(raised.value)
    with pytest.raises(errors.InvalidArgumentError) as raised:
        sql.connect("mysql://me:secret@host/d-b")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
@pytest.mark.parametrize("named", [True, False])
def test_credentials_come_from_the_secret_files(
    server: str,
    named: bool,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    vol: Any,
    index: SpatialIndex,
) -> None:
    running: DatabaseServer = request.getfixturevalue(server)
    parts = sql.parse_db_path(running.uri)
    kind = "psql" if server == "postgres" else "mysql"
    secrets = tmp_path / "home" / "secrets"
    secrets.mkdir(parents=True)
    name = f"127.0.0.1-{kind}-secret.json" if named else f"{kind}-secret.json"
    (secrets / name).write_text(json.dumps({k: parts[k] for k in ("username", "password")}))  # type: ignore[literal-required]
    monkeypatch.setenv("CLOUD_VOLUME_DIR", str(secrets.parent))
    uri = f"{parts['scheme']}://127.0.0.1:{parts['port']}/secret{named}"
    index.to_sql(uri)
    assert sql.all_labels(uri).tolist() == sorted(ALL)
    (secrets / name).write_text("[]")
    with pytest.raises(errors.AuthorizationError, match=name):
        sql.connect(uri)
