# SPDX-License-Identifier: BSD-3-Clause
"""Many threads, forks, other processes and Ctrl-C; and what of the process itself stays as it was."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.deliver.cutout import VolumeCutout
from cloudvolume_fast.errors import ChunkDecodeError, InvalidArgumentError


def test_threads_that_read_and_write_at_once_see_whole_chunks(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path, size=(32, 16, 16))
    vol = CloudVolume(layer)
    vol[:] = np.uint32(1)
    stop = time.monotonic() + 1.5

    def write(number: int) -> int:
        count = 0
        while time.monotonic() < stop:
            x = 8 * (count % 4)
            vol[x : x + 8] = np.full((8, 16, 16, 1), 10 * number + count % 10, np.uint32)
            count += 1
        return count

    def read() -> int:
        count = 0
        while time.monotonic() < stop:
            voxels = np.asarray(vol[:])
            for x in range(0, 32, 8):
                for y in range(0, 16, 8):
                    assert len(np.unique(voxels[x : x + 8, y : y + 8, 0:8])) == 1
            count += 1
        return count

    with ThreadPoolExecutor(12) as pool:
        jobs = [pool.submit(write, number) for number in range(4)] + [
            pool.submit(read) for _ in range(8)
        ]
        assert all(job.result(timeout=60) > 0 for job in jobs)
    assert not [name for name in support.files_in(tmp_path) if name.endswith(".tmp")]


def test_threads_that_merge_into_one_chunk_lose_nothing(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    CloudVolume(layer)[:] = np.uint32(0)

    def write(x: int) -> None:
        vol = CloudVolume(layer, non_aligned_writes=True)
        for y in range(8):
            vol[x, y] = np.full((1, 1, 8, 1), 1 + x + 8 * y, np.uint32)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert np.array_equal(
        CloudVolume(layer)[:, :, 0][..., 0, 0], 1 + np.arange(64).reshape(8, 8, order="F")
    )


@pytest.mark.parametrize("suffix", [".br", ".zstd"])
def test_threads_read_through_compressors_of_python(tmp_path: Path, suffix: str) -> None:
    path, voxels = support.write_layer(tmp_path, compress=support.COMPRESS_NAMES[suffix])
    vol = CloudVolume(path)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: np.array_equal(vol[:], voxels), range(40)))


def test_error_of_one_thread_is_not_seen_by_others(tmp_path: Path) -> None:
    good, voxels = support.write_layer(tmp_path / "good")
    bad, _ = support.write_layer(tmp_path / "bad", compress=False)
    next((tmp_path / "bad" / support.KEY).iterdir()).write_bytes(b"x")

    def read(number: int) -> bool:
        if number % 2:
            return np.array_equal(CloudVolume(good)[:], voxels)
        with pytest.raises(ChunkDecodeError):
            CloudVolume(bad)[:]
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(60)))


FORK_MANY = """
import json, os, signal, sys, threading, time
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1], parallel=4)
total = int(vol[:].sum())
stop = False
def load():
    while not stop:
        vol[:]
