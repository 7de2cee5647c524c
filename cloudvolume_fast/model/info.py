# SPDX-License-Identifier: BSD-3-Clause
"""The info file of a Precomputed volume: reading, checking, writing.

The JSON object itself is the source of truth: callers keep and change it, and members that nothing
here knows are written back as they were read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudvolume_fast.errors import (
    InfoValidationError,
    InvalidArgumentError,
    MissingInfoMemberError,
)
from cloudvolume_fast.model.dtypes import parse_data_type
from cloudvolume_fast.model.info_values import (
    INT64_MAX,
    POSITIVE_INTEGERS,
    Info,
    as_integer,
    as_list,
    json_value,
    reject,
)
from cloudvolume_fast.model.scale import Scale, parse_scale

__all__ = [
    "Info",
    "Scale",
    "dump_info",
    "load_info",
    "parse_scale",
    "validate_for_commit",
    "validate_info",
]


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
        reject(key, "a JSON object", info)
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
    The info of the Precomputed format. Encodings are not checked: those of one scale need
    not be known to read another.
    """
    if not isinstance(info, Mapping):
        reject(key, "a JSON object", info)
    scales = info.get("scales")
    if not isinstance(scales, (list, tuple)) or not scales:
        reject(f"{key}: scales", "a list of at least 1 scale", scales)
    data_type = info.get("data_type")
    if not isinstance(data_type, str):
        reject(f"{key}: data_type", "the name of a data type", data_type)
    try:
        parse_data_type(data_type, key=key)
    except InvalidArgumentError as error:
        raise InfoValidationError(
            *error.args, key=key, expected=error.expected, found=data_type
        ) from None
    channels = as_integer(info.get("num_channels"))
    if channels is None or not 1 <= channels <= INT64_MAX:
        reject(f"{key}: num_channels", "a positive integer", info.get("num_channels"))
    for member in ("@type", "type", "mesh", "skeletons", "segment_properties", "redirect"):
        value = info.get(member)
        if value and not isinstance(value, str):
            reject(f"{key}: {member}", "a string", value)
    for index, scale in enumerate(scales):
        parse_scale(scale, index, key=key)


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
        if not as_list(scale.get(member)):
            where = f"{key}: scales[{index}].{member}"
            raise MissingInfoMemberError(
                f"{where}: expected {POSITIVE_INTEGERS}, found nothing",
                key=key,
                expected=POSITIVE_INTEGERS,
            )
        if info.get("data_type") not in ("uint32", "uint64"):
            reject(
                f"{key}: data_type",
                f"uint32 or uint64, as scales[{index}] is compressed_segmentation",
                info.get("data_type"),
            )


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
    """
    try:
        text = json.dumps(
            info,
            sort_keys=True,
            indent=2,
            separators=(",", ": "),
            allow_nan=False,
            default=json_value,
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InfoValidationError(
            f"{key}: expected values that JSON can express, found {error}",
            key=key,
            expected="values that JSON can express",
            found=str(error),
        ) from error
    return text.encode("utf-8")
