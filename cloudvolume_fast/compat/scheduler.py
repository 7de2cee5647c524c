# SPDX-License-Identifier: BSD-3-Clause
"""Runs functions on threads or on green threads, under upstream's names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from cloudvolume_fast.errors import InvalidArgumentError

__all__ = [
    "DEFAULT_THREADS",
    "gevent_pool",
    "raise_multiple",
    "schedule_green_jobs",
    "schedule_jobs",
    "schedule_single_threaded_jobs",
    "schedule_threaded_jobs",
]

DEFAULT_THREADS = 20

T = TypeVar("T")
Jobs = Iterable[Callable[[], T]]
_AHEAD = 4


def raise_multiple(errors: Sequence[BaseException]) -> None:
    """Raise the first error, the others being its notes; nothing if there is none."""
    if not errors:
        return
    first, *others = errors
    for other in others:
        first.add_note(f"and {type(other).__name__}: {other}")
    raise first


def _bar(progress: bool | str | None, total: int | None) -> Any:  # Any: tqdm has no types
    from tqdm import tqdm

    title = progress if isinstance(progress, str) else None
    return tqdm(total=total, desc=title, disable=not progress)


def _total(fns: Any, total: int | None) -> int | None:  # Any: has a length or not
    if total is not None:
        return total
    return len(fns) if hasattr(fns, "__len__") else None


def schedule_single_threaded_jobs(
    fns: Jobs[T], progress: bool | str | None = None, total: int | None = None
) -> list[T]:
    """Call functions one after the other, here; return what they return.

    Parameters
    ----------
    fns : iterable of callables without arguments
    progress : bool or str, optional
        Show a bar, under a title if one is given.
    total : int, optional
        How many functions there are, for the bar.
    """
    results = []
    with _bar(progress, _total(fns, total)) as bar:
        for fn in fns:
            results.append(fn())
            bar.update(1)
    return results


def schedule_threaded_jobs(
    fns: Jobs[T],
    concurrency: int = DEFAULT_THREADS,
    progress: bool | str | None = None,
    total: int | None = None,
) -> list[T]:
    """Call functions on threads; return what they return, in their order.

    Once one has raised, no other is begun.

    Parameters
    ----------
    fns : iterable of callables without arguments
        Taken from as threads become free.
    concurrency : int
        Number of threads; 0 for none but this one.
    progress, total
        As for `schedule_single_threaded_jobs`.
    """
    if concurrency == 0:
        return schedule_single_threaded_jobs(fns, progress, total)
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    source: Iterator[Callable[[], T]] = iter(fns)
    running: dict[Future[T], int] = {}
    count = 0
    with ThreadPoolExecutor(concurrency) as pool, _bar(progress, _total(fns, total)) as bar:
        while True:
            while not errors and len(running) < concurrency * _AHEAD:
                fn = next(source, None)
                if fn is None:
                    break
                running[pool.submit(fn)] = count
                count += 1
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                error = future.exception() if not future.cancelled() else None
                if error is not None:
                    errors.append(error)
                elif not future.cancelled():
                    results[number] = future.result()
                    bar.update(1)
            if errors:
                for future in running:
                    future.cancel()
    raise_multiple(errors)
    return [results[i] for i in range(count)]


def gevent_pool(size: int) -> Any:  # Any: gevent has no types here
    """Return a pool of green threads.

    Raises
    ------
    ImportError
        gevent is not installed; says what to install.
    """
    from cloudvolume_fast.deliver.green import require_gevent

    require_gevent()
    import gevent.pool

    return gevent.pool.Pool(size)


def schedule_green_jobs(
    fns: Jobs[T],
    concurrency: int = DEFAULT_THREADS,
    progress: bool | str | None = None,
    total: int | None = None,
) -> list[T]:
    """Call functions on green threads of gevent; return what they return, in their order.

    Raises
    ------
    ImportError
        gevent is not installed; says what to install.
    """
    pool = gevent_pool(max(1, concurrency))
    results: list[T] = []
    with _bar(progress, _total(fns, total)) as bar:

        def call(fn: Callable[[], T]) -> tuple[T | None, BaseException | None]:
            try:
                return fn(), None
            except Exception as error:  # raised below, where the caller is
                return None, error
            finally:
                bar.update(1)

        for result, error in pool.imap(call, fns):
            if error is not None:
                pool.kill()
                raise error
            results.append(result)
    return results


def schedule_jobs(
    fns: Jobs[T],
    concurrency: int = DEFAULT_THREADS,
    progress: bool | str | None = None,
    total: int | None = None,
    green: bool = False,
) -> list[T]:
    """Call functions at once; return what they return, in their order.

    Parameters
    ----------
    fns : iterable of callables without arguments
    concurrency : int
        How many at once; 0 and 1 for one after the other.
    progress, total
        As for `schedule_single_threaded_jobs`.
    green : bool
        On green threads of gevent.

    Raises
    ------
    InvalidArgumentError
        `concurrency` is negative.
    """
    if concurrency < 0:
        raise InvalidArgumentError(
            f"concurrency: expected at least 0, found {concurrency}",
            key="concurrency",
            found=concurrency,
        )
    if concurrency <= 1:
        return schedule_single_threaded_jobs(fns, progress, total)
    run = schedule_green_jobs if green else schedule_threaded_jobs
    return run(fns, concurrency, progress, total)
