# SPDX-License-Identifier: BSD-3-Clause
"""Boxes transferred between layers: voxels are equal, files are copied where they may be, memory is bounded."""

from __future__ import annotations

import json

import numpy as np
import pytest
import support
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.errors import (
    AlignmentError,
    ChunkDecodeError,
    ChunkWriteError,
    DecompressionError,
    EmptyVolumeException,
    InvalidArgumentError,
    OutOfBoundsError,
    ReadOnlyException,
    ScaleUnavailableError,
    SubvoxelVolumeError,
    UnsupportedProtocolError,
)
from cloudvolume_fast.locate.indexing import clip
from cloudvolume_fast.sources.precomputed.transfer import blocks, common_chunks, subtract

SIZE = (20, 18, 21)
LABELS = ["raw", "compressed_segmentation", "compresso", "crackle"]
ODD = Bbox((3, 1, 2), (19, 17, 20))


@pytest.fixture
def source(tmp_path):
    path, voxels = support.write_layer(
        tmp_path / "source", size=SIZE, encoding="compressed_segmentation"
    )
    return CloudVolume(path), voxels


def contents(folder):
    return {name: (folder / name).read_bytes() for name in support.files_in(folder)}


def test_whole_layer_is_copied_file_by_file(source, tmp_path):
    vol, _ = source
    vol.provenance.description = "labels"
    vol.commit_provenance()
    copy = vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)
    assert isinstance(copy, CloudVolume)
    assert (copy.info, copy.provenance) == (vol.info, vol.provenance)
    assert contents(tmp_path / "copy" / support.KEY) == contents(tmp_path / "source" / support.KEY)


def test_image_source_transfers_any_mip(make_layer, tmp_path):
    vol = make_layer(max_mip=1).open()
    half = CloudVolume(vol.cloudpath, mip=1)
    half[:] = np.random.default_rng(0).integers(0, 9, half.shape).astype(np.uint8)
    copy = vol.image.transfer_to(f"file://{tmp_path}/copy", half.bounds, mip=1)
    assert copy.mip == 1
    np.testing.assert_array_equal(copy[:], half[:])
    assert not (tmp_path / "copy" / "4_4_40").exists()


@pytest.mark.parametrize("box", [None, ODD], ids=["all", "odd"])
@pytest.mark.parametrize("encoding", [None, "raw", "compressed_segmentation", "crackle"])
@pytest.mark.parametrize(
    ("compress", "suffix"),
    [("auto", ".gz"), (None, ".gz"), (False, ""), (True, ".gz"), ("br", ".br"), ("xz", ".xz")],
)
def test_encoding_and_compression(source, tmp_path, box, encoding, compress, suffix):
    vol, voxels = source
    box = box or vol.bounds
    copy = vol.transfer_to(f"file://{tmp_path}/copy", box, compress=compress, encoding=encoding)
    assert copy.encoding == encoding or encoding is None
    np.testing.assert_array_equal(copy[box], voxels[box.to_slices()])
    names = support.files_in(tmp_path / "copy" / support.KEY)
    assert len(names) == 27
    assert all((name + ".").split(".")[1] == suffix[1:] for name in names)


def test_copies_keep_each_file_as_it_is(source, tmp_path):
    vol, voxels = source
    CloudVolume(vol.cloudpath, compress="br")[:8, :8, :8] = voxels[:8, :8, :8]
    CloudVolume(vol.cloudpath, compress=False)[8:16, :8, :8] = voxels[8:16, :8, :8]
    vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)
    assert contents(tmp_path / "copy" / support.KEY) == contents(tmp_path / "source" / support.KEY)


def test_other_sub_blocks_are_transcoded(source, tmp_path):
    vol, voxels = source
    info = json.loads(json.dumps(vol.info))
    info["scales"][0]["compressed_segmentation_block_size"] = [8, 8, 8]
    CloudVolume(f"file://{tmp_path}/copy", info=info).commit_info()
    copy = vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)
    assert copy.compressed_segmentation_block_size == [8, 8, 8]
    np.testing.assert_array_equal(copy[:], voxels)


