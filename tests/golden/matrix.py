# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of encodings, data types, channels and compressions: its cells, their voxels, and what a read amounts to.

`make_golden_matrix.py` has other programs write every cell, `test_golden_matrix.py` checks each one, `report.py` prints
them all.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ARCHIVES = HERE / "matrix"
MANIFEST = HERE / "MANIFEST_matrix.json"
KEY = "4_4_40"
SIZE, CHUNK, BLOCK = (6, 5, 3), (4, 3, 2), (3, 2, 2)
OFFSETS = ((0, 0, 0), (-3, 5, 1000), (-7, -5, -3), (-4, -2, -1))

SUFFIXES = {"none": "", "gzip": ".gz", "br": ".br", "zstd": ".zstd", "xz": ".xz", "bz2": ".bz2"}
WRITERS = ("cloud-volume", "tensorstore")
WRITTEN = "written"
"""What the outcome of a successful attempt starts with, before the suffix of its chunks."""

_INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
_LABELS = ("bool", "uint8", "uint16", "uint32", "uint64")
# Encoding: data types, numbers of channels.
HOLDS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "raw": (("bool", *_INTEGERS, "float16", "float32", "float64"), (1, 2, 3)),
    "compressed_segmentation": (("uint32", "uint64"), (1, 2, 3)),
    "png": (("uint8", "uint16"), (1, 2, 3, 4)),
    "jpeg": (("uint8",), (1, 3)),
    "jxl": (("uint8",), (1, 3, 4)),
    "compresso": (_LABELS, (1,)),
    "crackle": (_LABELS, (1,)),
    "fpzip": (("float32", "float64"), (1, 2, 3)),
    "kempressed": (("float32", "float64"), (1, 2, 3)),
    "zfpc": (("int32", "int64", "float32", "float64"), (1, 2, 3)),
}
PICTURES = ("png", "jpeg", "jxl")
LOSSY = ("jpeg", "jxl", "kempressed")


@dataclass(frozen=True)
class Row:
    """What the chunks of a layer hold."""

    encoding: str
    dtype: str
    channels: int

    def __str__(self) -> str:
        return f"{self.encoding}-{self.dtype}-c{self.channels}"

    @property
    def compressions(self) -> tuple[str, ...]:
        """Those of the matrix: all, but for several channels two, since compression does not see channels."""
        return tuple(SUFFIXES) if self.channels == 1 else ("none", "gzip")


@dataclass(frozen=True)
class Cell:
    """One layer."""

    row: Row
    compression: str

    def __str__(self) -> str:
        return f"{self.row}-{self.compression}"

    @property
    def offset(self) -> tuple[int, int, int]:
        """The voxel_offset, which changes from cell to cell."""
        return OFFSETS[hashlib.sha256(str(self).encode()).digest()[0] % len(OFFSETS)]

    @property
    def suffix(self) -> str:
        """Of the chunks that we write: nothing is ever put over pictures."""
        return "" if self.row.encoding in PICTURES else SUFFIXES[self.compression]


ROWS = [
    Row(encoding, dtype, channels)
    for encoding, (dtypes, counts) in HOLDS.items()
    for dtype in dtypes
    for channels in counts
]
CELLS = [Cell(row, compression) for row in ROWS for compression in row.compressions]


def new_volume(volume: Any, layer: Path, cell: Cell) -> Any:
    """Make the layer of a cell by a class with the interface that upstream and we share."""
    row = cell.row
    info = volume.create_new_info(
        row.channels,
        "image",
        row.dtype,
        row.encoding,
        (4, 4, 40),
        cell.offset,
        SIZE,
        chunk_size=CHUNK,
        compressed_segmentation_block_size=BLOCK,
    )
    compress = False if cell.compression == "none" else cell.compression
    vol = volume(f"file://{layer}", info=info, compress=compress, progress=False)
    vol.commit_info()
    return vol


