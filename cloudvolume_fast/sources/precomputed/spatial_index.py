# SPDX-License-Identifier: BSD-3-Clause
"""Which labels of meshes or skeletons are where: JSON files on a grid, optionally mirrored in a database."""

from __future__ import annotations

import json
import math
import posixpath
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.deliver.green import WaitsGreen
from cloudvolume_fast.errors import (
    DecodingError,
    InfoValidationError,
    InvalidArgumentError,
    SpatialIndexGapError,
)
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.labels import as_labels, is_scalar
from cloudvolume_fast.model.layer_path import parse_layer_path
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.sources.precomputed import spatial_index_sql as sql
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["SpatialIndex", "layer_spatial_index", "parse_index_file"]

# Files that are read and parsed at once: what is held of a large index at any time.
_BATCH_FILES = 1024
_Result = TypeVar("_Result")
_Corners = tuple[float, float, float, float, float, float]


class IndexPaths:
    """Names of the index files of a range of the grid, made as they are asked for."""

    def __init__(self, index: SpatialIndex, low: Sequence[int], high: Sequence[int]) -> None:
        self._index = index
        self._low = tuple(low)
        self._shape = tuple(max(b - a, 0) for a, b in zip(low, high, strict=True))

    def __len__(self) -> int:
        return math.prod(self._shape)

    def __getitem__(self, number: int) -> str:
        count = len(self)
        if not -count <= number < count:
            raise IndexError(f"index file: expected one of {count}, found {number}")
        number %= count
        point = []
        for low, extent in zip(self._low, self._shape, strict=True):
            point.append(low + number % extent)
            number //= extent
        return self._index.filename_of(point)

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))


def _side_by_side(
    function: Callable[[int], _Result], values: Iterable[int], count: int
) -> Iterator[_Result]:
    """Yield what a function returns for each value, in order, at most `count` being worked on at the same time."""
    if count <= 1:
        yield from map(function, values)
        return
    with ThreadPoolExecutor(count) as pool:
        begun: deque[Future[_Result]] = deque()
        for value in values:
            begun.append(pool.submit(function, value))
            if len(begun) == count:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


