# SPDX-License-Identifier: BSD-3-Clause
"""Helpers where they mean to differ from upstream's, and what the comparison with upstream cannot show."""

from __future__ import annotations

import numpy as np
import pytest
from cloudvolume_fast.chunks import contains, decode, encode, labels, read_voxel, remap, transcode
from cloudvolume_fast.compression import COMPRESSION_TYPES, compress, decompress
from cloudvolume_fast.datasource.precomputed.common import compressed_morton_code
from cloudvolume_fast.datasource.precomputed.image.common import chunknames, gridpoints, shade
from cloudvolume_fast.lib import (
    Bbox,
    Vec,
    divisors,
    find_closest_divisor,
    first,
    floating,
    jsonify,
    min2,
    spatial_unit_in_meters,
    xyzrange,
)
from cloudvolume_fast.lru import LRU, getsizeof
from cloudvolume_fast.paths import extract

from cloudvolume_fast.errors import (
    ChunkDecodeError,
    DecompressionError,
    InvalidArgumentError,
    UnsupportedCompressionType,
    UnsupportedEncodingError,
)


def test_divisors_are_integers() -> None:
    found = list(divisors(36))
    assert sorted(found) == [1, 2, 3, 4, 6, 9, 12, 18, 36]
    assert all(type(value) is int for value in found)
    assert find_closest_divisor((96, 60, 48), (7, 7, 7)) == [6, 6, 6]


def test_units_with_every_prefix() -> None:
    assert spatial_unit_in_meters("kilometer") == 1000
    assert spatial_unit_in_meters("yard") == 0.9144


def test_numpy_floats_are_floating() -> None:
    assert floating([np.float32(1)])


def test_first_of_a_mapping_is_its_first_key() -> None:
    assert first({5: 1}) == 5


def test_jsonify_knows_numpys_booleans() -> None:
    assert jsonify({"a": np.bool_(True)}) == '{"a": true}'


def test_min2_takes_sequences() -> None:
    assert min2([1, 5], [3, 2]).tolist() == [1, 2]


def test_xyzrange_without_progress_raises() -> None:
    with pytest.raises(InvalidArgumentError, match="stride_vec: expected positive"):
        next(xyzrange((0, 0, 0), (1, 1, 1), (0, 1, 1)))


def test_remap_of_raw_chunks_remaps() -> None:
    image = np.asfortranarray(np.arange(8, dtype=np.uint32).reshape(2, 2, 2, 1))
    data = remap(encode(image, "raw"), "raw", {1: 9}, True, image.shape, image.dtype)
    assert sorted(decode(data, "raw", image.shape, image.dtype).ravel()) == [0, 2, 3, 4, 5, 6, 7, 9]


def test_points_outside_of_the_grid_are_value_errors() -> None:
    with pytest.raises(ValueError, match="expected points inside the grid"):
        compressed_morton_code((-1, 0, 0), (4, 4, 4))
    assert compressed_morton_code([], (4, 4, 4)).dtype == np.uint64


def test_gridpoints_of_a_box_that_cuts_chunks_are_those_of_the_chunks() -> None:
    box, volume = Bbox((5, 5, 5), (40, 6, 6)), Bbox((0, 0, 0), (100, 90, 40))
    assert [tuple(p) for p in gridpoints(box, volume, (32, 32, 16))] == [(0, 0, 0), (1, 0, 0)]
    names = chunknames(box, volume, "k", (32, 32, 16))
    assert list(names) == ["k/0-32_0-32_0-16", "k/32-64_0-32_0-16"]
    assert len(names) == 2


def test_shade_one_channel() -> None:
    image = np.zeros((4, 4, 4, 2), np.uint8)
    box = Bbox((0, 0, 0), (4, 4, 4))
    shade(image, box, np.ones((2, 2, 2, 1), np.uint8), Bbox((3, 3, 3), (5, 5, 5)), channel=1)
    assert image.sum(axis=(0, 1, 2)).tolist() == [0, 1]
    shade(image, box, np.ones((2, 2, 2, 2), np.uint8), Bbox((0, 0, 0), (2, 2, 2)), channel=0)
    assert image.sum(axis=(0, 1, 2)).tolist() == [8, 1]


