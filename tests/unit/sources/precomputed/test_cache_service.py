# SPDX-License-Identifier: BSD-3-Clause
"""``vol.cache``, by upstream's names."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import pytest

from cloudvolume_fast import Bbox
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.errors import InfoValidationError, InvalidArgumentError
from cloudvolume_fast.fetch.disk_cache import CachedStore
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.sources.precomputed.cache_service import CacheService
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata


@pytest.fixture
def layer(make_layer):
    return make_layer(data=False, max_mip=1, members=None)


@pytest.fixture
def open_layer(layer, tmp_path: Path):
    def make(path: str = layer.path) -> CacheService:
        meta = PrecomputedMetadata(path, cache=str(tmp_path / "cache"))
        return CacheService.of(meta, VolumeConfig())

    return make


@pytest.fixture
def cache(open_layer) -> CacheService:
    return open_layer()


def fill(cache: CacheService, mip: int, *names: str) -> None:
    key = cache.meta.key(mip)
    cache.put([(f"{key}/{name}", b"1234") for name in names], compress=False)


def test_the_info_is_kept_where_upstream_keeps_it(
    cache: CacheService, layer, tmp_path: Path
) -> None:
    assert cache.path == str(tmp_path / "cache/file") + str(layer.folder)
    assert json.loads((Path(cache.path) / "info").read_bytes()) == cache.meta.info
    assert cache.has("info")
    assert cache.enabled == str(tmp_path / "cache")
    assert isinstance(cache.meta.store, CachedStore)
    assert isinstance(cache.meta.source_store, FileStore)


def test_sizes_that_differ_are_a_warning_all_else_an_error(open_layer, layer) -> None:
    cache = open_layer()
    stored = layer.folder / "info"
    info = json.loads(stored.read_bytes())
    kept = info["scales"][0]["size"]
    info["scales"][0]["size"] = [40, 40, 40]
    stored.write_text(json.dumps(info))
    with pytest.warns(UserWarning, match="sizes of scales"):
        cache = open_layer()
    assert cache.meta.info["scales"][0]["size"] == kept
    with pytest.warns(UserWarning, match="sizes of scales"):
        cache.check_info_validity()
    info["scales"][0]["encoding"] = "png"
    stored.write_text(json.dumps(info))
    with pytest.raises(InfoValidationError, match="flush_info") as raised:
        open_layer()
    assert isinstance(raised.value, ValueError)
    cache.flush_info()
    assert open_layer().meta.info["scales"][0]["encoding"] == "png"


def test_committing_changes_both(open_layer) -> None:
    cache = open_layer()
    cache.meta.info["scales"][0]["encoding"] = "png"
    cache.meta.commit_info()
    cache.meta.provenance.description = "changed"
    cache.meta.commit_provenance()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = open_layer()
        assert again.meta.info["scales"][0]["encoding"] == "png"
        assert again.meta.provenance.description == "changed"
        again.check_provenance_validity()


def test_another_provenance_is_a_warning(open_layer, layer) -> None:
    (layer.folder / "provenance").write_text('{"description": "first"}')
    assert open_layer().meta.provenance.description == "first"
    (layer.folder / "provenance").write_text('{"description": "second"}')
    cache = open_layer()
    with pytest.warns(UserWarning, match="flush_provenance"):
        assert cache.meta.provenance.description == "first"
    with pytest.warns(UserWarning, match="flush_provenance"):
        cache.check_provenance_validity()
    cache.flush_provenance()
    assert cache.meta.refresh_provenance().description == "second"


def test_counts_and_lists(cache: CacheService) -> None:
    fill(cache, 0, "10-18_-20--12_30-34", "18-26_-20--12_30-34")
    cache.put([(f"{cache.meta.key(1)}/5-13_-10--2_30-34", b"1" * 1000)], compress="gzip")
    assert cache.list() == cache.list(0)
    assert sorted(cache.list()) == ["10-18_-20--12_30-34", "18-26_-20--12_30-34"]
    assert cache.list(1) == ["5-13_-10--2_30-34.gz"]
    assert (cache.num_files(), cache.num_files(all_mips=True)) == (2, [2, 1])
    assert (cache.num_bytes(), cache.num_bytes(all_mips=True)[0]) == (8, 8)
    assert cache.list_meshes() == cache.list_skeletons() == []
    cache.meta.info["mesh"], cache.meta.info["skeletons"] = "mesh", "bones"
    cache.put([("mesh/1:0", b"1"), ("bones/1", b"1")])
    assert (cache.list_meshes(), cache.list_skeletons()) == (["1:0.gz"], ["1.gz"])


def test_flush_preserves_what_touches_a_box(cache: CacheService) -> None:
    """The box is mip 0's, at every mip."""
    fill(cache, 0, "10-18_-20--12_30-34", "18-26_-20--12_30-34", "18-26_-12--4_30-34")
    fill(cache, 1, "5-13_-10--2_30-34", "13-15_-10--2_30-34")
    box = Bbox((11, -20, 30), (18, -12, 34))
    cache.put([("mesh/1:0", b"1")])
    cache.flush(preserve=box)
    assert cache.list(0) == ["10-18_-20--12_30-34"]
    assert cache.list(1) == ["5-13_-10--2_30-34"]
    assert cache.has("mesh/1:0")
    cache.flush()
    assert not Path(cache.path).exists()
    cache.flush()


