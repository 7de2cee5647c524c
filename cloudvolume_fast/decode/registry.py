# SPDX-License-Identifier: BSD-3-Clause
"""The encodings of chunks: which values each can hold, who decodes it, and what compresses it besides.

One entry per encoding, and the only place that knows them.  Implementations are imported when a volume needs them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cloudvolume_fast.decode.codec import ChunkCodec, ChunkEncoder, ChunkSpec, Triple, number
from cloudvolume_fast.errors import EncodingError, UnsupportedEncodingError


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding.

    Attributes
    ----------
    name : str
        As it stands in ``info``.
    data_types : frozenset of str or None
        numpy names that it can hold; None for all.
    channels : frozenset of int or None
        Numbers of channels that it can hold; None for all.
    default_compress : str or None
        Second-stage compression when ``compress=None`` (upstream's rule).
    is_compressible : bool
        Whether second-stage compression is ever applied; never over pictures, which it only makes slower to read.
    implementation : str or None
        ``module:attribute`` of a `ChunkCodec`, or of a `ChunkEncoder` with `native_decode`; None for encodings of the
        core.
    native_decode : bool
        Whether the core decodes what `implementation` encodes: reading then needs no package.
    is_lossless : bool
        Whether what is decoded is what was encoded, bit for bit, unless the scale asks for less.
    holds_gil : frozenset of {"decode", "encode"}
        What `implementation` does with the GIL held.  Chunks are worked on by several threads all the same, and what
        the core does around the call (files, second-stage compression, copies) still overlaps; but the calls follow
        each other, and the program's other threads wait.  Whatever is not named here releases the GIL, runs on every
        thread, and is measured by a test.
    takes_threads : frozenset of {"decode", "encode"}
        What `implementation` does on several threads within one call where it is told to (`ChunkSpec.threads`).
    """

    name: str
    data_types: frozenset[str] | None = None
    channels: frozenset[int] | None = None
    default_compress: str | None = None
    is_compressible: bool = True
    implementation: str | None = None
    native_decode: bool = False
    is_lossless: bool = True
    holds_gil: frozenset[Literal["decode", "encode"]] = frozenset()
    takes_threads: frozenset[Literal["decode", "encode"]] = frozenset()

    @property
    def is_native(self) -> bool:
        """Whether the core decodes it."""
        return self.implementation is None or self.native_decode

    def check(self, data_type: np.dtype[Any], num_channels: int, where: str) -> None:
        """Raise unless the encoding can hold a type and a number of channels.

        Raises
        ------
        EncodingError
            Names what would do.
        """
        if self.data_types is not None and data_type.name not in self.data_types:
            raise EncodingError(
                f"{where}: encoding {self.name} expects data_type {' or '.join(sorted(self.data_types))}, "
                f"found {data_type.name}",
                key=where,
                expected=self.data_types,
                found=data_type.name,
            )
        if self.channels is not None and num_channels not in self.channels:
            raise EncodingError(
                f"{where}: encoding {self.name} expects {' or '.join(map(str, sorted(self.channels)))} channels, "
                f"found {num_channels}",
                key=where,
                expected=self.channels,
                found=num_channels,
            )

    def load(self) -> ChunkCodec | ChunkEncoder | None:
        """Return the implementation, imported now; None for encodings of the core.

        Raises
        ------
        ImportError
            A package is not installed; the message names it and the extra that brings it.
        """
        if self.implementation is None:
            return None
        codec: ChunkCodec | ChunkEncoder = _named(self.implementation)
        return codec


def _named(what: str) -> Any:  # Any: what ``module:attribute`` is
    module, _, attribute = what.partition(":")
    return getattr(importlib.import_module(module), attribute)


_CODECS: dict[str, Codec] = {}


def register(codec: Codec) -> None:
    """Add an encoding, or replace the entry of its name."""
    _CODECS[codec.name] = codec


