# SPDX-License-Identifier: BSD-3-Clause
"""Second-stage compression of whole objects: names, suffixes, and the codecs that Python packages provide.

gzip of chunks is native (libdeflate, in the core).  The functions here serve the other suffixes, called from the core's
threads, and small objects such as metadata.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from dataclasses import dataclass
from typing import Any

from cloudvolume_fast.errors import (
    CompressionError,
    DecompressionError,
    InvalidArgumentError,
    UnsupportedCompressionType,
)

SUFFIXES = ("", ".gz", ".br", ".zstd", ".xz", ".bz2")
"""Suffixes on file systems, in the order in which equally new copies are preferred."""

_SUFFIX_OF = {
    "gzip": ".gz",
    "br": ".br",
    "zstd": ".zstd",
    "xz": ".xz",
    "lzma": ".xz",
    "bz2": ".bz2",
    "bzip2": ".bz2",
}
# Memory that an xz header may ask for: four times what the highest preset does.
_XZ_MEMORY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Compression:
    """A second-stage compression.

    Attributes
    ----------
    lowest, highest, default : int
        Levels; brotli's and gzip's defaults are upstream's.
    releases_gil : bool
        Whether `compress` and `decompress` leave the GIL to others while the package works, so that chunks are worked
        on by every thread at once.  Measured by a test.
    """

    lowest: int
    highest: int
    default: int
    releases_gil: bool = True


COMPRESSIONS = {
    "": Compression(0, 0, 0),
    ".gz": Compression(0, 9, 9),
    ".br": Compression(0, 11, 5),
    ".zstd": Compression(-131072, 22, 3),
    ".xz": Compression(0, 9, 6),
    ".bz2": Compression(1, 9, 9),
}
"""What is known about each method, by its suffix."""


def suffix_of(compress: str | bool | int | None) -> str:
    """Return the file suffix of a ``compress=`` argument; none, false and the empty string mean no compression.

    Raises
    ------
    UnsupportedCompressionType
        For any other value (a ValueError, as upstream raises).
    """
    if compress is None or compress is False or compress == "":
        return ""
    if compress is True or compress == 1:
        return ".gz"
    if isinstance(compress, str) and compress in _SUFFIX_OF:
        return _SUFFIX_OF[compress]
    raise UnsupportedCompressionType(
        f"compress: expected one of {', '.join(_SUFFIX_OF)}, a bool or None, found {compress!r}",
        key="compress",
        expected=tuple(_SUFFIX_OF),
        found=compress,
    )


def level_of(suffix: str, level: int | None) -> int:
    """Return the compression level to use, the default of the method where none is given.

    Raises
    ------
    InvalidArgumentError
        For a level that the method does not have.
    """
    method = COMPRESSIONS[suffix]
    low, high = method.lowest, method.highest
    if level is None:
        return method.default
    if suffix and not low <= int(level) <= high:
        raise InvalidArgumentError(
            f"compress_level: expected {low} to {high} for {suffix}, found {level}",
            key="compress_level",
            expected=(low, high),
            found=level,
        )
    return int(level)


class ContentTooLongError(DecompressionError):
    """The content of a stream is longer than allowed; whether the rest of the stream is sound is not known."""


def _too_large(limit: int) -> ContentTooLongError:
    return ContentTooLongError(f"expected at most {limit} bytes, found more", expected=limit)


def _stream(
    decompressor: Any, data: bytes, limit: int, name: str
) -> bytes:  # Any: LZMA or BZ2 decompressor
    """Decompress one stream with the incremental interface that lzma and bz2 share, up to a limit."""
    out = decompressor.decompress(data, limit + 1)
    if len(out) > limit:
        raise _too_large(limit)
    if not decompressor.eof:
        raise DecompressionError(f"{name} stream ends before its end marker", offset=len(data))
    if decompressor.unused_data.strip(b"\0"):
        raise DecompressionError(
            f"expected the end of the file after the {name} stream, found "
            f"{len(decompressor.unused_data)} more bytes",
            offset=len(data) - len(decompressor.unused_data),
        )
    return bytes(out)


def _package(name: str) -> Any:  # Any: a module
    try:
        return importlib.import_module(name)
    except ImportError as error:
        remedy = (
            "this Python was built without it"
            if name in sys.stdlib_module_names
            else "pip install 'cloudvolume-fast'"
        )
        raise ImportError(f"the package {name} is not installed: {remedy}") from error


def _gunzip(data: bytes, limit: int) -> bytes:
    out, rest = b"", data
    while rest:  # members may follow each other, and zeros the last
        decompressor = zlib.decompressobj(31)
        out += decompressor.decompress(rest, limit - len(out) + 1)
        if len(out) > limit:
            raise _too_large(limit)
        if not decompressor.eof:
            raise DecompressionError("gzip stream ends before its end marker", offset=len(data))
        rest = decompressor.unused_data.lstrip(b"\0")
    return out


def _unbrotli(data: bytes, limit: int) -> bytes:
    brotli = _package("brotli")
    decompressor = brotli.Decompressor()
    # Four bytes can stand for 16 MB, so what bounds the memory is the size of the output, never that of the input.
    out = decompressor.process(data, output_buffer_limit=limit + 1)
    if len(out) > limit:
        raise _too_large(limit)
    if not decompressor.is_finished():
        raise DecompressionError("brotli stream ends before its end marker", offset=len(data))
    return bytes(out)


def _unzstd(data: bytes, limit: int) -> bytes:
    zstandard = _package("zstandard")
    size = zstandard.frame_content_size(data)
    if size > limit:
        raise _too_large(limit)
    if size >= 0:
        # Into a buffer of that size, whatever the frame then holds.
        return bytes(zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False))
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    parts, size = [], 0
    # A block of 4 bytes can stand for 128 KiB: a piece expands to 4 MiB at most.
    step = 1 << 7
    for start in range(0, len(data), step):
        part = decompressor.decompress(data[start : start + step])
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if decompressor.eof:
            if decompressor.unused_data or start + step < len(data):
                raise DecompressionError(
                    "expected the end of the file after the zstd frame", offset=start
                )
            break
    if not decompressor.eof:
        raise DecompressionError("zstd frame ends before its end", offset=len(data))
    return b"".join(parts)


def decompress(suffix: str, data: bytes | memoryview, limit: int) -> bytes:
    """Decompress a whole object.

    Parameters
    ----------
    suffix : str
        One of `SUFFIXES`.
    data : bytes-like
        The object as stored.
    limit : int
        Bytes that the result may have at most.

    Raises
    ------
    DecompressionError
        For data that are empty, cut short, corrupt, followed by others, or too large.
    """
    if not suffix:
        return bytes(data)
    if not len(data):
        raise DecompressionError(f"expected a {suffix} stream, found an empty file", offset=0)
    raw = bytes(data)
    limit = min(limit, sys.maxsize - 1)  # the packages take it, plus 1, as an ssize_t
    try:
        if suffix == ".gz":
            return _gunzip(raw, limit)
        if suffix == ".br":
            return _unbrotli(raw, limit)
        if suffix == ".zstd":
            return _unzstd(raw, limit)
        if suffix == ".xz":
            lzma = _package("lzma")
            return _stream(
                lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES), raw, limit, "xz"
            )
        bz2 = _package("bz2")
        return _stream(bz2.BZ2Decompressor(), raw, limit, "bzip2")
    except (ImportError, CompressionError, DecompressionError):
        raise
    except Exception as error:  # each package has exceptions of its own, some without a common base
        raise DecompressionError(f"corrupt {suffix} stream: {error}") from error


def compress(suffix: str, data: bytes | memoryview, level: int) -> bytes:
    """Compress a whole object with the method of a suffix.

    Raises
    ------
    CompressionError
        When the package refuses.
    """
    raw = bytes(data)
    try:
        if suffix == ".gz":
            compressor = zlib.compressobj(level, zlib.DEFLATED, 31)
            return compressor.compress(raw) + compressor.flush()
        if suffix == ".br":
            return bytes(_package("brotli").compress(raw, quality=level))
        if suffix == ".zstd":
            return bytes(_package("zstandard").ZstdCompressor(level=level).compress(raw))
        if suffix == ".xz":
            return bytes(_package("lzma").compress(raw, preset=level))
        if suffix == ".bz2":
            return bytes(_package("bz2").compress(raw, level))
    except ImportError:
        raise
    except Exception as error:  # as above
        raise CompressionError(f"{suffix}: {error}") from error
    return raw
