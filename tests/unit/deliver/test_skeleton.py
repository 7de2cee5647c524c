# SPDX-License-Identifier: BSD-3-Clause
"""The class of skeletons: osteoid's, with this package's bytes, exceptions and way back to voxel space."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import osteoid
import osteoid.exceptions
import pytest

from cloudvolume_fast import PrecomputedSkeleton, Skeleton, errors
from cloudvolume_fast.deliver.skeleton import DEFAULT_ATTRIBUTES, parse_attributes


def sample(**changes) -> Skeleton:
    vertices = np.arange(12, dtype=np.float32).reshape(4, 3)
    edges = np.array([[0, 1], [1, 2], [1, 3]], np.uint32)
    return Skeleton(**({"vertices": vertices, "edges": edges, "segid": 7} | changes))


def test_osteoids_skeletons_are_instances_both_ways() -> None:
    assert PrecomputedSkeleton is Skeleton
    assert isinstance(sample(), osteoid.Skeleton)
    assert isinstance(osteoid.Skeleton(), Skeleton)
    assert not isinstance(object(), Skeleton)


def test_what_methods_return_is_of_the_class() -> None:
    skeleton = sample()
    made = [
        skeleton.clone(),
        skeleton.consolidate(),
        skeleton.downsample(2),
        skeleton.crop(osteoid.Bbox((0, 0, 0), (5, 5, 5))),
        skeleton.physical_space(),
        skeleton.voxel_space(),
        skeleton.merge(skeleton),
        Skeleton.simple_merge([skeleton, skeleton]),
        Skeleton.from_path(skeleton.vertices),
        *skeleton.components(),
        copy.deepcopy(skeleton),
        pickle.loads(pickle.dumps(skeleton)),
    ]
    assert {type(each) for each in made} == {Skeleton}


def test_bytes_come_back_with_any_attributes() -> None:
    skeleton = sample()
    skeleton.extra_attributes.append({"id": "area", "data_type": "float32", "num_components": 2})
    skeleton.area = np.arange(8, dtype=np.float32).reshape(4, 2)
    data = skeleton.to_precomputed()
    assert len(data) == 100 + 32
    back = Skeleton.from_precomputed(data, segid=7, vertex_attributes=skeleton.extra_attributes)
    np.testing.assert_array_equal(back.area, skeleton.area)
    assert (back.id, back.space) == (7, "voxel")
    assert back == skeleton
    data = sample().to_precomputed()
    assert osteoid.Skeleton.from_precomputed(data) == sample(segid=None)
    assert Skeleton.decode(sample().encode()) == sample(segid=None)


def test_bare_skeletons_get_unknown_radii_and_types() -> None:
    bare = Skeleton.from_precomputed(sample().to_precomputed()[:80])
    assert bare.radius.tolist() == [-1] * 4
    assert bare.vertex_types.tolist() == [0] * 4
    assert bare.extra_attributes == [a.to_dict() for a in DEFAULT_ATTRIBUTES]


def test_attributes_that_were_left_out_are_unknown_or_empty() -> None:
    skeleton = sample(radii=np.ones(4, np.float32))
    listed = [
        *skeleton.extra_attributes,
        {"id": "area", "data_type": "float32", "num_components": 3},
    ]
    back = Skeleton.from_precomputed(skeleton.to_precomputed()[:96], vertex_attributes=listed)
    assert back.radius.tolist() == [1] * 4
    assert back.vertex_types.tolist() == [0] * 4
    assert back.area.shape == (0, 3)
    back = Skeleton.from_precomputed(skeleton.to_precomputed(), vertex_attributes=listed)
    assert back.area.shape == (0, 3)


def test_radii_is_another_name_of_radius() -> None:
    listed = [{"id": "radii", "data_type": "float32", "num_components": 1}]
    back = Skeleton.from_precomputed(
        sample(radii=np.ones(4, np.float32)).to_precomputed(), vertex_attributes=listed
    )
    assert back.radius.tolist() == back.radii.tolist() == [1] * 4


def test_voxel_space_undoes_physical_space() -> None:
    skeleton = sample(transform=[[2, 0, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3]])
    there = skeleton.physical_space()
    assert there.vertices[0].tolist() == [1, 4, 7]
    np.testing.assert_array_equal(there.voxel_space().vertices, skeleton.vertices)
    with pytest.raises(errors.SkeletonTransformError, match="undone"):
        sample(transform=np.zeros((3, 4)), space="physical").voxel_space()


@pytest.mark.parametrize(
    "kind", [errors.SkeletonTransformError, osteoid.exceptions.SkeletonTransformError]
)
def test_exceptions_are_of_both_packages(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        sample(space="somewhere").physical_space()


def test_skeletons_of_other_attributes_do_not_mix() -> None:
    other = sample()
    other.extra_attributes = other.extra_attributes[:1]
    with pytest.raises(errors.SkeletonAttributeMixingError):
        Skeleton.simple_merge([sample(), other])


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "a"},
        "radius",
        {"id": "a", "data_type": "nonsense", "num_components": 1},
        {"id": "a", "data_type": "object", "num_components": 1},
        {"id": "a", "data_type": "S8", "num_components": 1},
        {"id": "a", "data_type": "complex64", "num_components": 1},
        {"id": "a", "data_type": "float32", "num_components": 0},
        {"id": "a", "data_type": "float32", "num_components": 2**40},
        {"id": "vertices", "data_type": "float32", "num_components": 1},
        {"id": "clone", "data_type": "float32", "num_components": 1},
        {"id": 5, "data_type": "float32", "num_components": 1},
    ],
)
def test_attributes_that_make_no_sense_are_refused(entry) -> None:
    with pytest.raises(errors.InfoValidationError, match=r"info: vertex_attributes\[0\]"):
        parse_attributes([entry], "info")


def test_an_attribute_is_listed_once() -> None:
    entry = {"id": "a", "data_type": "float32", "num_components": 1}
    with pytest.raises(errors.InfoValidationError, match=r"vertex_attributes\[1\]"):
        parse_attributes([entry, entry], "info")


def test_importing_the_package_imports_no_osteoid() -> None:
    code = "import sys, cloudvolume_fast, cloudvolume_fast.compat.facade; print('osteoid' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
