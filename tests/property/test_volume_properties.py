# SPDX-License-Identifier: BSD-3-Clause
"""Volumes of any geometry against a numpy twin."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from cloudvolume_fast import Bbox, CloudVolume

EXAMPLES = 40


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder for the layers of all examples, one after the other."""
    return tmp_path_factory.mktemp("property")


@dataclass
class Twin:
    """A volume of random geometry, and what it should hold."""

    vol: Any
    data: np.ndarray
    offset: np.ndarray

    def relative(self, low, high):
        """Slices of `data` for an absolute box."""
        return tuple(
            slice(int(a - o), int(b - o)) for a, b, o in zip(low, high, self.offset, strict=True)
        )


triples = st.tuples(*[st.integers(-40, 40)] * 3)
sizes = st.tuples(*[st.integers(1, 14)] * 3)
blocks = st.tuples(*[st.integers(1, 9)] * 3)


def fill(shape, dtype, seed, high):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True) % np.dtype(
        dtype
    ).type(high)


def chunk_sizes(size):
    """Chunk sizes of which at most 4 along an axis make up the volume; they need not divide it."""
    return st.tuples(*[st.integers(-(-extent // 4), 9) for extent in size])


@st.composite
def twins(draw, root):
    shutil.rmtree(root / "a", ignore_errors=True)
    encoding = draw(st.sampled_from(["raw", "compressed_segmentation"]))
    names = (
        ["uint8", "int16", "uint32", "uint64", "float32"]
        if encoding == "raw"
        else ["uint32", "uint64"]
    )
    dtype = draw(st.sampled_from(names))
    size, offset = draw(sizes), draw(triples)
    channels = draw(st.integers(1, 3)) if encoding == "raw" else 1
    info = CloudVolume.create_new_info(
        channels,
        "segmentation",
        dtype,
        encoding,
        (4, 4, 40),
        offset,
        size,
        chunk_size=draw(chunk_sizes(size)),
        compressed_segmentation_block_size=draw(blocks),
    )
    vol = CloudVolume(
        f"file://{root}/a/b",
        info=info,
        compress=draw(st.sampled_from([None, False])),
        progress=False,
        parallel=draw(st.sampled_from([1, 3])),
    )
    vol.commit_info()
    data = fill(
        (*size, channels), dtype, draw(st.integers(0, 2**32)), draw(st.sampled_from([2, 5, 100]))
    )
    vol[:] = data
    return Twin(vol, data, np.array(offset))


@st.composite
def boxes(draw, twin, margin=0):
    """A box of at least one voxel, inside of the volume or up to `margin` outside."""
    low, high = [], []
    for offset, size in zip(twin.offset.tolist(), twin.data.shape[:3], strict=True):
        a = draw(st.integers(offset - margin, offset + size - 1 + margin))
        low.append(a)
        high.append(
            draw(
                st.integers(a + 1, offset + size + margin if a < offset + size + margin else a + 1)
            )
        )
    return tuple(low), tuple(high)


def slices(low, high):
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_read_equals_slicing_a_twin(root, data):
    twin = data.draw(twins(root))
    low, high = data.draw(boxes(twin))
    steps = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    index = tuple(slice(a, b, s) for a, b, s in zip(low, high, steps, strict=True))
    expected = twin.data[twin.relative(low, high)][:: steps[0], :: steps[1], :: steps[2]]
    image = twin.vol[index]
    np.testing.assert_array_equal(image, expected)
    assert image.flags.f_contiguous
    np.testing.assert_array_equal(
        twin.vol.download(Bbox(low, high)), twin.data[twin.relative(low, high)]
    )


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_read_beyond_the_volume_is_background(root, data):
    twin = data.draw(twins(root))
    low, high = data.draw(boxes(twin, margin=6))
    twin.vol.bounded, twin.vol.background_color = False, 1
    pad = 7
    padded = np.pad(twin.data, [(pad, pad)] * 3 + [(0, 0)], constant_values=1)
    expected = padded[
        tuple(
            slice(int(a - o + pad), int(b - o + pad))
            for a, b, o in zip(low, high, twin.offset, strict=True)
        )
    ]
    np.testing.assert_array_equal(twin.vol[slices(low, high)], expected)


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_write_changes_the_box_and_nothing_else(root, data):
    twin = data.draw(twins(root))
    vol = twin.vol
    for number in range(data.draw(st.integers(1, 3))):
        low, high = data.draw(boxes(twin))
        if data.draw(st.booleans()):  # aligned
            box = Bbox(low, high).expand_to_chunk_size(vol.chunk_size, vol.voxel_offset)
            box = Bbox.intersection(box, vol.bounds)
            low, high = box.minpt.tolist(), box.maxpt.tolist()
            vol.non_aligned_writes = False
        else:
            vol.non_aligned_writes = True
        part = twin.relative(low, high)
        image = fill(twin.data[part].shape, twin.data.dtype, number, 50)
        image = (
            np.ascontiguousarray(image) if data.draw(st.booleans()) else np.asfortranarray(image)
        )
        vol[slices(low, high)] = image
        twin.data[part] = image
    np.testing.assert_array_equal(vol[:], twin.data)
    np.testing.assert_array_equal(CloudVolume(vol.cloudpath)[:], twin.data)


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_write_of_some_channels_changes_nothing_else(root, data):
    twin = data.draw(twins(root))
    low, high = data.draw(boxes(twin))
    first = data.draw(st.integers(0, twin.data.shape[3] - 1))
    last = data.draw(st.integers(first + 1, twin.data.shape[3]))
    part = (*twin.relative(low, high), slice(first, last))
    image = fill(twin.data[part].shape, twin.data.dtype, 3, 50)
    twin.vol.non_aligned_writes = True
    twin.vol[(*slices(low, high), slice(first, last))] = image
    twin.data[part] = image
    np.testing.assert_array_equal(twin.vol[:], twin.data)


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_every_way_to_read_a_voxel_agrees(root, data):
    twin = data.draw(twins(root))
    vol, shape = twin.vol, twin.data.shape[:3]
    count = data.draw(st.integers(1, 6))
    points = [
        tuple(
            data.draw(st.integers(int(o), int(o) + s - 1))
            for o, s in zip(twin.offset, shape, strict=True)
        )
        for _ in range(count)
    ]
    listed = vol[tuple(list(axis) for axis in zip(*points, strict=True))]
    scattered = vol.scattered_points(points)
    whole = vol[:]
    for point, value in zip(points, listed, strict=True):
        x, y, z = (int(p - o) for p, o in zip(point, twin.offset, strict=True))
        expected = twin.data[x, y, z]
        np.testing.assert_array_equal(vol[point][0, 0, 0], expected)
        np.testing.assert_array_equal(whole[x, y, z], expected)
        np.testing.assert_array_equal(vol.download_point(point, size=1)[0, 0, 0], expected)
        assert value == scattered[point] == expected[0]


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_labels_agree_with_the_voxels(root, data):
    twin = data.draw(twins(root))
    if twin.data.dtype.kind == "f":
        return
    low, high = data.draw(boxes(twin))
    cut = twin.data[twin.relative(low, high)]
    vol, box = twin.vol, Bbox(low, high)
    assert vol.unique(box) == set(np.unique(cut).tolist())
    label = int(cut.reshape(-1)[data.draw(st.integers(0, cut.size - 1))])
    np.testing.assert_array_equal(vol.download(box, label=label), cut == label)
    vol.parallel = 1
    image, mapping = vol.download(box, renumber=True)
    np.testing.assert_array_equal(image, np.vectorize(mapping.__getitem__, otypes=[np.int64])(cut))
    assert set(mapping) == {*np.unique(cut).tolist(), 0}
    kept = np.where(cut == label, cut, np.zeros((), cut.dtype))
    np.testing.assert_array_equal(vol.download(box, segids=[label]), kept)


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_missing_chunks_are_filled_and_others_kept(root, data):
    twin = data.draw(twins(root))
    vol = twin.vol
    low, high = data.draw(boxes(twin))
    box = Bbox(low, high).expand_to_chunk_size(vol.chunk_size, vol.voxel_offset)
    box = Bbox.intersection(box, vol.bounds)
    vol.delete(box)
    vol.fill_missing, vol.background_color = True, 1
    twin.data[twin.relative(box.minpt.tolist(), box.maxpt.tolist())] = 1
    np.testing.assert_array_equal(vol[:], twin.data)
    assert not any(vol.exists(box).values())


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_scales_are_never_mixed(root, data):
    """Scales of one size, so that their chunks have the same names, read and written in any order."""
    size, offset = data.draw(sizes), data.draw(triples)
    chunk = data.draw(chunk_sizes(size))
    info = CloudVolume.create_new_info(
        1,
        "image",
        "uint16",
        "raw",
        (1, 1, 1),
        offset,
        size,
        chunk_size=chunk,
        max_mip=2,
        factor=(1, 1, 1),
    )
    for mip, scale in enumerate(info["scales"]):
        scale.update(key=f"scale{mip}", resolution=[1 + mip, 1, 1])
    shutil.rmtree(root / "a", ignore_errors=True)
    vol = CloudVolume(f"file://{root}/a/b", info=info, progress=False, non_aligned_writes=True)
    arrays = []
    for mip in range(3):
        vol.mip = mip
        arrays.append(fill((*size, 1), "uint16", mip, 1000))
        vol[:] = arrays[-1]
    twin = Twin(vol, arrays[0], np.array(offset))
    for number in range(data.draw(st.integers(1, 6))):
        mip = data.draw(st.integers(0, 2))
        low, high = data.draw(boxes(twin))
        part = twin.relative(low, high)
        if data.draw(st.booleans()):
            vol.mip = mip
            arrays[mip][part] = number
            vol[slices(low, high)] = number
        np.testing.assert_array_equal(vol.download(Bbox(low, high), mip=mip), arrays[mip][part])
        np.testing.assert_array_equal(vol[:], arrays[vol.mip])
        found = vol.scattered_points([low], mip=mip, coord_resolution=vol.mip_resolution(mip))
        assert found == {low: arrays[mip][part][0, 0, 0, 0]}
