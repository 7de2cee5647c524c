# SPDX-License-Identifier: BSD-3-Clause
"""Worker processes: killed, left without a starter, started from every kind of program, and what they leave behind."""

from __future__ import annotations

import base64
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support
from kills.runs import (
    KillReport,
    is_running,
    kill_starters,
    kill_workers,
    segments_of,
    write_volume,
)
from servers.faulty import Answer, FaultServer

from cloudvolume_fast import CloudVolume, _runtime, sharedmemory
from cloudvolume_fast.deliver.worker_pool import pool, run_workers
from cloudvolume_fast.errors import (
    AuthorizationError,
    ChunkDecodeError,
    EmptyVolumeException,
    UnsupportedOptionError,
    WorkerError,
)
from cloudvolume_fast.sources.precomputed import image_workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pids are looked up in /proc")

SHM = Path(_runtime.shm_folder())


@pytest.fixture(autouse=True)
def _no_workers_stay():
    yield
    pool().close()


def test_killed_workers_do_not_show_in_the_result(tmp_path: Path) -> None:
    volumes = [write_volume(tmp_path, name) for name in ("raw", "compressed_segmentation")]
    report = KillReport()
    kill_workers(report, volumes, 20)
    assert report.wrong == 0, report.troubles
    assert report.leftovers == []
    assert report.exact + report.named_errors == 20
    assert report.kills >= 20
    assert report.kills_at_work > 0


def test_killed_starters_leave_nothing(tmp_path: Path) -> None:
    report = KillReport()
    kill_starters(report, [write_volume(tmp_path, "compressed_segmentation")], 3)
    assert report.leftovers == []
    assert (report.exact, report.wrong) == (3, 0)


def test_chunks_that_kill_every_worker_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # jpeg is decoded by a package, which is left to workers; a chunk takes it much longer than the killer.
    voxels = np.random.default_rng(0).integers(0, 255, (256, 256, 128), np.uint8)
    path = f"file://{tmp_path}/image"
    CloudVolume.from_numpy(voxels, vol_path=path, chunk_size=(256, 256, 64), encoding="jpeg")
    vol = CloudVolume(path, parallel=2)
    stop = threading.Event()
    ledgers: list[_runtime.ChunkLedger] = []

    def note(count: int, job: Any, ledger: _runtime.ChunkLedger, **options: Any) -> None:
        ledgers.append(ledger)
        run_workers(count, job, ledger, **options)

    monkeypatch.setattr(image_workers, "run_workers", note)

    def kill_whoever_works() -> None:
        while not stop.wait(0.001):
            if any(job.item_state(i) == "claimed" for job in ledgers for i in range(job.items)):
                for worker in list(pool()._all):
                    if worker.is_busy:
                        worker.process.kill()

    killer = threading.Thread(target=kill_whoever_works)
    killer.start()
    try:
        with pytest.raises(WorkerError, match=r"0-256_0-256_(0-64|64-128)") as caught:
            vol.download_to_shared_memory(np.s_[:])
    finally:
        stop.set()
        killer.join()
    assert caught.value.found[0] in ("0-256_0-256_0-64", "0-256_0-256_64-128")
    assert not (SHM / vol.shared_memory_id).exists()
    assert segments_of(os.getpid()) == []
    assert vol.download_to_shared_memory(np.s_[:]).shape == (256, 256, 128, 1)
    vol.unlink_shared_memory()


def test_workers_that_crash_over_every_job_are_an_error(tmp_path: Path) -> None:
    voxels = np.zeros((256, 256, 64), np.uint8)
    path = f"file://{tmp_path}/image"
    CloudVolume.from_numpy(voxels, vol_path=path, chunk_size=(256, 256, 64), encoding="jpeg")
    vol = CloudVolume(path, parallel=2)
    stop = threading.Event()

    def crash_whoever_is_given_something() -> None:
        while not stop.wait(0.0002):
            for worker in list(pool()._all):
                if worker.is_busy and worker.is_alive():
                    worker.process.send_signal(signal.SIGABRT)

    killer = threading.Thread(target=crash_whoever_is_given_something)
    killer.start()
    try:
        with pytest.raises(WorkerError):
            vol.download_to_shared_memory(np.s_[:])
    finally:
        stop.set()
        killer.join()
    assert segments_of(os.getpid()) == []
    assert vol.download_to_shared_memory(np.s_[:]).shape == (256, 256, 64, 1)
    vol.unlink_shared_memory()


