# SPDX-License-Identifier: BSD-3-Clause
"""Index expressions: Bbox.reify_slices and Bbox.from_slices."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError, OutOfBoundsError
from cloudvolume_fast.model.bbox import Bbox

CONTEXT = Bbox((10, -20, 30), (110, 70, 70))
WITH_CHANNELS = Bbox((10, -20, 30, 0), (110, 70, 70, 2))


@pytest.mark.parametrize("index", [np.s_[:], ..., (), [], np.s_[:, :], np.s_[..., :]])
def test_missing_axes_and_ends_come_from_context(index):
    assert CONTEXT.reify_slices(index) == [*np.s_[10:110:1, -20:70:1, 30:70:1]]


@pytest.mark.parametrize("index", [15, 15.7, np.int64(15), np.float32(15.7), (15,), [15.7]])
def test_number_is_a_slice_of_length_1(index):
    assert CONTEXT.reify_slices(index)[0] == slice(15, 16, 1)


def test_ellipsis_stands_for_axes_between():
    assert CONTEXT.reify_slices(np.s_[20:30, ..., 31:40]) == [*np.s_[20:30:1, -20:70:1, 31:40:1]]


def test_ellipsis_may_stand_for_no_axis():
    assert CONTEXT.reify_slices(np.s_[20:30, 0:5, ..., 31:40]) == [*np.s_[20:30:1, 0:5:1, 31:40:1]]


def test_second_ellipsis_raises():
    with pytest.raises(ValueError, match="at most one"):
        CONTEXT.reify_slices((..., ...))


def test_step_is_kept():
    assert CONTEXT.reify_slices(np.s_[10:50:3])[0] == slice(10, 50, 3)


@pytest.mark.parametrize("index", [np.s_[50:10:-1], np.s_[::-1], np.s_[::0]])
def test_step_that_is_not_positive_raises(index):
    with pytest.raises(ValueError, match="positive step"):
        CONTEXT.reify_slices(index)


@pytest.mark.parametrize(
    "index", [np.s_[-1], np.s_[10:-1], np.s_[0:12], np.s_[10:111], 110, np.s_[15, 0, 0]]
)
def test_bounded_index_outside_raises(index):
    with pytest.raises(OutOfBoundsError):
        CONTEXT.reify_slices(index)


def test_negative_coordinates_are_absolute():
    index = np.s_[10:12, -20:-18, 30:31]
    assert CONTEXT.reify_slices(index) == [*np.s_[10:12:1, -20:-18:1, 30:31:1]]


def test_stop_may_equal_the_upper_bound():
    assert CONTEXT.reify_slices(np.s_[10:110])[0] == slice(10, 110, 1)


def test_reversed_ends_are_kept():
    assert CONTEXT.reify_slices(np.s_[50:10])[0] == slice(50, 10, 1)


def test_unbounded_index_outside_is_kept():
    assert CONTEXT.reify_slices(np.s_[0:500], bounded=False)[0] == slice(0, 500, 1)


@pytest.mark.parametrize("bounded", [True, False])
def test_autocrop_moves_ends_inside(bounded):
    reified = CONTEXT.reify_slices(np.s_[0:500:7], bounded=bounded, autocrop=True)
    assert reified[0] == slice(10, 110, 7)


@pytest.mark.parametrize(("index", "expected"), [(np.s_[0:5], 10), (np.s_[200:300], 110)])
def test_autocrop_of_a_disjoint_slice_is_empty(index, expected):
    assert CONTEXT.reify_slices(index, autocrop=True)[0] == slice(expected, expected, 1)


def test_autocrop_leaves_numbers():
    assert CONTEXT.reify_slices(np.s_[5, 0], autocrop=True)[:2] == [*np.s_[5:6:1, 0:1:1]]


@pytest.mark.parametrize("extra", [np.s_[0:1, :], np.s_[0:1, 0:1], np.s_[0:1, :, :], np.s_[0]])
def test_extra_axes_that_change_nothing_are_dropped(extra):
    extra = extra if isinstance(extra, tuple) else (extra,)
    assert len(CONTEXT.reify_slices((slice(None),) * 3 + extra)) == 3


def test_other_extra_axes_raise():
    with pytest.raises(ValueError, match="at most 3 axes"):
        CONTEXT.reify_slices(np.s_[:, :, :, 0:2])


@pytest.mark.parametrize("index", [None, "abc", (None,), np.s_["a":"b"], ({},), np.s_[1:2:1.5]])
def test_things_that_are_no_index_raise(index):
    with pytest.raises(InvalidArgumentError):
        CONTEXT.reify_slices(index)


def test_box_is_an_index():
    assert CONTEXT.reify_slices(Bbox((20, 0, 31), (30, 5, 40))) == [*np.s_[20:30:1, 0:5:1, 31:40:1]]


def test_channel_slice_is_bounded():
    with pytest.raises(OutOfBoundsError):
        WITH_CHANNELS.reify_slices(np.s_[..., 0:3])


def test_channel_number_may_lie_outside():
    assert WITH_CHANNELS.reify_slices(np.s_[..., 2])[3] == slice(2, 3, 1)


def test_results_are_python_integers():
    reified = CONTEXT.reify_slices(np.s_[np.int64(20) : np.int32(30)])
    assert [type(part.start) for part in reified] == [int] * 3


def test_from_slices_without_context():
    assert Bbox.from_slices(np.s_[0:50, 0:20, 20:40]) == Bbox((0, 0, 20), (50, 20, 40))


def test_from_slices_without_context_needs_both_ends():
    with pytest.raises(ValueError, match="both ends"):
        Bbox.from_slices(np.s_[:, 0:20, 20:40])


def test_from_slices_with_context():
    assert Bbox.from_slices(np.s_[:50, :20, 31], CONTEXT) == Bbox((10, -20, 31), (50, 20, 32))


def test_from_slices_rejects_steps():
    with pytest.raises(ValueError, match="step of 1"):
        Bbox.from_slices(np.s_[0:50:2, 0:20, 20:40])


def test_from_slices_with_reversed_ends_is_empty_at_the_start():
    bbox = Bbox.from_slices(np.s_[50:0, 0:20, 20:40])
    assert bbox == Bbox((50, 0, 20), (50, 20, 40))


def test_from_slices_bounded_raises_outside():
    with pytest.raises(OutOfBoundsError):
        Bbox.from_slices(np.s_[-5:5, :20, :40], CONTEXT, bounded=True)


def test_from_slices_with_autocrop():
    bbox = Bbox.from_slices(np.s_[-5:50, :20, :40], CONTEXT, autocrop=True)
    assert bbox == Bbox((10, -20, 30), (50, 20, 40))


def test_from_slices_keeps_channels():
    assert Bbox.from_slices(np.s_[0:1, 2:3, 4:5, 0:1]).ndim == 4
