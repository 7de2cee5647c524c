# SPDX-License-Identifier: BSD-3-Clause
"""Layers that cloud-volume and tensorstore wrote are read exactly."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume

HERE = Path(__file__).parent


def _load():
    spec = importlib.util.spec_from_file_location("make_golden", HERE / "make_golden.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_golden"] = module
    spec.loader.exec_module(module)
    return module


golden = _load()
MANIFEST = json.loads((HERE / "MANIFEST.json").read_text())
CASES = {case.name: case for case in golden.CASES}


@pytest.fixture
def path(request, tmp_path):
    """The layer of a case, unpacked."""
    folder = tmp_path / "golden" / "layer"
    with zipfile.ZipFile(HERE / "layers" / f"{request.param}.zip") as archive:
        archive.extractall(folder)
    return f"file://{folder}"


def each(names):
    return pytest.mark.parametrize(
        ("path", "case"), [(n, CASES[n]) for n in names], indirect=["path"], ids=names
    )


def test_manifest_lists_the_layers():
    assert {f"{name}.zip" for name in CASES} == set(MANIFEST["layers"])
    assert {path.name for path in (HERE / "layers").iterdir()} == set(MANIFEST["layers"])


@pytest.mark.parametrize("name", sorted(MANIFEST["layers"]))
def test_layer_is_the_one_of_the_manifest(name):
    digest = hashlib.sha256((HERE / "layers" / name).read_bytes()).hexdigest()
    assert digest == MANIFEST["layers"][name]["sha256"]


def test_layers_are_small():
    assert sum(path.stat().st_size for path in (HERE / "layers").iterdir()) < 300_000


@each(CASES)
def test_every_voxel_of_every_mip(path, case):
    for mip in range(case.mips):
        image = CloudVolume(path, mip=mip)[:]
        expected = golden.voxels(case, mip)
        assert (image.dtype, image.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(image, expected)


@each(CASES)
def test_geometry(path, case):
    vol = CloudVolume(path)
    for mip in range(case.mips):
        size, offset = golden.geometry(case, mip)
        assert vol.mip_volume_size(mip).tolist() == list(size)
        assert vol.mip_voxel_offset(mip).tolist() == list(offset)
        assert vol.mip_chunk_size(mip).tolist() == list(case.chunk)
        assert vol.mip_encoding(mip) == case.encoding
    assert (vol.data_type, vol.num_channels) == (case.dtype, case.channels)


@each(CASES)
def test_cutouts_across_chunks(path, case):
    vol, expected = CloudVolume(path), golden.voxels(case, 0)
    rng = np.random.default_rng(1)
    for _ in range(10):
        low = [int(rng.integers(0, s)) for s in case.size]
        high = [int(rng.integers(a + 1, s + 1)) for a, s in zip(low, case.size, strict=True)]
        relative = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        absolute = tuple(
            slice(a + o, b + o) for a, b, o in zip(low, high, case.offset, strict=True)
        )
        np.testing.assert_array_equal(vol[absolute], expected[relative])


@each(CASES)
def test_points(path, case):
    vol, expected = CloudVolume(path), golden.voxels(case, 0)
    points = np.random.default_rng(2).integers(0, case.size, (20, 3))
    values = vol[tuple((points + case.offset).T)]
    np.testing.assert_array_equal(values, expected[*points.T, 0])


@each([name for name, case in CASES.items() if case.encoding == "compressed_segmentation"])
def test_labels(path, case):
    vol, expected = CloudVolume(path), golden.voxels(case, 0)
    assert vol.unique(vol.bounds) == set(np.unique(expected).tolist())
    label = int(expected[-1, -1, -1, 0])
    np.testing.assert_array_equal(vol.download(vol.bounds, label=label), expected == label)


@each([name for name in CASES if name.startswith("cv_")])
def test_every_chunk_is_found(path, case):
    vol = CloudVolume(path)
    assert all(vol.exists(vol.bounds).values())


@each([name for name in CASES if name.startswith("cv_")])
def test_info_is_committed_as_it_was(path, case):
    folder = Path(path.removeprefix("file://"))
    before = (folder / "info").read_bytes()
    CloudVolume(path).commit_info()
    assert (folder / "info").read_bytes() == before


@each(["cv_raw_none", "cv_cseg_none"])
def test_our_chunks_are_byte_for_byte_upstreams(path, case):
    folder = Path(path.removeprefix("file://"))
    vol = CloudVolume(path)
    again = CloudVolume(f"file://{folder.parent}/again", info=vol.info, compress=False)
    again[:] = golden.voxels(case, 0)
    for file in (folder / vol.key).iterdir():
        assert (folder.parent / "again" / vol.key / file.name).read_bytes() == file.read_bytes()
