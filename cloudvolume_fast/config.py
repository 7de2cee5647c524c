# SPDX-License-Identifier: BSD-3-Clause
"""The settings of an open volume, shared live by the volume and its sources."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import InvalidArgumentError


def is_interactive() -> bool:
    """Whether this is an interactive Python, where progress is shown unless asked otherwise."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def parse_parallel(parallel: int | bool, *, zero_is_all: bool = True) -> int:
    """Return a number of threads or processes: True (and 0, in constructors) for all CPUs, False for 1.

    Raises
    ------
    InvalidArgumentError
        A negative number, or 0 where it has no meaning.
    """
    if parallel is True or (parallel is not False and parallel == 0 and zero_is_all):
        return _runtime.default_threads()
    if parallel is False:
        return 1
    count = int(parallel)
    lowest = 0 if zero_is_all else 1
    if count < lowest or count != parallel:
        raise InvalidArgumentError(
            f"parallel: expected an integer of at least {lowest}, found {parallel!r}",
            key="parallel",
            expected=f">= {lowest}",
            found=parallel,
        )
    return count


@dataclass(slots=True)
class VolumeConfig:
    """Settings that may change while a volume is open; names and defaults are those of the constructor.

    Attributes
    ----------
    mip : int
        Index of the current scale.
    parallel : int
        Above 1, the number of threads to use.  1 uses as many as the process may, since native codecs run on threads.
    codec_threads : int
        See `ImageAccess.threads`.
    partial_shard_writes : bool
        Whether a write of some of a shard's chunks is merged with those that it holds, or refused.
    """

    mip: int = 0
    bounded: bool = True
    autocrop: bool = False
    fill_missing: bool = False
    progress: bool = False
    progress_title: str | None = None
    compress: str | bool | None = None
    compress_level: int | None = None
    non_aligned_writes: bool = False
    overwrite_partial_chunks: bool = False
    partial_shard_writes: bool = True
    delete_black_uploads: bool = False
    background_color: Any = 0  # a number of the volume's type
    parallel: int = 1
    cdn_cache: bool | int | str = True
    green_threads: bool = False
    codec_threads: int = 1
    spatial_index_db: str | None = None

    @property
    def threads(self) -> int:
        """Threads for the core; 0 leaves it to the core."""
        return self.parallel if self.parallel > 1 else 0

    @contextlib.contextmanager
    def override_progress(self, progress: bool | str | None) -> Iterator[None]:
        """Within the block, show progress or not, under a title if a string is given; None changes nothing."""
        if progress is None:
            yield
            return
        saved = (self.progress, self.progress_title)
        self.progress = bool(progress)
        self.progress_title = progress if isinstance(progress, str) else None
        try:
            yield
        finally:
            self.progress, self.progress_title = saved
