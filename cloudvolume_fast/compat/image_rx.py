# SPDX-License-Identifier: BSD-3-Clause
"""Functions of ``cloudvolume.datasource.precomputed.image.rx``: chunks to voxels, and reads without a volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.compat import chunks
from cloudvolume_fast.compat.image_tx import check_reader
from cloudvolume_fast.compat.sources import PrecomputedImageSource, PrecomputedMetadata
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import EmptyVolumeException
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.sources.precomputed.given_cache import use_cache

__all__ = ["decode", "decode_binary_image", "decode_single_voxel", "decode_unique", "download"]


def _chunk(
    meta: PrecomputedMetadata,
    input_bbox: Bbox,
    content: bytes | None,
    fill_missing: bool,
    mip: int,
    encoding: str | None,
) -> tuple[bytes | None, dict[str, Any]]:
    box = Bbox.create(input_bbox)
    if not content and not fill_missing:
        raise EmptyVolumeException(f"{box}: expected a chunk, found none", key=str(box))
    return content, {
        "encoding": meta.encoding(mip) if encoding is None else encoding,
        "shape": (*(int(extent) for extent in box.size3()), meta.num_channels),
        "dtype": meta.dtype,
        "block_size": meta.compressed_segmentation_block_size(mip),
    }


def decode(
    meta: PrecomputedMetadata,
    input_bbox: Bbox,
    content: bytes | None,
    fill_missing: bool,
    mip: int,
    background_color: Any = 0,  # a number of the volume's type
    allow_none: bool = True,
    encoding: str | None = None,
) -> NDArray[Any] | None:
    """Return the voxels of a chunk.

    Parameters
    ----------
    meta : PrecomputedMetadata
    input_bbox : Bbox
        The chunk's.
    content : bytes or None
        Without second-stage compression; nothing where the chunk is missing.
    fill_missing : bool
        A missing chunk is no error.
    mip : int
    background_color : number
        What a missing chunk holds.
    allow_none : bool
        Return None for a missing chunk whose voxels are 0.
    encoding : str, optional
        Default the scale's.

    Raises
    ------
    EmptyVolumeException, ChunkDecodeError
    """
    data, chunk = _chunk(meta, input_bbox, content, fill_missing, mip, encoding)
    if not data and allow_none and background_color == 0:
        return None
    return chunks.decode(data, background_color=background_color, **chunk)


def decode_binary_image(
    label: int,
    meta: PrecomputedMetadata,
    input_bbox: Bbox,
    content: bytes | None,
    fill_missing: bool,
    mip: int,
    background_color: Any = 0,
    allow_none: bool = True,
    encoding: str | None = None,
) -> NDArray[np.bool_] | None:
    """Return where a chunk has a label; see `decode`."""
    data, chunk = _chunk(meta, input_bbox, content, fill_missing, mip, encoding)
    if not data and allow_none and background_color != label:
        return None
    return chunks.decode_binary_image(label, data, background_color=background_color, **chunk)


def decode_unique(
    meta: PrecomputedMetadata,
    input_bbox: Bbox,
    content: bytes | None,
    fill_missing: bool,
    mip: int,
    background_color: Any = 0,
    encoding: str | None = None,
) -> NDArray[Any]:
    """Return the distinct values of a chunk; see `decode`."""
    data, chunk = _chunk(meta, input_bbox, content, fill_missing, mip, encoding)
    return chunks.labels(data, background_color=background_color, **chunk)


def decode_single_voxel(
    xyz: Sequence[int],
    meta: PrecomputedMetadata,
    input_bbox: Bbox,
    content: bytes | None,
    fill_missing: bool,
    mip: int,
    background_color: Any = 0,
    encoding: str | None = None,
) -> NDArray[Any]:
    """Return one voxel of a chunk, given from the chunk's first; see `decode`."""
    data, chunk = _chunk(meta, input_bbox, content, fill_missing, mip, encoding)
    return chunks.read_voxel(xyz, data, background_color=background_color, **chunk)


def download(
    requested_bbox: Bbox,
    mip: int,
    meta: PrecomputedMetadata,
    cache: Any,  # a CacheService
    lru: Any,  # a ChunkLRU
    lru_encoding: str,
    fill_missing: bool,
    progress: bool | str,
    parallel: int,
    location: str | None,
    retain: bool,
    use_shared_memory: bool,
    use_file: bool,
    compress: str | bool | None,
    order: str = "F",
    green: bool = False,
    secrets: Any = None,  # of the metadata's store already
    renumber: bool = False,
    background_color: Any = 0,
    label: int | None = None,
) -> Any:
    """Read a box; see `PrecomputedImageSource.download`.

    Raises
    ------
    InvalidArgumentError, UnsupportedOptionError
        `lru_encoding` is not that of `lru`; `secrets` are not those of `meta`.
    """
    check_reader(meta, lru, lru_encoding, secrets)
    config = VolumeConfig(
        mip=mip,
        bounded=False,
        fill_missing=fill_missing,
        progress=bool(progress),
        background_color=background_color,
        parallel=max(1, parallel),
        compress=compress,
        green_threads=green,
    )
    source = PrecomputedImageSource.over(meta, config)
    source.cache = cache
    use_cache(meta, cache)
    if lru is not None:
        source.lru = lru
    return source.download(
        requested_bbox,
        mip,
        parallel,
        location,
        retain,
        use_shared_memory,
        use_file,
        order,
        renumber,
        label,
        progress,
    )
