# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast.locate.byte_ranges import ByteRange, Runs, coalesce_arrays, coalesce_ranges


def coalesced(*ranges: tuple[int, int, int], gap: int = 0, most: int = 100) -> Runs:
    columns = np.array(ranges, np.uint64).reshape(-1, 3)
    return coalesce_arrays(
        columns[:, 0].astype(np.intp),
        columns[:, 1],
        columns[:, 2],
        max_gap_bytes=gap,
        max_request_bytes=most,
    )


def listed(runs: Runs) -> list[tuple[int, int, int]]:
    columns = runs.groups.tolist(), runs.offsets.tolist(), runs.sizes.tolist()
    return list(zip(*columns, strict=True))


def test_nothing_is_no_run():
    assert listed(coalesced()) == []


def test_ranges_of_one_group_come_together_in_any_order():
    runs = coalesced((1, 5, 5), (0, 5, 5), (1, 0, 5))
    assert listed(runs) == [(0, 5, 5), (1, 0, 10)]
    assert runs.numbers.tolist() == [1, 0, 1]


@pytest.mark.parametrize(("gap", "count"), [(2, 2), (3, 1)])
def test_gap_is_bridged_up_to_its_limit(gap: int, count: int):
    assert len(listed(coalesced((0, 0, 5), (0, 8, 2), gap=gap))) == count


@pytest.mark.parametrize(("most", "count"), [(9, 2), (10, 1)])
def test_run_grows_up_to_its_limit(most: int, count: int):
    assert len(listed(coalesced((0, 0, 5), (0, 5, 5), most=most))) == count


def test_ranges_up_to_the_last_byte_there_can_be():
    last = 2**64 - 1
    runs = coalesced((0, last - 5, 5), (0, last - 20, 5), gap=100, most=last)
    assert listed(runs) == [(0, last - 20, 20)]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300), st.integers(0, 40))),
    st.integers(0, 30),
    st.integers(1, 100),
)
def test_every_range_is_inside_of_its_run(ranges: list[tuple[int, int, int]], gap: int, most: int):
    runs = coalesced(*ranges, gap=gap, most=most)
    assert len(runs.numbers) == len(ranges)
    members: dict[int, int] = {}
    for (group, offset, size), number in zip(ranges, runs.numbers.tolist(), strict=True):
        begin, length = int(runs.offsets[number]), int(runs.sizes[number])
        assert runs.groups[number] == group
        assert begin <= offset
        assert offset + size <= begin + length
        members[number] = members.get(number, 0) + 1
    assert set(members) == set(range(len(runs.sizes)))
    for number, count in members.items():
        assert count == 1 or runs.sizes[number] <= most


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 40))),
    st.integers(0, 30),
    st.integers(1, 100),
)
def test_ranges_that_do_not_overlap_make_the_runs_of_coalesce_ranges(
    steps: list[tuple[int, int]], gap: int, most: int
):
    ranges = []
    end = 0
    for space, size in steps:
        ranges.append(ByteRange(end + space, size))
        end = ranges[-1].end
    expected = coalesce_ranges(ranges, max_gap_bytes=gap, max_request_bytes=most)
    runs = coalesced(*((0, r.offset, r.size) for r in ranges), gap=gap, most=most)
    assert listed(runs) == [(0, run.offset, run.size) for run in expected]
