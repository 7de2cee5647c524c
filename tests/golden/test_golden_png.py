# SPDX-License-Identifier: BSD-3-Clause
"""Png layers of other writers are read exactly."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.make_golden_png import golden_voxels

from cloudvolume_fast import CloudVolume

HERE = Path(__file__).parent
LAYERS = json.loads((HERE / "MANIFEST_png.json").read_text())["layers"]


@pytest.mark.parametrize("layer", LAYERS, ids=[layer["name"] for layer in LAYERS])
def test_golden_png_layer_is_read_exactly(layer: dict[str, Any], tmp_path: Path) -> None:
    content = (HERE / "png" / f"{layer['name']}.zip").read_bytes()
    assert hashlib.sha256(content).hexdigest() == layer["sha256"]
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    expected = golden_voxels(layer["size"], layer["channels"], layer["dtype"])
    vol = CloudVolume(f"file://{tmp_path}")
    assert vol.dtype == layer["dtype"]
    assert np.array_equal(vol[:], expected)
    rng = np.random.default_rng(1)
    for _ in range(8):
        low = [int(rng.integers(0, n)) for n in layer["size"]]
        high = [int(rng.integers(a + 1, n + 1)) for a, n in zip(low, layer["size"], strict=True)]
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        channel = int(rng.integers(layer["channels"]))
        assert np.array_equal(vol[box], expected[box])
        assert np.array_equal(vol[(*box, channel)][..., 0], expected[(*box, channel)])
    assert set(vol.unique(vol.bounds)) == set(np.unique(expected).tolist())
