# SPDX-License-Identifier: BSD-3-Clause
"""jxl (JPEG XL), by imagecodecs (libjxl): uint8, 1, 3 or 4 channels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import (
    BoxInChunk,
    ChunkSpec,
    DecodedCodec,
    Triple,
    crop,
    number,
)
from cloudvolume_fast.decode.picture import check_pixels, to_pixels, to_voxels
from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import ChunkDecodeError

imagecodecs = require("imagecodecs", "jxl")

_MAX_EXTENT = 1 << 30
_DEFAULT_QUALITY = 85
_LOSSLESS_QUALITY = 100
_SIGNATURE = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


_HEADER_BYTES = 40  # more than the fields below can take


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, begin and end of the boxes of a container (ISO/IEC 18181-2, box structure)."""
    offset = len(_CONTAINER)
    while data.startswith(_CONTAINER) and offset + 8 <= len(data):
        size, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4 : offset + 8]
        skip = 8
        if size == 1:
            size, skip = int.from_bytes(data[offset + 8 : offset + 16], "big"), 16
        elif size == 0:  # to the end of the file
            size = len(data) - offset
        if size < skip:
            return
        yield kind, offset + skip, offset + size
        offset += size


def holds_jpeg(data: bytes) -> bool:
    """Return whether a file holds what gives back the jpeg that it was made from."""
    return any(kind == b"jbrd" for kind, _, _ in _boxes(data))


def _codestream(data: bytes) -> bytes:
    """Return the start of the codestream, out of its container if it has one."""
    start = b""
    if data.startswith(_SIGNATURE):
        start = data[:_HEADER_BYTES]
    for kind, begin, end in _boxes(data):
        if len(start) >= _HEADER_BYTES:
            break
        if kind in (b"jxlc", b"jxlp"):
            first = begin + (4 if kind == b"jxlp" else 0)
            start += data[first : min(end, first + _HEADER_BYTES)]
    if not start.startswith(_SIGNATURE):
        raise ChunkDecodeError(
            "signature: expected that of JPEG XL, found another", found=data[:12].hex()
        )
    return start[len(_SIGNATURE) : _HEADER_BYTES]


class _BitReader:
    """Fields of a header, low bits first (ISO/IEC 18181-1, section on bitstreams)."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ChunkDecodeError("header: expected more bytes, found the end of the file")
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value

    def choice(self, *options: tuple[int, int]) -> int:
        """Return one of four numbers, each a constant plus some bits (U32 of the specification)."""
        constant, count = options[self.take(2)]
        return constant + self.take(count)

    def size(self) -> tuple[int, int]:
        """Return (width, height) (SizeHeader)."""
        is_small = self.take(1)

        def extent() -> int:
            if is_small:
                return 8 * (self.take(5) + 1)
            return self.choice((1, 9), (1, 13), (1, 18), (1, 30))

        height = extent()
        ratio = self.take(3)
        if ratio == 0:
            return extent(), height
        numerator, denominator = _RATIOS[ratio - 1]
        return height * numerator // denominator, height


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What decides how much memory a decoder takes.

    Attributes
    ----------
    width, height : int
        Pixels.
    extra_channels : int
        Besides the one or three of colour.
    is_animation : bool
        Whether it may have several frames.
    """

    width: int
    height: int
    extra_channels: int = 0
    is_animation: bool = False


def picture_header(data: bytes) -> PictureHeader:
    """Return what the header claims (ISO/IEC 18181-1, SizeHeader and ImageMetadata), before anything is decoded.

    Raises
    ------
    ChunkDecodeError
    """
    bits = _BitReader(_codestream(data))
    width, height = bits.size()
    if bits.take(1):  # all fields have their default
        return PictureHeader(width, height)
    is_animation = False
    if bits.take(1):  # extra fields
        bits.take(3)  # orientation
        if bits.take(1):
            bits.size()  # intrinsic size
        if bits.take(1):
            raise ChunkDecodeError("picture: expected no preview, found one")
        is_animation = bits.take(1) == 1
        if is_animation:
            bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))  # ticks per second, over
            bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.choice((0, 0), (0, 3), (0, 16), (0, 32))  # loops
            bits.take(1)  # time codes
    if bits.take(1):  # floating point
        bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)  # of the exponent
    else:
        bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)  # buffers of 16 bits suffice
    extra_channels = bits.choice((0, 0), (1, 0), (2, 4), (1, 12))
    return PictureHeader(width, height, extra_channels, is_animation)


