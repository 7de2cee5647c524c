# SPDX-License-Identifier: BSD-3-Clause
"""Sharded scales behave as others do, for everything that a volume is asked."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.errors import (
    AlignmentError,
    ChunkWriteError,
    EmptyVolumeException,
    InvalidArgumentError,
    OutOfBoundsError,
    ShardIndexError,
    SpecViolation,
)
from cloudvolume_fast.model.sharding import ShardingSpecification

SIZE, OFFSET, CHUNK = (70, 50, 33), (-7, 11, 100), (16, 16, 8)


def sharding(preshift=2, minishard=1, shard=4, hash="identity", data="gzip", index="gzip"):
    return {
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": preshift,
        "hash": hash,
        "minishard_bits": minishard,
        "shard_bits": shard,
        "minishard_index_encoding": index,
        "data_encoding": data,
    }


class Sharded:
    def __init__(self, folder, spec, encoding="raw", dtype="uint32", mips=1, **settings):
        self.folder = folder
        self.settings = settings
        info = CloudVolume.create_new_info(
            1,
            "segmentation",
            dtype,
            encoding,
            (4, 4, 40),
            OFFSET,
            SIZE,
            chunk_size=CHUNK,
            max_mip=0,
        )
        info["scales"][0]["sharding"] = spec
        for mip in range(1, mips):
            factor = 2**mip
            info["scales"].append(
                {
                    **info["scales"][0],
                    "key": f"{4 * factor}_{4 * factor}_40",
                    "resolution": [4 * factor, 4 * factor, 40],
                }
            )
        self.open(info=info).commit_info()
        self.data = np.asfortranarray(np.random.default_rng(3).integers(0, 200, SIZE).astype(dtype))

    def open(self, **settings):
        return CloudVolume(self.folder.as_uri(), **{**self.settings, **settings})

    def box(self, *ranges):
        return tuple(
            slice(low + o, high + o) for (low, high), o in zip(ranges, OFFSET, strict=True)
        )

    @property
    def all(self):
        return self.box(*((0, extent) for extent in SIZE))

    def shards(self, mip=0):
        key = self.open().key if mip == 0 else self.open().scales[mip]["key"]
        return sorted(path.name for path in (self.folder / key).glob("*.shard"))

    def shard(self, name):
        return self.folder / "4_4_40" / name


@pytest.fixture
def make(tmp_path):
    return lambda *arguments, **settings: Sharded(tmp_path / "layer", *arguments, **settings)


@pytest.fixture
def filled(make):
    layer = make(sharding())
    layer.open()[layer.all] = layer.data
    return layer


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [
        ("raw", "uint8"),
        ("compressed_segmentation", "uint64"),
        ("png", "uint8"),
        ("compresso", "uint32"),
        ("crackle", "uint64"),
    ],
)
def test_every_lossless_encoding_lies_in_shards(make, encoding, dtype):
    layer = make(sharding(hash="murmurhash3_x86_128"), encoding=encoding, dtype=dtype)
    layer.open()[layer.all] = layer.data
    assert np.array_equal(layer.open()[layer.all][..., 0], layer.data)
    assert not [p for p in (layer.folder / "4_4_40").iterdir() if "-" in p.name]


def test_boxes_points_labels_and_numbers_are_those_of_the_array(filled):
    volume = filled.open()
    box = filled.box((3, 60), (5, 40), (1, 30))
    part = filled.data[3:60, 5:40, 1:30]
    assert np.array_equal(volume[box][..., 0], part)
    assert np.array_equal(volume.download(box, label=7)[..., 0], part == 7)
    numbered, mapping = volume.download(box, renumber=True)
    assert np.array_equal(
        np.vectorize({v: k for k, v in mapping.items()}.get)(numbered[..., 0]), part
    )
    assert volume.unique(box) == set(np.unique(part).tolist())
    points = [(-7, 11, 100), (20, 30, 120), (62, 60, 132)]
    values = volume.scattered_points(points)
    for point in points:
        at = tuple(p - o for p, o in zip(point, OFFSET, strict=True))
        assert values[point] == filled.data[at]


def test_a_repeated_read_reads_no_index_again(filled):
    volume = filled.open()
    volume[filled.all]
    held = volume.image._shard_indexes.held_bytes
    assert held > 0
    volume[filled.all]
    assert volume.image._shard_indexes.held_bytes == held
    volume.image._shard_indexes.clear()
    assert np.array_equal(volume[filled.all][..., 0], filled.data)


def test_scales_share_no_entries_of_caches(make):
    layer = make(sharding(), mips=3, lru_bytes=50_000_000)
    for mip in range(3):
        volume = layer.open(mip=mip)
        volume[volume.bounds] = layer.data + mip
    volume = layer.open()
    for _ in range(2):
        for mip in range(3):
            volume.mip = mip
            assert np.array_equal(volume[volume.bounds][..., 0], layer.data + mip)
    assert len(volume.image.lru) > 0


def test_a_write_is_seen_behind_the_cache_in_memory(filled):
    volume = filled.open(lru_bytes=50_000_000)
    volume[filled.all]
    box = filled.box((16, 32), (16, 32), (8, 16))
    volume[box] = np.full((16, 16, 8), 4711, np.uint32)
    filled.data[16:32, 16:32, 8:16] = 4711
    assert np.array_equal(volume[filled.all][..., 0], filled.data)


def test_parts_are_merged_unless_refused(filled):
    box = filled.box((16, 32), (16, 32), (8, 16))
    volume = filled.open()
    volume.config.partial_shard_writes = False
    before = {name: filled.shard(name).read_bytes() for name in filled.shards()}
    with pytest.raises(AlignmentError, match=r"shard: expected a write of all \d+ chunks"):
        volume[box] = np.zeros((16, 16, 8), np.uint32)
    assert {name: filled.shard(name).read_bytes() for name in filled.shards()} == before
    volume[filled.all] = filled.data  # whole shards are no parts
    volume.config.partial_shard_writes = True
    volume[box] = np.zeros((16, 16, 8), np.uint32)
    filled.data[16:32, 16:32, 8:16] = 0
    assert np.array_equal(filled.open()[filled.all][..., 0], filled.data)


def test_unaligned_writes_follow_the_same_rules(filled):
    box = filled.box((3, 60), (5, 40), (1, 30))
    with pytest.raises(AlignmentError):
        filled.open()[box] = 5
    filled.open(non_aligned_writes=True)[box] = 5
    filled.data[3:60, 5:40, 1:30] = 5
    assert np.array_equal(filled.open()[filled.all][..., 0], filled.data)


def test_exists_and_delete_tell_chunks(filled):
    volume = filled.open()
    flags = volume.exists(filled.all)
    assert len(flags) == 5 * 4 * 5
    assert all(flags.values())
    box = filled.box((0, 16), (0, 16), (0, 8))
    volume.delete(box)
    flags = volume.exists(filled.all)
    assert [name for name, found in flags.items() if not found] == ["4_4_40/-7-9_11-27_100-108"]
    with pytest.raises(
        EmptyVolumeException, match=r"\.shard: minishard 0, chunk 0 \(-7-9_11-27_100-108\)"
    ):
        volume[filled.all]
    volume.fill_missing = True
    filled.data[:16, :16, :8] = 0
    assert np.array_equal(volume[filled.all][..., 0], filled.data)
    volume.delete(filled.all)
    assert filled.shards() == []


def test_files_are_told_by_id(filled):
    files = filled.open().image.download_files(
        Bbox.from_slices(filled.box((0, 33), (0, 16), (0, 8))), 0
    )
    assert set(files) == {0, 1, 8}  # 5 x 4 x 5 chunks: bits go to x, y, z, x, ...
    first = np.frombuffer(files[0], np.uint32).reshape(CHUNK, order="F")
    assert np.array_equal(first, filled.data[:16, :16, :8])


def test_black_shards_are_removed(filled):
    filled.open(delete_black_uploads=True)[filled.all] = 0
    assert filled.shards() == []


def test_make_shard_is_what_a_write_stores(make):
    filled = make(sharding(shard=5))  # as many as there are, so that each is a box
    filled.open()[filled.all] = filled.data
    volume = filled.open()
    shape = volume.image.shard_shape(0)
    bounds = volume.bounds
    for x in range(0, SIZE[0], int(shape[0])):
        part = tuple(
            slice(low, min(low + int(extent), end))
            for low, extent, end in zip((x, 0, 0), shape, SIZE, strict=True)
        )
        box = Bbox([p.start for p in part], [p.stop for p in part]) + bounds.minpt
        name, content = volume.image.make_shard(filled.data[part], box, 0)
        assert name == volume.image.shard_filename(box, 0)
        assert filled.shard(name).read_bytes() == content
        chunks = volume.image.make_shard_chunks(filled.data[part], box, 0)
        assert set(chunks) == set(volume.image.morton_codes(box, 0).tolist())
        assert volume.image.make_shard(chunks, box, 0) == (name, content)


def test_shards_are_refused_where_they_make_no_box(filled):
    volume = filled.open()
    with pytest.raises(AlignmentError, match="inside of one shard"):
        volume.image.shard_filename(volume.bounds, 0)
    with pytest.raises(AlignmentError, match="whole chunks"):
        volume.image.morton_codes(Bbox((-6, 11, 100), (9, 27, 108)), 0)
    with pytest.raises(OutOfBoundsError):
        volume.image.morton_codes(Bbox((-23, 11, 100), (9, 27, 108)), 0)


def test_specifications_come_and_go(make):
    layer = make(sharding())
    volume = layer.open()
    volume.image.to_unsharded()
    volume.commit_info()
    volume = layer.open()
    assert not volume.image.is_sharded(0)
    with pytest.raises(SpecViolation, match="expected a sharded scale"):
        volume.image.shard_spec(0)
    volume.image.to_sharded(max_labels_per_minishard=10)
    volume.commit_info()
    volume = layer.open()
    assert volume.image.is_sharded(0)
    spec = volume.image.shard_spec(0)
    assert isinstance(spec, ShardingSpecification)
    assert spec.preshift_bits + spec.minishard_bits + spec.shard_bits >= 8
    volume[layer.all] = layer.data
    assert np.array_equal(volume[layer.all][..., 0], layer.data)


def test_a_volume_of_shards_pickles(filled):
    volume = pickle.loads(pickle.dumps(filled.open()))
    assert np.array_equal(volume[filled.all][..., 0], filled.data)


@pytest.fixture
def plain(make_layer):
    return make_layer(dtype="uint32", encoding="raw", max_mip=1)


def test_transfer_builds_copies_and_dissolves_shards(plain, tmp_path):
    volume = plain.open()
    sharded = volume.transfer_to(f"file://{tmp_path}/sharded", volume.bounds, sharded=True)
    assert sharded.image.is_sharded(0)
    assert not sharded.image.is_sharded(1)
    assert np.array_equal(sharded[:], plain.data.reshape(sharded[:].shape))
    names = {path.name for path in (tmp_path / "sharded" / sharded.key).iterdir()}
    assert names == {"0.shard", "1.shard", ".shards.lock"}
    again = sharded.transfer_to(f"file://{tmp_path}/again", sharded.bounds)
    assert again.image.is_sharded(0)
    assert np.array_equal(again[:], sharded[:])
    for name in ("0.shard", "1.shard"):
        first, second = (tmp_path / layer / sharded.key / name for layer in ("sharded", "again"))
        assert first.read_bytes() == second.read_bytes()
    transcoded = sharded.transfer_to(
        f"file://{tmp_path}/cseg", sharded.bounds, encoding="compressed_segmentation"
    )
    assert transcoded.image.is_sharded(0)
    assert np.array_equal(transcoded[:], sharded[:])
    dissolved = again.transfer_to(f"file://{tmp_path}/files", again.bounds, sharded=False)
    assert not dissolved.image.is_sharded(0)
    assert np.array_equal(dissolved[:], sharded[:])


def test_transfer_merges_what_a_box_cuts(plain, tmp_path):
    volume = plain.open()
    sharded = volume.transfer_to(f"file://{tmp_path}/sharded", volume.bounds, sharded=True)
    sharded[:] = 0
    low, high = (int(v) for v in volume.bounds.minpt), (int(v) for v in volume.bounds.maxpt)
    low, high = list(low), list(high)
    box = Bbox([v + 3 for v in low], [v - 2 for v in high])
    volume.transfer_to(f"file://{tmp_path}/sharded", box)
    expected = np.zeros_like(np.asarray(sharded[:]))
    part = (slice(3, -2),) * 3
    expected[part] = volume[:][part]
    assert np.array_equal(CloudVolume(f"file://{tmp_path}/sharded")[:], expected)


def test_transfer_to_another_grid_writes_whole_shards(plain, tmp_path):
    volume = plain.open()
    info = CloudVolume.create_new_info(
        1,
        "image",
        "uint32",
        "raw",
        volume.resolution,
        volume.voxel_offset,
        volume.volume_size,
        chunk_size=(5, 7, 3),
    )
    info["scales"][0]["sharding"] = sharding(preshift=3, minishard=2, shard=8)
    other = CloudVolume(f"file://{tmp_path}/other", info=info)
    other.commit_info()
    volume.transfer_to(f"file://{tmp_path}/other", volume.bounds)
    assert np.array_equal(other[:], volume[:])


def test_an_existing_scale_stays_as_it_is_stored(plain, tmp_path):
    volume = plain.open()
    volume.transfer_to(f"file://{tmp_path}/sharded", volume.bounds, sharded=True)
    with pytest.raises(InvalidArgumentError, match="expected an unsharded scale"):
        volume.transfer_to(f"file://{tmp_path}/sharded", volume.bounds, sharded=False)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("preshift_bits", -1),
        ("minishard_bits", 65),
        ("hash", "md5"),
        ("data_encoding", "br"),
        ("shard_bits", "2"),
    ],
)
def test_a_malformed_specification_is_told_by_its_member(make, member, value):
    layer = make({**sharding(), member: value})
    with pytest.raises(SpecViolation, match=member):
        layer.open()[layer.all]


def test_a_broken_index_is_told_with_shard_and_minishard(filled):
    name = filled.shards()[0]
    content = bytearray(filled.shard(name).read_bytes())
    # The end of minishard 1's index lies past the file.
    content[24:32] = (10**9).to_bytes(8, "little")
    filled.shard(name).write_bytes(content)
    with pytest.raises(
        ShardIndexError,
        match=rf"4_4_40/{name}: shard index: .* at byte 24: expected \d+, found 1000000000",
    ):
        filled.open()[filled.all]
    content = bytearray(content[:32])
    filled.shard(name).write_bytes(content[:20])
    with pytest.raises(ShardIndexError, match=rf"{name}: shard index: .* expected 32, found 20"):
        filled.open(fill_missing=True)[filled.all]


def test_a_folder_that_cannot_be_written_is_told(filled):
    if os.geteuid() == 0:
        folder = filled.folder / "4_4_40"
        folder.rename(filled.folder / "moved")
        folder.write_text("a file where the folder should be")
    else:
        (filled.folder / "4_4_40").chmod(0o500)
    with pytest.raises(ChunkWriteError, match="4_4_40"):
        filled.open()[filled.all] = filled.data


WRITER = """
import sys
import numpy as np
from cloudvolume_fast import CloudVolume
volume = CloudVolume(sys.argv[1])
shape = tuple(int(n) for n in volume.shape[:3])
print("ready", flush=True)
for turn in range(1, 10**6):
    volume[volume.bounds] = np.full(shape, turn, np.uint32)
"""


def test_a_killed_writer_leaves_old_or_new_shards(filled):
    filled.open()[filled.all] = 0
    for delay in (0.01, 0.03, 0.05, 0.08):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, filled.folder.as_uri()], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        volume = filled.open()
        found = volume[filled.all][..., 0]
        shape = volume.image.shard_shape(0)
        for x in range(0, SIZE[0], int(shape[0])):
            for y in range(0, SIZE[1], int(shape[1])):
                for z in range(0, SIZE[2], int(shape[2])):
                    part = found[
                        x : x + int(shape[0]), y : y + int(shape[1]), z : z + int(shape[2])
                    ]
                    assert len(np.unique(part)) == 1
    # Nobody waits for a lock of the dead.
    filled.open()[filled.all] = 3
    assert (filled.open()[filled.all] == 3).all()
