# SPDX-License-Identifier: BSD-3-Clause
"""A chunk file is the old one or the new one, whatever happens to its writer.

CVFAST_KILLS sets how many writers are killed (default 20).
"""

from __future__ import annotations

import gzip
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume

KILLS = int(os.environ.get("CVFAST_KILLS", "20"))

REWRITE = """
import sys
import numpy as np
from cloudvolume_fast import CloudVolume
path, compresses, value = sys.argv[1], sys.argv[2].split(), int(sys.argv[3])
vols = [CloudVolume(path, compress=None if c == "none" else c) for c in compresses]
for vol, compress in zip(vols, compresses):
    if compress == "none":
        vol.compress = False
print("ready", flush=True)
while True:
    for vol in vols:
        value += 1
        vol[:] = np.full(vol.shape, value, vol.dtype)
"""


def chunk_values(vol: CloudVolume) -> set[int]:
    """The value of each chunk, each being of one value throughout."""
    voxels = np.asarray(vol[:])[..., 0]
    found = set()
    for x in range(0, voxels.shape[0], 8):
        for y in range(0, voxels.shape[1], 8):
            for z in range(0, voxels.shape[2], 8):
                values = np.unique(voxels[x : x + 8, y : y + 8, z : z + 8])
                assert len(values) == 1, "a chunk that is neither old nor new"
                found.add(int(values[0]))
    return found


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_killed_writer_leaves_only_old_and_new_chunks(tmp_path: Path, encoding: str) -> None:
    layer = support.make_layer(tmp_path, encoding=encoding, size=(32, 32, 16))
    vol = CloudVolume(layer)
    vol[:] = np.uint32(1)
    rng = random.Random(5)
    lowest = value = 1
    for _ in range(max(1, KILLS // 2)):
        writer = support.start_python(REWRITE, layer, "none gzip zstd", value)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0, 0.1))
        writer.kill()
        writer.communicate()
        found = chunk_values(vol)  # strict: no chunk is missing either
        assert min(found) >= lowest
        if max(found) > value + 1:  # at least one whole pass was done
            assert max(found) - min(found) <= 1
        lowest, value = min(found), max(found)


def test_temporary_files_of_a_killed_writer_are_not_chunks(tmp_path: Path) -> None:
    path, voxels = support.write_layer(tmp_path)
    folder = tmp_path / support.KEY
    for number, name in enumerate([path.name for path in folder.iterdir()]):
        (folder / f".{name}.1234-{number}.tmp").write_bytes(b"half a chunk")
    vol = CloudVolume(path)
    assert (vol[:] == voxels).all()
    assert sum(vol.exists(vol.bounds).values()) == 8
    vol.delete(vol.bounds)
    assert not any(vol.exists(vol.bounds).values())
    assert not vol.image.has_data(0)


def test_temporary_name_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path)
    contents, voxels = support.run_python(
        """
import json, os, sys
from pathlib import Path
import numpy as np
from cloudvolume_fast import CloudVolume
folder = Path(sys.argv[2])
folder.mkdir()
taken = [folder / f".0-8_0-8_0-8.{os.getpid()}-{number}.tmp" for number in range(20)]
for path in taken:
    path.write_text("taken")
vol = CloudVolume(sys.argv[1])
vol[0:8, 0:8, 0:8] = np.uint32(4)
print(json.dumps([[path.read_text() for path in taken], np.unique(vol[0:8, 0:8, 0:8]).tolist()]))
""",
        layer,
        tmp_path / support.KEY,
    )
    assert contents == ["taken"] * 20
    assert voxels == [4]


@pytest.mark.parametrize("new", support.COMPRESS)
@pytest.mark.parametrize("old", support.COMPRESS)
def test_rewrite_with_another_compression_removes_the_old_copy(
    tmp_path: Path, old: str, new: str
) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    for suffix, value in ((old, 1), (new, 2)):
        CloudVolume(layer, compress=support.COMPRESS_NAMES[suffix])[:] = np.uint32(value)
    assert support.files_in(tmp_path / support.KEY) == [f"0-8_0-8_0-8{new}"]
    assert (CloudVolume(layer)[:] == 2).all()


