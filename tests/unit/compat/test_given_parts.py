# SPDX-License-Identifier: BSD-3-Clause
"""Sources, caches, credentials and places of voxels that callers of upstream's constructors and functions give."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support
from cloudvolume_fast.cacheservice import CacheService
from cloudvolume_fast.datasource.precomputed.image import PrecomputedImageSource
from cloudvolume_fast.datasource.precomputed.metadata import PrecomputedMetadata
from cloudvolume_fast.datasource.precomputed.sharding import ShardReader
from cloudvolume_fast.frontends.precomputed import CloudVolumePrecomputed

from cloudvolume_fast import Bbox, CloudVolume, sharedmemory
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import (
    AlignmentError,
    InvalidArgumentError,
    SharedMemoryReadError,
    UnsupportedOptionError,
)

tx: Any = importlib.import_module("cloudvolume_fast.datasource.precomputed.image.tx")
rx: Any = importlib.import_module("cloudvolume_fast.datasource.precomputed.image.rx")


@pytest.fixture
def layer(tmp_path: Path) -> str:
    return support.write_layer(tmp_path / "layer")[0]


def cache_of(path: str, folder: Path) -> CacheService:
    return CacheService(path, str(folder), VolumeConfig())


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_volume_has_the_sources_it_was_given(layer: str) -> None:
    other = CloudVolume(layer, mesh_dir="mesh", skel_dir="skeletons")
    vol = CloudVolumePrecomputed(
        PrecomputedMetadata(layer), None, VolumeConfig(), mesh=other.mesh, skeleton=other.skeleton
    )
    assert vol.mesh is other.mesh
    assert vol.skeleton is other.skeleton
    assert pickle.loads(pickle.dumps(vol)).mesh.meta.mesh_path == "mesh"


def test_volume_reads_through_the_cache_it_was_given(layer: str, tmp_path: Path) -> None:
    cache = cache_of(layer, tmp_path / "cache")
    vol = CloudVolumePrecomputed(PrecomputedMetadata(layer), cache, VolumeConfig())
    vol[:8, :8, :8]
    assert vol.cache.enabled == str(tmp_path / "cache")
    assert "0-8_0-8_0-8.gz" in files_of(tmp_path / "cache")


def test_image_reads_through_the_cache_it_was_given(layer: str, tmp_path: Path) -> None:
    cache = cache_of(layer, tmp_path / "cache")
    image = PrecomputedImageSource(VolumeConfig(), PrecomputedMetadata(layer), cache)
    image.download(Bbox((0, 0, 0), (8, 8, 8)), 0)
    assert "0-8_0-8_0-8.gz" in files_of(tmp_path / "cache")


def test_cache_of_another_layer_is_refused(layer: str, tmp_path: Path) -> None:
    other = support.write_layer(tmp_path / "other")[0]
    with pytest.raises(InvalidArgumentError, match="cache: expected that of"):
        PrecomputedImageSource(
            VolumeConfig(), PrecomputedMetadata(layer), cache_of(other, tmp_path / "cache")
        )


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("kind", ["file", "shared memory"])
def test_upload_takes_voxels_from_where_they_lie(
    layer: str, tmp_path: Path, order: str, kind: str
) -> None:
    vol = CloudVolume(layer)
    voxels = np.random.default_rng(1).integers(0, 99, (16, 8, 8, 1)).astype(vol.dtype)
    held, low = Bbox((0, 0, 0), (16, 8, 8)), (8, 0, 0)
    empty = np.empty((8, 8, 8, 1), vol.dtype)
    options = {"location_bbox": held, "location_order": order}
    if kind == "file":
        file = tmp_path / "voxels"
        file.write_bytes(voxels.tobytes(order))
        tx.upload(vol.meta, None, None, "same", empty, low, 0,
                  location=str(file), use_file=True, **options)  # fmt: skip
    else:
        name = f"cvfast-test-{tmp_path.name}-{order}"
        handle, shared = sharedmemory.ndarray(voxels.shape, vol.dtype, name, order=order)
        try:
            shared[:] = voxels
            tx.upload_aligned(vol.meta, None, None, empty, low, 0,
                              location=name, use_shared_memory=True, **options)  # fmt: skip
        finally:
            handle.close()
            sharedmemory.unlink(name)
    np.testing.assert_array_equal(vol[8:16, :8, :8], voxels[8:])


def test_places_of_voxels_that_make_no_sense_are_refused(layer: str, tmp_path: Path) -> None:
    vol = CloudVolume(layer)
    before = np.array(vol[:])
    arguments = (vol.meta, None, None, "same", np.zeros((8, 8, 8, 1), vol.dtype), (0, 0, 0), 0)
    for options in (
        {"location": "a"},
        {"use_file": True},
        {"location": "a", "use_file": True, "use_shared_memory": True},
    ):
        with pytest.raises(InvalidArgumentError, match="location"):
            tx.upload(*arguments, **options)
    with pytest.raises(SharedMemoryReadError):
        tx.upload(*arguments, location=str(tmp_path / "absent"), use_file=True)
    np.testing.assert_array_equal(vol[:], before)


def test_bounds_of_overwritten_chunks_are_those_of_the_image(layer: str) -> None:
    vol = CloudVolume(layer)
    image = np.ones((3, 3, 3, 1), vol.dtype)
    low = (1, 1, 1)
    with pytest.raises(AlignmentError, match="bounds"):
        tx.upload_with_overwrite_partial_chunks(
            vol.meta, None, None, image, low, 0, Bbox((0, 0, 0), (3, 3, 3))
        )
    tx.upload_with_overwrite_partial_chunks(
        vol.meta, None, None, image, low, 0, Bbox((1, 1, 1), (4, 4, 4))
    )
    assert vol[:8, :8, :8].sum() == 27


def test_credentials_other_than_the_metadata_s_are_refused(layer: str) -> None:
    meta = PrecomputedMetadata(layer, secrets={"token": "a"})
    box = Bbox((0, 0, 0), (8, 8, 8))

    def read(secrets: Any, lru_encoding: str = "same") -> Any:
        lru = CloudVolume(layer, lru_bytes=1 << 20).image.lru
        return rx.download(box, 0, meta, None, lru, lru_encoding, False, False, 1, None, False,
                           False, False, None, secrets=secrets)  # fmt: skip

    assert read({"token": "a"}).shape == (8, 8, 8, 1)
    assert read(None).shape == (8, 8, 8, 1)
    with pytest.raises(UnsupportedOptionError, match="secrets: expected None or those"):
        read({"token": "b"})
    with pytest.raises(InvalidArgumentError, match="lru_encoding: expected that of lru, same"):
        read(None, "raw")


def test_green_shard_reader_lets_others_run(layer: str, tmp_path: Path) -> None:
    gevent = pytest.importorskip("gevent")
    source = CloudVolume(layer)
    vol = source.transfer_to(f"file://{tmp_path}/shards", source.bounds, sharded=True)
    spec = vol.image.shard_spec(0)
    plain = ShardReader(vol.cloudpath, vol.cache, spec)
    green = ShardReader(vol.cloudpath, vol.cache, spec, green=True)
    count = 0

    def counts() -> None:
        nonlocal count
        for _ in range(10):
            gevent.sleep(0)
            count += 1

    other = gevent.spawn(counts)
    found = plain.get_data([0, 1], path=vol.key)
    assert count == 0
    assert green.get_data([0, 1], path=vol.key) == found
    assert count > 0
    other.join()
    assert pickle.loads(pickle.dumps(green)).get_data([0], path=vol.key) == plain.get_data(
        [0], path=vol.key
    )


def test_the_layers_own_info_can_be_had_in_spite_of_a_cache(layer: str, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    vol: Any = CloudVolume(layer, cache=cache)
    size = vol.info["scales"][0]["size"]
    other: Any = CloudVolume(layer)
    other.info["scales"][0]["size"] = [extent + 8 for extent in size]
    other.commit_info()
    with pytest.warns(UserWarning, match="size"):
        assert vol.meta.refresh_info()["scales"][0]["size"] == size
    grown = vol.meta.refresh_info(force_fetch=True)["scales"][0]["size"]
    assert grown == [extent + 8 for extent in size]
    assert vol.cache.enabled == cache
    assert CloudVolume(layer, cache=cache).info["scales"][0]["size"] == grown
