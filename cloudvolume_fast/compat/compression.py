# SPDX-License-Identifier: BSD-3-Clause
"""Compression of whole objects under upstream's names, over `fetch.content_encoding`."""

from __future__ import annotations

from collections.abc import Callable

from cloudvolume_fast.errors import CompressionError, DecompressionError
from cloudvolume_fast.fetch import content_encoding

__all__ = [
    "COMPRESSION_TYPES",
    "CompressionError",
    "DecompressionError",
    "brotli_compress",
    "brotli_decompress",
    "compress",
    "decompress",
    "gunzip",
    "gzip_compress",
    "normalize_encoding",
    "zstd_compress",
    "zstd_decompress",
]

COMPRESSION_TYPES = [None, False, True, "", "bz2", "bzip2", "gzip", "br", "zstd", "xz", "lzma"]

_LIMIT_BYTES = 1 << 40


def normalize_encoding(encoding: str | bool | None) -> str | None:
    """Return the name of a compression, None for none."""
    if encoding is True:
        return "gzip"
    return encoding or None


def compress(
    content: bytes | str, method: str | bool | None = "gzip", compress_level: int | None = None
) -> bytes:
    """Compress an object.

    Parameters
    ----------
    content : bytes or str
        A text is taken as UTF-8.
    method : str, bool or None
        One of `COMPRESSION_TYPES`.
    compress_level : int, optional
        The method's default if there is none.

    Raises
    ------
    CompressionError, UnsupportedCompressionType, InvalidArgumentError
    """
    data = content.encode() if isinstance(content, str) else content
    suffix = content_encoding.suffix_of(method)
    return content_encoding.compress(
        suffix, data, content_encoding.level_of(suffix, compress_level)
    )


def decompress(content: bytes, encoding: str | bool | None, filename: str = "N/A") -> bytes:
    """Decompress an object.

    Parameters
    ----------
    content : bytes
    encoding : str, bool or None
        One of `COMPRESSION_TYPES`.
    filename : str
        For messages.

    Raises
    ------
    DecompressionError, UnsupportedCompressionType
    """
    suffix = content_encoding.suffix_of(encoding)
    try:
        return content_encoding.decompress(suffix, content, _LIMIT_BYTES)
    except DecompressionError as error:
        raise DecompressionError(
            f"{filename}: {error}", key=filename, offset=error.offset
        ) from error


def gzip_compress(content: bytes, compresslevel: int | None = None) -> bytes:
    """Compress an object with gzip."""
    return compress(content, "gzip", compresslevel)


def brotli_compress(content: bytes, quality: int | None = None) -> bytes:
    """Compress an object with brotli."""
    return compress(content, "br", quality)


def zstd_compress(content: bytes, level: int | None = None) -> bytes:
    """Compress an object with Zstandard."""
    return compress(content, "zstd", level)


def _decompressor(method: str) -> Callable[[bytes], bytes]:
    def decompress_one(content: bytes) -> bytes:
        return decompress(content, method)

    decompress_one.__doc__ = f"Decompress an object of {method}; raises DecompressionError."
    return decompress_one


gunzip = _decompressor("gzip")
brotli_decompress = _decompressor("br")
zstd_decompress = _decompressor("zstd")
