# SPDX-License-Identifier: BSD-3-Clause
"""Boxes read into shared memory and written from there: names, sizes, lifetimes, too little room."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import support
from kills.runs import segments_of, shm_names

from cloudvolume_fast import CloudVolume, _runtime
from cloudvolume_fast.deliver.worker_pool import pool
from cloudvolume_fast.errors import (
    AlignmentError,
    InvalidArgumentError,
    OutOfBoundsError,
    SharedMemoryAllocationError,
    SharedMemoryReadError,
    UnsupportedOptionError,
)

SHM = Path(_runtime.shm_folder())


@pytest.fixture(params=[1, 2], ids=["threads", "workers"])
def vol(request, tmp_path):
    path, voxels = support.write_layer(
        tmp_path, size=(40, 50, 30), chunk_size=(16, 16, 16), voxel_offset=(10, -20, 30),
        encoding="compressed_segmentation",
    )  # fmt: skip
    volume = CloudVolume(path, parallel=request.param)
    volume.voxels = voxels
    if request.param == 2:  # else the core's threads would do it
        read = functools.partial(volume.download_to_shared_memory, workers=2)
        volume.download_to_shared_memory = read
    yield volume
    volume.unlink_shared_memory()
    assert segments_of(os.getpid()) == []
    assert not (SHM / volume.shared_memory_id).exists()
    pool().close()


def test_segment_holds_the_voxels_and_nothing_else(vol) -> None:
    found = vol.download_to_shared_memory(np.s_[12:45, -18:20, 31:55])
    expected = vol.voxels[2:35, 2:40, 1:25]
    assert np.array_equal(found, expected)
    assert found.flags.f_contiguous
    assert (found.mip, found.bounds.to_list()) == (0, [12, -18, 31, 45, 20, 55])
    path = SHM / vol.shared_memory_id
    assert path.read_bytes() == expected.tobytes("F")
    assert (path.stat().st_mode & 0o777) == 0o600


def test_other_process_maps_the_same_memory(vol) -> None:
    name = f"cvfast-test-map-{os.getpid()}"
    found = vol.download_to_shared_memory(vol.bounds, location=name)
    code = (
        "import sys, json, numpy as np\n"
        "from cloudvolume_fast import sharedmemory\n"
        "handle, array = sharedmemory.ndarray((40, 50, 30, 1), np.uint32, sys.argv[1])\n"
        "total = int(array.sum())\n"
        "array[3, 4, 5] = 77\n"
        "handle.close()\n"
        "print(json.dumps([total, sharedmemory.unlink(sys.argv[1])]))\n"
    )
    assert support.run_python(code, name) == [int(vol.voxels.sum()), True]
    assert found[3, 4, 5, 0] == 77
    assert not (SHM / name).exists()


def test_array_keeps_its_memory_after_unlink_and_close(vol) -> None:
    found = vol.download_to_shared_memory(np.s_[:])
    view = found[1:, ::2]
    assert vol.unlink_shared_memory() is True
    assert vol.unlink_shared_memory() is False
    found.close()
    del found
    other = vol.download_to_shared_memory(np.s_[:])
    other[...] = 0
    assert np.array_equal(view, vol.voxels[1:, ::2])


def test_next_read_into_a_name_leaves_earlier_arrays_alone(vol) -> None:
    first = vol.download_to_shared_memory(np.s_[10:26, :, :])
    second = vol.download_to_shared_memory(np.s_[26:42, :, :])
    assert np.array_equal(first, vol.voxels[:16])
    assert np.array_equal(second, vol.voxels[16:32])
    assert (SHM / vol.shared_memory_id).read_bytes() == vol.voxels[16:32].tobytes("F")


def test_name_appears_only_when_all_is_read(vol, tmp_path) -> None:
    next((tmp_path / support.KEY).iterdir()).write_bytes(b"x")
    with pytest.raises(Exception, match="cannot de"):
        vol.download_to_shared_memory(np.s_[:])
    assert not (SHM / vol.shared_memory_id).exists()
    assert segments_of(os.getpid()) == []


def test_names_are_generated_and_set(vol) -> None:
    name = vol.shared_memory_id
    assert name.startswith("precomputed-shm-")
    assert vol.shared_memory_id == name == vol.image.shared_memory_id
    assert vol.generate_shared_memory_location() != vol.image.generate_shared_memory_location()
    assert CloudVolume(vol.cloudpath).shared_memory_id != name
    vol.shared_memory_id = f"cvfast-test-set-{os.getpid()}"
    vol.download_to_shared_memory(np.s_[10:12, -20:-19, 30:31])
    assert (SHM / f"cvfast-test-set-{os.getpid()}").stat().st_size == 8


@pytest.mark.parametrize("name", ["", "/", "a/b", "..", "x" * 300, ".cvfast-kept-1"])
def test_what_is_no_name_is_refused(vol, name) -> None:
    with pytest.raises(InvalidArgumentError, match="location"):
        vol.download_to_shared_memory(np.s_[:], location=name)


def test_boxes_are_checked(vol) -> None:
    with pytest.raises(OutOfBoundsError):
        vol.download_to_shared_memory(np.s_[0:20, -18:20, 31:55])
    for bad in (np.s_[::2], np.s_[:, :, :, 1:1]):
        with pytest.raises(InvalidArgumentError):
            vol.download_to_shared_memory(bad)


def test_what_lies_outside_is_background(vol) -> None:
    vol.bounded, vol.background_color = False, 9
    found = vol.download_to_shared_memory(np.s_[0:60, -30:10, 20:40])
    vol.parallel = 1
    assert np.array_equal(found, vol[0:60, -30:10, 20:40])
    assert found[0, 0, 0, 0] == 9
    vol.bounded = True


def test_image_source_reads_as_upstream_calls_it(vol) -> None:
    image = vol.image.download(
        vol.bounds, 0, parallel=vol.parallel, use_shared_memory=True, order="C"
    )
    assert image.flags.c_contiguous
    assert np.array_equal(image, vol.voxels)
    assert not (SHM / vol.shared_memory_id).exists()
    vol.image.download(
        vol.bounds, 0, location=vol.shared_memory_id, retain=True, use_shared_memory=True
    )
    assert (SHM / vol.shared_memory_id).exists()
    assert vol.image.unlink_shared_memory() is True
    with pytest.raises(UnsupportedOptionError):
        vol.image.download(vol.bounds, 0, use_shared_memory=True, label=1)
    for wrong in (
        {"location": "x"},
        {"retain": True},
        {"use_shared_memory": True, "use_file": True},
    ):
        with pytest.raises(InvalidArgumentError):
            vol.image.download(vol.bounds, 0, **wrong)


@pytest.mark.parametrize("order", ["F", "C"])
def test_upload_from_shared_memory(vol, order) -> None:
    from cloudvolume_fast import sharedmemory

    changed = vol.voxels + np.uint32(1)
    name = f"cvfast-test-up-{os.getpid()}"
    _, array = sharedmemory.ndarray(changed.shape, np.uint32, name, order=order)
    array[...] = changed
    vol.upload_from_shared_memory(name, vol.bounds, order=order)
    assert np.array_equal(vol[:], changed)
    array[...] = 5
    vol.upload_from_shared_memory(
        name, vol.bounds, order=order, cutout_bbox=np.s_[10:26, -20:-4, 30:46]
    )
    changed[:16, :16, :16] = 5
    assert np.array_equal(vol[:], changed)
    with pytest.raises(AlignmentError):
        vol.upload_from_shared_memory(name, vol.bounds, cutout_bbox=np.s_[0:26, -20:-4, 30:46])
    with pytest.raises(SharedMemoryReadError, match=r"expected 120000 bytes.*found 240000"):
        vol.upload_from_shared_memory(name, np.s_[10:50, -20:30, 30:45])
    assert (SHM / name).exists()
    assert sharedmemory.unlink(name)
    with pytest.raises(SharedMemoryReadError, match=name):
        vol.upload_from_shared_memory(name, vol.bounds)


def test_download_to_file_in_parallel(vol, tmp_path) -> None:
    found = vol.download_to_file(tmp_path / "voxels", vol.bounds)
    assert (tmp_path / "voxels").read_bytes() == vol.voxels.tobytes("F")
    assert np.array_equal(found, vol.voxels)
    found[...] += np.uint32(3)
    vol.upload_from_file(tmp_path / "voxels", vol.bounds)
    assert np.array_equal(vol[:], vol.voxels + np.uint32(3))


def test_no_process_is_started_where_threads_serve(tmp_path) -> None:
    path, voxels = support.write_layer(tmp_path, size=(64, 128, 128))
    vol = CloudVolume(path, parallel=2)
    assert np.array_equal(vol[:], voxels)
    assert np.array_equal(vol.download(vol.bounds, parallel=2), voxels)
    vol[:] = voxels
    assert np.array_equal(vol.download_to_shared_memory(np.s_[:]), voxels)
    assert pool().pids == []
    assert np.array_equal(vol.download_to_shared_memory(np.s_[:], workers=2), voxels)
    assert len(pool().pids) == 2
    pool().close()
    vol.unlink_shared_memory()
    pictures = f"file://{tmp_path}/pictures"
    image = np.zeros((64, 64, 64), np.uint8)
    CloudVolume.from_numpy(image, vol_path=pictures, chunk_size=(32, 32, 32), encoding="jpeg")
    for parallel, processes in ((1, 0), (2, 1)):  # a run of chunks is enough for one
        vol = CloudVolume(pictures, parallel=parallel)
        vol.download_to_shared_memory(np.s_[:])
        vol.unlink_shared_memory()
        assert len(pool().pids) == processes
    pool().close()


@pytest.mark.parametrize("workers", [-1, 1.5])
def test_workers_are_counted(vol, workers) -> None:
    with pytest.raises(InvalidArgumentError, match="parallel"):
        CloudVolume(vol.cloudpath).download_to_shared_memory(np.s_[:], workers=workers)
    with pytest.raises(InvalidArgumentError, match="cooperate"):
        CloudVolume(vol.cloudpath).download_to_shared_memory(np.s_[:], cooperate=True, workers=2)


SMALL = """
import json, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import SharedMemoryAllocationError
vol = CloudVolume(sys.argv[1], parallel=int(sys.argv[2]))
before = os.listdir("/dev/shm")
try:
    together = sys.argv[3] == "together"
    vol.download_to_shared_memory(
        np.s_[:], cooperate=together, workers=None if together else int(sys.argv[2]) - 1
    )
    told = None
