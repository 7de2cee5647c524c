# SPDX-License-Identifier: BSD-3-Clause
"""Meshes that igneous has written are read as cloud-volume reads them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.make_golden_meshes import fingerprint

from cloudvolume_fast import CloudVolume

HERE = Path(__file__).parent
LAYERS = json.loads((HERE / "MANIFEST_meshes.json").read_text())["layers"]


def unpack(layer: dict[str, Any], folder: Path) -> Any:
    content = (HERE / "meshes" / f"{layer['name']}.zip").read_bytes()
    assert hashlib.sha256(content).hexdigest() == layer["sha256"]
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    return CloudVolume(f"file://{folder}", progress=False).mesh


@pytest.mark.parametrize("layer", LAYERS, ids=[layer["name"] for layer in LAYERS])
def test_golden_meshes_are_read(layer: dict[str, Any], tmp_path: Path) -> None:
    source = unpack(layer, tmp_path)
    arguments = {
        "whole": {"remove_duplicate_vertices": False},
        "merged": {},
        "borders": {"chunk_size": (24, 20, 24)},
    }
    assert len(layer["meshes"]) >= 4
    for case, expected in layer["meshes"].items():
        label, _, how = case.partition(" ")
        if how.startswith("lod"):
            found = source.get(int(label), lod=int(how.split()[1]))[int(label)]
        else:
            found = source.get(int(label), **arguments[how])
        ours = fingerprint(found)
        for name in ("vertices", "faces", "faces_sha256"):
            assert ours[name] == expected[name], (case, name)
        for name in ("low", "high", "mean"):
            np.testing.assert_allclose(ours[name], expected[name], atol=0.02, err_msg=case)


def test_golden_sharded_and_unsharded_levels_have_the_same_extents(tmp_path: Path) -> None:
    layers = {layer["name"]: layer for layer in LAYERS}
    sources = [
        unpack(layers[f"multilod_{kind}"], tmp_path / kind) for kind in ("sharded", "unsharded")
    ]
    assert len({type(source) for source in sources}) == 2
    for label in (5, 7, 9, 2**40 + 3):
        low, high = ([f(source.get(label)[label].vertices) for source in sources] for f in (
            lambda v: v.min(axis=0), lambda v: v.max(axis=0),
        ))  # fmt: skip
        np.testing.assert_allclose(low[0], low[1], atol=0.1)
        np.testing.assert_allclose(high[0], high[1], atol=0.1)
