# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import math
import struct

import meshes
import numpy as np
import pytest

from cloudvolume_fast._core import mesh
from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError

# The worked example of the format: 2 levels, 116 bytes.
EXAMPLE = bytes.fromhex(
    "000080420000804200000042 000020410000a0410000f041 02000000 0000803f00000040 000000000000000000000000"
    "0000003f0000000000000000 0200000001000000 0000000001000000 0000000000000000 0000000000000000"
    "a5000000a5000000 000000000000000000000000 9d000000"
)
LODS = [
    (1.0, (0.0, 0.0, 0.0), [(0, 0, 0), (1, 0, 0)], [165, 165]),
    (2.0, (0.5, 0.0, 0.0), [(0, 0, 0)], [157]),
]
CELL = {"base": (10, 20, 30), "extent": (64, 64, 32), "number": (0, 0, 0), "bits": 10}


def plain(parts: tuple) -> list:
    return [
        (scale, offset, list(map(tuple, p.tolist())), s.tolist())
        for scale, offset, p, s in parts[2]
    ]


def test_manifest_of_the_worked_example() -> None:
    assert meshes.manifest_bytes((64, 64, 32), (10, 20, 30), LODS) == EXAMPLE
    found = mesh.manifest_parts(EXAMPLE)
    assert found[:2] == ((64, 64, 32), (10, 20, 30))
    assert plain(found) == LODS
    assert mesh.manifest_bytes((64, 64, 32), (10, 20, 30), LODS) == EXAMPLE


def test_manifest_of_other_lengths_is_refused() -> None:
    for size in range(len(EXAMPLE)):
        with pytest.raises(MeshDecodeError, match="file: "):
            mesh.manifest_parts(EXAMPLE[:size], what="file")
    with pytest.raises(MeshDecodeError, match="follow"):
        mesh.manifest_parts(EXAMPLE + bytes(4))


@pytest.mark.parametrize("seed", range(20))
def test_manifest_equals_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lods = []
    for _ in range(int(rng.integers(0, 5))):
        n = int(rng.integers(0, 6))
        lods.append((
            float(rng.integers(0, 9)),
            tuple(rng.integers(-9, 9, 3).astype(float).tolist()),
            list(map(tuple, rng.integers(0, 2**32, (n, 3)).tolist())),
            rng.integers(0, 2**32, n).tolist(),
        ))  # fmt: skip
    data = meshes.manifest_bytes((1, 2.5, 3), (-4, 5, 6), lods)
    assert plain(mesh.manifest_parts(data)) == lods
    assert mesh.manifest_bytes((1, 2.5, 3), (-4, 5, 6), lods) == data


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, math.nan),
        (0, 0.0),
        (4, -1.0),
        (8, math.inf),
        (12, math.nan),
        (28, -1.0),
        (28, math.nan),
        (48, math.inf),
    ],
)
def test_manifest_with_impossible_numbers_is_refused(offset: int, value: float) -> None:
    bad = bytearray(EXAMPLE)
    struct.pack_into("<f", bad, offset, value)
    with pytest.raises(MeshDecodeError, match=f"at {offset}") as caught:
        mesh.manifest_parts(bytes(bad))
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("offset", "count"), [(24, 65), (24, 2**32 - 1), (60, 2**32 - 1), (64, 2**31)]
)
def test_manifest_with_hostile_counts_is_refused(offset: int, count: int) -> None:
    bad = bytearray(EXAMPLE)
    struct.pack_into("<I", bad, offset, count)
    with pytest.raises(MeshDecodeError):
        mesh.manifest_parts(bytes(bad))


def test_manifest_whose_fragments_do_not_fit_is_refused() -> None:
    assert mesh.manifest_parts(EXAMPLE, data_bytes=487)
    with pytest.raises(MeshDecodeError, match="at most 486 bytes together, found 487"):
        mesh.manifest_parts(EXAMPLE, data_bytes=486)


def test_positions_of_the_worked_example() -> None:
    q = mesh.quantized([(42, 52, 46), (74, 20, 30)], **CELL)
    assert q.tolist() == [[512, 512, 512], [1023, 0, 0]]
    back = mesh.dequantized(q, **CELL)
    np.testing.assert_allclose(back, [(42.03128, 52.03128, 46.01564), (74, 20, 30)], rtol=1e-6)
    coarse = {"base": (10.5, 20, 30), "extent": (128, 128, 64), "number": (0, 0, 0), "bits": 10}
    assert mesh.quantized([(138.5, 20, 30), (10.5, 148, 94)], **coarse).tolist() == [
        [1023, 0, 0],
        [0, 1023, 1023],
    ]
    moved = mesh.dequantized([(0, 0, 0)], transform=[4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 40, 0], **coarse)
    assert moved.tolist() == [[42, 80, 1200]]