def test_worker_may_be_asked_by_one_thread_while_another_closes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = pool().start()
    pidfd, close, answers = worker.pidfd, os.close, []
    asker = threading.Thread(target=lambda: answers.append(worker.is_alive()))

    def close_and_ask(descriptor: int) -> None:
        close(descriptor)
        if descriptor == pidfd:
            asker.start()
            asker.join(0.5)  # without the answer, which waits for the pidfd to be known as closed

    monkeypatch.setattr(os, "close", close_and_ask)
    pool().drop(worker)
    asker.join()
    assert answers in ([True], [False])  # it is on its way out


def test_error_of_a_worker_is_raised_with_its_members(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, compress=False)
    vol = CloudVolume(path, parallel=2)
    chunk = tmp_path / support.KEY / "8-16_0-8_0-8"
    chunk.write_bytes(b"short")
    pool().start()  # so that it may be a worker that meets with it
    for _ in range(2):
        with pytest.raises(ChunkDecodeError, match="8-16_0-8_0-8") as caught:
            vol.download_to_shared_memory(np.s_[:], workers=2)
        assert caught.value.key.endswith("8-16_0-8_0-8")
        assert (caught.value.expected, caught.value.found) == (2048, 5)
    chunk.unlink()
    with pytest.raises(EmptyVolumeException, match="8-16_0-8_0-8"):
        vol.download_to_shared_memory(np.s_[:], workers=2)
    assert not (SHM / vol.shared_memory_id).exists()
    assert segments_of(os.getpid()) == []


def test_workers_are_warm_for_the_next_call(tmp_path: Path) -> None:
    path, voxels = write_volume(tmp_path, "png")
    vol = CloudVolume(path, parallel=2)
    vol.download_to_shared_memory(np.s_[:], workers=2)
    pids = set(pool().pids)
    for _ in range(3):
        assert np.array_equal(vol.download_to_shared_memory(np.s_[:], workers=2), voxels)
    assert set(pool().pids) == pids
    assert len(pids) == 2
    vol.unlink_shared_memory()


USE = """
import json, sys, time
import numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.deliver.worker_pool import pool
vol = CloudVolume(sys.argv[1], parallel=2)
total = int(vol.download_to_shared_memory(np.s_[:], workers=2).sum())
vol.unlink_shared_memory()
"""
TELL = "print(json.dumps([total, pool().pids]))\n"


def test_idle_workers_leave_and_are_reaped(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, size=(64, 128, 128))
    left = support.run_python(
        USE
        + """
pids = pool().pids
until = time.monotonic() + 20
from pathlib import Path
while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
    time.sleep(0.01)
again = int(vol.download_to_shared_memory(np.s_[:], workers=2).sum())
vol.unlink_shared_memory()
print(json.dumps([len(pids), [pid for pid in pids if Path(f"/proc/{pid}").exists()], again == total]))
""",
        path,
        CVFAST_WORKER_IDLE_SECONDS="0.2",
    )
    assert left == [2, [], True]


def test_workers_leave_when_python_ends(tmp_path: Path) -> None:
    path, voxels = support.write_layer(tmp_path, size=(64, 128, 128))
    total, pids = support.run_python(USE + TELL, path)
    assert total == voxels.sum()
    assert len(pids) == 2
    assert not any(map(is_running, pids))


