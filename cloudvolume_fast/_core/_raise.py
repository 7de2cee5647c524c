# SPDX-License-Identifier: BSD-3-Clause
"""The one place where the status of a kernel becomes an exception."""

from __future__ import annotations

from typing import NoReturn

from cloudvolume_fast.errors import (
    ChunkDecodeError,
    CloudVolumeError,
    DecompressionError,
    EncodingError,
    InvalidArgumentError,
)

# Numbers of StatusCode in status.pxd.
_OVERFLOW = 9
_INVALID_ARGUMENT = 10
_NO_MEMORY = 11


def raise_status(
    what: str, code: int, message: str, offset: int, expected: int, found: int
) -> NoReturn:
    """Raise the exception that a status stands for.

    Parameters
    ----------
    what : str
        The format or operation, such as ``"gzip"``; it opens the message.
    code : int
        A ``StatusCode`` other than 0.
    message : str
        The sentence for the code.
    offset : int
        Byte of the input at which it was noticed.
    expected, found : int
        The value wanted and the one met; both 0 where there is no such pair.

    Raises
    ------
    MemoryError
        If memory ran out.
    InvalidArgumentError
        If the caller's geometry makes no sense.
    EncodingError
        If the data cannot be represented in the format.
    DecompressionError
        If ``what`` is a compression layer.
    ChunkDecodeError
        Otherwise: the bytes are not what the format allows.
    """
    if code == _NO_MEMORY:
        raise MemoryError(f"{what}: {message}")
    text = f"{what}: {message}"
    if code == _INVALID_ARGUMENT:
        raise InvalidArgumentError(text)
    text += f" (byte {offset}"
    has_values = expected != 0 or found != 0
    if has_values:
        text += f", expected {expected}, found {found}"
    text += ")"
    if code == _OVERFLOW:
        error: type[CloudVolumeError] = EncodingError
    elif what == "gzip":
        error = DecompressionError
    else:
        error = ChunkDecodeError
    raise error(
        text,
        offset=offset,
        expected=expected if has_values else None,
        found=found if has_values else None,
    )
