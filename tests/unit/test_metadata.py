# SPDX-License-Identifier: BSD-3-Clause
"""Opening, info, scales, redirects, locks, provenance and the properties of a volume."""

from __future__ import annotations

import json
import pickle
import warnings

import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume, CloudVolumePrecomputed
from cloudvolume_fast.errors import (
    CyclicRedirect,
    InfoUnavailableError,
    ReadOnlyException,
    ScaleUnavailableError,
    TooManyRedirects,
    WriteLockAcquisitionError,
    WriteLockReleaseError,
)


@pytest.fixture
def layer(make_layer):
    return make_layer(max_mip=2, channels=2, data=False)


def stored_info(layer):
    return json.loads((layer.folder / "info").read_text())


# Opening.


@pytest.mark.parametrize("prefix", ["", "precomputed://"])
def test_path_with_and_without_format(layer, prefix):
    assert CloudVolume(prefix + layer.path).cloudpath == layer.path


def test_plain_path_and_trailing_slash(layer):
    assert CloudVolume(f"{layer.folder}/").cloudpath == layer.path
    assert CloudVolume(layer.folder).cloudpath == layer.path


def test_opened_volume_is_a_precomputed_cloud_volume(layer):
    vol = layer.open()
    assert type(vol) is CloudVolumePrecomputed
    assert isinstance(vol, CloudVolume)


def test_unknown_keyword_raises_type_error(layer):
    with pytest.raises(TypeError):
        layer.open(nonsense=1)


def test_absent_info_raises(tmp_path):
    with pytest.raises(InfoUnavailableError, match="info"):
        CloudVolume(f"file://{tmp_path}/no/thing")


def test_info_that_is_given_is_not_written(tmp_path, layer):
    vol = CloudVolume(f"file://{tmp_path}/new/layer", info=layer.open().info)
    assert not (tmp_path / "new").exists()
    vol.commit_info()
    assert json.loads((tmp_path / "new/layer/info").read_text()) == stored_info(layer)


@pytest.mark.parametrize(("parallel", "expected"), [(1, 1), (3, 3), (False, 1)])
def test_parallel(layer, parallel, expected):
    assert layer.open(parallel=parallel).parallel == expected


@pytest.mark.parametrize("parallel", [True, 0])
def test_parallel_for_all_processors(layer, parallel):
    assert layer.open(parallel=parallel).parallel >= 1


def test_negative_parallel_raises(layer):
    with pytest.raises(ValueError, match="parallel"):
        layer.open(parallel=-1)


def test_parallel_cannot_be_set_to_zero(layer):
    vol = layer.open()
    with pytest.raises(ValueError, match="parallel"):
        vol.parallel = 0


def test_volume_can_be_pickled(make_layer):
    layer = make_layer(max_mip=1)
    vol = layer.open(mip=0, fill_missing=True, bounded=False)
    vol[:]
    copy = pickle.loads(pickle.dumps(vol))
    assert (copy.cloudpath, copy.fill_missing, copy.bounded, copy.mip) == (
        vol.cloudpath,
        True,
        False,
        0,
    )
    np.testing.assert_array_equal(copy[10:30, -20:-2, 30:39], layer.data)


# The current scale.


@pytest.mark.parametrize(
    ("mip", "expected"),
    [
        (0, 0),
        (2, 2),
        (-1, 2),
        (-3, 0),
        ([8, 8, 40], 1),
        ((16, 16, 40), 2),
        (np.array([4, 4, 40]), 0),
    ],
)
def test_mip_by_index_and_by_resolution(layer, mip, expected):
    assert layer.open(mip=mip).mip == expected
    vol = layer.open()
    vol.mip = mip
    assert vol.mip == expected


@pytest.mark.parametrize("mip", [3, -4, [8, 8, 41], [8, 8]])
def test_unknown_mip_raises(layer, mip):
    with pytest.raises(ScaleUnavailableError, match=r"\[16, 16, 40\]"):
        layer.open(mip=mip)
    vol = layer.open()
    with pytest.raises(IndexError):
        vol.mip = mip
    assert vol.mip == 0


