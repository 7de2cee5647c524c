# SPDX-License-Identifier: BSD-3-Clause
"""New layers made of arrays and of crackle files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.deliver.crackle_array import layers_of, open_crackle
from cloudvolume_fast.errors import DimensionError, InvalidArgumentError
from cloudvolume_fast.model.info_creation import create_info

if TYPE_CHECKING:
    from cloudvolume_fast.compat.facade import CloudVolume
    from cloudvolume_fast.compat.precomputed_volume import CloudVolumePrecomputed


def from_numpy(
    cls: type[CloudVolume],
    arr: NDArray[Any],
    vol_path: str | None = None,
    resolution: Sequence[float] = (4, 4, 40),
    voxel_offset: Sequence[int] = (0, 0, 0),
    chunk_size: Sequence[int] = (128, 128, 64),
    layer_type: str | None = None,
    max_mip: int = 0,
    encoding: str = "raw",
    compress: str | bool | None = None,
    progress: bool = False,
    encoding_level: float | None = None,
    encoding_effort: float | None = None,
) -> CloudVolumePrecomputed:
    """Write an array as a new layer and return it, open.

    Parameters
    ----------
    arr : ndarray, shape (x, y, z) or (x, y, z, channel)
    vol_path : str, optional
        Default a new folder in the system's temporary directory, another one for each call.
    resolution : sequence of 3 numbers
        In nm.
    voxel_offset, chunk_size : sequence of 3 int
        In voxels.
    layer_type : str, optional
        Default ``segmentation`` for bool and unsigned integers of 16 bits and more, ``image`` for other numbers.
    max_mip : int
        Scales to describe in the info; only mip 0 is written.
    encoding, compress, encoding_level, encoding_effort
        As for the info and the constructor.

    Raises
    ------
    DimensionError
        The array has neither 3 nor 4 axes.
    InvalidArgumentError
        Its dtype is no number.
    """
    import random  # these are slow to load, and few calls need them
    import string
    import tempfile

    if arr.ndim not in (3, 4):
        raise DimensionError(
            f"arr: expected 3 or 4 dimensions, found {arr.ndim}",
            key="arr",
            expected=(3, 4),
            found=arr.ndim,
        )
    if layer_type is None:
        layer_type = layer_type_of(arr.dtype)
    if vol_path is None:
        name = "".join(random.choices(string.ascii_lowercase + string.digits, k=12))
        vol_path = f"file://{os.path.join(tempfile.gettempdir(), 'image', name)}"
    info = create_info(
        arr.shape[3] if arr.ndim == 4 else 1,
        layer_type,
        arr.dtype,
        encoding,
        resolution,
        voxel_offset,
        arr.shape[:3],
        chunk_size=chunk_size,
        max_mip=max_mip,
        encoding_level=encoding_level,
        encoding_effort=encoding_effort,
    )
    vol = cls(vol_path, info=info, bounded=True, compress=compress, progress=progress)
    commit_new(vol, {"method": "from_numpy"})
    vol[:, :, :] = arr
    return vol


def from_crackle(
    cls: type[CloudVolume],
    src: Any,  # path, bytes or a CrackleArray
    cloudpath: str | os.PathLike[str],
    resolution: Sequence[float] = (1, 1, 1),
    voxel_offset: Sequence[int] = (0, 0, 0),
    chunk_size: Sequence[int] = (256, 256, 16),
    encoding: str = "compressed_segmentation",
    compress: str | bool | None = "gzip",
    progress: bool = False,
    allow_mmap: bool = True,
) -> CloudVolumePrecomputed:
    """Write a crackle file as a new segmentation and return it, open.

    No more than one layer of chunks is decompressed at a time.

    Parameters
    ----------
    src : path, bytes or crackle.CrackleArray
    cloudpath : str or path
        Of the new layer.
    resolution : sequence of 3 numbers
        In nm.
    voxel_offset, chunk_size : sequence of 3 int
        In voxels.
    encoding, compress
        As for the info and the constructor.
    progress : bool
        Show a bar for each layer of chunks.
    allow_mmap : bool
        Map a file instead of loading it.

    Raises
    ------
    ImportError
        crackle-codec is not installed.
    EncodingError
        The encoding cannot hold the labels' type.
    """
    labels = open_crackle(src, allow_mmap)
    info = create_info(
        1,
        "segmentation",
        np.dtype(labels.dtype),
        encoding,
        resolution,
        voxel_offset,
        labels.shape[:3],
        chunk_size=chunk_size,
    )
    vol = cls(cloudpath, info=info, bounded=True, compress=compress, progress=progress)
    vol.image.image_scale(0)  # before anything is written, whether the encoding can hold the labels
    source = {"source": os.fspath(src)} if isinstance(src, (str, os.PathLike)) else {}
    commit_new(vol, {"method": "from_crackle", **source})
    x, y, z = (int(start) for start in voxel_offset)
    for first, layer in layers_of(labels, int(vol.chunk_size[2])):
        vol.image.upload(layer, (x, y, z + first), 0)
    return vol


def layer_type_of(dtype: np.dtype[Any]) -> str:
    """Return the layer type for values of a type.

    Raises
    ------
    InvalidArgumentError
        They are no numbers.
    """
    if dtype in (np.bool_, np.uint16, np.uint32, np.uint64):
        return "segmentation"
    if dtype.kind in "iuf":
        return "image"
    raise InvalidArgumentError(
        f"arr: expected numbers, found {dtype}; or give layer_type", key="arr", found=dtype
    )


def commit_new(vol: CloudVolumePrecomputed, step: dict[str, str]) -> None:
    """Write the info of a new layer, and its provenance with the step that made it."""
    vol.commit_info()
    import datetime  # as above

    date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    vol.provenance.processing.append({**step, "date": date})
    vol.commit_provenance()
