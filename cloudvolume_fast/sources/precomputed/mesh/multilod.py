# SPDX-License-Identifier: BSD-3-Clause
"""Meshes with several levels of detail: what sharded and unsharded ones have in common.

Manifests are one batch of the store, the fragments of the wanted levels another.  Fragments are decoded on threads, as
Draco works without the GIL, and moved into place by the core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudvolume_fast import _runtime
from cloudvolume_fast._core import mesh as _core
from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError, MeshMissingError
from cloudvolume_fast.model import draco
from cloudvolume_fast.model.mesh import Mesh
from cloudvolume_fast.model.mesh_manifest import (
    MultiLevelPrecomputedMeshManifest,
    as_quantized,
    dequantized_fragment,
    from_stored_model_space,
    to_stored_model_space,
)
from cloudvolume_fast.sources.precomputed.any_arguments import any_arguments
from cloudvolume_fast.sources.precomputed.mesh.base import MeshSource, labels_of
from cloudvolume_fast.sources.precomputed.mesh.write_multilod import encode_levels
from cloudvolume_fast.sources.precomputed.spoilt_copies import fetching_again

__all__ = [
    "MultiLevelPrecomputedMeshManifest",
    "MultilodMeshSource",
    "extract_lod_meshes",
    "from_stored_model_space",
    "to_stored_model_space",
]

# Stored bytes that are in memory at a time while many labels are read.
_BATCH_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class LodRange:
    """Where the fragments of a level are: a key of the store, and a range of its object."""

    what: str  # label and file, for messages
    manifest: MultiLevelPrecomputedMeshManifest
    lod: int
    key: str
    offset: int
    size: int


def extract_lod_meshes(
    manifest: MultiLevelPrecomputedMeshManifest,
    lod: int,
    lod_binary: bytes,
    vertex_quantization_bits: int,
    transform: Sequence[float] | None,
    *,
    what: str | None = None,
) -> list[Mesh]:
    """Decode the fragments of a level.

    Parameters
    ----------
    manifest : MultiLevelPrecomputedMeshManifest
    lod : int
    lod_binary : bytes
        All fragments of the level.
    vertex_quantization_bits : int
    transform : sequence of 12 float, optional
        From stored model space to nm.
    what : str, optional
        Opens messages: label and file.

    Returns
    -------
    list of Mesh
        Of the cells that have triangles, in the manifest's order.

    Raises
    ------
    MeshDecodeError
    """
    jobs = _jobs(manifest, lod, lod_binary, what or f"mesh of {manifest.segment_id}")
    return [_decode(job, vertex_quantization_bits, _rows(transform)) for job in jobs]


@dataclass(frozen=True, slots=True)
class _Job:
    """One fragment to decode."""

    manifest: MultiLevelPrecomputedMeshManifest
    lod: int
    frag: int
    binary: memoryview
    what: str


def _jobs(
    manifest: MultiLevelPrecomputedMeshManifest, lod: int, binary: bytes | memoryview, what: str
) -> Iterator[_Job]:
    view = memoryview(binary)
    expected = manifest.lod_bytes(lod)
    if len(view) != expected:
        raise MeshDecodeError(
            f"{what}: lod {lod}: expected {expected} bytes of fragments, found {len(view)}",
            key=what,
            expected=expected,
            found=len(view),
        )
    begin = 0
    for frag, size in enumerate(manifest.fragment_offsets[lod].tolist()):
        if size:
            yield _Job(
                manifest,
                lod,
                frag,
                view[begin : begin + size],
                f"{what}: lod {lod} fragment {frag}",
            )
        begin += size


def _decode(job: _Job, bits: int, transform: list[float] | None) -> Mesh:
    points, faces, options = draco.decode(job.binary, what=job.what)
    vertices = dequantized_fragment(
        points, job.manifest, job.lod, bits, job.frag, transform=transform, what=job.what
    )
    return Mesh(vertices, faces, None, job.manifest.segment_id, "draco", options)


def _decode_apart(
    place: LodRange, blob: bytes | memoryview, bits: int, transform: list[float] | None
) -> tuple[int, Any]:
    """Decode the fragments of a label to a mesh each."""
    jobs = _jobs(place.manifest, place.lod, blob, place.what)
    return place.manifest.segment_id, [_decode(job, bits, transform) for job in jobs]


def _decode_joined(
    place: LodRange, blob: bytes | memoryview, bits: int, transform: list[float] | None
) -> tuple[int, Any]:
    """Decode the fragments of a label to one mesh."""
    manifest = place.manifest
    points, faces, numbers, names = [], [], [], []
    options = None
    for job in _jobs(manifest, place.lod, blob, place.what):
        found, corners, options = draco.decode(job.binary, what=job.what)
        points.append(as_quantized(found, bits, job.what))
        faces.append(corners)
        numbers.append(job.frag)
        names.append(job.what)
    vertices, joined = _core.dequantized_fragments(
        points,
        faces,
        numbers=manifest.fragment_positions[place.lod][numbers],
        bits=bits,
        transform=transform,
        names=names,
        **manifest.lod_cells(place.lod),
    )
    return manifest.segment_id, Mesh(vertices, joined, None, manifest.segment_id, "draco", options)


def _rows(
    transform: Any,
) -> list[float] | None:  # Any: 12 numbers in any shape, or 16 with a last row of (0, 0, 0, 1)
    if transform is None:
        return None
    return [float(value) for value in np.asarray(transform, dtype=np.float64).ravel()[:12]]


class MultilodMeshSource(MeshSource):
    """Meshes with several levels of detail; see `MeshSource`."""

    @property
    def vertex_quantization_bits(self) -> int:
        """Bits of each coordinate within its cell."""
        return int(self.meta.info["vertex_quantization_bits"])

    # What differs.

    def _manifests(
        self, labels: Sequence[int], progress: bool | str | None
    ) -> dict[int, MultiLevelPrecomputedMeshManifest | None]:
        raise NotImplementedError

    def _lod_range(
        self, what: str, manifest: MultiLevelPrecomputedMeshManifest, lod: int
    ) -> LodRange:
        raise NotImplementedError

    def _read_ranges(self, wanted: Sequence[LodRange]) -> list[bytes | memoryview]:
        raise NotImplementedError

    def _store_meshes(self, encoded: Mapping[int, tuple[bytes, bytes]]) -> None:
        """Write fragments and manifests by label."""
        raise NotImplementedError

    # Reading.

    def get_manifest(
        self, segid: int, progress: bool | str | None = None
    ) -> MultiLevelPrecomputedMeshManifest | None:
        """Read the manifest of a label, None if it has no mesh.

        Raises
        ------
        MeshDecodeError
            It is not what the format allows.
        """
        (label,) = labels_of(segid)
        return self._manifests([label], progress)[label]

    @fetching_again
    def get(
        self,
        segids: int | Iterable[int],
        lod: int = 0,
        concat: bool = True,
        progress: bool | str | None = None,
        allow_missing: bool = False,
    ) -> Any:
        """Read meshes of a level of detail.

        Parameters
        ----------
        segids : int or iterable of int
        lod : int
            0 is the finest; negative ones count from the coarsest, for each label by itself.
        concat : bool
            Put the fragments of a label one after another.
        progress : bool or str, optional
            Show bars (tqdm) of the indexes that are read.
        allow_missing : bool
            Leave out labels without a mesh.

        Returns
        -------
        dict
            Label to mesh in nm, or to a list of the meshes of its fragments.

        Raises
        ------
        MeshMissingError
            A label has no mesh.
        MeshDecodeError
            A manifest or a fragment is not what the format allows, or there is no such level.
        """
        labels = labels_of(segids)
        manifests = self._manifests(labels, progress)
        missing = [label for label in labels if manifests[label] is None]
        if missing and not allow_missing:
            shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
            raise MeshMissingError(
                f"{self.meta.layerpath}: no mesh of {shown}: expected a manifest, found none",
                key=self.meta.layerpath,
                found=missing,
            )
        wanted = []
        for manifest in manifests.values():
            if manifest is not None:
                what = self._named(manifest.segment_id, manifest.path or "")
                wanted.append(self._lod_range(what, manifest, manifest.resolve_lod(lod, what)))
        transform = _rows(self.meta.transform)
        bits = self.vertex_quantization_bits
        decode = _decode_joined if concat else _decode_apart
        out: dict[int, Any] = {}
        threads = self.config.threads or _runtime.default_threads()
        with ThreadPoolExecutor(threads) as pool:
            for batch in _batches(wanted):
                pairs = list(zip(batch, self._read_ranges(batch), strict=True))
                # Runs of labels: handing them over one by one takes as long as decoding a small mesh.
                step = max(1, -(-len(pairs) // (4 * threads)))
                runs = [pairs[i : i + step] for i in range(0, len(pairs), step)]
                for found in pool.map(
                    lambda run: [decode(place, blob, bits, transform) for place, blob in run], runs
                ):
                    out.update(found)
        return out

    # Writing.

    @any_arguments
    def put(
        self,
        meshes: Mesh | Iterable[Mesh | Sequence[Mesh]] | Mapping[int, Mesh | Sequence[Mesh]],
        batch_size: int = 200,
        chunk_shape: Sequence[float] | None = None,
        compression_level: int = 7,
    ) -> None:
        """Write meshes; a mesh that a label has is replaced.

        Parameters
        ----------
        meshes : Mesh, iterable or mapping
            In nm.  Each is a mesh with its label, or several of one label, which are levels of detail from the finest
            to the coarsest; a mapping tells the labels itself.
        batch_size : int
            How many are encoded before they are written.  A shard is written as a whole, with what it holds already, so
            that many small batches take long.
        chunk_shape : sequence of 3 float, optional
            Extents of a fragment of lod 0 in stored model space; by default the coarsest level is one fragment.
        compression_level : int
            Draco's, 0 to 10.

        Raises
        ------
        ReadOnlyException, InvalidArgumentError, EncodingError, ImportError
        MeshDecodeError
            A mesh has coordinates that are not finite, or faces of vertices that are not there.

        Notes
        -----
        Triangles are cut where cells meet, and at coarser levels where those of the level below do, as the format
        demands.  Positions move by at most half of ``chunk_shape * 2^lod / (2^bits - 1)`` on each axis.
        """
        self.require_writable()
        batch: dict[int, tuple[bytes, bytes]] = {}
        for label, levels in _levels_by_label(meshes):
            batch[label] = encode_levels(
                label,
                levels,
                bits=self.vertex_quantization_bits,
                transform=self.meta.transform,
                chunk_shape=chunk_shape,
                compression_level=compression_level,
            )
            if len(batch) >= max(batch_size, 1):
                self._store_meshes(batch)
                batch = {}
        if batch:
            self._store_meshes(batch)


def _batches(wanted: Sequence[LodRange]) -> Iterator[list[LodRange]]:
    batch: list[LodRange] = []
    size = 0
    for place in wanted:
        if batch and size + place.size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += place.size
    if batch:
        yield batch


def _levels_by_label(meshes: Any) -> Iterator[tuple[int, list[Mesh]]]:  # Any: see `put`
    if isinstance(meshes, Mapping):
        for label, given in meshes.items():
            yield labels_of(label)[0], [given] if isinstance(given, Mesh) else list(given)
        return
    for given in [meshes] if isinstance(meshes, Mesh) else meshes:
        levels = [given] if isinstance(given, Mesh) else list(given)
        labels = {mesh.segid for mesh in levels}
        if len(labels) != 1 or None in labels:
            raise InvalidArgumentError(
                f"mesh: expected levels of one segid to store them under, found {sorted(map(str, labels))}",
                key="segid",
                found=labels,
            )
        yield labels_of(labels.pop())[0], levels
