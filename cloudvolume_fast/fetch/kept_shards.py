# SPDX-License-Identifier: BSD-3-Clause
"""Data of 64-bit labels out of shard files, kept on this machine in upstream's layout.

Beside what else is kept of a layer: of the shard ``F/N.shard`` the shard index as ``F/N.shard.index`` and the index of
minishard ``M`` as ``F/N.shard-M.msi``, both as they are stored; a label's data as ``F/LABEL``, decompressed; and of
meshes with several levels of detail the fragments of one as ``F/LABEL-LOD.mesh``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Generator, Sequence
from typing import Any, Protocol

from cloudvolume_fast.fetch.content_encoding import SUFFIXES
from cloudvolume_fast.fetch.disk_cache import DiskCache
from cloudvolume_fast.fetch.read_ahead import batch_size
from cloudvolume_fast.fetch.shard_reader import ShardReader
from cloudvolume_fast.fetch.store import ByteStore
from cloudvolume_fast.locate.byte_ranges import ByteRange
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar
from cloudvolume_fast.model.sharding import ShardingSpecification

__all__ = ["KeptShardReader"]

_LABEL_NAME = re.compile(r"(\d{1,20})(?:-\d+\.mesh)?")
_LAST_LABEL = 2**64 - 1


class _Layer(Protocol):
    @property
    def disk_cache(self) -> DiskCache | None: ...


class KeptShardReader(ShardReader):
    """Reads shard files from a store, and keeps what it has read.

    Parameters
    ----------
    store : ByteStore
        Where the files are, without a cache in front.
    spec : ShardingSpecification
    layer : object with ``disk_cache``
        What keeps the layer's objects, or None while nothing is kept: looked at with each call.

    Notes
    -----
    What is kept of a label is used without a look at the shard, as what is kept of other objects is.
    """

    def __init__(
        self,
        store: ByteStore,
        spec: ShardingSpecification,
        layer: _Layer,
    ) -> None:
        super().__init__(store, spec)
        self._layer = layer

    def forget(self, filename: str, path: str = "") -> None:
        """Drop all that is known of a shard, here and on disk: it is being replaced.

        Raises
        ------
        ChunkWriteError
            An entry cannot be removed.
        """
        self.clear_cache()
        cache = self._layer.disk_cache
        if cache is None:
            return
        names = {_bare(name) for name in cache.names(path)}
        of_labels = {
            name: int(found[1])
            for name in names
            if (found := _LABEL_NAME.fullmatch(name)) and int(found[1]) <= _LAST_LABEL
        }
        doomed = [
            name
            for name in names
            if name in (filename, filename + ".index")
            or (name.startswith(filename + "-") and name.endswith(".msi"))
        ]
        if of_labels:
            shards = self.spec.locate(list(of_labels.values()))[0].tolist()
            doomed += [
                name
                for name, shard in zip(of_labels, shards, strict=True)
                if self.spec.shard_filename(shard) == filename
            ]
        cache.remove([self.join(path, name) for name in doomed])

    # What is kept as it is stored.

    def _read_heads(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        cache, whole = self._layer.disk_cache, self.spec.index_length()
        if cache is None:
            return super()._read_heads(ranges)
        names = [
            f"{key}.index" if (begin, size) == (0, whole) else None for key, begin, size in ranges
        ]
        out = [None if name is None else _sized(cache.get(name), whole) for name in names]
        absent = [i for i, data in enumerate(out) if data is None]
        read = super()._read_heads([ranges[i] for i in absent])
        for i, data in zip(absent, read, strict=True):
            out[i] = data
            name = names[i]
            # Not of a shard in two files, which nothing would tell the next reader.
            if name is not None and _sized(data, whole) and not self._is_split(ranges[i][0]):
                cache.offer(name, data or b"")
        return out

    def _read_tables(
        self, wanted: Sequence[tuple[str, int, ByteRange]]
    ) -> Sequence[bytes | memoryview]:
        names = [f"{key}-{minishard}.msi" for key, minishard, _ in wanted]
        return self.read_kept_ranges(names, [(key, place) for key, _, place in wanted])

    def read_kept_ranges(
        self, names: Sequence[str], wanted: Sequence[tuple[str, ByteRange]]
    ) -> list[bytes | memoryview]:
        """Read ranges of shards as `read_ranges` does, and keep each under a name of its own.

        Parameters
        ----------
        names : sequence of str
            Keys of the entries.
        wanted : sequence of (str, ByteRange)
            As many.
        """
        cache = self._layer.disk_cache
        if cache is None:
            return list(self.read_ranges(wanted))
        out: list[bytes | memoryview | None] = [
            _sized(cache.get(name), place.size)
            for name, (_, place) in zip(names, wanted, strict=True)
        ]
        absent = [i for i, data in enumerate(out) if data is None]
        for i, data in zip(absent, self.read_ranges([wanted[i] for i in absent]), strict=True):
            out[i] = data
            if len(data) == wanted[i][1].size:
                cache.offer(names[i], bytes(data))
        return [data if data is not None else b"" for data in out]

    def _tables(self, *args: Any, **kwargs: Any) -> Any:  # as of the base
        cache = self._layer.disk_cache
        if cache is not None and cache.is_passed_by:
            self.clear_cache()  # of what was made of entries that are not to be used
        return super()._tables(*args, **kwargs)

    def _is_split(self, key: str) -> bool:
        with self._split_lock:
            return key in self._split

    # What is kept decompressed.

    def get_data(
        self,
        label: Any,  # a label or several
        path: str = "",
        progress: bool | str | None = None,
        parallel: int = 1,
        raw: bool = False,
    ) -> Any:  # as many
        """Read the data of labels; see `ShardReader.get_data`."""
        cache = self._layer.disk_cache
        if cache is None or raw:
            return super().get_data(label, path, progress, parallel, raw)
        labels = [as_label(label)] if is_scalar(label) else as_labels(label).tolist()
        out: dict[int, bytes | None] = {one: cache.get(self.join(path, str(one))) for one in labels}
        absent = [one for one, data in out.items() if data is None]
        if absent:
            for one, data in super().get_data(absent, path, progress, parallel).items():
                out[one] = data
                if data:
                    cache.offer(self.join(path, str(one)), data)
        return out[labels[0]] if is_scalar(label) else out

    def get_batches(
        self,
        labels: Any,  # array or iterable of labels
        path: str = "",
        *,
        most: int = 64,
        progress: bool | str | None = None,
        parallel: int = 1,
    ) -> Generator[tuple[list[int], list[bytes | None]], None, None]:
        """Read the data of many labels; see `ShardReader.get_batches`."""
        if self._layer.disk_cache is None:
            yield from super().get_batches(
                labels, path, most=most, progress=progress, parallel=parallel
            )
            return
        listed = as_labels(labels).tolist()
        found = self.get_data(listed, path, progress, parallel)
        step = batch_size(len(listed), most)
        for begin in range(0, len(listed), step):
            part = listed[begin : begin + step]
            yield part, [found[one] for one in part]


def _sized(data: bytes | None, size: int) -> bytes | None:
    """Return an entry unless it was cut short."""
    return data if data is not None and len(data) == size else None


def _bare(name: str) -> str:
    stem, suffix = posixpath.splitext(name)
    return stem if suffix and suffix in SUFFIXES else name