threads = [threading.Thread(target=load) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
started = time.monotonic()
children = []
for _ in range(64):
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        code = 1
        try:
            code = 0 if int(vol[:].sum()) == total else 2
        finally:
            os._exit(code)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
stop = True
for thread in threads:
    thread.join()
print(json.dumps([codes, time.monotonic() - started, int(vol[:].sum()) == total]))
"""


@pytest.mark.parametrize("busy_threads", [0, 2])
def test_forked_children_read(tmp_path: Path, busy_threads: int) -> None:
    path, _ = support.write_layer(tmp_path, size=(32, 32, 32))
    codes, seconds, parent_reads = support.run_python(FORK_MANY, path, busy_threads)
    assert codes == [0] * 64
    assert seconds < 10
    assert parent_reads


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_pickled_volume_reads_in_another_process(tmp_path: Path, method: str) -> None:
    path, voxels = support.write_layer(tmp_path)
    found = support.run_python(
        """
import json, multiprocessing, operator, sys
from cloudvolume_fast import CloudVolume
if __name__ == "__main__":
    vol = CloudVolume(sys.argv[1], fill_missing=True, mip=0)
    vol[:]
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        images = pool.map(operator.methodcaller("download", vol.bounds), [vol] * 4)
    print(json.dumps([int(image.sum()) for image in images]))
""",
        path,
        method,
    )
    assert found == [voxels.sum()] * 4


def test_pickled_volume_is_small_and_keeps_its_settings(tmp_path: Path) -> None:
    path, voxels = support.write_layer(tmp_path)
    vol = CloudVolume(
        path, fill_missing=True, background_color=3, parallel=2, compress="br", bounded=False
    )
    vol[:]
    data = pickle.dumps(vol)
    assert len(data) < 10_000
    copy = pickle.loads(data)
    assert (copy[:] == voxels).all()
    for name in (
        "fill_missing",
        "background_color",
        "parallel",
        "compress",
        "bounded",
        "mip",
        "cloudpath",
    ):
        assert getattr(copy, name) == getattr(vol, name)
    copy.mip = 0
    copy.fill_missing = False
    assert vol.fill_missing


def test_pickled_cutout_keeps_origin_and_voxels(tmp_path: Path) -> None:
    path, voxels = support.write_layer(tmp_path)
    cutout = pickle.loads(pickle.dumps(CloudVolume(path)[0:4, 0:8, 0:8]))
    assert isinstance(cutout, VolumeCutout)
    assert (cutout == voxels[0:4, 0:8, 0:8]).all()
    assert cutout.bounds.to_list() == [0, 0, 0, 4, 8, 8]


def test_errors_survive_pickling_with_their_parts(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, compress=False)
    (tmp_path / support.KEY / "0-8_0-8_0-8").write_bytes(b"x")
    with pytest.raises(ChunkDecodeError) as caught:
        CloudVolume(path)[:]
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is ChunkDecodeError
    assert (copy.key, copy.expected, copy.found) == (caught.value.key, 2048, 1)


INTERRUPTED = """
import json, os, sys, threading, time
import numpy as np
from cloudvolume_fast import CloudVolume
path, action, compress = sys.argv[1:4]
vol = CloudVolume(path, compress=compress or False, fill_missing=True)
voxels = np.random.default_rng(1).integers(0, 2**32, vol.shape, dtype=np.uint32)
if action == "read":
    vol[:] = voxels
deadline = time.monotonic() + 60
print("ready", flush=True)
try:
    while time.monotonic() < deadline:
        if action == "read":
            vol[:]
        elif action == "unique":
            vol.unique(vol.bounds)
        else:
            vol[:] = voxels
    stopped = None
except KeyboardInterrupt:
    stopped = time.time()
vol[0:16, 0:16, 0:16] = np.uint32(7)
usable = bool((vol[0:16, 0:16, 0:16] == 7).all())
print(json.dumps([stopped, usable]), flush=True)
"""


@pytest.mark.parametrize("compress", ["", "gzip", "br", "xz"])
@pytest.mark.parametrize("action", ["read", "write", "unique"])
def test_interrupt_ends_a_long_call_and_leaves_the_process_usable(
    tmp_path: Path, action: str, compress: str
) -> None:
    size = (64, 64, 64) if compress == "xz" else (128, 128, 128)
    layer = support.make_layer(tmp_path, size=size, chunk_size=(16, 16, 16))
    process = support.start_python(INTERRUPTED, layer, action, compress)
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.25)
        sent = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, err
    stopped, usable = json.loads(out)
    assert stopped is not None
    assert stopped - sent < 0.8  # 50 ms and a chunk, on an idle machine
    assert usable
    assert not [name for name in support.files_in(tmp_path) if name.endswith(".tmp")]


def test_interrupt_ends_one_long_read() -> None:
    stopped = support.run_python(
        """
import json, signal, threading, time, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
# 200,000 absent chunks in one call.
info = CloudVolume.create_new_info(
    1, "image", "uint8", "raw", (4, 4, 40), (0, 0, 0), (2000, 100, 100), chunk_size=(5, 5, 4)
)
vol = CloudVolume("file:///proc/self/absent", info=info, fill_missing=True)
def interrupt():
    global sent
    time.sleep(0.1)
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    while True:
        vol[:]
except KeyboardInterrupt:
    print(json.dumps(time.monotonic() - sent))
"""
    )
    assert stopped < 0.8


def test_interpreter_ends_cleanly_while_a_daemon_thread_reads(tmp_path: Path) -> None:
    for compress in (False, "br"):
        path, _ = support.write_layer(
            tmp_path / str(compress), size=(64, 64, 64), compress=compress
        )
        for _ in range(3):
            done = support.run_python(
                """
import json, sys, threading, time
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1])
def load():
    while True:
        vol[:]
for _ in range(2):
    threading.Thread(target=load, daemon=True).start()
time.sleep(0.2)
print(json.dumps("done"), flush=True)
""",
                path,
            )
            assert done == "done"


def test_interpreter_ends_cleanly_while_daemon_threads_wait_for_other_processes() -> None:
    for _ in range(5):
        done = support.run_python(
            """
