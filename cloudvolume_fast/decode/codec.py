# SPDX-License-Identifier: BSD-3-Clause
"""What an encoding outside of the core must be able to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import ChunkDecodeError, InvalidArgumentError

Triple = tuple[int, int, int]
BoxInChunk = tuple[int, int, int, int, int, int]
"""(x0, y0, z0, x1, y1, z1) of a half-open box, in voxels from the chunk's first."""


@dataclass(frozen=True, slots=True)
class ChunkSpec:
    """What the chunks of one scale hold.

    Attributes
    ----------
    dtype : numpy.dtype
    num_channels : int
    scale : dict
        The entry of ``info["scales"]``, for the encoding's own members (``jpeg_quality`` and the like).
    threads : int
        How many threads a package may use within one call, where it can (``codec_threads`` of a volume).
    """

    dtype: np.dtype[Any]
    num_channels: int
    scale: Mapping[str, Any]
    threads: int = 1

    def shape(self, chunk_shape: Triple) -> tuple[int, int, int, int]:
        """Return the (x, y, z, channel) shape of a chunk."""
        return (*chunk_shape, self.num_channels)

    def chunk_bytes(self, chunk_shape: Triple) -> int:
        """Return the bytes of a chunk's voxels."""
        x, y, z = chunk_shape
        return x * y * z * self.num_channels * self.dtype.itemsize


class ChunkEncoder(Protocol):
    """What an encoding that the core decodes needs besides.  Called from several threads at once; keeps no state."""

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk, given its voxels of shape (x, y, z, channel) with any strides."""


class ChunkCodec(ChunkEncoder, Protocol):
    """One encoding.  Methods are called from several threads at once and keep no state.

    Malformed bytes raise `ChunkDecodeError`, or whatever the package raises: either is reported with the chunk's key.
    A decoder checks what a header claims against `chunk_shape` before it allocates.
    """

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box of a chunk, shape (x, y, z, channel), any strides."""

    def unique(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the distinct values of a box of a chunk, ascending."""


class DecodedCodec:
    """What follows from decoding alone, for encodings that permit nothing cheaper."""

    def unique(
        self: ChunkCodec, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the distinct values of a box of a chunk, ascending."""
        return np.unique(self.decode(data, chunk_shape, box, spec))


def crop(voxels: NDArray[Any], box: BoxInChunk) -> NDArray[Any]:
    """Return a view of a box of a whole chunk."""
    return voxels[box[0] : box[3], box[1] : box[4], box[2] : box[5]]


def check_claim(what: str, expected: object, found: object) -> None:
    """Raise unless a header claims what the info says.

    Raises
    ------
    ChunkDecodeError
    """
    if expected != found:
        raise ChunkDecodeError(
            f"{what}: expected {expected}, found {found}", expected=expected, found=found
        )


def number(
    scale: Mapping[str, Any], name: str, low: float, high: float, *, is_whole: bool = True
) -> float | None:
    """Return a member of a scale that is a number, from `low` to `high`; None where there is none.

    Parameters
    ----------
    scale : mapping
    name : str
    low, high : float
        What the encoder takes; packages do not look, and some write out of bounds.
    is_whole : bool
        Whether it must be a whole number.

    Raises
    ------
    InvalidArgumentError
    """
    value = scale.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not low <= value <= high
        or (is_whole and value != int(value))
    ):
        kind = "a whole number" if is_whole else "a number"
        bounds = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
        raise InvalidArgumentError(
            f"{name}: expected {kind} {bounds}, found {value!r}",
            key=name,
            expected=(low, high),
            found=value,
        )
    return value
