# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast.locate.byte_ranges import ByteRange, Run, coalesce_ranges


def coalesced(*ranges: tuple[int, int], gap: int = 0, most: int = 100) -> list[Run]:
    return coalesce_ranges(
        [ByteRange(*r) for r in ranges], max_gap_bytes=gap, max_request_bytes=most
    )


def test_nothing_is_no_request():
    assert coalesced() == []
    assert coalesced((5, 0), (9, 0)) == []


def test_adjacent_ranges_are_one_run():
    assert coalesced((0, 5), (5, 5)) == [Run(0, 10, (0, 1))]


def test_order_does_not_matter():
    assert coalesced((5, 5), (20, 1), (0, 5)) == [Run(0, 10, (2, 0)), Run(20, 1, (1,))]


@pytest.mark.parametrize(("gap", "runs"), [(2, 2), (3, 1)])
def test_gap_is_bridged_up_to_its_limit(gap: int, runs: int):
    assert len(coalesced((0, 5), (8, 2), gap=gap)) == runs


@pytest.mark.parametrize(("most", "runs"), [(9, 2), (10, 1)])
def test_run_grows_up_to_its_limit(most: int, runs: int):
    assert len(coalesced((0, 5), (5, 5), most=most)) == runs


def test_large_range_is_a_run_of_its_own_with_what_lies_inside():
    assert coalesced((0, 50), (10, 5), (50, 1), most=20) == [Run(0, 50, (0, 1)), Run(50, 1, (2,))]


def test_empty_ranges_are_in_no_run():
    assert coalesced((3, 0), (0, 5)) == [Run(0, 5, (1,))]


def test_equal_ranges_share_a_run():
    assert coalesced((3, 4), (3, 4)) == [Run(3, 4, (0, 1))]


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40))),
    st.integers(0, 30),
    st.integers(1, 100),
)
def test_every_range_is_inside_of_one_run(ranges: list[tuple[int, int]], gap: int, most: int):
    runs = coalesced(*ranges, gap=gap, most=most)
    members = [m for run in runs for m in run.members]
    assert sorted(members) == [i for i, (_, size) in enumerate(ranges) if size > 0]
    for run in runs:
        covered = sorted(ranges[m] for m in run.members)
        end = run.offset
        for offset, size in covered:
            assert run.offset <= offset
            assert offset + size <= run.offset + run.size
            assert offset - end <= gap
            end = max(end, offset + size)
        assert covered[0][0] == run.offset
        assert end == run.offset + run.size
        assert run.size <= max(most, *(size for _, size in covered))
    assert [run.offset for run in runs] == sorted(run.offset for run in runs)
