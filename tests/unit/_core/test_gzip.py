# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import gzip as python_gzip

import numpy as np
import pytest

from cloudvolume_fast._core import gzip
from cloudvolume_fast.errors import DecompressionError, InvalidArgumentError

TEXT = b"neuroglancer " * 1000 + np.random.default_rng(1).bytes(1000)


@pytest.mark.parametrize("level", [0, 1, 6, 9, 12])
def test_compress_is_read_by_python(level: int) -> None:
    assert python_gzip.decompress(gzip.compress_bytes(TEXT, level=level)) == TEXT


@pytest.mark.parametrize("data", [b"", b"x", TEXT])
def test_decompress_reads_python(data: bytes) -> None:
    assert gzip.decompress_bytes(python_gzip.compress(data), limit_bytes=len(data)) == data


def test_decompress_reads_members_and_zero_padding() -> None:
    packed = python_gzip.compress(TEXT) + python_gzip.compress(b"end") + bytes(5)
    assert gzip.decompress_bytes(packed, limit_bytes=10**6) == TEXT + b"end"


def test_decompress_into_fills_a_buffer() -> None:
    out = np.zeros(len(TEXT) + 3, dtype=np.uint8)
    assert gzip.decompress_into(python_gzip.compress(TEXT), out) == len(TEXT)
    assert out.tobytes() == TEXT + bytes(3)


def test_decompress_into_a_small_buffer_raises() -> None:
    with pytest.raises(DecompressionError):
        gzip.decompress_into(python_gzip.compress(TEXT), bytearray(len(TEXT) - 1))


def test_decompress_stops_at_the_limit() -> None:
    with pytest.raises(DecompressionError):
        gzip.decompress_bytes(python_gzip.compress(bytes(10**7)), limit_bytes=10**6)


def test_decompress_rejects_every_truncation() -> None:
    packed = python_gzip.compress(b"abcdefgh" * 5)
    for n in range(len(packed)):
        with pytest.raises(DecompressionError):
            gzip.decompress_bytes(packed[:n], limit_bytes=1000)


def test_decompress_rejects_trailing_bytes_and_a_wrong_checksum() -> None:
    packed = bytearray(python_gzip.compress(TEXT))
    with pytest.raises(DecompressionError):
        gzip.decompress_bytes(bytes(packed) + b"x", limit_bytes=10**6)
    packed[-5] ^= 1
    with pytest.raises(DecompressionError) as caught:
        gzip.decompress_bytes(packed, limit_bytes=10**6)
    assert isinstance(caught.value.offset, int)


def test_compress_rejects_an_unknown_level() -> None:
    with pytest.raises(InvalidArgumentError, match="level"):
        gzip.compress_bytes(b"", level=13)