ENCODINGS = {
    "raw": "uint32", "png": "uint16", "compressed_segmentation": "uint64", "compresso": "uint32", "crackle": "uint64",
    "fpzip": "float32", "kempressed": "float32",
}  # fmt: skip


@pytest.mark.parametrize(("encoding", "dtype"), ENCODINGS.items(), ids=list(ENCODINGS))
def test_chunk_there_and_back(encoding: str, dtype: str) -> None:
    image = np.asfortranarray((np.arange(5 * 4 * 3) // 7).reshape(5, 4, 3, 1).astype(dtype))
    data = encode(image, encoding)
    assert isinstance(data, bytes)
    assert (decode(data, encoding, image.shape, dtype) == image).all()
    assert (decode(data, encoding, image.shape[:3], dtype) == image).all()
    assert read_voxel((4, 3, 2), data, encoding, image.shape, dtype).tolist() == [[[[8]]]]
    assert contains(data, 3, encoding, image.shape, dtype)
    assert not contains(data, 77, encoding, image.shape, dtype)
    with pytest.raises((ChunkDecodeError, ValueError)):
        decode(data[: len(data) // 2], encoding, image.shape, dtype)


def test_labels_of_pictures_are_refused() -> None:
    with pytest.raises(UnsupportedEncodingError, match="encoding: expected one of raw"):
        labels(b"x", "png", (1, 1, 1), "uint8")


def test_unknown_parameters_of_an_encoding_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="expected level for png, found effort"):
        encode(np.zeros((2, 2, 2), np.uint8), "png", compression_params={"effort": 1})


def test_transcode() -> None:
    image = np.asfortranarray((np.arange(64) // 9).reshape(4, 4, 4, 1).astype(np.uint32))
    chunks = {"a": encode(image, "raw"), "b": b""}
    pairs = dict(
        transcode(chunks, "raw", "compresso", lambda _: (4, 4, 4), "uint32", in_place=True)
    )
    assert chunks == {}
    assert (decode(pairs["a"], "compresso", (4, 4, 4), "uint32") == image).all()
    assert not decode(pairs["b"], "compresso", (4, 4, 4), "uint32").any()
    cut = dict(
        transcode(pairs, "compresso", "raw", lambda _: (4, 4, 4), "uint32", dest_chunk_size_fn=lambda _: (2, 5, 4))
    )  # fmt: skip
    found = decode(cut["a"], "raw", (2, 5, 4), "uint32")
    assert (found[:, :4] == image[:2]).all()
    assert not found[:, 4:].any()


@pytest.mark.parametrize("method", COMPRESSION_TYPES, ids=str)
def test_compression_there_and_back(method: str | bool | None) -> None:
    assert decompress(compress(b"abc" * 50, method), method) == b"abc" * 50


def test_damaged_and_unknown_compressions_raise() -> None:
    with pytest.raises(DecompressionError, match="here"):
        decompress(b"abc", "gzip", "here")
    with pytest.raises(UnsupportedCompressionType):
        compress(b"abc", "bogus")


def test_lru_in_bytes_keeps_its_limit_and_counts_right() -> None:
    lru = LRU(300, size_in_bytes=True)
    for i in range(50):
        lru[i % 7] = bytes(i)
        assert lru.nbytes == sum(getsizeof(k) + getsizeof(v) for k, v in lru.items()) <= 300
    lru.clear()
    assert (lru.nbytes, len(lru)) == (0, 0)


def test_lru_pops_values_and_forgets_the_least_recent() -> None:
    lru = LRU(2)
    lru["a"], lru["b"] = 1, 2
    assert lru["a"] == 1
    lru["c"] = 3
    assert sorted(lru.keys()) == ["a", "c"]
    assert lru.pop("a") == 1
    assert lru.pop("a", None) is None
    assert lru.get("a", 7) == 7
    assert lru.values() == [3]


def test_paths_without_making_them_absolute() -> None:
    found = extract("a/b/c", disable_toabs=True)
    assert (found.bucket, found.basepath, found.dataset, found.layer) == ("a", "a/b", "b", "c")


def test_vectors_of_every_module_are_one_class() -> None:
    assert isinstance(next(xyzrange((1, 1, 1))), Vec)
