# SPDX-License-Identifier: BSD-3-Clause
"""Slices of a volume as picture files, for looking at."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import InvalidArgumentError


def _to_grey(image: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    span = high - low
    if span <= 0:
        return np.zeros(image.shape, np.uint8)
    return np.asarray(
        np.clip((image.astype(np.float64) - low) / span * 255.0, 0, 255), dtype=np.uint8
    )


def save_images(
    image: NDArray[Any],
    directory: str | os.PathLike[str],
    axis: str = "z",
    channel: int | None = None,
    global_norm: bool = True,
    image_format: str = "PNG",
    progress: bool = True,
) -> str:
    """Save one picture per slice and channel; see `VolumeCutout.save_images`.

    Parameters
    ----------
    image : ndarray, shape (x, y, z) or (x, y, z, channel)

    Raises
    ------
    ImportError
        Pillow is not installed.
    InvalidArgumentError
        There is no such axis.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "the package PIL is not installed: pip install 'cloudvolume-fast[images]'"
        ) from error
    axes = {"x": 0, "y": 1, "z": 2}
    if axis not in axes:
        raise InvalidArgumentError(
            f"axis: expected x, y or z, found {axis!r}", key="axis", found=axis
        )
    if image.ndim == 3:
        image = image[..., np.newaxis]
    os.makedirs(directory, exist_ok=True)
    as_is = image.dtype in (np.uint8, np.bool_)
    bounds = (0.0, 0.0) if as_is or image.size == 0 else (float(image.min()), float(image.max()))
    slices = np.moveaxis(image, axes[axis], 0)
    channels = range(image.shape[3]) if channel is None else (channel,)
    digits = len(str(max(len(slices) - 1, 0)))
    numbers: Any = range(len(slices))
    if progress:
        from tqdm import tqdm

        numbers = tqdm(numbers, desc="Saving images")
    for number in numbers:
        for index in channels:
            plane = slices[number][..., index]
            if plane.dtype == np.bool_:
                grey = plane.astype(np.uint8) * 255
            elif as_is:
                grey = plane
            else:
                low, high = bounds if global_norm else (float(plane.min()), float(plane.max()))
                grey = _to_grey(plane, low, high)
            name = f"{number:0{digits}d}" + ("" if image.shape[3] == 1 else f"_c{index}")
            path = os.path.join(directory, f"{name}.{image_format.lower()}")
            # Rows of a picture are y, its columns x.
            Image.fromarray(np.ascontiguousarray(grey.T)).save(path, image_format)
    return os.fspath(directory)
