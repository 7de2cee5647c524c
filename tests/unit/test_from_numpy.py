# SPDX-License-Identifier: BSD-3-Clause
"""``CloudVolume.from_numpy``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import DimensionError

DATA = np.random.default_rng(1).integers(0, 2, (10, 9, 8, 2))


@pytest.fixture
def path(tmp_path):
    return f"file://{tmp_path}/dataset/layer"


@pytest.mark.parametrize(
    ("dtype", "layer_type"),
    [
        ("bool", "segmentation"),
        ("uint8", "image"),
        ("int8", "image"),
        ("uint16", "segmentation"),
        ("int16", "image"),
        ("uint32", "segmentation"),
        ("int32", "image"),
        ("uint64", "segmentation"),
        ("int64", "image"),
        ("float32", "image"),
        ("float64", "image"),
    ],
)
def test_every_dtype(path, dtype, layer_type):
    vol = CloudVolume.from_numpy(DATA.astype(dtype), path, chunk_size=(4, 4, 4))
    assert (vol.data_type, vol.layer_type) == (dtype, layer_type)
    image = CloudVolume(path)[:]
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, DATA.astype(dtype))


def test_three_axes_are_one_channel(path):
    vol = CloudVolume.from_numpy(DATA[..., 0].astype(np.uint8), path)
    assert vol.shape == (10, 9, 8, 1)


def test_defaults(path):
    vol = CloudVolume.from_numpy(DATA.astype(np.uint8), path)
    assert vol.resolution.tolist() == [4, 4, 40]
    assert vol.voxel_offset.tolist() == [0, 0, 0]
    assert vol.chunk_size.tolist() == [128, 128, 64]
    assert (vol.encoding, vol.available_mips) == ("raw", range(1))


def test_geometry(path):
    data = DATA.astype(np.uint32)[..., :1]
    vol = CloudVolume.from_numpy(
        data,
        path,
        resolution=(1, 2, 3),
        voxel_offset=(-5, 6, 7),
        chunk_size=(8, 8, 8),
        layer_type="image",
        max_mip=1,
        encoding="compressed_segmentation",
        compress="br",
    )
    assert vol.bounds.to_list() == [-5, 6, 7, 5, 15, 15]
    assert (vol.layer_type, vol.encoding, vol.mip_resolution(1).tolist()) == (
        "image",
        "compressed_segmentation",
        [2, 4, 3],
    )
    np.testing.assert_array_equal(vol[:], data)
    folder = Path(path.removeprefix("file://"))
    assert {file.suffix for file in (folder / "1_2_3").iterdir()} == {".br"}
    assert not (folder / "2_4_3").exists()


def test_level_and_effort_go_to_the_info(path):
    pytest.importorskip("imagecodecs")
    data = np.zeros((16, 16, 16), np.uint8)
    vol = CloudVolume.from_numpy(data, path, encoding="jxl", encoding_level=70, encoding_effort=3)
    assert (vol.scale["jxl_quality"], vol.scale["jxl_effort"]) == (70, 3)
    assert CloudVolume(path).info == vol.info


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_a_setting_of_the_volume(path, progress):
    vol = CloudVolume.from_numpy(DATA.astype(np.uint8), path, progress=progress)
    assert vol.progress is progress


def test_provenance_names_the_method(path):
    CloudVolume.from_numpy(DATA.astype(np.uint8), path)
    (entry,) = json.loads((Path(path.removeprefix("file://")) / "provenance").read_text())[
        "processing"
    ]
    assert entry["method"] == "from_numpy"
    assert entry["date"]


def test_info_is_committed(path):
    vol = CloudVolume.from_numpy(DATA.astype(np.uint8), path)
    assert CloudVolume(path).info == vol.info


@pytest.mark.parametrize("shape", [(4,), (4, 4), (1, 2, 3, 4, 5)])
def test_other_numbers_of_axes_raise(path, shape):
    with pytest.raises(DimensionError):
        CloudVolume.from_numpy(np.zeros(shape, np.uint8), path)


@pytest.mark.parametrize("dtype", ["complex64", "S1", "datetime64[s]", object])
def test_other_types_raise(path, dtype):
    with pytest.raises(ValueError, match="arr"):
        CloudVolume.from_numpy(np.zeros((2, 2, 2), dtype), path)


def test_default_path_differs_between_calls():
    paths = []
    for value in (1, 2):
        vol = CloudVolume.from_numpy(np.full((2, 2, 2), value, np.uint8))
        paths.append((vol.cloudpath, int(vol[0, 0, 0].item())))
    for cloudpath, _ in paths:
        shutil.rmtree(cloudpath.removeprefix("file://"))
    assert paths[0][0] != paths[1][0]
    assert [value for _, value in paths] == [1, 2]


def test_big_endian_array(path):
    data = DATA.astype(">u4")
    np.testing.assert_array_equal(CloudVolume.from_numpy(data, path)[:], DATA)
