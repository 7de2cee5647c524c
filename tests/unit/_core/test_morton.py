# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast._core import morton
from cloudvolume_fast.errors import InvalidArgumentError


def naive_code(point: tuple[int, ...], grid_size: tuple[int, ...]) -> int:
    """The loop of the specification, one bit at a time."""
    code = bit = 0
    for i in range(64):
        for axis in range(3):
            if 2**i < grid_size[axis]:
                code |= ((point[axis] >> i) & 1) << bit
                bit += 1
    return code


@st.composite
def grids_with_points(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    grid = draw(st.tuples(*[st.integers(1, 2**21)] * 3))
    point = st.tuples(*[st.integers(0, size - 1) for size in grid])
    return grid, draw(st.lists(point, max_size=20))


@given(grids_with_points())
def test_encode_equals_the_naive_loop(case: tuple) -> None:
    grid, points = case
    codes = morton.encode(np.array(points, dtype=np.int64).reshape(-1, 3), grid)
    assert codes.dtype == np.uint64
    assert codes.tolist() == [naive_code(point, grid) for point in points]


@given(grids_with_points())
def test_decode_inverts_encode(case: tuple) -> None:
    grid, points = case
    array = np.array(points, dtype=np.int64).reshape(-1, 3)
    np.testing.assert_array_equal(morton.decode(morton.encode(array, grid), grid), array)


@pytest.mark.parametrize(
    ("grid", "expected"), [((1, 1, 1), 0), ((2, 1, 1), 1), ((3, 4, 5), 7), ((2**31, 2**31, 4), 64)]
)
def test_bits(grid: tuple[int, int, int], expected: int) -> None:
    assert morton.bits(grid) == expected


@pytest.mark.parametrize("point", [(4, 0, 0), (0, -1, 0), (0, 0, 7)])
def test_encode_rejects_a_point_outside(point: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"row 1"):
        morton.encode([(0, 0, 0), point], (4, 5, 6))


def test_codes_beyond_64_bits_are_rejected() -> None:
    with pytest.raises(InvalidArgumentError, match="64 bits"):
        morton.encode([(0, 0, 0)], (2**31, 2**31, 8))
    with pytest.raises(InvalidArgumentError, match="positive"):
        morton.decode([0], (2, 0, 2))