@pytest.mark.parametrize(
    "folder", ["script", "stdin", "interactive", "start fork", "start spawn", "start forkserver"]
)
def test_every_kind_of_program_may_use_workers(tmp_path: Path, folder: str) -> None:
    path, voxels = support.write_layer(tmp_path / "layer")
    # A module beside the program, or in the working folder, hides nothing from workers.
    (tmp_path / "numpy.py").write_text("raise ImportError('the wrong numpy')\n")
    (tmp_path / "programs").mkdir()
    script = USE + TELL
    if folder.startswith("start "):  # frozen: to set it once more would be an error
        method = folder.removeprefix("start ")
        script = f"import multiprocessing\nmultiprocessing.set_start_method('{method}')\n" + script
        script += f"assert multiprocessing.get_start_method() == '{method}'\n"
    program = tmp_path / "programs" / "unguarded.py"
    program.write_text(script)
    command = {
        "stdin": [sys.executable, "-P", "-", path],
        "interactive": [sys.executable, "-P", "-i", "-", path],
    }.get(folder, [sys.executable, str(program), path])
    done = subprocess.run(
        command,
        input=script if folder in ("stdin", "interactive") else None,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=support.environment(PYTHONWARNINGS="error"),  # of workers too
    )
    total, _ = json.loads(done.stdout.splitlines()[-1])
    assert total == voxels.sum()
    if folder != "interactive":  # which shows prompts there
        assert done.stderr == ""


@pytest.mark.parametrize("mode", ["threads", "workers", "cooperate"])
def test_memory_that_is_left_behind_is_nobodys_worry(tmp_path: Path, mode: str) -> None:
    path, voxels = support.write_layer(tmp_path, size=(64, 128, 128))
    name = f"cvfast-test-left-{mode}-{os.getpid()}"
    options = {"threads": "", "workers": ", workers=2", "cooperate": ", cooperate=True"}[mode]
    process = support.start_python(
        f"""
import sys
import numpy as np
from cloudvolume_fast import CloudVolume
image = CloudVolume(sys.argv[1]).download_to_shared_memory(np.s_[:], location=sys.argv[2]{options})
print(int(image.sum()))
""",
        path,
        name,
        PYTHONWARNINGS="error",
    )
    out, err = process.communicate(timeout=60)
    try:
        # Nothing tracks it: it is still there, and nobody warns that it was leaked.
        assert (process.returncode, err) == (0, "")
        assert int(out) == voxels.sum()
        assert (SHM / name).read_bytes() == voxels.tobytes("F")
    finally:
        assert sharedmemory.unlink(name)
    assert segments_of(process.pid) == []


CHILD = """
import json, multiprocessing, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.deliver.worker_pool import pool
def read(path, answers):
    vol = CloudVolume(path, parallel=2)
    total = int(vol.download_to_shared_memory(np.s_[:], workers=2).sum())
    vol.unlink_shared_memory()
    answers.put([total, multiprocessing.current_process().daemon, pool().pids])
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    answers = context.SimpleQueue()
    child = context.Process(target=read, args=(sys.argv[1], answers), daemon=True)
    child.start()
    answer = answers.get()
    child.join()
    print(json.dumps([child.exitcode, child.pid, *answer]))
"""


@pytest.mark.busy_fork
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_daemonic_child_of_multiprocessing_may_use_workers(tmp_path: Path, method: str) -> None:
    path, voxels = support.write_layer(tmp_path / "layer", size=(64, 128, 128))
    program = tmp_path / "child.py"
    program.write_text(CHILD)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), path, method],
        capture_output=True, text=True, timeout=60, check=True, env=support.environment(),
    )  # fmt: skip
    code, pid, total, is_daemonic, workers = json.loads(done.stdout)
    assert (code, total, is_daemonic) == (0, voxels.sum(), True)
    assert done.stderr == ""
    # It leaves without its exit handlers: its workers notice, though one that starts only then.
    until = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(is_running, workers))
    assert segments_of(pid) == []


