# SPDX-License-Identifier: BSD-3-Clause
"""jxl (JPEG XL), by imagecodecs (libjxl): uint8, 1, 3 or 4 channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import BoxInChunk, ChunkSpec, DecodedCodec, Triple, check_claim, crop
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


def _codestream(data: bytes) -> bytes:
    """Return the start of the codestream, out of its container if it has one (ISO/IEC 18181-2, box structure)."""
    start = b""
    if data.startswith(_SIGNATURE):
        start = data[:_HEADER_BYTES]
    offset = len(_CONTAINER)
    while data.startswith(_CONTAINER) and offset + 8 <= len(data) and len(start) < _HEADER_BYTES:
        size, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4 : offset + 8]
        skip = 8
        if size == 1:
            size, skip = int.from_bytes(data[offset + 8 : offset + 16], "big"), 16
        elif size == 0:  # to the end of the file
            size = len(data) - offset
        if size < skip:
            break
        if kind in (b"jxlc", b"jxlp"):
            begin = offset + skip + (4 if kind == b"jxlp" else 0)
            start += data[begin : min(offset + size, begin + _HEADER_BYTES)]
        offset += size
    if not start.startswith(_SIGNATURE):
        raise ChunkDecodeError("signature: expected that of JPEG XL, found another", found=data[:12].hex())
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
    is_plain : bool
        Whether it is one picture, without preview or animation.
    """

    width: int
    height: int
    extra_channels: int = 0
    is_plain: bool = True


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
    if bits.take(1):  # extra fields
        bits.take(3)  # orientation
        if bits.take(1):
            bits.size()  # intrinsic size
        if bits.take(1) or bits.take(1):  # preview, animation
            return PictureHeader(width, height, is_plain=False)
    if bits.take(1):  # floating point
        bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)  # of the exponent
    else:
        bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)  # buffers of 16 bits suffice
    return PictureHeader(width, height, bits.choice((0, 0), (1, 0), (2, 4), (1, 12)))


class JxlCodec(DecodedCodec):
    """See the module."""

    def decode(self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec) -> NDArray[Any]:
        """Return the voxels of a box."""
        raw = bytes(data)
        header = picture_header(raw)
        width, height = header.width, header.height
        check_pixels(width, height, chunk_shape)
        check_claim("a single picture", True, header.is_plain)
        if header.extra_channels >= spec.num_channels:
            raise ChunkDecodeError(
                f"extra channels: expected fewer than {spec.num_channels}, found {header.extra_channels}",
                expected=spec.num_channels - 1,
                found=header.extra_channels,
            )
        pixels = imagecodecs.jpegxl_decode(raw, numthreads=1)
        if pixels.ndim == 3 and pixels.shape[1:] == (height, width):
            # Written as grey with extra channels, as upstream writes RGB; the package returns planes then.
            pixels = np.moveaxis(pixels, 0, -1)
        if pixels.dtype != np.uint8 or pixels.shape[:2] != (height, width):
            raise ChunkDecodeError(
                f"picture: expected uint8 of {height} x {width}, found {pixels.dtype} of {pixels.shape}",
                expected=(height, width),
                found=pixels.shape,
            )
        return crop(to_voxels(pixels, chunk_shape, spec.num_channels), box)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk as a bare codestream; ``jxl_quality`` of the scale, default 85, from 100 on lossless."""
        quality = spec.scale.get("jxl_quality")
        quality = _DEFAULT_QUALITY if quality is None else float(quality)
        pixels = to_pixels(voxels, _MAX_EXTENT)
        if spec.num_channels == 1:
            pixels = pixels[..., 0]
        is_lossless = quality >= _LOSSLESS_QUALITY
        return bytes(
            imagecodecs.jpegxl_encode(
                pixels,
                level=None if is_lossless else quality,
                lossless=is_lossless,
                effort=spec.scale.get("jxl_effort"),
                decodingspeed=spec.scale.get("jxl_decodingspeed"),
                numthreads=1,
            )
        )


CODEC = JxlCodec()
