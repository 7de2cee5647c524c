# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import Path

import brotli
import pytest
import support
import zstandard

from cloudvolume_fast.errors import CloudVolumeError, DecompressionError, UnsupportedCompressionType
from cloudvolume_fast.fetch.content_encoding import (
    SUFFIXES,
    compress,
    decompress,
    level_of,
    suffix_of,
)

COMPRESSED = SUFFIXES[1:]
BOMB_BYTES = 96 << 20


def make_bomb(suffix: str) -> bytes:
    """Zeros, many times more than any chunk of the tests has."""
    if suffix == ".gz":
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
            for _ in range(BOMB_BYTES >> 20):
                file.write(bytes(1 << 20))
        return out.getvalue()
    compressor = {
        ".br": lambda: brotli.Compressor(quality=5),
        ".zstd": lambda: zstandard.ZstdCompressor().compressobj(),
        ".xz": lambda: lzma.LZMACompressor(preset=0),
        ".bz2": lambda: bz2.BZ2Compressor(1),
    }[suffix]()
    step = compressor.process if suffix == ".br" else compressor.compress
    last = compressor.finish if suffix == ".br" else compressor.flush
    return b"".join([*(step(bytes(1 << 20)) for _ in range(BOMB_BYTES >> 20)), last()])


READ_BOMB = """
import json, resource, sys
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import CloudVolumeError
import brotli, zstandard, lzma, bz2
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
vol = CloudVolume(sys.argv[1], fill_missing=True)
vol[8:16, 0:8, 0:8]
before = peak()
try:
    vol[0:8, 0:8, 0:8]
    error = None
except CloudVolumeError as caught:
    error = f"{type(caught).__name__} {caught}"
print(json.dumps([error, peak() - before]))
"""


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize("suffix", COMPRESSED)
def test_chunk_that_inflates_without_end_costs_little_memory(
    tmp_path: Path, bombs: dict[str, bytes], suffix: str, encoding: str
) -> None:
    layer = support.make_layer(tmp_path, encoding=encoding)
    (tmp_path / support.KEY).mkdir()
    (tmp_path / support.KEY / f"0-8_0-8_0-8{suffix}").write_bytes(bombs[suffix])
    error, grown_bytes = support.run_python(READ_BOMB, layer)
    assert error.startswith("ChunkDecodeError")
    assert f"0-8_0-8_0-8{suffix}" in error
    assert grown_bytes < 40 << 20


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return {suffix: make_bomb(suffix) for suffix in COMPRESSED}


def test_xz_header_that_asks_for_a_huge_dictionary_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(b"voxels", filters=filters))
    # Block header: size, flags, filter id, size of properties, dictionary; then padding and a CRC32.
    assert data[12:16] == bytes([2, 0, 0x21, 1])
    data[16] = 39  # 3 GiB
    data[20:24] = zlib.crc32(bytes(data[12:20])).to_bytes(4, "little")
    with pytest.raises(DecompressionError, match=r"[Mm]emory"):
        decompress(".xz", bytes(data), 100)


@pytest.mark.parametrize("preset", [0, 6, 9])
def test_xz_of_every_preset_is_read(preset: int) -> None:
    assert decompress(".xz", lzma.compress(b"voxels", preset=preset), 6) == b"voxels"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(suffix: str) -> None:
    data = bytes(range(256)) * 50
    stored = compress(suffix, data, level_of(suffix, None))
    assert decompress(suffix, stored, len(data)) == data


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_stream_of_exactly_the_limit_is_read_and_one_byte_more_is_refused(suffix: str) -> None:
    stored = support.COMPRESS[suffix](b"x" * 1000)
    assert decompress(suffix, stored, 1000) == b"x" * 1000
    with pytest.raises(DecompressionError, match="at most 999 bytes"):
        decompress(suffix, stored, 999)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_limit_beyond_any_memory_is_no_obstacle(suffix: str) -> None:
    assert decompress(suffix, support.COMPRESS[suffix](b"voxels"), 2**63 - 1) == b"voxels"


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_stream_of_nothing_is_read(suffix: str) -> None:
    assert decompress(suffix, support.COMPRESS[suffix](b""), 10) == b""


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_no_bytes_at_all_are_refused(suffix: str) -> None:
    with pytest.raises(DecompressionError, match="found an empty file"):
        decompress(suffix, b"", 10)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_stream_cut_at_every_length_is_refused(suffix: str) -> None:
    stored = support.COMPRESS[suffix](b"some voxels")
    for length in range(len(stored)):
        with pytest.raises(DecompressionError):
            decompress(suffix, stored[:length], 100)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_bytes_after_the_stream_are_refused(suffix: str) -> None:
    with pytest.raises(DecompressionError):
        decompress(suffix, support.COMPRESS[suffix](b"some voxels") + b"more", 100)


def zstd_stream(data: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(data) + compressor.flush()


def test_zstd_frame_that_does_not_tell_its_size_is_read() -> None:
    data = bytes(range(256)) * 50
    assert decompress(".zstd", zstd_stream(data), len(data)) == data


def test_zstd_frame_that_does_not_tell_its_size_is_refused_when_cut_or_too_large() -> None:
    stored = zstd_stream(b"some voxels" * 40)
    for length in range(1, len(stored)):
        with pytest.raises(DecompressionError):
            decompress(".zstd", stored[:length], 1000)
    with pytest.raises(DecompressionError, match="at most 439"):
        decompress(".zstd", stored, 439)
    with pytest.raises(DecompressionError, match="expected the end"):
        decompress(".zstd", stored + b"more", 1000)


@pytest.mark.parametrize("compress_argument", ["gz", "deflate", "GZIP", 2, 1.5, "none", ["gzip"]])
def test_unknown_compression_is_refused(compress_argument: object) -> None:
    with pytest.raises(UnsupportedCompressionType, match="compress: expected one of gzip"):
        suffix_of(compress_argument)


@pytest.mark.parametrize(
    ("suffix", "level"), [(".gz", 10), (".gz", -1), (".br", 12), (".xz", 10), (".bz2", 0)]
)
def test_level_that_the_method_does_not_have_is_refused(suffix: str, level: int) -> None:
    with pytest.raises(CloudVolumeError, match="compress_level: expected"):
        level_of(suffix, level)
