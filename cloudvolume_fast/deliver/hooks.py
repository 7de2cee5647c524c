# SPDX-License-Identifier: BSD-3-Clause
"""What the core calls in Python: encodings and compressions that it does not have itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import BoxInChunk, ChunkCodec, ChunkSpec
from cloudvolume_fast.fetch.content_encoding import compress, decompress


class ChunkHooks:
    """A scale's encoding as the core calls it, one method per call.

    Parameters
    ----------
    codec : ChunkCodec or None
        None for encodings of the core, which needs `compress` and `decompress` alone.
    spec : ChunkSpec
    """

    decompress = staticmethod(decompress)
    compress = staticmethod(compress)

    def __init__(self, codec: ChunkCodec | None, spec: ChunkSpec) -> None:
        self._codec = codec
        self._spec = spec
        self.dtype = spec.dtype

    @property
    def codec(self) -> ChunkCodec:
        """The encoding."""
        assert self._codec is not None
        return self._codec

    def decode(self, data: memoryview, chunk_shape: list[int], box: BoxInChunk) -> NDArray[Any]:
        """Return the voxels of a box; see `ChunkCodec.decode`."""
        x, y, z = chunk_shape
        return self.codec.decode(data, (x, y, z), box, self._spec)

    def encode(self, voxels: NDArray[Any]) -> bytes:
        """Return a chunk; see `ChunkCodec.encode`."""
        return self.codec.encode(voxels, self._spec)

    def unique(
        self, data: memoryview, chunk_shape: list[int], box: BoxInChunk
    ) -> NDArray[np.uint64]:
        """Return the ascending, zero-extended bits of the values of a box."""
        x, y, z = chunk_shape
        values = np.ascontiguousarray(self.codec.unique(data, (x, y, z), box, self._spec)).astype(
            self.dtype
        )
        return np.unique(values.view(np.dtype(f"u{self.dtype.itemsize}")).astype(np.uint64))
