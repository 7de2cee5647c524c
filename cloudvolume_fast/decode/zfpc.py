# SPDX-License-Identifier: BSD-3-Clause
"""zfpc: a container of zfp streams, one for each index of the uncorrelated axes; int32, int64, float32, float64.

Encoding is the zfpc package's.  Decoding is here, over zfpy: the package decodes every type into float32.
"""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Sequence
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
    number,
)
from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import ChunkDecodeError, InvalidArgumentError

_HEADER = struct.Struct("<4sBBIIIIB")
_TYPES = {
    1: np.dtype(np.int32),
    2: np.dtype(np.int64),
    3: np.dtype(np.float32),
    4: np.dtype(np.float64),
}
_STREAM_BITS = {
    1: 48,
    2: 24,
    3: 16,
    4: 12,
}  # of each extent in a zfp stream's header, by number of axes
_STREAM_HEADER_BYTES = 12  # 20 with a long mode
_SLACK_BYTES = 64  # a long mode, and the words that the reader looks ahead


def _check_stream(stream: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return the most bytes that decoding a zfp stream can read (zfp 1.0, "zfp_read_header": magic, meta, mode).

    Raises
    ------
    ChunkDecodeError
        The header claims another shape or type, or blocks longer than values can be.
    """
    if len(stream) < _STREAM_HEADER_BYTES or stream[:3] != b"zfp":
        raise ChunkDecodeError(
            "zfp stream: expected its signature, found another", found=stream[:4].hex()
        )
    bits_of_header = int.from_bytes(stream[:20], "little")
    meta = bits_of_header >> 32
    kinds = (_TYPES[1], _TYPES[2], _TYPES[3], _TYPES[4])
    check_claim("zfp stream's type", dtype, kinds[meta & 3])
    axes = ((meta >> 2) & 3) + 1
    bits = _STREAM_BITS[axes]
    extents = tuple(((meta >> (4 + i * bits)) & ((1 << bits) - 1)) + 1 for i in range(axes))
    wanted = tuple(extent for extent in shape if extent != 1)
    check_claim(
        "zfp stream's extents", sorted(wanted), sorted(extent for extent in extents if extent != 1)
    )
    # A block holds 4 values along each axis; a bit plane of it takes at most two bits per value, one of them a test.
    block_bits: int = 2 * 4**axes * (8 * dtype.itemsize + 2) + 128
    mode = bits_of_header >> 84
    least_bits = 0
    if mode & 0xFFF == 0xFFF:
        least_bits = ((mode >> 12) & 0x7FFF) + 1
    elif mode & 0xFFF < 2048:
        least_bits = (mode & 0xFFF) + 1
    if least_bits > block_bits:
        raise ChunkDecodeError(
            f"zfp stream: expected at most {block_bits} bits for a block, found {least_bits}",
            expected=block_bits,
            found=least_bits,
        )
    blocks = 1
    for extent in extents:
        blocks *= -(-extent // 4)
    return _SLACK_BYTES + blocks * block_bits // 8


def _padded(stream: bytes, size: int) -> NDArray[np.uint8]:
    """Return a stream with zeros after it: a damaged one makes zfp read on, since it never looks for the end.

    The zeros are pages that the system maps when they are read, so they cost memory in damaged streams only.
    """
    room = np.zeros(max(len(stream) + _SLACK_BYTES, size), np.uint8)
    room[: len(stream)] = np.frombuffer(stream, np.uint8)
    return room


def _correlated_dims(spec: ChunkSpec) -> list[bool]:
    found = spec.scale.get("zfpc_correlated_dims")
    if found is None:
        return [True] * 4
    if (
        not isinstance(found, Sequence)
        or len(found) != 4
        or any(axis not in (0, 1) for axis in found)
        or not any(found)
    ):
        raise InvalidArgumentError(
            f"zfpc_correlated_dims: expected 4 booleans, one of them true, found {found!r}",
            key="zfpc_correlated_dims",
            found=found,
        )
    return [bool(axis) for axis in found]


def _modes(spec: ChunkSpec, axes: int) -> dict[str, float]:
    """Return what the package takes as rate, precision and tolerance: -1 for those not asked for.

    A rate that leaves a block of floats no room for its exponent makes zfp write past its buffer; one of more than
    twice the bits of a value makes blocks that no reader has to accept.
    """
    least = {"float32": 9, "float64": 12}.get(spec.dtype.name, 1) / 4**axes
    bounds = {
        "rate": (least, 16 * spec.dtype.itemsize, False),
        "precision": (0, 64, True),
        "tolerance": (0, sys.float_info.max, False),
    }
    modes: dict[str, float] = {}
    for name, (low, high, is_whole) in bounds.items():
        member = f"zfpc_{name}"
        value = spec.scale.get(member)
        is_off = value is None or (isinstance(value, (int, float)) and value < 0)
        found = None if is_off else number(spec.scale, member, low, high, is_whole=is_whole)
        modes[name] = -1.0 if found is None else float(found)
    if sum(value >= 0 for value in modes.values()) > 1:
        raise InvalidArgumentError(
            f"zfpc: expected at most one of rate, precision and tolerance, found {modes}",
            found=modes,
        )
    return modes


class ZfpcCodec(DecodedCodec):
    """See the module."""

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        zfpy = require("zfpy")
        raw = bytes(data)
        if len(raw) < _HEADER.size:
            raise ChunkDecodeError(
                f"header: expected {_HEADER.size} bytes, found {len(raw)}",
                expected=_HEADER.size,
                found=len(raw),
            )
        magic, version, kind, nx, ny, nz, nw, correlated = _HEADER.unpack_from(raw)
        check_claim("signature", b"zfpc", magic)
        check_claim("version", 0, version)
        shape = spec.shape(chunk_shape)
        check_claim("chunk shape", shape, tuple(max(1, extent) for extent in (nx, ny, nz, nw)))
        check_claim("data type", spec.dtype, _TYPES.get(kind & 7))
        is_joint = [bool(correlated >> axis & 1) for axis in range(4)]
        loose = [1 if joint else extent for joint, extent in zip(is_joint, shape, strict=True)]
        stream_shape = tuple(
            extent if joint else 1 for joint, extent in zip(is_joint, shape, strict=True)
        )
        count = int(np.prod(loose))
        index_bytes = 8 * (1 + count)
        if len(raw) < _HEADER.size + index_bytes:
            raise ChunkDecodeError(
                f"index: expected {index_bytes} bytes for {count} streams, found {len(raw) - _HEADER.size}",
                expected=index_bytes,
                found=len(raw) - _HEADER.size,
            )
        offset, *lengths = struct.unpack_from(f"<{1 + count}Q", raw, _HEADER.size)
        check_claim("bytes of the file", len(raw), offset + sum(lengths))
        out = np.empty(shape, spec.dtype, order="F")
        # x is the fastest of the uncorrelated axes.
        for point, length in zip(
            itertools.product(*map(range, reversed(loose))), lengths, strict=True
        ):
            stream = raw[offset : offset + length]
            size = _check_stream(stream, stream_shape, spec.dtype)
            values = zfpy.decompress_numpy(_padded(stream, size))
            where = tuple(
                slice(None) if joint else slice(at, at + 1)
                for joint, at in zip(is_joint, reversed(point), strict=True)
            )
            out[where] = values.reshape(stream_shape, order="C" if kind >> 7 else "F")
            offset += length
        return crop(out, box)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk; ``zfpc_{rate,precision,tolerance,correlated_dims}`` of the scale."""
        correlated = _correlated_dims(spec)
        modes = _modes(spec, sum(correlated))
        package = require("zfpc")
        return bytes(
            package.compress(np.asfortranarray(voxels), correlated_dims=correlated, **modes)
        )


CODEC = ZfpcCodec()
