# SPDX-License-Identifier: BSD-3-Clause
"""fpzip, and kempressed, which is fpzip after a rearrangement: floats, any number of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import (
    BoxInChunk,
    ChunkSpec,
    DecodedCodec,
    Triple,
    check_claim,
    crop,
)
from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import ChunkDecodeError

package = require("fpzip")

_WORD = 0xFFFFFFFF


class _RangeDecoder:
    """Reads the header of an fpzip stream, whose fields are numbers of a fixed width in the range coder's code.

    Lindstrom and Isenburg, "Fast and efficient compression of floating-point data" (2006), section on entropy coding:
    a carry-less range coder of 32 bits.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next = 0
        self._low = 0
        self._range = _WORD
        self._code = 0
        self._shift_in(4)

    def _shift_in(self, count: int) -> None:
        for _ in range(count):
            byte = self._data[self._next] if self._next < len(self._data) else 0
            self._next += 1
            self._code = ((self._code << 8) | byte) & _WORD
            self._low = (self._low << 8) & _WORD

    def _piece(self, bits: int) -> int:
        self._range >>= bits
        value = ((self._code - self._low) & _WORD) // self._range
        self._low = (self._low + self._range * value) & _WORD
        while not ((self._low ^ (self._low + self._range)) & _WORD) >> 24:
            self._shift_in(1)
            self._range = (self._range << 8) & _WORD
        if not self._range >> 16:
            self._shift_in(2)
            self._range = -self._low & _WORD
        return value

    def number(self, bits: int) -> int:
        """Return a number, whose lower 16 bits come first."""
        if bits <= 16:
            return self._piece(bits)
        low = self._piece(16)
        return low | self.number(bits - 16) << 16


def header(data: bytes) -> tuple[tuple[int, int, int, int], int]:
    """Return the shape and the bytes of a value that an fpzip stream claims, before anything is decoded.

    Raises
    ------
    ChunkDecodeError
        The signature is not fpzip's.
    """
    decoder = _RangeDecoder(data[:64])
    signature = bytes(decoder.number(8) for _ in range(4))
    if signature != b"fpz\0":
        raise ChunkDecodeError(
            "signature: expected that of fpzip, found another", found=data[:4].hex()
        )
    decoder.number(16)  # version of the format
    decoder.number(8)
    is_double = decoder.number(1)
    decoder.number(7)  # precision
    nx, ny, nz, nf = (decoder.number(32) for _ in range(4))
    return (nx, ny, nz, nf), 8 if is_double else 4


def _decompress(
    data: memoryview, shape: tuple[int, int, int, int], spec: ChunkSpec
) -> NDArray[Any]:
    raw = bytes(data)
    found, item_size = header(raw)
    check_claim("chunk shape", shape, found)
    check_claim("bytes of a value", spec.dtype.itemsize, item_size)
    values: NDArray[Any] = package.decompress(raw, order="F")
    return values.reshape(shape, order="F")


class FpzipCodec(DecodedCodec):
    """See the module."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        return crop(_decompress(data, spec.shape(chunk_shape), spec), box)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk; ``fpzip_precision`` of the scale, default 0 for lossless."""
        precision = int(spec.scale.get("fpzip_precision") or 0)
        return bytes(package.compress(np.asfortranarray(voxels), precision=precision, order="F"))


class KempressedCodec(DecodedCodec):
    """Values have 2 added, and the axes z and channel change places, before fpzip: vector fields compress better so."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        x, y, z = chunk_shape
        values = _decompress(data, (x, y, spec.num_channels, z), spec).transpose(0, 1, 3, 2)
        return crop(values, box) - spec.dtype.type(2)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk; ``fpzip_precision`` of the scale, default 0 for all bits."""
        values = np.asfortranarray(voxels.transpose(0, 1, 3, 2) + spec.dtype.type(2))
        precision = int(spec.scale.get("fpzip_precision") or 0)
        return bytes(package.compress(values, precision=precision, order="F"))


FPZIP = FpzipCodec()
KEMPRESSED = KempressedCodec()
