# SPDX-License-Identifier: BSD-3-Clause
"""jpeg, by simplejpeg (libjpeg-turbo): uint8, 1 or 3 channels."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import (
    BoxInChunk,
    ChunkSpec,
    DecodedCodec,
    Triple,
    check_claim,
    crop,
    number,
)
from cloudvolume_fast.decode.picture import check_pixels, to_pixels, to_voxels
from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import ChunkDecodeError

simplejpeg = require("simplejpeg")

_MAX_EXTENT = 65500  # libjpeg's limit
_DEFAULT_QUALITY = 85
_START_OF_SCAN = b"\xff\xda"
_MAX_SCANS = 500  # a progressive picture has about ten; each one costs a pass over all pixels, however few its bytes

# Second bytes of markers (ITU-T T.81, table B.1).
_SEQUENTIAL_FRAMES = frozenset({0xC0, 0xC1, 0xC9})
_OTHER_FRAMES = frozenset(range(0xC0, 0xD0)) - _SEQUENTIAL_FRAMES - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})


def _may_have_many_scans(raw: bytes) -> bool:
    """Whether libjpeg reads on after the first scan, as it does in frames that are progressive or one component a scan.

    In a sequential frame whose first scan has all components it reads one scan and refuses the next.
    """
    components = None
    offset = 2
    while raw[offset : offset + 1] == b"\xff":
        marker, segment = raw[offset + 1 : offset + 2], raw[offset + 2 : offset + 10]
        if len(segment) < 8 or marker[0] in _OTHER_FRAMES or marker[0] in _WITHOUT_LENGTH:
            return True
        if marker[0] == _SCAN:
            return segment[2] != components
        if marker[0] in _SEQUENTIAL_FRAMES:
            components = segment[7]
        offset += 2 + int.from_bytes(segment[:2], "big")
    return True


def check_header(raw: bytes, chunk_shape: Triple, spec: ChunkSpec) -> None:
    """Raise unless a picture claims to be one of a chunk, and costs no more than one.

    Raises
    ------
    ChunkDecodeError
    ValueError
        The package finds no header.
    """
    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(raw)
    check_pixels(width, height, chunk_shape)
    check_claim(
        "components of a pixel", spec.num_channels, 1 if colorspace.upper() == "GRAY" else 3
    )
    # Counting takes a tenth of the time of decoding, and the GIL.
    scans = raw.count(_START_OF_SCAN) if _may_have_many_scans(raw) else 1
    if scans > _MAX_SCANS:
        raise ChunkDecodeError(
            f"scans: expected at most {_MAX_SCANS}, found {scans}",
            expected=_MAX_SCANS,
            found=scans,
        )


class JpegCodec(DecodedCodec):
    """See the module."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        raw = bytes(data)
        check_header(raw, chunk_shape, spec)
        pixels = simplejpeg.decode_jpeg(raw, "GRAY" if spec.num_channels == 1 else "RGB")
        return crop(to_voxels(pixels, chunk_shape, spec.num_channels), box)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk; ``jpeg_quality`` of the scale, default 85."""
        quality = number(spec.scale, "jpeg_quality", 0, 100)
        quality = _DEFAULT_QUALITY if quality is None else int(quality)
        colorspace = "GRAY" if spec.num_channels == 1 else "RGB"
        return bytes(
            simplejpeg.encode_jpeg(to_pixels(voxels, _MAX_EXTENT), quality, colorspace, "444")
        )


CODEC = JpegCodec()
