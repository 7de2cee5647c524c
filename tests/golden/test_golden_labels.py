# SPDX-License-Identifier: BSD-3-Clause
"""Chunks of compresso and crackle that other packages wrote: read exactly, and refused or read when damaged."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import support

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast.errors import ChunkDecodeError

HERE = Path(__file__).parent / "labels"
ENCODINGS = ["compresso", "crackle"]
DTYPES = ["bool", "uint8", "uint16", "uint32", "uint64"]
OFFSET = np.array((7, -3, 11))

with zipfile.ZipFile(HERE / "labels.zip") as _archive:
    FILES = {name: _archive.read(name) for name in _archive.namelist()}


def array(name: str) -> np.ndarray:
    return np.load(io.BytesIO(FILES[name]))


def chunk_names(encoding: str) -> list[str]:
    return [name for name in FILES if name.startswith(f"chunks/{encoding}_")]


def chunk_labels(name: str) -> np.ndarray:
    number, dtype = name.split("_")[1:3]
    return array(f"chunks/{number}_{dtype}.npy")


def open_chunk(
    folder: Path, encoding: str, shape: tuple[int, ...], dtype: str
) -> tuple[CloudVolume, Path]:
    """A volume of one chunk, and where that chunk lies."""
    path = support.make_layer(
        folder, encoding=encoding, size=shape, chunk_size=shape, data_type=dtype
    )
    (folder / support.KEY).mkdir()
    return CloudVolume(path, progress=False), folder / support.KEY / "_".join(
        f"0-{extent}" for extent in shape
    )


def attempt(read: object) -> object:
    """What a read returns; None where it refuses the bytes."""
    try:
        return read()
    except ChunkDecodeError:
        return None


def test_archive_is_the_one_of_the_manifest() -> None:
    manifest = json.loads((HERE / "MANIFEST.json").read_text())
    digest = hashlib.sha256((HERE / "labels.zip").read_bytes()).hexdigest()
    assert digest == manifest["files"]["labels.zip"]["sha256"]


@pytest.fixture(params=[(e, d) for e in ENCODINGS for d in DTYPES], ids="-".join)
def layer(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[CloudVolume, np.ndarray]:
    """A layer that cloud-volume wrote, and its voxels."""
    encoding, dtype = request.param
    for name, content in FILES.items():
        if name.startswith(f"{encoding}_{dtype}/"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return CloudVolume(f"file://{tmp_path}/{encoding}_{dtype}", progress=False), array(
        f"{dtype}.npy"
    )


def test_reads_whole_layers(layer: tuple[CloudVolume, np.ndarray]) -> None:
    vol, voxels = layer
    read = vol[:]
    assert read.dtype == voxels.dtype
    assert np.array_equal(read[..., 0], voxels)


def test_reads_boxes(layer: tuple[CloudVolume, np.ndarray]) -> None:
    vol, voxels = layer
    rng = np.random.default_rng(1)
    for _ in range(25):
        low = rng.integers(0, voxels.shape)
        high = rng.integers(low + 1, np.array(voxels.shape) + 1)
        expected = voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        box = Bbox(low + OFFSET, high + OFFSET)
        assert np.array_equal(vol.download(box)[..., 0], expected)
        assert vol.unique(box) == set(np.unique(expected))
        label = int(expected.flat[0])
        assert np.array_equal(vol.download(box, label=label)[..., 0], expected == label)


def test_reads_points(layer: tuple[CloudVolume, np.ndarray]) -> None:
    vol, voxels = layer
    points = np.random.default_rng(2).integers(0, voxels.shape, (60, 3))
    found = vol.scattered_points([tuple(point) for point in points + OFFSET])
    for point in points:
        assert found[tuple(int(p) for p in point + OFFSET)] == voxels[tuple(point)]
    x, y, z = (int(p) for p in points[0] + OFFSET)
    assert vol[x, y, z].item() == voxels[tuple(points[0])]


def test_renumbers(layer: tuple[CloudVolume, np.ndarray]) -> None:
    vol, voxels = layer
    if voxels.dtype == np.bool_:
        pytest.skip("renumber is for labels")
    numbers, mapping = vol.download(vol.bounds, renumber=True)
    original = {number: label for label, number in mapping.items()}
    assert set(mapping) | {0} == set(np.unique(voxels)) | {0}
    assert all(
        original.get(int(n), 0) == v
        for n, v in zip(numbers.flat[::37], voxels.flat[::37], strict=True)
    )


def test_unique_of_a_whole_layer(layer: tuple[CloudVolume, np.ndarray]) -> None:
    vol, voxels = layer
    assert vol.unique(vol.bounds) == set(np.unique(voxels))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_reads_every_variant_of_the_formats(tmp_path: Path, encoding: str) -> None:
    rng = np.random.default_rng(3)
    volumes: dict[tuple[object, ...], tuple[CloudVolume, Path]] = {}
    for name in chunk_names(encoding):
        labels = chunk_labels(name)
        key = (labels.shape, labels.dtype.name)
        if key not in volumes:
            volumes[key] = open_chunk(tmp_path / str(len(volumes)), encoding, *key)
        vol, path = volumes[key]
        path.write_bytes(FILES[name])
        assert np.array_equal(vol[:][..., 0], labels), name
        low = rng.integers(0, labels.shape)
        high = rng.integers(low + 1, np.array(labels.shape) + 1)
        part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        assert np.array_equal(vol[part][..., 0], labels[part]), name
        assert vol.unique(vol.bounds) == set(np.unique(labels)), name


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_truncated_chunks_are_refused(tmp_path: Path, encoding: str) -> None:
    name = (
        "chunks/"
        + {
            "compresso": "compresso_0_uint64_c4_441_index",
            "crackle": "crackle_0_uint64_markov0",
        }[encoding]
    )
    labels = chunk_labels(name)
    vol, path = open_chunk(tmp_path, encoding, labels.shape, "uint64")
    content = FILES[name]
    for size in range(1, len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ChunkDecodeError, match="0-19_0-13_0-3"):
            vol[:]
    path.write_bytes(content + b"\0" * 8)
    with pytest.raises(ChunkDecodeError):
        vol[:]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_damaged_chunks_are_refused_or_read(tmp_path: Path, encoding: str) -> None:
    rng = random.Random(4)
    names = [name for name in chunk_names(encoding) if "_0_uint64" in name or "_1_uint8" in name]
    volumes = {
        number: open_chunk(
            tmp_path / number, encoding, array(f"chunks/{number}_{dtype}.npy").shape, dtype
        )
        for number, dtype in (("0", "uint64"), ("1", "uint8"))
    }
    refused = 0
    for _ in range(3000):
        name = rng.choice(names)
        vol, path = volumes[name.split("_")[1]]
        damaged = bytearray(FILES[name])
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(min(len(damaged), rng.choice((40, 10**6))))] ^= (
                1 << rng.randrange(8)
            )
        path.write_bytes(damaged)
        whole = attempt(lambda vol=vol: vol[:])
        attempt(lambda vol=vol: vol[2, 3, 1])
        attempt(lambda vol=vol: vol.unique(vol.bounds))
        refused += whole is None
        if (
            whole is not None
            and encoding == "crackle"
            and name.endswith(("markov0", "markov1", "c_order"))
        ):
            assert np.array_equal(whole[..., 0], chunk_labels(name))
    assert refused > 1000


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_claims_of_size_cost_no_memory(tmp_path: Path, encoding: str) -> None:
    name = (
        "chunks/"
        + {
            "compresso": "compresso_0_uint64_c4_441_plain",
            "crackle": "crackle_0_uint64_markov0_v0",
        }[encoding]
    )
    labels = chunk_labels(name)
    vol, path = open_chunk(tmp_path, encoding, labels.shape, "uint64")
    path.write_bytes(FILES[name])
    assert np.array_equal(vol[:][..., 0], labels)
    before = psutil.Process().memory_info().rss
    fields = {
        "compresso": [(6, "<H"), (8, "<H"), (15, "<Q"), (23, "<I"), (27, "<Q")],
        "crackle": [(7, "<I"), (11, "<I"), (15, "<I"), (20, "<I"), (24, "<I")],
    }
    for offset, kind in fields[encoding]:
        for value in (2**63, 2**40, 2**31, 65535):
            damaged = bytearray(FILES[name])
            struct.pack_into(
                kind, damaged, offset, value % 2 ** (8 * struct.calcsize(kind)) or 65535
            )
            path.write_bytes(damaged)
            with pytest.raises(ChunkDecodeError):
                vol[:]
    assert psutil.Process().memory_info().rss - before < 16 << 20


def test_compressed_objects_that_expand_too_far_are_refused(tmp_path: Path) -> None:
    vol, path = open_chunk(tmp_path, "crackle", (8, 8, 8), "uint8")
    path.with_name(path.name + ".gz").write_bytes(support.COMPRESS[".gz"](bytes(8 << 20)))
    with pytest.raises(ChunkDecodeError, match="expected at most"):
        vol[:]


def test_pins_are_refused_by_name(tmp_path: Path) -> None:
    vol, path = open_chunk(tmp_path, "crackle", (16, 12, 8), "uint32")
    path.write_bytes(FILES["pins.ckl"])
    with pytest.raises(ChunkDecodeError, match="not supported"):
        vol[:]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_reading_needs_no_package(tmp_path: Path, encoding: str) -> None:
    name = (
        "chunks/"
        + {
            "compresso": "compresso_0_uint32_c4_441_index",
            "crackle": "crackle_0_uint32_markov0",
        }[encoding]
    )
    labels = chunk_labels(name)
    vol, path = open_chunk(tmp_path, encoding, labels.shape, "uint32")
    path.write_bytes(FILES[name])
    script = """
