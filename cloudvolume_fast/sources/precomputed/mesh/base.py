# SPDX-License-Identifier: BSD-3-Clause
"""What all sources of meshes have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.deliver.green import WaitsGreen
from cloudvolume_fast.errors import InvalidArgumentError, UnsupportedOptionError
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar
from cloudvolume_fast.model.mesh import Mesh
from cloudvolume_fast.sources.precomputed.folder_metadata import FolderMetadata, Shardable
from cloudvolume_fast.sources.precomputed.given_cache import use_cache
from cloudvolume_fast.sources.precomputed.mesh.metadata import PrecomputedMeshMetadata

if TYPE_CHECKING:
    from cloudvolume_fast.sources.precomputed.spatial_index import SpatialIndex

__all__ = ["MeshSource", "labels_of"]

_FORMATS = ("ply", "obj", "precomputed")


def labels_of(segids: Any) -> list[int]:  # Any: a label, a string of digits, or several of either
    """Return labels, each once, in the order given.

    Raises
    ------
    InvalidArgumentError
        If one is not an integer of 0 to 2^64 - 1.
    """
    if isinstance(segids, str):
        segids = [segids]
    if is_scalar(segids):
        return [as_label(segids)]
    each = segids if isinstance(segids, np.ndarray) else list(segids)
    if not isinstance(each, np.ndarray) and any(isinstance(segid, str) for segid in each):
        try:
            each = [int(segid) for segid in each]
        except ValueError as error:
            raise InvalidArgumentError(f"segids: {error}", key="segids") from error
    return list(dict.fromkeys(as_labels(each).tolist()))


class MeshSource(WaitsGreen, Shardable):
    """Meshes of a layer.

    Parameters
    ----------
    meta : PrecomputedMeshMetadata
    cache : CacheService, bool or str, optional
        What reads go through; see `use_cache`.
    config : VolumeConfig
    readonly : bool
        Whether writes raise.
    """

    waiting = frozenset({"delete", "exists", "get", "get_bbox", "get_manifest", "put", "save"})

    def __init__(
        self,
        meta: PrecomputedMeshMetadata,
        cache: Any = None,  # Any: as PrecomputedMeshMetadata's
        config: VolumeConfig | None = None,
        readonly: bool = False,
    ) -> None:
        use_cache(meta.meta, cache)
        self.meta = meta
        self.cache = cache
        self.config = config or meta.config
        self.readonly = readonly or meta.readonly
        self.kind = meta.kind

    def _folder(self) -> FolderMetadata:
        return self.meta

    @property
    def path(self) -> str:
        """Folder of the meshes below the layer."""
        return self.meta.mesh_path

    @property
    def spatial_index(self) -> SpatialIndex | None:
        """What knows which labels are in a box; None where the info has none.

        Raises
        ------
        InfoValidationError
            Its entry is malformed.
        """
        from cloudvolume_fast.sources.precomputed.spatial_index import layer_spatial_index

        return layer_spatial_index(
            self.meta.meta, self.path, self.meta.spatial_index, self.meta.mip, self.config
        )

    @property
    def is_current(self) -> bool:
        """Whether the info still is of the kind that this source is for."""
        return self.kind == self.meta.kind

    def require_writable(self) -> None:
        """Raise unless meshes may be written.

        Raises
        ------
        ReadOnlyException
        """
        self.meta.require_writable(self.readonly)

    def _named(self, label: int, name: str) -> str:
        """Say what bytes are, for messages: label and file."""
        return f"mesh of {label}: {self.meta.join(self.meta.layerpath, name)}"

    # Upstream's other operations.

    def get(self, segids: Any) -> Any:  # Any: see the sources
        """Read meshes; see the sources."""
        raise NotImplementedError

    def get_bbox(self, bbox: Any) -> Any:  # Any: a Bbox; what `get` returns
        """Read the meshes of all labels in a box, in nm.

        Raises
        ------
        IndexError
            There is no spatial index.
        """
        index = self.spatial_index
        if index is None:
            raise IndexError(
                f"{self.meta.layerpath}: expected a spatial index, found none in the info"
            )
        return self.get(sorted(index.query(bbox)))

    def save(
        self,
        segids: int | Iterable[int],
        filepath: str | os.PathLike[str] | None = None,
        file_format: str = "ply",
    ) -> None:
        """Read meshes and write them to a local file.

        Parameters
        ----------
        segids : int or iterable of int
            Several become one mesh where the source fuses them, a file each otherwise.
        filepath : str, optional
            Default ``LABEL.FORMAT``, or ``FIRST_LAST.FORMAT``, in the current folder.
        file_format : {'ply', 'obj', 'precomputed'}

        Raises
        ------
        UnsupportedOptionError
            Another format.
        MeshMissingError, MeshDecodeError
        """
        if file_format not in _FORMATS:
            raise UnsupportedOptionError(
                f"file_format: expected one of {', '.join(_FORMATS)}, found {file_format!r}",
                key="file_format",
                expected=_FORMATS,
                found=file_format,
            )
        labels = labels_of(segids)
        found = self.get(labels)
        if isinstance(found, Mesh):
            name = str(labels[0]) if len(labels) == 1 else f"{labels[0]}_{labels[-1]}"
            _write(found, filepath or f"{name}.{file_format}", file_format)
            return
        for label, mesh in found.items():
            path = os.fspath(filepath) if filepath else f"{label}.{file_format}"
            if filepath and len(found) > 1:
                stem, suffix = os.path.splitext(path)
                path = f"{stem}_{label}{suffix}"
            _write(mesh, path, file_format)


def _write(mesh: Mesh, path: str | os.PathLike[str], file_format: str) -> None:
    data = {"ply": mesh.to_ply, "obj": mesh.to_obj, "precomputed": mesh.to_precomputed}[
        file_format
    ]()
    with open(path, "wb") as file:
        file.write(data)
