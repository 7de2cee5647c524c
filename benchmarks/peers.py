# SPDX-License-Identifier: BSD-3-Clause
"""The implementations that are compared, each told the best settings it has for equal work.

An adapter opens a volume in one or more *variants*: settings that its documentation offers and of
which none is best for everything. The benchmark tries all variants of a row and keeps the fastest,
for each implementation alike. For all of them: no cache unless the row is about it, no fsync, the
same number of threads, Fortran order (the order in which Precomputed is stored).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]
WHOLE: Box = (slice(None), slice(None), slice(None))


class Volume(Protocol):
    """An open volume of one implementation."""

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box: shape (x, y, z, 1)."""

    def read_points(self, points: NDArray[np.int64]) -> Any:
        """Read voxels in the form the implementation has for that, see `point_values`."""

    def write(self, voxels: NDArray[Any]) -> None:
        """Write the whole volume."""


def point_values(result: Any, points: NDArray[np.int64]) -> NDArray[Any]:
    """Bring what `Volume.read_points` returned into the order of the points."""
    if isinstance(result, dict):
        return np.array([result[x, y, z] for x, y, z in points.tolist()])
    return np.asarray(result)


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to open volumes.

    Attributes
    ----------
    name : str
        The settings that differ from the other variants'; empty if there is only one.
    open : callable
        ``open(path, threads, cache_bytes)`` opens a volume that exists, to read, or to write
        uncompressed; up to so many bytes of its chunks are held in memory.
    starts_processes : bool
        Each call does, which takes from 0.1 to 1 second; tried for whole volumes only.
    keeps_indexes : bool
        Told to keep indexes of shards, where that is a setting; tried for sharded volumes only.
    """

    name: str
    open: Callable[[Path, int, int], Volume]
    starts_processes: bool = False
    keeps_indexes: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """An implementation.

    Attributes
    ----------
    name, module, distribution : str
    reading, writing : tuple of Variant
    encodings : frozenset of str or None
        Which it has; None for all.
    reads_suffixes : bool
        Whether it finds chunks that are compressed a second time, whose names have a suffix.
    """

    name: str
    module: str
    distribution: str
    reading: tuple[Variant, ...]
    writing: tuple[Variant, ...]
    encodings: frozenset[str] | None = None
    reads_suffixes: bool = True

    def has(self, encoding: str, *, compressed: bool = False) -> bool:
        """Whether it reads chunks of an encoding, with or without a second compression."""
        is_known = self.encodings is None or encoding in self.encodings
        return is_known and (self.reads_suffixes or not compressed)

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.distribution)

    @property
    def is_present(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


class _CloudVolumeLike:
    """The interface that upstream and we share."""

    def __init__(self, module: str, path: Path, **options: Any) -> None:
        make = importlib.import_module(module).CloudVolume
        self._volume = make(
            f"file://{path}", mip=0, progress=False, cache=False, compress=False, **options
        )

    def read(self, box: Box) -> NDArray[Any]:
        return self._volume[box]

    def read_points(self, points: NDArray[np.int64]) -> Any:
        return self._volume.scattered_points(points)

    def write(self, voxels: NDArray[Any]) -> None:
        self._volume[:, :, :] = voxels


class _TensorStore:
    def __init__(self, path: Path, threads: int, cache_bytes: int, file_io_mode: str) -> None:
        import tensorstore as ts

        self._ts = ts
        context = ts.Context(
            {
                "cache_pool": {"total_bytes_limit": cache_bytes},
                "data_copy_concurrency": {"limit": threads},
                "file_io_concurrency": {"limit": threads},
                "file_io_sync": False,
                # Still renames into place, as the others do; only the lock files go.
                "file_io_locking": {"mode": "none"},
                "file_io_mode": {"mode": file_io_mode},
            }
        )
        self._store = ts.open(
            {
                "driver": "neuroglancer_precomputed",
                "kvstore": {"driver": "file", "path": f"{path}/"},
                "scale_index": 0,
            },
            context=context,
            # What is in memory is taken as it is, as the others do.
            recheck_cached_data=False if cache_bytes else None,
            open=True,
            read=True,
            write=True,
        ).result()
        scale = self._store.spec().to_json()["scale_metadata"]
        self._is_sharded = scale.get("sharding") is not None

    def read(self, box: Box) -> NDArray[Any]:
        # Into an array of our own: `read(order="F")` took from 1.3 to 2 times as long.
        view = self._store[box]
        out = np.empty(view.shape, view.dtype.numpy_dtype, order="F")
        self._ts.array(out).write(view.translate_to[0]).result()
        return out

    def read_points(self, points: NDArray[np.int64]) -> Any:
        x, y, z = points.T
        return self._store.vindex[x, y, z, 0].read().result()

    def write(self, voxels: NDArray[Any]) -> None:
        if not self._is_sharded:
            self._store.write(voxels).result()
            return
        # Without a transaction the shard is read and replaced for a few chunks at a time.
        with self._ts.Transaction() as transaction:
            self._store.with_transaction(transaction).write(voxels).result()


class _TensorStoreReadF(_TensorStore):
    def read(self, box: Box) -> NDArray[Any]:
        return self._store[box].read(order="F").result()


def _upstream(name: str, **options: Any) -> Variant:
    def open_(path: Path, threads: int, cache_bytes: int = 0) -> Volume:
        filled = {k: threads if v is _THREADS else v for k, v in options.items()}
        return _CloudVolumeLike("cloudvolume", path, lru_bytes=cache_bytes, **filled)

    return Variant(name, open_, starts_processes=options["parallel"] is _THREADS)


def _ours(path: Path, threads: int, cache_bytes: int = 0) -> Volume:
    return _CloudVolumeLike("cloudvolume_fast", path, parallel=threads, lru_bytes=cache_bytes)


def _tensorstore(
    name: str, kind: type[_TensorStore], file_io_mode: str, *, index_bytes: int = 0
) -> Variant:
    def open_(path: Path, threads: int, cache_bytes: int = 0) -> Volume:
        return kind(path, threads, max(cache_bytes, index_bytes), file_io_mode)

    return Variant(name, open_, keeps_indexes=index_bytes > 0)


_THREADS = object()

# Room for indexes of some 5,000 chunks, and for no decoded chunk: the smallest has 256 KiB.
_INDEX_BYTES = 1 << 17

OURS = Peer(
    "ours", "cloudvolume_fast", "cloudvolume-fast", (Variant("", _ours),), (Variant("", _ours),)
)
CLOUD_VOLUME = Peer(
    "cloud-volume",
    "cloudvolume",
    "cloud-volume",
    reading=(
        _upstream("parallel=1", parallel=1),
        _upstream("codec_threads", parallel=1, codec_threads=_THREADS),
        _upstream("parallel", parallel=_THREADS),
    ),
    writing=(
        _upstream("parallel=1", parallel=1),
        _upstream("codec_threads", parallel=1, codec_threads=_THREADS),
        _upstream("parallel", parallel=_THREADS),
    ),
)
TENSORSTORE = Peer(
    "tensorstore",
    "tensorstore",
    "tensorstore",
    reading=(
        _tensorstore("own array", _TensorStore, "default"),
        _tensorstore("own array, mmap", _TensorStore, "memmap"),
        _tensorstore("read F", _TensorStoreReadF, "default"),
        _tensorstore("read F, mmap", _TensorStoreReadF, "memmap"),
        _tensorstore("indexes kept", _TensorStore, "default", index_bytes=_INDEX_BYTES),
        _tensorstore("indexes kept, mmap", _TensorStore, "memmap", index_bytes=_INDEX_BYTES),
    ),
    writing=(_tensorstore("", _TensorStore, "default"),),
    encodings=frozenset({"raw", "png", "jpeg", "compressed_segmentation"}),
    # Its file driver looks for the bare name only.
    reads_suffixes=False,
)


def limit_threads(threads: int) -> None:
    """Give pools that read their size from the environment the same number of threads."""
    os.environ["CVFAST_THREADS"] = str(threads)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
