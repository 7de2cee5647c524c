# SPDX-License-Identifier: BSD-3-Clause
"""fpzip, and kempressed, which is fpzip after a rearrangement: floats, any number of channels.

Both ways are the core's: the fpzip package reads and writes out of bounds, on damaged streams when it decodes and on
values that do not shrink when it encodes.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cloudvolume_fast._core import fpzip
from cloudvolume_fast.decode.codec import (
    BoxInChunk,
    ChunkSpec,
    DecodedCodec,
    Triple,
    check_claim,
    crop,
    number,
)


def _decode(data: memoryview, shape: tuple[int, int, int, int], spec: ChunkSpec) -> NDArray[Any]:
    found_shape, found_dtype, _ = fpzip.header(data)
    check_claim("chunk shape", shape, found_shape)
    check_claim("data type", spec.dtype, found_dtype)
    values: NDArray[Any] = fpzip.decode(data, shape, spec.dtype)
    return values


class FpzipCodec(DecodedCodec):
    """See the module."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        return crop(_decode(data, spec.shape(chunk_shape), spec), box)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk; ``fpzip_precision`` of the scale, default 0 for lossless."""
        precision = number(
            spec.scale, "fpzip_precision", 0, 64
        )  # the core knows which of them there are
        return fpzip.encode(voxels, precision=int(precision or 0))


class KempressedCodec(DecodedCodec):
    """Values have 2 added, and the axes z and channel change places, before fpzip: vector fields compress better so."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        x, y, z = chunk_shape
        values = _decode(data, (x, y, spec.num_channels, z), spec).transpose(0, 1, 3, 2)
        out: NDArray[Any] = crop(values, box) - spec.dtype.type(2)
        return out

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk, with all bits of the sums (upstream: no precision for this encoding)."""
        return fpzip.encode(voxels.transpose(0, 1, 3, 2) + spec.dtype.type(2))


FPZIP = FpzipCodec()
KEMPRESSED = KempressedCodec()
