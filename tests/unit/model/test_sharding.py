# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError, SpecViolation
from cloudvolume_fast.model.sharding import (
    ShardingSpecification,
    image_shard_shape_from_spec,
)
from cloudvolume_fast.model.vec import Vec

TYPE = "neuroglancer_uint64_sharded_v1"
MOST = 2**64 - 1


def make_spec(**kwargs: Any) -> ShardingSpecification:
    fields = {
        "type": TYPE,
        "preshift_bits": 0,
        "hash": "murmurhash3_x86_128",
        "minishard_bits": 2,
        "shard_bits": 3,
    }
    return ShardingSpecification(**(fields | kwargs))


def make_dict(**kwargs: Any) -> dict[str, Any]:
    return make_spec().to_dict() | kwargs


# Fields.


def test_masks_follow_from_the_bits():
    spec = make_spec()
    assert (spec.minishard_mask, spec.shard_mask, spec.index_length()) == (3, 28, 64)
    spec.minishard_bits = 4
    assert (spec.minishard_mask, spec.shard_mask, spec.index_length()) == (15, 0b1110000, 256)
    spec.shard_bits = np.uint64(1)
    assert spec.shard_mask == 0b10000
    assert type(spec.shard_bits) is int


def test_masks_of_no_and_of_all_bits():
    spec = make_spec(minishard_bits=0, shard_bits=64)
    assert (spec.minishard_mask, spec.shard_mask) == (0, MOST)
    spec = make_spec(minishard_bits=64, shard_bits=0)
    assert (spec.minishard_mask, spec.shard_mask) == (MOST, 0)
    assert spec.compute_shard_mask(3, 2) == 28
    assert spec.compute_minishard_mask(2) == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("type", "x"),
        ("type", None),
        ("hash", "md5"),
        ("hash", ["identity"]),
        ("preshift_bits", -1),
        ("preshift_bits", 65),
        ("preshift_bits", 1.5),
        ("preshift_bits", "3"),
        ("preshift_bits", True),
        ("preshift_bits", None),
        ("minishard_bits", -1),
        ("minishard_bits", 65),
        ("shard_bits", 65),
        ("shard_bits", 63),
        ("minishard_index_encoding", "zip"),
        ("data_encoding", None),
        ("data_encoding", "br"),
    ],
)
def test_values_that_the_format_does_not_allow_are_named(key: str, value: Any):
    with pytest.raises(SpecViolation, match=key.replace("type", "@type")) as info:
        make_spec(**{key: value})
    assert key.replace("type", "@type") in info.value.key
    assert info.value.found == (65 if value == 63 else value)


def test_setters_check_what_they_are_given():
    spec = make_spec()
    for key, value in (("preshift_bits", 65), ("minishard_bits", -1), ("hash", "x")):
        with pytest.raises(SpecViolation, match=key):
            setattr(spec, key, value)
    assert spec == make_spec()


def test_bits_may_exceed_their_sum_while_they_are_set_but_not_be_used():
    spec = make_spec(minishard_bits=2, shard_bits=62)
    spec.minishard_bits = 8
    with pytest.raises(SpecViolation, match="sum of at most 64, found 8"):
        spec.validate()
    with pytest.raises(SpecViolation, match="sum of at most 64"):
        spec.compute_shard_location(1)
    spec.shard_bits = 56
    spec.validate()


def test_preshift_of_64_bits_is_allowed():
    spec = make_spec(preshift_bits=64, hash="identity", minishard_bits=8, shard_bits=8)
    assert spec.compute_shard_location(MOST) == ("00", 0, 0)


# Other forms.


def test_dictionary_has_json_types():
    spec = make_spec(preshift_bits=np.uint64(1), minishard_bits=np.int32(2))
    found = spec.to_dict()
    assert found == {
        "@type": TYPE,
        "preshift_bits": 1,
        "hash": "murmurhash3_x86_128",
        "minishard_bits": 2,
        "shard_bits": 3,
        "minishard_index_encoding": "raw",
        "data_encoding": "raw",
    }
    assert {type(value) for value in found.values()} == {str, int}
    assert json.loads(spec.to_json()) == found
    for text in (spec.to_json(), spec.to_json().encode()):
        assert ShardingSpecification.from_json(text) == spec


def test_unknown_members_are_kept():
    given = make_dict(note={"by": "someone"})
    spec = ShardingSpecification.from_dict(given)
    assert spec.to_dict() == given
    assert spec.clone().to_dict() == given
    assert spec != make_spec()
    assert "note" in repr(spec)


