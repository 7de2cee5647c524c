# SPDX-License-Identifier: BSD-3-Clause
"""Binary skeletons: every type of attribute, both ways, and what is refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from cloudvolume_fast._core import skeleton as core
from cloudvolume_fast.errors import (
    CloudVolumeError,
    InvalidArgumentError,
    SkeletonDecodeError,
    SkeletonEncodeError,
    SkeletonUnassignedEdgeError,
)

TYPES = ["f4", "f8", "f2", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "?"]
VERTICES = np.arange(12, dtype=np.float32).reshape(4, 3)
EDGES = np.array([[0, 1], [1, 2], [1, 3]], np.uint32)
DEFAULTS = [("f4", 1), ("u1", 1)]


def binary(vertices: int = 4, edges: int = 3, attributes: bytes = b"") -> bytes:
    """Encode by the words of the format."""
    points = VERTICES.tobytes()[: 12 * vertices]
    return struct.pack("<II", vertices, edges) + points + EDGES.tobytes()[: 8 * edges] + attributes


def decode(data: bytes, attributes: list[tuple[str, int]] = DEFAULTS):
    return core.decode_many([data], ["7"], attributes=attributes)[0]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("components", [1, 2, 5])
def test_attributes_of_every_type_come_back(dtype: str, components: int) -> None:
    values = np.arange(4 * components).astype(dtype)
    shaped = values if components == 1 else values.reshape(4, components)
    odd = np.arange(4, dtype=np.uint8)  # what follows it is not aligned
    data = core.encode_many([(VERTICES, EDGES, [("odd", odd), ("x", shaped)])], ["7"])[0]
    assert data == binary(attributes=odd.tobytes() + values.tobytes())
    vertices, edges, found = decode(data, [("u1", 1), (dtype, components)])
    np.testing.assert_array_equal(vertices, VERTICES)
    np.testing.assert_array_equal(edges, EDGES)
    np.testing.assert_array_equal(found[1], shaped)
    assert found[1].dtype == np.dtype(dtype)
    assert all(array.flags.writeable and array.flags.c_contiguous for array in found)


def test_edges_and_vertices_of_other_types_are_converted() -> None:
    fortran = np.asfortranarray(VERTICES.astype(np.float64))
    data = core.encode_many([(fortran, EDGES.astype(np.int64)[:, :], [])], ["7"])[0]
    assert data == binary()


def test_many_are_decoded_apart_from_each_other() -> None:
    rng = np.random.default_rng(1)
    skeletons = []
    for number in range(50):
        n = number % 7
        edges = rng.integers(0, max(n, 1), (n, 2)).astype(np.uint32)
        skeletons.append(
            (
                rng.random((n, 3), np.float32),
                edges,
                [("r", rng.random(n, np.float32)), ("t", edges[:, 0].astype("u1"))],
            )
        )
    names = [str(number) for number in range(50)]
    found = core.decode_many(core.encode_many(skeletons, names), names, attributes=DEFAULTS)
    for (vertices, edges, values), (points, pairs, attributes) in zip(
        skeletons, found, strict=True
    ):
        np.testing.assert_array_equal(vertices, points)
        np.testing.assert_array_equal(edges, pairs)
        np.testing.assert_array_equal(values[0][1], attributes[0])
        np.testing.assert_array_equal(values[1][1], attributes[1])
    found[0][0][:] = 9
    assert core.encode_many(skeletons, names)[1] == core.encode_many([skeletons[1]], ["1"])[0]


def test_transform_is_applied_in_double_precision() -> None:
    transform = np.array([[2, 0, 0, 1e9], [0, 0.1, 0, 0], [1, 1, 1, 0]])
    ((vertices, _, _),) = core.decode_many([binary()], ["7"], attributes=[], transform=transform)
    expected = VERTICES.astype(np.float64) @ transform[:, :3].T + transform[:, 3]
    np.testing.assert_array_equal(vertices, expected.astype(np.float32))


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_last_attributes_may_be_left_out(stored: int) -> None:
    tail = [np.arange(4, dtype="f4").tobytes(), b"\1\2\3\4"]
    assert len(decode(binary(attributes=b"".join(tail[:stored])))[2]) == stored


def test_every_truncation_is_refused_by_name() -> None:
    whole = binary(attributes=bytes(16) + bytes(4))
    for size in set(range(len(whole))) - {80, 96}:
        with pytest.raises(
            SkeletonDecodeError, match=r"^7: expected|^7: vertex attribute"
        ) as raised:
            decode(whole[:size])
        assert raised.value.key == "7"


@pytest.mark.parametrize("counts", [(2**32 - 1, 0), (0, 2**32 - 1), (2**32 - 1, 2**32 - 1), (5, 3)])
def test_counts_beyond_the_bytes_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(SkeletonDecodeError, match="by its counts"):
        decode(struct.pack("<II", *counts) + bytes(72))


def test_edges_of_absent_vertices_are_refused() -> None:
    data = bytearray(binary())
    data[56 + 8 : 56 + 12] = struct.pack("<I", 4)
    with pytest.raises(
        SkeletonUnassignedEdgeError, match="byte 64: expected a vertex below 4, found 4"
    ):
        decode(bytes(data))
    with pytest.raises(
        SkeletonUnassignedEdgeError, match=r"^7: expected edges of vertices below 4"
    ):
        core.encode_many([(VERTICES, EDGES + 1, [])], ["7"])
    with pytest.raises(SkeletonUnassignedEdgeError):
        decode(struct.pack("<IIII", 0, 1, 0, 0))


def test_flipped_bits_never_crash() -> None:
    rng = np.random.default_rng(2)
    whole = binary(attributes=bytes(20))
    for _ in range(3000):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 3):
            data[at] ^= 1 << int(rng.integers(0, 8))
        try:
            vertices, edges, _ = decode(bytes(data[: rng.integers(0, len(data) + 1)]))
        except CloudVolumeError:
            continue
        assert len(edges) == 0 or edges.max() < len(vertices)


@pytest.mark.parametrize(
    ("skeleton", "sentence"),
    [
        ((VERTICES[:, :2], EDGES, []), "vertices: expected shape"),
        ((VERTICES, EDGES.reshape(-1), []), "edges: expected shape"),
        ((VERTICES, EDGES, [("r", np.zeros(3, "f4"))]), "attribute r: expected 4 values"),
        ((VERTICES, EDGES, [("r", np.zeros(()))]), "attribute r: expected 4 values"),
        ((VERTICES, EDGES, [("r", np.zeros((4, 0)))]), "found 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(skeleton, sentence: str) -> None:
    with pytest.raises(SkeletonEncodeError, match=sentence):
        core.encode_many([skeleton], ["7"])


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="names"):
        core.decode_many([binary()], [], attributes=[])
    with pytest.raises(InvalidArgumentError, match="num_components"):
        decode(binary(), [("f4", 0)])
    with pytest.raises(InvalidArgumentError, match="transform"):
        core.decode_many([binary()], ["7"], attributes=[], transform=np.eye(3))
    with pytest.raises(TypeError):
        core.decode_many([bytearray(binary())], ["7"], attributes=[])
