# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation from and to what the crackle package holds."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
import support

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.deliver.crackle_array import open_crackle
from cloudvolume_fast.errors import EncodingError, InvalidArgumentError, UnsupportedOptionError

crackle = pytest.importorskip("crackle")
SIZE = (40, 30, 21)


@pytest.fixture
def labels():
    return support.make_voxels(SIZE, "uint64")[..., 0] + np.uint64(1 << 40)


@pytest.mark.parametrize("form", ["bytes", "path", "url", "array"])
def test_from_crackle(tmp_path, labels, form):
    binary = crackle.compress(labels)
    file = tmp_path / "labels.ckl"
    file.write_bytes(binary)
    src = {
        "bytes": binary,
        "path": file,
        "url": f"file://{file}",
        "array": crackle.CrackleArray(binary),
    }[form]
    vol = CloudVolume.from_crackle(
        src, f"file://{tmp_path}/layer", (4, 4, 40), voxel_offset=(5, -6, 7), chunk_size=(16, 16, 8)
    )
    np.testing.assert_array_equal(vol[:][..., 0], labels)
    assert vol.bounds == Bbox((5, -6, 7), (45, 24, 28))
    assert (vol.encoding, vol.layer_type, vol.data_type) == (
        "compressed_segmentation",
        "segmentation",
        "uint64",
    )
    step = CloudVolume(vol.cloudpath).provenance.processing[0]
    assert step["method"] == "from_crackle"
    assert step.get("source") == {"path": str(file), "url": f"file://{file}"}.get(form)


def test_file_is_mapped_unless_that_is_forbidden(tmp_path, labels):
    file = tmp_path / "labels.ckl"
    file.write_bytes(crackle.compress(labels))
    assert isinstance(open_crackle(file, True).binary, mmap.mmap)
    assert isinstance(open_crackle(file, False).binary, bytes)
    for allowed in (True, False):
        path = f"file://{tmp_path}/{allowed}"
        vol = CloudVolume.from_crackle(file, path, progress=allowed, allow_mmap=allowed)
        assert np.array_equal(vol[:][..., 0], labels)
        assert vol.progress is allowed


def test_from_crackle_rejects(tmp_path, labels):
    with pytest.raises(InvalidArgumentError, match="src"):
        CloudVolume.from_crackle(3, f"file://{tmp_path}/layer")
    with pytest.raises(EncodingError, match="uint16"):
        CloudVolume.from_crackle(
            crackle.compress(labels.astype(np.uint16)), f"file://{tmp_path}/layer"
        )
    assert not (tmp_path / "layer").exists()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_download_crackle(tmp_path, dtype):
    path, voxels = support.write_layer(tmp_path, size=SIZE, data_type=dtype, voxel_offset=(1, 2, 3))
    box = Bbox((4, 5, 6), (31, 29, 23))
    array = CloudVolume(path).download(box, crackle=True)
    assert isinstance(array, crackle.CrackleArray)
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array.numpy(), voxels[3:30, 3:27, 3:20, 0])


def test_download_crackle_of_layers_in_different_forms(tmp_path):
    """Noise is stored in another form of crack codes than runs are."""
    labels = support.make_voxels(SIZE)[..., 0]
    labels[:, :, 8:16] = np.random.default_rng(0).integers(0, 2, (*SIZE[:2], 8))
    vol = CloudVolume.from_numpy(labels, f"file://{tmp_path}", chunk_size=(16, 16, 8))
    forms = {crackle.header(crackle.compress(labels[:, :, z : z + 8])).crack_format for z in (0, 8)}
    assert len(forms) == 2
    np.testing.assert_array_equal(vol.download(vol.bounds, crackle=True).numpy(), labels)


def test_download_crackle_with_segids(tmp_path):
    path, voxels = support.write_layer(tmp_path)
    keep = np.unique(voxels)[:3]
    array = CloudVolume(path).download(np.s_[0:16, 0:16, 0:16], crackle=True, segids=keep.tolist())
    np.testing.assert_array_equal(array.numpy(), np.where(np.isin(voxels, keep), voxels, 0)[..., 0])


def test_download_crackle_rejects(tmp_path):
    path, _ = support.write_layer(tmp_path / "a", num_channels=2)
    with pytest.raises(ValueError, match="one channel"):
        CloudVolume(path).download(np.s_[0:8, 0:8, 0:8], crackle=True)
    image = CloudVolume.from_numpy(np.zeros((8, 8, 8), np.uint8), f"file://{tmp_path}/b")
    with pytest.raises(ValueError, match="found image"):
        image.download(image.bounds, crackle=True)
    with pytest.raises(UnsupportedOptionError, match="renumber"):
        image.download(image.bounds, crackle=True, renumber=True)
