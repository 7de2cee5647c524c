# SPDX-License-Identifier: BSD-3-Clause
"""Each option that the constructor accepts does what it says, or is refused; none is swallowed."""

from __future__ import annotations

import gzip
import inspect
import json
import os
from pathlib import Path
from typing import Any

import brotli
import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import (
    AlignmentError,
    CloudVolumeError,
    EmptyVolumeException,
    InfoValidationError,
    InvalidArgumentError,
    OutOfBoundsError,
    ReadOnlyException,
    ScaleUnavailableError,
    TooManyRedirects,
    UnsupportedCompressionType,
    UnsupportedOptionError,
)

# Option to the test of this file that shows what it does.  An option that is added must be added here.
TESTED = {
    "cloudpath": "test_cloudpath_may_be_a_path_object",
    "mip": "test_mip_selects_a_scale",
    "bounded": "test_bounded_refuses_what_lies_outside",
    "autocrop": "test_autocrop_cuts_at_the_bounds",
    "fill_missing": "test_fill_missing_reads_absent_chunks_as_background",
    "cache": "test_cache_keeps_chunks",
    "compress_cache": "test_compression_of_the_cache_is_checked",
    "cdn_cache": "test_cdn_cache_is_checked_and_kept",
    "progress": "test_progress_shows_a_bar",
    "info": "test_info_is_used_instead_of_the_stored_one",
    "provenance": "test_provenance_is_used_instead_of_the_stored_one",
    "compress": "test_compress_chooses_the_suffix",
    "compress_level": "test_compress_level_changes_the_bytes",
    "non_aligned_writes": "test_non_aligned_writes_merge",
    "overwrite_partial_chunks": "test_overwrite_partial_chunks_pads",
    "parallel": "test_parallel_is_kept",
    "delete_black_uploads": "test_delete_black_uploads_removes_background_chunks",
    "background_color": "test_background_color_is_what_is_not_stored",
    "green_threads": "test_green_threads_are_a_setting",
    "use_https": "test_use_https_leaves_local_layers_alone",
    "max_redirects": "test_max_redirects_bounds_the_chain",
    "mesh_dir": "test_mesh_and_skeleton_folders_are_overridden",
    "skel_dir": "test_mesh_and_skeleton_folders_are_overridden",
    "agglomerate": "test_option_that_is_not_available_is_refused",
    "secrets": "test_secrets_are_not_kept",
    "spatial_index_db": "test_option_that_is_not_available_is_refused",
    "lru_bytes": "test_bytes_held_in_memory_are_checked",
    "cache_locking": "test_locking_of_no_cache_is_no_matter",
    "lru_encoding": "test_encoding_of_no_cache_is_no_matter",
    "timestamp": "test_option_that_is_not_available_is_refused",
    "codec_threads": "test_codec_threads_are_checked",  # what they do: compat/test_codec_threads.py
}


@pytest.fixture
def layer(tmp_path: Path) -> str:
    return support.make_layer(tmp_path)


def test_every_option_has_a_test() -> None:
    options = set(inspect.signature(CloudVolume.__new__).parameters) - {"cls"}
    assert options == set(TESTED)
    assert set(TESTED.values()) <= set(globals())


def test_option_that_does_not_exist_is_refused(layer: str) -> None:
    with pytest.raises(TypeError, match="fill_misssing"):
        CloudVolume(layer, fill_misssing=True)


def test_cloudpath_may_be_a_path_object(tmp_path: Path, layer: str) -> None:
    assert CloudVolume(tmp_path).cloudpath == layer


@pytest.mark.parametrize("cloudpath", ["", "gs://", "wow://b/d", "file://", "gs://gs://b/d"])
def test_malformed_cloudpath_is_refused(cloudpath: str) -> None:
    with pytest.raises((CloudVolumeError, ValueError)):
        CloudVolume(cloudpath)


def test_mip_selects_a_scale(tmp_path: Path, layer: str) -> None:
    vol = CloudVolume(layer)
    vol.add_scale((2, 2, 1))
    vol.commit_info()
    for mip in (1, -1, (8, 8, 40), [8, 8, 40], np.int64(1)):
        assert CloudVolume(layer, mip=mip).resolution.tolist() == [8, 8, 40]