def test_person_at_a_prompt_may_use_workers(tmp_path: Path) -> None:
    path, voxels = support.write_layer(tmp_path)
    try:
        controller, terminal = os.openpty()
    except FileNotFoundError:
        pytest.skip("there is no /dev/ptmx here")
    process = subprocess.Popen(
        [sys.executable, "-i", "-q"], stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True, close_fds=True, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(terminal)
    lines = [
        "import numpy as np",
        "from cloudvolume_fast import CloudVolume",
        f"vol = CloudVolume({path!r}, parallel=2)",
        "image = vol.download_to_shared_memory(np.s_[:], workers=2)",
        "vol.unlink_shared_memory()",
        "print('sum', '=', int(image.sum()))",
        "exit()",
    ]
    shown = b""
    try:
        os.write(controller, ("\n".join(lines) + "\n").encode())
        until = time.monotonic() + 60
        while time.monotonic() < until:
            ready, _, _ = select.select([controller], [], [], 1)
            try:
                part = os.read(controller, 65536) if ready else b""
            except OSError:  # the other side has closed it
                break
            shown += part
        assert process.wait(30) == 0, shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    assert f"sum = {int(voxels.sum())}" in shown.decode()
    assert "Traceback" not in shown.decode()


def test_notebook_may_use_workers(tmp_path: Path) -> None:
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    path, voxels = support.write_layer(tmp_path, size=(64, 128, 128))
    kernel, client = manager.start_new_kernel(startup_timeout=120)
    shown: list[str] = []

    def note(message: dict) -> None:
        shown.append(message["content"].get("text", ""))

    code = [
        "import numpy as np\nfrom cloudvolume_fast import CloudVolume",
        f"vol = CloudVolume({path!r}, parallel=2)",
        "image = vol.download_to_shared_memory(np.s_[:], workers=2)\nvol.unlink_shared_memory()",
        "print('sum', int(image.sum()), int(vol[:].sum()))",
        "from cloudvolume_fast.deliver.worker_pool import pool\nprint('pids', *pool().pids)",
    ]
    try:
        for cell in code:
            reply = client.execute_interactive(cell, timeout=120, output_hook=note)
            assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    text = "".join(shown)
    assert f"sum {int(voxels.sum())} {int(voxels.sum())}" in text
    pids = [int(pid) for pid in text.split("pids")[1].split()]
    assert len(pids) == 2
    until = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_running, pids))


def test_program_with_many_open_files_may_use_workers(tmp_path: Path) -> None:
    enough = 1200  # select() knows descriptors below 1024 only
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * enough:
        pytest.skip("not that many files may be open here")
    path = _jpeg_layer(tmp_path, 100)
    descriptor, total = support.run_python(
        """
import json, os, resource, sys
import numpy as np
from cloudvolume_fast import CloudVolume
enough, path = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_NOFILE, (2 * enough, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(enough)]
vol = CloudVolume(path, parallel=2)
image = vol.download_to_shared_memory(np.s_[:], workers=2)
vol.unlink_shared_memory()
print(json.dumps([held[-1], int(image.sum())]))
""",
        enough, path,
    )  # fmt: skip
    assert descriptor >= 1024
    assert total == int(CloudVolume(path)[:].sum()) > 0


def test_process_is_as_it_was_after_a_call(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path)
    same = support.run_python(
        """
import json, multiprocessing, os, resource, signal, socket, sys, threading
from pathlib import Path
import numpy as np
from cloudvolume_fast import CloudVolume
def state():
    return [
        multiprocessing.get_start_method(allow_none=True),
        [str(signal.getsignal(n)) for n in signal.valid_signals()],
        [str(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        dict(os.environ), os.getcwd(), list(sys.path), sys.argv,
        socket.getdefaulttimeout(), str(socket.socket), str(socket.getaddrinfo), vars(socket).keys() == kept,
        [line for line in Path("/proc/self/status").read_text().splitlines()
         if line.startswith(("Umask", "SigBlk", "SigIgn", "SigCgt"))],
        resource.getrlimit(resource.RLIMIT_NOFILE), str(threading.excepthook), str(sys.excepthook),
        signal.getitimer(signal.ITIMER_REAL),
    ]
kept = set(vars(socket).keys())
vol = CloudVolume(sys.argv[1], parallel=2)
before = state()
during = []
vol.download_to_shared_memory(np.s_[:], workers=2)
during.append(state())
vol[:]
vol.upload_from_shared_memory(vol.shared_memory_id, vol.bounds)
during.append(state())
vol.unlink_shared_memory()
vol.download_to_shared_memory(np.s_[:], cooperate=True)
vol.unlink_shared_memory()
during.append(state())
print(json.dumps([state == before for state in during]))
""",
        path,
    )
    assert same == [True, True, True]


