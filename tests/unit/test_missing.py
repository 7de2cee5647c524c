# SPDX-License-Identifier: BSD-3-Clause
"""Chunks that are absent, empty, or neither and unreadable."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from cloudvolume_fast import Bbox
from cloudvolume_fast.errors import (
    ChunkDecodeError,
    DecompressionError,
    EmptyVolumeException,
)

FIRST = np.s_[10:18, -20:-12, 30:34]
SECOND = np.s_[18:26, -20:-12, 30:34]


@pytest.fixture
def layer(make_layer):
    """A layer that has its first chunk only."""
    layer = make_layer(data=False)
    data = np.random.default_rng(1).integers(1, 200, (8, 8, 4, 1)).astype(np.uint8)
    layer.open()[FIRST] = data
    layer.data = data
    return layer


def chunk_path(layer):
    return layer.folder / "4_4_40" / "10-18_-20--12_30-34"


def test_absent_chunk_raises_and_is_named(layer):
    with pytest.raises(EmptyVolumeException, match=r"18-26_-20--12_30-34.*fill_missing"):
        layer.open()[SECOND]


def test_stored_chunk_reads(layer):
    np.testing.assert_array_equal(layer.open()[FIRST], layer.data)


@pytest.mark.parametrize("background", [0, 9, 255])
def test_fill_missing_reads_background(layer, background):
    vol = layer.open(fill_missing=True, background_color=background)
    expected = np.full(vol.shape, background, np.uint8)
    expected[:8, :8, :4] = layer.data
    np.testing.assert_array_equal(vol[:], expected)


def test_fill_missing_can_be_set_later(layer):
    vol = layer.open()
    vol.fill_missing = True
    assert not vol[SECOND].any()


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_empty_file_is_an_absent_chunk(make_layer, encoding):
    layer = make_layer(dtype="uint32", encoding=encoding, compress=False)
    chunk_path(layer).write_bytes(b"")
    with pytest.raises(EmptyVolumeException):
        layer.open()[FIRST]
    assert not layer.open(fill_missing=True)[FIRST].any()


@pytest.mark.parametrize("fill_missing", [True, False])
def test_empty_compressed_file_is_corrupt(layer, fill_missing):
    chunk_path(layer).with_name(chunk_path(layer).name + ".gz").write_bytes(b"")
    with pytest.raises(DecompressionError, match="10-18_-20--12_30-34"):
        layer.open(fill_missing=fill_missing)[FIRST]


def test_floats_may_be_filled_with_nan(make_layer):
    layer = make_layer(dtype="float32", data=False)
    assert np.isnan(layer.open(fill_missing=True, background_color=np.nan)[FIRST]).all()


def test_background_that_the_type_cannot_hold_raises(layer):
    with pytest.raises(ValueError, match="background_color"):
        layer.open(fill_missing=True, background_color=256)[SECOND]


@pytest.mark.parametrize("fill_missing", [True, False])
def test_corrupt_gzip_is_never_filled(layer, fill_missing):
    chunk_path(layer).with_name(chunk_path(layer).name + ".gz").write_bytes(b"\x1f\x8b nonsense")
    with pytest.raises(DecompressionError, match="10-18_-20--12_30-34"):
        layer.open(fill_missing=fill_missing)[FIRST]


@pytest.mark.parametrize("fill_missing", [True, False])
@pytest.mark.parametrize("length", [1, 255, 257])
def test_raw_chunk_of_another_length_is_never_filled(layer, fill_missing, length):
    path = chunk_path(layer)
    path.with_name(path.name + ".gz").unlink()
    path.write_bytes(bytes(length))
    with pytest.raises(ValueError, match="10-18_-20--12_30-34") as error:
        layer.open(fill_missing=fill_missing)[FIRST]
    assert isinstance(error.value, ChunkDecodeError)


@pytest.mark.parametrize("fill_missing", [True, False])
def test_gzip_of_more_than_a_chunk_is_never_filled(layer, fill_missing):
    path = chunk_path(layer)
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(bytes(257)))
    with pytest.raises(ChunkDecodeError, match="10-18_-20--12_30-34"):
        layer.open(fill_missing=fill_missing)[FIRST]


def test_single_absent_voxel_raises(layer):
    with pytest.raises(EmptyVolumeException):
        layer.open()[25, -15, 31]


def test_absent_point_of_a_list_raises(layer):
    with pytest.raises(EmptyVolumeException):
        layer.open()[[10, 25], [-15, -15], [31, 31]]


def test_absent_points_are_filled(layer):
    vol = layer.open(fill_missing=True, background_color=9)
    assert vol[[25, 10], [-15, -20], [31, 30]].tolist() == [9, layer.data[0, 0, 0, 0]]


def test_absent_scattered_point_raises(layer):
    with pytest.raises(EmptyVolumeException):
        layer.open().scattered_points([(25, -15, 31)])


def test_absent_scattered_points_are_filled(layer):
    assert layer.open(fill_missing=True).scattered_points([(25, -15, 31)]) == {(25, -15, 31): 0}


def test_unique_of_absent_chunks_raises(layer):
    with pytest.raises(EmptyVolumeException):
        layer.open().unique(Bbox((10, -20, 30), (30, -2, 39)))


def test_unique_counts_the_fill(layer):
    vol = layer.open(fill_missing=True, background_color=250)
    assert vol.unique(vol.bounds) == {*np.unique(layer.data).tolist(), 250}


def test_label_finds_the_fill(layer):
    vol = layer.open(fill_missing=True, background_color=250)
    assert vol.download(np.s_[18:26, -20:-12, 30:34], label=250).all()


def test_several_copies_of_a_chunk_read_as_the_newest(layer):
    import os

    path = chunk_path(layer)
    path.write_bytes(bytes([7]) * 256)
    compressed = path.with_name(path.name + ".gz")
    now = compressed.stat().st_mtime_ns
    os.utime(path, ns=(now + 10**9, now + 10**9))
    assert (layer.open()[FIRST] == 7).all()
    os.utime(path, ns=(now - 10**9, now - 10**9))
    np.testing.assert_array_equal(layer.open()[FIRST], layer.data)