def _pixels_shape(
    header: PictureHeader, chunk_shape: Triple, num_channels: int
) -> tuple[tuple[int, ...], bool]:
    """Return the shape in which the package decodes a picture of a chunk, and whether its first axis is the channel.

    Upstream gives its package the channels of RGB as three planes of y * z rows of x voxels.  The package makes them
    three frames of grey; but if a row has 1 to 4 voxels, it takes these for the components of a pixel, and writes a
    picture of height 3 and width y * z.  (For x = y * z = 3 that is what others write too, with another meaning.)

    Raises
    ------
    ChunkDecodeError
        It is a picture of another chunk.
    """
    x, y, z = chunk_shape
    size = (header.height, header.width)
    max_extra = num_channels - 1
    if (
        num_channels == 3
        and x <= 4
        and size == (3, y * z) != (y * z, x)
        and not header.is_animation
    ):
        shape, max_extra, is_planar = (3, y * z, x)[: 3 if x > 1 else 2], 1, True
    else:
        check_pixels(header.width, header.height, chunk_shape)
        is_planar = header.is_animation
        channels = (num_channels,) if num_channels > 1 else ()
        shape = (*channels, *size) if is_planar else (*size, *channels)
    if header.extra_channels > max_extra:
        raise ChunkDecodeError(
            f"extra channels: expected at most {max_extra}, found {header.extra_channels}",
            expected=max_extra,
            found=header.extra_channels,
        )
    return shape, is_planar


def check_header(data: bytes, chunk_shape: Triple, spec: ChunkSpec) -> None:
    """Raise unless a picture claims to be one of a chunk.

    Raises
    ------
    ChunkDecodeError
    """
    _pixels_shape(picture_header(data), chunk_shape, spec.num_channels)


class JxlCodec(DecodedCodec):
    """See the module."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        raw = bytes(data)
        shape, is_planar = _pixels_shape(picture_header(raw), chunk_shape, spec.num_channels)
        # Given the array, the package raises when the picture has another shape, instead of allocating what it claims.
        pixels = imagecodecs.jpegxl_decode(
            raw, numthreads=spec.threads, out=np.empty(shape, np.uint8)
        )
        if is_planar and spec.num_channels > 1:
            pixels = np.moveaxis(pixels.reshape(spec.num_channels, -1), 0, -1)
            x, y, z = chunk_shape
            pixels = pixels.reshape(y * z, x, spec.num_channels)
        return crop(to_voxels(pixels, chunk_shape, spec.num_channels), box)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk as a bare codestream; ``jxl_{quality,effort,decodingspeed}`` of the scale.

        The quality is 85 by default, and lossless from 100 on.
        """
        quality = number(spec.scale, "jxl_quality", 0, math.inf, is_whole=False)
        quality = _DEFAULT_QUALITY if quality is None else quality
        effort = number(spec.scale, "jxl_effort", 1, 10)
        speed = number(spec.scale, "jxl_decodingspeed", 0, 4)
        pixels = to_pixels(voxels, _MAX_EXTENT)
        if spec.num_channels == 1:
            pixels = pixels[..., 0]
        is_lossless = quality >= _LOSSLESS_QUALITY
        return bytes(
            imagecodecs.jpegxl_encode(
                pixels,
                level=None if is_lossless else quality,
                lossless=is_lossless,
                effort=None if effort is None else int(effort),
                decodingspeed=None if speed is None else int(speed),
                numthreads=spec.threads,
            )
        )


CODEC = JxlCodec()
