# SPDX-License-Identifier: BSD-3-Clause
"""How much memory calls take at their peak, measured in a process of their own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume, _runtime

MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux"
)

# AddressSanitizer sets freed memory aside to notice who uses it later; that is not memory which a call keeps.
WITHOUT_QUARANTINE = {
    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
    + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"
}

MEASURE = """
import json, resource, sys
import numpy as np
from cloudvolume_fast import CloudVolume
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
def now():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
vol = CloudVolume(sys.argv[1], fill_missing=True)
vol[0, 0, 0]
"""


@pytest.mark.peak_memory
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("raw", False), ("raw", "gzip"), ("raw", "zstd"), ("compressed_segmentation", "gzip")],
)
def test_reading_a_whole_volume_takes_little_more_than_the_result(
    tmp_path: Path, encoding: str, compress: object
) -> None:
    size = (256, 256, 384)
    layer = support.make_layer(tmp_path, encoding=encoding, size=size, chunk_size=(128, 128, 128))
    CloudVolume(layer, compress=compress, compress_level=1)[:] = support.make_voxels(size)
    grown, size_bytes = support.run_python(
        MEASURE
        + "before = peak(); image = vol[:]; print(json.dumps([peak() - before, image.nbytes]))",
        layer,
    )
    assert size_bytes == 96 * MIB
    assert grown < size_bytes + 100 * MIB


@pytest.mark.peak_memory
@pytest.mark.parametrize("compress", [False, "gzip"])
def test_writing_a_whole_volume_takes_little_more_than_the_array(
    tmp_path: Path, compress: object
) -> None:
    layer = support.make_layer(tmp_path, size=(384, 384, 384), chunk_size=(128, 128, 128))
    grown = support.run_python(
        MEASURE
        + f"""
image = np.zeros(vol.shape, vol.dtype)
image[:] = 3
vol.compress = {compress!r}
before = peak()
vol[:] = image
print(json.dumps(peak() - before))
""",
        layer,
    )
    assert grown < 100 * MIB


@pytest.mark.peak_memory
@pytest.mark.parametrize("action", ["vol[:4]", "vol[:] = image"])
def test_bound_of_bytes_in_flight_holds_for_huge_chunks(tmp_path: Path, action: str) -> None:
    # Eight chunks of 16 MiB, each wanting twice that: with a bound of 40 MiB one at a time.
    layer = support.make_layer(
        tmp_path, data_type="uint8", size=(256, 256, 2048), chunk_size=(256, 256, 256)
    )
    vol = CloudVolume(layer, compress_level=1)
    vol[:] = np.uint8(3)
    grown = support.run_python(
        MEASURE
        + f"""
vol.parallel = 8
image = np.full(vol.shape, 3, vol.dtype)
before = peak()
{action}
print(json.dumps(peak() - before))
""",
        layer,
        CVFAST_MAX_INFLIGHT_BYTES=str(40 * MIB),
    )
    assert grown < 56 * MIB


def test_a_thousand_small_reads_leave_nothing_behind(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, encoding="compressed_segmentation")
    grown = support.run_python(
        MEASURE
        + """
def use(count):
    for n in range(count):
        vol[n % 8 : n % 8 + 8, 0:8, 0:8]
        if n % 10 == 0:
            vol.unique(vol.bounds)
            vol.scattered_points([[1, 2, 3], [9, 9, 9]])
            vol.download(vol.bounds, renumber=True)
            try:
                vol[99]
            except ValueError:
                pass
use(200)
before = now()
use(2000)
print(json.dumps(now() - before))
""",
        path,
        **WITHOUT_QUARANTINE,
    )
    assert grown < 4 * MIB


def test_large_results_are_given_back(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, size=(128, 128, 128), chunk_size=(64, 64, 64))
    grown = support.run_python(
        MEASURE
        + """
for _ in range(3):
    vol[:]
before = now()
for _ in range(40):
    vol[:]
print(json.dumps(now() - before))
""",
        path,
    )
    assert grown < 16 * MIB


@pytest.mark.peak_memory
def test_renumbering_does_not_hold_the_labels_of_the_whole_box(tmp_path: Path) -> None:
    layer = support.make_layer(
        tmp_path, data_type="uint64", size=(256, 256, 512), chunk_size=(128, 128, 32)
    )
    grown = support.run_python(
        MEASURE
        + """
before = peak()
image, mapping = vol.download(vol.bounds, renumber=True)
assert image.dtype == np.uint16
print(json.dumps(peak() - before))
""",
        layer,
    )
    assert grown < 64 * MIB + 100 * MIB


def test_destination_of_more_than_4_gib_is_painted_at_the_right_place(tmp_path: Path) -> None:
    """A sparse file of 6 GiB as the destination: voxels lie 2 GiB apart."""
    path, voxels = support.write_layer(
        tmp_path / "layer", data_type="uint8", size=(4, 4, 4), chunk_size=(2, 2, 2)
    )
    apart = 1 << 31
    big = tmp_path / "big"
    try:
        with big.open("wb") as file:
            file.truncate(3 * apart + (1 << 16))
    except OSError as error:
        pytest.skip(f"no sparse file of 6 GiB: {error}")
    base = np.memmap(big, np.uint8, "r+")
    out = np.lib.stride_tricks.as_strided(base, (4, 4, 4, 1), (1, 4, apart, 16), writeable=True)
    vol = CloudVolume(path)
    scale = vol.image.image_scale(0)
    outcome = scale.layout.read(
        scale.bounds, (0, 1), out, False, b"\0", None, None, 0, 2, 256 * MIB, None
    )
    assert outcome is None
    assert np.array_equal(out, voxels)
    for z in range(4):
        assert not base[z * apart + 16 : z * apart + 4096].any()


def test_chunk_larger_than_memory_is_a_memory_error(tmp_path: Path) -> None:
    side = 1 << 14
    info = support.make_info(size=(side,) * 3, chunk_size=(side,) * 3, data_type="uint64")
    (tmp_path / "info").write_text(json.dumps(info))
    (tmp_path / support.KEY).mkdir()
    name = "_".join([f"0-{side}"] * 3)
    (tmp_path / support.KEY / f"{name}.gz").write_bytes(support.COMPRESS[".gz"](b"x" * 100))
    with pytest.raises(MemoryError, match=f"{name}.gz.*{8 * side**3} bytes"):
        CloudVolume(f"file://{tmp_path}")[0, 0, 0]


def test_allocation_beyond_memory_is_a_memory_error() -> None:
    for size_bytes in (1 << 62, (1 << 63) - 1):
        with pytest.raises(MemoryError):
            _runtime.allocate(size_bytes)