def test_placeholder_scale_warns_on_opening(layer):
    vol = layer.open()
    vol.info["scales"][1]["key"] = "PLACEHOLDER_8_8_40"
    vol.commit_info()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer.open(mip=0)
    with pytest.warns(UserWarning, match="(?i)placeholder"):
        layer.open(mip=1)


PROPERTIES = {
    "shape": (10, 9, 9, 2),
    "volume_size": [10, 9, 9],
    "voxel_offset": [5, -10, 30],
    "resolution": [8, 8, 40],
    "downsample_ratio": [2, 2, 1],
    "chunk_size": [8, 8, 4],
    "underlying": [8, 8, 4],
    "key": "8_8_40",
    "encoding": "raw",
    "bounds": Bbox((5, -10, 30), (15, -1, 39)),
    "ndim": 4,
    "compressed_segmentation_block_size": None,
}


def plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("name", PROPERTIES)
def test_property_of_the_current_mip(layer, name):
    assert plain(getattr(layer.open(mip=1), name)) == PROPERTIES[name]


@pytest.mark.parametrize("name", sorted({*PROPERTIES} - {"downsample_ratio"}))
@pytest.mark.parametrize("mip", [1, -2, (8, 8, 40)])
def test_property_of_any_mip(layer, name, mip):
    assert plain(getattr(layer.open(), f"mip_{name}")(mip)) == PROPERTIES[name]


@pytest.mark.parametrize("name", sorted({*PROPERTIES} - {"downsample_ratio"}))
def test_property_of_an_absent_mip_raises(layer, name):
    with pytest.raises(IndexError):
        getattr(layer.open(), f"mip_{name}")(9)


def test_scale_is_live(layer):
    vol = layer.open(mip=1)
    vol.scale["encoding"] = "jpeg"
    assert vol.info["scales"][1]["encoding"] == vol.mip_scale(1)["encoding"] == "jpeg"


def test_scale_can_be_replaced(layer):
    vol = layer.open(mip=1)
    vol.scale = {**vol.scale, "hidden": True}
    assert vol.info["scales"][1]["hidden"] is True


def test_properties_of_the_layer(layer):
    vol = layer.open()
    assert (vol.dataset_name, vol.layer, vol.layer_type) == ("dataset", "layer0", "image")
    assert (vol.dtype, vol.data_type, vol.num_channels) == (np.dtype("uint8"), "uint8", 2)
    assert (vol.available_mips, len(vol.scales)) == (range(3), 3)


def test_available_resolutions_can_be_searched(layer):
    vol = layer.open()
    assert list(vol.available_resolutions) == [[4, 4, 40], [8, 8, 40], [16, 16, 40]]
    assert [8, 8, 40] in vol.available_resolutions
    assert [8, 8, 41] not in vol.available_resolutions


def test_paths(layer):
    vol = layer.open()
    assert vol.cloudpath == vol.layer_cloudpath == layer.path
    assert vol.info_cloudpath == f"{layer.path}/info"
    assert vol.base_cloudpath == f"file://{layer.folder.parent}"
    assert (vol.basepath, vol.layerpath) == (str(layer.folder.parent), str(layer.folder))


@pytest.mark.parametrize("folder", ["CLOUD_VOLUME_DIR", "CLOUD_VOLUME_CACHE_DIR"])
def test_cache_path(layer, monkeypatch, folder):
    monkeypatch.delenv("CLOUD_VOLUME_CACHE_DIR", raising=False)
    monkeypatch.setenv(folder, "/base")
    base = "/base/cache" if folder == "CLOUD_VOLUME_DIR" else "/base"
    assert layer.open().cache_path == f"{base}/file{layer.folder}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("autocrop", True),
        ("bounded", False),
        ("fill_missing", True),
        ("background_color", 7),
        ("non_aligned_writes", True),
        ("overwrite_partial_chunks", True),
        ("delete_black_uploads", True),
        ("parallel", 2),
        ("cdn_cache", 60),
        ("compress", "br"),
        ("progress", True),
    ],
)
def test_settings_can_be_changed(layer, name, value):
    vol = layer.open()
    assert getattr(vol, name) != value
    setattr(vol, name, value)
    assert getattr(vol, name) == getattr(vol.config, name) == value


