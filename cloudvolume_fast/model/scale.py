# SPDX-License-Identifier: BSD-3-Clause
"""A scale of an info: its entry of ``info["scales"]``, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info_values import (
    INT64_MAX,
    INT64_MIN,
    Info,
    NumberTriple,
    Triple,
    as_list,
    integer_triple,
    parse_resolution,
    positive_triple,
    reject,
)

_ABSOLUTE_KEY = re.compile(r"/|[A-Za-z][A-Za-z0-9+.\-]*://|[A-Za-z]:[\\/]|\\")

# 256 voxels on each axis; real ones have 8.
_MAX_BLOCK_VOXELS = 1 << 24


@dataclass(frozen=True, slots=True)
class Scale:
    """What an entry of ``info["scales"]`` says, checked.

    Attributes
    ----------
    key : str
        Directory of the chunks, relative to the layer.
    size : tuple of 3 int
        In voxels.
    voxel_offset : tuple of 3 int
        In voxels of this scale.
    resolution : tuple of 3 int or float
        Size of a voxel in nm, each as it is stored.
    chunk_size : tuple of 3 int
        In voxels: the first of ``chunk_sizes``.
    encoding : str
        Of chunks; not necessarily one that can be decoded.
    block_size : tuple of 3 int or None
        ``compressed_segmentation_block_size``.
    sharding : dict or None
        The sharding specification, unchecked; None if the scale is not sharded.
    raw : dict
        The entry itself. Does not take part in comparisons.
    """

    key: str
    size: Triple
    voxel_offset: Triple
    resolution: NumberTriple
    chunk_size: Triple
    encoding: str
    block_size: Triple | None = None
    sharding: Mapping[str, Any] | None = field(default=None, hash=False)
    raw: Info = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_sharded(self) -> bool:
        """Say whether chunks are stored in shards."""
        return self.sharding is not None

    @property
    def bounds(self) -> Bbox:
        """Region covered, in voxels of this scale."""
        (x, y, z), (sx, sy, sz) = self.voxel_offset, self.size
        return Bbox._from_ints(x, y, z, x + sx, y + sy, z + sz)


def parse_scale(scale: object, index: int, *, key: str = "info") -> Scale:
    """Check an entry of ``info["scales"]`` and take out what locating a chunk needs.

    Parameters
    ----------
    scale : dict
    index : int
        Of the scale, for error messages.
    key : str
        Of the info file, for error messages.

    Returns
    -------
    Scale

    Raises
    ------
    InfoValidationError
        A member is absent or malformed.

    Notes
    -----
    Members of an entry of ``scales`` in the Precomputed format's info.
    """
    where = f"{key}: scales[{index}]"
    if not isinstance(scale, Mapping):
        reject(where, "a JSON object", scale)
    folder = scale.get("key")
    if not isinstance(folder, str) or _ABSOLUTE_KEY.match(folder) or not _is_file_name(folder):
        reject(f"{where}.key", "a relative path", folder)
    encoding = scale.get("encoding")
    if not isinstance(encoding, str) or not encoding:
        reject(f"{where}.encoding", "the name of an encoding", encoding)
    # As many voxels as one likes: only what is read must fit into memory.
    size = positive_triple(scale.get("size"), f"{where}.size", is_volume_limited=False)
    stored_offset = scale.get("voxel_offset")
    offset = (0, 0, 0) if stored_offset is None else integer_triple(stored_offset)
    if offset is None:
        reject(f"{where}.voxel_offset", "3 integers", stored_offset)
    for low, extent in zip(offset, size, strict=True):
        if low < INT64_MIN or low + extent > INT64_MAX:
            reject(f"{where}.voxel_offset", "bounds within 64 bits", stored_offset)
    chunk_sizes = as_list(scale.get("chunk_sizes"))
    if not chunk_sizes:
        reject(f"{where}.chunk_sizes", "a list of at least 1 size", scale.get("chunk_sizes"))
    chunks = [
        positive_triple(chunk, f"{where}.chunk_sizes[{i}]") for i, chunk in enumerate(chunk_sizes)
    ]
    sharding = scale.get("sharding")
    if sharding is not None:
        if not isinstance(sharding, Mapping):
            reject(f"{where}.sharding", "a JSON object or null", sharding)
        if len(chunks) != 1:
            reject(f"{where}.chunk_sizes", "1 size, as the scale is sharded", chunk_sizes)
    block_size = scale.get("compressed_segmentation_block_size")
    if block_size is not None or encoding == "compressed_segmentation":
        member = f"{where}.compressed_segmentation_block_size"
        block_size = positive_triple(block_size, member)
        # Boundary blocks are stored whole, so a huge block would make any chunk huge.
        if math.prod(block_size) > _MAX_BLOCK_VOXELS:
            reject(member, f"at most {_MAX_BLOCK_VOXELS} voxels", list(block_size))
    return Scale(
        key=folder,
        size=size,
        voxel_offset=offset,
        resolution=parse_resolution(scale.get("resolution"), f"{where}.resolution"),
        chunk_size=chunks[0],
        encoding=encoding,
        block_size=block_size,
        sharding=sharding,
        raw=scale,  # type: ignore[arg-type]
    )


def _is_file_name(path: str) -> bool:
    """Say whether a file system can have such a path: without zero bytes and surrogates."""
    try:
        return b"\0" not in path.encode("utf-8")
    except UnicodeEncodeError:
        return False