except MemoryError as error:
    told = [type(error).__name__, str(error), error.expected, error.found]
from cloudvolume_fast.deliver.worker_pool import pool
part = int(vol.download_to_shared_memory(np.s_[:8]).sum()) == int(vol[:8].sum())
vol.unlink_shared_memory()
from cloudvolume_fast import _runtime
_runtime.shm_release_kept()
print(json.dumps([told, before, os.listdir("/dev/shm"), part]))
"""


@pytest.mark.parametrize("mode", ["alone", "together"])
@pytest.mark.parametrize("parallel", [1, 2])
def test_too_little_room_is_a_memory_error_before_anything_is_read(
    tmp_path: Path, parallel: int, mode: str
) -> None:
    path, voxels = support.write_layer(tmp_path, size=(64, 64, 64))
    # Were a chunk read, this would be the error.
    (tmp_path / support.KEY / "56-64_56-64_56-64").write_bytes(b"x")
    prefix = support.mount_prefix("mount -t tmpfs -o size=900k none /dev/shm")
    told, before, after, part = support.run_python(SMALL, path, parallel, mode, prefix=prefix)
    name, message, expected, found = told
    assert name == "SharedMemoryAllocationError"
    assert expected == voxels.nbytes == 1 << 20
    assert 0 < found <= 900 << 10
    assert str(expected) in message
    assert str(found) in message
    assert "/dev/shm" in message
    assert before == after == []
    assert part


NO_LEDGER = """
import json, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1])
try:
    vol.download_to_shared_memory(np.s_[:], **json.loads(sys.argv[2]))
    told = None