def test_negative_cdn_cache_raises(layer):
    with pytest.raises(ValueError, match="cdn_cache"):
        layer.open(cdn_cache=-1)


def test_mesh_and_skeleton_folders_can_be_overridden(layer):
    vol = layer.open(mesh_dir="m", skel_dir="s")
    assert (vol.meta.mesh, vol.meta.skeletons) == ("m", "s")


# Info.


def test_create_new_info():
    info = CloudVolume.create_new_info(
        1,
        "segmentation",
        "uint64",
        "compressed_segmentation",
        (4, 4, 40),
        (-3, 5, 7),
        (10, 6, 5),
        max_mip=2,
        mesh=True,
    )
    assert [scale["voxel_offset"] for scale in info["scales"]] == [
        [-3, 5, 7],
        [-2, 2, 7],
        [-1, 1, 7],
    ]
    assert [scale["size"] for scale in info["scales"]] == [[10, 6, 5], [5, 3, 5], [3, 2, 5]]
    assert info["scales"][0]["compressed_segmentation_block_size"] == [8, 8, 8]
    assert info["mesh"] == "mesh"
    assert "skeletons" not in info


def test_create_new_info_is_on_volumes_too(layer):
    args = (1, "image", "uint8", "raw", (1, 1, 1), (0, 0, 0), (8, 8, 8))
    assert layer.open().create_new_info(*args) == CloudVolume.create_new_info(*args)


def test_unknown_members_are_kept(layer):
    vol = layer.open()
    vol.info["extra"] = {"a": [1.5, None]}
    vol.info["scales"][1]["hidden"] = True
    vol.commit_info()
    again = layer.open()
    again.commit_info()
    assert stored_info(layer)["extra"] == {"a": [1.5, None]}
    assert stored_info(layer)["scales"][1]["hidden"] is True


def test_info_is_stored_sorted_and_indented(layer):
    text = (layer.folder / "info").read_text()
    assert text == json.dumps(stored_info(layer), sort_keys=True, indent=2, separators=(",", ": "))


def test_numpy_values_are_stored_as_numbers(layer):
    vol = layer.open()
    vol.info["extra"] = {"a": np.arange(2), "b": np.float32(0.5)}
    vol.commit_info()
    assert stored_info(layer)["extra"] == {"a": [0, 1], "b": 0.5}


def test_commit_without_block_size_raises_key_error(layer):
    vol = layer.open()
    vol.info.update(data_type="uint32")
    vol.scale["encoding"] = "compressed_segmentation"
    before = stored_info(layer)
    with pytest.raises(KeyError, match="block_size"):
        vol.commit_info()
    assert stored_info(layer) == before


def test_commit_of_compressed_segmentation_of_bytes_raises_value_error(layer):
    vol = layer.open()
    vol.scale.update(
        encoding="compressed_segmentation", compressed_segmentation_block_size=[8, 8, 8]
    )
    with pytest.raises(ValueError, match="uint32"):
        vol.commit_info()


def test_refresh_info_reads_again(layer):
    vol, other = layer.open(), layer.open()
    other.info["extra"] = 1
    other.commit_info()
    assert vol.refresh_info()["extra"] == vol.info["extra"] == 1


def test_refresh_info_drops_changes(layer):
    vol = layer.open()
    vol.info["extra"] = 1
    vol.refresh_info()
    assert "extra" not in vol.info


def test_changes_of_the_live_info_take_effect(make_layer):
    layer = make_layer()
    vol = layer.open()
    vol[:]
    vol.scale["voxel_offset"] = [0, 0, 0]
    assert vol.bounds.minpt.tolist() == [0, 0, 0]
    vol.refresh_info()
    np.testing.assert_array_equal(vol[:], layer.data)


# Scales.


