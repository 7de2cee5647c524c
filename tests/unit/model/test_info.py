# SPDX-License-Identifier: BSD-3-Clause
"""The info file: checking, parsing, creating, extending, serialising."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest

from cloudvolume_fast.errors import InfoValidationError, InvalidArgumentError, ScaleUnavailableError
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import (
    dump_info,
    load_info,
    parse_scale,
    validate_for_commit,
    validate_info,
)
from cloudvolume_fast.model.info_creation import add_scale, create_info, reset_scales
from cloudvolume_fast.model.mips import bbox_to_mip, point_to_mip
from cloudvolume_fast.model.vec import Vec

ABSENT = object()


def make_info(**options):
    arguments = {
        "num_channels": 1,
        "layer_type": "image",
        "data_type": "uint8",
        "encoding": "raw",
        "resolution": (4, 4, 40),
        "voxel_offset": (0, 0, 0),
        "volume_size": (100, 90, 40),
        "max_mip": 1,
    }
    return create_info(**{**arguments, **options})


def put(where, name, value):
    if value is ABSENT:
        del where[name]
    else:
        where[name] = value


# Checking.


def test_valid_info_passes():
    validate_info(make_info())


def test_unknown_members_pass():
    info = make_info()
    info["anything"] = {"a": [1]}
    info["scales"][0]["anything"] = None
    validate_info(info)


def test_unknown_encoding_passes():
    validate_info(make_info(encoding="from_the_future"))


def test_numpy_values_pass():
    info = make_info(num_channels=np.int64(3))
    info["num_channels"] = np.int64(3)
    info["scales"][0].update(size=np.array([1, 2, 3]), resolution=Vec(4, 4, 40.5))
    validate_info(info)


def test_integral_floats_pass_for_integers():
    info = make_info()
    info["num_channels"] = 1.0
    info["scales"][0].update(size=[64.0, 1, 1], chunk_sizes=[[64.0, 64.0, 64.0]])
    validate_info(info)


@pytest.mark.parametrize("info", [None, [], "x", 5, True])
def test_info_that_is_no_object_raises(info):
    with pytest.raises(InfoValidationError, match="info: expected a JSON object"):
        validate_info(info)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("scales", ABSENT),
        ("scales", []),
        ("scales", {}),
        ("scales", None),
        ("scales", "x"),
        ("data_type", ABSENT),
        ("data_type", "uint7"),
        ("data_type", "object"),
        ("data_type", "u1,u2"),
        ("data_type", 5),
        ("data_type", ["uint8"]),
        ("num_channels", ABSENT),
        ("num_channels", 0),
        ("num_channels", -1),
        ("num_channels", 1.5),
        ("num_channels", True),
        ("num_channels", "1"),
        ("num_channels", math.nan),
        ("num_channels", math.inf),
        ("type", 5),
        ("mesh", 5),
        ("redirect", ["gs://a"]),
    ],
)
def test_malformed_member_raises(member, value):
    info = make_info()
    put(info, member, value)
    with pytest.raises(InfoValidationError, match=f"^info: {member}: expected"):
        validate_info(info)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("key", ABSENT),
        ("key", None),
        ("key", 5),
        ("key", "/etc"),
        ("key", "gs://b/x"),
        ("key", "C:\\x"),
        ("encoding", ABSENT),
        ("encoding", ""),
        ("encoding", 5),
        ("size", ABSENT),
        ("size", [1, 2]),
        ("size", [1, 2, 3, 4]),
        ("size", [1, 2, 0]),
        ("size", [1, 2, -3]),
        ("size", [1, 2, 2.5]),
        ("size", [1, 2, math.nan]),
        ("size", [1, 2, math.inf]),
        ("size", [1, 2, True]),
        ("size", [1, 2, "3"]),
        ("size", [1, 2, None]),
        ("size", "123"),
        ("size", 5),
        ("size", {"x": 1}),
        ("compressed_segmentation_block_size", [2**10, 2**10, 2**10]),
        ("size", [2**64, 1, 1]),
        ("size", [1e300, 1, 1]),
        ("voxel_offset", [0, 0]),
        ("voxel_offset", [0, 0, 0.5]),
        ("voxel_offset", "000"),
        ("voxel_offset", [2**63 - 50, 0, 0]),
        ("voxel_offset", [-(2**63) - 1, 0, 0]),
        ("resolution", ABSENT),
        ("resolution", [4, 4]),
        ("resolution", [4, 4, 0]),
        ("resolution", [4, 4, -1]),
        ("resolution", [4, 4, math.inf]),
        ("resolution", [4, 4, math.nan]),
        ("resolution", [4, 4, True]),
        ("resolution", ["4", "4", "40"]),
        ("chunk_sizes", ABSENT),
        ("chunk_sizes", []),
        ("chunk_sizes", [64, 64, 64]),
        ("chunk_sizes", [[64, 64]]),
        ("chunk_sizes", [[64, 64, 0]]),
        ("chunk_sizes", [[64, 64, 64], [1, 1]]),
        ("sharding", "x"),
        ("sharding", []),
        ("compressed_segmentation_block_size", [8, 8]),
    ],
)
def test_malformed_scale_member_raises(member, value):
    info = make_info()
    put(info["scales"][1], member, value)
    with pytest.raises(InfoValidationError, match=rf"^info: scales\[1\]\.{member}"):
        validate_info(info)


def test_scale_that_is_no_object_raises():
    info = make_info()
    info["scales"][1] = [1]
    with pytest.raises(InfoValidationError, match=r"^info: scales\[1\]: expected a JSON object"):
        validate_info(info)


def test_compressed_segmentation_needs_a_block_size():
    info = make_info(encoding="compressed_segmentation", data_type="uint64")
    del info["scales"][0]["compressed_segmentation_block_size"]
    with pytest.raises(InfoValidationError, match=r"scales\[0\].compressed_segmentation_block"):
        validate_info(info)


def test_sharded_scale_has_one_chunk_size():
    info = make_info()
    info["scales"][0].update(sharding={}, chunk_sizes=[[64, 64, 64], [32, 32, 32]])
    with pytest.raises(InfoValidationError, match="sharded"):
        validate_info(info)


def test_message_names_file_member_expectation_and_finding():
    info = make_info()
    info["scales"][1]["size"] = [0, 1, 1]
    with pytest.raises(InfoValidationError) as caught:
        validate_info(info, "gs://b/l/info")
    assert str(caught.value) == (
        "gs://b/l/info: scales[1].size: expected 3 positive integers, found [0, 1, 1]"
    )
    assert caught.value.found == [0, 1, 1]


def test_message_is_short_for_long_values():
    info = make_info()
    info["scales"][1]["size"] = [1] * 10**6
    with pytest.raises(InfoValidationError) as caught:
        validate_info(info)
    assert len(str(caught.value)) < 400


def test_checking_changes_nothing():
    info = make_info()
    before = copy.deepcopy(info)
    validate_info(info)
    assert info == before


# Parsing.


def test_parse_scale():
    raw = {
        "key": "../x/4_4_40",
        "size": [64.0, 90, 40],
        "voxel_offset": [-3, 5, 7],
        "resolution": [4, 4.0, 40.5],
        "chunk_sizes": [[32, 32, 16], [64, 64, 1]],
        "encoding": "compressed_segmentation",
        "compressed_segmentation_block_size": [8, 8, 4],
        "hidden": True,
    }
    scale = parse_scale(raw, 0)
    assert scale.key == "../x/4_4_40"
    assert scale.size == (64, 90, 40)
    assert [type(v) for v in scale.size] == [int] * 3
    assert scale.voxel_offset == (-3, 5, 7)
    assert [repr(v) for v in scale.resolution] == ["4", "4.0", "40.5"]
    assert scale.chunk_size == (32, 32, 16)
    assert scale.encoding == "compressed_segmentation"
    assert scale.block_size == (8, 8, 4)
    assert scale.sharding is None
    assert not scale.is_sharded
    assert scale.raw is raw
    assert scale.bounds == Bbox((-3, 5, 7), (61, 95, 47))


def test_parse_scale_without_offset():
    raw = make_info()["scales"][0]
    del raw["voxel_offset"]
    assert parse_scale(raw, 0).voxel_offset == (0, 0, 0)


def test_parse_scale_with_null_members():
    raw = make_info()["scales"][0] | {"voxel_offset": None, "sharding": None}
    assert parse_scale(raw, 0).sharding is None


def test_scale_is_a_value():
    raw = make_info()["scales"][0]
    sharded = raw | {"sharding": {"@type": "neuroglancer_uint64_sharded_v1"}}
    assert parse_scale(raw, 0) == parse_scale(raw | {"hidden": True}, 3)
    assert hash(parse_scale(sharded, 0)) == hash(parse_scale(sharded, 0))
    assert parse_scale(sharded, 0).is_sharded
    assert parse_scale(sharded, 0) != parse_scale(raw, 0)


# Loading.


def test_load_info():
    assert load_info(b'{"scales": [], "z": "\xc3\xa9"}') == {"scales": [], "z": "é"}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"5", b"\xff\xff", b"[" * 100_000, b'{"a": 1} x', "{'a': 1}"]
)
def test_load_info_rejects_other_content(content):
    with pytest.raises(InfoValidationError, match=r"^gs://b/info: expected"):
        load_info(content, "gs://b/info")


def test_load_info_says_where():
    with pytest.raises(InfoValidationError) as caught:
        load_info(b'{"a": }')
    assert caught.value.offset == 6


# Creating.


def test_create_info_layout():
    assert make_info(max_mip=0) == {
        "num_channels": 1,
        "type": "image",
        "data_type": "uint8",
        "scales": [
            {
                "encoding": "raw",
                "chunk_sizes": [[128, 128, 64]],
                "key": "4_4_40",
                "resolution": [4, 4, 40],
                "voxel_offset": [0, 0, 0],
                "size": [100, 90, 40],
            }
        ],
    }


def test_create_info_rounds_offsets_down_and_sizes_up():
    info = make_info(voxel_offset=(-3, 5, 7), volume_size=(10, 6, 5), max_mip=2)
    assert [scale["voxel_offset"] for scale in info["scales"]] == [
        [-3, 5, 7],
        [-2, 2, 7],
        [-1, 1, 7],
    ]
    assert [scale["size"] for scale in info["scales"]] == [[10, 6, 5], [5, 3, 5], [3, 2, 5]]
    assert [scale["key"] for scale in info["scales"]] == ["4_4_40", "8_8_40", "16_16_40"]


def test_create_info_divides_large_sizes_exactly():
    info = make_info(volume_size=(100000001, 33554433, 1), voxel_offset=(-33554433, 2**53 + 1, 0))
    assert info["scales"][1]["size"] == [50000001, 16777217, 1]
    assert info["scales"][1]["voxel_offset"] == [-16777217, 2**52, 0]


def test_create_info_with_a_fraction_makes_all_resolutions_floats():
    info = make_info(resolution=(4.5, 4, 40))
    assert [scale["key"] for scale in info["scales"]] == ["4.5_4.0_40.0", "9.0_8.0_40.0"]
    assert [type(v) for v in info["scales"][1]["resolution"]] == [float] * 3


def test_create_info_with_factor():
    info = make_info(factor=(2, 2, 2), max_mip=2)
    assert info["scales"][2]["resolution"] == [16, 16, 160]
    assert info["scales"][2]["size"] == [25, 23, 10]


def test_create_info_converts_numpy_arguments():
    info = make_info(
        num_channels=np.int64(2),
        data_type=np.uint64,
        resolution=np.array([4, 4, 40]),
        voxel_offset=Vec(1, 2, 3),
        volume_size=np.array([10.0, 20.0, 30.0]),
        chunk_size=np.array([8, 8, 8], dtype=np.uint16),
    )
    assert json.loads(json.dumps(info)) == info
    assert info["data_type"] == "uint64"
    assert info["scales"][0]["key"] == "4_4_40"


def test_create_info_adds_block_size_for_compressed_segmentation_only():
    member = "compressed_segmentation_block_size"
    info = make_info(encoding="compressed_segmentation", **{member: (4, 4, 4)})
    assert [scale[member] for scale in info["scales"]] == [[4, 4, 4], [4, 4, 4]]
    assert member not in make_info()["scales"][0]


@pytest.mark.parametrize(
    ("encoding", "member"),
    [
        ("jpeg", "jpeg_quality"),
        ("png", "png_level"),
        ("jxl", "jxl_quality"),
        ("fpzip", "fpzip_precision"),
    ],
)
def test_encoding_level_is_stored_at_every_scale(encoding, member):
    info = make_info(encoding=encoding, encoding_level=7)
    assert [scale[member] for scale in info["scales"]] == [7, 7]


def test_encoding_level_0_is_stored():
    assert make_info(encoding="png", encoding_level=0)["scales"][0]["png_level"] == 0


def test_encoding_effort_is_stored_for_jxl():
    assert make_info(encoding="jxl", encoding_effort=3)["scales"][0]["jxl_effort"] == 3


def test_encoding_level_without_a_member_is_ignored():
    assert make_info(encoding_level=7, encoding_effort=3) == make_info()


@pytest.mark.parametrize(
    ("argument", "expected"), [(True, "mesh"), ("m", "m"), (None, None), (False, None), ("", None)]
)
def test_create_info_mesh(argument, expected):
    assert make_info(mesh=argument).get("mesh") == expected


def test_create_info_skeletons():
    assert make_info(skeletons=True)["skeletons"] == "skeletons"
    assert "skeletons" not in make_info()


def test_create_info_redirect():
    assert make_info(redirect="gs://b/d/l")["redirect"] == "gs://b/d/l"
    assert "redirect" not in make_info()


@pytest.mark.parametrize(
    "options",
    [
        {"resolution": (4, 4)},
        {"volume_size": "abc"},
        {"volume_size": (1, 2, math.nan)},
        {"factor": (0.3, 2, 2)},
        {"data_type": "foo"},
        {"chunk_size": (64, 64)},
    ],
)
def test_create_info_rejects_malformed_arguments(options):
    with pytest.raises(InvalidArgumentError):
        make_info(**options)


# Extending.


def test_add_scale_appends():
    info = make_info()
    scale = add_scale(info, (4, 4, 1))
    assert info["scales"][2] is scale
    assert scale == {
        "encoding": "raw",
        "chunk_sizes": [[64, 64, 64]],
        "key": "16_16_40",
        "resolution": [16, 16, 40],
        "voxel_offset": [0, 0, 0],
        "size": [25, 23, 40],
    }


def test_add_scale_replaces_one_of_the_same_resolution():
    info = make_info()
    scale = add_scale(info, (2, 2, 1), encoding="jpeg", encoding_level=33)
    assert info["scales"][1] is scale
    assert len(info["scales"]) == 2
    assert (scale["encoding"], scale["jpeg_quality"]) == ("jpeg", 33)


def test_add_scale_stores_the_level_of_jxl():
    assert add_scale(make_info(), (4, 4, 1), encoding="jxl", encoding_level=33)["jxl_quality"] == 33


def test_add_scale_with_chunk_size():
    scale = add_scale(make_info(), (4, 4, 1), chunk_size=Vec(32, 32, 16))
    assert scale["chunk_sizes"] == [[32, 32, 16]]


@pytest.mark.parametrize(
    ("chunk", "expected"), [(96, 48), (200, 50), (100, 50), (127, 1), (130, 65), (448, 64), (1, 1)]
)
def test_add_scale_takes_the_divisor_closest_to_64(chunk, expected):
    scale = add_scale(make_info(chunk_size=(chunk,) * 3), (4, 4, 1))
    assert scale["chunk_sizes"] == [[expected] * 3]


def test_add_scale_copies_the_block_size():
    member = "compressed_segmentation_block_size"
    info = make_info(encoding="compressed_segmentation", **{member: (4, 4, 4)})
    assert add_scale(info, (4, 4, 1))[member] == [4, 4, 4]
    assert add_scale(make_info(), (4, 4, 1), encoding="compressed_segmentation")[member] == [8] * 3


def test_add_scale_divides_large_sizes_exactly():
    info = make_info(volume_size=(100000001, 33554433, 1))
    assert add_scale(info, (2, 2, 1))["size"] == [50000001, 16777217, 1]


def test_add_scale_warns_about_odd_factors():
    info = make_info()
    with pytest.warns(UserWarning, match="power of two"):
        scale = add_scale(info, (2.6, 2.6, 1))
    assert scale["resolution"] == [12, 12, 40]


def test_add_scale_rejects_refinement():
    info = make_info()
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        add_scale(info, (0.5, 0.5, 1))
    assert len(info["scales"]) == 2


def test_add_scale_with_one_number():
    assert add_scale(make_info(), 4)["resolution"] == [16, 16, 160]


def test_reset_scales_keeps_mip_0():
    info = make_info(max_mip=3)
    first = info["scales"][0]
    reset_scales(info)
    assert info["scales"] == [first]


# Serialising.


def test_dump_info_sorts_and_indents():
    assert dump_info({"b": [1], "a": "é"}) == b'{\n  "a": "\\u00e9",\n  "b": [\n    1\n  ]\n}'


def test_dump_info_converts_numpy_values():
    info = {
        "a": np.int64(1),
        "b": np.float32(0.5),
        "c": np.array([1, 2]),
        "d": Vec(1, 2),
        "e": np.bool_(True),
    }
    assert json.loads(dump_info(info)) == {"a": 1, "b": 0.5, "c": [1, 2], "d": [1, 2], "e": True}


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1}, b"x", np.float64("nan")])
def test_dump_info_rejects_what_json_cannot_express(value):
    with pytest.raises(InfoValidationError):
        dump_info({"a": value})


def test_dumped_info_loads_to_the_same():
    info = make_info(resolution=(4.5, 4, 40))
    assert load_info(dump_info(info)) == info


def test_commit_needs_a_block_size():
    info = make_info(encoding="compressed_segmentation", data_type="uint64")
    del info["scales"][1]["compressed_segmentation_block_size"]
    with pytest.raises(KeyError) as caught:
        validate_for_commit(info)
    assert str(caught.value).startswith("info: scales[1].compressed_segmentation_block_size")


@pytest.mark.parametrize("data_type", ["uint8", "int64", "float32"])
def test_commit_of_compressed_segmentation_needs_a_suitable_data_type(data_type):
    info = make_info(encoding="compressed_segmentation", data_type=data_type)
    with pytest.raises(ValueError, match="uint32 or uint64"):
        validate_for_commit(info)


@pytest.mark.parametrize("data_type", ["uint32", "uint64"])
def test_commit_of_compressed_segmentation(data_type):
    validate_for_commit(make_info(encoding="compressed_segmentation", data_type=data_type))


# Coordinates of other mips.


def test_point_to_mip_rounds_down():
    assert repr(point_to_mip(make_info(), (11, -21, 30), 0, 1)) == "Vec(5,-11,30, dtype=int64)"


def test_point_to_finer_mip():
    assert point_to_mip(make_info(), (5, 10, 30), 1, 0).tolist() == [10, 20, 30]


def test_point_to_mip_rounds_once():
    info = make_info(factor=(3, 3, 1), max_mip=2)
    assert point_to_mip(info, (26, 27, 5), 0, 2).tolist() == [2, 3, 5]


def test_point_to_mip_with_inexact_resolutions():
    info = make_info()
    info["scales"][0]["resolution"] = [0.1, 0.1, 40]
    info["scales"][1]["resolution"] = [0.3, 0.1 * 3, 40]
    assert point_to_mip(info, (10, 10, 1), 1, 0).tolist() == [30, 30, 1]
    assert point_to_mip(info, (30, 30, 1), 0, 1).tolist() == [10, 10, 1]


def test_point_to_mip_is_exact_for_large_coordinates():
    assert point_to_mip(make_info(), (2**60 + 1, 0, 0), 1, 0).tolist() == [2**61 + 2, 0, 0]


def test_mip_conversion_is_exact_at_factor_3():
    info = make_info(factor=(3, 3, 1))
    bbox = Bbox((-8304, 48, 0), (5952, 1137, 1))
    assert point_to_mip(info, (-8304, 7977, 0), 0, 1).tolist() == [-2768, 2659, 0]
    assert bbox_to_mip(info, bbox, 0, 1) == Bbox((-2768, 16, 0), (1984, 379, 1))


def test_bbox_to_mip_rounds_outward():
    bbox = Bbox((10, 20, 30), (15, 25, 31))
    assert bbox_to_mip(make_info(), bbox, 0, 1) == Bbox((5, 10, 30), (8, 13, 31))


def test_bbox_to_finer_mip():
    bbox = Bbox((5, 10, 30), (8, 13, 31))
    assert bbox_to_mip(make_info(), bbox, 1, 0) == Bbox((10, 20, 30), (16, 26, 31))


def test_bbox_to_same_mip():
    bbox = Bbox((5, 10, 30), (8, 13, 31))
    assert bbox_to_mip(make_info(), bbox, 1, 1) == bbox


def test_bbox_to_mip_goes_one_mip_at_a_time():
    info = make_info(max_mip=2, resolution=(4, 4, 40))
    info["scales"][1]["resolution"] = [6, 6, 40]
    info["scales"][2]["resolution"] = [8, 8, 40]
    bbox = Bbox((0, 0, 0), (2, 4, 1))
    assert bbox_to_mip(info, bbox, 0, 2) == Bbox((0, 0, 0), (2, 3, 1))


@pytest.mark.parametrize("mips", [(0, 2), (2, 0), (-3, 0)])
def test_absent_mip_raises(mips):
    with pytest.raises(ScaleUnavailableError):
        point_to_mip(make_info(), (0, 0, 0), *mips)
