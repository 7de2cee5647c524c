# SPDX-License-Identifier: BSD-3-Clause
"""Layers that cloud-volume wrote, each against what the encoding's own package finds in its chunks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume

GOLDEN = Path(__file__).parents[2] / "golden" / "packages"
LAYERS = sorted(path.parent.name for path in GOLDEN.glob("*/info"))


def bits_of(voxels: np.ndarray) -> np.ndarray:
    return np.asarray(voxels).view(f"u{voxels.itemsize}")


def test_layers_are_those_of_the_manifest() -> None:
    sums = json.loads((GOLDEN / "MANIFEST.json").read_text())["sha256"]
    assert len(LAYERS) > 15
    assert {name: hashlib.sha256((GOLDEN / name).read_bytes()).hexdigest() for name in sums} == sums


@pytest.mark.parametrize("name", LAYERS)
def test_layer_of_cloud_volume_is_read_exactly(name: str) -> None:
    expected = np.load(GOLDEN / name / "expected.npy")
    vol = CloudVolume(f"file://{GOLDEN / name}")
    found = vol[:]
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert (bits_of(found) == bits_of(expected)).all()
    box = np.s_[-3:2, 4:9, 11:14]
    assert (bits_of(vol[box]) == bits_of(expected[2:7, 1:6, 1:4])).all()


def test_kempressed_chunk_of_a_c_order_array_is_what_its_header_says() -> None:
    """cloud-volume writes one channel of a C-order array z first, under a header that says x first.

    Nothing tells such files apart.  Whoever knows that a layer is such a one gets its voxels back by looking at each
    chunk in the other order.
    """
    written = np.load(GOLDEN / "kempressed_1" / "expected.npy")[:6, :4, :3]
    found = CloudVolume(f"file://{GOLDEN / 'kempressed_1_from_c_order'}")[-5:1, 3:7, 10:13]
    assert not np.allclose(found, written)
    restored = np.asarray(found).ravel("F").reshape(written.shape, order="C")
    assert (restored == np.asarray(written)).all()
