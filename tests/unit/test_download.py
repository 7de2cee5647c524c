# SPDX-License-Identifier: BSD-3-Clause
"""``vol.download``: what describes the box, and what is made of the voxels."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast import Bbox, Vec, VolumeCutout
from cloudvolume_fast.errors import (
    OutOfBoundsError,
    ScaleUnavailableError,
    SubvoxelVolumeError,
)

BOX = Bbox((12, -18, 31), (20, -8, 36))
CUT = np.s_[2:10, 2:12, 1:6]


@pytest.fixture
def layer(make_layer):
    return make_layer()


@pytest.fixture
def labels(make_layer):
    return make_layer(dtype="uint32", high=20, layer_type="segmentation")


@pytest.mark.parametrize(
    "box",
    [
        BOX,
        np.s_[12:20, -18:-8, 31:36],
        list(np.s_[12:20, -18:-8, 31:36]),
        (12, -18, 31, 20, -8, 36),
        [12, -18, 31, 20, -8, 36],
        np.array([12, -18, 31, 20, -8, 36]),
        "12-20_-18--8_31-36",
        {"minpt": (12, -18, 31), "maxpt": (20, -8, 36)},
        {"minpt": (12, -18, 31), "maxpt": (20, -8, 36), "dtype": "int32"},
        Bbox((48, -72, 1240), (80, -32, 1440), unit="nm"),
        Bbox((12.9, -18.2, 31.5), (20.1, -8.9, 36.7)),
    ],
)
def test_every_form_of_box(layer, box):
    np.testing.assert_array_equal(layer.open().download(box), layer.data[CUT])


def test_slices_may_leave_axes_and_ends_open(layer):
    np.testing.assert_array_equal(layer.open().download(np.s_[12:, :-8]), layer.data[2:, :12])


def test_vector_is_a_box_from_the_origin(layer):
    image = layer.open(bounded=False).download(Vec(12, 2, 31))
    assert image.shape == (12, 2, 31, 1)


@pytest.mark.parametrize("box", [None, 15, object()])
def test_other_things_raise_not_implemented(layer, box):
    with pytest.raises(NotImplementedError):
        layer.open().download(box)


def test_result_is_a_cutout_that_knows_its_box(layer):
    image = layer.open().download(BOX)
    assert type(image) is VolumeCutout
    assert image.bounds == BOX


# Bounds.


def test_outside_raises(layer):
    with pytest.raises(OutOfBoundsError):
        layer.open().download(Bbox((5, -20, 30), (15, -10, 35)))


@pytest.mark.parametrize("bounded", [True, False])
def test_autocrop_crops_before_the_bounds_are_checked(layer, bounded):
    vol = layer.open(autocrop=True, bounded=bounded)
    image = vol.download(Bbox((5, -25, 25), (15, -15, 33)))
    np.testing.assert_array_equal(image, layer.data[:5, :5, :3])


def test_autocrop_reports_the_cropped_box(layer):
    image = layer.open(autocrop=True).download(Bbox((5, -25, 25), (15, -15, 33)))
    assert image.bounds == Bbox((10, -20, 30), (15, -15, 33))


def test_autocrop_of_nothing_raises(layer):
    with pytest.raises(SubvoxelVolumeError):
        layer.open(autocrop=True).download(Bbox((500, 0, 0), (510, 10, 10)))


def test_unbounded_is_background_outside(layer):
    image = layer.open(bounded=False, background_color=3).download(
        Bbox((8, -22, 28), (12, -18, 32))
    )
    expected = np.full((4, 4, 4, 1), 3, np.uint8)
    expected[2:, 2:, 2:] = layer.data[:2, :2, :2]
    np.testing.assert_array_equal(image, expected)


def test_empty_box_raises(layer):
    with pytest.raises(SubvoxelVolumeError):
        layer.open().download(Bbox((12, -20, 30), (12, -10, 35)))


# Scales.


@pytest.fixture
def pyramid(make_layer):
    """A layer whose scales hold voxels of their own, and what each holds."""
    layer = make_layer(max_mip=2)
    arrays = [layer.data]
    for mip in (1, 2):
        vol = layer.open(mip=mip)
        array = np.random.default_rng(mip).integers(0, 200, vol.shape).astype(np.uint8)
        vol[:] = array
        arrays.append(array)
    return layer, arrays


@pytest.mark.parametrize("mip", [0, 1, 2, -1, [8, 8, 40], (16, 16, 40), np.int64(1)])
def test_mip_by_index_or_resolution(pyramid, mip):
    layer, arrays = pyramid
    vol = layer.open()
    index = vol.meta.to_mip(mip)
    np.testing.assert_array_equal(vol.download(vol.mip_bounds(mip), mip=mip), arrays[index])


def test_mip_uses_that_mips_bounds(pyramid):
    layer, arrays = pyramid
    # x 5 is inside of mip 1 (5:15), but outside of mip 0 (10:30).
    image = layer.open(mip=0).download(Bbox((5, -10, 30), (15, -1, 39)), mip=1)
    np.testing.assert_array_equal(image, arrays[1])


def test_open_slices_take_the_bounds_of_the_mip(pyramid):
    layer, arrays = pyramid
    np.testing.assert_array_equal(layer.open().download(np.s_[:, :, :], mip=2), arrays[2])


def test_autocrop_takes_the_bounds_of_the_mip(pyramid):
    layer, arrays = pyramid
    image = layer.open(autocrop=True).download(Bbox((0, -30, 0), (50, 50, 50)), mip=1)
    np.testing.assert_array_equal(image, arrays[1])


def test_cutout_knows_its_mip(pyramid):
    image = pyramid[0].open().download(np.s_[:, :, :], mip=1)
    assert (image.mip, image.resolution.tolist()) == (1, [8, 8, 40])


@pytest.mark.parametrize("mip", [3, -4, [5, 5, 5]])
def test_unknown_mip_raises_index_error(pyramid, mip):
    with pytest.raises(ScaleUnavailableError) as error:
        pyramid[0].open().download(BOX, mip=mip)
    assert isinstance(error.value, IndexError)
    assert "[8, 8, 40]" in str(error.value)


def test_coord_resolution_scales_the_box(pyramid):
    layer, arrays = pyramid
    image = layer.open().download(
        Bbox((12, -18, 31), (20, -8, 36)), mip=1, coord_resolution=(4, 4, 40)
    )
    np.testing.assert_array_equal(image, arrays[1][1:5, 1:6, 1:6])


def test_coord_resolution_of_a_nanometre(layer):
    box = Bbox((48, -72, 1240), (80, -32, 1440))
    np.testing.assert_array_equal(
        layer.open().download(box, coord_resolution=(1, 1, 1)), layer.data[CUT]
    )


# Labels.


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("label", [0, 7, 199, 2**40, -1])
def test_label_is_where_the_voxels_are_it(make_layer, encoding, dtype, label):
    layer = make_layer(dtype=dtype, high=20, encoding=encoding)
    image = layer.open().download(BOX, label=label)
    assert image.dtype == np.bool_
    np.testing.assert_array_equal(
        image, layer.data[CUT] == label if label >= 0 else np.zeros_like(image)
    )


def test_label_with_background_outside(labels):
    image = labels.open(bounded=False, background_color=7).download(
        Bbox((8, -20, 30), (12, -18, 32)), label=7
    )
    assert image[:2].all()
    np.testing.assert_array_equal(image[2:], labels.data[:2, :2, :2] == 7)


def test_label_of_a_signed_volume(make_layer):
    layer = make_layer(
        dtype="int8",
        data=np.arange(-128, 112, dtype=np.int8).repeat(27).reshape(20, 18, 9, 2)[..., :1],
        high=2,
    )
    np.testing.assert_array_equal(layer.open().download(np.s_[:], label=-3), layer.data == -3)


@pytest.mark.parametrize("options", [{"renumber": True}, {"segids": [3]}])
def test_label_excludes_what_needs_labels(labels, options):
    with pytest.raises(ValueError, match="label"):
        labels.open().download(BOX, label=3, **options)


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, np.array, iter])
def test_segids_keeps_only_those(labels, kind):
    image = labels.open().download(BOX, segids=kind([3, 5]))
    cut = labels.data[CUT]
    np.testing.assert_array_equal(image, np.where(np.isin(cut, [3, 5]), cut, 0))
    assert image.dtype == np.uint32


def test_segids_that_the_type_cannot_hold_are_nowhere(labels):
    assert not labels.open().download(BOX, segids=[2**40, -1]).any()


def test_no_segids_leave_nothing(labels):
    assert not labels.open().download(BOX, segids=[]).any()


def test_preserve_zeros_marks_the_others_with_the_largest_value(labels):
    image = labels.open().download(BOX, segids=[3, 5], preserve_zeros=True)
    cut = labels.data[CUT]
    np.testing.assert_array_equal(image, np.where(np.isin(cut, [0, 3, 5]), cut, 2**32 - 1))


def test_segids_are_not_changed(labels):
    segids = [3, 5]
    labels.open().download(BOX, segids=segids, preserve_zeros=True)
    assert segids == [3, 5]


# Renumbering.


def assert_renumbered(image, mapping, original):
    assert list(mapping.values())[1:] == [n for n in list(mapping.values())[1:] if n]
    numbers = np.vectorize(mapping.__getitem__)(np.asarray(original))
    np.testing.assert_array_equal(image, numbers)


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_renumber_maps_labels_to_small_numbers(make_layer, encoding):
    data = np.random.default_rng(3).choice(
        np.array([0, 2**33, 5, 2**63 + 1], np.uint64), (20, 18, 9, 1)
    )
    layer = make_layer(dtype="uint64", data=data, encoding=encoding)
    image, mapping = layer.open().download(BOX, renumber=True)
    assert image.dtype == np.uint16
    assert sorted(mapping) == [0, 5, 2**33, 2**63 + 1]
    assert sorted(mapping.values()) == [0, 1, 2, 3]
    assert_renumbered(image, mapping, data[CUT])


def test_renumber_starts_with_the_background(labels):
    _, mapping = labels.open().download(BOX, renumber=True)
    assert next(iter(mapping.items())) == (0, 0)


def test_renumber_numbers_in_the_order_in_which_labels_are_met(labels):
    image, mapping = labels.open().download(BOX, renumber=True)
    assert list(mapping.values()) == sorted(mapping.values())
    first = np.asarray(image).reshape(-1, order="F")
    met = [n for n in dict.fromkeys(first.tolist()) if n]
    assert met == sorted(met)


def test_renumber_maps_plain_integers(labels):
    _, mapping = labels.open().download(BOX, renumber=True)
    assert {type(v) for v in [*mapping, *mapping.values()]} == {int}


def test_renumber_with_another_background_does_not_collide(labels):
    image, mapping = labels.open(background_color=7).download(BOX, renumber=True)
    assert mapping[7] == 7
    assert len(set(mapping.values())) == len(mapping)
    assert_renumbered(image, mapping, labels.data[CUT])


def test_renumber_widens_beyond_65535_labels(tmp_path):
    from cloudvolume_fast import CloudVolume

    data = (
        np.random.default_rng(4).permutation(64 * 64 * 20).astype(np.uint64).reshape(64, 64, 20, 1)
        + 2**40
    )
    vol = CloudVolume.from_numpy(
        data, f"file://{tmp_path}/a/b", chunk_size=(32, 32, 4), progress=False
    )
    image, mapping = vol.download(vol.bounds, renumber=True)
    assert image.dtype == np.uint32
    assert sorted(np.unique(image).tolist()) == list(range(1, 64 * 64 * 20 + 1))
    back = np.zeros(len(mapping), np.uint64)
    back[list(mapping.values())] = list(mapping)
    np.testing.assert_array_equal(back[np.asarray(image)], data)


def test_renumber_of_exactly_65535_labels_stays_16_bits(tmp_path):
    from cloudvolume_fast import CloudVolume

    data = (np.arange(65536, dtype=np.uint32) + 9).reshape(64, 64, 16, 1)
    data[0, 0, 0, 0] = 0
    vol = CloudVolume.from_numpy(
        data, f"file://{tmp_path}/a/b", chunk_size=(32, 32, 4), progress=False
    )
    image, mapping = vol.download(vol.bounds, renumber=True)
    assert (image.dtype, len(mapping)) == (np.uint16, 65536)


def test_renumber_of_a_single_voxel_has_the_background(labels):
    image, mapping = labels.open().download(Bbox((12, -18, 31), (13, -17, 32)), renumber=True)
    label = int(labels.data[2, 2, 1, 0])
    assert image.dtype == np.uint16
    assert mapping == ({0: 0, label: 1} if label else {0: 0})


def test_renumber_leaves_the_stored_labels(labels):
    vol = labels.open()
    vol.download(BOX, renumber=True)
    np.testing.assert_array_equal(vol[:], labels.data)


def test_renumber_wholly_outside_is_background(labels):
    image, mapping = labels.open(bounded=False).download(
        Bbox((500, 0, 0), (502, 2, 2)), renumber=True
    )
    assert (image.shape, mapping) == ((2, 2, 2, 1), {0: 0})


def test_renumber_of_segids_numbers_only_those(labels):
    image, mapping = labels.open().download(BOX, renumber=True, segids=[3, 5])
    assert sorted(mapping) == [0, 3, 5]
    cut = labels.data[CUT]
    np.testing.assert_array_equal(
        image, np.where(cut == 3, mapping[3], np.where(cut == 5, mapping[5], 0))
    )


def test_renumber_of_channels(make_layer):
    layer = make_layer(dtype="uint16", channels=2, high=30)
    image, mapping = layer.open().download(BOX, renumber=True)
    assert_renumbered(image, mapping, layer.data[CUT])


def test_renumber_of_signed_labels(make_layer):
    data = np.random.default_rng(4).integers(-5, 5, (20, 18, 9, 1)).astype(np.int16)
    layer = make_layer(dtype="int16", data=data)
    image, mapping = layer.open().download(BOX, renumber=True)
    assert min(mapping) == -5
    assert_renumbered(image, mapping, data[CUT])


@pytest.mark.parametrize("options", [{"parallel": 2}, {"parallel": 3}])
def test_renumber_in_parallel_raises(labels, options):
    with pytest.raises(ValueError, match="renumber"):
        labels.open().download(BOX, renumber=True, **options)


def test_renumber_of_floats_raises(make_layer):
    with pytest.raises(ValueError, match="integers"):
        make_layer(dtype="float32").open().download(BOX, renumber=True)


# Other options.


@pytest.mark.parametrize("parallel", [1, 2, True, False])
def test_parallel_reads_the_same(layer, parallel):
    np.testing.assert_array_equal(layer.open().download(BOX, parallel=parallel), layer.data[CUT])


def test_parallel_respects_label_and_background(labels):
    vol = labels.open(parallel=2, bounded=False, background_color=7)
    image = vol.download(Bbox((8, -20, 30), (30, -2, 39)), label=7)
    assert image[:2].all()
    np.testing.assert_array_equal(image[2:], labels.data == 7)


@pytest.mark.parametrize("options", [{"agglomerate": True}, {"timestamp": 1}, {"stop_layer": 2}])
def test_labels_are_their_own_roots(layer, options):
    vol = layer.open()
    np.testing.assert_array_equal(vol.download(BOX, **options), vol.download(BOX))
    assert vol.unique(BOX, **options) == vol.unique(BOX)
    assert vol.download_files(BOX, **options) == vol.download_files(BOX)


def test_single_voxel_of_several_channels(make_layer):
    layer = make_layer(channels=3)
    image = layer.open().download(Bbox((12, -18, 31), (13, -17, 32)))
    np.testing.assert_array_equal(image, layer.data[2:3, 2:3, 1:2])


# The image source.


def test_image_download_is_a_cutout(layer):
    vol = layer.open()
    image = vol.image.download(BOX, 0)
    assert (type(image), image.bounds, image.layer) == (VolumeCutout, BOX, vol.layer)
    np.testing.assert_array_equal(image, layer.data[CUT])


def test_image_download_with_label_and_order(labels):
    image = labels.open().image.download(BOX, 0, label=3, order="C")
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, labels.data[CUT] == 3)


def test_image_download_renumbered(labels):
    image, mapping = labels.open().image.download(BOX, 0, renumber=True)
    assert_renumbered(image, mapping, labels.data[CUT])
