# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import math
import struct
from pathlib import Path

import meshes
import numpy as np
import pytest

from cloudvolume_fast import Bbox, Mesh
from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError
from cloudvolume_fast.model.mesh import is_draco_chunk_aligned

VERTICES = [[1, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [2, 2, 2]]
FACES = [[0, 1, 2], [3, 4, 1], [0, 1, 2], [2, 0, 1]]


@pytest.fixture
def mesh() -> Mesh:
    return Mesh(VERTICES, FACES, segid=5)


def test_arrays_have_the_types_of_the_format(mesh: Mesh) -> None:
    assert (mesh.vertices.dtype, mesh.faces.dtype) == (np.float32, np.uint32)
    assert mesh.normals.shape == (0, 3)
    assert len(mesh) == 6
    assert not mesh.empty()
    assert Mesh([], []).empty()
    assert Mesh(VERTICES, []).empty()
    assert mesh.triangles().shape == (4, 3, 3)
    assert list(mesh.edges())[:6] == [(0, 1), (1, 2), (0, 2), (3, 4), (1, 4), (1, 3)]
    assert "vertices<6>, faces<4>" in repr(mesh)


@pytest.mark.parametrize("name", ["vertices", "faces", "normals"])
def test_arrays_of_another_shape_are_refused(name: str) -> None:
    given = {"vertices": VERTICES, "faces": FACES, "normals": VERTICES} | {name: [[1, 2]]}
    with pytest.raises(InvalidArgumentError, match=name):
        Mesh(**given)


def test_equality_compares_arrays_alone(mesh: Mesh) -> None:
    assert mesh == mesh.clone()
    assert mesh == Mesh(VERTICES, FACES, segid=6, encoding_type="draco")
    assert mesh != Mesh(VERTICES, FACES[::-1])
    assert mesh != Mesh(VERTICES, FACES, normals=VERTICES)
    assert mesh != 5
    copy = mesh.clone()
    copy.vertices[0] = 9
    assert mesh != copy


def test_concatenate_shifts_faces_and_keeps_normals_that_all_have(mesh: Mesh) -> None:
    both = Mesh.concatenate(mesh, mesh, segid=9)
    assert both.segid == 9
    assert len(both) == 12
    assert both.faces[4:].tolist() == (np.array(FACES) + 6).tolist()
    assert both.normals.shape == (0, 3)
    lit = Mesh(VERTICES, FACES, normals=VERTICES)
    assert Mesh.concatenate(lit, lit).normals.shape == (12, 3)
    assert Mesh.concatenate(lit, mesh).normals.shape == (0, 3)
    with pytest.raises(ValueError, match="at least one"):
        Mesh.concatenate()


def test_consolidate_keeps_winding_and_unused_vertices(mesh: Mesh) -> None:
    found = mesh.consolidate()
    assert found.vertices.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [2, 2, 2]]
    assert found.faces.tolist() == [[2, 3, 0], [3, 0, 2], [3, 1, 0]]
    assert found.segid == 5
    assert Mesh([], []).consolidate() == Mesh([], [])


@pytest.mark.parametrize("seed", range(40))
def test_consolidate_equals_its_twin(seed: int) -> None:
    given = meshes.random_mesh(np.random.default_rng(seed), extent=[9, 60][seed % 2])
    found = given.consolidate()
    assert (found.vertices.tolist(), found.faces.tolist()) == meshes.consolidated(given)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_consolidate_of_many_vertices_does_not_depend_on_threads(threads: int) -> None:
    rng = np.random.default_rng(7)
    vertices = rng.normal(0, 30, (300_000, 3)).round(1).astype(np.float32)
    vertices[::3] = vertices[1::3]
    vertices[5] = -0.0
    faces = rng.integers(0, len(vertices), (400_000, 3)).astype(np.uint32)
    faces[::4] = faces[1::4]
    found = Mesh(vertices, faces)._consolidated(threads)
    unique, number = np.unique(vertices, axis=0, return_inverse=True)
    np.testing.assert_array_equal(found.vertices, unique)
    np.testing.assert_array_equal(found.faces, np.unique(number.reshape(-1)[faces], axis=0))


def test_consolidate_of_a_plane_and_of_one_place() -> None:
    rng = np.random.default_rng(3)
    vertices = np.zeros((9000, 3), np.float32)
    vertices[:, 1:] = rng.integers(0, 50, (9000, 2))
    flat = Mesh(vertices, rng.integers(0, 9000, (5000, 3)))
    assert flat.consolidate().vertices.tolist() == np.unique(vertices, axis=0).tolist()
    point = Mesh(np.ones((9000, 3)), rng.integers(0, 9000, (5000, 3))).consolidate()
    assert (len(point), point.faces.tolist()) == (1, [[0, 0, 0]])