def test_encodings_may_be_absent():
    given = {k: v for k, v in make_dict().items() if not k.endswith("encoding")}
    assert ShardingSpecification.from_dict(given) == make_spec()


@pytest.mark.parametrize("key", ["@type", "preshift_bits", "hash", "minishard_bits", "shard_bits"])
def test_missing_member_is_named(key: str):
    given = make_dict()
    del given[key]
    with pytest.raises(SpecViolation, match=f"expected a member '{key}'"):
        ShardingSpecification.from_dict(given)


@pytest.mark.parametrize("given", [None, "x", [], 3])
def test_specification_must_be_an_object(given: Any):
    with pytest.raises(SpecViolation, match="expected a JSON object"):
        ShardingSpecification.from_dict(given)


def test_text_that_is_not_json_is_a_violation():
    with pytest.raises(SpecViolation, match="expected JSON"):
        ShardingSpecification.from_json("{")


def test_absent_and_null_sharding_are_none():
    assert ShardingSpecification.from_info({"key": "x"}) is None
    assert ShardingSpecification.from_info({"sharding": None}) is None
    assert ShardingSpecification.from_info({"sharding": make_dict()}) == make_spec()
    with pytest.raises(SpecViolation):
        ShardingSpecification.from_info({"sharding": {}})


def test_copies_are_equal_and_independent():
    spec = make_spec()
    copy = spec.clone()
    copy.minishard_bits = 5
    assert spec == make_spec()
    assert copy != spec
    assert spec != "x"
    assert pickle.loads(pickle.dumps(copy)) == copy
    with pytest.raises(TypeError):
        hash(spec)


# Locations.


@pytest.mark.parametrize(
    ("key", "shard", "minishard"),
    [(1, "6", 2), (2, "6", 2), (3, "4", 1), (10, "5", 0), (42, "6", 2), (2**63, "2", 0)],
)
def test_murmurhash_locations(key: int, shard: str, minishard: int):
    location = make_spec().compute_shard_location(key)
    assert (location.shard_number, location.minishard_number) == (shard, minishard)
    assert [type(part) for part in location] == [str, int, int]
    assert make_spec().get_filename(key) == f"{shard}.shard"


def test_identity_locations():
    spec = make_spec(preshift_bits=3, minishard_bits=2, shard_bits=4, hash="identity")
    assert spec.compute_shard_location(0b10110110101) == ("d", 2, 2)
    spec = make_spec(minishard_bits=0, shard_bits=64, hash="identity")
    assert spec.compute_shard_location(0x123456789ABCDEF0) == ("123456789abcdef0", 0, 0)
    spec = make_spec(minishard_bits=32, shard_bits=32, hash="identity")
    assert spec.compute_shard_location(0x123456789ABCDEF0) == ("12345678", 0x9ABCDEF0, 0)


def test_remainder_is_what_is_left_of_the_hash():
    assert make_spec().compute_shard_location(1).remainder == 0xE8BD67D616D4CE9A >> 5
    assert make_spec(minishard_bits=0, shard_bits=0).compute_shard_location(1) == (
        "0",
        0,
        0xE8BD67D616D4CE9A,
    )
    assert make_spec().hashfn(1) == 0xE8BD67D616D4CE9A
    assert make_spec(hash="identity").hashfn(7) == 7
    assert make_spec().hashfn([0, 1]).tolist() == [0x4772B084E028AE41, 0xE8BD67D616D4CE9A]


@pytest.mark.parametrize(
    ("bits", "first", "last"),
    [(0, "0", "0"), (4, "1", "f"), (5, "01", "1f"), (9, "001", "1ff"), (13, "0001", "1fff")],
)
def test_file_names_are_padded(bits: int, first: str, last: str):
    spec = make_spec(minishard_bits=0, shard_bits=bits, hash="identity")
    numbers = [min(1, 2**bits - 1), 2**bits - 1]
    assert [spec.get_filename(n) for n in numbers] == [f"{first}.shard", f"{last}.shard"]
    assert spec.compute_shard_location(numbers).shard_number.tolist() == [first, last]