def test_ctrl_c_ends_a_read_soon_and_leaves_nothing(tmp_path: Path) -> None:
    path, _ = write_volume(tmp_path, "png")
    seconds, left, again = support.run_python(
        """
import json, os, signal, sys, threading, time
import numpy as np
from kills.runs import segments_of
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1], parallel=2)
total = int(vol.download_to_shared_memory(np.s_[:], workers=2).sum())
vol.unlink_shared_memory()
def interrupt():
    global sent
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
timer = threading.Timer(0.01, interrupt)
timer.start()
try:
    while True:
        vol.download_to_shared_memory(np.s_[:], workers=2)
except KeyboardInterrupt:
    seconds = time.monotonic() - sent
vol.unlink_shared_memory()
left = segments_of(os.getpid())
again = int(vol.download_to_shared_memory(np.s_[:], workers=2).sum()) == total
vol.unlink_shared_memory()
print(json.dumps([seconds, left, again]))
""",
        path,
        PYTHONPATH=str(Path(__file__).parents[2]),
    )
    assert left == []
    assert again
    assert seconds < 2  # 0.1 s on a quiet machine


def test_threads_share_the_workers(tmp_path: Path) -> None:
    path, voxels = write_volume(tmp_path, "compressed_segmentation")
    wrong: list[int] = []

    def read(number: int) -> None:
        vol = CloudVolume(path, parallel=2)
        good = [
            np.array_equal(vol.download_to_shared_memory(np.s_[:], workers=2), voxels)
            for _ in range(3)
        ]
        wrong.extend([number] * good.count(False))
        vol.unlink_shared_memory()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pool().pids) <= 6


def test_forked_child_has_workers_of_its_own(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path, size=(64, 128, 128))
    codes, parents = support.run_python(
        USE
        + """
import os, signal
mine = set(pool().pids)
codes = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        code = 1
        try:
            vol.shared_memory_id = f"child-{os.getpid()}"
            good = int(vol.download_to_shared_memory(np.s_[:], workers=2).sum()) == total
            good = good and vol.unlink_shared_memory() and not mine & set(pool().pids)
            pool().close()
            code = 0 if good else 2
        finally:
            os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(json.dumps([codes, set(pool().pids) == mine]))
""",
        path,
    )
    assert codes == [0, 0, 0]
    assert parents


def test_writing_with_a_codec_that_holds_the_gil(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (130, 70, 66), np.uint64)
    path = support.make_layer(
        tmp_path, size=voxels.shape, chunk_size=(32, 32, 32), data_type="uint64",
        encoding="compresso",
    )  # fmt: skip
    vol = CloudVolume(path, parallel=2)
    vol[:] = voxels
    assert len(pool().pids) == 2
    assert np.array_equal(CloudVolume(path)[:][..., 0], voxels)
    assert segments_of(os.getpid()) == []
    # Parts of chunks are merged, and what was held in memory is not what was.
    vol = CloudVolume(path, parallel=2, non_aligned_writes=True, lru_bytes=1 << 26)
    assert np.array_equal(vol[:][..., 0], voxels)
    voxels[5:101, 3:64, 1:60] += np.uint64(1)
    vol[5:101, 3:64, 1:60] = voxels[5:101, 3:64, 1:60]
    assert np.array_equal(vol[:][..., 0], voxels)


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("kind", ["file", "shared memory"])
def test_uploads_of_plain_voxels_by_workers(tmp_path: Path, kind: str, order: str) -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (70, 66, 50, 1), np.uint64)
    path = support.make_layer(
        tmp_path / "layer", size=voxels.shape[:3], chunk_size=(32, 32, 32), data_type="uint64",
        encoding="compresso", voxel_offset=(3, -5, 7),
    )  # fmt: skip
    vol = CloudVolume(path, parallel=2)
    name = f"cvfast-test-voxels-{os.getpid()}"
    place, upload = (
        (tmp_path / "voxels", vol.upload_from_file)
        if kind == "file"
        else (SHM / name, vol.upload_from_shared_memory)
    )
    where = place if kind == "file" else name
    place.write_bytes(voxels.tobytes(order))
    try:
        upload(where, vol.bounds, order=order)
        assert len(pool().pids) == 2
        assert np.array_equal(CloudVolume(path)[:], voxels)
        vol[:] = np.uint64(0)
        upload(where, vol.bounds, order=order, cutout_bbox=np.s_[35:73, -5:27, 7:57])
        voxels[:32] = 0
        voxels[:, 32:] = 0
        assert np.array_equal(CloudVolume(path)[:], voxels)
    finally:
        place.unlink()
    assert segments_of(os.getpid()) == []


