# SPDX-License-Identifier: BSD-3-Clause
"""Progress bars: shown when asked for, and only for what lasts."""

from __future__ import annotations

import bz2

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.deliver import progress as module
from cloudvolume_fast.deliver.progress import ChunkProgress


@pytest.fixture
def impatient(monkeypatch):
    """Show a bar at once."""
    monkeypatch.setattr(module, "_SHOW_AFTER_SECONDS", 0.0)


@pytest.fixture
def vol(tmp_path):
    """A volume whose chunks take some milliseconds each."""
    data = np.random.default_rng(1).integers(0, 255, (64, 64, 64), dtype=np.uint8)
    vol = CloudVolume.from_numpy(
        data, f"file://{tmp_path}/a/b", chunk_size=(16, 16, 16), compress="bz2"
    )
    assert bz2.decompress(next((tmp_path / "a/b/4_4_40").iterdir()).read_bytes())
    return vol


@pytest.mark.usefixtures("impatient")
def test_read_shows_chunks_and_megabytes_per_second(vol, capsys):
    vol.progress = True
    vol[:]
    err = capsys.readouterr().err
    assert "Downloading" in err
    assert "/64" in err
    assert "MB/s" in err
    assert "64/64" in err


@pytest.mark.usefixtures("impatient")
def test_write_shows_a_bar(vol, capsys):
    vol.progress = True
    vol[:] = vol[:]
    assert "Uploading" in capsys.readouterr().err


@pytest.mark.usefixtures("impatient")
def test_nothing_is_shown_unless_asked_for(vol, capsys):
    vol[:]
    vol[:] = 1
    vol.unique(vol.bounds)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_short_read_shows_nothing(vol, capsys):
    vol.progress = True
    vol[0:16, 0:16, 0:16]
    assert capsys.readouterr().err == ""


def test_not_interactive_means_no_progress(vol):
    assert CloudVolume(vol.cloudpath).progress is False


@pytest.mark.usefixtures("impatient")
def test_title_of_one_call(vol, capsys):
    vol.image.download(vol.bounds, 0, progress="Reading it")
    assert "Reading it" in capsys.readouterr().err
    assert vol.progress is False


def test_bar_waits_until_the_call_lasts(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with ChunkProgress("Title", 10) as progress:
        now[0] = 0.1
        progress.callback(1, 1_000_000)
        assert capsys.readouterr().err == ""
        now[0] = 0.5
        progress.callback(5, 5_000_000)
    err = capsys.readouterr().err
    assert "5/10" in err
    assert "10 MB/s" in err


def test_no_title_means_no_callback():
    with ChunkProgress(None, 10) as progress:
        assert progress.callback is None
