# SPDX-License-Identifier: BSD-3-Clause
"""What the delivery stage needs of a source of images; stated here, where it is consumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cloudvolume_fast._runtime import ImageLayout
    from cloudvolume_fast.locate.indexing import Bounds
    from cloudvolume_fast.model.sharding import ShardingSpecification


@dataclass(frozen=True, slots=True)
class ImageScale:
    """One scale of an image, ready for the core.

    Attributes
    ----------
    layout : ImageLayout
        The core's description: folder, grid, encoding.
    folder : str
        Cloud path of the chunks' folder, for messages.
    dtype : numpy.dtype
        Of a voxel.
    num_channels : int
    bounds : tuple of 6 int
        Of the volume at this scale, in voxels.
    chunk_size : tuple of 3 int
        In voxels.
    encoding : str
    sharding : ShardingSpecification or None
        How chunks are spread over shards; None where each is a file.
    """

    layout: ImageLayout
    folder: str
    dtype: np.dtype[Any]
    num_channels: int
    bounds: Bounds
    chunk_size: tuple[int, int, int]
    encoding: str
    sharding: ShardingSpecification | None = None
