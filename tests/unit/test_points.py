# SPDX-License-Identifier: BSD-3-Clause
"""Reads around and at points: ``download_point``, ``scattered_points``, ``unique``."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast import Bbox, Vec
from cloudvolume_fast.errors import OutOfBoundsError


@pytest.fixture
def layer(make_layer):
    return make_layer(max_mip=1)


@pytest.fixture
def coarse(layer):
    """What mip 1 of `layer` holds: x 5:15, y -10:-1, z 30:39."""
    vol = layer.open(mip=1)
    vol[:] = np.random.default_rng(5).integers(0, 200, vol.shape).astype(np.uint8)
    return np.asarray(vol[:])


# download_point.


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4, np.s_[8:12, 8:12, 2:6]),
        (5, np.s_[8:12, 8:12, 2:6]),
        (1, np.s_[10:11, 10:11, 4:5]),
        ((6, 1, 3), np.s_[7:13, 10:11, 3:5]),
        (Vec(2, 4, 2), np.s_[9:11, 8:12, 3:5]),
        (np.array([2, 4, 2]), np.s_[9:11, 8:12, 3:5]),
    ],
)
def test_point_is_the_middle_of_the_box(layer, size, expected):
    np.testing.assert_array_equal(
        layer.open().download_point((20, -10, 34), size=size), layer.data[expected]
    )


def test_point_has_256_voxels_by_default(layer):
    image = layer.open(bounded=False).download_point((20, -10, 34))
    assert image.shape == (256, 256, 256, 1)


def test_point_near_the_edge_raises(layer):
    with pytest.raises(OutOfBoundsError):
        layer.open().download_point((10, -10, 34), size=4)


def test_point_near_the_edge_is_cropped(layer):
    image = layer.open(autocrop=True).download_point((10, -20, 30), size=4)
    np.testing.assert_array_equal(image, layer.data[:2, :2, :2])


def test_point_of_mip_0_is_found_at_another_mip(layer, coarse):
    image = layer.open().download_point((21, -9, 34), size=4, mip=1)
    np.testing.assert_array_equal(image, coarse[3:7, 3:7, 2:6])


def test_point_is_in_mip_0_at_the_current_mip_too(layer, coarse):
    image = layer.open(mip=1).download_point((21, -9, 34), size=4)
    np.testing.assert_array_equal(image, coarse[3:7, 3:7, 2:6])


def test_point_of_a_resolution(layer, coarse):
    image = layer.open().download_point((84, -36, 1360), size=4, mip=1, coord_resolution=(1, 1, 1))
    np.testing.assert_array_equal(image, coarse[3:7, 3:7, 2:6])


def test_point_is_rounded_down(layer):
    vol = layer.open()
    np.testing.assert_array_equal(
        vol.download_point((20.9, -9.1, 34.5), size=4), vol.download_point((20, -10, 34), size=4)
    )


def test_point_takes_options_of_download(make_layer):
    layer = make_layer(dtype="uint32", high=5)
    image = layer.open().download_point((20, -10, 34), size=4, label=3)
    np.testing.assert_array_equal(image, layer.data[8:12, 8:12, 2:6] == 3)


@pytest.mark.parametrize("size", [0, -1, (1, 2), (1, 2, 3, 4), (4, 0, 4)])
def test_point_with_another_size_raises(layer, size):
    with pytest.raises(ValueError, match="size"):
        layer.open().download_point((20, -10, 34), size=size)


# scattered_points.


@pytest.mark.parametrize(
    "points",
    [
        [(10, -20, 30), (29, -3, 38)],
        np.array([(10, -20, 30), (29, -3, 38)]),
        {(10, -20, 30), (29, -3, 38)},
        [Vec(10, -20, 30), Vec(29, -3, 38)],
        [(10, -20, 30), (29, -3, 38), (10, -20, 30)],
    ],
)
def test_scattered_points_is_a_dictionary(layer, points):
    assert layer.open().scattered_points(points) == {
        (10, -20, 30): layer.data[0, 0, 0, 0],
        (29, -3, 38): layer.data[19, 17, 8, 0],
    }


def test_scattered_values_are_of_the_volumes_dtype(layer):
    values = layer.open().scattered_points([(10, -20, 30)]).values()
    assert [value.dtype for value in values] == [np.dtype(np.uint8)]


@pytest.mark.parametrize("point", [(10, -20, 30), Vec(10, -20, 30), np.array([10, -20, 30])])
def test_scattered_point_alone(layer, point):
    assert layer.open().scattered_points(point) == {(10, -20, 30): layer.data[0, 0, 0, 0]}


@pytest.mark.parametrize("points", [[], (), np.zeros((0, 3), int), set()])
def test_no_scattered_points(layer, points):
    assert layer.open().scattered_points(points) == {}


def test_scattered_points_are_rounded_down(layer):
    assert list(layer.open().scattered_points([(10.9, -19.1, 30.5)])) == [(10, -20, 30)]


def test_scattered_points_of_mip_0_at_another_mip(layer, coarse):
    found = layer.open().scattered_points([(21, -9, 34), (20, -10, 34), (10, -20, 30)], mip=1)
    assert found == {(10, -5, 34): coarse[5, 5, 4, 0], (5, -10, 30): coarse[0, 0, 0, 0]}


def test_scattered_points_of_a_resolution(layer, coarse):
    found = layer.open().scattered_points([(84, -36, 1360)], mip=1, coord_resolution=(1, 1, 1))
    assert found == {(10, -5, 34): coarse[5, 5, 4, 0]}


@pytest.mark.parametrize(
    "point", [(9, -20, 30), (30, -20, 30), (10, -21, 30), (10, -2, 30), (10, -20, 39)]
)
def test_scattered_point_outside_raises(layer, point):
    with pytest.raises(OutOfBoundsError):
        layer.open().scattered_points([(10, -20, 30), point])


def test_scattered_point_outside_is_background_when_not_bounded(layer):
    assert layer.open(bounded=False, background_color=9).scattered_points([(0, 0, 0)]) == {
        (0, 0, 0): 9
    }


def test_scattered_points_of_several_channels_are_of_the_first(make_layer):
    layer = make_layer(channels=3)
    assert layer.open().scattered_points([(12, -20, 30)]) == {(12, -20, 30): layer.data[2, 0, 0, 0]}


@pytest.mark.parametrize("points", [[(1, 2)], [(1, 2, 3, 4)], "abc", [("a", "b", "c")], 5])
def test_things_that_are_no_points_raise(layer, points):
    with pytest.raises(ValueError, match="points"):
        layer.open().scattered_points(points)


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_many_scattered_points(make_layer, encoding):
    layer = make_layer(dtype="uint64", encoding=encoding, high=2**40)
    rng = np.random.default_rng(6)
    points = rng.integers((10, -20, 30), (30, -2, 39), (500, 3))
    found = layer.open().scattered_points(points)
    assert found == {
        (x, y, z): layer.data[x - 10, y + 20, z - 30, 0] for x, y, z in points.tolist()
    }


# unique.


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize(
    "box",
    [
        Bbox((10, -20, 30), (30, -2, 39)),
        Bbox((10, -20, 30), (18, -12, 34)),
        Bbox((11, -19, 31), (29, -3, 38)),
        Bbox((13, -17, 32), (14, -16, 33)),
    ],
)
def test_unique_is_the_set_of_labels(make_layer, encoding, dtype, box):
    layer = make_layer(dtype=dtype, encoding=encoding, high=300)
    assert layer.open().unique(box) == set(np.unique(layer.cut(*box.to_slices())).tolist())


@pytest.mark.parametrize("box", [np.s_[12:14], (12, -20, 30, 14, -2, 39), "12-14_-20--2_30-39"])
def test_unique_takes_every_form_of_box(layer, box):
    assert layer.open().unique(box) == set(np.unique(layer.data[2:4]).tolist())


def test_unique_of_another_mip(layer, coarse):
    vol = layer.open()
    assert vol.unique(vol.mip_bounds(1), mip=1) == set(np.unique(coarse).tolist())


def test_unique_of_a_resolution(layer):
    found = layer.open().unique(Bbox((48, -80, 1200), (56, -8, 1560)), coord_resolution=(1, 1, 1))
    assert found == set(np.unique(layer.data[2:4]).tolist())


def test_unique_of_signed_values(make_layer):
    data = np.random.default_rng(4).integers(-5, 5, (20, 18, 9, 1)).astype(np.int16)
    layer = make_layer(dtype="int16", data=data)
    assert layer.open().unique(np.s_[:]) == set(range(-5, 5))


def test_unique_of_all_channels(make_layer):
    layer = make_layer(channels=2, high=5)
    assert layer.open().unique(np.s_[:]) == set(range(5))


def test_unique_outside_raises(layer):
    with pytest.raises(OutOfBoundsError):
        layer.open().unique(Bbox((0, -20, 30), (12, -10, 35)))


def test_unique_is_cropped(layer):
    vol = layer.open(autocrop=True)
    assert vol.unique(Bbox((0, -20, 30), (12, -2, 39))) == set(np.unique(layer.data[:2]).tolist())
