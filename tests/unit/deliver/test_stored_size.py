# SPDX-License-Identifier: BSD-3-Clause
"""What gzip'd chunks take by default is what zlib makes of them at its best, give or take 2 %."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume

SHAPE = (64, 64, 64)


def recorded(rng, step):
    """Noise around grey values that stay, or wander along the rows."""
    means = np.clip(128 + np.cumsum(rng.integers(-step, step + 1, SHAPE), axis=0), 60, 200)
    return (means + rng.integers(-9, 10, SHAPE) + rng.integers(-9, 10, SHAPE)).astype(np.uint8)


def half_empty(rng):
    image = recorded(rng, 0)
    image[:32] = 0
    return image


def with_a_gap(rng):
    image = recorded(rng, 0)
    image[:, :, 20:27] = 0
    return image


def cells(rng, count):
    """Which of some points is the nearest, by a label of the size of those in use."""
    points = rng.integers(0, 64, (count, 3)).astype(np.float32)
    grid = np.stack(np.meshgrid(*[np.arange(64, dtype=np.float32)] * 3, indexing="ij"), axis=-1)
    nearest = np.argmin(
        (points**2).sum(axis=1) - 2 * grid.reshape(-1, 3) @ points.T, axis=1
    )  # the term of the voxel alone does not matter
    labels = rng.integers(2**40, 2**41, count, dtype=np.uint64)
    return labels[nearest].reshape(SHAPE)


CASES = {
    "still image": ("raw", lambda rng: recorded(rng, 0)),
    "wandering image": ("raw", lambda rng: recorded(rng, 1)),
    "restless image": ("raw", lambda rng: recorded(rng, 4)),
    "half empty image": ("raw", half_empty),
    "image with a gap": ("raw", with_a_gap),
    "coarse image": ("raw", lambda rng: recorded(rng, 0) & np.uint8(0xE0)),
    "noise": ("raw", lambda rng: rng.integers(0, 256, SHAPE, dtype=np.uint8)),
    "16 bits": ("raw", lambda rng: recorded(rng, 0).astype(np.uint16) * 100),
    "nothing": ("raw", lambda rng: np.zeros(SHAPE, np.uint8)),
    "many cells": ("compressed_segmentation", lambda rng: cells(rng, 400)),
    "some cells": ("compressed_segmentation", lambda rng: cells(rng, 60)),
    "few cells": ("compressed_segmentation", lambda rng: cells(rng, 3)),
    "pairs": ("compressed_segmentation", lambda rng: rng.integers(0, 2, SHAPE, dtype=np.uint64)),
}


@pytest.mark.parametrize(("encoding", "make"), CASES.values(), ids=CASES)
def test_stored_size_is_within_2_percent_of_zlib(tmp_path, encoding, make):
    voxels = make(np.random.default_rng(4))
    path = support.make_layer(
        tmp_path, encoding=encoding, size=SHAPE, chunk_size=SHAPE, data_type=voxels.dtype.name
    )
    CloudVolume(path, compress="gzip")[:] = voxels
    (file,) = (tmp_path / support.KEY).glob("*.gz")
    plain = gzip.decompress(file.read_bytes())
    np.testing.assert_array_equal(CloudVolume(path)[:][..., 0], voxels)
    assert file.stat().st_size <= 1.02 * len(gzip.compress(plain, 9, mtime=0))
