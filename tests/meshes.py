# SPDX-License-Identifier: BSD-3-Clause
"""Meshes that several test files use, and plain twins of what the core does to them."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from cloudvolume_fast import CloudVolume, Mesh


def sphere(
    rings: int = 20,
    radius: float = 100.0,
    center: tuple[float, float, float] = (300, 400, 900),
    segid: int | None = None,
) -> Mesh:
    """A closed surface around a center."""
    theta = np.linspace(0, np.pi, rings)[1:-1]
    phi = np.linspace(0, 2 * np.pi, rings, endpoint=False)
    t, p = (a.ravel() for a in np.meshgrid(theta, phi, indexing="ij"))
    points = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=1)
    points = np.concatenate([[[0, 0, 1]], points, [[0, 0, -1]]]) * radius + np.asarray(center)
    last = len(points) - 1
    faces = []
    for j in range(rings):
        k = (j + 1) % rings
        faces.append((0, 1 + j, 1 + k))
        for i in range(rings - 3):
            a, b = 1 + i * rings + j, 1 + i * rings + k
            faces += [(a, a + rings, b), (b, a + rings, b + rings)]
        faces.append((last, last - rings + k, last - rings + j))
    return Mesh(points.astype(np.float32), np.array(faces, np.uint32), segid=segid)


def random_mesh(rng: np.random.Generator, high: int = 4, extent: int = 9) -> Mesh:
    """Few positions, so that many vertices and faces are alike."""
    n = int(rng.integers(1, extent))
    vertices = rng.integers(-high, high, (n, 3)).astype(np.float32) / 2
    faces = rng.integers(0, n, (int(rng.integers(0, 2 * extent)), 3)).astype(np.uint32)
    return Mesh(vertices, faces, segid=3)


def consolidated(mesh: Mesh) -> tuple[list[Any], list[Any]]:
    """Unique, sorted vertices and faces."""
    rows = [tuple(v + 0.0 for v in row) for row in mesh.vertices.tolist()]
    unique = sorted(set(rows))
    number = {row: i for i, row in enumerate(unique)}
    faces = sorted({tuple(number[rows[i]] for i in face) for face in mesh.faces.tolist()})
    return [list(row) for row in unique], [list(face) for face in faces]


def merged_pairs(mesh: Mesh, marks: Any) -> tuple[list[Any], list[Any]]:
    """Marked vertices merged where exactly two used ones are at the same place."""
    rows = [tuple(v + 0.0 for v in row) for row in mesh.vertices.tolist()]
    used = sorted(set(mesh.faces.ravel().tolist()))
    count = Counter(rows[i] for i in used)
    keys = {i: (*rows[i], -1 if marks[i] and count[rows[i]] == 2 else i) for i in used}
    order = sorted(set(keys.values()))
    number = {key: i for i, key in enumerate(order)}
    faces = [[number[keys[i]] for i in face] for face in mesh.faces.tolist()]
    return [list(key[:3]) for key in order], faces


def fragment_bytes(vertices: Any, faces: Any) -> bytes:
    """A fragment of the single-resolution format, as its description has it."""
    out = struct.pack("<I", len(vertices))
    for vertex in vertices:
        out += struct.pack("<3f", *vertex)
    for face in faces:
        out += struct.pack("<3I", *face)
    return out


def manifest_bytes(chunk_shape: Any, grid_origin: Any, lods: Any) -> bytes:
    """A multi-resolution manifest, as its description has it; lods are (scale, offset, positions, sizes)."""
    out = struct.pack("<3f3fI", *chunk_shape, *grid_origin, len(lods))
    for scale, _, _, _ in lods:
        out += struct.pack("<f", scale)
    for _, offset, _, _ in lods:
        out += struct.pack("<3f", *offset)
    for _, _, positions, _ in lods:
        out += struct.pack("<I", len(positions))
    for _, _, positions, sizes in lods:
        for axis in range(3):
            for position in positions:
                out += struct.pack("<I", position[axis])
        for size in sizes:
            out += struct.pack("<I", size)
    return out


def make_volume(folder: Path, mesh: str = "mesh", **members: Any) -> Any:
    """A segmentation layer without chunks, whose mesh info has these members."""
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", "raw", [4, 4, 40], [10, 20, 30], [128, 128, 64],
        mesh=mesh, chunk_size=[64, 64, 64], max_mip=1,
    )  # fmt: skip
    volume = CloudVolume(f"file://{folder}", info=info, progress=False)
    volume.commit_info()
    if members:
        volume.mesh.meta.info.update(members)
        volume.mesh.meta.commit_info()
    return CloudVolume(f"file://{folder}", progress=False)