def voxels(row: Row) -> np.ndarray:
    """Return what a layer holds, shape (x, y, z, channel): arithmetic only, the same with every numpy."""
    shape = (*SIZE, row.channels)
    x, y, z, c = (axis.astype(np.uint64) for axis in np.indices(shape))
    mixed = (x + 64 * (y + 64 * (z + 64 * c)) + 1) * 0x9E3779B97F4A7C15
    noise = (mixed ^ mixed >> np.uint64(29)) * 0xBF58476D1CE4E5B9 >> np.uint64(40)
    dtype = np.dtype(row.dtype)
    slope = 5 * x + 9 * y + 29 * z + 40 * c
    values: np.ndarray
    if dtype.kind == "b":
        values = (x // 2 + y // 2 + z) % 2 == 1
    elif row.encoding in ("compressed_segmentation", "compresso", "crackle"):
        values = (x // 2 + 3 * (y // 2) + 7 * (z // 2) + 11 * c) * 0xDEADBEEFCAFEF00D
    elif row.encoding in PICTURES:
        values = slope + noise % 7
        values = values * (1 if dtype.itemsize == 1 else 211)
    elif dtype.kind == "f":
        values = (slope.astype(dtype) - dtype.type(60)) / dtype.type(16) + (noise % 5).astype(
            dtype
        ) / dtype.type(3)
    elif row.encoding == "zfpc":
        # More bits than float32 has; zfp takes integers of all but two bits.
        values = (slope.astype(np.int64) - 60 << 20 if dtype.itemsize == 4 else slope << 50) + (
            noise % 999
        ).astype(np.int64)
    else:  # a palette, so that compressors have something to do
        values = noise % 13 * 0x9E3779B97F4A7C15 + x % 2
    return np.asfortranarray(values.astype(dtype))


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same type, shape and bits."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    return np.asarray(a).tobytes("F") == np.asarray(b).tobytes("F")


def compare(found: np.ndarray, expected: np.ndarray, row: Row) -> str:
    """Return ``ok``, or what is the matter with what a program made of a layer.

    Parameters
    ----------
    found, expected : ndarray, shape (x, y, z, channel)
    row : Row
    """
    if same_bits(found, expected):
        return "ok"
    if found.shape == expected.shape and not found.any():
        return "finds no chunk: looks for no suffix"
    if row.encoding in PICTURES and row.channels > 1:
        for axes in ((0, 1, 2), (1, 2, 0)):
            if same_bits(found, misread(expected, axes)):
                return f"mixes up channels: takes pixels with axes {axes} for planes of x"
    with np.errstate(over="ignore"):
        if row.encoding == "zfpc" and same_bits(
            found, expected.astype(np.float32).astype(row.dtype)
        ):
            return "rounds to float32"
    return f"WRONG: {np.mean(found != expected):.0%} of voxels differ"


def misread(image: np.ndarray, axes: tuple[int, int, int]) -> np.ndarray:
    """Return an image as it is read by who takes a picture's samples, axes in some order, for x, y, z, channel.

    Parameters
    ----------
    image : ndarray, shape (x, y, z, channel)
    axes : tuple of int
        Order in which the axes (row, column, component) of pixels are gone through, slowest first.
    """
    out = np.empty_like(image)
    for start in np.ndindex(*(-(-n // c) for n, c in zip(SIZE, CHUNK, strict=True))):
        where = tuple(slice(s * c, (s + 1) * c) for s, c in zip(start, CHUNK, strict=True))
        part = image[where]
        pixels = part.transpose(2, 1, 0, 3).reshape(-1, part.shape[0], part.shape[3])
        out[where] = pixels.transpose(axes).ravel().reshape(part.shape, order="F")
    return out


def reason(error: str) -> str:
    """Return what an error says without what differs between runs."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", error)
    text = re.sub(r"(https?|file)://[^ \"']*|/[^ \"']*/", "...", text)
    text = re.sub(r"\s+", " ", text.split(" [")[0]).strip()
    # What counts stands at both ends of a chain of errors.
    return text if len(text) <= 160 else f"{text[:50]} ... {text[-100:]}"


def manifest() -> Mapping[str, Any]:
    """Return the manifest."""
    content: Mapping[str, Any] = json.loads(MANIFEST.read_text())
    return content


def outcomes(writer: str) -> dict[str, str]:
    """Return what came of an attempt to write each cell: `WRITTEN` and a suffix, or the error."""
    return {cell: how for how, cells in manifest()["outcomes"][writer].items() for cell in cells}


def unpack(writer: str, folder: Path) -> None:
    """Extract the layers of a writer."""
    content = (ARCHIVES / f"{writer}.tar.xz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:xz") as archive:
        # Pythons before 3.11.4 have no filters; later ones warn where none is named.
        filters = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **filters)


def expected_voxels(layer: Path, cell: Cell) -> np.ndarray:
    """Return what a golden layer holds: for encodings with loss, what its writer's decoder made of it."""
    stored = layer / "expected.npy"
    return np.load(stored) if stored.exists() else voxels(cell.row)


def stored_suffix(layer: Path) -> str:
    """Return the suffix of a layer's chunks.

    Raises
    ------
    ValueError
        There are several, or no chunks.
    """
    suffixes = {path.suffix for path in (layer / KEY).iterdir()}
    (suffix,) = suffixes
    return suffix
