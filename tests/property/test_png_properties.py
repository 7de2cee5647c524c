# SPDX-License-Identifier: BSD-3-Clause
"""Volumes of png chunks: what is written is read, whole, in part and by label; damage is an error."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import support
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import ChunkDecodeError


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    """Noise, slopes, runs and constants, of every type and number of channels, in any order of axes."""
    shape = (
        *draw(st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(1, 9))),
        draw(st.integers(1, 4)),
    )
    dtype = np.dtype(draw(st.sampled_from(["uint8", "uint16"])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "slope", "runs", "constant"]))
    if kind == "noise":
        image = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    elif kind == "slope":
        x, y, z, c = np.indices(shape)
        image = (x * 3 + y * 7 + z * 40 + c * 90 + rng.integers(0, 5, shape)).astype(dtype)
    elif kind == "runs":
        image = (
            rng.integers(0, 4, (-(-shape[0] // 5), *shape[1:]))
            .repeat(5, axis=0)[: shape[0]]
            .astype(dtype)
        )
    else:
        image = np.full(shape, rng.integers(0, np.iinfo(dtype).max), dtype)
    return np.asarray(image, order=draw(st.sampled_from("CF")))


def new_volume(folder: str, image: np.ndarray, chunk_size: tuple[int, ...], **scale: Any) -> Any:
    info = support.make_info(
        size=image.shape[:3],
        chunk_size=chunk_size,
        data_type=image.dtype.name,
        encoding="png",
        num_channels=image.shape[3],
        voxel_offset=(-5, 2, 100),
    )
    info["scales"][0].update(scale)
    vol = CloudVolume(f"file://{folder}", info=info, non_aligned_writes=True, fill_missing=True)
    vol.commit_info()
    return vol


@given(
    images(),
    st.tuples(*[st.integers(1, 24)] * 3),
    st.one_of(st.none(), st.integers(0, 9)),
    st.data(),
)
@settings(max_examples=150)
def test_png_volume_reads_what_was_written(
    image: np.ndarray, chunk_size: tuple[int, int, int], level: int | None, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scale = {} if level is None else {"png_level": level}
        vol = new_volume(folder, image, chunk_size, **scale)
        vol[:, :, :] = image
        assert all(
            name.endswith(("info", "provenance")) or "." not in name
            for name in support.files_in(Path(folder))
        )
        assert np.array_equal(vol[:, :, :], image)

        low = [data.draw(st.integers(0, n - 1)) for n in image.shape[:3]]
        high = [data.draw(st.integers(a + 1, n)) for a, n in zip(low, image.shape[:3], strict=True)]
        inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        offset = vol.voxel_offset
        box = tuple(
            slice(int(o) + a, int(o) + b) for o, a, b in zip(offset, low, high, strict=True)
        )
        channel = data.draw(st.integers(0, image.shape[3] - 1))
        assert np.array_equal(vol[box], image[inside])
        assert np.array_equal(vol[(*box, channel)][..., 0], image[(*inside, channel)])
        assert vol.unique(vol.bounds) == set(np.unique(image).tolist())
        label = int(image[0, 0, 0, 0])
        assert np.array_equal(vol.download(vol.bounds, label=label), image == label)

        points = [
            tuple(data.draw(st.integers(0, n - 1)) for n in image.shape[:3]) for _ in range(5)
        ]
        absolute = [
            tuple(int(o) + p for o, p in zip(offset, point, strict=True)) for point in points
        ]
        values = vol.scattered_points(absolute)
        for point, at in zip(points, absolute, strict=True):
            assert values[at] == image[(*point, 0)]

        part = np.full(image[inside].shape, 77, image.dtype)
        vol[box] = part
        changed = image.copy()
        changed[inside] = 77
        assert np.array_equal(vol[:, :, :], changed)


@given(st.data())
@settings(max_examples=200)
def test_damaged_png_is_refused_or_read_unchanged(data: st.DataObject) -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 50, (9, 7, 5, 2), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        vol = new_volume(folder, image, (9, 7, 5))
        vol[:, :, :] = image
        path = next((Path(folder) / support.KEY).iterdir())
        stored = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            kind = data.draw(st.sampled_from(["flip", "cut", "append", "insert"]))
            at = data.draw(st.integers(0, len(stored) - 1)) if stored else 0
            if kind == "flip" and stored:
                stored[at] ^= data.draw(st.integers(1, 255))
            elif kind == "cut" and at > 0:
                del stored[at:]
            elif kind == "append":
                stored += data.draw(st.binary(min_size=1, max_size=9))
            elif kind == "insert" and len(stored) > 33:
                stored[33:33] = support.png_chunk(
                    b"tEXt", b"Comment\0" + data.draw(st.binary(max_size=9))
                )
        path.write_bytes(stored)
        try:
            read = vol[:, :, :]
        except ChunkDecodeError:
            return
        assert np.array_equal(read, image)
