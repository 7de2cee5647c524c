# SPDX-License-Identifier: BSD-3-Clause
"""Small boxes of gzip'd chunks, which are inflated no further than they need."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import support

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.errors import ChunkDecodeError, DecompressionError
from cloudvolume_fast.model.sharding import ShardingSpecification

SIZE = (40, 36, 32)
KINDS = {
    "raw": {"encoding": "raw", "data_type": "uint16"},
    "raw, 2 channels": {"encoding": "raw", "data_type": "uint8", "num_channels": 2},
    "segmentation": {"encoding": "compressed_segmentation", "data_type": "uint64"},
    "segmentation, uint32": {"encoding": "compressed_segmentation", "data_type": "uint32"},
    "segmentation, 2 channels": {
        "encoding": "compressed_segmentation",
        "data_type": "uint64",
        "num_channels": 2,
    },
}


def noisy(shape, data_type):
    """Labels that leave something to be inflated."""
    rng = np.random.default_rng(3)
    return np.asfortranarray(rng.integers(0, 9, shape).astype(data_type))


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def layer(request, tmp_path):
    """(path, voxels) of one gzip'd chunk."""
    path = support.make_layer(tmp_path, size=SIZE, chunk_size=SIZE, **request.param)
    vol = CloudVolume(path, compress="gzip")
    voxels = noisy(vol.shape, vol.data_type)
    vol[:] = voxels
    return path, voxels


def chunk_file(path):
    (file,) = support.Path(path.removeprefix("file://"), support.KEY).glob("*.gz")
    return file


def small_boxes(count=120):
    rng = np.random.default_rng(1)
    for _ in range(count):
        low = rng.integers(0, SIZE)
        yield low, np.minimum(low + rng.integers(1, 14, 3), SIZE)


def test_boxes_of_every_size_and_place(layer):
    path, voxels = layer
    vol = CloudVolume(path)
    for low, high in small_boxes():
        at = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        np.testing.assert_array_equal(vol[at], voxels[at])
        label = int(voxels[at].flat[0])
        np.testing.assert_array_equal(
            vol.download(Bbox(low, high), label=label), voxels[at] == label
        )


def test_what_lies_behind_is_not_looked_at(layer):
    path, voxels = layer
    file = chunk_file(path)
    stored = bytearray(file.read_bytes())
    at = len(stored) - len(stored) // 8
    stored[at : at + 40] = bytes(40)
    file.write_bytes(stored)
    vol = CloudVolume(path)
    boxes = [np.s_[:], np.s_[39, 35, 31], np.s_[0:30, 0:30, 0:32]]
    small = np.s_[3:5, 2:9, 1:2, 0:1]
    if vol.encoding == "compressed_segmentation" and vol.num_channels > 1:
        boxes.append(small)  # several channels are read as a whole
    else:
        np.testing.assert_array_equal(vol[small], voxels[small])
    for box in boxes:
        with pytest.raises((DecompressionError, ChunkDecodeError)):
            vol[box]


def test_damage_on_the_way_is_an_error(layer):
    path, _ = layer
    file = chunk_file(path)
    stored = bytearray(file.read_bytes())
    for at in (3, 12, 40, 200):
        damaged = stored.copy()
        damaged[at : at + 30] = b"\xff" * 30
        file.write_bytes(damaged)
        with pytest.raises((DecompressionError, ChunkDecodeError)):
            CloudVolume(path)[20, 20, 16]


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_content_of_another_size_is_an_error(tmp_path, encoding):
    path = support.make_layer(
        tmp_path, size=SIZE, chunk_size=SIZE, encoding=encoding, data_type="uint32"
    )
    vol = CloudVolume(path, compress="gzip")
    vol[:] = noisy(vol.shape, "uint32")
    file = chunk_file(path)
    plain = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(plain[: len(plain) // 3]))
    with pytest.raises((DecompressionError, ChunkDecodeError)):
        CloudVolume(path)[39, 35, 30]
    if encoding == "raw":
        for content in (plain[:-4], plain + bytes(4)):
            file.write_bytes(gzip.compress(content))
            with pytest.raises(ChunkDecodeError):
                CloudVolume(path)[0, 0, 0]


def test_several_members_and_padding_are_read_as_a_whole(layer):
    path, voxels = layer
    file = chunk_file(path)
    plain = gzip.decompress(file.read_bytes())
    third = len(plain) // 3
    members = gzip.compress(plain[:third]) + gzip.compress(plain[third:])
    for stored in (members, gzip.compress(plain) + bytes(20)):
        file.write_bytes(stored)
        vol = CloudVolume(path)
        for low, high in small_boxes(20):
            at = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            np.testing.assert_array_equal(vol[at], voxels[at])


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_single_voxels_of_shards(tmp_path, encoding):
    size = (64, 48, 32)
    info = support.make_info(
        size=size, chunk_size=(32, 24, 16), encoding=encoding, data_type="uint64"
    )
    info["scales"][0]["sharding"] = ShardingSpecification(
        "neuroglancer_uint64_sharded_v1", 0, "identity", 1, 2, "gzip", "gzip"
    ).to_dict()
    vol = CloudVolume(f"file://{tmp_path}", info=info)
    vol.commit_info()
    voxels = noisy(vol.shape, "uint64")
    vol[:] = voxels
    for x, y, z in np.random.default_rng(2).integers(0, size, (200, 3)).tolist():
        assert vol[x, y, z].item() == voxels[x, y, z, 0]
