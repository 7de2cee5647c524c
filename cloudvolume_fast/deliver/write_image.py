# SPDX-License-Identifier: BSD-3-Clause
"""Arrays to the chunks of an image scale, in one call of the core."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.deliver.outcome import raise_outcome
from cloudvolume_fast.deliver.progress import ChunkProgress
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import ChunkWriteError
from cloudvolume_fast.locate.indexing import Bounds
from cloudvolume_fast.options import WriteOptions, max_inflight_bytes, sync_writes


def write_box(
    scale: ImageScale,
    folder_path: str | None,
    bounds: Bounds,
    array: NDArray[Any],
    options: WriteOptions,
) -> None:
    """Write a box as whole chunks, whose files (of their own, or shards) are replaced atomically.

    Parameters
    ----------
    scale : ImageScale
    folder_path : str or None
        Absolute path of the scale's folder on the file system, made if absent; None for one that is elsewhere.
    bounds : tuple of 6 int
        Inside the volume.
    array : ndarray, shape (x, y, z, channel)
        All channels, in the volume's dtype and native byte order, any strides.
    options : WriteOptions

    Raises
    ------
    ChunkWriteError
        The file system said no; chunks are old or new, never in between.
    EmptyVolumeException, ChunkReadError, ChunkDecodeError, DecompressionError
        A chunk to be merged with is absent or unreadable.
    AlignmentError
        The box covers a part of a shard, and `merge_shards` is off.
    SpecViolation
        A shard to be merged with has a broken index.
    EncodingError, CompressionError, MemoryError
    """
    if folder_path is not None:
        make_folder(folder_path, scale.folder)
    with ChunkProgress(options.progress, scale.layout.count_chunks(bounds)) as progress:
        outcome = scale.layout.write(
            bounds,
            array,
            options.suffix,
            options.level,
            options.partial,
            options.merge_shards,
            options.fill_missing,
            options.delete_background,
            sync_writes(),
            options.background,
            options.threads,
            max_inflight_bytes(),
            progress.callback,
        )
    if outcome is not None:
        raise_outcome(outcome, scale.folder, writing=True)


def encode_box(
    scale: ImageScale, bounds: Bounds, array: NDArray[Any], options: WriteOptions
) -> tuple[NDArray[np.uint64], list[bytes | None]]:
    """Encode and compress a box of whole chunks without storing it.

    Parameters
    ----------
    scale, bounds, array, options
        As for `write_box`; `options.partial` and `options.merge_shards` are not used.

    Returns
    -------
    ids : ndarray of uint64, shape (n,)
        Compressed Morton codes, x fastest; chunks of background are left out under `delete_background`.
    chunks : list of bytes
        Typed so that a caller may let go of one after the other.

    Raises
    ------
    EncodingError, CompressionError, MemoryError
    """
    with ChunkProgress(options.progress, scale.layout.count_chunks(bounds)) as progress:
        outcome, ids, chunks = scale.layout.encode(
            bounds,
            array,
            options.suffix,
            options.level,
            options.delete_background,
            options.background,
            options.threads,
            max_inflight_bytes(),
            progress.callback,
        )
    if outcome is not None:
        raise_outcome(outcome, scale.folder, writing=True)
    return ids, list(chunks)


def make_folder(path: str, name: str) -> None:
    """Make the folder of a scale if it is absent; `name` is its cloud path, for messages.

    Raises
    ------
    ChunkWriteError
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ChunkWriteError(
            f"{name}: the folder cannot be made: {error.strerror}", key=name, errno=error.errno
        ) from error
