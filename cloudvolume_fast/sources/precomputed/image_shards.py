# SPDX-License-Identifier: BSD-3-Clause
"""Shards of an image made and named apart from reading and writing boxes, for programs that store them themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.deliver.write_image import encode_box
from cloudvolume_fast.errors import AlignmentError, InvalidArgumentError, SpecViolation
from cloudvolume_fast.fetch.content_encoding import level_of
from cloudvolume_fast.locate.grid import chunk_ids
from cloudvolume_fast.locate.indexing import (
    Bounds,
    check_bounds,
    check_not_empty,
    chunk_aligned,
    expand_to_chunks,
    show,
)
from cloudvolume_fast.model.shard_params import compute_shard_params_for_image
from cloudvolume_fast.model.shard_synthesis import join_shard_file
from cloudvolume_fast.model.sharding import ShardEncoding, ShardingSpecification
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.options import WriteOptions
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess
from cloudvolume_fast.sources.precomputed.voxels import as_voxels, bounds_of

SpecLike = ShardingSpecification | Mapping[str, Any] | None


def shard_spec(source: ImageAccess, mip: int, spec: SpecLike = None) -> ShardingSpecification:
    """Return the sharding specification of a scale.

    Parameters
    ----------
    mip : int
    spec : ShardingSpecification or dict, optional
        Returned instead of the scale's.

    Raises
    ------
    SpecViolation
        The specification is not valid, or there is none.
    """
    if isinstance(spec, ShardingSpecification):
        return spec
    if spec is None:
        index = source.to_mip(mip)
        spec = source.meta.parsed_scale(index).sharding
        if spec is None:
            key = source.meta.join(source.meta.cloudpath, source.meta.key(index))
            raise SpecViolation(
                f"{key}: expected a sharded scale, found none", key=key, expected="sharding"
            )
    return ShardingSpecification.from_dict(spec)


def shard_shape(source: ImageAccess, mip: int | None = None) -> Vec:
    """Return the shape in voxels of the box that one shard of a scale holds.

    Raises
    ------
    SpecViolation
        The scale is not sharded, or chunks are hashed, so that those of a shard lie anywhere.
    """
    index = source.to_mip(mip)
    parsed = source.meta.parsed_scale(index)
    return shard_spec(source, index).image_shard_shape(parsed.size, parsed.chunk_size)


def morton_codes(
    source: ImageAccess,
    bbox: Any,  # what Bbox.create takes
    mip: int | None = None,
    spec: SpecLike = None,
    same_shard: bool = True,
    require_aligned: bool = True,
) -> NDArray[np.uint64]:
    """Return the ids of the chunks that a box touches.

    Parameters
    ----------
    bbox : Bbox or what `Bbox.create` takes
        In voxels of `mip`.
    mip : int, optional
        Default the current one.
    spec : ShardingSpecification or dict, optional
        Instead of the scale's.
    same_shard : bool
        Refuse a box whose chunks lie in several shards.
    require_aligned : bool
        Refuse a box that cuts chunks.

    Returns
    -------
    ndarray of uint64, shape (n,)
        Compressed Morton codes, x fastest.

    Raises
    ------
    AlignmentError, OutOfBoundsError
    SpecViolation
        With `same_shard`: there is no specification.
    """
    index = source.to_mip(mip)
    scale = source.image_scale(index)
    bounds = bounds_of(bbox, source.meta, index)
    check_not_empty(bounds, scale.folder)
    check_bounds(bounds, scale.bounds, scale.folder)
    if require_aligned:
        _check_aligned(bounds, scale)
    codes = chunk_ids(bounds, scale.bounds, scale.chunk_size)
    if same_shard:
        _the_shard(codes, shard_spec(source, index, spec), bounds, scale)
    return codes


def shard_filename(source: ImageAccess, bbox: Any, mip: int | None = None) -> str:
    """Return the name of the shard that a box lies in.

    Raises
    ------
    AlignmentError
        It lies in several, or cuts chunks.
    OutOfBoundsError, SpecViolation
    """
    index = source.to_mip(mip)
    codes = morton_codes(source, bbox, index)
    return shard_spec(source, index).get_filename(int(codes[0]))


def make_shard_chunks(
    source: ImageAccess,
    img: NDArray[Any],
    bbox: Any,  # what Bbox.create takes
    mip: int | None = None,
    spec: SpecLike = None,
) -> dict[int, bytes]:
    """Encode the chunks of a box, as a shard would hold them before ``data_encoding``.

    Parameters
    ----------
    img : ndarray, shape (x, y, z) or (x, y, z, channel)
        Of the volume's dtype.
    bbox : Bbox or what `Bbox.create` takes
        Whole chunks of one shard, in voxels of `mip`.
    mip : int, optional
    spec : ShardingSpecification or dict, optional
        Instead of the scale's.

    Returns
    -------
    dict
        Compressed Morton code to bytes.  With `delete_black_uploads`, chunks of background are left out.

    Raises
    ------
    AlignmentError, OutOfBoundsError, InvalidArgumentError, SpecViolation, EncodingError
    """
    index = source.to_mip(mip)
    codes, chunks, _ = _encode(source, img, bbox, index, shard_spec(source, index, spec), "", False)
    return {code: chunk or b"" for code, chunk in zip(codes.tolist(), chunks, strict=True)}


def make_shard(
    source: ImageAccess,
    img_or_dict: NDArray[Any] | Mapping[int, bytes],
    bbox: Any,  # what Bbox.create takes
    mip: int | None = None,
    spec: SpecLike = None,
    progress: bool | str = False,
) -> tuple[str, bytes]:
    """Make the file of one shard, without storing it.

    Parameters
    ----------
    img_or_dict : ndarray or dict
        Voxels of the box, or encoded chunks as `make_shard_chunks` returns them.
    bbox : Bbox or what `Bbox.create` takes
        Whole chunks of one shard, in voxels of `mip`.
    mip : int, optional
    spec : ShardingSpecification or dict, optional
        Instead of the scale's.
    progress : bool or str
        Show a progress bar; a string is its title.

    Returns
    -------
    filename : str
    shard : bytes
        Empty where no chunk is left, hence no file is to be stored.

    Raises
    ------
    AlignmentError, OutOfBoundsError, InvalidArgumentError, SpecViolation, EncodingError
    """
    index = source.to_mip(mip)
    wanted = shard_spec(source, index, spec)
    if isinstance(img_or_dict, Mapping):
        codes = morton_codes(source, bbox, index, wanted)
        allowed = set(codes.tolist())
        strange = [code for code in img_or_dict if int(code) not in allowed]
        if strange:
            raise InvalidArgumentError(
                f"img_or_dict: expected chunks of {bbox}, found chunk {strange[0]}",
                key="img_or_dict",
                found=strange[0],
            )
        filename = wanted.get_filename(int(codes[0]))
        chunks = {int(code): bytes(chunk) for code, chunk in img_or_dict.items()}
        return filename, wanted.synthesize_shard(chunks, progress=progress) if chunks else b""
    suffix = ".gz" if wanted.data_encoding == "gzip" else ""
    kept, stored, filename = _encode(source, img_or_dict, bbox, index, wanted, suffix, progress)
    return filename, join_shard_file(wanted, kept, stored) if stored else b""


def _encode(
    source: ImageAccess,
    img: NDArray[Any],
    bbox: Any,  # what Bbox.create takes
    mip: int,
    spec: ShardingSpecification,
    suffix: str,
    progress: bool | str,
) -> tuple[NDArray[np.uint64], list[bytes | None], str]:
    """Return codes and bytes of the chunks of a box, and the name of its shard."""
    scale = source.image_scale(mip)
    codes = morton_codes(source, bbox, mip, spec)
    bounds = bounds_of(bbox, source.meta, mip)
    config = source.config
    title = progress if isinstance(progress, str) else "Making a shard"
    options = WriteOptions(
        suffix=suffix,
        level=level_of(suffix, config.compress_level),
        delete_background=config.delete_black_uploads,
        background=source.background_bytes(scale.dtype),
        threads=source.threads(scale, "encode"),
        progress=title if progress else None,
    )
    array = as_voxels(img, bounds, scale, scale.num_channels)
    kept, chunks = encode_box(scale, bounds, array, options)
    return kept, chunks, spec.get_filename(int(codes[0]))


def to_sharded(
    source: ImageAccess,
    uncompressed_shard_bytesize: int = 3_500_000_000,
    max_shard_index_bytes: int = 8192,
    max_minishard_index_bytes: int = 40000,
    max_labels_per_minishard: int = 4000,
    minishard_index_encoding: ShardEncoding = "gzip",
    data_encoding: ShardEncoding = "gzip",
    mip: int | None = None,
) -> None:
    """Give a scale's info a sharding specification; ``commit_info`` stores it.  No chunk is touched.

    Parameters
    ----------
    uncompressed_shard_bytesize : int
        About the bytes of voxels in a shard.
    max_shard_index_bytes, max_minishard_index_bytes, max_labels_per_minishard : int
        Bounds of the indexes.
    minishard_index_encoding, data_encoding : {"raw", "gzip"}
        Encodings that gzip cannot make smaller are stored raw all the same.
    mip : int, optional
        Default the current one.

    Raises
    ------
    InvalidArgumentError
    """
    index = source.to_mip(mip)
    parsed = source.meta.parsed_scale(index)
    spec = compute_shard_params_for_image(
        parsed.size,
        parsed.chunk_size,
        parsed.encoding,
        source.meta.dtype,
        uncompressed_shard_bytesize,
        max_shard_index_bytes,
        max_minishard_index_bytes,
        max_labels_per_minishard,
        minishard_index_encoding,
        data_encoding,
    )
    source.meta.scales[index]["sharding"] = spec.to_dict()


def to_unsharded(source: ImageAccess, mip: int | None = None) -> None:
    """Take the sharding specification out of a scale's info; ``commit_info`` stores it.  No chunk is touched."""
    source.meta.scales[source.to_mip(mip)].pop("sharding", None)


def _check_aligned(bounds: Bounds, scale: ImageScale) -> None:
    if not chunk_aligned(bounds, scale.bounds, scale.chunk_size):
        expected = expand_to_chunks(bounds, scale.bounds, scale.chunk_size)
        raise AlignmentError(
            f"{scale.folder}: expected a box of whole chunks, such as {show(expected)}, found {show(bounds)}",
            key=scale.folder,
            expected=expected,
            found=bounds,
        )


def _the_shard(
    codes: NDArray[np.uint64], spec: ShardingSpecification, bounds: Bounds, scale: ImageScale
) -> None:
    """Raise unless all chunks lie in one shard."""
    shards, _ = spec.locate(codes)
    if len(np.unique(shards)) != 1:
        raise AlignmentError(
            f"{scale.folder}: expected a box inside of one shard, found {show(bounds)} in {len(np.unique(shards))}",
            key=scale.folder,
            expected=1,
            found=bounds,
        )
