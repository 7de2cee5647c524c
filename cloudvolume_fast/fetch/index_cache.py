# SPDX-License-Identifier: BSD-3-Clause
"""The most recently used indexes, within a limit of their number and of their bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from numpy.typing import NDArray

__all__ = ["IndexCache"]


class IndexCache:
    """Arrays by key, the least recently used of which go first; any thread may call it.

    Parameters
    ----------
    max_entries : int
        The most arrays; 0 for no cache.
    max_bytes : int
        The most that all of them take.  An array that is larger is not kept.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[IndexCache], tuple[int, int]]:
        """Pickle without the arrays."""
        return IndexCache, (self.max_entries, self.max_bytes)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """What the arrays take."""
        return self._bytes

    def get(self, key: Hashable) -> NDArray[Any] | None:
        """Return an array, or None."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: Hashable, value: NDArray[Any]) -> None:
        """Keep an array, which nobody may write to from now on."""
        value.flags.writeable = False
        with self._lock:
            previous = self._entries.pop(key, None)
            self._bytes -= 0 if previous is None else previous.nbytes
            if value.nbytes > self.max_bytes or self.max_entries == 0:
                return
            self._entries[key] = value
            self._bytes += value.nbytes
            while len(self._entries) > self.max_entries or self._bytes > self.max_bytes:
                _, evicted = self._entries.popitem(last=False)
                self._bytes -= evicted.nbytes

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
