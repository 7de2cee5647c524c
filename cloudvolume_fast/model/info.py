# SPDX-License-Identifier: BSD-3-Clause
"""The info file of a Precomputed volume.

The JSON object itself is the source of truth: callers keep and change it, and members that nothing
here knows are written back as they were read. These functions check it, derive values from it and
extend it.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from cloudvolume_fast.errors import (
    InfoValidationError,
    InvalidArgumentError,
    MissingInfoMemberError,
    ScaleUnavailableError,
)
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.dtypes import data_type_name, parse_data_type
from cloudvolume_fast.model.vec import Vec

__all__ = [
    "Info",
    "Scale",
    "add_scale",
    "bbox_to_mip",
    "create_info",
    "dump_info",
    "load_info",
    "parse_scale",
    "point_to_mip",
    "reset_scales",
    "validate_for_commit",
    "validate_info",
]

# Any: a JSON value, to which callers add members of their own.
Info: TypeAlias = dict[str, Any]
Triple: TypeAlias = tuple[int, int, int]
Number: TypeAlias = int | float
NumberTriple: TypeAlias = tuple[Number, Number, Number]

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)

_ABSOLUTE_KEY = re.compile(r"/|[A-Za-z][A-Za-z0-9+.\-]*://|[A-Za-z]:[\\/]|\\")

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


# Reading and checking.


def load_info(content: bytes | str, key: str = "info") -> Info:
    """Parse an info file, without checking what is in it.

    Parameters
    ----------
    content : bytes or str
        JSON, in UTF-8 if bytes.
    key : str
        What to name in an error message.

    Returns
    -------
    dict

    Raises
    ------
    InfoValidationError
        The content is not a JSON object.
    """
    try:
        info = json.loads(content)
    except json.JSONDecodeError as error:
        raise InfoValidationError(
            f"{key}: expected JSON, found {error.msg} at offset {error.pos}",
            key=key,
            expected="JSON",
            found=error.msg,
            offset=error.pos,
        ) from error
    except (ValueError, RecursionError) as error:
        raise InfoValidationError(
            f"{key}: expected JSON, found {error}", key=key, expected="JSON", found=str(error)
        ) from error
    if not isinstance(info, dict):
        _reject(key, "a JSON object", info)
    return info


def validate_info(info: object, key: str = "info") -> None:
    """Check that an info describes a volume that can be addressed.

    Parameters
    ----------
    info : dict
        Not changed. numpy numbers and arrays are as good as JSON ones, as is a float that is
        integral where an integer is expected.
    key : str
        What to name in an error message.

    Raises
    ------
    InfoValidationError
        The message names the member, for example
        ``info: scales[1].size: expected 3 positive integers, found [0, 1, 1]``.

    Notes
    -----
    precomputed-volume.md, sections 2.1 and 2.2. Encodings are not checked: those of one scale need
    not be known to read another.
    """
    if not isinstance(info, Mapping):
        _reject(key, "a JSON object", info)
    scales = info.get("scales")
    if not isinstance(scales, (list, tuple)) or not scales:
        _reject(f"{key}: scales", "a list of at least 1 scale", scales)
    data_type = info.get("data_type")
    if not isinstance(data_type, str):
        _reject(f"{key}: data_type", "the name of a data type", data_type)
    try:
        parse_data_type(data_type, key=key)
    except InvalidArgumentError as error:
        raise InfoValidationError(
            *error.args, key=key, expected=error.expected, found=data_type
        ) from None
    channels = _integer(info.get("num_channels"))
    if channels is None or not 1 <= channels <= _INT64_MAX:
        _reject(f"{key}: num_channels", "a positive integer", info.get("num_channels"))
    for member in ("@type", "type", "mesh", "skeletons", "segment_properties", "redirect"):
        value = info.get(member)
        if value and not isinstance(value, str):
            _reject(f"{key}: {member}", "a string", value)
    for index, scale in enumerate(scales):
        parse_scale(scale, index, key=key)


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
    precomputed-volume.md, section 2.2.
    """
    where = f"{key}: scales[{index}]"
    if not isinstance(scale, Mapping):
        _reject(where, "a JSON object", scale)
    folder = scale.get("key")
    if not isinstance(folder, str) or _ABSOLUTE_KEY.match(folder) or not _is_file_name(folder):
        _reject(f"{where}.key", "a relative path", folder)
    encoding = scale.get("encoding")
    if not isinstance(encoding, str) or not encoding:
        _reject(f"{where}.encoding", "the name of an encoding", encoding)
    # As many voxels as one likes: only what is read must fit into memory.
    size = _positive_triple(scale.get("size"), f"{where}.size", is_volume_limited=False)
    stored_offset = scale.get("voxel_offset")
    offset = (0, 0, 0) if stored_offset is None else _integer_triple(stored_offset)
    if offset is None:
        _reject(f"{where}.voxel_offset", "3 integers", stored_offset)
    for low, extent in zip(offset, size, strict=True):
        if low < _INT64_MIN or low + extent > _INT64_MAX:
            _reject(f"{where}.voxel_offset", "bounds within 64 bits", stored_offset)
    chunk_sizes = _listed(scale.get("chunk_sizes"))
    if not chunk_sizes:
        _reject(f"{where}.chunk_sizes", "a list of at least 1 size", scale.get("chunk_sizes"))
    chunks = [
        _positive_triple(chunk, f"{where}.chunk_sizes[{i}]") for i, chunk in enumerate(chunk_sizes)
    ]
    sharding = scale.get("sharding")
    if sharding is not None:
        if not isinstance(sharding, Mapping):
            _reject(f"{where}.sharding", "a JSON object or null", sharding)
        if len(chunks) != 1:
            _reject(f"{where}.chunk_sizes", "1 size, as the scale is sharded", chunk_sizes)
    block_size = scale.get("compressed_segmentation_block_size")
    if block_size is not None or encoding == "compressed_segmentation":
        member = f"{where}.compressed_segmentation_block_size"
        block_size = _positive_triple(block_size, member)
        # Boundary blocks are stored whole, so a huge block would make any chunk huge.
        if math.prod(block_size) > _MAX_BLOCK_VOXELS:
            _reject(member, f"at most {_MAX_BLOCK_VOXELS} voxels", list(block_size))
    return Scale(
        key=folder,
        size=size,
        voxel_offset=offset,
        resolution=_resolution(scale.get("resolution"), f"{where}.resolution"),
        chunk_size=chunks[0],
        encoding=encoding,
        block_size=block_size,
        sharding=sharding,
        raw=scale,  # type: ignore[arg-type]
    )


