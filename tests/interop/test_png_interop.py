# SPDX-License-Identifier: BSD-3-Clause
"""Png layers that are written here are read exactly by libpng (by way of imagecodecs) and by tensorstore."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume

SIZE = (37, 23, 9)
CHUNK = (16, 23, 4)


def write(folder: Path, dtype: str, channels: int, level: int) -> np.ndarray:
    info = support.make_info(
        size=SIZE, chunk_size=CHUNK, data_type=dtype, encoding="png", num_channels=channels
    )
    info["type"] = "image"
    info["scales"][0]["png_level"] = level
    vol = CloudVolume(f"file://{folder}", info=info)
    vol.commit_info()
    x, y, z, c = np.indices((*SIZE, channels))
    image = 3 * x + 5 * y + 29 * z + 53 * c + np.random.default_rng(1).integers(0, 9, x.shape)
    image = (image * (1 if dtype == "uint8" else 100)).astype(dtype)
    vol[:, :, :] = image
    return image


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_libpng_reads_it(dtype: str, channels: int, level: int, tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    image = write(tmp_path, dtype, channels, level)
    for path in (tmp_path / support.KEY).iterdir():
        (x0, x1), (y0, y1), (z0, z1) = (map(int, part.split("-")) for part in path.name.split("_"))
        part = image[x0:x1, y0:y1, z0:z1]
        pixels = imagecodecs.png_decode(path.read_bytes())
        assert pixels.dtype == dtype
        assert np.array_equal(
            pixels.reshape(part.shape[2], part.shape[1], part.shape[0], channels),
            part.transpose(2, 1, 0, 3),
        )


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tensorstore_reads_it(dtype: str, channels: int, tmp_path: Path) -> None:
    tensorstore = pytest.importorskip("tensorstore")
    image = write(tmp_path, dtype, channels, 9)
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{tmp_path}/"},
    }
    assert np.array_equal(tensorstore.open(spec, read=True).result().read().result(), image)