@pytest.mark.parametrize("mip", [2, -2, (4, 4, 41), (4, 4), "0", 0.5, None, [[4, 4, 40]]])
def test_mip_that_does_not_exist_is_refused(layer: str, mip: Any) -> None:
    with pytest.raises((ScaleUnavailableError, InvalidArgumentError)):
        CloudVolume(layer, mip=mip)


def test_bounded_refuses_what_lies_outside(layer: str) -> None:
    assert (CloudVolume(layer, bounded=False, background_color=2)[100:102, 0, 0] == 2).all()
    with pytest.raises(OutOfBoundsError):
        CloudVolume(layer, bounded=True, background_color=2)[100:102, 0, 0]


def test_autocrop_cuts_at_the_bounds(layer: str) -> None:
    vol = CloudVolume(layer, bounded=False, autocrop=True, fill_missing=True)
    assert vol[-5:4, 0:100, 12:20].shape == (4, 16, 4, 1)
    vol[-8:8, 0:8, 8:24] = np.ones((16, 8, 16, 1), np.uint32)
    assert vol[:].sum() == 8 * 8 * 8


def test_fill_missing_reads_absent_chunks_as_background(layer: str) -> None:
    assert not CloudVolume(layer, fill_missing=True)[:].any()
    with pytest.raises(EmptyVolumeException):
        CloudVolume(layer, fill_missing=False)[:]


def test_green_threads_are_a_setting(tmp_path: Path, layer: str) -> None:
    vol = CloudVolume(layer, green_threads=True)
    assert vol.green_threads is True
    vol.green_threads = False
    assert vol.config.green_threads is False


@pytest.mark.parametrize(
    "option",
    [
        {"agglomerate": True},
        {"timestamp": 1_600_000_000},
    ],
    ids=str,
)
def test_option_that_is_not_available_is_refused(
    tmp_path: Path, layer: str, option: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedOptionError, match=f"{next(iter(option))}: expected"):
        CloudVolume(layer, **option)
    assert support.files_in(tmp_path) == ["info"]


@pytest.mark.parametrize("by_name", [True, False])
def test_cache_keeps_chunks(
    tmp_path: Path, layer: str, by_name: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("CLOUD_VOLUME_CACHE_DIR", str(folder))
    CloudVolume(layer)[:] = np.ones((16, 16, 16, 1), np.uint32)
    assert CloudVolume(layer, cache=str(folder) if by_name else True)[:].all()
    assert len([path for path in folder.rglob("4_4_40/*") if path.is_file()]) == 8


def test_bytes_held_in_memory_are_checked(layer: str) -> None:
    assert CloudVolume(layer).image.lru.size == 0
    assert CloudVolume(layer, lru_bytes=1000).image.lru.size == 1000
    with pytest.raises(ValueError, match="lru_bytes: expected"):
        CloudVolume(layer, lru_bytes=-1)


def test_compression_of_the_cache_is_checked(layer: str) -> None:
    CloudVolume(layer, compress_cache="gzip")
    with pytest.raises(UnsupportedCompressionType):
        CloudVolume(layer, compress_cache="lz4")


@pytest.mark.parametrize("value", [True, False, 0, 3600, "no-store"])
def test_cdn_cache_is_checked_and_kept(layer: str, value: Any) -> None:
    assert CloudVolume(layer, cdn_cache=value).cdn_cache == value
    with pytest.raises(InvalidArgumentError, match="cdn_cache"):
        CloudVolume(layer, cdn_cache=-1)


def test_progress_shows_a_bar(tmp_path: Path) -> None:
    # Few chunks, each with much to do: xz takes some 90 MB for each, which AddressSanitizer is slow to hand out.
    layer = support.make_layer(tmp_path, size=(128, 128, 32), chunk_size=(32, 32, 32))
    script = """
import sys
import numpy as np
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.deliver import progress
progress._SHOW_AFTER_SECONDS = 0.0  # a fast machine would be done before a bar is due
vol = CloudVolume(sys.argv[1], progress=sys.argv[2] == "yes", compress="xz", parallel=2)
vol[:] = np.random.default_rng(1).integers(0, 2**32, vol.shape, dtype=np.uint32)
"""
    for wanted in ("yes", "no"):
        process = support.start_python(script, layer, wanted)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert ("Uploading" in err) == (wanted == "yes")


def test_info_is_used_instead_of_the_stored_one(tmp_path: Path, layer: str) -> None:
    info = support.make_info(size=(8, 8, 8))
    before = (tmp_path / "info").read_bytes()
    vol = CloudVolume(layer, info=info)
    assert vol.shape == (8, 8, 8, 1)
    assert (tmp_path / "info").read_bytes() == before
    vol.commit_info()
    assert CloudVolume(layer).shape == (8, 8, 8, 1)


@pytest.mark.parametrize("info", [{}, [], "info", 3, {"scales": []}])
def test_info_that_is_malformed_is_refused(layer: str, info: Any) -> None:
    with pytest.raises(InfoValidationError):
        CloudVolume(layer, info=info)


@pytest.mark.parametrize(
    "given", [{"description": "d", "owners": ["o"]}, '{"description": "d", "owners": ["o"]}']
)
def test_provenance_is_used_instead_of_the_stored_one(layer: str, given: Any) -> None:
    vol = CloudVolume(layer, provenance=given)
    assert vol.provenance.description == "d"
    vol.commit_provenance()
    assert CloudVolume(layer).provenance.owners == ["o"]


@pytest.mark.parametrize("given", ["{", "[1"])
def test_provenance_that_is_no_json_is_refused(layer: str, given: str) -> None:
    with pytest.raises(ValueError, match=r"provenance|JSON"):
        CloudVolume(layer, provenance=given)


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [
        (None, ".gz"),
        (True, ".gz"),
        (1, ".gz"),
        ("gzip", ".gz"),
        ("br", ".br"),
        ("zstd", ".zstd"),
        ("xz", ".xz"),
        ("lzma", ".xz"),
        ("bz2", ".bz2"),
        ("bzip2", ".bz2"),
        (False, ""),
        ("", ""),
    ],
)
def test_compress_chooses_the_suffix(tmp_path: Path, compress: Any, suffix: str) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    CloudVolume(layer, compress=compress)[:] = np.uint32(3)
    assert support.files_in(tmp_path / support.KEY) == [f"0-8_0-8_0-8{suffix}"]
    assert (CloudVolume(layer)[:] == 3).all()


