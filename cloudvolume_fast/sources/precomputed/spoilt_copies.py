# SPDX-License-Identifier: BSD-3-Clause
"""What to do about copies on this machine that were cut short, where no compression shows it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from cloudvolume_fast.errors import (
    MeshDecodeError,
    SkeletonDecodeError,
    SkeletonUnassignedEdgeError,
    SpecViolation,
)
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = ["fetching_again"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class _FolderMetadata(Protocol):
    @property
    def meta(self) -> PrecomputedMetadata: ...


class _Source(Protocol):
    @property
    def meta(self) -> _FolderMetadata: ...


_AnySource = TypeVar("_AnySource", bound=_Source)


def fetching_again(
    function: Callable[Concatenate[_AnySource, _Parameters], _Result],
) -> Callable[Concatenate[_AnySource, _Parameters], _Result]:
    """Make a method of a source start over, with fresh copies, where something that it reads does not decode."""

    @functools.wraps(function)
    def call(
        source: _AnySource, /, *args: _Parameters.args, **options: _Parameters.kwargs
    ) -> _Result:
        try:
            return function(source, *args, **options)
        except (
            MeshDecodeError,
            SkeletonDecodeError,
            SkeletonUnassignedEdgeError,
            SpecViolation,
        ):
            cache = source.meta.meta.disk_cache
            if cache is None:
                raise
        with cache.passed_by():
            return function(source, *args, **options)

    return call
