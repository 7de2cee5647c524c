# SPDX-License-Identifier: BSD-3-Clause
"""Encoding crackle, by the package crackle-codec: labels of 1, 2, 4 or 8 bytes, 1 channel.  The core decodes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.decode.registry import require

package = require("crackle")


class CrackleEncoder:
    """See the module."""

    def encode(self, voxels: NDArray[Any], spec: ChunkSpec) -> bytes:
        """Return a chunk: flat labels, no Markov model, as upstream writes it."""
        labels = np.asfortranarray(voxels[..., 0])
        if labels.dtype == np.bool_:
            labels = labels.view(np.uint8)
        return bytes(package.compress(labels, parallel=spec.threads))


CODEC = CrackleEncoder()
