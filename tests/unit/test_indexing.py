# SPDX-License-Identifier: BSD-3-Clause
"""What may stand between the brackets of ``vol[...]``."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast import Bbox, Vec, VolumeCutout
from cloudvolume_fast.errors import OutOfBoundsError, SubvoxelVolumeError


@pytest.fixture
def layer(make_layer):
    return make_layer()


@pytest.fixture
def vol(layer):
    return layer.open()


# Slices, integers, floats, ellipsis.


@pytest.mark.parametrize(
    "index", [np.s_[:], np.s_[...], np.s_[:, :, :], np.s_[:, ...], np.s_[:, :, :, :]]
)
def test_everything(layer, vol, index):
    np.testing.assert_array_equal(vol[index], layer.data)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (np.s_[15], np.s_[5:6]),
        (np.s_[15.9], np.s_[5:6]),
        (np.s_[15, -20, 31], np.s_[5:6, 0:1, 1:2]),
        (np.s_[15, -19.9, 31], np.s_[5:6, 1:2, 1:2]),
        ((np.int64(15), np.int8(-20), np.uint16(31)), np.s_[5:6, 0:1, 1:2]),
        (np.s_[:20], np.s_[:10]),
        (np.s_[20:], np.s_[10:]),
        (np.s_[12:17, :-10], np.s_[2:7, :10]),
        (np.s_[12:17, ..., 0], np.s_[2:7]),
        (np.s_[..., 0], np.s_[:]),
        (np.s_[15, ..., 0:1], np.s_[5:6]),
        (np.s_[15, -20, ...], np.s_[5:6, 0:1]),
        (np.s_[10:30, -20:-2, 30:39], np.s_[:]),
        ([slice(12, 17), slice(-20, -10)], np.s_[2:7, :10]),
        ((range(12, 17), range(-20, -10), range(30, 32)), np.s_[2:7, :10, :2]),
        ((range(12, 20, 3), slice(None)), np.s_[2:10:3]),
        (Vec(15, -20, 31), np.s_[5:6, 0:1, 1:2]),
    ],
)
def test_index_reads_the_box_it_names(layer, vol, index, expected):
    np.testing.assert_array_equal(vol[index], layer.data[expected])


@pytest.mark.parametrize("steps", [(3, 1, 1), (1, 2, 1), (2, 3, 4), (100, 100, 100)])
def test_steps_are_applied(layer, vol, steps):
    x, y, z = steps
    np.testing.assert_array_equal(vol[10:28:x, ::y, 31::z], layer.data[:18:x, ::y, 1::z])


def test_negative_coordinates_inside_the_bounds_are_absolute(layer, vol):
    np.testing.assert_array_equal(vol[10:12, -20:-18, 30:31], layer.data[:2, :2, :1])


@pytest.mark.parametrize("index", [np.s_[-1], np.s_[10:-1], np.s_[:, -1], np.s_[:, :, -1]])
def test_negative_coordinates_are_not_counted_from_the_end(vol, index):
    with pytest.raises(OutOfBoundsError):
        vol[index]


@pytest.mark.parametrize(
    "index", [np.s_[9:12], np.s_[28:31], np.s_[30], np.s_[500:510], np.s_[200:200]]
)
def test_outside_raises(vol, index):
    with pytest.raises(OutOfBoundsError):
        vol[index]


def test_out_of_bounds_is_a_value_error_that_names_both_boxes(vol):
    with pytest.raises(ValueError, match=r"9-12_-20--2_30-39.*10-30_-20--2_30-39"):
        vol[9:12]


@pytest.mark.parametrize("index", [np.s_[15:15], np.s_[20:15], np.s_[:, -5:-5], np.s_[:, :, 35:32]])
def test_empty_box_raises(vol, index):
    with pytest.raises(SubvoxelVolumeError):
        vol[index]


@pytest.mark.parametrize(
    "index",
    [
        np.s_[20:10:-1],
        np.s_[::-1],
        np.s_[::0],
        np.s_[..., ::-1],
        np.s_[..., 0, ...],
        np.s_[:, :, :, :, 0:2],
        np.s_[:, :, :, :, 1],
        (None,),
        ([1, 2], slice(0, 2), [1, 2]),
    ],
)
def test_things_that_are_no_index_raise_value_error(vol, index):
    with pytest.raises(ValueError):  # noqa: PT011
        vol[index]


@pytest.mark.parametrize("extra", [np.s_[:], np.s_[0:1], np.s_[:1], 0])
def test_fifth_axis_that_changes_nothing_is_dropped(layer, vol, extra):
    np.testing.assert_array_equal(vol[10:12, -20:-18, 30:31, :, extra], layer.data[:2, :2, :1])


def test_further_axes_that_change_nothing_are_dropped(layer, vol):
    np.testing.assert_array_equal(vol[10:12, :, :, :, :, :], layer.data[:2])


def test_string_raises_attribute_error(vol):
    with pytest.raises(AttributeError, match="download"):
        vol["10-12_-20--18_30-31"]


def test_string_is_no_key_for_writing_either(vol):
    with pytest.raises(AttributeError):
        vol["10-12_-20--18_30-31"] = 1


# Channels.


@pytest.fixture
def colors(make_layer):
    return make_layer(channels=3)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (0, np.s_[0:1]),
        (2, np.s_[2:3]),
        (np.s_[1:3], np.s_[1:3]),
        (np.s_[::2], np.s_[::2]),
        (np.s_[1:], np.s_[1:]),
        (np.s_[1:1], np.s_[0:0]),
        (3, np.s_[0:0]),
        (-1, np.s_[0:0]),
        (np.uint8(1), np.s_[1:2]),
    ],
)
def test_channels_keep_their_axis(colors, channel, expected):
    np.testing.assert_array_equal(colors.open()[..., channel], colors.data[..., expected])


@pytest.mark.parametrize("channel", [np.s_[0:5], np.s_[5:6], np.s_[-1:]])
def test_channel_slice_outside_raises_when_bounded(colors, channel):
    with pytest.raises(OutOfBoundsError):
        colors.open()[..., channel]


def test_channel_slice_outside_is_empty_when_not_bounded(colors):
    assert colors.open(bounded=False)[..., 5:6].shape == (20, 18, 9, 0)


def test_integers_on_every_axis_of_several_channels(colors):
    np.testing.assert_array_equal(colors.open()[15, -20, 31], colors.data[5:6, 0:1, 1:2])


# Boxes.


@pytest.mark.parametrize(
    "box",
    [
        Bbox((12, -18, 31), (20, -8, 36)),
        Bbox((48, -72, 1240), (80, -32, 1440), unit="nm"),
        Bbox((0.048, -0.072, 1.24), (0.08, -0.032, 1.44), unit="um"),
        Bbox((48_000, -72_000, 1_240_000), (80_000, -32_000, 1_440_000), unit="pm"),
    ],
)
def test_box_in_any_unit(layer, vol, box):
    np.testing.assert_array_equal(vol[box], layer.cut(np.s_[12:20], np.s_[-18:-8], np.s_[31:36]))


def test_box_outside_raises(vol):
    with pytest.raises(OutOfBoundsError):
        vol[Bbox((9, -20, 30), (12, -10, 35))]


def test_empty_box_object_raises(vol):
    with pytest.raises(SubvoxelVolumeError):
        vol[Bbox((12, -20, 30), (12, -10, 35))]


# Point lists.


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_three_sequences_are_paired_points(layer, vol, kind):
    points = (kind([10, 29, 12, 10]), kind([-20, -3, -11, -20]), kind([30, 38, 33, 30]))
    values = vol[points]
    np.testing.assert_array_equal(values, layer.data[[0, 19, 2, 0], [0, 17, 9, 0], [0, 8, 3, 0], 0])


def test_point_list_is_one_dimensional_of_the_volumes_dtype(vol):
    values = vol[[10, 11], [-20, -20], [30, 30]]
    assert (values.shape, values.dtype) == ((2,), np.dtype(np.uint8))


def test_point_list_without_points(vol):
    assert vol[[], [], []].shape == (0,)


def test_point_list_of_several_channels_is_of_the_first(colors):
    assert colors.open()[[12], [-20], [30]].tolist() == [colors.data[2, 0, 0, 0]]


def test_point_list_of_uneven_length_raises(vol):
    with pytest.raises(ValueError, match="one length"):
        vol[[10, 11], [-20], [30]]


def test_point_list_outside_raises(vol):
    with pytest.raises(OutOfBoundsError, match=r"\[1000, -20, 30\]"):
        vol[[10, 1000], [-20, -20], [30, 30]]


def test_point_list_outside_is_background_when_not_bounded(layer):
    vol = layer.open(bounded=False, background_color=7)
    assert vol[[1000, 10], [-20, -20], [30, 30]].tolist() == [7, layer.data[0, 0, 0, 0]]


# What comes back.


@pytest.mark.parametrize(
    "index", [np.s_[:], np.s_[15], np.s_[15, -20, 31], np.s_[10:20:3], np.s_[..., 0]]
)
def test_result_is_a_four_dimensional_fortran_cutout(vol, index):
    image = vol[index]
    assert (type(image), image.ndim, image.dtype) == (VolumeCutout, 4, vol.dtype)
    assert image.flags.f_contiguous


def test_result_is_the_callers_own(layer, vol):
    vol[:][...] = 0
    np.testing.assert_array_equal(vol[:], layer.data)


# Settings.


@pytest.mark.parametrize("settings", [{"autocrop": True}, {}])
def test_brackets_check_the_bounds_before_they_crop(layer, settings):
    with pytest.raises(OutOfBoundsError):
        layer.open(**settings)[5:15]


def test_autocrop_of_an_unbounded_volume(layer):
    image = layer.open(bounded=False, autocrop=True)[5:15, -25:-15, 25:33]
    np.testing.assert_array_equal(image, layer.data[:5, :5, :3])


def test_autocrop_without_overlap_raises(layer):
    with pytest.raises(SubvoxelVolumeError):
        layer.open(bounded=False, autocrop=True)[500:510]


def test_unbounded_read_is_background_outside(layer):
    image = layer.open(bounded=False, background_color=9)[5:15, -25:-15, 25:33]
    expected = np.full((10, 10, 8, 1), 9, np.uint8)
    expected[5:, 5:, 5:] = layer.data[:5, :5, :3]
    np.testing.assert_array_equal(image, expected)


def test_unbounded_read_wholly_outside_is_background_without_fill_missing(layer):
    image = layer.open(bounded=False, background_color=9)[500:502, 0:2, 0:2]
    assert image.shape == (2, 2, 2, 1)
    assert (image == 9).all()