def validate_for_commit(info: Mapping[str, Any], key: str = "info") -> None:
    """Check what only a writer has to respect.

    Parameters
    ----------
    info : dict
    key : str
        What to name in an error message.

    Raises
    ------
    MissingInfoMemberError
        A `KeyError`: a ``compressed_segmentation`` scale has no block size.
    InfoValidationError
        A `ValueError`: the data type cannot be encoded as ``compressed_segmentation``.

    Notes
    -----
    precomputed-volume.md, end of section 2.2.
    """
    for index, scale in enumerate(info.get("scales", ())):
        if scale.get("encoding") != "compressed_segmentation":
            continue
        member = "compressed_segmentation_block_size"
        if not _listed(scale.get(member)):
            where = f"{key}: scales[{index}].{member}"
            raise MissingInfoMemberError(
                f"{where}: expected {_POSITIVE_INTEGERS}, found nothing",
                key=key,
                expected=_POSITIVE_INTEGERS,
            )
        if info.get("data_type") not in ("uint32", "uint64"):
            _reject(
                f"{key}: data_type",
                f"uint32 or uint64, as scales[{index}] is compressed_segmentation",
                info.get("data_type"),
            )


# Writing.


def dump_info(info: Mapping[str, Any], key: str = "info") -> bytes:
    """Serialise an info as it is stored.

    Parameters
    ----------
    info : dict
        numpy numbers and arrays in it are converted.
    key : str
        What to name in an error message.

    Returns
    -------
    bytes
        JSON with sorted keys and an indent of 2.

    Raises
    ------
    InfoValidationError
        It holds something that JSON cannot express.

    Notes
    -----
    precomputed-volume.md, section 2.2.
    """
    try:
        text = json.dumps(
            info,
            sort_keys=True,
            indent=2,
            separators=(",", ": "),
            allow_nan=False,
            default=_json_value,
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InfoValidationError(
            f"{key}: expected values that JSON can express, found {error}",
            key=key,
            expected="values that JSON can express",
            found=str(error),
        ) from error
    return text.encode("utf-8")


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
    precomputed-volume.md, section 2.3; the parameters are those of upstream's
    ``PrecomputedMetadata.create_info``.
    """
    base: Info = {
        "resolution": _uniform(_numbers(resolution, "resolution")),
        "voxel_offset": _truncated(voxel_offset, "voxel_offset"),
        "size": _truncated(volume_size, "volume_size"),
        "compressed_segmentation_block_size": _truncated(
            compressed_segmentation_block_size, "compressed_segmentation_block_size"
        ),
    }
    chunk = _truncated(chunk_size, "chunk_size")
    steps = _numbers(factor, "factor")
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
    precomputed-volume.md, section 2.4.
    """
    fine = parse_scale(info["scales"][0], 0)
    ratios = [round(value) for value in _numbers(factor, "factor")]
    if any(ratio > 0 and ratio & (ratio - 1) for ratio in ratios):
        warnings.warn(
            f"factor {ratios} is not a power of two on every axis, which is unusual", stacklevel=2
        )
    if chunk_size is None:
        chunk = [_closest_divisor(extent, 64) for extent in fine.chunk_size]
    else:
        chunk = _truncated(chunk_size, "chunk_size")
    base: Info = {
        "resolution": _uniform(fine.resolution),
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
        if _listed(existing.get("resolution")) == scale["resolution"]:
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


# Coordinates of other mips.


def point_to_mip(info: Mapping[str, Any], point: Sequence[Number], mip: int, to_mip: int) -> Vec:
    """Convert a point between scales.

    Parameters
    ----------
    info : dict
    point : sequence of 3 numbers
        In voxels of ``mip``.
    mip, to_mip : int

    Returns
    -------
    Vec
        int64, in voxels of ``to_mip``, rounded down.

    Raises
    ------
    ScaleUnavailableError
        There is no such mip.

    Notes
    -----
    precomputed-volume.md, section 3.1.
    """
    ratios = _ratios(info, mip, to_mip)
    values = _numbers(point, "point")
    return Vec._from_sequence(
        [math.floor(Fraction(value) * ratio) for value, ratio in zip(values, ratios, strict=True)],
        np.int64,
    )


def bbox_to_mip(info: Mapping[str, Any], bbox: Bbox, mip: int, to_mip: int) -> Bbox:
    """Convert a box between scales, one mip at a time.

    Parameters
    ----------
    info : dict
    bbox : Bbox
        In voxels of ``mip``.
    mip, to_mip : int

    Returns
    -------
    Bbox
        int64, in voxels of ``to_mip``. At each step the lower corner is rounded down and the upper
        corner up.

    Raises
    ------
    ScaleUnavailableError
        There is no such mip.

    Notes
    -----
    precomputed-volume.md, section 3.1.
    """
    step = 1 if to_mip > mip else -1
    low: list[Number] = bbox.minpt.tolist()
    high: list[Number] = bbox.maxpt.tolist()
    for current in range(mip, to_mip, step):
        ratios = _ratios(info, current, current + step)
        low = [math.floor(Fraction(v) * ratio) for v, ratio in zip(low, ratios, strict=True)]
        high = [math.ceil(Fraction(v) * ratio) for v, ratio in zip(high, ratios, strict=True)]
    if mip == to_mip:
        low, high = [math.floor(v) for v in low], [math.ceil(v) for v in high]
    return Bbox(low, high)


def _ratios(info: Mapping[str, Any], mip: int, to_mip: int) -> list[Fraction]:
    """Return what to multiply coordinates at ``mip`` by to get those at ``to_mip``."""
    scales = info["scales"]
    found = []
    for index in (mip, to_mip):
        if not -len(scales) <= index < len(scales):
            raise ScaleUnavailableError(
                f"mip {index}: expected less than {len(scales)}, the number of scales",
                expected=len(scales),
                found=index,
            )
        found.append(
            _resolution(scales[index].get("resolution"), f"info: scales[{index}].resolution")
        )
    return [_ratio(source, target) for source, target in zip(*found, strict=True)]


def _ratio(source: Number, target: Number) -> Fraction:
    ratio = Fraction(source) / Fraction(target)
    if isinstance(source, int) and isinstance(target, int):
        return ratio
    # Resolutions such as 0.3 and 0.1 are not quite 3 to 1 in binary; taken literally, rounding down
    # would be off by a voxel wherever the exact product is an integer.
    return ratio.limit_denominator(1 << 20)


# Values.


def _reject(where: str, expected: str, found: object) -> NoReturn:
    shown = "nothing" if found is None else repr(found)
    if len(shown) > 200:
        shown = shown[:200] + "..."
    raise InfoValidationError(
        f"{where}: expected {expected}, found {shown}", key=where, expected=expected, found=found
    )


def _integer(value: object) -> int | None:
    """Return an integral number as an int; None for anything else, bools included."""
    if type(value) is int:
        return value
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else None
    if isinstance(value, (int, np.integer)):
        return int(value)
    return None


def _number(value: object) -> Number | None:
    """Return a finite number as an int or float; None for anything else, bools included."""
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return _integer(value)


def _listed(value: object) -> list[Any] | None:
    # Any: JSON values.
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return value.tolist()  # type: ignore[no-any-return]
    return None


def _integer_triple(value: object) -> Triple | None:
    items = _listed(value)
    if items is None or len(items) != 3:
        return None
    x, y, z = (_integer(item) for item in items)
    if x is None or y is None or z is None:
        return None
    return x, y, z


def _is_file_name(path: str) -> bool:
    """Say whether a file system can have such a path: without zero bytes and surrogates."""
    try:
        return b"\0" not in path.encode("utf-8")
    except UnicodeEncodeError:
        return False


def _positive_triple(value: object, where: str, *, is_volume_limited: bool = True) -> Triple:
    triple = _integer_triple(value)
    if triple is None or min(triple) < 1 or max(triple) > _INT64_MAX:
        _reject(where, _POSITIVE_INTEGERS, value)
    if is_volume_limited and math.prod(triple) > _INT64_MAX:
        _reject(where, f"{_POSITIVE_INTEGERS} whose product fits 64 bits", value)
    return triple


def _resolution(value: object, where: str) -> NumberTriple:
    items = _listed(value)
    if items is not None and len(items) == 3:
        x, y, z = (_number(item) for item in items)
        if x is not None and y is not None and z is not None and min(x, y, z) > 0:
            return x, y, z
    _reject(where, "3 positive numbers", value)


def _numbers(value: object, name: str) -> NumberTriple:
    """Return an argument as three numbers; a single number serves for all."""
    single = _number(value)
    items = [single] * 3 if single is not None else _listed(value)
    if items is not None and len(items) == 3:
        x, y, z = (_number(item) for item in items)
        if x is not None and y is not None and z is not None:
            return x, y, z
    expected = "3 numbers"
    raise InvalidArgumentError(
        f"{name}: expected {expected}, found {value!r}", key=name, expected=expected, found=value
    )


def _truncated(value: object, name: str) -> list[int]:
    return [int(number) for number in _numbers(value, name)]


def _uniform(resolution: NumberTriple) -> list[Number]:
    """Return all as floats if any is one, so that every part of a key has the same form."""
    if any(isinstance(size, float) for size in resolution):
        return [float(size) for size in resolution]
    return list(resolution)


def _json_value(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r}")
