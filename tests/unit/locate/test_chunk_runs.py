# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast.locate.chunk_runs import RUN_BYTES, ChunkRuns

triples = st.tuples(*[st.integers(1, 9)] * 3)
corners = st.tuples(*[st.integers(-30, 30)] * 3)


@given(corners, triples, corners, triples, st.sampled_from([1, 8, 1 << 14, 1 << 19]))
def test_runs_cover_each_voxel_once(low, size, origin, chunk, voxel_bytes) -> None:
    size = tuple(3 * n for n in size)
    bounds = (*low, *(a + n for a, n in zip(low, size, strict=True)))
    runs = ChunkRuns.of(bounds, origin, chunk, voxel_bytes)
    seen = np.zeros(size, np.int64)
    for number in range(len(runs)):
        seen[runs.slices(number)] += 1
        box = runs.box(number)
        for axis in range(3):  # cut along the lines of the grid only
            for edge, end in ((box[axis], bounds[axis]), (box[axis + 3], bounds[axis + 3])):
                assert edge == end or (edge - origin[axis]) % chunk[axis] == 0
            assert box[axis + 3] - box[axis] <= runs.largest_shape()[axis]
    assert (seen == 1).all()


def test_runs_go_along_x_first_and_have_a_size() -> None:
    runs = ChunkRuns.of((0, 0, 0, 512, 512, 512), (0, 0, 0), (64, 64, 64), 1)
    assert runs.run == (4, 1, 1)
    assert len(runs) == 128
    assert runs.box(1) == (256, 0, 0, 512, 64, 64)
    assert ChunkRuns.of((0, 0, 0, 64, 64, 64), (0, 0, 0), (8, 8, 8), 1).run == (8, 8, 8)
    assert ChunkRuns.of((0, 0, 0, 512, 512, 512), (0, 0, 0), (128, 128, 64), 8).run == (1, 1, 1)
    assert RUN_BYTES == 1 << 20


def test_huge_boxes_have_a_bounded_number_of_runs() -> None:
    runs = ChunkRuns.of((0, 0, 0, 10**6, 10**6, 10**5), (0, 0, 0), (64, 64, 64), 8)
    assert 1 << 18 < len(runs) <= 1 << 20
