# SPDX-License-Identifier: BSD-3-Clause
"""What upstream's sources of images share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.compat.lib import xyzrange
from cloudvolume_fast.compat.paths import ascloudpath, extract
from cloudvolume_fast.errors import AlignmentError, ReadOnlyException
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.vec import Vec

__all__ = [
    "NON_ALIGNED_WRITE",
    "ImageSourceInterface",
    "autocropfn",
    "check_grid_aligned",
    "generate_chunks",
    "get_cache_path",
    "get_cache_path_helper",
    "readonlyguard",
]

NON_ALIGNED_WRITE = (
    "mip {mip}: expected a box of whole chunks of {chunk_size} voxels from {offset}, found {got}; the nearest is "
    "{check}. Writing parts of chunks reads the whole ones and is not safe while another program writes them; "
    "non_aligned_writes=True allows it"
)


class ImageSourceInterface:
    """What a source of images can do; subclasses of other packages define it."""

    def _absent(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not define {name}")

    def download(self, bbox: Bbox, mip: int) -> Any:
        """Read a box."""
        raise self._absent("download")

    def upload(self, image: NDArray[Any], offset: Sequence[int], mip: int) -> Any:
        """Write an image."""
        raise self._absent("upload")

    def exists(self, bbox: Bbox, mip: int) -> Any:
        """Tell which chunks of a box are stored."""
        raise self._absent("exists")

    def delete(self, bbox: Bbox, mip: int) -> Any:
        """Remove the chunks of a box."""
        raise self._absent("delete")

    def transfer_to(self, cloudpath: str, bbox: Bbox, mip: int) -> Any:
        """Copy a box to another layer."""
        raise self._absent("transfer_to")


def readonlyguard(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method raise `ReadOnlyException` where its object has ``readonly`` set."""

    @functools.wraps(fn)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.readonly:
            where = getattr(getattr(self, "meta", None), "cloudpath", type(self).__name__)
            raise ReadOnlyException(
                f"{where}: expected a source that may be written, found readonly set", key=where
            )
        return fn(self, *args, **kwargs)

    return guarded


def autocropfn(
    meta: Any,  # any metadata with bounds
    image: NDArray[Any],
    bbox: Bbox,
    mip: int,
) -> tuple[NDArray[Any], Bbox]:
    """Return the part of an image that is within the volume, and its box."""
    cropped = Bbox.intersection(bbox, meta.bounds(mip))
    return image[(cropped - bbox.minpt).to_slices()], cropped


def check_grid_aligned(
    meta: Any, img: NDArray[Any], bounds: Bbox, mip: int, throw_error: bool = False
) -> tuple[bool, Bbox]:
    """Tell whether a box is of whole chunks, the volume's own end counting as one.

    Parameters
    ----------
    meta : metadata with bounds, chunk_size, voxel_offset
    img : ndarray
        Its first three extents are those of the box.
    bounds : Bbox
    mip : int
    throw_error : bool

    Returns
    -------
    bool
    Bbox
        The whole chunks closest to it.

    Raises
    ------
    AlignmentError
        It is not, and `throw_error` is set.
    """
    low = Vec(*bounds.minpt)
    shape = Vec(*img.shape[:3])
    box = Bbox(low, low + shape)
    size, offset = meta.chunk_size(mip), meta.voxel_offset(mip)
    aligned = Bbox.clamp(box.expand_to_chunk_size(size.tolist(), offset.tolist()), meta.bounds(mip))
    fits = bool(aligned == box)
    if throw_error and not fits:
        text = NON_ALIGNED_WRITE.format(
            mip=mip, chunk_size=size, offset=offset, got=box, check=aligned
        )
        raise AlignmentError(text, key=str(mip), expected=aligned, found=box)
    return fits, aligned


def generate_chunks(
    meta: Any,
    img: NDArray[Any],
    offset: Sequence[int],
    mip: int,
    chunk_size: Sequence[int] | None = None,
) -> Iterator[tuple[Vec, Vec, Vec, Vec]]:
    """Yield the chunks of an image: where each begins and ends in it, and in the volume.

    Parameters
    ----------
    meta : metadata with bounds, chunk_size, voxel_offset
    img : ndarray, of whole chunks
    offset : sequence of 3 int
        First voxel of the image in the volume.
    mip : int
    chunk_size : sequence of 3 int, optional
        Default the scale's.

    Raises
    ------
    AlignmentError
        By the scale's chunks, the image is not of whole ones.
    """
    shape = Vec(*img.shape[:3])
    start = Vec(*(int(value) for value in offset))
    size = Vec(*(meta.chunk_size(mip) if chunk_size is None else chunk_size))
    volume = meta.bounds(mip)
    box = Bbox(start, start + shape)
    phase = np.asarray(start - volume.minpt) % np.asarray(size)
    # The volume's end counts as one of chunks; beyond the image the last chunk is cut.
    if phase.any():
        text = NON_ALIGNED_WRITE.format(
            mip=mip, chunk_size=size, offset=volume.minpt, got=box,
            check=box.expand_to_chunk_size(size.tolist(), volume.minpt.tolist()),
        )  # fmt: skip
        raise AlignmentError(text, key=str(mip), found=box)
    for low in xyzrange((0, 0, 0), shape.tolist(), size.tolist()):
        high = Vec(*np.minimum(low + size, shape))
        yield low, high, Vec(*(start + low)), Vec(*(start + high))


def get_cache_path_helper(base: str, cloudpath: str) -> str:
    """Return the folder of a layer in a cache."""
    path = extract(cloudpath)
    whole = ascloudpath(path).rpartition("://")[2]
    return os.path.join(base, path.protocol, whole.lstrip("/"))


def get_cache_path(cache: bool | str | None, cloudpath: str) -> str:
    """Return the folder of a layer in the cache that a ``cache`` option stands for."""
    if isinstance(cache, str):
        return get_cache_path_helper(os.path.expanduser(cache), cloudpath)
    base = os.environ.get("CLOUD_VOLUME_CACHE_DIR")
    if not base:
        home = os.environ.get("CLOUD_VOLUME_DIR") or os.path.join("~", ".cloudvolume")
        base = os.path.join(os.path.expanduser(home), "cache")
    return get_cache_path_helper(base, cloudpath)
