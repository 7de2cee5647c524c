# SPDX-License-Identifier: BSD-3-Clause
"""The chunks held in memory, as the dictionary that users of ``vol.image.lru`` know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import InvalidArgumentError

_REQUIRED = object()


class ChunkLRU(Mapping[str, tuple[str, Any]]):
    """Least recently used chunks: ``key/x0-x1_y0-y1_z0-z1`` to (encoding, bytes).

    Bytes are a chunk's without second-stage compression.  Where voxels are held instead (``lru_encoding="raw"``) the
    value is ("numpy", array), the array of shape (x, y, z, channel) and Fortran order.

    Parameters
    ----------
    size : int
        Bytes that entries may take together, 0 for none.
    encoding : str
        What entries are encoded in; ``same`` for what the store has.

    Notes
    -----
    Reading and writing happen in the core and never pass through this class.  Values are copies.  Safe to use from any
    thread, and in a forked child, which has a copy of its own.  Pickling keeps the size and leaves the entries.
    """

    size_in_bytes = True

    def __init__(self, size: int = 0, encoding: str = "same") -> None:
        self.core = _runtime.ChunkCache(_checked_size(size))
        self.encoding = encoding
        self._voxels: dict[int, tuple[np.dtype[Any], int]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as an empty one of the same size."""
        return type(self), (self.size, self.encoding)

    def __repr__(self) -> str:
        """Name the class, how much it holds and how much it may."""
        return f"{type(self).__name__}({len(self)} chunks, {self.nbytes} of {self.size} bytes)"

    def attach(
        self,
        layout: _runtime.ImageLayout,
        *,
        key: str,
        encoding: str,
        entry_codec: str,
        hooks: Any,  # a ChunkHooks, or None
        dtype: np.dtype[Any],
        num_channels: int,
    ) -> None:
        """Let a scale hold its chunks here.

        Parameters
        ----------
        layout : ImageLayout
        key : str
            The scale's.
        encoding : str
            The scale's.
        entry_codec : str
            Who decodes entries that are not as stored, as `ImageLayout.use_cache` wants it.
        hooks : ChunkHooks or None
            Of entries that are external.
        dtype : numpy.dtype
        num_channels : int
        """
        entry = encoding if self.encoding == "same" else self.encoding
        space = layout.use_cache(self.core, key, encoding, entry, entry_codec, (8, 8, 8), hooks)
        self._voxels[space] = (dtype, num_channels)

    @property
    def size(self) -> int:
        """Bytes that entries may take together."""
        return self.core.limit_bytes

    @property
    def nbytes(self) -> int:
        """Bytes that entries take together, what keeps track of them included."""
        return self.core.held_bytes

    def __len__(self) -> int:
        return len(self.core)

    def is_empty(self) -> bool:
        """Whether there is no entry."""
        return not len(self)

    def is_oversized(self) -> bool:
        """Whether entries take more than they may, which never happens."""
        return self.nbytes > self.size

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and path in self.core

    def __iter__(self) -> Iterator[str]:
        return iter(self.core.paths())

    def __getitem__(self, path: str) -> tuple[str, Any]:
        found = self.core.get(str(path), True)
        if found is None:
            raise KeyError(path)
        return self._value(found)

    def _value(self, found: tuple[int, str, list[int], bytes]) -> tuple[str, Any]:
        space, encoding, shape, data = found
        if self.encoding != "raw":
            return encoding, data
        dtype, num_channels = self._voxels[space]
        return "numpy", np.frombuffer(data, dtype).reshape((*shape, num_channels), order="F")

    def items(self) -> Iterator[tuple[str, tuple[str, Any]]]:  # type: ignore[override]
        """Yield (path, value), the most recently used first; looking at entries does not count as using them."""
        for path in self.core.paths():
            found = self.core.get(path, False)
            if found is not None:  # evicted meanwhile
                yield path, self._value(found)

    def values(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Yield the values in the order of `items`."""
        return (value for _, value in self.items())

    def pop(self, path: str, default: Any = _REQUIRED) -> Any:  # Any: a value, or the default
        """Remove an entry and return its value.

        Raises
        ------
        KeyError
            There is none, and no default.
        """
        found = self.core.take(path)
        if found is not None:
            return self._value(found)
        if default is _REQUIRED:
            raise KeyError(path)
        return default

    def delete(self, path: str) -> Any:  # Any: a value
        """Remove an entry and return its value.

        Raises
        ------
        KeyError
        """
        return self.pop(path)

    __delitem__ = delete

    def clear(self) -> None:
        """Remove all entries."""
        self.core.clear()

    def resize(self, size: int) -> None:
        """Change how many bytes entries may take; 0 removes all of them and holds nothing from then on.

        Raises
        ------
        InvalidArgumentError
            The size is negative.
        """
        self.core.resize(_checked_size(size))


def _checked_size(size: int) -> int:
    count = int(size)
    if count < 0 or count >= 1 << 63:
        raise InvalidArgumentError(
            f"lru_bytes: expected a number of bytes of at least 0, found {size!r}",
            key="lru_bytes",
            expected=">= 0",
            found=size,
        )
    return count