@pytest.mark.parametrize("seed", range(60))
def test_deduplicate_vertices_equals_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given = meshes.random_mesh(rng, high=2, extent=[9, 60][seed % 2])
    marks = rng.random(len(given)) < 0.7
    found = given.deduplicate_vertices(marks)
    assert (found.vertices.tolist(), found.faces.tolist()) == meshes.merged_pairs(given, marks)


def test_only_pairs_at_borders_are_merged() -> None:
    once = [[32, 1, 1], [5, 64, 5], [5, 5, 5]]
    given = Mesh(once + once + [[5, 64, 5]], [[0, 1, 2], [3, 4, 5], [6, 0, 1]])
    found = given.deduplicate_chunk_boundaries((32, 32, 32))
    # Of (32, 1, 1) there are two, of (5, 64, 5) three, and (5, 5, 5) is inside of a chunk.
    assert found.vertices.tolist() == [[5, 5, 5]] * 2 + [[5, 64, 5]] * 3 + [[32, 1, 1]]
    assert len(given.deduplicate_chunk_boundaries((32, 32, 32), offset=(2, 2, 2))) == 7
    with pytest.raises(InvalidArgumentError, match="chunk_size"):
        given.deduplicate_chunk_boundaries((32, 0, 32))
    with pytest.raises(InvalidArgumentError, match="marks"):
        given.deduplicate_vertices([True])


def test_draco_borders_are_wider_ahead_than_behind() -> None:
    x = [0, 32, 31.5, 31.4, 32.5, 32.4, -0.5, -0.6]
    points = [[value, 3, 3] for value in x]
    found = is_draco_chunk_aligned(points, (32, 32, 32), 1.0)
    assert found.tolist() == [True, True, True, False, False, True, True, False]
    with pytest.raises(InvalidArgumentError, match="draco_grid_size"):
        Mesh(points, []).deduplicate_chunk_boundaries((32, 32, 32), is_draco=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_coordinates_that_are_not_finite_are_refused(value: float) -> None:
    given = Mesh([[0, 0, 0], [0, value, 0], [1, 1, 1]], [[0, 1, 2]], segid=8)
    for action in (
        given.consolidate,
        given.to_precomputed,
        lambda: given.deduplicate_vertices([True] * 3),
    ):
        with pytest.raises(MeshDecodeError, match=r"mesh of 8: .*finite"):
            action()


def test_faces_of_vertices_that_are_not_there_are_refused() -> None:
    given = Mesh([[0, 0, 0], [0, 1, 0], [1, 1, 1]], [[0, 1, 2], [0, 3, 1]], segid=8)
    for action in (
        given.consolidate,
        given.to_precomputed,
        lambda: given.deduplicate_vertices([True] * 3),
    ):
        with pytest.raises(MeshDecodeError, match=r"mesh of 8: .*below 3, found 3"):
            action()


def test_crop_keeps_what_is_inside_with_its_normals() -> None:
    points = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]]
    given = Mesh(points[::-1], [[3, 2, 1], [2, 1, 0]], normals=points, segid=1)
    found = given.crop(Bbox((0, 0, 0), (1, 1, 1)))
    assert found.vertices.tolist() == points[2::-1]
    assert found.faces.tolist() == [[2, 1, 0]]
    assert found.normals.tolist() == points[1:]
    assert given.crop(Bbox((7, 7, 7), (8, 8, 8))).empty()


# Bytes.


def test_fragment_is_the_one_of_the_format(mesh: Mesh) -> None:
    data = mesh.to_precomputed()
    assert data == meshes.fragment_bytes(VERTICES, FACES)
    found = Mesh.from_precomputed(data, segid=5)
    assert found == mesh
    assert (found.segid, found.encoding_type) == (5, "precomputed")
    assert Mesh.from_precomputed(struct.pack("<I", 0)).empty()


def test_fragment_is_refused_at_every_truncation(mesh: Mesh) -> None:
    data = mesh.to_precomputed()
    faces_at = 4 + 12 * len(VERTICES)
    for size in range(len(data)):
        if size >= faces_at and (size - faces_at) % 12 == 0:
            assert len(Mesh.from_precomputed(data[:size]).faces) == (size - faces_at) // 12
        else:
            with pytest.raises(MeshDecodeError, match="mesh of 5"):
                Mesh.from_precomputed(data[:size], segid=5)


def test_flipped_bits_are_refused_or_harmless(mesh: Mesh) -> None:
    data = mesh.to_precomputed()
    refused = 0
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = Mesh.from_precomputed(bytes(flipped))
        except MeshDecodeError:
            refused += 1
        else:
            assert found.faces.size == 0 or found.faces.max() < len(found)
            assert np.isfinite(found.vertices).all()
    assert refused > 200


@pytest.mark.parametrize("count", [7, 2**31, 2**32 - 1])
def test_hostile_counts_allocate_nothing(count: int) -> None:
    with pytest.raises(MeshDecodeError, match=f"expected {4 + 12 * count}"):
        Mesh.from_precomputed(struct.pack("<I", count) + bytes(72))