def test_flush_region(cache: CacheService) -> None:
    names = ["10-18_-20--12_30-34", "18-26_-20--12_30-34"]
    fill(cache, 0, *names)
    fill(cache, 1, "5-13_-10--2_30-34", "13-15_-10--2_30-34")
    cache.flush_region(Bbox((18, -20, 30), (19, -19, 31)), mips=0)
    assert (cache.list(0), cache.num_files(all_mips=True)) == (names[:1], [1, 2])
    cache.flush_region(Bbox((10, -20, 30), (12, -18, 31)))
    assert cache.num_files(all_mips=True) == [0, 1]
    fill(cache, 0, *names)
    cache.flush_region(Bbox((10, -20, 30), (12, -18, 31)), mips=[1])
    assert cache.num_files() == 2


def test_chunks_out_of_shards_are_flushed_by_their_number(make_layer, open_layer) -> None:
    sharding = {
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": 0,
        "hash": "identity",
        "minishard_bits": 0,
        "shard_bits": 0,
        "minishard_index_encoding": "raw",
        "data_encoding": "raw",
    }
    cache = open_layer(make_layer(data=False, members={"sharding": sharding}).path)
    fill(cache, 0, "0", "1", "2", "7", "0.index", "0-1.msi")
    # In a grid of 3 x 3 x 3 number 1 is the second chunk along x, 2 along y.
    cache.flush_region(Bbox((18, -20, 30), (19, -19, 31)))
    assert sorted(cache.list()) == ["0", "0-1.msi", "0.index", "2", "7"]
    cache.flush(preserve=Bbox((10, -12, 30), (11, -11, 31)))
    assert sorted(cache.list()) == ["0-1.msi", "0.index", "2"]


def test_downloads_are_kept(cache: CacheService, layer) -> None:
    (layer.folder / "a").write_bytes(b"0123456789")
    assert cache.download(["a", "absent"]) == {"a": b"0123456789", "absent": None}
    assert cache.download("a") == {"a": b"0123456789"}
    (layer.folder / "a").unlink()
    assert cache.download_single("a") == b"0123456789"
    assert cache.get(["a", "absent"]) == {"a": b"0123456789", "absent": None}
    assert cache.download_json("info") == cache.get_json("info") == cache.meta.info
    assert cache.get_json("a/b") is None
    assert cache.compute_data_locations(["absent", "a"]) == {"local": ["a"], "remote": ["absent"]}


def test_parts_are_kept_under_names_of_their_own(cache: CacheService, layer) -> None:
    (layer.folder / "a").write_bytes(b"0123456789")
    request = {"path": "a", "local_alias": "a-2.msi", "start": 2, "end": 5}
    whole = {"path": "a", "local_alias": "b", "start": None, "end": None}
    assert cache.download_as([request, whole]) == {
        ("a", 2, 5): b"234",
        ("a", None, None): b"0123456789",
    }
    (layer.folder / "a").unlink()
    assert cache.download_single_as("a", "a-2.msi", start=2, end=5) == b"234"
    assert cache.get_single("a-2.msi") == b"234"


