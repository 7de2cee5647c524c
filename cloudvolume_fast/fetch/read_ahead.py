# SPDX-License-Identifier: BSD-3-Clause
"""Batches of objects that the core prepares while the caller works on those before them.

What prepares them needs no GIL; what the caller makes of them, Python objects, holds it.
"""

from __future__ import annotations

from collections.abc import Generator

from cloudvolume_fast import _runtime

__all__ = ["batch_size", "prepared"]

# Handing over a batch costs as much as a few small objects; a caller who waits for one waits for all of it.
_MOST_OBJECTS = 64


def batch_size(count: int, most: int = _MOST_OBJECTS) -> int:
    """Return how many of `count` objects make a batch: at most `most`, and so few that each thread has several."""
    share = -(-count // (4 * _runtime.default_threads()))
    return max(1, min(most, share))


def prepared(
    ahead: _runtime.ObjectsAhead,
) -> Generator[tuple[list[bytes | None], list[tuple[int, str]], list[int]], None, None]:
    """Yield batches in their order; see `_runtime.read_objects` for what they are.

    However the generator ends, none of the core's threads is left then.
    """
    try:
        while (batch := ahead.next()) is not None:
            yield batch
    finally:
        ahead.close()
