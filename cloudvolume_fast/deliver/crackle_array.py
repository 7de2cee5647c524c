# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation that stays compressed in memory, as the ``crackle`` package holds it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import InvalidArgumentError


def compress_layers(layers: Iterable[NDArray[Any]]) -> Any:  # a crackle.CrackleArray
    """Return a CrackleArray of layers that follow each other along z.

    Parameters
    ----------
    layers : iterable of ndarray, shape (x, y, z)
        Of one unsigned type; each is held only until the next is asked for.

    Raises
    ------
    ImportError
        crackle-codec is not installed.

    Notes
    -----
    crackle chooses between two forms of its crack codes by the labels' looks, and stacks only layers of one form.
    Layers that differ in it are decompressed and compressed as a whole, which takes the memory of the whole image.
    """
    crackle = require("crackle")
    parts = [crackle.compress(np.asfortranarray(layer)) for layer in layers]
    if len(parts) == 1:
        return crackle.CrackleArray(parts[0])
    if len({crackle.header(part).crack_format for part in parts}) == 1:
        return crackle.CrackleArray(crackle.zstack(parts))
    whole = np.concatenate([crackle.decompress(part) for part in parts], axis=2)
    return crackle.CrackleArray(crackle.compress(np.asfortranarray(whole)))


def open_crackle(
    src: Any, allow_mmap: bool = True
) -> Any:  # Any: path, bytes or a CrackleArray; a CrackleArray
    """Return a CrackleArray of what is given: a path, the bytes of a file, or such an array.

    Raises
    ------
    ImportError
        crackle-codec is not installed.
    InvalidArgumentError
        It is something else.
    """
    crackle = require("crackle")
    if isinstance(src, crackle.CrackleArray):
        return src
    if isinstance(src, (bytes, bytearray, memoryview)):
        return crackle.CrackleArray(bytes(src))
    if isinstance(src, (str, os.PathLike)):
        return crackle.aload(os.fspath(src).removeprefix("file://"), allow_mmap=allow_mmap)
    raise InvalidArgumentError(
        f"src: expected a path, bytes or a CrackleArray, found {type(src).__name__}",
        key="src",
        found=type(src),
    )


def layers_of(array: Any, depth: int) -> Iterator[tuple[int, NDArray[Any]]]:  # Any: a CrackleArray
    """Yield (first z, labels) of layers of at most `depth` slices, of shape (x, y, z), decompressed one at a time."""
    for z in range(0, array.shape[2], depth):
        yield z, np.asarray(array[:, :, z : min(z + depth, array.shape[2])])