def test_draco_round_trip_and_bad_bytes() -> None:
    given = meshes.sphere(12, segid=4)
    data = given.to_draco(quantization_bits=16)
    found = Mesh.from_draco(data, segid=4)
    assert (found.segid, found.encoding_type) == (4, "draco")
    assert found.encoding_options["quantization_bits"] == 16
    assert len(found.faces) == len(given.faces)
    assert np.abs(found.vertices.max(axis=0) - given.vertices.max(axis=0)).max() < 200 / 65535
    for bad in (
        b"",
        b"garbage",
        b"DRACO",
        data[:-1],
        data[: len(data) // 2],
        b"DRACO" + bytes(100),
    ):
        with pytest.raises(MeshDecodeError, match="mesh of 4"):
            Mesh.from_draco(bad, segid=4)


# Files.


def test_obj_is_that_of_upstream(mesh: Mesh) -> None:
    text = mesh.to_obj()
    assert text.startswith(b"v 1.00000 0.00000 0.00000\nv 0.00000")
    assert text.endswith(b"f 1 2 3\nf 4 5 2\nf 1 2 3\nf 3 1 2\n")
    assert Mesh.from_obj(text) == mesh


def test_obj_of_others_is_read() -> None:
    text = "# c\nvt 1 2\nv 1 2 3\nv 4 5 6 1.0\nv 7 8 9\nv 0 0 0\nvn 1 0 0\nf 1/1/1 2//1 3/3 # x\nf -4 -3 -2 -1\n"
    found = Mesh.from_obj(text)
    assert found.vertices.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0]]
    assert found.faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3]]
    assert found.normals.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "v 1 2\n",
        "v 1 2 x\n",
        "v 1 2 3\nf 1 1\n",
        "v 1 2 3\nf 1 1 2\n",
        "v 1 2 3\nf 1 1 0\n",
        "v 1 1 1\nf a 1 1",
    ],
)
def test_malformed_obj_is_refused(text: str) -> None:
    with pytest.raises(MeshDecodeError, match="mesh of 3"):
        Mesh.from_obj(text, segid=3)


def test_ply_is_that_of_upstream(mesh: Mesh) -> None:
    data = mesh.to_ply()
    head = (
        b"ply\nformat binary_little_endian 1.0\nelement vertex 6\nproperty float x\nproperty float y\n"
        b"property float z\nelement face 4\nproperty list int int vertex_indices\nend_header\n"
    )
    body = struct.pack("<18f", *np.ravel(VERTICES))
    body += b"".join(struct.pack("<4i", 3, *face) for face in FACES)
    assert data == head + body
    assert Mesh.from_ply(data) == mesh
    for size in range(len(data)):
        with pytest.raises(MeshDecodeError):
            Mesh.from_ply(data[:size])


def test_ply_of_others_is_read() -> None:
    text = (
        b"ply\nformat ascii 1.0\ncomment x\nelement vertex 4\nproperty double x\nproperty double y\nproperty double z\n"
        b"property uchar red\nelement face 1\nproperty list uchar uint vertex_indices\nend_header\n"
        b"0 0 0 9\n1 0 0 9\n1 1 0 9\n0 1 0 9\n4 0 1 2 3\n"
    )
    found = Mesh.from_ply(text)
    assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    big = text.replace(b"ascii", b"binary_big_endian").split(b"end_header\n")[0] + b"end_header\n"
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    big += b"".join(struct.pack(">3dB", *corner, 9) for corner in corners)
    big += struct.pack(">B4I", 4, 0, 1, 2, 3)
    assert Mesh.from_ply(big) == found
    with pytest.raises(MeshDecodeError, match="below 4"):
        Mesh.from_ply(text.replace(b"4 0 1 2 3", b"4 0 1 2 4"))
    with pytest.raises(MeshDecodeError, match="header"):
        Mesh.from_ply(text.replace(b"uchar red", b"wide red"))


@pytest.mark.parametrize("suffix", ["obj", "ply", "precomputed", "drc", "txt"])
def test_save_and_load(suffix: str, tmp_path: Path) -> None:
    given = meshes.sphere(8)
    path = tmp_path / f"mesh.{suffix}"
    given.save(path)
    found = Mesh.load(path)
    assert len(found.faces) == len(given.faces)
    assert np.abs(np.sort(found.vertices, axis=0) - np.sort(given.vertices, axis=0)).max() < 0.02
    path.write_bytes(b"f 1 2 3")
    with pytest.raises(MeshDecodeError, match=str(path)):
        Mesh.load(path)


def test_trimesh_round_trip(mesh: Mesh) -> None:
    trimesh = pytest.importorskip("trimesh")
    found = mesh.trimesh()
    assert isinstance(found, trimesh.Trimesh)
    assert Mesh.from_trimesh(found) == mesh
