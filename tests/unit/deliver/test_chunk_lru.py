# SPDX-License-Identifier: BSD-3-Clause
"""Chunks held in memory: what is held, when it is given up, and that reads are the same with and without."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
import threading

import numpy as np
import pytest
import support

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.deliver import progress
from cloudvolume_fast.errors import (
    EmptyVolumeException,
    EncodingError,
    InvalidArgumentError,
    UnsupportedEncodingError,
)

ENCODINGS = [
    ("raw", "same"),
    ("raw", "compressed_segmentation"),
    ("raw", "raw"),
    ("compressed_segmentation", "same"),
    ("compressed_segmentation", "raw"),
    ("compressed_segmentation", "compressed_segmentation"),
    ("raw", "crackle"),
    ("crackle", "same"),
    ("crackle", "raw"),
    ("crackle", "compressed_segmentation"),
]


@pytest.fixture(params=ENCODINGS, ids="-as-".join)
def layer(request, tmp_path):
    """(volume with a cache, its voxels, its folder)."""
    stored, held = request.param
    path, voxels = support.write_layer(tmp_path / "layer", encoding=stored, size=(20, 18, 9))
    return CloudVolume(path, lru_bytes=1 << 20, lru_encoding=held), voxels, tmp_path / "layer"


def chunk(x=0, y=0, z=0):
    return f"{support.KEY}/{x}-{x + 8}_{y}-{y + 8}_{z}-{z + 8}"


def test_reads_after_the_first_need_no_files(layer):
    vol, voxels, folder = layer
    np.testing.assert_array_equal(vol[:], voxels)
    shutil.rmtree(folder / support.KEY)
    np.testing.assert_array_equal(vol[:], voxels)
    np.testing.assert_array_equal(vol[3:17, 1:2, 4:9], voxels[3:17, 1:2, 4:9])
    points = ([1, 19, 5], [2, 17, 5], [3, 8, 5])
    np.testing.assert_array_equal(vol[points], voxels[(*points, 0)])
    assert vol.unique(Bbox((2, 3, 1), (13, 9, 9))) == set(
        np.unique(voxels[2:13, 3:9, 1:9]).tolist()
    )
    label = int(voxels[0, 0, 0, 0])
    np.testing.assert_array_equal(vol.download(vol.bounds, label=label), voxels == label)


@pytest.mark.parametrize(("stored", "held"), [("png", "same"), ("png", "raw"), ("raw", "png")])
def test_pictures(tmp_path, stored, held):
    path, voxels = support.write_layer(tmp_path, encoding=stored, data_type="uint8", num_channels=3)
    vol = CloudVolume(path, lru_bytes=1 << 20, lru_encoding=held)
    np.testing.assert_array_equal(vol[:], voxels)
    shutil.rmtree(tmp_path / support.KEY)
    np.testing.assert_array_equal(vol[3:13, 5:6, :], voxels[3:13, 5:6])
    assert vol.scattered_points([(1, 2, 3), (3, 2, 1)]) == {
        (x, 2, 4 - x): voxels[x, 2, 4 - x, 0] for x in (1, 3)
    }


LARGE_BOXES = {
    "unaligned": ((3, 5, 7), (75, 69, 41)),
    "flat": ((0, 0, 5), (96, 80, 6)),
    "beyond": ((-9, 20, 10), (90, 90, 60)),
    "whole": ((0, 0, 0), (96, 80, 48)),
}
"""Boxes that threads share in equal parts, once their chunks are held as voxels."""


@pytest.fixture(params=[("raw", "same"), ("compressed_segmentation", "raw"), ("fpzip", "raw")])
def large_layer(request, tmp_path):
    """(volume with a cache, its voxels, its folder); 2 channels, partial chunks at the rim."""
    stored, held = request.param
    path, voxels = support.write_layer(
        tmp_path / "layer",
        encoding=stored,
        data_type="float32" if stored == "fpzip" else "uint64",
        size=(96, 80, 48),
        chunk_size=(40, 32, 20),
        num_channels=2,
    )
    vol = CloudVolume(path, lru_bytes=1 << 24, lru_encoding=held, bounded=False, parallel=3)
    vol.fill_missing = True
    return vol, voxels, tmp_path / "layer"


@pytest.mark.parametrize("box", LARGE_BOXES.values(), ids=LARGE_BOXES)
def test_large_boxes_of_held_voxels(large_layer, box):
    vol, voxels, folder = large_layer
    low, high = (np.array(corner) for corner in box)
    expected = np.zeros((*(high - low), 2), voxels.dtype)
    from_ = np.maximum(low, 0)
    inner = voxels[tuple(slice(a, b) for a, b in zip(from_, high, strict=True))]
    at = tuple(slice(a, a + n) for a, n in zip(from_ - low, inner.shape, strict=False))
    expected[at] = inner

    np.testing.assert_array_equal(vol[:], voxels)
    shutil.rmtree(folder / support.KEY)
    np.testing.assert_array_equal(vol[Bbox(*box)], expected)
    np.testing.assert_array_equal(vol.image.read((*box[0], *box[1]), 0, order="C"), expected)
    part = vol[(*(slice(a, b) for a, b in zip(*box, strict=True)), slice(1, 2))]
    np.testing.assert_array_equal(part, expected[..., 1:])
    if voxels.dtype.kind != "f":
        label = int(voxels[50, 40, 30, 0])
        np.testing.assert_array_equal(vol.download(Bbox(*box), label=label), expected == label)
        kept = np.where(np.isin(expected, [label, 3]), expected, 0)
        np.testing.assert_array_equal(vol.download(Bbox(*box), segids=[label, 3]), kept)


def test_large_box_of_which_a_chunk_is_not_held(large_layer):
    vol, voxels, folder = large_layer
    for gone in ("0-40_0-32_0-20", "80-96_64-80_40-48"):
        np.testing.assert_array_equal(vol[0:96, 0:80, 0:48], voxels)
        assert vol.image.lru.pop(f"{support.KEY}/{gone}") is not None
        np.testing.assert_array_equal(vol[0:96, 0:80, 0:48], voxels)
        assert f"{support.KEY}/{gone}" in vol.image.lru
    x, y, z = 80, 64, 40
    vol.image.lru.pop(f"{support.KEY}/80-96_64-80_40-48")
    (file,) = (folder / support.KEY).glob("80-96_64-80_40-48*")
    file.unlink()
    voxels[x:, y:, z:] = 0
    np.testing.assert_array_equal(vol[0:96, 0:80, 0:48], voxels)


def test_progress_of_a_large_box_of_held_voxels(large_layer, capsys, monkeypatch):
    vol, voxels, _ = large_layer
    np.testing.assert_array_equal(vol[:], voxels)
    vol.progress = True
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.0)
    np.testing.assert_array_equal(vol[:], voxels)
    assert "27/27" in capsys.readouterr().err


def test_points_and_unique_fill_it_too(layer):
    vol, voxels, _ = layer
    assert vol.scattered_points([(1, 2, 3)]) == {(1, 2, 3): voxels[1, 2, 3, 0]}
    assert list(vol.image.lru) == [chunk()]
    vol.unique(Bbox((8, 0, 0), (9, 1, 1)))
    assert set(vol.image.lru) == {chunk(), chunk(8)}


def test_entries_as_upstream_shows_them(layer):
    vol, voxels, _ = layer
    vol[:8, :8, :8]
    encoding, value = vol.image.lru[chunk()]
    if vol.image.lru.encoding == "raw":
        assert encoding == "numpy"
        np.testing.assert_array_equal(value, voxels[:8, :8, :8])
        return
    assert encoding == (
        vol.encoding if vol.image.lru.encoding == "same" else vol.image.lru.encoding
    )
    assert isinstance(value, bytes)
    if encoding == "raw":
        assert value == voxels[:8, :8, :8].tobytes("F")


def test_bytes_are_those_of_the_file_without_its_compression(tmp_path):
    path, _ = support.write_layer(tmp_path, encoding="compressed_segmentation")
    vol = CloudVolume(path, lru_bytes=1 << 20)
    vol[:8, :8, :8]
    stored = gzip.decompress((tmp_path / f"{chunk()}.gz").read_bytes())
    assert vol.image.lru[chunk()] == ("compressed_segmentation", stored)


def test_write_is_seen(layer):
    vol, voxels, _ = layer
    vol[:]
    vol[8:16, 0:8, 0:8] = voxels[:8, :8, :8] + np.uint32(1)
    expected = voxels.copy()
    expected[8:16, 0:8, 0:8] = voxels[:8, :8, :8] + 1
    np.testing.assert_array_equal(vol[:], expected)
    vol.non_aligned_writes = True
    vol[1:3, 1:3, 1:3] = np.uint32(9)
    expected[1:3, 1:3, 1:3] = 9
    np.testing.assert_array_equal(vol[:], expected)
    np.testing.assert_array_equal(CloudVolume(vol.cloudpath)[:], expected)


def test_write_fills_it(tmp_path):
    path, voxels = support.write_layer(tmp_path)
    vol = CloudVolume(path, lru_bytes=1 << 20)
    vol[:8, :8, :8] = voxels[:8, :8, :8]
    assert list(vol.image.lru) == [chunk()]
    shutil.rmtree(tmp_path / support.KEY)
    np.testing.assert_array_equal(vol[:8, :8, :8], voxels[:8, :8, :8])


def test_lossy_write_is_read_back_as_stored(tmp_path):
    pytest.importorskip("simplejpeg")
    voxels = np.random.default_rng(0).integers(0, 255, (16, 16, 8)).astype(np.uint8)
    path = f"file://{tmp_path}"
    vol = CloudVolume.from_numpy(voxels, path, chunk_size=(8, 8, 8), encoding="jpeg")
    held = CloudVolume(path, lru_bytes=1 << 20, lru_encoding="raw")
    held[:] = voxels
    np.testing.assert_array_equal(held[:], vol[:])


def test_delete_is_seen(layer):
    vol, _, _ = layer
    vol[:]
    vol.delete(Bbox((0, 0, 0), (8, 8, 8)))
    assert chunk() not in vol.image.lru
    with pytest.raises(EmptyVolumeException):
        vol[:8, :8, :8]


def test_delete_black_upload_is_seen(tmp_path):
    path, _ = support.write_layer(tmp_path)
    vol = CloudVolume(path, lru_bytes=1 << 20, delete_black_uploads=True, fill_missing=True)
    vol[:8, :8, :8]
    vol[:8, :8, :8] = 0
    assert chunk() not in vol.image.lru
    assert not vol[:8, :8, :8].any()


def test_absence_found_by_exists_evicts(layer):
    vol, _, folder = layer
    vol[:]
    shutil.rmtree(folder / support.KEY)
    vol[:]
    assert not any(vol.exists(Bbox((0, 0, 0), (8, 8, 8))).values())
    assert chunk() not in vol.image.lru
    assert chunk(8) in vol.image.lru


def test_absent_chunks_are_not_held(tmp_path):
    path = support.make_layer(tmp_path)
    vol = CloudVolume(path, lru_bytes=1 << 20, fill_missing=True)
    assert not vol[:].any()
    assert vol.image.lru.is_empty()
    CloudVolume(path)[:8, :8, :8] = 3
    assert (vol[:8, :8, :8] == 3).all()


def test_unreadable_chunk_is_not_held(tmp_path):
    path, voxels = support.write_layer(tmp_path)
    file = tmp_path / f"{chunk()}.gz"
    good = file.read_bytes()
    file.write_bytes(good[:-9])
    vol = CloudVolume(path, lru_bytes=1 << 20)
    with pytest.raises(Exception, match="decompress"):
        vol[:8, :8, :8]
    assert not len(vol.image.lru)
    file.write_bytes(good)
    np.testing.assert_array_equal(vol[:8, :8, :8], voxels[:8, :8, :8])


def test_entry_that_does_not_decode_is_read_again(tmp_path):
    """Only the sub-blocks that are asked for are looked at, so the rest of an entry may be bad."""
    path, voxels = support.write_layer(tmp_path, encoding="compressed_segmentation", compress=False)
    file = tmp_path / chunk()
    good = file.read_bytes()
    # The last sub-block's header: a table that lies outside.
    last = 4 + 8 * 7
    file.write_bytes(good[:last] + b"\xff\xff\xff" + good[last + 3 :])
    vol = CloudVolume(path, lru_bytes=1 << 20)
    np.testing.assert_array_equal(vol[:4, :4, :4], voxels[:4, :4, :4])
    assert len(vol.image.lru) == 1
    file.write_bytes(good)
    np.testing.assert_array_equal(vol[:8, :8, :8], voxels[:8, :8, :8])


def test_mips_share_nothing(make_layer):
    layer = make_layer(max_mip=1, resolution=(4, 4, 40))
    vol = layer.open(lru_bytes=1 << 20)
    half = CloudVolume(layer.path, mip=1)
    other = np.random.default_rng(5).integers(0, 200, half.shape).astype(np.uint8)
    half[:] = other
    for _ in range(2):
        vol.mip = 0
        np.testing.assert_array_equal(vol[:], layer.data)
        vol.mip = 1
        np.testing.assert_array_equal(vol[:], other)
    assert {path.split("/")[0] for path in vol.image.lru} == {"4_4_40", "8_8_40"}


def test_edited_info_shares_nothing(tmp_path):
    path, voxels = support.write_layer(tmp_path, compress=False)
    vol = CloudVolume(path, lru_bytes=1 << 20)
    vol[:]
    vol.info["data_type"] = "int32"
    np.testing.assert_array_equal(vol[:], voxels.astype(np.int32))
    vol[:8, :8, :8] = np.int32(-1)
    vol.info["data_type"] = "uint32"
    assert (vol[:8, :8, :8] == 2**32 - 1).all()


def test_dictionary_methods(tmp_path):
    path, _ = support.write_layer(tmp_path)
    vol = CloudVolume(path, lru_bytes=1 << 20)
    lru = vol.image.lru
    assert lru.is_empty()
    assert (len(lru), lru.nbytes, lru.size, lru.size_in_bytes) == (0, 0, 1 << 20, True)
    vol[:]
    assert (
        len(lru)
        == 8
        == len(list(lru))
        == len(lru.keys())
        == len(list(lru.items()))
        == len(list(lru.values()))
    )
    assert 8 * 2048 < lru.nbytes < 8 * 2048 + 8 * 300
    assert chunk() in lru
    assert "x" not in lru
    assert 3 not in lru
    assert dict(lru.items())[chunk()] == lru.get(chunk()) == lru[chunk()]
    assert lru.get("x") is None
    assert lru.get("x", 5) == 5
    with pytest.raises(KeyError):
        lru["x"]
    assert lru.pop(chunk())[0] == "raw"
    assert lru.pop(chunk(), None) is None
    with pytest.raises(KeyError):
        lru.pop(chunk())
    del lru[chunk(8)]
    assert len(lru) == 6
    assert "6 chunks" in repr(lru)
    assert not lru.is_oversized()
    lru.clear()
    assert (len(lru), lru.nbytes, lru.size) == (0, 0, 1 << 20)


def test_resize(tmp_path):
    path, voxels = support.write_layer(tmp_path)
    vol = CloudVolume(path)
    lru = vol.image.lru
    vol[:]
    assert len(lru) == 0
    lru.resize(1 << 20)
    vol[:]
    assert len(lru) == 8
    lru.resize(3 * 2400)
    assert len(lru) == 3
    np.testing.assert_array_equal(vol[:], voxels)
    assert lru.nbytes <= 3 * 2400
    lru.resize(0)
    np.testing.assert_array_equal(vol[:], voxels)
    assert (len(lru), lru.size) == (0, 0)
    with pytest.raises(ValueError, match="-1"):
        lru.resize(-1)


def test_chunks_above_the_limit_are_not_held(tmp_path):
    path, voxels = support.write_layer(tmp_path, encoding="compressed_segmentation")
    for held in ("same", "raw"):
        vol = CloudVolume(path, lru_bytes=100, lru_encoding=held)
        np.testing.assert_array_equal(vol[:], voxels)
        assert len(vol.image.lru) == 0


def test_pickle_leaves_entries_out(tmp_path):
    path, voxels = support.write_layer(tmp_path)
    vol = CloudVolume(path, lru_bytes=1 << 20, lru_encoding="raw")
    vol[:]
    copy = pickle.loads(pickle.dumps(vol))
    assert (len(copy.image.lru), copy.image.lru.size, copy.image.lru.encoding) == (
        0,
        1 << 20,
        "raw",
    )
    assert len(pickle.dumps(vol)) < 10_000
    np.testing.assert_array_equal(copy[:], voxels)
    assert len(copy.image.lru) == 8
    assert len(pickle.loads(pickle.dumps(vol.image.lru))) == 0


def test_impossible_settings_raise(tmp_path):
    path = support.make_layer(tmp_path, data_type="uint8")
    with pytest.raises(UnsupportedEncodingError, match="lru_encoding"):
        CloudVolume(path, lru_bytes=10, lru_encoding="zzz")
    with pytest.raises(EncodingError, match="compressed_segmentation"):
        CloudVolume(path, lru_bytes=10, lru_encoding="compressed_segmentation")
    with pytest.raises(InvalidArgumentError, match="without loss"):
        CloudVolume(path, lru_bytes=10, lru_encoding="jpeg")
    with pytest.raises(ValueError, match="lru_bytes"):
        CloudVolume(path, lru_bytes=-1)


def test_forked_child_reads_while_threads_of_the_parent_do(tmp_path):
    script = """