def lookup(encoding: str, where: str) -> Codec:
    """Return the entry of an encoding.

    Raises
    ------
    UnsupportedEncodingError
        For a name that is not registered (a NotImplementedError, as upstream raises).
    """
    try:
        return _CODECS[encoding]
    except KeyError:
        raise UnsupportedEncodingError(
            f"{where}: expected an encoding among {', '.join(sorted(_CODECS))}, found {encoding!r}",
            key=where,
            expected=tuple(sorted(_CODECS)),
            found=encoding,
        ) from None


def names() -> tuple[str, ...]:
    """Return the encodings, sorted."""
    return tuple(sorted(_CODECS))


def require(package: str, extra: str | None = None) -> Any:  # Any: a module
    """Import a package that an encoding needs.

    Raises
    ------
    ImportError
        It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        what = f"cloudvolume-fast[{extra}]" if extra else "cloudvolume-fast"
        absent = (error.name or package).partition(".")[0]  # it, or what it needs itself
        raise ImportError(f"the package {absent} is not installed: pip install '{what}'") from error


_UNSIGNED = frozenset({"bool", "uint8", "uint16", "uint32", "uint64"})

register(Codec("raw", default_compress="gzip"))
register(Codec("compressed_segmentation", frozenset({"uint32", "uint64"}), default_compress="gzip"))
register(
    Codec("png", frozenset({"uint8", "uint16"}), frozenset({1, 2, 3, 4}), is_compressible=False)
)

_HERE = "cloudvolume_fast.decode"
_BYTES = frozenset({"uint8"})
register(
    Codec(
        "jpeg",
        _BYTES,
        frozenset({1, 3}),
        is_compressible=False,
        implementation=f"{_HERE}.jpeg:CODEC",
        is_lossless=False,
    )
)
register(
    Codec(
        "jxl",
        _BYTES,
        frozenset({1, 3, 4}),
        is_compressible=False,
        implementation=f"{_HERE}.jxl:CODEC",
        is_lossless=False,
        takes_threads=frozenset({"decode", "encode"}),
    )
)
register(
    Codec(
        "compresso",
        _UNSIGNED,
        frozenset({1}),
        default_compress="gzip",
        implementation=f"{_HERE}.compresso:CODEC",
        native_decode=True,
        holds_gil=frozenset({"encode"}),
    )
)
register(
    Codec(
        "crackle",
        _UNSIGNED,
        frozenset({1}),
        default_compress="gzip",
        implementation=f"{_HERE}.crackle:CODEC",
        native_decode=True,
        takes_threads=frozenset({"encode"}),
    )
)
register(Codec("fpzip", frozenset({"float32", "float64"}), implementation=f"{_HERE}.fpzip:FPZIP"))
register(
    Codec(
        "kempressed",
        frozenset({"float32", "float64"}),
        implementation=f"{_HERE}.fpzip:KEMPRESSED",
        is_lossless=False,
    )
)
register(
    Codec(
        "zfpc",
        frozenset({"int32", "int64", "float32", "float64"}),
        implementation=f"{_HERE}.zfpc:CODEC",
        is_lossless=False,
    )
)

Recode = Callable[[bytes, Triple, ChunkSpec], bytes | None]
"""Takes a chunk as stored; returns it in another encoding, or None where its voxels must be encoded anew."""

_RECODERS = {
    ("jpeg", "jxl"): f"{_HERE}.jpeg_in_jxl:jpeg_to_jxl",
    ("jxl", "jpeg"): f"{_HERE}.jpeg_in_jxl:jxl_to_jpeg",
}
_LOSSLESS_QUALITY = 100


def recoder(source: str, destination: str, spec: ChunkSpec) -> Recode | None:
    """Return what turns chunks of one encoding into another's without their voxels, and without loss, if anything does.

    Parameters
    ----------
    source, destination : str
        Encodings.
    spec : ChunkSpec
        Of the destination: a scale with a quality below 100 asks for pictures of that quality (upstream behaviour).

    Raises
    ------
    InvalidArgumentError
        The quality is none.
    ImportError
        A package is not installed.
    """
    what = _RECODERS.get((source, destination))
    if what is None:
        return None
    quality = number(spec.scale, f"{destination}_quality", 0, math.inf, is_whole=False)
    if quality is not None and quality < _LOSSLESS_QUALITY:
        return None
    recode: Recode = _named(what)
    return recode
