# SPDX-License-Identifier: BSD-3-Clause
"""Skeletons that kimimaro and igneous made are read exactly as cloud-volume reads them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume, CloudVolumePrecomputed

HERE = Path(__file__).parent
ARCHIVES = json.loads((HERE / "MANIFEST_skeletons.json").read_text())["archives"]
ATTRIBUTES = {
    "igneous_files": ["radius", "cross_sectional_area"],
    "igneous_sharded": ["radius"],
}


@pytest.fixture(params=ARCHIVES, ids=[entry["name"] for entry in ARCHIVES])
def entry(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


@pytest.fixture
def vol(entry: dict[str, Any], tmp_path: Path) -> CloudVolumePrecomputed:
    content = (HERE / "skeletons" / f"{entry['name']}.zip").read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path / "layer")
    return CloudVolume(f"file://{tmp_path}/layer", progress=False)


@pytest.fixture
def expected(vol: CloudVolumePrecomputed) -> dict[str, Any]:
    with np.load(Path(vol.cloudpath.removeprefix("file://")) / "expected.npz") as arrays:
        return dict(arrays)


def test_skeletons_are_read_exactly(
    entry: dict[str, Any], vol: CloudVolumePrecomputed, expected: dict[str, Any]
) -> None:
    labels = expected["labels"].tolist()
    assert len(labels) == entry["skeletons"]
    found = vol.skeleton.get(labels)
    assert [skeleton.id for skeleton in found] == labels
    for skeleton in found:
        assert [a["id"] for a in skeleton.extra_attributes] == ATTRIBUTES[entry["name"]]
        for name in ("vertices", "edges", *ATTRIBUTES[entry["name"]]):
            array = expected[f"{skeleton.id}_{name}"]
            np.testing.assert_array_equal(getattr(skeleton, name), array)
            assert getattr(skeleton, name).dtype == array.dtype


def test_spatial_index_answers_as_cloud_volumes(
    vol: CloudVolumePrecomputed, expected: dict[str, Any], tmp_path: Path
) -> None:
    index = vol.skeleton.spatial_index
    assert index is not None
    box = Bbox(expected["box"][:3].tolist(), expected["box"][3:].tolist())
    assert sorted(index.query(index.physical_bounds)) == expected["indexed"].tolist()
    assert sorted(index.query(box)) == expected["in_box"].tolist()
    assert 0 < len(expected["in_box"]) < len(expected["indexed"])
    assert vol.skeleton.list().tolist() == expected["indexed"].tolist()
    database = f"sqlite://{tmp_path}/index.db"
    index.to_sql(database)
    mirror = CloudVolume(vol.cloudpath, spatial_index_db=database).skeleton.spatial_index
    assert mirror is not None
    assert mirror.query(mirror.physical_bounds).tolist() == expected["indexed"].tolist()
    assert mirror.file_locations_per_label() == index.file_locations_per_label()


def test_what_was_read_is_written_byte_by_byte(
    entry: dict[str, Any], vol: CloudVolumePrecomputed, expected: dict[str, Any]
) -> None:
    keys = [f"skeletons_mip_0/{label}" for label in expected["labels"]]
    if vol.skeleton.meta.is_sharded():
        stored = list(vol.skeleton.reader.get_data(expected["labels"], "skeletons_mip_0").values())
    else:
        stored = vol.meta.store.get_many(keys)
    found = vol.skeleton.get(expected["labels"])
    assert [skeleton.to_precomputed() for skeleton in found] == stored
