# SPDX-License-Identifier: BSD-3-Clause
"""Chunk files that are not what the info says: a typed error that names the chunk, or background where it is absent."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume
from cloudvolume_fast._core import compressed_segmentation
from cloudvolume_fast.errors import (
    ChunkDecodeError,
    ChunkReadError,
    DecompressionError,
    EmptyVolumeException,
)

ENCODINGS = ["raw", "compressed_segmentation"]
SUFFIXES = list(support.COMPRESS)
COMPRESSED = SUFFIXES[1:]
NAME = "0-8_0-8_0-8"
VOXELS = support.make_voxels((8, 8, 8))


def encoded(encoding: str) -> bytes:
    if encoding == "raw":
        return VOXELS.tobytes("F")
    return bytes(compressed_segmentation.encode(VOXELS, block_shape=(4, 4, 4)))


@pytest.fixture(params=ENCODINGS)
def encoding(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def layer(tmp_path: Path, encoding: str) -> str:
    """A layer of one chunk, whose folder exists."""
    (tmp_path / support.KEY).mkdir()
    return support.make_layer(tmp_path, encoding=encoding, size=(8, 8, 8))


def chunk_file(tmp_path: Path, suffix: str = "") -> Path:
    return tmp_path / support.KEY / (NAME + suffix)


def read_whole(vol: object) -> object:
    return vol[:]


def read_part(vol: object) -> object:
    return vol[1:7, 2:5, 3:8]


def read_point(vol: object) -> object:
    return vol.scattered_points([[7, 7, 7]])


def read_labels(vol: object) -> object:
    return vol.unique(vol.bounds)


def read_mask(vol: object) -> object:
    return vol.download(vol.bounds, label=3)


def read_for_merge(vol: object) -> object:
    vol.non_aligned_writes = True
    vol[1:3, 1:3, 1:3] = np.uint32(5)
    return None


WAYS = [read_whole, read_part, read_point, read_labels, read_mask, read_for_merge]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chunk_of_another_compressor_is_read(
    tmp_path: Path, layer: str, encoding: str, suffix: str
) -> None:
    chunk_file(tmp_path, suffix).write_bytes(support.COMPRESS[suffix](encoded(encoding)))
    assert (CloudVolume(layer)[:] == VOXELS).all()


@pytest.mark.parametrize("read", WAYS)
def test_empty_plain_chunk_is_missing(tmp_path: Path, layer: str, read: object) -> None:
    chunk_file(tmp_path).write_bytes(b"")
    with pytest.raises(
        EmptyVolumeException, match=f"{support.KEY}/{NAME}: expected a chunk, found none"
    ):
        read(CloudVolume(layer))


def test_empty_plain_chunk_is_background_where_missing_ones_are(tmp_path: Path, layer: str) -> None:
    chunk_file(tmp_path).write_bytes(b"")
    assert (CloudVolume(layer, fill_missing=True, background_color=9)[:] == 9).all()


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("suffix", COMPRESSED)
def test_empty_compressed_chunk_is_an_error_even_where_missing_ones_are_filled(
    tmp_path: Path, layer: str, suffix: str, read: object
) -> None:
    chunk_file(tmp_path, suffix).write_bytes(b"")
    with pytest.raises(
        DecompressionError, match=f"{support.KEY}/{NAME}{suffix}: cannot decompress"
    ):
        read(CloudVolume(layer, fill_missing=True))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chunk_cut_at_any_length_is_an_error(
    tmp_path: Path, layer: str, encoding: str, suffix: str
) -> None:
    stored = support.COMPRESS[suffix](encoded(encoding))
    vol = CloudVolume(layer, fill_missing=True)
    step = max(1, len(stored) // 50)
    for length in [*range(1, len(stored), step), len(stored) - 1]:
        chunk_file(tmp_path, suffix).write_bytes(stored[:length])
        with pytest.raises((DecompressionError, ChunkDecodeError), match=f"{NAME}{suffix}"):
            vol[:]


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_raw_chunk_of_another_length_names_both_lengths(
    tmp_path: Path, suffix: str, read: object
) -> None:
    (tmp_path / support.KEY).mkdir()
    vol = CloudVolume(support.make_layer(tmp_path, size=(8, 8, 8)), fill_missing=True)
    for found in (2047, 2049, 4096, 4):
        chunk_file(tmp_path, suffix).write_bytes(support.COMPRESS[suffix](b"\1" * found))
        with pytest.raises(
            (ChunkDecodeError, DecompressionError), match=f"{NAME}{suffix}.* 2048"
        ) as caught:
            read(vol)
        assert caught.value.key.endswith(NAME + suffix)


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chunk_with_longer_content_is_a_decode_error_in_every_compression(
    tmp_path: Path, suffix: str, read: object
) -> None:
    (tmp_path / support.KEY).mkdir()
    vol = CloudVolume(support.make_layer(tmp_path, size=(8, 8, 8)), fill_missing=True)
    for found in (2049, 5000, 1 << 20):
        chunk_file(tmp_path, suffix).write_bytes(support.COMPRESS[suffix](b"\1" * found))
        with pytest.raises(
            ChunkDecodeError, match=f"{support.KEY}/{NAME}{suffix}: cannot decode: .* 2048"
        ) as caught:
            read(vol)
        error = caught.value
        assert error.key.endswith(NAME + suffix)
        assert error.expected == 2048
        assert error.found > 2048


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("encoding", ["compressed_segmentation", "png", "crackle"])
def test_content_longer_than_any_chunk_of_an_encoding_is_a_decode_error(
    tmp_path: Path, encoding: str, suffix: str
) -> None:
    (tmp_path / support.KEY).mkdir()
    data_type = "uint8" if encoding == "png" else "uint32"
    path = support.make_layer(tmp_path, size=(8, 8, 8), encoding=encoding, data_type=data_type)
    chunk_file(tmp_path, suffix).write_bytes(support.COMPRESS[suffix](b"\1" * (1 << 22)))
    with pytest.raises(ChunkDecodeError, match=f"{NAME}{suffix}: cannot decode: ") as caught:
        CloudVolume(path)[:]
    assert caught.value.found > caught.value.expected > 0


def test_gzip_stream_that_was_cut_is_a_decompression_error(
    tmp_path: Path, layer: str, encoding: str
) -> None:
    stored = support.COMPRESS[".gz"](encoded(encoding))
    vol = CloudVolume(layer, fill_missing=True)
    for length in range(1, len(stored)):
        chunk_file(tmp_path, ".gz").write_bytes(stored[:length])
        with pytest.raises(DecompressionError, match=f"{NAME}.gz: cannot decompress"):
            vol[:]


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_file_that_is_longer_than_any_compressor_makes_it_is_a_decode_error(
    tmp_path: Path, suffix: str
) -> None:
    (tmp_path / support.KEY).mkdir()
    vol = CloudVolume(support.make_layer(tmp_path, size=(8, 8, 8)))
    chunk_file(tmp_path, suffix).write_bytes(bytes(1 << 20))
    with pytest.raises(ChunkDecodeError, match=f"{NAME}{suffix}: cannot decode: .*{1 << 20}"):
        vol[:]


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_garbage_under_a_compression_suffix_is_a_decompression_error(
    tmp_path: Path, layer: str, suffix: str
) -> None:
    rng = np.random.default_rng(3)
    vol = CloudVolume(layer, fill_missing=True)
    for size in (1, 2, 3, 17, 18, 1000):
        chunk_file(tmp_path, suffix).write_bytes(rng.bytes(size))
        with pytest.raises((DecompressionError, ChunkDecodeError), match=NAME):
            vol[:]


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_bytes_after_the_compressed_stream_are_an_error(
    tmp_path: Path, layer: str, encoding: str, suffix: str
) -> None:
    chunk_file(tmp_path, suffix).write_bytes(support.COMPRESS[suffix](encoded(encoding)) + b"more")
    with pytest.raises(DecompressionError, match=f"{NAME}{suffix}: cannot decompress"):
        CloudVolume(layer)[:]


@pytest.mark.parametrize("suffix", [".gz", ".zstd", ".xz", ".bz2"])
def test_plain_bytes_under_a_compression_suffix_are_an_error(
    tmp_path: Path, layer: str, encoding: str, suffix: str
) -> None:
    chunk_file(tmp_path, suffix).write_bytes(encoded(encoding))
    with pytest.raises(DecompressionError, match=f"{NAME}{suffix}: cannot decompress"):
        CloudVolume(layer)[:]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
def test_flipped_bit_in_a_checked_stream_is_never_read_as_voxels(
    tmp_path: Path, layer: str, encoding: str, suffix: str
) -> None:
    stored = bytearray(support.COMPRESS[suffix](encoded(encoding)))
    vol = CloudVolume(layer, fill_missing=True)
    for position in range(0, len(stored), max(1, len(stored) // 40)):
        stored[position] ^= 0x10
        chunk_file(tmp_path, suffix).write_bytes(stored)
        try:
            voxels = vol[:]
        except (DecompressionError, ChunkDecodeError):
            pass
        else:  # fields that say nothing about the bytes, such as gzip's time
            assert (voxels == VOXELS).all()
        stored[position] ^= 0x10


def test_compressed_segmentation_offset_beyond_the_file_names_the_offset(tmp_path: Path) -> None:
    (tmp_path / support.KEY).mkdir()
    layer = support.make_layer(tmp_path, encoding="compressed_segmentation", size=(8, 8, 8))
    chunk_file(tmp_path).write_bytes(struct.pack("<2I", 99, 0))
    with pytest.raises(
        ChunkDecodeError, match=f"{NAME}: cannot decode: .*expected 2, found 99"
    ) as caught:
        CloudVolume(layer)[:]
    assert (caught.value.offset, caught.value.expected, caught.value.found) == (0, 2, 99)


def test_file_of_absurd_length_is_refused_without_reading_it(tmp_path: Path, layer: str) -> None:
    vol = CloudVolume(layer)
    for suffix in SUFFIXES:
        with chunk_file(tmp_path, suffix).open("wb") as file:
            file.truncate(1 << 40)
        started = time.monotonic()
        with pytest.raises(
            (ChunkDecodeError, DecompressionError), match=f"{NAME}{suffix}.*{1 << 40}"
        ):
            vol[:]
        assert time.monotonic() - started < 1
        chunk_file(tmp_path, suffix).unlink()


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chunk_that_is_a_directory_is_an_error(
    tmp_path: Path, layer: str, suffix: str, read: object
) -> None:
    chunk_file(tmp_path, suffix).mkdir()
    with pytest.raises(ChunkReadError, match=f"{NAME}{suffix}: open failed: .*directory"):
        read(CloudVolume(layer, fill_missing=True))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chunk_that_is_a_fifo_is_an_error_and_no_wait(
    tmp_path: Path, layer: str, suffix: str
) -> None:
    os.mkfifo(chunk_file(tmp_path, suffix))
    with pytest.raises(ChunkReadError, match=NAME):
        CloudVolume(layer, fill_missing=True)[:]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chunk_that_is_a_dangling_link_is_an_error_and_not_missing(
    tmp_path: Path, layer: str, suffix: str
) -> None:
    chunk_file(tmp_path, suffix).symlink_to("nowhere")
    with pytest.raises(ChunkReadError, match=f"{NAME}{suffix}: open failed"):
        CloudVolume(layer, fill_missing=True)[:]


def test_chunk_that_is_a_link_to_a_chunk_is_read(tmp_path: Path, layer: str, encoding: str) -> None:
    (tmp_path / "elsewhere").write_bytes(encoded(encoding))
    chunk_file(tmp_path).symlink_to(tmp_path / "elsewhere")
    assert (CloudVolume(layer)[:] == VOXELS).all()


def test_chunk_that_links_to_itself_is_an_error(tmp_path: Path, layer: str) -> None:
    chunk_file(tmp_path).symlink_to(NAME)
    with pytest.raises(ChunkReadError, match=NAME):
        CloudVolume(layer, fill_missing=True)[:]


def test_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path)
    (tmp_path / support.KEY).write_text("x")
    with pytest.raises(ChunkReadError, match=f"{support.KEY}.*open folder"):
        CloudVolume(layer, fill_missing=True)[:]


def test_exhausted_file_descriptors_are_an_error_and_not_missing_chunks(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path)
    found = support.run_python(
        """
