# SPDX-License-Identifier: BSD-3-Clause
"""VolumeCutout: an array that remembers where it comes from."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from PIL import Image

from cloudvolume_fast import Bbox, VolumeCutout

BOX = Bbox((12, -18, 31), (20, -8, 36))


@pytest.fixture
def layer(make_layer):
    return make_layer(channels=2, max_mip=1)


@pytest.fixture
def cutout(layer):
    return layer.open()[BOX]


def assert_origin(image, layer):
    assert (image.dataset_name, image.layer, image.cloudpath) == ("dataset", "layer0", layer.path)
    assert (image.mip, image.layer_type, image.resolution.tolist()) == (0, "image", [4, 4, 40])
    assert image.path.layer == "layer0"
    assert image.bounds == BOX


def test_attributes(cutout, layer):
    assert_origin(cutout, layer)
    assert (cutout.num_channels, cutout.handle) == (2, None)


@pytest.mark.parametrize(
    "view",
    [
        lambda c: c[2:5],
        lambda c: c[..., 0],
        lambda c: c[0],
        lambda c: c.T,
        lambda c: c.squeeze(),
        lambda c: c.copy(),
        lambda c: c.astype(np.float64),
        lambda c: c.reshape(-1),
        lambda c: c + 1,
        lambda c: c == 3,
        lambda c: -c,
        np.sqrt,
        lambda c: c[c > 100],
        lambda c: c.max(axis=2),
        copy.copy,
        copy.deepcopy,
        lambda c: pickle.loads(pickle.dumps(c)),
    ],
)
def test_what_is_made_of_it_keeps_the_origin(cutout, layer, view):
    image = view(cutout)
    assert type(image) is VolumeCutout
    assert_origin(image, layer)


def test_values_survive_pickling(cutout):
    again = pickle.loads(pickle.dumps(cutout))
    np.testing.assert_array_equal(again, cutout)
    assert again.flags.f_contiguous


def test_views_leave_the_handle(cutout):
    cutout.handle = object()
    assert cutout[1:].handle is None


def test_close_closes_the_handle_once(cutout):
    class Handle:
        closed = 0

        def close(self):
            self.closed += 1

    handle = cutout.handle = Handle()
    cutout.close()
    cutout.close()
    assert (handle.closed, cutout.handle) == (1, None)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "std", "any", "all", "prod"])
def test_reductions_are_scalars(cutout, name):
    value = getattr(cutout, name)()
    assert isinstance(value, np.generic)
    assert value == getattr(np.asarray(cutout), name)()


def test_element_is_a_scalar(cutout):
    assert isinstance(cutout[0, 0, 0, 0], np.uint8)


@pytest.mark.parametrize("function", [np.unique, np.sum, np.bincount])
def test_numpy_functions(cutout, function):
    flat = cutout.reshape(-1)
    np.testing.assert_array_equal(function(flat), function(np.asarray(flat)))


def test_operators_with_plain_arrays(cutout):
    plain = np.asarray(cutout)
    np.testing.assert_array_equal(cutout + plain, plain + plain)
    np.testing.assert_array_equal(plain * cutout, plain * plain)


def test_output_argument(cutout):
    np.add(cutout, 1, out=cutout)
    assert type(cutout) is VolumeCutout


def test_concatenation(cutout):
    np.testing.assert_array_equal(np.concatenate([cutout, cutout])[:8], cutout)


def test_it_can_be_changed(cutout):
    cutout[...] = 0
    assert not cutout.any()


def test_representation(cutout):
    assert "VolumeCutout" in repr(cutout)


def test_constructor_takes_upstreams_arguments(layer):
    vol = layer.open()
    image = VolumeCutout(
        np.zeros((8, 10, 5, 2), np.uint8),
        path=vol.meta.path,
        cloudpath=vol.cloudpath,
        resolution=vol.resolution,
        mip=0,
        layer_type=vol.layer_type,
        bounds=BOX,
        handle=None,
    )
    assert_origin(image, layer)


def test_array_without_origin():
    image = np.zeros((1, 1, 1, 1)).view(VolumeCutout)
    assert (image.layer, image.bounds, image.mip, image.dataset_name) == (None, None, None, None)


# Pictures.


def test_save_images_writes_a_picture_per_slice(make_layer, tmp_path):
    image = make_layer().open()[BOX]
    folder = image.save_images(tmp_path / "out", progress=False)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert (folder, len(names)) == (str(tmp_path / "out"), 5)
    with Image.open(tmp_path / "out" / names[2]) as picture:
        np.testing.assert_array_equal(np.asarray(picture).T, image[:, :, 2, 0])


@pytest.mark.parametrize(
    ("axis", "count", "size"), [("x", 8, (10, 5)), ("y", 10, (8, 5)), ("z", 5, (8, 10))]
)
def test_save_images_along_an_axis(make_layer, tmp_path, axis, count, size):
    make_layer().open()[BOX].save_images(tmp_path / "out", axis=axis, progress=False)
    paths = sorted((tmp_path / "out").iterdir())
    assert len(paths) == count
    with Image.open(paths[0]) as picture:
        assert picture.size == size


def test_save_images_of_channels(cutout, tmp_path):
    cutout.save_images(tmp_path / "all", progress=False)
    cutout.save_images(tmp_path / "one", channel=1, progress=False)
    assert (len(list((tmp_path / "all").iterdir())), len(list((tmp_path / "one").iterdir()))) == (
        10,
        5,
    )


@pytest.mark.parametrize("global_norm", [True, False])
def test_save_images_of_floats_are_scaled(make_layer, tmp_path, global_norm):
    make_layer(dtype="float32").open()[BOX].save_images(
        tmp_path / "out", global_norm=global_norm, progress=False
    )
    pixels = []
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as picture:
            pixels.append(np.asarray(picture))
    assert (min(p.min() for p in pixels), max(p.max() for p in pixels)) == (0, 255)


def test_save_images_of_a_mask(make_layer, tmp_path):
    mask = make_layer(dtype="uint32", high=3).open().download(BOX, label=1)
    mask.save_images(tmp_path / "out", progress=False)
    with Image.open(min((tmp_path / "out").iterdir())) as picture:
        np.testing.assert_array_equal(np.asarray(picture).T == 255, mask[:, :, 0, 0])


def test_save_images_as_jpeg(cutout, tmp_path):
    cutout.save_images(tmp_path / "out", image_format="JPEG", progress=False)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".jpeg"}


def test_save_images_has_a_default_folder(cutout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cutout.save_images(progress=False)
    assert (
        len(list((tmp_path / "saved_images/dataset/layer0/0/12-20_-18--8_31-36").iterdir())) == 10
    )


def test_save_images_along_no_axis_raises(cutout, tmp_path):
    with pytest.raises(ValueError, match="axis"):
        cutout.save_images(tmp_path, axis="t", progress=False)
