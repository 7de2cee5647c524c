# SPDX-License-Identifier: BSD-3-Clause
"""What a read or a write is told besides what and where: frozen, passed whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

ProgressCallback = Callable[[int, int], None]
"""Called with (chunks done, bytes of voxels done) about every 50 ms."""

DEFAULT_MAX_INFLIGHT_BYTES = 256 << 20


def max_inflight_bytes() -> int:
    """Return the bound of bytes being decoded at once: ``CVFAST_MAX_INFLIGHT_BYTES``, else 256 MiB."""
    text = os.environ.get("CVFAST_MAX_INFLIGHT_BYTES", "")
    return int(text) if text.isdigit() and int(text) > 0 else DEFAULT_MAX_INFLIGHT_BYTES


def sync_writes() -> bool:
    """Whether each file is flushed to the disk before its rename: ``CVFAST_FSYNC=1``."""
    return os.environ.get("CVFAST_FSYNC", "0") not in ("", "0")


class ReadOptions(NamedTuple):
    """How to read; a tuple, because one is made for each read, however small.

    Attributes
    ----------
    fill_missing : bool
        Absent chunks become background instead of raising.
    background : bytes
        One voxel's background value as stored.
    threads : int
        Threads to use; 0 for all that the process may use.
    progress : str or None
        Title of a progress bar; None for none.
    """

    fill_missing: bool = False
    background: bytes = b"\0"
    threads: int = 0
    progress: str | None = None


class WriteOptions(NamedTuple):
    """How to write.

    Attributes
    ----------
    suffix : str
        File suffix of the compression, as in `fetch.content_encoding.SUFFIXES`.
    level : int
        Compression level.
    partial : {"refuse", "merge", "overwrite"}
        What becomes of chunks that the box covers in part.
    merge_shards : bool
        Whether a shard that the box covers in part takes over its other chunks, or is refused.
    delete_background : bool
        Remove chunks that are all background instead of writing them.
    """

    suffix: str = ""
    level: int = 9
    partial: str = "refuse"
    merge_shards: bool = True
    delete_background: bool = False
    fill_missing: bool = False
    background: bytes = b"\0"
    threads: int = 0
    progress: str | None = None
