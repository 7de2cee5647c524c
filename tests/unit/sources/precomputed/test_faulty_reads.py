# SPDX-License-Identifier: BSD-3-Clause
"""Volumes behind a server that fails at random; ``make fault-report`` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.runs import BOUNDS, FAULTS, LAYERS, run_layer

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import InvalidArgumentError


@pytest.mark.usefixtures("_plain_network")
@pytest.mark.parametrize("name", list(LAYERS))
def test_chunks_are_exact_or_errors_have_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in BOUNDS.items():
        monkeypatch.setenv(variable, value)
    report = run_layer(name, tmp_path, 200, threads=8, seed=7)
    assert report.is_good, report.table()
    assert report.exact > report.chunk_reads // 4, report.table()
    assert len(report.faults) > len(FAULTS) // 2, report.table()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CVFAST_HTTP_TOTAL_SECONDS", "soon"),
        ("CVFAST_HTTP_STALL_SECONDS", "-1"),
        ("CVFAST_HTTP_CONNECT_SECONDS", "nan"),
        ("CVFAST_HTTP_ATTEMPTS", "1.5"),
    ],
)
def test_bound_that_is_no_number_is_named(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidArgumentError, match=f"{variable}: expected .*, found '{value}'"):
        CloudVolume("http://127.0.0.1:9/layer", progress=False)
