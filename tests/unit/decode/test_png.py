# SPDX-License-Identifier: BSD-3-Clause
"""Png chunks as a volume sees them; the format itself is tested in cpp/tests/test_png.cpp."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.decode import registry
from cloudvolume_fast.errors import ChunkDecodeError, EncodingError, InfoValidationError

CHUNK = "0-6_0-4_0-2"


def png(
    width: int, height: int, stream: bytes, depth: int = 8, colour_type: int = 0, interlace: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + support.png_chunk(b"IHDR", header)
        + support.png_chunk(b"IDAT", zlib.compress(stream))
        + support.png_chunk(b"IEND", b"")
    )


def volume_with(folder: Path, content: bytes) -> Any:
    path = support.make_layer(
        folder, size=(6, 4, 2), chunk_size=(6, 4, 2), data_type="uint8", encoding="png"
    )
    (folder / support.KEY).mkdir()
    (folder / support.KEY / CHUNK).write_bytes(content)
    return CloudVolume(path)


ROWS = b"".join(bytes([0, *range(6 * row, 6 * row + 6)]) for row in range(8))


def test_registry_names_what_png_can_hold() -> None:
    codec = registry.lookup("png", "here")
    assert codec.is_native
    assert not codec.is_compressible
    assert codec.default_compress is None
    for dtype, channels in (("uint32", 1), ("int8", 1), ("float32", 1), ("uint8", 5)):
        with pytest.raises(EncodingError, match="png"):
            codec.check(np.dtype(dtype), channels, "here")


def test_chunk_of_the_usual_shape_is_read(tmp_path: Path) -> None:
    vol = volume_with(tmp_path, png(6, 8, ROWS))
    assert np.array_equal(vol[:].ravel("F"), np.arange(48))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 12, 16, 24, 48])
def test_chunk_of_any_width_is_read(width: int, tmp_path: Path) -> None:
    values = bytes(range(48))
    rows = b"".join(b"\0" + values[i : i + width] for i in range(0, 48, width))
    vol = volume_with(tmp_path, png(width, 48 // width, rows))
    assert np.array_equal(vol[:].ravel("F"), np.arange(48))
    assert np.array_equal(
        vol[2:5, 1:3, 1:2], np.arange(48).reshape((6, 4, 2, 1), order="F")[2:5, 1:3, 1:2]
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(20), "not those of the format"),
        (png(6, 7, ROWS[:-7]), "expected 48, found 42"),
        (png(6, 8, ROWS, depth=16), "expected 8, found 16"),
        (png(6, 8, ROWS, colour_type=2), "expected 0, found 2"),
        (png(6, 8, ROWS, colour_type=3), "not supported"),
        (png(6, 8, ROWS, depth=4), "not supported"),
        (png(6, 8, ROWS, interlace=1), "not supported"),
        (png(6, 8, ROWS[:-1]), "end before"),
        (png(6, 8, ROWS + b"x"), "exceed"),
        (png(6, 8, b"\x05" + ROWS[1:]), "expected 4, found 5"),
        (png(6, 8, ROWS) + b"\n", "unexpected bytes follow"),
        (png(6, 8, ROWS)[:-12], "end before"),
        (png(6, 8, bytes(10**7)), "exceed"),
    ],
)
def test_other_content_is_a_decode_error_that_names_the_chunk(
    content: bytes, message: str, tmp_path: Path
) -> None:
    vol = volume_with(tmp_path, content)
    with pytest.raises(ChunkDecodeError, match=message) as caught:
        vol[:]
    assert CHUNK in str(caught.value)


def test_file_larger_than_any_chunk_is_not_read(tmp_path: Path) -> None:
    vol = volume_with(tmp_path, b"")
    with (tmp_path / support.KEY / CHUNK).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ChunkDecodeError, match="exceed"):
        vol[:]


def test_gzip_around_a_chunk_is_undone(tmp_path: Path) -> None:
    vol = volume_with(tmp_path, b"")
    (tmp_path / support.KEY / CHUNK).unlink()
    (tmp_path / support.KEY / f"{CHUNK}.gz").write_bytes(support.COMPRESS[".gz"](png(6, 8, ROWS)))
    assert np.array_equal(vol[:].ravel("F"), np.arange(48))


def test_level_of_the_scale_is_used(tmp_path: Path) -> None:
    x, y, z = np.indices((64, 64, 16))
    image = ((x // 3 + y // 5 * 7 + z) % 61).astype(np.uint8)
    sizes = {}
    for level in (0, 1, 9, None):
        folder = tmp_path / str(level)
        CloudVolume.from_numpy(image, f"file://{folder}", encoding="png", encoding_level=level)
        sizes[level] = next((folder / support.KEY).iterdir()).stat().st_size
    assert sizes[0] > image.size
    assert sizes[1] < sizes[0] / 2
    assert sizes[9] <= sizes[1]
    assert sizes[None] == sizes[9]


def test_level_of_an_added_scale_is_used(tmp_path: Path) -> None:
    path = support.make_layer(
        tmp_path, size=(64, 64, 8), chunk_size=(64, 64, 8), data_type="uint8", encoding="png"
    )
    vol = CloudVolume(path)
    vol.meta.add_scale((2, 2, 1), encoding="png", encoding_level=0)
    vol.commit_info()
    vol.mip = 1
    vol[:, :, :] = np.zeros((32, 32, 8, 1), np.uint8)
    stored = sum(file.stat().st_size for file in (tmp_path / "8_8_40").iterdir())
    assert stored > 32 * 32 * 8


@pytest.mark.parametrize("level", [-1, 10, 4.5, "high", True, [9]])
def test_level_that_there_is_none_hinders_writing_only(level: Any, tmp_path: Path) -> None:
    path = support.make_layer(tmp_path, data_type="uint8", encoding="png")
    vol = CloudVolume(path)
    vol.info["scales"][0]["png_level"] = level
    with pytest.raises(InfoValidationError, match="png_level"):
        vol[:, :, :] = 1
    vol.fill_missing = True
    assert not vol[:, :, :].any()


def test_delete_background_leaves_no_file(tmp_path: Path) -> None:
    path = support.make_layer(tmp_path, data_type="uint8", encoding="png")
    vol = CloudVolume(path, delete_black_uploads=True, fill_missing=True)
    vol[:, :, :] = 0
    assert not (tmp_path / support.KEY).exists() or not list((tmp_path / support.KEY).iterdir())
    assert not vol[:].any()
