# SPDX-License-Identifier: BSD-3-Clause
"""crackle, by the package crackle-codec: labels of 1, 2, 4 or 8 bytes, 1 channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import BoxInChunk, ChunkSpec, Triple, check_claim, crop, is_whole
from cloudvolume_fast.decode.registry import require

package = require("crackle", "crackle")


class CrackleCodec:
    """See the module; a box reads only its slices."""

    @staticmethod
    def _checked(data: memoryview, chunk_shape: Triple, spec: ChunkSpec) -> bytes:
        raw = bytes(data)
        header = package.header(raw)
        check_claim("chunk shape", chunk_shape, (header.sx, header.sy, header.sz))
        check_claim("bytes of a label", spec.dtype.itemsize, header.data_width)
        return raw

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        raw = self._checked(data, chunk_shape, spec)
        labels = package.codec.decompress_range(raw, box[2], box[5], 1)
        flat = (box[0], box[1], 0, box[3], box[4], box[5] - box[2])
        return crop(labels.view(spec.dtype)[..., np.newaxis], flat)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk: flat labels, no Markov model, as upstream writes it."""
        labels = np.asfortranarray(voxels[..., 0])
        if labels.dtype == np.bool_:
            labels = labels.view(np.uint8)
        return bytes(package.compress(labels, parallel=1))

    def unique(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the labels of a box; those of a whole chunk stand in the file."""
        if is_whole(chunk_shape, box):
            return np.asarray(package.labels(self._checked(data, chunk_shape, spec))).astype(
                spec.dtype
            )
        return np.unique(self.decode(data, chunk_shape, box, spec))


CODEC = CrackleCodec()