import json, os, resource, sys
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import ChunkReadError
vol = CloudVolume(sys.argv[1], fill_missing=True)
vol[:]
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    vol[:]
    found = None
except ChunkReadError as error:
    found = error.errno
print(json.dumps(found))
""",
        path,
    )
    assert found == 24  # EMFILE


def test_first_bad_chunk_of_several_is_named(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, compress=False)
    for name in ("0-8_8-16_0-8", "8-16_8-16_8-16"):
        (tmp_path / support.KEY / name).write_bytes(b"bad")
    with pytest.raises(
        ChunkDecodeError, match=r"0-8_8-16_0-8: cannot decode: .*expected 2048, found 3"
    ):
        CloudVolume(path, parallel=1)[:, :, 0:8]


def test_bad_chunk_leaves_the_volume_usable(tmp_path: Path) -> None:
    path, voxels = support.write_layer(tmp_path, compress=False)
    bad = tmp_path / support.KEY / NAME
    good = bad.read_bytes()
    vol = CloudVolume(path)
    bad.write_bytes(good[:-1])
    with pytest.raises(ChunkDecodeError):
        vol[:]
    bad.write_bytes(good)
    assert (vol[:] == voxels).all()


def test_refused_merge_leaves_the_bad_chunk_as_it_was(tmp_path: Path, layer: str) -> None:
    chunk_file(tmp_path, ".gz").write_bytes(b"bad")
    with pytest.raises(DecompressionError):
        read_for_merge(CloudVolume(layer, fill_missing=True))
    assert support.files_in(tmp_path) == [f"{support.KEY}/{NAME}.gz", "info"]
    assert chunk_file(tmp_path, ".gz").read_bytes() == b"bad"
