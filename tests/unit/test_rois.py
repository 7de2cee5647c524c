# SPDX-License-Identifier: BSD-3-Clause
"""Regions of interest: outside of them nothing is read."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.errors import InfoValidationError

ROIS = {"rois": [[12, -18, 32, 16, -14, 35], [26, -6, 36, 30, -2, 39]]}


@pytest.fixture
def layer(make_layer):
    return make_layer(members=ROIS, max_mip=1)


def test_inside_reads_what_is_stored(layer):
    np.testing.assert_array_equal(layer.open()[12:16, -18:-14, 32:35], layer.data[2:6, 2:6, 2:5])


def test_overlap_reads_the_whole_request(layer):
    np.testing.assert_array_equal(layer.open()[10:20, -20:-10, 30:39], layer.data[:10, :10])


def test_outside_is_background_although_something_is_stored(layer):
    assert (layer.open(background_color=7)[20:24, -12:-8, 30:34] == 7).all()


def test_outside_does_not_touch_the_chunks(layer):
    for path in (layer.folder / "4_4_40").iterdir():
        path.write_bytes(b"corrupt")
    assert not layer.open()[20:24, -12:-8, 30:34].any()


def test_touching_counts_as_overlap(layer):
    np.testing.assert_array_equal(layer.open()[16:18, -18:-14, 32:35], layer.data[6:8, 2:6, 2:5])


def test_second_region_counts(layer):
    np.testing.assert_array_equal(layer.open()[28:30, -4:-2, 37:39], layer.data[18:, 16:, 7:])


def test_regions_are_in_voxels_of_mip_0(layer):
    vol = layer.open(mip=1)
    data = np.random.default_rng(2).integers(1, 200, vol.shape).astype(np.uint8)
    vol[:] = data
    np.testing.assert_array_equal(vol[6:8, -9:-7, 32:35], data[1:3, 1:3, 2:5])
    assert not vol[10:12, -6:-4, 30:34].any()


def test_label_outside_compares_the_background(layer):
    assert layer.open().download(Bbox((20, -12, 30), (24, -8, 34)), label=0).all()


@pytest.mark.parametrize(
    ("segids", "preserve_zeros", "expected"), [([5], False, 0), ([5], True, 255), ([5, 7], True, 7)]
)
def test_labels_are_selected_outside_as_they_are_inside(layer, segids, preserve_zeros, expected):
    image = layer.open(background_color=7).download(
        Bbox((20, -12, 30), (24, -8, 34)), segids=iter(segids), preserve_zeros=preserve_zeros
    )
    assert (image == expected).all()


@pytest.mark.parametrize("label", [None, 7])
@pytest.mark.parametrize("order", ["F", "C"])
def test_memory_order_outside_is_the_one_asked_for(layer, order, label):
    box = Bbox((20, -12, 30), (24, -8, 34))
    image = layer.open(background_color=7).image.download(box, 0, order=order, label=label)
    assert image.flags.c_contiguous == (order == "C")
    assert (image == (7 if label is None else True)).all()


def test_renumber_outside_gives_a_pair(layer):
    image, mapping = layer.open().download(Bbox((20, -12, 30), (24, -8, 34)), renumber=True)
    assert (image.shape, image.dtype, mapping) == ((4, 4, 4, 1), np.uint16, {0: 0})
    assert not image.any()


def test_renumber_outside_keeps_another_background(layer):
    image, mapping = layer.open(background_color=9).download(
        Bbox((20, -12, 30), (24, -8, 34)), renumber=True
    )
    assert mapping == {9: 9}
    assert (image == 9).all()


def test_info_that_is_given_has_no_regions(layer):
    vol = CloudVolume(layer.path, info=layer.open().info, progress=False)
    np.testing.assert_array_equal(vol[20:24, -12:-8, 30:34], layer.data[10:14, 8:12, :4])


def test_malformed_region_raises_on_opening(make_layer):
    layer = make_layer(members={"rois": [[1, 2, 3]]})
    with pytest.raises(InfoValidationError, match=r"rois\[0\]"):
        layer.open()


OUTSIDE = Bbox((20, -12, 30), (24, -8, 34))


def test_unique_outside_is_the_background(layer):
    assert layer.open(background_color=7).unique(OUTSIDE) == {7}


def test_unique_of_a_box_that_touches_a_region_covers_the_whole_box(layer):
    box = Bbox((10, -20, 30), (20, -10, 39))
    assert layer.open().unique(box) == set(np.unique(layer.data[:10, :10]).tolist())


def test_unique_and_points_outside_do_not_touch_the_chunks(layer):
    for path in (layer.folder / "4_4_40").iterdir():
        path.write_bytes(b"corrupt")
    vol = layer.open()
    assert vol.unique(OUTSIDE) == {0}
    assert vol.scattered_points([[20, -12, 30]]) == {(20, -12, 30): 0}


@pytest.mark.parametrize("mip", [0, 1])
def test_points_follow_the_rule_of_boxes(layer, mip):
    vol = layer.open(mip=mip, background_color=201)
    if mip == 1:
        vol[:] = np.random.default_rng(2).integers(1, 200, vol.shape).astype(np.uint8)
    low, high = vol.bounds.minpt, vol.bounds.maxpt
    points = np.stack(
        np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)]), axis=-1
    ).reshape(-1, 3)
    expected = [vol[tuple(point)].item() for point in points]
    assert 201 in expected
    assert set(expected) != {201}
    assert vol[points[:, 0], points[:, 1], points[:, 2]].tolist() == expected


def test_points_outside_of_regions_and_volume_are_background(layer):
    vol = layer.open(bounded=False, background_color=7)
    assert vol.scattered_points([[20, -12, 30], [900, 0, 0]]) == {(20, -12, 30): 7, (900, 0, 0): 7}


def test_crackle_of_a_box_that_touches_a_region_covers_the_whole_box(make_layer):
    regions = {"rois": [[12, -18, 31, 16, -14, 32]]}  # in one of three layers of chunks
    layer = make_layer(dtype="uint32", layer_type="segmentation", members=regions)
    labels = layer.open().download(Bbox((10, -20, 30), (30, -2, 39)), crackle=True)
    np.testing.assert_array_equal(labels.decompress(), layer.data[..., 0])