@pytest.mark.parametrize(
    ("compress", "unpack"), [("gzip", gzip.decompress), ("br", brotli.decompress)]
)
def test_compress_level_changes_the_bytes(tmp_path: Path, compress: str, unpack: Any) -> None:
    sizes = []
    voxels = support.make_voxels((64, 64, 64))
    for level in (1, 9):
        folder = tmp_path / str(level)
        vol = CloudVolume(
            support.make_layer(folder, size=(64, 64, 64), chunk_size=(64, 64, 64)),
            compress=compress,
            compress_level=level,
        )
        vol[:] = voxels
        (file,) = (folder / support.KEY).iterdir()
        assert unpack(file.read_bytes()) == voxels.tobytes("F")
        sizes.append(file.stat().st_size)
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("level", [-1, 10, 100])
def test_compress_level_that_does_not_exist_is_refused(
    tmp_path: Path, layer: str, level: int
) -> None:
    with pytest.raises(InvalidArgumentError, match="compress_level: expected 0 to 9"):
        CloudVolume(layer, compress="gzip", compress_level=level)[:] = np.uint32(1)
    assert support.files_in(tmp_path) == ["info"]


def test_non_aligned_writes_merge(layer: str) -> None:
    CloudVolume(layer)[:] = np.uint32(1)
    with pytest.raises(AlignmentError):
        CloudVolume(layer, non_aligned_writes=False)[1:9, 1:9, 1:9] = np.uint32(2)
    CloudVolume(layer, non_aligned_writes=True)[1:9, 1:9, 1:9] = np.uint32(2)
    assert CloudVolume(layer)[:].sum() == 16**3 + 8**3


def test_overwrite_partial_chunks_pads(layer: str) -> None:
    CloudVolume(layer)[:] = np.uint32(1)
    vol = CloudVolume(
        layer, non_aligned_writes=True, overwrite_partial_chunks=True, background_color=5
    )
    vol[0:4, 0:8, 0:8] = np.uint32(2)
    assert (vol[0:4, 0:8, 0:8] == 2).all()
    assert (vol[4:8, 0:8, 0:8] == 5).all()
    with pytest.raises(InvalidArgumentError, match="non_aligned_writes"):
        CloudVolume(layer, overwrite_partial_chunks=True)[0:8, 0:8, 0:8] = np.uint32(1)


