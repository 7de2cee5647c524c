# SPDX-License-Identifier: BSD-3-Clause
"""compresso, by the package of its name: labels of 1, 2, 4 or 8 bytes, 1 channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import BoxInChunk, ChunkSpec, Triple, check_claim, crop, is_whole
from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import EncodingError

package = require("compresso")

_MAX_EXTENT = 65535  # the header's fields are uint16


class CompressoCodec:
    """See the module; a box reads only its slices where the file has an index of them."""

    @staticmethod
    def _checked(
        data: memoryview, chunk_shape: Triple, spec: ChunkSpec
    ) -> tuple[bytes, dict[str, Any]]:
        raw = bytes(data)
        header = package.header(raw)
        check_claim("chunk shape", chunk_shape, (header["sx"], header["sy"], header["sz"]))
        check_claim("bytes of a label", spec.dtype.itemsize, header["data_width"])
        return raw, header

    def decode(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the voxels of a box."""
        raw, header = self._checked(data, chunk_shape, spec)
        if header["format_version"] >= 1 and box[5] - box[2] < chunk_shape[2]:
            labels = package.decompress(raw, z=(box[2], box[5]))
            box = (box[0], box[1], 0, box[3], box[4], box[5] - box[2])
        else:
            labels = package.decompress(raw)
        return crop(labels.view(spec.dtype)[..., np.newaxis], box)

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk."""
        if max(voxels.shape[:3]) > _MAX_EXTENT:
            raise EncodingError(
                f"compresso: expected extents of at most {_MAX_EXTENT}, found {voxels.shape[:3]}",
                expected=_MAX_EXTENT,
                found=voxels.shape[:3],
            )
        labels = np.asfortranarray(voxels[..., 0])
        if labels.dtype == np.bool_:
            labels = labels.view(np.uint8)
        return bytes(package.compress(labels))

    def unique(
        self, data: memoryview, chunk_shape: Triple, box: BoxInChunk, spec: ChunkSpec
    ) -> NDArray[Any]:
        """Return the labels of a box; those of a whole chunk stand in the file."""
        raw, _ = self._checked(data, chunk_shape, spec)
        if is_whole(chunk_shape, box):
            return np.asarray(package.labels(raw)).astype(spec.dtype)
        return np.unique(self.decode(data, chunk_shape, box, spec))


CODEC = CompressoCodec()
