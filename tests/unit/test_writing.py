# SPDX-License-Identifier: BSD-3-Clause
"""``vol[...] = array``."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.errors import (
    AlignmentError,
    EmptyVolumeException,
    OutOfBoundsError,
    ReadOnlyException,
)

ALIGNED = np.s_[10:18, -20:-12, 30:34]
UNALIGNED = np.s_[12:21, -17:-9, 31:36]


def voxels(shape, dtype="uint8", seed=7):
    return np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)


@pytest.fixture
def layer(make_layer):
    return make_layer()


@pytest.fixture
def blank(make_layer):
    """A layer without chunks."""
    return make_layer(data=False)


def expect(layer, slices, values, channel=slice(None)):
    """What was written to `layer` at first, with `values` in a box."""
    out = np.array(layer.data)
    x, y, z = slices
    out[
        x.start - 10 : x.stop - 10, y.start + 20 : y.stop + 20, z.start - 30 : z.stop - 30, channel
    ] = values
    return out


def files(layer, key="4_4_40"):
    folder = layer.folder / key
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


# Shapes.


@pytest.mark.parametrize(
    ("index", "slices"),
    [
        (ALIGNED, ALIGNED),
        (Bbox((10, -20, 30), (18, -12, 34)), ALIGNED),
        (Bbox((40, -80, 1200), (72, -48, 1360), unit="nm"), ALIGNED),
        (np.s_[26:30, -4:-2, 38:39], np.s_[26:30, -4:-2, 38:39]),
        (np.s_[18:, -12:, 34:], np.s_[18:30, -12:-2, 34:39]),
        (np.s_[:], np.s_[10:30, -20:-2, 30:39]),
        (np.s_[...], np.s_[10:30, -20:-2, 30:39]),
        (np.s_[:18, ..., 0], np.s_[10:18, -20:-2, 30:39]),
        (np.s_[10:18:1, :, :, :], np.s_[10:18, -20:-2, 30:39]),
        ((range(10, 18), range(-20, -12), range(30, 34)), ALIGNED),
    ],
)
def test_aligned_box_is_written(layer, index, slices):
    image = voxels((*(s.stop - s.start for s in slices), 1))
    vol = layer.open()
    vol[index] = image
    np.testing.assert_array_equal(layer.open()[:], expect(layer, slices, image))


def test_three_axes_are_one_channel(layer):
    image = voxels((8, 8, 4))
    layer.open()[ALIGNED] = image
    np.testing.assert_array_equal(layer.open()[ALIGNED][..., 0], image)


@pytest.mark.parametrize(
    "shape", [(7, 8, 4), (8, 8, 4, 2), (8, 8), (8, 8, 4, 1, 1), (4, 8, 8), (0, 8, 4)]
)
def test_other_shape_raises_and_writes_nothing(layer, shape):
    before = files(layer)
    with pytest.raises(AlignmentError):
        layer.open()[ALIGNED] = voxels(shape)
    assert files(layer) == before


def test_alignment_error_is_a_value_error_with_both_shapes(layer):
    with pytest.raises(ValueError, match=r"\(8, 8, 4, 1\).*\(7, 8, 4\)"):
        layer.open()[ALIGNED] = voxels((7, 8, 4))


@pytest.mark.parametrize(
    "arrange",
    [
        np.ascontiguousarray,
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: np.repeat(a, 3, axis=1)[:, ::3],
        lambda a: a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
        lambda a: np.ascontiguousarray(a.T).T,
        lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 2, 0)), 0, 2),
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: a[:, :, :, :].view(np.matrix.__base__),
    ],
    ids=[
        "C",
        "F",
        "strided-x",
        "strided-y",
        "negative",
        "transposed",
        "moved",
        "broadcast",
        "view",
    ],
)
def test_memory_order_does_not_matter(layer, arrange):
    image = arrange(voxels((20, 18, 9, 1)))
    layer.open()[:] = image
    np.testing.assert_array_equal(layer.open()[:], image)


def test_read_only_array_is_written(layer):
    image = voxels((8, 8, 4, 1))
    image.flags.writeable = False
    layer.open()[ALIGNED] = image
    np.testing.assert_array_equal(layer.open()[ALIGNED], image)


def test_cutout_of_another_volume_is_written(layer, make_layer):
    other = make_layer(seed=2)
    layer.open()[:] = other.open()[:]
    np.testing.assert_array_equal(layer.open()[:], other.data)


def test_array_is_not_changed(layer):
    image = voxels((9, 8, 5, 1))
    copy = image.copy()
    layer.open(non_aligned_writes=True)[UNALIGNED] = image
    np.testing.assert_array_equal(image, copy)


# Dtypes and scalars.


@pytest.mark.parametrize("dtype", ["uint16", "int8", "float32", "uint64"])
def test_other_dtype_raises(layer, dtype):
    before = files(layer)
    with pytest.raises(ValueError, match=f"uint8.*{dtype}"):
        layer.open()[ALIGNED] = voxels((8, 8, 4, 1), dtype)
    assert files(layer) == before


@pytest.mark.parametrize("dtype", ["uint16", "int32", "uint64", "float32"])
def test_big_endian_array_is_stored_little_endian(make_layer, dtype):
    layer = make_layer(dtype=dtype, compress=False)
    image = voxels((8, 8, 4, 1), dtype)
    layer.open(compress=False)[ALIGNED] = image.astype(np.dtype(dtype).newbyteorder(">"))
    np.testing.assert_array_equal(layer.open()[ALIGNED], image)
    stored = files(layer)["10-18_-20--12_30-34"]
    assert stored == image.astype(np.dtype(dtype).newbyteorder("<")).tobytes(order="F")


@pytest.mark.parametrize(
    ("dtype", "scalar"),
    [
        ("uint8", 7),
        ("uint8", 0),
        ("uint8", 255),
        ("uint8", np.uint8(7)),
        ("uint8", np.array(7, np.uint8)),
        ("uint8", True),
        ("uint8", np.True_),
        ("int32", -1),
        ("uint64", 2**64 - 1),
        ("int64", -(2**63)),
        ("float32", 3),
        ("float32", 3.5),
        ("float32", -np.inf),
        ("float64", 0.1),
        ("float32", np.float32(0.1)),
    ],
)
def test_scalar_fills_the_box(make_layer, dtype, scalar):
    layer = make_layer(dtype=dtype, high=100)
    layer.open()[ALIGNED] = scalar
    np.testing.assert_array_equal(
        layer.open()[:], expect(layer, ALIGNED, np.asarray(scalar).astype(dtype))
    )


def test_nan_fills_the_box(make_layer):
    layer = make_layer(dtype="float32")
    layer.open()[ALIGNED] = float("nan")
    assert np.isnan(layer.open()[ALIGNED]).all()


@pytest.mark.parametrize("scalar", [7.5, 7.0, -1, 256, np.int64(7), np.float32(1), 1j, "7", None])
def test_scalar_that_is_no_value_of_the_type_raises(layer, scalar):
    before = files(layer)
    with pytest.raises(ValueError, match="uint8"):
        layer.open()[ALIGNED] = scalar
    assert files(layer) == before


def test_scalar_fills_every_channel(make_layer):
    layer = make_layer(channels=3)
    layer.open()[ALIGNED] = 7
    np.testing.assert_array_equal(layer.open()[:], expect(layer, ALIGNED, 7))


# Bounds.


@pytest.mark.parametrize("settings", [{}, {"autocrop": True}, {"non_aligned_writes": True}])
def test_outside_raises_when_bounded(layer, settings):
    before = files(layer)
    with pytest.raises(OutOfBoundsError):
        layer.open(**settings)[2:18, -20:-12, 30:34] = voxels((16, 8, 4))
    assert files(layer) == before


@pytest.mark.parametrize("settings", [{}, {"non_aligned_writes": True}])
def test_outside_raises_alignment_error_when_not_bounded(layer, settings):
    with pytest.raises(AlignmentError):
        layer.open(bounded=False, **settings)[2:18, -20:-12, 30:34] = voxels((16, 8, 4))


def test_outside_is_cropped_with_autocrop(layer):
    image = voxels((16, 8, 4, 1))
    layer.open(bounded=False, autocrop=True)[2:18, -20:-12, 30:34] = image
    np.testing.assert_array_equal(layer.open()[:], expect(layer, ALIGNED, image[8:]))


def test_cropped_box_must_be_aligned(layer):
    with pytest.raises(AlignmentError):
        layer.open(bounded=False, autocrop=True)[2:17, -20:-12, 30:34] = voxels((15, 8, 4))


def test_cropped_box_may_be_unaligned_if_allowed(layer):
    image = voxels((15, 8, 4, 1))
    vol = layer.open(bounded=False, autocrop=True, non_aligned_writes=True)
    vol[2:17, -20:-12, 30:34] = image
    np.testing.assert_array_equal(
        layer.open()[:], expect(layer, np.s_[10:17, -20:-12, 30:34], image[8:])
    )


def test_wholly_outside_is_cropped_to_nothing(layer):
    before = files(layer)
    layer.open(bounded=False, autocrop=True)[-54:-22, -20:-12, 30:34] = voxels((32, 8, 4))
    assert files(layer) == before


@pytest.mark.parametrize("image", [5, np.zeros((0, 8, 4), np.uint8)])
def test_empty_box_is_no_work(layer, image):
    before = files(layer)
    layer.open()[10:10, -20:-12, 30:34] = image
    assert files(layer) == before


@pytest.mark.parametrize("index", [np.s_[10:10, -20:-12, 30:34], np.s_[18:10, -20:-12, 30:34]])
def test_voxels_for_an_empty_box_raise(layer, index):
    with pytest.raises(AlignmentError):
        layer.open()[index] = voxels((8, 8, 4))


def test_empty_box_outside_raises(layer):
    with pytest.raises(OutOfBoundsError):
        layer.open()[200:200] = 5


@pytest.mark.parametrize("index", [np.s_[10:18:2, -20:-12, 30:34], np.s_[18:10:-1]])
def test_steps_raise(layer, index):
    with pytest.raises(ValueError, match="step"):
        layer.open()[index] = 1


def test_point_lists_cannot_be_written(layer):
    with pytest.raises(ValueError, match="index"):
        layer.open()[[10, 11], [-20, -20], [30, 30]] = 1


# Alignment.


@pytest.mark.parametrize(
    "index",
    [
        np.s_[11:18, -20:-12, 30:34],
        np.s_[10:17, -20:-12, 30:34],
        np.s_[10:18, -19:-12, 30:34],
        np.s_[10:18, -20:-12, 30:33],
        np.s_[10, -20, 30],
    ],
)
def test_unaligned_raises_and_writes_nothing(layer, index):
    before = files(layer)
    with pytest.raises(AlignmentError, match="non_aligned_writes"):
        layer.open()[index] = 1
    assert files(layer) == before


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize(
    "slices",
    [
        UNALIGNED,
        np.s_[11:13, -19:-18, 31:33],
        np.s_[11:29, -19:-3, 31:38],
        np.s_[10:30, -20:-2, 30:38],
        np.s_[29:30, -3:-2, 38:39],
        np.s_[15:16, -15:-14, 31:32],
    ],
)
def test_non_aligned_write_keeps_what_is_around(make_layer, encoding, slices):
    layer = make_layer(dtype="uint32", encoding=encoding)
    image = voxels((*(s.stop - s.start for s in slices), 1), "uint32")
    layer.open(non_aligned_writes=True)[slices] = image
    np.testing.assert_array_equal(layer.open()[:], expect(layer, slices, image))


def test_non_aligned_write_touches_only_chunks_in_the_box(layer):
    before = files(layer)
    layer.open(non_aligned_writes=True)[12:16, -18:-14, 31:33] = 250
    after = files(layer)
    assert {name for name in after if after[name] != before[name]} == {"10-18_-20--12_30-34.gz"}


def test_non_aligned_write_over_absent_chunks_raises(blank):
    with pytest.raises(EmptyVolumeException):
        blank.open(non_aligned_writes=True)[UNALIGNED] = 1


@pytest.mark.parametrize("background", [0, 9])
def test_non_aligned_write_fills_absent_chunks(blank, background):
    vol = blank.open(non_aligned_writes=True, fill_missing=True, background_color=background)
    vol[UNALIGNED] = 1
    blank.data = np.full((20, 18, 9, 1), background, np.uint8)
    np.testing.assert_array_equal(vol[:], expect(blank, UNALIGNED, 1))
    assert len(files(blank)) == 2 * 2 * 2


def test_overwrite_partial_chunks_replaces_them(layer):
    vol = layer.open(non_aligned_writes=True, overwrite_partial_chunks=True, background_color=9)
    vol[UNALIGNED] = 1
    layer.data[:16, :16, :8] = 9
    np.testing.assert_array_equal(layer.open()[:], expect(layer, UNALIGNED, 1))


def test_overwrite_partial_chunks_reads_nothing(layer):
    for path in (layer.folder / "4_4_40").iterdir():
        path.write_bytes(b"corrupt")
    vol = layer.open(non_aligned_writes=True, overwrite_partial_chunks=True)
    vol[:] = 3
    vol[UNALIGNED] = 1
    assert (vol[UNALIGNED] == 1).all()


@pytest.mark.parametrize("index", [ALIGNED, UNALIGNED])
def test_overwrite_partial_chunks_alone_raises(layer, index):
    with pytest.raises(ValueError, match="non_aligned_writes"):
        layer.open(overwrite_partial_chunks=True)[index] = 1


def test_non_aligned_write_of_a_corrupt_chunk_raises_and_keeps_it(layer):
    path = layer.folder / "4_4_40" / "10-18_-20--12_30-34.gz"
    path.write_bytes(b"corrupt")
    with pytest.raises(Exception, match="10-18_-20--12_30-34"):
        layer.open(non_aligned_writes=True, fill_missing=True)[12:16, -18:-14, 31:33] = 1
    assert path.read_bytes() == b"corrupt"


# Background.


def test_delete_black_uploads_removes_chunks_of_background(layer):
    layer.open(delete_black_uploads=True)[ALIGNED] = 0
    assert "10-18_-20--12_30-34.gz" not in files(layer)
    assert len(files(layer)) == 26


def test_delete_black_uploads_uses_the_background_color(layer):
    vol = layer.open(delete_black_uploads=True, background_color=9)
    vol[ALIGNED] = 0
    assert "10-18_-20--12_30-34.gz" in files(layer)
    vol[ALIGNED] = 9
    assert "10-18_-20--12_30-34.gz" not in files(layer)


def test_delete_black_uploads_writes_other_chunks(layer):
    image = np.zeros((8, 8, 4, 1), np.uint8)
    image[7, 7, 3] = 1
    layer.open(delete_black_uploads=True)[ALIGNED] = image
    np.testing.assert_array_equal(layer.open()[ALIGNED], image)


def test_delete_black_uploads_applies_to_merged_chunks(layer):
    vol = layer.open(
        delete_black_uploads=True, non_aligned_writes=True, background_color=9, fill_missing=True
    )
    vol[10:14, -20:-12, 30:34] = 9
    assert "10-18_-20--12_30-34.gz" in files(layer)
    vol[14:18, -20:-12, 30:34] = 9
    assert "10-18_-20--12_30-34.gz" not in files(layer)


def test_black_chunks_are_written_by_default(blank):
    blank.open()[:] = 0
    assert len(files(blank)) == 27


# Channels.


@pytest.fixture
def colors(make_layer):
    return make_layer(channels=3)


@pytest.mark.parametrize(
    ("channel", "shape"), [(1, (8, 8, 4, 1)), (1, (8, 8, 4)), (np.s_[0:2], (8, 8, 4, 2))]
)
def test_channels_not_assigned_stay(colors, channel, shape):
    image = voxels(shape)
    colors.open()[(*ALIGNED, channel)] = image
    values = image if image.ndim == 4 else image[..., np.newaxis]
    where = channel if isinstance(channel, slice) else slice(channel, channel + 1)
    np.testing.assert_array_equal(colors.open()[:], expect(colors, ALIGNED, values, where))


def test_channel_of_an_unaligned_box(colors):
    colors.open(non_aligned_writes=True)[(*UNALIGNED, 2)] = 5
    np.testing.assert_array_equal(colors.open()[:], expect(colors, UNALIGNED, 5, 2))


def test_scalar_to_a_channel(colors):
    colors.open()[(*ALIGNED, 0)] = 7
    np.testing.assert_array_equal(colors.open()[:], expect(colors, ALIGNED, 7, 0))


@pytest.mark.parametrize("image", [voxels((8, 8, 4)), voxels((8, 8, 4, 1)), voxels((8, 8, 4, 2))])
def test_fewer_channels_than_the_volumes_raise(colors, image):
    before = files(colors)
    with pytest.raises(AlignmentError):
        colors.open()[ALIGNED] = image
    assert files(colors) == before


@pytest.mark.parametrize("channel", [3, -1, np.s_[3:4]])
@pytest.mark.parametrize("image", [7, voxels((8, 8, 4, 1))])
def test_channel_outside_raises(colors, channel, image):
    with pytest.raises(OutOfBoundsError):
        colors.open()[(*ALIGNED, channel)] = image


def test_value_of_a_channel_is_checked(colors):
    with pytest.raises(ValueError, match="uint8"):
        colors.open()[(*ALIGNED, 0)] = voxels((8, 8, 4), "uint16")


@pytest.mark.parametrize("scalar", [256, -1, 1.5])
def test_scalar_of_a_channel_is_checked(colors, scalar):
    before = files(colors)
    with pytest.raises(ValueError, match="uint8"):
        colors.open()[(*ALIGNED, 0)] = scalar
    assert files(colors) == before


def test_channel_of_a_big_endian_array(make_layer):
    layer = make_layer(channels=2, dtype="uint16")
    image = voxels((8, 8, 4), "uint16")
    layer.open()[(*ALIGNED, 1)] = image.astype(">u2")
    np.testing.assert_array_equal(layer.open()[ALIGNED][..., 1], image)


def test_single_channel_by_number_is_the_whole_volume(layer):
    layer.open()[(*ALIGNED, 0)] = 7
    assert (layer.open()[ALIGNED] == 7).all()


# Files.


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [
        (None, ".gz"),
        (True, ".gz"),
        ("gzip", ".gz"),
        (False, ""),
        ("", ""),
        ("br", ".br"),
        ("zstd", ".zstd"),
        ("xz", ".xz"),
        ("lzma", ".xz"),
        ("bz2", ".bz2"),
        ("bzip2", ".bz2"),
    ],
)
def test_compression_names_the_file(blank, compress, suffix):
    image = voxels((8, 8, 4, 1))
    blank.open(compress=compress)[ALIGNED] = image
    assert list(files(blank)) == [f"10-18_-20--12_30-34{suffix}"]
    np.testing.assert_array_equal(blank.open()[ALIGNED], image)


def test_unknown_compression_raises_value_error(blank):
    with pytest.raises(ValueError, match="rar"):
        blank.open(compress="rar")


def test_other_compression_replaces_the_old_file(layer):
    layer.open(compress="br")[:] = 3
    assert {name.rpartition(".")[2] for name in files(layer)} == {"br"}
    assert (layer.open()[:] == 3).all()


def test_raw_chunk_is_fortran_order(blank):
    image = voxels((8, 8, 4, 1))
    blank.open()[ALIGNED] = image
    assert gzip.decompress(files(blank)["10-18_-20--12_30-34.gz"]) == image.tobytes(order="F")


def test_edge_chunks_are_cut_at_the_volumes_end(layer):
    assert len(gzip.decompress(files(layer)["26-30_-4--2_38-39.gz"])) == 4 * 2 * 1


def test_no_temporary_files_stay(layer):
    assert len(files(layer)) == 3 * 3 * 3


def test_compress_level_changes_the_size(blank):
    image = np.arange(20 * 18 * 9, dtype=np.uint8).reshape(20, 18, 9) // 3
    blank.open(compress_level=1)[:] = image
    fast = sum(map(len, files(blank).values()))
    blank.open(compress_level=9)[:] = image
    assert sum(map(len, files(blank).values())) <= fast
    np.testing.assert_array_equal(blank.open()[:][..., 0], image)


@pytest.mark.parametrize("level", [-1, 10])
def test_compress_level_outside_raises(blank, level):
    with pytest.raises(ValueError, match="compress_level"):
        blank.open(compress_level=level)[ALIGNED] = 1


# Permission.


def test_locked_mip_raises(layer):
    before = files(layer)
    vol = layer.open()
    vol.meta.lock_mips(0)
    with pytest.raises(ReadOnlyException, match="unlock_mips"):
        vol[ALIGNED] = 1
    assert files(layer) == before


def test_nothing_is_written_before_the_first_chunk(tmp_path):
    info = CloudVolume.create_new_info(1, "image", "uint8", "raw", (1, 1, 1), (0, 0, 0), (8, 8, 8))
    CloudVolume(f"file://{tmp_path}/a/b", info=info)
    assert list(tmp_path.iterdir()) == []


# The image source.


@pytest.mark.parametrize(
    "offset", [(10, -20, 30), np.array([10, -20, 30]), Bbox((10, -20, 30), (18, -12, 34))]
)
def test_image_upload(layer, offset):
    image = voxels((8, 8, 4, 1))
    layer.open().image.upload(image, offset, 0)
    np.testing.assert_array_equal(layer.open()[:], expect(layer, ALIGNED, image))


def test_image_upload_starts_at_the_volumes_first_voxel(layer):
    image = voxels((8, 8, 4, 1))
    layer.open().image.upload(image)
    np.testing.assert_array_equal(layer.open()[:], expect(layer, ALIGNED, image))


@pytest.mark.parametrize("parallel", [1, 2, True])
def test_parallel_writes_the_same(layer, parallel):
    image = voxels((20, 18, 9, 1))
    layer.open(parallel=parallel)[:] = image
    np.testing.assert_array_equal(layer.open()[:], image)


PICTURES = [("png", "uint8"), ("jpeg", "uint8"), ("jxl", "uint8"), ("png", "uint16")]


@pytest.mark.parametrize("compress", ["gzip", "br"])
@pytest.mark.parametrize(("encoding", "dtype"), PICTURES)
def test_compression_over_pictures_is_not_applied_and_says_so(
    make_layer, encoding, dtype, compress
):
    layer = make_layer(encoding=encoding, dtype=dtype, data=False)
    vol = layer.open(compress=compress)
    with pytest.warns(UserWarning, match=f"4_4_40: compress='{compress}'.* {encoding}"):
        vol[ALIGNED] = 7
    assert list(files(layer)) == ["10-18_-20--12_30-34"]
    # jpeg and jxl lose a little
    np.testing.assert_allclose(layer.open()[ALIGNED].astype(int), 7, atol=2)


def test_warning_about_compression_over_pictures_names_the_callers_line_once(make_layer):
    vol = make_layer(encoding="png", data=False).open(compress="gzip")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            vol[ALIGNED] = 7
    assert [(warning.filename, warning.category) for warning in caught] == [(__file__, UserWarning)]


@pytest.mark.parametrize("compress", [None, True, False, ""])
@pytest.mark.parametrize(("encoding", "dtype"), PICTURES)
def test_pictures_are_stored_without_compression_silently(make_layer, encoding, dtype, compress):
    layer = make_layer(encoding=encoding, dtype=dtype, data=False)
    layer.open(compress=compress)[ALIGNED] = 7
    assert list(files(layer)) == ["10-18_-20--12_30-34"]
