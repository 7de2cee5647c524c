# SPDX-License-Identifier: BSD-3-Clause
"""Single-resolution meshes: a manifest and fragments for each label (mesh.rst, "legacy single-resolution mesh format").

All manifests are one batch of the store, all fragments another; the core decodes fragments straight to their places in
the mesh, on its threads.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from cloudvolume_fast import _runtime
from cloudvolume_fast._core import mesh as _core
from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError, MeshMissingError
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.model import draco
from cloudvolume_fast.model.mesh import Mesh, stitch_fragments
from cloudvolume_fast.sources.precomputed.mesh.base import MeshSource, labels_of
from cloudvolume_fast.sources.precomputed.spoilt_copies import fetching_again

__all__ = ["UnshardedLegacyPrecomputedMeshSource", "filename_to_segid"]

_LIMIT_BYTES = 1 << 30


def filename_to_segid(filename: str) -> int:
    """Return the label that a manifest or a fragment belongs to.

    Raises
    ------
    InvalidArgumentError
        If the name does not begin with one.
    """
    found = re.match(r"(\d+):", posixpath.basename(filename))
    if found is None:
        raise InvalidArgumentError(
            f"{filename}: expected a name that begins with a label and a colon", key=filename
        )
    return int(found.group(1))


class UnshardedLegacyPrecomputedMeshSource(MeshSource):
    """Single-resolution meshes; see `MeshSource`."""

    def manifest_path(self, segid: int) -> str:
        """Return the key of a label's manifest."""
        return self.meta.key(f"{segid}:0")

    # Reading.

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
        keys = [self.manifest_path(label) for label in labels]
        found = self.meta.meta.store.exists_many(keys)
        return {
            str(label): key if is_there else None
            for label, key, is_there in zip(labels, keys, found, strict=True)
        }

    @fetching_again
    def get(
        self,
        segids: int | Iterable[int],
        remove_duplicate_vertices: bool = True,
        fuse: bool = True,
        chunk_size: Sequence[float] | None = None,
        allow_missing: bool = False,
    ) -> Any:
        """Read meshes.

        Parameters
        ----------
        segids : int or iterable of int
        remove_duplicate_vertices : bool
            See `Mesh.consolidate`.  Unless fused, vertices are as the fragments have them, as upstream returns them.
        fuse : bool
            Return one mesh of all labels.
        chunk_size : sequence of 3 int, optional
            In voxels of the mip that was meshed: remove only those duplicates that fragments have in common, which are
            vertices that come in pairs on the faces of such chunks; see `Mesh.deduplicate_chunk_boundaries`.
        allow_missing : bool
            Leave out labels without a mesh.

        Returns
        -------
        Mesh or dict
            One mesh in nm, without a label; None if `allow_missing` leaves nothing.  Unless fused, label to mesh.

        Raises
        ------
        MeshMissingError
            A label has no mesh, or a fragment that its manifest names is not there.
        MeshDecodeError
            A manifest or a fragment is not what the format allows.
        ScaleUnavailableError
            `chunk_size` is given, and there is no scale of the mip that was meshed.
        """
        labels = labels_of(segids)
        names = self._fragment_names(labels, allow_missing)
        merge = None
        if remove_duplicate_vertices:
            merge = (
                self._consolidate
                if chunk_size is None or len(chunk_size) == 0
                else self._chunk_merger(chunk_size)
            )
        if fuse:
            if not names:
                if allow_missing:
                    return None
                raise InvalidArgumentError(
                    "segids: expected at least one label, found none", key="segids"
                )
            # By label, then by name.
            pairs = [(label, name) for label in sorted(names) for name in sorted(names[label])]
            mesh = self._read_local(pairs)
            if mesh is None:
                mesh = self._decode(pairs, self._fetch(pairs))
            return mesh if merge is None else merge(mesh)
        pairs = [(label, name) for label, members in names.items() for name in sorted(members)]
        contents = self._fetch(pairs)
        out = {}
        begin = 0
        for label, members in names.items():
            end = begin + len(members)
            mesh = self._decode(pairs[begin:end], contents[begin:end])
            mesh.segid = label
            out[label] = mesh
            begin = end
        return out

    def _consolidate(self, mesh: Mesh) -> Mesh:
        return mesh._consolidated(self.config.threads)

    def _chunk_merger(self, chunk_size: Sequence[float]) -> Any:
        mip = self.meta.require_mip()
        resolution = np.asarray(self.meta.meta.resolution(mip), dtype=np.float64)
        size = np.asarray(chunk_size, dtype=np.float64) * resolution
        offset = np.asarray(self.meta.meta.voxel_offset(mip), dtype=np.float64) * resolution
        return lambda mesh: mesh._merged(
            _core.chunk_borders(mesh.vertices, size, offset, 0.0), self.config.threads
        )

    def _fragment_names(self, labels: Sequence[int], allow_missing: bool) -> dict[int, list[str]]:
        """Read manifests: label to the names of its fragments, below the folder."""
        contents = self.meta.meta.store.get_many([self.manifest_path(label) for label in labels])
        missing = [
            label for label, content in zip(labels, contents, strict=True) if content is None
        ]
        if missing and not allow_missing:
            shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
            raise MeshMissingError(
                f"{self.meta.layerpath}: no mesh of {shown}: expected files LABEL:0, found none",
                key=self.meta.layerpath,
                expected="LABEL:0",
                found=missing,
            )
        return {
            label: self._parse_manifest(label, content)
            for label, content in zip(labels, contents, strict=True)
            if content is not None
        }

    def _parse_manifest(self, label: int, content: bytes) -> list[str]:
        what = self._named(label, f"{label}:0")
        try:
            manifest = json.loads(content)
            names = manifest["fragments"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MeshDecodeError(
                f"{what}: expected a JSON object with a list of fragments, found {content[:80]!r}",
                key=what,
            ) from error
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise MeshDecodeError(
                f"{what}: fragments: expected a list of names, found {str(names)[:80]}", key=what
            )
        for name in names:
            if "/" not in name and name not in {".", ".."} and "\0" not in name:
                continue
            key = posixpath.normpath(self.meta.key(name))
            if key.startswith(("../", "/")) or key == ".." or "\0" in name:
                raise MeshDecodeError(
                    f"{what}: fragments: expected names inside of the layer, found {name!r}",
                    key=what,
                    found=name,
                )
        return list(dict.fromkeys(names))

    def _read_local(self, pairs: Sequence[tuple[int, str]]) -> Mesh | None:
        """Read and decode fragments in one go, where they are sound files of this machine."""
        store = self.meta.meta.store
        if not isinstance(store, FileStore):
            return None
        found = _runtime.read_fragments(
            os.fsencode(store.root),
            [os.fsencode(self.meta.key(name)) for _, name in pairs],
            _LIMIT_BYTES,
            self.meta.transform,
            self.config.threads,
        )
        return None if found is None else Mesh(*found, encoding_type="precomputed")

    def _fetch(self, pairs: Sequence[tuple[int, str]]) -> list[bytes]:
        names = list(dict.fromkeys(name for _, name in pairs))
        found = self.meta.meta.store.get_many([self.meta.key(name) for name in names])
        contents = dict(zip(names, found, strict=True))
        out = []
        for label, name in pairs:
            content = contents[name]
            if content is None:
                what = self._named(label, name)
                raise MeshMissingError(
                    f"{what}: the manifest {label}:0 names this fragment, and it is not there",
                    key=what,
                )
            out.append(content)
        return out

    def _decode(self, pairs: Sequence[tuple[int, str]], contents: Sequence[bytes]) -> Mesh:
        """Decode fragments into one mesh in nm."""
        names = [self._named(label, name) for label, name in pairs]
        transform = self.meta.transform
        if not any(content.startswith(draco.MAGIC) for content in contents):
            vertices, faces, _ = stitch_fragments(
                contents, names, transform=transform, threads=self.config.threads
            )
            return Mesh(vertices, faces, encoding_type="precomputed")
        mesh = Mesh.concatenate(*self._each(contents, names))
        mesh.vertices = _core.transformed(mesh.vertices, transform, what=names[0])
        return mesh

    def _each(self, contents: Sequence[bytes], names: Sequence[str]) -> list[Mesh]:
        """Decode fragments one by one, of which some are Draco's; it works without the GIL."""

        def decode(content: bytes, name: str) -> Mesh:
            if content.startswith(draco.MAGIC):
                vertices, faces, options = draco.decode(content, what=name)
                return Mesh(vertices, faces, None, None, "draco", options)
            raw, numbers, _ = stitch_fragments([content], [name], threads=1)
            return Mesh(raw, numbers, encoding_type="precomputed")

        threads = self.config.threads or _runtime.default_threads()
        with ThreadPoolExecutor(min(threads, len(contents))) as pool:
            return list(pool.map(decode, contents, names))

    # Writing.

    def put(
        self,
        meshes: Mesh | Iterable[Mesh],
        batch_size: int = 200,
        compress: str | bool | None = "gzip",
        compression_level: int | None = 6,
        cdn_cache: str | bool | int | None = None,
        skip_delete: bool = False,
    ) -> None:
        """Write meshes, each as one fragment; a mesh that a label has is replaced.

        Parameters
        ----------
        meshes : Mesh or iterable of Mesh
            Each with its label, in stored model space.
        batch_size : int
            How many are encoded before they are written.
        compress, compression_level
            Of fragments.
        cdn_cache : str, bool or int, optional
            Cache-Control, where the store has such a header.
        skip_delete : bool
            Leave fragments of earlier meshes where they are; no manifest names them any more.

        Raises
        ------
        ReadOnlyException, InvalidArgumentError
        MeshDecodeError
            A mesh has coordinates that are not finite, or faces of vertices that are not there.
        """
        self.require_writable()
        batch: list[Mesh] = []
        for mesh in [meshes] if isinstance(meshes, Mesh) else meshes:
            if mesh.segid is None:
                raise InvalidArgumentError(
                    "mesh: expected a segid to store it under, found None", key="segid"
                )
            batch.append(mesh)
            if len(batch) >= max(batch_size, 1):
                self._put(batch, compress, compression_level, cdn_cache, skip_delete)
                batch = []
        if batch:
            self._put(batch, compress, compression_level, cdn_cache, skip_delete)

    def _put(
        self,
        meshes: Sequence[Mesh],
        compress: str | bool | None,
        compression_level: int | None,
        cdn_cache: str | bool | int | None,
        skip_delete: bool,
    ) -> None:
        labels = [labels_of(mesh.segid)[0] for mesh in meshes]
        fragments = [
            (self.meta.key(f"{label}:0:1"), mesh.to_precomputed())
            for label, mesh in zip(labels, meshes, strict=True)
        ]
        manifests = [
            (
                self.manifest_path(label),
                json.dumps({"fragments": [f"{label}:0:1"]}, separators=(",", ":")).encode("ascii"),
            )
            for label in labels
        ]
        store = self.meta.meta.store
        header = _cache_control(cdn_cache)
        if not skip_delete:
            self.delete(labels)
        # Fragments first: who reads a manifest finds what it names.
        store.put_many(
            fragments,
            compress=compress,
            compress_level=compression_level if compress not in (None, False) else None,
            content_type="model/mesh",
            cache_control=header,
        )
        store.put_many(manifests, content_type="application/json", cache_control=header)

    def delete(self, segids: int | Iterable[int]) -> None:
        """Delete meshes; labels without one are no error.

        Raises
        ------
        ReadOnlyException, MeshDecodeError
        """
        self.require_writable()
        names = self._fragment_names(labels_of(segids), allow_missing=True)
        store = self.meta.meta.store
        store.delete_many([self.meta.key(name) for members in names.values() for name in members])
        store.delete_many([self.manifest_path(label) for label in names])


def _cache_control(cdn_cache: str | bool | int | None) -> str | None:
    if cdn_cache is None or cdn_cache is True:
        return None
    if cdn_cache is False:
        return "no-cache"
    if isinstance(cdn_cache, int):
        return f"public, max-age={cdn_cache}"
    return cdn_cache
