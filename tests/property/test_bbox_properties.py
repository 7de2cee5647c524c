# SPDX-License-Identifier: BSD-3-Clause
"""Bbox against naive twins, over drawn boxes."""

from __future__ import annotations

import contextlib
import itertools
import math
import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast.model.bbox import Bbox

coordinate = st.integers(-(2**40), 2**40)
small = st.integers(-12, 12)
chunk = st.tuples(*[st.integers(1, 9)] * 3)
offset = st.tuples(*[st.integers(-9, 9)] * 3)


def boxes(element):
    return st.builds(Bbox, st.tuples(element, element, element), st.tuples(*[element] * 3))


def voxels(bbox):
    return set(itertools.product(*[range(s.start, s.stop) for s in bbox.to_slices()]))


@given(boxes(small), boxes(small))
def test_intersection_has_exactly_the_common_voxels(one, other):
    assert voxels(Bbox.intersection(one, other)) == voxels(one) & voxels(other)


@given(boxes(coordinate), boxes(coordinate))
def test_intersection_is_commutative(one, other):
    assert Bbox.intersection(one, other) == Bbox.intersection(other, one)


@given(boxes(coordinate))
def test_intersection_with_itself_is_itself_or_zero(bbox):
    zero = Bbox((0, 0, 0), (0, 0, 0))
    assert Bbox.intersection(bbox, bbox) == (zero if bbox.empty() else bbox)


@given(boxes(small), boxes(small))
def test_boxes_with_a_common_voxel_intersect(one, other):
    if voxels(one) & voxels(other):
        assert Bbox.intersects(one, other)


@given(boxes(coordinate), boxes(coordinate))
def test_expand_contains_both(one, other):
    whole = Bbox.expand(one, other)
    assert whole.contains_bbox(one)
    assert whole.contains_bbox(other)


@given(boxes(coordinate), boxes(coordinate))
def test_clamp_stays_within(one, other):
    assert other.contains_bbox(Bbox.clamp(one, other))


@given(boxes(small), chunk, offset)
def test_expand_to_chunk_size_is_the_smallest_aligned_box_around(bbox, chunk, offset):
    grown = bbox.expand_to_chunk_size(chunk, offset)
    assert grown.is_chunk_aligned(chunk, offset)
    assert grown.contains_bbox(bbox)
    for before, after, step in zip(bbox.to_list(), grown.to_list(), chunk * 2, strict=True):
        assert abs(after - before) < step


@given(boxes(small), chunk, offset)
def test_shrink_to_chunk_size_is_the_largest_aligned_box_within(bbox, chunk, offset):
    shrunk = bbox.shrink_to_chunk_size(chunk, offset)
    if shrunk.empty():
        return
    assert shrunk.is_chunk_aligned(chunk, offset)
    assert bbox.contains_bbox(shrunk)
    for before, after, step in zip(bbox.to_list(), shrunk.to_list(), chunk * 2, strict=True):
        assert abs(after - before) < step


@given(boxes(small), chunk, offset)
def test_round_to_chunk_size_agrees_with_numpy(bbox, chunk, offset):
    corners = np.array([bbox.minpt, bbox.maxpt])
    expected = np.round((corners - offset) / chunk) * chunk + offset
    assert bbox.round_to_chunk_size(chunk, offset).to_list() == expected.ravel().tolist()


@given(boxes(small), chunk)
def test_num_chunks_agrees_with_numpy(bbox, chunk):
    expected = np.prod(np.ceil((bbox.maxpt - bbox.minpt) / np.array(chunk)))
    assert bbox.num_chunks(chunk) == int(expected)


@given(boxes(coordinate))
def test_volume_is_the_product_of_sizes(bbox):
    assert bbox.volume() == math.prod(bbox.size().tolist())


@given(boxes(coordinate))
def test_filename_round_trip(bbox):
    assert Bbox.from_filename(bbox.to_filename()) == bbox


@given(boxes(st.floats(-1e12, 1e12)))
def test_filename_round_trip_of_floats(bbox):
    assert Bbox.from_filename(bbox.to_filename(), dtype=float) == bbox


@given(boxes(coordinate | st.floats(-1e12, 1e12)), st.sampled_from(["vx", "nm", "um"]))
def test_serialisation_round_trips(bbox, unit):
    bbox.unit = unit
    assert Bbox.deserialize(bbox.serialize()) == bbox
    assert pickle.loads(pickle.dumps(bbox)) == bbox


@given(boxes(coordinate))
def test_list_and_slices_round_trip(bbox):
    assert Bbox.from_list(bbox.to_list()) == bbox
    assert Bbox.from_slices(bbox.to_slices()) == bbox
    assert Bbox.create(bbox.to_list()) == bbox


@given(boxes(coordinate))
def test_reading_a_corner_changes_nothing(bbox):
    twin = bbox.clone()
    _ = bbox.minpt, bbox.maxpt
    assert bbox == twin
    assert hash(bbox) == hash(twin)


@given(boxes(coordinate), st.tuples(*[st.integers(-(2**20), 2**20)] * 3))
def test_addition_and_subtraction_agree_with_numpy(bbox, delta):
    assert (bbox + delta).minpt.tolist() == (bbox.minpt + np.array(delta)).tolist()
    assert (bbox + delta) - delta == bbox


@given(boxes(small), st.integers(-5, 5).filter(bool))
def test_multiplication_is_undone_by_division(bbox, factor):
    assert (bbox * factor) // factor == bbox
    assert (bbox * factor) / factor == bbox


@given(boxes(coordinate), st.tuples(*[st.integers(1, 500)] * 3))
def test_voxels_to_lengths_and_back(bbox, resolution):
    for unit in ("pm", "nm", "um", "mm", "m"):
        there = bbox.convert_units(unit, resolution)
        assert there.convert_units("vx", resolution) == bbox


@given(st.text() | st.from_regex(r"[0-9_.e-]{0,40}"))
def test_any_name_is_a_box_or_a_value_error(name):
    with contextlib.suppress(ValueError, OverflowError):
        Bbox.from_filename(name)


index = st.none() | st.integers(-15, 15) | st.floats(-15, 15) | st.just(...)
part = index | st.builds(slice, index, index, st.none() | st.integers(-2, 3))


@given(boxes(small), st.lists(part, max_size=5), st.booleans(), st.booleans())
def test_reified_slices_are_complete_and_within_bounds(context, parts, bounded, autocrop):
    try:
        reified = context.reify_slices(tuple(parts), bounded=bounded, autocrop=autocrop)
    except ValueError:
        return
    assert len(reified) == 3
    numbers = any(isinstance(item, (int, float)) for item in parts)
    for item, low, high in zip(reified, context.minpt, context.maxpt, strict=True):
        assert item.step >= 1
        # Cropping applies to slices; a number outside is left to whoever crops the box.
        if (bounded and not autocrop) or (autocrop and not numbers):
            assert low <= item.start <= high
            assert low <= item.stop <= high
