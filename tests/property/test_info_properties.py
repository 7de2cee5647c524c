# SPDX-License-Identifier: BSD-3-Clause
"""Info files: hostile content, and scales against exact arithmetic."""

from __future__ import annotations

import contextlib
import copy
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast.errors import InfoValidationError
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import dump_info, load_info, parse_scale, validate_info
from cloudvolume_fast.model.info_creation import create_info
from cloudvolume_fast.model.mips import bbox_to_mip, point_to_mip

scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
size = st.tuples(*[st.integers(1, 2**20)] * 3)
offset = st.tuples(*[st.integers(-(2**50), 2**50)] * 3)
factor = st.tuples(*[st.integers(1, 4)] * 3)

BASE = create_info(
    1, "segmentation", "uint64", "compressed_segmentation", (4, 4, 40), (0, 0, 0), (9, 9, 9)
)


@given(anything)
def test_any_value_is_valid_or_a_validation_error(info):
    try:
        validate_info(info)
    except InfoValidationError:
        return
    pytest.fail("a random value was accepted")


@given(st.sampled_from(sorted(BASE)), anything)
def test_any_member_is_valid_or_a_validation_error(member, value):
    info = copy.deepcopy(BASE)
    info[member] = value
    try:
        validate_info(info)
    except InfoValidationError as error:
        assert member in str(error)  # noqa: PT017 - most draws raise, some do not


@given(st.sampled_from(sorted(BASE["scales"][0])), anything)
def test_any_scale_member_is_valid_or_a_validation_error(member, value):
    scale = copy.deepcopy(BASE["scales"][0])
    scale[member] = value
    try:
        parse_scale(scale, 7)
    except InfoValidationError as error:
        assert f"scales[7].{member}" in str(error)  # noqa: PT017


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_any_content_is_an_object_or_a_validation_error(content):
    with contextlib.suppress(InfoValidationError):
        assert isinstance(load_info(content), dict)


@given(size, offset, factor, st.integers(0, 4))
def test_created_scales_cover_the_volume(size, offset, factor, max_mip):
    info = create_info(
        1, "image", "uint8", "raw", (4, 4, 40), offset, size, max_mip=max_mip, factor=factor
    )
    validate_info(info)
    assert len(info["scales"]) == max_mip + 1
    for mip, raw in enumerate(info["scales"]):
        scale = parse_scale(raw, mip)
        for axis in range(3):
            ratio = factor[axis] ** mip
            assert scale.voxel_offset[axis] == offset[axis] // ratio
            assert scale.size[axis] - 1 < Fraction(size[axis], ratio) <= scale.size[axis]
    assert load_info(dump_info(info)) == info


@given(offset, factor)
def test_point_to_mip_agrees_with_exact_arithmetic(point, factor):
    info = create_info(
        1, "image", "uint8", "raw", (4, 4, 40), (0, 0, 0), (9, 9, 9), max_mip=2, factor=factor
    )
    expected = [p // f**2 for p, f in zip(point, factor, strict=True)]
    assert point_to_mip(info, point, 0, 2).tolist() == expected
    assert point_to_mip(info, expected, 2, 0).tolist() == [
        p * f**2 for p, f in zip(expected, factor, strict=True)
    ]


@given(offset, size, factor)
def test_bbox_to_mip_and_back_contains_the_box(low, extent, factor):
    info = create_info(
        1, "image", "uint8", "raw", (4, 4, 40), (0, 0, 0), (9, 9, 9), max_mip=3, factor=factor
    )
    bbox = Bbox.from_delta(low, extent)
    there = bbox_to_mip(info, bbox, 0, 3)
    assert bbox_to_mip(info, there, 3, 0).contains_bbox(bbox)
