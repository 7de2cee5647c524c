# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# Deadlines measure the machine, not the code; "ci" also makes runs repeatable.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest_plugins = ["servers.fixtures"]

# A shell without job control starts what it leaves in the background with interrupts ignored, and programs inherit
# that; tests of Ctrl-C would wait in vain.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _expected_installation() -> None:
    """Under a sanitizer the package of that build must be tested, not an installed one."""
    prefix = os.environ.get("CVFAST_EXPECT_PREFIX")
    if prefix is None:
        return
    import cloudvolume_fast
    from cloudvolume_fast import (
        _http,  # now: a sanitizer names functions only of what its first report found loaded
    )
    from cloudvolume_fast._core import paint

    for module in (cloudvolume_fast, _http, paint):
        assert Path(module.__file__).resolve().is_relative_to(Path(prefix).resolve())


SIZE, OFFSET, CHUNK = (20, 18, 9), (10, -20, 30), (8, 8, 4)


class Layer:
    """A small layer on disk, with the array that was written to it.

    Bounds are x 10:30, y -20:-2, z 30:39; chunks of (8, 8, 4) leave edge chunks on every axis.
    """

    def __init__(self, path: str, data: np.ndarray | None) -> None:
        self.path = path
        self.data = data
        self.folder = Path(path.removeprefix("file://"))

    def open(self, **settings):
        from cloudvolume_fast import CloudVolume

        return CloudVolume(self.path, progress=False, **settings)

    def cut(self, *slices: slice) -> np.ndarray:
        """The part of the written array at absolute coordinates."""
        relative = tuple(
            slice(s.start - low, s.stop - low, s.step)
            for s, low in zip(slices, OFFSET, strict=False)
        )
        return self.data[relative]


@pytest.fixture
def make_layer(tmp_path):
    """Return a function that writes a layer of random voxels; `data=False` writes the info only."""
    count = itertools.count()

    def make(
        *,
        dtype="uint8",
        channels=1,
        encoding="raw",
        data=True,
        high=200,
        layer_type="image",
        max_mip=0,
        compress=None,
        members=None,
        seed=1,
        chunk=CHUNK,
        resolution=(4, 4, 40),
    ):
        from cloudvolume_fast import CloudVolume

        info = CloudVolume.create_new_info(
            channels,
            layer_type,
            dtype,
            encoding,
            resolution,
            OFFSET,
            SIZE,
            chunk_size=chunk,
            max_mip=max_mip,
        )
        info["scales"][0].update(members or {})
        path = f"file://{tmp_path}/dataset/layer{next(count)}"
        vol = CloudVolume(path, info=info, progress=False, compress=compress)
        vol.commit_info()
        array = None
        if isinstance(data, np.ndarray):
            array = data
        elif data:
            array = np.random.default_rng(seed).integers(0, high, (*SIZE, channels)).astype(dtype)
        if array is not None:
            vol[:, :, :] = array
        return Layer(path, array)

    return make
