# SPDX-License-Identifier: BSD-3-Clause
"""A tqdm bar of chunks, with voxel bytes per second, for calls that last long enough to be watched."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

_SHOW_AFTER_SECONDS = 0.2


class ChunkProgress:
    """Context manager around one call of the core; `callback` is what the core is given.

    Parameters
    ----------
    title : str or None
        What the bar is called; None for no bar, and then `callback` is None.
    total : int
        Chunks of the call.
    """

    def __init__(self, title: str | None, total: int) -> None:
        self._title = title
        self._total = total
        self._bar: Any = None  # tqdm is imported only when a bar is shown
        self._started = time.monotonic()

    @property
    def callback(self) -> Any:  # a ProgressCallback or None
        """What the core calls about every 50 ms, or None without a bar."""
        return None if self._title is None else self._update

    def _update(self, chunks: int, size_bytes: int) -> None:
        elapsed = time.monotonic() - self._started
        if self._bar is None:
            if elapsed < _SHOW_AFTER_SECONDS:
                return
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, desc=self._title, unit="chunk")
        self._bar.set_postfix_str(
            f"{size_bytes / max(elapsed, 1e-9) / 1e6:.0f} MB/s", refresh=False
        )
        self._bar.update(chunks - self._bar.n)

    def __enter__(self) -> ChunkProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
