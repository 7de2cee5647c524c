# SPDX-License-Identifier: BSD-3-Clause
"""Data of 64-bit labels out of shard files.

Each step is done for all labels at once: one call of the core tells where they are, then shard indexes, minishard
indexes and data are each one batch of coalesced ranges.
"""

from __future__ import annotations

import contextlib
import posixpath
import threading
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast._core import gzip, sharding
from cloudvolume_fast.errors import (
    DecompressionError,
    EmptyFileException,
    InvalidArgumentError,
    SpecViolation,
)
from cloudvolume_fast.fetch.index_cache import IndexCache
from cloudvolume_fast.fetch.read_ahead import batch_size, prepared
from cloudvolume_fast.fetch.store import ByteStore, KeyRange
from cloudvolume_fast.locate.byte_ranges import (
    ByteRange,
    Runs,
    coalesce_arrays,
    coalesce_ranges,
)
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar
from cloudvolume_fast.model.sharding import ShardingSpecification

__all__ = ["ShardReader"]

UInts = NDArray[np.uint64]

_LAST = 2**64 - 1
# A larger shard index is not read whole, but by the entries that are needed.
_WHOLE_INDEX_BYTES = 1 << 20
_MINISHARD_INDEX_LIMIT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the stored bytes of labels are, an entry of each array for each label."""

    labels: UInts
    filenames: list[str]
    files: NDArray[np.intp]  # into filenames; -1 where a label is missing
    minishards: UInts
    offsets: UInts  # in a .shard file
    sizes: UInts


@dataclass(frozen=True, slots=True)
class _Stored:
    """The stored bytes of labels."""

    labels: UInts
    places: _Places
    keys: list[str]  # of the files
    runs: Runs  # a range for each label
    blobs: list[bytes]  # of the runs


class ShardReader:
    """Reads shard files from a store.

    Parameters
    ----------
    store : ByteStore
        Where the files are.
    spec : ShardingSpecification
        A copy of it is used.
    shard_index_cache_size, minishard_index_cache_size : int
        The most indexes that are kept.
    max_cache_bytes : int
        The most that each of the two caches takes, in bytes.
    max_gap_bytes, max_request_bytes : int
        See `coalesce_ranges`.
    limit_bytes : int
        The most that a datum may decompress to, in bytes.

    Notes
    -----
    Any thread may call any method.  Positions in results are those in a ``.shard`` file.  Where there is none, the
    older form is looked for: ``.index``, the shard index, and ``.data``, what follows it.

    Upstream behaviour ``ShardReader``.
    """

    def __init__(
        self,
        store: ByteStore,
        spec: ShardingSpecification,
        *,
        shard_index_cache_size: int = 512,
        minishard_index_cache_size: int = 128,
        max_cache_bytes: int = 64 << 20,
        max_gap_bytes: int = 1 << 16,
        max_request_bytes: int = 1 << 26,
        limit_bytes: int = 1 << 34,
    ) -> None:
        spec.validate()
        self.store = store
        self.spec = spec.clone()
        self.max_gap_bytes = max_gap_bytes
        self.max_request_bytes = max_request_bytes
        self.limit_bytes = limit_bytes
        self._indexes = IndexCache(shard_index_cache_size, max_cache_bytes)
        self._minishards = IndexCache(minishard_index_cache_size, max_cache_bytes)
        self._split: set[str] = set()  # paths of shards that are stored as two files
        self._split_lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without indexes, which the copy reads itself."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_split", "_split_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._split = set()
        self._split_lock = threading.Lock()

    def clear_cache(self) -> None:
        """Forget all indexes, as is needed after files have been replaced."""
        self._indexes.clear()
        self._minishards.clear()
        with self._split_lock:
            self._split.clear()

    # Names.

    def join(self, *paths: str) -> str:
        """Join parts of a key."""
        return posixpath.join(*paths)

    def get_filename(self, label: int) -> str:
        """Return the name of the file that a label is stored in.

        Raises
        ------
        InvalidArgumentError
            If the label is not an unsigned 64-bit integer.
        """
        return self.spec.get_filename(label)

    def compute_shard_location(self, label: int) -> tuple[str, int]:
        """Return file name and minishard of a label.

        Raises
        ------
        InvalidArgumentError
            If the label is not an unsigned 64-bit integer.
        """
        shards, minishards = self.spec.locate([label])
        return self.spec.shard_filename(int(shards[0])), int(minishards[0])

    # Shard indexes.

    def decode_index(self, binary: bytes, filename: str = "Shard") -> UInts:
        """Read a shard index.

        Parameters
        ----------
        binary : bytes
            All of it.
        filename : str
            For messages.

        Returns
        -------
        ndarray of uint64, shape (minishards, 2)
            Begin and end of each encoded minishard index.

        Raises
        ------
        EmptyFileException
            If there are no bytes.
        SpecViolation
            If its length is another one than the specification's, or an entry decreases or overlaps another.
        """
        if len(binary) == 0:
            raise EmptyFileException(
                f"{filename}: expected a shard index, found no bytes", key=filename
            )
        expected = self.spec.index_length()
        if len(binary) != expected:
            raise SpecViolation(
                f"{filename}: shard index: expected {expected} bytes, found {len(binary)}",
                key=filename,
                expected=expected,
                found=len(binary),
            )
        return self._absolute_extents(binary, f"{filename}: shard index")

    def _absolute_extents(self, binary: bytes | memoryview, what: str) -> UInts:
        base = self.spec.index_length()
        extents = sharding.parse_index(binary, payload_bytes=max(_LAST - base, 0), what=what)
        # The position of an empty minishard means nothing, and may be anything.
        extents[extents[:, 0] == extents[:, 1]] = 0
        extents += np.uint64(min(base, _LAST))
        return extents

    def get_index(self, filename: str, path: str = "") -> UInts:
        """Return the shard index of a file, as `decode_index` does; it must not be written to.

        Raises
        ------
        EmptyFileException
            If the file is absent or holds no bytes.
        SpecViolation
            If the index is not what the format allows.
        """
        key = self.join(path, filename)
        found = self.get_indices([filename], path)[key]
        if found is None:
            raise EmptyFileException(f"{key}: expected a shard, found no bytes", key=key)
        return found

    def get_indices(
        self, filenames: Iterable[str], path: str = "", progress: bool | str | None = None
    ) -> dict[str, UInts | None]:
        """Return the shard indexes of files.

        Parameters
        ----------
        filenames : iterable of str
            Names, not keys.
        path : str
            The folder that they are in.
        progress : bool or str, optional
            Show a bar (tqdm) of the indexes that are read, with this title.

        Returns
        -------
        dict
            Key to index, None where the file is absent or holds no bytes.

        Raises
        ------
        SpecViolation
            If an index is not what the format allows.
        """
        keys = list(dict.fromkeys(self.join(path, name) for name in filenames))
        out: dict[str, UInts | None] = {key: self._indexes.get(key) for key in keys}
        missing = [key for key in keys if out[key] is None]
        size = self.spec.index_length() if missing else 0
        fetched = self._read_heads([(key, 0, size) for key in missing])
        for key, binary in _bar(
            zip(missing, fetched, strict=True), progress, "Shard indices", len(missing)
        ):
            if binary:
                index = self.decode_index(binary, key)
                self._indexes.put(key, index)
                out[key] = index
        return out

    def _read_heads(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        """Read parts of shard indexes, from the files of the older form where there is no other."""
        found = self.store.get_ranges([KeyRange(*r) for r in ranges])
        absent = [i for i, data in enumerate(found) if not data]
        older = self.store.get_ranges(
            [KeyRange(_split_key(ranges[i][0], ".index"), *ranges[i][1:]) for i in absent]
        )
        for i, data in zip(absent, older, strict=True):
            with self._split_lock:
                (self._split.add if data else self._split.discard)(ranges[i][0])
            found[i] = found[i] if data is None else data
        return found

    # Minishard indexes.

    def decode_minishard_index(self, minishard_index: bytes, filename: str = "") -> UInts:
        """Read a minishard index as it is stored.

        Parameters
        ----------
        minishard_index : bytes
            Compressed if the specification says so.
        filename : str
            For messages.

        Returns
        -------
        ndarray of uint64, shape (n, 3)
            Label, offset in the file, size in bytes; labels ascending.

        Raises
        ------
        DecompressionError
            If it does not decompress.
        SpecViolation
            If it is not what the format allows.
        """
        what = f"{filename}: minishard index" if filename else "minishard index"
        return self._absolute_entries(minishard_index, what)

    def _absolute_entries(self, stored: bytes | memoryview, what: str) -> UInts:
        if self.spec.minishard_index_encoding == "gzip":
            stored = _gunzip(stored, _MINISHARD_INDEX_LIMIT_BYTES, what)
        base = self.spec.index_length()
        entries = sharding.parse_minishard(stored, payload_bytes=max(_LAST - base, 0), what=what)
        entries[:, 1] += np.uint64(min(base, _LAST))
        return entries

    def compute_minishard_index_requests(
        self, filename: str, index: UInts, minishard_nos: Iterable[int], path: str = ""
    ) -> tuple[dict[int, UInts | None], list[tuple[int, int, int]]]:
        """Return which minishard indexes are known, and where in the file the others are.

        Returns
        -------
        known : dict
            Minishard to its index, None if it is empty.
        requests : list of (int, int, int)
            Minishard, begin and end of its stored index.

        Raises
        ------
        InvalidArgumentError
            If there is no such minishard.
        """
        key = self.join(path, filename)
        known: dict[int, UInts | None] = {}
        requests = []
        for minishard in dict.fromkeys(map(int, minishard_nos)):
            if not 0 <= minishard < len(index):
                raise InvalidArgumentError(
                    f"{key}: expected a minishard below {len(index)}, found {minishard}",
                    key=key,
                    expected=len(index),
                    found=minishard,
                )
            begin, end = (int(position) for position in index[minishard])
            if begin == end:
                known[minishard] = None
            elif (cached := self._minishards.get((key, minishard))) is not None:
                known[minishard] = cached
            else:
                requests.append((minishard, begin, end))
        return known, requests

    def get_minishard_index(
        self, filename: str, index: UInts, minishard_no: int, path: str = ""
    ) -> UInts | None:
        """Return one minishard index as `decode_minishard_index` does, None if it is empty.

        Raises
        ------
        SpecViolation, DecompressionError
            If it is not what the format allows.
        """
        return self.get_minishard_indices(filename, index, [minishard_no], path)[int(minishard_no)]

    def get_minishard_indices(
        self, filename: str, index: UInts, minishard_nos: Iterable[int], path: str = ""
    ) -> dict[int, UInts | None]:
        """Return minishard indexes of one file, None where they are empty.

        Raises
        ------
        SpecViolation, DecompressionError
            If one is not what the format allows.
        """
        found = self.get_minishard_indices_for_files([(filename, index, minishard_nos)], path)
        return found[filename]

    def get_minishard_indices_for_files(
        self,
        requests: Iterable[tuple[str, UInts, Iterable[int]]],
        path: str = "",
        progress: bool | str | None = None,
    ) -> dict[str, dict[int, UInts | None]]:
        """Return minishard indexes of several files.

        Parameters
        ----------
        requests : iterable of (str, ndarray, iterable of int)
            File name, its shard index, minishards.
        path : str
            The folder that they are in.
        progress : bool or str, optional
            Show a bar (tqdm) of the indexes that are read, with this title.

        Returns
        -------
        dict
            File name to minishard to index, None where it is empty.

        Raises
        ------
        SpecViolation, DecompressionError
            If one is not what the format allows.
        """
        out: dict[str, dict[int, UInts | None]] = {}
        wanted: list[tuple[str, int, ByteRange]] = []
        for filename, index, minishards in requests:
            known, unknown = self.compute_minishard_index_requests(
                filename, index, minishards, path
            )
            out.setdefault(filename, {}).update(known)
            wanted += [(filename, m, ByteRange(begin, end - begin)) for m, begin, end in unknown]
        blobs = self._read_tables([(self.join(path, name), m, r) for name, m, r in wanted])
        pairs = zip(wanted, blobs, strict=True)
        for (name, minishard, extent), blob in _bar(
            pairs, progress, "Minishard indices", len(wanted)
        ):
            key = self.join(path, name)
            what = f"{key}: minishard {minishard} index"
            _require_bytes(what, key, extent, blob)
            entries = self._absolute_entries(blob, what)
            self._minishards.put((key, minishard), entries)
            out[name][minishard] = entries
        return out

    # Labels.

    def exists(
        self,
        labels: Any,  # a label or several
        path: str = "",
        return_byte_range: bool = False,
        progress: bool | str | None = None,
    ) -> Any:  # as many
        """Say where labels are stored.

        Parameters
        ----------
        labels : int, array or iterable of int
            One label or many.
        path : str
            The folder of the shards.
        return_byte_range : bool
            Say also which bytes of the file they are.
        progress : bool or str, optional
            Show bars (tqdm) of the indexes that are read.

        Returns
        -------
        str, list, None or dict
            For one label the key of its file, or [key, offset, size], or None if it is missing; for many a dictionary
            of these by label.

        Raises
        ------
        InvalidArgumentError
            If a label is not an unsigned 64-bit integer.
        SpecViolation, DecompressionError
            If an index is not what the format allows.
        """
        places = self._find(labels, path, progress)
        keys = [self.join(path, name) for name in places.filenames]
        rows = zip(
            places.labels.tolist(),
            places.files.tolist(),
            places.offsets.tolist(),
            places.sizes.tolist(),
            strict=True,
        )
        found = {
            label: None
            if file < 0
            else [keys[file], offset, size]
            if return_byte_range
            else keys[file]
            for label, file, offset, size in rows
        }
        return found[as_label(labels)] if is_scalar(labels) else found

    def get_data(
        self,
        label: Any,  # a label or several
        path: str = "",
        progress: bool | str | None = None,
        parallel: int = 1,
        raw: bool = False,
    ) -> Any:  # as many
        """Read the data of labels.

        Parameters
        ----------
        label : int, array or iterable of int
            One label or many.
        path : str
            The folder of the shards.
        progress : bool or str, optional
            Show bars (tqdm) of the indexes and data that are read.
        parallel : int
            Threads that decompress.
        raw : bool
            Return the bytes as they are stored.

        Returns
        -------
        bytes, None or dict
            For one label its bytes, or None if it is missing; for many a dictionary of these by label.

        Raises
        ------
        InvalidArgumentError
            If a label is not an unsigned 64-bit integer, or ``parallel`` not positive.
        SpecViolation, DecompressionError
            If an index or datum is not what the format allows.
        """
        _require_threads(parallel)
        stored = self._stored(label, path, progress)
        out: dict[int, bytes | None] = dict.fromkeys(stored.labels.tolist())
        numbers = np.flatnonzero(stored.places.files >= 0)
        data = self._data(stored, numbers, parallel, raw, progress)
        out.update(zip(stored.labels[numbers].tolist(), data, strict=True))
        return out[as_label(label)] if is_scalar(label) else out

    def get_batches(
        self,
        labels: Any,  # array or iterable of labels
        path: str = "",
        *,
        most: int = 64,
        progress: bool | str | None = None,
        parallel: int = 1,
    ) -> Generator[tuple[list[int], list[bytes | None]], None, None]:
        """Read the data of many labels, some of which are decompressed while the caller works on others.

        Parameters
        ----------
        labels : array or iterable of int
        path : str
            The folder of the shards.
        most : int
            Labels of a batch, or fewer.
        progress, parallel
            See `get_data`.

        Yields
        ------
        labels : list of int
            In the order given.
        data : list of bytes or None
            None where a label is missing.

        Raises
        ------
        InvalidArgumentError, SpecViolation, DecompressionError
            See `get_data`.
        """
        _require_threads(parallel)
        stored = self._stored(labels, path, progress)
        count = len(stored.labels)
        size = batch_size(count, most)
        parts = [slice(begin, begin + size) for begin in range(0, count, size)]
        is_there = stored.places.files >= 0
        with contextlib.closing(self._inflated(stored, is_there, size, parallel)) as inflated:
            pairs = zip(parts, inflated, strict=True)
            for part, data in _bar(pairs, progress, "Data", len(parts)):
                for i in np.flatnonzero(is_there[part]).tolist():
                    if data[i] is None:
                        data[i] = self._datum(stored, part.start + i, False)
                yield stored.labels[part].tolist(), data

    def _inflated(
        self, stored: _Stored, is_there: NDArray[np.bool_], size: int, parallel: int
    ) -> Generator[list[bytes | None], None, None]:
        """Yield the data of all labels in batches, None for what is missing, or left to `_datum`."""
        count = len(is_there)
        if self.spec.data_encoding != "gzip" or not stored.blobs:
            for begin in range(0, count, size):
                yield [None] * min(size, count - begin)
            return
        runs, places = stored.runs, stored.places
        run_of = np.where(is_there, runs.numbers, 0)
        begins = np.where(is_there, places.offsets - runs.offsets[run_of], np.uint64(0))
        ahead = _runtime.inflate_ranges_ahead(
            stored.blobs,
            run_of,
            begins,
            np.where(is_there, places.sizes, np.uint64(0)),
            size,
            self.limit_bytes,
            parallel if parallel > 1 else 0,
        )
        with contextlib.closing(prepared(ahead)) as batches:
            for data, _, _ in batches:
                yield data

    def _stored(self, labels: Any, path: str, progress: bool | str | None) -> _Stored:
        places = self._find(labels, path, progress)
        keys = [self.join(path, name) for name in places.filenames]
        runs, blobs = self._read_runs(keys, places)
        return _Stored(places.labels, places, keys, runs, blobs)

    def _data(
        self,
        stored: _Stored,
        numbers: NDArray[np.intp],
        parallel: int,
        raw: bool,
        progress: bool | str | None,
    ) -> list[bytes | None]:
        """Return the data of some labels that are stored, none of them None."""
        done: list[bytes | None] = [None] * len(numbers)
        if not raw and self.spec.data_encoding == "gzip":
            run_of = stored.runs.numbers[numbers]
            done = _runtime.inflate_ranges(
                stored.blobs,
                run_of,
                stored.places.offsets[numbers] - stored.runs.offsets[run_of],
                stored.places.sizes[numbers],
                self.limit_bytes,
                parallel if parallel > 1 else 0,
            )
        for i in _bar(range(len(numbers)), progress, "Data", len(numbers)):
            if done[i] is None:
                done[i] = self._datum(stored, int(numbers[i]), raw)
        return done

    def _datum(self, stored: _Stored, number: int, raw: bool) -> bytes:
        """Return the data of a label that is stored, or raise what says why it cannot be had."""
        places, runs = stored.places, stored.runs
        key = stored.keys[places.files[number]]
        what = f"{key}: minishard {places.minishards[number]}, id {places.labels[number]}"
        wanted = ByteRange(int(places.offsets[number]), int(places.sizes[number]))
        run = runs.numbers[number]
        begin = wanted.offset - int(runs.offsets[run])
        blob = memoryview(stored.blobs[run])[begin : begin + wanted.size]
        _require_bytes(what, key, wanted, blob)
        if raw or self.spec.data_encoding == "raw":
            return bytes(blob)
        return _gunzip(blob, self.limit_bytes, what)

    def list_labels(self, filename: str, path: str = "", size: bool = False) -> Any:
        """Return the labels of a file.

        Parameters
        ----------
        filename : str
            Its name.
        path : str
            The folder that it is in.
        size : bool
            Return sizes too.

        Returns
        -------
        ndarray of uint64 or list of (int, int)
            Labels in ascending order; or label and stored size in bytes, the largest first.

        Raises
        ------
        EmptyFileException
            If the file is absent or holds no bytes.
        SpecViolation, DecompressionError
            If an index is not what the format allows.
        """
        index = self.get_index(filename, path)
        minishards = np.flatnonzero(index[:, 0] != index[:, 1]).tolist()
        tables = self.get_minishard_indices(filename, index, minishards, path).values()
        entries = np.concatenate(
            [np.empty((0, 3), dtype=np.uint64), *(t for t in tables if t is not None)]
        )
        if not size:
            return np.sort(entries[:, 0])
        pairs = zip(entries[:, 0].tolist(), entries[:, 2].tolist(), strict=True)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def _find(self, labels: Any, path: str, progress: bool | str | None) -> _Places:
        array = as_labels([as_label(labels)] if is_scalar(labels) else labels)
        shards, minishards = self.spec.locate(array)
        pairs, groups = _group(shards, minishards)
        files: dict[str, int] = {}
        where = []
        for shard, minishard in pairs:
            name = self.spec.shard_filename(shard)
            files.setdefault(name, len(files))
            where.append((name, minishard))
        tables = self._tables(where, path, progress)
        file_of = np.full(len(array), -1, np.intp)
        extents = np.zeros((2, len(array)), np.uint64)
        for (name, minishard), group in zip(where, groups, strict=True):
            entries = tables.get((name, minishard))
            if entries is None or len(entries) == 0:
                continue
            wanted = array[group]
            at = np.minimum(np.searchsorted(entries[:, 0], wanted), len(entries) - 1)
            is_there = entries[at, 0] == wanted
            hits, at = group[is_there], at[is_there]
            file_of[hits] = files[name]
            extents[0, hits], extents[1, hits] = entries[at, 1], entries[at, 2]
        return _Places(array, list(files), file_of, minishards, extents[0], extents[1])

    def _read_runs(self, keys: Sequence[str], places: _Places) -> tuple[Runs, list[bytes]]:
        """Read the stored bytes of labels, in runs; those of a missing label are none.

        What reaches past its file's end is cut short.
        """
        runs = coalesce_arrays(
            places.files,
            places.offsets,
            places.sizes,
            max_gap_bytes=self.max_gap_bytes,
            max_request_bytes=self.max_request_bytes,
        )
        base = self.spec.index_length()
        with self._split_lock:
            is_split = [key in self._split for key in keys]
        wanted = np.flatnonzero(runs.sizes).tolist()
        requests = [
            KeyRange(_split_key(keys[file], ".data"), offset - base, size)
            if is_split[file]
            else KeyRange(keys[file], offset, size)
            for file, offset, size in zip(
                runs.groups[wanted].tolist(),
                runs.offsets[wanted].tolist(),
                runs.sizes[wanted].tolist(),
                strict=True,
            )
        ]
        blobs = [b""] * len(runs.sizes)
        for run, data in zip(wanted, self.store.get_ranges(requests), strict=True):
            blobs[run] = data or b""
        return runs, blobs

    def _tables(
        self, where: Sequence[tuple[str, int]], path: str, progress: bool | str | None
    ) -> dict[tuple[str, int], UInts]:
        """Return the minishard indexes that exist."""
        if self.spec.index_length() <= _WHOLE_INDEX_BYTES:
            by_name: dict[str, list[int]] = {}
            for name, minishard in where:
                by_name.setdefault(name, []).append(minishard)
            indexes = self.get_indices(by_name, path, progress)
            requests = [
                (name, index, minishards)
                for name, minishards in by_name.items()
                if (index := indexes[self.join(path, name)]) is not None
            ]
            found = self.get_minishard_indices_for_files(requests, path, progress)
            return {
                (name, minishard): table
                for name, tables in found.items()
                for minishard, table in tables.items()
                if table is not None
            }
        return self._tables_by_entry(where, path)

    def _tables_by_entry(
        self, where: Sequence[tuple[str, int]], path: str
    ) -> dict[tuple[str, int], UInts]:
        out: dict[tuple[str, int], UInts] = {}
        unknown = []
        for name, minishard in where:
            cached = self._minishards.get((self.join(path, name), minishard))
            if cached is None:
                unknown.append((name, minishard))
            else:
                out[name, minishard] = cached
        heads = self._read_heads([(self.join(path, name), 16 * m, 16) for name, m in unknown])
        wanted: list[tuple[str, int, ByteRange]] = []
        for (name, minishard), head in zip(unknown, heads, strict=True):
            if head is None:
                continue
            what = f"{self.join(path, name)}: shard index of minishard {minishard}"
            _require_bytes(what, self.join(path, name), ByteRange(16 * minishard, 16), head)
            begin, end = self._absolute_extents(head, what)[0].tolist()
            if begin != end:
                wanted.append((name, minishard, ByteRange(begin, end - begin)))
        blobs = self._read_tables([(self.join(path, name), m, r) for name, m, r in wanted])
        for (name, minishard, extent), blob in zip(wanted, blobs, strict=True):
            key = self.join(path, name)
            what = f"{key}: minishard {minishard} index"
            _require_bytes(what, key, extent, blob)
            out[name, minishard] = self._absolute_entries(blob, what)
            self._minishards.put((key, minishard), out[name, minishard])
        return out

    def _read_tables(
        self, wanted: Sequence[tuple[str, int, ByteRange]]
    ) -> Sequence[bytes | memoryview]:
        """Read minishard indexes, each given by key, minishard and where it is, as they are stored."""
        return self.read_ranges([(key, place) for key, _, place in wanted])

    def read_ranges(self, wanted: Sequence[tuple[str, ByteRange]]) -> list[memoryview]:
        """Read ranges of shards, joined to few requests.

        Parameters
        ----------
        wanted : sequence of (str, ByteRange)
            Keys of shard files, and what is wanted of each.

        Returns
        -------
        list of memoryview
            In the order of `wanted`; one that reaches past its file's end is cut short, of an absent file it is empty.

        Raises
        ------
        ChunkReadError
        """
        base = self.spec.index_length()
        by_key: dict[str, list[int]] = {}
        for i, (key, _) in enumerate(wanted):
            by_key.setdefault(key, []).append(i)
        requests: list[KeyRange] = []
        contents: list[tuple[int, ...]] = []
        for key, numbers in by_key.items():
            with self._split_lock:
                is_split = key in self._split
            runs = coalesce_ranges(
                [wanted[i][1] for i in numbers],
                max_gap_bytes=self.max_gap_bytes,
                max_request_bytes=self.max_request_bytes,
            )
            for run in runs:
                requests.append(
                    KeyRange(_split_key(key, ".data"), run.offset - base, run.size)
                    if is_split
                    else KeyRange(key, run.offset, run.size)
                )
                contents.append((run.offset, *(numbers[member] for member in run.members)))
        out = [memoryview(b"")] * len(wanted)
        for (begin, *members), data in zip(contents, self.store.get_ranges(requests), strict=True):
            view = memoryview(data or b"")
            for i in members:
                offset, size = wanted[i][1]
                out[i] = view[offset - begin : offset - begin + size]
        return out

    # Whole files.

    def disassemble_shard(self, shard: bytes) -> dict[int, bytes]:
        """Return all data of a shard file.

        Parameters
        ----------
        shard : bytes
            The file.

        Returns
        -------
        dict
            Label to bytes, decompressed.

        Raises
        ------
        EmptyFileException
            If there are no bytes.
        SpecViolation, DecompressionError
            If it is not what the format allows.
        """
        view = memoryview(shard)
        return {
            label: self._decoded(
                view[offset : offset + size], f"shard: minishard {minishard}, id {label}"
            )
            for minishard, entries in self._entries_of(view)
            for label, offset, size in entries.tolist()
        }

    def disassemble_multires_mesh_shard(
        self, shard: bytes
    ) -> tuple[dict[int, bytes], dict[int, int]]:
        """Return all meshes of a shard file: what its indexes point to, and what lies before each of them.

        Parameters
        ----------
        shard : bytes
            The file.

        Returns
        -------
        data : dict
            Label to fragments and manifest.
        manifest_bytes : dict
            Label to the size of the manifest, as ``data_offset`` of `synthesize_shard`.

        Raises
        ------
        EmptyFileException
            If there are no bytes.
        SpecViolation, DecompressionError
            If it is not what the format allows.
        """
        view = memoryview(shard)
        base = self.spec.index_length()
        tables = list(self._entries_of(view))
        index = self.decode_index(bytes(view[:base]))
        taken = [(int(end), -1, 0, 0) for begin, end in index if begin != end]
        taken += [
            (offset + size, minishard, label, size)
            for minishard, entries in tables
            for label, offset, size in entries.tolist()
        ]
        data: dict[int, bytes] = {}
        manifest_bytes: dict[int, int] = {}
        previous = base
        for end, minishard, label, size in sorted(taken):
            if minishard >= 0:
                what = f"shard: minishard {minishard}, id {label}"
                manifest = self._decoded(view[end - size : end], what)
                data[label] = bytes(view[previous : end - size]) + manifest
                manifest_bytes[label] = len(manifest)
            previous = end
        return data, manifest_bytes

    def insert_multires_mesh_to_shard(
        self, shard: bytes, label: int, mesh_binary: bytes, manifest_binary: bytes
    ) -> bytes:
        """Return a shard file with one mesh more, or another one for a label.

        Parameters
        ----------
        shard : bytes
            The file.
        label : int
            One that belongs into this shard.
        mesh_binary, manifest_binary : bytes
            Fragments and manifest.

        Returns
        -------
        bytes
            The new file.

        Raises
        ------
        EmptyFileException
            If there are no bytes.
        SpecViolation, DecompressionError
            If the file is not what the format allows, or the label belongs into another shard.
        """
        data, manifest_bytes = self.disassemble_multires_mesh_shard(shard)
        data[as_label(label)] = mesh_binary + manifest_binary
        manifest_bytes[as_label(label)] = len(manifest_binary)
        return self.spec.synthesize_shard(data, data_offset=manifest_bytes)

    def _entries_of(self, shard: memoryview) -> Iterable[tuple[int, UInts]]:
        """Yield minishards that are not empty, with bounds checked against the file."""
        base = self.spec.index_length()
        index = self.decode_index(bytes(shard[:base]))
        payload = len(shard) - base
        extents = sharding.parse_index(
            shard[:base], payload_bytes=payload, what="shard: shard index"
        )
        for minishard in np.flatnonzero(extents[:, 0] != extents[:, 1]).tolist():
            what = f"shard: minishard {minishard} index"
            stored: bytes | memoryview = shard[slice(*index[minishard].tolist())]
            if self.spec.minishard_index_encoding == "gzip":
                stored = _gunzip(stored, _MINISHARD_INDEX_LIMIT_BYTES, what)
            entries = sharding.parse_minishard(stored, payload_bytes=payload, what=what)
            entries[:, 1] += np.uint64(base)
            yield minishard, entries

    def _decoded(self, stored: memoryview, what: str) -> bytes:
        if self.spec.data_encoding == "raw":
            return bytes(stored)
        return _gunzip(stored, self.limit_bytes, what)


def _group(
    shards: UInts, minishards: UInts
) -> tuple[list[tuple[int, int]], list[NDArray[np.intp]]]:
    """Group positions by (shard, minishard)."""
    if len(shards) == 0:
        return [], []
    order = np.lexsort((minishards, shards))
    new = np.flatnonzero((np.diff(shards[order]) != 0) | (np.diff(minishards[order]) != 0)) + 1
    groups = np.split(order, new)
    return [(int(shards[g[0]]), int(minishards[g[0]])) for g in groups], groups


def _require_threads(parallel: int) -> None:
    if parallel < 1:
        raise InvalidArgumentError(
            f"parallel: expected at least 1, found {parallel}", key="parallel", found=parallel
        )


def _split_key(key: str, ending: str) -> str:
    return key.removesuffix(".shard") + ending


def _require_bytes(what: str, key: str, wanted: ByteRange, found: bytes | memoryview) -> None:
    if len(found) != wanted.size:
        raise SpecViolation(
            f"{what}: expected {wanted.size} bytes at {wanted.offset}, found {len(found)} before the end of the file",
            key=key,
            offset=wanted.offset,
            expected=wanted.size,
            found=len(found),
        )


def _gunzip(stored: bytes | memoryview, limit_bytes: int, what: str) -> bytes:
    try:
        return gzip.decompress_bytes(stored, limit_bytes=limit_bytes)
    except DecompressionError as error:
        raise DecompressionError(
            f"{what}: {error}",
            key=what,
            expected=error.expected,
            found=error.found,
            offset=error.offset,
        ) from error


def _bar(values: Iterable[Any], progress: bool | str | None, title: str, total: int) -> Any:
    if not progress:
        return values
    from tqdm import tqdm

    return tqdm(values, desc=progress if isinstance(progress, str) else title, total=total)
