# SPDX-License-Identifier: BSD-3-Clause
"""Large outputs that were released serve the next read."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from cloudvolume_fast import _runtime

MIB = 1 << 20


def run(code: str, **environment: str) -> str:
    """Run code in a fresh process, whose store of kept blocks is empty."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return result.stdout.strip()


def test_released_block_serves_the_next_request_of_its_size():
    out = run(
        "from cloudvolume_fast import _runtime as r\n"
        "a = r.allocate(64 << 20); p = a.ctypes.data; del a\n"
        "kept = r.kept_bytes(); b = r.allocate(60 << 20)\n"
        "print(kept >> 20, b.ctypes.data == p, r.kept_bytes())"
    )
    assert out == "64 True 0"


@pytest.mark.parametrize("size_mib", [8, 80])
def test_request_that_no_kept_block_fits_gives_all_back(size_mib):
    out = run(
        "from cloudvolume_fast import _runtime as r\n"
        "a = r.allocate(64 << 20); del a\n"
        f"b = r.allocate({size_mib} << 20); print(r.kept_bytes())"
    )
    assert out == "0"


def test_no_more_is_kept_than_allowed():
    code = (
        "from cloudvolume_fast import _runtime as r\n"
        "blocks = [r.allocate(8 << 20) for _ in range(10)]; del blocks\n"
        "print(r.kept_bytes() >> 20)"
    )
    assert run(code, CVFAST_KEEP_BYTES=str(32 * MIB)) == "32"
    assert run(code, CVFAST_KEEP_BYTES="0") == "0"


def test_array_that_is_in_use_is_never_handed_out_again():
    first = _runtime.allocate(8 * MIB)
    first[:] = 1
    view = first[::2]
    del first
    others = [_runtime.allocate(8 * MIB) for _ in range(4)]
    for other in others:
        other[:] = 2
    assert np.all(view == 1)


def test_forked_child_keeps_nothing_of_its_parent():
    out = run(
        "import os\n"
        "from cloudvolume_fast import _runtime as r\n"
        "a = r.allocate(64 << 20); a[:] = 7; del a\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    b = r.allocate(64 << 20); b[:] = 9; del b; os._exit(0 if r.kept_bytes() == 64 << 20 else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), r.kept_bytes() >> 20)"
    )
    assert out == "0 64"
