# SPDX-License-Identifier: BSD-3-Clause
"""Runs the cells of the matrix: reads what others wrote, writes every cell, and has others read that."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
from golden import matrix
from golden.matrix import Cell

from cloudvolume_fast import CloudVolume

PEER_SCRIPT = Path(__file__).parents[1] / "interop" / "read_with_peer.py"
_MODULES = {"cloud-volume": "cloudvolume", "tensorstore": "tensorstore"}


def read_golden(layer: Path, cell: Cell) -> str:
    """Return what becomes of a layer of another writer here: ``ok``, or what is wrong."""
    expected = matrix.expected_voxels(layer, cell)
    vol = CloudVolume(f"file://{layer}", progress=False)
    found = np.asarray(vol[:])
    if tuple(vol.voxel_offset) != cell.offset:
        return f"WRONG: voxel_offset {tuple(vol.voxel_offset)}"
    how = matrix.compare(found, expected, cell.row)
    # A box that cuts every chunk, where its voxels are found by another way.
    x, y, z = cell.offset
    part = np.asarray(vol[x + 1 : x + 5, y + 1 : y + 4, z + 1 : z + 3])
    return how if matrix.same_bits(part, expected[1:5, 1:4, 1:3]) else "WRONG: the box differs"


def write(layer: Path, cell: Cell) -> np.ndarray:
    """Write a layer; return what a read of it gives.

    Raises
    ------
    AssertionError
        The chunks have another suffix than they are to have, or an encoding without loss lost something.
    """
    row = cell.row
    vol = matrix.new_volume(CloudVolume, layer, cell)
    voxels = matrix.voxels(row)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        vol[:] = voxels
    # Pictures are not compressed once more, which a caller who asks for it is told.
    assert bool(told) == (row.encoding in matrix.PICTURES and cell.compression != "none")
    assert matrix.stored_suffix(layer) == cell.suffix
    found = np.asarray(CloudVolume(f"file://{layer}", progress=False)[:])
    if row.encoding not in matrix.LOSSY:
        assert matrix.same_bits(found, voxels)
    return found


@functools.cache
def peer_python(peer: str) -> str | None:
    """Return the python that has a peer; None where there is none."""
    named = os.environ.get("CVFAST_PEERS_PYTHON")
    if named:
        return named
    return sys.executable if importlib.util.find_spec(_MODULES[peer]) else None


def read_with(peer: str, root: Path, ours: dict[Cell, np.ndarray], out: Path) -> dict[Cell, str]:
    """Have a peer read layers that were written here, one process for all.

    Parameters
    ----------
    root : Path
        Where the layers lie, each under its cell's name.
    ours : dict
        What a read here gives.
    out : Path
        A folder for what the peer reads.

    Returns
    -------
    dict
        ``ok``, or what is the matter.
    """
    python = peer_python(peer)
    assert python is not None
    out.mkdir()
    done = subprocess.run(
        [python, str(PEER_SCRIPT), peer, str(out)],
        input=json.dumps([[str(root / str(cell)), 0] for cell in ours]),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.rpartition("\n")[2])
    result = {}
    for number, (cell, answer) in enumerate(zip(ours, answers, strict=True)):
        if "error" in answer:
            result[cell] = matrix.reason(answer["error"])
        else:
            result[cell] = matrix.compare(np.load(out / f"{number}.npy"), ours[cell], cell.row)
    return result