@pytest.mark.parametrize("block_size", [None, 1, 3])
@pytest.mark.parametrize("chunk", [(8, 8, 8), (5, 7, 16), (64, 64, 64)])
@pytest.mark.parametrize("offset", [(0, 0, 0), (-3, -1, -8)])
def test_other_grids(source, tmp_path, block_size, chunk, offset):
    vol, voxels = source
    size = tuple(n - o + 2 for n, o in zip(SIZE, offset, strict=True))
    path = support.make_layer(tmp_path / "copy", size=size, chunk_size=chunk, voxel_offset=offset)
    before = support.make_voxels(size, seed=9)
    old = CloudVolume(path)
    old[:] = before
    copy = vol.transfer_to(path, ODD, block_size=block_size)
    expected = before.copy()
    expected[
        tuple(slice(s.start - o, s.stop - o) for s, o in zip(ODD.to_slices(), offset, strict=True))
    ] = voxels[ODD.to_slices()]
    np.testing.assert_array_equal(copy[:], expected)


def test_rim_without_chunks_is_background(source, tmp_path):
    vol, voxels = source
    vol.background_color = 7
    copy = vol.transfer_to(f"file://{tmp_path}/copy", ODD)
    np.testing.assert_array_equal(copy[ODD], voxels[ODD.to_slices()])
    assert (copy[:3, :16, :16] == 7).all()


@pytest.mark.parametrize(
    "box", [Bbox((9, 9, 9), (40, 30, 30)), Bbox((-3, -3, -3), (5, 5, 5))], ids=["end", "start"]
)
def test_box_that_cuts_chunks_is_cut_at_the_bounds(source, tmp_path, box):
    vol, voxels = source
    copy = vol.transfer_to(f"file://{tmp_path}/copy", box)
    inside = Bbox.intersection(box, vol.bounds)
    np.testing.assert_array_equal(copy[inside], voxels[inside.to_slices()])


def test_box_outside_transfers_nothing(source, tmp_path):
    vol, _ = source
    copy = vol.transfer_to(f"file://{tmp_path}/copy", Bbox((99, 99, 99), (103, 103, 103)))
    assert copy.info == vol.info
    assert not copy.image.has_data()


def test_whole_chunks_beyond_the_bounds_are_an_error(source, tmp_path):
    vol, _ = source
    box = Bbox((8, 8, 8), (32, 32, 32))
    with pytest.raises(AlignmentError, match="8-32_8-32_8-32"):
        vol.transfer_to(f"file://{tmp_path}/copy", box)
    with pytest.raises(OutOfBoundsError, match="8-32_8-32_8-32"):
        vol.transfer_to(f"file://{tmp_path}/copy", box, sharded=True)
    assert not (tmp_path / "copy").exists()
    vol.bounded = False
    copy = vol.transfer_to(f"file://{tmp_path}/copy", box)
    inside = Bbox.intersection(box, vol.bounds)
    np.testing.assert_array_equal(copy[inside], vol[inside])


def test_what_is_rendered_outside_of_rois_is_background(source, tmp_path):
    vol, voxels = source
    vol.info["scales"][0]["rois"] = [[0, 0, 0, 7, 7, 7]]
    vol.commit_info()
    vol = CloudVolume(vol.cloudpath)
    copy = vol.transfer_to(f"file://{tmp_path}/odd", Bbox((9, 9, 9), (15, 15, 15)))
    assert not copy[8:16, 8:16, 8:16].any()
    copy = vol.transfer_to(f"file://{tmp_path}/whole", Bbox((8, 8, 8), (16, 16, 16)))
    assert (copy[8:16, 8:16, 8:16] == voxels[8:16, 8:16, 8:16]).all()


def test_absent_chunk_is_an_error_unless_filled(source, tmp_path):
    vol, _ = source
    name = "8-16_8-16_8-16"
    (tmp_path / "source" / support.KEY / f"{name}.gz").unlink()
    for box in (vol.bounds, Bbox((8, 8, 8), (15, 15, 15))):
        with pytest.raises(EmptyVolumeException, match=f"source/{support.KEY}/{name}"):
            vol.transfer_to(f"file://{tmp_path}/copy", box)
    vol.fill_missing = True
    CloudVolume(f"file://{tmp_path}/copy")[8:16, 8:16, 8:16] = np.uint32(5)
    copy = vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)
    assert copy.exists(Bbox((8, 8, 8), (9, 9, 9))) == {f"{support.KEY}/{name}": False}
    np.testing.assert_array_equal(copy[:], vol[:])


