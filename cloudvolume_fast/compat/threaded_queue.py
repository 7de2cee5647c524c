# SPDX-License-Identifier: BSD-3-Clause
"""A queue of functions that threads call, as upstream's ``ThreadedQueue``."""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Callable
from typing import Any, Self

from cloudvolume_fast.compat.scheduler import DEFAULT_THREADS

__all__ = ["DEFAULT_THREADS", "ThreadedQueue"]


class ThreadedQueue:
    """Threads that call functions from a queue.

    Parameters
    ----------
    n_threads : int
        0 for none: functions wait until `wait` calls them.
    queue_size : int
        Functions that may wait before `put` does; 0 for any number.
    progress : bool or str, optional
        Whether `wait` shows a bar, and its title.

    Notes
    -----
    A function is called with an interface, of which subclasses make one for each thread (`_initialize_interface`), or
    without arguments if it takes none.  After an error the functions that wait are dropped, and `wait` raises it.
    """

    def __init__(
        self, n_threads: int, queue_size: int = 0, progress: bool | str | None = None
    ) -> None:
        self._queue: queue.Queue[Callable[..., Any] | None] = queue.Queue(maxsize=queue_size)
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.processed = 0
        self._inserted = 0
        self.with_progress = progress
        self.start_threads(n_threads)

    @property
    def pending(self) -> int:
        """Functions that were put and not yet called."""
        return self._queue.qsize()

    def put(self, fn: Callable[..., Any]) -> Self:
        """Add a function; returns this queue."""
        with self._lock:
            self._inserted += 1
        self._queue.put(fn)
        return self

    def start_threads(self, n_threads: int) -> Self:
        """Make it so many threads."""
        if len(self._threads) != n_threads:
            self.kill_threads()
            self._threads = [
                threading.Thread(target=self._consume, daemon=True) for _ in range(n_threads)
            ]
            for thread in self._threads:
                thread.start()
        return self

    def are_threads_alive(self) -> bool:
        """Say whether any thread runs."""
        return any(thread.is_alive() for thread in self._threads)

    def kill_threads(self) -> Self:
        """End the threads, each after the function that it calls; functions that wait stay."""
        waiting: list[Callable[..., Any] | None] = []
        while self._threads and not self._queue.empty():
            try:
                waiting.append(self._queue.get_nowait())
                self._queue.task_done()
            except queue.Empty:
                break
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []
        for fn in waiting:
            if fn is not None:
                self._queue.put(fn)
        return self

    def wait(self, progress: bool | str | None = None) -> Self:
        """Wait until all functions were called; without threads, call them here.

        Raises
        ------
        Exception
            What a function raised first.
        """
        from tqdm import tqdm

        shown = self.with_progress if progress is None else progress
        title = shown if isinstance(shown, str) else None
        with tqdm(total=self._inserted, desc=title, disable=not shown) as bar:
            if not self._threads:
                interface = self._initialize_interface()
                try:
                    while not self._queue.empty():
                        self._call(self._queue.get_nowait(), interface)
                        bar.update(self.processed - bar.n)
                finally:
                    self._close_interface(interface)
            with self._queue.all_tasks_done:
                while self._queue.unfinished_tasks:
                    self._queue.all_tasks_done.wait(0.1 if shown else None)
                    bar.update(self.processed - bar.n)
            bar.update(self.processed - bar.n)
        with self._lock:
            errors, self._errors = self._errors, []
            self._inserted = self.processed = 0
        if errors:
            raise errors[0]
        return self

    def _initialize_interface(self) -> Any:  # Any: what a subclass hands to functions
        """Return what a thread hands to functions."""
        return None

    def _close_interface(self, interface: Any) -> None:
        """Let go of what `_initialize_interface` made."""

    def _consume(self) -> None:
        interface = self._initialize_interface()
        try:
            while True:
                fn = self._queue.get()
                if fn is None:
                    self._queue.task_done()
                    return
                self._call(fn, interface)
        finally:
            self._close_interface(interface)

    def _call(self, fn: Callable[..., Any] | None, interface: Any) -> None:
        try:
            if fn is not None and not self._errors:
                fn(interface) if _takes_argument(fn) else fn()
        except BaseException as error:
            with self._lock:
                self._errors.append(error)
        finally:
            with self._lock:
                self.processed += 1
            self._queue.task_done()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self.kill_threads()


def _takes_argument(fn: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # of a builtin that does not tell
        return True
    # A default stands for a value that the caller bound (lambda i=i: ...), unless it is named as an interface.
    return any(
        p.kind is p.VAR_POSITIONAL
        or (
            p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            and (p.default is p.empty or p.default is None)
        )
        for p in parameters
    )
