# SPDX-License-Identifier: BSD-3-Clause
"""Infos that are made: of new volumes, and of further scales."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

from numpy.typing import DTypeLike

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.dtypes import data_type_name
from cloudvolume_fast.model.info_values import (
    Info,
    Number,
    as_list,
    three_integers,
    three_numbers,
    uniform,
)
from cloudvolume_fast.model.scale import parse_scale

# The member that holds the compression level of an encoding, and the one that holds its effort.
_LEVEL_MEMBERS: Mapping[str, str] = {
    "jpeg": "jpeg_quality",
    "png": "png_level",
    "jxl": "jxl_quality",
    "jpegxl": "jxl_quality",
    "fpzip": "fpzip_precision",
}
_EFFORT_MEMBERS: Mapping[str, str] = {"jxl": "jxl_effort", "jpegxl": "jxl_effort"}

_POSITIVE_INTEGERS = "3 positive integers"


def create_info(
    num_channels: int,
    layer_type: str,
    data_type: DTypeLike,
    encoding: str,
    resolution: Sequence[Number],
    voxel_offset: Sequence[Number],
    volume_size: Sequence[Number],
    mesh: str | bool | None = None,
    skeletons: str | bool | None = None,
    chunk_size: Sequence[Number] = (128, 128, 64),
    compressed_segmentation_block_size: Sequence[Number] = (8, 8, 8),
    max_mip: int = 0,
    factor: Sequence[Number] = (2, 2, 1),
    redirect: str | None = None,
    encoding_level: Number | None = None,
    encoding_effort: Number | None = None,
) -> Info:
    """Create the info of a new volume.

    Parameters
    ----------
    num_channels : int
    layer_type : str
        ``"image"`` or ``"segmentation"``; not checked.
    data_type : str or dtype-like
    encoding : str
        Of chunks, at every scale.
    resolution : sequence of 3 numbers
        Size of a voxel at mip 0, in nm. If any is a float, all are stored as floats.
    voxel_offset, volume_size : sequence of 3 int
        In voxels at mip 0.
    mesh, skeletons : str or bool, optional
        Name of the directory. True stands for ``"mesh"`` and ``"skeletons"``.
    chunk_size : sequence of 3 int
        In voxels, at every scale.
    compressed_segmentation_block_size : sequence of 3 int
        In voxels.
    max_mip : int
        Add as many scales beyond mip 0.
    factor : sequence of 3 int
        Ratio of the resolutions of successive scales.
    redirect : str, optional
        Cloudpath at which the volume really is.
    encoding_level, encoding_effort : number, optional
        Stored in the members that ``encoding`` has for them; ignored if it has none.

    Returns
    -------
    dict

    Raises
    ------
    InvalidArgumentError
        An argument is malformed.

    Notes
    -----
    Upstream behaviour ``PrecomputedMetadata.create_info``.
    """
    base: Info = {
        "resolution": uniform(three_numbers(resolution, "resolution")),
        "voxel_offset": three_integers(voxel_offset, "voxel_offset"),
        "size": three_integers(volume_size, "volume_size"),
        "compressed_segmentation_block_size": three_integers(
            compressed_segmentation_block_size, "compressed_segmentation_block_size"
        ),
    }
    chunk = three_integers(chunk_size, "chunk_size")
    steps = three_numbers(factor, "factor")
    info: Info = {
        "num_channels": int(num_channels),
        "type": layer_type,
        "data_type": data_type_name(data_type),
        "scales": [
            _coarser(
                base,
                [round(step**mip) for step in steps],
                encoding=encoding,
                chunk_size=chunk,
                level=encoding_level,
                effort=encoding_effort,
            )
            for mip in range(int(max_mip) + 1)
        ],
    }
    if redirect:
        info["redirect"] = redirect
    if mesh:
        info["mesh"] = "mesh" if mesh is True else mesh
    if skeletons:
        info["skeletons"] = "skeletons" if skeletons is True else skeletons
    return info


def add_scale(
    info: Info,
    factor: Number | Sequence[Number],
    *,
    encoding: str | None = None,
    chunk_size: Sequence[Number] | None = None,
    encoding_level: Number | None = None,
    encoding_effort: Number | None = None,
) -> Info:
    """Add a scale that is coarser than mip 0, replacing one of the same resolution.

    Parameters
    ----------
    info : dict
        Changed in place.
    factor : number or sequence of 3 numbers
        Ratio of its resolution to that of mip 0; rounded to integers.
    encoding : str, optional
        Default: that of mip 0.
    chunk_size : sequence of 3 int, optional
        In voxels. Default: per axis, the divisor of mip 0's that is closest to 64.
    encoding_level, encoding_effort : number, optional
        As for `create_info`.

    Returns
    -------
    dict
        The new entry of ``info["scales"]``.

    Raises
    ------
    InvalidArgumentError
        An argument is malformed, or a factor rounds to less than 1.
    InfoValidationError
        Mip 0 is malformed.

    Warns
    -----
    UserWarning
        A factor is not a power of two.

    Notes
    -----
    Upstream behaviour ``PrecomputedMetadata.add_scale``.
    """
    fine = parse_scale(info["scales"][0], 0)
    ratios = [round(value) for value in three_numbers(factor, "factor")]
    if any(ratio > 0 and ratio & (ratio - 1) for ratio in ratios):
        warnings.warn(
            f"factor {ratios} is not a power of two on every axis, which is unusual", stacklevel=2
        )
    if chunk_size is None:
        chunk = [_closest_divisor(extent, 64) for extent in fine.chunk_size]
    else:
        chunk = three_integers(chunk_size, "chunk_size")
    base: Info = {
        "resolution": uniform(fine.resolution),
        "voxel_offset": list(fine.voxel_offset),
        "size": list(fine.size),
        "compressed_segmentation_block_size": list(fine.block_size or (8, 8, 8)),
    }
    scale = _coarser(
        base,
        ratios,
        encoding=fine.encoding if encoding is None else encoding,
        chunk_size=chunk,
        level=encoding_level,
        effort=encoding_effort,
    )
    scales: list[Info] = info["scales"]
    for index, existing in enumerate(scales):
        if as_list(existing.get("resolution")) == scale["resolution"]:
            scales[index] = scale
            return scale
    scales.append(scale)
    return scale


def reset_scales(info: Info) -> None:
    """Remove all scales but mip 0, in place.

    Parameters
    ----------
    info : dict
    """
    info["scales"] = list(info["scales"][:1])


def _coarser(
    base: Info,
    ratios: Sequence[int],
    *,
    encoding: str,
    chunk_size: Sequence[int],
    level: Number | None,
    effort: Number | None,
) -> Info:
    """Return a scale whose voxels are ``ratios`` times as large as those of ``base``.

    Integer arithmetic throughout: upstream divides in float32, which knows no odd size beyond 2^24.
    """
    if any(ratio < 1 for ratio in ratios):
        raise InvalidArgumentError(
            f"factor: expected at least 1 on every axis, found {list(ratios)}",
            key="factor",
            expected="at least 1",
            found=list(ratios),
        )
    resolution = [size * ratio for size, ratio in zip(base["resolution"], ratios, strict=True)]
    scale: Info = {
        "encoding": encoding,
        "chunk_sizes": [list(chunk_size)],
        "key": "_".join(str(size) for size in resolution),
        "resolution": resolution,
        "voxel_offset": [
            low // ratio for low, ratio in zip(base["voxel_offset"], ratios, strict=True)
        ],
        "size": [-(-extent // ratio) for extent, ratio in zip(base["size"], ratios, strict=True)],
    }
    if encoding == "compressed_segmentation":
        member = "compressed_segmentation_block_size"
        scale[member] = list(base[member])
    if level is not None and encoding in _LEVEL_MEMBERS:
        scale[_LEVEL_MEMBERS[encoding]] = level
    if effort is not None and encoding in _EFFORT_MEMBERS:
        scale[_EFFORT_MEMBERS[encoding]] = effort
    return scale


def _closest_divisor(number: int, target: int) -> int:
    """Return the divisor of ``number`` closest to ``target``; of two, the smaller."""
    divisors = (
        d
        for low in range(1, math.isqrt(number) + 1)
        if number % low == 0
        for d in (low, number // low)
    )
    return min(divisors, key=lambda d: (abs(d - target), d))
