# SPDX-License-Identifier: BSD-3-Clause
"""A layer whose info is not what it should be is refused when it is opened, or costs nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import (
    CloudVolumeError,
    EncodingError,
    InfoUnavailableError,
    InfoValidationError,
    UnsupportedEncodingError,
)


def write_info(folder: Path, change: dict[str, Any], scale: dict[str, Any] | None = None) -> str:
    info = support.make_info()
    info.update(change)
    if scale is not None:
        info["scales"][0].update(scale)
    (folder / "info").write_text(json.dumps(info))
    return f"file://{folder}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"3",
        b'"info"',
        b"\xff\xfe\x00",
        b"<html></html>",
        b"[" * 100_000,
        b'{"scales": ' + b"9" * 10_000 + b"}",
    ],
    ids=["empty", "cut", "list", "null", "number", "string", "binary", "html", "deep", "digits"],
)
def test_info_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "info").write_bytes(content)
    with pytest.raises(InfoValidationError, match="info: expected"):
        CloudVolume(f"file://{tmp_path}")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("data_type", None),
        ("data_type", 3),
        ("data_type", "uint12"),
        ("data_type", "object"),
        ("data_type", "S5"),
        ("data_type", "u4,u4"),
        ("data_type", "(2,3)u4"),
        ("data_type", "complex256"),
        ("num_channels", None),
        ("num_channels", 0),
        ("num_channels", -1),
        ("num_channels", 1.5),
        ("num_channels", True),
        ("num_channels", "1"),
        ("num_channels", 2**63),
        ("scales", None),
        ("scales", []),
        ("scales", {}),
        ("scales", [None]),
        ("scales", ["4_4_40"]),
        ("type", 7),
        ("mesh", ["mesh"]),
    ],
)
def test_wrong_member_of_info_is_named(tmp_path: Path, member: str, value: object) -> None:
    path = write_info(tmp_path, {member: value})
    with pytest.raises(InfoValidationError, match=member) as caught:
        CloudVolume(path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("key", None),
        ("key", 4),
        ("key", "/etc"),
        ("key", "file:///etc"),
        ("key", "a\0b"),
        ("key", "\ud800"),
        ("encoding", None),
        ("encoding", ""),
        ("encoding", 1),
        ("size", None),
        ("size", "16"),
        ("size", [16, 16]),
        ("size", [16, 16, 16, 1]),
        ("size", [16, 16, 0]),
        ("size", [16, 16, -1]),
        ("size", [16, 16, 1.5]),
        ("size", [16, 16, "16"]),
        ("size", [16, 16, None]),
        ("size", [16, 16, True]),
        ("size", [2**63, 1, 1]),
        ("size", [1e300, 1, 1]),
        ("voxel_offset", [0, 0]),
        ("voxel_offset", 0),
        ("voxel_offset", [2**63 - 1, 0, 0]),
        ("voxel_offset", [-(2**63) - 1, 0, 0]),
        ("chunk_sizes", None),
        ("chunk_sizes", []),
        ("chunk_sizes", [8, 8, 8]),
        ("chunk_sizes", [[8, 8]]),
        ("chunk_sizes", [[8, 8, 0]]),
        ("chunk_sizes", [[8, 8, -8]]),
        ("resolution", None),
        ("resolution", [4, 4, 0]),
        ("resolution", [4, 4, -40]),
        ("resolution", [4, 4, "40"]),
        ("sharding", "yes"),
        ("compressed_segmentation_block_size", [0, 4, 4]),
    ],
)
def test_wrong_member_of_a_scale_is_named(tmp_path: Path, member: str, value: object) -> None:
    path = write_info(tmp_path, {}, {member: value})
    with pytest.raises(InfoValidationError, match=member) as caught:
        CloudVolume(path)
    assert "scales[0]" in str(caught.value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("member", ["size", "voxel_offset", "resolution", "chunk_sizes"])
def test_number_that_is_not_finite_is_refused(tmp_path: Path, member: str, value: str) -> None:
    info = support.make_info()
    info["scales"][0][member] = [["@"] * 3] if member == "chunk_sizes" else ["@"] * 3
    (tmp_path / "info").write_text(json.dumps(info).replace('"@"', value))
    with pytest.raises(InfoValidationError, match=member):
        CloudVolume(f"file://{tmp_path}")


@pytest.mark.parametrize("member", ["key", "encoding", "size", "chunk_sizes", "resolution"])
def test_missing_member_of_a_scale_is_named(tmp_path: Path, member: str) -> None:
    info = support.make_info()
    del info["scales"][0][member]
    (tmp_path / "info").write_text(json.dumps(info))
    with pytest.raises(
        InfoValidationError, match=rf"scales\[0\].{member}: expected .*, found nothing"
    ):
        CloudVolume(f"file://{tmp_path}")


def test_missing_voxel_offset_is_zero(tmp_path: Path) -> None:
    info = support.make_info()
    del info["scales"][0]["voxel_offset"]
    (tmp_path / "info").write_text(json.dumps(info))
    assert CloudVolume(f"file://{tmp_path}").voxel_offset.tolist() == [0, 0, 0]


def test_unknown_encoding_is_refused_on_use_only(tmp_path: Path) -> None:
    path = write_info(tmp_path, {}, {"encoding": "wavelet"})
    vol = CloudVolume(path, fill_missing=True)
    assert vol.encoding == "wavelet"
    with pytest.raises(UnsupportedEncodingError, match=r"4_4_40.*wavelet"):
        vol[0, 0, 0]
    with pytest.raises(NotImplementedError):
        vol[:] = np.zeros((16, 16, 16, 1), np.uint32)
    assert support.files_in(tmp_path) == ["info"]


def test_compressed_segmentation_of_another_type_is_refused(tmp_path: Path) -> None:
    block = {"encoding": "compressed_segmentation", "compressed_segmentation_block_size": [8, 8, 8]}
    path = write_info(tmp_path, {"data_type": "uint8"}, block)
    with pytest.raises(EncodingError, match="uint32 or uint64, found uint8"):
        CloudVolume(path, fill_missing=True)[0, 0, 0]


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        ((2**60, 4, 1), (64, 64, 64)),
        ((2**60, 2**60, 2**60), (64, 64, 64)),
        ((2**62, 2**62, 2**62), (1, 1, 1)),
        ((2**60, 2**60, 2**60), (2**20, 2**20, 2**20)),
    ],
)
def test_tiny_cutout_of_an_absurdly_large_volume(
    tmp_path: Path, size: tuple[int, ...], chunk: tuple[int, ...]
) -> None:
    path = write_info(tmp_path, {}, {"size": size, "chunk_sizes": [chunk]})
    vol = CloudVolume(path, fill_missing=True, background_color=7)
    last = size[0] - 1
    assert (vol[last - 1 : last + 1, 0:2, 0:1] == 7).all()
    assert vol.scattered_points([[last, 3, 0]]) == {(last, 3, 0): 7}
    assert vol.unique(np.s_[last - 1 : last + 1, 0:2, 0:1]) == {7}


@pytest.mark.parametrize("size", [(2**40, 2**10, 1), (2**60, 4, 1), (2**62, 2**62, 2**62)])
def test_all_of_an_absurdly_large_volume_is_a_memory_error_with_numbers(
    tmp_path: Path, size: tuple[int, ...]
) -> None:
    path = write_info(tmp_path, {}, {"size": size})
    vol = CloudVolume(path, fill_missing=True)
    needed = 4 * size[0] * size[1] * size[2]
    with pytest.raises(MemoryError, match=f"{needed} bytes.*{size[0]}"):
        vol[:]


def test_names_of_all_chunks_of_an_absurdly_large_volume_are_a_memory_error(tmp_path: Path) -> None:
    path = write_info(tmp_path, {}, {"size": [2**62, 2**62, 2**62]})
    vol = CloudVolume(path)
    with pytest.raises(MemoryError):
        vol.exists(vol.bounds)


def test_chunk_present_in_a_volume_of_absurd_chunks_is_refused(tmp_path: Path) -> None:
    shape = [2**20, 2**20, 2**20]
    path = write_info(tmp_path, {}, {"size": shape, "chunk_sizes": [shape]})
    (tmp_path / support.KEY).mkdir()
    (tmp_path / support.KEY / f"0-{2**20}_0-{2**20}_0-{2**20}").write_bytes(b"\0" * 64)
    with pytest.raises(CloudVolumeError, match=r"expected .*, found 64"):
        CloudVolume(path)[0, 0, 0]


def test_many_channels_are_refused_when_a_chunk_is_read(tmp_path: Path) -> None:
    path = write_info(tmp_path, {"num_channels": 2**60})
    (tmp_path / support.KEY).mkdir()
    (tmp_path / support.KEY / "0-8_0-8_0-8").write_bytes(b"\0" * 2048)
    vol = CloudVolume(path)
    with pytest.raises(MemoryError, match="bytes"):
        vol[0, 0, 0]
    with pytest.raises(CloudVolumeError, match="found 2048"):
        vol[0, 0, 0, 0]


def test_missing_layer_is_info_unavailable(tmp_path: Path) -> None:
    with pytest.raises(
        InfoUnavailableError, match="absent/info: expected an info file, found none"
    ):
        CloudVolume(f"file://{tmp_path}/absent")
    assert support.files_in(tmp_path) == []


@pytest.mark.parametrize("kind", ["directory", "fifo", "dangling", "loop"])
def test_info_that_is_no_file_is_an_error(tmp_path: Path, kind: str) -> None:
    info = tmp_path / "info"
    if kind == "directory":
        info.mkdir()
    elif kind == "fifo":
        os.mkfifo(info)
    else:
        info.symlink_to("info" if kind == "loop" else "nowhere")
    with pytest.raises(CloudVolumeError, match="info"):
        CloudVolume(f"file://{tmp_path}")


def test_layer_path_through_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CloudVolumeError, match="file/layer"):
        CloudVolume(f"file://{tmp_path}/file/layer")


def test_path_with_bytes_that_are_no_text_is_as_good_as_any(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    path, voxels = support.write_layer(folder)
    assert (CloudVolume(path)[:] == voxels).all()