@pytest.mark.parametrize("newest", support.COMPRESS)
def test_newest_of_several_copies_is_read(tmp_path: Path, newest: str) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    (tmp_path / support.KEY).mkdir()
    for number, (suffix, pack) in enumerate(support.COMPRESS.items()):
        copy = tmp_path / support.KEY / f"0-8_0-8_0-8{suffix}"
        value = 99 if suffix == newest else number
        copy.write_bytes(pack(np.full(512, value, np.uint32).tobytes()))
        seconds = 2_000_000_000 if suffix == newest else 1_000_000_000 + number
        os.utime(copy, (seconds, seconds))
    assert (CloudVolume(layer)[:] == 99).all()


def test_nanoseconds_decide_between_copies(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    (tmp_path / support.KEY).mkdir()
    for suffix, value, nanoseconds in (("", 1, 10**18 + 1), (".gz", 2, 10**18 + 2)):
        copy = tmp_path / support.KEY / f"0-8_0-8_0-8{suffix}"
        copy.write_bytes(support.COMPRESS[suffix](np.full(512, value, np.uint32).tobytes()))
        os.utime(copy, ns=(nanoseconds, nanoseconds))
    assert (CloudVolume(layer)[:] == 2).all()


def test_delete_removes_every_copy(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    (tmp_path / support.KEY).mkdir()
    for suffix in support.COMPRESS:
        (tmp_path / support.KEY / f"0-8_0-8_0-8{suffix}").write_bytes(b"x")
    vol = CloudVolume(layer)
    vol.delete(vol.bounds)
    assert support.files_in(tmp_path) == ["info"]


def test_merge_starts_from_the_newest_copy_and_leaves_one(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    vol = CloudVolume(layer, compress=False, non_aligned_writes=True)
    vol[:] = np.uint32(1)
    plain = tmp_path / support.KEY / "0-8_0-8_0-8"
    newer = plain.with_name(plain.name + ".gz")
    newer.write_bytes(gzip.compress(np.full(512, 2, np.uint32).tobytes()))
    os.utime(plain, (1, 1))
    vol[0, 0, 0] = np.uint32(3)
    assert np.unique(vol[:]).tolist() == [2, 3]
    assert support.files_in(tmp_path / support.KEY) == [plain.name]


def test_reader_beside_a_writer_that_changes_the_compression_never_misses_a_chunk(
    tmp_path: Path,
) -> None:
    layer = support.make_layer(tmp_path, size=(8, 8, 8))
    vol = CloudVolume(layer)
    vol[:] = np.uint32(1)
    writer = support.start_python(REWRITE, layer, "none gzip br", 1)
    try:
        assert writer.stdout.readline() == "ready\n"
        until = time.monotonic() + 2
        previous, reads = 1, 0
        while time.monotonic() < until:
            (value,) = chunk_values(vol)
            # Two copies made within one tick of the file system's clock cannot be told apart.
            assert value >= previous - 1
            assert vol.exists(vol.bounds) == {f"{support.KEY}/0-8_0-8_0-8": True}
            previous, reads = value, reads + 1
        assert reads > 100
        assert previous > 10
    finally:
        writer.kill()
        writer.communicate()


def test_new_files_have_the_modes_that_the_umask_leaves(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        support.write_layer(tmp_path)
        vol = CloudVolume(f"file://{tmp_path}")
        vol.commit_info()
    finally:
        os.umask(previous)
    modes = {oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {"0o640"}


def test_failed_commit_leaves_the_info_as_it_was(tmp_path: Path) -> None:
    layer = support.make_layer(tmp_path)
    before = (tmp_path / "info").read_bytes()
    vol = CloudVolume(layer)
    vol.info["note"] = {1, 2}
    with pytest.raises(ValueError, match="JSON"):
        vol.commit_info()
    assert (tmp_path / "info").read_bytes() == before
    assert support.files_in(tmp_path) == ["info"]
