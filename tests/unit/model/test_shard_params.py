# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.shard_params import (
    compute_shard_params_for_hashed,
    compute_shard_params_for_image,
)

CASES = [
    # size, chunk, encoding, dtype, (preshift, minishard, shard), data_encoding, shard shape
    ((10000,) * 3, (64,) * 3, "raw", "uint8", (11, 2, 11), "gzip", (2048, 1024, 1024)),
    (
        (10000,) * 3,
        (64,) * 3,
        "compressed_segmentation",
        np.uint64,
        (10, 0, 14),
        "gzip",
        (1024, 512, 512),
    ),
    ((10000,) * 3, (128, 128, 16), "jpeg", 1, (11, 2, 11), "raw", (4096, 2048, 256)),
    (
        (100000, 100000, 10000),
        (256, 256, 32),
        "compressed_segmentation",
        8,
        (7, 0, 20),
        "gzip",
        (2048, 1024, 128),
    ),
    ((512,) * 3, (64,) * 3, "raw", "uint8", (9, 0, 0), "gzip", (512,) * 3),
    ((64,) * 3, (64,) * 3, "raw", "uint8", (0, 0, 0), "gzip", (64,) * 3),
    ((2048, 2048, 1), (1024, 1024, 1), "png", "uint8", (2, 0, 0), "raw", (2048, 2048, 1)),
    # Flat images, for which upstream adds bits that the Morton code does not have.
    ((100000, 100000, 64), (512, 512, 64), "jxl", "uint8", (7, 0, 9), "raw", (8192, 4096, 64)),
    ((50000, 50000, 1), (512, 512, 1), "jpeg", "uint8", (11, 2, 1), "raw", (65536, 32768, 1)),
]


@pytest.mark.parametrize(
    ("size", "chunk", "encoding", "dtype", "bits", "data_encoding", "shape"), CASES
)
def test_images(
    size: Any, chunk: Any, encoding: str, dtype: Any, bits: Any, data_encoding: str, shape: Any
):
    spec = compute_shard_params_for_image(size, chunk, encoding, dtype)
    assert (spec.preshift_bits, spec.minishard_bits, spec.shard_bits) == bits
    assert (spec.minishard_index_encoding, spec.data_encoding) == ("gzip", data_encoding)
    assert spec.hash == "identity"
    assert tuple(spec.image_shard_shape(size, chunk)) == shape


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("raw", "gzip"),
        ("compresso", "gzip"),
        ("crackle", "gzip"),
        ("compressed_segmentation", "gzip"),
        ("jpeg", "raw"),
        ("png", "raw"),
        ("jxl", "raw"),
        ("kempressed", "raw"),
        ("fpzip", "raw"),
        ("zfpc", "raw"),
    ],
)
def test_chunks_that_are_compressed_are_stored_raw(encoding: str, expected: str):
    def encodings(**kwargs: Any) -> tuple[str, str]:
        spec = compute_shard_params_for_image((512,) * 3, (64,) * 3, encoding, "uint8", **kwargs)
        return spec.minishard_index_encoding, spec.data_encoding

    assert encodings() == ("gzip", expected)
    assert encodings(minishard_index_encoding="raw", data_encoding="raw") == ("raw", "raw")


def test_shards_and_indexes_keep_to_their_limits():
    rng = np.random.default_rng(7)
    for _ in range(500):
        size = tuple(int(2 ** rng.uniform(0, 20)) for _ in range(3))
        chunk = tuple(int(2 ** rng.uniform(0, 9)) for _ in range(3))
        width = int(rng.choice([1, 2, 4, 8]))
        limit = int(2 ** rng.uniform(20, 34))
        labels = int(2 ** rng.uniform(6, 12))
        spec = compute_shard_params_for_image(
            size,
            chunk,
            "raw",
            width,
            uncompressed_shard_bytesize=limit,
            max_labels_per_minishard=labels,
        )
        grid = [-(-s // c) for s, c in zip(size, chunk, strict=True)]
        bits = sum((extent - 1).bit_length() for extent in grid)
        assert spec.preshift_bits + spec.minishard_bits + spec.shard_bits == bits
        assert spec.index_length() <= 8192
        shape = spec.image_shard_shape(size, chunk)
        chunks = math.prod(int(s) // c for s, c in zip(shape, chunk, strict=True))
        assert chunks == 2 ** (spec.preshift_bits + spec.minishard_bits)
        chunk_bytes = math.prod(chunk) * width
        assert chunks * chunk_bytes < limit + chunk_bytes


@pytest.mark.parametrize(
    ("kwargs", "key"),
    [
        ({"uncompressed_shard_bytesize": 0}, "uncompressed_shard_bytesize"),
        ({"max_shard_index_bytes": 15}, "max_shard_index_bytes"),
        ({"max_minishard_index_bytes": 0}, "max_minishard_index_bytes"),
        ({"max_labels_per_minishard": 0}, "max_labels_per_minishard"),
        ({"dataset_size": (2**40, 2**40, 2**40)}, "dataset_size"),
        ({"dataset_size": (0, 1, 1)}, "dataset_size"),
        ({"chunk_size": (1, 1)}, "chunk_size"),
        ({"dtype": 0}, "dtype"),
    ],
)
def test_arguments_that_make_no_sense_are_named(kwargs: dict[str, Any], key: str):
    arguments = {"dataset_size": (512,) * 3, "chunk_size": (64,) * 3, "encoding": "raw", "dtype": 1}
    with pytest.raises(InvalidArgumentError, match=key) as info:
        compute_shard_params_for_image(**(arguments | kwargs))
    assert info.value.key == key


@pytest.mark.parametrize(
    ("n", "expected", "with_min_shards"),
    [
        (0, (0, 0, 0), (0, 0, 0)),
        (-1, (0, 0, 0), (0, 0, 0)),
        (1, (0, 0, 0), (3, 0, 0)),
        (1365, (0, 0, 0), (3, 0, 0)),
        (1366, (0, 1, 0), (3, 0, 0)),
        (10**5, (0, 7, 0), (3, 4, 0)),
        (699051, (0, 9, 0), (3, 6, 0)),
        (10**6, (1, 9, 0), (3, 7, 0)),
        (1e6, (1, 9, 0), (3, 7, 0)),
        (10**7, (4, 9, 0), (4, 9, 0)),
        (10**8, (8, 9, 0), (8, 9, 0)),
        (10**9, (11, 9, 0), (11, 9, 0)),
    ],
)
def test_hashed(n: int, expected: tuple[int, ...], with_min_shards: tuple[int, ...]):
    assert compute_shard_params_for_hashed(n) == expected
    assert compute_shard_params_for_hashed(n, min_shards=8) == with_min_shards


@pytest.mark.parametrize("key", ["shard_index_bytes", "minishard_index_bytes", "min_shards"])
def test_hashed_needs_room_for_one_entry(key: str):
    with pytest.raises(InvalidArgumentError, match=key):
        compute_shard_params_for_hashed(1000, **{key: 0})
