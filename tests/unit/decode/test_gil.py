# SPDX-License-Identifier: BSD-3-Clause
"""Which packages let other threads run: what the registry says, measured.

A thread that does nothing but count runs beside a call of the package, then beside nothing.  A package that keeps the
GIL lets it count next to nothing, whatever else the machine is doing; one that releases it lets it count at least
where the scheduler would.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.fetch.content_encoding import COMPRESSIONS, compress, decompress

pytestmark = pytest.mark.slow

# With the GIL held 0.00 to 0.07 was measured, released 0.45 to 1, on two cores shared with ten other programs.
RELEASED = 0.25
ROUNDS = 7
# A package with threads of its own can keep every core busy, so that the bystander, free to run, gets none for a while.
PATIENCE_ROUNDS = 100

# Encoding: type and chunk shape, such that a call takes tens of milliseconds.  Where the GIL is held they are more: the
# turn that the other thread gets at each end of a call may take some on a busy machine.
CHUNKS = {
    "jpeg": ("uint8", (256, 256, 128)),
    "jxl": ("uint8", (128, 128, 16)),
    "compresso": ("uint64", (256, 256, 256)),
    "crackle": ("uint64", (256, 256, 64)),
    "fpzip": ("float32", (128, 128, 32)),
    "kempressed": ("float32", (128, 128, 32)),
    "zfpc": ("float32", (128, 128, 32)),
}
COMPRESSED_BYTES = {
    ".gz": 2 << 20,
    ".br": 4 << 20,
    ".zstd": 16 << 20,
    ".xz": 256 << 10,
    ".bz2": 512 << 10,
}


class Bystander(threading.Thread):
    """Counts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self.is_done = False

    def run(self) -> None:
        while not self.is_done:
            self.count += 1

    def rate(self, call: Callable[[], object]) -> tuple[float, float]:
        """Return counts per second during a call, and its seconds."""
        before, start = self.count, time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        return (self.count - before) / seconds, seconds


@pytest.fixture
def bystander() -> Iterator[Bystander]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # a turn between two steps of a package is none that was released
    thread = Bystander()
    thread.start()
    yield thread
    thread.is_done = True
    thread.join()
    sys.setswitchinterval(interval)


def shares_left_to(bystander: Bystander, call: Callable[[], object]) -> Iterator[float]:
    """Yield how fast the bystander counts during calls, of what it does beside a sleeping thread."""
    call()
    for _ in range(PATIENCE_ROUNDS):
        during, seconds = bystander.rate(call)
        beside_nothing, _ = bystander.rate(lambda: time.sleep(max(seconds, 0.02)))  # noqa: B023
        yield during / beside_nothing


def check(bystander: Bystander, call: Callable[[], object], releases: bool) -> None:
    """Fail where a call does not let others run, or does, as recorded."""
    shares = shares_left_to(bystander, call)
    if releases:
        seen = list(itertools.islice((share for share in shares if share >= RELEASED), 3))
        assert len(seen) == 3
    else:
        assert statistics.median(itertools.islice(shares, ROUNDS)) < RELEASED


def make_voxels(dtype: str, shape: tuple[int, int, int]) -> np.ndarray:
    rng = np.random.default_rng(0)
    if dtype == "uint64":
        cells = rng.integers(1, 1 << 40, tuple(extent // 16 for extent in shape), np.uint64)
        voxels = cells.repeat(16, 0).repeat(16, 1).repeat(16, 2)
        # The order in which packages take it: a copy would be none of the package's time.
        return np.asfortranarray(voxels)[..., np.newaxis]
    x, y, z = np.indices(shape, np.float32)
    values = 90 * np.sin(x / 9) * np.cos(y / 7 + z / 5) + 128 + rng.normal(0, 8, shape)
    return np.asfortranarray(values.clip(0, 255).astype(dtype))[..., np.newaxis]


def package_calls() -> Iterator[tuple[str, str]]:
    for name in registry.names():
        codec = registry.lookup(name, "")
        if codec.implementation is not None:
            yield name, "encode"
            if not codec.is_native:
                yield name, "decode"


@pytest.mark.parametrize(("name", "direction"), list(package_calls()))
def test_encoding_holds_the_gil_as_recorded(
    bystander: Bystander, name: str, direction: str
) -> None:
    if name == "jxl":
        pytest.importorskip("imagecodecs")
    entry = registry.lookup(name, "")
    dtype, shape = CHUNKS[name]
    codec = entry.load()
    spec = ChunkSpec(np.dtype(dtype), 1, {})
    voxels = make_voxels(dtype, shape)
    releases = direction not in entry.holds_gil
    if direction == "encode":
        check(bystander, lambda: codec.encode(voxels, spec), releases)
    else:
        data = memoryview(codec.encode(voxels, spec))
        box = (0, 0, 0, *shape)
        check(bystander, lambda: codec.decode(data, shape, box, spec), releases)


@pytest.mark.parametrize("direction", ["compress", "decompress"])
@pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESSIONS if suffix])
def test_compression_holds_the_gil_as_recorded(
    bystander: Bystander, suffix: str, direction: str
) -> None:
    method = COMPRESSIONS[suffix]
    raw = np.random.default_rng(0).normal(128, 12, COMPRESSED_BYTES[suffix]).astype(np.uint8)
    data = raw.tobytes()
    if direction == "compress":
        check(bystander, lambda: compress(suffix, data, method.default), method.releases_gil)
    else:
        stored = compress(suffix, data, method.default)
        check(bystander, lambda: decompress(suffix, stored, len(data)), method.releases_gil)