def test_unreadable_chunks_are_not_passed_on(source, tmp_path):
    vol, _ = source
    file = tmp_path / "source" / support.KEY / "8-16_8-16_8-16.gz"
    for content, compress in ((b"", "auto"), (b"\x1f\x8b\x08", False)):
        file.write_bytes(content)
        with pytest.raises(DecompressionError, match="8-16_8-16_8-16"):
            vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds, compress=compress)


def test_failure_at_the_destination_names_it(source, tmp_path):
    vol, _ = source
    (tmp_path / "copy" / support.KEY / "8-16_8-16_8-16.gz").mkdir(parents=True)
    with pytest.raises(ChunkWriteError, match=r"copy/4_4_40/8-16_8-16_8-16\.gz"):
        vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)


def test_compression_over_pictures_is_not_applied_and_says_so(make_layer, tmp_path):
    layer = make_layer(encoding="png")
    vol = layer.open()
    with pytest.warns(UserWarning, match="copy/4_4_40: compress='gzip'.* png"):
        copy = vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds, compress="gzip")
    assert not [name for name in support.files_in(tmp_path / "copy") if name.endswith(".gz")]
    np.testing.assert_array_equal(copy[:], layer.data)


def test_scale_is_added_where_it_is_absent(make_layer, tmp_path):
    vol = make_layer(max_mip=1).open()
    half = CloudVolume(vol.cloudpath, mip=1)
    half[:] = np.random.default_rng(0).integers(0, 9, half.shape).astype(np.uint8)
    one = json.loads(json.dumps(vol.info))
    del one["scales"][1]
    path = f"file://{tmp_path}/copy"
    CloudVolume(path, info=one).commit_info()
    copy = half.transfer_to(path, half.bounds)
    assert copy.mip == 1
    np.testing.assert_array_equal(CloudVolume(path, mip=1)[:], half[:])
    with pytest.raises(ScaleUnavailableError):
        CloudVolume(path, mip=2)


def test_locks_are_not_copied(source, tmp_path):
    vol, voxels = source
    vol.meta.lock_mips(0)
    copy = vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)
    np.testing.assert_array_equal(copy[:], voxels)
    copy.meta.lock_mips(0)
    with pytest.raises(ReadOnlyException):
        vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)


def test_what_cannot_be_transferred_raises(source, tmp_path):
    vol, _ = source
    copy = f"file://{tmp_path}/copy"
    with pytest.raises(InvalidArgumentError, match="block_size"):
        vol.transfer_to(copy, vol.bounds, block_size=0)
    with pytest.raises(ValueError, match="compress"):
        vol.transfer_to(copy, vol.bounds, compress="zip")
    with pytest.raises(SubvoxelVolumeError):
        vol.transfer_to(copy, Bbox((0, 0, 0), (0, 1, 1)))
    with pytest.raises(NotImplementedError, match="unknown"):
        vol.transfer_to(copy, vol.bounds, encoding="unknown")
    with pytest.raises(UnsupportedProtocolError):
        vol.transfer_to("wow://bucket/layer", vol.bounds)
    with pytest.raises(InvalidArgumentError, match="another place"):
        vol.transfer_to(vol.cloudpath, vol.bounds)
    assert not (tmp_path / "copy").exists()
    support.make_layer(tmp_path / "narrow", size=SIZE, data_type="uint8")
    with pytest.raises(InvalidArgumentError, match="data_type"):
        vol.transfer_to(f"file://{tmp_path}/narrow", vol.bounds)
    support.make_layer(tmp_path / "raw", size=SIZE)
    with pytest.raises(InvalidArgumentError, match="expected encoding"):
        vol.transfer_to(f"file://{tmp_path}/raw", vol.bounds, encoding="compressed_segmentation")
    support.make_layer(tmp_path / "small", size=(8, 8, 8))
    with pytest.raises(OutOfBoundsError, match="small"):
        vol.transfer_to(f"file://{tmp_path}/small", vol.bounds)


def test_destination_with_a_cache_sees_the_chunks(source, tmp_path):
    vol, voxels = source
    held = CloudVolume(vol.cloudpath, lru_bytes=1 << 20)
    held[:]
    copy = held.transfer_to(f"file://{tmp_path}/copy", held.bounds)
    assert copy.image.lru.size == 0
    np.testing.assert_array_equal(copy[:], voxels)


