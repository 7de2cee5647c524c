# SPDX-License-Identifier: BSD-3-Clause
"""Bbox: creation, conversion, relations, arithmetic."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError, OutOfBoundsError
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.vec import Vec


def box(*numbers, **options):
    return Bbox(numbers[:3], numbers[3:], **options)


CONTEXT = box(10, -20, 30, 110, 70, 70)


# Creation.


def test_corners_are_sorted_per_axis():
    assert Bbox((4, 5, 6), (1, 7, 3)).to_list() == [1, 5, 3, 4, 7, 6]


def test_integers_are_int64():
    assert box(1, 2, 3, 4, 5, 6).dtype == np.int64


def test_large_coordinates_do_not_overflow():
    assert box(0, 0, 0, 2**40, 1, 1).maxpt.x == 2**40


def test_python_float_makes_it_float64():
    assert box(1.5, 2, 3, 4, 5, 6).dtype == np.float64


def test_numpy_float_makes_it_float64():
    assert Bbox((np.float32(1.5), 2, 3), (4, 5, 6)).to_list() == [1.5, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_float_array_makes_it_float64():
    assert Bbox(np.array([1.5, 2, 3]), np.array([4, 5, 6])).dtype == np.float64


def test_unsigned_array_becomes_int64():
    points = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint64)
    assert Bbox(points[0], points[1]).dtype == np.int64


def test_dtype_can_be_given():
    assert box(1, 2, 3, 4, 5, 6, dtype=np.float32).minpt.dtype == np.float32


def test_integer_dtype_drops_fractions():
    assert box(1.7, 2, 3, 4.2, 5, 6, dtype=int).to_list() == [1, 2, 3, 4, 5, 6]


def test_coordinate_beyond_dtype_raises():
    with pytest.raises(OverflowError):
        box(0, 0, 0, 2**31, 1, 1, dtype=np.int32)


def test_coordinate_beyond_64_bits_raises():
    with pytest.raises(OverflowError):
        box(0, 0, 0, 2**63, 1, 1)


def test_longer_corner_is_shortened():
    assert Bbox((0, 0, 0), (4, 5, 6, 1)).to_list() == [0, 0, 0, 4, 5, 6]


def test_other_numbers_of_axes():
    assert Bbox((1, 2), (3, 4)).ndim == 2
    assert Bbox((1, 2, 3, 4), (5, 6, 7, 8)).ndim == 4


@pytest.mark.parametrize("corner", [5, "123", None, ("a", 2, 3), np.zeros((2, 3))])
def test_malformed_corner_raises(corner):
    with pytest.raises(InvalidArgumentError):
        Bbox((0, 0, 0), corner)


def test_from_ints_is_an_ordinary_box():
    assert Bbox._from_ints(1, 2, 3, 4, 5, 6) == box(1, 2, 3, 4, 5, 6)


def test_repr():
    assert repr(box(1, 2, 3, 4, 5, 6)) == "Bbox([1, 2, 3],[4, 5, 6], dtype=np.int64, unit='vx')"


# Corners.


def test_corners_are_vectors():
    assert repr(box(1, 2, 3, 4, 5, 6).minpt) == "Vec(1,2,3, dtype=int64)"


def test_writing_to_a_corner_changes_the_box():
    bbox = box(1, 2, 3, 4, 5, 6)
    bbox.minpt.x = -7
    bbox.maxpt[2] = 60
    assert bbox.to_list() == [-7, 2, 3, 4, 5, 60]


def test_corner_can_be_assigned():
    bbox = box(1, 2, 3, 4, 5, 6)
    bbox.maxpt = (7, 8, 9)
    assert bbox.to_list() == [1, 2, 3, 7, 8, 9]
    assert isinstance(bbox.maxpt, Vec)


def test_assigned_vector_stays_connected():
    bbox = box(1, 2, 3, 4, 5, 6)
    corner = Vec(0, 0, 0)
    bbox.minpt = corner
    corner.y = -1
    assert bbox.to_list() == [0, -1, 0, 4, 5, 6]


def test_assigning_a_float_corner_makes_the_box_float64():
    bbox = box(1, 2, 3, 4, 5, 6)
    bbox.minpt = (0.5, 0, 0)
    assert bbox.dtype == np.float64
    assert bbox.to_list() == [0.5, 0.0, 0.0, 4.0, 5.0, 6.0]


def test_extents():
    bbox = box(1, 2, 3, 4, 6, 8)
    assert (bbox.dx, bbox.dy, bbox.dz) == (3, 4, 5)


def test_is_physical():
    assert box(0, 0, 0, 1, 1, 1, unit="nm").is_physical
    assert not box(0, 0, 0, 1, 1, 1).is_physical


# Conversion from other representations.


def test_create_returns_a_box_unchanged():
    bbox = box(1, 2, 3, 4, 5, 6)
    assert Bbox.create(bbox) is bbox


@pytest.mark.parametrize(
    "obj",
    [
        (1, 2, 3, 4, 5, 6),
        [1, 2, 3, 4, 5, 6],
        np.array([1, 2, 3, 4, 5, 6]),
        np.s_[1:4, 2:5, 3:6],
        "1-4_2-5_3-6",
        "key/1-4_2-5_3-6.gz",
        {"minpt": [1, 2, 3], "maxpt": [4, 5, 6]},
        {"minpt": [1, 2, 3], "maxpt": [4, 5, 6], "dtype": "int32"},
    ],
)
def test_create_converts(obj):
    assert Bbox.create(obj) == box(1, 2, 3, 4, 5, 6)


def test_create_takes_a_vec_as_size():
    assert Bbox.create(Vec(4, 5, 6)) == box(0, 0, 0, 4, 5, 6)


def test_create_completes_slices_from_context():
    assert Bbox.create(np.s_[20:30, ...], CONTEXT) == box(20, -20, 30, 30, 70, 70)


def test_create_completes_ellipsis_from_context():
    assert Bbox.create(..., CONTEXT) == CONTEXT


def test_create_bounded_raises_outside_context():
    with pytest.raises(OutOfBoundsError):
        Bbox.create(box(1, 2, 3, 40, 5, 60), CONTEXT, bounded=True)


def test_create_unbounded_does_not_crop():
    assert Bbox.create((1, 2, 3, 4, 5, 6), CONTEXT) == box(1, 2, 3, 4, 5, 6)


def test_create_autocrop_crops():
    cropped = Bbox.create(box(1, 2, 3, 40, 5, 60), CONTEXT, autocrop=True)
    assert cropped == box(10, 2, 30, 40, 5, 60)


def test_create_crops_before_checking_bounds():
    cropped = Bbox.create((1, 2, 3, 40, 5, 60), CONTEXT, bounded=True, autocrop=True)
    assert cropped == box(10, 2, 30, 40, 5, 60)


def test_create_autocrop_of_disjoint_box_is_the_zero_box():
    assert Bbox.create(box(1, 2, 3, 4, 5, 6), CONTEXT, autocrop=True) == box(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("obj", [None, 5, 1.5, object()])
def test_create_rejects_other_types(obj):
    with pytest.raises(NotImplementedError):
        Bbox.create(obj)


def test_from_delta():
    assert Bbox.from_delta((1, 2, 3), (4, 5, 6)) == box(1, 2, 3, 5, 7, 9)


def test_from_delta_with_one_number():
    assert Bbox.from_delta((1, 2, 3), 4) == box(1, 2, 3, 5, 6, 7)


def test_from_delta_backwards():
    assert Bbox.from_delta((1, 2, 3), (-1, -2, -3)) == box(0, 0, 0, 1, 2, 3)


def test_from_vec_drops_fractions():
    assert Bbox.from_vec(Vec(1.5, 2, 3)).to_list() == [0, 0, 0, 1, 2, 3]


def test_from_vec_with_dtype_keeps_fractions():
    assert Bbox.from_vec(Vec(1.5, 2, 3), dtype=float).to_list()[3:] == [1.5, 2.0, 3.0]


@pytest.mark.parametrize("suffix", ["", ".gz", ".br", ".zstd", ".xz", ".bz2"])
def test_from_filename_with_suffix(suffix):
    assert Bbox.from_filename("1-4_2-5_3-6" + suffix) == box(1, 2, 3, 4, 5, 6)


def test_from_filename_with_negatives():
    assert Bbox.from_filename("-3-1_-5--2_5-6") == box(-3, -5, 5, 1, -2, 6)


def test_from_filename_ignores_directories():
    assert Bbox.from_filename("gs://b/l/4_4_40/1-4_2-5_3-6") == box(1, 2, 3, 4, 5, 6)


def test_from_filename_with_fractions():
    bbox = Bbox.from_filename("1.5-2.5_3-4_5-6", dtype=float)
    assert bbox.to_list() == [1.5, 3.0, 5.0, 2.5, 4.0, 6.0]


@pytest.mark.parametrize("name", ["", "info", "1-2_3-4", "1-4_2-5_3-6.foo", "1-4_2-5_3-", "1_2_3"])
def test_from_filename_rejects_other_names(name):
    with pytest.raises(ValueError, match="expected a name"):
        Bbox.from_filename(name)


def test_from_list_of_two_dimensions():
    assert Bbox.from_list([1, 2, 3, 4]) == Bbox((1, 2), (3, 4))


def test_from_points_includes_the_last_point():
    assert Bbox.from_points([[1, 2, 3], [4, 0, 6]]) == box(1, 0, 3, 5, 3, 7)


def test_from_points_rounds_down():
    assert Bbox.from_points([[-1.5, 2, 3], [4.7, 0, 6]]) == box(-2, 0, 3, 5, 3, 7)


def test_from_points_of_nothing_raises():
    with pytest.raises(ValueError, match="n > 0"):
        Bbox.from_points([])


def test_dictionary_round_trip_keeps_dtype_and_unit():
    bbox = box(1.5, 2, 3, 4, 5, 6, unit="nm")
    again = Bbox.from_dict(bbox.to_dict())
    assert again == bbox
    assert again.dtype == bbox.dtype


def test_to_dict_of_voxels_has_no_unit():
    assert box(1, 2, 3, 4, 5, 6).to_dict() == {
        "minpt": [1, 2, 3],
        "maxpt": [4, 5, 6],
        "dtype": "int64",
    }


def test_serialize():
    text = '{"minpt": [1, 2, 3], "maxpt": [4, 5, 6], "dtype": "int64"}'
    assert box(1, 2, 3, 4, 5, 6).serialize() == text
    assert Bbox.deserialize(text) == box(1, 2, 3, 4, 5, 6)


# Conversion to other representations.


def test_to_filename():
    assert box(-3, 5, 7, 1, 9, 11).to_filename() == "-3-1_5-9_7-11"


def test_to_filename_of_floats():
    assert box(1.5, 2, 3, 4, 5, 6).to_filename() == "1.5-4.0_2.0-5.0_3.0-6.0"


def test_to_filename_of_float32_is_short():
    name = box(1 / 3, 2, 3, 4, 5, 6, dtype=np.float32).to_filename()
    assert name == "0.33333334-4.0_2.0-5.0_3.0-6.0"


def test_to_filename_with_precision():
    assert box(1.5, 2.25, 3, 4, 5, 6).to_filename(1) == "1.5-4.0_2.2-5.0_3.0-6.0"


def test_to_filename_of_integers_with_precision():
    assert box(1, 2, 3, 4, 5, 6).to_filename(2) == "1.00-4.00_2.00-5.00_3.00-6.00"


def test_to_slices_drops_fractions():
    assert box(-1.5, 2, 3, 4, 5, 6.7).to_slices() == np.s_[-1:4, 2:5, 3:6]


def test_to_list_has_python_numbers():
    assert [type(v) for v in box(1, 2, 3, 4, 5, 6).to_list()] == [int] * 6


def test_astype_drops_fractions():
    assert box(-1.5, 2, 3, 4, 5, 6.7).astype(int).to_list() == [-1, 2, 3, 4, 5, 6]


def test_astype_leaves_the_original():
    bbox = box(1, 2, 3, 4, 5, 6)
    assert bbox.astype(np.float32).dtype == np.float32
    assert bbox.dtype == np.int64


def test_transpose_reverses_axes():
    assert box(1, 2, 3, 4, 5, 6).transpose() == box(3, 2, 1, 6, 5, 4)


def test_clone_is_independent():
    bbox = box(1, 2, 3, 4, 5, 6, unit="nm")
    twin = bbox.clone()
    twin.minpt.x = 0
    assert bbox.minpt.x == 1
    assert twin.unit == "nm"


def test_pickle_keeps_everything():
    bbox = box(1, 2, 3, 4, 5, 6, dtype=np.float32, unit="um")
    bbox.minpt.x = 0.5
    again = pickle.loads(pickle.dumps(bbox))
    assert again == bbox
    assert again.dtype == np.float32


# Relations.


def test_equal_boxes_of_different_dtype():
    assert box(1, 2, 3, 4, 5, 6) == box(1.0, 2, 3, 4, 5, 6)


def test_unit_takes_part_in_equality():
    assert box(1, 2, 3, 4, 5, 6) != box(1, 2, 3, 4, 5, 6, unit="nm")


@pytest.mark.parametrize("other", [None, 5, "1-4_2-5_3-6", (1, 2, 3, 4, 5, 6)])
def test_box_differs_from_other_types(other):
    assert box(1, 2, 3, 4, 5, 6) != other


def test_equal_boxes_hash_alike():
    assert len({box(1, 2, 3, 4, 5, 6), box(1.0, 2, 3, 4, 5, 6)}) == 1


def test_intersection():
    common = Bbox.intersection(box(5, 5, 5, 30, 30, 30), box(20, 0, 0, 40, 40, 40))
    assert common == box(20, 5, 5, 30, 30, 30)


def test_intersection_of_touching_boxes_is_the_zero_box():
    common = Bbox.intersection(box(5, 5, 5, 30, 30, 30), box(30, 0, 0, 40, 40, 40))
    assert common == box(0, 0, 0, 0, 0, 0)


def test_intersection_keeps_an_empty_box_inside():
    common = Bbox.intersection(box(5, 5, 5, 30, 30, 30), box(10, 10, 10, 10, 10, 10))
    assert common == box(10, 10, 10, 10, 10, 10)


def test_intersection_keeps_the_unit():
    bbox = box(1, 2, 3, 4, 5, 6, unit="nm")
    assert Bbox.intersection(bbox, bbox).unit == "nm"


def test_intersection_with_floats_is_float():
    common = Bbox.intersection(box(0, 0, 0, 9, 9, 9), box(1.5, 2, 3, 40, 5, 6))
    assert common.to_list() == [1.5, 2.0, 3.0, 9.0, 5.0, 6.0]


def test_intersection_sees_a_changed_corner():
    bbox = box(5, 5, 5, 30, 30, 30)
    bbox.minpt.x = 25
    assert Bbox.intersection(bbox, box(0, 0, 0, 99, 99, 99)).minpt.x == 25


def test_intersects_is_strict():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert Bbox.intersects(bbox, box(29, 0, 0, 40, 40, 40))
    assert not Bbox.intersects(bbox, box(30, 0, 0, 40, 40, 40))


def test_boxes_of_different_dimensions_raise():
    with pytest.raises(ValueError, match=r"zip|axes"):
        Bbox.intersects(box(1, 2, 3, 4, 5, 6), Bbox((1, 2), (3, 4)))


def test_overlaps_bbox_includes_upper_faces():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.overlaps_bbox(box(30, 0, 0, 40, 40, 40))
    assert not bbox.overlaps_bbox(box(31, 0, 0, 40, 40, 40))


def test_contains_includes_upper_faces():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.contains((5, 5, 5))
    assert bbox.contains(Vec(30, 30, 30))
    assert not bbox.contains((31, 30, 30))
    assert not bbox.contains((4.9, 30, 30))


def test_contains_rejects_other_dimensions():
    with pytest.raises(ValueError, match="3 coordinates"):
        box(5, 5, 5, 30, 30, 30).contains((5, 5))


def test_contains_bbox():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.contains_bbox(bbox)
    assert not bbox.contains_bbox(box(5, 5, 5, 30, 30, 31))


def test_expand():
    whole = Bbox.expand(box(5, 5, 5, 30, 30, 30), box(0, 6, 6, 7, 50, 7), box(9, 9, 1, 10, 10, 10))
    assert whole == box(0, 5, 1, 30, 50, 30)


def test_expand_with_floats_keeps_fractions():
    assert Bbox.expand(box(5, 5, 5, 6, 6, 6), box(1.5, 2, 3, 4, 5, 6)).minpt.x == 1.5


def test_clamp():
    assert Bbox.clamp(box(5, 5, 5, 30, 30, 30), box(10, 0, 0, 20, 20, 20)) == box(
        10, 5, 5, 20, 20, 20
    )


def test_clamp_of_disjoint_boxes_is_empty():
    clamped = Bbox.clamp(box(5, 5, 5, 30, 30, 30), box(100, 100, 100, 200, 200, 200))
    assert clamped == box(100, 100, 100, 100, 100, 100)


@pytest.mark.parametrize(
    ("other", "distance", "expected"),
    [
        (box(5, 6, 7, 8, 9, 10), 0, True),
        (box(6, 6, 7, 8, 9, 10), 0, False),
        (box(6, 6, 7, 8, 9, 10), 1, True),
        (box(8, 8, 8, 10, 10, 10), 1, False),
        (box(8, 8, 8, 10, 10, 10), 3, True),
        (box(8, 8, 8, 10, 10, 29), 1, True),
        (box(100, 100, 100, 110, 110, 110), 1, False),
    ],
)
def test_near_edge(other, distance, expected):
    assert Bbox.near_edge(box(5, 5, 5, 30, 30, 30), other, distance) is expected


# The chunk grid.


def test_expand_to_chunk_size():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.expand_to_chunk_size((8, 8, 8), (1, 1, 1)) == box(1, 1, 1, 33, 33, 33)


def test_shrink_to_chunk_size():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.shrink_to_chunk_size((8, 8, 8), (1, 1, 1)) == box(9, 9, 9, 25, 25, 25)


def test_shrink_to_too_large_chunks_is_empty():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.shrink_to_chunk_size((40, 8, 8)) == box(40, 8, 8, 40, 8, 8)


def test_round_to_chunk_size():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.round_to_chunk_size((8, 8, 8), (1, 1, 1)) == box(1, 1, 1, 33, 33, 33)


def test_round_to_chunk_size_takes_ties_to_even():
    bbox = box(-5, -15, 25, 35, 45, 55)
    assert bbox.round_to_chunk_size((10, 10, 10)) == box(0, -20, 20, 40, 40, 60)


def test_grid_accepts_single_numbers():
    assert box(5, 5, 5, 30, 30, 30).expand_to_chunk_size(8, 1) == box(1, 1, 1, 33, 33, 33)


def test_grid_with_negative_coordinates():
    bbox = box(-5, -5, -5, 5, 5, 5)
    assert bbox.expand_to_chunk_size((8, 8, 8)) == box(-8, -8, -8, 8, 8, 8)
    assert bbox.shrink_to_chunk_size((2, 2, 2)) == box(-4, -4, -4, 4, 4, 4)


def test_grid_of_floats_stays_float():
    expanded = box(1.5, 2.25, 3, 4, 5, 6.5).expand_to_chunk_size((2, 2, 2))
    assert expanded.to_list() == [0.0, 2.0, 2.0, 4.0, 6.0, 8.0]
    assert expanded.dtype == np.float64


def test_grid_leaves_the_original():
    bbox = box(5, 5, 5, 30, 30, 30)
    bbox.expand_to_chunk_size((8, 8, 8))
    assert bbox == box(5, 5, 5, 30, 30, 30)


@pytest.mark.parametrize("chunk", [0, (8, 0, 8), (8, -8, 8)])
def test_grid_rejects_chunks_that_are_not_positive(chunk):
    with pytest.raises(ValueError, match="positive"):
        box(5, 5, 5, 30, 30, 30).expand_to_chunk_size(chunk)


def test_is_chunk_aligned():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.is_chunk_aligned((5, 5, 5))
    assert not bbox.is_chunk_aligned((5, 5, 5), (1, 1, 1))
    assert not bbox.is_chunk_aligned((8, 8, 8))


def test_num_chunks_counts_from_the_lower_corner():
    assert box(1, 1, 1, 17, 17, 17).num_chunks((8, 8, 8)) == 8
    assert box(5, 5, 5, 30, 30, 30).num_chunks((8, 8, 8)) == 64


# Measures.


def test_size():
    assert repr(box(1, 2, 3, 4, 6, 8).size()) == "Vec(3,4,5, dtype=int64)"


def test_size3_has_three_axes():
    assert Bbox((1, 2, 3, 4), (10, 20, 30, 40)).size3().tolist() == [9, 18, 27]


def test_volume_is_exact():
    assert box(0, 0, 0, 10**7, 10**7, 10**6).volume() == 10**20


def test_volume_ignores_channels():
    assert Bbox((1, 2, 3, 4), (5, 6, 7, 8)).volume() == 64


def test_center_of_integers_has_fractions():
    assert box(0, 0, 0, 5, 5, 5).center().tolist() == [2.5, 2.5, 2.5]


@pytest.mark.parametrize(
    ("maxpt", "empty", "valid", "subvoxel"),
    [
        ((30, 30, 30), False, True, False),
        ((5, 30, 30), True, True, True),
        ((0, 10, 10), True, False, True),
    ],
)
def test_predicates_of_degenerate_boxes(maxpt, empty, valid, subvoxel):
    bbox = box(5, 5, 5, 30, 30, 30)
    bbox.maxpt = maxpt
    assert (bbox.empty(), bbox.valid(), bbox.subvoxel()) == (empty, valid, subvoxel)


def test_less_than_a_voxel_is_subvoxel():
    assert box(0, 0, 0, 0.5, 0.5, 0.5).subvoxel()
    assert not box(0, 0, 0, 0.5, 3, 3).subvoxel()


# Changes in place.


def test_grow_is_in_place_and_returns_the_box():
    bbox = box(5, 5, 5, 30, 30, 30)
    assert bbox.grow(1) is bbox
    assert bbox == box(4, 4, 4, 31, 31, 31)


def test_shrink_per_axis():
    assert box(5, 5, 5, 30, 30, 30).shrink((1, 2, 3)) == box(6, 7, 8, 29, 28, 27)


def test_adjust_in_both_directions():
    assert box(5, 5, 5, 30, 30, 30).adjust([1, -2, 3]) == box(4, 7, 2, 31, 28, 33)


def test_shrink_to_nothing():
    assert box(5, 5, 5, 31, 31, 31).shrink(13) == box(18, 18, 18, 18, 18, 18)


def test_shrink_below_nothing_raises_and_changes_nothing():
    bbox = box(5, 5, 5, 30, 30, 30)
    with pytest.raises(ValueError, match="negative"):
        bbox.shrink(13)
    assert bbox == box(5, 5, 5, 30, 30, 30)


def test_change_in_place_reaches_vectors_handed_out():
    bbox = box(5, 5, 5, 30, 30, 30)
    corner = bbox.minpt
    bbox.grow(1)
    assert corner.tolist() == [4, 4, 4]


# Arithmetic.


@pytest.mark.parametrize("operand", [(1, 2, 3), [1, 2, 3], Vec(1, 2, 3), np.array([1, 2, 3])])
def test_add_a_vector(operand):
    assert box(1, 2, 3, 4, 5, 6) + operand == box(2, 4, 6, 5, 7, 9)


def test_add_a_number_on_either_side():
    assert box(1, 2, 3, 4, 5, 6) + 1 == box(2, 3, 4, 5, 6, 7)
    assert 1 + box(1, 2, 3, 4, 5, 6) == box(2, 3, 4, 5, 6, 7)


def test_add_an_array_from_the_left():
    assert np.array([1, 2, 3]) + box(1, 2, 3, 4, 5, 6) == box(2, 4, 6, 5, 7, 9)


def test_add_a_box():
    assert box(1, 2, 3, 4, 5, 6) + box(1, 2, 3, 4, 5, 6) == box(2, 4, 6, 8, 10, 12)


def test_add_an_integral_float_stays_integer():
    assert (box(1, 2, 3, 4, 5, 6) + 1.0).dtype == np.int64


def test_add_a_fraction_is_not_truncated():
    assert (box(1, 2, 3, 4, 5, 6) + 1.5).to_list() == [2.5, 3.5, 4.5, 5.5, 6.5, 7.5]


def test_subtract():
    assert box(1, 2, 3, 4, 5, 6) - 1 == box(0, 1, 2, 3, 4, 5)
    assert box(1, 2, 3, 4, 5, 6) - box(1, 2, 3, 4, 5, 6) == box(0, 0, 0, 0, 0, 0)


def test_multiply_integers():
    product = box(1, 2, 3, 4, 5, 6) * (2, 3, 4)
    assert product == box(2, 6, 12, 8, 15, 24)
    assert product.dtype == np.int64


def test_multiply_by_a_float_is_float64():
    assert (box(1, 2, 3, 4, 5, 6) * 2.5).to_list() == [2.5, 5.0, 7.5, 10.0, 12.5, 15.0]
    assert (box(1, 2, 3, 4, 5, 6) * 2.0).dtype == np.float64


def test_multiply_by_a_negative_number_sorts_corners():
    assert box(1, 2, 3, 4, 5, 6) * -1 == box(-4, -5, -6, -1, -2, -3)


def test_divide_is_exact_and_float64():
    quotient = box(1, 2, 3, 4, 5, 6) / 2
    assert quotient.to_list() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert quotient.dtype == np.float64


def test_floor_divide_is_int64():
    quotient = box(-1.5, 2, 3, 4, 5, 6) // 2
    assert quotient.to_list() == [-1, 1, 1, 2, 2, 3]
    assert quotient.dtype == np.int64


def test_arithmetic_keeps_the_unit():
    assert (box(1, 2, 3, 4, 5, 6, unit="nm") * 2).unit == "nm"


def test_add_in_place():
    bbox = original = box(1, 2, 3, 4, 5, 6)
    bbox += (1, 2, 3)
    assert bbox is original
    assert original == box(2, 4, 6, 5, 7, 9)


def test_arithmetic_leaves_the_operand():
    bbox = box(1, 2, 3, 4, 5, 6)
    _ = bbox * 2
    assert bbox == box(1, 2, 3, 4, 5, 6)


def test_sum_beyond_64_bits_raises():
    with pytest.raises(OverflowError):
        box(0, 0, 0, 2**62, 1, 1) + 2**62


def test_add_something_else_is_a_type_error():
    with pytest.raises(TypeError):
        box(1, 2, 3, 4, 5, 6) + "1"


# Units.


def test_nanometres_to_voxels():
    bbox = box(40, -80, 1200, 80, -40, 1600, unit="nm")
    assert bbox.convert_units("vx", (4, 4, 40)) == box(10, -20, 30, 20, -10, 40)


def test_micrometres_to_voxels():
    bbox = box(1, 2, 3, 4, 5, 6, unit="um")
    assert bbox.convert_units("vx", (4, 4, 40)) == box(250, 500, 75, 1000, 1250, 150)


def test_picometres_to_voxels():
    bbox = box(4000, 8000, 40000, 8000, 16000, 80000, unit="pm")
    assert bbox.convert_units("vx", (4, 4, 40)) == box(1, 2, 1, 2, 4, 2)


def test_lengths_to_voxels_round_down():
    bbox = box(-41, -2, 3, 43, 5, 6, unit="nm")
    assert bbox.convert_units("vx", (4, 4, 40)) == box(-11, -1, 0, 10, 1, 0)


def test_lengths_to_voxels_forgive_rounding_errors():
    bbox = box(0.012, 0.3, 0.04, 0.024, 0.6, 0.08, unit="um")
    assert bbox.convert_units("vx", (4, 0.1, 40)) == box(3, 3000, 1, 6, 6000, 2)


def test_voxels_to_nanometres():
    converted = box(10, -20, 30, 20, -10, 40).convert_units("nm", (4, 4, 40))
    assert converted == box(40, -80, 1200, 80, -40, 1600, unit="nm")
    assert converted.dtype == np.int64


def test_voxels_to_another_unit_than_that_of_the_resolution():
    converted = box(10, -20, 30, 20, -10, 40).convert_units("um", (4, 4, 40))
    assert converted == box(0.04, -0.08, 1.2, 0.08, -0.04, 1.6, unit="um")


def test_voxels_by_a_resolution_in_micrometres():
    converted = box(1, 2, 3, 4, 5, 6).convert_units("nm", (4, 4, 40), "um")
    assert converted == box(4000, 8000, 120000, 16000, 20000, 240000, unit="nm")


def test_voxels_by_a_fractional_resolution():
    converted = box(1, 2, 3, 4, 5, 6).convert_units("nm", (4.5, 4, 40))
    assert converted.to_list() == [4.5, 8.0, 120.0, 18.0, 20.0, 240.0]


def test_length_to_length():
    converted = box(40, -80, 1200, 80, -40, 1600, unit="nm").convert_units("um")
    assert converted.to_list() == [0.04, -0.08, 1.2, 0.08, -0.04, 1.6]


def test_same_unit_is_a_copy():
    bbox = box(1, 2, 3, 4, 5, 6)
    assert bbox.convert_units("vx") == bbox
    assert bbox.convert_units("vx") is not bbox


@pytest.mark.parametrize(("source", "target"), [("vx", "ft"), ("ft", "nm"), ("ft", "vx")])
def test_unknown_unit_raises(source, target):
    with pytest.raises(ValueError, match="ft"):
        box(1, 2, 3, 4, 5, 6, unit=source).convert_units(target)


@pytest.mark.parametrize("operand", [2, 2.0, (2, 2, 2), np.array([2, 2, 2])], ids=repr)
def test_divide_in_place_keeps_integers(operand):
    same = whole = box(-5, -7, -9, 5, 7, 9, unit="nm")
    same /= operand
    assert same is whole
    assert same == box(-2, -3, -4, 2, 3, 4, unit="nm")
    assert same.dtype == np.int64
    assert same.to_filename() == "-2-2_-3-3_-4-4"


def test_divide_in_place_keeps_the_kind_of_floats():
    same = whole = Bbox((0.5, 0, 0), (10, 3, 4), dtype=np.float32)
    same /= 2
    assert same is whole
    assert same.dtype == np.float32
    assert same.to_list() == [0.25, 0, 0, 5, 1.5, 2]


def test_other_operators_in_place():
    same = whole = box(-5, -7, -9, 5, 7, 9)
    same //= 2
    assert same == box(-3, -4, -5, 2, 3, 4)
    same *= (1, 2, 3)
    assert same == box(-3, -8, -15, 2, 6, 12)
    same *= 2.5
    assert same.to_list() == [-7.5, -20, -37.5, 5, 15, 30]
    assert same is whole
    with pytest.raises(TypeError):
        same /= "2"
