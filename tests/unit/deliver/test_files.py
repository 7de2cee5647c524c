# SPDX-License-Identifier: BSD-3-Clause
"""Chunk files as bytes, and images in files of plain voxels."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest
import support

from cloudvolume_fast import Bbox, CloudVolume, sharedmemory
from cloudvolume_fast.errors import (
    AlignmentError,
    ChunkWriteError,
    DecompressionError,
    EmptyVolumeException,
    InvalidArgumentError,
    OutOfBoundsError,
    SharedMemoryReadError,
    UnsupportedOptionError,
)
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.model.layer_path import parse_layer_path

BOX = Bbox((3, 4, 2), (13, 8, 9))
NAMES = [f"{support.KEY}/{x}-{x + 8}_0-8_{z}-{z + 8}" for z in (0, 8) for x in (0, 8)]


@pytest.mark.parametrize("suffix", support.COMPRESS_NAMES)
def test_download_files_undoes_compression(tmp_path, suffix):
    path, voxels = support.write_layer(tmp_path, compress=support.COMPRESS_NAMES[suffix])
    vol = CloudVolume(path)
    files = vol.download_files(BOX)
    assert list(files) == NAMES
    assert files[NAMES[0]] == voxels[:8, :8, :8].tobytes("F")
    stored = vol.download_files(BOX, decompress=False)
    assert list(stored) == [name + suffix for name in NAMES]
    for name, content in stored.items():
        assert content == (tmp_path / name).read_bytes()


def test_download_files_of_a_mip_and_of_other_coordinates(tmp_path):
    path, _ = support.write_layer(tmp_path)
    vol = CloudVolume(path)
    files = vol.download_files(
        Bbox((24, 32, 2), (104, 64, 72)), mip=0, coord_resolution=(0.5, 0.5, 5)
    )
    assert files == vol.image.download_files(BOX, 0)


def test_download_files_shows_absent_chunks(tmp_path):
    path, _ = support.write_layer(tmp_path)
    (tmp_path / f"{NAMES[1]}.gz").unlink()
    files = CloudVolume(path).download_files(BOX)
    assert list(files) == NAMES
    assert [content is None for content in files.values()] == [False, True, False, False]


def test_download_files_rejects(tmp_path):
    path, _ = support.write_layer(tmp_path)
    vol = CloudVolume(path)
    assert vol.download_files(BOX, cache_only=True) == {}
    with pytest.raises(OutOfBoundsError):
        vol.download_files(Bbox((0, 0, 0), (17, 1, 1)))
    with pytest.raises(UnsupportedOptionError, match="segids"):
        vol.download_files(BOX, segids=[1])
    (tmp_path / f"{NAMES[1]}.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DecompressionError, match=NAMES[1]):
        vol.download_files(BOX)
    assert vol.download_files(BOX, decompress=False)[f"{NAMES[1]}.gz"] == b"\x1f\x8b"


@pytest.mark.parametrize("channels", [1, 3])
def test_download_to_file(tmp_path, channels):
    path, voxels = support.write_layer(tmp_path / "layer", num_channels=channels)
    file = tmp_path / "voxels"
    image = CloudVolume(path).download_to_file(file, BOX)
    expected = voxels[BOX.to_slices()]
    assert file.read_bytes() == expected.tobytes("F")
    np.testing.assert_array_equal(image, expected)
    assert image.bounds == BOX
    assert image.flags.f_contiguous
    image[0, 0, 0, 0] += 1
    image.base.flush()
    assert file.read_bytes()[:4] == (expected[0, 0, 0, :1] + 1).tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "voxels"]
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_download_to_file_of_the_image_source_in_c_order(tmp_path):
    path, voxels = support.write_layer(tmp_path / "layer")
    image = CloudVolume(path).image.download(
        BOX, 0, location=str(tmp_path / "f"), use_file=True, order="C"
    )
    assert (tmp_path / "f").read_bytes() == voxels[BOX.to_slices()].tobytes("C")
    np.testing.assert_array_equal(image, voxels[BOX.to_slices()])


def test_failed_download_leaves_the_old_file(tmp_path):
    path, _ = support.write_layer(tmp_path / "layer")
    (tmp_path / "layer" / f"{NAMES[2]}.gz").unlink()
    file = tmp_path / "voxels"
    file.write_bytes(b"old")
    vol = CloudVolume(path)
    with pytest.raises(EmptyVolumeException):
        vol.download_to_file(file, BOX)
    assert file.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "voxels"]
    with pytest.raises(ChunkWriteError, match="nowhere"):
        vol.download_to_file(tmp_path / "nowhere" / "f", BOX)


def test_file_that_does_not_fit_the_disk_is_an_error(tmp_path):
    path, _ = support.write_layer(tmp_path / "layer")
    full = tmp_path / "full"
    full.mkdir()
    prefix = support.mount_prefix(f"mount -t tmpfs -o size=8k none {full}")
    script = """
import json, os, sys
from cloudvolume_fast import CloudVolume
try:
    vol = CloudVolume(sys.argv[1])
    vol.download_to_file(sys.argv[2] + "/f", vol.bounds)
except OSError as error:
    print(json.dumps([type(error).__name__, str(error), os.listdir(sys.argv[2])]))