import json, os, threading, time
from cloudvolume_fast import _runtime
ledger = _runtime.ChunkLedger.create(f"cvfast-test-exit-{os.getpid()}", 1, 1, bytes(32), 1)
ledger.unlink()
def wait():
    while True:
        ledger.wait(ledger.changes, 1)
for _ in range(4):
    threading.Thread(target=wait, daemon=True).start()
time.sleep(0.05)
print(json.dumps("done"), flush=True)
"""
        )
        assert done == "done"


COUNT_THREADS = """
import json, os, sys
from cloudvolume_fast import CloudVolume
before = len(os.listdir("/proc/self/task"))
vol = CloudVolume(sys.argv[1], parallel=int(sys.argv[2]))
for _ in range(3):
    vol[:]
print(json.dumps(len(os.listdir("/proc/self/task")) - before))
"""

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="counts threads in /proc"
)


@needs_proc
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_environment_says_how_many_threads_are_used(tmp_path: Path, threads: int) -> None:
    path, _ = support.write_layer(tmp_path, size=(32, 32, 32))
    assert support.run_python(COUNT_THREADS, path, 1, CVFAST_THREADS=str(threads)) == threads - 1


@needs_proc
@pytest.mark.parametrize("parallel", [2, 4])
def test_parallel_says_how_many_threads_are_used(tmp_path: Path, parallel: int) -> None:
    path, _ = support.write_layer(tmp_path, size=(32, 32, 32))
    assert support.run_python(COUNT_THREADS, path, parallel, CVFAST_THREADS="1") == parallel - 1


@needs_proc
@pytest.mark.parametrize("value", ["0", "-3", "many", "", "1e9"])
def test_thread_count_that_is_none_means_the_default(tmp_path: Path, value: str) -> None:
    path, _ = support.write_layer(tmp_path)
    allowed = len(os.sched_getaffinity(0))
    expected = 0 if value == "1e9" else allowed - 1  # strtol reads a 1
    assert support.run_python(COUNT_THREADS, path, 1, CVFAST_THREADS=value) == expected


@needs_proc
def test_affinity_of_the_process_bounds_the_threads(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path)
    script = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + COUNT_THREADS
    assert support.run_python(script, path, 1, CVFAST_THREADS="") == 0


@pytest.mark.parametrize("parallel", [-1, 1.5, "2"])
def test_parallel_that_is_no_count_is_refused(tmp_path: Path, parallel: object) -> None:
    with pytest.raises((InvalidArgumentError, ValueError)):
        CloudVolume(support.make_layer(tmp_path), parallel=parallel)


def test_use_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    found = support.run_python(
        """
import json, locale, multiprocessing, os, random, resource, signal, sys, threading
import numpy as np
def state():
    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "cwd": os.getcwd(),
        "umask": mask,
        "environ": dict(os.environ),
        "start_method": multiprocessing.get_start_method(allow_none=True),
        "handlers": {str(s): str(signal.getsignal(s)) for s in signal.valid_signals()},
        "mask": sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        "limits": [resource.getrlimit(r) for r in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)],
        "locale": locale.setlocale(locale.LC_ALL),
        "numpy": [np.geterr(), np.get_printoptions()["precision"]],
        "threads": threading.active_count(),
        "recursion": sys.getrecursionlimit(),
        "random": hash(str(random.getstate())) % 1000003,
        "hook": str(sys.excepthook),
    }
random.seed(1)
np.zeros(1)
before = state()
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1], parallel=3)
vol.non_aligned_writes = True
vol[1:5, 1:5, 1:5] = np.uint32(2)
vol[:]
vol.commit_info()
vol.commit_provenance()
vol.unique(vol.bounds)
try:
    vol[100]
except ValueError:
    pass
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
""",
        support.write_layer(tmp_path)[0],
    )
    assert found == []


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_file_descriptors_do_not_leak(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path)
    vol = CloudVolume(path, non_aligned_writes=True)
    vol[:]
    before = open_files()
    for _ in range(50):
        vol[:]
        vol[1:3, 1:3, 1:3] = np.uint32(1)
        CloudVolume(path).exists(vol.bounds)
    after = open_files()
    assert after <= before


def test_child_of_fork_writes_too(tmp_path: Path) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    path, _ = support.write_layer(tmp_path)
    found = support.run_python(
        """
import json, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1], non_aligned_writes=True, parallel=2)
vol[1:9, 1:9, 1:9] = np.uint32(1)
pid = os.fork()
if pid == 0:
    vol[1:9, 1:9, 1:9] = np.uint32(77)
    os._exit(0)
code = os.waitpid(pid, 0)[1]
print(json.dumps([code, np.unique(vol[1:9, 1:9, 1:9]).tolist()]))
""",
        path,
    )
    assert found == [0, [77]]