except MemoryError as error:
    told = [type(error).__name__, str(error), error.expected, error.found]
print(json.dumps([told, os.listdir("/dev/shm")]))
"""


@pytest.mark.parametrize(
    ("options", "size"), [('{"workers": 2}', "1100k"), ('{"cooperate": true}', "64k")]
)
def test_too_little_room_for_what_processes_tell_each_other_is_a_memory_error(
    tmp_path: Path, options: str, size: str
) -> None:
    path, _ = support.write_layer(tmp_path, size=(64, 64, 64))
    prefix = support.mount_prefix(f"mount -t tmpfs -o size={size} none /dev/shm")
    told, left = support.run_python(NO_LEDGER, path, options, prefix=prefix)
    name, message, expected, found = told
    assert name == "SharedMemoryAllocationError"
    assert 0 <= found < expected
    assert str(expected) in message
    assert str(found) in message
    assert left == []


FULL = """
import json, os
import numpy as np
from cloudvolume_fast import _runtime
MIB = 1 << 20
with open("/dev/shm/other", "wb") as other:
    other.write(bytes(6 * MIB + 4096))
told = []
for name in ("a", "b"):
    try:
        _runtime.Segment.create(name, 2 * MIB)
    except OSError as error:
        told.append(error.strerror)
names = sorted(os.listdir("/dev/shm"))
os.unlink("/dev/shm/other")
segment = _runtime.Segment.create("c", 2 * MIB)
voxels = segment.bytes()
voxels[:] = 1
print(json.dumps([told, names, segment.is_recycled, int(voxels.sum())]))
segment.unlink()
"""


def test_memory_that_could_not_be_reserved_is_not_recycled() -> None:
    prefix = support.mount_prefix("mount -t tmpfs -o size=8m none /dev/shm")
    told, names, is_recycled, total = support.run_python(
        FULL, prefix=prefix, CVFAST_KEEP_SHM_BYTES=str(64 << 20)
    )
    assert len(told) == 2
    assert names == ["other"]
    assert not is_recycled
    assert total == 2 << 20


HUGE = """
import json, os, sys
from pathlib import Path
import numpy as np
from cloudvolume_fast import CloudVolume, _runtime
size = 9 * (1 << 20) + 12345
segment = _runtime.Segment.create("cvfast-test-huge-" + str(os.getpid()), size)
voxels = segment.bytes()
clean = not voxels.any()
blocks = os.stat(_runtime.shm_folder() + segment.name).st_blocks * 512
voxels[:] = np.arange(size, dtype=np.uint64).astype(np.uint8)
other = _runtime.Segment.open(segment.name, False).bytes()
same = np.array_equal(other, voxels)
at = voxels.__array_interface__["data"][0]
huge, inside = 0, False
for line in Path("/proc/self/smaps").read_text().splitlines():
    first = line.split()[0]
    if "-" in first and ":" not in first:
        inside = int(first.split("-")[0], 16) == at
    elif inside and first in ("ShmemPmdMapped:", "FilePmdMapped:"):
        huge += int(line.split()[1]) << 10
