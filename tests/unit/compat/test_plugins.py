# SPDX-License-Identifier: BSD-3-Clause
"""Formats of other packages, upstream's constructors, and names that wait for their feature."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import support
from cloudvolume_fast.datasource.precomputed.image import PrecomputedImageSource
from cloudvolume_fast.datasource.precomputed.metadata import PrecomputedMetadata
from cloudvolume_fast.frontends.graphene import CloudVolumeGraphene
from cloudvolume_fast.frontends.precomputed import CloudVolumePrecomputed

import cloudvolume_fast
from cloudvolume_fast import CloudVolume, from_cloudpath
from cloudvolume_fast.compat import later, registry
from cloudvolume_fast.errors import (
    InfoUnavailableError,
    ReadOnlyException,
    UnsupportedFormatError,
)


@pytest.fixture
def layer(tmp_path: Path) -> str:
    return support.write_layer(tmp_path / "layer")[0]


@pytest.fixture(autouse=True)
def _registries() -> Iterator[None]:
    saved = dict(registry.REGISTERED_IMAGE_PLUGINS)
    yield
    registry.REGISTERED_IMAGE_PLUGINS.clear()
    registry.REGISTERED_IMAGE_PLUGINS.update(saved)


@pytest.mark.parametrize("path", ["ours://gs://b/l", "gs://b/l|ours:"])
def test_registered_format_is_opened_by_its_function(path: str) -> None:
    cloudvolume_fast.register_plugin("ours", lambda **given: given)
    given = CloudVolume(path, 2, bounded=False, lru_bytes=5)
    assert (given["cloudpath"], given["mip"], given["bounded"], given["lru_bytes"]) == (
        path,
        2,
        False,
        5,
    )
    assert "cls" not in given


def test_precomputed_can_be_replaced_and_put_back(layer: str) -> None:
    cloudvolume_fast.register_plugin("precomputed", lambda **given: given["cloudpath"])
    assert CloudVolume(layer) == layer
    assert CloudVolume(f"precomputed://{layer}") == f"precomputed://{layer}"
    cloudvolume_fast.register_precomputed()
    assert isinstance(CloudVolume(layer), CloudVolumePrecomputed)


@pytest.mark.parametrize("name", ["graphene", "boss", "n5", "zarr", "zarr2", "zarr3"])
def test_formats_that_wait_say_so(name: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=name):
        CloudVolume(f"{name}://file:///nowhere/x")
    getattr(cloudvolume_fast, f"register_{name}")()
    with pytest.raises(UnsupportedFormatError, match="not available in this version"):
        CloudVolume(f"{name}://file:///nowhere/x")


def test_every_class_that_waits_refuses_to_be_made() -> None:
    classes = [
        value
        for value in vars(later).values()
        if isinstance(value, type)
        and value.__module__ == later.__name__
        and value is not later.AnnotationType
    ]
    assert len(classes) > 25
    for cls in classes:
        with pytest.raises(UnsupportedFormatError, match=cls.__name__):
            cls()


def test_volumes_are_told_from_those_of_other_formats(layer: str) -> None:
    vol = CloudVolume(layer)
    assert isinstance(vol, CloudVolumePrecomputed)
    assert not isinstance(vol, CloudVolumeGraphene)
    assert issubclass(CloudVolumeGraphene, CloudVolumePrecomputed)
    assert isinstance(vol.image, PrecomputedImageSource)
    assert isinstance(vol.meta, PrecomputedMetadata)


def test_transfer_returns_a_volume_like_any_other(layer: str, tmp_path: Path) -> None:
    vol = CloudVolume(layer)
    other = vol.transfer_to(f"file://{tmp_path}/other", vol.bounds)
    assert isinstance(other, CloudVolumePrecomputed)
    assert isinstance(other.image, PrecomputedImageSource)
    assert isinstance(other.meta, PrecomputedMetadata)
    assert (other[:] == vol[:]).all()


def test_from_cloudpath_opens_what_is_there(layer: str, tmp_path: Path) -> None:
    vol = from_cloudpath(layer, fill_missing=True)
    assert isinstance(vol, CloudVolumePrecomputed)
    assert vol.fill_missing
    folder = tmp_path / "annotations"
    folder.mkdir()
    (folder / "info").write_text(json.dumps({"@type": "neuroglancer_annotations_v1"}))
    with pytest.raises(UnsupportedFormatError, match="annotations is not available"):
        from_cloudpath(f"file://{folder}")
    with pytest.raises(InfoUnavailableError, match="nothing/info"):
        from_cloudpath(f"file://{tmp_path}/nothing")


def test_volume_without_type_is_a_volume(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path / "bare")
    info = Path(path.removeprefix("file://"), "info")
    value = json.loads(info.read_text())
    value.pop("@type", None)
    info.write_text(json.dumps(value))
    assert isinstance(from_cloudpath(path), CloudVolumePrecomputed)


def test_sources_have_upstreams_constructors(layer: str) -> None:
    configuration = importlib.import_module("cloudvolume_fast.cloudvolume").SharedConfiguration
    config = configuration(True, None, None, False, 0, 1, False, None, None, True, 1)
    meta = PrecomputedMetadata(layer, config)
    image = PrecomputedImageSource(config, meta, None, fill_missing=True, readonly=True)
    vol = CloudVolumePrecomputed(meta, None, config, image)
    assert (vol[:] == CloudVolume(layer)[:]).all()
    assert vol.fill_missing
    with pytest.raises(ReadOnlyException, match="readonly"):
        vol[:, :, :] = np.zeros(vol.shape, vol.dtype)
    assert CloudVolumePrecomputed(meta, None, config)[:].shape == vol.shape


def test_delete_all_removes_every_chunk(layer: str) -> None:
    vol = CloudVolume(layer)
    assert vol.image.has_data(0)
    vol.image.delete_all(0)
    assert not vol.image.has_data(0)
    assert CloudVolume(layer, fill_missing=True)[:].sum() == 0


def test_download_crackle_is_a_crackle_file(layer: str) -> None:
    import crackle

    vol = CloudVolume(layer)
    found = crackle.decompress(vol.image.download_crackle(vol.bounds, 0))
    assert (found == vol[:][..., 0]).all()


def test_tx_and_rx_without_a_volume(layer: str) -> None:
    tx = importlib.import_module("cloudvolume_fast.datasource.precomputed.image.tx")
    rx = importlib.import_module("cloudvolume_fast.datasource.precomputed.image.rx")
    datasource = importlib.import_module("cloudvolume_fast.datasource")
    vol = CloudVolume(layer)
    image = np.asarray(vol[:]) + np.uint32(1)
    tx.upload(vol.meta, None, vol.image.lru, "same", image, vol.voxel_offset, 0)
    assert (vol[:] == image).all()
    ranges = list(datasource.generate_chunks(vol.meta, image, vol.voxel_offset, 0))
    tx.threaded_upload_chunks(
        vol.meta, None, None, image + np.uint32(1), 0, ranges, None, None, False
    )
    found = rx.download(
        vol.bounds, 0, vol.meta, None, None, "same", False, False, 1, None, False, False, False, None
    )  # fmt: skip
    assert (found == image + 1).all()
    name, data = next(iter(vol.download_files(vol.bounds).items()))
    box = cloudvolume_fast.Bbox.from_filename(name)
    assert (rx.decode(vol.meta, box, data, False, 0) == vol[box]).all()
    assert rx.decode(vol.meta, box, None, True, 0) is None
