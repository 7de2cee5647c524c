# SPDX-License-Identifier: BSD-3-Clause
"""Specifications that suit a number of labels or an image: shards and indexes of about a given size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.sharding import TYPE, ShardEncoding, ShardingSpecification, grid_size

__all__ = ["compute_shard_params_for_hashed", "compute_shard_params_for_image"]

_INDEX_ENTRY_BYTES = 16
_MINISHARD_ENTRY_BYTES = 24
# Chunks of these do not get smaller by gzip.
_COMPRESSED_ENCODINGS = ("jpeg", "png", "jxl", "kempressed", "fpzip", "zfpc")


def compute_shard_params_for_hashed(
    num_labels: int,
    shard_index_bytes: int = 8192,
    minishard_index_bytes: int = 32768,
    min_shards: int = 1,
) -> tuple[int, int, int]:
    """Choose bits for labels that are spread by their hash (meshes, skeletons).

    Parameters
    ----------
    num_labels : int
        How many there will be.
    shard_index_bytes : int
        The most that a shard index should take, in bytes.
    minishard_index_bytes : int
        About what a minishard index should take before compression, in bytes.
    min_shards : int
        At least about so many shards: the nearest power of two.

    Returns
    -------
    (int, int, int)
        ``shard_bits``, ``minishard_bits``, ``preshift_bits`` (0).

    Raises
    ------
    InvalidArgumentError
        If a size holds not even one entry, or ``min_shards`` is below 1.
    """
    _require("shard_index_bytes", shard_index_bytes, _INDEX_ENTRY_BYTES)
    _require("minishard_index_bytes", minishard_index_bytes, _MINISHARD_ENTRY_BYTES)
    _require("min_shards", min_shards, 1)
    if num_labels <= 0:
        return (0, 0, 0)
    minishards_per_shard = shard_index_bytes / _INDEX_ENTRY_BYTES
    labels_per_minishard = minishard_index_bytes / _MINISHARD_ENTRY_BYTES
    labels_per_shard = minishards_per_shard * labels_per_minishard

    shard_bits = minishard_bits = 0
    if num_labels >= labels_per_shard:
        minishard_bits = math.ceil(math.log2(minishards_per_shard))
        shard_bits = math.ceil(math.log2(num_labels / (labels_per_minishard * 2**minishard_bits)))
    elif num_labels >= labels_per_minishard:
        minishard_bits = math.ceil(math.log2(num_labels / labels_per_minishard))
    # Half-empty shards: rather half as many that are a little too full.
    if num_labels / (labels_per_shard * 2.0**shard_bits) <= 0.55:
        shard_bits -= 1
    shard_bits = max(shard_bits, 0)

    wanted = round(math.log2(min_shards))
    missing = max(wanted - shard_bits, 0)
    return (shard_bits + missing, max(minishard_bits - missing, 0), 0)


def compute_shard_params_for_image(
    dataset_size: Sequence[int],
    chunk_size: Sequence[int],
    encoding: str,
    dtype: Any,  # whatever numpy takes for a dtype, or bytes per voxel
    uncompressed_shard_bytesize: int = 3_500_000_000,
    max_shard_index_bytes: int = 8192,
    max_minishard_index_bytes: int = 40000,
    max_labels_per_minishard: int = 4000,
    minishard_index_encoding: ShardEncoding = "gzip",
    data_encoding: ShardEncoding = "gzip",
) -> ShardingSpecification:
    """Choose a specification for an image.

    Parameters
    ----------
    dataset_size, chunk_size : (int, int, int)
        Of the scale, in voxels.
    encoding : str
        Of its chunks.  Those that do not get smaller by gzip are stored raw, whatever ``data_encoding`` says.
    dtype : dtype-like or int
        Of its voxels, or their size in bytes.
    uncompressed_shard_bytesize : int
        The most that the voxels of a shard should take, in bytes.
    max_shard_index_bytes, max_minishard_index_bytes : int
        The most that indexes should take before compression, in bytes.
    max_labels_per_minishard : int
        The most chunks of a minishard.
    minishard_index_encoding, data_encoding : str
        ``"raw"`` or ``"gzip"``.

    Returns
    -------
    ShardingSpecification
        Without hash, so that a shard is a box.

    Raises
    ------
    InvalidArgumentError
        If a size is not positive, or the grid has more chunks than 64 bits can number.

    Notes
    -----
    Upstream behaviour ``compute_shard_params_for_image``, except for flat images: there upstream adds bits for z, of
    which the compressed Morton code has none, and shards outgrow their limit.
    """
    _require("uncompressed_shard_bytesize", uncompressed_shard_bytesize, 1)
    _require("max_shard_index_bytes", max_shard_index_bytes, _INDEX_ENTRY_BYTES)
    _require("max_minishard_index_bytes", max_minishard_index_bytes, _MINISHARD_ENTRY_BYTES)
    _require("max_labels_per_minishard", max_labels_per_minishard, 1)
    grid = grid_size(dataset_size, chunk_size)
    max_bits = sum(_ceil_log2(extent) for extent in grid)
    if max_bits > 64:
        raise InvalidArgumentError(
            f"dataset_size, chunk_size: expected a grid of at most 64 bits, found {grid} of {max_bits}",
            key="dataset_size",
            expected=64,
            found=max_bits,
        )
    voxel_bytes = int(dtype) if isinstance(dtype, int) else np.dtype(dtype).itemsize
    _require("dtype", voxel_bytes, 1)
    num_chunks = math.prod(grid)
    chunk_bytes = math.prod(int(extent) for extent in chunk_size) * voxel_bytes
    # The powers of two below the limit, and above the number of chunks.
    shard_chunks_bits = (-(-int(uncompressed_shard_bytesize) // chunk_bytes)).bit_length() - 1
    shard_chunks_bits = min(shard_chunks_bits, _ceil_log2(num_chunks))
    shard_chunks = 1 << shard_chunks_bits

    # The exact ratio: its logarithm is rounded up, where a floating-point one could be off by one.
    num_shards = Fraction(num_chunks, shard_chunks)
    preshift_bits = _preshift_bits(num_shards, shard_chunks_bits, max_bits)
    minishard_bits = 0
    minishard_chunks = Fraction(shard_chunks)
    while minishard_chunks > max_labels_per_minishard:
        minishard_chunks /= 2
        minishard_bits += 1
        is_index_large = _MINISHARD_ENTRY_BYTES * minishard_chunks > max_minishard_index_bytes
        is_shard_index_large = _INDEX_ENTRY_BYTES << minishard_bits > max_shard_index_bytes
        if (is_index_large and minishard_bits > preshift_bits) or is_shard_index_large:
            minishard_bits -= 1
            num_shards *= 2
            preshift_bits = _preshift_bits(num_shards, shard_chunks_bits, max_bits)
    preshift_bits -= minishard_bits
    if preshift_bits < 0:
        raise InvalidArgumentError(
            f"max_labels_per_minishard: expected minishards that a shard of {shard_chunks} chunks can be divided into, "
            f"found {max_labels_per_minishard}",
            key="max_labels_per_minishard",
            found=max_labels_per_minishard,
        )
    return ShardingSpecification(
        TYPE,
        preshift_bits,
        "identity",
        minishard_bits,
        max(max_bits - preshift_bits - minishard_bits, 0),
        minishard_index_encoding,
        "raw" if encoding in _COMPRESSED_ENCODINGS else data_encoding,
    )


def _preshift_bits(num_shards: Fraction, shard_chunks_bits: int, max_bits: int) -> int:
    """Return the bits for the chunks of a shard, of which those of minishards are not yet taken."""
    return min(shard_chunks_bits, max_bits - _ceil_log2(math.ceil(num_shards)))


def _ceil_log2(value: int) -> int:
    return (value - 1).bit_length()


def _require(name: str, value: float, least: int) -> None:
    if not value >= least:
        raise InvalidArgumentError(
            f"{name}: expected at least {least}, found {value}",
            key=name,
            expected=least,
            found=value,
        )
