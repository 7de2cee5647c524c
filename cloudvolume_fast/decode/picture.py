# SPDX-License-Identifier: BSD-3-Clause
"""How chunks are laid out in pictures, which jpeg, jxl and png share (Neuroglancer, volume.rst, chunk encodings).

A chunk is one picture whose rows, put one after the other, are the chunk in Fortran order; a pixel's components are its
channels.  Writers use width x and height y * z; readers accept every width and height with the right product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.codec import Triple
from cloudvolume_fast.errors import ChunkDecodeError, EncodingError


def check_pixels(width: int, height: int, chunk_shape: Triple) -> None:
    """Raise unless a picture has as many pixels as a chunk has voxels.

    Raises
    ------
    ChunkDecodeError
    """
    x, y, z = chunk_shape
    if width * height != x * y * z:
        raise ChunkDecodeError(
            f"picture size: expected {x * y * z} pixels for a chunk of {x} x {y} x {z}, found {width} x {height}",
            expected=x * y * z,
            found=width * height,
        )


def to_voxels(
    pixels: NDArray[np.uint8], chunk_shape: Triple, num_channels: int
) -> NDArray[np.uint8]:
    """Return a view of shape (x, y, z, channel) of pixels of shape (height, width[, channel]), C order.

    Raises
    ------
    ChunkDecodeError
        The picture has another number of components.
    """
    x, y, z = chunk_shape
    found = pixels.shape[2] if pixels.ndim == 3 else 1
    if found != num_channels:
        raise ChunkDecodeError(
            f"components of a pixel: expected {num_channels}, found {found}",
            expected=num_channels,
            found=found,
        )
    return np.ascontiguousarray(pixels).reshape(z, y, x, num_channels).transpose(2, 1, 0, 3)


def to_pixels(voxels: NDArray[np.uint8], max_extent: int) -> NDArray[np.uint8]:
    """Return pixels of shape (height, width, channel), C order: width x and height y * z if that is not too high.

    Parameters
    ----------
    voxels : ndarray of uint8, shape (x, y, z, channel)
    max_extent : int
        Largest width or height of the format.

    Raises
    ------
    EncodingError
        No width and height within the limit hold the chunk.
    """
    x, y, z, channels = voxels.shape
    rows = np.ascontiguousarray(voxels.transpose(2, 1, 0, 3))
    for width, height in ((x, y * z), (x * y, z), (x * z, y)):
        if max(width, height) <= max_extent:
            return rows.reshape(height, width, channels)
    raise EncodingError(
        f"chunk of {x} x {y} x {z}: expected to fit a picture of at most {max_extent} x {max_extent}",
        expected=max_extent,
        found=(x, y, z),
    )