import json, os, sys, threading, warnings
import numpy as np
from cloudvolume_fast import CloudVolume
warnings.simplefilter("ignore")  # Python warns of every fork beside threads
vol = CloudVolume(sys.argv[1], lru_bytes=1 << 20)
expected = np.asarray(vol[:])
stop = False
def read():
    while not stop:
        vol[3:13, 3:13, 3:13]
thread = threading.Thread(target=read)
thread.start()
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        import signal
        signal.alarm(30)
        good = (np.asarray(vol[:]) == expected).all() and len(vol.image.lru) == 8
        vol.image.lru.clear()
        good = good and (np.asarray(vol[:]) == expected).all()
        os._exit(0 if good else 1)
    codes.append(os.waitpid(child, 0)[1])
stop = True
thread.join()
print(json.dumps(codes))
"""
    path, _ = support.write_layer(tmp_path)
    # ThreadSanitizer otherwise ends a forked child that starts threads.
    options = os.environ.get("TSAN_OPTIONS", "") + ":die_after_fork=0"
    assert support.run_python(script, path, TSAN_OPTIONS=options) == [0] * 20


def test_eight_threads_keep_the_limit(tmp_path):
    limit = 60_000
    path, voxels = support.write_layer(tmp_path, size=(64, 64, 32))
    vol = CloudVolume(path, lru_bytes=limit)
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(150):
            low = rng.integers(0, (56, 56, 24))
            box = tuple(
                slice(int(a), int(a + n)) for a, n in zip(low, rng.integers(1, 9, 3), strict=True)
            )
            if not np.array_equal(vol[box], voxels[box]):
                failures.append(box)
            if vol.image.lru.nbytes > limit:
                failures.append(vol.image.lru.nbytes)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(vol.image.lru) > 10


def test_readers_see_writes_of_other_threads(tmp_path):
    """A value that a write has put is never followed by an older one, once the write has returned."""
    path, _ = support.write_layer(tmp_path)
    vol = CloudVolume(path, lru_bytes=1 << 20)
    done = [0]
    failures = []
    stop = threading.Event()

    def read():
        while not stop.is_set():
            least = done[0]
            found = int(vol[0:1, 0:1, 0:1].item())
            if found < least:
                failures.append((least, found))
            vol.image.lru.clear()

    vol[:8, :8, :8] = 0
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for value in range(1, 150):
        vol[:8, :8, :8] = np.uint32(value)
        done[0] = value
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.slow
@pytest.mark.parametrize("held", ["same", "raw"])
def test_memory_stays_within_the_limit(tmp_path, held):
    """Entries of 20 to 260 KiB come and go 10^4 times: neither a leak nor a heap of fragments."""
    script = """
