# SPDX-License-Identifier: BSD-3-Clause
"""Settings that a volume and its sources share, under upstream's names."""

from __future__ import annotations

from typing import Any

from cloudvolume_fast.config import VolumeConfig, is_interactive, parse_parallel

__all__ = ["INTERACTIVE", "SharedConfiguration", "compute_num_threads"]

INTERACTIVE = is_interactive()


def compute_num_threads(num_threads: int | bool) -> int:
    """Return a number of threads: 0 and True for all that the process may use, False for 1.

    Raises
    ------
    InvalidArgumentError
        The number is negative.
    """
    return parse_parallel(num_threads)


class SharedConfiguration(VolumeConfig):
    """What ``vol.config`` is, with upstream's parameters.

    Parameters
    ----------
    cdn_cache, compress, compress_level, mip, parallel, progress, codec_threads
        As for the constructor of volumes.
    green : bool
        ``green_threads`` of the constructor.
    secrets, spatial_index_db, cache_locking
        As for the constructor of volumes.
    """

    def __init__(
        self,
        cdn_cache: bool | int | str,
        compress: str | bool | None,
        compress_level: int | None,
        green: bool,
        mip: int,
        parallel: int | bool,
        progress: bool,
        secrets: str | dict[str, Any] | None,
        spatial_index_db: str | None,
        cache_locking: bool,
        codec_threads: int | bool,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            mip=mip,
            progress=progress,
            compress=compress,
            compress_level=compress_level,
            parallel=parse_parallel(parallel),
            cdn_cache=cdn_cache,
            green_threads=green,
            codec_threads=parse_parallel(codec_threads),
        )
        self.secrets = secrets
        self.spatial_index_db = spatial_index_db
        self.cache_locking = cache_locking
        self.args = args
        self.kwargs = kwargs

    @property
    def green(self) -> bool:
        """Whether green threads are used."""
        return self.green_threads

    @green.setter
    def green(self, value: bool) -> None:
        self.green_threads = bool(value)
