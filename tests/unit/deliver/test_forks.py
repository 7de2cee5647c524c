# SPDX-License-Identifier: BSD-3-Clause
"""Children forked from a process that has read: each reads, and ends; CVFAST_FORK_REPETITIONS for many rounds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import support
from forks.runs import METHODS, ForkReport, run_forks
from servers.nginx import Nginx

CHILDREN = 64


@pytest.mark.busy_fork
@pytest.mark.parametrize("method", METHODS)
def test_forked_children_read_and_end(
    tmp_path: Path, nginx: Nginx, nginx_folder: Path, method: str
) -> None:
    for folder in (tmp_path, nginx_folder):
        support.write_layer(folder, size=(64, 64, 64), chunk_size=(32, 32, 32), compress=False)
    paths = [f"file://{tmp_path}", f"{nginx.url}/{nginx_folder.name}"]
    report = ForkReport()
    repetitions = int(os.environ.get("CVFAST_FORK_REPETITIONS", "1"))
    run_forks(report, method, paths, children=CHILDREN, repetitions=repetitions)
    assert report.children == CHILDREN * repetitions
    assert report.is_good, report.table()


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