@pytest.mark.parametrize("options", ["size=64k", "size=1100k", "size=64m,ro"])
def test_writing_needs_no_shared_memory(tmp_path: Path, options: str) -> None:
    # 1100k is room for the voxels, but not for what processes tell each other.
    path = support.make_layer(
        tmp_path, size=(64, 64, 64), chunk_size=(32, 32, 32), encoding="compresso"
    )
    same, pids, left = support.run_python(
        """
import json, os, sys
import numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.deliver.worker_pool import pool
vol = CloudVolume(sys.argv[1], parallel=2)
voxels = np.random.default_rng(0).integers(0, 9, vol.shape, np.uint32)
vol[:] = voxels
print(json.dumps([bool((vol[:] == voxels).all()), pool().pids, os.listdir("/dev/shm")]))
""",
        path,
        prefix=support.mount_prefix(f"mount -t tmpfs -o {options} none /dev/shm"),
    )
    assert (same, pids, left) == (True, [], [])


def make_sharded(folder: Path, size: tuple[int, int, int], hashing: str = "identity") -> str:
    info = CloudVolume.create_new_info(
        1,
        "segmentation",
        "uint64",
        "compresso",
        (1, 1, 1),
        (7, -3, 0),
        size,
        chunk_size=(32, 32, 32),
    )
    info["scales"][0]["sharding"] = {
        "@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 2, "minishard_bits": 1,
        "shard_bits": 4, "hash": hashing, "minishard_index_encoding": "gzip",
        "data_encoding": "raw",
    }  # fmt: skip
    vol = CloudVolume(f"file://{folder}", info=info)
    vol.commit_info()
    return vol.cloudpath


def test_shards_are_written_each_by_one_worker(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (130, 70, 66), np.uint64)
    by_workers = make_sharded(tmp_path / "workers", voxels.shape)
    by_threads = make_sharded(tmp_path / "threads", voxels.shape)
    CloudVolume(by_threads, parallel=1)[:] = voxels
    assert pool().pids == []
    CloudVolume(by_workers, parallel=2)[:] = voxels
    assert len(pool().pids) == 2
    names = support.files_in(tmp_path / "threads")
    assert len([name for name in names if name.endswith(".shard")]) == 12
    assert support.files_in(tmp_path / "workers") == names
    for name in names:
        if name.endswith(".shard"):
            ours, theirs = (
                (tmp_path / folder / name).read_bytes() for folder in ("workers", "threads")
            )
            assert ours == theirs
    assert np.array_equal(CloudVolume(by_workers)[:][..., 0], voxels)
    assert segments_of(os.getpid()) == []
    # Some whole shards of a volume that has others.
    vol = CloudVolume(by_workers, parallel=2)
    voxels[64:, :64] += np.uint64(3)
    vol[7 + 64 :, -3 : -3 + 64, :] = voxels[64:, :64]
    assert np.array_equal(vol[:][..., 0], voxels)


@pytest.mark.parametrize("part", ["hashed", "cut"])
def test_boxes_that_are_no_whole_shards_are_written_by_threads(tmp_path: Path, part: str) -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (130, 70, 66), np.uint64)
    hashing = "murmurhash3_x86_128" if part == "hashed" else "identity"
    vol = CloudVolume(make_sharded(tmp_path, voxels.shape, hashing), parallel=2)
    vol[:] = voxels
    if part == "cut":
        assert len(pool().pids) == 2
        pool().close()
        voxels[32:] += np.uint64(1)
        vol[7 + 32 :, :, :] = voxels[32:]
    assert pool().pids == []
    assert np.array_equal(vol[:][..., 0], voxels)


