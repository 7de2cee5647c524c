# SPDX-License-Identifier: BSD-3-Clause
"""Meshes to fragments and manifests of several levels of detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast._core import mesh as _core
from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError
from cloudvolume_fast.model import draco
from cloudvolume_fast.model.mesh import Mesh
from cloudvolume_fast.model.mesh_manifest import MultiLevelPrecomputedMeshManifest, z_curve_order

__all__ = ["encode_levels"]


def encode_levels(
    label: int,
    levels: Sequence[Mesh],
    *,
    bits: int,
    transform: Sequence[float] | None,
    chunk_shape: Sequence[float] | None,
    compression_level: int,
) -> tuple[bytes, bytes]:
    """Encode the levels of detail of a mesh.

    Parameters
    ----------
    label : int
    levels : sequence of Mesh
        In nm, from the finest to the coarsest.
    bits : int
        Of each quantised coordinate.
    transform : sequence of 12 float, optional
        From stored model space to nm.
    chunk_shape : sequence of 3 float, optional
        Extents of a cell of lod 0 in stored model space; default the least with which the coarsest level is one cell.
    compression_level : int
        Draco's.

    Returns
    -------
    fragments, manifest : bytes

    Raises
    ------
    InvalidArgumentError, EncodingError, MeshDecodeError, ImportError
    """
    what = f"mesh of {label}"
    if not 1 <= len(levels) <= 64:
        raise InvalidArgumentError(
            f"{what}: expected 1 to 64 levels of detail, found {len(levels)}", found=len(levels)
        )
    back = _inverse(transform, what)
    stored = [_core.transformed(mesh.vertices, back, what=what) for mesh in levels]
    used = [vertices for vertices in stored if len(vertices)]
    if not used or all(len(mesh.faces) == 0 for mesh in levels):
        raise InvalidArgumentError(f"{what}: expected triangles, found none", key="meshes")
    low = np.min([vertices.min(axis=0) for vertices in used], axis=0).astype(np.float64)
    high = np.max([vertices.max(axis=0) for vertices in used], axis=0).astype(np.float64)
    origin = _below(np.floor(low))
    if chunk_shape is None:
        extent = np.ceil(np.maximum(np.ceil(high) - origin, 1) / 2.0 ** (len(levels) - 1))
    else:
        extent = np.asarray(chunk_shape, dtype=np.float64)
    # As the manifest has it, lest positions are quantised in other cells than they are read from.
    cell = _above(extent)
    if cell.shape != (3,) or not (np.isfinite(cell).all() and (cell > 0).all()):
        raise InvalidArgumentError(
            f"chunk_shape: expected three positive numbers, found {chunk_shape}",
            key="chunk_shape",
            found=chunk_shape,
        )

    positions: list[list[tuple[int, int, int]]] = []
    blobs: list[dict[tuple[int, int, int], bytes]] = []
    for lod, (mesh, vertices) in enumerate(zip(levels, stored, strict=True)):
        size = cell * 2.0**lod
        parts = _core.cut_into_cells(
            vertices,
            mesh.faces,
            base=origin,
            extent=size,
            shape=np.maximum(np.ceil((high - origin) / size), 1).astype(np.int64).tolist(),
            is_halved=lod > 0,
            bits=bits,
            what=f"{what}: lod {lod}",
        )
        found = {
            position: draco.encode_quantized(
                quantized, faces, bits=bits, compression_level=compression_level
            )
            for position, quantized, faces in parts
        }
        blobs.append(found)
        cells = set(found)
        if (
            lod > 0
        ):  # a cell without triangles of its own still is the parent of those that have some
            cells |= {(x // 2, y // 2, z // 2) for x, y, z in positions[lod - 1]}
        positions.append(sorted(cells, key=z_curve_order))
    manifest = MultiLevelPrecomputedMeshManifest(
        label,
        cell,
        origin,
        len(levels),
        [2.0**lod for lod in range(len(levels))],
        np.zeros((len(levels), 3)),
        [len(each) for each in positions],
        positions,
        [[len(blobs[lod].get(at, b"")) for at in each] for lod, each in enumerate(positions)],
    )
    fragments = b"".join(
        blobs[lod].get(at, b"") for lod, each in enumerate(positions) for at in each
    )
    return fragments, manifest.to_binary()


def _inverse(transform: Sequence[float] | None, what: str) -> list[float] | None:
    if transform is None:
        return None
    rows = np.asarray(transform, dtype=np.float64).reshape(3, 4)
    try:
        linear = np.linalg.inv(rows[:, :3])
    except np.linalg.LinAlgError as error:
        raise MeshDecodeError(
            f"{what}: the transform of the info has no inverse", key=what
        ) from error
    out: NDArray[Any] = np.concatenate([linear, -linear @ rows[:, 3:]], axis=1)
    flat: list[float] = out.ravel().tolist()
    return flat


def _below(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the next float32 that is not above."""
    near = values.astype(np.float32)
    near = np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
    return near.astype(np.float64)


def _above(values: NDArray[np.float64]) -> NDArray[np.float64]:
    near = values.astype(np.float32)
    near = np.where(near < values, np.nextafter(near, np.float32(np.inf)), near)
    return near.astype(np.float64)
