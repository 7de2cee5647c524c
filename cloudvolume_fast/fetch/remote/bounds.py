# SPDX-License-Identifier: BSD-3-Clause
"""How long requests may take and how often they are tried, as the environment says."""

from __future__ import annotations

import os

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import InvalidArgumentError

__all__ = ["request_bounds"]

_CONNECT = "CVFAST_HTTP_CONNECT_SECONDS"
_STALL = "CVFAST_HTTP_STALL_SECONDS"
_TOTAL = "CVFAST_HTTP_TOTAL_SECONDS"
_ATTEMPTS = "CVFAST_HTTP_ATTEMPTS"


def request_bounds() -> _runtime.HttpClient | None:
    """Return a client with the bounds that the environment names, None where it names none.

    Raises
    ------
    InvalidArgumentError
        A variable holds something other than a positive number.

    Notes
    -----
    ``CVFAST_HTTP_CONNECT_SECONDS`` (10), ``CVFAST_HTTP_STALL_SECONDS`` (30) and ``CVFAST_HTTP_TOTAL_SECONDS`` (600)
    bound the time of a request, ``CVFAST_HTTP_ATTEMPTS`` (7) how often it is sent; see `_runtime.HttpClient`.  A layer
    takes them as it is opened.
    """
    if not any(os.environ.get(name) for name in (_CONNECT, _STALL, _TOTAL, _ATTEMPTS)):
        return None
    attempts = _positive(_ATTEMPTS, 7)
    if attempts != int(attempts):
        raise _unusable(_ATTEMPTS)
    return _runtime.HttpClient(
        connect_seconds=_positive(_CONNECT, 10),
        stall_seconds=_positive(_STALL, 30),
        total_seconds=_positive(_TOTAL, 600),
        max_attempts=int(attempts),
    )


def _positive(name: str, usual: float) -> float:
    text = os.environ.get(name)
    if not text:
        return usual
    try:
        value = float(text)
    except ValueError:
        raise _unusable(name) from None
    if not 0 < value < 1e9:  # not a number compares as false
        raise _unusable(name)
    return value


def _unusable(name: str) -> InvalidArgumentError:
    expected = "a positive integer" if name == _ATTEMPTS else "a positive number of seconds"
    text = os.environ.get(name)
    return InvalidArgumentError(
        f"{name}: expected {expected}, found {text!r}", key=name, expected=expected, found=text
    )
