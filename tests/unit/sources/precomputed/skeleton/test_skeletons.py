# SPDX-License-Identifier: BSD-3-Clause
"""Skeletons of a volume, as files and in shards."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers.nginx import Nginx

from cloudvolume_fast import CloudVolume, CloudVolumePrecomputed, Skeleton, errors
from cloudvolume_fast.sources.precomputed.skeleton import (
    PrecomputedSkeletonSource,
    ShardedPrecomputedSkeletonSource,
    UnshardedPrecomputedSkeletonSource,
)

MOVED = [2, 0, 0, 1, 0, 2, 0, 2, 0, 0, 2, 3]
FOLDER = "skeletons_mip_0"
Volumes = Callable[..., CloudVolumePrecomputed]


def sample(segid: int | None = 7, n: int = 4, **changes: Any) -> Skeleton:
    rng = np.random.default_rng(segid)
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1).astype(np.uint32)
    members = {
        "vertices": rng.random((n, 3), np.float32),
        "edges": edges,
        "radii": rng.random(n, np.float32),
        "vertex_types": rng.integers(0, 5, n).astype(np.uint8),
        "segid": segid,
    }
    return Skeleton(**(members | changes))


def same(found: Skeleton, expected: Skeleton) -> None:
    for name in ("vertices", "edges", "radius", "vertex_types"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.id == expected.id


@pytest.fixture
def make_volume(tmp_path: Path) -> Volumes:
    def make(
        folder: str = "layer", skeletons: Any = FOLDER, **settings: Any
    ) -> CloudVolumePrecomputed:
        info = CloudVolume.create_new_info(
            1,
            "segmentation",
            "uint64",
            "raw",
            [4, 4, 40],
            [10, 0, 0],
            [100, 64, 16],
            skeletons=skeletons,
        )
        vol = CloudVolume(f"file://{tmp_path}/{folder}", info=info, progress=False, **settings)
        vol.commit_info()
        return vol

    return make


@pytest.fixture
def vol(make_volume: Volumes) -> CloudVolumePrecomputed:
    return make_volume()


def folder_of(vol: CloudVolumePrecomputed) -> Path:
    return Path(vol.cloudpath.removeprefix("file://")) / vol.skeleton.path


def names_in(vol: CloudVolumePrecomputed) -> list[str]:
    return sorted(path.name for path in folder_of(vol).iterdir())


def one_shard(vol: CloudVolumePrecomputed, count: int = 12) -> list[int]:
    """Labels that lie in the shard of label 1."""
    reader = vol.skeleton.reader
    return [n for n in range(1, 10_000) if reader.get_filename(n) == reader.get_filename(1)][:count]


# Files.


def test_one_label_gives_a_skeleton_and_several_a_list(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.upload([sample(7), sample(8)])
    for label in (7, np.uint64(7), np.array(7)):
        same(vol.skeleton.get(label), sample(7))
    for labels in ([8, 7], (8, 7), np.array([8, 7], np.uint64), iter([8, 7]), [8, 7, 8]):
        found = vol.skeleton.get(labels)
        assert [each.id for each in found] == [8, 7]
        same(found[0], sample(8))
    assert {each.id for each in vol.skeleton.get({7, 8})} == {7, 8}
    assert vol.skeleton.get([]) == []


def test_missing_labels_raise_or_are_left_out(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.upload(sample(7))
    for labels in (8, [7, 8]):
        with pytest.raises(errors.SkeletonDecodeError, match=f"do not exist: {FOLDER}/8") as raised:
            vol.skeleton.get(labels)
        assert raised.value.key == f"{vol.cloudpath}/{FOLDER}/8"
    assert vol.skeleton.get(8, allow_missing=True) is None
    assert [each.id for each in vol.skeleton.get([8, 7, 9], allow_missing=True)] == [7]
    for nonsense in ("7", 7.5, -1, 2**64):
        with pytest.raises(errors.InvalidArgumentError):
            vol.skeleton.get(nonsense)


def test_skeletons_come_in_physical_space(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.upload(sample(7))
    vol.skeleton.meta.transform = MOVED
    found = vol.skeleton.get(7)
    assert found.space == "physical"
    np.testing.assert_array_equal(found.transform, np.float32(MOVED).reshape(3, 4))
    np.testing.assert_array_equal(found.vertices, sample(7).vertices * 2 + np.float32([1, 2, 3]))
    np.testing.assert_allclose(found.voxel_space().vertices, sample(7).vertices, atol=1e-6)
    assert found.vertices.flags.writeable


def test_what_was_read_can_be_written_again(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.meta.transform = MOVED
    vol.skeleton.upload(sample(7))
    found = vol.skeleton.get(7)
    vol.skeleton.upload(found)
    same(vol.skeleton.get(7), found)


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [(None, ".gz"), ("gzip", ".gz"), ("br", ".br"), ("zstd", ".zstd"), (False, "")],
)
def test_files_are_compressed_as_the_volume_says(
    make_volume: Volumes, compress: Any, suffix: str
) -> None:
    vol = make_volume(compress=compress)
    vol.skeleton.upload(sample(7))
    assert names_in(vol) == sorted([f"7{suffix}", "info"])
    same(vol.skeleton.get(7), sample(7))


def test_raw_arrays_are_written(vol: CloudVolumePrecomputed) -> None:
    expected = sample(7)
    vol.skeleton.upload_raw(
        7, expected.vertices, expected.edges, expected.radii, expected.vertex_types
    )
    same(vol.skeleton.get(7), expected)
    vol.skeleton.upload_raw(8, expected.vertices, expected.edges)
    assert vol.skeleton.get(8).radius.tolist() == [-1] * 4
    vol.skeleton.put(sample(9))
    assert vol.skeleton.list().tolist() == [7, 8, 9]
    assert vol.skeleton.list().dtype == np.uint64


def test_existence_and_deletion(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.upload([sample(7), sample(8)])
    assert vol.skeleton.exists(7) is True
    assert vol.skeleton.exists([7, 9]) == {7: True, 9: False}
    vol.skeleton.delete([7, 9])
    assert vol.skeleton.exists(7) is False
    vol.skeleton.delete(8)
    assert vol.skeleton.list().tolist() == []


def test_first_upload_writes_an_info_that_others_read(vol: CloudVolumePrecomputed) -> None:
    skeleton = sample(7)
    skeleton.extra_attributes = [{"id": "area", "data_type": "float32", "num_components": 2}]
    skeleton.area = np.arange(8, dtype=np.float32).reshape(4, 2)
    vol.skeleton.upload(skeleton)
    info = json.loads((folder_of(vol) / "info").read_bytes())
    assert info == {
        "@type": "neuroglancer_skeletons",
        "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
        "vertex_attributes": [{"id": "area", "data_type": "float32", "num_components": 2}],
    }
    again = CloudVolume(vol.cloudpath).skeleton.get(7)
    np.testing.assert_array_equal(again.area, skeleton.area)
    assert again.radius.tolist() == [-1] * 4


def test_an_info_that_is_there_is_left_alone(vol: CloudVolumePrecomputed) -> None:
    other = CloudVolume(vol.cloudpath)
    other.skeleton.meta.info["transform"] = MOVED
    assert vol.skeleton.meta.transform[0, 0] == 1  # looked for before the other wrote
    other.skeleton.meta.commit_info()
    vol.skeleton.upload(sample(7))
    assert json.loads((folder_of(vol) / "info").read_bytes())["transform"] == MOVED


def test_attributes_that_the_info_does_not_list_are_refused(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.upload(sample(7))
    other = sample(8)
    other.extra_attributes = [{"id": "area", "data_type": "float32", "num_components": 1}]
    other.area = np.zeros(4, np.float32)
    with pytest.raises(
        errors.SkeletonAttributeMixingError, match=f"{FOLDER}/8: expected vertex attributes"
    ):
        vol.skeleton.upload(other)
    longer = sample(9)
    longer.extra_attributes = [*longer.extra_attributes, *other.extra_attributes]
    longer.area = np.ones(4, np.float32)
    vol.skeleton.upload(longer)  # readers of this info stop before it
    same(vol.skeleton.get(9), sample(9))
    vol.skeleton.meta.info["vertex_attributes"] = longer.extra_attributes
    assert vol.skeleton.get(9).area.tolist() == [1] * 4
    assert vol.skeleton.get(7).area.tolist() == []


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"segid": None}, errors.SkeletonEncodeError, "expected an id"),
        (
            {"radii": np.zeros(3, np.float32)},
            errors.SkeletonEncodeError,
            f"{FOLDER}/7: vertex attribute radius",
        ),
        (
            {"edges": np.array([[0, 4]], np.uint32)},
            errors.SkeletonUnassignedEdgeError,
            f"{FOLDER}/7: ",
        ),
    ],
)
def test_skeletons_that_cannot_be_stored_are_refused(
    vol: CloudVolumePrecomputed, changes: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        vol.skeleton.upload([sample(3), sample(**({"segid": 7} | changes))])
    assert not folder_of(vol).exists()


def test_only_skeletons_are_uploaded(vol: CloudVolumePrecomputed) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="found str"):
        vol.skeleton.upload(["7"])
    vol.skeleton.upload([])


def test_read_only_sources_refuse(vol: CloudVolumePrecomputed) -> None:
    source = UnshardedPrecomputedSkeletonSource(vol.skeleton.meta, readonly=True)
    for write in (lambda: source.upload(sample(7)), lambda: source.delete(7)):
        with pytest.raises(errors.ReadOnlyException, match=FOLDER):
            write()


def test_corrupt_files_are_named(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.upload([sample(7), sample(8)])
    path = folder_of(vol) / "8.gz"
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data[:-1]))
    with pytest.raises(
        errors.SkeletonDecodeError, match=f"{FOLDER}/8: vertex attribute at byte 96"
    ):
        vol.skeleton.get([7, 8])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(errors.DecompressionError, match=rf"{FOLDER}/8\.gz"):
        vol.skeleton.get([7, 8])
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(errors.SkeletonDecodeError, match=f"{FOLDER}/8: expected a header"):
        vol.skeleton.get(8)


def test_bytes_without_attributes_are_read(vol: CloudVolumePrecomputed) -> None:
    folder = folder_of(vol)
    folder.mkdir()
    (folder / "7").write_bytes(sample(7).to_precomputed()[:80])
    assert vol.skeleton.get(7).radius.tolist() == [-1] * 4


# The folder and its info.


def test_folder_is_that_of_the_info_or_of_the_constructor(make_volume: Volumes) -> None:
    assert make_volume("a", skeletons=None).skeleton.path == "skeletons"
    assert make_volume("b", skeletons=True).skeleton.path == "skeletons"
    assert make_volume("c", skel_dir="other/place").skeleton.path == "other/place"
    vol = make_volume("d", skeletons="skeletons_mip_3")
    assert vol.skeleton.meta.mip == 3
    vol.skeleton.meta.info["mip"] = 1
    assert vol.skeleton.meta.mip == 1
    assert vol.skeleton.meta.layerpath == f"{vol.cloudpath}/skeletons_mip_3"
    vol.skeleton.upload(sample(7))
    same(vol.skeleton.get(7), sample(7))


def test_skeletons_lie_outside_of_the_layer_too(make_volume: Volumes) -> None:
    vol = make_volume("deep/layer", skel_dir="../shared")
    vol.skeleton.upload(sample(7))
    same(vol.skeleton.get(7), sample(7))
    assert (folder_of(vol) / "7.gz").resolve().parent.name == "shared"


@pytest.mark.parametrize("content", [b"{", b"[]", b"7", b"\xff"])
def test_malformed_info_is_named(vol: CloudVolumePrecomputed, content: bytes) -> None:
    folder = Path(vol.cloudpath.removeprefix("file://")) / FOLDER
    folder.mkdir()
    (folder / "info").write_bytes(content)
    with pytest.raises(errors.InfoValidationError, match=f"{FOLDER}/info"):
        CloudVolume(vol.cloudpath).skeleton  # noqa: B018


@pytest.mark.parametrize("transform", [[1, 2, 3], "identity", [[1]] * 12 + [1]])
def test_malformed_transforms_are_named(vol: CloudVolumePrecomputed, transform: Any) -> None:
    vol.skeleton.upload(sample(7))
    vol.skeleton.meta.info["transform"] = transform
    with pytest.raises(errors.InfoValidationError, match=f"{FOLDER}/info: transform"):
        vol.skeleton.get(7)
    with pytest.raises(errors.InvalidArgumentError):
        vol.skeleton.meta.transform = [1, 2, 3]


def test_info_without_members_stands_for_the_defaults(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.meta.info = {"@type": "neuroglancer_skeletons"}
    vol.skeleton.meta.commit_info()
    vol = CloudVolume(vol.cloudpath)
    vol.skeleton.upload(sample(7))
    same(vol.skeleton.get(7), sample(7))
    assert vol.skeleton.spatial_index is None


def test_layers_are_opened_by_their_path(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.upload(sample(7))
    same(PrecomputedSkeletonSource.from_cloudpath(vol.cloudpath).get(7), sample(7))


# Shards.


@pytest.fixture
def sharded(vol: CloudVolumePrecomputed) -> CloudVolumePrecomputed:
    vol.skeleton.to_sharded(1000, min_shards=4)
    vol.skeleton.meta.commit_info()
    return CloudVolume(vol.cloudpath, progress=False)


def test_sharded_info_makes_another_source(vol: CloudVolumePrecomputed) -> None:
    assert type(vol.skeleton) is UnshardedPrecomputedSkeletonSource
    vol.skeleton.to_sharded(10**6, max_labels_per_shard=10**5)
    assert type(vol.skeleton) is ShardedPrecomputedSkeletonSource
    assert vol.skeleton is vol.skeleton
    spec = vol.skeleton.reader.spec
    assert (spec.shard_bits, spec.minishard_bits, spec.hash) == (3, 7, "murmurhash3_x86_128")
    assert (spec.data_encoding, spec.minishard_index_encoding) == ("gzip", "gzip")
    vol.skeleton.meta.commit_info()
    assert type(CloudVolume(vol.cloudpath).skeleton) is ShardedPrecomputedSkeletonSource
    vol.skeleton.to_unsharded()
    assert type(vol.skeleton) is UnshardedPrecomputedSkeletonSource
    vol.skeleton.meta.commit_info()
    info = json.loads((folder_of(vol) / "info").read_bytes())
    assert "sharding" not in info


def test_shards_are_written_and_read(sharded: CloudVolumePrecomputed) -> None:
    labels = one_shard(sharded)
    sharded.skeleton.upload([sample(label, 3 + label % 5) for label in labels])
    for vol in (sharded, CloudVolume(sharded.cloudpath, parallel=2)):
        found = vol.skeleton.get(labels[::-1])
        for label, skeleton in zip(labels[::-1], found, strict=True):
            same(skeleton, sample(label, 3 + label % 5))
        same(vol.skeleton.get(labels[0]), found[-1])
        assert vol.skeleton.list().tolist() == labels
        assert vol.skeleton.exists(labels[0]) is True
        assert vol.skeleton.exists([labels[0], 10**9]) == {labels[0]: True, 10**9: False}
    assert len(list(folder_of(sharded).glob("*.shard"))) == 1


def test_missing_labels_of_shards_raise_or_are_left_out(sharded: CloudVolumePrecomputed) -> None:
    labels = one_shard(sharded)
    with pytest.raises(errors.EmptyFileException, match=f"{FOLDER}/.*segid {labels[0]} is missing"):
        sharded.skeleton.get(labels[0])
    sharded.skeleton.upload([sample(label) for label in labels[:3]])
    with pytest.raises(errors.EmptyFileException, match=f"segid {labels[5]} is missing"):
        sharded.skeleton.get([labels[0], labels[5]])
    assert sharded.skeleton.get(labels[5], allow_missing=True) is None
    assert [s.id for s in sharded.skeleton.get(labels[:5], allow_missing=True)] == labels[:3]
    assert sharded.skeleton.get([]) == []


def test_uploads_of_several_shards_are_refused(sharded: CloudVolumePrecomputed) -> None:
    with pytest.raises(ValueError, match="expected skeletons of one shard, found those of 4"):
        sharded.skeleton.upload([sample(label) for label in range(1, 30)])
    for refused in (sharded.skeleton.upload_raw, sharded.skeleton.raw_upload):
        with pytest.raises(NotImplementedError):
            refused(1, None, None)
    with pytest.raises(errors.SkeletonEncodeError, match="expected an id"):
        sharded.skeleton.upload(sample(None))
    sharded.skeleton.upload([])
    assert names_in(sharded) == ["info"]


def test_labels_are_taken_out_of_their_shards(sharded: CloudVolumePrecomputed) -> None:
    labels = one_shard(sharded)
    sharded.skeleton.upload([sample(label) for label in labels])
    sharded.skeleton.delete([*labels[:2], 10**9])
    assert sharded.skeleton.list().tolist() == labels[2:]
    same(sharded.skeleton.get(labels[2]), sample(labels[2]))
    sharded.skeleton.delete(labels)
    assert names_in(sharded) == [".shards.lock", "info"]
    assert sharded.skeleton.list().tolist() == []


def test_lists_of_labels_beside_the_shards_are_read(sharded: CloudVolumePrecomputed) -> None:
    folder = folder_of(sharded)
    (folder / "0.labels.gz").write_bytes(gzip.compress(b"[5, 18446744073709551615]"))
    (folder / "1.labels").write_bytes(b'["3", 5]')
    assert sharded.skeleton.list().tolist() == [3, 5, 2**64 - 1]
    (folder / "1.labels").write_bytes(b'["x"]')
    with pytest.raises(errors.DecodingError, match=rf"{FOLDER}/1\.labels"):
        sharded.skeleton.list()


def test_corrupt_shards_are_named(sharded: CloudVolumePrecomputed) -> None:
    labels = one_shard(sharded)
    good = {label: sample(label).to_precomputed() for label in labels}
    good[labels[3]] = good[labels[3]][:-1]
    reader = sharded.skeleton.reader
    name = reader.get_filename(labels[0])
    (folder_of(sharded) / name).write_bytes(reader.spec.synthesize_shard(good))
    with pytest.raises(
        errors.SkeletonDecodeError, match=rf"{FOLDER}/{name}: label {labels[3]}: vertex attr"
    ):
        sharded.skeleton.get(labels)
    same(sharded.skeleton.get(labels[0]), sample(labels[0]))
    shutil.copy(folder_of(sharded) / "info", folder_of(sharded) / name)
    with pytest.raises(errors.SpecViolation, match=name):
        CloudVolume(sharded.cloudpath).skeleton.get(labels[0])


def test_malformed_sharding_is_named(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.meta.info["sharding"] = "yes"
    with pytest.raises(errors.InfoValidationError, match="expected sharding"):
        vol.skeleton.get(7)
    with pytest.raises(errors.InvalidArgumentError, match="max_labels_per_shard"):
        vol.skeleton.to_sharded(10, max_labels_per_shard=0)


# Elsewhere.


@pytest.mark.parametrize("sharded", [False, True])
def test_skeletons_are_read_over_http(
    vol: CloudVolumePrecomputed, nginx_folder: Path, nginx: Nginx, sharded: bool
) -> None:
    if sharded:
        vol.skeleton.to_sharded(10)
    vol.skeleton.meta.commit_info()
    vol.skeleton.upload([sample(7), sample(8)])
    shutil.copytree(folder_of(vol).parent, nginx_folder / "layer")
    there = CloudVolume(f"{nginx.url}/{nginx_folder.name}/layer", progress=False)
    for skeleton in there.skeleton.get([8, 7]):
        same(skeleton, sample(skeleton.id))
    assert there.skeleton.get([7, 9], allow_missing=True)[0].id == 7
    assert there.skeleton.exists([7, 9]) == {7: True, 9: False}


def test_skeletons_are_kept_in_memory() -> None:
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", "raw", [4, 4, 40], [10, 0, 0], [100, 64, 16]
    )
    vol = CloudVolume("mem://test_skeletons/layer", info=info, progress=False)
    vol.commit_info()
    vol.skeleton.upload([sample(7), sample(8)])
    for skeleton in vol.skeleton.get([8, 7]):
        same(skeleton, sample(skeleton.id))
    assert vol.skeleton.list().tolist() == [7, 8]
    vol.skeleton.delete([7, 8])
    assert vol.skeleton.list().tolist() == []


def test_writers_of_one_shard_lose_nothing_of_each_other(sharded: CloudVolumePrecomputed) -> None:
    labels = one_shard(sharded)
    sharded.skeleton.upload([sample(label) for label in labels])
    volumes = [CloudVolume(sharded.cloudpath, progress=False) for _ in labels[1:]]
    with ThreadPoolExecutor(len(volumes)) as pool:
        list(pool.map(lambda vol, label: vol.skeleton.delete(label), volumes, labels[1:]))
    assert sharded.skeleton.list().tolist() == labels[:1]


@pytest.mark.parametrize("writes", ["upload", "delete"])
def test_writers_wait_for_the_lock_of_their_shard(
    sharded: CloudVolumePrecomputed, writes: str
) -> None:
    source = sharded.skeleton
    labels = one_shard(sharded)
    source.upload([sample(label) for label in labels])
    shard = int(source.reader.spec.locate(labels[:1])[0][0])
    other = shard ^ 1
    given = [sample(label) for label in labels[1:]] if writes == "upload" else labels[:1]
    writing = threading.Thread(target=getattr(source, writes), args=(given,), daemon=True)
    with source.meta.store.lock_shard(source.path, other):
        with source.meta.store.lock_shard(source.path, shard):
            writing.start()
            writing.join(0.2)
            assert writing.is_alive()
            fresh = CloudVolume(sharded.cloudpath, progress=False)
            assert fresh.skeleton.list().tolist() == labels
        writing.join(60)  # nobody waits for the lock of another shard
        assert not writing.is_alive()
    assert source.list().tolist() == labels[1:]


@pytest.mark.parametrize("count", [499, 500, 501, 1700])
def test_many_skeletons_are_read_in_batches(vol: CloudVolumePrecomputed, count: int) -> None:
    labels = np.random.default_rng(1).permutation(np.arange(1, count + 1)).tolist()
    vol.skeleton.upload([sample(label) for label in labels])
    found = vol.skeleton.get(labels)
    assert [s.id for s in found] == labels
    for skeleton in found[:: count // 7]:
        same(skeleton, sample(skeleton.id))
    vol.skeleton.delete(labels[-2:])
    assert [s.id for s in vol.skeleton.get(labels, allow_missing=True)] == labels[:-2]
    with pytest.raises(errors.SkeletonDecodeError, match=f"{labels[-2]}.*{labels[-1]}"):
        vol.skeleton.get(labels)


def test_many_skeletons_of_shards_are_read_in_batches(vol: CloudVolumePrecomputed) -> None:
    vol.skeleton.to_sharded(10**6)
    vol.skeleton.meta.commit_info()
    sharded = CloudVolume(vol.cloudpath, progress=False)
    spec = sharded.skeleton.reader.spec
    groups: dict[int, list[int]] = {}
    for label, shard in enumerate(spec.locate(np.arange(2500))[0].tolist()):
        groups.setdefault(shard, []).append(label)
    for members in groups.values():
        sharded.skeleton.upload([sample(label) for label in members])
    labels = np.random.default_rng(1).permutation(2600).tolist()
    found = sharded.skeleton.get(labels, allow_missing=True)
    assert [s.id for s in found] == [label for label in labels if label < 2500]
    for skeleton in found[::300]:
        same(skeleton, sample(skeleton.id))
    first = next(label for label in labels if label >= 2500)
    with pytest.raises(errors.EmptyFileException, match=f"segid {first} is missing"):
        sharded.skeleton.get(labels)