def test_uploads_go_to_both(cache: CacheService, layer) -> None:
    cache.upload([("a", b"text")], compress="gzip", cache_control=None)
    cache.upload_single("b", b"text", compress=False, cache_control="no-cache")
    assert (layer.folder / "a.gz").exists()
    assert cache.get(["a", "b"]) == {"a": b"text", "b": b"text"}
    cache.put_json("c", {"x": 1})
    assert cache.get_json("c") == {"x": 1}
    assert not (layer.folder / "c").exists()
    cache.delete(["a", "c"])
    assert cache.get(["a", "c"]) == {"a": None, "c": None}
    assert (layer.folder / "a.gz").exists()
    assert cache.cloudfiles().get("b") == b"text"


def test_it_is_switched_on_and_off(layer, tmp_path: Path, home: Path) -> None:
    cache = CacheService.of(PrecomputedMetadata(layer.path), VolumeConfig())
    assert cache.enabled is False
    assert not Path(cache.path).exists()
    assert isinstance(cache.meta.store, FileStore)
    assert cache.download(["info"])["info"]
    cache.enabled = True
    assert cache.path.startswith(str(home / ".cloudvolume/cache/file"))
    cache.maybe_cache_info()
    cache.maybe_cache_provenance()
    assert cache.has("info")
    assert cache.has("provenance")
    cache.enabled = str(tmp_path / "other")
    assert cache.path.startswith(str(tmp_path / "other/file"))
    assert not cache.has("info")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot be made"):
        cache.enabled = str(tmp_path / "file")
    assert cache.enabled == str(tmp_path / "other")
    cache.initialize()


def test_limit(cache: CacheService, monkeypatch: pytest.MonkeyPatch, open_layer) -> None:
    assert cache.limit_bytes is None
    cache.put([(f"k/{i}", b"x" * 100) for i in range(20)], compress=False)
    cache.limit_bytes = 1500
    assert cache.has("info")
    assert 5 <= len(cache._cache.names("k")) < 14
    with pytest.raises(InvalidArgumentError, match="limit_bytes"):
        cache.limit_bytes = -1
    monkeypatch.setenv("CVFAST_CACHE_BYTES", "12345")
    assert open_layer().limit_bytes == 12345


def test_metadata_is_pickled_without_secrets(layer, tmp_path: Path) -> None:
    meta = PrecomputedMetadata(
        layer.path, cache=str(tmp_path / "cache"), secrets={"token": "very-secret"}
    )
    pickled = pickle.dumps(meta)
    assert b"very-secret" not in pickled
    again = pickle.loads(pickled)
    assert again.store.get("info") == meta.store.get("info")
    assert "very-secret" not in f"{meta!r} {vars(meta)}"


def test_constructor_of_upstream(layer, tmp_path):
    cache = CacheService(layer.path, str(tmp_path / "elsewhere"), VolumeConfig())
    cache.put_single("a", b"content", compress="gzip")
    assert cache.get_single("a") == b"content"
    assert [path.name for path in (tmp_path / "elsewhere").rglob("a*")] == ["a.gz"]


def test_constructor_takes_the_metadata_of_an_open_layer(layer, tmp_path):
    meta = PrecomputedMetadata(layer.path)
    cache = CacheService(layer.path, str(tmp_path / "elsewhere"), VolumeConfig(), meta)
    assert meta.cache_base == str(tmp_path / "elsewhere")
    assert cache.meta is meta


def test_progress_shows_a_bar_where_it_is_asked_for(
    cache: CacheService, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = [(f"folder/{i}", b"content") for i in range(700)]
    names = [name for name, _ in objects]
    parts = [{"path": n, "local_alias": f"part/{n}", "start": 0, "end": 3} for n in names[:5]]

    def seen() -> list[bool]:
        shown = []
        for work in (
            lambda progress: cache.upload(objects, False, None, progress=progress),
            lambda progress: cache.get(names, progress),
            lambda progress: cache.put(objects, progress, False),
            lambda progress: (cache.flush(), cache.download(names, False, progress)),
            lambda progress: cache.download_as(parts, False, progress),
        ):
            for progress in (True, False, None):
                work(progress)
                shown.append("/" in capsys.readouterr().err)
        return shown

    assert seen() == [True, False, False] * 5
    cache.config.progress = True
    assert seen() == [True, False, True] * 5
    assert cache.download(names, progress=True) == dict(objects)
