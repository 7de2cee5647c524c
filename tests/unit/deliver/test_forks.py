# SPDX-License-Identifier: BSD-3-Clause
"""Children forked from a process that has read: each reads, and ends; CVFAST_FORK_REPETITIONS for many rounds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import support
from servers.nginx import Nginx

CHILDREN = 64

FORKS = """
import json, multiprocessing, os, signal, sys, time
import numpy as np
from cloudvolume_fast import CloudVolume
path, method, children, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
vol = CloudVolume(path, parallel=2)
total = int(vol[:].sum())
held = vol.download_to_shared_memory(np.s_[:])
vol.unlink_shared_memory()
def read():
    signal.alarm(20)
    good = int(vol[:].sum()) == total and int(held.sum()) == total
    name = f"cvfast-test-fork-{os.getpid()}"
    other = CloudVolume(path)
    other.shared_memory_id = name
    good = good and int(other.download_to_shared_memory(np.s_[:]).sum()) == total
    good = other.unlink_shared_memory() and good
    return 0 if good else 2
def run_raw():
    pids = []
    for _ in range(children):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = read()
            finally:
                os._exit(code)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
def leave():
    sys.exit(read())
def run_multiprocessing():
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=leave) for _ in range(children)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
run = run_raw if method == "os.fork" else run_multiprocessing
slowest, bad = 0, 0
for _ in range(rounds):
    started = time.monotonic()
    bad += sum(code != 0 for code in run())
    slowest = max(slowest, time.monotonic() - started)
after = int(vol.download_to_shared_memory(np.s_[:]).sum()) == total
vol.unlink_shared_memory()
print(json.dumps([bad, slowest, after]))
"""


@pytest.mark.busy_fork
@pytest.mark.parametrize("protocol", ["file", "http"])
@pytest.mark.parametrize("method", ["os.fork", "multiprocessing"])
def test_forked_children_read_and_end(
    tmp_path: Path, nginx: Nginx, nginx_folder: Path, method: str, protocol: str
) -> None:
    folder = nginx_folder if protocol == "http" else tmp_path
    path, _ = support.write_layer(
        folder, size=(64, 64, 64), chunk_size=(16, 16, 16), compress=False
    )
    if protocol == "http":
        path = f"{nginx.url}/{folder.name}"
    rounds = int(os.environ.get("CVFAST_FORK_REPETITIONS", "1"))
    bad, slowest, after = support.run_python(
        FORKS, path, method, CHILDREN, rounds, timeout_seconds=30 + 30 * rounds
    )
    assert bad == 0
    assert slowest < 10
    assert after


def test_data_loader_with_forked_workers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    example = Path(__file__).parents[3] / "docs" / "examples" / "data_loader.py"
    path, voxels = support.write_layer(tmp_path, size=(64, 64, 64), chunk_size=(16, 16, 16))
    namespace: dict = {}
    exec(compile(example.read_text(), str(example), "exec"), namespace)
    loader = namespace["make_loader"](path, cutout=16, count=32, workers=2)
    seen = 0
    for batch in loader:
        assert isinstance(batch["voxels"], torch.Tensor)
        for corner, image in zip(batch["corner"].tolist(), batch["voxels"].numpy(), strict=True):
            x, y, z = corner
            assert np.array_equal(image, voxels[x : x + 16, y : y + 16, z : z + 16, 0])
            seen += 1
    assert seen == 32
