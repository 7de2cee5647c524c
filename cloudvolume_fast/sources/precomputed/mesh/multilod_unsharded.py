# SPDX-License-Identifier: BSD-3-Clause
"""Meshes with several levels of detail, two files each: ``LABEL.index``, the manifest, and ``LABEL``, the fragments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cloudvolume_fast.errors import MeshMissingError
from cloudvolume_fast.fetch.store import KeyRange
from cloudvolume_fast.model.mesh_manifest import MultiLevelPrecomputedMeshManifest
from cloudvolume_fast.sources.precomputed.mesh.base import labels_of
from cloudvolume_fast.sources.precomputed.mesh.multilod import LodRange, MultilodMeshSource

__all__ = ["UnshardedMultiLevelPrecomputedMeshSource"]


class UnshardedMultiLevelPrecomputedMeshSource(MultilodMeshSource):
    """See the module and `MultilodMeshSource`."""

    def _key(self, label: int) -> str:
        return self.meta.key(str(label))

    def exists(
        self, segids: int | Iterable[int], progress: bool | str | None = None
    ) -> dict[str, str | None]:
        """Say which labels have a mesh.

        Returns
        -------
        dict
            Label, as a string, to the key of its manifest, or None.
        """
        del progress  # one batch, which is over before a bar would be seen
        labels = labels_of(segids)
        keys = [f"{self._key(label)}.index" for label in labels]
        found = self.meta.meta.store.exists_many(keys)
        return {
            str(label): key if is_there else None
            for label, key, is_there in zip(labels, keys, found, strict=True)
        }

    def _manifests(
        self, labels: Sequence[int], progress: bool | str | None
    ) -> dict[int, MultiLevelPrecomputedMeshManifest | None]:
        del progress
        found = self.meta.meta.store.get_many([f"{self._key(label)}.index" for label in labels])
        return {
            label: None
            if content is None
            else MultiLevelPrecomputedMeshManifest.from_binary(
                content, label, path=str(label), what=self._named(label, f"{label}.index")
            )
            for label, content in zip(labels, found, strict=True)
        }

    def _lod_range(
        self, what: str, manifest: MultiLevelPrecomputedMeshManifest, lod: int
    ) -> LodRange:
        return LodRange(
            what,
            manifest,
            lod,
            self._key(manifest.segment_id),
            manifest.lod_start(lod),
            manifest.lod_bytes(lod),
        )

    def _read_ranges(self, wanted: Sequence[LodRange]) -> list[bytes | memoryview]:
        store = self.meta.meta.store
        found = store.get_ranges(
            [KeyRange(place.key, place.offset, place.size) for place in wanted]
        )
        out: list[bytes | memoryview] = []
        for place, content in zip(wanted, found, strict=True):
            data: bytes | memoryview | None = content
            if data is None:  # its bare name is not there; some writers compress it
                whole = store.get(place.key)
                if whole is None:
                    raise MeshMissingError(
                        f"{place.what}: there is a manifest, and no file of fragments",
                        key=place.what,
                    )
                data = memoryview(whole)[place.offset : place.offset + place.size]
            out.append(data)
        return out

    def _store_meshes(self, encoded: Mapping[int, tuple[bytes, bytes]]) -> None:
        store = self.meta.meta.store
        # Fragments first: who reads a manifest finds what it names.
        store.put_many([(self._key(label), fragments) for label, (fragments, _) in encoded.items()])
        store.put_many(
            [(f"{self._key(label)}.index", manifest) for label, (_, manifest) in encoded.items()]
        )

    def delete(self, segids: int | Iterable[int]) -> None:
        """Delete meshes; labels without one are no error.

        Raises
        ------
        ReadOnlyException
        """
        self.require_writable()
        labels = labels_of(segids)
        store = self.meta.meta.store
        store.delete_many([f"{self._key(label)}.index" for label in labels])
        store.delete_many([self._key(label) for label in labels])
