# SPDX-License-Identifier: BSD-3-Clause
"""jxl (JPEG XL), by imagecodecs (libjxl): uint8, 1, 3 or 4 channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import BoxInChunk, ChunkSpec, DecodedCodec, Triple, crop
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


def _codestream(data: bytes) -> bytes:
    """Return the start of the codestream, out of its container if it has one (ISO/IEC 18181-2, box structure)."""
    if data.startswith(_SIGNATURE):
        return data[2:32]
    offset = len(_CONTAINER)
    while data.startswith(_CONTAINER) and offset + 8 <= len(data):
        size, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4 : offset + 8]
        skip = 8
        if size == 1:
            size, skip = int.from_bytes(data[offset + 8 : offset + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            start = offset + skip + (4 if kind == b"jxlp" else 0)
            if data[start : start + 2] == _SIGNATURE:
                return data[start + 2 : start + 32]
        if size < skip:
            break
        offset += size
    raise ChunkDecodeError(
        "signature: expected that of JPEG XL, found another", found=data[:12].hex()
    )


def picture_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) as the header claims them (ISO/IEC 18181-1, SizeHeader), before anything is decoded.

    Raises
    ------
    ChunkDecodeError
    """
    bits = int.from_bytes(_codestream(data).ljust(16, b"\0")[:16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    is_small = take(1)

    def extent() -> int:
        if is_small:
            return 8 * (take(5) + 1)
        return 1 + take((9, 13, 18, 30)[take(2)])

    height = extent()
    ratio = take(3)
    if ratio == 0:
        return extent(), height
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height


class JxlCodec(DecodedCodec):
    """See the module."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        raw = bytes(data)
        width, height = picture_size(raw)
        check_pixels(width, height, chunk_shape)
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
