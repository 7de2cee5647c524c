# SPDX-License-Identifier: BSD-3-Clause
"""Meshes with several levels of detail in shards: the manifest is the datum, the fragments are the bytes before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import (
    DecompressionError,
    InfoValidationError,
    MeshDecodeError,
    SpecViolation,
)
from cloudvolume_fast.fetch.kept_shards import KeptShardReader
from cloudvolume_fast.fetch.store import locked_shard
from cloudvolume_fast.locate.byte_ranges import ByteRange
from cloudvolume_fast.model.mesh_manifest import MultiLevelPrecomputedMeshManifest
from cloudvolume_fast.model.sharding import ShardingSpecification
from cloudvolume_fast.sources.precomputed.any_arguments import any_arguments
from cloudvolume_fast.sources.precomputed.mesh.base import labels_of
from cloudvolume_fast.sources.precomputed.mesh.metadata import PrecomputedMeshMetadata
from cloudvolume_fast.sources.precomputed.mesh.multilod import LodRange, MultilodMeshSource

__all__ = ["ShardedMultiLevelPrecomputedMeshSource"]


class ShardedMultiLevelPrecomputedMeshSource(MultilodMeshSource):
    """See the module and `MultilodMeshSource`.

    Raises
    ------
    SpecViolation, InfoValidationError
        The info does not say how meshes are sharded.
    """

    def __init__(
        self,
        meta: PrecomputedMeshMetadata,
        cache: Any = None,  # Any: as MeshSource's
        config: VolumeConfig | None = None,
        readonly: bool = False,
    ) -> None:
        super().__init__(meta, cache, config, readonly)
        sharding = meta.info.get("sharding")
        if not isinstance(sharding, Mapping):
            raise InfoValidationError(
                f"{meta.infopath}: sharding: expected a JSON object, found {sharding!r}",
                key=meta.infopath,
                found=sharding,
            )
        self.spec = ShardingSpecification.from_dict(sharding)
        self.reader = self._open_reader()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the reader, whose store may hold credentials."""
        return {name: value for name, value in self.__dict__.items() if name != "reader"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reader = self._open_reader()

    def _open_reader(self) -> KeptShardReader:
        layer = self.meta.meta
        return KeptShardReader(layer.source_store, self.spec, layer)

    # Reading.

    def exists(
        self, segids: int | Iterable[int], progress: bool | str | None = None
    ) -> list[MultiLevelPrecomputedMeshManifest | None]:
        """Read the manifests of labels.

        Returns
        -------
        list
            In the order of the labels, None for those without a mesh.
        """
        labels = labels_of(segids)
        found = self._manifests(labels, progress)
        return [found[label] for label in labels]

    def _manifests(
        self, labels: Sequence[int], progress: bool | str | None
    ) -> dict[int, MultiLevelPrecomputedMeshManifest | None]:
        try:
            places = self.reader.exists(
                labels, self.path, return_byte_range=True, progress=progress
            )
            contents = self.reader.get_data(
                [label for label in labels if places[label] is not None], self.path
            )
        except (SpecViolation, DecompressionError) as error:
            raise MeshDecodeError(
                f"{self.meta.layerpath}: a shard is not what the format allows: {error}",
                key=error.key,
                expected=error.expected,
                found=error.found,
                offset=error.offset,
            ) from error
        out: dict[int, MultiLevelPrecomputedMeshManifest | None] = {}
        for label in labels:
            place = places[label]
            if place is None:
                out[label] = None
                continue
            key, offset, _ = place
            name = key.removeprefix(f"{self.path}/")
            # Fragments lie between the shard index and the manifest.
            room = int(offset) - self.spec.index_length()
            out[label] = MultiLevelPrecomputedMeshManifest.from_binary(
                contents[label],
                label,
                int(offset),
                name,
                what=self._named(label, name),
                data_bytes=room,
            )
        return out

    def _lod_range(
        self, what: str, manifest: MultiLevelPrecomputedMeshManifest, lod: int
    ) -> LodRange:
        begin = manifest.shard_offset - manifest.data_bytes + manifest.lod_start(lod)
        key = self.meta.key(str(manifest.path))
        return LodRange(what, manifest, lod, key, begin, manifest.lod_bytes(lod))

    def _read_ranges(self, wanted: Sequence[LodRange]) -> list[bytes | memoryview]:
        return self.reader.read_kept_ranges(
            [self.meta.key(f"{place.manifest.segment_id}-{place.lod}.mesh") for place in wanted],
            [(place.key, ByteRange(place.offset, place.size)) for place in wanted],
        )

    # Writing.

    def _store_meshes(self, encoded: Mapping[int, tuple[bytes, bytes]]) -> None:
        self._rewrite(
            {
                label: (fragments + manifest, len(manifest))
                for label, (fragments, manifest) in encoded.items()
            }
        )

    @any_arguments
    def delete(self, segids: int | Iterable[int]) -> None:
        """Delete meshes, by writing their shards without them; labels without one are no error.

        Raises
        ------
        ReadOnlyException, SpecViolation
        """
        self.require_writable()
        self._rewrite(dict.fromkeys(labels_of(segids)))

    def _rewrite(self, changes: Mapping[int, tuple[bytes, int] | None]) -> None:
        """Write shards anew, with what they hold; None takes a label out."""
        by_shard: dict[int, list[int]] = {}
        labels = list(changes)
        for label, shard in zip(labels, self.spec.locate(labels)[0].tolist(), strict=True):
            by_shard.setdefault(shard, []).append(label)
        for shard, members in by_shard.items():
            with locked_shard(self.meta.meta.source_store, self.path, shard):
                self._rewrite_shard(
                    self.spec.shard_filename(shard), {label: changes[label] for label in members}
                )

    def _rewrite_shard(self, name: str, changes: Mapping[int, tuple[bytes, int] | None]) -> None:
        store, key = self.meta.meta.source_store, self.meta.key(name)
        stored = store.get(key)  # not a copy, which others may have made obsolete
        data: dict[int, bytes] = {}
        sizes: dict[int, int] = {}
        if stored:
            data, sizes = self.reader.disassemble_multires_mesh_shard(stored)
        before = set(data)
        for label, change in changes.items():
            if change is None:
                data.pop(label, None)
                sizes.pop(label, None)
            else:
                data[label], sizes[label] = change
        self.reader.forget(name, self.path)
        if data:
            if set(data) != before or any(change is not None for change in changes.values()):
                store.put(key, self.spec.synthesize_shard(data, data_offset=sizes))
        elif stored is not None:
            store.delete_many([key])
        self.reader.forget(name, self.path)  # what was read meanwhile
