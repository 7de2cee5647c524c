# SPDX-License-Identifier: BSD-3-Clause
"""Volumes as dask arrays, and dask arrays as volumes; ``cloudvolume.dask``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import InvalidArgumentError

if TYPE_CHECKING:
    from cloudvolume_fast.compat.precomputed_volume import CloudVolumePrecomputed

__all__ = ["from_cloudvolume", "to_cloudvolume", "volume_to_dask"]


def _dask() -> Any:  # Any: dask's types are not needed to use this package
    try:
        import dask
        import dask.array
        import dask.base
    except ImportError as error:
        raise ImportError(
            "dask arrays need the package dask: pip install 'cloudvolume-fast[dask]'"
        ) from error
    return dask


class _Reader:
    """What dask slices: a volume whose first voxel is number 0, and whose index always has four axes."""

    def __init__(self, vol: CloudVolumePrecomputed) -> None:
        self.vol = vol
        self.shape = vol.shape
        self.dtype = vol.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        given = index if isinstance(index, tuple) else (index,)
        given += (slice(None),) * (4 - len(given))
        offset = (*self.vol.voxel_offset.tolist(), 0)
        box: list[slice] = []
        rest: list[Any] = []  # what is left to do with what was read: Any, numpy's indices
        for axis, part in enumerate(given):
            if isinstance(part, slice):
                taken = range(*part.indices(self.shape[axis]))
                step = -1 if taken.step < 0 else 1
                taken = taken[::step]
                if not taken:
                    taken = range(1)
                    rest.append(slice(0, 0))
                else:
                    rest.append(slice(None, None, step))
                box.append(slice(taken[0] + offset[axis], taken[-1] + 1 + offset[axis], taken.step))
            else:  # one number, which loses its axis
                number = int(part)
                box.append(slice(number + offset[axis], number + 1 + offset[axis]))
                rest.append(0)
        found: NDArray[Any] = np.asarray(self.vol[tuple(box)])[tuple(rest)]
        return found


def volume_to_dask(
    vol: CloudVolumePrecomputed, chunks: Any = None, name: str | None = None
) -> Any:  # a dask Array
    """Return a dask array of a volume's current scale.

    Parameters
    ----------
    vol : CloudVolume
        It is pickled to workers.
    chunks : as dask takes them, optional
        Default the scale's chunks, with all channels.
    name : str, optional
        Default ``to-dask-`` and a token of the volume.

    Returns
    -------
    dask.array.Array, shape (x, y, z, channel)
        Its first voxel is that of the volume, whatever the offset.

    Raises
    ------
    ImportError
        dask is not installed; says what to install.
    """
    return _array_of(vol, chunks, name, "to-dask-")


def _array_of(
    vol: CloudVolumePrecomputed, chunks: Any, name: str | None, prefix: str
) -> Any:  # a dask Array
    dask = _dask()
    if chunks is None:
        chunks = (*vol.chunk_size.tolist(), vol.num_channels)
    if name is None:
        name = prefix + dask.base.tokenize(vol.cloudpath, vol.mip, chunks)
    return dask.array.from_array(_Reader(vol), chunks, name=name, asarray=False, fancy=False)


def from_cloudvolume(
    cloudpath: str, chunks: Any = None, name: str | None = None, **kwargs: Any
) -> Any:  # a dask Array
    """Return a dask array of a layer.

    Parameters
    ----------
    cloudpath : str
    chunks, name
        As for `volume_to_dask`; the name's prefix is ``from-cloudvolume-``.
    **kwargs
        As for `CloudVolume`.

    Raises
    ------
    ImportError
        dask is not installed; says what to install.
    """
    from cloudvolume_fast.compat.facade import CloudVolume

    return _array_of(CloudVolume(cloudpath, **kwargs), chunks, name, "from-cloudvolume-")


class _Writer:
    """What dask stores to: a volume whose first voxel is number 0."""

    def __init__(self, vol: CloudVolumePrecomputed, ndim: int) -> None:
        self.vol = vol
        self.shape = vol.shape[:ndim]
        self.dtype = vol.dtype

    def __setitem__(self, index: tuple[slice, ...], block: NDArray[Any]) -> None:
        offset = self.vol.voxel_offset.tolist()
        box = tuple(
            slice(part.start + offset[axis], part.stop + offset[axis])
            for axis, part in enumerate(index[:3])
        )
        self.vol[box] = block

    def __getitem__(self, index: tuple[slice, ...]) -> NDArray[Any]:
        found = _Reader(self.vol)[index]
        return found[..., 0] if len(self.shape) == 3 else found


def to_cloudvolume(
    arr: Any,  # a dask Array
    cloudpath: str,
    resolution: Sequence[float] = (1, 1, 1),
    voxel_offset: Sequence[int] = (0, 0, 0),
    layer_type: str | None = None,
    encoding: str = "raw",
    max_mip: int = 0,
    compute: bool = True,
    return_stored: bool = False,
    **kwargs: Any,
) -> Any:
    """Write a dask array as a new layer, a chunk being one of dask's.

    Parameters
    ----------
    arr : dask.array.Array, shape (x, y, z) or (x, y, z, channel)
        Of regular chunks, which have all channels.
    cloudpath : str
    resolution : sequence of 3 numbers
        In nm.
    voxel_offset : sequence of 3 int
    layer_type : str, optional
        As for `CloudVolume.from_numpy`.
    encoding : str
    max_mip : int
        Scales to describe in the info; mip 0 is written.
    compute : bool
        Write now, or return what writes when it is computed.
    return_stored : bool
        Return an array that reads what was written.
    **kwargs
        As for `CloudVolume`.

    Raises
    ------
    InvalidArgumentError
        The chunks are not regular, or there are not 3 or 4 axes.
    ImportError
        dask is not installed; says what to install.
    """
    dask = _dask()
    if arr.ndim not in (3, 4):
        raise InvalidArgumentError(
            f"arr: expected 3 or 4 dimensions, found {arr.ndim}", key="arr", found=arr.ndim
        )
    _check_chunks(arr.chunks)
    from cloudvolume_fast.compat.facade import CloudVolume
    from cloudvolume_fast.compat.new_layers import commit_new, layer_type_of

    info = CloudVolume.create_new_info(
        arr.shape[3] if arr.ndim == 4 else 1,
        layer_type_of(arr.dtype) if layer_type is None else layer_type,
        arr.dtype,
        encoding,
        resolution,
        voxel_offset,
        arr.shape[:3],
        chunk_size=arr.chunksize[:3],
        max_mip=max_mip,
    )
    vol = CloudVolume(cloudpath, info=info, **kwargs)
    commit_new(vol, {"method": "cloudvolume.dask.to_cloudvolume"})
    # Chunks of the array are chunks of the layer, so that no two writers share one.
    return dask.array.store(
        arr, _Writer(vol, arr.ndim), lock=False, compute=compute, return_stored=return_stored
    )


def _check_chunks(chunks: tuple[tuple[int, ...], ...]) -> None:
    for axis, extents in enumerate(chunks):
        is_regular = all(extent == extents[0] for extent in extents[:-1])
        if not is_regular or extents[-1] > extents[0] or (axis == 3 and len(extents) > 1):
            expected = "all channels" if axis == 3 else "extents that are equal but for the last"
            raise InvalidArgumentError(
                f"arr: expected chunks of {expected} on axis {axis}, found {extents}; see rechunk",
                key="arr",
                expected=expected,
                found=extents,
            )
