# SPDX-License-Identifier: BSD-3-Clause
"""Writes that cannot be done: a typed error, and every chunk as it was, with no temporary file beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.errors import (
    AlignmentError,
    ChunkWriteError,
    InvalidArgumentError,
    OutOfBoundsError,
    ReadOnlyException,
    SubvoxelVolumeError,
    UnsupportedCompressionType,
)

NAME = "0-8_0-8_0-8"


@pytest.fixture
def layer(tmp_path: Path) -> str:
    return support.make_layer(tmp_path)


def zeros(*shape: int, dtype: str = "uint32") -> np.ndarray:
    return np.zeros(shape, dtype)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in support.files_in(folder)}


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint64", "int32", "float32", "bool", "complex64", "object", "S4"]
)
def test_array_of_another_dtype_is_refused(tmp_path: Path, layer: str, dtype: str) -> None:
    with pytest.raises(
        InvalidArgumentError, match=f"{support.KEY}: expected voxels of uint32, found"
    ):
        CloudVolume(layer)[0:8, 0:8, 0:8] = zeros(8, 8, 8, 1, dtype=dtype)
    assert support.files_in(tmp_path) == ["info"]


@pytest.mark.parametrize(
    "value", [7.5, -1, 2**32, None, "7", b"7", 1j, float("nan"), np.uint64(7), np.float32(7)]
)
def test_scalar_that_is_no_voxel_is_refused(tmp_path: Path, layer: str, value: object) -> None:
    with pytest.raises(ValueError, match="uint32"):
        CloudVolume(layer)[0:8, 0:8, 0:8] = value
    assert support.files_in(tmp_path) == ["info"]


@pytest.mark.parametrize("value", [1.5, 2, np.float32(0.25)])
def test_scalar_is_written_to_a_volume_of_floats(tmp_path: Path, value: Any) -> None:
    vol = CloudVolume(support.make_layer(tmp_path, data_type="float32"))
    vol[:] = value
    assert (vol[:] == value).all()


@pytest.mark.parametrize(
    "shape",
    [
        (8, 8),
        (8, 8, 7),
        (8, 8, 8, 2),
        (8, 8, 8, 1, 1),
        (512,),
        (8, 8, 9, 1),
        (1, 1, 1, 1),
        (0, 8, 8, 1),
    ],
)
def test_array_of_another_shape_is_refused(
    tmp_path: Path, layer: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(AlignmentError, match=r"expected an array of shape \(8, 8, 8, 1\)"):
        CloudVolume(layer)[0:8, 0:8, 0:8] = zeros(*shape)
    assert support.files_in(tmp_path) == ["info"]


def test_array_of_too_few_channels_is_refused(tmp_path: Path) -> None:
    vol = CloudVolume(support.make_layer(tmp_path, num_channels=2))
    with pytest.raises(AlignmentError, match=r"\(16, 16, 16, 2\)"):
        vol[:] = zeros(16, 16, 16)
    with pytest.raises(AlignmentError, match=r"\(16, 16, 16, 2\)"):
        vol[:] = zeros(16, 16, 16, 1)


@pytest.mark.parametrize(
    "box", [(1, 0, 0, 8, 8, 8), (0, 0, 0, 7, 8, 8), (0, 0, 4, 16, 16, 12), (0, 0, 0, 1, 1, 1)]
)
def test_unaligned_write_is_refused(tmp_path: Path, layer: str, box: tuple[int, ...]) -> None:
    with pytest.raises(AlignmentError, match="expected a box aligned to chunks"):
        CloudVolume(layer)[Bbox(box[:3], box[3:])] = np.uint32(1)
    assert support.files_in(tmp_path) == ["info"]


@pytest.mark.parametrize(
    "box",
    [
        (-8, 0, 0, 8, 8, 8),
        (0, 0, 0, 8, 8, 24),
        (16, 0, 0, 24, 8, 8),
        (2**62, 0, 0, 2**62 + 8, 8, 8),
    ],
)
def test_write_out_of_bounds_is_refused(tmp_path: Path, layer: str, box: tuple[int, ...]) -> None:
    index = tuple(slice(box[i], box[i + 3]) for i in range(3))
    array = zeros(*[box[i + 3] - box[i] for i in range(3)], 1)
    with pytest.raises(OutOfBoundsError, match="outside of the volume"):
        CloudVolume(layer)[index] = array
    with pytest.raises(AlignmentError):
        CloudVolume(layer, bounded=False)[index] = array
    assert support.files_in(tmp_path) == ["info"]


@pytest.mark.parametrize(
    "index",
    [
        np.s_[-1:8],
        np.s_[0:17],
        np.s_[16:17],
        np.s_[2**70],
        np.s_[-(2**70) : 4],
        np.s_[0, 0, 2**63 - 1 : 2**63],
    ],
)
def test_read_out_of_bounds_is_refused(layer: str, index: object) -> None:
    with pytest.raises(OutOfBoundsError, match="outside of the volume's 0:16"):
        CloudVolume(layer, fill_missing=True)[index]


@pytest.mark.parametrize(
    "index", [np.s_[2**70, 0, 0], np.s_[-(2**63) - 1, 0, 0], np.s_[0, 0, 2**63 - 1 : 2**63]]
)
def test_read_beyond_what_coordinates_reach_is_out_of_bounds_of_an_unbounded_volume(
    layer: str, index: object
) -> None:
    with pytest.raises(OutOfBoundsError):
        CloudVolume(layer, fill_missing=True, bounded=False)[index]


@pytest.mark.parametrize("start", [-(2**63), -(2**40), 2**40, 2**63 - 2])
def test_read_far_outside_of_an_unbounded_volume_is_background(layer: str, start: int) -> None:
    vol = CloudVolume(layer, bounded=False, background_color=3)
    assert vol[start, 0:2, start].tolist() == [[[[3]], [[3]]]]


@pytest.mark.parametrize("index", [np.s_[8:8], np.s_[8:4], np.s_[0, 0, 3:1]])
def test_read_of_no_voxel_is_refused(layer: str, index: object) -> None:
    with pytest.raises(SubvoxelVolumeError):
        CloudVolume(layer, fill_missing=True)[index]


@pytest.mark.parametrize("compress", ["lz4", "gz", 5])
def test_unknown_compression_is_refused_when_the_layer_is_opened(
    layer: str, compress: object
) -> None:
    with pytest.raises(UnsupportedCompressionType):
        CloudVolume(layer, compress=compress)


def test_write_to_a_locked_mip_is_refused(tmp_path: Path, layer: str) -> None:
    vol = CloudVolume(layer)
    vol.meta.lock_mips(0)
    before = snapshot(tmp_path)
    with pytest.raises(ReadOnlyException, match="mip 0 is write locked"):
        vol[:] = zeros(16, 16, 16, 1)
    with pytest.raises(ReadOnlyException):
        vol.delete(vol.bounds)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("compress", support.COMPRESS_NAMES.values())
def test_chunk_name_taken_by_a_directory_is_an_error_and_leaves_no_temporary_file(
    tmp_path: Path, layer: str, compress: object
) -> None:
    for suffix in support.COMPRESS:
        (tmp_path / support.KEY / (NAME + suffix)).mkdir(parents=True)
    with pytest.raises(ChunkWriteError, match=f"{NAME}.*: rename failed: Is a directory"):
        CloudVolume(layer, compress=compress)[0:8, 0:8, 0:8] = np.uint32(1)
    assert support.files_in(tmp_path) == ["info"]


def test_scale_folder_that_is_a_file_is_an_error(tmp_path: Path, layer: str) -> None:
    (tmp_path / support.KEY).write_text("x")
    with pytest.raises(ChunkWriteError, match=support.KEY):
        CloudVolume(layer)[0:8, 0:8, 0:8] = np.uint32(1)
    assert (tmp_path / support.KEY).read_text() == "x"


def test_layer_that_cannot_have_folders_is_an_error() -> None:
    vol = CloudVolume("file:///proc/absent", info=support.make_info())
    with pytest.raises(ChunkWriteError, match="/proc/absent"):
        vol[0:8, 0:8, 0:8] = np.uint32(1)
    with pytest.raises(ChunkWriteError, match="/proc/absent/info"):
        vol.commit_info()
    with pytest.raises(ChunkWriteError, match="/proc/absent/provenance"):
        vol.commit_provenance()


WRITE_ALL = """
import json, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import ChunkWriteError
folder = sys.argv[1]
vol = CloudVolume("file://" + folder, compress=False)

