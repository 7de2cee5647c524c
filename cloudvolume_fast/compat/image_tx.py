# SPDX-License-Identifier: BSD-3-Clause
"""Functions of ``cloudvolume.datasource.precomputed.image.tx``: writes without a volume, over its image source."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numpy.typing import NDArray

from cloudvolume_fast.compat import image_common
from cloudvolume_fast.compat.options import checked_cdn_cache
from cloudvolume_fast.compat.sources import PrecomputedImageSource, PrecomputedMetadata
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import AlignmentError, InvalidArgumentError, UnsupportedOptionError
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.sources.precomputed.given_cache import use_cache

__all__ = [
    "child_upload_process",
    "threaded_upload_chunks",
    "upload",
    "upload_aligned",
    "upload_with_overwrite_partial_chunks",
]


def __getattr__(name: str) -> Any:  # Any: see image_common
    if name in ("fs_lock", "progress_queue"):
        return getattr(image_common, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _source(
    meta: PrecomputedMetadata, cache: Any, lru: Any, **settings: Any
) -> PrecomputedImageSource:
    known = {field.name for field in dataclasses.fields(VolumeConfig)}
    config = VolumeConfig(**{name: settings[name] for name in settings if name in known})
    source = PrecomputedImageSource.over(meta, config)
    source.cache = cache
    use_cache(meta, cache)
    if lru is not None:
        source.lru = lru
    return source


def check_reader(meta: PrecomputedMetadata, lru: Any, lru_encoding: str, secrets: Any) -> None:
    """Refuse what an open layer would not follow: another encoding than its cache's, other credentials than its own.

    Raises
    ------
    InvalidArgumentError, UnsupportedOptionError
    """
    kept = "same" if lru is None else getattr(lru, "encoding", "same")
    if lru is not None and lru_encoding != kept:
        raise InvalidArgumentError(
            f"lru_encoding: expected that of lru, {kept}, found {lru_encoding}",
            key="lru_encoding",
            expected=kept,
            found=lru_encoding,
        )
    if secrets is not None and not meta.has_secrets(secrets):
        raise UnsupportedOptionError(
            f"{meta.cloudpath}: secrets: expected None or those that the metadata were made with, found others",
            key="secrets",
        )


def upload(
    meta: PrecomputedMetadata,
    cache: Any,  # a CacheService
    lru: Any,  # a ChunkLRU
    lru_encoding: str,
    image: NDArray[Any],
    offset: Sequence[int],
    mip: int,
    compress: str | bool | None = None,
    compress_level: int | None = None,
    cdn_cache: bool | int | str | None = None,
    parallel: int = 1,
    progress: bool | str = False,
    delete_black_uploads: bool = False,
    background_color: Any = 0,  # a number of the volume's type
    non_aligned_writes: bool = False,
    overwrite_partial_chunks: bool = False,
    location: str | None = None,
    location_bbox: Bbox | None = None,
    location_order: str = "F",
    use_shared_memory: bool = False,
    use_file: bool = False,
    green: bool = False,
    fill_missing: bool = False,
    secrets: Any = None,  # of the metadata's store already
) -> None:
    """Write an image.

    Parameters
    ----------
    meta : PrecomputedMetadata
    cache : CacheService or None
    lru : ChunkLRU or None
        Of the volume; written chunks go there, too.
    lru_encoding : str
        That of `lru`.
    image : ndarray, shape (x, y, z) or (x, y, z, channel)
    offset : sequence of 3 int
        Its first voxel, in voxels of `mip`.
    mip : int
    use_shared_memory, use_file : bool
        Write what lies at `location` in the place of `image`, of which then only the shape counts.
    location : str, optional
        Name of a segment of shared memory or path of a file; needs one of these.
    location_bbox : Bbox, optional
        What it holds, in voxels of `mip`; default the box of the image.
    location_order : {"F", "C"}
    compress, compress_level, cdn_cache, parallel, progress, delete_black_uploads, background_color
        As for the constructor of volumes.
    non_aligned_writes, overwrite_partial_chunks, green, fill_missing
        As well.
    secrets
        None, or those that `meta` was made with.

    Raises
    ------
    AlignmentError, OutOfBoundsError, InvalidArgumentError, ReadOnlyException, UnsupportedOptionError
    ChunkWriteError, EncodingError, CompressionError, EmptyVolumeException, SharedMemoryReadError
    """
    check_reader(meta, lru, lru_encoding, secrets)
    if (use_shared_memory and use_file) or (location is None) == (use_shared_memory or use_file):
        raise InvalidArgumentError(
            "location: expected it beside one of use_shared_memory and use_file, or none of them, found "
            f"location={location!r}, use_shared_memory={use_shared_memory}, use_file={use_file}",
            key="location",
            found=location,
        )
    source = _source(
        meta,
        cache,
        lru,
        mip=mip,
        compress=compress,
        compress_level=compress_level,
        cdn_cache=checked_cdn_cache(True if cdn_cache is None else cdn_cache),
        parallel=parallel,
        progress=bool(progress),
        progress_title=progress if isinstance(progress, str) else None,
        delete_black_uploads=delete_black_uploads,
        background_color=background_color,
        non_aligned_writes=non_aligned_writes,
        overwrite_partial_chunks=overwrite_partial_chunks,
        green_threads=green,
        fill_missing=fill_missing,
    )
    write: Callable[[], None]
    if location is None:
        write = functools.partial(source.upload, image, offset, mip)
    else:
        box = Bbox.from_delta(offset, image.shape[:3])
        held = box if location_bbox is None else location_bbox
        read = source.upload_from_file if use_file else source.upload_from_shared_memory
        write = functools.partial(read, location, held, mip, location_order, box)
    if green:
        from cloudvolume_fast.deliver.green import run_green

        run_green(write)
    else:
        write()


def upload_aligned(
    meta: PrecomputedMetadata,
    cache: Any,
    lru: Any,
    img: NDArray[Any],
    offset: Sequence[int],
    mip: int,
    compress: str | bool | None = None,
    compress_level: int | None = None,
    cdn_cache: bool | int | str | None = None,
    progress: bool | str = False,
    parallel: int = 1,
    location: str | None = None,
    location_bbox: Bbox | None = None,
    location_order: str = "F",
    use_shared_memory: bool = False,
    use_file: bool = False,
    delete_black_uploads: bool = False,
    background_color: Any = 0,
    green: bool = False,
    secrets: Any = None,
    lru_encoding: str = "same",
) -> None:
    """Write an image of whole chunks; see `upload`."""
    upload(
        meta,
        cache,
        lru,
        lru_encoding,
        img,
        offset,
        mip,
        compress,
        compress_level,
        cdn_cache,
        parallel,
        progress,
        delete_black_uploads,
        background_color,
        location=location,
        location_bbox=location_bbox,
        location_order=location_order,
        use_shared_memory=use_shared_memory,
        use_file=use_file,
        green=green,
        secrets=secrets,
    )


def upload_with_overwrite_partial_chunks(
    meta: PrecomputedMetadata,
    cache: Any,
    lru: Any,
    image: NDArray[Any],
    offset: Sequence[int],
    mip: int,
    bounds: Bbox,
    **options: Any,
) -> None:
    """Write an image, chunks that it covers in part being replaced; options as for `upload`.

    Raises
    ------
    AlignmentError
        `bounds` is not the image's box.
    """
    box = Bbox.from_delta(offset, image.shape[:3])
    if Bbox.create(bounds) != box:
        raise AlignmentError(
            f"bounds: expected the image's {box}, found {bounds}",
            key="bounds",
            expected=box,
            found=bounds,
        )
    lru_encoding = options.pop("lru_encoding", "same")
    options |= {"non_aligned_writes": True, "overwrite_partial_chunks": True}
    upload(meta, cache, lru, lru_encoding, image, offset, mip, **options)


def threaded_upload_chunks(
    meta: PrecomputedMetadata,
    cache: Any,
    lru: Any,
    img: NDArray[Any],
    mip: int,
    chunk_ranges: Iterable[tuple[Any, Any, Any, Any]],  # of compat.datasource.generate_chunks
    compress: str | bool | None,
    cdn_cache: bool | int | str | None,
    progress: bool | str,
    n_threads: int = 20,
    delete_black_uploads: bool = False,
    background_color: Any = 0,
    green: bool = False,
    compress_level: int | None = None,
    secrets: Any = None,
    lru_encoding: str = "same",
) -> None:
    """Write chunks of an image, given where each begins and ends in it and in the volume; see `upload`."""
    for low, high, start, _ in chunk_ranges:
        part = img[Bbox(low, high).to_slices()]
        upload(
            meta,
            cache,
            lru,
            lru_encoding,
            part,
            start,
            mip,
            compress,
            compress_level,
            cdn_cache,
            max(1, n_threads),
            progress,
            delete_black_uploads,
            background_color,
            green=green,
            secrets=secrets,
        )


def child_upload_process(
    meta: PrecomputedMetadata,
    cache: Any,
    img_shape: Sequence[int],
    offset: Sequence[int],
    mip: int,
    compress: str | bool | None,
    cdn_cache: bool | int | str | None,
    progress: bool | str,
    location: str,
    location_bbox: Bbox | None,
    location_order: str,
    delete_black_uploads: bool,
    background_color: Any,
    green: bool,
    chunk_ranges: Sequence[tuple[Any, Any, Any, Any]],
    compress_level: int | None = None,
    secrets: Any = None,
) -> int:
    """Write chunks of an image that lies in shared memory, in a process that did not put it there.

    Parameters
    ----------
    img_shape : sequence of 4 int
        Of the image in shared memory; that of `location_bbox` if one is given.
    offset : sequence of 3 int
        Its first voxel in the volume.
    location : str
        Name of the segment.
    location_bbox : Bbox, optional
        The box that the segment holds, of which the image is the part at `offset`.
    location_order : {"F", "C"}
    chunk_ranges, others
        As for `threaded_upload_chunks`.

    Returns
    -------
    int
        How many chunks there were.
    """
    from cloudvolume_fast import sharedmemory

    extents = img_shape[:3] if location_bbox is None else location_bbox.size3().tolist()
    shape = [*extents, meta.num_channels]
    handle, whole = sharedmemory.ndarray(
        shape=shape,
        dtype=meta.dtype,
        location=location,
        order=location_order,
        readonly=True,
    )
    try:
        image = whole
        if location_bbox is not None:
            box = Bbox.from_delta(offset, img_shape[:3]) - location_bbox.minpt
            image = whole[box.to_slices()]
        threaded_upload_chunks(
            meta,
            cache,
            None,
            image,
            mip,
            chunk_ranges,
            compress,
            cdn_cache,
            progress,
            delete_black_uploads=delete_black_uploads,
            background_color=background_color,
            green=green,
            compress_level=compress_level,
            secrets=secrets,
        )
        del image, whole
    finally:
        handle.close()
    return len(chunk_ranges)