@pytest.mark.parametrize("value", [1, 2, 7])
def test_parallel_is_kept(layer: str, value: int) -> None:
    assert CloudVolume(layer, parallel=value).parallel == value


def test_parallel_true_and_0_are_all_cpus(layer: str) -> None:
    every = CloudVolume(layer, parallel=True).parallel
    assert every == CloudVolume(layer, parallel=0).parallel
    assert 1 <= every <= (os.cpu_count() or 1)
    assert CloudVolume(layer, parallel=False).parallel == 1


def test_delete_black_uploads_removes_background_chunks(tmp_path: Path, layer: str) -> None:
    CloudVolume(layer)[:] = np.uint32(1)
    vol = CloudVolume(layer, delete_black_uploads=True, background_color=5, fill_missing=True)
    vol[0:8, 0:8, 0:8] = np.uint32(5)
    assert not vol.exists(np.s_[0:8, 0:8, 0:8])[f"{support.KEY}/0-8_0-8_0-8"]
    assert (vol[0:8, 0:8, 0:8] == 5).all()
    vol[8:16, 0:8, 0:8] = np.uint32(0)
    assert vol.exists(np.s_[8:16, 0:8, 0:8])[f"{support.KEY}/8-16_0-8_0-8"]


def test_background_color_is_what_is_not_stored(tmp_path: Path, layer: str) -> None:
    assert (CloudVolume(layer, fill_missing=True, background_color=2**32 - 1)[:] == 2**32 - 1).all()
    floats = support.make_layer(tmp_path / "floats", data_type="float32")
    assert np.isnan(CloudVolume(floats, fill_missing=True, background_color=float("nan"))[:]).all()


def test_use_https_leaves_local_layers_alone(layer: str) -> None:
    assert CloudVolume(layer, use_https=True).cloudpath == layer


def make_chain(folder: Path, length: int) -> str:
    for number in range(length):
        path = support.make_layer(folder / str(number))
        info = json.loads((folder / str(number) / "info").read_text())
        if number + 1 < length:
            info["redirect"] = f"file://{folder}/{number + 1}"
        (folder / str(number) / "info").write_text(json.dumps(info))
    assert path == f"file://{folder}/{length - 1}"
    return f"file://{folder}/0"


def test_max_redirects_bounds_the_chain(tmp_path: Path) -> None:
    start = make_chain(tmp_path, 4)
    with pytest.warns(UserWarning, match="opened for reading only"):
        vol = CloudVolume(start, max_redirects=4)
    assert vol.cloudpath == f"file://{tmp_path}/3"
    with pytest.raises(ReadOnlyException):
        vol[:] = np.uint32(1)
    with pytest.raises(TooManyRedirects):
        CloudVolume(start, max_redirects=3)
    assert CloudVolume(start, max_redirects=0).cloudpath == start


def test_mesh_and_skeleton_folders_are_overridden(layer: str) -> None:
    vol = CloudVolume(layer, mesh_dir="other_mesh", skel_dir="other_skeletons")
    assert (vol.meta.mesh, vol.meta.skeletons) == ("other_mesh", "other_skeletons")


@pytest.mark.parametrize("secrets", [{"token": "hidden-token"}, '{"token": "hidden-token"}'])
def test_secrets_are_not_kept(tmp_path: Path, layer: str, secrets: Any) -> None:
    import pickle

    vol = CloudVolume(layer, secrets=secrets)
    assert b"hidden-token" not in pickle.dumps(vol)
    assert "hidden-token" not in repr(vol)


def test_locking_of_no_cache_is_no_matter(tmp_path: Path, layer: str) -> None:
    for value in (True, False):
        assert not CloudVolume(layer, cache_locking=value, fill_missing=True)[:].any()
    assert support.files_in(tmp_path) == ["info"]


def test_encoding_of_no_cache_is_no_matter(layer: str) -> None:
    assert not CloudVolume(layer, lru_encoding="raw", fill_missing=True)[:].any()


@pytest.mark.parametrize("value", [0, 1, True, 3])
def test_codec_threads_are_checked(layer: str, value: Any) -> None:
    CloudVolume(layer, codec_threads=value)
    with pytest.raises(InvalidArgumentError):
        CloudVolume(layer, codec_threads=-1)
