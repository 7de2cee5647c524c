# SPDX-License-Identifier: BSD-3-Clause
"""Metadata files: replaced whole, with nothing left beside them."""

from __future__ import annotations

import inspect
import os
import stat
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cloudvolume_fast.fetch.file import FileStore


def lines_before_the_rename() -> list[int]:
    """Return the numbers of the lines of `FileStore._put` up to the rename."""
    source, first = inspect.getsourcelines(FileStore._put)
    end = next(number for number, line in enumerate(source) if "os.replace(" in line)
    return list(range(first, first + end + 1))


def put_interrupted_at(line: int, store: FileStore) -> bool:
    """Put an object, with Ctrl-C as the line is about to run; return whether it was reached."""

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code is not FileStore._put.__code__:
            return None
        if event == "line" and frame.f_lineno == line:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        store.put("info", b"new")
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def test_interrupted_put_leaves_the_old_object_alone(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    reached = 0
    for line in lines_before_the_rename():
        (tmp_path / "info").write_bytes(b"old")
        if put_interrupted_at(line, store):
            reached += 1
            found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
            assert found == {"info": b"old"}, line
    assert reached >= 5


def test_put_replaces_the_object_and_its_compressed_copies(tmp_path: Path) -> None:
    for name in ("info", "info.gz", "info.br"):
        (tmp_path / name).write_bytes(b"old")
    FileStore(str(tmp_path)).put("info", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"info": b"new"}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_put_makes_files_as_readable_as_any(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        FileStore(str(tmp_path)).put("deep/info", b"new")
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("deep/info", "other")]
    assert modes[0] == modes[1]
