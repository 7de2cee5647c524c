# SPDX-License-Identifier: BSD-3-Clause
"""What the core calls in Python: encodings and compressions that it does not have itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import BoxInChunk, ChunkCodec, ChunkEncoder, ChunkSpec
from cloudvolume_fast.fetch.content_encoding import (
    ContentTooLongError,
    compress,
    decompress,
)


class ChunkHooks:
    """A scale's encoding as the core calls it, one method per call.

    Parameters
    ----------
    load : callable
        Returns what a package does for the encoding: a `ChunkCodec`, a `ChunkEncoder` where the core
        decodes, None for encodings of the core.  Called when the core first asks for it.
    spec : ChunkSpec
    """

    compress = staticmethod(compress)

    def __init__(
        self, load: Callable[[], ChunkCodec | ChunkEncoder | None], spec: ChunkSpec
    ) -> None:
        self._load = load
        self._spec = spec
        self.dtype = spec.dtype

    @staticmethod
    def decompress(suffix: str, data: memoryview, limit: int) -> bytes:
        """Return a chunk's content, or any `limit` + 1 bytes where it is longer, which is how the core is told."""
        try:
            return decompress(suffix, data, limit)
        except ContentTooLongError:
            return bytes(limit + 1)

    @cached_property
    def codec(self) -> Any:  # Any: decode and unique are called only where the core does not decode
        """The package's part."""
        return self._load()

    def decode(self, data: memoryview, chunk_shape: list[int], box: BoxInChunk) -> NDArray[Any]:
        """Return the voxels of a box; see `ChunkCodec.decode`."""
        x, y, z = chunk_shape
        voxels: NDArray[Any] = self.codec.decode(data, (x, y, z), box, self._spec)
        return voxels

    def encode(self, voxels: NDArray[Any]) -> bytes:
        """Return a chunk; see `ChunkCodec.encode`."""
        encoded: bytes = self.codec.encode(voxels, self._spec)
        return encoded

    def unique(
        self, data: memoryview, chunk_shape: list[int], box: BoxInChunk
    ) -> NDArray[np.uint64]:
        """Return the ascending, zero-extended bits of the values of a box."""
        x, y, z = chunk_shape
        values = np.ascontiguousarray(self.codec.unique(data, (x, y, z), box, self._spec)).astype(
            self.dtype
        )
        return np.unique(values.view(np.dtype(f"u{self.dtype.itemsize}")).astype(np.uint64))
