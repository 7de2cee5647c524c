# SPDX-License-Identifier: BSD-3-Clause
"""Skeletons that lie in shards."""

from __future__ import annotations

import contextlib
import json
import posixpath
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import (
    DecodingError,
    EmptyFileException,
    InvalidArgumentError,
    UnsupportedOptionError,
)
from cloudvolume_fast.fetch.kept_shards import KeptShardReader
from cloudvolume_fast.fetch.store import locked_shard
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar
from cloudvolume_fast.sources.precomputed.any_arguments import any_arguments
from cloudvolume_fast.sources.precomputed.skeleton.source import SkeletonSource

if TYPE_CHECKING:
    from cloudvolume_fast.deliver.skeleton import Skeleton


class ShardedPrecomputedSkeletonSource(SkeletonSource):
    """Skeletons that lie in shards; see `SkeletonSource`."""

    _reader: tuple[object, KeptShardReader] | None = None

    @property
    def reader(self) -> KeptShardReader:
        """Reads the shards that the info describes; keeps their indexes as long as its specification stays the same."""
        spec = self.meta.sharding_specification()
        if self._reader is None or self._reader[0] != spec:
            layer = self.meta.meta
            reader = KeptShardReader(layer.source_store, spec, layer)
            self._reader = (spec, reader)
        return self._reader[1]

    def get(self, segids: Any, allow_missing: bool = False) -> Any:  # Any: a label or several
        """Read one skeleton or several.

        Parameters
        ----------
        segids : int or iterable of int
        allow_missing : bool
            Leave out labels that have no skeleton, instead of raising.

        Returns
        -------
        Skeleton, None, or list of Skeleton
            For one label its skeleton, or None; for several those that there are, in the order given, each once.  In
            physical space.

        Raises
        ------
        EmptyFileException
            A skeleton is missing.
        SkeletonDecodeError
            One is not what the format allows.
        SkeletonUnassignedEdgeError
            An edge names a vertex that is not there.
        SpecViolation, DecompressionError, ChunkReadError
        """
        return super().get(segids, allow_missing)

    def _read(self, labels: Sequence[int], allow_missing: bool) -> list[Skeleton]:
        reader = self.reader
        where = self.meta.layerpath

        def name_of(label: int) -> str:
            return f"{where}/{reader.get_filename(label)}: label {label}"

        out: list[Skeleton] = []
        decode = self._decoder(name_of)
        config = self.config
        batches = reader.get_batches(
            labels, self.path, progress=config.progress, parallel=config.parallel
        )
        with contextlib.closing(batches) as read:
            for members, data in read:
                stored = [content for content in data if content is not None]
                present = members
                if len(stored) < len(members):
                    absent = [
                        label
                        for label, content in zip(members, data, strict=True)
                        if content is None
                    ]
                    if not allow_missing:
                        key = f"{where}/{reader.get_filename(absent[0])}"
                        raise EmptyFileException(
                            f"{key}: segid {absent[0]} is missing.", key=key, expected=absent[0]
                        )
                    gone = set(absent)
                    present = [label for label in members if label not in gone]
                out += decode(present, stored)
        return out

    def _exists(self, labels: Sequence[int]) -> dict[int, bool]:
        found = self.reader.exists(list(labels), self.path)
        return {label: found[label] is not None for label in labels}

    def _list(self) -> NDArray[np.uint64]:
        """Return what the ``.labels`` files beside the shards list, or else the shards' own indexes."""
        keys = list(self.meta.store.list(self.path + "/", flat=True))
        lists = sorted(key for key in keys if key.endswith(".labels"))
        out: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
        if lists:
            for key, content in zip(lists, self.meta.store.get_many(lists), strict=True):
                out.append(_parse_labels(self.meta.join(self.meta.cloudpath, key), content))
        else:
            reader = self.reader
            out += [
                reader.list_labels(posixpath.basename(key), self.path)
                for key in keys
                if key.endswith(".shard")
            ]
        return np.unique(np.concatenate(out))

    # Writing.

    def upload(self, skeletons: Any) -> None:  # Any: a skeleton or several
        """Write the shard of which skeletons are given; what else it held is replaced.

        Parameters
        ----------
        skeletons : Skeleton or iterable of Skeleton
            All of the shard; see also `UnshardedPrecomputedSkeletonSource.upload`.

        Raises
        ------
        InvalidArgumentError
            They belong into several shards.
        SkeletonEncodeError, SkeletonUnassignedEdgeError, SkeletonAttributeMixingError
        ReadOnlyException, ChunkWriteError
        """
        self._writable()
        listed = self._listed(skeletons)
        if not listed:
            return
        spec = self.reader.spec
        given = [as_label(skeleton.id) for skeleton in listed if skeleton.id is not None]
        shards = np.unique(spec.locate(given)[0]).tolist()
        if len(shards) > 1:
            names = [spec.shard_filename(shard) for shard in shards]
            raise InvalidArgumentError(
                f"{self.meta.layerpath}: expected skeletons of one shard, found those of {len(names)}: "
                f"{', '.join(names[:10])}",
                key=self.meta.layerpath,
                expected=1,
                found=names,
            )
        encoded = self._encoded(listed)  # raises where there is no id, hence no shard
        with locked_shard(self.meta.meta.source_store, self.path, shards[0]):
            self._put_shard(spec.shard_filename(shards[0]), dict(encoded))

    put = any_arguments(upload)

    def _put_shard(self, name: str, data: dict[int, bytes]) -> None:
        content = self.reader.spec.synthesize_shard(data)
        self.reader.forget(name, self.path)
        self.meta.meta.source_store.put_many(
            [(self.meta.key(name), content)], compress=None, cache_control="no-cache"
        )
        self.reader.forget(name, self.path)  # what was read meanwhile

    def upload_raw(self, *args: Any, **kwargs: Any) -> None:  # Any: as of other sources
        """Refuse: one skeleton alone makes no shard.

        Raises
        ------
        UnsupportedOptionError
            Always (a NotImplementedError).
        """
        raise UnsupportedOptionError(
            f"{self.meta.layerpath}: expected skeletons that are files, found shards, which upload writes as a whole",
            key=self.meta.layerpath,
        )

    raw_upload = upload_raw

    def delete(self, segids: Any) -> None:  # Any: a label or several
        """Remove skeletons by writing their shards anew without them; absent ones are no error.

        Raises
        ------
        ReadOnlyException, ChunkWriteError, SpecViolation, DecompressionError
        """
        self._writable()
        labels = [as_label(segids)] if is_scalar(segids) else as_labels(segids).tolist()
        spec = self.reader.spec
        by_shard: dict[int, list[int]] = {}
        for label, shard in zip(labels, spec.locate(labels)[0].tolist(), strict=True):
            by_shard.setdefault(shard, []).append(label)
        keys = [self.meta.key(spec.shard_filename(shard)) for shard in by_shard]
        are_there = self.meta.store.exists_many(keys)
        for (shard, members), is_there in zip(by_shard.items(), are_there, strict=True):
            if is_there:
                self._rewrite_without(shard, members)

    def _rewrite_without(self, shard: int, labels: Sequence[int]) -> None:
        reader = self.reader
        name = reader.spec.shard_filename(shard)
        store, key = self.meta.meta.source_store, self.meta.key(name)
        with locked_shard(store, self.path, shard):
            reader.forget(name, self.path)  # the file may be another one by now
            doomed = {label for label, is_there in self._exists(labels).items() if is_there}
            content = store.get(key) if doomed else None
            if not content:
                return
            data = reader.disassemble_shard(content)
            kept = {label: blob for label, blob in data.items() if label not in doomed}
            if kept:
                self._put_shard(name, kept)
            else:
                store.delete_many([key])
                reader.forget(name, self.path)


def _parse_labels(key: str, content: bytes | None) -> NDArray[np.uint64]:
    try:
        labels: Iterable[Any] = json.loads(content or b"")
        return as_labels([int(label) for label in labels])
    except (TypeError, ValueError) as error:
        raise DecodingError(
            f"{key}: expected a JSON list of labels: {error}", key=key, expected="a list of labels"
        ) from error
