# SPDX-License-Identifier: BSD-3-Clause
"""What label encodings answer without decoding a chunk: chunks whose other parts are ruined still answer.

The chunks are those that the encodings' packages wrote (``golden/labels``), and ours of compressed_segmentation.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume
from cloudvolume_fast._core import compressed_segmentation
from cloudvolume_fast.errors import ChunkDecodeError

GOLDEN = Path(__file__).parents[2] / "golden" / "labels" / "labels.zip"
NAMES = {"compresso": "compresso_{}_uint64_c4_441_index", "crackle": "crackle_{}_uint64_markov0"}
ABSENT = 123456789


def golden_chunk(encoding: str, number: int) -> tuple[bytes, np.ndarray]:
    with zipfile.ZipFile(GOLDEN) as archive:
        labels = np.load(io.BytesIO(archive.read(f"chunks/{number}_uint64.npy")))
        return archive.read("chunks/" + NAMES[encoding].format(number)), labels


def open_chunk(folder: Path, encoding: str, chunk: bytes, shape: tuple[int, ...]) -> CloudVolume:
    path = support.make_layer(
        folder, encoding=encoding, size=shape, chunk_size=shape, data_type="uint64"
    )
    (folder / support.KEY).mkdir()
    name = "_".join(f"0-{extent}" for extent in shape)
    (folder / support.KEY / name).write_bytes(chunk)
    return CloudVolume(path, progress=False)


def compresso_windows(chunk: bytes, depth: int) -> tuple[int, int]:
    """Begin and end of the run-length code of the windows of a chunk of version 1 (Neuroglancer has no text on it)."""
    assert chunk[4] == 1
    ids, values, locations = struct.unpack_from("<QIQ", chunk, 15)
    width, (sx, sy) = chunk[5], struct.unpack_from("<HH", chunk, 6)
    window_bytes = {1: 1, 2: 2, 4: 4}.get(-(-int(np.prod(list(chunk[12:15]))) // 8), 8)
    tail_bytes = 2 * depth * (1 if 2 * sx * sy < 255 else 2)
    begin = 36 + ids * width + values * window_bytes + locations * width
    return begin, len(chunk) - tail_bytes


def crackle_codes(chunk: bytes, depth: int) -> tuple[int, int, list[int]]:
    """Begin and end of the crack codes of a chunk of version 1, and the bytes of each slice."""
    assert chunk[4] == 1
    (label_bytes,) = struct.unpack_from("<Q", chunk, 20)
    sizes = list(struct.unpack_from(f"<{depth}I", chunk, 29))
    begin = 29 + 4 * depth + 4 + label_bytes
    return begin, begin + sum(sizes), sizes


def ruin(chunk: bytes, begin: int, end: int) -> bytes:
    assert begin < end <= len(chunk)
    return chunk[:begin] + b"\xff" * (end - begin) + chunk[end:]


def ruin_all_shapes(encoding: str, chunk: bytes, depth: int) -> bytes:
    """Ruin everything that says where labels are."""
    if encoding == "compresso":
        return ruin(chunk, *compresso_windows(chunk, depth))
    return ruin(chunk, *crackle_codes(chunk, depth)[:2])


def ruin_last_slice(encoding: str, chunk: bytes, depth: int) -> bytes:
    if encoding == "compresso":
        _, end = compresso_windows(chunk, depth)
        return ruin(chunk, end - 2, end)
    _, end, sizes = crackle_codes(chunk, depth)
    return ruin(chunk, end - sizes[-1], end)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("encoding", NAMES)
def test_labels_of_a_chunk_are_read_off_its_list(
    tmp_path: Path, encoding: str, number: int
) -> None:
    chunk, labels = golden_chunk(encoding, number)
    vol = open_chunk(
        tmp_path, encoding, ruin_all_shapes(encoding, chunk, labels.shape[2]), labels.shape
    )
    assert vol.unique(vol.bounds) == set(np.unique(labels).tolist())
    with pytest.raises(ChunkDecodeError):
        vol[:]
    for low in range(labels.shape[2]):
        for high in range(low + 1, labels.shape[2] + 1):
            found = vol.unique(np.s_[:, :, low:high])
            assert found == set(np.unique(labels[:, :, low:high]).tolist())
    part = labels[1:, :, :1]
    with pytest.raises(ChunkDecodeError):
        vol.unique(np.s_[1:, :, :1])  # which of them lie in a part of a slice takes decoding
    assert part.size


@pytest.mark.parametrize("encoding", NAMES)
def test_label_that_a_chunk_does_not_list_needs_no_decoding(tmp_path: Path, encoding: str) -> None:
    chunk, labels = golden_chunk(encoding, 0)
    assert ABSENT not in labels
    vol = open_chunk(
        tmp_path, encoding, ruin_all_shapes(encoding, chunk, labels.shape[2]), labels.shape
    )
    for box in (np.s_[:, :, :], np.s_[2:9, 1:7, 1:3], np.s_[3, 4, 1]):
        mask = vol.download(box, label=ABSENT)
        assert mask.dtype == np.bool_
        assert not mask.any()
        assert not vol.download(box, segids=[ABSENT]).any()
    with pytest.raises(ChunkDecodeError):
        vol.download(vol.bounds, label=int(labels[0, 0, 0]))
    # A label of one slice alone is looked for in that slice alone.
    per_slice = [set(np.unique(labels[:, :, z]).tolist()) for z in range(labels.shape[2])]
    only_last = per_slice[-1] - set().union(*per_slice[:-1])
    assert only_last
    assert not vol.download(np.s_[:, :, : labels.shape[2] - 1], label=only_last.pop()).any()


@pytest.mark.parametrize("encoding", NAMES)
def test_slices_before_a_ruined_one_are_read(tmp_path: Path, encoding: str) -> None:
    chunk, labels = golden_chunk(encoding, 0)
    depth = labels.shape[2]
    vol = open_chunk(tmp_path, encoding, ruin_last_slice(encoding, chunk, depth), labels.shape)
    with pytest.raises(ChunkDecodeError):
        vol[:]
    near = np.s_[:, :, : depth - 1]
    assert np.array_equal(vol[near][..., 0], labels[near])
    label = int(labels[5, 6, 0])
    assert np.array_equal(vol.download(near, label=label)[..., 0], labels[near] == label)
    assert vol.unique(np.s_[1:7, :, 0:1]) == set(np.unique(labels[1:7, :, :1]).tolist())
    assert vol[5, 6, 0].item() == label
    points = [(0, 0, 0), (18, 12, 1), (5, 6, 0)]
    assert vol.scattered_points(points) == {p: labels[p] for p in points}
    numbers, mapping = vol.download(near, renumber=True)
    original = {number: stored for stored, number in mapping.items()}
    assert all(
        original.get(int(n), 0) == stored
        for n, stored in zip(numbers[..., 0].flat, labels[near].flat, strict=True)
    )


def test_crackle_reads_slices_after_a_ruined_one(tmp_path: Path) -> None:
    chunk, labels = golden_chunk("crackle", 0)
    begin, _, sizes = crackle_codes(chunk, labels.shape[2])
    vol = open_chunk(tmp_path, "crackle", ruin(chunk, begin, begin + sizes[0]), labels.shape)
    assert np.array_equal(vol[:, :, 1:][..., 0], labels[:, :, 1:])
    assert vol[5, 6, 2].item() == labels[5, 6, 2]
    with pytest.raises(ChunkDecodeError):
        vol[5, 6, 0]


def test_blocks_of_compressed_segmentation_are_read_one_by_one(tmp_path: Path) -> None:
    shape, block = (12, 8, 8), (4, 4, 4)
    labels = np.random.default_rng(1).integers(0, 9, (*shape, 1)).astype(np.uint64)
    chunk = bytearray(compressed_segmentation.encode(np.asfortranarray(labels), block_shape=block))
    # Ruined: the header of the last block, and the values of the one before it.
    count = 3 * 2 * 2
    chunk[4 + 8 * (count - 1) : 4 + 8 * count] = b"\xff" * 8
    near = np.s_[:4, :, :4]
    vol = open_chunk(tmp_path, "compressed_segmentation", bytes(chunk), shape)
    with pytest.raises(ChunkDecodeError):
        vol[:]
    with pytest.raises(ChunkDecodeError):
        vol.unique(vol.bounds)
    assert np.array_equal(vol[near], labels[near])
    assert vol[2, 7, 3].item() == labels[2, 7, 3, 0]
    assert vol.unique(near) == set(np.unique(labels[near]).tolist())
    assert np.array_equal(vol.download(near, label=5), labels[near] == 5)
    numbers, mapping = vol.download(near, renumber=True)
    assert {0, *mapping} == {0, *np.unique(labels[near]).tolist()}
    assert numbers.max() == max(mapping.values())
    points = [(0, 0, 0), (7, 3, 7), (11, 7, 3)]
    assert vol.scattered_points(points) == {p: labels[*p, 0] for p in points}
    with pytest.raises(ChunkDecodeError):
        vol[11, 7, 7]
