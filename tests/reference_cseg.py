# SPDX-License-Identifier: BSD-3-Clause
"""compressed_segmentation decoded one voxel at a time, straight from the format's description; an oracle for tests."""

from __future__ import annotations

import struct

import numpy as np


class MalformedError(Exception):
    """The bytes do not describe all the voxels."""


def decode(
    data: bytes, shape: tuple[int, int, int, int], dtype: np.dtype, block_size: tuple[int, int, int]
) -> np.ndarray:
    """Decode a chunk of shape (x, y, z, channel); bytes after the last whole word are ignored."""
    words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
    grid = [-(-extent // block) for extent, block in zip(shape, block_size, strict=False)]
    out = np.zeros(shape, dtype, order="F")
    if len(words) < shape[3]:
        raise MalformedError("channel offsets")
    for channel in range(shape[3]):
        if words[channel] > len(words):
            raise MalformedError("channel offset")
        body = words[words[channel] :]
        if len(body) < 2 * grid[0] * grid[1] * grid[2]:
            raise MalformedError("headers")
        for z in range(grid[2]):
            for y in range(grid[1]):
                for x in range(grid[0]):
                    _block(body, (x, y, z), grid, out[..., channel], block_size)
    return out


def _word(body: tuple[int, ...], index: int) -> int:
    if index >= len(body):
        raise MalformedError(f"word {index} of {len(body)}")
    return body[index]


def _block(
    body: tuple[int, ...],
    at: tuple[int, int, int],
    grid: list[int],
    out: np.ndarray,
    block_size: tuple[int, int, int],
) -> None:
    header = 2 * (at[0] + grid[0] * (at[1] + grid[1] * at[2]))
    table, bits, values = body[header] & 0xFFFFFF, body[header] >> 24, body[header + 1]
    if bits not in (0, 1, 2, 4, 8, 16, 32):
        raise MalformedError(f"{bits} bits")
    bx, by, bz = block_size
    # All the packed indices of a block are stored, those of its padding too.
    packed_words = -(-bits * bx * by * bz // 32)
    if bits and values + packed_words > len(body):
        raise MalformedError("packed indices")
    width = out.dtype.itemsize // 4
    for z in range(min(bz, out.shape[2] - at[2] * bz)):
        for y in range(min(by, out.shape[1] - at[1] * by)):
            for x in range(min(bx, out.shape[0] - at[0] * bx)):
                index = 0
                if bits:
                    bit = bits * (x + bx * (y + by * z))
                    index = body[values + bit // 32] >> (bit % 32) & ((1 << bits) - 1)
                label = 0
                for part in range(width):
                    label |= _word(body, table + index * width + part) << (32 * part)
                out[at[0] * bx + x, at[1] * by + y, at[2] * bz + z] = label
