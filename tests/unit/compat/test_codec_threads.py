# SPDX-License-Identifier: BSD-3-Clause
"""`codec_threads` of volumes and `num_threads` of `chunks`: packages are told, other codecs run on so many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support
from cloudvolume_fast.chunks import decode, decode_binary_image, encode, transcode
from cloudvolume_fast.datasource.precomputed.image import xfer

from cloudvolume_fast import CloudVolume, _runtime
from cloudvolume_fast.compat import chunks
from cloudvolume_fast.decode import crackle, jxl
from cloudvolume_fast.deliver.hooks import ChunkHooks
from cloudvolume_fast.errors import InvalidArgumentError

_WAIT_SECONDS = 30


def _spy(monkeypatch: pytest.MonkeyPatch, package: Any, name: str, option: str) -> list[int]:
    """Return a list to which each call of a package's function adds its number of threads."""
    found: list[int] = []
    real = getattr(package, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        found.append(kwargs[option])
        return real(*args, **kwargs)

    monkeypatch.setattr(package, name, call)
    return found


@pytest.fixture
def jxl_decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return _spy(monkeypatch, jxl.imagecodecs, "jpegxl_decode", "numthreads")


@pytest.fixture
def jxl_encodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return _spy(monkeypatch, jxl.imagecodecs, "jpegxl_encode", "numthreads")


@pytest.fixture
def crackle_encodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return _spy(monkeypatch, crackle.package, "compress", "parallel")


class Meeting:
    """Calls that go on only once `count` of them are in the works at the same time; knows the most that ever were."""

    def __init__(self, count: int) -> None:
        self._barrier = threading.Barrier(count)
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
            try:
                self._barrier.wait(_WAIT_SECONDS)
                return function(*args, **kwargs)
            finally:
                with self._lock:
                    self._now -= 1

        return call


def _layer(folder: Path, encoding: str, data_type: str = "uint8") -> Any:
    path = support.make_layer(
        folder, size=(64, 32, 32), chunk_size=(32, 32, 32), encoding=encoding, data_type=data_type
    )
    return CloudVolume(path, progress=False, codec_threads=3)


def _labels(data_type: str = "uint8", size: tuple[int, int, int] = (64, 32, 32)) -> np.ndarray:
    blocks = np.random.default_rng(1).integers(0, 200, tuple(-(-n // 8) for n in size))
    grown = blocks.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    return np.asfortranarray(grown[: size[0], : size[1], : size[2]].astype(data_type))


def test_jxl_works_on_a_chunk_with_so_many_threads(
    tmp_path: Path, jxl_decodes: list[int], jxl_encodes: list[int]
) -> None:
    vol = _layer(tmp_path, "jxl")
    vol[:] = _labels()
    assert set(jxl_encodes) == {3}
    first = vol[:]
    assert set(jxl_decodes) == {3}
    vol.config.codec_threads = 2
    assert np.array_equal(vol[:], first)
    assert set(jxl_decodes) == {3, 2}
    jxl_decodes.clear()
    assert np.array_equal(CloudVolume(vol.cloudpath, codec_threads=True, progress=False)[:], first)
    assert set(jxl_decodes) == {_runtime.default_threads()}


def test_crackle_writes_a_chunk_with_so_many_threads(
    tmp_path: Path, crackle_encodes: list[int]
) -> None:
    vol = _layer(tmp_path, "crackle", "uint32")
    vol[:] = _labels("uint32")
    assert set(crackle_encodes) == {3}
    assert np.array_equal(vol[:][..., 0], _labels("uint32"))


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation", "crackle"])
def test_so_many_chunks_of_the_core_are_read_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    path = support.make_layer(
        tmp_path, size=(72, 8, 8), chunk_size=(8, 8, 8), encoding=encoding, data_type="uint32"
    )
    labels = _labels("uint32", (72, 8, 8))
    CloudVolume(path, compress="br", progress=False)[:] = labels
    # Each chunk is undone through Python, which lets them meet: nine chunks in three rounds of exactly three.
    meeting = Meeting(3)
    monkeypatch.setattr(ChunkHooks, "decompress", staticmethod(meeting.wrap(ChunkHooks.decompress)))
    vol = CloudVolume(path, codec_threads=3, progress=False)
    assert np.array_equal(vol[:][..., 0], labels)
    assert meeting.most == 3


def test_so_many_chunks_are_written_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = support.make_layer(tmp_path, size=(72, 8, 8), chunk_size=(8, 8, 8))
    vol = CloudVolume(path, compress="br", codec_threads=3, progress=False)
    meeting = Meeting(3)
    monkeypatch.setattr(ChunkHooks, "compress", staticmethod(meeting.wrap(ChunkHooks.compress)))
    vol[:] = _labels("uint32", (72, 8, 8))
    assert meeting.most == 3


def test_parallel_has_the_last_word_on_chunks_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = support.make_layer(tmp_path, size=(64, 8, 8), chunk_size=(8, 8, 8))
    labels = _labels("uint32", (64, 8, 8))
    CloudVolume(path, compress="br", progress=False)[:] = labels
    meeting = Meeting(2)
    monkeypatch.setattr(ChunkHooks, "decompress", staticmethod(meeting.wrap(ChunkHooks.decompress)))
    vol = CloudVolume(path, codec_threads=4, parallel=2, progress=False)
    assert np.array_equal(vol[:][..., 0], labels)
    assert meeting.most == 2


def test_transfers_use_so_many_threads(
    tmp_path: Path, jxl_encodes: list[int], jxl_decodes: list[int]
) -> None:
    vol = _layer(tmp_path / "a", "raw")
    vol[:] = _labels()
    vol.transfer_to(f"file://{tmp_path / 'b'}", vol.bounds, encoding="jxl")
    assert set(jxl_encodes) == {3}
    jxl_encodes.clear()
    there = f"file://{tmp_path / 'c'}"
    xfer.transfer_any_to_unsharded(vol.image, there, vol.bounds, 0, encoding="jxl", codec_threads=2)
    assert set(jxl_encodes) == {2}
    assert vol.config.codec_threads == 3
    other = CloudVolume(there, codec_threads=4, progress=False)
    other.transfer_to(f"file://{tmp_path / 'd'}", vol.bounds, encoding="raw")
    assert set(jxl_decodes) == {4}


def test_single_chunks_tell_the_packages(
    jxl_decodes: list[int], jxl_encodes: list[int], crackle_encodes: list[int]
) -> None:
    image = _labels(size=(32, 32, 32))
    data = encode(image, "jxl", compression_params={"level": 100}, num_threads=3)
    assert np.array_equal(decode(data, "jxl", image.shape, "uint8", num_threads=2)[..., 0], image)
    decode_binary_image(1, data, "jxl", image.shape, "uint8")
    assert (jxl_encodes, jxl_decodes) == ([3], [2, _runtime.default_threads()])
    assert encode(image, "crackle", num_threads=4) == encode(image, "crackle")
    assert crackle_encodes == [4, 1]
    dict(transcode({"a": data}, "jxl", "crackle", lambda _: image.shape, "uint8", num_threads=5))
    assert (jxl_decodes[2:], crackle_encodes[2:]) == ([5], [5])


@pytest.mark.parametrize("encoding", ["compressed_segmentation", "compresso", "crackle"])
def test_layers_of_single_chunks_are_decoded_side_by_side(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    labels = _labels("uint64", (19, 23, 29))  # cuts blocks of 8
    data = encode(labels, encoding)
    for count in (0, 1, 2, 3, 64, True):
        found = decode(data, encoding, labels.shape, "uint64", num_threads=count)
        assert np.array_equal(found[..., 0], labels)
    meeting = Meeting(3)
    where, name = (
        (chunks.compressed_segmentation, "decode")
        if encoding == "compressed_segmentation"
        else (chunks, "read_box")
    )
    monkeypatch.setattr(where, name, meeting.wrap(getattr(where, name)))
    found = decode(data, encoding, labels.shape, "uint64", num_threads=3)
    assert np.array_equal(found[..., 0], labels)
    assert meeting.most == 3


@pytest.mark.parametrize("encoding", ["raw", "png", "jpeg"])
def test_streams_take_any_number_of_threads(encoding: str) -> None:
    image = _labels(size=(16, 16, 16))
    data = encode(image, encoding, num_threads=2)
    assert data == encode(image, encoding)
    found = decode(data, encoding, image.shape, "uint8", num_threads=2)
    assert np.array_equal(found, decode(data, encoding, image.shape, "uint8"))


def test_chunks_and_blocks_without_voxels_are_refused() -> None:
    data = encode(_labels("uint64", (8, 8, 8)), "compressed_segmentation")
    for shape, block in (((8, 8, 0), (8, 8, 8)), ((8, 8, 8), (8, 8, 0))):
        with pytest.raises(InvalidArgumentError):
            decode(data, "compressed_segmentation", shape, "uint64", block, num_threads=2)


def test_negative_numbers_of_threads_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="num_threads"):
        decode(b"", "raw", (1, 1, 1), "uint8", num_threads=-1)
    with pytest.raises(InvalidArgumentError, match="num_threads"):
        encode(np.zeros((1, 1, 1), np.uint8), "raw", num_threads=-1)