def attempt(change):
    try:
        change()
        return None
    except ChunkWriteError as error:
        return [error.errno, str(error)]

def whole():
    vol[:] = np.full(vol.shape, 9, vol.dtype)

def part():
    vol.non_aligned_writes = True
    vol[1:9, 1:9, 1:9] = np.uint32(9)
"""


def test_read_only_file_system_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    _, voxels = support.write_layer(tmp_path)
    before = snapshot(tmp_path)
    found = support.run_python(
        WRITE_ALL
        + """
changes = [whole, part, lambda: vol.delete(vol.bounds), vol.commit_info, vol.commit_provenance]
print(json.dumps([[attempt(change) for change in changes], vol[:].sum().item()]))
""",
        tmp_path,
        prefix=support.mount_prefix(f"mount --bind -o ro {tmp_path} {tmp_path}"),
    )
    assert [error[0] for error in found[0]] == [30] * 5  # EROFS
    assert found[1] == voxels.sum()
    assert snapshot(tmp_path) == before


def test_full_disk_is_an_error_and_old_chunks_stay_whole(tmp_path: Path) -> None:
    support.write_layer(
        tmp_path / "source", compress=False, size=(64, 64, 64), chunk_size=(32, 32, 32)
    )
    mount = tmp_path / "small"
    mount.mkdir()
    found = support.run_python(
        WRITE_ALL
        + """
