# SPDX-License-Identifier: BSD-3-Clause
"""Encoding compresso, by the package of its name: labels of 1, 2, 4 or 8 bytes, 1 channel.  The core decodes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import EncodingError

package = require("compresso")

_MAX_EXTENT = 65535  # the header's fields are uint16


class CompressoEncoder:
    """See the module."""

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


CODEC = CompressoEncoder()