"""
    name, message, left = support.run_python(script, path, full, prefix=prefix)
    assert name == "ChunkWriteError"
    assert "No space left" in message
    assert left == []


@pytest.mark.parametrize("order", ["F", "C"])
def test_upload_from_file(tmp_path, order):
    path = support.make_layer(tmp_path / "layer")
    voxels = support.make_voxels((16, 16, 8))
    file = tmp_path / "voxels"
    file.write_bytes(voxels.tobytes(order))
    vol = CloudVolume(path, fill_missing=True)
    vol.upload_from_file(file, Bbox((0, 0, 8), (16, 16, 16)), order=order)
    np.testing.assert_array_equal(vol[:, :, 8:], voxels)
    assert not vol[:, :, :8].any()


def test_upload_a_part_of_a_file(tmp_path):
    path = support.make_layer(tmp_path / "layer")
    voxels = support.make_voxels((16, 16, 8))
    file = tmp_path / "voxels"
    file.write_bytes(voxels.tobytes("F"))
    vol = CloudVolume(path, fill_missing=True)
    vol.upload_from_file(str(file), np.s_[0:16, 0:16, 8:16], cutout_bbox=np.s_[8:16, 0:8, 8:16])
    expected = np.zeros((16, 16, 16, 1), np.uint32)
    expected[8:16, 0:8, 8:16] = voxels[8:16, 0:8]
    np.testing.assert_array_equal(vol[:], expected)


def test_upload_from_file_rejects(tmp_path):
    vol = CloudVolume(support.make_layer(tmp_path / "layer"))
    file = tmp_path / "voxels"
    box = Bbox((0, 0, 8), (16, 16, 16))
    with pytest.raises(SharedMemoryReadError, match="voxels"):
        vol.upload_from_file(file, box)
    file.write_bytes(bytes(16 * 16 * 8 * 4 + 1))
    with pytest.raises(SharedMemoryReadError, match="expected 8192 bytes"):
        vol.upload_from_file(file, box)
    file.write_bytes(bytes(16 * 16 * 8 * 4))
    with pytest.raises(AlignmentError, match="cutout_bbox"):
        vol.upload_from_file(file, box, cutout_bbox=Bbox((0, 0, 0), (16, 16, 16)))


@pytest.mark.parametrize("is_sharded", [False, True])
def test_memory_cutout_has_the_chunks_of_a_box(tmp_path, is_sharded):
    path, voxels = support.write_layer(tmp_path / "layer", encoding="compressed_segmentation")
    vol = CloudVolume(path)
    if is_sharded:
        vol = vol.transfer_to(f"file://{tmp_path}/shards", vol.bounds, sharded=True)
    copy = vol.memory_cutout(Bbox((1, 1, 9), (3, 3, 12)), encoding="raw", compress=False)
    assert isinstance(copy, CloudVolume)
    assert copy.cloudpath.startswith("mem://")
    assert copy.encoding == "raw"
    assert copy.bounds == vol.bounds
    np.testing.assert_array_equal(copy[0:8, 0:8, 8:16], voxels[0:8, 0:8, 8:16])
    assert sum(copy.exists(copy.bounds).values()) == 1


def test_memory_cutout_of_another_mip(make_layer):
    layer = make_layer(max_mip=1)
    vol = layer.open()
    half = CloudVolume(vol.cloudpath, mip=1)
    half[:] = np.random.default_rng(0).integers(0, 9, half.shape).astype(np.uint8)
    copy = vol.memory_cutout(half.bounds, mip=1)
    assert copy.mip == 1
    np.testing.assert_array_equal(copy[:], half[:])


def test_memory_cutout_of_a_box_beyond_the_volume(tmp_path):
    vol = CloudVolume(support.write_layer(tmp_path / "layer")[0])
    box = Bbox(vol.bounds.maxpt - 1, vol.bounds.maxpt + 5)
    with pytest.raises(OutOfBoundsError):
        vol.memory_cutout(box)
    vol.bounded = False
    copy = vol.memory_cutout(box)
    assert sum(copy.exists(copy.bounds).values()) == 1


def test_memory_cutout_lives_as_long_as_what_reaches_it(tmp_path):
    copy = CloudVolume(support.write_layer(tmp_path / "layer")[0]).memory_cutout(BOX)
    store = open_store(parse_layer_path(copy.cloudpath))
    image = copy.image
    del copy
    gc.collect()
    assert len(list(store.list())) > 2
    del image
    gc.collect()
    assert list(store.list()) == []


@pytest.mark.parametrize("order", ["c", "K", "", None])
def test_unknown_memory_order_is_refused(tmp_path, order):
    path, voxels = support.write_layer(tmp_path / "layer")
    vol = CloudVolume(path)
    name = f"cvfast-test-order-{os.getpid()}"
    file = tmp_path / "voxels"
    file.write_bytes(voxels.tobytes("C"))
    sharedmemory.ndarray(voxels.shape, voxels.dtype, name)[1][...] = voxels
    box = vol.bounds
    new = tmp_path / "new"
    try:
        for call in (
            lambda: vol.upload_from_file(file, box, order=order),
            lambda: vol.upload_from_shared_memory(name, box, order=order),
            lambda: vol.image.download(box, 0, order=order),
            lambda: vol.image.download(box, 0, use_shared_memory=True, order=order),
            lambda: vol.image.download(box, 0, use_file=True, location=new, order=order),
            lambda: sharedmemory.ndarray((1,), np.uint8, name + "-new", order=order),
            lambda: sharedmemory.ndarray_fs((1,), np.uint8, new, None, order=order),
        ):
            with pytest.raises(InvalidArgumentError, match="order: expected F or C"):
                call()
        assert np.array_equal(vol[:], voxels)
        assert not new.exists()
    finally:
        assert sharedmemory.unlink(name)
        assert not sharedmemory.unlink(name + "-new")