@pytest.mark.parametrize("bits", [10, 16])
def test_positions_on_the_face_of_two_cells_are_the_same(bits: int) -> None:
    rng = np.random.default_rng(bits)
    for _ in range(200):
        geometry = {"base": rng.normal(0, 1e4, 3), "extent": rng.uniform(0.1, 1e3, 3), "bits": bits}
        number = rng.integers(0, 1000, 3)
        q = rng.integers(0, 2**bits, 3)
        far, near = q.copy(), q.copy()
        far[0], near[0] = 2**bits - 1, 0
        here = mesh.dequantized([far], number=number, **geometry)
        there = mesh.dequantized([near], number=number + np.array([1, 0, 0]), **geometry)
        assert here.tolist() == there.tolist()


def test_quantised_positions_are_the_nearest() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform((10, 20, 30), (74, 84, 62), (1000, 3)).astype(np.float32)
    back = mesh.dequantized(mesh.quantized(points, **CELL), **CELL)
    assert (np.abs(back - points) <= np.array([64, 64, 32]) / 1023 / 2 + 1e-5).all()
    outside = mesh.quantized([(-1e9, 1e9, 30)], **CELL)
    assert outside.tolist() == [[0, 1023, 0]]


def test_positions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(MeshDecodeError, match="expected 1023, found 1024"):
        mesh.dequantized([(0, 1024, 0)], **CELL)
    with pytest.raises(MeshDecodeError, match="finite"):
        mesh.dequantized([(1, 1, 1)], transform=[1e300] * 12, **CELL)
    with pytest.raises(MeshDecodeError, match="finite"):
        mesh.quantized([(1, math.nan, 1)], **CELL)
    for bits in (0, 33):
        with pytest.raises(InvalidArgumentError):
            mesh.dequantized([(0, 0, 0)], **(CELL | {"bits": bits}))


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, i]] for i in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize("is_halved", [False, True])
def test_cut_triangles_stay_in_their_cells_and_cover_the_surface(is_halved: bool) -> None:
    given = meshes.sphere(20, radius=40, center=(50, 50, 50))
    grid = {"base": (3.0, 5.0, 7.0), "extent": (20.0, 30.0, 17.0), "bits": 16}
    cells = mesh.cut_into_cells(
        given.vertices, given.faces, shape=(5, 4, 6), is_halved=is_halved, **grid
    )
    assert len(cells) > 20
    total = 0.0
    edges: dict[tuple, int] = {}
    for position, q, faces in cells:
        assert q.max() <= 65535
        assert len(np.unique(q, axis=0)) == len(q)
        if is_halved:
            sides = np.sign(
                q[faces].astype(np.int64) * 2 - 65535
            )  # 65535 is odd: none is in the middle
            crossing = (sides.min(axis=1) < 0) & (sides.max(axis=1) > 0)
            # Positions in the plane are rounded to one side of it.
            assert (np.abs(q[faces].astype(np.int64) * 2 - 65535).min(axis=1)[crossing] <= 1).all()
        vertices = mesh.dequantized(q, number=position, **grid)
        total += area(vertices, faces)
        exact = q.astype(np.int64) + np.array(position) * 65535
        for a, b, c in exact[faces].tolist():
            for e in ((a, b), (b, c), (c, a)):
                key = (tuple(e[0]), tuple(e[1]))
                edges[key] = edges.get(key, 0) + 1
    assert total == pytest.approx(area(given.vertices, given.faces), rel=1e-4)
    # Closed as it was: each edge is met once in each direction, but for those that rounding made shorter than a line.
    open_edges = [e for e in edges if edges.get((e[1], e[0]), 0) != edges[e]]
    assert len(open_edges) < 0.01 * len(edges)


def test_cells_come_in_z_order() -> None:
    given = meshes.sphere(20, radius=40, center=(50, 50, 50))
    cells = mesh.cut_into_cells(
        given.vertices,
        given.faces,
        base=(0, 0, 0),
        extent=(13, 13, 13),
        shape=(8, 8, 8),
        is_halved=False,
        bits=10,
    )

    def code(position: tuple[int, int, int]) -> int:
        return sum(
            (p >> bit & 1) << (3 * bit + axis)
            for bit in range(4)
            for axis, p in enumerate(position)
        )

    codes = [code(position) for position, _, _ in cells]
    assert codes == sorted(set(codes))


def test_cutting_refuses_what_is_outside() -> None:
    grid = {
        "base": (0, 0, 0),
        "extent": (1, 1, 1),
        "shape": (2, 2, 2),
        "is_halved": False,
        "bits": 10,
    }
    inside = [(0, 0, 0), (2, 2, 2), (2, 0, 2)]
    assert mesh.cut_into_cells(inside, [(0, 1, 2)], **grid)
    assert mesh.cut_into_cells(inside, [], **grid) == []
    with pytest.raises(MeshDecodeError):
        mesh.cut_into_cells([(0, 0, 0), (2, 2, 2.1), (2, 0, 2)], [(0, 1, 2)], **grid)
    with pytest.raises(MeshDecodeError, match="below 3, found 3"):
        mesh.cut_into_cells(inside, [(0, 1, 3)], **grid)
    with pytest.raises(InvalidArgumentError):
        mesh.cut_into_cells(inside, [(0, 1, 2)], **(grid | {"extent": (1, -1, 1)}))