def test_memory_is_bounded(tmp_path):
    script = """
import json, resource, sys
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1])
vol[:8, :8, :8]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
vol.transfer_to(sys.argv[2], vol.bounds)
print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024))
"""
    path = f"file://{tmp_path}/source"
    voxels = np.broadcast_to(np.arange(512, dtype=np.uint32)[:, None, None], (512, 512, 256))
    CloudVolume.from_numpy(
        voxels, path, chunk_size=(128, 128, 64), encoding="compressed_segmentation"
    )
    support.make_layer(tmp_path / "copy", size=(512, 512, 256), chunk_size=(100, 100, 100))
    size_bytes = 512 * 512 * 256 * 4
    assert support.run_python(script, path, f"file://{tmp_path}/copy") < 0.7 * size_bytes


def boxes(low, high):
    axes = [st.tuples(st.integers(low, high - 1), st.integers(1, 40)) for _ in range(3)]
    return st.tuples(*axes).map(lambda a: (*(s for s, _ in a), *(min(high, s + n) for s, n in a)))


class Scale:
    def __init__(self, bounds, chunk_size):
        self.bounds, self.chunk_size = bounds, chunk_size
        self.num_channels, self.dtype = 1, np.dtype(np.uint64)


@given(
    boxes(0, 40),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.booleans(),
)
def test_core_and_rest_make_up_the_box(bounds, chunk, other, is_same):
    here = Scale((-2, 0, 1, 40, 40, 41), chunk)
    there = Scale((-2 - chunk[0], 0, 1, 43, 40, 40), chunk if is_same else other)
    bounds = clip(bounds, (0, 0, 1, 40, 40, 40))
    if any(bounds[i] >= bounds[i + 3] for i in range(3)):
        return
    core = common_chunks(bounds, here, there)
    seen = np.zeros((44, 44, 44), int)
    for part in [*subtract(bounds, core), *([core] if core else [])]:
        assert all(part[i] < part[i + 3] for i in range(3))
        seen[tuple(slice(part[i], part[i + 3]) for i in range(3))] += 1
    expected = np.zeros_like(seen)
    expected[tuple(slice(bounds[i], bounds[i + 3]) for i in range(3))] = 1
    np.testing.assert_array_equal(seen, expected)
    if core:
        for scale in (here, there):
            for i in range(3):
                assert (core[i] - scale.bounds[i]) % chunk[i] == 0
                assert (core[i + 3] - scale.bounds[i]) % chunk[i] == 0 or core[
                    i + 3
                ] == scale.bounds[i + 3]


