# SPDX-License-Identifier: BSD-3-Clause
"""Methods whose signature is upstream's ``(*args, **kwargs)``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

_Self = TypeVar("_Self")
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def any_arguments(
    method: Callable[Concatenate[_Self, _Parameters], _Result],
) -> Callable[Concatenate[_Self, _Parameters], _Result]:
    """Return a method that hands on what it is given; programs look at signatures to choose what they call.

    Type checkers and `help` see what the method takes; `inspect.signature` shows what upstream's shows.
    """

    def handed_on(self: _Self, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        return method(self, *args, **kwargs)

    functools.update_wrapper(handed_on, method)
    del handed_on.__wrapped__  # type: ignore[attr-defined]
    return handed_on
