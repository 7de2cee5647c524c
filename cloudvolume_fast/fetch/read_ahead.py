# SPDX-License-Identifier: BSD-3-Clause
"""Batches that are fetched on a thread while the caller works on those before them.

What fetches them lets go of the GIL; what the caller makes of them, Python objects, holds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["fetched_ahead"]

Asked = TypeVar("Asked")
Fetched = TypeVar("Fetched")

# One that is being fetched and one that waits, so that the thread need not ask for the GIL between them.
_DEPTH = 2


def fetched_ahead(
    fetch: Callable[[Asked], Fetched], batches: Iterable[Asked]
) -> Iterator[tuple[Asked, Fetched]]:
    """Yield batches with what is fetched for them, in their order.

    Parameters
    ----------
    fetch : callable
        Called for one batch after the other, on a thread; a single batch is fetched by the caller.
    batches : iterable

    Raises
    ------
    Exception
        What `fetch` raises, when the caller gets to that batch.
    """
    todo = iter(batches)
    head = list(islice(todo, 2))
    if len(head) < 2:
        for batch in head:
            yield batch, fetch(batch)
        return
    pool = ThreadPoolExecutor(1, "cloudvolume-fast-ahead")
    try:
        waiting: deque[tuple[Asked, Future[Fetched]]] = deque(
            (batch, pool.submit(fetch, batch)) for batch in [*head, *islice(todo, _DEPTH - 1)]
        )
        while waiting:
            batch, future = waiting.popleft()
            fetched = future.result()
            waiting.extend((more, pool.submit(fetch, more)) for more in islice(todo, 1))
            yield batch, fetched
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
