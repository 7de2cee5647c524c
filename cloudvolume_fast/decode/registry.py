# SPDX-License-Identifier: BSD-3-Clause
"""The encodings of chunks: which values each can hold, who decodes it, and what compresses it besides.

One entry per encoding, and the only place that knows them.  A native entry is decoded and encoded by the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    is_native : bool
        Decoded and encoded in the core, without the GIL.
    default_compress : str or None
        Second-stage compression when ``compress=None`` (upstream's rule).
    """

    name: str
    data_types: frozenset[str] | None
    is_native: bool
    default_compress: str | None

    def check(self, data_type: np.dtype[Any], where: str) -> None:
        """Raise unless the encoding can hold a type.

        Raises
        ------
        EncodingError
            Names the types that would do.
        """
        if self.data_types is not None and data_type.name not in self.data_types:
            raise EncodingError(
                f"{where}: encoding {self.name} expects data_type {' or '.join(sorted(self.data_types))}, "
                f"found {data_type.name}",
                key=where,
                expected=self.data_types,
                found=data_type.name,
            )


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


def default_compress(encoding: str) -> str | None:
    """Return the second-stage compression that ``compress=None`` stands for; none for encodings not known here."""
    codec = _CODECS.get(encoding)
    return codec.default_compress if codec is not None else None


register(Codec("raw", None, is_native=True, default_compress="gzip"))
register(
    Codec(
        "compressed_segmentation",
        frozenset({"uint32", "uint64"}),
        is_native=True,
        default_compress="gzip",
    )
)
