# SPDX-License-Identifier: BSD-3-Clause
"""Chunks as files: whether they are there, their bytes, their removal."""

from __future__ import annotations

import os
from typing import Any

from cloudvolume_fast.deliver.files import read_files
from cloudvolume_fast.deliver.outcome import raise_outcome
from cloudvolume_fast.deliver.progress import ChunkProgress
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import AlignmentError
from cloudvolume_fast.locate.indexing import (
    Bounds,
    check_bounds,
    chunk_aligned,
    clip,
    expand_to_chunks,
    show,
)
from cloudvolume_fast.options import ReadOptions
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess
from cloudvolume_fast.sources.precomputed.metadata import MipLike
from cloudvolume_fast.sources.precomputed.voxels import bounds_of


def exists(
    source: ImageAccess, bbox: Any, mip: int | None = None
) -> dict[str, bool]:  # Any: what Bbox.create takes
    """Tell of each chunk that a box touches whether it is stored.

    Returns
    -------
    dict
        ``key/x0-x1_y0-y1_z0-z1`` to bool.

    Raises
    ------
    OutOfBoundsError
    """
    index = source.to_mip(mip)
    scale = source.image_scale(index)
    bounds = bounds_of(bbox, source.meta, index)
    check_bounds(bounds, scale.bounds, scale.folder)
    outcome, names, flags = scale.layout.list_chunks(bounds, True, source.config.threads)
    if outcome is not None:
        raise_outcome(outcome, scale.folder)
    key = source.meta.key(index)
    return {f"{key}/{name}": flag for name, flag in zip(names, flags, strict=True)}


def has_data(source: ImageAccess, mip: int | None = None) -> bool:
    """Whether any chunk of a scale is stored."""
    key = source.meta.key(source.to_mip(mip))
    path = source.folder_path(key)
    if path is None:
        return next(source.meta.store.list(f"{key}/", flat=True), None) is not None
    try:
        with os.scandir(path) as entries:
            return any(not entry.name.startswith(".") for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False


def delete(
    source: ImageAccess, bbox: Any, mip: int | None = None
) -> None:  # Any: what Bbox.create takes
    """Remove the chunks of a chunk-aligned box; absent ones are no error.

    Raises
    ------
    AlignmentError, OutOfBoundsError, ReadOnlyException, ChunkWriteError
    """
    index = source.to_mip(mip)
    scale = source.image_scale(index)
    source.check_writable(index)
    bounds = bounds_of(bbox, source.meta, index)
    check_bounds(bounds, scale.bounds, scale.folder)
    if not chunk_aligned(bounds, scale.bounds, scale.chunk_size):
        raise AlignmentError(
            f"{scale.folder}: expected a chunk-aligned box to delete, found {show(bounds)}; its chunks cover "
            f"{show(expand_to_chunks(bounds, scale.bounds, scale.chunk_size))}",
            key=scale.folder,
            expected=expand_to_chunks(bounds, scale.bounds, scale.chunk_size),
            found=bounds,
        )
    outcome = scale.layout.delete(bounds, source.config.threads)
    if outcome is not None:
        raise_outcome(outcome, scale.folder, writing=True)


def download_files(
    source: ImageAccess,
    bbox: Any,  # what Bbox.create takes
    mip: MipLike,
    decompress: bool = True,
    parallel: int = 1,
    cache_only: bool = False,
) -> dict[str, bytes | None] | dict[int, bytes | None]:
    """Return the files of the chunks that a box touches, without decoding them.

    Parameters
    ----------
    bbox : Bbox or what `Bbox.create` takes
        In voxels of `mip`.
    mip : int or resolution
    decompress : bool
        Undo second-stage compression; otherwise bytes are as stored, under names with their suffixes.
    parallel : int
        Threads to use; 1 leaves it to the volume.
    cache_only : bool
        Fetch what the disk cache does not hold yet, a bounded part at a time, and return nothing.  Where there is no
        disk cache nothing is fetched.

    Returns
    -------
    dict
        ``key/x0-x1_y0-y1_z0-z1`` to bytes, or to None where there is no chunk.  In a sharded scale the keys are the
        chunks' ids (int), as upstream has it.

    Raises
    ------
    OutOfBoundsError, ChunkReadError, DecompressionError, ChunkDecodeError
    """
    index = source.meta.to_mip(mip)
    scale = source.image_scale(index)
    bounds = source.resolve_bounds(bounds_of(bbox, source.meta, index), scale)
    options = source.read_options(scale, None if parallel == 1 else parallel)
    if cache_only:
        if source.meta.disk_cache is not None:
            _fill_disk_cache(scale, clip(bounds, scale.bounds), options)
        return {}
    key = source.meta.key(index)
    files = read_files(scale, bounds, options, decompress=decompress)
    if scale.sharding is not None:
        return _by_id(scale, bounds, files)
    return {f"{key}/{name}": content for name, content in files.items()}


def _fill_disk_cache(scale: ImageScale, bounds: Bounds, options: ReadOptions) -> None:
    """Let the chunks of a box pass through the disk cache, and hold few of them in memory."""
    from cloudvolume_fast.sources.precomputed.transfer import blocks  # few calls need it

    total, done, size_bytes = scale.layout.count_chunks(bounds), 0, 0
    with ChunkProgress(options.progress, total) as progress:
        for block in blocks(bounds, scale, None):
            files = read_files(scale, block, options._replace(progress=None))
            done += len(files)
            size_bytes += sum(len(content) for content in files.values() if content)
            if progress.callback is not None:
                progress.callback(done, size_bytes)


def _by_id(
    scale: ImageScale, bounds: Bounds, files: dict[str, bytes | None]
) -> dict[int, bytes | None]:
    from cloudvolume_fast.locate.grid import chunk_ids  # most volumes are not sharded

    ids = chunk_ids(clip(bounds, scale.bounds), scale.bounds, scale.chunk_size)
    return dict(zip(ids.tolist(), files.values(), strict=True))
