# SPDX-License-Identifier: BSD-3-Clause
"""Boxes of an image, written under the volume's settings."""

from __future__ import annotations

import warnings
from typing import Any

from numpy.typing import NDArray

from cloudvolume_fast.decode import registry
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.deliver.write_image import write_box
from cloudvolume_fast.errors import AlignmentError, InfoValidationError, InvalidArgumentError
from cloudvolume_fast.fetch.content_encoding import level_of, suffix_of
from cloudvolume_fast.locate.indexing import (
    Bounds,
    check_bounds,
    chunk_aligned,
    clip,
    expand_to_chunks,
    show,
)
from cloudvolume_fast.options import WriteOptions
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess
from cloudvolume_fast.sources.precomputed.image_layout import png_level
from cloudvolume_fast.sources.precomputed.voxels import as_voxels


def write(
    source: ImageAccess,
    bounds: Bounds,
    image: Any,
    mip: int,
    *,
    threads: int | None = None,  # Any: array or scalar
) -> None:
    """Write an array or a scalar to a box, under the volume's settings."""
    scale = source.image_scale(mip)
    source.check_writable(mip)
    if scale.encoding == "png" and png_level(source.meta.scales[mip]) is None:
        found = source.meta.scales[mip]["png_level"]
        raise InfoValidationError(
            f"{scale.folder}: png_level: expected an integer from 0 to 9, found {found!r}",
            key=scale.folder,
            expected="an integer from 0 to 9",
            found=found,
        )
    config = source.config
    if config.overwrite_partial_chunks and not config.non_aligned_writes:
        raise InvalidArgumentError(
            "overwrite_partial_chunks: expected non_aligned_writes=True beside it, found False",
            key="overwrite_partial_chunks",
        )
    array = as_voxels(image, bounds, scale, scale.num_channels)
    if 0 in array.shape:
        return
    bounds, array = _crop(source, bounds, array, scale)
    if bounds[3] <= bounds[0] or bounds[4] <= bounds[1] or bounds[5] <= bounds[2]:
        return
    partial = "refuse"
    if not chunk_aligned(bounds, scale.bounds, scale.chunk_size):
        if not config.non_aligned_writes:
            raise _unaligned(bounds, scale)
        partial = "overwrite" if config.overwrite_partial_chunks else "merge"
    suffix = stored_suffix(scale, config.compress, stacklevel=5)
    options = WriteOptions(
        suffix=suffix,
        level=level_of(suffix, config.compress_level),
        partial=partial,
        merge_shards=config.partial_shard_writes,
        delete_background=config.delete_black_uploads,
        fill_missing=config.fill_missing,
        background=source.background_bytes(scale.dtype),
        threads=source.threads(scale, "encode") if threads is None else threads,
        progress=(config.progress_title or "Uploading") if config.progress else None,
    )
    workers = (config.parallel if threads is None else threads) or 1
    codec = registry.lookup(scale.encoding, scale.folder)
    if (
        workers > 1
        and "encode" in codec.holds_gil
        and source.meta.path.protocol != "mem"  # which other processes cannot reach
    ):
        from cloudvolume_fast.sources.precomputed.image_workers import write_with_workers

        if write_with_workers(source, scale, mip, bounds, array, options, workers):
            return
    write_box(scale, source.folder_path(source.meta.key(mip)), bounds, array, options)


def stored_suffix(scale: ImageScale, compress: str | bool | None, *, stacklevel: int) -> str:
    """Return the file suffix under which chunks are stored when they are written with ``compress=``.

    Parameters
    ----------
    scale : ImageScale
        In shards, the specification's ``data_encoding`` decides.
    compress : str, bool or None
        None for what goes with the encoding.
    stacklevel : int
        Where a warning is shown, as `warnings.warn` takes it.

    Warns
    -----
    UserWarning
        A method is named, but shards have another one, or chunks of the encoding are never compressed a second time.

    Raises
    ------
    UnsupportedCompressionType
    """
    codec = registry.lookup(scale.encoding, scale.folder)
    suffix = suffix_of(codec.default_compress if compress is None else compress)
    fixed = _fixed_suffix(scale, codec)
    if fixed is None:
        return suffix
    if isinstance(compress, str) and suffix not in ("", fixed):
        why = (
            f"shards of data_encoding {scale.sharding.data_encoding}"
            if scale.sharding is not None
            else f"{codec.name} chunks, which it would only make slower to read"
        )
        warnings.warn(
            f"{scale.folder}: compress={compress!r} is not applied to {why}", stacklevel=stacklevel
        )
    return fixed


def _fixed_suffix(scale: ImageScale, codec: registry.Codec) -> str | None:
    if scale.sharding is not None:
        return ".gz" if scale.sharding.data_encoding == "gzip" else ""
    return None if codec.is_compressible else ""


def _unaligned(bounds: Bounds, scale: ImageScale) -> AlignmentError:
    expected = expand_to_chunks(clip(bounds, scale.bounds), scale.bounds, scale.chunk_size)
    return AlignmentError(
        f"{scale.folder}: expected a box aligned to chunks of {scale.chunk_size}, such as {show(expected)}, found "
        f"{show(bounds)}; non_aligned_writes=True allows others, but two processes that write parts of one "
        "chunk at once can undo each other's work",
        key=scale.folder,
        expected=expected,
        found=bounds,
    )


def _crop(
    source: ImageAccess, bounds: Bounds, array: NDArray[Any], scale: ImageScale
) -> tuple[Bounds, NDArray[Any]]:
    inside = clip(bounds, scale.bounds)
    if inside == bounds:
        return bounds, array
    if source.config.bounded:
        check_bounds(bounds, scale.bounds, scale.folder)
    if not source.config.autocrop:
        raise _unaligned(bounds, scale)
    part = tuple(slice(inside[i] - bounds[i], inside[i + 3] - bounds[i]) for i in range(3))
    return inside, array[part]
