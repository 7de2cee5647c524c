# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast._core import paint
from cloudvolume_fast.errors import InvalidArgumentError

DTYPES = ["u1", "<u2", ">u2", "<i4", "<f4", "<u8", "<f8", "<c16", "V3", "V24"]


def filled(shape: tuple[int, ...], dtype: str, order: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    flat = np.frombuffer(rng.bytes(size), dtype=dtype) if size else np.empty(0, dtype)
    return flat.reshape(shape, order=order)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("src_order", ["C", "F"])
@pytest.mark.parametrize("dst_order", ["C", "F"])
def test_copy_array_equals_assignment(dtype: str, src_order: str, dst_order: str) -> None:
    src = filled((17, 9, 5, 2), dtype, src_order)
    dst = np.zeros(src.shape, dtype=dtype, order=dst_order)
    paint.copy_array(src, dst)
    assert dst.tobytes() == src.tobytes()


@given(
    shape=st.lists(st.integers(0, 12), min_size=0, max_size=4).map(tuple),
    steps=st.lists(st.sampled_from([1, 2, 3, -1, -2]), min_size=8, max_size=8),
    axes=st.permutations(range(4)),
    item_size=st.sampled_from([1, 2, 3, 4, 8, 16]),
)
def test_copy_array_takes_any_strides(
    shape: tuple[int, ...], steps: list[int], axes: list[int], item_size: int
) -> None:
    def strided(strides: list[int]) -> np.ndarray:
        order = [a for a in axes if a < len(shape)]
        base = filled(tuple(shape[a] * abs(strides[a]) for a in order), f"V{item_size}", "C").copy()
        view = base[(..., *(slice(None, None, strides[a]) for a in order))]
        return view.transpose(np.argsort(order)) if order else view

    src, dst = strided(steps[:4]), strided(steps[4:])
    paint.copy_array(src, dst)
    assert dst.tobytes() == src.tobytes()


def test_copy_array_reads_a_broadcast_source() -> None:
    src = np.broadcast_to(np.arange(5, dtype=np.uint16), (3, 4, 5))
    dst = np.zeros(src.shape, dtype=np.uint16)
    paint.copy_array(src, dst)
    np.testing.assert_array_equal(dst, src)


def test_copy_array_rejects_what_it_cannot_copy() -> None:
    array = np.zeros((4, 4), dtype=np.uint8)
    frozen = np.zeros((4, 4), dtype=np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(InvalidArgumentError, match="dtype"):
        paint.copy_array(array, np.zeros((4, 4), dtype=np.uint16))
    with pytest.raises(InvalidArgumentError, match="shape"):
        paint.copy_array(array, np.zeros((4, 5), dtype=np.uint8))
    with pytest.raises(InvalidArgumentError, match="writeable"):
        paint.copy_array(array, frozen)
    with pytest.raises(InvalidArgumentError, match="memory"):
        paint.copy_array(array[:, :2], array[:, 1:3])
    with pytest.raises(InvalidArgumentError, match="axes"):
        paint.copy_array(np.zeros((1,) * 5), np.zeros((1,) * 5))
    with pytest.raises(InvalidArgumentError, match="plain bytes"):
        paint.copy_array(np.zeros(3, dtype=object), np.zeros(3, dtype=object))
    with pytest.raises(TypeError, match="numpy array"):
        paint.copy_array([1], array)


@pytest.mark.parametrize("order", ["C", "F"])
def test_fill_array_fills_only_the_view(order: str) -> None:
    base = np.zeros((8, 9, 10), dtype=np.int32, order=order)
    paint.fill_array(base[2:5, ::2, ::-3], -7)
    expected = np.zeros_like(base)
    expected[2:5, ::2, ::-3] = -7
    np.testing.assert_array_equal(base, expected)


def test_array_equals_compares_bits() -> None:
    array = np.full((5, 6, 7), np.nan, dtype=np.float32)
    assert paint.array_equals(array, np.nan)
    array[4, 5, 6] = 0
    assert not paint.array_equals(array, np.nan)
    assert not paint.array_equals(np.zeros(1), -0.0)
    assert paint.array_equals(np.empty((0, 3), dtype=np.uint8), 9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_unique_equals_numpy(dtype: type) -> None:
    rng = np.random.default_rng(3)
    top = np.iinfo(dtype).max
    labels = rng.choice(np.array([0, 1, 5, top - 1, top], dtype=dtype), size=(20, 30, 7))[
        ::2, :, ::-1
    ]
    found = paint.unique(labels)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.unique(labels))


def test_unique_rejects_signed_labels() -> None:
    with pytest.raises(InvalidArgumentError, match="int8"):
        paint.unique(np.zeros(3, dtype=np.int8))