@given(boxes(-5, 40), st.tuples(*[st.integers(1, 9)] * 3), st.none() | st.integers(1, 30))
def test_blocks_make_up_the_box(bounds, chunk, block_size):
    scale = Scale((-7, -5, -6, 40, 40, 40), chunk)
    seen = np.zeros((50, 50, 50), int)
    for block in blocks(bounds, scale, block_size):
        assert all(block[i] < block[i + 3] for i in range(3))
        seen[tuple(slice(block[i] + 5, block[i + 3] + 5) for i in range(3))] += 1
        chunks = 1
        for i in range(3):
            first = (block[i] - scale.bounds[i]) // chunk[i]
            chunks *= -(-(block[i + 3] - scale.bounds[i]) // chunk[i]) - first
        assert block_size is None or chunks <= block_size
    expected = np.zeros_like(seen)
    expected[tuple(slice(bounds[i] + 5, bounds[i + 3] + 5) for i in range(3))] = 1
    np.testing.assert_array_equal(seen, expected)


def picture(shape, channels):
    x, y, z, c = np.indices((*shape, channels))
    noise = np.random.default_rng(1).integers(0, 20, x.shape)
    return (3 * x + 2 * y + 4 * z + 20 * c + noise).astype(np.uint8)


def make_pictures(folder, encoding, channels=1, **members):
    info = support.make_info(
        size=SIZE,
        encoding=encoding,
        data_type="uint8",
        num_channels=channels,
        voxel_offset=(-3, 0, 5),
    )
    info["type"] = "image"
    info["scales"][0].update(members)
    vol = CloudVolume(f"file://{folder}", info=info)
    vol.commit_info()
    vol[:, :, :] = picture(SIZE, channels)
    return vol


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_goes_to_jxl_and_back_without_loss(tmp_path, channels):
    vol = make_pictures(tmp_path / "jpeg", "jpeg", channels, jpeg_quality=70)
    jxl = vol.transfer_to(f"file://{tmp_path}/jxl", vol.bounds, encoding="jxl")
    assert jxl.encoding == "jxl"
    stored = contents(tmp_path / "jxl" / support.KEY)
    assert len(stored) == 27
    assert all(b"jbrd" in content for content in stored.values())
    # Both decode the same coefficients; one rounds between the steps of the transform and in the colours.
    difference = np.abs(jxl[:].astype(int) - vol[:])
    assert difference.max() <= 8
    assert difference.mean() < 1
    path = f"file://{tmp_path}/back"
    info = json.loads(json.dumps(jxl.info))
    info["scales"][0].update(encoding="jpeg")
    del info["scales"][0]["jpeg_quality"]
    CloudVolume(path, info=info).commit_info()
    back = jxl.transfer_to(path, jxl.bounds, compress="gzip")
    assert contents(tmp_path / "back" / support.KEY) == contents(tmp_path / "jpeg" / support.KEY)
    np.testing.assert_array_equal(back[:], vol[:])


def test_pictures_of_a_given_quality_are_encoded_anew(tmp_path):
    vol = make_pictures(tmp_path / "jpeg", "jpeg", jxl_quality=20)
    vol.transfer_to(f"file://{tmp_path}/jxl", vol.bounds, encoding="jxl")
    assert not any(b"jbrd" in c for c in contents(tmp_path / "jxl" / support.KEY).values())
    lossless = make_pictures(tmp_path / "jpeg2", "jpeg", jxl_quality=100)
    lossless.transfer_to(f"file://{tmp_path}/jxl2", vol.bounds, encoding="jxl")
    assert all(b"jbrd" in c for c in contents(tmp_path / "jxl2" / support.KEY).values())


def test_jxl_that_holds_no_jpeg_is_encoded_anew(tmp_path):
    vol = make_pictures(tmp_path / "jxl", "jxl", jxl_quality=100)
    copy = vol.transfer_to(f"file://{tmp_path}/jpeg", vol.bounds, encoding="jpeg")
    assert np.abs(copy[:].astype(int) - vol[:]).max() < 20


def test_rim_of_a_box_of_pictures_is_merged(tmp_path):
    vol = make_pictures(tmp_path / "jpeg", "jpeg")
    box = Bbox((-1, 1, 6), (16, 17, 25))
    copy = vol.transfer_to(f"file://{tmp_path}/jxl", box, encoding="jxl")
    difference = np.abs(copy[box].astype(int) - vol[box])
    assert difference.mean() < 4  # the rim is encoded anew, beside background
    whole = [b"jbrd" in c for c in contents(tmp_path / "jxl" / support.KEY).values()]
    assert whole.count(True) == 1
    assert whole.count(False) == 26


def test_picture_chunks_that_are_absent_or_damaged_are_as_elsewhere(tmp_path):
    vol = make_pictures(tmp_path / "jpeg", "jpeg")
    chunk = tmp_path / "jpeg" / support.KEY / "5-13_8-16_13-21"
    good = chunk.read_bytes()
    for bad in (good[:40], good[: len(good) // 2], b"junk"):
        chunk.write_bytes(bad)
        with pytest.raises(ChunkDecodeError, match="5-13_8-16_13-21"):
            vol.transfer_to(f"file://{tmp_path}/jxl", vol.bounds, encoding="jxl")
    chunk.unlink()
    with pytest.raises(EmptyVolumeException, match="5-13_8-16_13-21"):
        vol.transfer_to(f"file://{tmp_path}/jxl", vol.bounds, encoding="jxl")
    copied = tmp_path / "jxl" / support.KEY / chunk.name
    copied.write_bytes(b"old")
    vol.fill_missing = True
    vol.transfer_to(f"file://{tmp_path}/jxl", vol.bounds, encoding="jxl")
    assert not copied.exists()


def test_jxl_of_much_metadata_is_not_made_a_jpeg(tmp_path):
    """Few bytes of a jxl can stand for megabytes of a jpeg's comments."""
    imagecodecs = pytest.importorskip("imagecodecs")
    vol = make_pictures(tmp_path / "jpeg", "jpeg")
    for path in (tmp_path / "jpeg" / support.KEY).iterdir():
        good = path.read_bytes()
        comment = b"\xff\xfe" + (65535).to_bytes(2, "big") + bytes(65533)
        path.write_bytes(imagecodecs.jpegxl_encode_jpeg(good[:2] + 100 * comment + good[2:]))
    info = json.loads(json.dumps(vol.info))
    info["scales"][0]["encoding"] = "jxl"
    (tmp_path / "jpeg" / "info").write_text(json.dumps(info))
    source = CloudVolume(vol.cloudpath)
    copy = source.transfer_to(f"file://{tmp_path}/copy", source.bounds, encoding="jpeg")
    assert all(len(c) < 2000 for c in contents(tmp_path / "copy" / support.KEY).values())
    assert np.abs(copy[:].astype(int) - source[:]).max() < 40


@pytest.mark.parametrize("mip", [1, (8, 8, 40), [8, 8, 40]])
def test_mip_may_be_a_resolution(make_layer, tmp_path, mip):
    vol = make_layer(max_mip=1).open()
    half = CloudVolume(vol.cloudpath, mip=1)
    half[:] = np.random.default_rng(0).integers(0, 9, half.shape).astype(np.uint8)
    resolution = tuple(int(n) for n in half.resolution)
    asked = type(mip)(resolution) if mip != 1 else 1
    copy = vol.image.transfer_to(f"file://{tmp_path}/copy", half.bounds, mip=asked)
    assert copy.mip == 1
    np.testing.assert_array_equal(copy[:], half[:])


ENCODINGS = [
    *[(a, b, "uint32") for a in LABELS for b in LABELS],
    ("raw", "png", "uint8"),
    ("png", "raw", "uint16"),
    ("fpzip", "zfpc", "float64"),
    ("zfpc", "fpzip", "float32"),
    ("raw", "fpzip", "float32"),
]


@pytest.mark.filterwarnings("ignore:.*is not applied to png")
@pytest.mark.parametrize("same_grid", [True, False])
@pytest.mark.parametrize(("before", "after", "dtype"), ENCODINGS)
def test_every_encoding_becomes_every_other(tmp_path, before, after, dtype, same_grid):
    """From one compression to another, across grids and offsets, in a box that cuts chunks: the voxels are the same."""
    path, voxels = support.write_layer(
        tmp_path / "a",
        size=SIZE,
        encoding=before,
        data_type=dtype,
        voxel_offset=(-3, 0, 5),
        compress="br",
    )
    vol = CloudVolume(path)
    chunk, offset = ((8, 8, 8), (-11, 0, 5)) if same_grid else ((7, 9, 16), (-5, -1, 0))
    copy_path = support.make_layer(
        tmp_path / "b",
        size=(40, 40, 40),
        chunk_size=chunk,
        encoding=after,
        data_type=dtype,
        voxel_offset=offset,
    )
    box = Bbox((-2, 1, 6), (15, 18, 24))
    copy = vol.transfer_to(copy_path, box, compress="zstd")
    np.testing.assert_array_equal(copy[box], voxels[1:18, 1:18, 1:19])
    names = support.files_in(tmp_path / "b" / support.KEY)
    assert names
    assert all(name.endswith("" if after == "png" else ".zstd") for name in names)


@pytest.mark.parametrize("same_grid", [True, False])
@pytest.mark.parametrize(
    ("before", "after", "dtype", "channels"),
    [
        ("raw", "png", "uint8", 3),
        ("png", "raw", "uint16", 4),
        ("raw", "compressed_segmentation", "uint64", 2),
        ("kempressed", "zfpc", "float64", 3),
        ("zfpc", "raw", "int64", 2),
    ],
)
def test_channels_are_kept(tmp_path, before, after, dtype, channels, same_grid):
    info = support.make_info(
        size=SIZE, data_type=dtype, encoding=before, num_channels=channels, voxel_offset=(-3, 0, 5)
    )
    vol = CloudVolume(f"file://{tmp_path}/a", info=info)
    vol.commit_info()
    vol[:, :, :] = picture(SIZE, channels).astype(dtype)
    stored = np.asarray(vol[:])
    assert len(np.unique(stored[0, 0, 0])) == channels
    copy_path = support.make_layer(
        tmp_path / "b",
        size=SIZE,
        chunk_size=(8, 8, 8) if same_grid else (7, 9, 16),
        encoding=after,
        data_type=dtype,
        num_channels=channels,
        voxel_offset=(-3, 0, 5),
    )
    copy = vol.transfer_to(copy_path, vol.bounds)
    np.testing.assert_array_equal(copy[:], stored)
