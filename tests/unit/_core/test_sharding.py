# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudvolume_fast._core import murmurhash3, sharding
from cloudvolume_fast.errors import InvalidArgumentError, SpecViolation

SPEC: dict[str, Any] = {
    "preshift_bits": 0,
    "minishard_bits": 1,
    "shard_bits": 1,
    "hash": "identity",
}
MOST = 2**64 - 1


def words(*values: int) -> bytes:
    return np.array(values, dtype="<u8").tobytes()


def naive_location(label: int, preshift: int, minishard: int, shard: int, hash_name: str):
    value = label >> preshift
    if hash_name != "identity":
        value = int(murmurhash3.hash_uint64([value])[0])
    return (value >> minishard) & ((1 << shard) - 1), value & ((1 << minishard) - 1)


@pytest.mark.parametrize("hash_name", ["identity", "murmurhash3_x86_128"])
@pytest.mark.parametrize(
    "bits", [(0, 0, 0), (3, 2, 4), (64, 64, 0), (0, 64, 0), (0, 0, 64), (1, 32, 32), (63, 1, 2)]
)
def test_locations_equal_the_naive_ones(bits: tuple[int, int, int], hash_name: str):
    preshift, minishard, shard = bits
    ids = np.random.default_rng(3).integers(0, MOST, 1500, dtype=np.uint64, endpoint=True)
    ids[:2] = 0, MOST
    shards, minishards = sharding.locate(
        ids, preshift_bits=preshift, minishard_bits=minishard, shard_bits=shard, hash=hash_name
    )
    expected = [naive_location(label, *bits, hash_name) for label in ids.tolist()]
    assert list(zip(shards.tolist(), minishards.tolist(), strict=True)) == expected


def test_no_ids_have_no_locations():
    shards, minishards = sharding.locate([], **SPEC)
    assert shards.shape == minishards.shape == (0,)


@pytest.mark.parametrize(
    "fields",
    [
        {"preshift_bits": 65},
        {"minishard_bits": -1},
        {"shard_bits": 64},
        {"hash": "md5"},
    ],
)
def test_specification_that_is_not_valid_is_refused(fields: dict[str, Any]):
    with pytest.raises(InvalidArgumentError):
        sharding.locate([1], **(SPEC | fields))
    with pytest.raises(InvalidArgumentError):
        sharding.assemble([1], [1], minishard_index_encoding="raw", **(SPEC | fields))


def test_arguments_of_the_wrong_shape_are_refused():
    with pytest.raises(InvalidArgumentError, match="ids: expected shape"):
        sharding.locate([[1]], **SPEC)
    with pytest.raises(InvalidArgumentError, match="sizes, skips: expected 2 as of ids, found 1"):
        sharding.assemble([1, 5], [1], minishard_index_encoding="raw", **SPEC)
    with pytest.raises(InvalidArgumentError, match="minishard_index_encoding"):
        sharding.assemble([1], [1], minishard_index_encoding="br", **SPEC)


def test_worked_example_of_the_format():
    index, order, rest = sharding.assemble(
        [8, 1, 4, 0], [0, 4, 2, 3], minishard_index_encoding="raw", **SPEC
    )
    assert index == words(9, 81, 81, 105)
    assert order.tolist() == [3, 2, 0, 1]
    assert rest == words(0, 4, 4, 0, 0, 0, 3, 2, 0, 1, 5, 4)
    assert sharding.parse_index(index, payload_bytes=105).tolist() == [[9, 81], [81, 105]]
    assert sharding.parse_minishard(rest[:72], payload_bytes=105).tolist() == [
        [0, 0, 3],
        [4, 3, 2],
        [8, 5, 0],
    ]


def test_nothing_is_read_from_nothing():
    assert sharding.parse_index(b"").shape == (0, 2)
    assert sharding.parse_minishard(b"").shape == (0, 3)
    index, order, rest = sharding.assemble([], [], minishard_index_encoding="gzip", **SPEC)
    assert (index, order.tolist(), rest) == (bytes(32), [], b"")


def test_indexes_are_read_from_any_buffer():
    for kind in (bytes, bytearray, memoryview):
        assert sharding.parse_index(kind(words(1, 2))).tolist() == [[1, 2]]
        assert sharding.parse_minishard(kind(words(1, 2, 3))).tolist() == [[1, 2, 3]]
    with pytest.raises(TypeError):
        sharding.parse_index("x")
    with pytest.raises(TypeError):
        sharding.parse_minishard(None)


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (words(1, 2)[:-1], "expected a multiple of 16 bytes, found 15", 0),
        (words(0, 1, 2, 1), "minishard 1: expected its index to end at 2 or later", 24),
        (words(0, 3, 2, 4), "minishard 1: expected its index to begin at 3 or later", 16),
        (words(0, 101), "minishard 0: expected its index to end within the 100 bytes", 8),
    ],
)
def test_broken_shard_index_is_described(data: bytes, message: str, offset: int):
    with pytest.raises(SpecViolation, match=f"^here: {message}") as info:
        sharding.parse_index(data, payload_bytes=100, what="here")
    assert (info.value.key, info.value.offset) == ("here", offset)


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (words(1, 2, 3)[:-1], "expected a multiple of 24 bytes, found 23", 0),
        (words(1, 0, 0, 0, 1, 1), "expected each id once, found 1 again", 8),
        (words(1, 1, 0, MOST, 2, 1), "expected data in ascending order", 24),
        (words(1, 90, 11), "expected data to end within the 100 bytes", 16),
    ],
)
def test_broken_minishard_index_is_described(data: bytes, message: str, offset: int):
    with pytest.raises(SpecViolation, match=f"^here: {message}") as info:
        sharding.parse_minishard(data, payload_bytes=100, what="here")
    assert (info.value.key, info.value.offset) == ("here", offset)


def test_sizes_that_leave_64_bits_are_refused():
    with pytest.raises(SpecViolation, match="shard: "):
        sharding.assemble([1, 5], [MOST, 1], minishard_index_encoding="raw", **SPEC)
