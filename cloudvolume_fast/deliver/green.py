# SPDX-License-Identifier: BSD-3-Clause
"""Green threads of gevent: what blocks does so on a real thread, and the others go on meanwhile."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_here = threading.local()


def require_gevent() -> Any:  # Any: gevent has no types here
    """Return the package gevent.

    Raises
    ------
    ImportError
        It is not installed; says what to install.
    """
    try:
        import gevent
    except ImportError as error:
        raise ImportError(
            "green threads need the package gevent: pip install 'cloudvolume-fast[green]'"
        ) from error
    return gevent


def is_real_thread() -> bool:
    """Say whether this call was moved to a real thread already."""
    return getattr(_here, "is_real", False)


def run_green(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return what a function returns, called on a thread of gevent's pool.

    The green thread that asks waits for it as for a socket, whether or not anything is monkey-patched: the core's
    reads and writes are not Python's, so patching could not make them yield.
    """

    def call() -> T:
        _here.is_real = True
        try:
            return function(*args, **kwargs)
        finally:
            _here.is_real = False

    result: T = require_gevent().get_hub().threadpool.apply(call)
    return result


def waits_green(method: F) -> F:
    """Let a method of a volume wait on a real thread where ``config.green_threads`` is set."""

    @functools.wraps(method)
    def waiting(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.config.green_threads and not is_real_thread():
            return run_green(method, self, *args, **kwargs)
        return method(self, *args, **kwargs)

    return waiting  # type: ignore[return-value]


class WaitsGreen:
    """Base of sources: the methods that `waiting` names wait as by `waits_green`, in whichever subclass they are."""

    waiting: ClassVar[frozenset[str]] = frozenset()
    config: Any  # Any: settings that have green_threads

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.waiting & cls.__dict__.keys():
            setattr(cls, name, waits_green(cls.__dict__[name]))