segment.unlink()
print(json.dumps([clean, blocks, same, huge]))
"""


@pytest.mark.parametrize("huge", [False, True])
def test_new_memory_is_reserved_and_zero_with_huge_pages_and_without(huge: bool) -> None:
    clean, blocks, same, mapped_huge = support.run_python(
        HUGE, CVFAST_SHM_HUGE_PAGES=str(int(huge))
    )
    assert clean
    assert same
    assert blocks >= 9 * (1 << 20) + 12345
    assert mapped_huge <= (8 << 20 if huge else 0)


def test_huge_pages_do_not_hide_that_there_is_too_little_room() -> None:
    prefix = support.mount_prefix("mount -t tmpfs -o size=64m none /dev/shm")
    told = support.run_python(
        """
import json, os, threading
import numpy as np
from cloudvolume_fast import _runtime
# Another takes the room between the look at it and the reservation.
stop, told, filled = threading.Event(), 0, 0
def fill():
    while not stop.is_set():
        fd = os.open("/dev/shm/other", os.O_RDWR | os.O_CREAT)
        try:
            for _ in range(16):
                os.write(fd, bytes(1 << 20))
        except OSError:
            pass
        os.close(fd)
        os.unlink("/dev/shm/other")
thread = threading.Thread(target=fill)
thread.start()
for number in range(60):
    try:
        segment = _runtime.Segment.create(f"s{number}", 56 << 20)
    except OSError as error:
        told += 1
    else:
        segment.bytes()[:] = 1
        filled += 1
        segment.unlink()
        del segment
