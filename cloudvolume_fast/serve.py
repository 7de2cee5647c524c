# SPDX-License-Identifier: BSD-3-Clause
"""A small HTTP server of a folder of volumes, for a Neuroglancer that runs in a browser."""

from __future__ import annotations

from http.server import ThreadingHTTPServer
from pathlib import Path

from cloudvolume_fast.compat.server import make_viewer

__all__ = ["make_server"]


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Make a server that listens on the loopback address; the caller runs and closes it.

    Parameters
    ----------
    folder : Path
        What to serve; nothing outside of it is.
    port : int
        0 for any that is free.

    Raises
    ------
    OSError
        If the port is taken.
    """
    return make_viewer(str(folder.resolve()), "127.0.0.1", port)
