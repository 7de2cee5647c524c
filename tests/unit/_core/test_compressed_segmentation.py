# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast._core import compressed_segmentation
from cloudvolume_fast.errors import ChunkDecodeError, InvalidArgumentError


def labels_of(shape: tuple[int, ...], dtype: type, num_labels: int = 50) -> np.ndarray:
    rng = np.random.default_rng(11)
    table = rng.integers(0, np.iinfo(dtype).max, size=num_labels, dtype=dtype)
    return np.asfortranarray(table[rng.integers(0, num_labels, size=shape)])


def naive_decode(
    data: bytes, shape: tuple[int, int, int, int], block: tuple[int, int, int], dtype: type
) -> np.ndarray:
    """The format's description, voxel by voxel."""
    words = np.frombuffer(data, dtype="<u4")
    per_label = np.dtype(dtype).itemsize // 4
    grid = [-(-shape[i] // block[i]) for i in range(3)]
    out = np.zeros(shape, dtype=dtype)
    for x, y, z, c in np.ndindex(*shape):
        start = int(words[c])
        at = (x // block[0]) + grid[0] * ((y // block[1]) + grid[1] * (z // block[2]))
        header, values = (int(w) for w in words[start + 2 * at : start + 2 * at + 2])
        table, bits = header & 0xFFFFFF, header >> 24
        index = 0
        if bits:
            bit = bits * ((x % block[0]) + block[0] * ((y % block[1]) + block[1] * (z % block[2])))
            word = int(words[start + values + bit // 32])
            index = (word >> (bit % 32)) & ((1 << bits) - 1)
        entry = start + table + index * per_label
        out[x, y, z, c] = sum(int(words[entry + i]) << (32 * i) for i in range(per_label))
    return out


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize("num_labels", [1, 2, 5, 300])
def test_encode_is_read_by_the_naive_decoder(dtype: type, num_labels: int) -> None:
    labels = labels_of((17, 9, 10, 2), dtype, num_labels)
    data = compressed_segmentation.encode(labels, block_shape=(8, 4, 8))
    np.testing.assert_array_equal(naive_decode(data, labels.shape, (8, 4, 8), dtype), labels)


@given(
    shape=st.tuples(*[st.integers(1, 20)] * 3, st.integers(1, 3)),
    block=st.tuples(*[st.integers(1, 9)] * 3),
    dtype=st.sampled_from([np.uint32, np.uint64]),
    order=st.sampled_from("CF"),
    data=st.data(),
)
def test_decode_of_a_box_equals_the_slice(
    shape: tuple, block: tuple, dtype: type, order: str, data: st.DataObject
) -> None:
    labels = np.array(labels_of(shape, dtype), order=order)
    encoded = compressed_segmentation.encode(labels, block_shape=block)
    low = [data.draw(st.integers(0, n)) for n in shape[:3]]
    high = [data.draw(st.integers(m, n)) for m, n in zip(low, shape[:3], strict=True)]
    options = {"block_shape": block, "num_channels": shape[3], "box": (low, high)}
    expected = labels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    found = compressed_segmentation.decode(encoded, shape[:3], dtype, **options)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        compressed_segmentation.unique(encoded, shape[:3], dtype, **options), np.unique(expected)
    )


def test_decode_writes_only_into_a_strided_destination() -> None:
    labels = labels_of((16, 16, 16, 1), np.uint64)
    data = compressed_segmentation.encode(labels)
    out = np.full((40, 20, 20, 1), 9, dtype=np.uint64)
    view = out[3:35:2, 2:18, 19:3:-1]
    assert compressed_segmentation.decode(data, (16, 16, 16), "uint64", out=view) is view
    np.testing.assert_array_equal(view, labels)
    view[...] = 9
    assert (out == 9).all()


def test_decode_rejects_a_truncation_that_cuts_a_needed_word() -> None:
    labels = labels_of((8, 8, 8, 1), np.uint32)
    data = compressed_segmentation.encode(labels)
    for n in range(0, len(data), 4):
        with pytest.raises(ChunkDecodeError):
            compressed_segmentation.decode(data[:n], (8, 8, 8), "uint32")


def test_decode_of_random_bytes_raises_or_returns() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        with contextlib.suppress(ChunkDecodeError):
            compressed_segmentation.decode(rng.bytes(rng.integers(0, 400)), (9, 8, 8), "uint64")


@pytest.mark.parametrize(
    "box", [((0, 0, 0), (9, 8, 8)), ((-1, 0, 0), (8, 8, 8)), ((5, 0, 0), (4, 8, 8))]
)
def test_decode_rejects_a_box_outside_the_chunk(box: tuple) -> None:
    data = compressed_segmentation.encode(np.zeros((8, 8, 8), dtype=np.uint64))
    with pytest.raises(InvalidArgumentError, match="box"):
        compressed_segmentation.decode(data, (8, 8, 8), "uint64", box=box)


def test_signed_labels_are_rejected() -> None:
    with pytest.raises(InvalidArgumentError, match="int64"):
        compressed_segmentation.encode(np.zeros((8, 8, 8), dtype=np.int64))
    with pytest.raises(InvalidArgumentError, match="uint16"):
        compressed_segmentation.decode(b"", (8, 8, 8), np.uint16)