import json, sys
import numpy as np, psutil
from cloudvolume_fast import CloudVolume
limit = 32 << 20
vol = CloudVolume(sys.argv[1], lru_bytes=limit, lru_encoding=sys.argv[2])
corners = np.random.default_rng(0).integers(0, (240, 240, 112), (10000, 3)).tolist()
vol[:64, :64, :64]
vol.image.lru.clear()
before = psutil.Process().memory_info().rss
most = 0
for i, (x, y, z) in enumerate(corners):
    vol[x : x + 16, y : y + 16, z : z + 16]
    if i % 100 == 0:
        most = max(most, psutil.Process().memory_info().rss)
print(json.dumps([most - before, vol.image.lru.nbytes, limit]))
"""
    rng = np.random.default_rng(3)
    labels = (
        rng.integers(0, 5000, (64, 64, 32)).repeat(4, 0).repeat(4, 1).repeat(4, 2).astype(np.uint64)
    )
    labels[::2] = rng.integers(0, 3000, labels[::2].shape)
    labels[:60] = labels[60]
    path = f"file://{tmp_path}"
    CloudVolume.from_numpy(
        labels, path, chunk_size=(32, 32, 32), encoding="compressed_segmentation", compress=False
    )
    grown, held_bytes, limit = support.run_python(script, path, held, timeout_seconds=300)
    assert 0.8 * limit < held_bytes <= limit
    assert grown <= 1.1 * limit + (4 << 20)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fpzip_entries_keep_every_bit_whatever_the_scale_says_of_precision(make_layer, dtype):
    layer = make_layer(dtype=dtype, members={"fpzip_precision": 8}, data=False)
    vol = layer.open(lru_bytes=1 << 20, lru_encoding="fpzip")
    voxels = np.random.default_rng(4).random(vol.shape).astype(dtype)
    layer.open()[:] = voxels
    for _ in range(2):  # from the files, then from memory
        np.testing.assert_array_equal(vol[:], voxels)
    assert {encoding for encoding, _ in vol.image.lru.values()} == {"fpzip"}
    vol[:] = voxels + 1
    np.testing.assert_array_equal(vol[:], voxels + 1)