def test_add_scale(layer):
    vol = layer.open()
    scale = vol.add_scale((4, 4, 2), encoding="jpeg", chunk_size=(16, 16, 16))
    assert vol.scales[-1] == scale
    assert (scale["key"], scale["size"], scale["voxel_offset"]) == (
        "16_16_80",
        [5, 5, 5],
        [2, -5, 15],
    )
    assert (scale["encoding"], scale["chunk_sizes"]) == ("jpeg", [[16, 16, 16]])
    assert len(stored_info(layer)["scales"]) == 3


def test_add_scale_of_a_resolution_that_exists_replaces_it(layer):
    vol = layer.open()
    vol.add_scale((2, 2, 1), chunk_size=(16, 16, 16))
    assert len(vol.scales) == 3
    assert vol.mip_chunk_size(1).tolist() == [16, 16, 16]


def test_added_scale_can_be_written(make_layer):
    layer = make_layer()
    vol = layer.open()
    vol.add_scale((2, 2, 2), chunk_size=(8, 8, 8))
    vol.commit_info()
    coarse = layer.open(mip=1)
    coarse[:] = 5
    assert (coarse[:] == 5).all()
    np.testing.assert_array_equal(layer.open()[:], layer.data)


def test_reset_scales(layer):
    vol = layer.open()
    vol.reset_scales()
    assert len(vol.scales) == 1
    assert len(stored_info(layer)["scales"]) == 3


def test_point_to_mip(layer):
    vol = layer.open()
    assert vol.point_to_mip((11, -3, 33), 0, 2).tolist() == [2, -1, 33]
    assert vol.point_to_mip((2, -1, 33), 2, 0).tolist() == [8, -4, 33]


def test_bbox_to_mip(layer):
    vol = layer.open()
    assert vol.bbox_to_mip(Bbox((10, 20, 30), (15, 25, 31)), 0, 1) == Bbox((5, 10, 30), (8, 13, 31))
    assert vol.bbox_to_mip(Bbox((5, 10, 30), (8, 13, 31)), 1, 0) == Bbox((10, 20, 30), (16, 26, 31))
    assert vol.bbox_to_mip(np.s_[10:15, -19:-2, 30:31], 0, 1) == Bbox((5, -10, 30), (8, -1, 31))


def test_global_coordinates(layer):
    vol = layer.open(mip=1)
    assert vol.slices_to_global_coords(np.s_[5:8, -9:-2, 30:31]) == np.s_[10:16, -18:-4, 30:31]
    assert vol.slices_from_global_coords(np.s_[10:16, -18:-4, 30:31]) == np.s_[5:8, -9:-2, 30:31]


# Redirects.


@pytest.fixture
def chain(make_layer):
    """Layers of which each redirects to the one before; the first holds data."""
    layers = [make_layer()]
    for _ in range(3):
        layer = make_layer(data=False)
        vol = layer.open()
        vol.info["redirect"] = layers[-1].path
        vol.commit_info()
        layers.append(layer)
    return layers


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_redirect_leads_to_the_data(chain, hops):
    with pytest.warns(UserWarning, match="reading only"):
        vol = chain[hops].open()
    assert vol.cloudpath == chain[0].path
    assert len(vol.meta.redirected_from) == hops
    np.testing.assert_array_equal(vol[:], chain[0].data)


@pytest.mark.filterwarnings("ignore:.*reading only")
@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize(
    "action", [lambda v: v.__setitem__(np.s_[:], 1), lambda v: v.delete(np.s_[:])]
)
def test_redirected_volume_is_read_only(chain, hops, action):
    vol = chain[hops].open()
    with pytest.raises(ReadOnlyException):
        action(vol)
    np.testing.assert_array_equal(chain[0].open()[:], chain[0].data)


@pytest.mark.filterwarnings("ignore:.*reading only")
def test_max_redirects_counts_fetches(chain):
    assert chain[3].open(max_redirects=4).cloudpath == chain[0].path
    with pytest.raises(TooManyRedirects):
        chain[3].open(max_redirects=3)


