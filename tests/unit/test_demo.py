# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import gzip
import http.client
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume, demo
from cloudvolume_fast.cli import main
from cloudvolume_fast.demo import (
    DemoOptions,
    count_differences,
    downsample_image,
    downsample_labels,
    verify_layer,
    write_layer,
)
from cloudvolume_fast.demo_data import Tissue, make_tissue
from cloudvolume_fast.demo_picture import color_labels, encode_png, overlay, stretch
from cloudvolume_fast.serve import make_server

ODD = (96, 80, 70)
SMALL = ["--size", "64", "--cutouts", "5", "--points", "150", "--no-progress", "--threads", "2"]


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    return make_tissue(ODD, 3)


def read_png(data: bytes) -> np.ndarray:
    """Decode what `encode_png` writes, checking each chunk."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(kind + body),)
        chunks.append((kind, body))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, color, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, rest) == (8, [0, 0, 0])
    samples = {0: 1, 2: 3}[color]
    rows = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    pixels = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
    return pixels.reshape((height, width, samples) if samples > 1 else (height, width))


def test_tissue_has_the_shape_dtype_and_order_asked_for(tissue: Tissue) -> None:
    assert tissue.image.shape == tissue.labels.shape == ODD
    assert (tissue.image.dtype, tissue.labels.dtype) == (np.uint8, np.uint64)
    assert tissue.image.flags.f_contiguous
    assert tissue.labels.flags.f_contiguous


def test_tissue_depends_on_the_seed_and_not_on_threads(tissue: Tissue) -> None:
    again = make_tissue(ODD, 3, threads=3)
    np.testing.assert_array_equal(again.image, tissue.image)
    np.testing.assert_array_equal(again.labels, tissue.labels)
    other = make_tissue(ODD, 4)
    assert np.mean(other.labels != tissue.labels) > 0.9


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 70, 3), (33, 1, 17)])
def test_tissue_can_be_tiny(shape: tuple[int, int, int]) -> None:
    tiny = make_tissue(shape, 1)
    assert tiny.image.shape == tiny.labels.shape == shape


@pytest.mark.parametrize(("shape", "threads"), [((0, 4, 4), 1), ((4, 4), 1), ((4, 4, 4), 0)])
def test_tissue_rejects_what_it_cannot_make(shape: tuple[int, int, int], threads: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        make_tissue(shape, 0, threads=threads)


def test_labels_are_large_ids_with_background_between(tissue: Tissue) -> None:
    names, counts = np.unique(tissue.labels, return_counts=True)
    assert names[0] == 0
    assert 0.0005 < counts[0] / tissue.labels.size < 0.06
    assert len(names) > 40
    assert names[1] >= 2**32
    assert names[-1] > 2**63
    assert np.ptp(np.log2(names[1:].astype(np.float64))) > 2


def test_labels_come_in_connected_runs(tissue: Tissue) -> None:
    same = tissue.labels[1:] == tissue.labels[:-1]
    assert 0.85 < same.mean() < 0.99


def test_membranes_are_darker_than_cells(tissue: Tissue) -> None:
    labels, image = tissue.labels, tissue.image.astype(np.float64)
    is_border = np.zeros(labels.shape, bool)
    is_border[1:] = (labels[1:] != labels[:-1]) & (labels[1:] != 0) & (labels[:-1] != 0)
    assert image[is_border].mean() < image[~is_border].mean() - 15


def test_image_packs_like_electron_microscopy(tissue: Tissue) -> None:
    packed = gzip.compress(tissue.image[:64, :64, :64].tobytes("F"), 9)
    assert 0.62 < len(packed) / 64**3 < 0.82


@pytest.mark.parametrize("shape", [(6, 4, 3), (5, 7, 2), (1, 1, 1)])
def test_image_mips_are_rounded_means(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    small = downsample_image(image)
    assert small.shape == ((shape[0] + 1) // 2, (shape[1] + 1) // 2, shape[2])
    for x, y, z in np.ndindex(small.shape):
        xs = [min(2 * x + i, shape[0] - 1) for i in (0, 1)]
        ys = [min(2 * y + i, shape[1] - 1) for i in (0, 1)]
        mean = np.mean([float(image[a, b, z]) for a in xs for b in ys])
        assert small[x, y, z] == np.floor(mean + 0.5)


def test_label_mips_take_the_most_frequent_label() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (20, 18, 5)).astype(np.uint64) << np.uint64(62)
    small = downsample_labels(labels)
    for x, y, z in np.ndindex(small.shape):
        names, counts = np.unique(
            labels[2 * x : 2 * x + 2, 2 * y : 2 * y + 2, z], return_counts=True
        )
        assert counts[names == small[x, y, z]] == counts.max()


def test_count_differences_counts_voxels_and_not_planes(tissue: Tissue) -> None:
    changed = tissue.labels.copy(order="F")
    changed[3, 4, 5] += np.uint64(1)
    changed[9, 4, 5] += np.uint64(1)
    changed[9, 4, 6] += np.uint64(1)
    assert count_differences(changed, tissue.labels) == 3
    assert count_differences(tissue.labels[:-1], tissue.labels) == tissue.labels.size


def test_demo_keeps_volumes_that_upstream_style_code_can_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *SMALL, "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "Every voxel read is the voxel written." in text
    assert "neuroglancer-demo.appspot.com/#!{" in text
    expected = make_tissue((64, 64, 64), 0)
    for name, voxels in (("image", expected.image), ("segmentation", expected.labels)):
        volume = CloudVolume(f"file://{tmp_path}/out/{name}", mip=0, progress=False)
        assert volume.info["@type"] == "neuroglancer_multiscale_volume"
        assert [scale["key"] for scale in volume.info["scales"]] == [
            "16_16_40",
            "32_32_40",
            "64_64_40",
        ]
        np.testing.assert_array_equal(np.asarray(volume[:, :, :])[..., 0], voxels)
    picture = read_png((tmp_path / "out" / "cloudvolume_fast_demo.png").read_bytes())
    assert picture.shape == (64, 128, 3)


def test_demo_without_out_leaves_only_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    work.mkdir()
    scratch.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert main(["demo", *SMALL]) == 0
    assert [path.name for path in work.iterdir()] == ["cloudvolume_fast_demo.png"]
    assert list(scratch.iterdir()) == []
    assert "all equal" in capsys.readouterr().out


def _flip_voxel(layer: Path) -> None:
    """Change one voxel of the first chunk of mip 0, leaving a valid file."""
    chunk = min((layer / "16_16_40").glob("*.gz"))
    voxels = bytearray(gzip.decompress(chunk.read_bytes()))
    voxels[1234] ^= 1
    chunk.write_bytes(gzip.compress(bytes(voxels)))


def _break_file(layer: Path) -> None:
    chunk = min((layer / "16_16_40").glob("*.gz"))
    chunk.write_bytes(chunk.read_bytes()[:-9])


@pytest.mark.parametrize("spoil", [_flip_voxel, _break_file])
def test_demo_fails_if_a_chunk_is_not_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spoil
) -> None:
    def write_and_spoil(folder: Path, *arguments: object):
        result = write_layer(folder, *arguments)
        if folder.name == "image":
            spoil(folder)
        return result

    monkeypatch.setattr(demo, "write_layer", write_and_spoil)
    assert main(["demo", *SMALL, "--out", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "DIFFER" in text
    assert "FAILED" in text


def test_verification_finds_exactly_the_flipped_voxel(tmp_path: Path, tissue: Tissue) -> None:
    options = DemoOptions(size=ODD, threads=2, cutouts=0, points=0)
    write_layer(tmp_path / "image", [tissue.image], "raw", options)
    assert [row.wrong for row in verify_layer(tmp_path / "image", [tissue.image], options)] == [0]
    _flip_voxel(tmp_path / "image")
    assert [row.wrong for row in verify_layer(tmp_path / "image", [tissue.image], options)] == [1]


@pytest.mark.parametrize("shape", [(7, 5), (6, 9, 3), (1, 1)])
def test_png_holds_the_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(read_png(encode_png(pixels)), pixels)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint16), np.zeros((4, 4, 2), np.uint8)])
def test_png_rejects_other_arrays(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        encode_png(pixels)


def test_colors_depend_on_the_label_alone_and_background_is_black() -> None:
    labels = np.array([[0, 5, 2**63 + 5], [5, 0, 7]], np.uint64)
    colors = color_labels(labels)
    assert (colors[labels == 0] == 0).all()
    np.testing.assert_array_equal(colors[0, 1], colors[1, 0])
    np.testing.assert_array_equal(colors[0, 1], color_labels(labels[:1, 1:2])[0, 0])
    assert len({tuple(colors[i]) for i in ((0, 1), (0, 2), (1, 2))}) == 3


def test_overlay_leaves_background_grey() -> None:
    grey = stretch(np.arange(16, dtype=np.uint8).reshape(4, 4))
    assert (grey.min(), grey.max()) == (0, 255)
    labels = np.zeros((4, 4), np.uint64)
    labels[2:] = 9
    colored = overlay(grey, labels)
    np.testing.assert_array_equal(colored[:2], np.repeat(grey[:2, :, None], 3, axis=2))
    assert (colored[3, 3] != grey[3, 3]).any()


@pytest.mark.parametrize(
    "arguments",
    [[], ["demo", "--size", "0"], ["demo", "--size", "4x4"], ["demo", "--threads", "0"]],
)
def test_cli_refuses_nonsense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_serve_refuses_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path / "absent")]) == 1
    assert "expected a folder" in capsys.readouterr().err


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a server of a folder with a plain, a compressed, and an outside file."""
    tmp_path = tmp_path_factory.mktemp("serve")
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "layer").mkdir(parents=True)
    (root / "layer" / "info").write_bytes(b"0123456789")
    (root / "layer" / "0-1_0-1_0-1.gz").write_bytes(gzip.compress(b"voxels"))
    with make_server(root, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_serve_finds_a_compressed_file_under_its_plain_name(port: int) -> None:
    name = "/layer/0-1_0-1_0-1"
    for accepted in ("gzip", "br;q=1, GZIP;q=0.5"):
        status, headers, body = _ask(port, "GET", name, **{"Accept-Encoding": accepted})
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert gzip.decompress(body) == b"voxels"
        assert headers["Access-Control-Allow-Origin"] == "*"
    for accepted in ("identity", "br", "gzip;q=0, br"):
        status, headers, body = _ask(port, "GET", name, **{"Accept-Encoding": accepted})
        assert (status, body) == (200, b"voxels")
        assert "Content-Encoding" not in headers
    found = _ask(port, "GET", name, Range="bytes=1-2", **{"Accept-Encoding": "gzip"})
    assert (found[0], found[2], found[1]["Content-Range"]) == (206, b"ox", "bytes 1-2/6")


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, b""),
        ("bytes=x", 200, b"0123456789"),
    ],
)
def test_serve_answers_ranges(port: int, asked: str, status: int, body: bytes) -> None:
    found = _ask(port, "GET", "/layer/info", Range=asked)
    assert (found[0], found[2]) == (status, body)


def test_serve_answers_head_and_options_without_a_body(port: int) -> None:
    status, headers, body = _ask(port, "HEAD", "/layer/info")
    assert (status, headers["Content-Length"], body) == (200, "10", b"")
    status, headers, body = _ask(port, "OPTIONS", "/layer/info")
    assert (status, headers["Access-Control-Allow-Headers"], body) == (204, "Range", b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/absent", 404),
        ("/layer", 404),
        ("/../secret", 403),
        ("/%2e%2e/secret", 403),
        ("//../secret", 403),
    ],
)
def test_serve_knows_nothing_outside_of_its_folder(port: int, path: str, status: int) -> None:
    assert _ask(port, "GET", path)[::2] == (status, b"")