old = vol[:].copy()
filler = os.path.join(folder, "filler")
with open(filler, "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
error = attempt(whole)
info_error = attempt(vol.commit_info)
names = sorted(name for _, _, names in os.walk(folder) for name in names)
same = bool((vol[:] == old).all())
os.unlink(filler)
retried = attempt(whole)
print(json.dumps([error, info_error, names, same, retried, bool((vol[:] == 9).all())]))
""",
        mount,
        prefix=support.mount_prefix(
            f"mount -t tmpfs -o size=2500k none {mount} && cp -r {tmp_path}/source/. {mount}"
        ),
    )
    error, info_error, names, same, retried, new = found
    assert error[0] == 28  # ENOSPC
    assert f"{support.KEY}/" in error[1]
    assert info_error[0] == 28
    assert names == sorted(
        ["filler", *(Path(name).name for name in support.files_in(tmp_path / "source"))]
    )
    assert same
    assert retried is None
    assert new


def test_file_size_limit_is_an_error_and_old_chunks_stay_whole(tmp_path: Path) -> None:
    support.write_layer(tmp_path, compress=False)
    before = snapshot(tmp_path)
    found = support.run_python(
        WRITE_ALL
        + """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
print(json.dumps([attempt(whole), attempt(part)]))
""",
        tmp_path,
    )
    assert [error[0] for error in found] == [27, 27]  # EFBIG
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("value", [300, -1, 0.5, "red", float("nan"), [1, 2], {}])
def test_background_that_is_no_voxel_is_refused(tmp_path: Path, value: object) -> None:
    layer = support.make_layer(tmp_path, data_type="uint8")
    with pytest.raises(InvalidArgumentError, match="background_color: expected a value of uint8"):
        CloudVolume(layer, fill_missing=True, background_color=value)[:]


def test_write_without_permission_is_an_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere; see the read-only file system")
    layer = support.make_layer(tmp_path)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ChunkWriteError, match=support.KEY):
            CloudVolume(layer)[0:8, 0:8, 0:8] = np.uint32(1)
    finally:
        tmp_path.chmod(0o700)
