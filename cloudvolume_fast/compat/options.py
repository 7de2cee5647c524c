# SPDX-License-Identifier: BSD-3-Clause
"""Options of the constructor, and settings of the same names: what is accepted."""

from __future__ import annotations

from typing import Any

from cloudvolume_fast.config import parse_parallel
from cloudvolume_fast.errors import InvalidArgumentError, UnsupportedOptionError
from cloudvolume_fast.fetch.content_encoding import suffix_of


def unavailable(name: str, found: object, expected: object) -> UnsupportedOptionError:
    """Return the error for an option whose feature is missing."""
    return UnsupportedOptionError(
        f"{name}: expected {expected!r}, found {found!r}: not available in this version",
        key=name,
        expected=expected,
        found=found,
    )


def checked_cdn_cache(value: bool | int | str) -> bool | int | str:
    """Local files have no Cache-Control header; the value is checked and kept for stores that have."""
    if isinstance(value, int) and value < 0:
        raise InvalidArgumentError(
            f"cdn_cache: expected a bool, a string or seconds of at least 0, found {value!r}",
            key="cdn_cache",
            found=value,
        )
    return value


def checked_compress(value: str | bool | None) -> str | bool | None:
    """Return a second-stage compression as it is given; raises for one that is not known."""
    suffix_of(value)
    return value


def checked_green_threads(value: bool) -> bool:
    """Return whether green threads are used.

    Raises
    ------
    ImportError
        gevent is not installed; says what to install.
    """
    if value:
        from cloudvolume_fast.deliver.green import require_gevent

        require_gevent()
    return bool(value)


def checked_parallel(value: int | bool) -> int:
    """Return a number of threads."""
    return parse_parallel(value, zero_is_all=False)


def unchecked(value: Any) -> Any:  # Any: a number of the volume's type, which only a read knows
    """Return anything as it is."""
    return value
