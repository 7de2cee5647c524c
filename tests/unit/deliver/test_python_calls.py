# SPDX-License-Identifier: BSD-3-Clause
"""No Python runs per chunk: a call costs the same number of Python calls however many chunks it touches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support

from cloudvolume_fast import Bbox, CloudVolume


def python_calls(function: Callable[[], Any]) -> int:
    """Return how many calls of Python and C functions Python code makes.

    The least of a few runs: whatever else the interpreter does meanwhile, such as calling back for
    objects that are collected, comes on top.
    """
    return min(_calls_of_one_run(function) for _ in range(5))


def _calls_of_one_run(function: Callable[[], Any]) -> int:
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture(params=["raw", "compressed_segmentation"])
def vol(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    path, _ = support.write_layer(tmp_path, size=(64, 64, 64), encoding=request.param)
    return CloudVolume(path, progress=False)


ONE = Bbox((0, 0, 0), (8, 8, 8))
MANY = Bbox((0, 0, 0), (64, 64, 64))
ACTIONS = {
    "index": lambda vol, box: vol[box],
    "download": lambda vol, box: vol.download(box),
    "label": lambda vol, box: vol.download(box, label=3),
    "segids": lambda vol, box: vol.download(box, segids=[1, 2, 3]),
    "write": lambda vol, box: vol.__setitem__(box, np.uint32(1)),
    "delete": lambda vol, box: vol.delete(box),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_512_chunks_take_as_many_python_calls_as_one(vol: Any, action: str) -> None:
    act = ACTIONS[action]
    act(vol, ONE)
    act(vol, ONE)
    one = python_calls(lambda: act(vol, ONE))
    assert one > 0
    assert python_calls(lambda: act(vol, MANY)) == one


def test_points_in_512_chunks_take_as_many_python_calls_as_one(vol: Any) -> None:
    points = np.stack(np.meshgrid(*[np.arange(0, 64, 8)] * 3), axis=-1).reshape(-1, 3)
    read = vol.image.read_point_values
    read(points[:1], 0)
    one = python_calls(lambda: read(points[:1], 0))
    assert python_calls(lambda: read(points, 0)) == one


def test_small_read_takes_few_python_calls(vol: Any) -> None:
    vol[0:8, 0:8, 0:8]
    assert python_calls(lambda: vol[0:8, 0:8, 0:8]) < 400