stop.set()
thread.join()
print(json.dumps([told, filled, os.listdir("/dev/shm")]))
""",
        prefix=prefix,
        CVFAST_KEEP_SHM_BYTES="0",
        timeout_seconds=120,
    )
    assert told[0] + told[1] == 60
    assert told[2] == []


@pytest.fixture(scope="module")
def slow_layer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A layer whose decompression takes long enough for a bar."""
    voxels = np.random.default_rng(0).integers(0, 255, (256, 256, 384), np.uint8)
    path = f"file://{tmp_path_factory.mktemp('slow')}/image"
    CloudVolume.from_numpy(voxels, vol_path=path, chunk_size=(64, 64, 64), compress="bz2")
    return path


@pytest.mark.parametrize("mode", ["alone", "together"])
def test_progress_is_shown_of_all_chunks(slow_layer: str, mode: str) -> None:
    process = support.start_python(
        """
import sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1], parallel=2, progress=True)
together = sys.argv[2] == "together"
vol.download_to_shared_memory(np.s_[:], cooperate=together, workers=None if together else 2)
vol.unlink_shared_memory()
""",
        slow_layer,
        mode,
    )
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Downloading" in shown
    assert "96/96" in shown


def test_allocation_error_is_a_memory_error() -> None:
    assert issubclass(SharedMemoryAllocationError, MemoryError)


def test_recycled_memory_never_shows_what_it_held(tmp_path: Path) -> None:
    path, voxels = support.write_layer(tmp_path, size=(64, 64, 128))
    vol = CloudVolume(path, fill_missing=True, background_color=3)
    for _ in range(3):
        found = vol.download_to_shared_memory(np.s_[:])
        assert np.array_equal(found, voxels)
        found[...] = 99
        vol.unlink_shared_memory()
        del found
    assert _runtime.shm_kept_bytes() == voxels.nbytes
    for file in (tmp_path / support.KEY).iterdir():
        file.unlink()
    found = vol.download_to_shared_memory(np.s_[:])
    assert (found == 3).all()
    vol.unlink_shared_memory()
    _runtime.shm_release_kept()


def test_kept_memory_can_be_switched_off(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, size=(64, 64, 128))
    left = support.run_python(
        """
import json, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1])
vol.download_to_shared_memory(np.s_[:])
vol.unlink_shared_memory()
print(json.dumps([name for name in os.listdir("/dev/shm") if str(os.getpid()) in name]))
""",
        path,
        CVFAST_KEEP_SHM_BYTES="0",
    )
    assert left == []


def test_kept_memory_goes_with_the_process(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, size=(64, 64, 128))
    pid, during = support.run_python(
        """
import json, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1])
vol.download_to_shared_memory(np.s_[:])
vol.unlink_shared_memory()
print(json.dumps([os.getpid(), [n for n in os.listdir("/dev/shm") if f"-{os.getpid()}-" in n]]))
""",
        path,
    )
    assert len(during) == 1
    assert [name for name in shm_names() if f"-{pid}-" in name] == []


def leave_a_segment(command: list[str]) -> str:
    """Kill a process that has made a segment, which the command leaves alone before; return the segment's name."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from cloudvolume_fast import _runtime as r; import time\n"
            "s = r.Segment.create(r.shm_hidden_name('part'), 5000)\n"
            "print(s.name, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        name = process.stdout.readline().strip()
        subprocess.run(command, check=True, capture_output=True)
        assert (SHM / name).exists()
        process.kill()
    return name


def test_command_removes_what_the_dead_left() -> None:
    command = [sys.executable, "-m", "cloudvolume_fast", "shm", "clean"]
    removed = []
    # A read of a test beside this one may be faster, in passing; hardly ten times in turn.
    for _ in range(10):
        name = leave_a_segment(command)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert not (SHM / name).exists()
        removed = [line for line in done.stdout.splitlines() if line == f"removed {name}"]
        if removed:
            break
    assert removed