import json, sys
sys.modules["compresso"] = sys.modules["crackle"] = None
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1], progress=False)
total = int(vol[:].sum(dtype="uint64"))
try:
    vol[:] = vol[:]
except ImportError as error:
    print(json.dumps([total, str(error)]))
"""
    total, message = support.run_python(script, vol.cloudpath)
    assert total == int(labels.sum(dtype=np.uint64))
    assert "is not installed" in message


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("encoding", "package"), [("compresso", "compresso"), ("crackle", "crackle")]
)
def test_writes_are_read_back(tmp_path: Path, encoding: str, package: str, dtype: str) -> None:
    pytest.importorskip(package)
    path = support.make_layer(
        tmp_path, encoding=encoding, size=(40, 36, 20), chunk_size=(32, 32, 16), data_type=dtype
    )
    vol = CloudVolume(path, progress=False, non_aligned_writes=True)
    voxels = array(f"{dtype}.npy").copy(order="F")
    vol[:] = voxels
    voxels[3:9, 30:34, 10:18] = voxels[9:15, 2:6, 2:10]
    vol[3:9, 30:34, 10:18] = voxels[3:9, 30:34, 10:18]  # merged into stored chunks
    assert np.array_equal(vol[:][..., 0], voxels)


@pytest.mark.parametrize(
    ("encoding", "package"), [("compresso", "compresso"), ("crackle", "crackle")]
)
def test_noise_of_one_byte_is_written_and_read(tmp_path: Path, encoding: str, package: str) -> None:
    pytest.importorskip(package)
    noise = np.asfortranarray(
        np.random.default_rng(6).integers(0, 256, (48, 40, 12)).astype(np.uint8)
    )
    path = support.make_layer(
        tmp_path, encoding=encoding, size=noise.shape, chunk_size=noise.shape, data_type="uint8"
    )
    vol = CloudVolume(path, progress=False)
    vol[:] = noise
    assert np.array_equal(vol[:][..., 0], noise)
