# SPDX-License-Identifier: BSD-3-Clause
"""The same calls on cloud-volume and here give the same, but for the differences listed in `expected`.

Upstream runs in a process of its own: the python that ``CVFAST_PEERS_PYTHON`` names, else this one if it has it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from parity.compare import differing, is_meant
from parity.expected import EXPECTED

COMPARE = Path(__file__).with_name("compare.py")
MINIMUM = 1200

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.xdist_group("parity")]


def run(python: str, package: str, target: Path) -> dict[str, object]:
    subprocess.run(
        [python, str(COMPARE), "run", package, str(target)],
        check=True,
        timeout=600,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    found: dict[str, object] = json.loads(target.read_text())
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict]:
    python = os.environ.get("CVFAST_PEERS_PYTHON")
    if python is None:
        if importlib.util.find_spec("cloudvolume") is None:
            pytest.skip(
                "cloud-volume is not installed here, and CVFAST_PEERS_PYTHON names no python"
            )
        python = sys.executable
    folder = tmp_path_factory.mktemp("parity")
    return (
        run(python, "cloudvolume", folder / "upstream.json"),
        run(sys.executable, "cloudvolume_fast", folder / "ours.json"),
    )


def test_results_are_the_same_but_for_what_is_listed(results: tuple[dict, dict]) -> None:
    theirs, ours = results
    assert len(theirs) >= MINIMUM
    assert theirs.keys() == ours.keys()
    found = differing(theirs, ours)
    unlisted = {
        name: (theirs[name], ours[name])
        for name in found
        if not is_meant(name, theirs[name], ours[name])
    }
    assert unlisted == {}


def test_listed_differences_are_differences(results: tuple[dict, dict]) -> None:
    theirs, ours = results
    assert sorted(set(EXPECTED) - set(differing(theirs, ours))) == []
