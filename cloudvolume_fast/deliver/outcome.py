# SPDX-License-Identifier: BSD-3-Clause
"""The core's account of a failed chunk, as an exception."""

from __future__ import annotations

import os
from typing import NoReturn

from cloudvolume_fast.errors import (
    AlignmentError,
    AuthorizationError,
    ChunkDecodeError,
    ChunkReadError,
    ChunkWriteError,
    CompressionError,
    CRC32CIntegrityError,
    DecompressionError,
    EmptyVolumeException,
    EncodingError,
    MD5IntegrityError,
    ShardIndexError,
)
from cloudvolume_fast.fetch.store import EXPIRED_CODES

# What is called to get at a stored chunk, also when a write merges with it.
_READING_CALLS = frozenset({"stat", "open", "read", "size"})

Outcome = tuple[str, str, str, int, int, int, int, str, int, str]
"""(kind, chunk name, what, code, offset, expected, found, system call, errno, detail)"""


def raise_outcome(outcome: Outcome, folder: str, *, writing: bool = False) -> NoReturn:
    """Raise what happened to the first chunk that failed.

    Parameters
    ----------
    outcome : Outcome
        As the core returned it.
    folder : str
        Cloud path of the scale's folder, for the key.
    writing : bool
        Whether the call was to write.

    Raises
    ------
    EmptyVolumeException
        The chunk is absent.
    ChunkReadError, ChunkWriteError
        The file system or the server said no (OSError, with errno where there is one).
    AuthorizationError
        The server says that it is not allowed.
    IntegrityError
        The bytes that a server sent are not those that it says they are.
    DecompressionError, ChunkDecodeError
        The bytes are not what they should be.
    ShardIndexError
        The index of a shard or of one of its minishards is not what it should be.
    AlignmentError
        A shard would be written in part, which was to be refused.
    EncodingError, CompressionError
        The voxels cannot be encoded.
    MemoryError
        There is not enough memory for the chunk.
    """
    kind, name, what, _code, offset, expected, found, call, errno, detail = outcome
    key = f"{folder}/{name}" if name else folder
    if kind == "missing":
        raise EmptyVolumeException(
            f"{key}: expected a chunk, found none (fill_missing=True reads absent chunks as background)",
            key=key,
            expected="a chunk",
            found=None,
        )
    if kind == "memory":
        raise MemoryError(
            f"{key}: not enough memory" + (f" for {expected} bytes" if expected else "")
        )
    if kind == "io":
        reason = os.strerror(errno) if errno else "the file changed while it was read"
        error = ChunkWriteError if writing and call not in _READING_CALLS else ChunkReadError
        raise error(f"{key}: {call} failed: {reason}", key=key, found=reason, errno=errno or None)
    if kind == "server":
        _raise_refusal(key, call, errno, detail, writing=writing)
    if kind == "index":
        raise ShardIndexError(
            f"{key}: {what} at byte {offset}: expected {expected}, found {found}",
            key=key,
            expected=expected,
            found=found,
            offset=offset,
        )
    if kind == "partial":
        raise AlignmentError(
            f"{key}: expected a write of all {found} chunks that the shard holds, found {expected} "
            "(partial_shard_writes=True merges)",
            key=key,
            expected=found,
            found=expected,
        )
    if kind == "compress":
        raise CompressionError(f"{key}: {detail}", key=key, found=detail)
    error_type = {
        "decompress": DecompressionError,
        "decode": ChunkDecodeError,
        "encode": EncodingError,
    }[kind]
    message = detail or f"{what} at byte {offset}"
    if not detail and (expected or found):
        message += f": expected {expected}, found {found}"
    raise error_type(
        f"{key}: cannot {kind}: {message}", key=key, expected=expected, found=found, offset=offset
    )


def _raise_refusal(key: str, reason: str, status: int, detail: str, *, writing: bool) -> NoReturn:
    """Raise what came of a request over a network."""
    message = f"{key}: {detail}"
    if reason == "memory":
        raise MemoryError(message)
    if reason == "digest":
        kind = CRC32CIntegrityError if "crc32c" in detail else MD5IntegrityError
        raise kind(message, key=key, found=detail)
    if status in (401, 403) or (status == 400 and any(code in detail for code in EXPIRED_CODES)):
        raise AuthorizationError(message, key=key, found=status)
    error = ChunkWriteError if writing else ChunkReadError
    raise error(message, key=key, expected="data", found=status or reason)