def test_writers_that_are_killed_do_not_show(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (128, 128, 128), np.uint64)
    path = support.make_layer(
        tmp_path, size=voxels.shape, chunk_size=(32, 32, 32), data_type="uint64",
        encoding="compresso",
    )  # fmt: skip
    vol = CloudVolume(path, parallel=2)
    vol[:] = np.uint64(0)
    stop = threading.Event()
    kills = 0

    def kill_now_and_then() -> None:
        nonlocal kills
        while not stop.wait(0.05):
            for worker in list(pool()._all)[:1]:
                if worker.is_busy and kills < 4:
                    worker.process.kill()
                    kills += 1

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        vol[:] = voxels
    finally:
        stop.set()
        killer.join()
    assert kills > 0
    assert np.array_equal(CloudVolume(path)[:][..., 0], voxels)


def test_explicit_secrets_reach_workers_and_no_command_line(
    tmp_path: Path, faulty: FaultServer
) -> None:
    _, voxels = support.write_layer(tmp_path, size=(64, 128, 128), chunk_size=(32, 32, 32))
    url = faulty.put_folder("/layer", tmp_path)
    wanted = "Basic " + base64.b64encode(b"me:word-of-mine").decode()
    faulty.script = lambda request, count: (
        Answer() if request.headers.get("authorization") == wanted else Answer(status=401)
    )
    vol = CloudVolume(url, secrets={"user": "me", "password": "word-of-mine"})
    assert np.array_equal(vol.download_to_shared_memory(np.s_[:], workers=2), voxels)
    vol.unlink_shared_memory()
    for pid in pool().pids:
        for file in ("cmdline", "environ"):
            assert b"word-of-mine" not in Path(f"/proc/{pid}/{file}").read_bytes()
    with pytest.raises(AuthorizationError):
        CloudVolume(url, info=vol.info).download_to_shared_memory(np.s_[:], workers=2)


def test_layer_in_memory_is_read_by_its_own_process_only() -> None:
    voxels = support.make_voxels((16, 16, 16))
    vol = CloudVolume.from_numpy(voxels, vol_path="mem://bucket/shared", chunk_size=(8, 8, 8))
    vol.parallel = 2
    assert np.array_equal(vol.download_to_shared_memory(np.s_[:]), voxels)
    vol.unlink_shared_memory()
    for options in ({"workers": 2}, {"cooperate": True}):
        with pytest.raises(UnsupportedOptionError, match="memory"):
            vol.download_to_shared_memory(np.s_[:], **options)


def test_a_worker_that_cannot_start_is_told(tmp_path: Path) -> None:
    path, _ = write_volume(tmp_path, "png")
    vol = CloudVolume(path, parallel=2)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    message = support.run_python(
        """
import json, sys
import numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import WorkerError
vol = CloudVolume(sys.argv[1], parallel=2, fill_missing=True)
sys.executable = sys.argv[2]
try:
    vol.download_to_shared_memory(np.s_[:])
    print(json.dumps("no error"))
except WorkerError as error:
    print(json.dumps([str(error), error.found]))
""",
        f"{_jpeg_layer(tmp_path)}",
        program,
    )
    assert message[1] == 3
    assert "cloudvolume_fast.worker" in message[0]
    assert vol is not None


def _jpeg_layer(folder: Path, grey: int = 0) -> str:
    """A layer that this process may not read in place of its workers."""
    path = f"file://{folder}/jpeg"
    voxels = np.full((16, 16, 16), grey, np.uint8)
    CloudVolume.from_numpy(voxels, vol_path=path, chunk_size=(8, 8, 8), encoding="jpeg")
    return path


def test_a_worker_leaves_in_silence() -> None:
    ours, theirs = socket.socketpair()
    # Its watching thread, which ends the process at once, comes late: what main leaves behind would be told of.
    script = """
import os, sys, time
end = os._exit
os._exit = lambda status: (time.sleep(5), end(status))
from cloudvolume_fast import worker
sys.exit(worker.main(sys.argv[1:]))
"""
    with ours:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", script, str(theirs.fileno()), str(os.getpid()), "60"],
                pass_fds=[theirs.fileno()],
                stderr=subprocess.PIPE,
                text=True,
                env=support.environment(PYTHONWARNINGS="error"),
            )
        assert ours.recv(1)  # it is ready
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