class SpatialIndex(WaitsGreen):
    """The spatial index of a folder of meshes or skeletons.

    Parameters
    ----------
    cloudpath : str
        Of the folder.
    bounds : Bbox
        Of the volume, in voxels.
    chunk_size : sequence of 3 numbers
        Of a cell of the grid, in nm.
    config : VolumeConfig, optional
    sql_db : str, optional
        URI of a mirror that `to_sql` made; see `spatial_index_sql.parse_db_path`.
    resolution : sequence of 3 numbers, optional
        Size of a voxel in nm; default 1.
    store : ObjectStore, optional
        Where the files are; default what `cloudpath` names.
    folder : str
        The folder, below the store.

    Attributes
    ----------
    physical_bounds : Bbox
        In nm, as all boxes here.
    precision : int
        Decimals of the numbers in file names: those of the resolution.

    Raises
    ------
    InvalidArgumentError
        `chunk_size` or `resolution` is not positive.

    Notes
    -----
    Upstream behaviour ``SpatialIndex``.
    """

    waiting = frozenset({"file_locations_per_label", "get_bbox", "query"})

    def __init__(
        self,
        cloudpath: str,
        bounds: Any,  # what Bbox.create takes
        chunk_size: Sequence[float],
        config: VolumeConfig | None = None,
        sql_db: str | None = None,
        resolution: Sequence[float] | None = None,
        *,
        store: ObjectStore | None = None,
        folder: str = "",
    ) -> None:
        self.cloudpath = cloudpath
        self.config = VolumeConfig() if config is None else config
        self.bounds = Bbox.create(bounds)
        self.resolution = _positive("resolution", (1, 1, 1) if resolution is None else resolution)
        self.chunk_size = _positive("chunk_size", chunk_size)
        self.sql_db = sql_db
        self.folder = folder
        self.store = open_store(parse_layer_path(cloudpath)) if store is None else store
        self.precision = max(_decimals(extent) for extent in self.resolution.tolist())
        low = [
            v * r for v, r in zip(self.bounds.minpt.tolist(), self.resolution.tolist(), strict=True)
        ]
        high = [
            v * r for v, r in zip(self.bounds.maxpt.tolist(), self.resolution.tolist(), strict=True)
        ]
        self._low, self._high = low, high
        self.physical_bounds = Bbox(
            low, high, dtype=np.int64 if self.precision == 0 else np.float64
        )

    # Names.

    def join(self, *paths: str) -> str:
        """Join parts of a cloud path."""
        return posixpath.join(*paths)

    def key(self, filename: str) -> str:
        """Return the key of an index file in the store."""
        return posixpath.join(self.folder, filename) if self.folder else filename

    def filename_of(self, grid_point: Sequence[int]) -> str:
        """Return the name of the index file of a cell of the grid."""
        step = self.chunk_size.tolist()
        parts = []
        for axis in range(3):
            begin = self._low[axis] + grid_point[axis] * step[axis]
            end = min(begin + step[axis], self._high[axis])
            parts.append(f"{self._number(begin)}-{self._number(end)}")
        return "_".join(parts) + ".spatial"

    def _number(self, value: float) -> str:
        return f"{value:.{self.precision}f}" if self.precision else str(round(value))

    def index_file_paths_for_bbox(self, bbox: Any) -> IndexPaths:  # Any: what Bbox.create takes
        """Return the names of the index files of all cells that a box in nm touches.

        Returns
        -------
        IndexPaths
            With a length; the box is cut at the bounds.
        """
        low, high = self._cut(self._corners(bbox))
        step = self.chunk_size.tolist()
        begin = [math.floor((low[i] - self._low[i]) / step[i]) for i in range(3)]
        end = [math.ceil((high[i] - self._low[i]) / step[i]) for i in range(3)]
        if any(high[i] <= low[i] for i in range(3)):
            return IndexPaths(self, (0, 0, 0), (0, 0, 0))
        return IndexPaths(self, begin, end)

    def _corners(self, bbox: Any) -> _Corners:  # Any: what Bbox.create takes
        box = bbox if isinstance(bbox, Bbox) else Bbox.create(bbox, self.physical_bounds)
        if box.is_physical:
            box = box.convert_units("nm")
        low, high = box.minpt.tolist(), box.maxpt.tolist()
        return (low[0], low[1], low[2], high[0], high[1], high[2])

    def _cut(self, box: _Corners) -> tuple[list[float], list[float]]:
        low = [max(box[axis], self._low[axis]) for axis in range(3)]
        high = [min(box[3 + axis], self._high[axis]) for axis in range(3)]
        return low, high

    # Files.

    def fetch_index_files(
        self, index_files: Iterable[str], progress: bool | None = None
    ) -> dict[str, bytes | None]:
        """Return index files, None where they are missing, by key.

        Parameters
        ----------
        index_files : iterable of str
            Names, without the folder.
        """
        keys = [self.key(name) for name in index_files]
        batches = range(0, len(keys), _BATCH_FILES)
        out: dict[str, bytes | None] = {}
        for start in self._bar(batches, progress, len(batches)):
            part = keys[start : start + _BATCH_FILES]
            out.update(zip(part, self.store.get_many(part), strict=True))
        return out

    def fetch_all_index_files(
        self, allow_missing: bool = False, progress: bool | None = None, parallel: int = 1
    ) -> Iterator[dict[str, bytes | None]]:
        """Yield all index files, in batches as `fetch_index_files` returns.

        Parameters
        ----------
        allow_missing : bool
        progress : bool, optional
        parallel : int
            Batches that are read at the same time.

        Raises
        ------
        SpatialIndexGapError
            One is missing, and `allow_missing` is not set.
        """
        paths = self.index_file_paths_for_bbox(self.physical_bounds)
        batches = range(0, len(paths), _BATCH_FILES)

        def read(start: int) -> dict[str, bytes | None]:
            names = [paths[i] for i in range(start, min(start + _BATCH_FILES, len(paths)))]
            found = self.fetch_index_files(names, False)
            self._check_gaps(found, allow_missing)
            return found

        yield from self._bar(_side_by_side(read, batches, parallel), progress, len(batches))

    def _check_gaps(self, files: Mapping[str, bytes | None], allow_missing: bool) -> None:
        missing = [key for key, content in files.items() if content is None]
        if missing and not allow_missing:
            more = f" ({len(missing) - 1} more are missing)" if len(missing) > 1 else ""
            raise SpatialIndexGapError(
                f"{self.join(self.store.cloudpath, missing[0])}: was not found{more}",
                key=self.join(self.store.cloudpath, missing[0]),
                expected="an index file",
            )

    def _bar(self, values: Iterable[Any], progress: bool | None, total: int) -> Iterable[Any]:
        if not (self.config.progress if progress is None else progress):
            return values
        from tqdm import tqdm

        bar: Iterable[Any] = tqdm(values, desc="Spatial index", total=total)
        return bar

    def parse(self, key: str, content: bytes) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Read an index file.

        Returns
        -------
        labels : ndarray of uint64, shape (n,)
        boxes : ndarray of float64, shape (n, 6)
            Low and high corner, in nm.

        Raises
        ------
        DecodingError
            It is no JSON object of labels to six numbers.
        """
        return parse_index_file(self.join(self.store.cloudpath, key), content)

    def _parsed(
        self, files: Mapping[str, bytes | None]
    ) -> Iterator[tuple[str, NDArray[np.uint64], NDArray[np.float64]]]:
        for key, content in files.items():
            if content is not None:
                yield key, *self.parse(key, content)

    # Questions.

    def query(self, bbox: Any, allow_missing: bool = False) -> Any:  # Any: see below
        """Return the labels whose boxes overlap a box.

        Parameters
        ----------
        bbox : Bbox, slices or 6 numbers
            In nm; cut at the bounds.
        allow_missing : bool
            Take missing index files as empty.

        Returns
        -------
        set of int
            Or, where the box covers everything and there is a database, an ascending ndarray of uint64; an empty list
            where the box lies outside of the bounds.

        Raises
        ------
        SpatialIndexGapError, DecodingError
        """
        box = self._corners(bbox)
        low, high = self._cut(box)
        if any(high[i] <= low[i] for i in range(3)):
            return []
        covers_all = low == self._low and high == self._high
        if covers_all and self.sql_db:
            return sql.all_labels(self.sql_db)
        found: set[int] = set()
        names = self.index_file_paths_for_bbox(bbox)
        for start in range(0, len(names), _BATCH_FILES):
            part = [names[i] for i in range(start, min(start + _BATCH_FILES, len(names)))]
            files = self.fetch_index_files(part, False)
            self._check_gaps(files, allow_missing)
            for _, labels, boxes in self._parsed(files):
                overlaps = ((boxes[:, :3] < box[3:]) & (boxes[:, 3:] > box[:3])).all(axis=1)
                found.update((labels if covers_all else labels[overlaps]).tolist())
        return found

    def get_bbox(self, label: int) -> Bbox | None:
        """Return the box of a label in nm, from its parts in all cells, or None where it is nowhere.

        Raises
        ------
        DecodingError
        """
        locations = self.file_locations_per_label([label], allow_missing=True)
        names = locations[int(label)]
        wanted = as_labels([label])[0]
        parts = []
        for _, labels, boxes in self._parsed(self.fetch_index_files(names, False)):
            parts += list(boxes[labels == wanted])
        if not parts:
            return None
        joined = np.array(parts)
        low, high = joined[:, :3].min(axis=0), joined[:, 3:].max(axis=0)
        is_whole = bool((low % 1 == 0).all() and (high % 1 == 0).all())
        return Bbox(low.tolist(), high.tolist(), dtype=np.int64 if is_whole else np.float64)

    def file_locations_per_label(
        self,
        labels: Any = None,  # Any: a label, several or none
        allow_missing: bool = False,
    ) -> defaultdict[int, list[str]]:
        """Return the names of the index files that labels are in.

        Parameters
        ----------
        labels : int or iterable of int, optional
            Default all; those that are nowhere are not in the result, which has an empty list for what it has not.
        allow_missing : bool
            Take missing index files as empty.

        Raises
        ------
        SpatialIndexGapError, DecodingError
        """
        if self.sql_db:
            return self.file_locations_per_label_sql(labels)
        return self.file_locations_per_label_json(labels, allow_missing)

    def file_locations_per_label_json(
        self,
        labels: Any,  # Any: see above
        allow_missing: bool = False,
    ) -> defaultdict[int, list[str]]:
        """As `file_locations_per_label`, from the index files."""
        wanted = _wanted(labels)
        out: defaultdict[int, list[str]] = defaultdict(list)
        for files in self.fetch_all_index_files(allow_missing, False):
            for key, present, _ in self._parsed(files):
                name = posixpath.basename(key)
                chosen = present if wanted is None else present[np.isin(present, wanted)]
                for label in chosen.tolist():
                    out[label].append(name)
        return out

    def file_locations_per_label_sql(
        self,
        labels: Any,  # Any: see above
        sql_db: str | None = None,
    ) -> defaultdict[int, list[str]]:
        """As `file_locations_per_label`, from the database.

        Raises
        ------
        InvalidArgumentError
            There is none.
        """
        path = self.sql_db if sql_db is None else sql_db
        if not path:
            raise InvalidArgumentError(
                f"{self.cloudpath}: sql_db: expected the URI of a database, found none",
                key="sql_db",
            )
        return sql.file_locations(path, _wanted(labels))

    # Databases.

    def to_sql(
        self,
        path: str | None = None,
        create_indices: bool = True,
        allow_missing: bool = False,
        progress: bool | None = None,
        parallel: int = 1,
    ) -> None:
        """Mirror which label is in which index file to a database; its tables of that name are replaced.

        Parameters
        ----------
        path : str, optional
            URI, see `spatial_index_sql.parse_db_path`; default the one of `sql_db`, else a file ``spatial_index.db``.
        create_indices : bool
            Create indexes afterwards, without which questions are slow.
        allow_missing : bool
            Take missing index files as empty.
        progress : bool, optional
            Show a bar.
        parallel : int
            Connections that write at once; SQLite has one.

        Raises
        ------
        SpatialIndexGapError, DecodingError
        InvalidArgumentError
            The URI names no known database, or `parallel` is more than it can.
        """
        target = path or self.sql_db or "spatial_index.db"
        sql.write_mirror(
            target,
            self._rows(allow_missing, progress),
            create_indices=create_indices,
            parallel=parallel,
        )

    def _rows(
        self, allow_missing: bool, progress: bool | None
    ) -> Iterator[list[tuple[str, NDArray[np.uint64]]]]:
        for files in self.fetch_all_index_files(allow_missing, progress):
            yield [(posixpath.basename(key), labels) for key, labels, _ in self._parsed(files)]

    def to_sqlite(
        self,
        path: str = "spatial_index.db",
        create_indices: bool = True,
        allow_missing: bool = False,
        progress: bool | None = None,
    ) -> None:
        """As `to_sql`, to an SQLite file."""
        self._to("sqlite", path, create_indices, allow_missing, progress, 1)

    def to_mysql(
        self,
        path: str,
        create_indices: bool = True,
        allow_missing: bool = False,
        progress: bool | None = None,
        parallel: int = 1,
    ) -> None:
        """As `to_sql`, to MySQL or MariaDB."""
        self._to("mysql", path, create_indices, allow_missing, progress, parallel)

    def to_postgres(
        self,
        path: str,
        create_indices: bool = True,
        allow_missing: bool = False,
        progress: bool | None = None,
        parallel: int = 1,
    ) -> None:
        """As `to_sql`, to PostgreSQL."""
        self._to("postgres", path, create_indices, allow_missing, progress, parallel)

    def _to(
        self,
        kind: str,
        path: str,
        create_indices: bool,
        allow_missing: bool,
        progress: bool | None,
        parallel: int,
    ) -> None:
        found = sql.parse_db_path(path)["scheme"]
        if sql.db_type(found) != kind:
            raise InvalidArgumentError(
                f"{path}: expected the URI of a {kind} database, found {found}",
                key=path,
                expected=kind,
                found=found,
            )
        self.to_sql(path, create_indices, allow_missing, progress, parallel)


def parse_index_file(
    where: str, content: bytes | str
) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Read an index file, which messages call `where`; see `SpatialIndex.parse`."""
    try:
        entries = json.loads(content)
        labels = as_labels([int(label) for label in entries])
        boxes = np.array(list(entries.values()), np.float64).reshape(
            len(labels), -1 if entries else 6
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise DecodingError(
            f"{where}: expected a JSON object of labels to boxes of 6 numbers: {error}",
            key=where,
            expected="labels to boxes",
        ) from error
    if len(labels) and boxes.shape[1] != 6:
        raise DecodingError(
            f"{where}: expected boxes of 6 numbers, found {boxes.shape[1]}",
            key=where,
            expected=6,
            found=boxes.shape[1],
        )
    return labels, boxes.reshape(-1, 6)


def layer_spatial_index(
    meta: PrecomputedMetadata,
    folder: str,
    entry: Mapping[str, Any] | None,
    mip: int | None,
    config: VolumeConfig,
) -> SpatialIndex | None:
    """Return the spatial index of a folder of a layer.

    Parameters
    ----------
    meta : PrecomputedMetadata
    folder : str
        Of the meshes or skeletons, below the layer.
    entry : dict or None
        ``spatial_index`` of the folder's info.
    mip : int or None
        Scale of the meshes or skeletons, whose resolution counts where the entry has none; default 0.
    config : VolumeConfig
        Its `spatial_index_db` names the mirror.

    Returns
    -------
    SpatialIndex or None
        None where there is no entry.

    Raises
    ------
    InfoValidationError
        The entry has no chunk_size.
    """
    if not entry:
        return None
    key = meta.join(meta.cloudpath, folder, "info")
    scale = 0 if mip is None else mip
    try:
        chunk_size = [_number(value) for value in entry["chunk_size"]]
        resolution = entry.get("resolution")
        cell = meta.resolution(scale).tolist() if resolution is None else resolution
        return SpatialIndex(
            meta.join(meta.cloudpath, folder),
            meta.bounds(scale),
            chunk_size,
            config,
            config.spatial_index_db,
            [_number(value) for value in cell],
            store=meta.store,
            folder=folder,
        )
    except (KeyError, TypeError, InvalidArgumentError) as error:
        raise InfoValidationError(
            f"{key}: spatial_index: expected chunk_size and resolution of 3 positive numbers, found {entry!r}",
            key=key,
            expected="chunk_size, resolution",
            found=entry,
        ) from error


def _number(value: float) -> float:
    """Return whole numbers as integers, which are exact."""
    return int(value) if float(value).is_integer() else float(value)


def _positive(name: str, values: Sequence[float]) -> Vec:
    numbers = [_number(value) for value in values]
    if len(numbers) != 3 or not all(math.isfinite(value) and value > 0 for value in numbers):
        raise InvalidArgumentError(
            f"{name}: expected 3 positive numbers, found {numbers}", key=name, found=numbers
        )
    return Vec(*numbers)


def _decimals(value: float) -> int:
    text = f"{value:.10f}".rstrip("0")
    return len(text.partition(".")[2])


def _wanted(labels: Any) -> NDArray[np.uint64] | None:  # Any: a label, several or none
    if labels is None:
        return None
    return as_labels([labels] if is_scalar(labels) else labels)