@pytest.mark.parametrize("hash_name", ["identity", "murmurhash3_x86_128"])
@pytest.mark.parametrize("bits", [(0, 0, 0), (3, 2, 5), (64, 4, 4), (0, 60, 4), (1, 0, 64)])
def test_many_locations_are_those_of_each(hash_name: str, bits: tuple[int, int, int]):
    spec = make_spec(
        preshift_bits=bits[0], minishard_bits=bits[1], shard_bits=bits[2], hash=hash_name
    )
    labels = np.random.default_rng(1).integers(0, MOST, 50, dtype=np.uint64, endpoint=True)
    many = spec.compute_shard_location(labels)
    for given in (labels.tolist(), tuple(labels), (int(x) for x in labels)):
        other = spec.compute_shard_location(given)
        for a, b in zip(many, other, strict=True):
            np.testing.assert_array_equal(a, b)
    each = [spec.compute_shard_location(label) for label in labels]
    assert list(zip(*(part.tolist() for part in many), strict=True)) == each
    assert spec.compute_shard_location([]).minishard_number.shape == (0,)


@pytest.mark.parametrize("label", [-1, 2**64, 1.0, "1", None, b"1", np.int32(-1), np.float64(2)])
def test_label_that_is_no_uint64_is_refused(label: Any):
    for call in (make_spec().compute_shard_location, make_spec().get_filename):
        with pytest.raises(InvalidArgumentError, match="label: expected an integer"):
            call(label)


@pytest.mark.parametrize(
    "labels", [[1, -1], np.array([1, -1]), np.array([1.0]), [2**64], np.array([None])]
)
def test_labels_that_are_no_uint64_are_refused(labels: Any):
    with pytest.raises(InvalidArgumentError, match="label: expected an integer"):
        make_spec().locate(labels)


def test_labels_of_any_integer_type_are_taken():
    for dtype in (np.uint8, np.int64, np.uint64, object):
        shards, minishards = make_spec().locate(np.array([1, 3], dtype=dtype))
        assert shards.tolist() == [6, 4]
        assert minishards.tolist() == [2, 1]
    assert make_spec().compute_shard_location(np.array(3)).shard_number == "4"


# Shapes.


@pytest.mark.parametrize(
    ("size", "chunk", "bits", "shape"),
    [
        ((10000,) * 3, (64,) * 3, (11, 2), (2048, 1024, 1024)),
        ((10000,) * 3, (64,) * 3, (10, 0), (1024, 512, 512)),
        ((10000,) * 3, (128, 128, 16), (11, 2), (4096, 2048, 256)),
        ((100000, 100000, 10000), (256, 256, 32), (7, 0), (2048, 1024, 128)),
        ((512,) * 3, (64,) * 3, (9, 0), (512,) * 3),
        ((64,) * 3, (64,) * 3, (0, 0), (64,) * 3),
        ((2048, 2048, 1), (1024, 1024, 1), (2, 0), (2048, 2048, 1)),
        ((100000, 100000, 64), (512, 512, 64), (10, 0), (16384, 16384, 64)),
        ((50000, 50000, 1), (512, 512, 1), (16, 2), (65536, 65536, 1)),
        ((320, 192, 64), (64,) * 3, (2, 1), (256, 128, 64)),
        ((320, 192, 64), (64,) * 3, (3, 2), (512, 256, 64)),
    ],
)
def test_image_shard_shape(
    size: tuple[int, ...], chunk: tuple[int, ...], bits: tuple[int, int], shape: tuple[int, ...]
):
    spec = make_spec(preshift_bits=bits[0], minishard_bits=bits[1], hash="identity")
    found = spec.image_shard_shape(size, chunk)
    assert isinstance(found, Vec)
    assert found.dtype == np.int64
    assert tuple(found) == shape
    assert tuple(image_shard_shape_from_spec(spec.to_dict(), np.array(size), chunk)) == shape
    assert tuple(image_shard_shape_from_spec(spec, Vec(*size), Vec(*chunk))) == shape


def test_shard_of_hashed_chunks_has_no_shape():
    with pytest.raises(SpecViolation, match="hash: expected identity"):
        make_spec().image_shard_shape((64,) * 3, (64,) * 3)


def test_shape_needs_less_than_64_bits():
    spec = make_spec(preshift_bits=62, hash="identity")
    with pytest.raises(ValueError, match="sum below 64, found 62"):
        spec.image_shard_shape((64,) * 3, (64,) * 3)


@pytest.mark.parametrize("size", [(0, 1, 1), (1, 1), (1.5, 1, 1), (1, 1, -1)])
def test_shape_needs_positive_sizes(size: Any):
    spec = make_spec(hash="identity")
    with pytest.raises(InvalidArgumentError, match="dataset_size: expected 3 positive"):
        spec.image_shard_shape(size, (64,) * 3)
    with pytest.raises(InvalidArgumentError, match="chunk_size: expected 3 positive"):
        spec.image_shard_shape((64,) * 3, size)
