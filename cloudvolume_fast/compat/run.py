# SPDX-License-Identifier: BSD-3-Clause
"""Runs programs that import ``cloudvolume`` with this package in its place."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from collections.abc import Sequence

from cloudvolume_fast.compat.finder import install_as_cloudvolume


def find_script(name: str) -> str | None:
    """Return the path of a script: the file of that name, else a Python script of it on ``PATH``; None if neither is.

    Parameters
    ----------
    name : str
    """
    if os.path.exists(name):
        return name
    if os.path.dirname(name):
        return None
    # Beside the interpreter first: there lie the commands of a virtual environment that nobody activated.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        return None
    with open(found, "rb") as file:
        first = file.readline(1024)
        second = file.readline(1024)
    # Installers write a shell trampoline where the interpreter's path is too long for a line.
    is_python = first.startswith(b"#!") and (b"python" in first or b"python" in second)
    return found if is_python else None


def run_script(path: str, arguments: Sequence[str]) -> None:
    """Run a file, or a folder or archive with a ``__main__.py``, as ``python path arguments...`` does.

    Raises
    ------
    UpstreamImportedError
        Something imported ``cloudvolume`` before.
    """
    sys.argv = [path, *arguments]
    if os.path.isfile(path):
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    install_as_cloudvolume()
    runpy.run_path(path, run_name="__main__")


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run a module as ``python -m name arguments...`` does.

    Raises
    ------
    UpstreamImportedError
        Something imported ``cloudvolume`` before.
    """
    sys.argv = [name, *arguments]
    install_as_cloudvolume()
    runpy.run_module(name, run_name="__main__", alter_sys=True)
