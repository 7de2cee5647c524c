# SPDX-License-Identifier: BSD-3-Clause
"""gzip by libdeflate, whole buffers, without the GIL."""

from typing_extensions import Buffer

def decompress_bytes(data: Buffer, *, limit_bytes: int) -> bytes:
    """Inflate a gzip file.

    Parameters
    ----------
    data : bytes-like
        One or more members; zero padding may follow the last.
    limit_bytes : int
        The most that a valid file could hold: a bomb costs no more than this.

    Returns
    -------
    bytes
        The contents of all members.

    Raises
    ------
    DecompressionError
        If the file is not gzip, is cut short or damaged, inflates beyond the limit, or has trailing bytes.
    MemoryError
        If memory ran out.
    TypeError
        If ``data`` is not bytes-like.
    """

def decompress_into(data: Buffer, out: Buffer) -> int:
    """Inflate a gzip file into a buffer.

    Parameters
    ----------
    data : bytes-like
        One or more members; zero padding may follow the last.
    out : bytes-like, writable
        At least as long as the contents.

    Returns
    -------
    int
        How many bytes were written.

    Raises
    ------
    BufferError
        If ``out`` is read-only.
    DecompressionError
        If the file is not gzip, is cut short or damaged, does not fit ``out``, or has trailing bytes.
    MemoryError
        If memory ran out.
    TypeError
        If one is not bytes-like.
    """

def compress_bytes(data: Buffer, *, level: int = 6) -> bytes:
    """Compress to a gzip file of one member.

    Parameters
    ----------
    data : bytes-like
        Any length.
    level : int
        0 (stored) to 9 as in zlib, up to 12 as libdeflate has them.

    Returns
    -------
    bytes
        A gzip file, without name or time.

    Raises
    ------
    InvalidArgumentError
        If the level is not one of these.
    MemoryError
        If memory ran out.
    TypeError
        If ``data`` is not bytes-like.
    """
