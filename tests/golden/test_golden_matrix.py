# SPDX-License-Identifier: BSD-3-Clause
"""Every encoding, data type and compression: files of others are read exactly, and others read ours exactly."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from golden import matrix, matrix_run, report
from golden.matrix import CELLS, HOLDS, ROWS, SUFFIXES, WRITERS, WRITTEN, Cell, Row

from cloudvolume_fast.decode import registry

TENSORSTORE_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32")
TENSORSTORE_ENCODINGS = ("raw", "png", "jpeg", "compressed_segmentation")


def written(writer: str) -> list[Cell]:
    """The cells of which there are golden files."""
    outcomes = matrix.outcomes(writer)
    return [cell for cell in CELLS if outcomes[str(cell)].startswith(WRITTEN)]


def test_archives_are_those_of_the_manifest() -> None:
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in matrix.ARCHIVES.iterdir()
    }
    assert digests == matrix.manifest()["archives"]
    assert sum(path.stat().st_size for path in matrix.ARCHIVES.iterdir()) < 250_000


def test_matrix_has_every_encoding_and_type() -> None:
    assert sorted(HOLDS) == list(registry.names())
    for encoding, (types, channels) in HOLDS.items():
        codec = registry.lookup(encoding, "")
        if codec.data_types is not None:  # raw takes whatever numpy has
            assert set(types) == codec.data_types
        assert set(channels) == set(codec.channels or (1, 2, 3))
    for row in ROWS:
        assert {"none", "gzip"} <= set(row.compressions)
    for encoding, (types, _) in HOLDS.items():
        assert all(Row(encoding, dtype, 1).compressions == tuple(SUFFIXES) for dtype in types)


def test_matrix_has_every_kind_of_offset() -> None:
    for encoding in HOLDS:
        offsets = {cell.offset for cell in CELLS if cell.row.encoding == encoding}
        assert len(offsets) > 2


def test_others_were_asked_for_every_cell() -> None:
    for writer in WRITERS:
        assert set(matrix.outcomes(writer)) == {str(cell) for cell in CELLS}
    missing = {str(cell.row) for cell in set(CELLS) - set(written("cloud-volume"))}
    cseg = [
        f"compressed_segmentation-{dtype}-c{n}" for dtype in ("uint32", "uint64") for n in (2, 3)
    ]
    assert missing == {*cseg, "png-uint16-c1", "png-uint16-c3", "jxl-uint8-c4"}
    assert {str(cell) for cell in written("tensorstore")} == {
        f"{row}-none"
        for row in ROWS
        if row.encoding in TENSORSTORE_ENCODINGS and row.dtype in TENSORSTORE_TYPES
    }


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("matrix")
    for writer in WRITERS:
        matrix.unpack(writer, root / writer)
    return root


@pytest.mark.parametrize(
    ("writer", "cell"),
    [
        pytest.param(writer, cell, id=f"{writer}-{cell}")
        for writer in WRITERS
        for cell in written(writer)
    ],
)
def test_golden_layer_is_read_exactly(golden: Path, writer: str, cell: Cell) -> None:
    layer = golden / writer / str(cell)
    assert matrix.outcomes(writer)[str(cell)] == WRITTEN + matrix.stored_suffix(layer)
    assert (layer / "expected.npy").exists() == (cell.row.encoding in matrix.LOSSY)
    assert matrix_run.read_golden(layer, cell) == "ok"


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_layer_is_written_and_read_back(tmp_path: Path, cell: Cell) -> None:
    found = matrix_run.write(tmp_path / "layer", cell)
    voxels = matrix.voxels(cell.row)
    assert (found.dtype, found.shape) == (voxels.dtype, voxels.shape)


def expected_of(peer: str, cell: Cell) -> str:
    """What a peer is known to make of a layer that was written here, or how that starts."""
    row = cell.row
    if peer == "tensorstore":
        if row.dtype not in TENSORSTORE_TYPES or row.encoding not in TENSORSTORE_ENCODINGS:
            return "ValueError"
        return "finds no chunk" if cell.suffix else "ok"
    if (row.encoding, row.dtype) == ("png", "uint16") and row.channels in (1, 3):
        return "ValueError: cannot reshape"
    if row.encoding in matrix.PICTURES and row.channels > 1:
        return "mixes up channels"
    if row.encoding == "zfpc" and row.dtype != "float32":
        return "rounds to float32"
    return "ok"


@pytest.mark.peers
@pytest.mark.parametrize("peer", WRITERS)
def test_peer_reads_what_is_written_here(tmp_path: Path, peer: str) -> None:
    if matrix_run.peer_python(peer) is None:
        pytest.skip(
            f"{peer} is not installed here, and CVFAST_PEERS_PYTHON names no python that has it"
        )
    ours = {cell: matrix_run.write(tmp_path / str(cell), cell) for cell in CELLS}
    found = matrix_run.read_with(peer, tmp_path, ours, tmp_path / "found")
    surprises = {
        str(cell): how for cell, how in found.items() if not how.startswith(expected_of(peer, cell))
    }
    assert surprises == {}


def test_comparison_tells_what_is_wrong() -> None:
    row = Row("png", "uint8", 3)
    voxels = matrix.voxels(row)
    assert matrix.compare(voxels.copy(order="C"), voxels, row) == "ok"
    assert matrix.compare(np.zeros_like(voxels), voxels, row).startswith("finds no chunk")
    assert matrix.compare(voxels + np.uint8(1), voxels, row).startswith("WRONG")
    assert matrix.compare(voxels.astype(np.uint16), voxels, row).startswith("WRONG")
    mixed = matrix.misread(voxels, (0, 1, 2))
    assert matrix.compare(mixed, voxels, row).startswith("mixes up channels")
    assert matrix.compare(mixed, voxels, Row("raw", "uint8", 3)).startswith("WRONG")


def test_report_shows_what_was_found() -> None:
    lanes = {lane: dict.fromkeys(CELLS, "ok") for lane in ("cv", "ts", "us", ">cv", ">ts")}
    lanes["ts"][CELLS[0]] = "not written by tensorstore: because"
    text = report.render(lanes)
    assert "a    not written by tensorstore: because" in text
    assert f"ts {len(CELLS) - 1} of {len(CELLS)}" in text
    first = next(line for line in text.splitlines() if line.startswith(str(CELLS[0].row)))
    assert first.split("|")[1].split() == ["ok", "a", "ok", "ok", "ok"]