@pytest.mark.parametrize("max_redirects", [0, -1])
def test_redirects_may_be_ignored(chain, max_redirects):
    vol = chain[3].open(max_redirects=max_redirects)
    assert vol.cloudpath == chain[3].path
    assert vol.meta.redirected_from == []


def test_cycle_raises(chain):
    vol = chain[0].open()
    vol.info["redirect"] = chain[2].path
    vol.commit_info()
    with pytest.raises(CyclicRedirect):
        chain[2].open()


def test_redirect_to_itself_is_none(make_layer):
    layer = make_layer()
    vol = layer.open()
    vol.info["redirect"] = layer.path
    vol.commit_info()
    again = layer.open()
    again[:] = 1
    assert again.meta.redirected_from == []


# Locks.


def test_lock_is_stored_and_seen_by_others(make_layer):
    layer = make_layer(max_mip=1)
    layer.open().meta.lock_mips([0])
    other = layer.open()
    assert other.meta.locked_mips() == {0}
    with pytest.raises(ReadOnlyException):
        other[:] = 1
    np.testing.assert_array_equal(other[:], layer.data)


def test_other_mips_stay_writable(make_layer):
    layer = make_layer(max_mip=1)
    layer.open().meta.lock_mips([0])
    layer.open(mip=1)[:] = 1


def test_unlock(make_layer):
    layer = make_layer(max_mip=1)
    vol = layer.open()
    vol.meta.lock_mips([0, 1])
    vol.meta.unlock_mips(0)
    assert layer.open().meta.locked_mips() == vol.meta.locked_mips() == {1}
    vol[:] = 1


def test_lock_keeps_what_others_committed(layer):
    vol, other = layer.open(), layer.open()
    other.info["extra"] = 1
    other.commit_info()
    vol.meta.lock_mips(0)
    assert stored_info(layer)["extra"] == 1


@pytest.mark.parametrize("mips", [5, [0, 3], -1])
def test_lock_of_an_absent_mip_raises_and_locks_nothing(layer, mips):
    with pytest.raises(ValueError, match="mips"):
        layer.open().meta.lock_mips(mips)
    assert layer.open().meta.locked_mips() == set()


@pytest.mark.parametrize(
    ("method", "error"),
    [("lock_mips", WriteLockAcquisitionError), ("unlock_mips", WriteLockReleaseError)],
)
def test_lock_that_cannot_be_stored_raises(layer, monkeypatch, method, error):
    from cloudvolume_fast.errors import ChunkWriteError
    from cloudvolume_fast.fetch.file import FileStore

    def refuse(self, key, data):
        raise ChunkWriteError(f"{key}: read-only file system")

    vol = layer.open()
    monkeypatch.setattr(FileStore, "put", refuse)
    with pytest.raises(error, match="read-only"):
        getattr(vol.meta, method)(0)


# Provenance.


def test_absent_provenance_is_empty(layer):
    provenance = layer.open().provenance
    assert (provenance.description, provenance.owners, provenance.processing) == ("", [], [])


def test_provenance_is_committed_and_refreshed(layer):
    vol, other = layer.open(), layer.open()
    assert other.provenance.description == ""
    vol.provenance.description = "what it is"
    vol.provenance.owners.append("someone@example.org")
    vol.provenance.processing.append({"method": "m", "by": "b"})
    vol.commit_provenance()
    assert json.loads((layer.folder / "provenance").read_text())["processing"] == [
        {"by": "b", "method": "m"}
    ]
    assert other.refresh_provenance().description == other.provenance.description == "what it is"


@pytest.mark.parametrize("given", [{"description": "d"}, '{"description": "d"}'])
def test_provenance_can_be_given(layer, given):
    assert layer.open(provenance=given).provenance.description == "d"
    vol = layer.open()
    vol.provenance = given
    assert vol.provenance.description == "d"


def test_malformed_provenance_raises(layer):
    (layer.folder / "provenance").write_text("{")
    with pytest.raises(ValueError, match=r"provenance|JSON|json|\{"):
        layer.open().provenance  # noqa: B018
